//! The ports: what the gateway asks of a wallet provider, a trait for each ability.
//!
//! No port has a default body: an adapter that forgets a verb does not compile. An adapter only
//! speaks and reads; it never decides what an order becomes, and it compares nothing with the order.
//! Each adapter's folder has the same three files: `mod.rs` (the verbs), `wire.rs` (what travels,
//! and the tables of codes) and `sign.rs` (pure).

pub mod fomo;
pub mod hicoin;
pub mod http;
pub mod reading;
#[cfg(test)]
pub(crate) mod test_server;
pub mod youliao;

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use secrecy::SecretString;
use time::OffsetDateTime;
use url::Url;

use crate::domain::coin::Coin;
use crate::domain::ids::TradeId;
use crate::domain::money::Amount;
pub use crate::domain::order::Way;
use crate::domain::receipt::Incoming;
use crate::domain::recovery::Capabilities;
use crate::domain::report::{Code, Evidence, Outcome, ProviderRecord};

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
    /// Asks the provider to expect money of the customer, or where the customer is to send it.
    /// Moves nothing by itself.
    async fn offer(&self, call: &MoneyCall, payer: Side<'_>) -> Answer;
}

/// The customer's side of a movement.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// The provider's id of the user.
    pub user: &'a str,
    /// The user's token, where the provider wants one.
    pub access_token: Option<&'a SecretString>,
}

/// Paying users of the provider.
#[async_trait]
pub trait UserPayouts: Send + Sync {
    /// Pays a user of the provider out of the merchant's own account.
    async fn pay_user(&self, call: &MoneyCall, payee: Side<'_>) -> Answer;
}

/// Deposits that the customer pays on a page of the provider's, in the browser.
pub trait WebDeposits: Send + Sync {
    /// The page, signed now: it is good for minutes. It carries the user's token, so that nobody but the user's own browser
    /// may see it. `state` comes back with the browser.
    fn pay_page(&self, call: &MoneyCall, payer: Side<'_>, state: &str) -> Result<SecretString, String>;
    /// Reads the query that the browser comes back with. Believes nothing.
    fn read_return(&self, query: &str) -> Result<Returned, String>;
}

/// What a browser brought back from a provider's page.
#[derive(Clone, Debug, PartialEq)]
pub struct Returned {
    /// What it claims.
    pub record: ProviderRecord,
    /// The query without the token in it, fit to be kept.
    pub evidence: Evidence,
}

/// Paying to addresses.
#[async_trait]
pub trait AddressPayouts: Send + Sync {
    /// The provider's id of the user that payouts to addresses are taken from. The error says what is missing.
    fn source(&self) -> Result<String, String>;
    /// Pays to an address out of a user's account. `on_chain_only` forces the way over the chain, even where
    /// the address is one of the provider's own.
    async fn pay_address(&self, call: &MoneyCall, source: &str, address: &str, on_chain_only: bool) -> Answer;
}

/// Moving money between two users of the provider.
#[async_trait]
pub trait Transfers: Send + Sync {
    /// Moves it from one user to the other.
    async fn transfer(&self, call: &MoneyCall, source: &str, user: &str) -> Answer;
}

/// Asking about a movement by the provider's own id.
#[async_trait]
pub trait ReferenceLookups: Send + Sync {
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
    /// It answered what cannot be read, and will again.
    Unreadable(String),
}

/// Most ids in one question, and most entries of one page: what providers allow.
pub const PAGE: usize = 100;

/// Asking about movements by our own ids.
#[async_trait]
pub trait TradeLookups: Send + Sync {
    /// Asks about at most [`PAGE`] movements that went one way. The answer was complete and readable: what is not in it,
    /// the provider does not have (or does not show yet). One id can come twice.
    async fn by_trade_ids(&self, way: Way, trade_ids: &[TradeId]) -> Result<Vec<Listed>, AskError>;
}

/// One entry of a provider's list of movements.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// Our id, as the entry has it.
    pub trade_id: TradeId,
    /// What it says, or why it cannot be read.
    pub record: Result<ProviderRecord, String>,
    /// The entry's own bytes.
    pub evidence: Evidence,
}

/// Reading the incoming movements of all users of an account.
#[async_trait]
pub trait DepositFeed: Send + Sync {
    /// The first movements whose id is greater than `after`, at most [`PAGE`], by ascending id.
    async fn after(&self, after: i64) -> Result<Vec<Entry>, AskError>;
    /// Those of at most [`PAGE`] ids that the provider shows.
    async fn by_ids(&self, ids: &[i64]) -> Result<Vec<Entry>, AskError>;
}

/// One entry of a feed of incoming movements.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The provider's number of it.
    pub id: i64,
    /// What it says, or why it cannot be read.
    pub movement: Result<Incoming, String>,
    /// The entry's own bytes.
    pub evidence: Evidence,
}

/// The accounts of customers at the provider.
#[async_trait]
pub trait Users: Send + Sync {
    /// Makes an account for somebody, or finds the one that is there. Gives the provider's id of the user.
    async fn register(&self, contact: &Contact) -> Result<String, AskError>;
    /// What the provider tells of the user.
    async fn find(&self, contact: &Contact) -> Result<Profile, AskError>;
    /// What a user owns of one coin.
    async fn balance(&self, user: &str, provider_coin_id: &str) -> Result<Balance, AskError>;
    /// What a user owns of every coin.
    async fn balances(&self, user: &str) -> Result<Vec<Balance>, AskError>;
    /// The address of a user for a coin; makes one where there is none.
    async fn address(&self, user: &str, provider_coin_id: &str) -> Result<String, AskError>;
}

/// How a person can be reached: what a provider registers them by.
#[derive(Clone, Debug)]
pub enum Contact {
    /// A mobile telephone.
    Mobile {
        /// The country's code with its plus, for example `+86`.
        country: String,
        /// The number.
        number: SecretString,
    },
    /// An e-mail address.
    Email(SecretString),
}

/// What a user owns of a coin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// The provider's id of the coin.
    pub provider_coin_id: String,
    /// What can be moved.
    pub available: Amount,
    /// What is held back.
    pub locked: Amount,
}

/// Why a question that moves nothing got no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The provider says no: asking again gives the same.
    #[error("the provider refused it: {} ({})", .0.message, .0.provider_code)]
    Refused(Code),
    /// The provider refuses us: secret, clock or address.
    #[error("the provider refused our credentials: {} ({})", .0.message, .0.provider_code)]
    Misconfigured(Code),
    /// Nothing is known: to be tried again.
    #[error("the provider could not be asked: {0}")]
    Unavailable(String),
}

/// Asking for authorisations: no ability of a wallet, and no order follows from one.
#[async_trait]
pub trait Authorizations: Send + Sync {
    /// Asks once. Gives the address where the person's browser goes; it carries a token, so that it is a credential.
    async fn authorize(&self, applicant: &Applicant) -> Result<SecretString, AskError>;
}

/// Who is to be authorised, and for how much; of the right form.
#[derive(Clone, Debug)]
pub struct Applicant {
    /// The mobile number: 11 digits.
    pub mobile: SecretString,
    /// The name.
    pub name: SecretString,
    /// The identity number: 18 characters.
    pub identity: SecretString,
    /// How much, in yuan, with at most two decimals.
    pub amount: Amount,
}

/// Linking a customer's account at the provider.
#[async_trait]
pub trait Links: Send + Sync {
    /// Where the customer's browser goes to give us a code. `state` comes back with it, to the account's registered address or,
    /// where the provider takes any, to `ours`. The error names the scopes that there are.
    fn authorize_url(&self, state: &str, scope: Option<&str>, ours: &Url) -> Result<Url, String>;
    /// Exchanges the code that the wallet's app or the browser brought, and learns who the user is.
    async fn exchange(&self, code: &SecretString, now: OffsetDateTime) -> Result<(Tokens, Profile), LinkError>;
    /// Exchanges a refresh token for new tokens. The old one may be dead afterwards, also where the answer is lost.
    async fn refresh(&self, refresh_token: &SecretString, now: OffsetDateTime) -> Result<Tokens, LinkError>;
    /// Asks what the provider tells of the user whom it calls `user`.
    async fn profile(&self, access_token: &SecretString, user: &str) -> Result<Profile, LinkError>;
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

/// Reading what a provider sends us about one order, to an address that is that order's own.
pub trait Callbacks: Send + Sync {
    /// Reads the body of a callback; the error says what is wrong with it. Believes nothing.
    fn read(&self, body: &[u8], content_type: &str) -> Result<ProviderRecord, String>;
}

/// Reading what a provider sends us about anything, to an address that is the account's own.
pub trait Notices: Send + Sync {
    /// Reads what a notice is about; the error says what is wrong with it. Believes nothing.
    fn subject(&self, body: &[u8]) -> Result<Subject, String>;
}

/// What a notice is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A movement of ours, by our own id.
    Order(TradeId),
    /// An incoming movement, by the provider's number.
    Incoming(i64),
}

/// The ports of one account: what the flows hold. An ability that the provider does not have is absent.
#[derive(Clone)]
pub struct Wallet {
    /// What it can do, which decides how outcomes are learnt.
    pub capabilities: Capabilities,
    /// Lists coins.
    pub coins: Arc<dyn Coins>,
    /// Opens deposits. Absent where the customer's browser does.
    pub deposits: Option<Arc<dyn Deposits>>,
    /// Lets the customer's browser pay deposits.
    pub web_deposits: Option<Arc<dyn WebDeposits>>,
    /// A payout to a user needs that user's token.
    pub payouts_need_token: bool,
    /// Pays users.
    pub user_payouts: Arc<dyn UserPayouts>,
    /// Pays to addresses.
    pub address_payouts: Option<Arc<dyn AddressPayouts>>,
    /// Moves money between users.
    pub transfers: Option<Arc<dyn Transfers>>,
    /// Answers questions about a movement by its own id.
    pub reference_lookups: Option<Arc<dyn ReferenceLookups>>,
    /// Answers questions about movements by ours.
    pub trade_lookups: Option<Arc<dyn TradeLookups>>,
    /// Tells of incoming movements.
    pub deposit_feed: Option<Arc<dyn DepositFeed>>,
    /// Keeps accounts for our customers.
    pub users: Option<Arc<dyn Users>>,
    /// Lets customers open their own accounts to us.
    pub links: Option<Arc<dyn Links>>,
    /// Calls us about one order.
    pub callbacks: Option<Arc<dyn Callbacks>>,
    /// Calls us about anything.
    pub notices: Option<Arc<dyn Notices>>,
}
