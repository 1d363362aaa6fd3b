//! `/v1/discrepancies`: where two sides disagree.

use actix_web::{get, post, web};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::auth::{Administers, Authorized, Reads};
use super::body::{Json, Query};
use super::detached;
use super::lists::{List, limit};
use super::orders::reason;
use super::problem::Problem;
use crate::domain::event::DiscrepancyBody;
use crate::domain::ids::DiscrepancyId;
use crate::flows::error::FlowError;
use crate::flows::{Context, discrepancy};

/// Which discrepancies.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DiscrepancyQuery {
    /// `open` or `resolved`; both if absent.
    status: Option<String>,
    /// Most on a page, 1 to 100; 20 if absent.
    limit: Option<String>,
    /// The id of the last one of the page before.
    starting_after: Option<String>,
}

/// Why a discrepancy is settled.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Settlement {
    /// Why: it stays with the discrepancy.
    #[schema(example = "a test of our security team")]
    reason: String,
}

/// List discrepancies
///
/// Newest first.
#[utoipa::path(tag = "discrepancies", params(DiscrepancyQuery),
    responses((status = 200, body = List<DiscrepancyBody>), (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["orders:read"])))]
#[get("/v1/discrepancies")]
pub async fn list(
    context: web::Data<Context>,
    caller: Authorized<Reads>,
    query: Query<DiscrepancyQuery>,
) -> Result<web::Json<List<DiscrepancyBody>>, Problem> {
    let (limit, (open, after)) = query.0.read(|query, mut fields| {
        let limit = limit(&mut fields, query.limit.as_deref());
        let open = match query.status.as_deref() {
            None => Ok(None),
            Some("open") => Ok(Some(true)),
            Some("resolved") => Ok(Some(false)),
            Some(_) => Err("must be open or resolved"),
        };
        let open = fields.read("status", open);
        let after = fields.read("starting_after", query.starting_after.map(|text| DiscrepancyId::parse(&text)).transpose());
        fields.finish(limit.zip(open.zip(after)))
    })?;
    let merchant = caller.merchant();
    let (found, more) = detached(async move { discrepancy::list(&context, merchant, open, after, limit).await }).await?;
    Ok(web::Json(List::new(found, more, |discrepancy| discrepancy.id.clone())))
}

/// Settle a discrepancy
#[utoipa::path(tag = "discrepancies", params(("id" = String, Path, description = "The discrepancy's id")), request_body = Settlement,
    responses((status = 200, body = DiscrepancyBody),
        (status = 409, description = "`already_resolved`", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")),
    security(("api_key" = ["admin"])))]
#[post("/v1/discrepancies/{id}/resolve")]
pub async fn resolve(
    context: web::Data<Context>,
    caller: Authorized<Administers>,
    path: web::Path<String>,
    body: Json<Settlement>,
) -> Result<web::Json<DiscrepancyBody>, Problem> {
    let id = DiscrepancyId::parse(&path).map_err(|_| FlowError::NotFound("discrepancy"))?;
    let reason = body.0.read(|body, mut fields| {
        let reason = fields.read("/reason", reason(&body.reason));
        fields.finish(reason)
    })?;
    let (merchant, by) = (caller.merchant(), caller.by());
    let body = detached(async move { discrepancy::resolve(&context, merchant, &by, id, &reason).await }).await?;
    Ok(web::Json(body))
}
