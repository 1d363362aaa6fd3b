//! `/v1/receipts`: what came in, and giving what is nobody's to an order.

use actix_web::{get, post, web};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::auth::{Administers, Authorized, Reads};
use super::body::{Fields, Json, Query};
use super::detached;
use super::lists::{List, limit, provider};
use super::orders::{coin_name, reason};
use super::problem::Problem;
use crate::domain::event::ReceiptBody;
use crate::domain::ids::{CustomerId, ReceiptId, TradeId};
use crate::flows::Context;
use crate::flows::error::FlowError;
use crate::flows::receipt::{self, Filter};

/// What a list of receipts shows.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReceiptQuery {
    /// Most receipts on a page, 1 to 100; 20 if absent.
    limit: Option<String>,
    /// The id of the last receipt of the page before.
    starting_after: Option<String>,
    /// `true`: only those that are no order's; `false`: only those that are.
    #[param(example = "true")]
    unmatched: Option<String>,
    /// A provider.
    provider: Option<String>,
    /// Your id of a customer.
    customer: Option<String>,
    /// A coin's name.
    coin: Option<String>,
}

impl ReceiptQuery {
    fn read(self, mut fields: Fields) -> Result<(Filter, usize), FlowError> {
        let limit = limit(&mut fields, self.limit.as_deref());
        let flag = |text: String| text.parse::<bool>().map_err(|_| "must be true or false");
        let filter = Filter {
            starting_after: fields.read("starting_after", self.starting_after.map(|text| ReceiptId::parse(&text)).transpose()).flatten(),
            unmatched: fields.read("unmatched", self.unmatched.map(flag).transpose()).flatten(),
            provider: fields
                .read("provider", self.provider.map(|text| provider(&text)).transpose())
                .flatten()
                .map(|found| found.to_string()),
            customer: fields
                .read("customer", self.customer.map(|text| CustomerId::parse(&text)).transpose())
                .flatten()
                .map(|found| found.to_string()),
            coin: fields.read("coin", self.coin.map(|text| coin_name(&text)).transpose()).flatten(),
        };
        fields.finish(limit.map(|limit| (filter, limit)))
    }
}

/// The order that a receipt is to be of.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    /// Your id of a deposit that is not final.
    #[schema(example = "order-1001")]
    trade_id: String,
    /// Why: it stays in the audit log.
    #[schema(example = "the customer sent it in two parts, the second one too late")]
    reason: String,
}

impl Assignment {
    fn read(self, mut fields: Fields) -> Result<(TradeId, String), FlowError> {
        let trade_id = fields.read("/trade_id", TradeId::parse(&self.trade_id));
        let reason = fields.read("/reason", reason(&self.reason));
        fields.finish(trade_id.zip(reason))
    }
}

/// List receipts
///
/// Newest first: every incoming movement that a wallet told of, with the order that it is of.
#[utoipa::path(tag = "receipts", params(ReceiptQuery),
    responses((status = 200, body = List<ReceiptBody>), (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["orders:read"])))]
#[get("/v1/receipts")]
pub async fn list(
    context: web::Data<Context>,
    caller: Authorized<Reads>,
    query: Query<ReceiptQuery>,
) -> Result<web::Json<List<ReceiptBody>>, Problem> {
    let (filter, limit) = query.0.read(ReceiptQuery::read)?;
    let merchant = caller.merchant();
    let (data, more) = detached(async move { receipt::list(&context, merchant, &filter, limit).await }).await?;
    Ok(web::Json(List::new(data, more, |receipt: &ReceiptBody| receipt.id.clone())))
}

/// Give a receipt to an order
///
/// For receipts that are no order's. The order counts it at once. Repeating it changes nothing.
#[utoipa::path(tag = "receipts", params(("id" = String, Path, description = "The receipt's id")), request_body = Assignment,
    responses((status = 200, body = ReceiptBody),
        (status = 409, description = "`receipt_assigned`, `receipt_abnormal`, `order_is_final`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`order_unknown`, `receipt_mismatch`", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["admin"])))]
#[post("/v1/receipts/{id}/assign")]
pub async fn assign(
    context: web::Data<Context>,
    caller: Authorized<Administers>,
    path: web::Path<String>,
    body: Json<Assignment>,
) -> Result<web::Json<ReceiptBody>, Problem> {
    let id = ReceiptId::parse(&path).map_err(|_| FlowError::NotFound("receipt"))?;
    let (trade_id, reason) = body.0.read(Assignment::read)?;
    let (merchant, by) = (caller.merchant(), caller.by());
    Ok(web::Json(detached(async move { receipt::assign(&context, merchant, &by, id, &trade_id, &reason).await }).await?))
}
