//! FOMO's web flow (fomo-web.txt): pages that a browser opens, and a payout that a server orders by the address of a
//! page. A visit is logged, run under whatever fault waits for it, and worked on at the same desk as the calls.

mod authorize;
mod control;
mod pay;

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use url::Url;

use super::code::{self, Refusal};
use super::state::ClientSetup;
use super::wire::Form;
use super::{Desk, Fomo};
use crate::sandbox::books::CallRecord;
use crate::sandbox::clock::lock;
use crate::sandbox::faults::{Answer, Fault, Faulty, run};
use crate::sandbox::page::{self, BrowseError, Page, Reply};

pub(in crate::sandbox) use self::control::routes as control_routes;

const AUTHORIZE: &str = "oauth2/authorize";
const PAY: &str = "oauth2/authorize/pay";
const TITLE: &str = "FOMO, simulated";

/// What is done at a page.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Opens the page of section 二, 1.
    AuthorizePage,
    /// Presses one of its buttons.
    Authorize,
    /// Opens the page of section 三, 2.
    PayPage,
    /// Presses one of its buttons.
    Pay,
    /// Section 三, 3: a server pays out, and no page is shown.
    PayUser,
}

const ACTS: [Act; 5] = [Act::AuthorizePage, Act::Authorize, Act::PayPage, Act::Pay, Act::PayUser];

impl Act {
    /// What a request is; `None` for a call of the app flow, which shares the address of one page. What stands in the
    /// document as carried by the browser comes in the query, so by GET, also from a server.
    pub(super) fn of(method: &Method, path: &str, form: &Form) -> Option<Self> {
        let by_form = form.get("session_key").is_empty() && !form.get("decision").is_empty();
        match (method, path) {
            (&Method::GET, AUTHORIZE) => Some(Self::AuthorizePage),
            (&Method::POST, AUTHORIZE) if by_form => Some(Self::Authorize),
            (&Method::GET, PAY) if form.get("direction") == "2" => Some(Self::PayUser),
            (&Method::GET, PAY) => Some(Self::PayPage),
            (&Method::POST, PAY) => Some(Self::Pay),
            _ => None,
        }
    }

    /// The name by which faults and the call log know it.
    fn name(self) -> &'static str {
        match self {
            Self::AuthorizePage => "web_authorize_page",
            Self::Authorize => "web_authorize",
            Self::PayPage => "web_pay_page",
            Self::Pay => "web_pay",
            Self::PayUser => "web_pay_user",
        }
    }
}

/// Whether faults can name this operation.
pub(super) fn knows(operation: &str) -> bool {
    ACTS.iter().any(|act| act.name() == operation)
}

/// A request at a page. The work is detached, as for the calls.
pub(super) async fn receive(fomo: Arc<Fomo>, act: Act, form: Form) -> HttpResponse {
    let runtime = fomo.world.runtime.clone();
    let answer = runtime.spawn(async move { fomo.visit(act, form).await }).await;
    // Without an answer the runtime is going down, or a bug panicked.
    page::respond(answer.unwrap_or(Answer::Cut))
}

impl Fomo {
    /// The machine's way over the page to agree.
    pub(in crate::sandbox) async fn browse_authorize(&self, url: &str, user_id: &str, approve: bool) -> Result<String, BrowseError> {
        let query = page::query(url, &path(AUTHORIZE))?;
        let decision = if approve { "approve" } else { "deny" };
        let form = Form::parse(&query, b"").with("user_id", user_id).with("decision", decision);
        page::location(self.visit(Act::Authorize, form).await)
    }

    /// The machine's way over the page to pay.
    pub(in crate::sandbox) async fn browse_pay(&self, url: &str, approve: bool) -> Result<String, BrowseError> {
        let query = page::query(url, &path(PAY))?;
        let form = Form::parse(&query, b"").with("decision", if approve { "pay" } else { "cancel" });
        page::location(self.visit(Act::Pay, form).await)
    }

    /// Logs a visit and runs it under the fault that waits for it.
    async fn visit(&self, act: Act, form: Form) -> Answer<Reply> {
        let (operation, at_ms, params) = (act.name(), self.world.clock.now_ms(), form.to_map());
        let trade_id = Some(form.get("trade_id")).filter(|id| !id.is_empty()).map(str::to_owned);
        lock(&self.world.books).log(CallRecord { at_ms, operation, trade_id: trade_id.clone(), ids: Vec::new(), params });
        let fault = self.world.faults.take(operation, trade_id.as_slice()).map(|strike| strike.fault);
        let visit = Visit { fomo: self, act, form, fault: fault.clone() };
        run(fault, &self.world.gate, &visit).await
    }
}

/// A visit as the faults see it.
struct Visit<'a> {
    fomo: &'a Fomo,
    act: Act,
    form: Form,
    fault: Option<Fault>,
}

impl Visit<'_> {
    /// Works at the desk. What cannot be sent back by a redirect is told on a page.
    fn at_desk(&self, work: impl FnOnce(&mut Desk<'_>) -> Result<Reply, Refusal>) -> Reply {
        let mut state = lock(&self.fomo.state);
        let mut desk = Desk {
            world: &self.fomo.world,
            state: &mut state,
            form: &self.form,
            bearer: Some(self.form.get("access_token")),
            now_ms: self.fomo.world.clock.now_ms(),
        };
        work(&mut desk).unwrap_or_else(|refusal| error_page(&refusal))
    }
}

impl Faulty<Reply> for Visit<'_> {
    fn execute(&self) -> Reply {
        let reply = self.at_desk(|desk| match self.act {
            Act::AuthorizePage => desk.authorize_page(),
            Act::Authorize => desk.web_authorize(),
            Act::PayPage => desk.pay_page(),
            Act::Pay => desk.web_pay(),
            Act::PayUser => desk.web_pay_user(),
        });
        reply.under(self.fault.as_ref())
    }

    fn refuse(&self, code: i64) -> Reply {
        self.at_desk(|desk| match self.act {
            Act::AuthorizePage | Act::PayPage => Err(code.into()),
            Act::Authorize => desk.web_authorize_fails(code),
            Act::Pay | Act::PayUser => desk.web_pay_fails(code),
        })
    }

    async fn callback_first(&self) -> Reply {
        let reply = self.execute();
        let trade_id = self.form.get("trade_id");
        if !trade_id.is_empty() {
            self.fomo.world.outbox.deliver(Some(trade_id)).await;
        }
        reply
    }
}

impl Desk<'_> {
    /// The app, and its registered redirect_uri, which the request must repeat: without both there is no way back.
    fn way_back(&self) -> Result<(ClientSetup, Url), Refusal> {
        self.form.require(&["client_id", "redirect_uri"])?;
        let client = self.client()?;
        self.check_redirect(&client)?;
        let back = Url::parse(&client.redirect_uri).map_err(|_| Refusal::parameter("redirect_uri"))?;
        Ok((client, back))
    }

    /// What a page's form sends along of the request.
    fn carried(&self, names: &[&'static str]) -> String {
        page::hidden(names.iter().map(|name| (*name, self.form.get(name))).filter(|(_, value)| !value.is_empty()))
    }

    /// `Ann (u1)`.
    fn label(&self, user_id: &str) -> String {
        match self.state.users.get(user_id) {
            Some(user) if !user.name.is_empty() => format!("{} ({user_id})", user.name),
            _ => user_id.to_owned(),
        }
    }
}

fn error_page(refusal: &Refusal) -> Reply {
    Reply::Page(Page::error(TITLE, refusal.code, code::message(refusal.code), refusal.about))
}

/// Where a page stands on this host.
fn path(page: &str) -> String {
    format!("/fomo/{page}")
}
