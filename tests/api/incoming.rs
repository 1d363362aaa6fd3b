//! Incoming money that nobody calls us about: deposits on Hicoin's lists, and the orders that they pay.

mod creation;
mod ends;
mod feed;
mod homes;
mod list;
mod numbers;
mod play;
mod readers;
mod stale;

use std::time::Duration;

use rust_decimal::Decimal;
use serde_json::{Value, json};
use tillgate::domain::audit::By;
use tillgate::flows::setup;
use tillgate::sandbox::{HicoinTo, Options};

use crate::harness::{Answer, TestApp, hicoin, merchant};

/// Ada's account at Hicoin.
pub const ADA: u64 = 10_001;

pub async fn start(account: &Value) -> TestApp {
    TestApp::start_hicoin(Options::default(), &[], account).await
}

pub fn much(text: &str) -> Decimal {
    text.parse().expect("a decimal")
}

/// A round of the feed.
pub async fn round(app: &TestApp) {
    app.advance(Duration::from_secs(10));
    app.settle_down().await;
}

/// The merchant changes its account's settings.
pub async fn set_policy(app: &TestApp, account: &Value) {
    let mut document = merchant("acme", &app.sandbox, &json!({}));
    document.accounts.insert(tillgate::domain::order::Provider::Hicoin, hicoin(&app.sandbox, account));
    setup::apply(&app.context, &By::operator("test"), &document).await.expect("an account at Hicoin");
    app.context.tenants.forget();
}

/// A customer with an account at Hicoin, whose money goes to nobody else's orders.
pub struct Payer<'a> {
    pub app: &'a TestApp,
    pub name: String,
    pub uid: u64,
}

impl<'a> Payer<'a> {
    pub async fn new(app: &'a TestApp, name: &str) -> Self {
        let wish = json!({ "customer": name, "email": format!("{name}@shop.example") });
        let made = app.post("/v1/customers", &wish).await;
        let uid = made.body["accounts"][0]["provider_user"].as_str().and_then(|uid| uid.parse().ok()).expect("a uid");
        Self { app, name: name.to_owned(), uid }
    }

    /// Asks for ETH.
    pub async fn try_ask(&self, trade_id: &str, amount: &str) -> Answer {
        let wish = json!({ "trade_id": trade_id, "provider": "hicoin", "coin": "ETH", "amount": amount, "customer": self.name });
        self.app.post("/v1/deposits", &wish).await
    }

    pub async fn ask(&self, trade_id: &str, amount: &str) -> Answer {
        let made = self.try_ask(trade_id, amount).await;
        assert_eq!(made.status, 201, "{}", made.body);
        made
    }

    /// Sends ETH. Gives Hicoin's number of it.
    pub fn send(&self, amount: &str) -> u64 {
        self.app.sandbox.hicoin_deposit(None, &HicoinTo::Uid(self.uid), "ETH", much(amount)).expect("a deposit")
    }

    /// As [`Payer::send`], and it is confirmed at once.
    pub fn pay(&self, amount: &str) -> u64 {
        let number = self.send(amount);
        finish(self.app, number);
        number
    }

    /// As [`Payer::send`], and no list shows it yet.
    pub fn hide(&self, amount: &str) -> u64 {
        self.app.sandbox.hicoin_hidden_deposit(None, &HicoinTo::Uid(self.uid), "ETH", much(amount)).expect("a deposit")
    }
}

pub fn finish(app: &TestApp, number: u64) {
    app.sandbox.hicoin_finish(None, number).expect("a deposit");
}

pub fn abnormal(app: &TestApp, number: u64) {
    app.sandbox.hicoin_abnormal(None, number).expect("a deposit");
}

pub fn show(app: &TestApp, number: u64) {
    app.sandbox.hicoin_show(None, number).expect("a deposit");
}

/// How a deposit stands, in one line: `processing/confirming 2/0 exact`, seen and confirmed; `late` at the end where it is.
pub async fn stands(app: &TestApp, trade_id: &str) -> String {
    let order = app.get(&format!("/v1/deposits/{trade_id}")).await.body;
    let text = |key: &str| order[key].as_str().unwrap_or_default().to_owned();
    let place = order["stage"].as_str().map_or(text("status"), |stage| format!("{}/{stage}", text("status")));
    let late = if order["late"] == true { " late" } else { "" };
    format!("{place} {}/{} {}{late}", text("amount_received"), text("amount_confirmed"), text("amount_state"))
}

/// Each of these deposits stands so.
pub async fn expect(app: &TestApp, all: &[(&str, &str)]) {
    let mut found = Vec::new();
    for (trade_id, _) in all {
        found.push((*trade_id, stands(app, trade_id).await));
    }
    let found: Vec<(&str, &str)> = found.iter().map(|(trade_id, how)| (*trade_id, how.as_str())).collect();
    assert_eq!(found, all);
}

/// The types of a deposit's events, in their order.
pub async fn events(app: &TestApp, trade_id: &str) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT event_type FROM events JOIN orders USING (merchant_id, order_id) WHERE trade_id = $1 ORDER BY events.sequence",
    )
    .bind(trade_id)
    .fetch_all(&mut app.database().await)
    .await
    .expect("events")
}

/// Hicoin's numbers of what is nobody's, oldest first, with how each stands.
pub async fn unmatched(app: &TestApp) -> Vec<String> {
    let list = app.get("/v1/receipts?unmatched=true&limit=100").await;
    let mut all: Vec<String> = list.body["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| format!("{} {}", one["provider_receipt_id"].as_str().unwrap_or_default(), one["status"].as_str().unwrap_or_default()))
        .collect();
    all.reverse();
    all
}

/// Everybody's deadline passes, and the feed is read after it.
pub async fn deadline(app: &TestApp) {
    app.advance(Duration::from_mins(17));
    for _ in 0..3 {
        round(app).await;
    }
}

/// The time for late money passes.
pub async fn late_window(app: &TestApp) {
    app.advance(Duration::from_hours(24));
    for _ in 0..3 {
        round(app).await;
    }
}
