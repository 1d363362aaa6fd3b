//! What a payment costs, as exact counts: statements (each one round trip) and commits that write. Who adds one sees it here.

mod grouped;
mod growth;
mod plans;

use std::collections::BTreeSet;
use std::time::Duration;

use rust_decimal::Decimal;
use serde_json::json;
use sqlx::PgConnection;
use tillgate::domain::order::Provider;
use tillgate::sandbox::{CallbackFault, Options};
use tracing::subscriber::DefaultGuard;

use crate::harness::TestApp;
use crate::harness::statements::{Statements, heard_by, writers};
use crate::incoming::{self, Payer};
use crate::reconciliation;

/// Counts for one test, which runs on one thread: its statements are told from those of other tests by that.
struct Meter {
    statements: Statements,
    database: PgConnection,
    before: BTreeSet<String>,
    _listening: (tracing::Dispatch, DefaultGuard),
}

impl Meter {
    async fn on(app: &TestApp) -> Self {
        let statements = Statements::default();
        let listening = heard_by(statements.clone());
        Self { statements, database: app.database().await, before: BTreeSet::new(), _listening: listening }
    }

    async fn begin(&mut self) {
        self.before = writers(&mut self.database).await;
        self.statements.take("");
    }

    /// Statements and commits since the beginning.
    async fn costs(&mut self) -> (usize, usize) {
        let statements = self.statements.take("");
        let after = writers(&mut self.database).await;
        (statements, after.difference(&self.before).count())
    }
}

/// A gateway that has seen a deposit and a payout, and remembers what it needs for the next.
async fn warm() -> TestApp {
    let app = TestApp::start().await;
    app.link_ada().await;
    assert_eq!(app.deposit("first-deposit").await.status, 201);
    assert_eq!(app.payout("first-payout").await.status, 201);
    app
}

#[tokio::test]
async fn a_payout_is_made_by_one_statement_and_one_commit() {
    let app = warm().await;
    let mut meter = Meter::on(&app).await;
    meter.begin().await;
    assert_eq!(app.payout("p-1").await.status, 201);
    assert_eq!(meter.costs().await, (1, 1));
    // Who asks again gets an answer that rests on a commit, and what is there.
    meter.begin().await;
    assert_eq!(app.payout("p-1").await.status, 200);
    assert_eq!(meter.costs().await.0, 2);
    app.finish().await;
}

#[tokio::test]
async fn a_deposit_is_made_by_two_statements_around_one_call() {
    let app = warm().await;
    let mut meter = Meter::on(&app).await;
    let calls = app.sandbox.call_log().len();
    meter.begin().await;
    assert_eq!(app.deposit("d-1").await.text("status"), "awaiting_payment");
    // Of what the first commit wrote, its step is still there.
    assert_eq!(meter.costs().await, (2, 2));
    assert_eq!(app.sandbox.call_log().len() - calls, 1);
    app.finish().await;
}

#[tokio::test]
async fn a_callback_is_read_by_one_statement_and_written_by_one() {
    let app = warm().await;
    let mut meter = Meter::on(&app).await;
    assert_eq!(app.deposit("d-1").await.status, 201);
    assert_eq!(app.confirm("d-1").await, Some(1));
    meter.begin().await;
    assert_eq!(app.callbacks().await, [200]);
    assert_eq!(meter.costs().await, (2, 1));
    // Repeated, it writes nothing more.
    assert_eq!(app.deposit("d-2").await.status, 201);
    app.sandbox.callback_fault("d-2", CallbackFault::Repeat(3));
    assert_eq!(app.confirm("d-2").await, Some(1));
    meter.begin().await;
    assert_eq!(app.callbacks().await, [200, 200, 200]);
    assert_eq!(meter.costs().await, (3 * 2, 1));
    app.settle_down().await;
    app.finish().await;
}

#[tokio::test]
async fn whoever_reads_costs_one_statement() {
    let app = warm().await;
    let mut meter = Meter::on(&app).await;
    for path in ["/v1/payouts/first-payout", "/v1/deposits/first-deposit", "/v1/payouts?limit=50", "/v1/deposits?limit=50&status=succeeded"]
    {
        meter.begin().await;
        assert_eq!(app.get(path).await.status, 200, "{path}");
        assert_eq!(meter.costs().await, (1, 0), "{path}");
    }
    app.finish().await;
}

/// A page of the feed with so much news: the statements of one reading.
async fn reading(count: usize) -> [usize; 4] {
    let app = incoming::start(&json!({})).await;
    let ada = Payer::new(&app, "ada").await;
    for number in 0..count {
        ada.ask(&format!("d-{number}"), "2").await;
    }
    let mut meter = Meter::on(&app).await;
    for _ in 0..count {
        ada.send("2");
    }
    app.advance(Duration::from_secs(10));
    // What is remembered for some seconds is fresh.
    assert_eq!(ada.try_ask("d-0", "2").await.status, 200);
    meter.begin().await;
    assert_eq!(app.read_feeds().await, 1);
    let counts = ["WITH input AS", "WITH all_news AS", "WITH fresh AS", ""].map(|beginning| meter.statements.take(beginning));
    assert_eq!(app.count("orders WHERE status = 'processing'").await, i64::try_from(count).expect("a number"));
    app.finish().await;
    counts
}

#[tokio::test]
async fn a_page_of_the_feed_takes_three_statements() {
    for (news, pages) in [(10, 1), (100, 1), (150, 2)] {
        let [written, read, claims, others] = reading(news).await;
        // A page is kept, read with all that decides where it goes, and written to the orders.
        assert_eq!(written, 2 * pages, "{news}");
        // Before and after all pages, too: what others have kept.
        assert_eq!(read, pages + 2, "{news}");
        // Until no feed is due; then the numbers to ask for again, and the feed is let go of.
        assert_eq!((claims, others), (2, 2), "{news}");
    }
}

#[tokio::test]
async fn a_page_of_a_comparison_takes_three_statements() {
    let world = crate::hicoin::ways::World::start_on(Options { hicoin_auto_advance: true, ..Options::default() }, &json!({})).await;
    let way = crate::hicoin::ways::Way::OnChain;
    world.create_all((0..150).map(move |number| (way, format!("p-{number}")))).await;
    let app = &world.app;
    app.sandbox.set_hicoin_balance(None, tillgate::sandbox::HicoinApp::default().uid, "ETH", Decimal::from(1)).expect("a balance");
    reconciliation::all_is_done(&world).await;
    let mut meter = Meter::on(app).await;
    let mut pages = Vec::new();
    let run = reconciliation::begin(app, Provider::Hicoin, false).await;
    let key = (run.merchant(), tillgate::domain::ids::RunId(run.run_id));
    meter.begin().await;
    let statements = meter.statements.clone();
    let tell = |run: &tillgate::flows::reconcile::RunRow| pages.push((run.leg.clone(), statements.take("")));
    let stop = tokio_util::sync::CancellationToken::new();
    tillgate::flows::reconcile::work(&app.context, key, &stop, tell).await.expect("a run").expect("nobody else's");
    // What was counted before a page is told belongs to the page before: two of 100 and 50 orders, then the empty legs.
    let of_orders: Vec<usize> = pages.windows(2).filter(|pair| pair[0].0 == "to_address").map(|pair| pair[1].1).collect();
    assert_eq!(of_orders, [3, 3], "{pages:?}");
    world.app.finish().await;
}
