//! The process itself: its memory, its start, what it adds to a call, and its instructions.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::create::{deposits, payouts};
use super::webhooks::events;
use crate::floor;
use crate::load::{Client, Maker, Until, closed, open};
use crate::measure::QUIET;
use crate::report::Lane;
use crate::rig::Rig;
use crate::rig::house::House;
use crate::rig::process::memory;
use crate::seed;
use crate::sink::Sink;

/// Memory when nothing happens, and of each order that waits for a slow wallet.
pub async fn memory_in_flight(rig: &Rig) -> anyhow::Result<Lane> {
    let mut lane = Lane::new("memory", "resident memory: idle, and of each deposit that waits for a slow wallet");
    let mut points = Vec::new();
    for waiting in rig.pick(vec![0_u64, 1_000], vec![0, 1_000, 4_000]) {
        let mut house = House::open(rig).await?;
        house.serve("api", &[("TIMING__PROVIDER_TIMEOUT", "300s"), ("TIMING__LEASE", "400s")]).await?;
        house.link_ada().await?;
        let pid = house.gateways[0].process.pid();
        if waiting == 0 {
            let idle = memory(pid, "VmRSS");
            lane.figure("idle", idle, "MiB");
            lane.at_most("resident memory of an idle gateway in MiB", idle, 20.0, false);
            house.close().await?;
            continue;
        }
        // One order first: what is made once is not of each.
        closed(&house.api(), 8, 0, Until::Count(200), &deposits("before")).await?.must_be_good()?;
        let before = memory(pid, "VmRSS");
        house.wallet("POST", "faults", &json!({ "operation": "pre_pay", "fault": "hang_after", "times": "forever" })).await?;
        let (api, make) = (house.api(), deposits("held"));
        let connections = usize::try_from(waiting)?;
        let load = tokio::spawn(async move { closed(&api, connections, 1_000, Until::Count(waiting), &make).await });
        house.until("SELECT count(*) FROM attempts WHERE state = 'open'", i64::try_from(waiting)?, Duration::from_secs(240)).await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let each = (memory(pid, "VmRSS") - before) * 1024.0 / waiting as f64;
        lane.figure(format!("{waiting} waiting: each"), each, "kB");
        points.push(each);
        lane.at_most(format!("kB of each of {waiting} deposits that wait"), each, 32.0, false);
        // Nobody keeps a connection of the pool while he waits: others are served at once.
        let mut client = Client::connect(&house.api(), 0).await?;
        let asked = std::time::Instant::now();
        let (status, _) = client.send(("GET", "/v1/deposits/before-1".to_owned(), String::new())).await?;
        anyhow::ensure!(status == 200, "an order could not be read while others wait");
        lane.gate(format!("seconds that a reader waits beside {waiting} waiting"), asked.elapsed().as_secs_f64(), 1.0);
        // Who has not come to the wallet yet is not to hang there, either.
        house.wallet("DELETE", "faults", &json!({})).await?;
        house.wallet("POST", "release", &json!({})).await?;
        // What they were answered in the end is of no interest here.
        drop(load.await);
        house.close().await?;
    }
    if let [few, many] = points[..] {
        lane.at_most("what each of many costs, in what each of few does", many / few, 1.2, false);
    }
    Ok(lane)
}

/// What the gateway adds to the wallet's own time.
pub async fn latency(rig: &Rig) -> anyhow::Result<Lane> {
    let mut lane = Lane::new("latency", "200 deposits a second, open loop; the wallet takes 50 ms: what the gateway adds");
    let mut house = House::open(rig).await?;
    house.serve("all", &[]).await?;
    house.link_ada().await?;
    closed(&house.api(), 8, 0, Until::Count(300), &deposits("warm")).await?.must_be_good()?;
    house.know_tables().await?;
    for operation in ["pre_pay", "get_active_coins"] {
        house.wallet("POST", "faults", &json!({ "operation": operation, "fault": { "delay": 50 }, "times": "forever" })).await?;
    }
    let time = Duration::from_secs(rig.pick(3, 15));
    // The wallet alone, asked by the same load at the same rate: its own time.
    let mut wallet = house.api();
    wallet.addresses = vec![([127, 0, 0, 1], rig.sandbox_port).into()];
    wallet.key = String::new();
    wallet.content_type = "application/x-www-form-urlencoded";
    let coins: Maker = Arc::new(|_| ("GET", "/fomo/wallet/get_active_coins".to_owned(), String::new()));
    let alone = open(&wallet, 64, (200, time), 0, &coins).await?.must_be_good()?;
    let meter = house.meter();
    let through = open(&house.api(), 64, (200, time), 1_000, &deposits("slow")).await?.must_be_good()?;
    let spent = meter.stop();
    let noisy = spent.foreign > QUIET;
    for (name, quantile, most) in [("p50", 0.5, 2.0), ("p99", 0.99, 8.0)] {
        lane.figure(format!("{name} of the wallet alone"), alone.quantile(quantile), "ms");
        lane.figure(format!("{name} through the gateway"), through.quantile(quantile), "ms");
        let added = through.quantile(quantile) - alone.quantile(quantile);
        lane.at_most(format!("{name} that the gateway adds at 200/s, in ms"), added, most, noisy);
    }
    // What Postgres alone takes of it, asked by the same two statements at the same rate.
    if floor::is_there(rig) {
        let statements = floor::at_rate(&house, "create_deposit.sql", (200, time), 1)?;
        for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
            let latency = statements.value_at_quantile(quantile) as f64 / 1000.0;
            lane.figure(format!("{name} of pgbench, for the same rows in two statements"), latency, "ms");
        }
    }
    lane.cpu("deposits", &spent, through.good as f64);
    house.close().await?;
    Ok(lane)
}

/// A start with much to do.
pub async fn restart(rig: &Rig) -> anyhow::Result<Lane> {
    let mut lane = Lane::new("restart", "a start with 100,000 deliveries and 10,000 open orders waiting");
    let sink = Sink::start().await?;
    let mut house = House::open(rig).await?;
    house.serve("api", &[]).await?;
    house.call("POST", "/v1/webhook_endpoints", &json!({ "url": format!("http://{}/e", sink.address), "events": ["*"] })).await?;
    house.stop_gateways().await?;
    let deliveries = rig.pick(20_000, 100_000);
    seed::open_payouts(&house, 0, 10_000).await?;
    events(&house, 0, deliveries).await?;
    let took = house.serve("all", &[]).await?;
    lane.figure(format!("ready with {deliveries} deliveries waiting, after"), took.as_secs_f64(), "s");
    lane.at_most("seconds until ready", took.as_secs_f64(), 1.0, false);
    house.close().await?;
    Ok(lane)
}

/// Requests of each kind that are counted, after some that are not.
const COUNTED: u64 = 500;
const BEFORE: u64 = 50;
/// The C library copies and clears large blocks by one instruction that repeats itself, of which callgrind counts each byte. Told
/// that no block is large enough, it goes on in steps of 32 bytes, as it does with smaller ones.
const IN_STEPS: &str = "GLIBC_TUNABLES=glibc.cpu.x86_rep_movsb_threshold=1000000000:glibc.cpu.x86_rep_stosb_threshold=1000000000";

/// Instructions of one request, by callgrind: what the process has executed before and after so many of them. Its start and its end
/// are in neither.
pub async fn instructions(rig: &Rig) -> anyhow::Result<Lane> {
    let mut lane = Lane::new(
        "instructions",
        "instructions of one request (callgrind, 500 on one connection after 50; large copies counted in steps of 32 bytes)",
    );
    let path = std::env::var_os("PATH").unwrap_or_default();
    let program = |name: &str| std::env::split_paths(&path).map(|path| path.join(name)).find(|path| path.is_file());
    let (Some(valgrind), Some(control)) = (program("valgrind"), program("callgrind_control")) else {
        lane.note("there is no valgrind: skipped");
        return Ok(lane);
    };
    if cfg!(debug_assertions) {
        lane.note("this is a debug build: its instructions say nothing");
    }
    let mut house = House::open(rig).await?;
    seed::open_payouts(&house, 0, BEFORE + COUNTED).await?;
    let watcher = valgrind.to_string_lossy();
    let watched = [IN_STEPS, &*watcher, "--tool=callgrind", "--callgrind-out-file=/dev/null"];
    house.serve_under(Path::new("/usr/bin/env"), &watched, "api").await?;
    let paths: Vec<String> =
        (0..BEFORE + COUNTED).map(|number| rig.callback_path(seed::order_id(number))).collect::<anyhow::Result<_>>()?;
    let callback: Maker = Arc::new(move |number| {
        let body =
            format!("transfer_id=77{number}&user_id=42&trade_id=seed-{number}&coin_id=5&amount=12.5&cut_amount=0&direction=2&status=1");
        ("POST", paths[usize::try_from(number).unwrap_or_default()].clone(), body)
    });
    let get: Maker = Arc::new(|number| ("GET", format!("/v1/payouts/seed-{}", number % COUNTED), String::new()));
    let kinds = [
        ("create a payout", house.api(), payouts("i"), 400_000.0),
        ("callback", house.callbacks(), callback, 250_000.0),
        ("GET of an order", house.api(), get, 120_000.0),
    ];
    let pid = house.gateways[0].process.pid();
    // A quick run counts what is a gate.
    let counted = rig.pick(1, kinds.len());
    for (index, (name, target, make, goal)) in kinds.into_iter().enumerate().take(counted) {
        closed(&target, 1, 0, Until::Count(BEFORE), &make).await?.must_be_good()?;
        let before = executed(&control, pid)?;
        closed(&target, 1, BEFORE, Until::Count(COUNTED), &make).await?.must_be_good()?;
        let each = (executed(&control, pid)? - before) / COUNTED as f64;
        lane.figure(format!("{name}: instructions"), each, "");
        if index == 0 && !cfg!(debug_assertions) {
            lane.gate("instructions of creating a payout", each, goal);
        } else {
            lane.at_most(format!("instructions of a {name}"), each, goal, false);
        }
    }
    house.close().await?;
    Ok(lane)
}

/// What a process has executed so far, all threads together.
fn executed(control: &Path, pid: u32) -> anyhow::Result<f64> {
    let said = Command::new(control).args(["-e", "Ir", &pid.to_string()]).output()?;
    let text = String::from_utf8_lossy(&said.stdout);
    let of_thread = |line: &str| line.trim().strip_prefix("Th")?.split_whitespace().nth(1)?.replace(',', "").parse::<f64>().ok();
    let sum: f64 = text.lines().filter_map(of_thread).sum();
    anyhow::ensure!(sum > 0.0, "callgrind does not say what it has collected: {text}{}", String::from_utf8_lossy(&said.stderr));
    Ok(sum)
}
