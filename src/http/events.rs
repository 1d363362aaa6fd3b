//! `/v1/events`: what the webhooks tell, to be read at any time.

use actix_web::{HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::{Authorized, Reads};
use super::body::{Fields, Query};
use super::detached;
use super::lists::{List, limit};
use super::problem::Problem;
use crate::domain::event::OrderBody;
use crate::domain::ids::{EventId, MerchantId};
use crate::domain::wanted::Wanted;
use crate::flows::Context;
use crate::flows::error::FlowError;
use crate::flows::events::{self, EventRow};

/// An event: a webhook's body with the event's id before it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Event {
    /// The event's id, which webhooks have in the header `webhook-id`.
    #[schema(example = "evt_0193f2a7c1d27b5e8f4e2a90c3d4e5f6")]
    id: String,
    /// What happened.
    #[serde(rename = "type")]
    #[schema(example = "payout.succeeded")]
    event_type: String,
    /// When.
    #[schema(example = "2026-01-31T00:00:00Z")]
    timestamp: String,
    /// What it happened to, as it then was: for steps, the order.
    data: OrderBody,
    /// The step's number within its order, without gaps. Null where the event is not about a step.
    #[schema(example = 3)]
    sequence: Option<i64>,
}

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventQuery {
    /// Most events on a page, 1 to 100; 20 if absent.
    limit: Option<String>,
    /// The id of the last event that you have read; from the first one if absent.
    starting_after: Option<String>,
    /// Types, any of them, separated by commas; `deposit.*` stands for all of a kind.
    #[serde(rename = "type")]
    #[param(example = "deposit.*,payout.succeeded")]
    event_type: Option<String>,
}

impl EventQuery {
    fn read(self, mut fields: Fields) -> Result<(Option<EventId>, Option<Wanted>, usize), FlowError> {
        let limit = limit(&mut fields, self.limit.as_deref());
        let after = fields.read("starting_after", self.starting_after.map(|text| EventId::parse(&text)).transpose());
        let wanted = fields.read("type", self.event_type.map(|text| Wanted::parse(text.split(','))).transpose());
        fields.finish(limit.zip(after.zip(wanted)).map(|(limit, (after, wanted))| (after, wanted, limit)))
    }
}

/// Read events
///
/// Oldest first, unlike other lists: keep the id of the last one that you have read, and go on from there. Nothing ever comes in
/// before what you have read. An event is here moments after its webhook was sent, or before.
#[utoipa::path(tag = "events", params(EventQuery),
    responses((status = 200, body = List<Event>),
        (status = 422, description = "`validation_failed`, `event_unknown`, `event_removed`", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["orders:read"])))]
#[get("/v1/events")]
pub async fn list(context: web::Data<Context>, caller: Authorized<Reads>, query: Query<EventQuery>) -> Result<HttpResponse, Problem> {
    let (after, wanted, limit) = query.0.read(EventQuery::read)?;
    let merchant: MerchantId = caller.merchant();
    let (found, more) = detached(async move { events::list(&context, merchant, after, wanted.as_ref(), limit).await }).await?;
    Ok(HttpResponse::Ok().content_type("application/json").body(render(&found, more)))
}

/// The page, as [`List`] would be. Bodies are not read and written again: they are here what they are in the webhooks, number by number.
fn render(found: &[EventRow], more: bool) -> String {
    let event = |row: &EventRow| {
        let rest = row.body.trim_start().strip_prefix('{').unwrap_or(&row.body);
        format!(r#"{{"id":"{}",{rest}"#, EventId(row.event_id))
    };
    let data: Vec<String> = found.iter().map(event).collect();
    let cursor = found.last().filter(|_| more).map_or("null".to_owned(), |row| format!("\"{}\"", EventId(row.event_id)));
    format!(r#"{{"object":"list","data":[{}],"has_more":{more},"next_cursor":{cursor}}}"#, data.join(","))
}
