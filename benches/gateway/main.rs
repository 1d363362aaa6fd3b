//! The benchmark of the gateway: the program itself, a durable Postgres, simulated wallets that answer at once, and a load,
//! with what `pgbench` does on the same server as the floor. `make bench` and `make bench-quick` run it;
//! `docs/PERFORMANCE.md` says how it is measured and what was found.
//!
//! Goals are printed as met or missed. Gates are exact counts: one that is broken ends the run with exit code 1.

#![allow(
    clippy::float_arithmetic,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a benchmark counts with floats, reads clocks, and has no payments to lose"
)]

mod floor;
mod lanes;
mod load;
mod measure;
mod plot;
mod publish;
mod report;
mod rig;
mod seed;
mod sink;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

use report::Report;
use rig::Rig;

/// Measures the gateway.
#[derive(Debug, Parser)]
struct Arguments {
    /// Less of everything: three minutes, for a build server
    #[arg(long)]
    quick: bool,
    /// Only these lanes
    #[arg(long, num_args = 1..)]
    lane: Vec<String>,
    /// Write what was found to this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write tables and plots into docs/
    #[arg(long)]
    publish: bool,
    /// Cargo says that it is a benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let unknown = arguments.lane.iter().find(|name| !lanes::ALL.iter().any(|(known, _)| known == name));
    if let Some(name) = unknown {
        let known: Vec<&str> = lanes::ALL.iter().map(|(name, _)| *name).collect();
        anyhow::bail!("there is no lane {name}; there are {}", known.join(", "));
    }
    // One of the process: whose TLS it is does not matter here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut report = Report::default();
    let rig = Rig::start(arguments.quick).await?;
    for (name, run) in lanes::ALL {
        if !arguments.lane.is_empty() && !arguments.lane.iter().any(|wanted| wanted == name) {
            continue;
        }
        let begin = Instant::now();
        match run(&rig).await {
            Ok(mut lane) => {
                lane.took = begin.elapsed().as_secs_f64();
                report.lanes.push(lane);
            }
            Err(error) => {
                println!("  FAILED: {error:#}");
                report.failed.push(((*name).to_owned(), format!("{error:#}")));
            }
        }
    }
    println!("\nGates and goals\n{}", report.verdicts());
    report.machine = machine(&rig, &arguments).await?;
    if arguments.publish {
        publish::publish(&report, Path::new(env!("CARGO_MANIFEST_DIR")))?;
    }
    if let Some(path) = &arguments.json {
        std::fs::write(path, serde_json::to_string_pretty(&report)?)?;
    }
    println!("{}", report.summary());
    Ok(if report.is_broken() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What it was measured on.
async fn machine(rig: &Rig, arguments: &Arguments) -> anyhow::Result<Vec<(&'static str, String)>> {
    let line = |file: &str, name: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let found = text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(':'));
        found.map(|(_, value)| value.split_whitespace().collect::<Vec<_>>().join(" ")).unwrap_or_default()
    };
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    Ok(vec![
        ("processor", format!("{cores} cores, {}", line("/proc/cpuinfo", "model name"))),
        ("memory", line("/proc/meminfo", "MemTotal")),
        ("Postgres", rig.server.version().await?),
        ("build", if cfg!(debug_assertions) { "debug: rates say nothing".to_owned() } else { "release".to_owned() }),
        ("run", if arguments.quick { "quick".to_owned() } else { "full".to_owned() }),
        ("at", time::OffsetDateTime::now_utc().format(&time::format_description::well_known::Rfc3339)?),
    ])
}
