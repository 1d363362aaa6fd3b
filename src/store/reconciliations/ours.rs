//! Our side of a comparison: orders of a period, where the wallet's list is to be begun, and what the payout account paid out.

use rust_decimal::Decimal;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{RunRow, first_id};
use crate::domain::order::{Order, Way};
use crate::store::StoreError;
use crate::store::rows::{OrderRow, orders};
use crate::store::session::Session;

/// Orders of a period that went a way, by their ids, after one of them, at most `limit`. Without a way: deposits that the
/// provider knows by a number.
pub async fn orders_of_period(
    connection: &mut Session,
    run: &RunRow,
    way: Option<Way>,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Order>, StoreError> {
    let (kind, to_address) = match way {
        Some(Way::ToAddress) => ("payout", Some(true)),
        Some(Way::ToUser) => ("payout", Some(false)),
        Some(Way::BetweenUsers) => ("transfer", None),
        None => ("deposit", None),
    };
    let rows = sqlx::query_as!(
        OrderRow,
        "SELECT * FROM orders
         WHERE merchant_id = $1 AND provider = $2 AND kind = $3 AND order_id > $4 AND order_id < $5
           AND ($6::boolean IS NULL OR (destination->>'type' = 'address') = $6)
           AND (kind <> 'deposit' OR provider_reference IS NOT NULL)
         ORDER BY order_id LIMIT $7",
        run.merchant_id,
        run.provider,
        kind,
        after.unwrap_or_else(|| first_id(run.period_from)),
        first_id(run.period_to),
        to_address,
        limit,
    )
    .fetch_all(connection)
    .await?;
    orders(rows)
}

/// The number before the first incoming movement that the provider saw in a period. `None`: there is none.
pub async fn number_before(connection: &mut Session, run: &RunRow) -> Result<Option<i64>, StoreError> {
    let number = sqlx::query_scalar!(
        "SELECT min(provider_receipt_id::bigint) - 1 FROM receipts
         WHERE merchant_id = $1 AND provider = $2 AND receipt_id >= $3 AND provider_user IS NOT NULL",
        run.merchant_id,
        run.provider,
        first_id(run.period_from),
    )
    .fetch_one(connection)
    .await?;
    Ok(number)
}

/// What has been paid out of an account in a coin since a time.
#[derive(Debug)]
pub struct PaidOut {
    /// The provider's id of the coin.
    pub provider_coin_id: String,
    /// How much, fees in the same coin included.
    pub amount: Decimal,
    /// Some of it had a fee that is not known to be in the same coin.
    pub other_fees: bool,
}

/// What the payouts of an account came to by coin, of orders made since.
pub async fn paid_out(connection: &mut Session, run: &RunRow, since: OffsetDateTime) -> Result<Vec<PaidOut>, StoreError> {
    let rows = sqlx::query_as!(
        PaidOut,
        r#"SELECT provider_coin_id, sum(amount) AS "amount!", bool_or(fee IS NULL AND destination->>'type' = 'address') AS "other_fees!"
           FROM orders
           WHERE merchant_id = $1 AND provider = $2 AND order_id >= $3 AND kind = 'payout' AND status = 'succeeded' AND final_at > $4
           GROUP BY 1"#,
        run.merchant_id,
        run.provider,
        first_id(since),
        since,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// Coins in which something is open or in doubt, or was begun since a time, so that no balance can be expected.
pub async fn coins_in_motion(connection: &mut Session, run: &RunRow, since: OffsetDateTime) -> Result<Vec<String>, StoreError> {
    let coins = sqlx::query_scalar!(
        r#"SELECT o.provider_coin_id AS "coin!" FROM tasks t JOIN orders o USING (merchant_id, order_id)
         WHERE t.merchant_id = $1 AND o.provider = $2 AND o.kind <> 'deposit'
         UNION
         SELECT o.provider_coin_id FROM discrepancies d JOIN orders o USING (merchant_id, order_id)
         WHERE d.merchant_id = $1 AND d.provider = $2 AND d.resolved_at IS NULL AND o.kind <> 'deposit'
         UNION
         SELECT provider_coin_id FROM orders WHERE merchant_id = $1 AND provider = $2 AND order_id >= $3 AND kind <> 'deposit'"#,
        run.merchant_id,
        run.provider,
        first_id(since),
    )
    .fetch_all(connection)
    .await?;
    Ok(coins)
}

/// What the last run that asked was told of the payout account.
pub async fn last_balances(connection: &mut Session, run: &RunRow) -> Result<Option<Value>, StoreError> {
    let found = sqlx::query_scalar!(
        r#"SELECT balances AS "balances!" FROM reconciliations
           WHERE merchant_id = $1 AND provider = $2 AND balances IS NOT NULL AND run_id <> $3
           ORDER BY finished_at DESC NULLS LAST, run_id DESC LIMIT 1"#,
        run.merchant_id,
        run.provider,
        run.run_id,
    )
    .fetch_optional(connection)
    .await?;
    Ok(found)
}
