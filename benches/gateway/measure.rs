//! Interleaved pairs: the floor and the gateway by turns, so that what the machine does to one it does to the other. What is
//! quoted is the median of the ratios; a pair in which others used more than a tenth of the machine is discarded.

use crate::floor::Floor;
use crate::load::Outcome;
use crate::rig::meter::Spent;

/// More foreign CPU than this spoils a pair.
pub const QUIET: f64 = 0.10;

/// The gateway's side of a pair.
#[derive(Clone, Copy, Debug)]
pub struct Side {
    rate: f64,
    p50: f64,
    p99: f64,
    count: f64,
    spent: Spent,
}

impl Side {
    /// From a load and what it cost.
    pub fn of(outcome: &Outcome, spent: Spent) -> Self {
        Self { rate: outcome.rate(), p50: outcome.quantile(0.5), p99: outcome.quantile(0.99), count: outcome.good as f64, spent }
    }
}

/// Pairs of one comparison.
#[derive(Clone, Debug, Default)]
pub struct Pairs(Vec<(Side, Floor)>);

impl Pairs {
    /// One more.
    pub fn add(&mut self, side: Side, floor: Floor) {
        self.0.push((side, floor));
    }

    fn quiet(pair: &(Side, Floor)) -> bool {
        pair.0.spent.foreign <= QUIET && pair.1.spent.foreign <= QUIET
    }

    /// The pairs that count: the quiet ones, or all if there are none.
    fn kept(&self) -> Vec<&(Side, Floor)> {
        let quiet: Vec<_> = self.0.iter().filter(|pair| Self::quiet(pair)).collect();
        if quiet.is_empty() { self.0.iter().collect() } else { quiet }
    }

    fn of(&self, value: impl Fn(&(Side, Floor)) -> f64) -> f64 {
        median(self.kept().into_iter().map(value))
    }

    /// No pair was quiet.
    pub fn noisy(&self) -> bool {
        !self.0.iter().any(Self::quiet)
    }

    /// How many there were.
    pub fn all(&self) -> usize {
        self.0.len()
    }

    /// How many were not quiet.
    pub fn discarded(&self) -> usize {
        self.0.iter().filter(|pair| !Self::quiet(pair)).count()
    }

    /// The median share of foreign CPU.
    pub fn foreign(&self) -> f64 {
        median(self.0.iter().map(|pair| pair.0.spent.foreign.max(pair.1.spent.foreign)))
    }

    /// The gateway's rate.
    pub fn rate(&self) -> f64 {
        self.of(|(side, _)| side.rate)
    }

    /// The floor's rate.
    pub fn floor_rate(&self) -> f64 {
        self.of(|(_, floor)| floor.rate)
    }

    /// The gateway's rate in those of the floor, pair by pair.
    pub fn ratio(&self) -> f64 {
        self.of(|(side, floor)| side.rate / floor.rate)
    }

    /// Median latency.
    pub fn p50(&self) -> f64 {
        self.of(|(side, _)| side.p50)
    }

    /// 99th percentile of the latency.
    pub fn p99(&self) -> f64 {
        self.of(|(side, _)| side.p99)
    }

    /// CPU-seconds per 1,000 operations, by process.
    pub fn cpu(&self) -> [(&'static str, f64); 4] {
        let per = |value: fn(&Spent) -> f64| self.of(|(side, _)| value(&side.spent) * 1000.0 / side.count.max(1.0));
        [
            ("gateway", per(|spent| spent.gateway)),
            ("wallets", per(|spent| spent.sandbox)),
            ("Postgres", per(|spent| spent.postgres)),
            ("load", per(|spent| spent.load)),
        ]
    }

    /// CPU-seconds of Postgres per 1,000 transactions of the floor.
    pub fn floor_cpu(&self) -> f64 {
        self.of(|(_, floor)| floor.spent.postgres * 1000.0 / floor.count.max(1.0))
    }
}

/// The middle value, or the mean of both.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        count if count % 2 == 1 => sorted[count / 2],
        count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
    }
}
