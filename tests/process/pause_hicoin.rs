//! SIGSTOP for longer than the lease while money goes out by Hicoin: with another process that takes the work over, and
//! alone; where Hicoin refuses a repeated id, and where it does not and the account says so. What is paid, is paid once;
//! where repetitions are not refused, nothing is sent twice.

use futures_util::future::FutureExt;
use tillgate::sandbox::{Fault, Times};

use crate::hicoin::{ALL, Way};
use crate::house::{At, Gateway, House, Plan, watched};
use crate::moments::{side_by_side, stop};
use crate::program::until;

/// The process that is paused has time to come to its moment.
const PATIENT: [(&str, &str); 2] = [("TILLGATE__TIMING__LEASE", "3s"), ("TILLGATE__TIMING__PROVIDER_TIMEOUT", "2500ms")];

const SUCCEEDED: &str = "succeeded";
const IN_DOUBT: &str = "requires_review/outcome_unknown";

/// Where the process stands still.
#[derive(Clone, Debug, PartialEq)]
enum Moment {
    /// Its attempt is about to be committed, and the statement is lost.
    Claiming,
    /// Its attempt is committed, and it does not know that yet: the call has not left.
    Claimed,
    /// Its call is at Hicoin.
    AtHicoin(Fault),
    /// The answer has arrived, and the statement that records it is lost.
    Recording,
    /// The call was lost, and a list that does not show the order is on its way.
    LookingInVain,
}

#[derive(Clone, Debug)]
struct Case {
    moment: Moment,
    refuses_duplicates: bool,
    /// Another process works meanwhile.
    another: bool,
    ways: &'static [Way],
}

impl Case {
    /// Where the order may be while the process stands still, and in the end.
    fn places(&self) -> (&'static [&'static str], &'static [&'static str]) {
        const PAID: &[&str] = &[SUCCEEDED];
        const DOUBT: &[&str] = &[IN_DOUBT];
        if self.refuses_duplicates {
            return (PAID, PAID);
        }
        match self.moment {
            Moment::Claiming | Moment::Recording | Moment::AtHicoin(Fault::HangAfter) => (PAID, PAID),
            Moment::AtHicoin(Fault::HangLate) => (DOUBT, PAID),
            // The process itself knows that it sent nothing, unless another part of it has written the attempt off first.
            Moment::Claimed if !self.another => (PAID, &[SUCCEEDED, IN_DOUBT]),
            _ => (DOUBT, DOUBT),
        }
    }
}

/// At Hicoin all orders stand still together; at the other moments one alone, and each case takes another way.
fn cases() -> Vec<Case> {
    let joint = [Fault::HangBefore, Fault::HangLate, Fault::HangAfter].map(|fault| (Moment::AtHicoin(fault), ALL));
    let alone = [Moment::Claiming, Moment::Claimed, Moment::Recording, Moment::LookingInVain];
    let mut turn = ALL.chunks(1).cycle();
    let mut cases = Vec::new();
    for refuses_duplicates in [true, false] {
        for another in [true, false] {
            let alone = alone.iter().map(|moment| (moment.clone(), turn.next().expect("a way")));
            let all = joint.iter().cloned().chain(alone.collect::<Vec<_>>());
            cases.extend(all.map(|(moment, ways)| Case { moment, refuses_duplicates, another, ways }));
        }
    }
    cases
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stood_still_for_longer_than_its_lease_pays_nothing_twice_at_hicoin() {
    side_by_side(cases().into_iter().map(|case| (format!("{case:?}"), play(case)))).await;
}

async fn play(case: Case) {
    let house = House::with(Plan { refuses_duplicates: case.refuses_duplicates, ..Plan::at(At::Hicoin) }).await;
    // It carries out an order first, so that all its statements are prepared; then it stands still until the orders are there.
    let warm = matches!(case.moment, Moment::Claiming | Moment::Claimed | Moment::Recording);
    let first = house.serve_perhaps_warm("worker", warm, &PATIENT).await;
    first.program.pause();
    let api = house.serve("api").await;
    for way in case.ways {
        house.pay_out(*way, way.order()).await;
    }
    bring_to(&house, &first, &case).await;

    let second = if case.another { Some(house.serve("worker").await) } else { None };
    house.leases_are_over().await;
    let (meanwhile, end) = case.places();
    if second.is_some() {
        all_come_to(&house, &case, meanwhile).await;
    }
    first.program.resume();
    house.works_again(&first).await;
    house.sandbox.release();
    house.sandbox.wait_for_none_held().await;
    if second.is_some() {
        stop(first).await;
        all_come_to(&house, &case, end).await;
    } else {
        all_come_to(&house, &case, end).await;
        stop(first).await;
    }
    house.at_rest().await;
    for gateway in second.into_iter().chain([api]) {
        stop(gateway).await;
    }
    for way in case.ways {
        let place = house.place(way.order()).await.expect("an order");
        let (executions, calls) = (house.sandbox.executions(way.order()), house.sandbox.calls_for(way.call(), way.order()));
        let other = if case.another { "another" } else { "alone" };
        let trust = if case.refuses_duplicates { "trusted" } else { "distrusted" };
        let moment = format!("{:?}", case.moment);
        println!("{moment:<22} {trust:<10} {other:<7} {:<14} -> {place}, executions: {executions}, calls: {calls}", way.call());
        assert_eq!(executions, usize::from(place == SUCCEEDED), "{case:?}: {}", house.story(way.order()).await);
        // Where Hicoin refuses duplicates, a slow machine may ask once more; where it does not, one call too many is one too many.
        let asked = match (case.refuses_duplicates, &case.moment) {
            (true, _) => calls >= 1,
            (false, Moment::Claimed) => calls == executions,
            (false, _) => calls == 1,
        };
        assert!(asked, "{case:?}: {calls} calls: {}", house.story(way.order()).await);
    }
    house.close().await;
}

async fn all_come_to(house: &House, case: &Case, places: &[&str]) {
    for way in case.ways {
        let what = format!("{} is {places:?}: {case:?}", way.order());
        let comes = until(&what, async || house.place(way.order()).await.filter(|is| places.contains(&is.as_str())));
        let in_vain = watched(what.clone(), comes.map(drop)).await;
        assert!(in_vain.is_none(), "{what}: {}", house.story(way.order()).await);
    }
}

/// The process goes on to a moment and stands still there.
async fn bring_to(house: &House, process: &Gateway, case: &Case) {
    let strike = |operation: fn(Way) -> &'static str, fault: &Fault| {
        for way in case.ways {
            house.sandbox.inject(operation(*way), Some(way.order()), fault.clone(), Times::Count(1));
        }
    };
    match &case.moment {
        Moment::AtHicoin(fault) => {
            strike(Way::call, fault);
            process.program.resume();
            house.held(case.ways.len()).await;
            process.program.pause();
        }
        Moment::Claiming | Moment::Claimed => {
            let lock = house.lock("attempts").await;
            process.program.resume();
            house.stands_still_at(process, lock, case.moment == Moment::Claimed).await;
            if case.moment == Moment::Claimed {
                until("the attempt is committed", async || (house.attempts(case.ways[0].order(), "open").await == 1).then_some(())).await;
            }
        }
        Moment::Recording => {
            strike(Way::call, &Fault::HangAfter);
            process.program.resume();
            house.held(case.ways.len()).await;
            let lock = house.lock("steps").await;
            house.sandbox.release();
            house.stands_still_at(process, lock, false).await;
        }
        Moment::LookingInVain => {
            // The first look counts; what the second one says arrives late.
            strike(Way::call, &Fault::LoseBefore);
            strike(Way::list, &Fault::Delay(0));
            strike(Way::list, &Fault::HangAfter);
            process.program.resume();
            house.held(case.ways.len()).await;
            process.program.pause();
            house.sandbox.release();
        }
    }
}
