//! Youliao's authorisation: one call.
//!
//! Youliao is told of a person and an amount, and gives a token; the person's browser goes to a page of
//! Youliao's with that token, and is authorised there (`youliao.md`). Nothing moves, nobody calls back, and
//! there is no way to ask later. The call is made once.

mod sign;
pub mod wire;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};

pub use self::sign::{Parameter, sign};
use super::http::{Call, ProviderHttp};
use super::{Applicant, AskError, Authorizations};
use crate::domain::account::YouliaoAccount;
use crate::domain::money::Amount;

/// A merchant's account at Youliao.
#[derive(Debug)]
pub struct Youliao {
    http: ProviderHttp,
    account: YouliaoAccount,
}

impl Youliao {
    /// Speaks for this account.
    pub fn new(http: ProviderHttp, account: YouliaoAccount) -> Self {
        Self { http, account }
    }

    /// Where the browser goes with this token, which holds characters that mean something in an address.
    fn redirect(&self, token: &SecretString) -> SecretString {
        let mut url = self.account.redirect_base.clone();
        url.query_pairs_mut().append_pair("token", token.expose_secret());
        String::from(url).into()
    }
}

/// Yuan with two decimals, as they travel.
fn yuan(amount: Amount) -> String {
    format!("{:.2}", amount.to_decimal())
}

#[async_trait]
impl Authorizations for Youliao {
    /// `oauth` (`youliao.md`). The account's `base_url` is the address of the call itself.
    async fn authorize(&self, applicant: &Applicant) -> Result<SecretString, AskError> {
        let amount = yuan(applicant.amount);
        let mut form = vec![
            ("amount", amount.as_str()),
            ("appId", &self.account.app_id),
            ("identity", applicant.identity.expose_secret()),
            ("mobile", applicant.mobile.expose_secret()),
            ("name", applicant.name.expose_secret()),
        ];
        let sign = sign(&form, &self.account.app_secret);
        form.push(("sign", &sign));
        let sent = self.http.send(Call::post("youliao oauth", self.account.base_url.clone(), &form)).await;
        let sent = sent.map_err(|failure| AskError::Unavailable(failure.reason()))?;
        let mut private: Vec<&str> = form.iter().filter(|(name, _)| *name != "appId").map(|(_, value)| *value).collect();
        private.push(self.account.app_secret.expose_secret());
        Ok(self.redirect(&wire::token(&sent, &private)?))
    }
}

#[cfg(test)]
#[path = "youliao_tests.rs"]
mod tests;
