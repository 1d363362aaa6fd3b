//! `/callbacks/...`: where providers call us.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, post, web};

use super::auth::client_address;
use super::body::Raw;
use super::detached;
use super::problem::Problem;
use crate::domain::order::Provider;
use crate::domain::report::Evidence;
use crate::faults::{Bug, planted};
use crate::flows::Context;
use crate::flows::callback::{self, Incoming};
use crate::flows::notice;

/// FOMO calls back
///
/// FOMO's server calls this address, which it got from us with the order; nobody else knows it. The
/// answer is 200 as soon as the call is stored, whether it is believed or not.
#[utoipa::path(tag = "callbacks", params(("capability" = String, Path, description = "Names the order and cannot be guessed")),
    request_body(content = String, content_type = "application/x-www-form-urlencoded",
        description = "transfer_id, user_id, trade_id, coin_id, amount, cut_amount, direction, status"),
    responses((status = 200, description = "It is stored."), (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "It could not be stored: call again.", body = Problem, content_type = "application/problem+json")))]
#[post("/callbacks/fomo/{capability}")]
pub async fn fomo(context: web::Data<Context>, path: web::Path<String>, request: HttpRequest, body: Raw) -> Result<HttpResponse, Problem> {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let incoming = Incoming { body: body.0.to_vec(), content_type, source: client_address(&request) };
    let capability = path.into_inner();
    let stored = detached(async move { callback::receive(&context, Provider::Fomo, &capability, incoming).await }).await;
    if !planted(Bug::CallbackIsNotStored) {
        stored?;
    }
    Ok(HttpResponse::Ok().content_type("text/plain").body("success"))
}

/// Hicoin gives notice
///
/// A nudge: we ask Hicoin about what the notice names. Nothing in it is believed. Hicoin's operator sets this address up;
/// `tillgate merchant list` shows it.
#[utoipa::path(tag = "callbacks", params(("capability" = String, Path, description = "Names the account and cannot be guessed")),
    request_body(content = String, content_type = "application/x-www-form-urlencoded",
        description = "app_id, id, uid, symbol, amount, status, txid, confirmations, address_to; request_id for withdrawals"),
    responses((status = 200, description = "`SUCCESS`; or `FAILURE` where it says neither id nor request_id."),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "It could not be stored: call again.", body = Problem, content_type = "application/problem+json")))]
#[post("/callbacks/hicoin/{capability}")]
pub async fn hicoin(
    context: web::Data<Context>,
    path: web::Path<String>,
    request: HttpRequest,
    body: Raw,
) -> Result<HttpResponse, Problem> {
    let evidence = Evidence { raw: body.0.to_vec(), source: client_address(&request).map(|address| address.to_string()) };
    let capability = path.into_inner();
    let read = detached(async move { notice::receive(&context, Provider::Hicoin, &capability, evidence).await }).await?;
    Ok(HttpResponse::Ok().content_type("text/plain").body(if read { "SUCCESS" } else { "FAILURE" }))
}
