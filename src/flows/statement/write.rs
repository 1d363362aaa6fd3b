//! A statement as text: JSON, lines of JSON, or a table.

use std::borrow::Cow;

use csv::{Terminator, WriterBuilder};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Format;
use crate::domain::statement::{Balance, Head, Movement, Period, Sum};

/// The columns of the table. `row` tells movements from the footer, which stands in the same columns.
const COLUMNS: [&str; 9] = ["row", "id", "booked_at", "kind", "provider", "coin", "amount", "customer", "trade_id"];
const LAST: &str = "receipt";

/// Writes the pieces of one statement.
#[derive(Debug)]
pub(super) struct Writer {
    format: Format,
    /// A row stands before.
    begun: bool,
}

impl Writer {
    pub(super) fn new(format: Format) -> Self {
        Self { format, begun: false }
    }

    pub(super) fn head(&self, head: &Head) -> anyhow::Result<Vec<u8>> {
        let mut text = serde_json::to_string(head)?;
        Ok(match self.format {
            Format::Json => {
                // The object goes on with the rows.
                text.truncate(text.len() - 1);
                format!("{text},\"data\":[").into()
            }
            Format::Ndjson => format!("{text}\n").into(),
            Format::Csv => table(|table| Ok(table.write_record(COLUMNS.iter().chain([&LAST]))?))?,
        })
    }

    pub(super) fn rows(&mut self, rows: &[Movement]) -> anyhow::Result<Vec<u8>> {
        let mut text = Vec::new();
        match self.format {
            Format::Json => {
                for row in rows {
                    if std::mem::replace(&mut self.begun, true) {
                        text.push(b',');
                    }
                    serde_json::to_writer(&mut text, row)?;
                }
            }
            Format::Ndjson => {
                for row in rows {
                    serde_json::to_writer(&mut text, &Line { object: "movement", line: row })?;
                    text.push(b'\n');
                }
            }
            Format::Csv => text = table(|table| rows.iter().try_for_each(|row| Ok(table.write_record(&cells(row)?)?)))?,
        }
        Ok(text)
    }

    pub(super) fn footer(&self, balances: &[Balance], shown: Period) -> anyhow::Result<Vec<u8>> {
        Ok(match self.format {
            Format::Json => format!("],\"footer\":{}}}", serde_json::to_string(balances)?).into(),
            Format::Ndjson => format!("{{\"object\":\"footer\",\"footer\":{}}}\n", serde_json::to_string(balances)?).into(),
            Format::Csv => table(|table| {
                for balance in balances {
                    for line in footer_cells(balance, shown)? {
                        table.write_record(&line)?;
                    }
                }
                // Whoever sees this row has the whole table.
                Ok(table.write_record(["end", "", &rfc3339(shown.to)?, "balanced", "", "", "", "", "", ""])?)
            })?,
        })
    }
}

/// One of several kinds of objects in a file of lines.
#[derive(Serialize)]
struct Line<'a, T> {
    object: &'static str,
    #[serde(flatten)]
    line: &'a T,
}

fn table(write: impl FnOnce(&mut csv::Writer<Vec<u8>>) -> anyhow::Result<()>) -> anyhow::Result<Vec<u8>> {
    let mut table = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    write(&mut table)?;
    table.into_inner().map_err(|error| anyhow::anyhow!("{error}"))
}

fn cells(row: &Movement) -> anyhow::Result<[String; 10]> {
    let text = |text: &str| harmless(text).into_owned();
    let optional = |value: &Option<String>| value.as_deref().map(text).unwrap_or_default();
    Ok([
        "movement".to_owned(),
        row.id.to_string(),
        rfc3339(row.booked_at)?,
        text(&row.kind),
        text(&row.provider),
        text(&row.coin),
        // A number of ours: it stays one, with its minus.
        row.amount.to_string(),
        optional(&row.customer),
        optional(&row.trade_id),
        optional(&row.receipt),
    ])
}

fn footer_cells(balance: &Balance, shown: Period) -> anyhow::Result<[[String; 10]; 3]> {
    let line = |row: &str, at: OffsetDateTime, amount: Sum| {
        let mut cells: [String; 10] = Default::default();
        cells[0] = row.to_owned();
        cells[2] = rfc3339(at)?;
        cells[4] = harmless(&balance.provider).into_owned();
        cells[5] = harmless(&balance.coin).into_owned();
        cells[6] = amount.to_string();
        anyhow::Ok(cells)
    };
    Ok([line("opening", shown.from, balance.opening)?, line("sum", shown.to, balance.sum)?, line("closing", shown.to, balance.closing)?])
}

/// A text that no spreadsheet takes for a formula: one that could be gets an apostrophe before it. (Some take the wide forms
/// of the signs for the signs, and some skip blanks before them.)
fn harmless(text: &str) -> Cow<'_, str> {
    let signs = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
    let blank = |first: char| first == '\t' || first == '\r' || first == '\n';
    if text.starts_with(blank) || text.trim_start().starts_with(signs) { format!("'{text}").into() } else { text.into() }
}

fn rfc3339(time: OffsetDateTime) -> anyhow::Result<String> {
    Ok(time.format(&Rfc3339)?)
}

#[cfg(test)]
mod tests;
