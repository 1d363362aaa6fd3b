//! The one statement that changes orders: each order with its step, event, task, attempt, report,
//! receipts and discrepancy, or nothing of it. It takes one order or a page of them, as one document;
//! single orders that are written at the same time go as a page.

mod rows;

use std::time::Duration;

use futures_util::FutureExt;
use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;

use self::rows::{HeardRow, Row};
use super::group::{Group, document, row};
use super::pool::Connections;
use super::{Db, StoreError};
use crate::domain::agenda::Task;
use crate::domain::audit::Entry;
use crate::domain::finding::Finding;
use crate::domain::hearing::Received;
use crate::domain::ids::{AttemptId, DiscrepancyId, EventId, MerchantId, OrderId, ReceiptId, ReportId};
use crate::domain::order::Order;
use crate::domain::recovery::Progress;
use crate::domain::report::Channel;

/// All that one report of one order writes.
#[derive(Debug)]
pub struct Record<'a> {
    /// The order, as it is after the report.
    pub order: &'a Order,
    /// The order changed: it gets a step and an event. Else only what goes with the report is written.
    pub changed: bool,
    /// The order is new and comes into being with this report. SHA-256 of what it stands for.
    pub born: Option<&'a [u8]>,
    /// The present.
    pub now: OffsetDateTime,
    /// How the report came.
    pub channel: Channel,
    /// What it said, in a few words.
    pub reason: String,
    /// The event of the step: its id, type and body. Absent where there is no step.
    pub event: Option<(EventId, String, String)>,
    /// What came in from outside.
    pub report: Option<ReportRow>,
    /// The attempt that the report is about, and how it ends: state and detail.
    pub ended: Option<(AttemptId, &'static str, String)>,
    /// A new attempt, kept until then.
    pub opened: Option<(AttemptId, OffsetDateTime)>,
    /// What becomes of the order's task.
    pub task: TaskWrite,
    /// Money that the report proves, with its event where no order is open to it.
    pub receipt: Option<(ReceiptId, &'a Received, EventId, String)>,
    /// Receipts that the order hears of with this report.
    pub hears: &'a [Version],
    /// Who did this by hand, and why: written if it changes anything.
    pub entry: Option<&'a Entry>,
    /// Where the sides disagree: its id, digest and event.
    pub finding: Option<(DiscrepancyId, &'a Finding, Vec<u8>, EventId, String)>,
}

impl Record<'_> {
    /// It touches nothing that another order's record could touch, too: receipts are heard of by one order only, a new
    /// order's trade id may be used, and what is done by hand is rare.
    fn stands_alone(&self) -> bool {
        self.hears.is_empty() && self.born.is_none() && self.entry.is_none()
    }
}

/// What came in from outside, to be kept.
#[derive(Debug)]
pub struct ReportRow {
    /// Its id.
    pub id: ReportId,
    /// SHA-256 of the raw input.
    pub digest: Vec<u8>,
    /// The raw input, sealed.
    pub sealed_raw: Vec<u8>,
    /// What was read from it, without secrets.
    pub summary: Value,
    /// What became of it.
    pub verdict: &'static str,
    /// Where a callback came from.
    pub source: Option<String>,
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

/// A receipt that no order is open to: the merchant hears of it by an event.
#[derive(Debug)]
pub struct Homeless {
    /// Whose it is.
    pub merchant_id: MerchantId,
    /// The receipt.
    pub receipt: Version,
    /// The event's id, type and body. Absent: the merchant has heard of it before.
    pub event: Option<(EventId, &'static str, String)>,
}

/// A receipt as it was read. It is written to only if it is still so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its id.
    pub id: ReceiptId,
    /// What the provider had told of it.
    pub revision: i32,
    /// Whether that was still to be heard of.
    pub unheard: bool,
}

/// What the records of a page have to do with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bond {
    /// Nothing: each is written or not by itself.
    Each,
    /// They are one decision: if something of it has changed since it was read, nothing is written.
    All,
}

/// Records of single orders on their way to the database. Two of the same order never share a statement.
pub type Records = Group<OrderId, (OrderId, String), bool>;

/// The way of single records to the database.
pub fn records(connections: Connections, patience: Duration) -> Records {
    Group::new(patience, move |records: &[(OrderId, String)]| {
        let (orders, rows): (Vec<OrderId>, Vec<String>) = records.iter().cloned().unzip();
        let connections = connections.clone();
        async move {
            let page = Page { rows: document(&rows), heard: document(&[]), receipts: 0, bond: Bond::Each };
            let mut connection = connections.get().await?;
            let written = write(&mut connection, &page).await?.unwrap_or_default();
            connection.done();
            Ok(orders.iter().map(|order| written.contains(order)).collect())
        }
        .boxed()
    })
}

/// Writes records, in one statement, each whole or not at all. Gives the orders whose record was
/// written. One is not if its order has changed since it was read, or one of its receipts: then read
/// again. `None` if the page is one decision and nothing of it was written.
pub async fn record(db: &Db, records: &[Record<'_>], homeless: &[Homeless], bond: Bond) -> Result<Option<Vec<OrderId>>, StoreError> {
    if let ([one], [], Bond::Each) = (records, homeless, bond)
        && one.stands_alone()
    {
        let id = one.order.id;
        let written = db.records.put(id, (id, row(&Row::of(one))?)).await?;
        return Ok(Some(if written { vec![id] } else { Vec::new() }));
    }
    let rows = records.iter().map(|record| row(&Row::of(record))).collect::<Result<Vec<_>, _>>()?;
    let heard = records
        .iter()
        .flat_map(|record| {
            record.hears.iter().map(move |receipt| HeardRow::of(record.order.merchant_id, receipt, Some(record.order.id), None))
        })
        .chain(homeless.iter().map(|one| HeardRow::of(one.merchant_id, &one.receipt, None, one.event.as_ref())))
        .map(|heard| row(&heard))
        .collect::<Result<Vec<_>, _>>()?;
    let receipts = i64::try_from(heard.len()).unwrap_or(i64::MAX);
    let page = Page { rows: document(&rows), heard: document(&heard), receipts, bond };
    let mut connection = db.get().await?;
    let written = write(&mut connection, &page).await?;
    connection.done();
    Ok(written)
}

/// What one statement writes.
struct Page {
    /// The records, as a document.
    rows: String,
    /// The receipts that are heard of, as a document, and how many they are.
    heard: String,
    receipts: i64,
    bond: Bond,
}

async fn write(connection: &mut PgConnection, page: &Page) -> Result<Option<Vec<OrderId>>, StoreError> {
    let written = sqlx::query!(
        r#"
        WITH input AS MATERIALIZED (
            SELECT * FROM json_to_recordset($1::text::json) AS i(
                merchant_id uuid, order_id uuid, sequence bigint, changed boolean, born bytea, hears integer, now timestamptz,
                trade_id text, kind text, provider text, coin text, provider_coin_id text, decimals integer, amount numeric,
                tolerance numeric, customer text, provider_user text, created_at timestamptz,
                status text, stage text, amount_received numeric, amount_confirmed numeric, fee numeric, late boolean, next_action jsonb,
                provider_reference text, txid text, confirmations integer, failure jsonb, claim jsonb, doubts smallint,
                doubt_since timestamptz, retry jsonb, is_final boolean, final_at timestamptz, expires_at timestamptz,
                channel text, reason text, event_id uuid, event_type text, event text,
                report_id uuid, digest bytea, sealed_raw bytea, summary jsonb, verdict text, source text,
                ended_id uuid, ended_state text, ended_detail text, opened_id uuid, opened_until timestamptz,
                remove_task boolean, work text, lane text, due_at timestamptz, tries integer, absent_since timestamptz,
                absent_last timestamptz, leased_until timestamptz,
                receipt_id uuid, receipt_number text, receipt_matched boolean, receipt_amount numeric, receipt_fee numeric,
                receipt_event_id uuid, receipt_event text,
                finding_id uuid, finding_kind text, ours jsonb, theirs jsonb, finding_digest bytea, finding_event_id uuid, finding_event text,
                entry json)
        ), held AS (
            -- Who changes an order, or opens or ends a call about it, does so alone. (Who has nothing new to tell writes nothing to it.)
            -- Always in the same order, so that two pages never wait for each other.
            -- One by one over their keys, whatever the statistics say of the table.
            SELECT o.order_id FROM (
                SELECT merchant_id, order_id, CASE WHEN changed THEN sequence - 1 ELSE sequence END AS sequence FROM input
                WHERE changed OR opened_id IS NOT NULL OR ended_id IS NOT NULL ORDER BY order_id
            ) i CROSS JOIN LATERAL (
                SELECT o.order_id FROM orders o
                WHERE o.merchant_id = i.merchant_id AND o.order_id = i.order_id AND o.sequence = i.sequence FOR NO KEY UPDATE OF o
            ) o
        ), found AS (
            SELECT h.*, r.at
            FROM json_to_recordset($2::text::json)
                AS h(merchant_id uuid, receipt_id uuid, revision integer, unheard boolean, order_id uuid, event_id uuid, event_type text, event text)
            CROSS JOIN LATERAL (
                -- Said like this, only the primary key will do. By two equalities another index looks as good to a planner whose
                -- statistics are of a few receipts, and reads all of the merchant's, for each.
                SELECT r.ctid AS at, r.* FROM receipts r WHERE (r.merchant_id, r.receipt_id) >= (h.merchant_id, h.receipt_id)
                ORDER BY r.merchant_id, r.receipt_id LIMIT 1) r
            WHERE r.merchant_id = h.merchant_id AND r.receipt_id = h.receipt_id AND r.revision = h.revision AND r.unheard = h.unheard
              AND (r.order_id IS NULL OR r.order_id = h.order_id)
            -- By the provider's numbers, as readers of feeds do.
            ORDER BY length(r.provider_receipt_id), r.provider_receipt_id
        ), kept AS MATERIALIZED (
            -- What was changed before it was locked is not there any more, and its page is decided anew.
            SELECT f.* FROM found f CROSS JOIN LATERAL (
                -- Looked at once more when the lock is there: a row that was changed is found at its old place all the same.
                SELECT FROM receipts r WHERE r.ctid = f.at AND r.revision = f.revision AND r.unheard = f.unheard LIMIT 1 FOR UPDATE) r
        ), fits AS (
            SELECT i.* FROM input i
            WHERE CASE
                WHEN i.born IS NOT NULL THEN true
                WHEN i.changed OR i.opened_id IS NOT NULL OR i.ended_id IS NOT NULL THEN
                    EXISTS (SELECT FROM held WHERE held.order_id = i.order_id)
                ELSE EXISTS (SELECT FROM orders o
                             WHERE o.merchant_id = i.merchant_id AND o.order_id = i.order_id AND o.sequence = i.sequence)
            END AND i.hears = (SELECT count(*) FROM kept k WHERE k.order_id = i.order_id)
        ), page AS MATERIALIZED (
            SELECT NOT $3 OR ((SELECT count(*) FROM fits) = (SELECT count(*) FROM input) AND (SELECT count(*) FROM kept) = $4) AS stands
        ), here AS (
            SELECT fits.* FROM fits, page WHERE page.stands
        ), born AS (
            -- A trade id that is used by another order ends the statement: there is no half of a page.
            INSERT INTO orders (
                merchant_id, order_id, trade_id, kind, provider, status, stage, sequence, coin, provider_coin_id, decimals, amount, tolerance,
                amount_received, amount_confirmed, fee, late, customer, provider_user, next_action, provider_reference, txid, confirmations,
                failure, doubts, is_final, final_at, expires_at, fingerprint, created_at, updated_at)
            SELECT merchant_id, order_id, trade_id, kind, provider, status, stage, sequence, coin, provider_coin_id, decimals, amount, tolerance,
                amount_received, amount_confirmed, fee, late, customer, provider_user, next_action, provider_reference, txid, confirmations,
                failure, doubts, is_final, final_at, expires_at, born, created_at, now
            FROM here WHERE born IS NOT NULL
        ), moved AS (
            UPDATE orders o SET
                status = i.status, stage = i.stage, sequence = i.sequence, amount_received = i.amount_received,
                amount_confirmed = i.amount_confirmed, fee = i.fee, late = i.late, next_action = i.next_action,
                provider_reference = i.provider_reference, txid = i.txid, confirmations = i.confirmations, failure = i.failure,
                claim = i.claim, doubts = i.doubts, doubt_since = i.doubt_since, retry = i.retry, is_final = i.is_final, final_at = i.final_at,
                expires_at = i.expires_at, updated_at = i.now
            FROM here i WHERE i.changed AND i.born IS NULL AND o.merchant_id = i.merchant_id AND o.order_id = i.order_id
        ), s AS (
            INSERT INTO steps (merchant_id, order_id, sequence, status, stage, channel, reason, report_id, attempt_id, created_at)
            SELECT merchant_id, order_id, sequence, status, stage, channel, reason, report_id, coalesce(ended_id, opened_id), now
            FROM here WHERE changed
        ), e AS (
            INSERT INTO events (merchant_id, event_id, event_type, order_id, sequence, body, created_at)
            SELECT merchant_id, event_id, event_type, order_id, sequence, event::json, now FROM here WHERE changed
        ), r AS (
            INSERT INTO reports (merchant_id, report_id, order_id, channel, digest, sealed_raw, summary, verdict, source, received_at)
            SELECT merchant_id, report_id, order_id, channel, digest, sealed_raw, summary, verdict, source, now
            FROM here WHERE report_id IS NOT NULL
            ON CONFLICT (merchant_id, order_id, digest) WHERE channel = 'callback' DO NOTHING
        ), a AS (
            -- An attempt that was given up as unknown may still hear its answer.
            UPDATE attempts a SET state = i.ended_state, detail = i.ended_detail, ended_at = i.now
            FROM here i WHERE a.merchant_id = i.merchant_id AND a.attempt_id = i.ended_id AND a.state IN ('open', 'unknown')
        ), n AS (
            INSERT INTO attempts (merchant_id, attempt_id, order_id, state, started_at, leased_until)
            SELECT merchant_id, opened_id, order_id, 'open', now, opened_until FROM here WHERE opened_id IS NOT NULL
        ), d AS (
            -- While another attempt is open, the task stays with whoever keeps it: a crash must not leave it open for ever. The
            -- row itself says so: it is read anew when it was changed meanwhile, the table of attempts would not be.
            -- One by one over their keys: to a planner whose statistics are of a night without orders it looks as good to read all
            -- tasks. What somebody takes in this moment is left to him: he finds that there is nothing to do.
            DELETE FROM tasks t
            USING (SELECT k.at FROM here i CROSS JOIN LATERAL (
                       SELECT t.ctid AS at FROM tasks t
                       WHERE t.merchant_id = i.merchant_id AND t.order_id = i.order_id AND t.sequence <= i.sequence
                         AND (t.attempt_id IS NULL OR t.attempt_id = i.ended_id
                              -- Seen to have ended, which is for good; one that is not seen may just have been opened.
                              OR EXISTS (SELECT FROM attempts a
                                         WHERE a.merchant_id = t.merchant_id AND a.attempt_id = t.attempt_id AND a.state <> 'open'))
                       LIMIT 1 FOR UPDATE) k
                   WHERE i.remove_task) done
            WHERE t.ctid = done.at
        ), t AS (
            INSERT INTO tasks (
                merchant_id, order_id, sequence, work, lane, due_at, tries, absent_since, absent_last, leased_until, attempt_id)
            SELECT merchant_id, order_id, sequence, work, lane, due_at, tries, absent_since, absent_last, leased_until, opened_id
            FROM here WHERE work IS NOT NULL AND (changed OR born IS NOT NULL)
            ON CONFLICT ON CONSTRAINT an_open_order_has_one_task DO UPDATE SET
                sequence = excluded.sequence, work = excluded.work, lane = excluded.lane, due_at = excluded.due_at, tries = excluded.tries,
                absent_since = excluded.absent_since, absent_last = excluded.absent_last, leased_until = excluded.leased_until,
                attempt_id = coalesce(excluded.attempt_id, nullif(
                    tasks.attempt_id,
                    (SELECT i.ended_id FROM here i WHERE i.merchant_id = tasks.merchant_id AND i.order_id = tasks.order_id)))
        ), u AS (
            -- The order may change in this moment: who changes it has the last word on its task, and where none is left, none comes back.
            UPDATE tasks t SET
                sequence = i.sequence, work = i.work, lane = i.lane, due_at = i.due_at, tries = i.tries,
                absent_since = i.absent_since, absent_last = i.absent_last, leased_until = i.leased_until,
                attempt_id = coalesce(i.opened_id, nullif(t.attempt_id, i.ended_id))
            FROM here i CROSS JOIN LATERAL (
                SELECT t.ctid AS at FROM tasks t
                WHERE t.merchant_id = i.merchant_id AND t.order_id = i.order_id AND t.sequence <= i.sequence LIMIT 1 FOR UPDATE) k
            WHERE i.work IS NOT NULL AND NOT i.changed AND i.born IS NULL AND t.ctid = k.at
        ), m AS (
            INSERT INTO receipts (
                merchant_id, receipt_id, provider, provider_receipt_id, order_id, customer, coin, provider_coin_id, amount, fee, progress,
                revision, unheard, unmatched_at, created_at, updated_at)
            SELECT merchant_id, receipt_id, provider, receipt_number, CASE WHEN receipt_matched THEN order_id END, customer, coin,
                provider_coin_id, receipt_amount, receipt_fee, 'confirmed', 1, false, CASE WHEN NOT receipt_matched THEN now END, now, now
            FROM here WHERE receipt_id IS NOT NULL
            ON CONFLICT ON CONSTRAINT a_movement_is_counted_once DO NOTHING
            RETURNING receipt_id, order_id
        ), me AS (
            INSERT INTO events (merchant_id, event_id, event_type, body, created_at)
            SELECT i.merchant_id, i.receipt_event_id, 'receipt.unmatched', i.receipt_event::json, i.now
            FROM m JOIN here i USING (receipt_id) WHERE m.order_id IS NULL
        ), h AS (
            UPDATE receipts r SET order_id = k.order_id, unheard = false,
                unmatched_at = CASE WHEN k.order_id IS NULL THEN coalesce(r.unmatched_at, r.updated_at) ELSE r.unmatched_at END
            FROM kept k, page
            WHERE page.stands AND r.ctid = k.at
              AND (k.order_id IS NULL OR EXISTS (SELECT FROM here i WHERE i.order_id = k.order_id))
        ), he AS (
            INSERT INTO events (merchant_id, event_id, event_type, body, created_at)
            SELECT merchant_id, event_id, event_type, event::json, (event::json->>'timestamp')::timestamptz
            FROM kept, page WHERE page.stands AND order_id IS NULL AND event_id IS NOT NULL
        ), f AS (
            INSERT INTO discrepancies (merchant_id, discrepancy_id, order_id, provider, subject, found_by, kind, ours, theirs, digest, opened_at)
            SELECT merchant_id, finding_id, order_id, provider, order_id::text, 'report', finding_kind, ours, theirs, finding_digest, now
            FROM here WHERE finding_id IS NOT NULL
            ON CONFLICT (merchant_id, provider, subject, digest) WHERE resolved_by IS DISTINCT FROM 'reconciliation'
                -- What was heard is for a person to settle, also where a comparison has found it before. Its id stays, and it has its event.
                DO UPDATE SET found_by = 'report' WHERE discrepancies.found_by = 'reconciliation'
            RETURNING discrepancy_id
        ), fe AS (
            INSERT INTO events (merchant_id, event_id, event_type, body, created_at)
            SELECT i.merchant_id, i.finding_event_id, 'discrepancy.opened', i.finding_event::json, i.now
            FROM f JOIN here i ON i.finding_id = f.discrepancy_id
        ), l AS (
            INSERT INTO audit_log SELECT r.* FROM here i, json_populate_record(NULL::audit_log, i.entry) r
            WHERE i.entry IS NOT NULL AND (i.changed OR i.hears > 0)
        )
        SELECT stands AS "stands!", ARRAY(SELECT order_id FROM here) AS "orders!" FROM page
        "#,
        page.rows,
        page.heard,
        page.bond == Bond::All,
        page.receipts,
    )
    .fetch_one(connection)
    .await;
    match written {
        Ok(written) => Ok(written.stands.then(|| written.orders.into_iter().map(OrderId).collect())),
        Err(sqlx::Error::Database(error)) if error.constraint() == Some("a_trade_id_is_used_once") => Ok(None),
        Err(error) => Err(error.into()),
    }
}
