//! `orders`: creating and reading them. Changing them is the business of [`super::record`].

mod create;
mod lists;

use uuid::Uuid;

pub use self::create::{Created, Creations, Need, NewOrder, create, creations};
pub use self::lists::{Filter, list};
use super::StoreError;
use super::rows::{OrderRow, orders};
use super::session::Session;
use crate::domain::ids::{MerchantId, OrderId, TradeId};
use crate::domain::order::Order;

/// The order with this trade id, and what it asked for.
pub async fn by_trade_id(
    connection: &mut Session,
    merchant: MerchantId,
    trade_id: &TradeId,
) -> Result<Option<(Order, Vec<u8>)>, StoreError> {
    let row = sqlx::query_as!(OrderRow, "SELECT * FROM orders WHERE merchant_id = $1 AND trade_id = $2", merchant.0, trade_id.as_str())
        .fetch_optional(connection)
        .await?;
    row.map(|row| {
        let fingerprint = row.fingerprint.clone();
        Ok((Order::try_from(row)?, fingerprint))
    })
    .transpose()
}

/// The order with this id.
pub async fn by_id(connection: &mut Session, merchant: MerchantId, order: OrderId) -> Result<Option<Order>, StoreError> {
    let row = sqlx::query_as!(OrderRow, "SELECT * FROM orders WHERE merchant_id = $1 AND order_id = $2", merchant.0, order.0)
        .fetch_optional(connection)
        .await?;
    row.map(Order::try_from).transpose()
}

/// Where the customer's browser goes after it has paid an order.
pub async fn return_url(connection: &mut Session, merchant: MerchantId, order: OrderId) -> Result<Option<String>, StoreError> {
    let row = sqlx::query_scalar!("SELECT return_url FROM orders WHERE merchant_id = $1 AND order_id = $2", merchant.0, order.0)
        .fetch_optional(connection)
        .await?;
    Ok(row.flatten())
}

/// Orders by their ids, in one statement: each by its key, whatever the statistics say of the table.
pub async fn by_ids(connection: &mut Session, ids: &[(MerchantId, OrderId)]) -> Result<Vec<Order>, StoreError> {
    let (merchants, ids): (Vec<Uuid>, Vec<Uuid>) = ids.iter().map(|(merchant, order)| (merchant.0, order.0)).unzip();
    let rows = sqlx::query_as!(
        OrderRow,
        "SELECT o.* FROM unnest($1::uuid[], $2::uuid[]) AS wanted (merchant_id, order_id)
         CROSS JOIN LATERAL (
             -- Said like this, only the primary key will do.
             SELECT * FROM orders o WHERE (o.merchant_id, o.order_id) >= (wanted.merchant_id, wanted.order_id)
             ORDER BY o.merchant_id, o.order_id LIMIT 1) o
         WHERE o.merchant_id = wanted.merchant_id AND o.order_id = wanted.order_id",
        &merchants,
        &ids,
    )
    .fetch_all(connection)
    .await?;
    orders(rows)
}
