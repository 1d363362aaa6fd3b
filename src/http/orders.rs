//! What deposits and payouts have in common, and the timeline of either.

use actix_web::{HttpResponse, get, web};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::auth::{Authorized, Reads};
use super::body::{Fields, Query};
use super::detached;
use super::lists::{List, OrderQuery};
use super::problem::Problem;
use crate::domain::event::OrderBody;
use crate::domain::ids::TradeId;
use crate::domain::order::{Kind, Order, Provider};
use crate::domain::report::Decision;
use crate::flows::Context;
use crate::flows::create::Granted;
use crate::flows::error::FlowError;
use crate::flows::read::{self, Timeline};

/// A person's decision.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Resolution {
    /// `confirm` (the money moved) or `reject` (it did not); payouts also `retry` (send it again; where
    /// that could pay twice, two keys have to want it) and `approve`.
    #[schema(example = "confirm")]
    action: String,
    /// Why: it stays with the order.
    #[schema(example = "seen in the wallet's back office")]
    reason: String,
}

impl Resolution {
    /// The decision and its reason.
    pub fn read(self, mut fields: Fields) -> Result<(Decision, String), FlowError> {
        let action = self.action.parse().map_err(|_| "must be confirm, reject, retry or approve");
        let action = fields.read("/action", action);
        let reason = fields.read("/reason", reason(&self.reason));
        fields.finish(action.zip(reason))
    }
}

/// Why somebody decided: 1 to 500 characters.
pub fn reason(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    let plain = !text.chars().any(|character| character.is_control() && character != '\n');
    let fine = plain && (1..=500).contains(&text.chars().count());
    fine.then(|| text.to_owned()).ok_or("must be 1 to 500 characters that say why")
}

/// A trade id from a path: what cannot be one names no order.
pub fn path_trade_id(text: &str) -> Result<TradeId, FlowError> {
    TradeId::parse(text).map_err(|_| FlowError::NotFound("order"))
}

/// A provider that carries orders out, from a body.
pub fn order_provider(text: &str) -> Result<Provider, &'static str> {
    match text.parse() {
        Ok(provider @ (Provider::Fomo | Provider::Hicoin)) => Ok(provider),
        _ => Err("must be \"fomo\" or \"hicoin\""),
    }
}

/// A coin's name or id, from a body.
pub fn coin_name(text: &str) -> Result<String, &'static str> {
    super::body::short_text(text).map_err(|_| "must be a coin's name as /v1/coins shows it")
}

/// An object of the merchant's own, from a body: may be absent or null.
pub fn metadata(value: Option<Value>) -> Result<Option<Value>, &'static str> {
    super::body::metadata(value.filter(|value| !value.is_null()))
}

/// A new order, or the one that was there.
pub fn render_granted(granted: &Granted) -> HttpResponse {
    let body = OrderBody::from(&granted.order);
    if granted.replayed {
        return HttpResponse::Ok().insert_header(("Idempotent-Replayed", "true")).json(body);
    }
    HttpResponse::Created().json(body)
}

/// A page of orders.
pub fn render_list((orders, more): (Vec<Order>, bool)) -> List<OrderBody> {
    List::new(orders.iter().map(OrderBody::from).collect(), more, |order| order.id.clone())
}

/// Why is it where it is?
///
/// All that happened to a deposit, payout or transfer, in one list: its steps, the calls we made,
/// what the provider answered, called back and said when asked, each with its evidence; whom or what
/// it waits for; and when we do something next.
#[utoipa::path(tag = "orders", params(("trade_id" = String, Path, description = "Your id of the order")),
    responses((status = 200, body = Timeline), (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["orders:read"])))]
#[get("/v1/orders/{trade_id}/timeline")]
pub async fn timeline(
    context: web::Data<Context>,
    caller: Authorized<Reads>,
    path: web::Path<String>,
) -> Result<web::Json<Timeline>, Problem> {
    let trade_id = path_trade_id(&path)?;
    let merchant = caller.merchant();
    Ok(web::Json(detached(async move { read::timeline(&context, merchant, &trade_id).await }).await?))
}

/// The kind's orders, as a query asks for them.
pub async fn page(
    context: web::Data<Context>,
    caller: Authorized<Reads>,
    query: Query<OrderQuery>,
    kind: Kind,
) -> Result<web::Json<List<OrderBody>>, Problem> {
    let (filter, limit) = query.0.read(|query, fields| query.read(kind, fields))?;
    let merchant = caller.merchant();
    let found = detached(async move { read::list(&context, merchant, kind, &filter, limit).await }).await?;
    Ok(web::Json(render_list(found)))
}

/// One order of the kind.
pub async fn one(
    context: web::Data<Context>,
    caller: Authorized<Reads>,
    trade_id: &str,
    kind: Kind,
) -> Result<web::Json<OrderBody>, Problem> {
    let trade_id = path_trade_id(trade_id)?;
    let merchant = caller.merchant();
    let order = detached(async move { read::order(&context, merchant, kind, &trade_id).await }).await?;
    Ok(web::Json(OrderBody::from(&order)))
}
