//! SIGSTOP for longer than the lease while incoming money is read: what the process knows when it goes on is old, and
//! another one has heard of everything meanwhile, or nobody has.

use rust_decimal::Decimal;
use serde_json::json;
use tillgate::sandbox::{Fault, Times};

use crate::hicoin::{BOB_UID, FROM_BOB};
use crate::house::{At, Gateway, House, Plan};
use crate::moments::{kill, side_by_side, stop};
use crate::program::until;

/// The process that is paused has time to come to its moment, and one reader alone reads.
const PATIENT: [(&str, &str); 3] =
    [("TILLGATE__TIMING__LEASE", "3s"), ("TILLGATE__TIMING__PROVIDER_TIMEOUT", "2500ms"), ("TILLGATE__TIMING__POLL_SCHEDULE", "200ms,1h")];

/// Where the process stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// Hicoin's page is on its way.
    Asking,
    /// The page has arrived, and the statement that stores it is lost.
    Storing,
    /// The page is stored, and the process does not know that yet.
    Stored,
    /// The process has asked what nobody has heard of, and does not know the answer yet.
    ReadingNews,
    /// The process knows that, has asked for the orders, and does not know the answer yet.
    ReadingOrders,
    /// Orders are about to hear of it, and the statement is lost.
    Hearing,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stood_still_for_longer_than_its_lease_credits_nothing_twice() {
    let moments = [Moment::Asking, Moment::Storing, Moment::Stored, Moment::ReadingNews, Moment::ReadingOrders, Moment::Hearing];
    let cases = moments.into_iter().flat_map(|moment| [true, false].map(|another| (moment, another)));
    side_by_side(cases.map(|(moment, another)| (format!("{moment:?}, another: {another}"), play(moment, another)))).await;
}

async fn play(moment: Moment, another: bool) {
    let house = House::with(Plan::at(At::Hicoin)).await;
    let first = reader(&house, moment).await;
    let api = house.serve("api").await;
    house.ask_both().await;
    let numbers = match moment {
        // What is stored already needs no question: the statement in question is the first that needs its table.
        Moment::ReadingNews | Moment::ReadingOrders => {
            house.sandbox.inject("syncDepositList", None, Fault::HangAfter, Times::Count(1));
            let numbers = house.everybody_pays();
            store_and_die(&house, &numbers, "pending").await;
            stop_at(&house, &first, if moment == Moment::ReadingNews { "receipts" } else { "orders" }).await;
            numbers
        }
        _ => {
            house.sandbox.inject("syncDepositList", None, Fault::HangAfter, Times::Count(1));
            let numbers = house.everybody_pays();
            first.program.resume();
            house.held(1).await;
            match moment {
                Moment::Storing => answer_until(&house, &first, "feed_follows", false).await,
                Moment::Stored => answer_until(&house, &first, "feed_follows", true).await,
                Moment::Hearing => answer_until(&house, &first, "steps", false).await,
                Moment::Asking | Moment::ReadingNews | Moment::ReadingOrders => first.program.pause(),
            }
            numbers
        }
    };

    let second = if another { Some(house.serve("worker").await) } else { None };
    house.leases_are_over().await;
    if another {
        house.everything_is_credited(&numbers).await;
    }
    house.sandbox.release();
    first.program.resume();
    house.works_again(&first).await;
    if another {
        // It finishes what it believes to know, and then nothing may have changed.
        stop(first).await;
        house.everything_is_credited(&numbers).await;
    } else {
        house.everything_is_credited(&numbers).await;
        stop(first).await;
    }
    house.at_rest().await;
    for gateway in second.into_iter().chain([api]) {
        stop(gateway).await;
    }
    println!("{:<8} another: {another:<5} -> each credited once", format!("{moment:?}"));
    house.close().await;
}

/// A worker that stands still, with all its statements prepared.
async fn reader(house: &House, moment: Moment) -> Gateway {
    let warm = matches!(moment, Moment::Stored | Moment::ReadingNews | Moment::ReadingOrders);
    let first = house.serve_perhaps_warm("worker", warm, &PATIENT).await;
    if warm {
        let api = house.serve("api").await;
        house.warm_up_by_a_deposit().await;
        stop(api).await;
    }
    first.program.pause();
    first
}

/// A process stores what the page that hangs next will say, and is gone.
async fn store_and_die(house: &House, numbers: &[u64], progress: &str) {
    let gone = house.serve_with("worker", &PATIENT).await;
    house.held(1).await;
    let mut lock = house.lock("orders").await;
    house.sandbox.release();
    lock.blocks(1).await;
    kill(gone).await;
    lock.release().await;
    let all = i64::try_from(numbers.len()).expect("a count");
    until("the page is stored", async || (house.receipts(numbers, progress).await == (all, all)).then_some(())).await;
}

/// The process goes on until it needs the table; what it asked is carried out.
async fn stop_at(house: &House, process: &Gateway, table: &'static str) {
    let lock = house.lock(table).await;
    process.program.resume();
    house.stands_still_at(process, lock, true).await;
}

/// Hicoin answers, and the process goes on until it needs the table.
async fn answer_until(house: &House, process: &Gateway, table: &'static str, carried_out: bool) {
    let lock = house.lock(table).await;
    house.sandbox.release();
    house.stands_still_at(process, lock, carried_out).await;
}

/// What was nobody's is given to a deposit by a person while a worker, which knows nothing of that, gives the same deposit
/// what has just come in.
#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_that_is_given_by_hand_while_others_are_heard_still_counts() {
    let cases = ["receipts", "orders"].map(|table| (format!("what the reader knows of {table} is old"), give_by_hand(table)));
    side_by_side(cases).await;
}

async fn give_by_hand(table: &'static str) {
    let house = House::with(Plan::at(At::Hicoin)).await;
    let first = reader(&house, Moment::ReadingNews).await;
    let early = house.pay_in(BOB_UID, "ETH", Decimal::ONE);
    house.confirm(&[early]);
    let api = house.serve("api").await;
    let other = house.serve("worker").await;
    house.heard(&[early], "confirmed").await;
    stop(other).await;
    house.ask_for(FROM_BOB, "bob", Decimal::TWO).await;

    // The other half comes in, and is stored.
    house.sandbox.inject("syncDepositList", None, Fault::HangAfter, Times::Count(1));
    let late = house.pay_in(BOB_UID, "ETH", Decimal::ONE);
    house.confirm(&[late]);
    store_and_die(&house, &[late], "confirmed").await;
    stop_at(&house, &first, table).await;

    let (number, unmatched) = (early.to_string(), house.get("/v1/receipts?unmatched=true").await);
    let id =
        unmatched.body["data"].as_array().into_iter().flatten().find(|one| one["provider_receipt_id"].as_str() == Some(number.as_str()));
    let id = id.and_then(|one| one["id"].as_str()).expect("a receipt that is nobody's");
    let given = house.post(&format!("/v1/receipts/{id}/assign"), &json!({ "trade_id": FROM_BOB, "reason": "a test" })).await;
    assert_eq!(given.status, 200, "{given:?}");
    first.program.resume();
    until("both halves are the deposit's", async || (house.receipts(&[early, late], "confirmed").await == (2, 0)).then_some(())).await;
    house.comes_to(FROM_BOB, &["succeeded"]).await;
    for gateway in [first, api] {
        stop(gateway).await;
    }
    house.close().await;
}
