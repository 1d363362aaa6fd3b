//! Telling merchants: events that are there go to receivers that answer at once.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::measure::QUIET;
use crate::report::{Curve, Lane, Plot};
use crate::rig::Rig;
use crate::rig::house::House;
use crate::rig::meter::Spent;
use crate::sink::Sink;

/// What a delivery cost.
struct Delivered {
    count: f64,
    seconds: f64,
    spent: Spent,
    commits: Option<f64>,
    statements: f64,
    twice: f64,
}

impl Delivered {
    fn rate(&self) -> f64 {
        self.count / self.seconds
    }

    fn cpu(&self) -> f64 {
        (self.spent.gateway + self.spent.postgres) * 1000.0 / self.count
    }
}

/// Makes endpoints of the merchant; some of them never answer.
async fn endpoints(house: &mut House<'_>, sink: &Sink, good: usize, hanging: usize) -> anyhow::Result<()> {
    house.serve("api", &[]).await?;
    for number in 0..good + hanging {
        let path = if number < good { format!("e{number}") } else { "hang".to_owned() };
        house.call("POST", "/v1/webhook_endpoints", &json!({ "url": format!("http://{}/{path}", sink.address), "events": ["*"] })).await?;
    }
    house.stop_gateways().await
}

/// So many events happen, four of each order, of the size of ours; the trigger hands them to the endpoints.
pub async fn events(house: &House<'_>, first: usize, count: usize) -> anyhow::Result<()> {
    for from in (first..first + count).step_by(500) {
        let to = (from + 500).min(first + count) - 1;
        house
            .run(&format!(
                "INSERT INTO events (merchant_id, event_id, event_type, order_id, sequence, body, created_at)
                 SELECT '{}', (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7' || right(md5(n::text), 19))::uuid,
                     'payout.processing', md5('o' || n / 4)::uuid, n % 4 + 1,
                     json_build_object('type', 'payout.processing', 'sequence', n % 4 + 1, 'data', repeat('x', 700)), now()
                 FROM generate_series({from}, {to}) n",
                house.rig.merchant
            ))
            .await?;
    }
    Ok(())
}

/// Starts a worker and waits until the receivers that answer have been told everything. The clock runs from the first claim on.
async fn deliver(house: &mut House<'_>, sink: &Sink, wanted: u64) -> anyhow::Result<Delivered> {
    let server = &house.rig.server;
    server.run("postgres", "CHECKPOINT").await?;
    server.run("postgres", "CREATE EXTENSION IF NOT EXISTS pg_stat_statements; SELECT pg_stat_statements_reset()").await?;
    let from = place(house).await?;
    let before = sink.look(|received| (received.count, received.twice));
    let began = Instant::now();
    house.serve("worker", &[]).await?;
    let meter = house.meter();
    while sink.look(|received| received.count) < before.0 + wanted {
        anyhow::ensure!(began.elapsed() < Duration::from_secs(300), "not all was delivered");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let last = sink.look(|received| received.last).unwrap_or(began);
    let spent = meter.stop();
    // What was told last is written down now.
    let calls = format!(
        "SELECT sum(calls)::bigint FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = '{}')",
        house.database
    );
    tokio::time::sleep(Duration::from_millis(200)).await;
    let statements = server.number("postgres", &calls).await? as f64;
    let to = place(house).await?;
    let commits = server.wal(&from, &to).ok().map(|wal| wal.commits / wanted as f64);
    let twice = sink.look(|received| received.twice) - before.1;
    // Without a good end: that would wait ten seconds for a receiver that hangs.
    house.gateways.clear();
    let seconds = last.duration_since(began).as_secs_f64();
    Ok(Delivered { count: wanted as f64, seconds, spent, commits, statements: statements / wanted as f64, twice: twice as f64 })
}

async fn place(house: &House<'_>) -> anyhow::Result<String> {
    let mut connection = house.rig.server.connect("postgres").await?;
    Ok(sqlx::query_scalar("SELECT pg_current_wal_flush_lsn()::text").fetch_one(&mut connection).await?)
}

/// The main lane: end to end from the start of a worker.
pub async fn webhooks(rig: &Rig) -> anyhow::Result<Lane> {
    let mut lane = Lane::new("webhooks", "deliveries to receivers that answer at once, from the start of a worker to the last answer");
    let mut curve = Vec::new();
    let deliveries = rig.pick(6_000, 40_000);
    for good in rig.pick(vec![10], vec![1, 10, 50]) {
        let sink = Sink::start().await?;
        let mut house = House::open(rig).await?;
        endpoints(&mut house, &sink, good, 0).await?;
        events(&house, 0, deliveries / good).await?;
        let done = deliver(&mut house, &sink, (deliveries / good * good) as u64).await?;
        let name = format!("{good} endpoint{}", if good == 1 { "" } else { "s" });
        lane.figure(format!("{name}: rate"), done.rate(), "/s");
        lane.cpu(&name, &done.spent, done.count);
        lane.figure(format!("{name}: statements a delivery"), done.statements, "");
        match done.commits {
            Some(commits) => lane.figure(format!("{name}: commits a delivery"), commits, ""),
            None => lane.note(format!("{name}: the log was recycled before its commits could be counted")),
        }
        lane.gate(format!("{name}: deliveries that came twice"), done.twice, 0.0);
        curve.push((good as f64, done.cpu()));
        if good == 10 {
            let noisy = done.spent.foreign > QUIET;
            lane.at_least("webhooks delivered in a second", done.rate(), 6_600.0, noisy);
            lane.at_most("CPU of gateway and Postgres for 1,000 webhooks", done.cpu(), 0.25, noisy);
            if let Some(commits) = done.commits {
                lane.at_most("commits a webhook", commits, 0.1, false);
            }
        }
        house.close().await?;
    }
    if !rig.quick {
        lane.plots.push(Plot {
            file: "webhooks-endpoints",
            title: "Webhooks: CPU of gateway and Postgres per 1,000, by endpoints".to_owned(),
            axes: ("endpoints", "CPU-seconds per 1,000"),
            curves: vec![Curve { name: "delivery".to_owned(), points: curve }],
        });
    }
    Ok(lane)
}

/// One receiver hangs, the others do not.
pub async fn hang(rig: &Rig) -> anyhow::Result<Lane> {
    let mut lane = Lane::new("hang", "one receiver never answers: what the others notice of it");
    let (good, each) = (rig.pick(20, 45), rig.pick(60, 450));
    let mut rates = Vec::new();
    let mut noisy = false;
    for hanging in [0, 1] {
        let sink = Sink::start().await?;
        let mut house = House::open(rig).await?;
        endpoints(&mut house, &sink, good, hanging).await?;
        events(&house, 0, each).await?;
        let done = deliver(&mut house, &sink, (good * each) as u64).await?;
        lane.figure(format!("{good} that answer, {hanging} that hangs: rate of those that answer"), done.rate(), "/s");
        noisy |= done.spent.foreign > QUIET;
        rates.push(done.rate());
        house.close().await?;
    }
    lane.at_least("rate of the others with one that hangs, in that without", rates[1] / rates[0], 0.95, noisy);
    Ok(lane)
}

/// History beside the queue, and a transaction that keeps vacuum away.
pub async fn outbox(rig: &Rig) -> anyhow::Result<Lane> {
    let mut lane = Lane::new("outbox", "the queue beside delivered history, and while an old transaction keeps vacuum away");
    let (deliveries, history) = (rig.pick(4_000, 20_000), rig.pick(50_000, 1_000_000));
    let mut rates = Vec::new();
    let mut noisy = false;
    for variant in ["fresh", "with history", "with an old transaction"] {
        let sink = Sink::start().await?;
        let mut house = House::open(rig).await?;
        endpoints(&mut house, &sink, 10, 0).await?;
        if variant == "with history" {
            delivered(&house, history).await?;
        }
        let mut old = house.rig.server.connect(&house.database).await?;
        if variant == "with an old transaction" {
            sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM events").execute(&mut old).await?;
            events(&house, deliveries, deliveries / 10).await?;
            // Rows that are taken and cannot be cleaned away stand before those that are measured.
            deliver(&mut house, &sink, deliveries as u64 / 10 * 10).await?;
        }
        events(&house, 0, deliveries / 10).await?;
        let done = deliver(&mut house, &sink, deliveries as u64 / 10 * 10).await?;
        lane.figure(format!("{variant}: rate"), done.rate(), "/s");
        lane.figure(format!("{variant}: CPU of gateway and Postgres per 1,000"), done.cpu(), "s");
        noisy |= done.spent.foreign > QUIET;
        rates.push(done.rate());
        drop(old);
        house.close().await?;
    }
    lane.at_least(format!("rate beside {history} delivered rows, in that of a fresh queue"), rates[1] / rates[0], 0.8, noisy);
    lane.at_least("rate with an old transaction, in that of a fresh queue", rates[2] / rates[0], 0.8, noisy);
    Ok(lane)
}

/// Deliveries that were made earlier in the month. (Older ones than there are months for would keep housekeeping busy.)
async fn delivered(house: &House<'_>, count: u64) -> anyhow::Result<()> {
    house
        .run(&format!(
            "SET session_replication_role = replica;
             INSERT INTO webhook_deliveries (merchant_id, delivery_id, endpoint_id, event_id, event_type, order_id, state, attempts, created_at, finished_at)
             SELECT n.merchant_id, delivery_id_of(e.id, n.endpoint_id), n.endpoint_id, e.id, 'payout.succeeded', e.id, 'delivered', 1, now(), now()
             FROM (SELECT * FROM webhook_endpoints LIMIT 1) n,
                  LATERAL (SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(s), 19, '0'))::uuid AS id
                          FROM generate_series(1, {count}) s) e"
        ))
        .await?;
    house.run("VACUUM ANALYZE webhook_deliveries").await
}
