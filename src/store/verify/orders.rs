//! Orders: their steps, their events and their amounts.

use sqlx::PgConnection;

use super::{Found, FoundRow, Range, Tables, read};
use crate::store::StoreError;

/// Steps without a gap, along the state machine, to where the order is.
pub async fn steps(connection: &mut PgConnection, range: Range, tables: &Tables) -> Result<Vec<Found>, StoreError> {
    let rows = sqlx::query_as!(
        FoundRow,
        r#"WITH o AS MATERIALIZED (
               SELECT order_id, trade_id, CASE kind WHEN 'deposit' THEN kind ELSE 'payout' END AS family, sequence, is_final,
                      concat_ws('/', status, stage) AS place, status = 'requires_review' AND failure IS NULL AS silent
               FROM orders WHERE merchant_id = $1 AND order_id > $2 AND order_id <= $3
           ), s AS MATERIALIZED (
               SELECT order_id, sequence, attempt_id, concat_ws('/', status, stage) AS place,
                      lag(concat_ws('/', status, stage)) OVER (PARTITION BY order_id ORDER BY sequence) AS was
               FROM steps WHERE merchant_id = $1 AND order_id > $2 AND order_id <= $3
           ), counted AS (
               SELECT order_id, count(*) AS count, min(sequence) AS first, max(sequence) AS last FROM s GROUP BY order_id
           )
           SELECT 'steps_without_gap' AS "law!", o.trade_id AS "about!",
                  format('%s steps, from %s to %s, and the order is at number %s', coalesce(c.count, 0), c.first, c.last, o.sequence) AS "found!"
           FROM o LEFT JOIN counted c USING (order_id)
           WHERE (c.count, c.first, c.last) IS DISTINCT FROM (o.sequence, 1::bigint, o.sequence)
           UNION ALL
           SELECT 'last_step_is_the_place', o.trade_id, format('the order is %s, and its last step is %s', o.place, s.place)
           FROM o JOIN s ON s.order_id = o.order_id AND s.sequence = o.sequence WHERE s.place <> o.place
           UNION ALL
           SELECT 'steps_are_legal', o.trade_id, format('step %s leads from %s to %s', s.sequence, s.was, s.place)
           FROM o JOIN s USING (order_id)
           WHERE s.was <> s.place AND o.family || ' ' || s.was || '>' || s.place <> ALL ($4::text[])
           UNION ALL
           SELECT 'steps_are_legal', o.trade_id, format('it begins as %s', s.place)
           FROM o JOIN s USING (order_id) WHERE s.sequence = 1 AND o.family || ' ' || s.place <> ALL ($5::text[])
           UNION ALL
           SELECT 'ends_are_final', o.trade_id, format('it is %s and %s', o.place, CASE WHEN o.is_final THEN 'final' ELSE 'not final' END)
           FROM o
           WHERE CASE WHEN o.is_final THEN o.family || ' ' || o.place <> ALL ($6::text[] || $7::text[])
                      ELSE o.family || ' ' || o.place = ANY ($6::text[]) END
           UNION ALL
           SELECT 'review_says_why', o.trade_id, format('it is %s, and nothing says why', o.place) FROM o WHERE o.silent
           UNION ALL
           SELECT 'trade_id_is_one_order', o.trade_id, 'another order has the same trade id'
           FROM o WHERE EXISTS (SELECT FROM orders d WHERE d.merchant_id = $1 AND d.trade_id = o.trade_id AND d.order_id < o.order_id)
           UNION ALL
           SELECT 'call_has_its_attempt', o.trade_id, format('step %s to %s has no attempt', s.sequence, s.place)
           FROM o JOIN s USING (order_id)
           WHERE ((s.place = 'processing/submitting' AND s.was <> s.place) OR s.attempt_id IS NOT NULL)
             AND NOT EXISTS (SELECT FROM attempts a WHERE a.merchant_id = $1 AND a.attempt_id = s.attempt_id AND a.order_id = s.order_id)"#,
        range.merchant.0,
        range.after,
        range.until,
        &tables.legal,
        &tables.beginnings,
        &tables.ends,
        &tables.late_ends,
    )
    .fetch_all(connection)
    .await?;
    read(rows)
}

/// One event for each step that is not too old, which tells where the order has come, and none without its step.
pub async fn events(connection: &mut PgConnection, range: Range) -> Result<Vec<Found>, StoreError> {
    let rows = sqlx::query_as!(
        FoundRow,
        r#"WITH s AS MATERIALIZED (
               SELECT s.order_id, o.trade_id, s.sequence, s.created_at, o.kind || '.' || s.status AS event_type
               FROM steps s JOIN orders o USING (merchant_id, order_id)
               WHERE s.merchant_id = $1 AND s.order_id > $2 AND s.order_id <= $3
           ), e AS MATERIALIZED (
               SELECT order_id, sequence, count(*) AS count, min(event_type) AS event_type
               FROM events WHERE merchant_id = $1 AND order_id > $2 AND order_id <= $3 GROUP BY order_id, sequence
           )
           SELECT 'step_has_one_event' AS "law!", s.trade_id AS "about!",
                  format('step %s has %s events', s.sequence, coalesce(e.count, 0)) AS "found!"
           FROM s LEFT JOIN e USING (order_id, sequence)
           -- The id of an event is a little younger than its step: at the border of two months either may have been dropped.
           WHERE e.count > 1 OR (e.count IS NULL AND NOT EXISTS (
               SELECT FROM dropped_months d
               WHERE d.month BETWEEN date_trunc('month', (s.created_at - interval '1 hour') AT TIME ZONE 'UTC')
                                 AND date_trunc('month', (s.created_at + interval '1 hour') AT TIME ZONE 'UTC')))
           UNION ALL
           SELECT 'step_has_one_event', s.trade_id, format('step %s is told as %s', s.sequence, e.event_type)
           FROM s JOIN e USING (order_id, sequence) WHERE e.event_type <> s.event_type
           UNION ALL
           SELECT 'event_has_its_step', coalesce(o.trade_id, e.order_id::text), format('%s tells a step %s that is not there', e.event_type, e.sequence)
           FROM e LEFT JOIN s USING (order_id, sequence) LEFT JOIN orders o ON o.merchant_id = $1 AND o.order_id = e.order_id
           WHERE s.order_id IS NULL"#,
        range.merchant.0,
        range.after,
        range.until,
    )
    .fetch_all(connection)
    .await?;
    read(rows)
}

/// The amounts of deposits are the sums of their receipts, and those of payouts what they moved.
pub async fn amounts(connection: &mut PgConnection, range: Range) -> Result<Vec<Found>, StoreError> {
    let rows = sqlx::query_as!(
        FoundRow,
        r#"WITH o AS MATERIALIZED (
               SELECT * FROM orders WHERE merchant_id = $1 AND order_id > $2 AND order_id <= $3
           ), r AS MATERIALIZED (
               SELECT r.order_id, coalesce(sum(r.amount) FILTER (WHERE r.progress <> 'abnormal'), 0) AS received,
                      coalesce(sum(r.amount) FILTER (WHERE r.progress = 'confirmed'), 0) AS confirmed, bool_or(r.unheard) AS unheard
               FROM receipts r WHERE r.merchant_id = $1 AND r.order_id > $2 AND r.order_id <= $3 GROUP BY r.order_id
           )
           SELECT 'amounts_are_receipts' AS "law!", o.trade_id AS "about!",
                  format('it counts %s received and %s confirmed, its receipts %s and %s', trim_scale(o.amount_received),
                         trim_scale(o.amount_confirmed), trim_scale(coalesce(r.received, 0)), trim_scale(coalesce(r.confirmed, 0))) AS "found!"
           FROM o LEFT JOIN r USING (order_id)
           WHERE o.kind = 'deposit' AND r.unheard IS NOT true
             AND (o.amount_received, o.amount_confirmed) <> (coalesce(r.received, 0), coalesce(r.confirmed, 0))
           UNION ALL
           SELECT 'paid_is_settled', o.trade_id, format('%s of %s are confirmed, and it is %s', trim_scale(o.amount_confirmed), trim_scale(o.amount), o.status)
           FROM o WHERE o.kind = 'deposit' AND o.amount_confirmed >= o.amount - o.tolerance AND NOT o.is_final AND o.status <> 'requires_review'
           UNION ALL
           SELECT 'payout_counts_what_it_moved', o.trade_id,
                  format('it is %s, and counts %s received and %s confirmed of %s', o.status, trim_scale(o.amount_received),
                         trim_scale(o.amount_confirmed), trim_scale(o.amount))
           FROM o
           WHERE o.kind <> 'deposit' AND (o.amount_received, o.amount_confirmed) <>
                 CASE WHEN o.status = 'succeeded' THEN (greatest(o.amount - coalesce(o.fee, 0), 0), o.amount) ELSE (0::numeric, 0::numeric) END"#,
        range.merchant.0,
        range.after,
        range.until,
    )
    .fetch_all(connection)
    .await?;
    read(rows)
}
