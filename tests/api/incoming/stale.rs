//! Two readers of one feed, stepped statement by statement: whatever one of them has read is out of date at any point.

use std::pin::pin;
use std::sync::Arc;

use futures_util::poll;
use serde_json::json;
use tillgate::domain::ids::{MerchantId, TradeId};
use tillgate::domain::money::Amount;
use tillgate::domain::order::Provider;
use tillgate::flows::{Context, feed};
use tillgate::http::auth::TrustedProxies;
use tillgate::store::feeds::{EntryRow, FeedKey, Page, keep};
use tillgate::store::orders;
use tillgate::store::pool::Lease;
use tillgate::store::session::Session;
use tokio::task::JoinHandle;

use super::{Payer, expect, finish, round, show, start};
use crate::harness::TestApp;

/// More than a reading needs until it has written what it found.
const STEPS: usize = 8;

/// A reading of the feed that goes on by one statement when it is told to: it has one connection to the database, and the
/// test takes that whenever the reading lets go of it.
struct Reading {
    context: Arc<Context>,
    connection: Option<Lease>,
    task: JoinHandle<()>,
}

impl Reading {
    async fn begin(replica: &TestApp, merchant: MerchantId, trade_id: &str) -> Self {
        let context = replica.context.clone();
        let mut connection = context.db.get().await.expect("the connection");
        let trade_id = TradeId::parse(trade_id).expect("a trade id");
        let found = orders::by_trade_id(&mut connection, merchant, &trade_id).await.expect("an answer");
        let (order, _) = found.expect("the order");
        let reads = context.clone();
        let task = tokio::spawn(async move {
            feed::refresh(&reads, order).await.expect("a reading");
        });
        // It waits for the connection from now on.
        tokio::task::yield_now().await;
        Self { context, connection: Some(connection), task }
    }

    /// One statement more. The reading stands in the queue for the connection before the test does.
    async fn step(&mut self) {
        let mut next = pin!(self.context.db.get());
        assert!(poll!(&mut next).is_pending(), "the test has the connection");
        self.connection = None;
        self.connection = Some(next.await.expect("the connection"));
    }

    /// All the rest.
    async fn end(mut self) {
        self.connection = None;
        self.task.await.expect("the reading ends");
    }
}

/// A reader has stored a deposit and gone no further.
async fn stored(database: &mut Session, payer: &Payer<'_>, merchant: MerchantId, number: u64, amount: &str) {
    let app = payer.app;
    let now = app.clock.now();
    let entry = EntryRow {
        number: i64::try_from(number).expect("a number"),
        receipt_id: app.clock.new_uuid(),
        provider_user: Some(&payer.uid.to_string()),
        coin: Some("ETH"),
        provider_coin_id: Some("ETH"),
        amount: Some(Amount::parse(amount).expect("an amount")),
        progress: Some("confirmed"),
        address: None,
        txid: None,
        confirmations: None,
        seen_at: None,
        sealed_raw: None,
    };
    let page = Page {
        feed: FeedKey { merchant_id: merchant, provider: Provider::Hicoin },
        entries: &[entry],
        asked: &[],
        missing: &[],
        cursor: None,
        schedule: &[],
        grace: std::time::Duration::ZERO,
        now,
        leased_until: now,
    };
    assert_eq!(keep(database, &page).await.expect("a page"), 1);
}

/// One reader knows of the nine only, the other of the nine and the four: wherever they overtake each other, nine goes to
/// the order that asks for nine, and four to the one that asks for four, though an older one would take anything.
#[tokio::test]
async fn wherever_two_readers_overtake_each_other_money_finds_its_home() {
    let app = start(&json!({})).await;
    let alone = [("TILLGATE__DATABASE__MAX_CONNECTIONS", "1")];
    let replicas = [app.replica_with(&alone, TrustedProxies::default()), app.replica_with(&alone, TrustedProxies::default())];
    // From now on there is a feed.
    round(&app).await;
    let merchant =
        MerchantId(sqlx::query_scalar("SELECT merchant_id FROM merchants").fetch_one(&mut *app.lease().await).await.expect("a merchant"));
    for (first, second) in (0..=STEPS).flat_map(|first| (0..=STEPS).map(move |second| (first, second))) {
        let payer = Payer::new(&app, &format!("payer-{first}-{second}")).await;
        let [four, nine, six] = ["four", "nine", "six"].map(|asks| format!("{asks}-{first}-{second}"));
        for (trade_id, amount) in [(&four, "4"), (&nine, "9"), (&six, "6")] {
            payer.ask(trade_id, amount).await;
        }
        let nine_comes = payer.hide("9");
        stored(&mut *app.lease().await, &payer, merchant, nine_comes, "9").await;
        let mut one = Reading::begin(&replicas[0], merchant, &six).await;
        for _ in 0..first {
            one.step().await;
        }
        let four_comes = payer.hide("4");
        stored(&mut *app.lease().await, &payer, merchant, four_comes, "4").await;
        let mut other = Reading::begin(&replicas[1], merchant, &six).await;
        for _ in 0..second {
            other.step().await;
        }
        one.step().await;
        other.end().await;
        one.end().await;
        let paid = [(four.as_str(), "succeeded 4/4 exact"), (&nine, "succeeded 9/9 exact"), (&six, "awaiting_payment 0/0 none")];
        expect(&app, &paid).await;
        for number in [nine_comes, four_comes] {
            show(&app, number);
            finish(&app, number);
        }
    }
    round(&app).await;
    app.everything_is_found().await;
    for replica in replicas {
        replica.stop().await;
    }
    app.finish().await;
}
