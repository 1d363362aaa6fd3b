//! FOMO's callbacks, which nobody signs: who may call, what is kept, and what is believed.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tillgate::flows::settle::evidence_place;
use tillgate::store::orders;

use crate::evidence::{Fields, with};
use crate::harness::{TestApp, deposit_wish, read};

async fn start_with(account: &Value) -> TestApp {
    let app = TestApp::start_with(&[], account).await;
    app.link_ada().await;
    app
}

/// A gateway with a deposit `d-1` that waits for its payment, and the address of its callbacks.
async fn with_deposit(account: &Value) -> (TestApp, String) {
    let app = start_with(account).await;
    assert_eq!(app.deposit("d-1").await.text("status"), "awaiting_payment");
    let url = app.server_uri("d-1");
    (app, url)
}

async fn place(app: &TestApp, trade_id: &str) -> String {
    app.place("deposits", trade_id).await
}

/// The status and body that a callback to this capability gets, under a fixed request id.
async fn knock(app: &TestApp, capability: &str) -> (u16, Value) {
    let request = app.http.post(format!("{}/callbacks/fomo/{capability}", app.api)).header("x-request-id", "knock").body("status=1");
    let answer = read(request.send().await.expect("an answer")).await;
    (answer.status, answer.body)
}

/// Knocks with each of these and gives the one answer that all of them got.
async fn one_answer(app: &TestApp, capabilities: impl Iterator<Item = String>) -> (u16, Value) {
    let mut answers = stream::iter(capabilities).map(|text| async move { knock(app, &text).await }).buffer_unordered(16);
    let first = answers.next().await.expect("an answer");
    while let Some(answer) = answers.next().await {
        assert_eq!(answer, first);
    }
    first
}

/// Bytes that look random, the same in each run.
fn noise(seed: usize, length: usize) -> Vec<u8> {
    let block = |part: u8| Sha256::digest([&seed.to_be_bytes()[..], &[part]].concat());
    (0..=255).flat_map(block).take(length).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_guessed_addresses_are_not_found_and_all_alike() {
    let (app, _) = with_deposit(&json!({})).await;
    // Half of them are as long as a true one.
    let guesses = (0..10_000).map(|seed| URL_SAFE_NO_PAD.encode(noise(seed, if seed % 2 == 0 { 56 } else { 1 + seed % 120 })));
    let (status, body) = one_answer(&app, guesses).await;
    assert_eq!((status, &body["code"]), (404, &json!("not_found")));
    assert!(app.kept_callbacks("d-1").await.is_empty());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_change_of_one_letter_of_an_address_is_found() {
    let (app, url) = with_deposit(&json!({})).await;
    let capability = url.rsplit('/').next().expect("a capability").to_owned();
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let changed =
        (0..capability.len()).flat_map(|place| letters.iter().map(move |letter| (place, *letter))).filter_map(|(place, letter)| {
            let mut text = capability.clone().into_bytes();
            let differs = std::mem::replace(&mut text[place], letter) != letter;
            differs.then(|| String::from_utf8(text).expect("letters"))
        });
    let cut = (1..capability.len()).map(|length| capability[..length].to_owned());
    let longer = letters.iter().map(|letter| format!("{capability}{}", char::from(*letter)));
    let wrong = one_answer(&app, changed.chain(cut).chain(longer)).await;
    assert_eq!(wrong, one_answer(&app, std::iter::once(URL_SAFE_NO_PAD.encode(noise(1, 56)))).await);
    assert_eq!((wrong.0, app.kept_callbacks("d-1").await.len()), (404, 0));
    assert_eq!(knock(&app, &capability).await.0, 200);
    app.finish().await;
}

/// What is kept sealed of the callbacks of an order.
async fn sealed(app: &TestApp) -> Vec<Vec<u8>> {
    let sql = "SELECT sealed_raw FROM reports WHERE channel = 'callback' ORDER BY received_at, report_id";
    sqlx::query_scalar(sql).fetch_all(&mut app.database().await).await.expect("reports")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_kept_sealed_before_it_is_answered_and_moves_nothing() {
    let (app, url) = with_deposit(&json!({})).await;
    let merchant = sqlx::query_scalar("SELECT merchant_id FROM orders").fetch_one(&mut app.database().await).await.expect("an order");
    let trade_id = tillgate::domain::ids::TradeId::parse("d-1").expect("a trade id");
    let found = orders::by_trade_id(&mut *app.lease().await, tillgate::domain::ids::MerchantId(merchant), &trade_id).await;
    let order = found.expect("a database").expect("the order").0;
    let bodies: [&[u8]; 6] =
        [b"garbage-garbage", b"", &[0xff; 40], b"[1, 2, 3]", b"{\"status\": ", b"status=1&trade_id=d-1&transfer_id=%ff%fe"];
    for (number, body) in bodies.iter().enumerate() {
        assert_eq!(app.call_back_raw(&url, "application/x-www-form-urlencoded", body.to_vec()).await, 200);
        let kept = sealed(&app).await;
        assert_eq!(kept.len(), number + 1, "it is stored when the answer arrives");
        let last = kept.last().expect("a report");
        assert!(body.len() < 8 || !last.windows(body.len()).any(|window| window == *body), "it is sealed");
        let opened = app.context.vault.open(&evidence_place(&order), last).expect("it opens");
        assert_eq!(secrecy::ExposeSecret::expose_secret(&opened), *body);
    }
    assert_eq!((place(&app, "d-1").await.as_str(), app.entries("d-1", "callback").await.len()), ("awaiting_payment", 6));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused_and_not_kept() {
    let (app, url) = with_deposit(&json!({})).await;
    assert_eq!(app.call_back_raw(&url, "application/x-www-form-urlencoded", vec![b'a'; 70 * 1024]).await, 413);
    assert_eq!(app.call_back_raw(&url, "application/x-www-form-urlencoded", vec![b'a'; 64 * 1024]).await, 200);
    assert_eq!(app.kept_callbacks("d-1").await.len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_callback_is_in_clear_in_the_database_but_what_was_read_from_it() {
    let (app, url) = with_deposit(&json!({})).await;
    let secret = "remark=my-identity-number-110101199003077758";
    app.call_back_raw(&url, "application/x-www-form-urlencoded", secret.into()).await;
    let rows: Vec<String> = sqlx::query_scalar(
        "SELECT r::text || encode(r.sealed_raw, 'escape') FROM reports r UNION ALL SELECT s::text FROM steps s UNION ALL SELECT e::text FROM events e",
    )
    .fetch_all(&mut app.database().await)
    .await
    .expect("rows");
    assert!(!rows.iter().any(|row| row.contains("110101199003077758")), "{rows:?}");
    assert!(!app.get("/v1/orders/d-1/timeline").await.body.to_string().contains("110101199003077758"));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_json_object_is_as_good_as_a_form() {
    let (app, url) = with_deposit(&json!({})).await;
    app.confirm("d-1").await;
    let object: Value = app.next_callback("d-1").into_iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
    assert_eq!(app.call_back_raw(&url, "text/plain", object.to_string().into()).await, 200);
    app.settle_down().await;
    assert_eq!(place(&app, "d-1").await, "succeeded");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_from_an_address_that_is_not_on_the_list_is_kept_and_not_believed() {
    let (app, url) = with_deposit(&json!({ "allow_ips": ["39.108.51.7"] })).await;
    app.confirm("d-1").await;
    let forwarded = app.http.post(&url).header("x-forwarded-for", "39.108.51.7").form(&app.next_callback("d-1"));
    assert_eq!(forwarded.send().await.expect("an answer").status(), 200);
    app.settle_down().await;
    assert_eq!((place(&app, "d-1").await.as_str(), app.kept_callbacks("d-1").await.len()), ("awaiting_payment", 1));
    assert_eq!(app.entries("d-1", "callback").await[0]["evidence"]["source"], "127.0.0.1");
    // The money is not lost for that: the query at the deadline finds it.
    app.live(Duration::from_secs(305), Duration::from_secs(5), false).await;
    assert_eq!(place(&app, "d-1").await, "succeeded");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_from_an_address_on_the_list_is_heard() {
    let (app, _) = with_deposit(&json!({ "allow_ips": ["39.108.51.7", "127.0.0.0/8"] })).await;
    app.confirm("d-1").await;
    assert_eq!(app.callbacks().await, [200]);
    assert_eq!(place(&app, "d-1").await, "processing/verifying");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_down_a_callback_is_refused_so_that_it_comes_again() {
    let (app, _) = with_deposit(&json!({})).await;
    app.confirm("d-1").await;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tillgate'";
    sqlx::query(end).execute(&mut app.database().await).await.expect("connections are cut");
    let mut refused = 0;
    while app.callbacks().await == [503] {
        refused += 1;
        assert!((refused, app.sandbox.pending_callbacks().len()) < (20, 2));
    }
    assert!(refused > 0 && app.sandbox.pending_callbacks().is_empty());
    app.settle_down().await;
    assert_eq!((place(&app, "d-1").await.as_str(), app.kept_callbacks("d-1").await.len()), ("succeeded", 1));
    app.context.db.close().await;
    assert_eq!(app.call_back_raw(&app.server_uri("d-1"), "text/plain", b"anything".to_vec()).await, 503);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_true_of_one_order_is_forged_at_the_address_of_another() {
    let (app, url) = with_deposit(&json!({})).await;
    app.deposit("d-2").await;
    app.confirm("d-2").await;
    let true_of_another = app.next_callback("d-2");
    assert_eq!(app.call_back(&url, &true_of_another).await, 200);
    app.settle_down().await;
    assert_eq!(
        (place(&app, "d-1").await.as_str(), app.discrepancies("d-1").await),
        ("awaiting_payment", vec!["forged_callback".to_owned()])
    );
    assert_eq!((place(&app, "d-2").await.as_str(), app.discrepancies("d-2").await.len()), ("awaiting_payment", 0));
    // Nor does it help to put the other's name on it.
    assert_eq!(app.call_back(&url, &with(true_of_another, "trade_id", "d-1")).await, 200);
    app.settle_down().await;
    assert_eq!(place(&app, "d-1").await, "awaiting_payment");
    app.callbacks().await;
    app.settle_down().await;
    assert_eq!(place(&app, "d-2").await, "succeeded");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_forged_content_is_one_discrepancy_however_often_it_comes() {
    let (app, url) = with_deposit(&json!({})).await;
    let fields = app.claim("deposits", "d-1", "1").await;
    for _ in 0..3 {
        assert_eq!(app.call_back(&url, &with(fields.clone(), "amount", "12.500001")).await, 200);
        assert_eq!(app.call_back(&url, &with(fields.clone(), "amount", "0.0125")).await, 200);
    }
    assert_eq!((app.discrepancies("d-1").await.len(), app.kept_callbacks("d-1").await.len()), (2, 2));
    assert_eq!(place(&app, "d-1").await, "awaiting_payment");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_leaves_a_field_out_is_not_believed() {
    let (app, url) = with_deposit(&json!({ "confirm_by_query": false })).await;
    app.confirm("d-1").await;
    let whole = app.next_callback("d-1");
    for missing in ["transfer_id", "trade_id", "coin_id", "amount", "direction", "status"] {
        let rest: Vec<_> = whole.iter().filter(|field| field.0 != missing).collect();
        let sent = app.http.post(&url).form(&rest).send().await.expect("an answer");
        assert_eq!((sent.status().as_u16(), place(&app, "d-1").await.as_str()), (200, "awaiting_payment"), "{missing}");
    }
    assert_eq!(app.kept_callbacks("d-1").await.len(), 6);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_callbacks_at_once_are_one_step_and_one_report() {
    let (app, url) = with_deposit(&json!({})).await;
    app.confirm("d-1").await;
    let fields = app.next_callback("d-1");
    let all = futures_util::future::join_all((0..20).map(|_| app.call_back(&url, &fields))).await;
    assert_eq!(all, [200; 20]);
    app.settle_down().await;
    let order = app.get("/v1/deposits/d-1").await;
    assert_eq!((order.text("status"), &order.body["sequence"]), ("succeeded", &json!(4)));
    assert_eq!(app.kept_callbacks("d-1").await, ["step"]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_confirmation_by_query_a_callback_is_accepted_at_once() {
    let (app, _) = with_deposit(&json!({ "confirm_by_query": false })).await;
    app.confirm("d-1").await;
    assert_eq!(app.callbacks().await, [200]);
    assert_eq!((place(&app, "d-1").await.as_str(), app.sandbox.calls("get_transfer_detail")), ("succeeded", 0));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_confirmation_by_query_every_field_must_agree_all_the_same() {
    let (app, url) = with_deposit(&json!({ "confirm_by_query": false })).await;
    let fields: Fields = app.claim("deposits", "d-1", "1").await;
    for (name, value) in
        [("transfer_id", "1"), ("user_id", "43"), ("trade_id", "d-2"), ("coin_id", "8"), ("amount", "12.51"), ("direction", "2")]
    {
        assert_eq!(app.call_back(&url, &with(fields.clone(), name, value)).await, 200);
        assert_eq!(place(&app, "d-1").await, "awaiting_payment", "{name}");
    }
    assert_eq!(app.discrepancies("d-1").await, ["forged_callback"; 6]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_customer_has_unlinked_the_agreement_of_every_field_is_proof_enough() {
    let (app, url) = with_deposit(&json!({})).await;
    app.confirm("d-1").await;
    assert_eq!(app.call("DELETE", "/v1/customers/ada/links/fomo", None).await.status, 204);
    let fields = app.next_callback("d-1");
    app.call_back(&url, &with(fields, "amount", "125")).await;
    app.settle_down().await;
    assert_eq!(place(&app, "d-1").await, "awaiting_payment");
    assert_eq!(app.callbacks().await, [200]);
    app.settle_down().await;
    let order = app.get("/v1/deposits/d-1").await;
    assert_eq!((order.text("status"), order.text("amount_confirmed")), ("succeeded", "12.5"));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_the_query_denies_ends_as_expired_and_forged() {
    let (app, url) = with_deposit(&json!({})).await;
    let claim = app.claim("deposits", "d-1", "1").await;
    assert_eq!(app.call_back(&url, &claim).await, 200);
    app.live(Duration::from_secs(170), Duration::from_secs(10), false).await;
    assert_eq!(place(&app, "d-1").await, "processing/verifying");
    app.live(Duration::from_mins(10), Duration::from_secs(10), false).await;
    let order = app.get("/v1/deposits/d-1").await;
    assert_eq!((order.text("status"), order.text("amount_received"), &order.body["late"]), ("expired", "0", &json!(false)));
    assert_eq!(app.discrepancies("d-1").await, ["forged_callback"]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_ahead_of_the_payment_does_not_keep_the_payment_away() {
    let (app, url) = with_deposit(&json!({})).await;
    let claim = app.claim("deposits", "d-1", "1").await;
    assert_eq!(app.call_back(&url, &claim).await, 200);
    app.settle_down().await;
    assert_eq!(place(&app, "d-1").await, "processing/verifying");
    app.confirm("d-1").await;
    assert_eq!(app.callbacks().await, [200]);
    app.live(Duration::from_secs(60), Duration::from_secs(5), false).await;
    assert_eq!((place(&app, "d-1").await.as_str(), app.discrepancies("d-1").await.len()), ("succeeded", 0));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_of_another_transfer_does_not_keep_the_payment_away() {
    let app = start_with(&json!({})).await;
    app.sandbox.fault("pre_pay", tillgate::sandbox::Fault::LoseAfter);
    assert_eq!(app.post("/v1/deposits", &deposit_wish("d-1")).await.text("status"), "created");
    app.confirm("d-1").await;
    // The answer was lost, so that nobody here knows the transfer's id yet.
    let fields = app.next_callback("d-1");
    app.call_back(&app.server_uri("d-1"), &with(fields, "transfer_id", "7781")).await;
    app.settle_down().await;
    assert_eq!(app.callbacks().await, [200]);
    app.live(Duration::from_mins(20), Duration::from_secs(30), false).await;
    assert_eq!(place(&app, "d-1").await, "succeeded");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_for_a_canceled_deposit_is_late_money() {
    let (app, url) = with_deposit(&json!({})).await;
    app.post("/v1/deposits/d-1/cancel", &json!({})).await;
    let failed = app.claim("deposits", "d-1", "0").await;
    assert_eq!(app.call_back(&url, &failed).await, 200);
    assert_eq!(place(&app, "d-1").await, "canceled");
    app.confirm("d-1").await;
    assert_eq!(app.callbacks().await, [200]);
    assert_eq!(place(&app, "d-1").await, "processing/verifying");
    app.settle_down().await;
    let order = app.get("/v1/deposits/d-1").await;
    assert_eq!((order.text("status"), &order.body["late"], app.unmatched_receipts().await), ("succeeded", &json!(true), 0));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_of_review_sends_late_money_to_a_person() {
    let (app, _) = with_deposit(&json!({ "late": "review" })).await;
    app.confirm("d-1").await;
    app.post("/v1/deposits/d-1/cancel", &json!({})).await;
    app.callbacks().await;
    app.settle_down().await;
    assert_eq!(place(&app, "d-1").await, "requires_review/late");
    let decided = app.post("/v1/deposits/d-1/resolve", &json!({ "action": "confirm", "reason": "seen at FOMO" })).await;
    assert_eq!((decided.text("status"), &decided.body["late"]), ("succeeded", &json!(true)));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_after_the_end_that_cannot_be_asked_about_now_is_called_back_again() {
    let (app, _) = with_deposit(&json!({})).await;
    app.confirm("d-1").await;
    app.sandbox.inject("get_transfer_detail", None, tillgate::sandbox::Fault::Code(213), tillgate::sandbox::Times::Forever);
    app.live(Duration::from_hours(26), Duration::from_mins(20), false).await;
    assert_eq!(app.get("/v1/deposits/d-1").await.body["is_final"], true);
    app.sandbox.clear_faults();
    app.sandbox.fault("get_transfer_detail", tillgate::sandbox::Fault::Error500Before);
    assert_eq!(app.callbacks().await, [503]);
    assert_eq!(app.callbacks().await, [200]);
    assert_eq!((place(&app, "d-1").await.as_str(), app.unmatched_receipts().await), ("expired", 1));
    app.finish().await;
}
