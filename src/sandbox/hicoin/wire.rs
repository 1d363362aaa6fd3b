//! Hicoin's parameters and styles, and what a call can come to, before it is rendered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::account::HicoinBalance;
use super::code::Refusal;
use super::deposit::Deposit;
use super::setup::HicoinCoin;
use super::transfer::Transfer;
use super::withdrawal::Withdrawal;

/// The ways in which Hicoin's answers may look; the default is the document's samples, oddities and all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HicoinStyle {
    /// `code` is a number instead of a string.
    pub number_codes: bool,
    /// Orders to pay are answered with `status`, as the tables of sections 4.7 to 4.9 call it, not with `statuts`.
    pub status_spelt_right: bool,
    /// The keys `"symbol "` (section 4.11), `"normal_balance "` and `"lock_balance "` (4.4) lose their trailing blanks.
    pub trimmed_keys: bool,
    /// `withdraw` tells `withdraw_type`, as the table of section 4.9 says and its sample does not.
    pub withdraw_type: bool,
    /// Times are strings, as the tables say, instead of numbers as in the samples.
    pub string_times: bool,
    /// How statuses come.
    pub statuses: HicoinStatuses,
}

/// Whether a status is a number or a string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HicoinStatuses {
    /// As each sample has it: a string in lists of transfers, a number elsewhere.
    #[default]
    AsPrinted,
    /// Always a number.
    Numbers,
    /// Always a string.
    Strings,
}

/// The parameters of a call.
#[derive(Clone, Default)]
pub(super) struct Form(BTreeMap<String, String>);

impl Form {
    /// Reads a query or a form body; what is not one has no parameters.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(bytes).unwrap_or_default();
        Self(pairs.into_iter().collect())
    }

    /// The same with one parameter set.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A parameter; one that is absent is as good as empty.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Refuses the first parameter that is missing, by name.
    pub(super) fn require(&self, names: &[&'static str]) -> Result<(), Refusal> {
        match names.iter().find(|name| self.get(name).is_empty()) {
            Some(name) => Err(Refusal::parameter(name)),
            None => Ok(()),
        }
    }

    /// All parameters by name in ASCII order.
    pub(super) fn sorted(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(super) fn to_map(&self) -> BTreeMap<String, String> {
        self.0.clone()
    }
}

/// What a call came to when it was not refused.
pub(super) enum Done {
    Registered { uid: u64 },
    User { uid: u64, nickname: String },
    Account { balance: HicoinBalance, address: String },
    Accounts(Vec<(String, HicoinBalance)>),
    Address { uid: u64, address: String },
    Ordered { status: u8, withdraw_type: Option<u8> },
    Coins(Vec<HicoinCoin>),
    Withdrawals(Vec<Withdrawal>),
    Deposits(Vec<Deposit>),
    Transfers(Vec<Transfer>),
}

impl Done {
    /// Leaves records out of a list, by the ids that callers know.
    pub(super) fn without(mut self, omitted: &[String]) -> Self {
        match &mut self {
            Self::Withdrawals(list) => list.retain(|one| !omitted.contains(&one.request_id)),
            Self::Deposits(list) => list.retain(|one| !omitted.contains(&one.id.to_string())),
            Self::Transfers(list) => list.retain(|one| !omitted.contains(&one.request_id)),
            Self::Registered { .. }
            | Self::User { .. }
            | Self::Account { .. }
            | Self::Accounts(_)
            | Self::Address { .. }
            | Self::Ordered { .. }
            | Self::Coins(_) => {}
        }
        self
    }
}
