//! Hicoin's OAuth: the customer's browser agrees, and we learn an openid (`hicoin-oauth.rst`, section 2).
//!
//! It stands apart from the open API: another address, perhaps another id and secret, and no signatures.

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;
use url::Url;

use super::wire::oauth;
use crate::domain::account::HicoinAccount;
use crate::providers::http::{Call, ProviderHttp};
use crate::providers::{LinkError, Links, Profile, Tokens};

/// The OAuth side of an account at Hicoin.
#[derive(Debug)]
pub struct HicoinOauth {
    http: ProviderHttp,
    base_url: Url,
    app_id: String,
    secret: SecretString,
}

impl HicoinOauth {
    /// Speaks for this account; `None` where it does not say where the pages are.
    pub fn of(http: &ProviderHttp, account: &HicoinAccount) -> Option<Self> {
        Some(Self {
            http: http.clone(),
            base_url: account.oauth_base_url.clone()?,
            app_id: account.oauth_app_id.clone().unwrap_or_else(|| account.app_id.clone()),
            secret: account.oauth_secret.clone().unwrap_or_else(|| account.app_secret.clone()),
        })
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base_url.clone();
        let path = format!("{}/{path}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url
    }

    async fn tokens(&self, call: Call<'_>, now: OffsetDateTime, kept: Option<&SecretString>) -> Result<(Tokens, Profile), LinkError> {
        let sent = self.http.send(call).await.map_err(|failure| LinkError::Unavailable(failure.reason()))?;
        oauth::tokens(&sent, now, kept)
    }
}

#[async_trait]
impl Links for HicoinOauth {
    /// The page where a browser's user agrees (section 2.2).
    fn authorize_url(&self, state: &str, scope: Option<&str>, ours: &Url) -> Result<Url, String> {
        const SCOPES: [&str; 2] = ["snsapi_userinfo", "snsapi_base"];
        let scope = scope.unwrap_or(SCOPES[0]);
        if !SCOPES.contains(&scope) {
            return Err(format!("must be one of {}", SCOPES.join(", ")));
        }
        let mut url = self.url("connect/oauth/authorize");
        url.query_pairs_mut().extend_pairs([
            ("app_id", self.app_id.as_str()),
            ("redirect_uri", ours.as_str()),
            ("response_type", "code"),
            ("scope", scope),
            ("state", state),
            // Required, and not explained; integrations repeat the address there.
            ("wallet_redirect", ours.as_str()),
        ]);
        Ok(url)
    }

    /// `access_token` (section 2.3).
    async fn exchange(&self, code: &SecretString, now: OffsetDateTime) -> Result<(Tokens, Profile), LinkError> {
        let form = [
            ("app_id", self.app_id.as_str()),
            ("secret", self.secret.expose_secret()),
            ("code", code.expose_secret()),
            ("grant_type", "authorization_code"),
        ];
        self.tokens(Call::post("hicoin oauth access_token", self.url("sns/oauth/access_token"), &form), now, None).await
    }

    /// `refresh_token` (section 2.4).
    async fn refresh(&self, refresh_token: &SecretString, now: OffsetDateTime) -> Result<Tokens, LinkError> {
        let form = [("app_id", self.app_id.as_str()), ("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose_secret())];
        let call = Call::post("hicoin oauth refresh_token", self.url("sns/oauth/refresh_token"), &form);
        Ok(self.tokens(call, now, Some(refresh_token)).await?.0)
    }

    /// There is no method for it: the openid is all that Hicoin's OAuth tells of a user.
    async fn profile(&self, _access_token: &SecretString, user: &str) -> Result<Profile, LinkError> {
        Ok(oauth::profile(user.to_owned()))
    }
}

#[cfg(test)]
#[path = "oauth_tests.rs"]
mod tests;
