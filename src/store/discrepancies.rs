//! `discrepancies`: where two sides disagree.

use serde_json::Value;
use time::OffsetDateTime;

use super::session::Session;
use super::{StoreError, audit};
use crate::domain::audit::Entry;
use crate::domain::ids::{DiscrepancyId, EventId, MerchantId};
use crate::domain::order::Provider;

/// A discrepancy with the order that it is about.
#[derive(Clone, Debug)]
pub struct DiscrepancyRow {
    /// Its id.
    pub discrepancy_id: uuid::Uuid,
    /// The wallet whose side it is.
    pub provider: String,
    /// What it is about: an order's id, `receipt:` and the provider's number, or `balance:` and the coin.
    pub subject: String,
    /// The merchant's id of the order. Absent where it is about none.
    pub trade_id: Option<String>,
    /// `report` or `reconciliation`.
    pub found_by: String,
    /// About what.
    pub kind: String,
    /// Our side.
    pub ours: Value,
    /// The other side.
    pub theirs: Value,
    /// SHA-256 of kind and both sides.
    pub digest: Vec<u8>,
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
    connection: &mut Session,
    merchant: MerchantId,
    open: Option<bool>,
    starting_after: Option<DiscrepancyId>,
    limit: i64,
) -> Result<Vec<DiscrepancyRow>, StoreError> {
    let rows = sqlx::query_as!(
        DiscrepancyRow,
        r#"SELECT d.discrepancy_id, d.provider, d.subject, o.trade_id AS "trade_id?", d.found_by, d.kind, d.ours, d.theirs, d.digest, d.opened_at,
                  d.resolved_at, d.resolved_by, d.reason
         FROM discrepancies d LEFT JOIN orders o ON o.merchant_id = d.merchant_id AND o.order_id = d.order_id
         WHERE d.merchant_id = $1 AND ($2::boolean IS NULL OR (d.resolved_at IS NULL) = $2)
           AND ($3::uuid IS NULL OR d.discrepancy_id < $3)
         ORDER BY d.discrepancy_id DESC
         LIMIT $4"#,
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
pub async fn get(connection: &mut Session, merchant: MerchantId, id: DiscrepancyId) -> Result<Option<DiscrepancyRow>, StoreError> {
    let row = sqlx::query_as!(
        DiscrepancyRow,
        r#"SELECT d.discrepancy_id, d.provider, d.subject, o.trade_id AS "trade_id?", d.found_by, d.kind, d.ours, d.theirs, d.digest, d.opened_at,
                  d.resolved_at, d.resolved_by, d.reason
         FROM discrepancies d LEFT JOIN orders o ON o.merchant_id = d.merchant_id AND o.order_id = d.order_id
         WHERE d.merchant_id = $1 AND d.discrepancy_id = $2"#,
        merchant.0,
        id.0,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// Open discrepancies about any of these subjects, at one provider, that a comparison found.
pub async fn open_about(
    connection: &mut Session,
    merchant: MerchantId,
    provider: Provider,
    subjects: &[String],
) -> Result<Vec<DiscrepancyRow>, StoreError> {
    let rows = sqlx::query_as!(
        DiscrepancyRow,
        r#"SELECT d.discrepancy_id, d.provider, d.subject, o.trade_id AS "trade_id?", d.found_by, d.kind, d.ours, d.theirs, d.digest, d.opened_at,
                  d.resolved_at, d.resolved_by, d.reason
         FROM discrepancies d LEFT JOIN orders o ON o.merchant_id = d.merchant_id AND o.order_id = d.order_id
         WHERE d.merchant_id = $1 AND d.provider = $2 AND d.subject = ANY($3) AND d.resolved_at IS NULL AND d.found_by = 'reconciliation'"#,
        merchant.0,
        provider.to_string(),
        subjects,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// How many discrepancies are open, by kind and age: `hour`, `day` or `older`.
pub async fn count_open(connection: &mut Session, now: OffsetDateTime) -> Result<Vec<(String, String, i64)>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT kind, CASE WHEN opened_at > $1::timestamptz - interval '1 hour' THEN 'hour' WHEN opened_at > $1::timestamptz - interval '1 day' THEN 'day' ELSE 'older' END AS "age!",
                  count(*) AS "count!"
           FROM discrepancies WHERE resolved_at IS NULL GROUP BY 1, 2"#,
        now,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.kind, row.age, row.count)).collect())
}

/// Resolves an open discrepancy and writes the event of it. `false` if it was resolved before.
pub async fn resolve(
    connection: &mut Session,
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
