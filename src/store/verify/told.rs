//! What merchants were told: deliveries of events, and their queue.

use sqlx::PgConnection;

use super::{Found, FoundRow, Range, read};
use crate::store::StoreError;

/// A delivery is of an event, is queued while it is pending, and counts its tries.
pub async fn deliveries(connection: &mut PgConnection, range: Range) -> Result<Vec<Found>, StoreError> {
    let rows = sqlx::query_as!(
        FoundRow,
        r#"WITH d AS MATERIALIZED (
               SELECT d.*, d.event_type || ' ' || d.delivery_id AS about, t.count, t.first, t.last, t.taken
               FROM webhook_deliveries d CROSS JOIN LATERAL (
                   SELECT count(*) AS count, coalesce(min(number), 1) AS first, coalesce(max(number), 0) AS last, bool_or(status BETWEEN 200 AND 299) AS taken
                   FROM webhook_attempts a WHERE a.merchant_id = $1 AND a.delivery_id = d.delivery_id) t
               WHERE d.merchant_id = $1 AND d.delivery_id > $2 AND d.delivery_id <= $3
           )
           SELECT 'pending_is_queued' AS "law!", d.about AS "about!",
                  CASE d.state WHEN 'pending' THEN 'it is pending, and not queued' ELSE 'it is ' || d.state || ', and queued' END AS "found!"
           FROM d
           WHERE (d.state = 'pending') <> EXISTS (
               SELECT FROM webhook_queue q WHERE q.merchant_id = $1 AND q.delivery_id = d.delivery_id AND q.endpoint_id = d.endpoint_id)
           UNION ALL
           SELECT 'tries_are_counted', d.about, format('it counts %s tries, and there are %s', d.attempts, d.count)
           FROM d WHERE (d.count, d.first, d.last) <> (d.attempts, 1, d.attempts)
           UNION ALL
           SELECT 'delivered_was_answered', d.about, 'it is delivered, and nobody took it'
           FROM d WHERE d.state = 'delivered' AND d.taken IS NOT true
           UNION ALL
           SELECT 'delivery_has_its_event', d.about, CASE WHEN e.event_id IS NULL THEN 'its event is not there' ELSE 'its event is ' || e.event_type END
           FROM d LEFT JOIN events e ON e.merchant_id = $1 AND e.event_id = d.event_id
           WHERE (e.event_type, e.order_id) IS DISTINCT FROM (d.event_type, d.order_id)"#,
        range.merchant.0,
        range.after,
        range.until,
    )
    .fetch_all(connection)
    .await?;
    read(rows)
}

/// What is queued is a delivery of an event, in its place.
pub async fn queue(connection: &mut PgConnection, range: Range) -> Result<Vec<Found>, StoreError> {
    let rows = sqlx::query_as!(
        FoundRow,
        r#"SELECT 'queued_is_a_delivery' AS "law!", q.delivery_id::text AS "about!",
                  CASE WHEN d.delivery_id IS NULL THEN 'the delivery is not there' WHEN e.event_id IS NULL THEN 'the event is not there'
                       ELSE format('it waits at place %s of %s', q.place, q.object_id) END AS "found!"
           FROM webhook_queue q
           LEFT JOIN webhook_deliveries d ON d.merchant_id = $1 AND d.delivery_id = q.delivery_id AND d.event_id = q.event_id AND d.endpoint_id = q.endpoint_id
           LEFT JOIN events e ON e.merchant_id = $1 AND e.event_id = q.event_id
           WHERE q.merchant_id = $1 AND q.delivery_id > $2 AND q.delivery_id <= $3
             AND (d.delivery_id IS NULL OR e.event_id IS NULL
                  OR (q.object_id, q.place) <> (CASE WHEN e.sequence IS NULL THEN e.event_id ELSE e.order_id END, coalesce(e.sequence, 0)))"#,
        range.merchant.0,
        range.after,
        range.until,
    )
    .fetch_all(connection)
    .await?;
    read(rows)
}
