//! Puts what was found into the documentation: tables between the marks of `docs/PERFORMANCE.md`, and plots beside it. The prose
//! between is written by hand and stays.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context as _;

use crate::plot;
use crate::report::{Kind, Lane, Report, number};

const BEGIN: &str = "<!-- found: ";
const END: &str = "<!-- end -->";

/// Writes the page's tables, the plots, and all figures as JSON.
pub fn publish(report: &Report, root: &Path) -> anyhow::Result<()> {
    let (page, folder) = (root.join("docs/PERFORMANCE.md"), root.join("docs/performance"));
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("figures.json"), serde_json::to_string_pretty(report)? + "\n")?;
    for plot in report.lanes.iter().flat_map(|lane| &lane.plots) {
        plot::draw(plot, &folder.join(format!("{}.svg", plot.file)))?;
    }
    let text = fs::read_to_string(&page).with_context(|| format!("{} is not there", page.display()))?;
    fs::write(page, filled(&text, report)?)?;
    Ok(())
}

/// The page with what was found between its marks. What was not measured in this run stays as it was.
fn filled(page: &str, report: &Report) -> anyhow::Result<String> {
    let mut text = String::new();
    let mut parts = page.split(BEGIN);
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (name, rest) = part.split_once(" -->").context("a mark has no end")?;
        let (old, after) = rest.split_once(END).with_context(|| format!("what was found of {name} has no end"))?;
        let new = match name {
            "machine" => Some(machine(report)),
            "verdicts" => Some(verdicts(report)),
            lane => report.lanes.iter().find(|found| found.name == lane).map(table),
        };
        let inside = new.map_or_else(|| old.to_owned(), |new| format!("\n{new}"));
        let _ = write!(text, "{BEGIN}{name} -->{inside}{END}{after}");
    }
    Ok(text)
}

fn machine(report: &Report) -> String {
    let mut text = String::from("| | |\n|---|---|\n");
    for (name, value) in &report.machine {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    text
}

fn verdicts(report: &Report) -> String {
    let mut text = String::from("| lane | what | found | wanted | |\n|---|---|---:|---:|---|\n");
    for lane in &report.lanes {
        for check in &lane.checks {
            let verdict = match (check.kind, check.met, check.noisy) {
                (Kind::Gate, true, _) => "gate, holds",
                (Kind::Gate, false, _) => "**gate, broken**",
                (Kind::Goal, true, false) => "met",
                (Kind::Goal, true, true) => "met, machine not quiet",
                (Kind::Goal, false, false) => "**missed**",
                (Kind::Goal, false, true) => "**missed**, machine not quiet",
            };
            let limit = if check.limit.0 == ">=" { "≥" } else { "≤" };
            let _ = writeln!(
                text,
                "| {} | {} | {} | {limit} {} | {verdict} |",
                lane.name,
                check.what,
                number(check.found),
                number(check.limit.1)
            );
        }
    }
    for (name, why) in &report.failed {
        let _ = writeln!(text, "| {name} | could not be measured: {} | | | |", why.replace(['\n', '|'], " "));
    }
    text
}

fn table(lane: &Lane) -> String {
    let mut text = String::from("| figure | | |\n|---|---:|---|\n");
    for figure in &lane.figures {
        let _ = writeln!(text, "| {} | {} | {} |", figure.name, number(figure.value), figure.unit);
    }
    for note in &lane.notes {
        let _ = writeln!(text, "\n{note}.");
    }
    text
}
