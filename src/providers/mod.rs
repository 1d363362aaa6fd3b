//! The ports: what the gateway asks of a wallet provider, a trait for each ability.
//!
//! No port has a default body: an adapter that forgets a verb does not compile. An adapter only
//! speaks and reads; it never decides what an order becomes, and it compares nothing with the order.
//! Each adapter's folder has the same three files: `mod.rs` (the verbs), `wire.rs` (what travels,
//! and the tables of codes) and `sign.rs` (pure).

pub mod fomo;
pub mod http;
pub mod reading;
#[cfg(test)]
mod test_server;

use std::time::Instant;

use async_trait::async_trait;
use secrecy::SecretString;
use time::OffsetDateTime;
use url::Url;

use crate::domain::coin::Coin;
use crate::domain::ids::TradeId;
use crate::domain::money::Amount;
use crate::domain::recovery::Capabilities;
use crate::domain::report::{Evidence, Outcome, ProviderRecord};

/// What a call that may move money came to, with what came in.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What the adapter makes of it.
    pub outcome: Outcome,
    /// The answer's bytes. Absent where none came.
    pub evidence: Option<Evidence>,
}

/// What every call that may move money carries.
#[derive(Clone, Debug)]
pub struct MoneyCall {
    /// Our id: the provider's idempotency key.
    pub trade_id: TradeId,
    /// The provider's id of the coin.
    pub provider_coin_id: String,
    /// How much.
    pub amount: Amount,
    /// Where the provider reports to.
    pub server_uri: Url,
    /// The present, for signatures.
    pub now: OffsetDateTime,
    /// The call is dropped unsent once this has passed: somebody else may have taken over.
    pub deadline: Instant,
}

/// Opening a deposit at the provider.
#[async_trait]
pub trait Deposits: Send + Sync {
    /// Asks the provider to expect money of the customer. Moves nothing by itself.
    async fn offer(&self, call: &MoneyCall, access_token: &SecretString) -> Answer;
}

/// Paying somebody.
#[async_trait]
pub trait Payouts: Send + Sync {
    /// Pays a user of the provider.
    async fn pay_user(&self, call: &MoneyCall, user: &str) -> Answer;
}

/// Asking about a movement.
#[async_trait]
pub trait Lookups: Send + Sync {
    /// Asks about the movement that the provider calls `reference`, with a token of a user whose
    /// movement it is.
    async fn by_reference(&self, reference: &str, access_token: &SecretString) -> Looked;
}

/// What a question about a movement came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Looked {
    /// The provider's record of it.
    Found(Box<ProviderRecord>, Evidence),
    /// The provider knows of no such movement (any more).
    Absent(Evidence),
    /// The token is not accepted (any more).
    Unauthorized,
    /// Nothing was learnt.
    Unavailable(String),
}

/// Linking a customer's account at the provider.
#[async_trait]
pub trait Links: Send + Sync {
    /// Exchanges the code that the wallet's app gave for tokens.
    async fn exchange(&self, code: &SecretString, now: OffsetDateTime) -> Result<Tokens, LinkError>;
    /// Exchanges a refresh token for new tokens. The old one may be dead afterwards, also where the answer is lost.
    async fn refresh(&self, refresh_token: &SecretString, now: OffsetDateTime) -> Result<Tokens, LinkError>;
    /// Asks who the user is.
    async fn profile(&self, access_token: &SecretString) -> Result<Profile, LinkError>;
}

/// Tokens of a customer's account.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// Opens the customer's account to us.
    pub access_token: SecretString,
    /// When it stops to do so.
    pub access_expires_at: OffsetDateTime,
    /// Gets the next access token.
    pub refresh_token: SecretString,
    /// When it stops to do so.
    pub refresh_expires_at: OffsetDateTime,
}

/// A customer's account, as the provider describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The provider's id of the user.
    pub provider_user: String,
    /// What else it tells, as it came, without tokens.
    pub details: serde_json::Value,
}

/// Why a link could not be made or kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The provider refuses the code or the token: a new link is needed.
    #[error("the provider refused it: {0}")]
    Refused(String),
    /// The provider refuses us: secret, clock or address.
    #[error("the provider refused our credentials: {0}")]
    Misconfigured(String),
    /// Nothing is known: to be tried again.
    #[error("the provider could not be asked: {0}")]
    Unavailable(String),
}

/// Listing coins.
#[async_trait]
pub trait Coins: Send + Sync {
    /// All coins that the provider offers, with unambiguous names. The error says why there is none.
    async fn coins(&self) -> Result<Vec<Coin>, String>;
}

/// Reading what a provider sends us.
pub trait Callbacks: Send + Sync {
    /// Reads the body of a callback; the error says what is wrong with it. Believes nothing.
    fn read(&self, body: &[u8], content_type: &str) -> Result<ProviderRecord, String>;
}

/// A wallet that customers are linked to and that pays by user id: what the flows hold.
pub trait Wallet: Deposits + Payouts + Lookups + Links + Coins + Callbacks {
    /// What it can do, which decides how outcomes are learnt.
    fn capabilities(&self) -> Capabilities;
}
