//! `discrepancies`: where two sides disagree.

use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{StoreError, audit};
use crate::domain::audit::Entry;
use crate::domain::ids::{DiscrepancyId, EventId, MerchantId};

/// A discrepancy with the order that it is about.
#[derive(Clone, Debug)]
pub struct DiscrepancyRow {
    /// Its id.
    pub discrepancy_id: uuid::Uuid,
    /// The merchant's id of the order.
    pub trade_id: String,
    /// About what.
    pub kind: String,
    /// Our side.
    pub ours: Value,
    /// The other side.
    pub theirs: Value,
    /// When it was found.
    pub opened_at: OffsetDateTime,
    /// Absent while it is open.
    pub resolved_at: Option<OffsetDateTime>,
    /// Who resolved it.
    pub resolved_by: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// Discrepancies of a merchant, newest first; open ones, resolved ones or all.
pub async fn list(
    connection: &mut PgConnection,
    merchant: MerchantId,
    open: Option<bool>,
    starting_after: Option<DiscrepancyId>,
    limit: i64,
) -> Result<Vec<DiscrepancyRow>, StoreError> {
    let rows = sqlx::query_as!(
        DiscrepancyRow,
        "SELECT d.discrepancy_id, o.trade_id, d.kind, d.ours, d.theirs, d.opened_at, d.resolved_at, d.resolved_by, d.reason
         FROM discrepancies d JOIN orders o USING (merchant_id, order_id)
         WHERE merchant_id = $1 AND ($2::boolean IS NULL OR (d.resolved_at IS NULL) = $2)
           AND ($3::uuid IS NULL OR d.discrepancy_id < $3)
         ORDER BY d.discrepancy_id DESC
         LIMIT $4",
        merchant.0,
        open,
        starting_after.map(|id| id.0),
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// One discrepancy.
pub async fn get(connection: &mut PgConnection, merchant: MerchantId, id: DiscrepancyId) -> Result<Option<DiscrepancyRow>, StoreError> {
    let row = sqlx::query_as!(
        DiscrepancyRow,
        "SELECT d.discrepancy_id, o.trade_id, d.kind, d.ours, d.theirs, d.opened_at, d.resolved_at, d.resolved_by, d.reason
         FROM discrepancies d JOIN orders o USING (merchant_id, order_id)
         WHERE merchant_id = $1 AND d.discrepancy_id = $2",
        merchant.0,
        id.0,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// Resolves an open discrepancy and writes the event of it. `false` if it was resolved before.
pub async fn resolve(
    connection: &mut PgConnection,
    merchant: MerchantId,
    id: DiscrepancyId,
    (by, reason): (&str, &str),
    (event_id, event_body): (EventId, &str),
    now: OffsetDateTime,
    entry: &Entry,
) -> Result<bool, StoreError> {
    let resolved = sqlx::query_scalar!(
        r#"WITH d AS (
             UPDATE discrepancies SET resolved_at = $5, resolved_by = $3, reason = $4
             WHERE merchant_id = $1 AND discrepancy_id = $2 AND resolved_at IS NULL
             RETURNING 1
         ), e AS (
             INSERT INTO events (merchant_id, event_id, event_type, body, created_at)
             SELECT $1, $6, 'discrepancy.resolved', $7::text::json, $5 FROM d
         ), l AS (
             INSERT INTO audit_log SELECT r.* FROM d, json_populate_record(NULL::audit_log, $8::text::json) r
         )
         SELECT count(*) AS "resolved!" FROM d"#,
        merchant.0,
        id.0,
        by,
        reason,
        now,
        event_id.0,
        event_body,
        audit::document(entry)?,
    )
    .fetch_one(connection)
    .await?;
    Ok(resolved == 1)
}
