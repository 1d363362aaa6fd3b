//! The one statement that changes an order: the order with its step, event, task, attempt, report,
//! receipt and discrepancy, or nothing of it.

use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::StoreError;
use super::rows::json;
use crate::domain::agenda::Task;
use crate::domain::hearing::Received;
use crate::domain::ids::{AttemptId, DiscrepancyId, EventId, ReceiptId, ReportId};
use crate::domain::money::Amount;
use crate::domain::order::Order;
use crate::domain::recovery::Progress;
use crate::domain::report::{Channel, Finding};

/// All that one report writes.
#[derive(Debug)]
pub struct Record<'a> {
    /// The order, as it is after the report.
    pub order: &'a Order,
    /// The order changed: it gets a step and an event. Else only what goes with the report is written.
    pub changed: bool,
    /// The present.
    pub now: OffsetDateTime,
    /// How the report came.
    pub channel: Channel,
    /// What it said, in a few words.
    pub reason: &'a str,
    /// The event of the step: its id, type and body.
    pub event: (EventId, &'a str, &'a str),
    /// What came in from outside.
    pub report: Option<ReportRow<'a>>,
    /// The attempt that the report is about, and how it ends: state and detail.
    pub ended: Option<(AttemptId, &'a str, &'a str)>,
    /// A new attempt, kept until then.
    pub opened: Option<(AttemptId, OffsetDateTime)>,
    /// What becomes of the order's task.
    pub task: TaskWrite,
    /// Money that the report proves, with its event where no order is open to it.
    pub receipt: Option<(ReceiptId, &'a Received, EventId, &'a str)>,
    /// Where the sides disagree, with its event.
    pub finding: Option<(DiscrepancyId, &'a Finding, &'a [u8], EventId, &'a str)>,
}

/// What came in from outside, to be kept.
#[derive(Debug)]
pub struct ReportRow<'a> {
    /// Its id.
    pub id: ReportId,
    /// SHA-256 of the raw input.
    pub digest: &'a [u8],
    /// The raw input, sealed.
    pub sealed_raw: &'a [u8],
    /// What was read from it, without secrets.
    pub summary: &'a Value,
    /// What became of it.
    pub verdict: &'a str,
    /// Where a callback came from.
    pub source: Option<&'a str>,
}

/// What becomes of an order's task.
#[derive(Clone, Copy, Debug)]
pub enum TaskWrite {
    /// It stays as it is.
    Leave,
    /// There is nothing more to do.
    Remove,
    /// This is to be done, after so many tries; kept by the writer until the lease ends, if one is given.
    Set(Task, Progress, Option<OffsetDateTime>),
}

/// Writes it, in one statement. `false`, and nothing written, if the order has changed since it was
/// read: then read it again.
pub async fn record(connection: &mut PgConnection, record: &Record<'_>) -> Result<bool, StoreError> {
    let order = record.order;
    let (remove_task, task) = match record.task {
        TaskWrite::Leave => (false, None),
        TaskWrite::Remove => (true, None),
        TaskWrite::Set(task, progress, lease) => (false, Some((task, progress, lease))),
    };
    let report = record.report.as_ref();
    let receipt = record.receipt;
    let finding = record.finding;
    let written = sqlx::query_scalar!(
        r#"
        WITH moved AS (
            UPDATE orders SET
                status = $4, stage = $5, sequence = sequence + 1, amount_received = $6, amount_confirmed = $7, fee = $8, late = $9,
                next_action = $10, provider_reference = $11, txid = $12, confirmations = $13, failure = $14, claim = $15, doubts = $16,
                doubt_since = $17, is_final = $18, final_at = $19, expires_at = $20, updated_at = $21
            WHERE $22 AND merchant_id = $1 AND order_id = $2 AND sequence = $3::bigint - 1
            RETURNING 1
        ), here AS (
            SELECT 1 FROM moved
            UNION ALL SELECT 1 FROM orders WHERE NOT $22 AND merchant_id = $1 AND order_id = $2 AND sequence = $3::bigint
        ), s AS (
            INSERT INTO steps (merchant_id, order_id, sequence, status, stage, channel, reason, report_id, attempt_id, created_at)
            SELECT $1, $2, $3::bigint, $4, $5, $23, $24, $28, coalesce($34::uuid, $37::uuid), $21 FROM moved
        ), e AS (
            INSERT INTO events (merchant_id, event_id, event_type, order_id, sequence, body, created_at)
            SELECT $1, $25, $26, $2, $3::bigint, $27::text::json, $21 FROM moved
        ), r AS (
            INSERT INTO reports (merchant_id, report_id, order_id, channel, digest, sealed_raw, summary, verdict, source, received_at)
            SELECT $1, $28, $2, $23, $29::bytea, $30::bytea, $31, $32, $33, $21 FROM here WHERE $28::uuid IS NOT NULL
            ON CONFLICT (merchant_id, order_id, digest) WHERE channel = 'callback' DO NOTHING
        ), a AS (
            -- An attempt that was given up as unknown may still hear its answer.
            UPDATE attempts SET state = $35, detail = $36, ended_at = $21
            FROM here
            WHERE merchant_id = $1 AND attempt_id = $34 AND state IN ('open', 'unknown')
        ), n AS (
            INSERT INTO attempts (merchant_id, attempt_id, order_id, state, started_at, leased_until)
            SELECT $1, $37, $2, 'open', $21, $38 FROM here WHERE $37::uuid IS NOT NULL
        ), d AS (
            -- While another attempt is open, the task stays with whoever keeps it: a crash must not leave it open for ever.
            DELETE FROM tasks USING here
            WHERE $39 AND merchant_id = $1 AND order_id = $2
              AND NOT EXISTS (SELECT FROM attempts a
                              WHERE a.merchant_id = $1 AND a.order_id = $2 AND a.state = 'open' AND a.attempt_id IS DISTINCT FROM $34)
        ), t AS (
            INSERT INTO tasks (merchant_id, order_id, work, due_at, tries, absent_since, absent_last, leased_until)
            SELECT $1, $2, $40, $41, $42, $43, $44, $45 FROM here WHERE $40::text IS NOT NULL
            ON CONFLICT ON CONSTRAINT an_open_order_has_one_task DO UPDATE SET
                work = excluded.work, due_at = excluded.due_at, tries = excluded.tries, absent_since = excluded.absent_since,
                absent_last = excluded.absent_last, leased_until = excluded.leased_until
        ), m AS (
            INSERT INTO receipts (merchant_id, receipt_id, provider, provider_receipt_id, order_id, coin, amount, fee, progress, revision,
                                  unheard, created_at, updated_at, provider_coin_id)
            SELECT $1, $46, $47, $48, CASE WHEN $49 THEN $2 END, $50, $51, $52, 'confirmed', 1, false, $21, $21, $62
            FROM here WHERE $46::uuid IS NOT NULL
            ON CONFLICT ON CONSTRAINT a_movement_is_counted_once DO NOTHING
            RETURNING order_id
        ), me AS (
            INSERT INTO events (merchant_id, event_id, event_type, body, created_at)
            SELECT $1, $53, 'receipt.unmatched', $54::text::json, $21 FROM m WHERE order_id IS NULL
        ), f AS (
            INSERT INTO discrepancies (merchant_id, discrepancy_id, order_id, kind, ours, theirs, digest, opened_at)
            SELECT $1, $55, $2, $56, $57, $58, $59, $21 FROM here WHERE $55::uuid IS NOT NULL
            ON CONFLICT ON CONSTRAINT the_same_finding_is_one_discrepancy DO NOTHING
            RETURNING 1
        ), fe AS (
            INSERT INTO events (merchant_id, event_id, event_type, body, created_at)
            SELECT $1, $60, 'discrepancy.opened', $61::text::json, $21 FROM f
        )
        SELECT count(*) AS "written!" FROM here
        "#,
        order.merchant_id.0,
        order.id.0,
        order.sequence,
        order.state.status(),
        order.state.stage(),
        order.amount_received.to_decimal(),
        order.amount_confirmed.to_decimal(),
        order.fee.map(Amount::to_decimal),
        order.late,
        json(order.next_action.as_ref())?,
        order.provider_reference,
        order.txid,
        order.confirmations,
        json(order.failure.as_ref())?,
        json(order.claim.as_ref())?,
        order.doubts,
        order.doubt_since,
        order.is_final,
        order.final_at,
        order.expires_at,
        record.now,
        record.changed,
        record.channel.to_string(),
        record.reason,
        record.event.0.0,
        record.event.1,
        record.event.2,
        report.map(|report| report.id.0),
        report.map(|report| report.digest),
        report.map(|report| report.sealed_raw),
        report.map(|report| report.summary),
        report.map(|report| report.verdict),
        report.and_then(|report| report.source),
        record.ended.map(|ended| ended.0.0),
        record.ended.map(|ended| ended.1),
        record.ended.map(|ended| ended.2),
        record.opened.map(|opened| opened.0.0),
        record.opened.map(|opened| opened.1),
        remove_task,
        task.map(|(task, _, _)| task.work.to_string()),
        task.map(|(task, _, _)| task.due_at),
        task.map(|(_, progress, _)| progress.tries),
        task.and_then(|(_, progress, _)| progress.absent_since),
        task.and_then(|(_, progress, _)| progress.absent_last),
        task.and_then(|(_, _, lease)| lease),
        receipt.map(|receipt| receipt.0.0),
        order.provider.to_string(),
        receipt.map(|receipt| receipt.1.provider_receipt_id.as_str()),
        receipt.is_some_and(|receipt| receipt.1.matched),
        order.coin,
        receipt.map(|receipt| receipt.1.amount.to_decimal()),
        receipt.and_then(|receipt| receipt.1.fee).map(Amount::to_decimal),
        receipt.map(|receipt| receipt.2.0),
        receipt.map(|receipt| receipt.3),
        finding.map(|finding| finding.0.0),
        finding.map(|finding| finding.1.kind.to_string()),
        finding.map(|finding| &finding.1.ours),
        finding.map(|finding| &finding.1.theirs),
        finding.map(|finding| finding.2),
        finding.map(|finding| finding.3.0),
        finding.map(|finding| finding.4),
        order.provider_coin_id,
    )
    .fetch_one(connection)
    .await?;
    Ok(written == 1)
}
