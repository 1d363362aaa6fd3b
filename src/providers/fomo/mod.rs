//! FOMO open platform: links of both flows, and the verbs of the flow for apps (`web` has the others).
//!
//! The FOMO app gives the customer's code to the merchant's app; we exchange it for tokens, open a
//! deposit with `pre_pay`, which the customer confirms inside the FOMO app, and pay out with
//! `pay_user`. FOMO then calls our `server_uri`, for both. Every call is made once: nothing here
//! tries again, and nothing here decides what an order becomes.

pub mod sign;
mod web;
pub mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;
use url::Url;

pub use self::sign::sign;
use self::wire::Verb;
use super::http::{Call, CallFailure, ProviderHttp};
use super::{
    Answer, Callbacks, Coins, Deposits, LinkError, Links, Looked, MoneyCall, Profile, ReferenceLookups, Side, Tokens, UserPayouts, Wallet,
};
use crate::domain::account::{FomoAccount, FomoFlow};
use crate::domain::clock::Clock;
use crate::domain::coin::Coin;
use crate::domain::recovery::Capabilities;
use crate::domain::report::{Outcome, ProviderRecord};

/// A merchant's account at FOMO.
#[derive(Clone, Debug)]
pub struct Fomo {
    http: ProviderHttp,
    account: FomoAccount,
    clock: Clock,
}

/// What both money calls carry beside the order's own fields, as text.
struct Signed {
    timestamp: String,
    sign: String,
    amount: String,
    /// Random letters and digits. Nobody gives them back to us in this flow.
    state: String,
}

impl Fomo {
    /// Speaks for this account.
    pub fn new(http: ProviderHttp, account: FomoAccount, clock: Clock) -> Self {
        Self { http, account, clock }
    }

    /// The ports of an account at FOMO, in the flow that it is registered for.
    pub fn wallet(http: ProviderHttp, account: FomoAccount, clock: Clock) -> Wallet {
        let flow = account.flow;
        let fomo = Arc::new(Self::new(http, account, clock));
        match flow {
            FomoFlow::App => fomo.app_ports(),
            FomoFlow::Web => fomo.web_ports(),
        }
    }

    fn app_ports(self: Arc<Self>) -> Wallet {
        let fomo = self;
        Wallet {
            capabilities: Capabilities {
                refuses_duplicates: true,
                lookup_by_trade_id: false,
                lookup_by_reference: true,
                callbacks: true,
                deposit_feed: false,
            },
            coins: fomo.clone(),
            deposits: Some(fomo.clone()),
            web_deposits: None,
            payouts_need_token: false,
            user_payouts: fomo.clone(),
            address_payouts: None,
            transfers: None,
            reference_lookups: Some(fomo.clone()),
            trade_lookups: None,
            deposit_feed: None,
            users: None,
            links: Some(fomo.clone()),
            callbacks: Some(fomo),
            notices: None,
        }
    }

    /// The address of a method, below the account's base address.
    fn url(&self, method: &str) -> Url {
        let mut url = self.account.base_url.clone();
        let path = format!("{}{method}", url.path());
        url.set_path(&path);
        url
    }

    fn signed(&self, call: &MoneyCall) -> Signed {
        let timestamp = call.now.unix_timestamp();
        Signed {
            timestamp: timestamp.to_string(),
            sign: sign(&self.account.client_secret, timestamp),
            amount: call.amount.to_string(),
            state: self.clock.new_uuid().simple().to_string(),
        }
    }

    async fn send_money(&self, verb: Verb, call: &MoneyCall, request: Call<'_>) -> Answer {
        match self.http.send(request.before(call.deadline)).await {
            Ok(sent) => Answer { outcome: wire::outcome(verb, &sent, call), evidence: Some(sent.evidence()) },
            Err(CallFailure::NotSent(why)) => Answer { outcome: Outcome::NotSent(why), evidence: None },
            Err(CallFailure::Unknown(why)) => Answer { outcome: Outcome::Unknown(why), evidence: None },
        }
    }

    async fn user_info(&self, access_token: &SecretString) -> Result<Profile, LinkError> {
        let call = Call::get("fomo get_user_info", self.url("oauth2/resource/get_user_info"), &[]).bearer(access_token);
        let sent = self.http.send(call).await.map_err(|failure| LinkError::Unavailable(failure.reason()))?;
        wire::profile(&sent)
    }

    async fn send_for_tokens(&self, call: Call<'_>, now: OffsetDateTime, kept: Option<&SecretString>) -> Result<Tokens, LinkError> {
        let sent = self.http.send(call).await.map_err(|failure| LinkError::Unavailable(failure.reason()))?;
        wire::tokens(&sent, now, kept)
    }
}

#[async_trait]
impl Deposits for Fomo {
    /// `pre_pay` (part three, section 2).
    async fn offer(&self, call: &MoneyCall, payer: Side<'_>) -> Answer {
        let Some(access_token) = payer.access_token else {
            return Answer { outcome: Outcome::NotSent("there is no access token of the customer".to_owned()), evidence: None };
        };
        let signed = self.signed(call);
        let form = [
            ("direction", "1"),
            ("timestamp", &signed.timestamp),
            ("sign", &signed.sign),
            ("trade_id", call.trade_id.as_str()),
            ("amount", &signed.amount),
            ("coin_id", &call.provider_coin_id),
            ("client_id", &self.account.client_id),
            ("server_uri", call.server_uri.as_str()),
            ("redirect_uri", self.account.redirect_uri.as_str()),
            ("state", &signed.state),
            ("scope", "paytoken"),
            ("response_type", "code"),
        ];
        let request = Call::post("fomo pre_pay", self.url("oauth2/resource/pre_pay"), &form).bearer(access_token);
        self.send_money(Verb::PrePay, call, request).await
    }
}

#[async_trait]
impl UserPayouts for Fomo {
    /// `pay_user` (part three, section 4).
    async fn pay_user(&self, call: &MoneyCall, payee: Side<'_>) -> Answer {
        let signed = self.signed(call);
        let form = [
            ("direction", "2"),
            ("timestamp", &signed.timestamp),
            ("sign", &signed.sign),
            ("trade_id", call.trade_id.as_str()),
            ("amount", &signed.amount),
            ("coin_id", &call.provider_coin_id),
            ("user_id", payee.user),
            ("client_id", &self.account.client_id),
            ("server_uri", call.server_uri.as_str()),
            ("state", &signed.state),
            ("scope", "paytoken"),
            ("response_type", "code"),
            ("wallet_pwd", self.account.wallet_pwd.expose_secret()),
        ];
        let request = Call::post("fomo pay_user", self.url("oauth2/authorize/pay_user"), &form);
        self.send_money(Verb::PayUser, call, request).await
    }
}

#[async_trait]
impl ReferenceLookups for Fomo {
    /// `get_transfer_detail` (part three, section 5).
    async fn by_reference(&self, reference: &str, access_token: &SecretString) -> Looked {
        let form = [("transfer_id", reference)];
        let url = self.url("oauth2/resource/get_transfer_detail");
        match self.http.send(Call::post("fomo get_transfer_detail", url, &form).bearer(access_token)).await {
            Ok(sent) => wire::looked(&sent),
            Err(failure) => Looked::Unavailable(failure.reason()),
        }
    }
}

/// What a link may be used for: both of what FOMO knows.
const SCOPES: &str = "userinfo paytoken";

#[async_trait]
impl Links for Fomo {
    /// The page where a browser's user agrees (`fomo-web.txt`, part two, section 1).
    fn authorize_url(&self, state: &str, scope: Option<&str>, _ours: &Url) -> Result<Url, String> {
        let scope = scope.map_or_else(|| SCOPES.to_owned(), |text| text.split_whitespace().collect::<Vec<_>>().join(" "));
        if scope.is_empty() || !scope.split(' ').all(|word| SCOPES.split(' ').any(|known| known == word)) {
            return Err(format!("must be made of these words: {SCOPES}"));
        }
        let mut url = self.url("oauth2/authorize");
        url.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", &self.account.client_id),
            ("redirect_uri", &self.account.redirect_uri),
            ("state", state),
            ("scope", &scope),
        ]);
        Ok(url)
    }

    /// `token` (part two, section 2), then `get_user_info`.
    async fn exchange(&self, code: &SecretString, now: OffsetDateTime) -> Result<(Tokens, Profile), LinkError> {
        let state = self.clock.new_uuid().simple().to_string();
        let form = [
            ("code", code.expose_secret()),
            ("client_id", &self.account.client_id),
            ("client_secret", self.account.client_secret.expose_secret()),
            ("grant_type", "authorization_code"),
            ("redirect_uri", self.account.redirect_uri.as_str()),
            // Only the flow for browsers names these two (`fomo-web.txt`, part two, section 2); the other takes no offence.
            ("scope", SCOPES),
            ("state", &state),
        ];
        let call = Call::post("fomo token", self.url("oauth2/authorize/token"), &form);
        let tokens = self.send_for_tokens(call, now, None).await?;
        let profile = self.user_info(&tokens.access_token).await?;
        Ok((tokens, profile))
    }

    /// `RefreshToken` (part two, section 4). Where FOMO gives no new refresh token, the old one is kept.
    async fn refresh(&self, refresh_token: &SecretString, now: OffsetDateTime) -> Result<Tokens, LinkError> {
        let form = [
            ("refresh_token", refresh_token.expose_secret()),
            ("client_id", &self.account.client_id),
            ("client_secret", self.account.client_secret.expose_secret()),
            ("grant_type", "refresh_token"),
            ("scope", SCOPES),
        ];
        let call = Call::post("fomo RefreshToken", self.url("oauth2/RefreshToken"), &form);
        self.send_for_tokens(call, now, Some(refresh_token)).await
    }

    /// `get_user_info` (part three, section 1).
    async fn profile(&self, access_token: &SecretString, _user: &str) -> Result<Profile, LinkError> {
        self.user_info(access_token).await
    }
}

#[async_trait]
impl Coins for Fomo {
    /// `get_active_coins` (appendix 2).
    async fn coins(&self) -> Result<Vec<Coin>, String> {
        let call = Call::get("fomo get_active_coins", self.url("wallet/get_active_coins"), &[]);
        let sent = self.http.send(call).await.map_err(CallFailure::reason)?;
        wire::coins(&sent)
    }
}

impl Callbacks for Fomo {
    /// The callback to `server_uri` (part four). The body itself tells a form from JSON.
    fn read(&self, body: &[u8], _content_type: &str) -> Result<ProviderRecord, String> {
        wire::callback(body).map_err(|unreadable| unreadable.0)
    }
}

#[cfg(test)]
#[path = "fomo_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "web_tests.rs"]
mod web_tests;
