//! Hicoin's door: which call stands where, and how a request is read into one.

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};

use super::wire::Form;
use super::{Call, Hicoin, oauth};
use crate::sandbox::answer::respond;
use crate::sandbox::faults::Answer;

/// The calls of the document (hicoin-openapi.rst, section 4).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    CreateUser,
    RegisterEmail,
    UserInfo,
    GetByUidAndSymbol,
    GetAllAccount,
    GetDepositAddress,
    UserTransfer,
    SystemTransfer,
    Withdraw,
    GetCoinList,
    WithdrawList,
    SyncDepositList,
    DepositList,
    TransferList,
    SystemTransferList,
}

/// Where each call stands below the base URL.
const ROUTES: [(&str, Operation); 15] = [
    ("api/user/createUser", Operation::CreateUser),
    ("api/user/registerEmail", Operation::RegisterEmail),
    ("api/user/info", Operation::UserInfo),
    ("api/account/getByUidAndSymbol", Operation::GetByUidAndSymbol),
    ("api/account/getAllAccount", Operation::GetAllAccount),
    ("api/account/getDepositAddress", Operation::GetDepositAddress),
    ("api/billing/userTransfer", Operation::UserTransfer),
    ("api/billing/systemTransfer", Operation::SystemTransfer),
    ("api/billing/withdraw", Operation::Withdraw),
    ("api/user/getCoinList", Operation::GetCoinList),
    ("api/billing/withdrawList", Operation::WithdrawList),
    ("api/billing/syncDepositList", Operation::SyncDepositList),
    ("api/billing/depositList", Operation::DepositList),
    ("api/billing/transferList", Operation::TransferList),
    ("api/billing/systemTransferList", Operation::SystemTransferList),
];

impl Operation {
    /// The name by which faults and the call log know it: the last part of its path, but for `info`, which tells little.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::CreateUser => "createUser",
            Self::RegisterEmail => "registerEmail",
            Self::UserInfo => "user_info",
            Self::GetByUidAndSymbol => "getByUidAndSymbol",
            Self::GetAllAccount => "getAllAccount",
            Self::GetDepositAddress => "getDepositAddress",
            Self::UserTransfer => "userTransfer",
            Self::SystemTransfer => "systemTransfer",
            Self::Withdraw => "withdraw",
            Self::GetCoinList => "getCoinList",
            Self::WithdrawList => "withdrawList",
            Self::SyncDepositList => "syncDepositList",
            Self::DepositList => "depositList",
            Self::TransferList => "transferList",
            Self::SystemTransferList => "systemTransferList",
        }
    }

    /// The document gives each call one method.
    fn method(self) -> Method {
        match self {
            Self::CreateUser
            | Self::RegisterEmail
            | Self::GetDepositAddress
            | Self::UserTransfer
            | Self::SystemTransfer
            | Self::Withdraw => Method::POST,
            Self::UserInfo
            | Self::GetByUidAndSymbol
            | Self::GetAllAccount
            | Self::GetCoinList
            | Self::WithdrawList
            | Self::SyncDepositList
            | Self::DepositList
            | Self::TransferList
            | Self::SystemTransferList => Method::GET,
        }
    }
}

/// Whether faults can name this operation.
pub(in crate::sandbox) fn knows(operation: &str) -> bool {
    ROUTES.iter().any(|(_, known)| known.name() == operation) || oauth::knows(operation)
}

/// Mounts the provider under `/hicoin/`, and its OAuth besides.
pub(in crate::sandbox) fn routes(hicoin: &Arc<Hicoin>) -> impl FnOnce(&mut web::ServiceConfig) + use<> {
    let hicoin = web::Data::from(Arc::clone(hicoin));
    move |config| {
        config.app_data(hicoin).route("/hicoin/{path:.*}", web::route().to(receive)).configure(oauth::routes);
    }
}

/// Any request below the base URL. The work is detached: it goes on when the caller hangs up.
async fn receive(hicoin: web::Data<Hicoin>, request: HttpRequest, path: web::Path<String>, body: web::Bytes) -> HttpResponse {
    // The document prints some paths with a leading slash, which doubles the one of the base URL.
    let path = path.trim_start_matches('/');
    let Some((_, operation)) = ROUTES.iter().find(|(known, _)| *known == path) else {
        return HttpResponse::NotFound().finish();
    };
    if request.method() != operation.method() {
        return HttpResponse::MethodNotAllowed().finish();
    }
    let form = if operation.method() == Method::GET { Form::parse(request.query_string().as_bytes()) } else { Form::parse(&body) };
    let call = Call { operation: *operation, form };
    let hicoin = hicoin.into_inner();
    let runtime = hicoin.world.runtime.clone();
    match runtime.spawn(async move { hicoin.handle(call).await }).await {
        Ok(answer) => respond(answer),
        // The runtime is going down, or a bug panicked: either way there is no answer.
        Err(_) => respond(Answer::Cut),
    }
}
