//! The reading of Hicoin's lists of movements that we made.

use serde_json::Value;

use super::{read_answer, statuses, unavailable, unreadable};
use crate::domain::ids::TradeId;
use crate::domain::order::Direction;
use crate::domain::report::ProviderRecord;
use crate::providers::http::{Sent, evidence};
use crate::providers::reading::{Fields, Unreadable};
use crate::providers::{AskError, Listed};

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// `withdrawList` (`hicoin-openapi.rst`, section 4.11).
    Withdrawals,
    /// `transferList` (`hicoin-openapi.rst`, section 4.14).
    Transfers,
    /// `systemTransferList` (`hicoin-openapi.rst`, section 4.15).
    SystemTransfers,
}

/// Reads a list: the entries of those that were asked for. As what is not in it is taken for absent,
/// an entry that may be about anything makes all of it unreadable.
pub fn listed(list: List, sent: &Sent, asked: &[TradeId]) -> Result<Vec<Listed>, AskError> {
    let answer = read_answer(sent)?;
    let entries = answer.entries("data").map_err(unavailable)?;
    let read = entries.iter().filter_map(|entry| read_entry(list, entry, asked).transpose());
    read.collect::<Result<_, _>>().map_err(unavailable)
}

fn read_entry(list: List, entry: &Value, asked: &[TradeId]) -> Result<Option<Listed>, Unreadable> {
    let fields = Fields::of(entry.clone()).map_err(|_| unreadable("an entry of the list cannot be read"))?;
    let request_id = fields.id("request_id")?.ok_or_else(|| unreadable("an entry of the list has no request_id"))?;
    let Some(trade_id) = asked.iter().find(|asked| asked.as_str() == request_id) else { return Ok(None) };
    let record = read_record(list, trade_id, &fields).map_err(|unreadable| unreadable.0);
    Ok(Some(Listed { trade_id: trade_id.clone(), record, evidence: evidence(entry.to_string().as_bytes()) }))
}

fn read_record(list: List, trade_id: &TradeId, fields: &Fields) -> Result<ProviderRecord, Unreadable> {
    let standing = match list {
        List::Withdrawals => statuses::listed_withdrawal(fields)?,
        List::Transfers | List::SystemTransfers => statuses::transfer(fields)?,
    };
    // Absent, they would not be compared with the order.
    let coin = fields.id("symbol")?.ok_or_else(|| unreadable("symbol is missing"))?;
    let amount = fields.amount("amount")?.ok_or_else(|| unreadable("amount is missing"))?;
    let record = ProviderRecord {
        trade_id: Some(trade_id.as_str().to_owned()),
        reference: fields.id("id")?,
        coin: Some(coin.clone()),
        amount: Some(amount),
        direction: Some(Direction::Out),
        ..ProviderRecord::new(standing)
    };
    match list {
        List::Withdrawals => with_withdrawal(record, fields, &coin),
        List::Transfers => Ok(ProviderRecord { source: fields.id("from_uid")?, user: fields.id("to_uid")?, ..record }),
        // Whose `uid` and `from_uid` are where the merchant's own account pays is not documented.
        List::SystemTransfers => Ok(ProviderRecord { user: fields.id("to_uid")?, ..record }),
    }
}

fn with_withdrawal(record: ProviderRecord, fields: &Fields, coin: &str) -> Result<ProviderRecord, Unreadable> {
    let fee = fields.amount("withdraw_fee")?;
    let fee_coin = fields.id("withdraw_fee_symbol")?.filter(|fee_coin| fee_coin != coin);
    let miners_fee = fields.amount("real_fee")?;
    // In which coin a miner's fee without a symbol is, is not documented.
    let miners_coin = fields.id("fee_symbol")?.unwrap_or_default();
    let mut other_fees = Vec::new();
    // A fee in another coin is not taken off the amount.
    let fee = match (fee, fee_coin) {
        (Some(fee), Some(fee_coin)) => {
            other_fees.push(("withdraw_fee", fee_coin, fee.to_string()));
            None
        }
        (fee, _) => fee,
    };
    other_fees.extend(miners_fee.map(|fee| ("real_fee", miners_coin, fee.to_string())));
    Ok(ProviderRecord {
        source: fields.id("uid")?,
        address: fields.id("address_to")?,
        fee,
        other_fees,
        txid: fields.id("txid")?,
        confirmations: confirmations(fields),
        ..record
    })
}

/// Confirmations on the chain. They are only shown: where they cannot be read, there are none.
pub(super) fn confirmations(fields: &Fields) -> Option<i32> {
    let number = fields.integer("confirmations").ok().flatten()?;
    i32::try_from(number).ok().filter(|number| *number >= 0)
}
