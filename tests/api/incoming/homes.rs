//! Which order gets what, and what is nobody's.

use std::time::Duration;

use serde_json::json;
use tillgate::sandbox::{Fault, HicoinTo, Times};

use super::{ADA, Payer, abnormal, deadline, events, expect, finish, much, round, set_policy, start, unmatched};

#[tokio::test(flavor = "multi_thread")]
async fn money_finds_the_order_that_it_fits_and_the_rest_goes_to_the_oldest() {
    let app = start(&json!({})).await;
    let ada = Payer::new(&app, "ada").await;
    for (trade_id, amount) in [("old", "5"), ("middle", "3"), ("young", "2")] {
        ada.ask(trade_id, amount).await;
        app.advance(Duration::from_secs(1));
    }
    // All on one page: each is sorted in where the earlier ones have left room.
    let numbers = ["2", "1", "4", "3"].map(|amount| ada.send(amount));
    round(&app).await;
    expect(&app, &[("young", "processing/confirming 2/0 exact"), ("old", "processing/confirming 5/0 exact")]).await;
    expect(&app, &[("middle", "processing/confirming 3/0 exact")]).await;
    // Everybody has enough: what comes on top goes to the oldest that is not settled.
    let more = ada.send("1");
    round(&app).await;
    expect(&app, &[("old", "processing/confirming 6/0 over")]).await;
    for number in numbers {
        finish(&app, number);
    }
    round(&app).await;
    expect(&app, &[("young", "succeeded 2/2 exact"), ("old", "succeeded 6/5 over"), ("middle", "succeeded 3/3 exact")]).await;
    finish(&app, more);
    round(&app).await;
    expect(&app, &[("old", "succeeded 6/6 over")]).await;
    let too_much = ada.pay("1");
    round(&app).await;
    assert_eq!(unmatched(&app).await, [format!("{too_much} confirmed")]);
    app.everything_is_found().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_receipts_of_one_order_are_one_step_a_page() {
    let app = start(&json!({})).await;
    let ada = Payer::new(&app, "ada").await;
    ada.ask("d-1", "2").await;
    for _ in 0..10 {
        ada.pay("0.1");
    }
    round(&app).await;
    expect(&app, &[("d-1", "processing/partially_paid 1/1 under")]).await;
    let pending: Vec<u64> = (0..10).map(|_| ada.send("0.1")).collect();
    round(&app).await;
    expect(&app, &[("d-1", "processing/confirming 2/1 exact")]).await;
    for number in pending {
        finish(&app, number);
    }
    round(&app).await;
    expect(&app, &[("d-1", "succeeded 2/2 exact")]).await;
    assert_eq!(events(&app, "d-1").await.len(), 5);
    app.everything_is_found().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_without_an_order_or_of_somebody_unknown_is_nobodys_and_the_merchant_is_told() {
    let app = start(&json!({})).await;
    let ada = Payer::new(&app, "ada").await;
    let early = ada.send("2");
    let stranger = app.sandbox.hicoin_deposit(None, &HicoinTo::Uid(77), "ETH", much("3")).expect("a deposit");
    let other_coin = app.sandbox.hicoin_deposit(None, &HicoinTo::Uid(ADA), "BTC", much("2")).expect("a deposit");
    finish(&app, stranger);
    round(&app).await;
    ada.ask("d-1", "2").await;
    finish(&app, early);
    finish(&app, other_coin);
    round(&app).await;
    round(&app).await;
    expect(&app, &[("d-1", "awaiting_payment 0/0 none")]).await;
    assert_eq!(unmatched(&app).await, [format!("{early} confirmed"), format!("{stranger} confirmed"), format!("{other_coin} confirmed")]);
    let list = app.get("/v1/receipts").await.body;
    assert_eq!((&list["data"][1]["customer"], &list["data"][2]["customer"]), (&json!(null), &json!("ada")));
    let told: Vec<(String, String)> = sqlx::query_as(
        "SELECT body->'data'->>'provider_receipt_id', body->'data'->>'status' FROM events WHERE event_type = 'receipt.unmatched' ORDER BY created_at, 1, 2",
    )
    .fetch_all(&mut app.database().await)
    .await
    .expect("events");
    let told: Vec<String> = told.into_iter().map(|(number, status)| format!("{number} {status}")).collect();
    assert_eq!(told, ["1 pending", "2 confirmed", "3 pending", "1 confirmed", "3 confirmed"]);
    app.everything_is_found().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_expires_before_the_feed_was_read_past_the_deadline() {
    let app = start(&json!({})).await;
    let [paid, unpaid] = [Payer::new(&app, "paid").await, Payer::new(&app, "unpaid").await];
    paid.ask("paid", "2").await;
    unpaid.ask("unpaid", "2").await;
    round(&app).await;
    paid.pay("2");
    app.sandbox.inject("syncDepositList", None, Fault::Error500Before, Times::Forever);
    app.advance(Duration::from_mins(20));
    app.settle_down().await;
    app.live(Duration::from_mins(5), Duration::from_secs(30), false).await;
    expect(&app, &[("paid", "awaiting_payment 0/0 none"), ("unpaid", "awaiting_payment 0/0 none")]).await;
    app.sandbox.clear_faults();
    app.live(Duration::from_mins(15), Duration::from_mins(1), false).await;
    expect(&app, &[("paid", "succeeded 2/2 exact"), ("unpaid", "expired 0/0 none")]).await;
    // Nor does the time for late money end unread.
    app.sandbox.inject("syncDepositList", None, Fault::Error500Before, Times::Forever);
    unpaid.pay("2");
    app.advance(Duration::from_hours(25));
    for _ in 0..3 {
        round(&app).await;
    }
    expect(&app, &[("unpaid", "expired 0/0 none")]).await;
    assert_eq!(app.get("/v1/deposits/unpaid").await.body["is_final"], false);
    app.sandbox.clear_faults();
    app.live(Duration::from_mins(5), Duration::from_mins(1), false).await;
    expect(&app, &[("unpaid", "succeeded 2/2 exact late")]).await;
    app.everything_is_found().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_for_single_numbers_in_vain_keeps_no_new_money_waiting_and_lets_nothing_expire() {
    let app = start(&json!({})).await;
    let ada = Payer::new(&app, "ada").await;
    let bob = Payer::new(&app, "bob").await;
    ada.ask("d-1", "2").await;
    bob.ask("d-2", "1").await;
    ada.hide("1");
    ada.send("1");
    round(&app).await;
    app.sandbox.inject("depositList", None, Fault::Error500Before, Times::Forever);
    ada.pay("1");
    deadline(&app).await;
    expect(&app, &[("d-1", "processing/confirming 2/1 exact"), ("d-2", "awaiting_payment 0/0 none")]).await;
    app.sandbox.clear_faults();
    app.live(Duration::from_mins(5), Duration::from_secs(30), false).await;
    expect(&app, &[("d-2", "expired 0/0 none")]).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_nobody_asked_for_makes_its_own_order_where_the_account_wants_that() {
    let app = start(&json!({ "top_ups": true })).await;
    let ada = Payer::new(&app, "ada").await;
    assert_eq!(ada.ask("hicoin-3", "7").await.status, 201);
    assert_eq!(app.post("/v1/deposits/hicoin-3/cancel", &json!({})).await.status, 200);
    set_policy(&app, &json!({ "top_ups": true, "late": "review" })).await;
    app.advance(Duration::from_hours(24));
    for _ in 0..3 {
        round(&app).await;
    }
    let pending = ada.send("2");
    let confirmed = ada.pay("3");
    let taken = ada.pay("4");
    let strange = ada.send("5");
    abnormal(&app, strange);
    let stranger = app.sandbox.hicoin_deposit(None, &HicoinTo::Uid(77), "ETH", much("6")).expect("a deposit");
    assert_eq!((pending, confirmed, taken), (1, 2, 3));
    round(&app).await;
    // Each makes its own, though the first is not settled yet; the merchant has used the name of the third.
    expect(
        &app,
        &[("hicoin-1", "processing/confirming 2/0 exact"), ("hicoin-2", "succeeded 3/3 exact"), ("hicoin-3", "canceled 0/0 none")],
    )
    .await;
    finish(&app, pending);
    finish(&app, stranger);
    round(&app).await;
    expect(&app, &[("hicoin-1", "succeeded 2/2 exact")]).await;
    let fresh = ada.pay("8");
    round(&app).await;
    expect(&app, &[(&format!("hicoin-{fresh}"), "succeeded 8/8 exact")]).await;
    assert_eq!(unmatched(&app).await, [format!("{taken} confirmed"), format!("{strange} abnormal"), format!("{stranger} confirmed")]);
    app.everything_is_found().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_came_long_before_an_order_does_not_pay_it() {
    let app = start(&json!({})).await;
    let ada = Payer::new(&app, "ada").await;
    let (old, recent) = (ada.hide("2"), ada.hide("3"));
    app.sandbox.hicoin_finish(None, old).expect("a deposit");
    app.advance(Duration::from_mins(16));
    let fresh = ada.pay("4");
    for (trade_id, amount) in [("d-2", "2"), ("d-4", "4")] {
        ada.ask(trade_id, amount).await;
    }
    super::show(&app, old);
    round(&app).await;
    expect(&app, &[("d-2", "awaiting_payment 0/0 none"), ("d-4", "succeeded 4/4 exact")]).await;
    assert_eq!(unmatched(&app).await, [format!("{old} confirmed")], "{fresh} came with its order, {recent} is not shown");
    app.finish().await;
}
