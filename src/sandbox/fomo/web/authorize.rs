//! The page on which a user agrees (fomo-web.txt, section 二, 1).

use url::Url;

use super::{AUTHORIZE, TITLE, path};
use crate::sandbox::fomo::Desk;
use crate::sandbox::fomo::code::{self, Refusal};
use crate::sandbox::fomo::oauth::SCOPES;
use crate::sandbox::fomo::state::ClientSetup;
use crate::sandbox::page::{Page, Redirect, Reply, escape, options};

const ASKED: [&str; 5] = ["response_type", "client_id", "redirect_uri", "state", "scope"];

impl Desk<'_> {
    /// Every check but the user's own decision. The document says nothing of a request that fails them, so the user
    /// is told on a page: a redirect is made for his decision alone.
    fn asked_to_agree(&self) -> Result<(ClientSetup, Url), Refusal> {
        let found = self.way_back()?;
        self.form.require(&ASKED)?;
        if self.form.get("response_type") != "code" {
            return Err(Refusal::parameter("response_type"));
        }
        if !self.form.get("scope").split(' ').all(|one| SCOPES.contains(&one)) {
            return Err(code::NOT_PERMITTED.into());
        }
        Ok(found)
    }

    /// Shows which app asks for what, and whom it can ask.
    pub(super) fn authorize_page(&self) -> Result<Reply, Refusal> {
        let (client, _) = self.asked_to_agree()?;
        let users = self.state.users.keys().map(|id| (id.clone(), self.label(id)));
        let body = format!(
            include_str!("authorize.html"),
            app = escape(&client.client_id),
            scope = escape(self.form.get("scope")),
            action = escape(&path(AUTHORIZE)),
            carried = self.carried(&ASKED),
            users = options(users),
        );
        Ok(Reply::Page(Page::new(TITLE, &body)))
    }

    /// The user has decided. How a refusal looks is left open; it is told as RFC 6749, section 4.1.2.1, has it.
    pub(super) fn web_authorize(&mut self) -> Result<Reply, Refusal> {
        let (client, back) = self.asked_to_agree()?;
        let said = match self.form.get("decision") {
            "approve" => {
                let user_id = self.form.get("user_id").to_owned();
                if !self.state.users.contains_key(&user_id) {
                    return Err(code::NO_SUCH_USER.into());
                }
                let scope = self.form.get("scope").to_owned();
                ("code", self.give_code(user_id, client.client_id, scope, true))
            }
            "deny" => ("error", "access_denied".to_owned()),
            _ => return Err(Refusal::parameter("decision")),
        };
        Ok(Reply::Redirect(Redirect::to(back, vec![said, ("state", self.form.get("state").to_owned())])))
    }

    /// FOMO fails with this code, which is asked for by a fault.
    pub(super) fn web_authorize_fails(&self, code: i64) -> Result<Reply, Refusal> {
        let (_, back) = self.asked_to_agree()?;
        let error = ("error", "server_error".to_owned());
        let outcome = vec![error, ("error_description", code.to_string()), ("state", self.form.get("state").to_owned())];
        Ok(Reply::Redirect(Redirect::to(back, outcome)))
    }
}
