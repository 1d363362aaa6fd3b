//! Tokens for a code (hicoin-oauth.rst, section 2.3) and for a refresh token (section 2.4).

use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use super::Desk;
use super::state::Grant;
use crate::sandbox::hicoin::code::{self, Refusal};
use crate::sandbox::hicoin::render::{envelope, number_or_text};
use crate::sandbox::page::Reply;
use crate::sandbox::world::fresh_token;

impl Desk<'_> {
    /// Section 2.3: 100005 for a wrong secret, 100004 for a code that is unknown, used, late or another app's. Only a
    /// call that gets that far uses the code up.
    pub(super) fn access_token(&mut self) -> Result<Reply, Refusal> {
        self.form.require(&["app_id", "secret", "code", "grant_type"])?;
        let client = self.oauth.client(self.form.get("app_id"))?.clone();
        let right: bool = self.form.get("secret").as_bytes().ct_eq(client.secret.as_bytes()).into();
        if !right {
            return Err(code::SIGN.into());
        }
        self.check_grant_type("authorization_code")?;
        let code = self.form.get("code");
        let known = self.oauth.codes.get(code).filter(|grant| grant.app_id == client.app_id).cloned();
        let grant = known.ok_or(Refusal::parameter("code"))?;
        self.oauth.codes.remove(code);
        self.check_life(&grant, "code")?;
        let refresh_token = self.give_refresh_token(&grant);
        self.answer(&grant, &refresh_token)
    }

    /// Section 2.4: 100004 for a refresh token that is unknown, replaced, late or another app's.
    pub(super) fn refresh_token(&mut self) -> Result<Reply, Refusal> {
        self.form.require(&["app_id", "grant_type", "refresh_token"])?;
        let app_id = self.oauth.client(self.form.get("app_id"))?.app_id.clone();
        self.check_grant_type("refresh_token")?;
        let token = self.form.get("refresh_token");
        let known = self.oauth.refresh_tokens.get(token).filter(|grant| grant.app_id == app_id).cloned();
        let grant = known.ok_or(Refusal::parameter("refresh_token"))?;
        self.check_life(&grant, "refresh_token")?;
        if !self.oauth.life.rotate {
            return self.answer(&grant, token);
        }
        self.oauth.refresh_tokens.remove(token);
        let next = self.give_refresh_token(&grant);
        self.answer(&grant, &next)
    }

    fn check_grant_type(&self, expected: &str) -> Result<(), Refusal> {
        if self.form.get("grant_type") == expected { Ok(()) } else { Err(Refusal::parameter("grant_type")) }
    }

    fn check_life(&self, grant: &Grant, about: &'static str) -> Result<(), Refusal> {
        if self.now_ms < grant.expires_at_ms { Ok(()) } else { Err(Refusal::parameter(about)) }
    }

    fn give_refresh_token(&mut self, grant: &Grant) -> String {
        let life_ms = i64::from(self.oauth.life.refresh_seconds) * 1000;
        let token = fresh_token();
        let grant = Grant { expires_at_ms: self.now_ms.saturating_add(life_ms), ..grant.clone() };
        self.oauth.refresh_tokens.insert(token.clone(), grant);
        token
    }

    fn answer(&self, grant: &Grant, refresh_token: &str) -> Result<Reply, Refusal> {
        let style = self.oauth.style;
        let tokens = json!({
            "access_token": fresh_token(),
            "expires_in": number_or_text(!style.number_expires_in, i64::from(self.oauth.life.access_seconds)),
            "refresh_token": refresh_token,
            "openid": self.oauth.client(&grant.app_id)?.openid(grant.uid),
            "scope": grant.scope,
        });
        if !style.enveloped {
            return Ok(Reply::Json(tokens));
        }
        let mut answer = envelope(self.open.rules.style, code::SUCCESS, None);
        answer.insert("data".to_owned(), tokens);
        Ok(Reply::Json(Value::Object(answer)))
    }
}
