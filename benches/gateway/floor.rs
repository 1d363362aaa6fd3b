//! The floor: `pgbench` on the same server, which writes the same rows as one operation of the gateway with nothing around it.
//! The scripts are in `floor/`: prepared statements, one statement a transaction. Those without `bare` use the gateway's own
//! schema with every constraint, index and trigger; `bare_*` use tables with the same columns and five indexes and nothing else.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use hdrhistogram::Histogram;

use crate::rig::Rig;
use crate::rig::house::House;
use crate::rig::meter::Spent;

/// How long a floor is measured.
#[derive(Clone, Copy, Debug)]
pub enum For {
    /// So many milliseconds, rounded up to whole seconds.
    Millis(u64),
    /// So many transactions of each client.
    Each(u64),
}

/// What a floor came to.
#[derive(Clone, Copy, Debug)]
pub struct Floor {
    /// Transactions in a second.
    pub rate: f64,
    /// Transactions.
    pub count: f64,
    /// What it cost.
    pub spent: Spent,
}

/// Whether the floor can be measured here.
pub fn is_there(rig: &Rig) -> bool {
    rig.server.program("pgbench").is_some()
}

/// Makes what the bare scripts write to.
pub async fn prepare(house: &House<'_>) -> anyhow::Result<()> {
    house.run(include_str!("floor/bare_schema.sql")).await
}

/// Runs a script with so many clients. `start` is a number of which no earlier run has used this or the next billion.
pub fn run(house: &House<'_>, script: &str, clients: usize, time: For, start: u64) -> anyhow::Result<Floor> {
    let mut command = pgbench(house, script, clients, start)?;
    match time {
        For::Millis(time) => command.args(["-T", &time.div_ceil(1000).to_string()]),
        For::Each(count) => command.args(["-t", &count.to_string(), "-D", &format!("each={count}"), "-D", "i=0"]),
    };
    let meter = house.meter();
    let out = output(command, house, script)?;
    let spent = meter.stop();
    let after = |name: &str| -> anyhow::Result<f64> {
        let line = out.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("pgbench does not say {name}: {out}"))?;
        let word = line.split_whitespace().next().unwrap_or_default();
        Ok(word.split('/').next().unwrap_or_default().parse()?)
    };
    let count = after("number of transactions actually processed:")?;
    Ok(Floor { rate: after("tps =")?, count, spent })
}

/// Runs a script so many times in a second, each at its time, whatever becomes of those before it: their latencies in microseconds,
/// from when each should have begun.
pub fn at_rate(house: &House<'_>, script: &str, (rate, time): (u64, Duration), start: u64) -> anyhow::Result<Histogram<u64>> {
    let folder = house.rig.server.folder();
    let mut command = pgbench(house, script, 16, start)?;
    command.args(["-T", &time.as_secs().max(1).to_string(), "-R", &rate.to_string(), "-l", "--log-prefix"]).arg(folder.join("pgbench"));
    output(command, house, script)?;
    let mut latencies = Histogram::new_with_bounds(1, 120_000_000, 3)?;
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        if !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("pgbench.")) {
            continue;
        }
        for line in std::fs::read_to_string(&path)?.lines() {
            // Its client, its number, its latency.
            let latency = line.split(' ').nth(2).with_context(|| format!("pgbench wrote {line}"))?;
            latencies.saturating_record(latency.parse()?);
        }
        std::fs::remove_file(path)?;
    }
    ensure!(!latencies.is_empty(), "pgbench {script} wrote nothing of its transactions");
    Ok(latencies)
}

fn pgbench(house: &House<'_>, script: &str, clients: usize, start: u64) -> anyhow::Result<Command> {
    let rig = house.rig;
    let Some(mut command) = rig.server.program("pgbench") else { bail!("there is no pgbench") };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/gateway/floor").join(script);
    let millis = uuid::Uuid::from_u128(uuid_now()).simple().to_string()[..12].to_owned();
    command.args(["-n", "-M", "prepared", "-c", &clients.to_string(), "-j", &clients.min(2).to_string(), "-f"]).arg(file);
    command.args(["-D", &format!("merchant={}", rig.merchant), "-D", &format!("ms={millis}"), "-D", &format!("n={start}")]);
    Ok(command)
}

/// What it says at its end.
fn output(mut command: Command, house: &House<'_>, script: &str) -> anyhow::Result<String> {
    let output = command.arg(&house.database).stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "pgbench {script}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The present, as ids begin with it.
fn uuid_now() -> u128 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    now.as_millis() << 80
}
