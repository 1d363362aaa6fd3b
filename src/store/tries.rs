//! What came of tries to deliver, written down for all that end at the same time in one statement.

use std::time::Duration;

use futures_util::FutureExt;
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::group::{Group, document, row};
use super::pool::Connections;
use super::session::Session;
use super::webhook_queue::Claimed;
use super::{Db, StoreError};
use crate::domain::ids::{EndpointId, MerchantId};

/// After so many failures in a row an endpoint is said to fail.
const PATIENCE: i64 = 5;
/// A row of the queue that somebody else changes in the same moment is written to again, at most so often.
const TRIES: usize = 5;

/// What came of a try.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// What the delivery becomes: its state.
    pub state: &'static str,
    /// When it is tried again. Absent: it is finished.
    pub again: Option<OffsetDateTime>,
    /// The endpoint took it.
    pub success: bool,
    /// The endpoint wants nothing any more.
    pub gone: bool,
    /// The endpoint asked to be left alone until then.
    pub hold: Option<OffsetDateTime>,
    /// The HTTP status, if there was an answer.
    pub status: Option<i32>,
    /// How long it took.
    pub latency_ms: i32,
    /// How the answer's body begins.
    pub answer: Option<&'a str>,
    /// Why no answer came.
    pub failure: Option<&'a str>,
}

/// The place of a delivery in the queue: groups are written in the order of the queue's key.
type Place = (MerchantId, EndpointId, Uuid, i64);
/// Tries on their way to the database. It answers how each was written.
pub type Tries = Group<Place, String, Written>;

/// How a try was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It was.
    Yes,
    /// It was not: somebody else has taken the delivery over.
    Not,
    /// It was not yet: its row was changed in this moment.
    Moved,
}

/// The way of tries to the database.
pub fn tries(connections: Connections, patience: Duration) -> Tries {
    Group::new(patience, move |rows| {
        let (connections, document) = (connections.clone(), document(rows));
        async move {
            let mut connection = connections.get().await?;
            let written = write(&mut connection, &document).await?;
            connection.done();
            Ok(written)
        }
        .boxed()
    })
}

/// Writes down what came of a try: the attempt, the delivery, its place in the queue, and how the endpoint stands. `false` if
/// somebody else has taken the delivery over meanwhile: then nothing is written.
pub async fn record(db: &Db, claimed: &Claimed, record: &Record<'_>, now: OffsetDateTime) -> Result<bool, StoreError> {
    put(db, claimed, &Row { sent: true, ..Row::of(claimed, record, now) }).await
}

/// Puts a delivery that was not sent back where it was.
pub async fn give_back(db: &Db, claimed: &Claimed, now: OffsetDateTime) -> Result<bool, StoreError> {
    let again = Some(claimed.due_at);
    let nothing = Record {
        state: "pending",
        again,
        success: false,
        gone: false,
        hold: None,
        status: None,
        latency_ms: 0,
        answer: None,
        failure: None,
    };
    put(db, claimed, &Row::of(claimed, &nothing, now)).await
}

async fn put(db: &Db, claimed: &Claimed, one: &Row<'_>) -> Result<bool, StoreError> {
    let place = (claimed.merchant_id, claimed.endpoint_id, claimed.object_id, claimed.place);
    let document = row(one)?;
    for _ in 0..TRIES {
        match db.tries.put(place, document.clone()).await? {
            Written::Yes => return Ok(true),
            Written::Not => return Ok(false),
            Written::Moved => {}
        }
    }
    Ok(false)
}

/// A try as the statement reads it. The names are those of its list of columns.
#[derive(Serialize)]
struct Row<'a> {
    merchant_id: Uuid,
    delivery_id: Uuid,
    fence: i64,
    /// Else it is only put back.
    sent: bool,
    #[serde(with = "time::serde::rfc3339")]
    now: OffsetDateTime,
    state: &'static str,
    #[serde(with = "time::serde::rfc3339::option")]
    again: Option<OffsetDateTime>,
    success: bool,
    gone: bool,
    #[serde(with = "time::serde::rfc3339::option")]
    hold: Option<OffsetDateTime>,
    status: Option<i32>,
    latency_ms: i32,
    answer: Option<&'a str>,
    failure: Option<&'a str>,
}

impl<'a> Row<'a> {
    fn of(claimed: &Claimed, record: &Record<'a>, now: OffsetDateTime) -> Self {
        Self {
            merchant_id: claimed.merchant_id.0,
            delivery_id: claimed.delivery_id.0,
            fence: claimed.fence,
            sent: false,
            now,
            state: record.state,
            again: record.again,
            success: record.success,
            gone: record.gone,
            hold: record.hold,
            status: record.status,
            latency_ms: record.latency_ms,
            answer: record.answer,
            failure: record.failure,
        }
    }
}

/// Writes tries, each whole or not at all. How an endpoint stands after several of its tries is what it would be after one by one.
async fn write(connection: &mut Session, document: &str) -> Result<Vec<Written>, StoreError> {
    let rows = sqlx::query!(
        r#"
        WITH input AS MATERIALIZED (
            SELECT t.* FROM ROWS FROM (json_to_recordset($1::text::json) AS (
                merchant_id uuid, delivery_id uuid, fence bigint, sent boolean, now timestamptz, state text, again timestamptz,
                success boolean, gone boolean, hold timestamptz, status integer, latency_ms integer, answer text, failure text))
                WITH ORDINALITY AS t(merchant_id, delivery_id, fence, sent, now, state, again, success, gone, hold, status, latency_ms,
                                     answer, failure, nth)
        ), found AS MATERIALIZED (
            SELECT i.*, q.endpoint_id, q.object_id, q.place, q.at
            FROM input i CROSS JOIN LATERAL (
                -- Said like this, only the primary key will do. By two equalities an index of all that the merchant has queued looks as
                -- good to a planner who thinks that the queue is empty.
                SELECT q.*, q.ctid AS at FROM webhook_queue q WHERE (q.merchant_id, q.delivery_id) >= (i.merchant_id, i.delivery_id)
                ORDER BY q.merchant_id, q.delivery_id LIMIT 1) q
            WHERE q.merchant_id = i.merchant_id AND q.delivery_id = i.delivery_id AND q.fence = i.fence
        ), mine AS MATERIALIZED (
            -- Locked in the order of the rows. What was changed before is not where this statement sees it, and is written by the next.
            -- (That it stands where it stood leaves one row, as the planner counts: it comes to each table below by the row's key.)
            SELECT f.* FROM found f CROSS JOIN LATERAL (
                SELECT q.ctid AS at FROM webhook_queue q WHERE q.ctid = f.at LIMIT 1 FOR UPDATE) q
            WHERE q.at = f.at
        ), finished AS (
            DELETE FROM webhook_queue q USING mine m WHERE m.again IS NULL AND q.ctid = m.at
        ), again AS (
            UPDATE webhook_queue q SET due_at = m.again, leased_until = NULL, taken_by = NULL, tries = q.tries + m.sent::integer
            FROM mine m WHERE m.again IS NOT NULL AND q.ctid = m.at
        ), freed AS (
            -- What was put off behind it: the next one, which frees what comes after it.
            UPDATE webhook_queue q SET due_at = b.now
            FROM (
                SELECT m.now, n.at FROM mine m CROSS JOIN LATERAL (
                    -- As the heads of a claim: by the object alone.
                    SELECT q.merchant_id, q.ctid AS at FROM webhook_queue q
                    WHERE q.object_id = m.object_id AND q.endpoint_id = m.endpoint_id AND q.place > m.place
                    ORDER BY q.place LIMIT 1) n
                WHERE m.again IS NULL AND n.merchant_id = m.merchant_id
            ) b
            WHERE q.ctid = b.at AND q.due_at > b.now AND q.leased_until IS NULL AND q.tries = 0
        ), d AS (
            UPDATE webhook_deliveries d SET state = m.state, attempts = d.attempts + 1, finished_at = CASE WHEN m.again IS NULL THEN m.now END
            FROM mine m WHERE m.sent AND d.merchant_id = m.merchant_id AND d.delivery_id = m.delivery_id
            RETURNING d.merchant_id, d.delivery_id, d.attempts, m.status, m.latency_ms, m.answer, m.failure, m.now
        ), a AS (
            INSERT INTO webhook_attempts (merchant_id, delivery_id, number, status, latency_ms, answer, failure, at)
            SELECT merchant_id, delivery_id, attempts, status, latency_ms, answer, failure, now FROM d
        ), turns AS (
            SELECT m.*, row_number() OVER (PARTITION BY m.merchant_id, m.endpoint_id ORDER BY m.now, m.nth) AS turn FROM mine m WHERE m.sent
        ), told AS (
            SELECT t.merchant_id, t.endpoint_id, bool_or(t.success) AS success, bool_or(t.gone) AS gone, max(t.now) AS now, max(t.hold) AS hold,
                   max(t.now) FILTER (WHERE t.success) AS success_at, max(t.now) FILTER (WHERE NOT t.success) AS failure_at,
                   -- In a row: since its last success here, if there is one.
                   count(*) - coalesce(max(t.turn) FILTER (WHERE t.success), 0) AS failures,
                   (array_agg(coalesce(t.failure, 'it answered ' || t.status) ORDER BY t.turn DESC) FILTER (WHERE NOT t.success))[1] AS reason
            FROM turns t GROUP BY t.merchant_id, t.endpoint_id
        ), stands AS MATERIALIZED (
            -- In their order, so that two statements never wait for each other. While all goes well, one write in a while is enough.
            SELECT t.* FROM (SELECT * FROM told ORDER BY merchant_id, endpoint_id) t CROSS JOIN LATERAL (
                SELECT FROM webhook_endpoints n
                WHERE n.merchant_id = t.merchant_id AND n.endpoint_id = t.endpoint_id
                  AND (t.failure_at IS NOT NULL OR n.state = 'failing' OR n.consecutive_failures > 0
                       OR n.last_success_at IS NULL OR n.last_success_at <= t.now - interval '10 seconds')
                LIMIT 1 FOR NO KEY UPDATE) n
        ), n AS (
            UPDATE webhook_endpoints n SET
                state = CASE
                    WHEN n.state = 'disabled' THEN n.state
                    WHEN s.gone THEN 'disabled'
                    WHEN n.state = 'paused' THEN n.state
                    WHEN s.failures > 0 AND s.failures + CASE WHEN s.success THEN 0 ELSE n.consecutive_failures END >= $2 THEN 'failing'
                    WHEN s.success THEN 'enabled'
                    ELSE n.state END,
                reason = CASE
                    WHEN n.state = 'disabled' THEN n.reason
                    WHEN s.gone THEN 'it answered 410: it is gone'
                    WHEN n.state = 'paused' THEN n.reason
                    WHEN s.failures > 0 AND s.failures + CASE WHEN s.success THEN 0 ELSE n.consecutive_failures END >= $2 THEN s.reason
                    WHEN s.success THEN NULL
                    ELSE n.reason END,
                since = CASE
                    WHEN n.state <> 'disabled' AND s.gone THEN s.now
                    WHEN n.state = 'failing' AND s.success THEN s.now
                    WHEN n.state = 'enabled' AND s.failures > 0
                         AND s.failures + CASE WHEN s.success THEN 0 ELSE n.consecutive_failures END >= $2 THEN s.now
                    ELSE n.since END,
                consecutive_failures = s.failures + CASE WHEN s.success THEN 0 ELSE n.consecutive_failures END,
                last_success_at = coalesce(s.success_at, n.last_success_at),
                last_failure_at = coalesce(s.failure_at, n.last_failure_at),
                not_before = coalesce(s.hold, n.not_before)
            FROM stands s
            WHERE n.merchant_id = s.merchant_id AND n.endpoint_id = s.endpoint_id
        )
        SELECT f.nth IS NOT NULL AS "found!", m.nth IS NOT NULL AS "mine!"
        FROM input i LEFT JOIN found f ON f.nth = i.nth LEFT JOIN mine m ON m.nth = i.nth
        ORDER BY i.nth
        "#,
        document,
        PATIENCE,
    )
    .fetch_all(connection)
    .await?;
    let written = |found, mine| match (found, mine) {
        (_, true) => Written::Yes,
        (true, false) => Written::Moved,
        (false, false) => Written::Not,
    };
    Ok(rows.into_iter().map(|row| written(row.found, row.mine)).collect())
}
