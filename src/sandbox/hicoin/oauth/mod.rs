//! Hicoin's OAuth, as its document describes it (hicoin-oauth.rst): a page that gives a code for one of an open API
//! app's users, and two calls that give tokens. Nothing here is signed. The document has no codes; refusals carry those
//! of the open API that come nearest.

mod authorize;
mod control;
mod routes;
mod setup;
mod state;
mod token;
mod verbs;

use super::code::{self, Refusal};
use super::wire::Form;
use super::{Hicoin, render};
use crate::sandbox::books::CallRecord;
use crate::sandbox::clock::lock;
use crate::sandbox::faults::{Answer, Fault, Faulty, run};
use crate::sandbox::page::{self, BrowseError, Page, Reply};

pub(super) use self::control::routes as control_routes;
pub(in crate::sandbox) use self::routes::BASE;
use self::routes::{AUTHORIZE, Act};
pub(super) use self::routes::{knows, routes};
pub use self::setup::{HicoinOauthApp, HicoinOauthStyle, HicoinTokenLife};
pub(super) use self::state::State;

const TITLE: &str = "Hicoin, simulated";

/// One visit or call being worked on.
struct Desk<'a> {
    oauth: &'a mut State,
    /// The open API, which knows the users.
    open: &'a super::State,
    form: &'a Form,
    now_ms: i64,
}

impl Hicoin {
    /// The machine's way over the page.
    pub(in crate::sandbox) async fn browse_authorize(&self, url: &str, uid: u64, approve: bool) -> Result<String, BrowseError> {
        let query = page::query(url, &format!("{BASE}/{AUTHORIZE}"))?;
        let decision = if approve { "approve" } else { "deny" };
        let form = Form::parse(query.as_bytes()).with("uid", &uid.to_string()).with("decision", decision);
        page::location(self.visit(Act::Authorize, form).await)
    }

    /// Logs a visit or call and runs it under the fault that waits for it.
    async fn visit(&self, act: Act, form: Form) -> Answer<Reply> {
        let (operation, at_ms, params) = (act.name(), self.world.clock.now_ms(), form.to_map());
        lock(&self.world.books).log(CallRecord { at_ms, operation, trade_id: None, ids: Vec::new(), params });
        let fault = self.world.faults.take(operation, &[]).map(|strike| strike.fault);
        let visit = Visit { hicoin: self, act, form, fault: fault.clone() };
        run(fault, &self.world.gate, &visit).await
    }
}

/// A visit or call as the faults see it.
struct Visit<'a> {
    hicoin: &'a Hicoin,
    act: Act,
    form: Form,
    fault: Option<Fault>,
}

impl Visit<'_> {
    fn at_desk(&self, work: impl FnOnce(&mut Desk<'_>) -> Result<Reply, Refusal>) -> Reply {
        let mut oauth = lock(&self.hicoin.oauth);
        let open = lock(&self.hicoin.state);
        let now_ms = self.hicoin.world.clock.now_ms();
        let mut desk = Desk { oauth: &mut oauth, open: &open, form: &self.form, now_ms };
        work(&mut desk).unwrap_or_else(|refusal| self.refused(&refusal, &open))
    }

    /// A refusal: to a browser a page, to a server the envelope of the open API.
    fn refused(&self, refusal: &Refusal, open: &super::State) -> Reply {
        match self.act {
            Act::AuthorizePage | Act::Authorize => {
                Reply::Page(Page::error(TITLE, refusal.code, code::message(refusal.code), refusal.about))
            }
            Act::AccessToken | Act::RefreshToken => Reply::Json(render::envelope(open.rules.style, refusal.code, refusal.about).into()),
        }
    }
}

impl Faulty<Reply> for Visit<'_> {
    fn execute(&self) -> Reply {
        let reply = self.at_desk(|desk| match self.act {
            Act::AuthorizePage => desk.authorize_page(),
            Act::Authorize => desk.authorize(),
            Act::AccessToken => desk.access_token(),
            Act::RefreshToken => desk.refresh_token(),
        });
        reply.under(self.fault.as_ref())
    }

    fn refuse(&self, code: i64) -> Reply {
        self.at_desk(|desk| if self.act == Act::Authorize { desk.authorize_fails(code) } else { Err(code.into()) })
    }

    /// Nobody is called back about codes and tokens.
    async fn callback_first(&self) -> Reply {
        self.execute()
    }
}
