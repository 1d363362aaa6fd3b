//! What came in, and where both sides disagree.

use sqlx::PgConnection;

use super::{Found, FoundRow, Range, Tables, read};
use crate::domain::ids::MerchantId;
use crate::store::StoreError;

/// A movement is one receipt, which fits its order, and is followed while it is pending.
pub async fn receipts(connection: &mut PgConnection, range: Range, tables: &Tables) -> Result<Vec<Found>, StoreError> {
    let rows = sqlx::query_as!(
        FoundRow,
        r#"WITH r AS MATERIALIZED (
               SELECT r.*, r.provider || ' ' || r.provider_receipt_id AS about
               FROM receipts r WHERE r.merchant_id = $1 AND r.receipt_id > $2 AND r.receipt_id <= $3
           )
           SELECT 'movement_is_one_receipt' AS "law!", r.about AS "about!", 'it is two receipts' AS "found!"
           FROM r WHERE EXISTS (
               SELECT FROM receipts d
               WHERE d.merchant_id = $1 AND d.provider = r.provider AND length(d.provider_receipt_id) = length(r.provider_receipt_id)
                 AND d.provider_receipt_id = r.provider_receipt_id AND d.receipt_id < r.receipt_id)
           UNION ALL
           SELECT 'receipt_fits_its_order', r.about, format('%s %s of %s is with %s %s for %s of %s', trim_scale(r.amount), r.coin, r.customer, o.kind, o.trade_id, o.coin, o.customer)
           FROM r JOIN orders o ON o.merchant_id = $1 AND o.order_id = r.order_id
           WHERE o.kind <> 'deposit' OR o.provider <> r.provider OR o.provider_coin_id <> r.provider_coin_id
              -- What was on the list of those without an order was given to this one by a person.
              OR (r.unmatched_at IS NULL AND o.customer IS DISTINCT FROM r.customer)
           UNION ALL
           SELECT 'pending_is_followed', r.about, 'it is pending, and nobody asks for it again'
           FROM r WHERE r.progress = 'pending' AND NOT EXISTS (
               SELECT FROM feed_follows f WHERE f.merchant_id = $1 AND f.provider = r.provider AND f.number::text = r.provider_receipt_id)
           UNION ALL
           SELECT 'nothing_is_stuck', r.about, format('its order has not heard of it since %s', r.updated_at AT TIME ZONE 'UTC')
           FROM r WHERE r.unheard AND r.updated_at < $4"#,
        range.merchant.0,
        range.after,
        range.until,
        tables.stuck_before,
    )
    .fetch_all(connection)
    .await?;
    read(rows)
}

/// What is nobody's was told, as it stands. The events of the page's time are read once.
pub async fn unmatched(connection: &mut PgConnection, range: Range) -> Result<Vec<Found>, StoreError> {
    let rows = sqlx::query_as!(
        FoundRow,
        r#"WITH r AS MATERIALIZED (
               SELECT provider || ' ' || provider_receipt_id AS about, provider, provider_receipt_id, progress, unmatched_at, updated_at
               FROM receipts
               WHERE merchant_id = $1 AND receipt_id > $2 AND receipt_id <= $3 AND order_id IS NULL AND NOT unheard
           ), times AS MATERIALIZED (
               SELECT min(least(unmatched_at, updated_at)) - interval '1 hour' AS first, max(greatest(unmatched_at, updated_at)) + interval '1 day' AS last
               FROM r
           ), told AS MATERIALIZED (
               SELECT DISTINCT e.body->'data'->>'provider' AS provider, e.body->'data'->>'provider_receipt_id' AS number, e.body->'data'->>'status' AS status
               FROM events e
               WHERE e.merchant_id = $1 AND e.event_type = 'receipt.unmatched'
                 AND e.event_id >= (SELECT first_id_at(first) FROM times) AND e.event_id < (SELECT first_id_at(last) FROM times)
           )
           SELECT 'receipt_has_a_home' AS "law!", r.about AS "about!", 'it is no order''s, and not on the list of those' AS "found!"
           FROM r WHERE r.unmatched_at IS NULL
           UNION ALL
           SELECT 'receipt_has_a_home', r.about, format('it is nobody''s and %s, and the merchant was not told', r.progress)
           FROM r
           WHERE r.unmatched_at IS NOT NULL
             AND NOT EXISTS (SELECT FROM told t WHERE t.provider = r.provider AND t.number = r.provider_receipt_id AND t.status = r.progress)
             AND NOT EXISTS (SELECT FROM dropped_months d
                             WHERE d.month BETWEEN date_trunc('month', (least(r.unmatched_at, r.updated_at) - interval '1 hour') AT TIME ZONE 'UTC')
                                               AND date_trunc('month', (greatest(r.unmatched_at, r.updated_at) + interval '1 day') AT TIME ZONE 'UTC'))"#,
        range.merchant.0,
        range.after,
        range.until,
    )
    .fetch_all(connection)
    .await?;
    read(rows)
}

/// A discrepancy is about an order, a receipt or a balance.
pub async fn discrepancies(connection: &mut PgConnection, range: Range) -> Result<Vec<Found>, StoreError> {
    let rows = sqlx::query_as!(
        FoundRow,
        r#"SELECT 'discrepancy_has_a_subject' AS "law!", d.discrepancy_id::text AS "about!", format('it is about %s', d.subject) AS "found!"
           FROM discrepancies d
           WHERE d.merchant_id = $1 AND d.discrepancy_id > $2 AND d.discrepancy_id <= $3
             AND CASE WHEN d.order_id IS NULL THEN d.subject !~ '^(receipt|balance):.'
                      ELSE d.subject <> d.order_id::text
                           OR NOT EXISTS (SELECT FROM orders o WHERE o.merchant_id = $1 AND o.order_id = d.order_id) END"#,
        range.merchant.0,
        range.after,
        range.until,
    )
    .fetch_all(connection)
    .await?;
    read(rows)
}

/// Feeds that are due are read.
pub async fn feeds(connection: &mut PgConnection, merchant: MerchantId, tables: &Tables) -> Result<Vec<Found>, StoreError> {
    let rows = sqlx::query_as!(
        FoundRow,
        r#"SELECT 'nothing_is_stuck' AS "law!", 'deposits at ' || f.provider AS "about!",
                  format('their list has not been read since %s', coalesce(f.read_at, f.due_at) AT TIME ZONE 'UTC') AS "found!"
           FROM deposit_feeds f JOIN provider_accounts a USING (merchant_id, provider)
           WHERE f.merchant_id = $1 AND a.disabled_at IS NULL AND greatest(f.due_at, f.leased_until) < $2"#,
        merchant.0,
        tables.stuck_before,
    )
    .fetch_all(connection)
    .await?;
    read(rows)
}
