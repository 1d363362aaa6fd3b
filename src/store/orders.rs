//! `orders`: creating and reading them. Changing them is the business of [`super::record`].

mod create;

use time::OffsetDateTime;
use uuid::Uuid;

pub use self::create::{Created, Creations, Need, NewOrder, create, creations};
use super::StoreError;
use super::rows::{OrderRow, orders};
use super::session::Session;
use crate::domain::ids::{MerchantId, OrderId, TradeId};
use crate::domain::order::{Kind, Order};

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

/// Orders by their ids, in one statement.
pub async fn by_ids(connection: &mut Session, ids: &[(MerchantId, OrderId)]) -> Result<Vec<Order>, StoreError> {
    let (merchants, ids): (Vec<Uuid>, Vec<Uuid>) = ids.iter().map(|(merchant, order)| (merchant.0, order.0)).unzip();
    let rows = sqlx::query_as!(
        OrderRow,
        "SELECT o.* FROM unnest($1::uuid[], $2::uuid[]) AS wanted (merchant_id, order_id)
         JOIN orders o USING (merchant_id, order_id)",
        &merchants,
        &ids,
    )
    .fetch_all(connection)
    .await?;
    orders(rows)
}

/// What a list shows. An absent field filters nothing.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Statuses, any of them.
    pub status: Option<Vec<String>>,
    /// The provider.
    pub provider: Option<String>,
    /// The merchant's customer.
    pub customer: Option<String>,
    /// The coin's name.
    pub coin: Option<String>,
    /// Created then or later.
    pub created_gte: Option<OffsetDateTime>,
    /// Created earlier.
    pub created_lt: Option<OffsetDateTime>,
    /// Only what is older than this order.
    pub starting_after: Option<OrderId>,
}

/// Orders of one kind, newest first, at most `limit`. Ids are ordered by time, so that the id is the
/// key of the page: no offset, no count.
pub async fn list(
    connection: &mut Session,
    merchant: MerchantId,
    kind: Kind,
    filter: &Filter,
    limit: i64,
) -> Result<Vec<Order>, StoreError> {
    match &filter.customer {
        Some(customer) => list_of_customer(connection, merchant, kind, (customer, filter), limit).await,
        None => list_of_kind(connection, merchant, kind, filter, limit).await,
    }
}

/// The bounds and the order name the kind before the id. The primary key has no such order, so that no plan goes through the orders
/// of all kinds for those of one, of which there may be none. And the filters are one expression, of which the planner takes half
/// to fit: by themselves each looks as if it left next to nothing, which could as well be sorted.
async fn list_of_kind(
    connection: &mut Session,
    merchant: MerchantId,
    kind: Kind,
    filter: &Filter,
    limit: i64,
) -> Result<Vec<Order>, StoreError> {
    let rows = sqlx::query_as!(
        OrderRow,
        "SELECT * FROM orders
         WHERE merchant_id = $1 AND kind >= $2
           AND (kind, order_id) < ($2, coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
           AND coalesce(($4::text[] IS NULL OR status = ANY($4))
                    AND ($5::text IS NULL OR provider = $5)
                    AND ($6::text IS NULL OR coin = $6)
                    AND ($7::timestamptz IS NULL OR created_at >= $7)
                    AND ($8::timestamptz IS NULL OR created_at < $8), false)
         ORDER BY kind DESC, order_id DESC
         LIMIT $9",
        merchant.0,
        kind.to_string(),
        filter.starting_after.map(|order| order.0),
        filter.status.as_deref(),
        filter.provider,
        filter.coin,
        filter.created_gte,
        filter.created_lt,
        limit,
    )
    .fetch_all(connection)
    .await?;
    orders(rows)
}

/// The same by a customer's own orders, which are few.
async fn list_of_customer(
    connection: &mut Session,
    merchant: MerchantId,
    kind: Kind,
    (customer, filter): (&str, &Filter),
    limit: i64,
) -> Result<Vec<Order>, StoreError> {
    let rows = sqlx::query_as!(
        OrderRow,
        "SELECT * FROM orders
         WHERE merchant_id = $1 AND customer >= $2
           AND (customer, order_id) < ($2, coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
           AND coalesce(kind = $4
                    AND ($5::text[] IS NULL OR status = ANY($5))
                    AND ($6::text IS NULL OR provider = $6)
                    AND ($7::text IS NULL OR coin = $7)
                    AND ($8::timestamptz IS NULL OR created_at >= $8)
                    AND ($9::timestamptz IS NULL OR created_at < $9), false)
         ORDER BY customer DESC, order_id DESC
         LIMIT $10",
        merchant.0,
        customer,
        filter.starting_after.map(|order| order.0),
        kind.to_string(),
        filter.status.as_deref(),
        filter.provider,
        filter.coin,
        filter.created_gte,
        filter.created_lt,
        limit,
    )
    .fetch_all(connection)
    .await?;
    orders(rows)
}
