//! `webhook_queue`: what is to be delivered, and what came of a try.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{StoreError, audit};
use crate::domain::audit::Entry;
use crate::domain::delivery::EndpointState;
use crate::domain::ids::{DeliveryId, EndpointId, EventId, MerchantId};

/// A delivery that this worker keeps until its lease ends, with all that is needed to send it.
#[derive(Clone)]
pub struct Claimed {
    /// Whose endpoint it goes to.
    pub merchant_id: MerchantId,
    /// The endpoint.
    pub endpoint_id: EndpointId,
    /// The delivery.
    pub delivery_id: DeliveryId,
    /// The event.
    pub event_id: EventId,
    /// How often it was taken from the queue, with this time.
    fence: i64,
    /// Failures since it was last put into the queue.
    pub tries: i32,
    /// Where it goes.
    pub url: String,
    /// The event's body, to the byte.
    pub body: String,
    /// The endpoint's live secrets, sealed, newest first.
    pub sealed_secrets: Vec<Vec<u8>>,
}

impl std::fmt::Debug for Claimed {
    /// Without the URL, which may hold a token.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Claimed({}, {})", self.delivery_id, self.fence)
    }
}

/// What a claim takes.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// From endpoints in this state.
    pub line: EndpointState,
    /// The present.
    pub now: OffsetDateTime,
    /// Until then others leave it alone.
    pub leased_until: OffsetDateTime,
    /// At most so many of one endpoint are on their way at once.
    pub of_one: i64,
    /// At most so many are taken now.
    pub limit: i64,
    /// What waits behind a failed delivery is looked at again when that one is due, at the latest then.
    pub look_again: OffsetDateTime,
}

/// Takes deliveries that are due, of each endpoint the oldest, and of all endpoints in turn: how much waits for one makes no
/// difference to another. Of what an endpoint hears about one order, only the first is taken. Also gives how many were found to
/// wait behind one that failed: they were put off, and there may be others behind them.
pub async fn claim(connection: &mut PgConnection, claim: &Claim) -> Result<(Vec<Claimed>, i64), StoreError> {
    let rows = sqlx::query!(
        r#"
        WITH RECURSIVE busy AS (
            -- The endpoints for which something is queued: one step in the index for each, however much is queued for it.
            (SELECT merchant_id, endpoint_id FROM webhook_queue ORDER BY merchant_id, endpoint_id LIMIT 1)
            UNION ALL
            SELECT further.merchant_id, further.endpoint_id
            FROM busy b CROSS JOIN LATERAL (
                SELECT q.merchant_id, q.endpoint_id FROM webhook_queue q
                WHERE (q.merchant_id, q.endpoint_id) > (b.merchant_id, b.endpoint_id)
                ORDER BY q.merchant_id, q.endpoint_id LIMIT 1) further
        ), free AS (
            SELECT n.merchant_id, n.endpoint_id,
                   $4 - (SELECT count(*) FROM webhook_queue q
                         WHERE q.merchant_id = n.merchant_id AND q.endpoint_id = n.endpoint_id AND q.leased_until > $1) AS places
            FROM busy JOIN webhook_endpoints n USING (merchant_id, endpoint_id)
            WHERE n.state = $3 AND n.deleted_at IS NULL AND (n.not_before IS NULL OR n.not_before <= $1)
        ), due AS (
            SELECT f.merchant_id, f.endpoint_id, f.places, d.at, d.object_id, d.place, d.due_at
            FROM free f CROSS JOIN LATERAL (
                SELECT q.ctid AS at, q.object_id, q.place, q.due_at FROM webhook_queue q
                WHERE q.merchant_id = f.merchant_id AND q.endpoint_id = f.endpoint_id AND q.due_at <= $1
                  -- What waits behind one that is on its way will not wait for long, and must not take the others' places here.
                  AND NOT EXISTS (SELECT FROM webhook_queue b
                                  WHERE b.merchant_id = q.merchant_id AND b.endpoint_id = q.endpoint_id AND b.object_id = q.object_id
                                    AND b.place < q.place AND b.leased_until > $1)
                ORDER BY q.due_at, q.place
                LIMIT CASE WHEN f.places > 0 THEN 64 ELSE 0 END
                FOR UPDATE SKIP LOCKED) d
        ), heads AS (
            SELECT d.*, h.place AS head, h.due_at AS head_due, h.leased_until AS head_leased,
                   row_number() OVER (PARTITION BY d.merchant_id, d.endpoint_id, h.place = d.place ORDER BY d.due_at, d.place, d.object_id) AS turn
            FROM due d CROSS JOIN LATERAL (
                -- The first row at or behind this object's: one of this object's, for `d` is there. Said like this, only the primary
                -- key will do. By three equalities another index looks as good to a planner whose statistics are of an empty queue,
                -- and reads all that waits for the endpoint, for each row.
                SELECT q.place, q.due_at, q.leased_until FROM webhook_queue q
                WHERE (q.merchant_id, q.endpoint_id, q.object_id) >= (d.merchant_id, d.endpoint_id, d.object_id)
                ORDER BY q.merchant_id, q.endpoint_id, q.object_id, q.place LIMIT 1) h
        ), put_off AS (
            -- Else each look would find them again before it comes to what can be sent.
            UPDATE webhook_queue q SET due_at = least(h.head_due, $6)
            FROM heads h
            WHERE h.head < h.place AND h.head_due > $1 AND (h.head_leased IS NULL OR h.head_leased <= $1)
              AND q.ctid = h.at
            RETURNING 1
        ), chosen AS (
            SELECT at FROM heads
            WHERE head = place AND turn <= places
            ORDER BY turn, due_at
            LIMIT $5
        ), taken AS (
            UPDATE webhook_queue q SET due_at = $2, leased_until = $2, fence = q.fence + 1
            FROM chosen c
            -- Where it was when `due` locked it. One that was changed in that moment is not found, and taken next time.
            WHERE q.ctid = c.at
            RETURNING q.merchant_id, q.endpoint_id, q.delivery_id, q.event_id, q.tries, q.fence
        ), whole AS (
            SELECT t.*, n.url, e.body::text AS body,
                   ARRAY(SELECT s.sealed FROM webhook_secrets s
                         WHERE s.merchant_id = t.merchant_id AND s.endpoint_id = t.endpoint_id AND (s.ends_at IS NULL OR s.ends_at > $1)
                         ORDER BY s.ends_at DESC NULLS FIRST) AS sealed_secrets
            FROM taken t
            JOIN webhook_endpoints n ON n.merchant_id = t.merchant_id AND n.endpoint_id = t.endpoint_id
            JOIN events e ON e.merchant_id = t.merchant_id AND e.event_id = t.event_id
        )
        SELECT p.count AS "put_off!", w.merchant_id AS "merchant_id?", w.endpoint_id AS "endpoint_id?",
               w.delivery_id AS "delivery_id?", w.event_id AS "event_id?", w.tries AS "tries?", w.fence AS "fence?",
               w.url AS "url?", w.body AS "body?", w.sealed_secrets AS "sealed_secrets?"
        FROM (SELECT count(*) AS count FROM put_off) p LEFT JOIN whole w ON true
        "#,
        claim.now,
        claim.leased_until,
        <&str>::from(claim.line),
        claim.of_one,
        claim.limit,
        claim.look_again,
    )
    .fetch_all(connection)
    .await?;
    let put_off = rows.first().map_or(0, |row| row.put_off);
    let claimed = rows.into_iter().filter_map(|row| {
        Some(Claimed {
            merchant_id: MerchantId(row.merchant_id?),
            endpoint_id: EndpointId(row.endpoint_id?),
            delivery_id: DeliveryId(row.delivery_id?),
            event_id: EventId(row.event_id?),
            fence: row.fence?,
            tries: row.tries?,
            url: row.url?,
            body: row.body?,
            sealed_secrets: row.sealed_secrets?,
        })
    });
    Ok((claimed.collect(), put_off))
}

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

/// Writes down what came of a try: the attempt, the delivery, its place in the queue, and how the endpoint stands, which fails
/// after `patience` failures in a row. `false` if somebody else has taken the delivery over meanwhile: then nothing is written.
pub async fn record(
    connection: &mut PgConnection,
    claimed: &Claimed,
    record: &Record<'_>,
    patience: i32,
    now: OffsetDateTime,
) -> Result<bool, StoreError> {
    let written = sqlx::query_scalar!(
        r#"
        WITH mine AS (
            -- By the delivery, for which one index alone will do. By the primary key the planner may err: see the heads of a claim.
            SELECT merchant_id, endpoint_id, object_id, place, delivery_id FROM webhook_queue
            WHERE merchant_id = $1 AND delivery_id = $2 AND fence = $3
            FOR UPDATE
        ), gone AS (
            DELETE FROM webhook_queue q USING mine m
            WHERE $5::timestamptz IS NULL AND q.merchant_id = m.merchant_id AND q.delivery_id = m.delivery_id
        ), again AS (
            UPDATE webhook_queue q SET due_at = $5, leased_until = NULL, tries = q.tries + 1
            FROM mine m
            WHERE $5 IS NOT NULL AND q.merchant_id = m.merchant_id AND q.delivery_id = m.delivery_id
        ), freed AS (
            -- What was put off behind it.
            UPDATE webhook_queue q SET due_at = $4
            FROM mine m
            WHERE $5 IS NULL AND q.merchant_id = m.merchant_id AND q.endpoint_id = m.endpoint_id AND q.object_id = m.object_id
              AND q.place > m.place AND q.due_at > $4 AND q.leased_until IS NULL AND q.tries = 0
        ), d AS (
            UPDATE webhook_deliveries d SET state = $6, attempts = d.attempts + 1, finished_at = CASE WHEN $5 IS NULL THEN $4 END
            -- The id as it was claimed, too: only its month is looked into.
            FROM mine m WHERE d.merchant_id = m.merchant_id AND d.delivery_id = m.delivery_id AND d.delivery_id = $2
            RETURNING d.merchant_id, d.delivery_id, d.attempts
        ), a AS (
            INSERT INTO webhook_attempts (merchant_id, delivery_id, number, status, latency_ms, answer, failure, at)
            SELECT merchant_id, delivery_id, attempts, $10, $11, $12, $13, $4 FROM d
        ), n AS (
            UPDATE webhook_endpoints n SET
                state = CASE
                    WHEN n.state = 'disabled' THEN n.state
                    WHEN $8 THEN 'disabled'
                    WHEN n.state = 'paused' THEN n.state
                    WHEN $7 THEN 'enabled'
                    WHEN n.consecutive_failures + 1 >= $14 THEN 'failing'
                    ELSE n.state END,
                reason = CASE
                    WHEN n.state = 'disabled' THEN n.reason
                    WHEN $8 THEN 'it answered 410: it is gone'
                    WHEN n.state = 'paused' THEN n.reason
                    WHEN $7 THEN NULL
                    WHEN n.consecutive_failures + 1 >= $14 THEN coalesce($13, 'it answered ' || $10::integer)
                    ELSE n.reason END,
                since = CASE
                    WHEN n.state <> 'disabled' AND $8 THEN $4
                    WHEN n.state = 'failing' AND $7 THEN $4
                    WHEN n.state = 'enabled' AND NOT $7 AND n.consecutive_failures + 1 >= $14 THEN $4
                    ELSE n.since END,
                consecutive_failures = CASE WHEN $7 THEN 0 ELSE n.consecutive_failures + 1 END,
                last_success_at = CASE WHEN $7 THEN $4 ELSE n.last_success_at END,
                last_failure_at = CASE WHEN $7 THEN n.last_failure_at ELSE $4 END,
                not_before = coalesce($9, n.not_before)
            FROM mine m
            WHERE n.merchant_id = m.merchant_id AND n.endpoint_id = m.endpoint_id
              -- While all goes well, one write in a while is enough.
              AND (NOT $7 OR n.state = 'failing' OR n.consecutive_failures > 0
                   OR n.last_success_at IS NULL OR n.last_success_at <= $4 - interval '10 seconds')
        )
        SELECT count(*) AS "written!" FROM mine
        "#,
        claimed.merchant_id.0,
        claimed.delivery_id.0,
        claimed.fence,
        now,
        record.again,
        record.state,
        record.success,
        record.gone,
        record.hold,
        record.status,
        record.latency_ms,
        record.answer,
        record.failure,
        patience,
    )
    .fetch_one(connection)
    .await?;
    Ok(written == 1)
}

/// Makes all that waits for an endpoint due now.
pub async fn hasten(
    connection: &mut PgConnection,
    merchant: MerchantId,
    endpoint: EndpointId,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH waiting AS (
             SELECT object_id, place FROM webhook_queue
             WHERE merchant_id = $1 AND endpoint_id = $2 AND due_at > $3 AND (leased_until IS NULL OR leased_until <= $3)
             ORDER BY object_id, place FOR UPDATE
         )
         UPDATE webhook_queue q SET due_at = $3
         FROM waiting w WHERE q.merchant_id = $1 AND q.endpoint_id = $2 AND q.object_id = w.object_id AND q.place = w.place",
        merchant.0,
        endpoint.0,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Makes one delivery due now, with the whole schedule before it. Leaves it alone while it is being sent.
pub async fn hasten_one(
    connection: &mut PgConnection,
    merchant: MerchantId,
    delivery: DeliveryId,
    now: OffsetDateTime,
    entry: &Entry,
) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH q AS (
             UPDATE webhook_queue SET due_at = $3, tries = 0
             WHERE merchant_id = $1 AND delivery_id = $2 AND (leased_until IS NULL OR leased_until <= $3)
         )
         -- Also where it is being sent in this moment.
         INSERT INTO audit_log SELECT r.* FROM json_populate_record(NULL::audit_log, $4::text::json) r",
        merchant.0,
        delivery.0,
        now,
        audit::document(entry)?,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Cancels what waits for endpoints that are disabled; what is on its way comes to its end first. Gives the number. It looks at
/// all merchants: an event can be handed to an endpoint in the moment in which that is disabled.
pub async fn cancel_for_disabled(connection: &mut PgConnection, now: OffsetDateTime) -> Result<i64, StoreError> {
    let canceled = sqlx::query_scalar!(
        r#"WITH waiting AS (
             SELECT q.merchant_id, q.endpoint_id, q.object_id, q.place
             FROM webhook_endpoints n JOIN webhook_queue q USING (merchant_id, endpoint_id)
             WHERE n.state = 'disabled' AND (q.leased_until IS NULL OR q.leased_until <= $1)
             ORDER BY q.merchant_id, q.endpoint_id, q.object_id, q.place
             FOR UPDATE OF q
         ), gone AS (
             DELETE FROM webhook_queue q USING waiting w
             WHERE q.merchant_id = w.merchant_id AND q.endpoint_id = w.endpoint_id AND q.object_id = w.object_id AND q.place = w.place
             RETURNING q.merchant_id, q.delivery_id
         )
         UPDATE webhook_deliveries d SET state = 'canceled', finished_at = $1
         FROM gone g WHERE d.merchant_id = g.merchant_id AND d.delivery_id = g.delivery_id
         RETURNING 1 AS "one!""#,
        now,
    )
    .fetch_all(connection)
    .await?;
    Ok(i64::try_from(canceled.len()).unwrap_or(i64::MAX))
}

/// How much is queued, and since when the oldest of it that could be sent has been due. `None`: nothing is due.
pub async fn depth(connection: &mut PgConnection, now: OffsetDateTime) -> Result<(i64, Option<OffsetDateTime>), StoreError> {
    let row = sqlx::query!(
        r#"SELECT count(*) AS "queued!",
                  min(q.due_at) FILTER (WHERE q.due_at <= $1 AND n.state IN ('enabled', 'failing')
                                          AND (n.not_before IS NULL OR n.not_before <= $1)) AS oldest
           FROM webhook_queue q JOIN webhook_endpoints n USING (merchant_id, endpoint_id)"#,
        now,
    )
    .fetch_one(connection)
    .await?;
    Ok((row.queued, row.oldest))
}
