//! `/v1/transfers`: money between two customers, whose accounts the wallet keeps.

use actix_web::{HttpResponse, get, post, web};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::auth::{Administers, Authorized, MakesPayouts, Reads};
use super::body::{Fields, Json, Query};
use super::detached;
use super::lists::{List, OrderQuery};
use super::orders::{self, Resolution, path_trade_id, render_granted};
use super::problem::Problem;
use crate::domain::event::OrderBody;
use crate::domain::ids::{CustomerId, TradeId};
use crate::domain::money::Amount;
use crate::domain::order::{Destination, Kind};
use crate::flows::create::Wish;
use crate::flows::error::FlowError;
use crate::flows::{self, Context, act};

/// A transfer to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTransfer {
    /// Your id of it, 1 to 64 of `0-9A-Za-z_-`. The same id with the same content is the same transfer, for ever.
    #[schema(example = "transfer-1001")]
    trade_id: String,
    /// `hicoin`.
    #[schema(example = "hicoin")]
    provider: String,
    /// A coin's name, as `/v1/coins` shows it, or the provider's id of it.
    #[schema(example = "ETH")]
    coin: String,
    /// Decimal digits in a string, in whole coins; at most the coin's decimals.
    #[schema(example = "0.5")]
    amount: String,
    /// Your id of the customer whose money it is.
    #[schema(example = "customer-7")]
    from_customer: String,
    /// Your id of the customer who gets it.
    #[schema(example = "customer-8")]
    to_customer: String,
    /// Your own notes, an object of at most 8 KiB and 64 levels: given back as they are.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
}

impl NewTransfer {
    fn read(self, mut fields: Fields) -> Result<Wish, FlowError> {
        let trade_id = fields.read("/trade_id", TradeId::parse(&self.trade_id));
        let provider = fields.read("/provider", orders::order_provider(&self.provider));
        let coin = fields.read("/coin", orders::coin_name(&self.coin));
        let amount = fields.read("/amount", Amount::parse(&self.amount));
        let from = fields.read("/from_customer", CustomerId::parse(&self.from_customer));
        let to = fields.read("/to_customer", CustomerId::parse(&self.to_customer));
        fields.check("/to_customer", from.is_none() || from != to, "must be another customer than from_customer");
        let metadata = fields.read("/metadata", orders::metadata(self.metadata));
        let wish = || {
            Some(Wish {
                kind: Kind::Transfer,
                trade_id: trade_id?,
                provider: provider?,
                coin: coin?,
                amount: amount?,
                customer: Some(from?),
                destination: Some(Destination::Customer { customer: to?.to_string() }),
                expires_in: None,
                return_url: None,
                metadata: metadata?,
            })
        };
        fields.finish(wish())
    }
}

/// Make a transfer
///
/// Stores the transfer and answers at once: it is sent right afterwards, and events tell what became
/// of it. Repeating the request is always safe: the same transfer comes back, with
/// `Idempotent-Replayed: true`, and is never sent twice for it.
#[utoipa::path(tag = "transfers", request_body = NewTransfer,
    responses(
        (status = 201, description = "It was made.", body = OrderBody),
        (status = 200, description = "It was there before (`Idempotent-Replayed: true`).", body = OrderBody),
        (status = 409, description = "`trade_id_conflict`: the trade_id was used for something else.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`validation_failed`, `coin_unknown`, `coin_inactive`, `too_precise`, `customer_not_registered`, `transfers_not_supported`, `provider_not_configured`, `provider_disabled`.", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["payouts:write"])))]
#[post("/v1/transfers")]
pub async fn create(
    context: web::Data<Context>,
    caller: Authorized<MakesPayouts>,
    body: Json<NewTransfer>,
) -> Result<HttpResponse, Problem> {
    let wish = body.0.read(NewTransfer::read)?;
    let (merchant, by) = (caller.merchant(), caller.by());
    let granted = detached(async move { flows::create::create(&context, merchant, &by, wish).await }).await?;
    Ok(render_granted(&granted))
}

/// List transfers
///
/// Newest first.
#[utoipa::path(tag = "transfers", params(OrderQuery),
    responses((status = 200, body = List<OrderBody>), (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["orders:read"])))]
#[get("/v1/transfers")]
pub async fn list(
    context: web::Data<Context>,
    caller: Authorized<Reads>,
    query: Query<OrderQuery>,
) -> Result<web::Json<List<OrderBody>>, Problem> {
    orders::page(context, caller, query, Kind::Transfer).await
}

/// Get a transfer
#[utoipa::path(tag = "transfers", params(("trade_id" = String, Path, description = "Your id of the transfer")),
    responses((status = 200, body = OrderBody), (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["orders:read"])))]
#[get("/v1/transfers/{trade_id}")]
pub async fn get(context: web::Data<Context>, caller: Authorized<Reads>, path: web::Path<String>) -> Result<web::Json<OrderBody>, Problem> {
    orders::one(context, caller, &path, Kind::Transfer).await
}

/// Cancel a transfer
///
/// As long as it was not sent.
#[utoipa::path(tag = "transfers", params(("trade_id" = String, Path, description = "Your id of the transfer")),
    responses((status = 200, body = OrderBody),
        (status = 409, description = "`order_not_cancelable`", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["payouts:write"])))]
#[post("/v1/transfers/{trade_id}/cancel")]
pub async fn cancel(
    context: web::Data<Context>,
    caller: Authorized<MakesPayouts>,
    path: web::Path<String>,
) -> Result<web::Json<OrderBody>, Problem> {
    let (trade_id, merchant, by) = (path_trade_id(&path)?, caller.merchant(), caller.by());
    let order = detached(async move { act::cancel(&context, merchant, &by, Kind::Transfer, &trade_id).await }).await?;
    Ok(web::Json(OrderBody::from(&order)))
}

/// Ask the provider about a transfer now
#[utoipa::path(tag = "transfers", params(("trade_id" = String, Path, description = "Your id of the transfer")),
    responses((status = 200, body = OrderBody),
        (status = 503, description = "`provider_unavailable`", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["payouts:write"])))]
#[post("/v1/transfers/{trade_id}/refresh")]
pub async fn refresh(
    context: web::Data<Context>,
    caller: Authorized<MakesPayouts>,
    path: web::Path<String>,
) -> Result<web::Json<OrderBody>, Problem> {
    let (trade_id, merchant) = (path_trade_id(&path)?, caller.merchant());
    let order = detached(async move { act::refresh(&context, merchant, Kind::Transfer, &trade_id).await }).await?;
    Ok(web::Json(OrderBody::from(&order)))
}

/// Decide what became of a transfer
///
/// For transfers that wait for a person. While an earlier call may have moved money, `retry` takes two: the first is kept
/// in the order's `retry`, a second one by another key within 24 hours sends it again. One is enough where the wallet refuses
/// repeated ids, is trusted to, and twice showed nothing.
#[utoipa::path(tag = "transfers", params(("trade_id" = String, Path, description = "Your id of the transfer")), request_body = Resolution,
    responses((status = 200, body = OrderBody),
        (status = 409, description = "`order_not_in_review`, `second_operator_needed`, `might_pay_twice`", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["admin"])))]
#[post("/v1/transfers/{trade_id}/resolve")]
pub async fn resolve(
    context: web::Data<Context>,
    caller: Authorized<Administers>,
    path: web::Path<String>,
    body: Json<Resolution>,
) -> Result<web::Json<OrderBody>, Problem> {
    let (trade_id, merchant, by) = (path_trade_id(&path)?, caller.merchant(), caller.by());
    let decision = body.0.read(Resolution::read)?;
    let order = detached(async move { act::resolve(&context, merchant, &by, Kind::Transfer, &trade_id, decision).await }).await?;
    Ok(web::Json(OrderBody::from(&order)))
}
