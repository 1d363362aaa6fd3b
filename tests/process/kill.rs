//! `kill -9` at every moment of an order. Whatever was under way, the next start brings the order to the same end, and
//! FOMO's books show it once (law 12).

use futures_util::future::{FutureExt, LocalBoxFuture};
use tillgate::sandbox::{Fault, Times};

use crate::house::{Gateway, House};
use crate::moments::{kill, side_by_side, stop};
use crate::program::until;
use crate::talk::{call, deposit_wish, payout_wish};

/// The process that is killed has time to come to its moment.
const PATIENT: [(&str, &str); 2] = [("TILLGATE__TIMING__LEASE", "5s"), ("TILLGATE__TIMING__PROVIDER_TIMEOUT", "4s")];

const PAYOUT: &str = "the-payout";
const DEPOSIT: &str = "the-deposit";

/// What happens until the process is dead and everything that it had asked for has come to rest.
type Story = for<'a> fn(&'a House) -> LocalBoxFuture<'a, ()>;

struct Moment {
    name: &'static str,
    story: Story,
    /// How often FOMO is asked before it calls back, and lets go what hangs: so that the gateway finds out by itself.
    asked: usize,
}

impl Moment {
    const fn new(name: &'static str, story: Story) -> Self {
        Self { name, story, asked: 0 }
    }

    /// FOMO is silent until it was asked so often.
    const fn asked(self, asked: usize) -> Self {
        Self { asked, ..self }
    }
}

const OF_A_PAYOUT: [Moment; 14] = [
    Moment::new("after the 201, before any worker saw it", |house| before_any_worker(house).boxed_local()),
    Moment::new("while its task is being claimed", |house| claiming_the_task(house).boxed_local()),
    Moment::new("while its attempt is being committed, which succeeds", |house| claiming(house, true).boxed_local()),
    Moment::new("while its attempt is being committed, which fails", |house| claiming(house, false).boxed_local()),
    Moment::new("at FOMO, not executed", |house| at_fomo(house, Fault::HangBefore, true).boxed_local()),
    Moment::new("at FOMO, executed, answer withheld", |house| at_fomo(house, Fault::HangAfter, true).boxed_local()),
    Moment::new("the same, and the callback comes after the gateway has asked again", |house| {
        at_fomo(house, Fault::HangAfter, true).boxed_local()
    })
    .asked(2),
    Moment::new("at FOMO, executed only after the gateway has asked again", |house| at_fomo(house, Fault::HangLate, false).boxed_local())
        .asked(2),
    Moment::new("the answer has arrived and its record succeeds", |house| recording(house, true).boxed_local()),
    Moment::new("the answer has arrived and its record fails", |house| recording(house, false).boxed_local()),
    Moment::new("the callback is being stored, which succeeds", |house| hearing(house, true).boxed_local()),
    Moment::new("the callback is being stored, which fails", |house| hearing(house, false).boxed_local()),
    Moment::new("after a lost answer, before it is sent again", |house| before_the_second_call(house).boxed_local()),
    Moment::new("while it is sent again", |house| second_call(house).boxed_local()).asked(3),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_survives_kill_9_at_every_moment_and_is_paid_once() {
    let all = OF_A_PAYOUT.iter().map(|moment| {
        (moment.name.to_owned(), async {
            let house = House::open().await;
            (moment.story)(&house).await;
            let gateway = house.serve("all").await;
            let place = until("the payout succeeds", async || {
                if house.sandbox.calls_for("pay_user", PAYOUT) >= moment.asked {
                    house.sandbox.release();
                    house.sandbox.deliver_callbacks().await;
                }
                house.place(PAYOUT).await.filter(|place| place == "succeeded")
            })
            .await;
            let again = house.post("/v1/payouts", &payout_wish(PAYOUT)).await;
            assert_eq!((again.status, again.text("status")), (200, "succeeded"));
            finish(moment.name, &place, house, gateway, PAYOUT).await;
        })
    });
    side_by_side(all).await;
}

const OF_A_DEPOSIT: [Moment; 12] = [
    Moment::new("while the order is being written, which succeeds", |house| creating(house, true).boxed_local()),
    Moment::new("while the order is being written, which fails", |house| creating(house, false).boxed_local()),
    Moment::new("at FOMO, not announced", |house| announcing(house, Fault::HangBefore).boxed_local()),
    Moment::new("at FOMO, announced, answer withheld", |house| announcing(house, Fault::HangAfter).boxed_local()),
    Moment::new("FOMO's answer has arrived and its record succeeds", |house| offering(house, true).boxed_local()),
    Moment::new("FOMO's answer has arrived and its record fails", |house| offering(house, false).boxed_local()),
    Moment::new("the callback is being stored, which succeeds", |house| claimed(house, true).boxed_local()),
    Moment::new("the callback is being stored, which fails", |house| claimed(house, false).boxed_local()),
    Moment::new("between the callback and the look", |house| before_the_look(house).boxed_local()),
    Moment::new("while FOMO is asked for the proof", |house| looking(house).boxed_local()),
    Moment::new("the proof has arrived and its record succeeds", |house| proving(house, true).boxed_local()),
    Moment::new("the proof has arrived and its record fails", |house| proving(house, false).boxed_local()),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_survives_kill_9_at_every_moment_and_is_counted_once() {
    let all = OF_A_DEPOSIT.iter().map(|moment| {
        (moment.name.to_owned(), async {
            let house = House::open().await;
            (moment.story)(&house).await;
            let gateway = house.serve("all").await;
            let again = house.post("/v1/deposits", &deposit_wish(DEPOSIT)).await;
            assert!(matches!(again.status, 200 | 201), "{again:?}");
            assert_eq!(again.headers.contains_key("idempotent-replayed"), again.status == 200);
            let place = until("the deposit succeeds", async || {
                if house.sandbox.executions(DEPOSIT) == 0 {
                    // Ada confirms as soon as FOMO knows of the payment.
                    house.sandbox.confirm_pay(DEPOSIT, None).await;
                }
                house.sandbox.deliver_callbacks().await;
                house.place(DEPOSIT).await.filter(|place| place == "succeeded")
            })
            .await;
            let order = house.get(&format!("/v1/deposits/{DEPOSIT}")).await;
            assert_eq!(order.text("id"), again.text("id"), "the same trade_id is the same order");
            assert_eq!((order.text("amount_received"), order.text("amount_confirmed")), ("12.5", "12.5"));
            finish(moment.name, &place, house, gateway, DEPOSIT).await;
        })
    });
    side_by_side(all).await;
}

async fn finish(name: &str, place: &str, house: House, gateway: Gateway, trade_id: &str) {
    house.at_rest().await;
    stop(gateway).await;
    house.sandbox.deliver_callbacks().await;
    assert_eq!(house.sandbox.executions(trade_id), 1);
    println!("{name:<72} -> {place}, executions: {}", house.sandbox.executions(trade_id));
    house.close().await;
}

async fn serve(house: &House, role: &str, warm: bool) -> Gateway {
    house.serve_perhaps_warm(role, warm, &PATIENT).await
}

/// The order is stored by a process that does not work, and that is gone.
async fn store_payout(house: &House) {
    let api = house.serve("api").await;
    house.payout(PAYOUT).await;
    kill(api).await;
    assert_eq!(house.place(PAYOUT).await.as_deref(), Some("queued"));
}

async fn before_any_worker(house: &House) {
    store_payout(house).await;
    house.nobody_left().await;
    assert_eq!(house.sandbox.calls("pay_user"), 0);
}

/// A worker that stands still just before it finds the payout.
async fn worker_before_the_payout(house: &House, warm: bool) -> Gateway {
    let worker = serve(house, "worker", warm).await;
    worker.program.pause();
    store_payout(house).await;
    worker
}

async fn claiming_the_task(house: &House) {
    let worker = worker_before_the_payout(house, true).await;
    let lock = house.lock("tasks").await;
    worker.program.resume();
    house.dies_waiting(worker, lock, 1, true).await;
    assert_eq!(house.sandbox.calls_for("pay_user", PAYOUT), 0);
}

async fn claiming(house: &House, committed: bool) {
    let worker = worker_before_the_payout(house, committed).await;
    let lock = house.lock("attempts").await;
    worker.program.resume();
    house.dies_waiting(worker, lock, 1, committed).await;
    assert_eq!(house.attempts(PAYOUT, "open").await, i64::from(committed));
    assert_eq!(house.sandbox.calls_for("pay_user", PAYOUT), 0, "nothing is sent before its attempt is committed");
}

async fn at_fomo(house: &House, fault: Fault, let_go: bool) {
    house.sandbox.inject("pay_user", Some(PAYOUT), fault.clone(), Times::Count(1));
    let gateway = serve(house, "all", false).await;
    house.payout(PAYOUT).await;
    house.held(1).await;
    assert_eq!(house.attempts(PAYOUT, "open").await, 1, "the attempt was committed before the call left");
    kill(gateway).await;
    if let_go {
        house.sandbox.release();
    }
    house.nobody_left().await;
    assert_eq!(house.sandbox.executions(PAYOUT), usize::from(fault == Fault::HangAfter));
}

async fn recording(house: &House, committed: bool) {
    house.sandbox.inject("pay_user", Some(PAYOUT), Fault::HangAfter, Times::Count(1));
    let gateway = serve(house, "all", committed).await;
    house.payout(PAYOUT).await;
    house.held(1).await;
    let lock = house.lock("steps").await;
    house.sandbox.release();
    house.dies_waiting(gateway, lock, 1, committed).await;
    assert_eq!(house.attempts(PAYOUT, "open").await, i64::from(!committed));
}

async fn hearing(house: &House, committed: bool) {
    house.sandbox.inject("pay_user", Some(PAYOUT), Fault::HangAfter, Times::Count(1));
    let gateway = serve(house, "all", committed).await;
    house.payout(PAYOUT).await;
    house.held(1).await;
    die_while_storing_the_callback(house, gateway, committed).await;
    assert_eq!(house.place(PAYOUT).await.as_deref() == Some("succeeded"), committed);
}

/// FOMO gets no 200 for its callback, whether it was stored or not.
async fn die_while_storing_the_callback(house: &House, gateway: Gateway, committed: bool) {
    let lock = house.lock("reports").await;
    let sandbox = house.sandbox.clone();
    let callback = tokio::spawn(async move { sandbox.deliver_callbacks().await });
    house.dies_waiting(gateway, lock, 1, committed).await;
    house.sandbox.release();
    let delivered = callback.await.expect("a callback");
    assert!(delivered.iter().all(|one| one.status_code != 200), "a 200 before the commit: {delivered:?}");
    assert_eq!(house.sandbox.pending_callbacks().len(), 1);
}

async fn before_the_second_call(house: &House) {
    house.sandbox.inject("pay_user", Some(PAYOUT), Fault::LoseAfter, Times::Count(1));
    let gateway = house.serve_with("all", &[("TILLGATE__TIMING__LOOKUP_SCHEDULE", "3s")]).await;
    house.payout(PAYOUT).await;
    house.comes_to(PAYOUT, &["processing/outcome_unknown"]).await;
    kill(gateway).await;
    house.nobody_left().await;
    assert_eq!((house.sandbox.calls("pay_user"), house.attempts(PAYOUT, "unknown").await), (1, 1));
}

async fn second_call(house: &House) {
    house.sandbox.inject("pay_user", Some(PAYOUT), Fault::LoseBefore, Times::Count(1));
    house.sandbox.inject("pay_user", Some(PAYOUT), Fault::HangAfter, Times::Count(1));
    let gateway = serve(house, "all", false).await;
    house.payout(PAYOUT).await;
    house.held(1).await;
    kill(gateway).await;
    house.sandbox.release();
    house.nobody_left().await;
    assert_eq!((house.attempts(PAYOUT, "unknown").await, house.attempts(PAYOUT, "open").await), (1, 1));
}

/// The merchant's backend asks for a deposit, and never hears of it again.
fn ask_in_vain(house: &House) -> tokio::task::JoinHandle<()> {
    let (http, api, key) = (house.http.clone(), house.api(), house.key.clone());
    tokio::spawn(async move {
        let answer = call(&http, &api, &key, "POST", "/v1/deposits", Some(&deposit_wish(DEPOSIT))).await;
        assert!(answer.is_err(), "it was answered: {answer:?}");
    })
}

async fn creating(house: &House, committed: bool) {
    let gateway = serve(house, "all", committed).await;
    house.link_ada().await;
    let lock = house.lock("orders").await;
    let asked = ask_in_vain(house);
    house.dies_waiting(gateway, lock, 1, committed).await;
    asked.await.expect("no answer");
    assert_eq!(house.place(DEPOSIT).await.as_deref(), committed.then_some("created"));
    assert_eq!(house.sandbox.calls_for("pre_pay", DEPOSIT), 0, "nothing is sent before its attempt is committed");
}

async fn announcing(house: &House, fault: Fault) {
    house.sandbox.inject("pre_pay", Some(DEPOSIT), fault, Times::Count(1));
    let gateway = serve(house, "all", false).await;
    house.link_ada().await;
    let asked = ask_in_vain(house);
    house.held(1).await;
    assert_eq!(house.attempts(DEPOSIT, "open").await, 1, "the attempt was committed before the call left");
    kill(gateway).await;
    house.sandbox.release();
    house.nobody_left().await;
    asked.await.expect("no answer");
    assert_eq!(house.place(DEPOSIT).await.as_deref(), Some("created"));
}

async fn offering(house: &House, committed: bool) {
    house.sandbox.inject("pre_pay", Some(DEPOSIT), Fault::HangAfter, Times::Count(1));
    let gateway = serve(house, "all", committed).await;
    house.link_ada().await;
    let asked = ask_in_vain(house);
    house.held(1).await;
    let lock = house.lock("steps").await;
    house.sandbox.release();
    house.dies_waiting(gateway, lock, 1, committed).await;
    asked.await.expect("no answer");
    assert_eq!(house.attempts(DEPOSIT, "open").await, i64::from(!committed));
}

/// Ada's payment is announced, and she has confirmed it; FOMO has not called back yet.
async fn confirmed(house: &House) {
    house.link_ada().await;
    let created = house.post("/v1/deposits", &deposit_wish(DEPOSIT)).await;
    assert_eq!((created.status, created.text("status")), (201, "awaiting_payment"), "{created:?}");
    assert_eq!(house.sandbox.confirm_pay(DEPOSIT, None).await, Some(1));
}

async fn claimed(house: &House, committed: bool) {
    let gateway = serve(house, "api", committed).await;
    confirmed(house).await;
    die_while_storing_the_callback(house, gateway, committed).await;
    let place = if committed { "processing/verifying" } else { "awaiting_payment" };
    assert_eq!(house.place(DEPOSIT).await.as_deref(), Some(place));
}

async fn before_the_look(house: &House) {
    let gateway = serve(house, "api", false).await;
    confirmed(house).await;
    let delivered = house.sandbox.deliver_callbacks().await;
    assert_eq!(delivered.iter().map(|one| one.status_code).collect::<Vec<_>>(), [200]);
    kill(gateway).await;
    house.nobody_left().await;
    assert_eq!(house.place(DEPOSIT).await.as_deref(), Some("processing/verifying"));
    assert_eq!(house.sandbox.calls("get_transfer_detail"), 0);
}

/// The gateway's question for the proof hangs at FOMO.
async fn ask_for_the_proof(house: &House, fault: Fault, warm: bool) -> Gateway {
    let gateway = serve(house, "all", warm).await;
    confirmed(house).await;
    house.sandbox.inject("get_transfer_detail", None, fault, Times::Count(1));
    house.sandbox.deliver_callbacks().await;
    house.held(1).await;
    gateway
}

async fn looking(house: &House) {
    let gateway = ask_for_the_proof(house, Fault::HangBefore, false).await;
    kill(gateway).await;
    house.sandbox.release();
    house.nobody_left().await;
    assert_eq!(house.place(DEPOSIT).await.as_deref(), Some("processing/verifying"));
}

async fn proving(house: &House, committed: bool) {
    let gateway = ask_for_the_proof(house, Fault::HangAfter, committed).await;
    let lock = house.lock("receipts").await;
    house.sandbox.release();
    house.dies_waiting(gateway, lock, 1, committed).await;
    assert_eq!(house.place(DEPOSIT).await.as_deref(), Some(if committed { "succeeded" } else { "processing/verifying" }));
}
