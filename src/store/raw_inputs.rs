//! `raw_inputs_forgotten`: forgetting what came in from outside, once it is old enough. What was read from it stays, with its digest.

use uuid::Uuid;

use super::StoreError;
use super::session::Session;
use crate::domain::ids::MerchantId;

/// Forgets the raw inputs of reports with ids below `until`, at most `limit` reports from where the last call came. What is of an
/// order that is not final stays. Gives how many were looked at, and how many of these forgotten.
pub async fn forget_reports(connection: &mut Session, merchant: MerchantId, until: Uuid, limit: i64) -> Result<(i64, i64), StoreError> {
    let row = sqlx::query!(
        r#"
        WITH page AS MATERIALIZED (
            -- Each order by its key, and each report by its place, whatever the statistics say.
            SELECT r.report_id, r.ctid AS at, o.is_final
            FROM reports r CROSS JOIN LATERAL (
                SELECT o.is_final FROM orders o WHERE o.merchant_id = r.merchant_id AND o.order_id = r.order_id LIMIT 1) o
            WHERE r.merchant_id = $1 AND r.report_id < $2
              AND r.report_id > coalesce((SELECT before FROM raw_inputs_forgotten WHERE merchant_id = $1 AND kind = 'reports'), '00000000-0000-0000-0000-000000000000')
            ORDER BY r.report_id LIMIT $3
        ), gone AS (
            UPDATE reports r SET sealed_raw = ''::bytea FROM page
            WHERE r.ctid = page.at AND page.is_final AND r.sealed_raw <> ''::bytea
            RETURNING 1
        ), mark AS (
            INSERT INTO raw_inputs_forgotten (merchant_id, kind, before)
            SELECT $1, 'reports', report_id FROM (SELECT report_id FROM page ORDER BY report_id DESC LIMIT 1) last
            ON CONFLICT ON CONSTRAINT a_merchants_inputs_have_one_mark DO UPDATE SET before = greatest(raw_inputs_forgotten.before, excluded.before)
        )
        SELECT (SELECT count(*) FROM page) AS "seen!", (SELECT count(*) FROM gone) AS "gone!"
        "#,
        merchant.0,
        until,
        limit,
    )
    .fetch_one(connection)
    .await?;
    Ok((row.seen, row.gone))
}

/// The raw input of a receipt, to be forgotten.
#[derive(Debug)]
pub struct OldInput {
    /// Our id of the receipt.
    pub receipt_id: Uuid,
    /// The provider.
    pub provider: String,
    /// The provider's number of it.
    pub provider_receipt_id: String,
    /// As it was sealed. Absent where none is kept.
    pub sealed_raw: Option<Vec<u8>>,
    /// Its order is final, or it has none.
    pub may_go: bool,
}

/// Receipts with ids below `until`, at most `limit` from where the last forgetting came.
pub async fn old_receipts(connection: &mut Session, merchant: MerchantId, until: Uuid, limit: i64) -> Result<Vec<OldInput>, StoreError> {
    let rows = sqlx::query_as!(
        OldInput,
        r#"SELECT r.receipt_id, r.provider, r.provider_receipt_id, r.sealed_raw, coalesce(o.is_final, true) AS "may_go!"
           FROM receipts r LEFT JOIN LATERAL (
               SELECT o.is_final FROM orders o WHERE o.merchant_id = r.merchant_id AND o.order_id = r.order_id LIMIT 1) o ON true
           WHERE r.merchant_id = $1 AND r.receipt_id < $2
             AND r.receipt_id > coalesce((SELECT before FROM raw_inputs_forgotten WHERE merchant_id = $1 AND kind = 'receipts'), '00000000-0000-0000-0000-000000000000')
           ORDER BY r.receipt_id LIMIT $3"#,
        merchant.0,
        until,
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// Forgets the raw inputs of these receipts and keeps their digests; what was sealed anew meanwhile stays. `last` was the last one looked at.
pub async fn forget_receipts(
    connection: &mut Session,
    merchant: MerchantId,
    inputs: (&[Uuid], &[Vec<u8>], &[Vec<u8>]),
    last: Uuid,
) -> Result<(), StoreError> {
    let (ids, sealed, digests) = inputs;
    sqlx::query!(
        "WITH gone AS (
             UPDATE receipts r SET sealed_raw = NULL, raw_digest = i.digest
             FROM unnest($2::uuid[], $3::bytea[], $4::bytea[]) AS i(receipt_id, sealed, digest)
             WHERE r.merchant_id = $1 AND r.receipt_id = i.receipt_id AND r.sealed_raw = i.sealed
         )
         INSERT INTO raw_inputs_forgotten (merchant_id, kind, before) VALUES ($1, 'receipts', $5)
         ON CONFLICT ON CONSTRAINT a_merchants_inputs_have_one_mark DO UPDATE SET before = greatest(raw_inputs_forgotten.before, excluded.before)",
        merchant.0,
        ids,
        sealed,
        digests,
        last,
    )
    .execute(connection)
    .await?;
    Ok(())
}
