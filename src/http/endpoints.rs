//! `/v1/webhook_endpoints`: where you want to be told, and what of.

use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::{HttpResponse, delete, get, patch, post, web};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use url::Url;
use utoipa::{IntoParams, ToSchema};

use super::auth::{Administers, Authorized, Reads};
use super::body::{Fields, Json, Query};
use super::deliveries::DeliveryBody;
use super::detached;
use super::lists::{List, limit, moment};
use super::problem::Problem;
use crate::domain::delivery::EndpointState;
use crate::domain::ids::EndpointId;
use crate::domain::wanted::Wanted;
use crate::flows::Context;
use crate::flows::endpoint::{self, Change, EndpointRow, Replay};
use crate::flows::error::FlowError;

/// How long the secret before the new one signs, in seconds.
const OVERLAP: u64 = 24 * 60 * 60;
const LONGEST_OVERLAP: u64 = 7 * 24 * 60 * 60;

/// A new endpoint.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEndpoint {
    /// Where events are sent: https, and on the internet.
    #[schema(example = "https://shop.example/hooks/tillgate")]
    url: String,
    /// Which: types, `deposit.*` for all of a kind, `*` for all; all if absent.
    #[schema(example = json!(["deposit.*", "payout.succeeded"]))]
    events: Option<Vec<String>>,
}

impl NewEndpoint {
    fn read(self, mut fields: Fields, context: &Context) -> Result<(Url, Wanted), FlowError> {
        let url = fields.read("/url", endpoint::check_url(context, &self.url));
        let wanted = fields.read("/events", self.events.map_or(Ok(Wanted::all()), |events| wanted(&events)));
        fields.finish(url.zip(wanted))
    }
}

fn wanted(events: &[String]) -> Result<Wanted, crate::domain::wanted::WantedError> {
    Wanted::parse(events.iter().map(String::as_str))
}

/// What is to change; what is absent stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointChange {
    /// Another address.
    #[schema(example = "https://shop.example/hooks/tillgate")]
    url: Option<String>,
    /// Other events.
    #[schema(example = json!(["*"]))]
    events: Option<Vec<String>>,
    /// `enabled`: what waits is sent at once; `paused`: events queue; `disabled`: what waits is canceled, and nothing is told any more.
    #[schema(example = "paused")]
    status: Option<String>,
}

impl EndpointChange {
    fn read(self, mut fields: Fields, context: &Context) -> Result<Change, FlowError> {
        let url = fields.read("/url", self.url.map(|url| endpoint::check_url(context, &url)).transpose());
        let events = fields.read("/events", self.events.map(|events| wanted(&events)).transpose());
        let state = fields.read("/status", self.status.map(|text| asked_state(&text)).transpose());
        fields.finish(url.zip(events).zip(state).map(|((url, events), state)| Change {
            url: url.map(String::from),
            events: events.map(|wanted| wanted.patterns().to_vec()),
            state,
        }))
    }
}

fn asked_state(text: &str) -> Result<EndpointState, &'static str> {
    match text.parse() {
        Ok(state @ (EndpointState::Enabled | EndpointState::Paused | EndpointState::Disabled)) => Ok(state),
        Ok(EndpointState::Failing) | Err(_) => Err("must be enabled, paused or disabled"),
    }
}

/// How secrets are exchanged.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// For so many seconds deliveries are signed with the secrets before it, too: 0 to 604800; 86400 if absent.
    #[schema(example = 86400)]
    overlap: Option<u64>,
}

impl Rotation {
    fn read(self, mut fields: Fields) -> Result<Duration, FlowError> {
        let overlap = self.overlap.unwrap_or(OVERLAP);
        fields.check("/overlap", overlap <= LONGEST_OVERLAP, "must be 0 to 604800 seconds");
        fields.finish(Some(Duration::from_secs(overlap)))
    }
}

/// What is to be sent again: `since`, `only`, or both.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayWish {
    /// Everything that the endpoint wants and that happened at this time (RFC 3339) or later, whether it has it already or not.
    #[schema(example = "2026-01-31T00:00:00Z")]
    since: Option<String>,
    /// `failed`: only deliveries that are `exhausted` or `canceled`.
    #[schema(example = "failed")]
    only: Option<String>,
}

impl ReplayWish {
    fn read(self, mut fields: Fields) -> Result<Replay, FlowError> {
        fields.check("", self.since.is_some() || self.only.is_some(), "give since, only, or both");
        fields.check("/only", self.only.as_deref().is_none_or(|only| only == "failed"), "must be failed");
        let since = fields.read("/since", self.since.map(|text| moment(&text)).transpose());
        fields.finish(since.map(|since| Replay { since, only_failed: self.only.is_some() }))
    }
}

/// How much is sent again.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReplayBody {
    /// Always `webhook_replay`.
    object: &'static str,
    /// The endpoint's id.
    endpoint: String,
    /// How many deliveries are on their way again.
    #[schema(example = 17)]
    deliveries: i64,
}

/// An endpoint.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndpointBody {
    /// Its id.
    #[schema(example = "whe_0193f2a7c1d27b5e8f4e2a90c3d4e5f6")]
    id: String,
    /// Always `webhook_endpoint`.
    object: &'static str,
    /// Where events are sent.
    url: String,
    /// Which.
    events: Vec<String>,
    /// How it stands: `enabled`, `failing`, `paused` or `disabled`.
    #[schema(value_type = EndpointState)]
    status: String,
    /// Why it is not enabled. Null where it is.
    reason: Option<String>,
    /// Since when it stands so.
    #[serde(with = "time::serde::rfc3339")]
    since: OffsetDateTime,
    /// Tries that failed since the last success.
    consecutive_failures: i32,
    /// When it last took an event, to about ten seconds.
    #[serde(with = "time::serde::rfc3339::option")]
    last_success_at: Option<OffsetDateTime>,
    /// When a try last failed.
    #[serde(with = "time::serde::rfc3339::option")]
    last_failure_at: Option<OffsetDateTime>,
    /// It asked to be left alone until then (`Retry-After`). Null where it did not.
    #[serde(with = "time::serde::rfc3339::option")]
    not_before: Option<OffsetDateTime>,
    /// What its deliveries are signed with. It is in the answer to the request that made it, and never shown again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")]
    secret: Option<String>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

impl From<EndpointRow> for EndpointBody {
    fn from(row: EndpointRow) -> Self {
        Self {
            id: EndpointId(row.endpoint_id).to_string(),
            object: "webhook_endpoint",
            url: row.url,
            events: row.events,
            status: row.state,
            reason: row.reason,
            since: row.since,
            consecutive_failures: row.consecutive_failures,
            last_success_at: row.last_success_at,
            last_failure_at: row.last_failure_at,
            not_before: row.not_before,
            secret: None,
            created_at: row.created_at,
        }
    }
}

/// An endpoint with its secret, which nobody on the way may keep.
fn render_secret((row, secret): (EndpointRow, SecretString), mut answer: actix_web::HttpResponseBuilder) -> HttpResponse {
    let body = EndpointBody { secret: Some(secret.expose_secret().to_owned()), ..row.into() };
    answer.insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store"))).json(body)
}

/// Which endpoints.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EndpointQuery {
    /// Most on a page, 1 to 100; 20 if absent.
    limit: Option<String>,
    /// The id of the last one of the page before.
    starting_after: Option<String>,
}

fn path_id(path: &str) -> Result<EndpointId, FlowError> {
    EndpointId::parse(path).map_err(|_| FlowError::NotFound("webhook endpoint"))
}

/// Make an endpoint
///
/// From now on events are sent there. The answer holds the secret that they are signed with (Standard Webhooks); it is shown this once.
#[utoipa::path(tag = "webhook_endpoints", request_body = NewEndpoint,
    responses((status = 201, description = "Keep `secret`: it is not shown again.", body = EndpointBody),
        (status = 409, description = "`too_many_endpoints`", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["admin"])))]
#[post("/v1/webhook_endpoints")]
pub async fn create(
    context: web::Data<Context>,
    caller: Authorized<Administers>,
    body: Json<NewEndpoint>,
) -> Result<HttpResponse, Problem> {
    let (url, wanted) = body.0.read(|body, fields| body.read(fields, &context))?;
    let (merchant, by) = (caller.merchant(), caller.by());
    let made = detached(async move { endpoint::create(&context, merchant, &by, &url, &wanted).await }).await?;
    Ok(render_secret(made, HttpResponse::Created()))
}

/// List endpoints
///
/// Newest first.
#[utoipa::path(tag = "webhook_endpoints", params(EndpointQuery),
    responses((status = 200, body = List<EndpointBody>), (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["orders:read"])))]
#[get("/v1/webhook_endpoints")]
pub async fn list(
    context: web::Data<Context>,
    caller: Authorized<Reads>,
    query: Query<EndpointQuery>,
) -> Result<web::Json<List<EndpointBody>>, Problem> {
    let (limit, after) = query.0.read(|query, mut fields| {
        let limit = limit(&mut fields, query.limit.as_deref());
        let after = fields.read("starting_after", query.starting_after.map(|text| EndpointId::parse(&text)).transpose());
        fields.finish(limit.zip(after))
    })?;
    let merchant = caller.merchant();
    let (found, more) = detached(async move { endpoint::list(&context, merchant, after, limit).await }).await?;
    let data = found.into_iter().map(EndpointBody::from).collect();
    Ok(web::Json(List::new(data, more, |one: &EndpointBody| one.id.clone())))
}

/// Look at an endpoint
#[utoipa::path(tag = "webhook_endpoints", params(("id" = String, Path, description = "The endpoint's id")),
    responses((status = 200, body = EndpointBody), (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["orders:read"])))]
#[get("/v1/webhook_endpoints/{id}")]
pub async fn get(
    context: web::Data<Context>,
    caller: Authorized<Reads>,
    path: web::Path<String>,
) -> Result<web::Json<EndpointBody>, Problem> {
    let id = path_id(&path)?;
    let merchant = caller.merchant();
    Ok(web::Json(detached(async move { endpoint::get(&context, merchant, id).await }).await?.into()))
}

/// Change an endpoint
#[utoipa::path(tag = "webhook_endpoints", params(("id" = String, Path, description = "The endpoint's id")), request_body = EndpointChange,
    responses((status = 200, body = EndpointBody), (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["admin"])))]
#[patch("/v1/webhook_endpoints/{id}")]
pub async fn change(
    context: web::Data<Context>,
    caller: Authorized<Administers>,
    path: web::Path<String>,
    body: Json<EndpointChange>,
) -> Result<web::Json<EndpointBody>, Problem> {
    let id = path_id(&path)?;
    let change = body.0.read(|body, fields| body.read(fields, &context))?;
    let (merchant, by) = (caller.merchant(), caller.by());
    Ok(web::Json(detached(async move { endpoint::change(&context, merchant, &by, id, &change).await }).await?.into()))
}

/// Remove an endpoint
///
/// What waits for it is canceled. Its deliveries can still be read.
#[utoipa::path(tag = "webhook_endpoints", params(("id" = String, Path, description = "The endpoint's id")),
    responses((status = 204, description = "It is removed."), (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["admin"])))]
#[delete("/v1/webhook_endpoints/{id}")]
pub async fn remove(
    context: web::Data<Context>,
    caller: Authorized<Administers>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = path_id(&path)?;
    let (merchant, by) = (caller.merchant(), caller.by());
    detached(async move { endpoint::delete(&context, merchant, &by, id).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Exchange the secret
///
/// Gives a new secret, shown this once. While the overlap lasts, deliveries are signed with both: put the new one into your
/// backend in this time.
#[utoipa::path(tag = "webhook_endpoints", params(("id" = String, Path, description = "The endpoint's id")), request_body = Rotation,
    responses((status = 200, description = "Keep `secret`: it is not shown again.", body = EndpointBody),
        (status = 409, description = "`too_many_secrets`", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["admin"])))]
#[post("/v1/webhook_endpoints/{id}/rotate_secret")]
pub async fn rotate(
    context: web::Data<Context>,
    caller: Authorized<Administers>,
    path: web::Path<String>,
    body: Json<Rotation>,
) -> Result<HttpResponse, Problem> {
    let id = path_id(&path)?;
    let overlap = body.0.read(Rotation::read)?;
    let (merchant, by) = (caller.merchant(), caller.by());
    let rotated = detached(async move { endpoint::rotate(&context, merchant, &by, id, overlap).await }).await?;
    Ok(render_secret(rotated, HttpResponse::Ok()))
}

/// Test an endpoint
///
/// Sends an event of the type `webhook_endpoint.test` there, signed like all others. Look at the delivery to see what came of it.
#[utoipa::path(tag = "webhook_endpoints", params(("id" = String, Path, description = "The endpoint's id")),
    responses((status = 202, description = "It is on its way.", body = DeliveryBody),
        (status = 409, description = "`endpoint_disabled`", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["admin"])))]
#[post("/v1/webhook_endpoints/{id}/test")]
pub async fn test(context: web::Data<Context>, caller: Authorized<Administers>, path: web::Path<String>) -> Result<HttpResponse, Problem> {
    let id = path_id(&path)?;
    let (merchant, by) = (caller.merchant(), caller.by());
    let delivery = detached(async move { endpoint::test(&context, merchant, &by, id).await }).await?;
    Ok(HttpResponse::Accepted().json(DeliveryBody::from(delivery)))
}

/// Send past events again
///
/// They keep their ids and their order within each of your orders.
#[utoipa::path(tag = "webhook_endpoints", params(("id" = String, Path, description = "The endpoint's id")), request_body = ReplayWish,
    responses((status = 202, description = "They are on their way.", body = ReplayBody),
        (status = 409, description = "`endpoint_disabled`", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["admin"])))]
#[post("/v1/webhook_endpoints/{id}/replay")]
pub async fn replay(
    context: web::Data<Context>,
    caller: Authorized<Administers>,
    path: web::Path<String>,
    body: Json<ReplayWish>,
) -> Result<HttpResponse, Problem> {
    let id = path_id(&path)?;
    let wish = body.0.read(ReplayWish::read)?;
    let (merchant, by) = (caller.merchant(), caller.by());
    let deliveries = detached(async move { endpoint::replay(&context, merchant, &by, id, wish).await }).await?;
    Ok(HttpResponse::Accepted().json(ReplayBody { object: "webhook_replay", endpoint: id.to_string(), deliveries }))
}
