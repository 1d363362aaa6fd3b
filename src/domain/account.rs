//! A merchant's account at a provider: credentials and how to treat what comes from it.

use std::net::IpAddr;

use ipnet::IpNet;
use rust_decimal::Decimal;
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use url::Url;

use super::order::Provider;

/// The merchant's credentials at a provider and its choices for the orders there.
#[derive(Clone, Debug)]
pub struct Account {
    /// What speaks to the provider.
    pub wallet: Wallet,
    /// What the merchant decided about doubtful cases.
    pub policy: Policy,
}

/// The credentials of one provider.
#[derive(Clone, Debug)]
pub enum Wallet {
    /// FOMO open platform.
    Fomo(FomoAccount),
    /// Hicoin open API.
    Hicoin(HicoinAccount),
    /// Youliao authorisation.
    Youliao(YouliaoAccount),
}

/// FOMO credentials (`fomo-app.txt`, part one: register an app).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FomoAccount {
    /// Everything is called below this address; it ends with `/`.
    #[serde(deserialize_with = "base_url")]
    pub base_url: Url,
    /// The app's id.
    pub client_id: String,
    /// The app's secret: signs requests.
    pub client_secret: SecretString,
    /// The password of the merchant's own wallet: pays out.
    pub wallet_pwd: SecretString,
    /// The front-end address that the app was registered with, to the letter.
    #[serde(deserialize_with = "registered_address")]
    pub redirect_uri: String,
    /// Which of FOMO's two flows the app was registered for.
    #[serde(default)]
    pub flow: FomoFlow,
    /// Source addresses that callbacks may come from; empty means any.
    #[serde(default, deserialize_with = "networks")]
    pub allow_ips: Vec<IpNet>,
}

/// FOMO's two ways of paying.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FomoFlow {
    /// The user confirms inside the FOMO app.
    #[default]
    App,
    /// The user's browser goes to FOMO and comes back.
    Web,
}

/// Hicoin credentials (`hicoin-openapi.rst`, section 5) and those of its OAuth.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HicoinAccount {
    /// Everything is called below this address; it ends with `/`.
    #[serde(deserialize_with = "base_url")]
    pub base_url: Url,
    /// The merchant's id.
    pub app_id: String,
    /// The merchant's secret: signs requests.
    pub app_secret: SecretString,
    /// The user that withdrawals are taken from.
    #[serde(default)]
    pub payout_uid: Option<String>,
    /// Where the OAuth pages and calls are.
    #[serde(default)]
    pub oauth_base_url: Option<Url>,
    /// The OAuth app's id; absent means `app_id`.
    #[serde(default)]
    pub oauth_app_id: Option<String>,
    /// The OAuth app's secret; absent means `app_secret`.
    #[serde(default)]
    pub oauth_secret: Option<SecretString>,
}

/// Youliao credentials.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct YouliaoAccount {
    /// Where the authorisation call goes.
    pub base_url: Url,
    /// Where the user's browser goes with the token.
    pub redirect_base: Url,
    /// The app's id.
    pub app_id: String,
    /// The app's secret: signs requests.
    pub app_secret: SecretString,
}

/// What the merchant decided about doubtful cases at one provider.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// The provider refuses a trade id that it has seen; without that, an unknown outcome is never
    /// sent again.
    pub trust_duplicate_refusal: bool,
    /// Money that a callback claims counts only when a query of ours confirms it, where one is possible.
    pub confirm_by_query: bool,
    /// A browser's unsigned return may settle a deposit (web flow).
    pub accept_unverified_returns: bool,
    /// Money without an order makes its own order.
    pub top_ups: bool,
    /// One wallet account may be linked to several customers.
    pub shared_links: bool,
    /// How far, in percent of the amount asked, a payment may differ and still count as exact.
    #[serde(with = "rust_decimal::serde::str")]
    pub tolerance_percent: Decimal,
    /// What to do with less than was asked at the deadline.
    pub under: Under,
    /// What to do with more than was asked.
    pub over: AcceptOrReview,
    /// What to do with money that comes after expiry.
    pub late: AcceptOrReview,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            trust_duplicate_refusal: true,
            confirm_by_query: true,
            accept_unverified_returns: false,
            top_ups: false,
            shared_links: false,
            tolerance_percent: Decimal::ZERO,
            under: Under::Wait,
            over: AcceptOrReview::Accept,
            late: AcceptOrReview::Accept,
        }
    }
}

/// The names of [`Policy`]'s settings: they stand beside the credentials in the merchant's file.
pub const POLICY_KEYS: [&str; 9] = [
    "trust_duplicate_refusal",
    "confirm_by_query",
    "accept_unverified_returns",
    "top_ups",
    "shared_links",
    "tolerance_percent",
    "under",
    "over",
    "late",
];

/// What to do with less money than was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Under {
    /// Wait for the rest until the deadline, then expire.
    Wait,
    /// Count it as paid at the deadline.
    Accept,
    /// Ask a human at the deadline.
    Review,
}

/// What to do with money that is more, or later, than was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AcceptOrReview {
    /// Count it.
    Accept,
    /// Ask a human.
    Review,
}

impl Account {
    /// Reads an account from the table of the merchant's file, values resolved.
    /// The error names the key that is wrong.
    pub fn from_document(provider: Provider, document: Map<String, Value>) -> Result<Self, serde_json::Error> {
        let (policy, wallet): (Map<_, _>, Map<_, _>) = document.into_iter().partition(|(key, _)| POLICY_KEYS.contains(&key.as_str()));
        let wallet = Value::Object(wallet);
        let wallet = match provider {
            Provider::Fomo => Wallet::Fomo(read(wallet)?),
            Provider::Hicoin => Wallet::Hicoin(read(wallet)?),
            Provider::Youliao => Wallet::Youliao(read(wallet)?),
        };
        let policy: Policy = read(Value::Object(policy))?;
        if policy.tolerance_percent.is_sign_negative() || policy.tolerance_percent >= Decimal::ONE_HUNDRED {
            return Err(serde::de::Error::custom("tolerance_percent must be at least 0 and below 100"));
        }
        Ok(Self { wallet, policy })
    }

    /// The provider that this account is at.
    pub fn provider(&self) -> Provider {
        match self.wallet {
            Wallet::Fomo(_) => Provider::Fomo,
            Wallet::Hicoin(_) => Provider::Hicoin,
            Wallet::Youliao(_) => Provider::Youliao,
        }
    }

    /// Whether callbacks may come from this address.
    pub fn allows_callbacks_from(&self, address: Option<IpAddr>) -> bool {
        let Wallet::Fomo(fomo) = &self.wallet else { return true };
        fomo.allow_ips.is_empty() || address.is_some_and(|address| fomo.allow_ips.iter().any(|network| network.contains(&address)))
    }
}

/// Reads a table. The error begins with the key that is wrong, unless it is the table as a whole.
fn read<T: DeserializeOwned>(table: Value) -> Result<T, serde_json::Error> {
    serde_path_to_error::deserialize(table).map_err(|error| match error.path().iter().next() {
        Some(_) => serde::de::Error::custom(&error),
        None => error.into_inner(),
    })
}

/// A base address must end with `/`, else the last part of its path would be replaced, not extended.
fn base_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    let mut url = Url::deserialize(deserializer)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(serde::de::Error::custom("base_url must be an http or https address"));
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

/// Providers compare such addresses to the letter: it is checked, and kept as it was given.
fn registered_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match Url::parse(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(serde::de::Error::custom(format!("redirect_uri {text:?}: {error}"))),
    }
}

/// Addresses or networks: `39.108.51.7`, `10.0.0.0/8`.
pub fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts
        .iter()
        .map(|text| network(text).ok_or_else(|| serde::de::Error::custom(format!("{text:?} is no IP address or network"))))
        .collect()
}

/// Reads one address or network.
pub fn network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fomo(extra: &Value) -> Result<Account, serde_json::Error> {
        let mut document = json!({
            "base_url": "http://127.0.0.1:1/fomo", "client_id": "acme", "client_secret": "s", "wallet_pwd": "p",
            "redirect_uri": "https://pay.acme.example/return",
        });
        let Value::Object(map) = &mut document else { unreachable!() };
        map.extend(extra.as_object().unwrap().clone());
        Account::from_document(Provider::Fomo, map.clone())
    }

    #[test]
    fn an_account_reads_with_its_defaults() {
        let account = fomo(&json!({"allow_ips": ["39.108.51.7", "10.0.0.0/8"]})).unwrap();
        assert!(account.policy.trust_duplicate_refusal && account.policy.confirm_by_query);
        let Wallet::Fomo(fomo) = &account.wallet else { panic!("not FOMO") };
        assert_eq!(fomo.base_url.as_str(), "http://127.0.0.1:1/fomo/");
        assert!(account.allows_callbacks_from(Some("10.1.2.3".parse().unwrap())));
        assert!(!account.allows_callbacks_from(Some("11.1.2.3".parse().unwrap())));
        assert!(!account.allows_callbacks_from(None));
    }

    #[test]
    fn a_wrong_key_or_value_is_named() {
        for (extra, named) in [
            (json!({"tolerance": "1"}), "tolerance"),
            (json!({"tolerance_percent": "100"}), "tolerance_percent"),
            (json!({"under": "ignore"}), "ignore"),
            (json!({"allow_ips": ["x"]}), "\"x\""),
            (json!({"base_url": "ftp://a/"}), "http"),
        ] {
            let error = fomo(&extra).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let account = Account::from_document(
            Provider::Youliao,
            json!({"base_url": "http://a/", "redirect_base": "http://a/", "app_id": "i", "app_secret": "hidden-secret"})
                .as_object()
                .unwrap()
                .clone(),
        );
        assert!(!format!("{account:?}").contains("hidden-secret"));
    }
}
