//! The history of one order: its steps, attempts and reports.

use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use super::session::Session;
use crate::domain::ids::{MerchantId, OrderId};

/// A step.
#[derive(Debug)]
pub struct StepRow {
    pub sequence: i64,
    pub status: String,
    pub stage: Option<String>,
    pub channel: String,
    pub reason: String,
    pub report_id: Option<Uuid>,
    pub attempt_id: Option<Uuid>,
    pub created_at: OffsetDateTime,
}

/// An attempt.
#[derive(Debug)]
pub struct AttemptRow {
    pub attempt_id: Uuid,
    pub state: String,
    pub detail: Option<String>,
    pub started_at: OffsetDateTime,
    pub leased_until: OffsetDateTime,
    pub ended_at: Option<OffsetDateTime>,
}

/// A report.
#[derive(Debug)]
pub struct ReportRow {
    pub report_id: Uuid,
    pub channel: String,
    pub digest: Vec<u8>,
    pub summary: Value,
    pub verdict: String,
    pub source: Option<String>,
    pub received_at: OffsetDateTime,
}

/// The steps of an order, first to last.
pub async fn steps(connection: &mut Session, merchant: MerchantId, order: OrderId) -> Result<Vec<StepRow>, StoreError> {
    let rows = sqlx::query_as!(
        StepRow,
        "SELECT sequence, status, stage, channel, reason, report_id, attempt_id, created_at FROM steps
         WHERE merchant_id = $1 AND order_id = $2 ORDER BY sequence",
        merchant.0,
        order.0,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// The attempts of an order, first to last.
pub async fn attempts(connection: &mut Session, merchant: MerchantId, order: OrderId) -> Result<Vec<AttemptRow>, StoreError> {
    let rows = sqlx::query_as!(
        AttemptRow,
        "SELECT attempt_id, state, detail, started_at, leased_until, ended_at FROM attempts
         WHERE merchant_id = $1 AND order_id = $2 ORDER BY started_at, attempt_id",
        merchant.0,
        order.0,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// The reports of an order, first to last, without the raw input. The newest 200.
pub async fn reports(connection: &mut Session, merchant: MerchantId, order: OrderId) -> Result<Vec<ReportRow>, StoreError> {
    let mut rows = sqlx::query_as!(
        ReportRow,
        "SELECT report_id, channel, digest, summary, verdict, source, received_at FROM reports
         WHERE merchant_id = $1 AND order_id = $2 ORDER BY received_at DESC, report_id DESC LIMIT 200",
        merchant.0,
        order.0,
    )
    .fetch_all(connection)
    .await?;
    rows.reverse();
    Ok(rows)
}
