//! What something costs: time, and CPU by process. What the machine did besides is foreign, and makes a measurement worthless.

use std::time::Instant;

use serde::Serialize;

use super::house::House;
use super::process::{busy, cpu};

/// A measurement that has begun.
#[derive(Debug)]
pub struct Meter<'h> {
    house: &'h House<'h>,
    begin: Instant,
    before: Reading,
}

#[derive(Clone, Copy, Debug)]
struct Reading {
    busy: f64,
    gateway: f64,
    sandbox: f64,
    postgres: f64,
    load: f64,
}

/// What it came to, in seconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Spent {
    /// On the clock.
    pub elapsed: f64,
    /// CPU of all gateways.
    pub gateway: f64,
    /// CPU of the simulated wallets.
    pub sandbox: f64,
    /// CPU of Postgres, all its processes.
    pub postgres: f64,
    /// CPU of the load: this process and what it started.
    pub load: f64,
    /// The share of the machine that others used, or the host took away.
    pub foreign: f64,
}

impl<'h> Meter<'h> {
    pub(super) fn start(house: &'h House<'h>) -> Self {
        Self { house, before: Reading::of(house), begin: Instant::now() }
    }

    /// What was spent since the beginning.
    pub fn stop(&self) -> Spent {
        let (now, before) = (Reading::of(self.house), self.before);
        let elapsed = self.begin.elapsed().as_secs_f64();
        let ours = now.ours() - before.ours();
        let cores = std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64);
        Spent {
            elapsed,
            gateway: now.gateway - before.gateway,
            sandbox: now.sandbox - before.sandbox,
            postgres: now.postgres - before.postgres,
            load: now.load - before.load,
            foreign: ((now.busy - before.busy - ours) / (elapsed * cores)).max(0.0),
        }
    }
}

impl Reading {
    fn of(house: &House<'_>) -> Self {
        let (own, children) = cpu(std::process::id());
        Self {
            busy: busy(),
            gateway: house.gateways.iter().map(|gateway| cpu(gateway.process.pid()).0).sum(),
            sandbox: cpu(house.sandbox.pid()).0,
            postgres: house.rig.server.cpu(),
            load: own + children,
        }
    }

    fn ours(&self) -> f64 {
        self.gateway + self.sandbox + self.postgres + self.load
    }
}
