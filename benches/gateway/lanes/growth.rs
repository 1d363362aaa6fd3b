//! What history costs: the same operations with 10 thousand, a million and ten million orders before them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::create::payouts;
use super::read::{gets, lists};
use crate::floor::{self, For};
use crate::load::{Maker, Until, closed};
use crate::measure::{Pairs, Side};
use crate::report::{Curve, Lane, Plot};
use crate::rig::Rig;
use crate::rig::counts::{Counts, counted};
use crate::rig::house::House;
use crate::seed;

/// Bytes that an order of the history takes with its indexes, and as much again for the log while it is written.
const ROOM: u64 = 1_600;

/// What one operation cost at one size.
struct Cost {
    cpu: f64,
    floor_cpu: f64,
    rate: f64,
    counts: Counts,
    noisy: bool,
}

/// All operations at all sizes, in one database that grows.
pub async fn growth(rig: &Rig) -> anyhow::Result<Lane> {
    let mut lane = Lane::new("growth", "the same operations beside 10 k, 1 M and 10 M orders of history");
    let mut house = House::open(rig).await?;
    floor::prepare(&house).await?;
    house.serve("api", &[]).await?;
    let names = ["create", "GET", "list"];
    let mut costs: [Vec<(u64, Cost)>; 3] = Default::default();
    let mut there = 0;
    for size in rig.pick(vec![10_000, 100_000], vec![10_000, 1_000_000, 10_000_000]) {
        let room = free(&rig.server.data());
        if (size - there) * ROOM > room {
            lane.note(format!("{size} orders were skipped: there is room for {} MB only", room / 1_000_000));
            break;
        }
        let begin = Instant::now();
        seed::history(&house, there + 1, size).await?;
        house.run("VACUUM ANALYZE orders").await?;
        rig.server.run("postgres", "CHECKPOINT").await?;
        lane.figure(format!("{size} orders: seeded in"), begin.elapsed().as_secs_f64(), "s");
        there = size;
        let makers: [(Maker, &str); 3] = [(payouts(name(size)), "create_payout.sql"), (gets(size), "get.sql"), (lists(size), "list.sql")];
        for (index, (make, script)) in makers.into_iter().enumerate() {
            let start = if index == 0 { size * 1_000_000 } else { size };
            let cost = measure(&house, &make, script, start).await?;
            let name = format!("{}, {size} orders", names[index]);
            lane.figure(format!("{name}: rate, 8 connections"), cost.rate, "/s");
            lane.figure(format!("{name}: CPU of Postgres per 1,000"), cost.cpu, "s");
            lane.figure(format!("{name}: the same by pgbench"), cost.floor_cpu, "s");
            lane.figure(format!("{name}: pages touched"), cost.counts.buffers, "");
            if index == 1 {
                lane.gate(format!("pages touched by a GET beside {size} orders"), cost.counts.buffers, 6.0);
            }
            lane.gate(format!("round trips: {name}"), cost.counts.statements, 1.0);
            costs[index].push((size, cost));
        }
    }
    for (index, name) in [(0, "create"), (2, "list")] {
        if let [(small, first), .., (large, last)] = &costs[index][..] {
            let noisy = first.noisy || last.noisy;
            lane.at_most(format!("Postgres' CPU of a {name} at {large} orders, in that at {small}"), last.cpu / first.cpu, 1.5, noisy);
            lane.at_most(
                format!("pages touched by a {name} at {large} orders, in those at {small}"),
                last.counts.buffers / first.counts.buffers,
                1.3,
                false,
            );
        }
    }
    let curve = |index: usize, value: fn(&Cost) -> f64| costs[index].iter().map(|(size, cost)| (*size as f64, value(cost))).collect();
    let curves = |value: fn(&Cost) -> f64| {
        names.iter().enumerate().map(|(index, name)| Curve { name: (*name).to_owned(), points: curve(index, value) }).collect()
    };
    lane.plots.push(Plot {
        file: "history-cpu",
        title: "History: CPU of Postgres per 1,000 operations".to_owned(),
        axes: ("orders", "CPU-seconds per 1,000"),
        curves: curves(|cost| cost.cpu),
    });
    lane.plots.push(Plot {
        file: "history-pages",
        title: "History: pages touched by an operation".to_owned(),
        axes: ("orders", "pages of 8 kB"),
        curves: curves(|cost| cost.counts.buffers),
    });
    house.close().await?;
    Ok(lane)
}

async fn measure(house: &House<'_>, make: &Maker, script: &str, start: u64) -> anyhow::Result<Cost> {
    let counts = counted(house, (50, 300), |first, count| {
        let (api, make) = (house.api(), Arc::clone(make));
        async move { closed(&api, 1, first, Until::Count(count), &make).await?.must_be_good().map(drop) }
    })
    .await?;
    let rig = house.rig;
    let mut pairs = Pairs::default();
    let rounds = rig.pick(1, 3);
    for round in 0..=rounds {
        let begin = if script == "create_payout.sql" { start + round * 1_000_000_000 } else { start };
        let floor = floor::run(house, script, 8, For::Millis(rig.side_ms()), begin)?;
        let meter = house.meter();
        let until = Until::Time(Duration::from_millis(rig.side_ms()));
        let outcome = closed(&house.api(), 8, 1_000_000 * (round + 1), until, make).await?.must_be_good()?;
        let side = Side::of(&outcome, meter.stop());
        if round > 0 {
            pairs.add(side, floor);
        }
    }
    let postgres = pairs.cpu()[2].1;
    Ok(Cost { cpu: postgres, floor_cpu: pairs.floor_cpu(), rate: pairs.rate(), counts, noisy: pairs.noisy() })
}

/// Trade ids of each size are of their own.
fn name(size: u64) -> &'static str {
    match size {
        10_000 => "g1",
        10_000_000 => "g3",
        _ => "g2",
    }
}

/// Bytes that are free where the server's data is.
fn free(path: &std::path::Path) -> u64 {
    let output = std::process::Command::new("df").args(["--output=avail", "-B1"]).arg(path).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().nth(1).and_then(|line| line.trim().parse().ok()).unwrap_or_default()
}
