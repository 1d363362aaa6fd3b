//! `kill -9` at every moment of money that goes out by Hicoin, on all three ways: by `withdraw`, `systemTransfer` and
//! `userTransfer`. Hicoin never calls: what became of a lost call is found in its lists.

use futures_util::future::{FutureExt, LocalBoxFuture};
use tillgate::sandbox::{Fault, Times};

use crate::hicoin::{ALL, Way};
use crate::house::{At, Gateway, House, Plan};
use crate::moments::{kill, side_by_side, stop};
use crate::program::until;

/// The process that is killed has time to come to its moment.
const PATIENT: [(&str, &str); 2] = [("TILLGATE__TIMING__LEASE", "5s"), ("TILLGATE__TIMING__PROVIDER_TIMEOUT", "4s")];

/// What happens until the process is dead and everything that it had asked for has come to rest.
type Story = for<'a> fn(&'a House, &'a [Way]) -> LocalBoxFuture<'a, ()>;

struct Moment {
    name: &'static str,
    story: Story,
    /// A process can be at this moment with one order alone: each way has a house of its own. Else all die together.
    alone: bool,
    /// How often each order is sent to Hicoin before what hangs is let go.
    sent: usize,
}

impl Moment {
    const fn of_all(name: &'static str, story: Story) -> Self {
        Self { name, story, alone: false, sent: 0 }
    }

    const fn of_each(name: &'static str, story: Story) -> Self {
        Self { alone: true, ..Self::of_all(name, story) }
    }

    /// What hangs at Hicoin is let go only when each order was sent so often.
    const fn sent(self, sent: usize) -> Self {
        Self { sent, ..self }
    }
}

const MOMENTS: [Moment; 17] = [
    Moment::of_all("after the 201, before any worker saw it", |house, ways| before_any_worker(house, ways).boxed_local()),
    Moment::of_all("while its task is being claimed", |house, ways| claiming_the_task(house, ways).boxed_local()),
    Moment::of_each("while its attempt is being committed, which succeeds", |house, ways| claiming(house, ways, true).boxed_local()),
    Moment::of_all("while its attempt is being committed, which fails", |house, ways| claiming(house, ways, false).boxed_local()),
    Moment::of_all("at Hicoin, not executed", |house, ways| at_hicoin(house, ways, Fault::HangBefore).boxed_local()),
    Moment::of_all("at Hicoin, executed, answer withheld", |house, ways| at_hicoin(house, ways, Fault::HangAfter).boxed_local()),
    Moment::of_all("at Hicoin, executed only after the gateway has sent it again", |house, ways| {
        at_hicoin(house, ways, Fault::HangLate).boxed_local()
    })
    .sent(2),
    Moment::of_each("the answer has arrived and its record succeeds", |house, ways| recording(house, ways, true).boxed_local()),
    Moment::of_all("the answer has arrived and its record fails", |house, ways| recording(house, ways, false).boxed_local()),
    Moment::of_each("while Hicoin is asked what became of it", |house, ways| polling(house, ways, Fault::HangBefore).boxed_local()),
    Moment::of_each("while Hicoin's list is on its way", |house, ways| polling(house, ways, Fault::HangAfter).boxed_local()),
    Moment::of_each("the list has arrived and its record succeeds", |house, ways| polled(house, ways, true).boxed_local()),
    Moment::of_each("the list has arrived and its record fails", |house, ways| polled(house, ways, false).boxed_local()),
    Moment::of_all("after an executed call without an answer, before the first look", |house, ways| {
        before_the_look(house, ways).boxed_local()
    }),
    Moment::of_all("after a look that found nothing", |house, ways| between_the_looks(house, ways).boxed_local()).sent(2),
    Moment::of_all("while it is sent again, not executed", |house, ways| second_call(house, ways, Fault::HangBefore).boxed_local()).sent(3),
    Moment::of_all("while it is sent again, executed", |house, ways| second_call(house, ways, Fault::HangAfter).boxed_local()).sent(2),
];

#[tokio::test(flavor = "multi_thread")]
async fn money_to_hicoin_survives_kill_9_at_every_moment_on_every_way_and_is_paid_once() {
    let cases = MOMENTS.iter().flat_map(|moment| {
        let groups: Vec<&'static [Way]> = if moment.alone { ALL.chunks(1).collect() } else { vec![ALL] };
        groups.into_iter().map(move |ways| (format!("{} {ways:?}", moment.name), play(moment, ways)))
    });
    side_by_side(cases).await;
}

async fn play(moment: &Moment, ways: &[Way]) {
    let house = House::with(Plan::at(At::Hicoin)).await;
    (moment.story)(&house, ways).await;
    let gateway = house.serve("all").await;
    for way in ways {
        let order = way.order();
        until(&format!("{order} succeeds"), async || {
            if ways.iter().all(|way| house.sandbox.calls_for(way.call(), way.order()) >= moment.sent) {
                house.sandbox.release();
            }
            house.place(order).await.filter(|place| place == "succeeded")
        })
        .await;
        let (path, wish) = way.wish(order);
        let again = house.post(path, &wish).await;
        assert_eq!((again.status, again.text("status")), (200, "succeeded"));
    }
    house.sandbox.release();
    house.sandbox.wait_for_none_held().await;
    house.at_rest().await;
    stop(gateway).await;
    for way in ways {
        let (executions, paid) = (house.sandbox.executions(way.order()), house.sandbox.paid(way.order()));
        let calls = house.sandbox.calls_for(way.call(), way.order());
        println!("{:<66} {:<14} -> succeeded, executions: {executions}, calls: {calls}", moment.name, way.call());
        assert_eq!((executions, paid), (1, 1), "{}", house.story(way.order()).await);
        assert!(calls >= moment.sent.max(1), "{calls} calls");
    }
    house.close().await;
}

async fn serve(house: &House, role: &str, warm: bool) -> Gateway {
    house.serve_perhaps_warm(role, warm, &PATIENT).await
}

fn count(ways: &[Way]) -> i64 {
    i64::try_from(ways.len()).expect("a count")
}

/// The next calls of these orders go wrong, each once.
fn strike(house: &House, ways: &[Way], operation: fn(Way) -> &'static str, fault: &Fault) {
    for way in ways {
        house.sandbox.inject(operation(*way), Some(way.order()), fault.clone(), Times::Count(1));
    }
}

async fn create(house: &House, ways: &[Way]) {
    for way in ways {
        house.pay_out(*way, way.order()).await;
    }
}

/// The attempts of these orders at a state, all together.
async fn attempts(house: &House, ways: &[Way], state: &str) -> i64 {
    let mut all = 0;
    for way in ways {
        all += house.attempts(way.order(), state).await;
    }
    all
}

fn sent(house: &House, ways: &[Way]) -> usize {
    ways.iter().map(|way| house.sandbox.calls_for(way.call(), way.order())).sum()
}

/// The orders are stored by a process that does not work, and that is gone.
async fn store(house: &House, ways: &[Way]) {
    let api = house.serve("api").await;
    create(house, ways).await;
    kill(api).await;
    for way in ways {
        assert_eq!(house.place(way.order()).await.as_deref(), Some("queued"));
    }
}

async fn before_any_worker(house: &House, ways: &[Way]) {
    store(house, ways).await;
    house.nobody_left().await;
    assert_eq!(sent(house, ways), 0);
}

/// A worker that stands still just before it finds the orders.
async fn worker_before(house: &House, ways: &[Way], warm: bool) -> Gateway {
    let worker = serve(house, "worker", warm).await;
    worker.program.pause();
    store(house, ways).await;
    worker
}

async fn claiming_the_task(house: &House, ways: &[Way]) {
    let worker = worker_before(house, ways, true).await;
    let lock = house.lock("tasks").await;
    worker.program.resume();
    house.dies_waiting(worker, lock, 1, true).await;
    assert_eq!(sent(house, ways), 0);
}

async fn claiming(house: &House, ways: &[Way], committed: bool) {
    let worker = worker_before(house, ways, committed).await;
    let lock = house.lock("attempts").await;
    worker.program.resume();
    // One statement may carry several of them, and what waits for its turn is lost with the process.
    house.dies_waiting(worker, lock, 1, committed).await;
    let open = attempts(house, ways, "open").await;
    assert!(if committed { (1..=count(ways)).contains(&open) } else { open == 0 }, "{open} attempts");
    assert_eq!(sent(house, ways), 0, "nothing is sent before its attempt is committed");
}

/// The calls of all orders hang at Hicoin.
async fn send(house: &House, ways: &[Way], fault: &Fault, warm: bool) -> Gateway {
    let worker = worker_before(house, ways, warm).await;
    strike(house, ways, Way::call, fault);
    worker.program.resume();
    house.held(ways.len()).await;
    assert_eq!(attempts(house, ways, "open").await, count(ways), "the attempts were committed before the calls left");
    worker
}

async fn at_hicoin(house: &House, ways: &[Way], fault: Fault) {
    let gateway = send(house, ways, &fault, false).await;
    kill(gateway).await;
    if fault != Fault::HangLate {
        house.sandbox.release();
    }
    house.nobody_left().await;
    for way in ways {
        assert_eq!(house.sandbox.executions(way.order()), usize::from(fault == Fault::HangAfter));
    }
}

async fn recording(house: &House, ways: &[Way], committed: bool) {
    let gateway = send(house, ways, &Fault::HangAfter, committed).await;
    let lock = house.lock("steps").await;
    house.sandbox.release();
    house.dies_waiting(gateway, lock, 1, committed).await;
    let open = attempts(house, ways, "open").await;
    assert!(if committed { (0..count(ways)).contains(&open) } else { open == count(ways) }, "{open} attempts");
}

/// All orders are carried out and nobody was told; the questions for them hang at Hicoin.
async fn ask(house: &House, ways: &[Way], fault: &Fault, warm: bool) -> Gateway {
    let worker = serve(house, "worker", warm).await;
    worker.program.pause();
    before_the_look(house, ways).await;
    all_are_due(house, ways).await;
    strike(house, ways, Way::list, fault);
    worker.program.resume();
    house.held(ways.len()).await;
    worker
}

/// A worker that wakes now finds all of these orders at once.
async fn all_are_due(house: &House, ways: &[Way]) {
    until("all tasks are due", async || (house.due().await == count(ways)).then_some(())).await;
}

async fn polling(house: &House, ways: &[Way], fault: Fault) {
    let worker = ask(house, ways, &fault, false).await;
    kill(worker).await;
    house.sandbox.release();
    house.nobody_left().await;
    for way in ways {
        assert_eq!(house.place(way.order()).await.as_deref(), Some("processing/outcome_unknown"));
    }
}

async fn polled(house: &House, ways: &[Way], committed: bool) {
    let gateway = ask(house, ways, &Fault::HangAfter, committed).await;
    let lock = house.lock("steps").await;
    house.sandbox.release();
    house.dies_waiting(gateway, lock, 1, committed).await;
    let mut heard = 0;
    for way in ways {
        heard += usize::from(house.place(way.order()).await.as_deref() != Some("processing/outcome_unknown"));
    }
    assert_eq!(heard > 0, committed, "{heard} orders have heard");
}

async fn before_the_look(house: &House, ways: &[Way]) {
    strike(house, ways, Way::call, &Fault::LoseAfter);
    let gateway = house.serve_with("all", &[("TILLGATE__TIMING__LOOKUP_SCHEDULE", "3s")]).await;
    create(house, ways).await;
    for way in ways {
        house.comes_to(way.order(), &["processing/outcome_unknown"]).await;
    }
    kill(gateway).await;
    assert_eq!((attempts(house, ways, "unknown").await, sent(house, ways)), (count(ways), ways.len()));
}

async fn between_the_looks(house: &House, ways: &[Way]) {
    strike(house, ways, Way::call, &Fault::LoseBefore);
    let gateway = house.serve_with("all", &[("TILLGATE__TIMING__RESEND_GAP", "1h"), ("TILLGATE__TIMING__LOOKUP_SCHEDULE", "1s")]).await;
    create(house, ways).await;
    until("every order was looked for in vain", async || (house.absent().await == count(ways)).then_some(())).await;
    kill(gateway).await;
    assert_eq!(sent(house, ways), ways.len(), "one look that found nothing is no permission");
}

async fn second_call(house: &House, ways: &[Way], fault: Fault) {
    between_the_looks(house, ways).await;
    all_are_due(house, ways).await;
    strike(house, ways, Way::call, &fault);
    let gateway = serve(house, "all", false).await;
    house.held(ways.len()).await;
    kill(gateway).await;
    house.sandbox.release();
    house.nobody_left().await;
    assert_eq!((attempts(house, ways, "unknown").await, attempts(house, ways, "open").await), (count(ways), count(ways)));
}
