//! `/v1/receipts`: the list, and giving what is nobody's to an order.

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tillgate::flows::tenant::Scope;
use tillgate::sandbox::HicoinTo;

use super::{ADA, Payer, abnormal, expect, finish, much, round, start, unmatched};
use crate::harness::{Answer, TestApp, make_key};

/// Our id of Hicoin's number.
async fn id_of(app: &TestApp, number: u64) -> String {
    let (list, number) = (app.get("/v1/receipts?limit=100").await.body, number.to_string());
    let all = list["data"].as_array().expect("a list");
    let one = all.iter().find(|one| one["provider_receipt_id"].as_str() == Some(number.as_str())).expect("a receipt");
    one["id"].as_str().expect("an id").to_owned()
}

async fn assign(app: &TestApp, receipt: &str, trade_id: &str) -> Answer {
    app.post(&format!("/v1/receipts/{receipt}/assign"), &json!({ "trade_id": trade_id, "reason": "a test" })).await
}

fn numbers(page: &Answer) -> String {
    let all = page.body["data"].as_array().expect("a list").iter();
    all.filter_map(|one| one["provider_receipt_id"].as_str()).collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_has_filters_and_pages() {
    let app = start(&json!({})).await;
    let ada = Payer::new(&app, "ada").await;
    let bob = Payer::new(&app, "bob").await;
    ada.ask("d-1", "2").await;
    ada.pay("2");
    bob.pay("1");
    app.sandbox.hicoin_deposit(None, &HicoinTo::Uid(ADA), "BTC", much("1")).expect("a deposit");
    app.sandbox.hicoin_deposit(None, &HicoinTo::Uid(77), "ETH", much("1")).expect("a deposit");
    round(&app).await;
    for (query, expected) in [
        ("", "4 3 2 1"),
        ("unmatched=true", "4 3 2"),
        ("unmatched=false", "1"),
        ("customer=ada", "3 1"),
        ("customer=Ada", ""),
        ("coin=ETH", "4 2 1"),
        ("provider=hicoin", "4 3 2 1"),
        ("provider=fomo", ""),
        ("customer=ada&coin=BTC&unmatched=true&provider=hicoin", "3"),
        ("customer=ada&coin=BTC&unmatched=false", ""),
        ("limit=2", "4 3"),
    ] {
        let page = app.get(&format!("/v1/receipts?{query}")).await;
        assert_eq!((page.status, numbers(&page).as_str()), (200, expected), "{query}");
        assert_eq!(page.body["has_more"], query == "limit=2");
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    for _ in 0..4 {
        let page = app.get(&format!("/v1/receipts?limit=1{after}")).await;
        seen.push(numbers(&page));
        after = format!("&starting_after={}", page.text("next_cursor"));
        assert_eq!(page.body["next_cursor"].is_null(), seen.len() == 4);
    }
    assert_eq!(seen, ["4", "3", "2", "1"]);
    for query in ["unmatched=yes", "limit=0", "limit=101", "starting_after=x", "provider=x", "colour=red"] {
        assert_eq!(app.get(&format!("/v1/receipts?{query}")).await.status, 422, "{query}");
    }
    let one = &app.get("/v1/receipts?unmatched=false").await.body["data"][0];
    assert_eq!(
        (&one["trade_id"], &one["amount"], &one["fee"], &one["status"]),
        (&json!("d-1"), &json!("2"), &Value::Null, &json!("confirmed"))
    );
    assert!(one["address"].as_str().is_some_and(|address| address.len() > 10) && one["confirmations"] == 11, "{one}");
    app.everything_is_found().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_nobodys_is_given_once_to_an_order_that_can_take_it() {
    let app = start(&json!({})).await;
    let ada = Payer::new(&app, "ada").await;
    let [good, strange, pending] = [ada.pay("2"), ada.send("1"), ada.send("1")];
    let btc = app.sandbox.hicoin_deposit(None, &HicoinTo::Uid(ADA), "BTC", much("1")).expect("a deposit");
    abnormal(&app, strange);
    round(&app).await;
    assert_eq!(unmatched(&app).await.len(), 4);
    for trade_id in ["d-1", "d-2", "d-3"] {
        ada.ask(trade_id, "2").await;
    }
    let [good_id, strange_id, pending_id, btc_id] =
        [id_of(&app, good).await, id_of(&app, strange).await, id_of(&app, pending).await, id_of(&app, btc).await];
    assign(&app, &good_id, "nowhere").await.expect_problem(422, "order_unknown");
    assign(&app, &btc_id, "d-1").await.expect_problem(422, "receipt_mismatch");
    assign(&app, &strange_id, "d-1").await.expect_problem(409, "receipt_abnormal");
    assign(&app, &format!("rcp_{}", "0".repeat(32)), "d-1").await.expect_problem(404, "not_found");
    assert_eq!(assign(&app, &good_id, "no such name").await.status, 422);
    let made = assign(&app, &good_id, "d-1").await;
    assert_eq!((made.status, made.text("trade_id"), made.text("status")), (200, "d-1", "confirmed"), "{}", made.body);
    expect(&app, &[("d-1", "succeeded 2/2 exact")]).await;
    let steps = app.count("steps").await;
    assert_eq!(assign(&app, &good_id, "d-1").await.body, made.body);
    assert_eq!(app.count("steps").await, steps, "giving twice is giving once");
    assign(&app, &good_id, "d-2").await.expect_problem(409, "receipt_assigned");
    assign(&app, &pending_id, "d-1").await.expect_problem(409, "order_is_final");
    // What is pending counts when it is confirmed.
    assert_eq!(assign(&app, &pending_id, "d-2").await.status, 200);
    expect(&app, &[("d-2", "processing/partially_paid 1/0 under")]).await;
    finish(&app, pending);
    round(&app).await;
    expect(&app, &[("d-2", "processing/partially_paid 1/1 under"), ("d-3", "awaiting_payment 0/0 none")]).await;
    finish(&app, btc);
    round(&app).await;
    app.everything_is_found().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_administrator_gives_money_and_only_his_own() {
    let app = start(&json!({ "over": "review" })).await;
    let ada = Payer::new(&app, "ada").await;
    let free = ada.pay("1");
    round(&app).await;
    assert_eq!(unmatched(&app).await, [format!("{free} confirmed")]);
    ada.ask("d-1", "2").await;
    let number = ada.pay("3");
    round(&app).await;
    expect(&app, &[("d-1", "requires_review/over_paid 3/3 over")]).await;
    let path = format!("/v1/receipts/{}/assign", id_of(&app, free).await);
    let body = json!({ "trade_id": "d-1", "reason": "a test" });
    let writer = make_key(&app.context, "acme", &[Scope::OrdersRead, Scope::DepositsWrite, Scope::PayoutsWrite]).await;
    assert_eq!(app.call_as(writer.expose_secret(), "POST", &path, Some(&body)).await.status, 403);
    let rival = app.other_merchant(&[Scope::Admin]).await;
    app.call_as(rival.expose_secret(), "POST", &path, Some(&body)).await.expect_problem(404, "not_found");
    assert_eq!(app.call_as(rival.expose_secret(), "GET", "/v1/receipts", None).await.body["data"], json!([]));
    assert_eq!(app.post(&path, &body).await.status, 200);
    expect(&app, &[("d-1", "requires_review/over_paid 4/4 over")]).await;
    abnormal(&app, number);
    round(&app).await;
    expect(&app, &[("d-1", "requires_review/over_paid 1/1 under")]).await;
    app.everything_is_found().await;
    app.finish().await;
}
