//! Notices of deposits and withdrawals. The document has none; Hicoin's operators can set up an address to which they
//! are posted as unsigned forms, to be answered with the bare word `SUCCESS`. Nothing is said of when they are repeated:
//! the outbox does it on its one schedule.

use super::deposit::Deposit;
use super::render::plain;
use super::withdrawal::Withdrawal;
use crate::sandbox::callbacks::{Fields, Notice};
use crate::sandbox::faults::CallbackFault;

pub(super) fn of_deposit(app_id: &str, url: &str, deposit: &Deposit) -> Notice {
    let fields = vec![
        ("app_id", app_id.to_owned()),
        ("id", deposit.id.to_string()),
        ("uid", deposit.uid.to_string()),
        ("symbol", deposit.symbol.clone()),
        ("amount", plain(deposit.amount)),
        ("status", (deposit.status as u8).to_string()),
        ("txid", deposit.txid.clone()),
        ("confirmations", deposit.confirmations.to_string()),
        ("address_to", deposit.address_to.clone()),
    ];
    notice(deposit.id.to_string(), url, fields)
}

pub(super) fn of_withdrawal(app_id: &str, url: &str, withdrawal: &Withdrawal) -> Notice {
    let fields = vec![
        ("app_id", app_id.to_owned()),
        ("id", withdrawal.id.to_string()),
        ("request_id", withdrawal.request_id.clone()),
        ("uid", withdrawal.uid.to_string()),
        ("symbol", withdrawal.symbol.clone()),
        ("amount", plain(withdrawal.amount)),
        ("withdraw_fee_symbol", withdrawal.fee.symbol.clone()),
        ("withdraw_fee", plain(withdrawal.fee.amount)),
        ("fee_symbol", withdrawal.symbol.clone()),
        ("real_fee", plain(withdrawal.real_fee)),
        ("status", (withdrawal.stage as u8).to_string()),
        ("txid", withdrawal.txid.clone()),
        ("confirmations", withdrawal.confirmations.to_string()),
        ("address_to", withdrawal.address_to.clone()),
    ];
    notice(withdrawal.request_id.clone(), url, fields)
}

fn notice(trade_id: String, url: &str, fields: Fields) -> Notice {
    Notice { trade_id, url: url.to_owned(), fields, json: false, expects: Some("SUCCESS"), spoil }
}

/// How a notice's fields look under a fault. It has no direction that could be wrong.
fn spoil(fields: &mut Fields, fault: &CallbackFault) {
    for (name, value) in fields {
        match (fault, *name) {
            (CallbackFault::WrongAmount(amount), "amount") => amount.clone_into(value),
            (CallbackFault::WrongCoin, "symbol") => *value = if value == "BTC" { "ETH" } else { "BTC" }.to_owned(),
            (CallbackFault::WrongUser, "uid") | (CallbackFault::WrongTransferId, "id") => value.push('9'),
            // Both of a deposit and of a withdrawal, 1 is another status than 0, 2 and 5.
            (CallbackFault::Contradict, "status") => *value = if value == "1" { "2" } else { "1" }.to_owned(),
            _ => {}
        }
    }
}
