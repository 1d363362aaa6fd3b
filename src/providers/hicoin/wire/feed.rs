//! The reading of Hicoin's lists of deposits.

use serde_json::Value;

use super::lists::confirmations;
use super::{read_answer, statuses, unavailable, unreadable};
use crate::domain::receipt::Incoming;
use crate::providers::http::{Sent, evidence};
use crate::providers::reading::{Fields, Unreadable};
use crate::providers::{AskError, Entry};

/// Reads `syncDepositList` or `depositList` (`hicoin-openapi.rst`, sections 4.12 and 4.13), by
/// ascending id. A reader's place in the feed follows from the ids, so that one which cannot be read
/// makes all of it unreadable.
pub fn feed(sent: &Sent) -> Result<Vec<Entry>, AskError> {
    let answer = read_answer(sent)?;
    let entries = answer.entries("data").map_err(unavailable)?;
    let mut read = entries.iter().map(read_entry).collect::<Result<Vec<_>, _>>().map_err(unavailable)?;
    read.sort_by_key(|entry| entry.id);
    // Two tellings of one movement in one answer: where they differ, neither is believed.
    read.dedup_by(|later, first| {
        let same = later.id == first.id;
        if same && later.movement != first.movement {
            first.movement = Err("the list has it twice, in two ways".to_owned());
        }
        same
    });
    Ok(read)
}

fn read_entry(entry: &Value) -> Result<Entry, Unreadable> {
    let fields = Fields::of(entry.clone()).map_err(|_| unreadable("an entry of the list cannot be read"))?;
    let id = fields.integer("id")?.ok_or_else(|| unreadable("an entry of the list has no id"))?;
    let movement = read_movement(&fields).map_err(|unreadable| unreadable.0);
    Ok(Entry { id, movement, evidence: evidence(entry.to_string().as_bytes()) })
}

fn read_movement(fields: &Fields) -> Result<Incoming, Unreadable> {
    let amount = fields.amount("amount")?.ok_or_else(|| unreadable("amount is missing"))?;
    if amount.is_zero() {
        return Err(unreadable("amount is zero"));
    }
    Ok(Incoming {
        user: fields.id("uid")?.ok_or_else(|| unreadable("uid is missing"))?,
        provider_coin_id: fields.id("symbol")?.ok_or_else(|| unreadable("symbol is missing"))?,
        amount,
        progress: statuses::deposit(fields)?,
        address: fields.id("address_to")?,
        txid: fields.id("txid")?,
        confirmations: confirmations(fields),
        // Money does not wait for a date: the document's own type for it is not the one it shows.
        seen_at: fields.millis("created_at").unwrap_or_default(),
    })
}
