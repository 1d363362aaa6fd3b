//! Creating orders: the main lane.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::floor::{self, For};
use crate::load::{Maker, Until, closed};
use crate::measure::{Pairs, Side};
use crate::report::Lane;
use crate::rig::Rig;
use crate::rig::counts::counted;
use crate::rig::house::House;

/// Makes payouts of 12.5 usdt, each with a trade id of its own.
pub fn payouts(prefix: &'static str) -> Maker {
    Arc::new(move |number| {
        let wish = json!({
            "trade_id": format!("{prefix}-{number}"),
            "provider": "fomo",
            "coin": "usdt",
            "amount": "12.5",
            "destination": { "type": "fomo_user", "user_id": "42" },
        });
        ("POST", "/v1/payouts".to_owned(), wish.to_string())
    })
}

/// Makes deposits of 12.5 usdt of the customer `ada`.
pub fn deposits(prefix: &'static str) -> Maker {
    Arc::new(move |number| {
        let trade_id = format!("{prefix}-{number}");
        let wish = json!({ "trade_id": trade_id, "provider": "fomo", "coin": "usdt", "amount": "12.5", "customer": "ada" });
        ("POST", "/v1/deposits".to_owned(), wish.to_string())
    })
}

/// Payouts: one statement before the answer. The workers that would send them on are not running here; the lane `life` has them.
pub async fn payout(rig: &Rig) -> anyhow::Result<Lane> {
    let mut lane = Lane::new("payout", "create a payout: one statement, one commit, then the answer");
    let mut house = House::open(rig).await?;
    house.serve("api", &[]).await?;
    let make = payouts("p");
    let counts = counted(&house, (100, 500), |first, count| {
        let (api, make) = (house.api(), Arc::clone(&make));
        async move { closed(&api, 1, first, Until::Count(count), &make).await?.must_be_good().map(drop) }
    })
    .await?;
    lane.counts("payout", &counts);
    lane.gate("round trips of creating a payout", counts.statements, 1.0);
    lane.gate("commits of creating a payout", counts.commits, 1.0);
    compare(&mut lane, &house, &make, "payout", ("create_payout.sql", "bare_create.sql"), &[(8, 0.55), (32, 1.0), (64, 1.5)]).await?;
    house.close().await?;
    Ok(lane)
}

/// Deposits: the order, one call of the wallet, and its result.
pub async fn deposit(rig: &Rig) -> anyhow::Result<Lane> {
    let mut lane = Lane::new("deposit", "create a deposit: one statement, the wallet's answer, one statement");
    let mut house = House::open(rig).await?;
    house.serve("api", &[]).await?;
    house.link_ada().await?;
    let make = deposits("d");
    let calls = |calls: &serde_json::Value| calls["counts"]["pre_pay"].as_f64().unwrap_or_default();
    let before = calls(&house.wallet("GET", "calls", &serde_json::Value::Null).await?);
    let counts = counted(&house, (100, 500), |first, count| {
        let (api, make) = (house.api(), Arc::clone(&make));
        async move { closed(&api, 1, first, Until::Count(count), &make).await?.must_be_good().map(drop) }
    })
    .await?;
    let after = calls(&house.wallet("GET", "calls", &serde_json::Value::Null).await?);
    lane.counts("deposit", &counts);
    lane.gate("round trips of creating a deposit", counts.statements, 2.0);
    lane.gate("commits of creating a deposit", counts.commits, 2.0);
    lane.gate("calls of the wallet for a deposit", (after - before) / 600.0, 1.0);
    compare(&mut lane, &house, &make, "deposit", ("create_deposit.sql", "bare_deposit.sql"), &[(8, 0.55), (32, 1.0), (64, 1.5)]).await?;
    house.close().await?;
    Ok(lane)
}

/// Interleaved rounds of both floors and the gateway, at each number of connections; the goals are ratios to either.
async fn compare(
    lane: &mut Lane,
    house: &House<'_>,
    make: &Maker,
    name: &str,
    (own, bare): (&str, &str),
    goals: &[(usize, f64)],
) -> anyhow::Result<()> {
    let rig = house.rig;
    if !floor::is_there(rig) {
        lane.note("there is no pgbench: no floor, no ratios");
        return Ok(());
    }
    floor::prepare(house).await?;
    house.run("CHECKPOINT").await?;
    let (mut numbers, mut start) = (1_000_000, 1);
    for (connections, goal) in goals.iter().take(rig.pick(2, goals.len())) {
        let (mut to_own, mut to_bare) = (Pairs::default(), Pairs::default());
        let time = Duration::from_millis(rig.side_ms());
        // A round before the first, which does not count: connections, caches, page images.
        for round in 0..=rig.rounds() {
            let bare_side = floor::run(house, bare, *connections, For::Millis(rig.side_ms()), start)?;
            let own_side = floor::run(house, own, *connections, For::Millis(rig.side_ms()), start)?;
            start += 10_000_000_000;
            let meter = house.meter();
            let outcome = closed(&house.api(), *connections, numbers, Until::Time(time), make).await?.must_be_good()?;
            let side = Side::of(&outcome, meter.stop());
            numbers += 10_000_000;
            if round == 0 {
                house.know_tables().await?;
            } else {
                to_own.add(side, own_side);
                to_bare.add(side, bare_side);
            }
        }
        lane.pairs(&format!("{name}, {connections} connections"), "same schema", &to_own);
        lane.figure(format!("{name}, {connections} connections: bare tables, rate"), to_bare.floor_rate(), "/s");
        let what = format!("{name} at {connections} connections, in those of one statement an order on bare tables");
        lane.at_least(what, to_bare.ratio(), *goal, to_bare.noisy());
        let what = format!("{name} at {connections} connections, in those of one statement an order that writes the same rows");
        lane.at_least(what, to_own.ratio(), *goal, to_own.noisy());
    }
    Ok(())
}
