//! What really happened, whatever the callers were told: an append-only list of executed money movements, and the log
//! of the calls that came in. Tests prove by it that nothing was paid twice.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Serialize;

/// The direction of a movement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A user paid a merchant.
    Deposit,
    /// A merchant paid a user.
    Payout,
}

/// One movement of money that was executed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// When, in epoch milliseconds of the sandbox's clock.
    pub at_ms: i64,
    /// The simulated provider that moved it.
    pub provider: &'static str,
    /// Which way it went.
    pub kind: Kind,
    /// The merchant's side.
    pub client_id: String,
    /// The merchant's id of the order.
    pub trade_id: String,
    /// The provider's id of the movement.
    pub transfer_id: String,
    /// The user's side.
    pub user_id: String,
    /// The coin, by the provider's id.
    pub coin_id: String,
    /// What left the payer, fee included.
    pub amount: Decimal,
    /// What the provider kept of it.
    pub fee: Decimal,
}

/// One call that came in, faulted or not, with its parameters but for the secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallRecord {
    /// When, in epoch milliseconds of the sandbox's clock.
    pub at_ms: i64,
    /// The operation, as faults name it.
    pub operation: &'static str,
    /// The order that it is about, where the parameters tell.
    pub trade_id: Option<String>,
    /// The form parameters without passwords, tokens and signatures.
    pub params: BTreeMap<String, String>,
}

/// Parameters that never enter the log.
const SECRETS: [&str; 8] = ["client_secret", "wallet_pwd", "session_key", "code", "access_token", "refresh_token", "sign", "app_secret"];

/// Both lists.
#[derive(Default)]
pub(super) struct Books {
    entries: Vec<Entry>,
    calls: Vec<CallRecord>,
}

impl Books {
    pub(super) fn record(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    pub(super) fn log(&mut self, mut call: CallRecord) {
        call.params.retain(|name, _| !SECRETS.contains(&name.as_str()));
        self.calls.push(call);
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn calls(&self) -> &[CallRecord] {
        &self.calls
    }
}
