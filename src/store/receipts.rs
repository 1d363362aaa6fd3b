//! `receipts`: incoming movements, each counted once. Giving them to orders is the business of [`super::record`].

use rust_decimal::Decimal;
use serde::Deserialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use super::record::Version;
use super::rows::{amount, parsed};
use super::session::Session;
use crate::domain::ids::{CustomerId, MerchantId, OrderId, ReceiptId};
use crate::domain::order::Provider;
use crate::domain::receipt::Receipt;

/// A row of `receipts`, with what belongs to it.
#[derive(Debug, Deserialize)]
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
    #[serde(deserialize_with = "super::rows::decimal")]
    pub amount: Decimal,
    #[serde(deserialize_with = "super::rows::maybe_decimal")]
    pub fee: Option<Decimal>,
    pub progress: String,
    pub address: Option<String>,
    pub txid: Option<String>,
    pub confirmations: Option<i32>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub seen_at: Option<OffsetDateTime>,
    pub revision: i32,
    pub unheard: bool,
    #[serde(with = "time::serde::rfc3339::option")]
    pub unmatched_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
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

/// The receipts of an order, oldest first. Whoever adds them up reads the order first, or with them: then a receipt that came in
/// between is seen by the order's sequence.
pub async fn of_order(connection: &mut Session, merchant: MerchantId, order: OrderId) -> Result<Vec<ReceiptRow>, StoreError> {
    let mut rows = sqlx::query_as!(
        ReceiptRow,
        "SELECT r.merchant_id, r.receipt_id, r.provider, r.provider_receipt_id, r.order_id, NULL::text AS trade_id, r.customer, r.provider_user, r.coin,
                r.provider_coin_id, r.amount, r.fee, r.progress, r.address, r.txid, r.confirmations, r.seen_at, r.revision, r.unheard, r.unmatched_at, r.created_at,
                r.updated_at
         FROM receipts r WHERE r.merchant_id = $1 AND r.order_id = $2",
        merchant.0,
        order.0,
    )
    .fetch_all(connection)
    .await?;
    // Here, and not there: an index has all of the merchant's receipts in this order, and would be read instead of being sorted.
    rows.sort_unstable_by_key(|row| row.receipt_id);
    Ok(rows)
}

/// One receipt.
pub async fn get(connection: &mut Session, merchant: MerchantId, id: ReceiptId) -> Result<Option<ReceiptRow>, StoreError> {
    let row = sqlx::query_as!(
        ReceiptRow,
        r#"SELECT r.merchant_id, r.receipt_id, r.provider, r.provider_receipt_id, r.order_id, o.trade_id AS "trade_id?", r.customer, r.provider_user, r.coin,
                  r.provider_coin_id, r.amount, r.fee, r.progress, r.address, r.txid, r.confirmations, r.seen_at, r.revision, r.unheard, r.unmatched_at, r.created_at,
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
pub async fn list(connection: &mut Session, merchant: MerchantId, filter: &Filter, limit: i64) -> Result<Vec<ReceiptRow>, StoreError> {
    let rows = sqlx::query_as!(
        ReceiptRow,
        r#"SELECT r.merchant_id, r.receipt_id, r.provider, r.provider_receipt_id, r.order_id, o.trade_id AS "trade_id?", r.customer, r.provider_user, r.coin,
                  r.provider_coin_id, r.amount, r.fee, r.progress, r.address, r.txid, r.confirmations, r.seen_at, r.revision, r.unheard, r.unmatched_at, r.created_at,
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

/// Incoming movements by the provider's numbers, from `first` to `last`, both with them, at most `limit`.
pub async fn numbered(
    connection: &mut Session,
    merchant: MerchantId,
    provider: Provider,
    (first, last): (i64, i64),
    limit: i64,
) -> Result<Vec<ReceiptRow>, StoreError> {
    let (first, last) = (first.to_string(), last.to_string());
    let rows = sqlx::query_as!(
        ReceiptRow,
        "SELECT r.merchant_id, r.receipt_id, r.provider, r.provider_receipt_id, r.order_id, NULL::text AS trade_id, r.customer, r.provider_user, r.coin,
                r.provider_coin_id, r.amount, r.fee, r.progress, r.address, r.txid, r.confirmations, r.seen_at, r.revision, r.unheard, r.unmatched_at, r.created_at,
                r.updated_at
         FROM receipts r
         WHERE r.merchant_id = $1 AND r.provider = $2
           AND (length(r.provider_receipt_id), r.provider_receipt_id) >= (length($3), $3)
           AND (length(r.provider_receipt_id), r.provider_receipt_id) <= (length($4), $4)
           AND r.provider_user IS NOT NULL
         ORDER BY length(r.provider_receipt_id), r.provider_receipt_id
         LIMIT $5",
        merchant.0,
        provider.to_string(),
        first,
        last,
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// The raw input of each receipt of an order, sealed, while it is kept; else its SHA-256.
pub async fn sealed_of_order(
    connection: &mut Session,
    merchant: MerchantId,
    order: OrderId,
) -> Result<Vec<(Uuid, Option<Vec<u8>>, Option<Vec<u8>>)>, StoreError> {
    let rows = sqlx::query!(
        "SELECT receipt_id, sealed_raw, raw_digest FROM receipts WHERE merchant_id = $1 AND order_id = $2",
        merchant.0,
        order.0
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.receipt_id, row.sealed_raw, row.raw_digest)).collect())
}
