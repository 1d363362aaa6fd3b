//! Receipts: incoming movements that a provider reports of its users, and the orders they belong to.
//!
//! A provider that only lists what came in knows nothing of our orders. Which order a receipt is of
//! is decided here, once, when it is first heard of; what an order has received is from then on what
//! its receipts add up to.

use std::fmt;

use serde::Serialize;
use strum::{Display, EnumString, IntoStaticStr};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::ids::{CustomerId, OrderId, ReceiptId};
use super::money::Amount;
use super::order::Order;
use super::status::{Deposit, Review, State};

/// How an incoming movement stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema, Display, EnumString, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
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

/// An incoming movement as we keep it.
#[derive(Clone, Debug, PartialEq)]
pub struct Receipt {
    /// Our id.
    pub id: ReceiptId,
    /// The provider's number of it.
    pub number: String,
    /// The order that it is of. Absent: none yet, or none at all.
    pub order: Option<OrderId>,
    /// The customer whom it came to. Absent: we do not know the user.
    pub customer: Option<CustomerId>,
    /// The provider's id of the user whom it came to.
    pub provider_user: Option<String>,
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
}

/// What the receipts of one deposit add up to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Takings {
    /// All that was seen and does not count for nothing.
    pub seen: Amount,
    /// All that is there.
    pub confirmed: Amount,
    /// Some of it is abnormal.
    pub abnormal: bool,
    /// The newest receipt that counts.
    pub newest: Option<Newest>,
}

/// What an order shows of its newest receipt.
#[derive(Clone, Debug, PartialEq)]
pub struct Newest {
    /// The provider's number of it.
    pub number: String,
    /// The chain's id.
    pub txid: Option<String>,
    /// Confirmations on the chain.
    pub confirmations: Option<i32>,
}

impl Takings {
    /// Adds receipts up, in whatever order they come.
    pub fn of<'a>(receipts: impl IntoIterator<Item = &'a Receipt>) -> Self {
        let mut takings = Self::default();
        let mut newest: Option<&Receipt> = None;
        for receipt in receipts {
            match receipt.progress {
                Progress::Abnormal => {
                    takings.abnormal = true;
                    continue;
                }
                Progress::Confirmed => takings.confirmed = takings.confirmed.plus_at_most(receipt.amount),
                Progress::Pending => {}
            }
            takings.seen = takings.seen.plus_at_most(receipt.amount);
            if newest.is_none_or(|known| receipt.age() > known.age()) {
                newest = Some(receipt);
            }
        }
        takings.newest = newest.map(|receipt| Newest {
            number: receipt.number.clone(),
            txid: receipt.txid.clone(),
            confirmations: receipt.confirmations,
        });
        takings
    }
}

impl fmt::Display for Takings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "received {}, of which {} is confirmed", self.seen, self.confirmed)?;
        if self.abnormal { write!(formatter, "; the provider calls some of it abnormal") } else { Ok(()) }
    }
}

impl Receipt {
    /// Providers count their movements: a shorter number is an older one.
    pub fn age(&self) -> (usize, &str) {
        (self.number.len(), &self.number)
    }
}

/// The deposit that an incoming amount belongs to, among all deposits of the customer in the coin:
/// the open one that asks for exactly this, else the one that misses exactly this, else the oldest
/// open one; then one that has all it asked for and is not settled; then, by the same rule, one that
/// is over and still open to late money.
pub fn home<'a>(deposits: impl IntoIterator<Item = &'a Order>, amount: Amount) -> Option<&'a Order> {
    let rank = |order: &Order| {
        let exactness = match order.amount.minus(order.amount_received) {
            _ if order.amount_received.is_zero() && order.amount == amount => 0,
            Some(missing) if missing == amount => 1,
            _ => 2,
        };
        (openness(order), exactness, order.created_at, order.id.0)
    };
    deposits.into_iter().filter(|order| openness(order).is_some()).min_by_key(|order| rank(order))
}

/// How readily a deposit takes money: the lower the sooner. `None` if it takes none.
fn openness(order: &Order) -> Option<u8> {
    let State::Deposit(state) = order.state else { return None };
    if order.is_final {
        return None;
    }
    match state {
        Deposit::Created | Deposit::AwaitingPayment | Deposit::Verifying | Deposit::PartiallyPaid => Some(0),
        Deposit::Confirming | Deposit::RequiresReview(Review::UnderPaid | Review::Abnormal) => Some(1),
        Deposit::Expired | Deposit::Canceled => Some(2),
        Deposit::RequiresReview(Review::Mismatch | Review::OutcomeUnknown | Review::Unproven | Review::OverPaid | Review::Late) => None,
        Deposit::Succeeded | Deposit::Failed => None,
    }
}

#[cfg(test)]
mod tests;
