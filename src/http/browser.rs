//! Where customers' browsers come by: on their way to a wallet's page, and back from it.
//!
//! Addresses on these ways carry codes and tokens. No answer here may be stored, and none tells the next
//! page where the browser came from.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION, REFERRER_POLICY};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError, get, web};
use secrecy::{ExposeSecret, SecretString};

use super::problem::Problem;
use super::{detached, request_id};
use crate::domain::order::Provider;
use crate::flows::browser::{self, Agreement};
use crate::flows::error::FlowError;
use crate::flows::{Context, web as payment};

/// Longest code or state that is looked at.
const LONGEST: usize = 4096;

/// A browser comes back from a wallet
///
/// Wallets send the customer's browser here after a link or a payment. It is sent on to the page that you named: after a link
/// with `link=ok`, `link=denied` or `link=failed` in its query, after a payment without a word.
#[utoipa::path(tag = "browsers", params(("provider" = String, Path, description = "The wallet")),
    responses((status = 303, description = "On to the merchant's page."),
        (status = 200, description = "A page that says to go back to the shop, where the merchant named none."),
        (status = 400, description = "A page: this browser was not sent by us, was here before, or took too long.")))]
#[get("/oauth/{provider}/return")]
pub async fn come_back(context: web::Data<Context>, path: web::Path<String>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let Ok(provider) = path.parse::<Provider>() else { return Err(FlowError::NotFound("wallet").into()) };
    let query = request.query_string().to_owned();
    let field = |name: &str| {
        let mut found = url::form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        found.next().filter(|value| value.len() <= LONGEST && !value.trim().is_empty())
    };
    let Some(state) = field("state") else { return Ok(lost()) };
    if field("trade_id").is_some() || field("status").is_some() {
        let back = detached(async move { payment::come_back(&context, provider, &state, &query).await }).await;
        return told_to_a_person(back.map(|back| match back {
            None => lost(),
            Some(back) => back.return_url.map_or_else(done, |url| on_to(url.as_str())),
        }));
    }
    let agreement = Agreement { state, code: field("code").filter(|_| field("error").is_none()).map(SecretString::from) };
    let request_id = request_id::current();
    let page = detached(async move { browser::end_link(&context, provider, agreement, request_id).await }).await;
    told_to_a_person(page.map(|page| page.map_or_else(lost, |url| on_to(url.as_str()))))
}

/// A browser goes to pay
///
/// `next_action.url` of a deposit that is paid on the wallet's page. The wallet's address is made at this moment.
#[utoipa::path(tag = "browsers", params(("capability" = String, Path, description = "Names the order and cannot be guessed")),
    responses((status = 303, description = "On to the wallet's page."),
        (status = 410, description = "A page: there is nothing to be paid any more."),
        (status = 404, description = "A page: there is no such payment."),
        (status = 503, description = "A page: the wallet cannot be asked now.")))]
#[get("/pay/{capability}")]
pub async fn pay(context: web::Data<Context>, path: web::Path<String>) -> Result<HttpResponse, Problem> {
    let capability = path.into_inner();
    let page = detached(async move { payment::pay_page(&context, &capability).await }).await;
    told_to_a_person(page.map(|page| {
        page.map_or_else(
            || page_of(StatusCode::GONE, "Nothing to pay", "This payment was made, is being checked, or is over. Go back to the shop."),
            |url| on_to(url.expose_secret()),
        )
    }))
}

/// Sends the browser on, without a trace of where it was.
fn on_to(url: &str) -> HttpResponse {
    quiet(&mut HttpResponse::SeeOther()).insert_header((LOCATION, url)).finish()
}

/// Whoever reads what these addresses answer is a customer, and no program.
fn told_to_a_person(answer: Result<HttpResponse, Problem>) -> Result<HttpResponse, Problem> {
    answer.or_else(|problem| match problem.status_code() {
        StatusCode::NOT_FOUND => Ok(page_of(StatusCode::NOT_FOUND, "Not found", "There is no such payment. Go back to the shop.")),
        StatusCode::SERVICE_UNAVAILABLE => {
            Ok(page_of(StatusCode::SERVICE_UNAVAILABLE, "Not now", "The wallet cannot be asked now. Try again in a minute."))
        }
        _ => Err(problem),
    })
}

fn lost() -> HttpResponse {
    page_of(
        StatusCode::BAD_REQUEST,
        "Not valid",
        "This page was opened before, took too long, or is not meant for you. Go back to the shop and begin again.",
    )
}

fn done() -> HttpResponse {
    page_of(StatusCode::OK, "Thank you", "Go back to the shop: it knows about your payment, or will soon.")
}

fn page_of(status: StatusCode, title: &str, text: &str) -> HttpResponse {
    let html =
        format!("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title><h1>{title}</h1><p>{text}</p></html>");
    quiet(&mut HttpResponse::build(status)).content_type("text/html; charset=utf-8").body(html)
}

fn quiet(response: &mut HttpResponseBuilder) -> &mut HttpResponseBuilder {
    response
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"))
}
