//! `receipts`: incoming movements, each counted once. Giving them to orders is the business of [`super::record`].

use rust_decimal::Decimal;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use super::record::Version;
use super::rows::{amount, parsed};
use crate::domain::ids::{CustomerId, MerchantId, OrderId, ReceiptId};
use crate::domain::order::Provider;
use crate::domain::receipt::Receipt;

/// A row of `receipts`, with what belongs to it.
#[derive(Debug)]
pub struct ReceiptRow {
    pub merchant_id: Uuid,
    pub receipt_id: Uuid,
    pub provider: String,
    pub provider_receipt_id: String,
    pub order_id: Option<Uuid>,
    /// The merchant's id of that order.
    pub trade_id: Option<String>,
    pub customer: Option<String>,
    pub provider_user: Option<String>,
    pub coin: String,
    pub provider_coin_id: String,
    pub amount: Decimal,
    pub fee: Option<Decimal>,
    pub progress: String,
    pub address: Option<String>,
    pub txid: Option<String>,
    pub confirmations: Option<i32>,
    pub revision: i32,
    pub unheard: bool,
    pub unmatched_at: Option<OffsetDateTime>,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
}

impl ReceiptRow {
    /// What is written to only if it is still so.
    pub fn version(&self) -> Version {
        Version { id: ReceiptId(self.receipt_id), revision: self.revision, unheard: self.unheard }
    }

    /// The receipt, without what only lists show.
    pub fn receipt(&self) -> Result<Receipt, StoreError> {
        Ok(Receipt {
            id: ReceiptId(self.receipt_id),
            number: self.provider_receipt_id.clone(),
            order: self.order_id.map(OrderId),
            customer: self.customer.as_deref().map(|text| parsed(CustomerId::parse(text).ok(), "customer", "")).transpose()?,
            provider_user: self.provider_user.clone(),
            provider_coin_id: self.provider_coin_id.clone(),
            amount: amount(self.amount)?,
            progress: parsed(self.progress.parse().ok(), "progress", &self.progress)?,
            address: self.address.clone(),
            txid: self.txid.clone(),
            confirmations: self.confirmations,
        })
    }
}

/// Receipts of an account that nobody has heard of yet, oldest number first, at most `limit`; and all receipts of the
/// deposits that could be theirs. Whoever asks tells them apart by `unheard`.
pub async fn unheard(
    connection: &mut PgConnection,
    merchant: MerchantId,
    provider: Provider,
    limit: i64,
) -> Result<Vec<ReceiptRow>, StoreError> {
    let rows = sqlx::query_as!(
        ReceiptRow,
        r#"
        WITH news AS (
            SELECT * FROM receipts WHERE merchant_id = $1 AND provider = $2 AND unheard
            ORDER BY length(provider_receipt_id), provider_receipt_id
            LIMIT $3
        ), involved AS (
            SELECT order_id FROM news WHERE order_id IS NOT NULL
            UNION
            SELECT o.order_id FROM news n JOIN orders o ON o.merchant_id = $1 AND o.customer = n.customer
                AND o.provider_coin_id = n.provider_coin_id AND o.kind = 'deposit' AND NOT o.is_final AND o.provider = $2
            WHERE n.order_id IS NULL
        )
        SELECT merchant_id AS "merchant_id!", receipt_id AS "receipt_id!", provider AS "provider!", provider_receipt_id AS "provider_receipt_id!", order_id,
               NULL::text AS trade_id, customer, provider_user, coin AS "coin!", provider_coin_id AS "provider_coin_id!",
               amount AS "amount!", fee, progress AS "progress!", address, txid, confirmations, revision AS "revision!",
               unheard AS "unheard!", unmatched_at, created_at AS "created_at!", updated_at AS "updated_at!"
        FROM (SELECT * FROM news
              UNION
              SELECT r.* FROM involved JOIN receipts r ON r.merchant_id = $1 AND r.order_id = involved.order_id) all_of_them
        "#,
        merchant.0,
        provider.to_string(),
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// The receipts of one order.
pub async fn of_order(connection: &mut PgConnection, merchant: MerchantId, order: OrderId) -> Result<Vec<ReceiptRow>, StoreError> {
    let rows = sqlx::query_as!(
        ReceiptRow,
        "SELECT r.merchant_id, r.receipt_id, r.provider, r.provider_receipt_id, r.order_id, NULL::text AS trade_id, r.customer, r.provider_user, r.coin,
                r.provider_coin_id, r.amount, r.fee, r.progress, r.address, r.txid, r.confirmations, r.revision, r.unheard, r.unmatched_at, r.created_at,
                r.updated_at
         FROM receipts r WHERE r.merchant_id = $1 AND r.order_id = $2
         ORDER BY r.receipt_id",
        merchant.0,
        order.0,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// One receipt.
pub async fn get(connection: &mut PgConnection, merchant: MerchantId, id: ReceiptId) -> Result<Option<ReceiptRow>, StoreError> {
    let row = sqlx::query_as!(
        ReceiptRow,
        r#"SELECT r.merchant_id, r.receipt_id, r.provider, r.provider_receipt_id, r.order_id, o.trade_id AS "trade_id?", r.customer, r.provider_user, r.coin,
                  r.provider_coin_id, r.amount, r.fee, r.progress, r.address, r.txid, r.confirmations, r.revision, r.unheard, r.unmatched_at, r.created_at,
                  r.updated_at
           FROM receipts r LEFT JOIN orders o ON o.merchant_id = r.merchant_id AND o.order_id = r.order_id
           WHERE r.merchant_id = $1 AND r.receipt_id = $2"#,
        merchant.0,
        id.0,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// What a list shows. An absent field filters nothing.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only those without an order, or only those with one.
    pub unmatched: Option<bool>,
    /// The provider.
    pub provider: Option<String>,
    /// The merchant's customer.
    pub customer: Option<String>,
    /// The coin's name.
    pub coin: Option<String>,
    /// Only what is older than this receipt.
    pub starting_after: Option<ReceiptId>,
}

/// Receipts, newest first, at most `limit`.
pub async fn list(connection: &mut PgConnection, merchant: MerchantId, filter: &Filter, limit: i64) -> Result<Vec<ReceiptRow>, StoreError> {
    let rows = sqlx::query_as!(
        ReceiptRow,
        r#"SELECT r.merchant_id, r.receipt_id, r.provider, r.provider_receipt_id, r.order_id, o.trade_id AS "trade_id?", r.customer, r.provider_user, r.coin,
                  r.provider_coin_id, r.amount, r.fee, r.progress, r.address, r.txid, r.confirmations, r.revision, r.unheard, r.unmatched_at, r.created_at,
                  r.updated_at
           FROM receipts r LEFT JOIN orders o ON o.merchant_id = r.merchant_id AND o.order_id = r.order_id
           WHERE r.merchant_id = $1 AND ($2::boolean IS NULL OR (r.order_id IS NULL) = $2)
             AND ($3::text IS NULL OR r.provider = $3) AND ($4::text IS NULL OR r.customer = $4) AND ($5::text IS NULL OR r.coin = $5)
             AND ($6::uuid IS NULL OR r.receipt_id < $6)
           ORDER BY r.receipt_id DESC
           LIMIT $7"#,
        merchant.0,
        filter.unmatched,
        filter.provider,
        filter.customer,
        filter.coin,
        filter.starting_after.map(|id| id.0),
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}
