//! What a run found: figures, gates and goals by lane, as a table, as JSON, and in one last line.

use std::fmt::Write as _;

use serde::Serialize;

use crate::measure::Pairs;
use crate::rig::counts::Counts;
use crate::rig::meter::Spent;

/// What must hold, and how it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A count: a broken one fails the run.
    Gate,
    /// A ratio or a time: a missed one is said.
    Goal,
}

/// Something that must hold.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// How it is judged.
    pub kind: Kind,
    /// What it is about.
    pub what: String,
    /// What was found.
    pub found: f64,
    /// What it is held against: `>=` or `<=`, and the limit.
    pub limit: (&'static str, f64),
    /// It holds.
    pub met: bool,
    /// The machine was not quiet: it says little.
    pub noisy: bool,
}

/// A figure.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// What it is.
    pub name: String,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
}

/// A row of points: a cost against a size.
#[derive(Clone, Debug, Serialize)]
pub struct Curve {
    /// What is shown.
    pub name: String,
    /// Points.
    pub points: Vec<(f64, f64)>,
}

/// Curves that are drawn together.
#[derive(Clone, Debug, Serialize)]
pub struct Plot {
    /// The name of its file.
    pub file: &'static str,
    /// What it shows.
    pub title: String,
    /// The axes.
    pub axes: (&'static str, &'static str),
    /// The curves.
    pub curves: Vec<Curve>,
}

/// What one lane found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Lane {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it measures.
    pub title: &'static str,
    /// What was found.
    pub figures: Vec<Figure>,
    /// What must hold.
    pub checks: Vec<Check>,
    /// What is drawn.
    pub plots: Vec<Plot>,
    /// What has to be said besides.
    pub notes: Vec<String>,
    /// How long it took, in seconds.
    pub took: f64,
}

/// Everything that a run found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The machine and the versions.
    pub machine: Vec<(&'static str, String)>,
    /// What each lane found.
    pub lanes: Vec<Lane>,
    /// Lanes that could not be run, and why.
    pub failed: Vec<(String, String)>,
}

impl Lane {
    /// A lane that has found nothing yet.
    pub fn new(name: &'static str, title: &'static str) -> Self {
        println!("\n{name}: {title}");
        Self { name, title, ..Self::default() }
    }

    /// Notes and prints a figure.
    pub fn figure(&mut self, name: impl Into<String>, value: f64, unit: &'static str) {
        let name = name.into();
        println!("  {name:<64} {:>12} {unit}", number(value));
        self.figures.push(Figure { name, value, unit });
    }

    /// Something that has to be said.
    pub fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        println!("  note: {text}");
        self.notes.push(text);
    }

    /// A gate: what is counted must be no more than this.
    pub fn gate(&mut self, what: impl Into<String>, found: f64, most: f64) {
        self.check(Kind::Gate, what.into(), found, ("<=", most), false);
    }

    /// A goal: at least this.
    pub fn at_least(&mut self, what: impl Into<String>, found: f64, least: f64, noisy: bool) {
        self.check(Kind::Goal, what.into(), found, (">=", least), noisy);
    }

    /// A goal: at most this.
    pub fn at_most(&mut self, what: impl Into<String>, found: f64, most: f64, noisy: bool) {
        self.check(Kind::Goal, what.into(), found, ("<=", most), noisy);
    }

    fn check(&mut self, kind: Kind, what: String, found: f64, limit: (&'static str, f64), noisy: bool) {
        // What is counted in tenths of thousandths came of rounding.
        let met = if limit.0 == ">=" { found >= limit.1 } else { found <= limit.1 + 1e-3 };
        let check = Check { kind, what, found, limit, met, noisy };
        println!("  {}", check.line());
        self.checks.push(check);
    }

    /// Pairs: rates, their ratio, latencies, and CPU of both sides.
    pub fn pairs(&mut self, name: &str, floor: &str, pairs: &Pairs) {
        self.figure(format!("{name}: rate"), pairs.rate(), "/s");
        self.figure(format!("{name}: {floor}, rate"), pairs.floor_rate(), "/s");
        self.figure(format!("{name}: ratio to {floor}"), pairs.ratio(), "x");
        self.figure(format!("{name}: p50"), pairs.p50(), "ms");
        self.figure(format!("{name}: p99"), pairs.p99(), "ms");
        for (who, cpu) in pairs.cpu() {
            self.figure(format!("{name}: CPU of {who} per 1,000"), cpu, "s");
        }
        self.figure(format!("{name}: CPU of Postgres per 1,000, {floor}"), pairs.floor_cpu(), "s");
        if pairs.noisy() {
            self.note(format!(
                "{name}: every pair had more than 10 % foreign CPU ({:.0} %); none could be discarded",
                pairs.foreign() * 100.0
            ));
        } else if pairs.discarded() > 0 {
            self.note(format!("{name}: {} of {} pairs were discarded for foreign CPU above 10 %", pairs.discarded(), pairs.all()));
        }
    }

    /// CPU by process for so many operations.
    pub fn cpu(&mut self, name: &str, spent: &Spent, operations: f64) {
        let per = 1000.0 / operations.max(1.0);
        for (who, seconds) in [("gateway", spent.gateway), ("wallets", spent.sandbox), ("Postgres", spent.postgres), ("load", spent.load)] {
            self.figure(format!("{name}: CPU of {who} per 1,000"), seconds * per, "s");
        }
        self.figure(format!("{name}: foreign CPU"), spent.foreign * 100.0, "%");
    }

    /// Counts of one operation.
    pub fn counts(&mut self, name: &str, counts: &Counts) {
        self.figure(format!("{name}: statements (round trips)"), counts.statements, "");
        self.figure(format!("{name}: commits"), counts.commits, "");
        self.figure(format!("{name}: WAL without page images"), counts.wal, "B");
        self.figure(format!("{name}: WAL, page images"), counts.images, "B");
        self.figure(format!("{name}: pages touched"), counts.buffers, "");
        if counts.rare > 0.0 {
            self.note(format!("{name}: besides, {} statements now and then (what is cached is read again)", counts.rare));
        }
    }
}

impl Check {
    /// As a line.
    pub fn line(&self) -> String {
        let kind = if self.kind == Kind::Gate { "gate" } else { "goal" };
        let verdict = match (self.met, self.kind) {
            (true, _) => "met",
            (false, Kind::Gate) => "BROKEN",
            (false, Kind::Goal) => "missed",
        };
        let noise = if self.noisy { " (machine not quiet)" } else { "" };
        format!("{kind} {verdict}: {} is {}, wanted {} {}{noise}", self.what, number(self.found), self.limit.0, number(self.limit.1))
    }
}

impl Report {
    /// Gates that are broken and lanes that failed.
    pub fn is_broken(&self) -> bool {
        !self.failed.is_empty() || self.checks().any(|check| check.kind == Kind::Gate && !check.met)
    }

    fn checks(&self) -> impl Iterator<Item = &Check> {
        self.lanes.iter().flat_map(|lane| &lane.checks)
    }

    /// All gates and goals.
    pub fn verdicts(&self) -> String {
        let mut text = String::new();
        for lane in &self.lanes {
            for check in &lane.checks {
                let _ = writeln!(text, "  {:<12} {}", lane.name, check.line());
            }
        }
        text
    }

    /// One line.
    pub fn summary(&self) -> String {
        let count = |kind, met| self.checks().filter(|check| check.kind == kind && check.met == met).count();
        let (gates, goals) = (count(Kind::Gate, true), count(Kind::Goal, true));
        let took: f64 = self.lanes.iter().map(|lane| lane.took).sum();
        format!(
            "bench: {gates} of {} gates and {goals} of {} goals met, {} lanes in {took:.0} s{}",
            gates + count(Kind::Gate, false),
            goals + count(Kind::Goal, false),
            self.lanes.len(),
            if self.failed.is_empty() { String::new() } else { format!(", {} lanes FAILED", self.failed.len()) },
        )
    }
}

/// A number with as many digits as say something.
pub fn number(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if size >= 1000.0 => {
            let digits = format!("{size:.0}");
            let mut text = String::new();
            for (index, digit) in digits.chars().enumerate() {
                if index > 0 && (digits.len() - index).is_multiple_of(3) {
                    text.push(' ');
                }
                text.push(digit);
            }
            if value < 0.0 { format!("-{text}") } else { text }
        }
        _ if size >= 100.0 => format!("{value:.0}"),
        _ if size >= 10.0 => format!("{value:.1}"),
        _ if (size - size.round()).abs() < 1e-9 => format!("{value:.0}"),
        _ if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
