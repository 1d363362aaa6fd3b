//! `/v1/payouts`: money from the merchant to somebody.

use actix_web::{HttpResponse, get, post, web};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::auth::{Administers, Authorized, MakesPayouts, Reads};
use super::body::{Fields, Json, Query, short_text};
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

/// A payout to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPayout {
    /// Your id of it, 1 to 64 of `0-9A-Za-z_-`. The same id with the same content is the same payout, for ever.
    #[schema(example = "payout-1001")]
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
    /// Where the money goes.
    #[schema(value_type = Destination)]
    destination: NewDestination,
    /// Your id of the customer whom it is for.
    #[schema(example = "customer-7")]
    customer: Option<String>,
    /// Your own notes, an object of at most 8 KiB and 64 levels: given back as they are.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
}

impl NewPayout {
    fn read(self, mut fields: Fields) -> Result<Wish, FlowError> {
        let trade_id = fields.read("/trade_id", TradeId::parse(&self.trade_id));
        let provider = fields.read("/provider", orders::order_provider(&self.provider));
        let coin = fields.read("/coin", orders::coin_name(&self.coin));
        let amount = fields.read("/amount", Amount::parse(&self.amount));
        let customer = fields.read("/customer", self.customer.map(|text| CustomerId::parse(&text)).transpose());
        let metadata = fields.read("/metadata", orders::metadata(self.metadata));
        let destination = self.destination.read(&mut fields);
        let wish = || {
            Some(Wish {
                kind: Kind::Payout,
                trade_id: trade_id?,
                provider: provider?,
                coin: coin?,
                amount: amount?,
                customer: customer?,
                destination: Some(destination?),
                expires_in: None,
                return_url: None,
                metadata: metadata?,
            })
        };
        fields.finish(wish())
    }
}

/// Where a payout goes, with the parts of every type.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewDestination {
    #[serde(rename = "type")]
    destination_type: String,
    user_id: Option<String>,
    address: Option<String>,
    on_chain_only: Option<bool>,
    uid: Option<String>,
}

impl NewDestination {
    fn read(self, fields: &mut Fields) -> Option<Destination> {
        let own: &[&str] = match self.destination_type.as_str() {
            "fomo_user" => &["user_id"],
            "address" => &["address", "on_chain_only"],
            "hicoin_user" => &["uid"],
            _ => return fields.read("/destination/type", Err("must be fomo_user, address or hicoin_user")),
        };
        let texts = [("user_id", self.user_id), ("address", self.address), ("uid", self.uid)];
        let given = texts.iter().map(|(name, text)| (*name, text.is_some())).chain([("on_chain_only", self.on_chain_only.is_some())]);
        for (name, _) in given.filter(|(name, given)| *given && !own.contains(name)) {
            fields.check(&format!("/destination/{name}"), false, "does not belong to a destination of this type");
        }
        let (name, text) = texts.into_iter().find(|(name, _)| own.contains(name))?;
        let text = text.ok_or("is missing").and_then(|text| short_text(&text));
        let text = fields.read(&format!("/destination/{name}"), text)?;
        Some(match name {
            "user_id" => Destination::FomoUser { user_id: text },
            "uid" => Destination::HicoinUser { uid: text },
            _ => Destination::Address { address: text, on_chain_only: self.on_chain_only },
        })
    }
}

/// Make a payout
///
/// Stores the payout and answers at once: it is sent right afterwards, and events tell what became
/// of it. Repeating the request is always safe: the same payout comes back, with
/// `Idempotent-Replayed: true`, and is never sent twice for it.
#[utoipa::path(tag = "payouts", request_body = NewPayout,
    responses(
        (status = 201, description = "It was made.", body = OrderBody),
        (status = 200, description = "It was there before (`Idempotent-Replayed: true`).", body = OrderBody),
        (status = 409, description = "`trade_id_conflict`: the trade_id was used for something else.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`validation_failed`, `coin_unknown`, `coin_inactive`, `too_precise`, `destination_not_supported`, `payout_source_missing`, `link_required`, `provider_not_configured`, `provider_disabled`.", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["payouts:write"])))]
#[post("/v1/payouts")]
pub async fn create(context: web::Data<Context>, caller: Authorized<MakesPayouts>, body: Json<NewPayout>) -> Result<HttpResponse, Problem> {
    let wish = body.0.read(NewPayout::read)?;
    let (merchant, by) = (caller.merchant(), caller.by());
    let granted = detached(async move { flows::create::create(&context, merchant, &by, wish).await }).await?;
    Ok(render_granted(&granted))
}

/// List payouts
///
/// Newest first.
#[utoipa::path(tag = "payouts", params(OrderQuery),
    responses((status = 200, body = List<OrderBody>), (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["orders:read"])))]
#[get("/v1/payouts")]
pub async fn list(
    context: web::Data<Context>,
    caller: Authorized<Reads>,
    query: Query<OrderQuery>,
) -> Result<web::Json<List<OrderBody>>, Problem> {
    orders::page(context, caller, query, Kind::Payout).await
}

/// Get a payout
#[utoipa::path(tag = "payouts", params(("trade_id" = String, Path, description = "Your id of the payout")),
    responses((status = 200, body = OrderBody), (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["orders:read"])))]
#[get("/v1/payouts/{trade_id}")]
pub async fn get(context: web::Data<Context>, caller: Authorized<Reads>, path: web::Path<String>) -> Result<web::Json<OrderBody>, Problem> {
    orders::one(context, caller, &path, Kind::Payout).await
}

/// Cancel a payout
///
/// As long as it was not sent.
#[utoipa::path(tag = "payouts", params(("trade_id" = String, Path, description = "Your id of the payout")),
    responses((status = 200, body = OrderBody),
        (status = 409, description = "`order_not_cancelable`", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["payouts:write"])))]
#[post("/v1/payouts/{trade_id}/cancel")]
pub async fn cancel(
    context: web::Data<Context>,
    caller: Authorized<MakesPayouts>,
    path: web::Path<String>,
) -> Result<web::Json<OrderBody>, Problem> {
    let (trade_id, merchant, by) = (path_trade_id(&path)?, caller.merchant(), caller.by());
    let order = detached(async move { act::cancel(&context, merchant, &by, Kind::Payout, &trade_id).await }).await?;
    Ok(web::Json(OrderBody::from(&order)))
}

/// Ask the provider about a payout now
#[utoipa::path(tag = "payouts", params(("trade_id" = String, Path, description = "Your id of the payout")),
    responses((status = 200, body = OrderBody),
        (status = 503, description = "`provider_unavailable`", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["payouts:write"])))]
#[post("/v1/payouts/{trade_id}/refresh")]
pub async fn refresh(
    context: web::Data<Context>,
    caller: Authorized<MakesPayouts>,
    path: web::Path<String>,
) -> Result<web::Json<OrderBody>, Problem> {
    let (trade_id, merchant) = (path_trade_id(&path)?, caller.merchant());
    let order = detached(async move { act::refresh(&context, merchant, Kind::Payout, &trade_id).await }).await?;
    Ok(web::Json(OrderBody::from(&order)))
}

/// Decide what became of a payout
///
/// For payouts that wait for a person. While an earlier call may have moved money, `retry` takes two: the first is kept
/// in the order's `retry`, a second one by another key within 24 hours sends it again. One is enough where the wallet refuses
/// repeated ids, is trusted to, and twice showed nothing.
#[utoipa::path(tag = "payouts", params(("trade_id" = String, Path, description = "Your id of the payout")), request_body = Resolution,
    responses((status = 200, body = OrderBody),
        (status = 409, description = "`order_not_in_review`, `second_operator_needed`, `might_pay_twice`", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["admin"])))]
#[post("/v1/payouts/{trade_id}/resolve")]
pub async fn resolve(
    context: web::Data<Context>,
    caller: Authorized<Administers>,
    path: web::Path<String>,
    body: Json<Resolution>,
) -> Result<web::Json<OrderBody>, Problem> {
    let (trade_id, merchant, by) = (path_trade_id(&path)?, caller.merchant(), caller.by());
    let decision = body.0.read(Resolution::read)?;
    let order = detached(async move { act::resolve(&context, merchant, &by, Kind::Payout, &trade_id, decision).await }).await?;
    Ok(web::Json(OrderBody::from(&order)))
}
