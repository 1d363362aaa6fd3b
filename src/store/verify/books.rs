//! The books: what orders and receipts moved, and what it adds up to.

use sqlx::PgConnection;

use super::{Found, FoundRow, Range, read};
use crate::domain::ids::MerchantId;
use crate::store::StoreError;

/// What payouts and transfers moved is booked, leg by leg, and what did not move is not.
pub async fn of_orders(connection: &mut PgConnection, range: Range) -> Result<Vec<Found>, StoreError> {
    let rows = sqlx::query_as!(
        FoundRow,
        r#"WITH o AS MATERIALIZED (
               SELECT o.order_id, o.trade_id, o.kind, went.went, least(went.went, coalesce(o.fee, 0)) AS fee
               FROM orders o
               CROSS JOIN LATERAL (SELECT CASE WHEN o.kind <> 'deposit' AND o.status = 'succeeded' THEN o.amount ELSE 0 END AS went) went
               WHERE o.merchant_id = $1 AND o.order_id > $2 AND o.order_id <= $3
           ), due AS (
               SELECT o.order_id, o.trade_id, t.leg, t.target
               FROM o CROSS JOIN LATERAL (VALUES (1, o.fee - o.went), (2, CASE o.kind WHEN 'transfer' THEN o.went - o.fee ELSE 0 END), (3, -o.fee)) t(leg, target)
           )
           SELECT 'order_is_booked' AS "law!", due.trade_id AS "about!",
                  format('leg %s is %s, and %s are booked', due.leg, trim_scale(due.target), trim_scale(b.booked)) AS "found!"
           FROM due CROSS JOIN LATERAL (
               SELECT coalesce(sum(m.amount), 0) AS booked FROM movements m
               WHERE m.merchant_id = $1 AND coalesce(m.receipt_id, m.order_id) = due.order_id AND m.leg = due.leg) b
           WHERE b.booked <> due.target"#,
        range.merchant.0,
        range.after,
        range.until,
    )
    .fetch_all(connection)
    .await?;
    read(rows)
}

/// What came in is booked, and its fee.
pub async fn of_receipts(connection: &mut PgConnection, range: Range) -> Result<Vec<Found>, StoreError> {
    let rows = sqlx::query_as!(
        FoundRow,
        r#"WITH due AS MATERIALIZED (
               SELECT r.receipt_id, r.provider || ' ' || r.provider_receipt_id AS about, t.leg, CASE r.progress WHEN 'confirmed' THEN t.amount ELSE 0 END AS target
               FROM receipts r CROSS JOIN LATERAL (VALUES (1, r.amount), (3, -coalesce(r.fee, 0))) t(leg, amount)
               WHERE r.merchant_id = $1 AND r.receipt_id > $2 AND r.receipt_id <= $3 AND NOT r.unheard
           )
           SELECT 'receipt_is_booked' AS "law!", due.about AS "about!",
                  format('leg %s is %s, and %s are booked', due.leg, trim_scale(due.target), trim_scale(b.booked)) AS "found!"
           FROM due CROSS JOIN LATERAL (
               SELECT coalesce(sum(m.amount), 0) AS booked FROM movements m
               WHERE m.merchant_id = $1 AND coalesce(m.receipt_id, m.order_id) = due.receipt_id AND m.leg = due.leg) b
           WHERE b.booked <> due.target"#,
        range.merchant.0,
        range.after,
        range.until,
    )
    .fetch_all(connection)
    .await?;
    read(rows)
}

/// Movements are of something that is there, and stand at their time.
pub async fn movements(connection: &mut PgConnection, range: Range) -> Result<Vec<Found>, StoreError> {
    let rows = sqlx::query_as!(
        FoundRow,
        r#"WITH m AS MATERIALIZED (
               SELECT * FROM movements m WHERE m.merchant_id = $1 AND m.movement_id > $2 AND m.movement_id <= $3
           )
           SELECT 'booked_is_known' AS "law!", coalesce(m.trade_id, m.movement_id::text) AS "about!",
                  format('%s %s %s are booked for what is not there', m.kind, trim_scale(m.amount), m.coin) AS "found!"
           FROM m
           WHERE CASE WHEN m.receipt_id IS NULL
                      THEN NOT EXISTS (SELECT FROM orders o WHERE o.merchant_id = $1 AND o.order_id = m.order_id
                                         AND o.provider = m.provider AND o.coin = m.coin)
                      ELSE NOT EXISTS (SELECT FROM receipts r WHERE r.merchant_id = $1 AND r.receipt_id = m.receipt_id
                                         AND r.provider = m.provider AND r.coin = m.coin) END
           UNION ALL
           SELECT 'booked_is_known', coalesce(m.trade_id, m.movement_id::text), format('its id is not of its time %s', m.booked_at AT TIME ZONE 'UTC')
           FROM m WHERE left(m.movement_id::text, 20) <> left(movement_floor(m.booked_at)::text, 20)
           UNION ALL
           SELECT DISTINCT 'balances_add_up', format('%s %s', m.provider, m.coin), format('the closed day %s has no balance', (m.booked_at AT TIME ZONE 'UTC')::date)
           FROM m JOIN books b ON b.merchant_id = $1
           WHERE (m.booked_at AT TIME ZONE 'UTC')::date < b.summed_until AND NOT EXISTS (
               SELECT FROM day_balances d
               WHERE d.merchant_id = $1 AND d.provider = m.provider AND d.coin = m.coin AND d.day = (m.booked_at AT TIME ZONE 'UTC')::date)"#,
        range.merchant.0,
        range.after,
        range.until,
    )
    .fetch_all(connection)
    .await?;
    read(rows)
}

/// The balance of each closed day is the one before it and what was booked on the day. A day's movements are read once.
pub async fn balances(connection: &mut PgConnection, merchant: MerchantId) -> Result<Vec<Found>, StoreError> {
    let rows = sqlx::query_as!(
        FoundRow,
        r#"WITH booked AS (
               SELECT m.provider, m.coin, (m.booked_at AT TIME ZONE 'UTC')::date AS day, sum(m.amount) AS amount
               FROM movements m JOIN books b USING (merchant_id)
               WHERE m.merchant_id = $1 AND m.movement_id < movement_floor(b.summed_until::timestamp AT TIME ZONE 'UTC')
               GROUP BY 1, 2, 3
           ), days AS (
               SELECT d.provider, d.coin, d.day,
                      d.balance - coalesce(lag(d.balance) OVER (PARTITION BY d.provider, d.coin ORDER BY d.day), 0) AS change
               FROM day_balances d WHERE d.merchant_id = $1
           )
           SELECT 'balances_add_up' AS "law!", format('%s %s', provider, coin) AS "about!",
                  format('the balance of %s changes by %s, and %s are booked', day, trim_scale(days.change), trim_scale(coalesce(booked.amount, 0))) AS "found!"
           FROM days LEFT JOIN booked USING (provider, coin, day)
           WHERE days.change <> coalesce(booked.amount, 0)"#,
        merchant.0,
    )
    .fetch_all(connection)
    .await?;
    read(rows)
}
