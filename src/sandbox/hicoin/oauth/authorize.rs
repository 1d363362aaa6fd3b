//! The page on which a user agrees (hicoin-oauth.rst, section 2.2), or is sent on without being asked.

use url::Url;

use super::routes::{AUTHORIZE, BASE};
use super::state::{Client, Grant};
use super::{Desk, TITLE};
use crate::sandbox::hicoin::code::{self, Refusal};
use crate::sandbox::hicoin::user::User;
use crate::sandbox::page::{Page, Redirect, Reply, escape, hidden, options};
use crate::sandbox::world::fresh_token;

/// The scope for which nobody is asked.
const SILENT: &str = "snsapi_base";
/// The scope for which the user is asked.
pub(super) const WITH_PAGE: &str = "snsapi_userinfo";

const ASKED: [&str; 6] = ["app_id", "redirect_uri", "response_type", "scope", "state", "wallet_redirect"];
/// The document sets no life for codes; this is what such codes live at the services that it follows.
const CODE_LIFE_MS: i64 = 5 * 60 * 1000;
/// The most letters and digits of a state.
const LONGEST_STATE: usize = 128;

impl Desk<'_> {
    /// Every check but the user's own decision. A request that fails one is told on a page, never by a redirect.
    /// `wallet_redirect` must be there; the document does not say what it holds.
    fn asked_to_agree(&self) -> Result<(Client, Url), Refusal> {
        self.form.require(&["app_id", "redirect_uri", "response_type", "scope", "wallet_redirect"])?;
        let client = self.oauth.client(self.form.get("app_id"))?.clone();
        if self.form.get("redirect_uri") != client.redirect_uri {
            return Err(Refusal::parameter("redirect_uri"));
        }
        let back = Url::parse(&client.redirect_uri).map_err(|_| Refusal::parameter("redirect_uri"))?;
        if self.form.get("response_type") != "code" {
            return Err(Refusal::parameter("response_type"));
        }
        if ![SILENT, WITH_PAGE].contains(&self.form.get("scope")) {
            return Err(Refusal::parameter("scope"));
        }
        let state = self.form.get("state");
        if state.len() > LONGEST_STATE || !state.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Refusal::parameter("state"));
        }
        Ok((client, back))
    }

    /// Everybody whom the merchant has registered; the merchant's own account is nobody.
    fn users(&self, client: &Client) -> impl Iterator<Item = (u64, &User)> {
        let app = self.open.apps.get(&client.open_app);
        let everybody = app.into_iter().flat_map(|app| app.users.iter().filter(|(uid, _)| **uid != app.setup.uid));
        everybody.map(|(uid, user)| (*uid, user))
    }

    /// Shows which app asks for what, and whom it can ask.
    pub(super) fn authorize_page(&self) -> Result<Reply, Refusal> {
        let (client, _) = self.asked_to_agree()?;
        let users = self.users(&client).map(|(uid, user)| (uid.to_string(), format!("{} ({uid})", user.nickname())));
        let carried = ASKED.iter().map(|name| (*name, self.form.get(name))).filter(|(_, value)| !value.is_empty());
        let body = format!(
            include_str!("authorize.html"),
            app = escape(&client.app_id),
            scope = escape(self.form.get("scope")),
            action = escape(&format!("{BASE}/{AUTHORIZE}")),
            carried = hidden(carried),
            users = options(users),
        );
        Ok(Reply::Page(Page::new(TITLE, &body)))
    }

    /// The user has decided, or is not asked. How a refusal looks is left open; it is told as RFC 6749, section
    /// 4.1.2.1, has it.
    pub(super) fn authorize(&mut self) -> Result<Reply, Refusal> {
        let (client, back) = self.asked_to_agree()?;
        let silent = self.form.get("scope") == SILENT;
        let said = match self.form.get("decision") {
            "deny" if !silent => ("error", "access_denied".to_owned()),
            decision if silent || decision == "approve" => ("code", self.give_code(&client)?),
            _ => return Err(Refusal::parameter("decision")),
        };
        Ok(self.send_back(back, vec![said]))
    }

    /// Hicoin fails with this code, which is asked for by a fault.
    pub(super) fn authorize_fails(&self, code: i64) -> Result<Reply, Refusal> {
        let (_, back) = self.asked_to_agree()?;
        Ok(self.send_back(back, vec![("error", "server_error".to_owned()), ("error_description", code.to_string())]))
    }

    /// A code for the user who was chosen, or for the one who is logged in where nobody was.
    fn give_code(&mut self, client: &Client) -> Result<String, Refusal> {
        let chosen = match self.form.get("uid") {
            "" => client.default_uid,
            uid => Some(uid.parse().map_err(|_| Refusal::parameter("uid"))?),
        };
        let found = self.users(client).map(|(uid, _)| uid).find(|uid| chosen.is_none_or(|chosen| chosen == *uid));
        let uid = found.ok_or(code::NO_SUCH_USER)?;
        let code = fresh_token();
        let expires_at_ms = self.now_ms.saturating_add(CODE_LIFE_MS);
        let grant = Grant { app_id: client.app_id.clone(), uid, scope: self.form.get("scope").to_owned(), expires_at_ms };
        self.oauth.codes.insert(code.clone(), grant);
        Ok(code)
    }

    /// A state that did not come does not go back.
    fn send_back(&self, back: Url, mut outcome: Vec<(&'static str, String)>) -> Reply {
        let state = self.form.get("state");
        if !state.is_empty() {
            outcome.push(("state", state.to_owned()));
        }
        Reply::Redirect(Redirect::to(back, outcome))
    }
}
