//! The main jobs at Hicoin: deposits found by polling, payouts and transfers through their stages.

mod bad_ends;
mod creation;
mod lags;
mod liar;
mod lists_that_lie;
mod matrix;
mod notices;
mod polling;
pub mod ways;

use std::time::Duration;

use rust_decimal::Decimal;
use serde_json::{Value, json};
use tillgate::sandbox::{HicoinStage, HicoinTo, Options};

use crate::harness::{Answer, TestApp};

const ADDRESS: &str = "0x754b0c610e311d0d00c810ef857b4dd989a67162";

async fn start(account: &Value) -> TestApp {
    TestApp::start_hicoin(Options::default(), &[], account).await
}

fn eth(text: &str) -> Decimal {
    text.parse().expect("a decimal")
}

async fn deposit(app: &TestApp, trade_id: &str, amount: &str) -> Answer {
    let wish = json!({ "trade_id": trade_id, "provider": "hicoin", "coin": "ETH", "amount": amount, "customer": "ada" });
    let made = app.post("/v1/deposits", &wish).await;
    assert_eq!(made.status, 201, "{}", made.body);
    made
}

/// Ada sends coins to her address. Gives Hicoin's number of it.
fn send(app: &TestApp, amount: &str) -> u64 {
    app.sandbox.hicoin_deposit(None, &HicoinTo::Uid(10001), "ETH", eth(amount)).expect("a deposit")
}

/// A round of the feed.
async fn round(app: &TestApp) {
    app.advance(Duration::from_secs(10));
    app.settle_down().await;
}

async fn amounts(app: &TestApp, trade_id: &str) -> (String, String, String) {
    let order = app.get(&format!("/v1/deposits/{trade_id}")).await;
    (order.text("amount_received").to_owned(), order.text("amount_confirmed").to_owned(), order.text("amount_state").to_owned())
}

fn of(received: &str, confirmed: &str, state: &str) -> (String, String, String) {
    (received.to_owned(), confirmed.to_owned(), state.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_shows_its_address_is_seen_confirms_and_succeeds() {
    let app = start(&json!({})).await;
    let made = deposit(&app, "d-1", "2").await;
    assert_eq!(made.text("status"), "awaiting_payment");
    let action = &made.body["next_action"];
    assert_eq!(
        (action["type"].as_str(), action["coin"].as_str(), action["amount"].as_str()),
        (Some("send_to_address"), Some("ETH"), Some("2"))
    );
    assert!(action["address"].as_str().is_some_and(|address| address.len() > 20), "{action}");
    let number = send(&app, "2");
    round(&app).await;
    assert_eq!(app.place("deposits", "d-1").await, "processing/confirming");
    assert_eq!(amounts(&app, "d-1").await, of("2", "0", "exact"));
    app.sandbox.hicoin_finish(None, number).expect("a deposit");
    round(&app).await;
    assert_eq!(app.place("deposits", "d-1").await, "succeeded");
    assert_eq!(amounts(&app, "d-1").await, of("2", "2", "exact"));
    let receipts = app.get("/v1/receipts").await;
    assert_eq!(receipts.body["data"][0]["trade_id"], "d-1");
    assert_eq!(receipts.body["data"][0]["status"], "confirmed");
    let again = deposit(&app, "d-2", "1").await;
    assert_eq!(again.body["next_action"]["address"], *action.get("address").expect("an address"));
    assert_eq!(app.sandbox.calls("getDepositAddress"), 1, "an address is remembered");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_little_is_topped_up_and_the_rest_is_asked_for() {
    let app = start(&json!({})).await;
    deposit(&app, "d-1", "2").await;
    let first = send(&app, "0.5");
    app.sandbox.hicoin_finish(None, first).expect("a deposit");
    round(&app).await;
    assert_eq!(app.place("deposits", "d-1").await, "processing/partially_paid");
    let order = app.get("/v1/deposits/d-1").await;
    assert_eq!((order.text("amount_state"), order.body["next_action"]["amount"].as_str()), ("under", Some("1.5")));
    let second = send(&app, "1.5");
    app.sandbox.hicoin_finish(None, second).expect("a deposit");
    round(&app).await;
    assert_eq!(app.place("deposits", "d-1").await, "succeeded");
    assert_eq!(amounts(&app, "d-1").await, of("2", "2", "exact"));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_goes_through_its_stages() {
    let app = start(&json!({})).await;
    let wish = json!({ "trade_id": "p-1", "provider": "hicoin", "coin": "ETH", "amount": "1",
        "destination": { "type": "address", "address": ADDRESS, "on_chain_only": true } });
    let made = app.post("/v1/payouts", &wish).await;
    assert_eq!((made.status, made.text("status")), (201, "queued"), "{}", made.body);
    app.settle_down().await;
    assert_eq!(app.place("payouts", "p-1").await, "processing/accepted");
    for (stage, place) in
        [(HicoinStage::Approved, "processing/accepted"), (HicoinStage::Paying, "processing/broadcast"), (HicoinStage::Done, "succeeded")]
    {
        app.sandbox.hicoin_withdrawal(None, "p-1", stage, Some(3)).expect("a withdrawal");
        app.live(Duration::from_mins(2), Duration::from_secs(30), false).await;
        assert_eq!(app.place("payouts", "p-1").await, place);
    }
    let paid = app.get("/v1/payouts/p-1").await;
    assert_eq!((paid.text("fee"), paid.text("amount_received")), ("0.005", "0.995"), "{}", paid.body);
    assert!(!paid.text("txid").is_empty());
    assert_eq!((app.sandbox.executions("p-1"), app.sandbox.paid("p-1")), (1, 1));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_to_a_user_and_a_transfer_are_done_at_once() {
    let app = start(&json!({})).await;
    let wish = json!({ "trade_id": "p-1", "provider": "hicoin", "coin": "ETH", "amount": "3", "destination": { "type": "hicoin_user", "uid": "10001" } });
    assert_eq!(app.post("/v1/payouts", &wish).await.status, 201);
    app.settle_down().await;
    assert_eq!(app.place("payouts", "p-1").await, "succeeded");
    let wish =
        json!({ "trade_id": "t-1", "provider": "hicoin", "coin": "ETH", "amount": "1", "from_customer": "ada", "to_customer": "bob" });
    let made = app.post("/v1/transfers", &wish).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.body["destination"], json!({ "type": "customer", "customer": "bob" }));
    app.settle_down().await;
    assert_eq!(app.place("transfers", "t-1").await, "succeeded");
    let balance = |uid| app.sandbox.hicoin_balance(None, uid, "ETH").expect("a balance").normal;
    assert_eq!((balance(10001), balance(10002)), (eth("2"), eth("1")));
    app.finish().await;
}
