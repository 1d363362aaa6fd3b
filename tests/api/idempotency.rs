//! The trade id is the idempotency key, for ever: whatever is repeated, at once or later, in parts or
//! whole, there is one order and one call to FOMO.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tillgate::domain::audit::By;
use tillgate::flows::setup::{self, MerchantDocument};
use tillgate::sandbox::{Fault, Times};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::harness::{Answer, TestApp, USDT, deposit_wish, payout_wish};

const PATIENT: [(&str, &str); 1] = [("TILLGATE__TIMING__PROVIDER_TIMEOUT", "20s")];

/// A gateway with Ada linked, whose calls to FOMO may take their time.
async fn app() -> TestApp {
    let app = TestApp::start_with(&PATIENT, &json!({})).await;
    app.link_ada().await;
    app
}

/// How many answers there were of each status and code.
fn tally(answers: &[Answer]) -> BTreeMap<(u16, &str), usize> {
    let mut tally = BTreeMap::new();
    answers.iter().for_each(|answer| *tally.entry((answer.status, answer.text("code"))).or_default() += 1);
    tally
}

/// The wish with another value for a field.
fn with(wish: &Value, field: &str, value: Value) -> Value {
    let mut wish = wish.clone();
    wish[field] = value;
    wish
}

/// Waits until an order has come to a place, by asking for it.
async fn arrives(app: &TestApp, collection: &str, trade_id: &str, place: &str) {
    let arrived = async { while app.place(collection, trade_id).await != place {} };
    tokio::time::timeout(Duration::from_secs(20), arrived).await.expect("the order goes on by itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_identical_wishes_at_once_are_one_order_and_one_call() {
    let app = app().await;
    for (collection, wish, verb) in [("deposits", deposit_wish("d-1"), "pre_pay"), ("payouts", payout_wish("p-1"), "pay_user")] {
        let trade_id = wish["trade_id"].as_str().expect("a trade id");
        let path = format!("/v1/{collection}");
        let answers = join_all((0..100).map(|_| app.post(&path, &wish))).await;
        assert_eq!(tally(&answers), BTreeMap::from([((201, ""), 1), ((200, ""), 99)]));
        for answer in &answers {
            assert_eq!(answer.text("id"), answers[0].text("id"));
            assert_eq!(answer.header("idempotent-replayed"), if answer.status == 200 { "true" } else { "" });
        }
        join_all((0..4).map(|_| app.submit())).await;
        assert_eq!(app.sandbox.calls_for(verb, trade_id), 1);
        assert_eq!(app.count(&format!("orders WHERE trade_id = '{trade_id}'")).await, 1);
    }
    assert_eq!((app.place("deposits", "d-1").await, app.place("payouts", "p-1").await), ("awaiting_payment".into(), "succeeded".into()));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_different_wishes_for_one_trade_id_one_is_granted() {
    let app = app().await;
    for (path, wish, verb) in [("/v1/deposits", deposit_wish("d-1"), "pre_pay"), ("/v1/payouts", payout_wish("p-1"), "pay_user")] {
        let wishes: Vec<Value> = (1..=100).map(|number| with(&wish, "amount", json!(format!("1.{number:03}")))).collect();
        let answers = join_all(wishes.iter().map(|wish| app.post(path, wish))).await;
        assert_eq!(tally(&answers), BTreeMap::from([((201, ""), 1), ((409, "trade_id_conflict"), 99)]));
        app.submit().await;
        assert_eq!(app.sandbox.calls_for(verb, wish["trade_id"].as_str().expect("a trade id")), 1);
        let winner = answers.iter().position(|answer| answer.status == 201).expect("a winner");
        assert_eq!(app.post(path, &wishes[winner]).await.status, 200);
        let loser = app.post(path, &wishes[(winner + 1) % 100]).await;
        loser.expect_problem(409, "trade_id_conflict");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deposits_and_payouts_share_one_namespace_also_in_a_race() {
    let app = app().await;
    assert_eq!((app.deposit("a").await.status, app.payout("b").await.status), (201, 201));
    app.payout("a").await.expect_problem(409, "trade_id_conflict");
    app.deposit("b").await.expect_problem(409, "trade_id_conflict");
    let asked = (0..60).map(async |number| if number % 2 == 0 { app.deposit("c").await } else { app.payout("c").await });
    let answers = join_all(asked).await;
    assert_eq!(tally(&answers), BTreeMap::from([((201, ""), 1), ((200, ""), 29), ((409, "trade_id_conflict"), 30)]));
    app.submit().await;
    assert_eq!(app.sandbox.calls_for("pre_pay", "c") + app.sandbox.calls_for("pay_user", "c"), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_grant_one_wish() {
    let app = app().await;
    let other = app.replica(tillgate::http::auth::TrustedProxies::default());
    let both =
        join_all((0..40).map(|number| if number % 2 == 0 { app.deposit("d-1") } else { other.deposit("d-1") }).collect::<Vec<_>>()).await;
    assert_eq!(tally(&both), BTreeMap::from([((201, ""), 1), ((200, ""), 39)]));
    assert_eq!(app.sandbox.calls_for("pre_pay", "d-1"), 1);
    other.stop().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_wish_in_other_words_is_the_same_wish() {
    let app = app().await;
    let wish = with(&with(&deposit_wish("d-1"), "amount", json!("1.50")), "metadata", json!({ "a": 1, "b": [2, { "c": 3 }] }));
    let first = app.post("/v1/deposits", &wish).await;
    assert_eq!((first.status, first.text("amount")), (201, "1.5"));
    for amount in ["1.5", "1.50", "01.5", "1.500000000"] {
        let again = app.post("/v1/deposits", &with(&wish, "amount", json!(amount))).await;
        assert_eq!((again.status, again.text("id"), again.text("amount")), (200, first.text("id"), "1.5"), "{amount}");
    }
    let shuffled =
        r#" {"metadata":{"b":[2,{"c":3}],"a":1},"customer":"ada", "amount":"1.5","coin":"usdt","provider":"fomo","trade_id":"d-1"}"#;
    assert_eq!(app.send("POST", "/v1/deposits", shuffled).await.status, 200);
    let nulls = ["expires_in", "return_url"].iter().fold(wish, |wish, field| with(&wish, field, Value::Null));
    assert_eq!(app.post("/v1/deposits", &nulls).await.status, 200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_value_of_any_field_is_another_wish() {
    let app = app().await;
    let deposit = with(&deposit_wish("d-1"), "metadata", json!({ "a": 1 }));
    let payout = with(&payout_wish("p-1"), "customer", json!("ada"));
    let (user, address) = (json!({ "type": "fomo_user", "user_id": "43" }), json!({ "type": "address", "address": "42" }));
    let changes = [
        (
            "/v1/deposits",
            &deposit,
            vec![("customer", json!("bob")), ("expires_in", json!(900)), ("return_url", json!("https://a.example/"))],
        ),
        (
            "/v1/payouts",
            &payout,
            vec![("customer", Value::Null), ("customer", json!("bob")), ("destination", user), ("destination", address)],
        ),
    ];
    let common = [("provider", json!("hicoin")), ("coin", json!("eth")), ("amount", json!("12.51"))];
    let notes = [("metadata", json!({})), ("metadata", json!({ "a": 1.0 })), ("metadata", json!({ "a": "1" })), ("coin", json!("old"))];
    for (path, wish, own) in changes {
        assert_eq!(app.post(path, wish).await.status, 201);
        for (field, value) in own.into_iter().chain(common.clone()).chain(notes.clone()) {
            let conflict = app.post(path, &with(wish, field, value)).await;
            assert_eq!(conflict.no_problem(409, "trade_id_conflict"), None, "{field}");
        }
        assert_eq!(app.post(path, wish).await.status, 200);
    }
    app.finish().await;
}

/// A new wish is refused with this code now; those that were granted are granted still, and no others in their name.
async fn granted_stays_granted(app: &TestApp, status: u16, code: &str) {
    for (path, wish) in [("/v1/deposits", deposit_wish("d-1")), ("/v1/payouts", payout_wish("p-1"))] {
        if !(path == "/v1/payouts" && code == "link_required") {
            app.post(path, &with(&wish, "trade_id", json!("new"))).await.expect_problem(status, code);
        }
        let again = app.post(path, &wish).await;
        assert_eq!((again.status, again.header("idempotent-replayed")), (200, "true"), "{}", again.body);
        let other = app.post(path, &with(&wish, "amount", json!("2"))).await;
        other.expect_problem(409, "trade_id_conflict");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_granted_stays_granted_though_it_would_be_refused_today() {
    let app = app().await;
    assert_eq!((app.deposit("d-1").await.status, app.payout("p-1").await.status), (201, 201));
    app.sandbox.set_coin_active(USDT, false);
    app.advance(Duration::from_mins(6));
    app.context.tenants.forget();
    granted_stays_granted(&app, 422, "coin_inactive").await;
    app.sandbox.set_coin_active(USDT, true);
    app.advance(Duration::from_mins(6));
    app.context.tenants.forget();
    assert_eq!(app.call("DELETE", "/v1/customers/ada/links/fomo", None).await.status, 204);
    granted_stays_granted(&app, 422, "link_required").await;
    let closed = MerchantDocument { name: "acme".to_owned(), return_origins: Vec::new(), accounts: BTreeMap::new() };
    setup::apply(&app.context, &By::operator("test"), &closed).await.expect("a change");
    granted_stays_granted(&app, 422, "provider_disabled").await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_granted_stays_granted_though_fomo_cannot_be_asked() {
    let app = app().await;
    assert_eq!((app.deposit("d-1").await.status, app.payout("p-1").await.status), (201, 201));
    sqlx::query("DELETE FROM coin_lists").execute(&mut app.database().await).await.expect("a deletion");
    app.sandbox.inject("get_active_coins", None, Fault::Error500Before, Times::Forever);
    app.context.tenants.forget();
    granted_stays_granted(&app, 503, "provider_unavailable").await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_shows_the_order_as_it_is_now() {
    let app = app().await;
    assert_eq!(app.deposit("d-1").await.text("status"), "awaiting_payment");
    assert_eq!(app.confirm("d-1").await, Some(1));
    app.callbacks().await;
    app.look().await;
    let again = app.deposit("d-1").await;
    assert_eq!((again.status, again.text("status")), (200, "succeeded"));
    assert_eq!(again.body, app.get("/v1/deposits/d-1").await.body);
    app.finish().await;
}

/// A POST of this wish as it goes over the wire.
fn on_the_wire(app: &TestApp, path: &str, wish: &Value) -> Vec<u8> {
    let body = wish.to_string();
    let key = app.key.expose_secret();
    let head = format!("POST {path} HTTP/1.1\r\nHost: tillgate\r\nAuthorization: Bearer {key}\r\nContent-Length: {}\r\n\r\n", body.len());
    format!("{head}{body}").into_bytes()
}

/// Sends these bytes on a connection of their own.
async fn connection(app: &TestApp, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(app.api.trim_start_matches("http://")).await.expect("a connection");
    stream.write_all(bytes).await.expect("a request");
    stream
}

/// The client is gone, with a reset.
fn reset(stream: TcpStream) {
    stream.set_zero_linger().expect("an option");
    drop(stream);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_while_fomo_is_asked_stops_nothing() {
    let app = app().await;
    for (trade_id, fault) in [("d-1", Fault::HangAfter), ("d-2", Fault::HangLate)] {
        app.sandbox.inject("pre_pay", Some(trade_id), fault, Times::default());
        let stream = connection(&app, &on_the_wire(&app, "/v1/deposits", &deposit_wish(trade_id))).await;
        app.sandbox.wait_for_held(1).await;
        reset(stream);
        // By the time these are answered, the server has seen the reset.
        for _ in 0..10 {
            assert_eq!(app.place("deposits", trade_id).await, "created");
        }
        app.sandbox.release();
        arrives(&app, "deposits", trade_id, "awaiting_payment").await;
        assert_eq!(app.sandbox.calls_for("pre_pay", trade_id), 1);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_resets_leaves_a_whole_order_or_none() {
    let app = app().await;
    for number in 0..40 {
        let (path, wish) = match number % 2 {
            0 => ("/v1/deposits", deposit_wish(&format!("d-{number}"))),
            _ => ("/v1/payouts", payout_wish(&format!("p-{number}"))),
        };
        let stream = connection(&app, &on_the_wire(&app, path, &with(&wish, "amount", json!("1")))).await;
        if number % 4 < 2 { reset(stream) } else { drop(stream) }
    }
    for number in (0..40).step_by(2) {
        let (deposit, payout) = (format!("d-{number}"), format!("p-{}", number + 1));
        let one = app.post("/v1/deposits", &with(&deposit_wish(&deposit), "amount", json!("1"))).await;
        let other = app.post("/v1/payouts", &with(&payout_wish(&payout), "amount", json!("1"))).await;
        assert!([200, 201].contains(&one.status) && [200, 201].contains(&other.status), "{} {}", one.body, other.body);
        app.submit().await;
        arrives(&app, "deposits", &deposit, "awaiting_payment").await;
        arrives(&app, "payouts", &payout, "succeeded").await;
        assert_eq!((app.sandbox.calls_for("pre_pay", &deposit), app.sandbox.calls_for("pay_user", &payout)), (1, 1));
    }
    assert_eq!(
        (app.count("orders").await, app.count("attempts").await, app.count("attempts WHERE state = 'accepted'").await),
        (40, 40, 40)
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_request_is_no_request() {
    let app = app().await;
    let calls = app.sandbox.call_log().len();
    let bytes = on_the_wire(&app, "/v1/payouts", &payout_wish("p-1"));
    let body = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
    for cut in [10, body - 2, body, body + 1, bytes.len() - 1] {
        let stream = connection(&app, &bytes[..cut]).await;
        if cut % 2 == 0 { reset(stream) } else { drop(stream) }
    }
    assert_eq!(app.get("/v1/payouts/p-1").await.status, 404);
    assert_eq!((app.count("orders").await, app.sandbox.call_log().len()), (0, calls));
    app.finish().await;
}
