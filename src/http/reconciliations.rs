//! `/v1/reconciliations`: how both sides were compared, and what came of it.

use actix_web::{get, web};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::auth::{Authorized, Reads};
use super::body::Query;
use super::detached;
use super::lists::{List, limit};
use super::problem::Problem;
use crate::domain::ids::RunId;
use crate::flows::Context;
use crate::flows::error::FlowError;
use crate::flows::reconcile::{self, RunRow};

/// One comparison of both sides of an account.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReconciliationBody {
    /// Its id.
    #[schema(example = "rec_0193f2a7c1d27b5e8f4e2a90c3d4e5f6")]
    id: String,
    /// Always `reconciliation`.
    object: &'static str,
    /// The wallet.
    #[schema(example = "hicoin")]
    provider: String,
    /// `running`, `finished` or `failed`.
    status: String,
    /// What is compared now: `to_address`, `to_user`, `between_users`, `deposits`, `movements`, `balances`.
    leg: String,
    /// Orders and movements of then and later.
    #[serde(with = "time::serde::rfc3339")]
    from: OffsetDateTime,
    /// And before this.
    #[serde(with = "time::serde::rfc3339")]
    to: OffsetDateTime,
    /// Whether what the wallet was further with was heard at once.
    repair: bool,
    /// `schedule`, or who asked.
    asked_by: String,
    /// Movements of which both sides were looked at.
    compared: i64,
    /// Of these: the wallet was further than we were.
    behind: i64,
    /// Of these: heard at once.
    repaired: i64,
    /// Of these: the sides disagree.
    disagree: i64,
    /// Discrepancies that were opened.
    opened: i64,
    /// Discrepancies that were closed, since both sides agree again.
    closed: i64,
    /// The wallet's side could not be read.
    unreadable: i64,
    /// Nobody could be asked.
    unchecked: i64,
    /// Questions to the wallet.
    questions: i64,
    /// What the payout account owned.
    #[schema(value_type = Option<Object>)]
    balances: Option<Value>,
    /// Why it could not go on.
    failure: Option<String>,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    started_at: OffsetDateTime,
    /// When it came to its end.
    #[serde(with = "time::serde::rfc3339::option")]
    finished_at: Option<OffsetDateTime>,
}

impl From<RunRow> for ReconciliationBody {
    fn from(row: RunRow) -> Self {
        Self {
            id: RunId(row.run_id).to_string(),
            object: "reconciliation",
            provider: row.provider,
            status: row.state,
            leg: row.leg,
            from: row.period_from,
            to: row.period_to,
            repair: row.repair,
            asked_by: row.asked_by,
            compared: row.compared,
            behind: row.behind,
            repaired: row.repaired,
            disagree: row.disagree,
            opened: row.opened,
            closed: row.closed,
            unreadable: row.unreadable,
            unchecked: row.unchecked,
            questions: row.questions,
            balances: row.balances,
            failure: row.failure,
            started_at: row.started_at,
            finished_at: row.finished_at,
        }
    }
}

/// Which runs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReconciliationQuery {
    /// Most on a page, 1 to 100; 20 if absent.
    limit: Option<String>,
    /// The id of the last one of the page before.
    starting_after: Option<String>,
}

/// List reconciliations
///
/// Newest first: one for each account and night, and those that the operator asked for.
#[utoipa::path(tag = "reconciliations", params(ReconciliationQuery),
    responses((status = 200, body = List<ReconciliationBody>), (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["orders:read"])))]
#[get("/v1/reconciliations")]
pub async fn list(
    context: web::Data<Context>,
    caller: Authorized<Reads>,
    query: Query<ReconciliationQuery>,
) -> Result<web::Json<List<ReconciliationBody>>, Problem> {
    let (limit, after) = query.0.read(|query, mut fields| {
        let limit = limit(&mut fields, query.limit.as_deref());
        let after = fields.read("starting_after", query.starting_after.map(|text| RunId::parse(&text)).transpose());
        fields.finish(limit.zip(after))
    })?;
    let merchant = caller.merchant();
    let (found, more) = detached(async move { reconcile::list(&context, merchant, after, limit).await }).await?;
    let bodies: Vec<ReconciliationBody> = found.into_iter().map(Into::into).collect();
    Ok(web::Json(List::new(bodies, more, |run| run.id.clone())))
}

/// Get a reconciliation
#[utoipa::path(tag = "reconciliations", params(("id" = String, Path, description = "The reconciliation's id")),
    responses((status = 200, body = ReconciliationBody), (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["orders:read"])))]
#[get("/v1/reconciliations/{id}")]
pub async fn get(
    context: web::Data<Context>,
    caller: Authorized<Reads>,
    path: web::Path<String>,
) -> Result<web::Json<ReconciliationBody>, Problem> {
    let id = RunId::parse(&path).map_err(|_| FlowError::NotFound("reconciliation"))?;
    let merchant = caller.merchant();
    let run = detached(async move { reconcile::get(&context, merchant, id).await }).await?;
    Ok(web::Json(run.into()))
}
