//! Codes and tokens (fomo-app.txt, section 二), and who holds one (section 三, 1).

use super::Desk;
use super::code::{self, Refusal};
use super::state::{Code, Grant};
use super::wire::Done;
use crate::sandbox::world::fresh_token;

/// The document sets no life for codes; ten minutes is the most that RFC 6749 advises.
const CODE_LIFE_SECONDS: u32 = 600;
pub(super) const SCOPES: [&str; 2] = ["userinfo", "paytoken"];

impl Desk<'_> {
    /// Section 二, 1: the user agrees in the FOMO app, which gets a code for the merchant.
    pub(super) fn authorize(&mut self) -> Result<Done, Refusal> {
        self.form.require(&["response_type", "client_id", "redirect_uri", "state", "authorized", "session_key"])?;
        let client = self.client()?;
        let user_id = self.session_user()?;
        self.check_redirect(&client)?;
        if self.form.get("response_type") != "code" {
            return Err(Refusal::parameter("response_type"));
        }
        if self.form.get("authorized") != "yes" {
            return Err(code::NOT_PERMITTED.into());
        }
        Ok(Done::Code(self.give_code(user_id, client.client_id, SCOPES.join(" "), false)))
    }

    /// A fresh code, for what the user has agreed to.
    pub(super) fn give_code(&mut self, user_id: String, client_id: String, scope: String, by_browser: bool) -> String {
        let grant = self.grant(user_id, client_id, scope, CODE_LIFE_SECONDS);
        let code = fresh_token();
        self.state.codes.insert(code.clone(), Code { grant, by_browser });
        code
    }

    /// Section 二, 2: the merchant exchanges the code, which works once.
    pub(super) fn token(&mut self) -> Result<Done, Refusal> {
        let by_browser = self.state.codes.get(self.form.get("code")).is_some_and(|one| one.by_browser);
        self.form.require(&["code", "client_id", "client_secret", "grant_type"])?;
        if !by_browser {
            self.form.require(&["redirect_uri"])?;
        }
        let client = self.client_by_secret()?;
        if !(by_browser && self.form.get("grant_type") == "code") {
            self.check_grant_type("authorization_code")?;
        }
        if !self.form.get("redirect_uri").is_empty() {
            self.check_redirect(&client)?;
        }
        let known = self.state.codes.get(self.form.get("code")).filter(|one| one.grant.client_id == client.client_id);
        let grant = known.map(|one| one.grant.clone()).ok_or(code::SESSION)?;
        let scope = if by_browser { self.narrowed(&grant)? } else { grant.scope.clone() };
        self.state.codes.remove(self.form.get("code"));
        if grant.expires_at_ms <= self.now_ms {
            return Err(code::SESSION.into());
        }
        Ok(self.issue(grant, scope))
    }

    /// The web flow repeats the scope when it exchanges a code (fomo-web.txt, section 二, 2): all that the user agreed
    /// to, or less; 54 for more.
    fn narrowed(&self, grant: &Grant) -> Result<String, Refusal> {
        match self.form.get("scope") {
            "" => Ok(grant.scope.clone()),
            wanted => wanted.split(' ').try_for_each(|one| grant.permits(one)).map(|()| wanted.to_owned()),
        }
    }

    /// Section 二, 4: new tokens for a refresh token, which dies by its use.
    pub(super) fn refresh(&mut self) -> Result<Done, Refusal> {
        self.form.require(&["refresh_token", "client_id", "client_secret", "grant_type", "scope"])?;
        let client = self.client_by_secret()?;
        self.check_grant_type("refresh_token")?;
        let scope = self.form.get("scope").to_owned();
        if !scope.split(' ').all(|one| SCOPES.contains(&one)) {
            return Err(code::NOT_PERMITTED.into());
        }
        let token = self.form.get("refresh_token");
        let known = self.state.refresh_tokens.get(token).filter(|grant| grant.client_id == client.client_id);
        let grant = known.cloned().ok_or(code::SESSION)?;
        if grant.expires_at_ms <= self.now_ms {
            return Err(code::NOT_LOGGED_IN.into());
        }
        self.state.refresh_tokens.remove(token);
        Ok(self.issue(grant, scope))
    }

    /// Section 三, 1: who the token belongs to.
    pub(super) fn get_user_info(&self) -> Result<Done, Refusal> {
        let grant = self.bearer()?;
        grant.permits("userinfo")?;
        let user = self.state.users.get(&grant.user_id).ok_or(code::SESSION)?;
        Ok(Done::User { user_id: grant.user_id, name: user.name.clone() })
    }

    fn check_grant_type(&self, expected: &str) -> Result<(), Refusal> {
        if self.form.get("grant_type") == expected { Ok(()) } else { Err(Refusal::parameter("grant_type")) }
    }

    fn grant(&self, user_id: String, client_id: String, scope: String, life_seconds: u32) -> Grant {
        let expires_at_ms = self.now_ms.saturating_add(i64::from(life_seconds) * 1000);
        Grant { user_id, client_id, scope, expires_at_ms }
    }

    /// A fresh pair of tokens for the same user and app.
    fn issue(&mut self, old: Grant, scope: String) -> Done {
        let life = self.state.token_life;
        let (access_token, refresh_token) = (fresh_token(), fresh_token());
        let access = self.grant(old.user_id, old.client_id, scope.clone(), life.access_seconds);
        let refresh = self.grant(access.user_id.clone(), access.client_id.clone(), scope.clone(), life.refresh_seconds);
        self.state.access_tokens.insert(access_token.clone(), access);
        self.state.refresh_tokens.insert(refresh_token.clone(), refresh);
        Done::Tokens { access_token, refresh_token, expires_in: life.access_seconds, scope }
    }
}
