//! `merchants`, `provider_accounts` and `coin_lists`.

use serde_json::Value;
use time::OffsetDateTime;

use super::rows::parsed;
use super::session::Session;
use super::{StoreError, audit};
use crate::domain::audit::Entry;
use crate::domain::ids::MerchantId;
use crate::domain::order::Provider;

/// A merchant as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MerchantRow {
    /// Its id.
    pub id: MerchantId,
    /// Its name, which the operator uses.
    pub name: String,
    /// Origins that browsers may be sent back to.
    pub return_origins: Vec<String>,
}

/// Writes a merchant, or what changed of it; `entry` tells of it, if anything did. Gives the id that it has.
pub async fn put_merchant(
    connection: &mut Session,
    new_id: MerchantId,
    name: &str,
    return_origins: &[String],
    now: OffsetDateTime,
    entry: &Entry,
) -> Result<MerchantId, StoreError> {
    let id = sqlx::query_scalar!(
        r#"WITH old AS (
             SELECT merchant_id, return_origins FROM merchants WHERE name = $2 FOR NO KEY UPDATE
         ), m AS (
             INSERT INTO merchants (merchant_id, name, return_origins, created_at)
             -- Counting makes it come after: what was before is read before it is written over.
             SELECT $1, $2, $3, $4 WHERE (SELECT count(*) FROM old) >= 0
             ON CONFLICT ON CONSTRAINT a_merchant_name_is_taken_once DO UPDATE SET return_origins = excluded.return_origins
             RETURNING merchant_id, return_origins
         ), l AS (
             INSERT INTO audit_log SELECT r.* FROM m LEFT JOIN old ON true,
                 json_populate_record(NULL::audit_log, ($5::text::jsonb || jsonb_build_object(
                     'merchant_id', m.merchant_id,
                     'before', CASE WHEN old.merchant_id IS NOT NULL THEN jsonb_build_object('return_origins', old.return_origins) END,
                     'after', jsonb_build_object('return_origins', m.return_origins)))::json) r
             WHERE old.merchant_id IS NULL OR old.return_origins <> m.return_origins
         )
         SELECT merchant_id FROM m"#,
        new_id.0,
        name,
        return_origins,
        now,
        audit::document(entry)?,
    )
    .fetch_one(connection)
    .await?;
    Ok(MerchantId(id))
}

/// The merchant with this name.
pub async fn merchant_by_name(connection: &mut Session, name: &str) -> Result<Option<MerchantRow>, StoreError> {
    let row =
        sqlx::query!("SELECT merchant_id, name, return_origins FROM merchants WHERE name = $1", name).fetch_optional(connection).await?;
    Ok(row.map(|row| MerchantRow { id: MerchantId(row.merchant_id), name: row.name, return_origins: row.return_origins }))
}

/// Origins that a merchant's browsers may be sent back to.
pub async fn return_origins(connection: &mut Session, merchant: MerchantId) -> Result<Vec<String>, StoreError> {
    let row =
        sqlx::query_scalar!("SELECT return_origins FROM merchants WHERE merchant_id = $1", merchant.0).fetch_optional(connection).await?;
    Ok(row.unwrap_or_default())
}

/// All merchants, by name.
pub async fn merchants(connection: &mut Session) -> Result<Vec<MerchantRow>, StoreError> {
    let rows = sqlx::query!("SELECT merchant_id, name, return_origins FROM merchants ORDER BY name").fetch_all(connection).await?;
    Ok(rows
        .into_iter()
        .map(|row| MerchantRow { id: MerchantId(row.merchant_id), name: row.name, return_origins: row.return_origins })
        .collect())
}

/// A provider account as it is stored.
#[derive(Clone, Debug)]
pub struct AccountRow {
    /// The provider.
    pub provider: Provider,
    /// The account's document, sealed.
    pub sealed: Vec<u8>,
    /// It takes no new orders.
    pub disabled: bool,
}

/// The provider accounts of a merchant.
pub async fn accounts(connection: &mut Session, merchant: MerchantId) -> Result<Vec<AccountRow>, StoreError> {
    let rows =
        sqlx::query!("SELECT provider, sealed, disabled_at FROM provider_accounts WHERE merchant_id = $1 ORDER BY provider", merchant.0)
            .fetch_all(connection)
            .await?;
    rows.into_iter()
        .map(|row| {
            let provider = parsed(row.provider.parse().ok(), "provider", &row.provider)?;
            Ok(AccountRow { provider, sealed: row.sealed, disabled: row.disabled_at.is_some() })
        })
        .collect()
}

/// Writes a provider account and opens it to orders.
pub async fn put_account(
    connection: &mut Session,
    merchant: MerchantId,
    provider: Provider,
    sealed: &[u8],
    now: OffsetDateTime,
    entry: &Entry,
) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH l AS (
             INSERT INTO audit_log SELECT r.* FROM json_populate_record(NULL::audit_log, $5::text::json) r
         )
         INSERT INTO provider_accounts (merchant_id, provider, sealed, updated_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT ON CONSTRAINT a_merchant_has_one_account_at_a_provider DO UPDATE
         SET sealed = excluded.sealed, updated_at = excluded.updated_at, disabled_at = NULL",
        merchant.0,
        provider.to_string(),
        sealed,
        now,
        audit::document(entry)?,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Closes a provider account to new orders; what is open goes on.
pub async fn disable_account(
    connection: &mut Session,
    merchant: MerchantId,
    provider: Provider,
    now: OffsetDateTime,
    entry: &Entry,
) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH a AS (
             UPDATE provider_accounts SET disabled_at = $3 WHERE merchant_id = $1 AND provider = $2 AND disabled_at IS NULL
             RETURNING 1
         )
         INSERT INTO audit_log SELECT r.* FROM a, json_populate_record(NULL::audit_log, $4::text::json) r",
        merchant.0,
        provider.to_string(),
        now,
        audit::document(entry)?,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The last good list of coins, and when it was fetched.
pub async fn coin_list(
    connection: &mut Session,
    merchant: MerchantId,
    provider: Provider,
) -> Result<Option<(Value, OffsetDateTime)>, StoreError> {
    let row =
        sqlx::query!("SELECT coins, fetched_at FROM coin_lists WHERE merchant_id = $1 AND provider = $2", merchant.0, provider.to_string())
            .fetch_optional(connection)
            .await?;
    Ok(row.map(|row| (row.coins, row.fetched_at)))
}

/// Keeps a list of coins for the time when the provider is down.
pub async fn put_coin_list(
    connection: &mut Session,
    merchant: MerchantId,
    provider: Provider,
    coins: &Value,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO coin_lists (merchant_id, provider, coins, fetched_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT ON CONSTRAINT an_account_has_one_coin_list DO UPDATE SET coins = excluded.coins, fetched_at = excluded.fetched_at",
        merchant.0,
        provider.to_string(),
        coins,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// How many orders at an account still wait for something.
pub async fn open_orders(connection: &mut Session, merchant: MerchantId, provider: Provider) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM tasks JOIN orders USING (merchant_id, order_id)
           WHERE tasks.merchant_id = $1 AND orders.provider = $2"#,
        merchant.0,
        provider.to_string(),
    )
    .fetch_one(connection)
    .await?;
    Ok(count)
}

/// Accounts that take orders at these providers and whose list of coins is missing or older than that.
pub async fn stale_coin_lists(
    connection: &mut Session,
    providers: &[String],
    fetched_before: OffsetDateTime,
    limit: i64,
) -> Result<Vec<(MerchantId, Provider)>, StoreError> {
    let rows = sqlx::query!(
        "SELECT a.merchant_id, a.provider FROM provider_accounts a LEFT JOIN coin_lists c USING (merchant_id, provider)
         WHERE a.disabled_at IS NULL AND a.provider = ANY($1) AND (c.fetched_at IS NULL OR c.fetched_at < $2)
         ORDER BY c.fetched_at NULLS FIRST
         LIMIT $3",
        providers,
        fetched_before,
        limit,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(|row| Ok((MerchantId(row.merchant_id), parsed(row.provider.parse().ok(), "provider", &row.provider)?))).collect()
}
