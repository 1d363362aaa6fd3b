//! The door of Hicoin's OAuth: what stands where, and how a request is read.

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};

use super::authorize::WITH_PAGE;
use crate::sandbox::faults::Answer;
use crate::sandbox::hicoin::Hicoin;
use crate::sandbox::hicoin::wire::Form;
use crate::sandbox::page;

/// The path of the base URL; the document's own ends in `/api`, too.
pub(in crate::sandbox) const BASE: &str = "/hicoin-oauth/api";

pub(super) const AUTHORIZE: &str = "connect/oauth/authorize";
const ACCESS_TOKEN: &str = "sns/oauth/access_token";
const REFRESH_TOKEN: &str = "sns/oauth/refresh_token";

/// What is done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Opens the page of section 2.2.
    AuthorizePage,
    /// Presses one of its buttons, or is sent on without having seen it.
    Authorize,
    /// Section 2.3.
    AccessToken,
    /// Section 2.4.
    RefreshToken,
}

const ACTS: [Act; 4] = [Act::AuthorizePage, Act::Authorize, Act::AccessToken, Act::RefreshToken];

impl Act {
    fn of(method: &Method, path: &str, form: &Form) -> Option<Self> {
        match (method, path) {
            (&Method::GET, AUTHORIZE) if form.get("scope") == WITH_PAGE => Some(Self::AuthorizePage),
            (&Method::GET | &Method::POST, AUTHORIZE) => Some(Self::Authorize),
            (&Method::POST, ACCESS_TOKEN) => Some(Self::AccessToken),
            (&Method::POST, REFRESH_TOKEN) => Some(Self::RefreshToken),
            _ => None,
        }
    }

    /// The name by which faults and the call log know it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::AuthorizePage => "hicoin_authorize_page",
            Self::Authorize => "hicoin_authorize",
            Self::AccessToken => "hicoin_access_token",
            Self::RefreshToken => "hicoin_refresh_token",
        }
    }
}

/// Whether faults can name this operation.
pub(in crate::sandbox::hicoin) fn knows(operation: &str) -> bool {
    ACTS.iter().any(|act| act.name() == operation)
}

/// Mounts the OAuth; the provider is in the application's data already.
pub(in crate::sandbox::hicoin) fn routes(config: &mut web::ServiceConfig) {
    config.route(&format!("{BASE}/{{path:.*}}"), web::route().to(receive));
}

/// Any request below the base URL. The work is detached: it goes on when the caller hangs up.
async fn receive(hicoin: web::Data<Hicoin>, request: HttpRequest, path: web::Path<String>, body: web::Bytes) -> HttpResponse {
    let path = path.trim_start_matches('/');
    if ![AUTHORIZE, ACCESS_TOKEN, REFRESH_TOKEN].contains(&path) {
        return HttpResponse::NotFound().finish();
    }
    let form = if request.method() == Method::GET { Form::parse(request.query_string().as_bytes()) } else { Form::parse(&body) };
    let Some(act) = Act::of(request.method(), path, &form) else {
        return HttpResponse::MethodNotAllowed().finish();
    };
    let hicoin = hicoin.into_inner();
    let runtime = hicoin.world.runtime.clone();
    let answer = runtime.spawn(async move { hicoin.visit(act, form).await }).await;
    // Without an answer the runtime is going down, or a bug panicked.
    page::respond(answer.unwrap_or(Answer::Cut))
}
