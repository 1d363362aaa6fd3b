//! The checks that FOMO's calls have in common, each with the code of its refusal (fomo-app.txt, appendix 一).

use rust_decimal::Decimal;
use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;
use url::Url;

use super::Desk;
use super::code::{self, Refusal};
use super::state::{ClientSetup, Coin, Grant};
use crate::sandbox::amount::positive_decimal;

/// How far a signature's timestamp may be from now, either way (fomo-app.txt, section 三, 2).
const SIGN_LIFE_SECONDS: u64 = 600;

impl Desk<'_> {
    /// The app that `client_id` names: 80 for a malformed id, 82 for an unknown one.
    pub(super) fn client(&self) -> Result<ClientSetup, Refusal> {
        let client_id = self.form.get("client_id");
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if client_id.len() > 64 || !client_id.bytes().all(allowed) {
            return Err(code::CLIENT_FORMAT.into());
        }
        self.state.clients.get(client_id).cloned().ok_or_else(|| code::NO_SUCH_CLIENT.into())
    }

    /// The app, proved by its secret: 12 for a wrong one.
    pub(super) fn client_by_secret(&self) -> Result<ClientSetup, Refusal> {
        let client = self.client()?;
        if same(self.form.get("client_secret"), &client.client_secret) { Ok(client) } else { Err(code::PASSWORD.into()) }
    }

    /// `sign = sha1(client_secret + timestamp)`: 7 for a wrong one, 8 outside of ten minutes.
    pub(super) fn check_sign(&self, client: &ClientSetup) -> Result<(), Refusal> {
        let timestamp = self.form.get("timestamp");
        let seconds: i64 = timestamp.parse().map_err(|_| Refusal::parameter("timestamp"))?;
        let sign = hex::encode(Sha1::digest(format!("{}{timestamp}", client.client_secret)));
        if !same(self.form.get("sign"), &sign) {
            return Err(code::SIGN.into());
        }
        if (self.now_ms / 1000).abs_diff(seconds) > SIGN_LIFE_SECONDS {
            return Err(code::SIGN_EXPIRED.into());
        }
        Ok(())
    }

    /// The parameters with one permitted value each.
    pub(super) fn check_fixed(&self, direction: &str) -> Result<(), Refusal> {
        if self.form.get("direction") != direction || self.form.get("scope") != "paytoken" {
            return Err(code::NOT_PERMITTED.into());
        }
        if self.form.get("response_type") != "code" {
            return Err(Refusal::parameter("response_type"));
        }
        Ok(())
    }

    /// `redirect_uri` must be the registered one.
    pub(super) fn check_redirect(&self, client: &ClientSetup) -> Result<(), Refusal> {
        if self.form.get("redirect_uri") == client.redirect_uri { Ok(()) } else { Err(code::NOT_PERMITTED.into()) }
    }

    /// `server_uri` must be an absolute http(s) URL.
    pub(super) fn check_server_uri(&self) -> Result<(), Refusal> {
        let valid = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        match Url::parse(self.form.get("server_uri")) {
            Ok(url) if valid(&url) => Ok(()),
            _ => Err(Refusal::parameter("server_uri")),
        }
    }

    /// 211 for a `trade_id` that this app has used before, for a deposit or a payout.
    pub(super) fn check_unused(&self, client: &ClientSetup) -> Result<(), Refusal> {
        let mut known = self.state.transfers.with_trade_id(self.form.get("trade_id"));
        let used = known.any(|one| one.client_id == client.client_id);
        if used && self.state.duplicate_check { Err(code::DUPLICATE.into()) } else { Ok(()) }
    }

    /// The coin and an amount within its decimals: 23, 21, or 0 for an amount that is none.
    pub(super) fn coin_and_amount(&self) -> Result<(Coin, Decimal), Refusal> {
        let coin = self.state.coin(self.form.get("coin_id")).ok_or(code::NO_SUCH_COIN)?;
        if !coin.is_active {
            return Err(code::COIN_INACTIVE.into());
        }
        let amount = positive_decimal(self.form.get("amount"), coin.decimals).ok_or(Refusal::parameter("amount"))?;
        Ok((coin.clone(), amount))
    }

    /// 25 when no wallet password is set, 26 when it is another one.
    pub(super) fn check_wallet_pwd(&self, expected: Option<&str>) -> Result<(), Refusal> {
        match expected.filter(|expected| !expected.is_empty()) {
            None => Err(code::NO_WALLET_PWD.into()),
            Some(expected) if same(self.form.get("wallet_pwd"), expected) => Ok(()),
            Some(_) => Err(code::WALLET_PWD.into()),
        }
    }

    /// The holder of the bearer token: 2 without one or after its life, 3 for an unknown one.
    pub(super) fn bearer(&self) -> Result<Grant, Refusal> {
        let token = self.bearer.ok_or(code::NOT_LOGGED_IN)?;
        let grant = self.state.access_tokens.get(token).ok_or(code::SESSION)?;
        if grant.expires_at_ms <= self.now_ms {
            return Err(code::NOT_LOGGED_IN.into());
        }
        Ok(grant.clone())
    }

    /// The user behind `session_key`: 3 for an unknown one.
    pub(super) fn session_user(&self) -> Result<String, Refusal> {
        self.state.sessions.get(self.form.get("session_key")).cloned().ok_or_else(|| code::SESSION.into())
    }
}

impl Grant {
    /// 54 when the token was not given for this.
    pub(super) fn permits(&self, scope: &str) -> Result<(), Refusal> {
        if self.scope.split(' ').any(|one| one == scope) { Ok(()) } else { Err(code::NOT_PERMITTED.into()) }
    }
}

fn same(given: &str, expected: &str) -> bool {
    given.as_bytes().ct_eq(expected.as_bytes()).into()
}
