//! `/v1/webhook_deliveries`: what your endpoints were told, and what they answered.

use actix_web::{HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::auth::{Administers, Authorized, Reads};
use super::body::{Fields, Query};
use super::detached;
use super::lists::{List, limit};
use super::problem::Problem;
use crate::domain::delivery::DeliveryState;
use crate::domain::ids::{DeliveryId, EndpointId, EventId};
use crate::flows::Context;
use crate::flows::delivery::{self, AttemptRow, Delivery, Filter};
use crate::flows::error::FlowError;

/// One event on its way to one endpoint.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryBody {
    /// Its id.
    #[schema(example = "whd_0193f2a7c1d27b5e8f4e2a90c3d4e5f6")]
    id: String,
    /// Always `webhook_delivery`.
    object: &'static str,
    /// The endpoint's id.
    endpoint: String,
    /// The event's id: the header `webhook-id` of each try.
    event: String,
    /// The event's type.
    #[schema(example = "payout.succeeded")]
    event_type: String,
    /// Your id of the order that it is about. Null where it is about none.
    trade_id: Option<String>,
    /// How it stands: `pending`, `delivered`, `exhausted` or `canceled`.
    #[schema(value_type = DeliveryState)]
    status: String,
    /// The tries, first to last.
    attempts: Vec<AttemptBody>,
    /// When it is tried next, if the endpoint is enabled and has what came before it of the same order. Null where it is not tried any more.
    #[serde(with = "time::serde::rfc3339::option")]
    next_attempt_at: Option<OffsetDateTime>,
    /// When the event was written.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When it came to its end. Null while it is pending.
    #[serde(with = "time::serde::rfc3339::option")]
    finished_at: Option<OffsetDateTime>,
}

/// One try.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttemptBody {
    /// Counts from 1.
    number: i32,
    /// When it came to its end.
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    /// The HTTP status. Null where no answer came.
    #[schema(example = 500)]
    status: Option<i32>,
    /// How long it took, in milliseconds.
    latency_ms: i32,
    /// How the answer's body begins, at most 1 KiB.
    answer: Option<String>,
    /// Why no answer came.
    failure: Option<String>,
}

impl From<AttemptRow> for AttemptBody {
    fn from(row: AttemptRow) -> Self {
        let AttemptRow { number, at, status, latency_ms, answer, failure, .. } = row;
        Self { number, at, status, latency_ms, answer, failure }
    }
}

impl From<Delivery> for DeliveryBody {
    fn from(delivery: Delivery) -> Self {
        let row = delivery.row;
        Self {
            id: DeliveryId(row.delivery_id).to_string(),
            object: "webhook_delivery",
            endpoint: EndpointId(row.endpoint_id).to_string(),
            event: EventId(row.event_id).to_string(),
            event_type: row.event_type,
            trade_id: row.trade_id,
            status: row.state,
            attempts: delivery.attempts.into_iter().map(AttemptBody::from).collect(),
            next_attempt_at: row.due_at,
            created_at: row.created_at,
            finished_at: row.finished_at,
        }
    }
}

/// Which deliveries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeliveryQuery {
    /// Most on a page, 1 to 100; 20 if absent.
    limit: Option<String>,
    /// The id of the last one of the page before.
    starting_after: Option<String>,
    /// An endpoint's id.
    endpoint: Option<String>,
    /// Statuses, any of them, separated by commas.
    #[param(example = "pending,exhausted")]
    status: Option<String>,
}

impl DeliveryQuery {
    fn read(self, mut fields: Fields) -> Result<(Filter, usize), FlowError> {
        let limit = limit(&mut fields, self.limit.as_deref());
        let filter = Filter {
            endpoint: fields.read("endpoint", self.endpoint.map(|text| EndpointId::parse(&text)).transpose()).flatten(),
            states: fields.read("status", self.status.map(|text| states(&text)).transpose()).flatten(),
            starting_after: fields.read("starting_after", self.starting_after.map(|text| DeliveryId::parse(&text)).transpose()).flatten(),
        };
        fields.finish(limit.map(|limit| (filter, limit)))
    }
}

fn states(text: &str) -> Result<Vec<String>, &'static str> {
    let state = |text: &str| text.parse::<DeliveryState>().map(|state| state.to_string());
    text.split(',').map(state).collect::<Result<_, _>>().map_err(|_| "must be of pending, delivered, exhausted, canceled")
}

fn path_id(path: &str) -> Result<DeliveryId, FlowError> {
    DeliveryId::parse(path).map_err(|_| FlowError::NotFound("webhook delivery"))
}

/// List deliveries
///
/// By the time of their events, newest first, each with its tries.
#[utoipa::path(tag = "webhook_deliveries", params(DeliveryQuery),
    responses((status = 200, body = List<DeliveryBody>), (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["orders:read"])))]
#[get("/v1/webhook_deliveries")]
pub async fn list(
    context: web::Data<Context>,
    caller: Authorized<Reads>,
    query: Query<DeliveryQuery>,
) -> Result<web::Json<List<DeliveryBody>>, Problem> {
    let (filter, limit) = query.0.read(DeliveryQuery::read)?;
    let merchant = caller.merchant();
    let (found, more) = detached(async move { delivery::list(&context, merchant, &filter, limit).await }).await?;
    let data = found.into_iter().map(DeliveryBody::from).collect();
    Ok(web::Json(List::new(data, more, |one: &DeliveryBody| one.id.clone())))
}

/// Look at a delivery
#[utoipa::path(tag = "webhook_deliveries", params(("id" = String, Path, description = "The delivery's id")),
    responses((status = 200, body = DeliveryBody), (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["orders:read"])))]
#[get("/v1/webhook_deliveries/{id}")]
pub async fn get(
    context: web::Data<Context>,
    caller: Authorized<Reads>,
    path: web::Path<String>,
) -> Result<web::Json<DeliveryBody>, Problem> {
    let id = path_id(&path)?;
    let merchant = caller.merchant();
    Ok(web::Json(detached(async move { delivery::get(&context, merchant, id).await }).await?.into()))
}

/// Send a delivery again
///
/// At once, also one that your endpoint has already, with the same `webhook-id`.
#[utoipa::path(tag = "webhook_deliveries", params(("id" = String, Path, description = "The delivery's id")),
    responses((status = 202, description = "It is on its way.", body = DeliveryBody),
        (status = 409, description = "`endpoint_disabled`", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["admin"])))]
#[post("/v1/webhook_deliveries/{id}/resend")]
pub async fn resend(
    context: web::Data<Context>,
    caller: Authorized<Administers>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = path_id(&path)?;
    let (merchant, by) = (caller.merchant(), caller.by());
    let delivery = detached(async move { delivery::resend(&context, merchant, &by, id).await }).await?;
    Ok(HttpResponse::Accepted().json(DeliveryBody::from(delivery)))
}
