//! `webhook_queue`: what is to be delivered. What came of a try is the business of [`super::tries`].

use time::OffsetDateTime;
use uuid::Uuid;

use super::session::Session;
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
    /// What the event is about: of one object the deliveries come in their order.
    pub(super) object_id: Uuid,
    /// Its place in that order.
    pub(super) place: i64,
    /// When it was due.
    pub(super) due_at: OffsetDateTime,
    /// How often it was taken from the queue, with this time.
    pub(super) fence: i64,
    /// Failures since it was last put into the queue.
    pub tries: i32,
    /// The event's body, to the byte.
    pub body: String,
}

/// Where deliveries go.
#[derive(Clone)]
pub struct Address {
    /// The endpoint.
    pub endpoint_id: EndpointId,
    /// Where it is.
    pub url: String,
    /// Its live secrets, sealed, newest first.
    pub sealed_secrets: Vec<Vec<u8>>,
}

/// What a claim has taken.
pub struct Taken {
    /// Deliveries of each endpoint, in the order in which they go.
    pub deliveries: Vec<(Address, Vec<Claimed>)>,
    /// How many were found to wait behind one that failed: they were put off, and there may be others behind them.
    pub put_off: i64,
}

impl std::fmt::Debug for Claimed {
    /// Without the URL, which may hold a token.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Claimed({}, {})", self.delivery_id, self.fence)
    }
}

/// What a claim takes.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Who keeps it.
    pub by: Uuid,
    /// From endpoints in this state.
    pub line: EndpointState,
    /// The present.
    pub now: OffsetDateTime,
    /// Until then others leave it alone.
    pub leased_until: OffsetDateTime,
    /// At most so many of one endpoint are kept at once, by whomever.
    pub of_one: i64,
    /// Of these endpoints more are kept ahead, where nobody else keeps any.
    pub quick: Vec<Uuid>,
    /// So many.
    pub ahead: i64,
    /// At most so many are taken now.
    pub limit: i64,
    /// What waits behind a failed delivery is looked at again when that one is due, at the latest then.
    pub look_again: OffsetDateTime,
}

/// Takes deliveries that are due, of each endpoint the oldest, and of all endpoints in turn: how much waits for one makes no
/// difference to another. Of what an endpoint hears about one order, only the first is taken.
pub async fn claim(connection: &mut Session, claim: &Claim) -> Result<Taken, StoreError> {
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
                   CASE WHEN k.others = 0 AND n.endpoint_id = ANY($8::uuid[]) THEN $9::bigint ELSE $4::bigint END - k.kept AS places
            FROM busy JOIN webhook_endpoints n USING (merchant_id, endpoint_id)
            CROSS JOIN LATERAL (
                SELECT count(*) AS kept, count(*) FILTER (WHERE q.taken_by IS DISTINCT FROM $7) AS others FROM webhook_queue q
                WHERE q.merchant_id = n.merchant_id AND q.endpoint_id = n.endpoint_id AND q.leased_until > $1) k
            WHERE n.state = $3 AND n.deleted_at IS NULL AND (n.not_before IS NULL OR n.not_before <= $1)
        ), sharing AS (
            SELECT *, count(*) OVER () AS count FROM free WHERE places > 0
        ), due AS (
            SELECT s.merchant_id, s.endpoint_id, s.places, d.*
            FROM sharing s CROSS JOIN LATERAL (
                SELECT q.ctid AS at, q.place, q.due_at, h.at AS head_at, h.place AS head, h.due_at AS head_due
                FROM webhook_queue q CROSS JOIN LATERAL (
                    -- By the object alone, which is of one merchant: an index that begins with the merchant looks as good to a planner
                    -- whose statistics are of an empty queue, and reads all that waits for the endpoint, for each row.
                    SELECT o.merchant_id, o.ctid AS at, o.place, o.due_at, o.leased_until FROM webhook_queue o
                    WHERE o.object_id = q.object_id AND o.endpoint_id = q.endpoint_id
                    ORDER BY o.place LIMIT 1) h
                WHERE q.merchant_id = s.merchant_id AND q.endpoint_id = s.endpoint_id AND q.due_at <= $1 AND h.merchant_id = q.merchant_id
                  -- What waits behind one that is on its way will not wait for long, and must not take the others' places here.
                  AND (h.place = q.place OR h.leased_until IS NULL OR h.leased_until <= $1)
                ORDER BY q.due_at, q.place
                -- Some are of the same object. Of many endpoints each is looked at for its share only.
                LIMIT least(2 * s.places + 16, 2 * $5::bigint / s.count + 4)) d
        ), heads AS (
            -- What waits behind one that is due again stands for that one: it may have been due before it, and then nothing else would
            -- lead to it.
            SELECT d.head_at AS at, d.head_due AS due_at, d.places, min(d.due_at) AS since,
                   row_number() OVER (PARTITION BY d.merchant_id, d.endpoint_id ORDER BY min(d.due_at), d.head) AS turn
            FROM due d WHERE d.head_due <= $1
            GROUP BY d.merchant_id, d.endpoint_id, d.places, d.head_at, d.head, d.head_due
        ), chosen AS (
            SELECT at, due_at, NULL::timestamptz AS head_due FROM (
                SELECT at, due_at FROM heads WHERE turn <= places ORDER BY turn, since LIMIT $5) first
            UNION ALL
            SELECT at, due_at, head_due FROM due WHERE head < place AND head_due > $1
        ), held AS MATERIALIZED (
            -- What somebody else has in his hands is left to him. What was changed in this moment is not found any more, and taken
            -- next time.
            SELECT l.at, c.due_at, c.head_due FROM chosen c
            CROSS JOIN LATERAL (SELECT q.ctid AS at FROM webhook_queue q WHERE q.ctid = c.at AND q.due_at <= $1 LIMIT 1 FOR UPDATE SKIP LOCKED) l
        ), put_off AS (
            -- Else each look would find them again before it comes to what can be sent.
            UPDATE webhook_queue q SET due_at = least(h.head_due, $6) FROM held h WHERE h.head_due IS NOT NULL AND q.ctid = h.at
            RETURNING 1
        ), taken AS (
            UPDATE webhook_queue q SET due_at = $2, leased_until = $2, fence = q.fence + 1, taken_by = $7
            FROM held h
            WHERE h.head_due IS NULL AND q.ctid = h.at
            RETURNING q.merchant_id, q.endpoint_id, q.object_id, q.place, h.due_at, q.delivery_id, q.event_id, q.tries, q.fence
        ), whole AS (
            SELECT t.*, row_number() OVER (PARTITION BY t.merchant_id, t.endpoint_id ORDER BY t.due_at, t.place) AS nth, e.body
            FROM taken t CROSS JOIN LATERAL (
                SELECT e.body::text AS body FROM events e WHERE e.merchant_id = t.merchant_id AND e.event_id = t.event_id LIMIT 1) e
        )
        SELECT p.count AS "put_off!", w.merchant_id AS "merchant_id?", w.endpoint_id AS "endpoint_id?", w.object_id AS "object_id?",
               w.place AS "place?", w.due_at AS "due_at?", w.delivery_id AS "delivery_id?", w.event_id AS "event_id?", w.tries AS "tries?",
               w.fence AS "fence?", w.body AS "body?",
               -- With the first of each endpoint.
               CASE WHEN w.nth = 1 THEN (SELECT n.url FROM webhook_endpoints n
                                         WHERE n.merchant_id = w.merchant_id AND n.endpoint_id = w.endpoint_id) END AS "url?",
               CASE WHEN w.nth = 1 THEN ARRAY(SELECT s.sealed FROM webhook_secrets s
                                              WHERE s.merchant_id = w.merchant_id AND s.endpoint_id = w.endpoint_id
                                                AND (s.ends_at IS NULL OR s.ends_at > $1)
                                              ORDER BY s.ends_at DESC NULLS FIRST) END AS "sealed_secrets?"
        FROM (SELECT count(*) AS count FROM put_off) p LEFT JOIN whole w ON true
        ORDER BY w.merchant_id, w.endpoint_id, w.nth
        "#,
        claim.now,
        claim.leased_until,
        <&str>::from(claim.line),
        claim.of_one,
        claim.limit,
        claim.look_again,
        claim.by,
        &claim.quick,
        claim.ahead,
    )
    .fetch_all(connection)
    .await?;
    let put_off = rows.first().map_or(0, |row| row.put_off);
    let mut deliveries: Vec<(Address, Vec<Claimed>)> = Vec::new();
    let taken = rows.into_iter().filter_map(|row| {
        let claimed = Claimed {
            merchant_id: MerchantId(row.merchant_id?),
            endpoint_id: EndpointId(row.endpoint_id?),
            object_id: row.object_id?,
            place: row.place?,
            due_at: row.due_at?,
            delivery_id: DeliveryId(row.delivery_id?),
            event_id: EventId(row.event_id?),
            fence: row.fence?,
            tries: row.tries?,
            body: row.body?,
        };
        Some((claimed, row.url.zip(row.sealed_secrets)))
    });
    for (claimed, address) in taken {
        match (address, deliveries.last_mut()) {
            (Some((url, sealed_secrets)), _) => {
                deliveries.push((Address { endpoint_id: claimed.endpoint_id, url, sealed_secrets }, vec![claimed]));
            }
            (None, Some((_, of_it))) => of_it.push(claimed),
            (None, None) => {}
        }
    }
    Ok(Taken { deliveries, put_off })
}

/// Makes all that waits for an endpoint due now.
pub async fn hasten(connection: &mut Session, merchant: MerchantId, endpoint: EndpointId, now: OffsetDateTime) -> Result<(), StoreError> {
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
    connection: &mut Session,
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
pub async fn cancel_for_disabled(connection: &mut Session, now: OffsetDateTime) -> Result<i64, StoreError> {
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
pub async fn depth(connection: &mut Session, now: OffsetDateTime) -> Result<(i64, Option<OffsetDateTime>), StoreError> {
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
