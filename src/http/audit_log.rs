//! `/v1/audit_log`: who changed what by hand, and why.

use actix_web::{get, web};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::auth::{Administers, Authorized};
use super::body::{Fields, Query, short_text};
use super::detached;
use super::lists::{List, limit};
use super::problem::Problem;
use crate::domain::audit::{ActorKind, Row};
use crate::flows::Context;
use crate::flows::audit::{self, Filter};
use crate::flows::error::FlowError;

/// Which rows.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Most rows on a page, 1 to 100; 20 if absent.
    limit: Option<String>,
    /// The position of the last row of the page before.
    starting_after: Option<String>,
    /// The id of what was changed: an order's trade id, or the id of an endpoint, a receipt, a key ...
    #[param(example = "payout-1001")]
    subject: Option<String>,
    /// A key's id, or the name of whoever did it.
    actor: Option<String>,
    /// What was done; `payout.` for everything that begins so.
    #[param(example = "payout.retry")]
    action: Option<String>,
}

impl AuditQuery {
    fn read(self, mut fields: Fields) -> Result<(Filter, usize), FlowError> {
        let limit = limit(&mut fields, self.limit.as_deref());
        let position = |text: String| text.parse().ok().filter(|position| *position > 0).ok_or("must be the position of a row");
        let mut text = |name: &str, value: Option<String>| fields.read(name, value.map(|text| short_text(&text)).transpose()).flatten();
        let (subject, actor, action) = (text("subject", self.subject), text("actor", self.actor), text("action", self.action));
        let starting_after = fields.read("starting_after", self.starting_after.map(position).transpose()).flatten();
        fields.finish(limit.map(|limit| (Filter { starting_after, subject, actor, action }, limit)))
    }
}

/// Who did it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActorBody {
    /// `key`; `operator`: on the command line; `customer`: by a browser that came back from a wallet.
    #[serde(rename = "type")]
    #[schema(value_type = ActorKind)]
    kind: String,
    /// The key's id. Null where it was no key.
    id: Option<String>,
    /// The key's name, or its beginning; the operator's name on his machine; your id of the customer.
    #[schema(example = "ada")]
    name: String,
}

/// What was changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubjectBody {
    /// What it is.
    #[serde(rename = "type")]
    #[schema(example = "payout")]
    kind: String,
    /// Which: an order's trade id, another thing's id.
    #[schema(example = "payout-1001")]
    id: String,
}

/// A row of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditBody {
    /// Always `audit_row`.
    object: &'static str,
    /// Its number in your log: from 1, without gaps.
    position: i64,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    /// Who.
    actor: ActorBody,
    /// What.
    #[schema(example = "payout.confirm")]
    action: String,
    /// To what.
    subject: SubjectBody,
    /// How it was. Null where there was nothing, or nothing that is shown.
    before: Option<Value>,
    /// How it is. Null where there is nothing any more.
    after: Option<Value>,
    /// Why, in the actor's words. Null where none are asked for.
    reason: Option<String>,
    /// The request's `X-Request-Id`. Null where it was no request.
    request_id: Option<String>,
    /// The hash of the row before it (SHA-256, hex); zeros in the first one.
    previous_hash: String,
    /// Its own hash, of everything in it and of `previous_hash`.
    hash: String,
}

impl TryFrom<Row> for AuditBody {
    type Error = FlowError;

    fn try_from(row: Row) -> Result<Self, FlowError> {
        let json = |text: Option<String>| text.map(|text| serde_json::from_str(&text)).transpose();
        let unreadable = |error: serde_json::Error| FlowError::Internal(format!("a row of the audit log cannot be read: {error}"));
        Ok(Self {
            object: "audit_row",
            position: row.position,
            at: row.at,
            actor: ActorBody { kind: row.actor_kind, id: row.actor_id, name: row.actor_name },
            action: row.action,
            subject: SubjectBody { kind: row.subject_type, id: row.subject_id },
            before: json(row.before).map_err(unreadable)?,
            after: json(row.after).map_err(unreadable)?,
            reason: row.reason,
            request_id: row.request_id,
            previous_hash: hex::encode(row.previous_hash),
            hash: hex::encode(row.hash),
        })
    }
}

/// Who changed what?
///
/// What persons and keys changed by hand, newest first: decisions about orders and receipts, keys, accounts, endpoints, links,
/// customers. Nobody can change a row, and the hashes show where somebody did. Orders tell in their timelines who asked for them.
#[utoipa::path(tag = "audit_log", params(AuditQuery),
    responses((status = 200, body = List<AuditBody>), (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["admin"])))]
#[get("/v1/audit_log")]
pub async fn list(
    context: web::Data<Context>,
    caller: Authorized<Administers>,
    query: Query<AuditQuery>,
) -> Result<web::Json<List<AuditBody>>, Problem> {
    let (filter, limit) = query.0.read(AuditQuery::read)?;
    let merchant = caller.merchant();
    let (found, more) = detached(async move { audit::list(&context, merchant, &filter, limit).await }).await?;
    let data = found.into_iter().map(AuditBody::try_from).collect::<Result<_, _>>()?;
    Ok(web::Json(List::new(data, more, |row: &AuditBody| row.position.to_string())))
}
