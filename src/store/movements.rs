//! `movements`, `books`, `day_balances`: what moved, and what it adds up to. Only the database's own triggers write
//! movements (migration 9); here they are read, and the books are closed.

use rust_decimal::Decimal;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use super::rows::parsed;
use super::session::Session;
use crate::domain::ids::{MerchantId, MovementId, ReceiptId};
use crate::domain::statement::{Holdings, Movement, Period, Sum};

/// Closes a merchant's books until then: nothing is booked before that any more. Waits for what is being booked now.
pub async fn close(connection: &mut Session, merchant: MerchantId, until: OffsetDateTime) -> Result<(), StoreError> {
    sqlx::query!(r#"SELECT close_books($1, $2) AS "closed_until!""#, merchant.0, until).fetch_one(connection).await?;
    Ok(())
}

/// Adds up the closed days that are not added up yet.
pub async fn sum_days(connection: &mut Session, merchant: MerchantId) -> Result<(), StoreError> {
    sqlx::query!(r#"SELECT sum_days($1) AS "summed_until!""#, merchant.0).fetch_one(connection).await?;
    Ok(())
}

/// What all movements before `at` come to, of one coin or of all. What is in closed days is not added up again.
pub async fn holdings(
    connection: &mut Session,
    merchant: MerchantId,
    coin: Option<&str>,
    at: OffsetDateTime,
) -> Result<Holdings, StoreError> {
    let rows = sqlx::query!(
        r#"WITH base AS (
               SELECT least(coalesce(max(b.summed_until), '1970-01-01'), ($3::timestamptz AT TIME ZONE 'UTC')::date) AS day
               FROM books b WHERE b.merchant_id = $1
           ), known AS (
               SELECT DISTINCT ON (d.provider, d.coin) d.provider, d.coin, d.balance AS amount
               FROM day_balances d, base
               WHERE d.merchant_id = $1 AND d.day < base.day AND ($2::text IS NULL OR d.coin = $2)
               ORDER BY d.provider, d.coin, d.day DESC
           ), since AS (
               SELECT m.provider, m.coin, sum(m.amount) AS amount
               FROM movements m
               WHERE m.merchant_id = $1 AND ($2::text IS NULL OR m.coin = $2)
                 AND m.movement_id > (SELECT movement_floor(base.day::timestamp AT TIME ZONE 'UTC') FROM base)
                 AND m.movement_id < movement_floor($3)
               GROUP BY m.provider, m.coin
           )
           SELECT provider AS "provider!", coin AS "coin!", sum(amount)::text AS "amount!"
           FROM (SELECT * FROM known UNION ALL SELECT * FROM since) AS both_parts
           GROUP BY provider, coin"#,
        merchant.0,
        coin,
        at,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(|row| Ok(((row.provider, row.coin), parsed(Sum::parse(&row.amount), "sum", &row.amount)?))).collect()
}

/// A row of `movements`.
#[derive(Debug)]
struct MovementRow {
    movement_id: Uuid,
    booked_at: OffsetDateTime,
    kind: String,
    provider: String,
    coin: String,
    amount: Decimal,
    customer: Option<String>,
    trade_id: Option<String>,
    receipt_id: Option<Uuid>,
}

/// Movements of a period after the last one seen, oldest first, at most `limit`; of one coin or of all.
pub async fn page(
    connection: &mut Session,
    merchant: MerchantId,
    coin: Option<&str>,
    period: Period,
    after: Option<MovementId>,
    limit: i64,
) -> Result<Vec<Movement>, StoreError> {
    let rows = sqlx::query_as!(
        MovementRow,
        "SELECT m.movement_id, m.booked_at, m.kind, m.provider, m.coin, m.amount, m.customer, m.trade_id, m.receipt_id
         FROM movements m
         WHERE m.merchant_id = $1 AND m.movement_id > coalesce($2, movement_floor($3)) AND m.movement_id < movement_floor($4)
           AND ($5::text IS NULL OR m.coin = $5)
         ORDER BY m.movement_id
         LIMIT $6",
        merchant.0,
        after.map(|id| id.0),
        period.from,
        period.to,
        coin,
        limit,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(movement).collect()
}

fn movement(row: MovementRow) -> Result<Movement, StoreError> {
    Ok(Movement {
        id: MovementId(row.movement_id),
        booked_at: row.booked_at,
        kind: row.kind,
        provider: row.provider,
        coin: row.coin,
        amount: parsed(Sum::of(row.amount), "amount", "")?,
        customer: row.customer,
        trade_id: row.trade_id,
        receipt: row.receipt_id.map(|id| ReceiptId(id).to_string()),
    })
}
