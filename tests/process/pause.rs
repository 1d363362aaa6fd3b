//! SIGSTOP: a process that stands still for longer than its lease and then goes on as if nothing had happened, while
//! another one has taken its work over. This is what `kill -9` alone does not find.

use tillgate::sandbox::{Fault, Times};

use crate::house::{At, Gateway, House, Plan};
use crate::moments::{side_by_side, stop};
use crate::program::until;

const PAYOUT: &str = "the-payout";

/// The process that is paused has time to come to its moment.
const PATIENT: [(&str, &str); 2] = [("TILLGATE__TIMING__LEASE", "3s"), ("TILLGATE__TIMING__PROVIDER_TIMEOUT", "2500ms")];

/// Where the process stands still.
#[derive(Clone, Debug)]
enum Moment {
    /// Its task is claimed, its order is not read yet.
    Reading,
    /// Its attempt is about to be committed, and the statement is lost.
    Claiming,
    /// Its attempt is committed, and it does not know that yet: the call has not left.
    Claimed,
    /// Its call is at FOMO.
    AtFomo(Fault),
    /// The answer has arrived, and the statement that records it is lost.
    Recording,
}

struct Case {
    name: &'static str,
    moment: Moment,
    refuses_duplicates: bool,
    /// Where the order is when the other process has done what it can.
    meanwhile: &'static str,
    end: &'static str,
    executions: usize,
    /// How often FOMO is asked to pay; at least, where it refuses duplicates.
    calls: usize,
}

const CASES: [Case; 10] = [
    Case {
        name: "at FOMO, never executed; FOMO refuses duplicates",
        moment: Moment::AtFomo(Fault::HangBefore),
        refuses_duplicates: true,
        meanwhile: "succeeded",
        end: "succeeded",
        executions: 1,
        calls: 2,
    },
    Case {
        name: "at FOMO, executed late; FOMO refuses duplicates",
        moment: Moment::AtFomo(Fault::HangLate),
        refuses_duplicates: true,
        meanwhile: "succeeded",
        end: "succeeded",
        executions: 1,
        calls: 2,
    },
    Case {
        name: "attempt committed, before the call; FOMO refuses duplicates",
        moment: Moment::Claimed,
        refuses_duplicates: true,
        meanwhile: "succeeded",
        end: "succeeded",
        executions: 1,
        calls: 1,
    },
    Case {
        name: "before its attempt is committed; FOMO does not refuse duplicates",
        moment: Moment::Claiming,
        refuses_duplicates: false,
        meanwhile: "succeeded",
        end: "succeeded",
        executions: 1,
        calls: 1,
    },
    Case {
        name: "before the order is read; FOMO does not refuse duplicates",
        moment: Moment::Reading,
        refuses_duplicates: false,
        meanwhile: "succeeded",
        end: "succeeded",
        executions: 1,
        calls: 1,
    },
    Case {
        name: "at FOMO, never executed; FOMO does not refuse duplicates",
        moment: Moment::AtFomo(Fault::HangBefore),
        refuses_duplicates: false,
        meanwhile: "requires_review/outcome_unknown",
        end: "requires_review/outcome_unknown",
        executions: 0,
        calls: 1,
    },
    Case {
        name: "at FOMO, executed late; FOMO does not refuse duplicates",
        moment: Moment::AtFomo(Fault::HangLate),
        refuses_duplicates: false,
        meanwhile: "requires_review/outcome_unknown",
        end: "succeeded",
        executions: 1,
        calls: 1,
    },
    Case {
        name: "at FOMO, executed at once; FOMO does not refuse duplicates",
        moment: Moment::AtFomo(Fault::HangAfter),
        refuses_duplicates: false,
        meanwhile: "requires_review/outcome_unknown",
        end: "succeeded",
        executions: 1,
        calls: 1,
    },
    Case {
        name: "attempt committed, before the call; FOMO does not refuse duplicates",
        moment: Moment::Claimed,
        refuses_duplicates: false,
        meanwhile: "requires_review/outcome_unknown",
        end: "requires_review/outcome_unknown",
        executions: 0,
        calls: 0,
    },
    Case {
        name: "the answer is being recorded; FOMO does not refuse duplicates",
        moment: Moment::Recording,
        refuses_duplicates: false,
        meanwhile: "requires_review/outcome_unknown",
        end: "succeeded",
        executions: 1,
        calls: 1,
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stood_still_for_longer_than_its_lease_pays_nothing_twice() {
    side_by_side(CASES.iter().map(|case| (case.name.to_owned(), play(case)))).await;
}

async fn play(case: &Case) {
    let house = House::with(Plan { refuses_duplicates: case.refuses_duplicates, ..Plan::at(At::Fomo) }).await;
    // It carries out an order first, so that all its statements are prepared; then it stands still until the payout is there.
    let first = house.serve_warm("worker", &PATIENT).await;
    first.program.pause();
    let api = house.serve("api").await;
    house.payout(PAYOUT).await;
    bring_to(&house, &first, &case.moment).await;

    let second = house.serve("worker").await;
    house.leases_are_over().await;
    house.comes_to(PAYOUT, &[case.meanwhile]).await;
    first.program.resume();
    if !matches!(case.moment, Moment::AtFomo(Fault::HangAfter)) {
        house.sandbox.release();
    }
    house.works_again(&first).await;
    stop(first).await;
    house.sandbox.release();
    let end = until(case.name, async || {
        house.sandbox.deliver_callbacks().await;
        house.place(PAYOUT).await.filter(|place| place == case.end)
    })
    .await;
    house.at_rest().await;
    for gateway in [api, second] {
        stop(gateway).await;
    }
    let (executions, calls) = (house.sandbox.executions(PAYOUT), house.sandbox.calls_for("pay_user", PAYOUT));
    println!("{:<72} -> {end}, executions: {executions}, calls: {calls}", case.name);
    assert_eq!(executions, case.executions, "{}: {}", case.name, house.story(PAYOUT).await);
    // Where FOMO refuses duplicates, a slow machine may ask once more; where it does not, one call too many is one too many.
    let asked = if case.refuses_duplicates { calls >= case.calls } else { calls == case.calls };
    assert!(asked, "{}: {calls} calls: {}", case.name, house.story(PAYOUT).await);
    house.close().await;
}

/// The process goes on to a moment and stands still there.
async fn bring_to(house: &House, process: &Gateway, moment: &Moment) {
    let hangs = match moment {
        Moment::AtFomo(fault) => Some(fault.clone()),
        Moment::Recording => Some(Fault::HangAfter),
        Moment::Reading | Moment::Claiming | Moment::Claimed => None,
    };
    if let Some(fault) = hangs {
        house.sandbox.inject("pay_user", Some(PAYOUT), fault, Times::Count(1));
    }
    match moment {
        Moment::AtFomo(_) => {
            process.program.resume();
            house.held(1).await;
            process.program.pause();
        }
        Moment::Reading => resume_until(house, process, "orders", true).await,
        Moment::Claimed => resume_until(house, process, "attempts", true).await,
        Moment::Claiming => resume_until(house, process, "attempts", false).await,
        Moment::Recording => {
            process.program.resume();
            house.held(1).await;
            let lock = house.lock("steps").await;
            house.sandbox.release();
            house.stands_still_at(process, lock, false).await;
        }
    }
}

/// The process goes on until it needs the table.
async fn resume_until(house: &House, process: &Gateway, table: &'static str, carried_out: bool) {
    let lock = house.lock(table).await;
    process.program.resume();
    house.stands_still_at(process, lock, carried_out).await;
}
