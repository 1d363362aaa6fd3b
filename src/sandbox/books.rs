//! What really happened, whatever the callers were told: an append-only list of executed money movements, and the log
//! of the calls that came in. Tests prove by it that nothing was paid twice.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Serialize;

/// What an entry says of a movement. What pays at once has one entry; a [`Kind::Withdrawal`] has a second one when it
/// ends. So an order was executed as often as there are entries that [`execute`](Kind::executes), and it is paid where
/// the last entry of a `transfer_id` says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A user paid a merchant.
    Deposit,
    /// A merchant paid a user, at once.
    Payout,
    /// A merchant ordered a payment on a chain: the money has left the balance. `Completed` or `Returned` follows.
    Withdrawal,
    /// Money went from one account of a merchant to another.
    Transfer,
    /// A withdrawal has arrived. Moves nothing more.
    Completed,
    /// The money of a withdrawal is back in the balance, or a deposit was taken out of it again.
    Returned,
}

impl Kind {
    /// Whether this entry carries out an order, rather than telling what became of an earlier entry.
    pub fn executes(self) -> bool {
        match self {
            Self::Deposit | Self::Payout | Self::Withdrawal | Self::Transfer => true,
            Self::Completed | Self::Returned => false,
        }
    }

    /// Whether the payee has the money after this entry.
    fn pays(self) -> bool {
        match self {
            Self::Deposit | Self::Payout | Self::Transfer | Self::Completed => true,
            Self::Withdrawal | Self::Returned => false,
        }
    }
}

/// One movement of money that was executed, or what became of an earlier one.
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
    /// The merchant's id of the order; the provider's id of a deposit that answers no order.
    pub trade_id: String,
    /// The provider's id of the movement.
    pub transfer_id: String,
    /// The user's side; the address where the payment goes to a chain.
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
    /// The records that a list call is about, by the ids that it names or would be shown.
    pub ids: Vec<String>,
    /// The form parameters without passwords, tokens and signatures.
    pub params: BTreeMap<String, String>,
}

impl CallRecord {
    /// Whether the call is about this order or record.
    pub fn is_about(&self, id: &str) -> bool {
        self.trade_id.as_deref() == Some(id) || self.ids.iter().any(|one| one == id)
    }
}

/// Parameters that never enter the log.
const SECRETS: [&str; 9] =
    ["client_secret", "wallet_pwd", "session_key", "code", "access_token", "refresh_token", "sign", "app_secret", "secret"];

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

    /// How often an order was carried out, whatever became of it.
    pub(super) fn executions(&self, trade_id: &str) -> usize {
        self.entries.iter().filter(|entry| entry.trade_id == trade_id && entry.kind.executes()).count()
    }

    /// How many movements for an order have arrived and stayed: the last entry of each tells.
    pub(super) fn paid(&self, trade_id: &str) -> usize {
        let about = self.entries.iter().filter(|entry| entry.trade_id == trade_id);
        let last: BTreeMap<_, _> = about.map(|entry| ((&entry.client_id, &entry.transfer_id), entry.kind)).collect();
        last.values().filter(|kind| kind.pays()).count()
    }

    pub(super) fn calls(&self) -> &[CallRecord] {
        &self.calls
    }
}
