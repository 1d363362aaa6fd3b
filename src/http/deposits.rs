//! `/v1/deposits`: money from a customer to the merchant.

use std::time::Duration;

use actix_web::{HttpResponse, get, post, web};
use serde::Deserialize;
use serde_json::Value;
use url::Url;
use utoipa::ToSchema;

use super::auth::{Administers, Authorized, MakesDeposits, Reads};
use super::body::{Fields, Json, Query};
use super::detached;
use super::lists::{List, OrderQuery};
use super::orders::{self, Resolution, path_trade_id, render_granted};
use super::problem::Problem;
use crate::domain::event::OrderBody;
use crate::domain::ids::{CustomerId, TradeId};
use crate::domain::money::Amount;
use crate::domain::order::Kind;
use crate::flows::create::Wish;
use crate::flows::error::FlowError;
use crate::flows::{self, Context, act};

/// The longest that a deposit may wait for its payment.
const LONGEST_WAIT: u64 = 30 * 24 * 3600;

/// A deposit to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDeposit {
    /// Your id of it, 1 to 64 of `0-9A-Za-z_-`. The same id with the same content is the same deposit, for ever.
    #[schema(example = "order-1001")]
    trade_id: String,
    /// `fomo` or `hicoin`.
    #[schema(example = "fomo")]
    provider: String,
    /// A coin's name, as `/v1/coins` shows it, or the provider's id of it.
    #[schema(example = "usdt")]
    coin: String,
    /// Decimal digits in a string, in whole coins; at most the coin's decimals.
    #[schema(example = "12.5")]
    amount: String,
    /// Your id of the customer who pays. FOMO: linked before by `/v1/customers/{customer}/links`; Hicoin: registered before by
    /// `/v1/customers`.
    #[schema(example = "customer-7")]
    customer: String,
    /// Seconds until it expires, 1 to 2592000; 900 if absent.
    #[schema(example = 900)]
    expires_in: Option<u64>,
    /// Where the customer's browser goes afterwards, in flows that use a browser.
    #[schema(example = "https://shop.example/thanks")]
    return_url: Option<String>,
    /// Your own notes, an object of at most 8 KiB and 64 levels: given back as they are.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
}

impl NewDeposit {
    fn read(self, mut fields: Fields) -> Result<Wish, FlowError> {
        let trade_id = fields.read("/trade_id", TradeId::parse(&self.trade_id));
        let provider = fields.read("/provider", orders::order_provider(&self.provider));
        let coin = fields.read("/coin", orders::coin_name(&self.coin));
        let amount = fields.read("/amount", Amount::parse(&self.amount));
        let customer = fields.read("/customer", CustomerId::parse(&self.customer));
        let metadata = fields.read("/metadata", orders::metadata(self.metadata));
        let waits = self.expires_in.is_none_or(|seconds| (1..=LONGEST_WAIT).contains(&seconds));
        fields.check("/expires_in", waits, "must be a number of seconds from 1 to 2592000");
        fields.check(
            "/return_url",
            self.return_url.as_deref().is_none_or(is_address),
            "must be an http or https address of at most 2048 bytes",
        );
        let wish = || {
            Some(Wish {
                kind: Kind::Deposit,
                trade_id: trade_id?,
                provider: provider?,
                coin: coin?,
                amount: amount?,
                customer: Some(customer?),
                destination: None,
                expires_in: self.expires_in.map(Duration::from_secs),
                return_url: self.return_url,
                metadata: metadata?,
            })
        };
        fields.finish(wish())
    }
}

fn is_address(text: &str) -> bool {
    let plain = text.len() <= 2048 && !text.chars().any(char::is_control);
    plain && Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// Make a deposit
///
/// Stores the deposit and asks the provider to expect it. If the provider is slow or down, the answer
/// is 201 with status `created` and no `next_action`: we keep trying, and an event tells.
/// Repeating the request is always safe: the same deposit comes back, with `Idempotent-Replayed: true`.
#[utoipa::path(tag = "deposits", request_body = NewDeposit,
    responses(
        (status = 201, description = "It was made.", body = OrderBody),
        (status = 200, description = "It was there before (`Idempotent-Replayed: true`).", body = OrderBody),
        (status = 409, description = "`trade_id_conflict`: the trade_id was used for something else.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`validation_failed`, `coin_unknown`, `coin_inactive`, `too_precise`, `link_required`, `customer_not_registered`, `provider_not_configured`, `provider_disabled`, `return_url_not_allowed`.", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["deposits:write"])))]
#[post("/v1/deposits")]
pub async fn create(
    context: web::Data<Context>,
    caller: Authorized<MakesDeposits>,
    body: Json<NewDeposit>,
) -> Result<HttpResponse, Problem> {
    let wish = body.0.read(NewDeposit::read)?;
    let (merchant, by) = (caller.merchant(), caller.by());
    let granted = detached(async move { flows::create::create(&context, merchant, &by, wish).await }).await?;
    Ok(render_granted(&granted))
}

/// List deposits
///
/// Newest first.
#[utoipa::path(tag = "deposits", params(OrderQuery),
    responses((status = 200, body = List<OrderBody>), (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["orders:read"])))]
#[get("/v1/deposits")]
pub async fn list(
    context: web::Data<Context>,
    caller: Authorized<Reads>,
    query: Query<OrderQuery>,
) -> Result<web::Json<List<OrderBody>>, Problem> {
    orders::page(context, caller, query, Kind::Deposit).await
}

/// Get a deposit
#[utoipa::path(tag = "deposits", params(("trade_id" = String, Path, description = "Your id of the deposit")),
    responses((status = 200, body = OrderBody), (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["orders:read"])))]
#[get("/v1/deposits/{trade_id}")]
pub async fn get(context: web::Data<Context>, caller: Authorized<Reads>, path: web::Path<String>) -> Result<web::Json<OrderBody>, Problem> {
    orders::one(context, caller, &path, Kind::Deposit).await
}

/// Cancel a deposit
///
/// As long as nobody has paid. Money that comes within the time for late money still counts.
#[utoipa::path(tag = "deposits", params(("trade_id" = String, Path, description = "Your id of the deposit")),
    responses((status = 200, body = OrderBody),
        (status = 409, description = "`order_not_cancelable`", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["deposits:write"])))]
#[post("/v1/deposits/{trade_id}/cancel")]
pub async fn cancel(
    context: web::Data<Context>,
    caller: Authorized<MakesDeposits>,
    path: web::Path<String>,
) -> Result<web::Json<OrderBody>, Problem> {
    let (trade_id, merchant, by) = (path_trade_id(&path)?, caller.merchant(), caller.by());
    let order = detached(async move { act::cancel(&context, merchant, &by, Kind::Deposit, &trade_id).await }).await?;
    Ok(web::Json(OrderBody::from(&order)))
}

/// Ask the provider about a deposit now
#[utoipa::path(tag = "deposits", params(("trade_id" = String, Path, description = "Your id of the deposit")),
    responses((status = 200, body = OrderBody),
        (status = 503, description = "`provider_unavailable`", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["deposits:write"])))]
#[post("/v1/deposits/{trade_id}/refresh")]
pub async fn refresh(
    context: web::Data<Context>,
    caller: Authorized<MakesDeposits>,
    path: web::Path<String>,
) -> Result<web::Json<OrderBody>, Problem> {
    let (trade_id, merchant) = (path_trade_id(&path)?, caller.merchant());
    let order = detached(async move { act::refresh(&context, merchant, Kind::Deposit, &trade_id).await }).await?;
    Ok(web::Json(OrderBody::from(&order)))
}

/// Decide what became of a deposit
///
/// For deposits that wait for a person (`requires_review`) or for proof (`verifying`).
#[utoipa::path(tag = "deposits", params(("trade_id" = String, Path, description = "Your id of the deposit")), request_body = Resolution,
    responses((status = 200, body = OrderBody),
        (status = 409, description = "`order_not_in_review`", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["admin"])))]
#[post("/v1/deposits/{trade_id}/resolve")]
pub async fn resolve(
    context: web::Data<Context>,
    caller: Authorized<Administers>,
    path: web::Path<String>,
    body: Json<Resolution>,
) -> Result<web::Json<OrderBody>, Problem> {
    let (trade_id, merchant, by) = (path_trade_id(&path)?, caller.merchant(), caller.by());
    let decision = body.0.read(Resolution::read)?;
    let order = detached(async move { act::resolve(&context, merchant, &by, Kind::Deposit, &trade_id, decision).await }).await?;
    Ok(web::Json(OrderBody::from(&order)))
}
