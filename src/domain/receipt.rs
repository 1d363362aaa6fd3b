//! Incoming movements that a provider reports of an account's users, whatever the reason of the payment.

use strum::{Display, EnumString, IntoStaticStr};
use time::OffsetDateTime;

use super::money::Amount;

/// How an incoming movement stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Progress {
    /// It was seen and is not confirmed yet.
    Pending,
    /// The money is there.
    Confirmed,
    /// The provider found something wrong with it: it does not count.
    Abnormal,
}

/// One incoming movement, as the provider tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Incoming {
    /// The provider's id of the user whom it belongs to.
    pub user: String,
    /// The provider's id of the coin.
    pub provider_coin_id: String,
    /// How much came.
    pub amount: Amount,
    /// How it stands.
    pub progress: Progress,
    /// The address that it came to.
    pub address: Option<String>,
    /// The chain's id.
    pub txid: Option<String>,
    /// Confirmations on the chain.
    pub confirmations: Option<i32>,
    /// When the provider saw it first.
    pub seen_at: Option<OffsetDateTime>,
}
