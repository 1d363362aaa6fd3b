//! Asking a wallet about many at once: open payouts by pages, and its list of incoming money.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use md5::{Digest, Md5};
use serde_json::{Value, json};
use tillgate::sandbox::HicoinApp;

use crate::load::{Maker, Target, Until, closed};
use crate::measure::QUIET;
use crate::report::{Curve, Lane, Plot};
use crate::rig::Rig;
use crate::rig::house::House;
use crate::seed;

const ADDRESS: &str = "0x754b0c610e311d0d00c810ef857b4dd989a67162";
/// How long a round may take.
const WITHIN: Duration = Duration::from_secs(240);

/// A call of Hicoin, signed as its document says.
fn signed(path: &str, parameters: &[(&str, String)]) -> (&'static str, String, String) {
    let app = HicoinApp::default();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut all: BTreeMap<&str, String> = parameters.iter().cloned().collect();
    all.insert("app_id", app.app_id);
    all.insert("time", now.to_string());
    let text = all.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
    let sign = hex::encode(Md5::digest(format!("{text}{}", app.app_secret)));
    ("POST", format!("/hicoin/{path}"), format!("{text}&sign={sign}"))
}

fn wallet(house: &House<'_>) -> Target {
    let addresses = vec![([127, 0, 0, 1], house.rig.sandbox_port).into()];
    Target { addresses, key: String::new(), content_type: "application/x-www-form-urlencoded" }
}

/// Withdrawals that Hicoin has and nobody has reviewed.
async fn fill(house: &House<'_>, count: u64) -> anyhow::Result<()> {
    let uid = HicoinApp::default().uid;
    house.wallet("POST", "hicoin/balances", &json!({ "uid": uid, "symbol": "ETH", "amount": "100000000" })).await?;
    let make: Maker = Arc::new(move |number| {
        let own = [
            ("request_id", format!("seed-{number}")),
            ("from_uid", uid.to_string()),
            ("to_address", ADDRESS.to_owned()),
            ("amount", "1".to_owned()),
            ("symbol", "ETH".to_owned()),
        ];
        signed("api/billing/withdraw", &own)
    });
    closed(&wallet(house), 8, 1, Until::Count(count), &make).await?.must_be_good()?;
    Ok(())
}

/// What asking once about all that is open has cost.
#[derive(Default)]
struct Round {
    /// In seconds.
    took: f64,
    /// Of gateway and Postgres, in seconds.
    cpu: f64,
    foreign: f64,
    /// Those that are for pages, without their claims.
    statements: f64,
}

impl Round {
    /// Makes all due, and waits until nobody is asked about any more.
    async fn play(house: &House<'_>, not_asked: &str, pages: f64) -> anyhow::Result<Self> {
        let server = &house.rig.server;
        server.run("postgres", "CREATE EXTENSION IF NOT EXISTS pg_stat_statements; SELECT pg_stat_statements_reset()").await?;
        house.run("UPDATE tasks SET due_at = now(), leased_until = NULL, tries = 0").await?;
        let meter = house.meter();
        let took = house.until(not_asked, 0, WITHIN).await?.as_secs_f64();
        let spent = meter.stop();
        // More often than what workers ask from time to time.
        let often = (pages * 0.9).max(10.0 * took);
        let sql = format!(
            "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements
             WHERE dbid = (SELECT oid FROM pg_database WHERE datname = '{}')
               AND query NOT LIKE '%WITH first AS%' AND query NOT LIKE '%due_at <= now()%' AND calls >= {often}",
            house.database
        );
        let statements = server.number("postgres", &sql).await? as f64;
        Ok(Self { took, cpu: spent.gateway + spent.postgres, foreign: spent.foreign, statements })
    }
}

/// Open payouts: a hundred in a question, and nothing is written to those of which there is nothing new.
pub async fn poll(rig: &Rig) -> anyhow::Result<Lane> {
    let mut lane = Lane::new("poll", "a round of questions about open payouts of which there is nothing new, statistics stale");
    let history = rig.pick(0, 1_000_000);
    let (mut curve, mut at_1k, mut noisy) = (Vec::new(), 0.0, false);
    for open in rig.pick(vec![1_000, 10_000], vec![100, 1_000, 10_000, 100_000]) {
        let mut house = House::open(rig).await?;
        house.run("ALTER TABLE tasks SET (autovacuum_enabled = off); ALTER TABLE orders SET (autovacuum_enabled = off)").await?;
        house.run("ANALYZE").await?;
        if history > 0 {
            seed::history(&house, 1_000_001, 1_000_000 + history).await?;
        }
        fill(&house, open).await?;
        seed::open_withdrawals(&house, 1, open).await?;
        let settings = [("TIMING__POLL_SCHEDULE", "1h"), ("TIMING__LEASE", "120s")];
        // Whoever is asked about is due when the lease ends, and an hour later when the answer is there.
        let not_asked =
            "SELECT count(*) FROM (SELECT FROM tasks WHERE work = 'poll' AND due_at <= now() + interval '10 minutes' LIMIT 1) due";
        // The first round hears that they are under review; those after it hear nothing new, and are the ones that count.
        house.serve("worker", &settings).await?;
        house.until(not_asked, 0, WITHIN).await?;
        let written =
            "SELECT coalesce(sum(hashtext(ctid::text)::bigint), 0)::bigint + (SELECT count(*) FROM steps) FROM orders WHERE NOT is_final";
        let before = house.number(written).await?;
        let questions = questions(&house).await?;
        let pages = open as f64 / 100.0;
        // One of a thousand is too short to be measured.
        let rounds = if open == 1_000 { 5 } else { 1 };
        let mut sum = Round::default();
        for _ in 0..rounds {
            let round = Round::play(&house, not_asked, pages).await?;
            sum.took += round.took;
            sum.cpu += round.cpu;
            sum.statements += round.statements;
            sum.foreign = sum.foreign.max(round.foreign);
        }
        let rounds = f64::from(rounds);
        let asked = (self::questions(&house).await? - questions) / rounds;
        let (took, cpu, foreign) = (sum.took / rounds, sum.cpu / rounds, sum.foreign);
        lane.figure(format!("{open} open: round"), took, "s");
        lane.figure(format!("{open} open: CPU of gateway and Postgres"), cpu, "s");
        lane.figure(format!("{open} open: CPU per 1,000 orders"), cpu * 1000.0 / open as f64, "s");
        lane.gate(format!("{open} open: questions to the wallet"), asked, pages.ceil());
        // A claim is a statement as well, also where it finds nothing: one of the three.
        // Those of a single page cannot be told from the others.
        if pages >= 10.0 {
            lane.gate(format!("{open} open: statements a page, its claim left out"), sum.statements / rounds / pages, 2.0);
        }
        let changed = (house.number(written).await? != before) as u8;
        lane.gate(format!("{open} open: orders were written although nothing is new (1: yes)"), f64::from(changed), 0.0);
        curve.push((open as f64, cpu * 1000.0 / open as f64));
        noisy |= foreign > QUIET;
        match open {
            1_000 => at_1k = cpu / 1_000.0,
            10_000 => lane.at_most("CPU for a round of 10,000 open payouts", cpu, 1.0, foreign > QUIET),
            100_000 => lane.at_most("cost of one of 100,000 open payouts, in that of one of 1,000", cpu / 100_000.0 / at_1k, 1.2, noisy),
            _ => {}
        }
        house.close().await?;
    }
    lane.plots.push(Plot {
        file: "poll-open",
        title: "Polling: CPU of gateway and Postgres per 1,000 open payouts".to_owned(),
        axes: ("open payouts", "CPU-seconds per 1,000"),
        curves: vec![Curve { name: "a round".to_owned(), points: curve }],
    });
    Ok(lane)
}

async fn questions(house: &House<'_>) -> anyhow::Result<f64> {
    let calls = house.wallet("GET", "calls", &Value::Null).await?;
    Ok(calls["counts"]["withdrawList"].as_f64().unwrap_or_default())
}

/// The list of incoming money: pages of a hundred, applied as they come.
pub async fn feed(rig: &Rig) -> anyhow::Result<Lane> {
    let mut lane = Lane::new("feed", "entries of a wallet's list of deposits, read by the page and applied");
    let entries: u64 = rig.pick(5_000, 100_000);
    let mut house = House::open(rig).await?;
    house.serve("api", &[]).await?;
    house.call("POST", "/v1/customers", &json!({ "customer": "ada", "email": "ada@shop.example" })).await?;
    house.stop_gateways().await?;
    let uid: String = {
        let mut connection = rig.server.connect(&house.database).await?;
        sqlx::query_scalar("SELECT provider_user FROM wallet_users").fetch_one(&mut connection).await?
    };
    let uid: u64 = uid.parse()?;
    let control = Target { content_type: "application/json", ..wallet(&house) };
    for path in ["deposits", "deposits/finish"] {
        let make: Maker = Arc::new(move |number| {
            let body = if path == "deposits" { json!({ "uid": uid, "symbol": "ETH", "amount": "0.5" }) } else { json!({ "id": number }) };
            ("POST", format!("/_control/hicoin/{path}"), body.to_string())
        });
        closed(&control, 4, 1, Until::Count(entries), &make).await?.must_be_good()?;
    }
    rig.server.run("postgres", "CREATE EXTENSION IF NOT EXISTS pg_stat_statements; SELECT pg_stat_statements_reset()").await?;
    house.serve("worker", &[("TIMING__FEED_PERIOD", "1h")]).await?;
    let meter = house.meter();
    let took = house.until("SELECT count(*) FROM receipts WHERE NOT unheard", i64::try_from(entries)?, WITHIN).await?;
    let spent = meter.stop();
    let pages = entries as f64 / 100.0;
    let calls = rig
        .server
        .number(
            "postgres",
            &format!(
                "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements WHERE calls >= {}
                 AND (query LIKE '%receipts%' OR query LIKE '%feed%') AND query NOT LIKE '%count(*) FROM receipts%' AND dbid = (SELECT oid FROM pg_database WHERE datname = '{}')",
                pages / 2.0,
                house.database
            ),
        )
        .await? as f64;
    let rate = entries as f64 / took.as_secs_f64();
    lane.figure("entries applied", entries as f64, "");
    lane.figure("rate", rate, "/s");
    lane.figure("statements a page", calls / pages, "");
    lane.cpu("entries", &spent, entries as f64);
    lane.gate("statements a page of the list", (calls / pages - 0.05).max(0.0), 3.0);
    lane.at_least("entries applied in a second", rate, 20_000.0, spent.foreign > QUIET);
    house.close().await?;
    Ok(lane)
}
