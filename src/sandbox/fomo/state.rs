//! What FOMO remembers: merchants' apps, users, coins and tokens.

use std::collections::BTreeMap;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

use super::ledger::Ledger;
use super::transfer::Transfers;
use super::wire::Style;

/// The wallet password of every simulated user until it is changed.
pub const USER_WALLET_PWD: &str = "123456";

/// A merchant's app as registered on the open platform (fomo-app.txt, section 一).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientSetup {
    /// The app's id.
    pub client_id: String,
    /// The secret behind `sign` and the token calls.
    pub client_secret: String,
    /// The password of the merchant's wallet; empty means that none is set (code 25).
    pub wallet_pwd: String,
    /// Where the platform sends users back; every call must repeat it.
    pub redirect_uri: String,
}

impl Default for ClientSetup {
    fn default() -> Self {
        Self {
            client_id: "acme".to_owned(),
            client_secret: "acme-secret".to_owned(),
            wallet_pwd: "acme-pwd".to_owned(),
            redirect_uri: "https://pay.acme.example/oauth/fomo/return".to_owned(),
        }
    }
}

/// A coin of `get_active_coins` (fomo-app.txt, appendix 二).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coin {
    /// FOMO's id.
    pub id: String,
    /// The chain that it lives on.
    pub chain_id: String,
    /// Its name, such as `usdt`.
    pub name: String,
    /// The price, as text.
    pub price: String,
    /// Its contract, or empty.
    pub contract: String,
    /// The most digits after the point.
    pub decimals: u32,
    /// Whether payments in it are taken.
    pub is_active: bool,
}

impl Coin {
    fn sample(id: &str, chain_id: &str, name: &str, price: &str, decimals: u32) -> Self {
        Self {
            id: id.to_owned(),
            chain_id: chain_id.to_owned(),
            name: name.to_owned(),
            price: price.to_owned(),
            contract: String::new(),
            decimals,
            is_active: true,
        }
    }

    /// The coins of the document's sample, and `9` (`old`), which is not active.
    pub fn samples() -> Vec<Self> {
        let usdt =
            Self { contract: "0x3551206D38A1D76C3616b8cf2A239Bc3893E4119".to_owned(), ..Self::sample("5", "3", "usdt", "0.9993", 6) };
        vec![
            Self::sample("1", "3", "vnt", "0.1", 8),
            Self::sample("3", "3", "eth", "188.93", 18),
            usdt,
            Self::sample("8", "1", "btc", "9027.06", 18),
            Self { is_active: false, ..Self::sample("9", "3", "old", "0", 8) },
        ]
    }
}

/// How long tokens live (fomo-app.txt, section 二, 2: one hour and about two weeks).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenLife {
    /// Seconds of an access token.
    pub access_seconds: u32,
    /// Seconds of a refresh token.
    pub refresh_seconds: u32,
}

impl Default for TokenLife {
    fn default() -> Self {
        Self { access_seconds: 3600, refresh_seconds: 14 * 24 * 3600 }
    }
}

/// What FOMO keeps of a payment (`cut_amount`). In JSON: `"none"`, `{"percent": "0.5"}`, `{"fixed": "1"}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fee {
    /// Nothing.
    #[default]
    None,
    /// A share of the amount, rounded down to the coin's decimals.
    Percent(Decimal),
    /// This much, but at most the amount.
    Fixed(Decimal),
}

impl Fee {
    pub(super) fn of(self, amount: Decimal, decimals: u32) -> Decimal {
        let fee = match self {
            Self::None => Decimal::ZERO,
            Self::Percent(percent) => amount.checked_mul(percent / Decimal::ONE_HUNDRED).unwrap_or_default(),
            Self::Fixed(fixed) => fixed,
        };
        fee.round_dp_with_strategy(decimals, RoundingStrategy::ToZero).clamp(Decimal::ZERO, amount)
    }
}

pub(super) struct User {
    pub(super) name: String,
    /// `None`: not set yet (code 25).
    pub(super) wallet_pwd: Option<String>,
}

/// A code or token: whose, for which app, until when.
#[derive(Clone)]
pub(super) struct Grant {
    pub(super) user_id: String,
    pub(super) client_id: String,
    pub(super) scope: String,
    pub(super) expires_at_ms: i64,
}

/// A code that waits for its exchange.
#[derive(Clone)]
pub(super) struct Code {
    pub(super) grant: Grant,
    /// It left by the web page: its exchange need not repeat `redirect_uri` (fomo-web.txt, section 二, 2).
    pub(super) by_browser: bool,
}

pub(super) struct State {
    pub(super) clients: BTreeMap<String, ClientSetup>,
    pub(super) users: BTreeMap<String, User>,
    /// session_key to user id.
    pub(super) sessions: BTreeMap<String, String>,
    pub(super) coins: Vec<Coin>,
    pub(super) codes: BTreeMap<String, Code>,
    pub(super) access_tokens: BTreeMap<String, Grant>,
    pub(super) refresh_tokens: BTreeMap<String, Grant>,
    pub(super) transfers: Transfers,
    pub(super) ledger: Ledger,
    pub(super) fees: BTreeMap<String, Fee>,
    pub(super) style: Style,
    pub(super) token_life: TokenLife,
    pub(super) duplicate_check: bool,
}

impl State {
    pub(super) fn new(clients: Vec<ClientSetup>, coins: Vec<Coin>, duplicate_check: bool) -> Self {
        Self {
            clients: clients.into_iter().map(|client| (client.client_id.clone(), client)).collect(),
            users: BTreeMap::new(),
            sessions: BTreeMap::new(),
            coins,
            codes: BTreeMap::new(),
            access_tokens: BTreeMap::new(),
            refresh_tokens: BTreeMap::new(),
            transfers: Transfers::default(),
            ledger: Ledger::default(),
            fees: BTreeMap::new(),
            style: Style::default(),
            token_life: TokenLife::default(),
            duplicate_check,
        }
    }

    pub(super) fn coin(&self, id: &str) -> Option<&Coin> {
        self.coins.iter().find(|coin| coin.id == id)
    }
}
