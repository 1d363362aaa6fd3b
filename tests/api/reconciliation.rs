//! Both sides compared: what is altered is found, with the right kind, and nothing else is.

mod altered;
mod clean;
mod fomo;
mod proofs;
mod runs;

use std::time::Duration;

use serde_json::{Value, json};
use tillgate::domain::ids::RunId;
use tillgate::domain::order::Provider;
use tillgate::flows::reconcile::{self, RunRow, Wish};
use tillgate::sandbox::{HicoinAlteration, HicoinTo, Options};
use tokio_util::sync::CancellationToken;

use crate::harness::TestApp;
use crate::hicoin::ways::{Way, World, merchant_id};

const WAYS: [Way; 4] = [Way::OnChain, Way::Internal, Way::ToUser, Way::BetweenUsers];

/// Hicoin moves orders on by itself whenever it is asked.
async fn start() -> World {
    World::start_on(Options { hicoin_auto_advance: true, ..Options::default() }, &json!({})).await
}

/// Begins a run over the last day.
pub async fn begin(app: &TestApp, provider: Provider, repair: bool) -> RunRow {
    let to = app.clock.now();
    let merchant = merchant_id(app, "acme").await;
    let wish = Wish { merchant, provider, from: to - time::Duration::days(2), to, repair, asked_by: "a test" };
    reconcile::begin(&app.context, wish).await.expect("a run").expect("a run")
}

/// A whole run over the last day.
async fn reconcile_all(app: &TestApp, provider: Provider, repair: bool) -> RunRow {
    let run = begin(app, provider, repair).await;
    let key = (run.merchant(), RunId(run.run_id));
    let run = reconcile::work(&app.context, key, &CancellationToken::new(), |_| ()).await.expect("a run").expect("nobody else's");
    assert_eq!(run.state, "finished");
    run
}

/// Open discrepancies: kind, and what each is about. In that order.
async fn open(app: &TestApp) -> Vec<(String, String)> {
    let list = app.get("/v1/discrepancies?status=open&limit=100").await.body;
    let about = |one: &Value| {
        let of = |key: &str| one[key].as_str().map(str::to_owned);
        of("trade_id").or_else(|| of("provider_receipt_id").map(|number| format!("receipt {number}"))).or_else(|| of("balance_of"))
    };
    let all = list["data"].as_array().expect("a list");
    let mut all: Vec<(String, String)> =
        all.iter().map(|one| (about(one).expect("a subject"), one["kind"].as_str().expect("a kind").to_owned())).collect();
    all.sort();
    all
}

/// Ada pays so much for a deposit of hers, which is done. Gives Hicoin's number.
async fn paid(world: &World, trade_id: &str, amount: &str) -> u64 {
    let app = &world.app;
    let wish = json!({ "trade_id": trade_id, "provider": "hicoin", "coin": "ETH", "amount": amount, "customer": "ada" });
    assert_eq!(app.post("/v1/deposits", &wish).await.status, 201);
    let number = app.sandbox.hicoin_deposit(None, &HicoinTo::Uid(10001), "ETH", amount.parse().expect("an amount")).expect("a deposit");
    app.sandbox.hicoin_finish(None, number).expect("a deposit");
    number
}

fn alter(world: &World, alteration: HicoinAlteration) {
    world.app.sandbox.alter_hicoin(None, alteration).expect("an alteration");
}

/// All is done, and old enough for lists to show it.
pub async fn all_is_done(world: &World) {
    for _ in 0..8 {
        world.pass(60).await;
    }
    world.app.advance(Duration::from_mins(20));
}

async fn events(app: &TestApp, of: &str) -> i64 {
    app.count(&format!("events WHERE event_type = '{of}'")).await
}
