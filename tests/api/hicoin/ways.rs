//! The ways by which money leaves through Hicoin, and a world in which all of them are open.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use tillgate::domain::ids::MerchantId;
use tillgate::sandbox::{HicoinApp, Options};
use tillgate::store::accounts;

use crate::harness::TestApp;

/// An address that is nobody's at Hicoin.
pub const ADDRESS: &str = "0x754b0c610e311d0d00c810ef857b4dd989a67162";
pub const REVIEW: &str = "requires_review/outcome_unknown";
pub const MISMATCH: &str = "requires_review/mismatch";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `withdraw`, over the chain.
    OnChain,
    /// `withdraw` to an address of one of our customers, which becomes a transfer.
    Internal,
    /// `systemTransfer`.
    ToUser,
    /// `userTransfer`.
    BetweenUsers,
}

pub const WAYS: [Way; 4] = [Way::OnChain, Way::Internal, Way::ToUser, Way::BetweenUsers];

impl Way {
    /// The call that moves the money.
    pub fn operation(self) -> &'static str {
        match self {
            Self::OnChain | Self::Internal => "withdraw",
            Self::ToUser => "systemTransfer",
            Self::BetweenUsers => "userTransfer",
        }
    }

    /// The list in which Hicoin shows it.
    pub fn list(self) -> &'static str {
        match self {
            Self::OnChain => "withdrawList",
            Self::Internal | Self::BetweenUsers => "transferList",
            Self::ToUser => "systemTransferList",
        }
    }

    pub fn collection(self) -> &'static str {
        if self == Self::BetweenUsers { "transfers" } else { "payouts" }
    }

    /// The start of an order's id.
    pub fn name(self) -> &'static str {
        match self {
            Self::OnChain => "chain",
            Self::Internal => "internal",
            Self::ToUser => "user",
            Self::BetweenUsers => "between",
        }
    }
}

/// A gateway with open ways: who pays has plenty, and Bob has an address.
pub struct World {
    pub app: TestApp,
    bobs_address: String,
}

/// How an order and what was done for it look from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub place: String,
    /// What became of the calls, first to last.
    pub attempts: Vec<String>,
    /// How often Hicoin carried it out.
    pub executions: usize,
    /// How often Hicoin was told to.
    pub calls: usize,
}

pub fn seen(place: &str, attempts: &[&str], executions: usize, calls: usize) -> Seen {
    Seen { place: place.to_owned(), attempts: attempts.iter().map(|state| (*state).to_owned()).collect(), executions, calls }
}

impl World {
    /// Hicoin refuses a repeated id, and is trusted to; or it does not, and is not.
    pub async fn start(refuses_duplicates: bool) -> Self {
        let options = Options { duplicate_check: refuses_duplicates, hicoin_auto_advance: true, ..Options::default() };
        Self::start_on(options, &json!({ "trust_duplicate_refusal": refuses_duplicates })).await
    }

    pub async fn start_on(options: Options, account: &Value) -> Self {
        // Long enough for a busy machine: what hangs is sent by a replica, which waits for less.
        let app = TestApp::start_hicoin(options, &[("TILLGATE__TIMING__PROVIDER_TIMEOUT", "20s")], account).await;
        for uid in [HicoinApp::default().uid, 10001] {
            app.sandbox.set_hicoin_balance(None, uid, "ETH", Decimal::from(10_000)).expect("a balance");
        }
        let made = app.post("/v1/customers/bob/addresses", &json!({ "coin": "ETH" })).await;
        let bobs_address = made.text("address").to_owned();
        assert!(bobs_address.len() > 20, "{}", made.body);
        Self { app, bobs_address }
    }

    /// 1 ETH by this way.
    pub fn wish(&self, way: Way, trade_id: &str) -> Value {
        let mut wish = json!({ "trade_id": trade_id, "provider": "hicoin", "coin": "ETH", "amount": "1" });
        match way {
            Way::OnChain => wish["destination"] = json!({ "type": "address", "address": ADDRESS, "on_chain_only": true }),
            Way::Internal => wish["destination"] = json!({ "type": "address", "address": self.bobs_address }),
            Way::ToUser => wish["destination"] = json!({ "type": "hicoin_user", "uid": "10001" }),
            Way::BetweenUsers => {
                wish["from_customer"] = json!("ada");
                wish["to_customer"] = json!("bob");
            }
        }
        wish
    }

    pub async fn create(&self, way: Way, trade_id: &str) {
        let made = self.app.post(&format!("/v1/{}", way.collection()), &self.wish(way, trade_id)).await;
        assert_eq!((made.status, made.text("status")), (201, "queued"), "{trade_id}: {}", made.body);
    }

    /// Creates many, some at a time.
    pub async fn create_all(&self, orders: impl IntoIterator<Item = (Way, String)>) {
        stream::iter(orders).for_each_concurrent(8, |(way, trade_id)| async move { self.create(way, &trade_id).await }).await;
    }

    pub async fn place(&self, way: Way, trade_id: &str) -> String {
        self.app.place(way.collection(), trade_id).await
    }

    /// Time passes, once, and the workers work.
    pub async fn pass(&self, seconds: u64) {
        self.app.advance(Duration::from_secs(seconds));
        self.app.settle_down().await;
    }

    /// More than a day passes: whatever is to come by itself has come.
    pub async fn pass_a_day(&self) {
        self.app.live(Duration::from_hours(26), Duration::from_hours(1), false).await;
    }

    /// Everything that there is to see, by trade id.
    pub async fn seen(&self) -> BTreeMap<String, Seen> {
        let sql = "SELECT trade_id, concat_ws('/', status, stage),
                          array_remove(array_agg(a.state ORDER BY a.started_at, a.attempt_id), NULL)
                   FROM orders o LEFT JOIN attempts a USING (merchant_id, order_id)
                   GROUP BY o.merchant_id, o.order_id";
        let rows: Vec<(String, String, Vec<String>)> = sqlx::query_as(sql).fetch_all(&mut self.app.database().await).await.expect("orders");
        let mut calls: BTreeMap<String, usize> = BTreeMap::new();
        let log = self.app.sandbox.call_log();
        for call in log.iter().filter(|call| WAYS.iter().any(|way| way.operation() == call.operation)) {
            *calls.entry(call.trade_id.clone().unwrap_or_default()).or_default() += 1;
        }
        let one = |(trade_id, place, attempts): (String, String, Vec<String>)| {
            let (executions, calls) = (self.app.sandbox.executions(&trade_id), calls.get(&trade_id).copied().unwrap_or_default());
            (trade_id, Seen { place, attempts, executions, calls })
        };
        rows.into_iter().map(one).collect()
    }

    /// When Hicoin was asked about an order by its list, in seconds after `since`.
    pub fn asked(&self, way: Way, trade_id: &str, since: i64) -> Vec<i64> {
        self.times(way.list(), trade_id, since)
    }

    /// When an operation was called for an order, in seconds after `since`.
    pub fn times(&self, operation: &str, trade_id: &str, since: i64) -> Vec<i64> {
        let log = self.app.sandbox.call_log();
        let fits = log.iter().filter(|call| call.operation == operation && call.is_about(trade_id));
        fits.map(|call| call.at_ms / 1000 - since).collect()
    }
}

/// The merchant of this name.
pub async fn merchant_id(app: &TestApp, name: &str) -> MerchantId {
    let mut connection = app.context.db.get().await.expect("a connection");
    accounts::merchant_by_name(&mut connection, name).await.expect("a row").expect("a merchant").id
}
