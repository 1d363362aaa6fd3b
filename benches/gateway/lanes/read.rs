//! Reading: one order, and a page of them.

use std::sync::Arc;
use std::time::Duration;

use crate::floor::{self, For};
use crate::load::{Maker, Until, closed};
use crate::measure::{Pairs, Side};
use crate::report::Lane;
use crate::rig::Rig;
use crate::rig::counts::counted;
use crate::rig::house::House;
use crate::seed;

/// A number that follows from another and looks like none: which order a request asks for.
fn scattered(number: u64, below: u64) -> u64 {
    (number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 17) % below + 1
}

/// Asks for one of so many seeded payouts.
pub fn gets(orders: u64) -> Maker {
    Arc::new(move |number| ("GET", format!("/v1/payouts/seed-{}", scattered(number, orders)), String::new()))
}

/// Asks for 50 payouts from any place on.
pub fn lists(orders: u64) -> Maker {
    Arc::new(move |number| {
        let from = seed::order_id(scattered(number, orders).max(60)).simple();
        ("GET", format!("/v1/payouts?limit=50&starting_after=pay_{from}"), String::new())
    })
}

/// One order by its trade id.
pub async fn get(rig: &Rig) -> anyhow::Result<Lane> {
    let mut lane = Lane::new("get", "read an order: one statement, nobody is asked who it is");
    read(rig, &mut lane, ("GET of an order", "get.sql"), gets, Some(6.0), (8, 0.4)).await?;
    Ok(lane)
}

/// A page of 50.
pub async fn list(rig: &Rig) -> anyhow::Result<Lane> {
    let mut lane = Lane::new("list", "a page of 50 orders from a random place on: one statement, no offset, no count");
    let counts = read(rig, &mut lane, ("list of 50", "list.sql"), lists, None, (8, 0.0)).await?;
    let bad = counts.each.iter().filter(|(query, _)| query.to_lowercase().contains("offset") || query.contains("count(*)")).count();
    lane.gate("statements with OFFSET or count(*) for a list", bad as f64, 0.0);
    Ok(lane)
}

async fn read(
    rig: &Rig,
    lane: &mut Lane,
    (name, script): (&str, &str),
    maker: fn(u64) -> Maker,
    pages: Option<f64>,
    (connections, goal): (usize, f64),
) -> anyhow::Result<crate::rig::counts::Counts> {
    let orders = 50_000;
    let mut house = House::open(rig).await?;
    seed::history(&house, 1, orders).await?;
    house.run("VACUUM ANALYZE orders").await?;
    house.serve("api", &[]).await?;
    let make = maker(orders);
    let counts = counted(&house, (100, 500), |first, count| {
        let (api, make) = (house.api(), Arc::clone(&make));
        async move { closed(&api, 1, first, Until::Count(count), &make).await?.must_be_good().map(drop) }
    })
    .await?;
    lane.counts(name, &counts);
    lane.gate(format!("round trips of a {name}"), counts.statements, 1.0);
    lane.gate(format!("commits of a {name}"), counts.commits, 0.0);
    if let Some(pages) = pages {
        lane.gate(format!("pages touched by a {name}"), counts.buffers, pages);
    }
    if floor::is_there(rig) {
        let mut pairs = Pairs::default();
        for round in 0..=rig.rounds() {
            let floor = floor::run(&house, script, connections, For::Millis(rig.side_ms()), orders)?;
            let meter = house.meter();
            let until = Until::Time(Duration::from_millis(rig.side_ms()));
            let outcome = closed(&house.api(), connections, 1_000_000, until, &make).await?.must_be_good()?;
            let side = Side::of(&outcome, meter.stop());
            if round > 0 {
                pairs.add(side, floor);
            }
        }
        lane.pairs(&format!("{name}, {connections} connections"), "pgbench", &pairs);
        if goal > 0.0 {
            lane.at_least(format!("{name} at {connections} connections, in those of pgbench"), pairs.ratio(), goal, pairs.noisy());
        }
    } else {
        lane.note("there is no pgbench: no floor, no ratios");
    }
    house.close().await?;
    Ok(counts)
}
