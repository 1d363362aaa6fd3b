//! The calls of orders, and what is to be done for them.

use sqlx::PgConnection;

use super::{Found, FoundRow, Range, Tables, read};
use crate::store::StoreError;

/// One open attempt at most, and no more doubts than calls.
pub async fn calls(connection: &mut PgConnection, range: Range) -> Result<Vec<Found>, StoreError> {
    let rows = sqlx::query_as!(
        FoundRow,
        r#"WITH o AS MATERIALIZED (
               SELECT o.trade_id, o.doubts, a.calls, a.open
               FROM orders o CROSS JOIN LATERAL (
                   SELECT count(*) AS calls, count(*) FILTER (WHERE a.state = 'open') AS open
                   FROM attempts a WHERE a.merchant_id = $1 AND a.order_id = o.order_id) a
               WHERE o.merchant_id = $1 AND o.order_id > $2 AND o.order_id <= $3
           )
           SELECT 'one_open_attempt' AS "law!", trade_id AS "about!", format('%s attempts are open at once', open) AS "found!"
           FROM o WHERE open > 1
           UNION ALL
           SELECT 'doubts_have_calls', trade_id, format('%s calls are in doubt, and there were %s', doubts, calls) FROM o WHERE doubts > calls"#,
        range.merchant.0,
        range.after,
        range.until,
    )
    .fetch_all(connection)
    .await?;
    read(rows)
}

/// A task for each order that we can drive, and what is due is worked on.
pub async fn tasks(connection: &mut PgConnection, range: Range, tables: &Tables) -> Result<Vec<Found>, StoreError> {
    let rows = sqlx::query_as!(
        FoundRow,
        r#"WITH o AS MATERIALIZED (
               SELECT o.order_id, o.trade_id, o.is_final, concat_ws('/', o.status, o.stage) AS place,
                      o.provider || ' ' || CASE o.kind WHEN 'deposit' THEN o.kind ELSE 'payout' END || ' ' || concat_ws('/', o.status, o.stage) AS named,
                      t.work, t.leased_until, greatest(t.due_at, t.leased_until) AS since, t.attempt_id AS kept_for,
                      a.attempt_id AS open, a.leased_until AS call
               FROM orders o LEFT JOIN tasks t USING (merchant_id, order_id)
               LEFT JOIN LATERAL (
                   SELECT a.attempt_id, a.leased_until FROM attempts a
                   WHERE a.merchant_id = $1 AND a.order_id = o.order_id AND a.state = 'open' LIMIT 1) a ON true
               WHERE o.merchant_id = $1 AND o.order_id > $2 AND o.order_id <= $3
           )
           SELECT 'open_order_has_task' AS "law!", trade_id AS "about!", format('it is %s, and nothing is planned for it', place) AS "found!"
           FROM o WHERE NOT is_final AND work IS NULL AND named <> ALL ($4::text[])
           UNION ALL
           SELECT 'open_call_is_kept', trade_id, format('its open call is %s, and its task is kept for %s', open, coalesce(kept_for::text, 'none'))
           FROM o WHERE open <> kept_for OR open IS NOT NULL AND kept_for IS NULL
           UNION ALL
           -- What was kept for a call is taken away by the next look.
           SELECT 'final_order_has_no_task', trade_id, format('it is %s, and %s is planned for it', place, work)
           FROM o WHERE is_final AND work <> 'look' AND leased_until IS NULL AND call IS NULL
           UNION ALL
           SELECT 'nothing_is_stuck', trade_id, format('it is %s, and %s has been due since %s', place, work, since AT TIME ZONE 'UTC')
           FROM o WHERE since < $5
           UNION ALL
           SELECT 'nothing_is_stuck', trade_id, format('a call has been open past %s', call AT TIME ZONE 'UTC')
           FROM o WHERE call < $5"#,
        range.merchant.0,
        range.after,
        range.until,
        &tables.rests,
        tables.stuck_before,
    )
    .fetch_all(connection)
    .await?;
    read(rows)
}
