//! News of incoming money: receipts that nobody has heard of, and the deposits that they could be of.

use sqlx::types::Json;

use super::StoreError;
use super::receipts::ReceiptRow;
use super::rows::{OrderRow, orders};
use super::session::Session;
use crate::domain::ids::MerchantId;
use crate::domain::order::{Order, Provider};

/// News, with all that decides where they go, as it was at one instant: a deposit is never seen with fewer receipts than it
/// had in that state, so that whoever adds them up and finds its sequence unchanged has them all.
#[derive(Debug)]
pub struct News {
    /// Receipts that nobody has heard of, oldest number first.
    pub receipts: Vec<ReceiptRow>,
    /// The deposits that they are of, and those that are open to them.
    pub deposits: Vec<Order>,
    /// What these deposits have received so far.
    pub known: Vec<ReceiptRow>,
    /// There are more.
    pub more: bool,
}

/// The news of an account, in one statement; at most `limit` receipts.
pub async fn news(connection: &mut Session, merchant: MerchantId, provider: Provider, limit: usize) -> Result<News, StoreError> {
    let row = sqlx::query!(
        r#"
        WITH all_news AS MATERIALIZED (
            SELECT r.merchant_id, r.receipt_id, r.provider, r.provider_receipt_id, r.order_id, r.customer, r.provider_user, r.coin,
                   r.provider_coin_id, r.amount, r.fee, r.progress, r.address, r.txid, r.confirmations, r.seen_at, r.revision, r.unheard,
                   r.unmatched_at, r.created_at, r.updated_at
            FROM receipts r WHERE r.merchant_id = $1 AND r.provider = $2 AND r.unheard
            ORDER BY length(r.provider_receipt_id), r.provider_receipt_id
            LIMIT $3::bigint + 1
        ), news AS MATERIALIZED (
            SELECT * FROM all_news ORDER BY length(provider_receipt_id), provider_receipt_id LIMIT $3::bigint
        ), wanted AS MATERIALIZED (
            SELECT o.order_id
            FROM (SELECT DISTINCT customer, provider_coin_id FROM news WHERE order_id IS NULL) n
            -- One by one over the index, whatever the statistics say.
            CROSS JOIN LATERAL (
                SELECT o.order_id FROM orders o
                WHERE o.merchant_id = $1 AND o.kind = 'deposit' AND NOT o.is_final AND o.provider = $2
                  AND o.customer = n.customer AND o.provider_coin_id = n.provider_coin_id
                OFFSET 0
            ) o
            UNION
            SELECT order_id FROM news WHERE order_id IS NOT NULL
        ), known AS (
            SELECT r.merchant_id, r.receipt_id, r.provider, r.provider_receipt_id, r.order_id, r.customer, r.provider_user, r.coin,
                   r.provider_coin_id, r.amount, r.fee, r.progress, r.address, r.txid, r.confirmations, r.seen_at, r.revision, r.unheard,
                   r.unmatched_at, r.created_at, r.updated_at
            FROM wanted CROSS JOIN LATERAL (
                SELECT * FROM receipts r WHERE r.merchant_id = $1 AND r.order_id = wanted.order_id OFFSET 0
            ) r
        ), deposits AS (
            SELECT o.* FROM wanted CROSS JOIN LATERAL (
                SELECT * FROM orders o WHERE o.merchant_id = $1 AND o.order_id = wanted.order_id OFFSET 0
            ) o
        )
        SELECT (SELECT coalesce(json_agg(n ORDER BY length(n.provider_receipt_id), n.provider_receipt_id), '[]') FROM news n)
                   AS "receipts!: Json<Vec<ReceiptRow>>",
               (SELECT coalesce(json_agg(d), '[]') FROM deposits d) AS "deposits!: Json<Vec<OrderRow>>",
               (SELECT coalesce(json_agg(k ORDER BY k.receipt_id), '[]') FROM known k) AS "known!: Json<Vec<ReceiptRow>>",
               (SELECT count(*) FROM all_news) > $3::bigint AS "more!"
        "#,
        merchant.0,
        provider.to_string(),
        i64::try_from(limit).unwrap_or(i64::MAX),
    )
    .fetch_one(connection)
    .await?;
    Ok(News { receipts: row.receipts.0, deposits: orders(row.deposits.0)?, known: row.known.0, more: row.more })
}
