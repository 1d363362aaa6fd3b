//! What wallets tell us by themselves.

use std::sync::Arc;

use crate::floor::{self, For};
use crate::load::{Maker, Until, closed};
use crate::measure::{Pairs, Side};
use crate::report::Lane;
use crate::rig::Rig;
use crate::rig::counts::counted;
use crate::rig::house::House;
use crate::seed;

/// Callbacks of FOMO that end seeded payouts; `repeated` times each.
fn callbacks(rig: &Rig, repeated: u64) -> anyhow::Result<Maker> {
    // Made once, so that the load does not hash: the numbers of a load are few.
    let paths: Vec<String> = (0..seeded(rig)).map(|number| rig.callback_path(seed::order_id(number))).collect::<anyhow::Result<_>>()?;
    Ok(Arc::new(move |number| {
        let number = number / repeated;
        let path = paths[usize::try_from(number).unwrap_or_default() % paths.len()].clone();
        let body =
            format!("transfer_id=77{number}&user_id=42&trade_id=seed-{number}&coin_id=5&amount=12.5&cut_amount=0&direction=2&status=1");
        ("POST", path, body)
    }))
}

fn seeded(rig: &Rig) -> u64 {
    rig.pick(50_000, 260_000)
}

/// A callback that ends a payout.
pub async fn fresh(rig: &Rig) -> anyhow::Result<Lane> {
    let mut lane = Lane::new("callback", "a callback ends a payout: one statement to read it, one to write");
    let mut house = House::open(rig).await?;
    seed::open_payouts(&house, 0, seeded(rig)).await?;
    house.run("VACUUM ANALYZE orders, tasks").await?;
    house.serve("api", &[]).await?;
    let make = callbacks(rig, 1)?;
    let counts = counted(&house, (100, 500), |first, count| {
        let (target, make) = (house.callbacks(), Arc::clone(&make));
        async move { closed(&target, 1, first, Until::Count(count), &make).await?.must_be_good().map(drop) }
    })
    .await?;
    let ended = house.number("SELECT count(*) FROM orders WHERE status = 'succeeded'").await?;
    anyhow::ensure!(ended == 600, "600 callbacks have ended {ended} payouts");
    lane.counts("callback", &counts);
    lane.gate("round trips of a callback", counts.statements, 2.0);
    lane.gate("commits of a callback", counts.commits, 1.0);
    if !floor::is_there(rig) {
        lane.note("there is no pgbench: no floor, no ratios");
        return Ok(lane);
    }
    house.run("CHECKPOINT").await?;
    // So many orders one side of a pair may end at most.
    let most = rig.pick(2_500, 10_000);
    let mut first = 1_000;
    for (connections, goal) in [(8_usize, 0.5), (32, 1.0)] {
        let mut pairs = Pairs::default();
        for round in 0..=rig.rounds() {
            let each = rig.pick(2_000, 10_000) / connections as u64;
            let floor = floor::run(&house, "callback.sql", connections, For::Each(each), first)?;
            first += most;
            let meter = house.meter();
            let count = rig.pick(1_000, 5_000);
            let outcome = closed(&house.callbacks(), connections, first, Until::Count(count), &make).await?.must_be_good()?;
            let side = Side::of(&outcome, meter.stop());
            first += most;
            if round > 0 {
                pairs.add(side, floor);
            }
        }
        lane.pairs(&format!("callback, {connections} connections"), "same rows by pgbench", &pairs);
        lane.at_least(format!("callback at {connections} connections, in those of one statement"), pairs.ratio(), goal, pairs.noisy());
    }
    house.close().await?;
    Ok(lane)
}

/// The same callback ten times over: nothing is written after the first.
pub async fn repeated(rig: &Rig) -> anyhow::Result<Lane> {
    let mut lane = Lane::new("repeated", "a callback that came before: nothing is written");
    let mut house = House::open(rig).await?;
    seed::open_payouts(&house, 0, 10_000).await?;
    house.serve("api", &[]).await?;
    let make = callbacks(rig, 1)?;
    closed(&house.callbacks(), 8, 0, Until::Count(600), &make).await?.must_be_good()?;
    let counts = counted(&house, (100, 500), |first, count| {
        let (target, make) = (house.callbacks(), Arc::clone(&make));
        async move { closed(&target, 1, first, Until::Count(count), &make).await?.must_be_good().map(drop) }
    })
    .await?;
    lane.counts("repeated callback", &counts);
    lane.gate("round trips of a repeated callback", counts.statements, 2.0);
    lane.gate("commits of a repeated callback", counts.commits, 0.0);
    let again: Maker = Arc::new(move |number| make(number % 600));
    let meter = house.meter();
    let count = rig.pick(3_000, 20_000);
    let outcome = closed(&house.callbacks(), 8, 0, Until::Count(count), &again).await?.must_be_good()?;
    let spent = meter.stop();
    lane.figure("repeated callback, 8 connections: rate", outcome.rate(), "/s");
    lane.cpu("repeated callback", &spent, count as f64);
    let events = house.number("SELECT count(*) FROM events").await?;
    lane.gate("events of 600 callbacks that came many times", events as f64, 600.0);
    house.close().await?;
    Ok(lane)
}

/// Ten thousand callbacks at once: each wants its answer.
pub async fn burst(rig: &Rig) -> anyhow::Result<Lane> {
    let mut lane = Lane::new("burst", "10,000 callbacks at once, each of another payout, over 256 connections");
    let mut house = House::open(rig).await?;
    let count = 10_000;
    seed::open_payouts(&house, 0, count).await?;
    house.serve("all", &[]).await?;
    let make = callbacks(rig, 1)?;
    let meter = house.meter();
    let outcome = closed(&house.callbacks(), 256, 0, Until::Count(count), &make).await?.must_be_good()?;
    let spent = meter.stop();
    let ended = house.number("SELECT count(*) FROM orders WHERE status = 'succeeded'").await?;
    lane.figure("callbacks answered", outcome.good as f64, "");
    lane.figure("until the last was answered", outcome.elapsed.as_secs_f64(), "s");
    lane.figure("rate", outcome.rate(), "/s");
    lane.figure("p50", outcome.quantile(0.5), "ms");
    lane.figure("p99", outcome.quantile(0.99), "ms");
    lane.figure("peak memory of the gateway", crate::rig::process::memory(house.gateways[0].process.pid(), "VmHWM"), "MiB");
    lane.cpu("callbacks", &spent, count as f64);
    lane.gate("payouts that 10,000 callbacks have not ended", (count as i64 - ended) as f64, 0.0);
    house.close().await?;
    Ok(lane)
}
