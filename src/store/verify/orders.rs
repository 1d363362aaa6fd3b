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
               SELECT o.order_id, o.trade_id, o.family, o.place AS order_place, s.sequence = o.sequence AS last, s.sequence, s.attempt_id,
                      concat_ws('/', s.status, s.stage) AS place,
                      lag(concat_ws('/', s.status, s.stage)) OVER (PARTITION BY s.order_id ORDER BY s.sequence) AS was
               FROM o JOIN steps s ON s.merchant_id = $1 AND s.order_id = o.order_id
           )
           SELECT 'steps_without_gap' AS "law!", o.trade_id AS "about!",
                  format('%s steps, from %s to %s, and the order is at number %s', c.count, c.first, c.last, o.sequence) AS "found!"
           FROM o CROSS JOIN LATERAL (
               SELECT count(*) AS count, min(s.sequence) AS first, max(s.sequence) AS last
               FROM steps s WHERE s.merchant_id = $1 AND s.order_id = o.order_id) c
           WHERE (c.count, c.first, c.last) IS DISTINCT FROM (o.sequence, 1::bigint, o.sequence)
           UNION ALL
           SELECT 'last_step_is_the_place', trade_id, format('the order is %s, and its last step is %s', order_place, place)
           FROM s WHERE last AND place <> order_place
           UNION ALL
           SELECT 'steps_are_legal', trade_id, format('step %s leads from %s to %s', sequence, was, place)
           FROM s WHERE was <> place AND family || ' ' || was || '>' || place <> ALL ($4::text[])
           UNION ALL
           SELECT 'steps_are_legal', trade_id, format('it begins as %s', place)
           FROM s WHERE sequence = 1 AND family || ' ' || place <> ALL ($5::text[])
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
           SELECT 'call_has_its_attempt', s.trade_id, format('step %s to %s has no attempt', s.sequence, s.place)
           FROM s
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
        r#"WITH both_sides AS (
               SELECT order_id, sequence, 1 AS step, 0 AS event, status, created_at, NULL AS event_type
               FROM steps WHERE merchant_id = $1 AND order_id > $2 AND order_id <= $3
               UNION ALL
               SELECT order_id, sequence, 0, 1, NULL, NULL, event_type
               FROM events WHERE merchant_id = $1 AND order_id > $2 AND order_id <= $3
           ), odd AS MATERIALIZED (
               SELECT order_id, sequence, sum(step) AS steps, sum(event) AS events, min(status) AS status, min(created_at) AS created_at,
                      min(event_type) AS event_type
               FROM both_sides GROUP BY order_id, sequence
               HAVING sum(step) <> 1 OR sum(event) <> 1 OR split_part(min(event_type), '.', 2) <> min(status)
           )
           SELECT CASE WHEN odd.steps = 0 THEN 'event_has_its_step' ELSE 'step_has_one_event' END AS "law!",
                  coalesce(o.trade_id, odd.order_id::text) AS "about!",
                  CASE WHEN odd.steps = 0 THEN format('%s tells a step %s that is not there', odd.event_type, odd.sequence)
                       WHEN odd.events <> 1 THEN format('step %s has %s events', odd.sequence, odd.events)
                       ELSE format('step %s is told as %s', odd.sequence, odd.event_type) END AS "found!"
           FROM odd LEFT JOIN orders o ON o.merchant_id = $1 AND o.order_id = odd.order_id
           -- The id of an event is a little younger than its step: at the border of two months either may have been dropped.
           WHERE odd.steps = 0 OR odd.events > 0 OR NOT EXISTS (
               SELECT FROM dropped_months d
               WHERE d.month BETWEEN date_trunc('month', (odd.created_at - interval '1 hour') AT TIME ZONE 'UTC')
                                 AND date_trunc('month', (odd.created_at + interval '1 hour') AT TIME ZONE 'UTC'))"#,
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
           )
           SELECT 'amounts_are_receipts' AS "law!", o.trade_id AS "about!",
                  format('it counts %s received and %s confirmed, its receipts %s and %s', trim_scale(o.amount_received),
                         trim_scale(o.amount_confirmed), trim_scale(r.received), trim_scale(r.confirmed)) AS "found!"
           FROM o CROSS JOIN LATERAL (
               SELECT coalesce(sum(r.amount) FILTER (WHERE r.progress <> 'abnormal'), 0) AS received,
                      coalesce(sum(r.amount) FILTER (WHERE r.progress = 'confirmed'), 0) AS confirmed, bool_or(r.unheard) AS unheard
               FROM receipts r WHERE r.merchant_id = $1 AND r.order_id = o.order_id) r
           -- What its order has not heard of does not count yet.
           WHERE o.kind = 'deposit' AND r.unheard IS NOT true AND (o.amount_received, o.amount_confirmed) <> (r.received, r.confirmed)
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
