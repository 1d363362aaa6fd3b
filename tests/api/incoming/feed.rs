//! Reading the list: pages, failures between them, and what a reading costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tillgate::domain::money::Amount;
use tillgate::domain::order::Provider;
use tillgate::sandbox::{Fault, HicoinTo, Times};
use tillgate::store::feeds::{EntryRow, FeedKey, Page, keep};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};

use super::{Payer, expect, finish, much, round, start};
use crate::harness::TestApp;

/// Strangers' money.
fn others(app: &TestApp, count: usize) {
    for _ in 0..count {
        app.sandbox.hicoin_deposit(None, &HicoinTo::Uid(77), "ETH", much("0.01")).expect("a deposit");
    }
}

async fn place(app: &TestApp) -> (i64, i64, bool) {
    let mut database = app.database().await;
    let (cursor, read) =
        sqlx::query_as("SELECT cursor, read_at IS NOT NULL FROM deposit_feeds").fetch_one(&mut database).await.expect("a feed");
    (cursor, app.count("receipts").await, read)
}

#[tokio::test(flavor = "multi_thread")]
async fn many_pages_are_read_to_the_end_and_a_failure_between_them_loses_nothing() {
    let app = start(&json!({})).await;
    let ada = Payer::new(&app, "ada").await;
    ada.ask("d-1", "2").await;
    others(&app, 120);
    ada.pay("2");
    others(&app, 129);
    for fault in [Fault::Error500Before, Fault::GarbageAfter, Fault::TruncatedAfter, Fault::LoseAfter, Fault::Code(100_001)] {
        // The page on which this number is.
        app.sandbox.inject("syncDepositList", Some("121"), fault, Times::Count(1));
        round(&app).await;
        assert_eq!(place(&app).await, (100, 100, false), "the cursor is where the storing ended");
    }
    expect(&app, &[("d-1", "awaiting_payment 0/0 none")]).await;
    let before = app.sandbox.calls("syncDepositList");
    round(&app).await;
    assert_eq!(place(&app).await, (250, 250, true));
    assert_eq!(app.sandbox.calls("syncDepositList") - before, 4, "three pages, and nothing after them");
    expect(&app, &[("d-1", "succeeded 2/2 exact")]).await;
    // A list that leaves things out is made good by the next one.
    others(&app, 3);
    let number = ada.send("1");
    app.sandbox.inject("syncDepositList", Some(&number.to_string()), Fault::Omit, Times::Count(2));
    round(&app).await;
    assert_eq!(place(&app).await, (253, 253, true));
    round(&app).await;
    assert_eq!(place(&app).await, (254, 254, true));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_and_not_heard_of_is_heard_by_whoever_comes_next() {
    let app = start(&json!({})).await;
    let ada = Payer::new(&app, "ada").await;
    ada.ask("d-1", "2").await;
    round(&app).await;
    let number = i64::try_from(ada.pay("2")).expect("a number");
    let (now, uid) = (app.clock.now(), ada.uid.to_string());
    let merchant_id =
        sqlx::query_scalar("SELECT merchant_id FROM deposit_feeds").fetch_one(&mut app.database().await).await.expect("a merchant");
    let row = EntryRow {
        number,
        receipt_id: app.clock.new_uuid(),
        provider_user: Some(&uid),
        coin: Some("ETH"),
        provider_coin_id: Some("ETH"),
        amount: Amount::parse("2").ok(),
        progress: Some("confirmed"),
        address: None,
        txid: Some("0x1"),
        confirmations: Some(11),
        seen_at: None,
        sealed_raw: None,
    };
    let page = Page {
        feed: FeedKey { merchant_id: tillgate::domain::ids::MerchantId(merchant_id), provider: Provider::Hicoin },
        entries: std::slice::from_ref(&row),
        asked: &[],
        missing: &[],
        cursor: Some(number),
        schedule: &[5000],
        grace: Duration::from_hours(24),
        now,
        leased_until: now + Duration::from_secs(30),
    };
    // A reader stores a page and is gone.
    assert_eq!(keep(&mut *app.lease().await, &page).await.expect("it is kept"), 1);
    assert_eq!(keep(&mut *app.lease().await, &page).await.expect("it is kept"), 0);
    round(&app).await;
    expect(&app, &[("d-1", "awaiting_payment 0/0 none")]).await;
    // Its lease ends; and though the provider is down then, what is here is heard.
    app.sandbox.inject("syncDepositList", None, Fault::LoseBefore, Times::Forever);
    app.advance(Duration::from_secs(30));
    app.settle_down().await;
    expect(&app, &[("d-1", "succeeded 2/2 exact")]).await;
    app.sandbox.clear_faults();
    round(&app).await;
    app.everything_is_found().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_again_without_news_writes_to_no_receipt_and_no_order() {
    let app = start(&json!({})).await;
    let ada = Payer::new(&app, "ada").await;
    ada.ask("d-1", "2").await;
    ada.ask("d-2", "3").await;
    ada.pay("2");
    ada.send("1");
    others(&app, 5);
    round(&app).await;
    let rows = async || -> Vec<(String, String)> {
        let query =
            "SELECT 'receipt', xmin::text || ctid::text FROM receipts UNION ALL SELECT 'order', xmin::text || ctid::text FROM orders
                     UNION ALL SELECT 'step', ctid::text FROM steps UNION ALL SELECT 'event', ctid::text FROM events ORDER BY 1, 2";
        sqlx::query_as(query).fetch_all(&mut app.database().await).await.expect("rows")
    };
    let (before, read) = (rows().await, app.sandbox.calls("syncDepositList"));
    for _ in 0..3 {
        round(&app).await;
    }
    assert_eq!(rows().await, before);
    assert_eq!(app.sandbox.calls("syncDepositList") - read, 6, "it was read again");
    app.finish().await;
}

/// Counts the statements that this thread's tasks send, and what goes wrong in them.
#[derive(Default)]
struct Statements {
    sent: AtomicUsize,
    errors: AtomicUsize,
}

struct Counting(Arc<Statements>);

impl Subscriber for Counting {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query" || (metadata.target().starts_with("tillgate") && *metadata.level() == tracing::Level::ERROR)
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let which = if event.metadata().target() == "sqlx::query" { &self.0.sent } else { &self.0.errors };
        which.fetch_add(1, Ordering::Relaxed);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// The statements of one reading of a page with so many pending deposits of as many orders, and of one in which all are confirmed.
async fn statements(changes: usize) -> (usize, usize) {
    let app = start(&json!({})).await;
    let ada = Payer::new(&app, "ada").await;
    for number in 0..changes {
        ada.ask(&format!("d-{number}"), "2").await;
    }
    let numbers: Vec<u64> = (0..changes).map(|_| ada.send("2")).collect();
    let counted = Arc::new(Statements::default());
    // Two, and for all the test: of a single one, other threads would conclude that nobody listens.
    let listeners = [0, 1].map(|_| Dispatch::new(Counting(Arc::clone(&counted))));
    let mut costs = Vec::new();
    for _ in 0..2 {
        app.advance(Duration::from_secs(10));
        // What is remembered for some seconds is fresh: accounts and coins.
        assert_eq!(ada.try_ask("d-0", "2").await.status, 200);
        let before = counted.sent.load(Ordering::Relaxed);
        let guard = tracing::dispatcher::set_default(&listeners[0]);
        assert_eq!(app.read_feeds().await, 1);
        drop(guard);
        costs.push(counted.sent.load(Ordering::Relaxed) - before);
        for number in &numbers {
            // Those that are done are done.
            let _ = app.sandbox.hicoin_finish(None, *number);
        }
    }
    assert_eq!(counted.errors.load(Ordering::Relaxed), 0);
    assert_eq!(app.count("orders WHERE status = 'succeeded'").await, i64::try_from(changes).expect("a number"));
    app.finish().await;
    (costs[0], costs[1])
}

// On one thread: what it sends is this test's.
#[tokio::test]
async fn a_page_of_many_changes_takes_as_many_statements_as_one_of_few() {
    let (few, many) = (statements(10).await, statements(100).await);
    // One more or less is an account that is read anew after some seconds.
    let alike = |few: usize, many: usize| (6..20).contains(&few) && many <= few + 2;
    assert!(alike(few.0, many.0) && alike(few.1, many.1), "{few:?} {many:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn confirmations_are_news_of_the_same_status() {
    let app = start(&json!({})).await;
    let ada = Payer::new(&app, "ada").await;
    ada.ask("d-1", "2").await;
    let number = ada.send("2");
    round(&app).await;
    app.sandbox.hicoin_confirm(None, number, 4).expect("a deposit");
    round(&app).await;
    let order = app.get("/v1/deposits/d-1").await.body;
    assert_eq!((&order["confirmations"], &order["status"], &order["sequence"]), (&json!(4), &json!("processing"), &json!(4)));
    finish(&app, number);
    round(&app).await;
    expect(&app, &[("d-1", "succeeded 2/2 exact")]).await;
    app.finish().await;
}
