//! An order: what a merchant asked for and where it is.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::claim::Claim;
use super::ids::{CustomerId, MerchantId, OrderId, TradeId};
use super::money::Amount;
use super::status::State;

/// A wallet system that orders are carried out by.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema, Display, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Provider {
    /// FOMO open platform.
    Fomo,
    /// Hicoin open API.
    Hicoin,
    /// Youliao authorisation.
    Youliao,
}

impl Provider {
    /// Whether it tells of incoming money by a list of movements, so that each of them is a receipt.
    pub fn lists_receipts(self) -> bool {
        match self {
            Self::Hicoin => true,
            Self::Fomo | Self::Youliao => false,
        }
    }
}

/// What an order moves, seen from the merchant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, Display, EnumString, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Kind {
    /// From a customer to the merchant.
    Deposit,
    /// From the merchant to somebody.
    Payout,
    /// Between two customers.
    Transfer,
}

impl Kind {
    /// The prefix of this kind's public ids.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Deposit => "dep_",
            Self::Payout => "pay_",
            Self::Transfer => "trf_",
        }
    }
}

/// Which way money goes, in FOMO's words: 1 is to the merchant, 2 from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To the merchant.
    In,
    /// From the merchant.
    Out,
}

/// By which way money leaves. A provider may keep a list for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Way {
    /// To an address.
    ToAddress,
    /// From the merchant's account to a user of the provider.
    ToUser,
    /// Between two users of the provider.
    BetweenUsers,
}

/// Where a payout goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Destination {
    /// A user of FOMO, by FOMO's user id.
    FomoUser {
        /// FOMO's id of the user.
        user_id: String,
    },
    /// An address on a chain, or of another user of the wallet.
    Address {
        /// The address.
        address: String,
        /// Forces the way over the chain, even to the wallet's own users.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        on_chain_only: Option<bool>,
    },
    /// A user of Hicoin, by Hicoin's uid.
    HicoinUser {
        /// Hicoin's id of the user.
        uid: String,
    },
    /// Another customer of the merchant: where a transfer goes.
    Customer {
        /// The merchant's id of the customer.
        customer: String,
    },
}

impl Destination {
    /// The provider's id of the user who gets the money, where the destination is a user.
    pub fn provider_user(&self) -> Option<&str> {
        match self {
            Self::FomoUser { user_id } => Some(user_id),
            Self::HicoinUser { uid } => Some(uid),
            Self::Address { .. } | Self::Customer { .. } => None,
        }
    }
}

/// What somebody has to do before a deposit can go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum NextAction {
    /// The customer confirms inside the FOMO app.
    ConfirmInApp {
        /// FOMO's id of the transfer to confirm.
        transfer_id: String,
        /// FOMO forgets the transfer then.
        #[serde(with = "time::serde::rfc3339")]
        expires_at: OffsetDateTime,
    },
    /// The customer's browser goes there.
    Redirect {
        /// Where to send the browser.
        url: String,
    },
    /// The customer sends coins to an address.
    SendToAddress {
        /// The address.
        address: String,
        /// The coin to send.
        coin: String,
        /// How much to send.
        #[schema(value_type = String, example = "12.5")]
        amount: Amount,
        /// What to write beside the address, where the coin needs it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        memo: Option<String>,
    },
}

/// Why an order failed or waits for a human.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// Our stable code.
    #[schema(example = "insufficient_balance")]
    pub code: String,
    /// The provider's own code, as it came.
    #[schema(example = "24")]
    pub provider_code: Option<String>,
    /// For humans.
    #[schema(example = "The provider says that the balance is too low.")]
    pub message: String,
}

/// Somebody wants a call made again although nobody knows what became of an earlier one. It takes two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Retry {
    /// The key that asked.
    #[schema(example = "key_0193f2a7c1d27b5e8f4e2a90c3d4e5f6")]
    pub asked_by: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub asked_at: OffsetDateTime,
    /// Why, in the words of whoever asked.
    pub reason: String,
    /// The other key that agreed: it is about to be sent. Null while nobody has.
    pub granted_by: Option<String>,
}

impl Retry {
    /// Two different keys want it.
    pub fn is_granted(&self) -> bool {
        self.granted_by.as_ref().is_some_and(|other| *other != self.asked_by)
    }
}

/// How the money seen compares with the money asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AmountState {
    /// Nothing was seen.
    None,
    /// Less than asked.
    Under,
    /// What was asked.
    Exact,
    /// More than asked.
    Over,
}

/// A deposit, payout or transfer, whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// Whose order it is.
    pub merchant_id: MerchantId,
    /// Our id of it.
    pub id: OrderId,
    /// The merchant's id of it.
    pub trade_id: TradeId,
    /// What it moves.
    pub kind: Kind,
    /// Who carries it out.
    pub provider: Provider,
    /// Where it is.
    pub state: State,
    /// Counts its steps; a write succeeds only on the sequence that was read.
    pub sequence: i64,
    /// The coin's name.
    pub coin: String,
    /// The provider's id of the coin.
    pub provider_coin_id: String,
    /// Most decimals of an amount of this coin.
    pub decimals: u32,
    /// What was asked.
    pub amount: Amount,
    /// How far the money may differ from it and still be exactly what was asked.
    pub tolerance: Amount,
    /// What was seen: for a deposit, the sum of its receipts; otherwise what the other side gets.
    pub amount_received: Amount,
    /// What was proven: for a deposit, the sum of its confirmed receipts; otherwise what has gone.
    pub amount_confirmed: Amount,
    /// What the provider took, in the same coin. Absent until the provider says.
    pub fee: Option<Amount>,
    /// The money came after expiry or cancellation.
    pub late: bool,
    /// The merchant's customer. Absent on payouts to nobody in particular.
    pub customer: Option<CustomerId>,
    /// Where a payout goes. Absent on deposits.
    pub destination: Option<Destination>,
    /// The provider's id of the other side's user. Absent where the other side is an address.
    pub provider_user: Option<String>,
    /// The provider's id of the user whom the money is taken from. Absent where that is the merchant's own account.
    pub source_user: Option<String>,
    /// What somebody has to do next. Absent when nobody has to.
    pub next_action: Option<NextAction>,
    /// The provider's id of the movement. Absent until the provider tells.
    pub provider_reference: Option<String>,
    /// The chain's id of the movement. Absent off chain.
    pub txid: Option<String>,
    /// Confirmations on the chain. Absent off chain.
    pub confirmations: Option<i32>,
    /// Why it failed or waits for a human.
    pub failure: Option<Failure>,
    /// What was claimed without proof. Absent where nothing waits for proof.
    pub claim: Option<Claim>,
    /// How many attempts may have moved money, or announced a deposit, without our knowing.
    pub doubts: i16,
    /// Since when there has been such an attempt. Absent where there is none.
    pub doubt_since: Option<OffsetDateTime>,
    /// Somebody wants it sent again all the same. Absent where nobody does.
    pub retry: Option<Retry>,
    /// Nothing will change any more.
    pub is_final: bool,
    /// When it became final, or will.
    pub final_at: Option<OffsetDateTime>,
    /// Until when a deposit is expected to be paid.
    pub expires_at: Option<OffsetDateTime>,
    /// The merchant's own notes.
    pub metadata: Option<serde_json::Value>,
    /// When it was asked for.
    pub created_at: OffsetDateTime,
    /// When its last step was.
    pub updated_at: OffsetDateTime,
}

/// What every order has from its first moment.
#[derive(Clone, Debug)]
pub struct Birth {
    /// Whose it is.
    pub merchant_id: MerchantId,
    /// Our own id.
    pub id: OrderId,
    /// The merchant's id.
    pub trade_id: TradeId,
    /// Deposit, payout or transfer.
    pub kind: Kind,
    /// Where the money moves.
    pub provider: Provider,
    /// The coin as `/v1/coins` names it.
    pub coin: String,
    /// The coin as the provider names it.
    pub provider_coin_id: String,
    /// The coin's decimals.
    pub decimals: u32,
    /// What was asked for.
    pub amount: Amount,
    /// When.
    pub at: OffsetDateTime,
}

impl Order {
    /// An order of which nothing has happened yet.
    pub fn new(birth: Birth) -> Self {
        let Birth { merchant_id, id, trade_id, kind, provider, coin, provider_coin_id, decimals, amount, at } = birth;
        Self {
            merchant_id,
            id,
            trade_id,
            kind,
            provider,
            state: State::first(kind),
            sequence: 1,
            coin,
            provider_coin_id,
            decimals,
            amount,
            tolerance: Amount::ZERO,
            amount_received: Amount::ZERO,
            amount_confirmed: Amount::ZERO,
            fee: None,
            late: false,
            customer: None,
            destination: None,
            provider_user: None,
            source_user: None,
            next_action: None,
            provider_reference: None,
            txid: None,
            confirmations: None,
            failure: None,
            claim: None,
            doubts: 0,
            doubt_since: None,
            retry: None,
            is_final: false,
            final_at: None,
            expires_at: None,
            metadata: None,
            created_at: at,
            updated_at: at,
        }
    }

    /// Our public id of the order.
    pub fn public_id(&self) -> String {
        self.id.public(self.kind)
    }

    /// By which way its money leaves; `None` for deposits.
    pub fn way(&self) -> Option<Way> {
        match (self.kind, &self.destination) {
            (Kind::Deposit, _) => None,
            (Kind::Transfer, _) => Some(Way::BetweenUsers),
            (Kind::Payout, Some(Destination::Address { .. })) => Some(Way::ToAddress),
            (Kind::Payout, _) => Some(Way::ToUser),
        }
    }

    /// Which way its money goes.
    pub fn direction(&self) -> Direction {
        match self.kind {
            Kind::Deposit => Direction::In,
            Kind::Payout | Kind::Transfer => Direction::Out,
        }
    }

    /// Whether the provider may have more than one movement under this order's id: a deposit that was announced again after an
    /// announcement in doubt, to a provider that does not refuse repeated ids. Its customer may pay any of them.
    pub fn may_have_twins(&self) -> bool {
        self.kind == Kind::Deposit && self.doubts + i16::from(self.provider_reference.is_some()) > 1
    }

    /// What the provider may call the order's movement: its own word, or what was claimed where that says more.
    pub fn references(&self) -> Vec<String> {
        let mut all: Vec<String> = self.provider_reference.iter().cloned().collect();
        if all.is_empty() || self.may_have_twins() {
            let claimed = self.claim.as_ref().map(Claim::references).unwrap_or_default();
            all.extend(claimed.into_iter().filter(|claimed| self.provider_reference.as_ref() != Some(claimed)));
        }
        all
    }

    /// How the money seen compares with the money asked.
    pub fn amount_state(&self) -> AmountState {
        let seen = match self.kind {
            Kind::Deposit => self.amount_received,
            Kind::Payout | Kind::Transfer => self.amount_confirmed,
        };
        match seen.minus(self.amount) {
            _ if seen.is_zero() => AmountState::None,
            _ if !self.covers(seen) => AmountState::Under,
            Some(more) if more > self.tolerance => AmountState::Over,
            _ => AmountState::Exact,
        }
    }

    /// Whether so much is what was asked, or more.
    pub fn covers(&self, seen: Amount) -> bool {
        self.amount.minus(seen).is_none_or(|missing| missing <= self.tolerance)
    }
}
