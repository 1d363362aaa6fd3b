//! `orders`: creating and reading them. Changing them is the business of [`super::record`].

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use super::links::TokenRow;
use super::rows::{OrderRow, json, orders};
use crate::domain::agenda::Task;
use crate::domain::ids::{AttemptId, CustomerId, EventId, MerchantId, OrderId, TradeId};
use crate::domain::order::{Kind, Order};

/// A new order with all that is written with it.
#[derive(Debug)]
pub struct NewOrder<'a> {
    /// The order, at its first place and sequence 1.
    pub order: &'a Order,
    /// SHA-256 of what was asked.
    pub fingerprint: &'a [u8],
    /// The event of its first step.
    pub event_id: EventId,
    /// That event's type and body.
    pub event: (&'a str, &'a str),
    /// Why there is a first step: who asked for the order.
    pub reason: &'a str,
    /// What is to be done next.
    pub task: Task,
    /// The first attempt, where the caller sends it at once, and until when the caller keeps the task.
    pub attempt: Option<(AttemptId, OffsetDateTime)>,
    /// Where the customer's browser goes after it has paid.
    pub return_url: Option<&'a str>,
    /// What the customer must have at the provider: without it nothing is written.
    pub needs: Need,
}

/// What an order needs its customer to have at the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// An account that is open to us.
    Link,
    /// An account that the provider keeps for us.
    User,
}

/// What became of a new order.
#[derive(Debug)]
pub struct Created {
    /// It was written; else the trade id was there before.
    pub inserted: bool,
    /// What the order with this trade id asked for.
    pub fingerprint: Vec<u8>,
    /// The customer's link. Absent where none is needed.
    pub link: Option<TokenRow>,
    /// The provider's id of the customer's user. Absent where none is needed.
    pub user: Option<String>,
    /// Where the customer pays this coin in, if that was asked before.
    pub address: Option<String>,
}

/// Writes a new order with its first step, event, task and attempt, in one statement. Where the
/// trade id was used before, nothing is written but a touch of that order's row, so that the answer
/// waits for the row to be as durable as a new one. `None` if the customer lacks what is needed.
pub async fn create(connection: &mut PgConnection, new: &NewOrder<'_>) -> Result<Option<Created>, StoreError> {
    let order = new.order;
    let row = sqlx::query!(
        r#"
        WITH link AS (
            SELECT provider_user, sealed_tokens, generation, access_expires_at, refresh_at
            FROM wallet_links
            WHERE $1 AND merchant_id = $2 AND customer = $3 AND provider = $4 AND status = 'active'
        ), payer AS (
            SELECT u.provider_user, a.address
            FROM wallet_users u
            LEFT JOIN deposit_addresses a ON a.merchant_id = u.merchant_id AND a.customer = u.customer AND a.provider = u.provider
                                             AND a.provider_coin_id = $11
            WHERE $28 AND u.merchant_id = $2 AND u.customer = $3 AND u.provider = $4
        ), o AS (
            INSERT INTO orders (
                merchant_id, order_id, trade_id, kind, provider, status, stage, sequence, coin, provider_coin_id, decimals,
                amount, tolerance, amount_received, amount_confirmed, late, customer, destination, provider_user, source_user, next_action,
                doubts, is_final, expires_at, metadata, fingerprint, created_at, updated_at, return_url)
            SELECT $2, $5, $6, $7, $4, $8, $9, 1, $10, $11, $12, $13, $29, 0, 0, false, $3, $14,
                   coalesce($15, (SELECT provider_user FROM link), (SELECT provider_user FROM payer)), $30, $16,
                   0, false, $17, $18::text::json, $19, $20, $20, $31
            WHERE (NOT $1 OR EXISTS (SELECT FROM link)) AND (NOT $28 OR EXISTS (SELECT FROM payer))
            ON CONFLICT ON CONSTRAINT a_trade_id_is_used_once DO UPDATE SET trade_id = excluded.trade_id
            RETURNING order_id, fingerprint, order_id = $5 AS inserted
        ), used AS (
            -- Links in use are kept fresh; to the hour is exact enough.
            UPDATE wallet_links SET last_used_at = $20
            WHERE $1 AND merchant_id = $2 AND customer = $3 AND provider = $4 AND last_used_at < $20 - interval '1 hour'
        ), s AS (
            INSERT INTO steps (merchant_id, order_id, sequence, status, stage, channel, reason, created_at)
            SELECT $2, $5, 1, $8, $9, 'merchant', $32, $20 FROM o WHERE inserted
        ), e AS (
            INSERT INTO events (merchant_id, event_id, event_type, order_id, sequence, body, created_at)
            SELECT $2, $21, $22, $5, 1, $23::text::json, $20 FROM o WHERE inserted
        ), t AS (
            INSERT INTO tasks (merchant_id, order_id, work, due_at, tries, leased_until)
            SELECT $2, $5, $24, $25, 0, $27 FROM o WHERE inserted
        ), a AS (
            INSERT INTO attempts (merchant_id, attempt_id, order_id, state, started_at, leased_until)
            SELECT $2, $26, $5, 'open', $20, $27 FROM o WHERE inserted AND $26::uuid IS NOT NULL
        )
        SELECT o.inserted AS "inserted!", o.fingerprint AS "fingerprint!", link.provider_user AS "provider_user?",
               link.sealed_tokens AS "sealed_tokens?", link.generation AS "generation?",
               link.access_expires_at AS "access_expires_at?", link.refresh_at AS "refresh_at?",
               payer.provider_user AS "payer?", payer.address AS "address?"
        FROM o LEFT JOIN link ON true LEFT JOIN payer ON true
        "#,
        new.needs == Need::Link,
        order.merchant_id.0,
        order.customer.as_ref().map(CustomerId::as_str),
        order.provider.to_string(),
        order.id.0,
        order.trade_id.as_str(),
        order.kind.to_string(),
        order.state.status(),
        order.state.stage(),
        order.coin,
        order.provider_coin_id,
        i32::try_from(order.decimals).unwrap_or(i32::MAX),
        order.amount.to_decimal(),
        json(order.destination.as_ref())?,
        order.provider_user,
        json(order.next_action.as_ref())?,
        order.expires_at,
        // As text: sent as a value it would be jsonb, which writes numbers out in full and refuses large ones.
        order.metadata.as_ref().map(ToString::to_string),
        new.fingerprint,
        order.created_at,
        new.event_id.0,
        new.event.0,
        new.event.1,
        new.task.work.to_string(),
        new.task.due_at,
        new.attempt.map(|(attempt, _)| attempt.0),
        new.attempt.map(|(_, until)| until),
        new.needs == Need::User,
        order.tolerance.to_decimal(),
        order.source_user,
        new.return_url,
        new.reason,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| Created {
        inserted: row.inserted,
        fingerprint: row.fingerprint,
        link: TokenRow::from_columns(row.provider_user, row.sealed_tokens, row.generation, row.access_expires_at, row.refresh_at),
        user: row.payer,
        address: row.address,
    }))
}

/// The order with this trade id, and what it asked for.
pub async fn by_trade_id(
    connection: &mut PgConnection,
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
pub async fn by_id(connection: &mut PgConnection, merchant: MerchantId, order: OrderId) -> Result<Option<Order>, StoreError> {
    let row = sqlx::query_as!(OrderRow, "SELECT * FROM orders WHERE merchant_id = $1 AND order_id = $2", merchant.0, order.0)
        .fetch_optional(connection)
        .await?;
    row.map(Order::try_from).transpose()
}

/// Where the customer's browser goes after it has paid an order.
pub async fn return_url(connection: &mut PgConnection, merchant: MerchantId, order: OrderId) -> Result<Option<String>, StoreError> {
    let row = sqlx::query_scalar!("SELECT return_url FROM orders WHERE merchant_id = $1 AND order_id = $2", merchant.0, order.0)
        .fetch_optional(connection)
        .await?;
    Ok(row.flatten())
}

/// Orders by their ids, in one statement.
pub async fn by_ids(connection: &mut PgConnection, ids: &[(MerchantId, OrderId)]) -> Result<Vec<Order>, StoreError> {
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

/// Deposits that are not final of these customers in these coins, and these orders, in one statement.
pub async fn deposits_for(
    connection: &mut PgConnection,
    merchant: MerchantId,
    provider: &str,
    (customers, provider_coins): (&[String], &[String]),
    ids: &[Uuid],
) -> Result<Vec<Order>, StoreError> {
    let rows = sqlx::query_as!(
        OrderRow,
        "WITH wanted AS (
             SELECT order_id FROM orders
             WHERE merchant_id = $1 AND kind = 'deposit' AND NOT is_final AND provider = $2
               AND (customer, provider_coin_id) IN (SELECT * FROM unnest($3::text[], $4::text[]))
             UNION
             SELECT unnest($5::uuid[])
         )
         SELECT o.* FROM wanted JOIN orders o ON o.merchant_id = $1 AND o.order_id = wanted.order_id",
        merchant.0,
        provider,
        customers,
        provider_coins,
        ids,
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
    connection: &mut PgConnection,
    merchant: MerchantId,
    kind: Kind,
    filter: &Filter,
    limit: i64,
) -> Result<Vec<Order>, StoreError> {
    let rows = sqlx::query_as!(
        OrderRow,
        "SELECT * FROM orders
         WHERE merchant_id = $1 AND kind = $2
           AND ($3::uuid IS NULL OR order_id < $3)
           AND ($4::text[] IS NULL OR status = ANY($4))
           AND ($5::text IS NULL OR provider = $5)
           AND ($6::text IS NULL OR customer = $6)
           AND ($7::text IS NULL OR coin = $7)
           AND ($8::timestamptz IS NULL OR created_at >= $8)
           AND ($9::timestamptz IS NULL OR created_at < $9)
         ORDER BY order_id DESC
         LIMIT $10",
        merchant.0,
        kind.to_string(),
        filter.starting_after.map(|order| order.0),
        filter.status.as_deref(),
        filter.provider,
        filter.customer,
        filter.coin,
        filter.created_gte,
        filter.created_lt,
        limit,
    )
    .fetch_all(connection)
    .await?;
    orders(rows)
}
