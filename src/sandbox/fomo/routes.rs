//! FOMO's door: which call stands where, and how a request is read into one.

use std::sync::Arc;

use actix_web::http::{Method, header};
use actix_web::{HttpRequest, HttpResponse, web};

use super::web::{self as pages, Act};
use super::wire::Form;
use super::{Call, Fomo};
use crate::sandbox::answer::respond;
use crate::sandbox::faults::Answer;

/// The calls of the document.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Authorize,
    Token,
    Refresh,
    GetUserInfo,
    PrePay,
    ConfirmPay,
    PayUser,
    GetTransferDetail,
    GetActiveCoins,
}

/// Where each call stands below the base URL.
const ROUTES: [(&str, Operation); 9] = [
    ("oauth2/authorize", Operation::Authorize),
    ("oauth2/authorize/token", Operation::Token),
    ("oauth2/RefreshToken", Operation::Refresh),
    ("oauth2/resource/get_user_info", Operation::GetUserInfo),
    ("oauth2/resource/pre_pay", Operation::PrePay),
    ("oauth2/authorize/confirm_pay", Operation::ConfirmPay),
    ("oauth2/authorize/pay_user", Operation::PayUser),
    ("oauth2/resource/get_transfer_detail", Operation::GetTransferDetail),
    ("wallet/get_active_coins", Operation::GetActiveCoins),
];

impl Operation {
    /// The name by which faults and the call log know it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::Token => "token",
            Self::Refresh => "refresh",
            Self::GetUserInfo => "get_user_info",
            Self::PrePay => "pre_pay",
            Self::ConfirmPay => "confirm_pay",
            Self::PayUser => "pay_user",
            Self::GetTransferDetail => "get_transfer_detail",
            Self::GetActiveCoins => "get_active_coins",
        }
    }

    /// Calls without parameters may come by GET, as the document leaves their method open.
    fn takes(self, method: &Method) -> bool {
        method == Method::POST || (method == Method::GET && matches!(self, Self::GetUserInfo | Self::GetActiveCoins))
    }
}

/// Whether faults can name this operation.
pub(in crate::sandbox) fn knows(operation: &str) -> bool {
    ROUTES.iter().any(|(_, known)| known.name() == operation) || pages::knows(operation)
}

/// Mounts the provider under `/fomo/`.
pub(in crate::sandbox) fn routes(fomo: &Arc<Fomo>) -> impl FnOnce(&mut web::ServiceConfig) + use<> {
    let fomo = web::Data::from(Arc::clone(fomo));
    move |config| {
        config.app_data(fomo).route("/fomo/{path:.*}", web::route().to(receive));
    }
}

/// Any request below the base URL. The work is detached: it goes on when the caller hangs up.
async fn receive(fomo: web::Data<Fomo>, request: HttpRequest, path: web::Path<String>, body: web::Bytes) -> HttpResponse {
    let path = path.trim_start_matches('/');
    let form = Form::parse(request.query_string(), &body);
    if let Some(act) = Act::of(request.method(), path, &form) {
        return pages::receive(fomo.into_inner(), act, form).await;
    }
    let Some((_, operation)) = ROUTES.iter().find(|(known, _)| *known == path) else {
        return HttpResponse::NotFound().finish();
    };
    if !operation.takes(request.method()) {
        return HttpResponse::MethodNotAllowed().finish();
    }
    let call = Call { operation: *operation, form, bearer: bearer(&request) };
    let fomo = fomo.into_inner();
    let runtime = fomo.world.runtime.clone();
    match runtime.spawn(async move { fomo.handle(call).await }).await {
        Ok(answer) => respond(answer),
        // The runtime is going down, or a bug panicked: either way there is no answer.
        Err(_) => respond(Answer::Cut),
    }
}

fn bearer(request: &HttpRequest) -> Option<String> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}
