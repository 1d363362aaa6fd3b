//! What a round came to, in numbers, and what is wrong with it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use strum::IntoEnumIterator;
use tillgate::faults::Point;

/// Counts of anything that has a name.
#[derive(Debug, Default)]
pub struct Tally(Mutex<BTreeMap<String, usize>>);

impl Tally {
    pub fn add(&self, what: &str, count: usize) {
        if count > 0 {
            *self.lock().entry(what.to_owned()).or_default() += count;
        }
    }

    pub fn of(&self, what: &str) -> usize {
        self.lock().get(what).copied().unwrap_or_default()
    }

    pub fn all(&self) -> BTreeMap<String, usize> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// At which points processes have crashed.
#[derive(Debug, Default)]
pub struct Coverage(Tally);

impl Coverage {
    pub fn hit(&self, point: &str) {
        self.0.add(point, 1);
    }

    /// One of those where the fewest have crashed: not always the last of all, which may be hard to come to, and would keep all
    /// gateways busy with nothing else.
    pub fn next(&self, turn: u64) -> Point {
        let mut points: Vec<Point> = Point::iter().collect();
        points.sort_by_key(|point| self.of(*point));
        points[usize::try_from(turn).unwrap_or_default() % points.len().div_ceil(2)]
    }

    pub fn of(&self, point: Point) -> usize {
        self.0.of(point.into())
    }

    /// Points with fewer crashes than this.
    pub fn lacking(&self, least: usize) -> Vec<(&'static str, usize)> {
        Point::iter().map(|point| (point.into(), self.of(point))).filter(|(_, hits)| *hits < least).collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for point in Point::iter() {
            let name: &str = point.into();
            writeln!(formatter, "  {name:<24} {:>4}", self.of(point))?;
        }
        Ok(())
    }
}

/// What came of a round.
#[derive(Debug, Default)]
pub struct Outcome {
    pub orders: usize,
    pub acknowledged: usize,
    /// The most often that one order was carried out.
    pub most_executions: usize,
    pub acknowledged_lost: usize,
    /// From a call whose outcome was unknown to the first question about it, and whose it was.
    pub first_looks: Vec<(Duration, String)>,
    pub in_review: usize,
    pub rest: Option<Duration>,
    pub events: usize,
    /// What is wrong.
    pub broken: Vec<String>,
}

impl Outcome {
    pub fn wrong(&mut self, what: impl Into<String>) {
        self.broken.push(what.into());
    }

    /// Takes another round in.
    pub fn join(&mut self, other: Self) {
        self.orders += other.orders;
        self.acknowledged += other.acknowledged;
        self.most_executions = self.most_executions.max(other.most_executions);
        self.acknowledged_lost += other.acknowledged_lost;
        self.first_looks.extend(other.first_looks);
        self.in_review += other.in_review;
        self.rest = self.rest.max(other.rest);
        self.events += other.events;
        self.broken.extend(other.broken);
    }

    /// The first look after an unknown outcome that so many of a hundred come before.
    pub fn look(&self, of_a_hundred: usize) -> Duration {
        let mut all: Vec<Duration> = self.first_looks.iter().map(|(time, _)| *time).collect();
        all.sort();
        all.get((all.len() * of_a_hundred / 100).min(all.len().saturating_sub(1))).copied().unwrap_or_default()
    }

    /// Orders that were asked about later than this.
    pub fn looked_at_after(&self, time: Duration) -> Vec<String> {
        self.first_looks.iter().filter(|(took, _)| *took > time).map(|(_, order)| order.clone()).collect()
    }
}
