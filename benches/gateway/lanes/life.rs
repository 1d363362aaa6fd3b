//! The whole life of payouts, sustained; and what more merchants and more processes change.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::create::payouts;
use crate::load::{Maker, Outcome, Target, Until, closed};
use crate::measure::QUIET;
use crate::report::{Curve, Lane, Plot};
use crate::rig::Rig;
use crate::rig::house::House;
use crate::rig::process::memory;
use crate::sink::Sink;

/// Created, sent to the wallet, paid, called back, and the merchant told of each step.
pub async fn life(rig: &Rig) -> anyhow::Result<Lane> {
    let mut lane = Lane::new("life", "the whole life of payouts: created, sent, paid, called back, and every step told by webhook");
    let mut house = House::open(rig).await?;
    let sink = Sink::start().await?;
    house.serve("all", &[]).await?;
    house.call("POST", "/v1/webhook_endpoints", &json!({ "url": format!("http://{}/life", sink.address), "events": ["*"] })).await?;
    let within = Duration::from_secs(240);
    let house_is_done = async |payouts| {
        house.until("SELECT count(*) FROM orders WHERE status = 'succeeded' AND provider_reference IS NOT NULL", payouts, within).await?;
        house.until("SELECT count(*) FROM webhook_queue", 0, within).await
    };
    // Some before those that count.
    let before = closed(&house.api(), 8, 0, Until::Count(200), &payouts("before")).await?.must_be_good()?.good;
    house_is_done(i64::try_from(before)?).await?;
    house.know_tables().await?;
    let told_before = sink.look(|received| received.count) as f64;
    let meter = house.meter();
    let begin = Instant::now();
    let time = Duration::from_secs(rig.pick(2, 20));
    let outcome = closed(&house.api(), 8, 0, Until::Time(time), &payouts("life")).await?.must_be_good()?;
    let created = outcome.good;
    house_is_done(i64::try_from(before + created)?).await?;
    let all = begin.elapsed().as_secs_f64();
    let spent = meter.stop();
    let told = sink.look(|received| received.count) as f64;
    lane.figure("payouts", created as f64, "");
    lane.figure("created in a second while the load ran", outcome.rate(), "/s");
    lane.figure("from created to told in a second, until the last", created as f64 / all, "/s");
    lane.figure("until all was told, after the load had ended", all - time.as_secs_f64(), "s");
    lane.figure("webhooks a payout", (told - told_before) / created as f64, "");
    lane.cpu("payouts", &spent, created as f64);
    lane.figure("peak memory of the gateway", memory(house.gateways[0].process.pid(), "VmHWM"), "MiB");
    // A payout that is done may still have news. What is written by now has been told when nothing is queued any more.
    let events = house.number("SELECT count(*) FROM events").await?;
    house.until("SELECT count(*) FROM webhook_queue", 0, within).await?;
    let untold = sink.look(|received| events as f64 - (received.count - received.twice) as f64);
    lane.gate("events that were not told", untold.max(0.0), 0.0);
    let calls = house.wallet("GET", "calls", &serde_json::Value::Null).await?;
    let paid = calls["counts"]["pay_user"].as_f64().unwrap_or_default();
    lane.gate("calls that pay, for a payout", paid / (before + created) as f64, 1.0);
    house.close().await?;
    Ok(lane)
}

/// Payouts of each of these keys in turn.
fn by_turns(keys: Vec<String>) -> impl Fn(&Target, usize) -> Target {
    move |target, number| Target { key: keys[number % keys.len()].clone(), ..target.clone() }
}

/// Eight connections, each of another merchant as far as there are others, for so long; and again with the next merchants.
async fn create_by_turns(house: &House<'_>, keys: &[String], time: Duration, prefix: &'static str) -> anyhow::Result<Outcome> {
    let own = by_turns(keys.to_vec());
    let mut running = Vec::new();
    for number in 0..8_usize {
        let (target, make) = (house.api(), payouts(prefix));
        let begin = Instant::now();
        let make: Maker = Arc::new(move |count| make(number as u64 * 1_000_000_000 + count));
        let (own, lanes) = (&own, keys.len().div_ceil(8));
        running.push(async move {
            let mut all: Option<Outcome> = None;
            let mut turn = 0;
            while begin.elapsed() < time {
                let target = own(&target, number + 8 * (turn % lanes));
                let part = closed(&target, 1, turn as u64 * 50, Until::Count(50), &make).await?.must_be_good()?;
                all = Some(match all {
                    None => part,
                    Some(before) => before.and(part)?,
                });
                turn += 1;
            }
            all.ok_or_else(|| anyhow::anyhow!("no time"))
        });
    }
    let begin = Instant::now();
    let mut parts = futures_util::future::try_join_all(running).await?.into_iter();
    let first = parts.next().ok_or_else(|| anyhow::anyhow!("no connection"))?;
    let mut outcome = parts.try_fold(first, Outcome::and)?;
    outcome.elapsed = begin.elapsed();
    Ok(outcome)
}

/// Creating payouts for one merchant and for many.
pub async fn merchants(rig: &Rig) -> anyhow::Result<Lane> {
    let mut lane = Lane::new("merchants", "create payouts of 1 to 10,000 merchants by turns, 8 connections");
    let mut curve = Vec::new();
    for count in rig.pick(vec![1, 100], vec![1, 10, 100, 1_000, 10_000]) {
        let mut house = House::open(rig).await?;
        let keys = rig.merchants(&house.database, count).await?;
        house.serve("api", &[]).await?;
        // Each merchant is met once before it counts.
        create_by_turns(&house, &keys, Duration::from_millis(rig.side_ms()), "warm").await?;
        house.know_tables().await?;
        let meter = house.meter();
        let outcome = create_by_turns(&house, &keys, Duration::from_millis(2 * rig.side_ms()), "many").await?;
        let spent = meter.stop();
        let cpu = (spent.gateway + spent.postgres) * 1000.0 / outcome.good as f64;
        lane.figure(format!("{count} merchants: rate"), outcome.rate(), "/s");
        lane.figure(format!("{count} merchants: CPU of gateway and Postgres per 1,000"), cpu, "s");
        lane.figure(format!("{count} merchants: memory of the gateway"), memory(house.gateways[0].process.pid(), "VmRSS"), "MiB");
        if spent.foreign > QUIET {
            lane.note(format!("{count} merchants: {:.0} % foreign CPU", spent.foreign * 100.0));
        }
        curve.push((count as f64, cpu));
        house.close().await?;
    }
    lane.plots.push(Plot {
        file: "merchants",
        title: "Creating payouts: CPU of gateway and Postgres per 1,000, by merchants".to_owned(),
        axes: ("merchants", "CPU-seconds per 1,000"),
        curves: vec![Curve { name: "create".to_owned(), points: curve }],
    });
    Ok(lane)
}

/// Creating payouts with one process and with several.
pub async fn replicas(rig: &Rig) -> anyhow::Result<Lane> {
    let mut lane = Lane::new("replicas", "create payouts through 1, 2 and 4 gateways on one database, 32 connections");
    let mut curve = Vec::new();
    for count in rig.pick(vec![1, 2], vec![1, 2, 4]) {
        let mut house = House::open(rig).await?;
        for _ in 0..count {
            house.serve("api", &[]).await?;
        }
        let make = payouts("r");
        let time = Duration::from_millis(rig.side_ms());
        closed(&house.api(), 32, 0, Until::Time(time), &make).await?.must_be_good()?;
        house.know_tables().await?;
        let meter = house.meter();
        let outcome = closed(&house.api(), 32, 100_000_000, Until::Time(2 * time), &make).await?.must_be_good()?;
        let spent = meter.stop();
        let cpu = (spent.gateway + spent.postgres) * 1000.0 / outcome.good as f64;
        lane.figure(format!("{count} gateways: rate"), outcome.rate(), "/s");
        lane.figure(format!("{count} gateways: CPU of gateways and Postgres per 1,000"), cpu, "s");
        if spent.foreign > QUIET {
            lane.note(format!("{count} gateways: {:.0} % foreign CPU", spent.foreign * 100.0));
        }
        curve.push((f64::from(count), cpu));
        house.close().await?;
    }
    lane.plots.push(Plot {
        file: "replicas",
        title: "Creating payouts: CPU of gateways and Postgres per 1,000, by gateways".to_owned(),
        axes: ("gateways", "CPU-seconds per 1,000"),
        curves: vec![Curve { name: "create".to_owned(), points: curve }],
    });
    Ok(lane)
}
