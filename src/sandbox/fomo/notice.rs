//! The callback to a merchant's `server_uri` (fomo-app.txt, section 四).

use super::transfer::Transfer;
use super::wire::Style;
use crate::sandbox::callbacks::{Fields, Notice};
use crate::sandbox::faults::CallbackFault;

/// The callback that tells the merchant of a transfer (fomo-app.txt, section 四).
pub(super) fn notice(style: Style, transfer: &Transfer) -> Notice {
    Notice {
        trade_id: transfer.trade_id.clone(),
        url: transfer.server_uri.clone(),
        json: style.json_callbacks,
        expects: None,
        spoil,
        fields: vec![
            ("transfer_id", transfer.transfer_id.clone()),
            ("user_id", transfer.user_id.clone()),
            ("trade_id", transfer.trade_id.clone()),
            ("coin_id", transfer.coin_id.clone()),
            ("amount", transfer.amount.to_string()),
            ("cut_amount", transfer.cut.to_string()),
            ("direction", transfer.direction().to_owned()),
            ("status", transfer.status().to_owned()),
        ],
    }
}

/// How a callback's fields look under a fault.
fn spoil(fields: &mut Fields, fault: &CallbackFault) {
    let other = |value: &str, one: &str, two: &str| if value == one { two } else { one }.to_owned();
    for (name, value) in fields {
        match (fault, *name) {
            (CallbackFault::WrongAmount(amount), "amount") => amount.clone_into(value),
            (CallbackFault::WrongCoin, "coin_id") => *value = other(value, "5", "8"),
            (CallbackFault::WrongUser, "user_id") => value.push_str("-other"),
            (CallbackFault::WrongTransferId, "transfer_id") => *value = "0".repeat(value.len()),
            (CallbackFault::WrongDirection, "direction") => *value = other(value, "1", "2"),
            (CallbackFault::Contradict, "status") => *value = other(value, "1", "0"),
            _ => {}
        }
    }
}
