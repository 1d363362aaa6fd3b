//! Links: tokens that are fetched anew in time and once, and that nobody ever sees.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::Row;
use tillgate::domain::ids::MerchantId;
use tillgate::http::auth::TrustedProxies;
use tillgate::sandbox::Fault;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, dynamic_filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::harness::{ADA, Answer, TestApp, deposit_wish, make_key, payout_wish};

/// FOMO's access tokens live an hour; in the last five minutes they are fetched anew.
const NEAR_ITS_END: Duration = Duration::from_mins(56);
const PATIENT: [(&str, &str); 1] = [("TILLGATE__TIMING__PROVIDER_TIMEOUT", "20s")];

/// A gateway with Ada linked, whose token is near its end.
async fn near_the_end() -> TestApp {
    let app = TestApp::start_with(&PATIENT, &json!({})).await;
    app.link_ada().await;
    app.advance(NEAR_ITS_END);
    app
}

async fn link_status(app: &TestApp) -> String {
    app.get("/v1/customers/ada/links").await.body["data"][0]["status"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_requests_that_need_a_new_token_fetch_one() {
    let app = near_the_end().await;
    let wishes: Vec<String> = (0..50).map(|number| format!("d-{number}")).collect();
    for answer in join_all(wishes.iter().map(|trade_id| app.deposit(trade_id))).await {
        assert_eq!((answer.status, answer.text("status")), (201, "awaiting_payment"), "{}", answer.body);
    }
    assert_eq!(app.sandbox.calls("refresh"), 1);
    assert_eq!(app.deposit("later").await.text("status"), "awaiting_payment");
    assert_eq!((app.sandbox.calls("refresh"), app.refresh_links().await), (1, 0));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_token_is_fetched_anew_once_for_fifty_requests() {
    let app = near_the_end().await;
    app.advance(Duration::from_mins(10));
    let wishes: Vec<String> = (0..50).map(|number| format!("d-{number}")).collect();
    for answer in join_all(wishes.iter().map(|trade_id| app.deposit(trade_id))).await {
        assert_eq!((answer.status, answer.text("status")), (201, "awaiting_payment"), "{}", answer.body);
    }
    assert_eq!(app.sandbox.calls("refresh"), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_fetch_one_token() {
    for token_is_dead in [false, true] {
        let app = near_the_end().await;
        if token_is_dead {
            app.advance(Duration::from_mins(10));
        }
        let other = app.replica(TrustedProxies::default());
        app.sandbox.fault("refresh", Fault::Delay(150));
        let wishes: Vec<String> = (0..20).map(|number| format!("d-{number}")).collect();
        let asked =
            wishes.iter().enumerate().map(|(index, trade_id)| if index % 2 == 0 { app.deposit(trade_id) } else { other.deposit(trade_id) });
        for answer in join_all(asked.collect::<Vec<_>>()).await {
            assert_eq!(answer.status, 201, "{}", answer.body);
        }
        app.settle_down().await;
        assert_eq!(app.sandbox.calls("refresh"), 1);
        for trade_id in wishes {
            assert_eq!(app.place("deposits", &trade_id).await, "awaiting_payment", "{trade_id}");
        }
        other.stop().await;
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_of_two_replicas_keep_a_link_fresh_with_one_call() {
    let app = near_the_end().await;
    let other = app.replica(TrustedProxies::default());
    app.sandbox.fault("refresh", Fault::Delay(150));
    tokio::join!(app.refresh_links(), other.refresh_links());
    assert_eq!(app.sandbox.calls("refresh"), 1);
    assert_eq!((app.deposit("d-1").await.text("status"), app.sandbox.calls("refresh")), ("awaiting_payment", 1));
    other.stop().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_nobody_uses_is_renewed_only_before_it_would_end() {
    let app = near_the_end().await;
    app.advance(Duration::from_hours(48));
    assert_eq!((app.refresh_links().await, app.sandbox.calls("refresh")), (0, 0));
    app.advance(Duration::from_hours(24 * 10));
    assert_eq!((app.refresh_links().await, app.sandbox.calls("refresh")), (1, 1));
    let renewable = &app.get("/v1/customers/ada/links").await.body["data"][0]["renewable_until"];
    assert_eq!(*renewable, json!("2027-02-10T08:56:00Z"), "two weeks from now");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_refresh_ends_the_link_until_a_new_one_is_made() {
    let app = near_the_end().await;
    app.sandbox.fault("refresh", Fault::Code(3));
    let cut_off = app.deposit("d-1").await;
    assert_eq!((cut_off.status, cut_off.text("status")), (201, "failed"));
    assert_eq!(cut_off.body["failure"]["code"], "link_expired");
    assert_eq!(link_status(&app).await, "expired");
    app.deposit("d-2").await.expect_problem(422, "link_required");
    assert_eq!((app.count("orders").await, app.sandbox.calls("pre_pay"), app.sandbox.calls("refresh")), (1, 0, 1));
    app.link_ada().await;
    assert_eq!((link_status(&app).await, app.deposit("d-2").await.text("status")), ("active".to_owned(), "awaiting_payment"));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_to_a_refresh_costs_the_link_at_most_and_never_an_order() {
    let app = near_the_end().await;
    app.sandbox.fault("refresh", Fault::LoseAfter);
    assert_eq!(app.deposit("d-1").await.text("status"), "awaiting_payment", "the old token is good for some minutes");
    assert_eq!(
        (app.deposit("d-2").await.text("status"), app.sandbox.calls("refresh")),
        ("awaiting_payment", 1),
        "and is not renewed at once"
    );
    app.advance(Duration::from_secs(31));
    let refused = app.deposit("d-3").await;
    assert_eq!((refused.status, refused.text("status"), app.sandbox.calls("refresh")), (201, "failed", 2), "FOMO gave its word to nobody");
    app.deposit("d-4").await.expect_problem(422, "link_required");
    assert_eq!(app.confirm("d-1").await, Some(1));
    assert_eq!(app.callbacks().await, [200]);
    app.link_ada().await;
    app.settle_down().await;
    assert_eq!(app.place("deposits", "d-1").await, "succeeded");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_without_a_token_waits_for_one_where_it_may_still_come() {
    let app = near_the_end().await;
    app.advance(Duration::from_mins(10));
    app.sandbox.fault("refresh", Fault::LoseBefore);
    let waiting = app.deposit("d-1").await;
    assert_eq!((waiting.status, waiting.text("status"), &waiting.body["next_action"]), (201, "created", &Value::Null));
    app.advance(Duration::from_secs(31));
    app.settle_down().await;
    assert_eq!((app.place("deposits", "d-1").await.as_str(), app.sandbox.calls("refresh")), ("awaiting_payment", 2));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_fomo_refuses_before_its_time_is_replaced_once() {
    let app = TestApp::start_with(&PATIENT, &json!({})).await;
    app.link_ada().await;
    app.sandbox.fault("pre_pay", Fault::Code(2));
    assert_eq!(app.deposit("d-1").await.text("status"), "created");
    app.advance(Duration::from_secs(6));
    app.settle_down().await;
    assert_eq!((app.place("deposits", "d-1").await.as_str(), app.sandbox.calls("refresh")), ("awaiting_payment", 1));
    app.finish().await;
}

/// What was logged while somebody listens.
static LOGGED: Mutex<Vec<u8>> = Mutex::new(Vec::new());
/// How many tests listen.
static LISTENING: AtomicUsize = AtomicUsize::new(0);

struct Listener;

impl Write for Listener {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOGGED.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Listens to everything that this process logs, however fine.
pub fn listen() {
    static START: Once = Once::new();
    START.call_once(|| {
        let everything = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| Listener);
        let while_listening = dynamic_filter_fn(|_, _| LISTENING.load(Ordering::Relaxed) > 0).with_max_level_hint(LevelFilter::TRACE);
        tracing_subscriber::registry().with(everything.with_filter(while_listening)).try_init().expect("nobody else listens");
    });
    LISTENING.fetch_add(1, Ordering::Relaxed);
}

/// Stops listening, and gives all that was heard, also by other tests.
pub fn heard() -> Vec<u8> {
    LISTENING.fetch_sub(1, Ordering::Relaxed);
    LOGGED.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// What must never be seen, by name.
async fn secrets(app: &TestApp, code: &str) -> Vec<(&'static str, String)> {
    let query = "SELECT merchant_id, sealed_tokens FROM wallet_links WHERE customer = 'ada'";
    let (merchant, sealed): (uuid::Uuid, Vec<u8>) = sqlx::query_as(query).fetch_one(&mut app.database().await).await.expect("a link");
    let place = format!("wallet_links/{}/fomo/ada", MerchantId(merchant));
    let plain = app.context.vault.open(&place, &sealed).expect("sealed tokens");
    let tokens: Value = serde_json::from_slice(plain.expose_secret()).expect("tokens");
    let token = |name: &str| tokens[name].as_str().expect("a token").to_owned();
    let own = [("client_secret", "acme-secret".to_owned()), ("wallet_pwd", "acme-pwd".to_owned()), ("code", code.to_owned())];
    let own = own.into_iter().chain([("access token", token("access")), ("refresh token", token("refresh"))]);
    own.chain([("api key", app.key.expose_secret().to_owned())]).collect()
}

/// The names of the secrets that these bytes hold, plainly or in a common encoding.
pub fn seen<'a>(secrets: &'a [(&'static str, String)], bytes: &[u8]) -> Vec<&'a str> {
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    let shown = |secret: &str| holds(secret) || holds(&hex::encode(secret)) || holds(STANDARD.encode(secret).trim_end_matches('='));
    secrets.iter().filter(|(_, secret)| shown(secret)).map(|(name, _)| *name).collect()
}

/// All that is stored, as table, column and value.
pub async fn stored(app: &TestApp) -> Vec<(String, Vec<u8>)> {
    let mut database = app.database().await;
    let query = "SELECT table_name::text, column_name::text, data_type::text FROM information_schema.columns WHERE table_schema = 'public'";
    let columns: Vec<(String, String, String)> = sqlx::query_as(query).fetch_all(&mut database).await.expect("columns");
    let mut all = Vec::new();
    for (table, column, data_type) in columns {
        let value = if data_type == "bytea" { column.clone() } else { format!("convert_to({column}::text, 'UTF8')") };
        let query = format!("SELECT {value} FROM {table} WHERE {column} IS NOT NULL");
        let rows = sqlx::query(sqlx::AssertSqlSafe(query)).fetch_all(&mut database).await.expect("values");
        all.extend(rows.iter().map(|row| (format!("{table}.{column}"), row.get::<Vec<u8>, _>(0))));
    }
    all
}

/// Calls all that the API has, also with what goes wrong, and gives the answers.
async fn tour(app: &TestApp) -> Vec<Answer> {
    let none = json!({});
    let link = json!({ "provider": "fomo", "code": "not-a-code" });
    let mut answers = vec![app.deposit("d-1").await, app.payout("p-1").await, app.post("/v1/customers/bob/links", &link).await];
    app.sandbox.fault("pay_user", Fault::Code(26));
    app.sandbox.fault("get_transfer_detail", Fault::GarbageAfter);
    app.submit().await;
    assert_eq!(app.confirm("d-1").await, Some(1));
    app.callbacks().await;
    app.settle_down().await;
    app.discrepancy("d-2").await;
    for path in ["deposits", "payouts", "deposits/d-1", "payouts/p-1", "orders/d-1/timeline", "orders/p-1/timeline", "customers/ada/links"]
    {
        answers.push(app.get(&format!("/v1/{path}")).await);
    }
    for path in ["/v1/coins?provider=fomo", "/v1/discrepancies", "/openapi.json", "/nothing"] {
        answers.push(app.get(path).await);
    }
    for path in ["/v1/deposits/d-1/refresh", "/v1/deposits/d-1/cancel", "/v1/payouts/p-1/resolve"] {
        answers.push(app.post(path, &none).await);
    }
    answers.push(app.send("POST", "/v1/deposits", "{").await);
    answers.push(app.call_as("tg_wrong", "GET", "/v1/deposits", None).await);
    app.advance(NEAR_ITS_END);
    app.refresh_links().await;
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_stored_told_or_logged() {
    listen();
    let app = TestApp::start().await;
    let code = app.code(ADA);
    let linked = app.post("/v1/customers/ada/links", &json!({ "provider": "fomo", "code": code })).await;
    assert_eq!(linked.status, 201);
    let key = make_key(&app.context, "acme", &[]).await;
    app.call_as(key.expose_secret(), "POST", "/v1/payouts", Some(&payout_wish("p-9"))).await.expect_problem(403, "scope_missing");
    app.post("/v1/deposits", &deposit_wish("a b")).await.expect_problem(422, "validation_failed");
    let before = secrets(&app, &code).await;
    let answers = tour(&app).await;
    let after = secrets(&app, &code).await;
    assert_ne!(before, after, "the tokens were renewed");
    let logged = heard();
    let all = [before, after, vec![("other api key", key.expose_secret().to_owned())]].concat();
    for answer in answers.iter().chain([&linked]) {
        let told = format!("{:?} {}", answer.headers, answer.body);
        assert!(seen(&all, told.as_bytes()).is_empty(), "{:?} in {told}", seen(&all, told.as_bytes()));
    }
    let stored = stored(&app).await;
    assert!(stored.len() > 200 && stored.iter().any(|(name, _)| name == "reports.sealed_raw"), "there is something to find");
    for (name, value) in &stored {
        assert!(seen(&all, value).is_empty(), "{:?} in {name}", seen(&all, value));
    }
    let lines: Vec<&[u8]> = logged.split(|byte| *byte == b'\n').collect();
    assert!(lines.len() > 100 && lines.iter().any(|line| String::from_utf8_lossy(line).contains("answered")), "there is something to find");
    for line in lines {
        assert!(seen(&all, line).is_empty(), "{:?} in {}", seen(&all, line), String::from_utf8_lossy(line));
    }
    app.finish().await;
}
