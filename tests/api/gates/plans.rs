//! What a gateway does for one order reads that order, however many others there are, and whatever Postgres knew of its tables when it
//! made the plans: it keeps them. Postgres itself tells how each statement ran (`auto_explain`), those of triggers included.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tillgate::http::auth::TrustedProxies;
use tracing_subscriber::layer::{Context, Layer};

use super::growth::run;
use crate::harness::TestApp;
use crate::harness::statements::{heard_by, text_of};
use crate::incoming::{self, Payer};
use crate::webhooks::receiver::{Endpoint, Receiver};

/// What one step of a plan may read: the few rows of an order, of an account, of a page of five.
const ROWS: i64 = 60;

/// What Postgres says of the statements of this thread's sessions.
#[derive(Clone, Default)]
struct Plans(Arc<Mutex<Vec<Value>>>);

impl<S: tracing::Subscriber> Layer<S> for Plans {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "sqlx::postgres::notice"
            && let Some((_, plan)) = text_of(event, "message").split_once("plan:\n")
        {
            self.0.lock().expect("no panic").push(serde_json::from_str(plan).expect("a plan"));
        }
    }
}

impl Plans {
    /// The steps that read more rows than one order has, each with its statement and the most that it read; and all are forgotten.
    /// Gives the number of plans as well.
    fn take(&self) -> (usize, BTreeMap<String, i64>) {
        let plans = std::mem::take(&mut *self.0.lock().expect("no panic"));
        let mut greedy = BTreeMap::new();
        for plan in &plans {
            let words: Vec<&str> = plan["Query Text"].as_str().expect("a text").split_whitespace().collect();
            let text: String = words.join(" ").chars().take(120).collect();
            read_by(&plan["Plan"], &mut |step, rows| {
                if rows > ROWS {
                    let most: &mut i64 = greedy.entry(format!("{step} in {text}")).or_default();
                    *most = rows.max(*most);
                }
            });
        }
        (plans.len(), greedy)
    }
}

/// Tells each step of a plan that reads a table, and how many rows it read, those that it did not want included.
pub fn read_by(node: &Value, tell: &mut impl FnMut(String, i64)) {
    let count = |key: &str| node[key].as_i64().unwrap_or_default();
    let text = |key: &str| node[key].as_str().unwrap_or_default();
    if text("Node Type").ends_with("Scan") && node["Relation Name"].is_string() {
        let rows = (count("Actual Rows") + count("Rows Removed by Filter")) * count("Actual Loops");
        let way = [text("Index Name"), text("Index Cond"), text("Recheck Cond")].join(" ");
        tell(format!("{} of {} by {}", text("Node Type"), text("Relation Name"), way.trim()), rows);
    }
    node["Plans"].as_array().into_iter().flatten().for_each(|inner| read_by(inner, tell));
}

/// What happens in a house, once of each, with these words in its names.
async fn a_day(app: &TestApp, name: &str) {
    let ada = Payer { app, name: "ada".to_owned(), uid: incoming::ADA };
    let [paid, open, charged, credited, given_up] =
        ["paid", "open", "charged", "credited", "given-up"].map(|what| format!("{what}-{name}"));
    assert_eq!(app.payout(&paid).await.status, 201);
    app.submit().await;
    assert_eq!(app.place("payouts", &paid).await, "succeeded");
    assert_eq!(app.deposit(&charged).await.status, 201);
    assert_eq!(app.confirm(&charged).await, Some(1));
    assert!(app.callbacks().await.iter().all(|status| *status == 200));
    ada.ask(&credited, "2").await;
    ada.send("2");
    app.advance(Duration::from_secs(10));
    assert_eq!(app.read_feeds().await, 1);
    assert_eq!(app.place("deposits", &credited).await, "processing/confirming");
    app.deliver().await;
    // These stay open: what is known of them now is asked for, and told to nobody yet.
    assert_eq!(app.deposit(&open).await.status, 201);
    assert_eq!(app.post(&format!("/v1/deposits/{open}/refresh"), &json!({})).await.status, 200);
    app.poll().await;
    app.look().await;
    assert_eq!(app.payout(&given_up).await.status, 201);
    assert_eq!(app.post(&format!("/v1/payouts/{given_up}/cancel"), &json!({})).await.text("status"), "canceled");
    let told = app.get("/v1/webhook_deliveries?limit=1&status=delivered").await;
    let told = told.body["data"][0]["id"].as_str().expect("a delivery").to_owned();
    assert_eq!(app.post(&format!("/v1/webhook_deliveries/{told}/resend"), &json!({})).await.status, 202);
    for path in [
        format!("/v1/deposits/{charged}"),
        format!("/v1/webhook_deliveries/{told}"),
        format!("/v1/orders/{paid}/timeline"),
        "/v1/payouts?limit=5".to_owned(),
        "/v1/deposits?limit=5&status=succeeded,requires_review".to_owned(),
        "/v1/deposits?limit=5&customer=ada".to_owned(),
        "/v1/events?limit=5".to_owned(),
        "/v1/webhook_deliveries?limit=5".to_owned(),
        "/v1/receipts?limit=5".to_owned(),
        "/v1/discrepancies?limit=5".to_owned(),
        "/v1/reconciliations?limit=5".to_owned(),
        "/v1/audit_log?limit=5".to_owned(),
        "/v1/webhook_endpoints".to_owned(),
        "/v1/customers/ada/links".to_owned(),
    ] {
        let answer = app.get(&path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    }
}

/// What makes ids of copies: the time that an id tells stays. It is made before there are any plans: they might be thrown away.
const OTHER_ID: &str = "CREATE FUNCTION other_id(id uuid, n integer) RETURNS uuid LANGUAGE sql AS $$
    SELECT (left(translate(id::text, '-', ''), 12) || '7' || left(md5(id::text || n), 3) || '8' || right(md5(id::text || n), 15))::uuid $$";

/// The tables that grow with orders, and what of a row `t` is another in its copy of the number `n`: names and values in turn.
const OTHER_VALUES: &str = r"
    SELECT c.relname::text, string_agg(format('%L, ', a.attname) || CASE
        WHEN a.attname = 'delivery_id' AND c.relname <> 'webhook_attempts' THEN 'delivery_id_of(other_id(t.event_id, n), t.endpoint_id)'
        WHEN a.atttypid = 'uuid'::regtype THEN format('other_id(t.%I, n)', a.attname)
        WHEN a.attname = 'due_at' THEN '''2100-01-01'''
        WHEN a.attname = 'provider_receipt_id' THEN format('t.%I || lpad(n::text, 4, ''0'')', a.attname)
        WHEN a.attname = 'digest' THEN format('''\x'' || md5(t.%I::text || n)', a.attname)
        ELSE format('md5(t.%I || n)', a.attname) END, ', ')
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
    WHERE c.relname IN ('orders', 'steps', 'events', 'attempts', 'reports', 'receipts', 'tasks', 'webhook_deliveries', 'webhook_attempts',
                        'webhook_queue')
      AND (a.attname IN ('due_at', 'provider_receipt_id', 'digest', 'trade_id', 'customer', 'provider_user')
           OR a.atttypid = 'uuid'::regtype AND a.attname NOT IN ('merchant_id', 'endpoint_id'))
    GROUP BY c.relname";

/// Everything there is, once more for each of these numbers: the same rows under other ids. What is to be done for them is not due.
async fn copies(app: &TestApp, numbers: Range<u32>) {
    let mut database = app.database().await;
    let tables: Vec<(String, String)> = sqlx::query_as(OTHER_VALUES).fetch_all(&mut database).await.expect("the tables");
    assert_eq!(tables.len(), 10);
    run(&mut database, "SET session_replication_role = replica").await;
    for (table, others) in tables {
        let sql = format!(
            "INSERT INTO {table} SELECT copy.*
             FROM (SELECT * FROM {table} LIMIT 20) t, generate_series({}, {}) n,
                  jsonb_populate_record(NULL::{table}, to_jsonb(t) || jsonb_build_object({others})) copy",
            numbers.start,
            numbers.end - 1
        );
        run(&mut database, &sql).await;
    }
}

/// What Postgres knew when the plans were made: what it had counted when there were a hundred of everything, or some hundreds; that
/// nothing was to be done, on pages from which it had gone; all that is there. (Before it counts for the first time, a minute after a
/// new house has its first fifty orders, a row is a row to it.)
const KNOWN: [(&str, u32, &str); 4] = [
    ("a hundred", 20, "ANALYZE"),
    ("hundreds", 60, "ANALYZE"),
    (
        "a quiet night",
        60,
        "DELETE FROM tasks WHERE due_at >= '2100-01-01'; DELETE FROM webhook_queue WHERE due_at >= '2100-01-01'; ANALYZE",
    ),
    ("all", 400, "ANALYZE"),
];

#[tokio::test]
async fn what_is_done_for_an_order_reads_that_order_whatever_was_known_when_it_was_planned() {
    let mut found = BTreeMap::new();
    for (known, number, statistics) in KNOWN {
        let app = incoming::start(&json!({})).await;
        app.link_ada().await;
        let receiver = Receiver::start().await;
        Endpoint::at(&app, &receiver.url, &["*"]).await;
        run(&mut app.database().await, OTHER_ID).await;
        a_day(&app, "first").await;
        copies(&app, 0..number).await;
        let name = &app.database.name;
        let mut database = app.database().await;
        run(&mut database, statistics).await;
        let settings = [
            "session_preload_libraries = 'auto_explain'",
            "auto_explain.log_min_duration = 0",
            "auto_explain.log_analyze = on",
            "auto_explain.log_timing = off",
            "auto_explain.log_nested_statements = on",
            "auto_explain.log_format = json",
            "auto_explain.log_level = notice",
        ];
        for setting in settings {
            run(&mut database, &format!("ALTER DATABASE {name} SET {setting}")).await;
        }
        let replica = app.replica(TrustedProxies::default());
        let plans = Plans::default();
        let _listening = heard_by(plans.clone());
        a_day(&replica, "second").await;
        copies(&replica, 1000..1150).await;
        plans.take();
        a_day(&replica, "third").await;
        let (count, greedy) = plans.take();
        assert!(count > 50, "{count} plans were told of");
        if !greedy.is_empty() {
            found.insert(known, greedy);
        }
        replica.stop().await;
        app.leave().await;
    }
    assert!(found.is_empty(), "{found:#?}");
}
