//! `wallet_links`: customers' accounts at providers, with their tokens.

use time::OffsetDateTime;

use super::rows::parsed;
use super::session::Session;
use super::{StoreError, audit};
use crate::domain::audit::Entry;
use crate::domain::ids::{CustomerId, EventId, MerchantId};
use crate::domain::order::Provider;

/// The tokens of a link, sealed, with what decides about their use.
#[derive(Clone, Debug)]
pub struct TokenRow {
    /// The provider's id of the user.
    pub provider_user: String,
    /// Both tokens, sealed.
    pub sealed_tokens: Vec<u8>,
    /// Counts token exchanges.
    pub generation: i64,
    /// When the access token dies.
    pub access_expires_at: OffsetDateTime,
    /// When it should be fetched anew.
    pub refresh_at: OffsetDateTime,
}

impl TokenRow {
    /// From the columns of an outer join.
    pub fn from_columns(
        provider_user: Option<String>,
        sealed_tokens: Option<Vec<u8>>,
        generation: Option<i64>,
        access_expires_at: Option<OffsetDateTime>,
        refresh_at: Option<OffsetDateTime>,
    ) -> Option<Self> {
        Some(Self {
            provider_user: provider_user?,
            sealed_tokens: sealed_tokens?,
            generation: generation?,
            access_expires_at: access_expires_at?,
            refresh_at: refresh_at?,
        })
    }
}

/// A link, without its tokens.
#[derive(Clone, Debug)]
pub struct LinkRow {
    /// The provider.
    pub provider: Provider,
    /// The provider's id of the user.
    pub provider_user: String,
    /// `active` or `expired`.
    pub status: String,
    /// When it was made.
    pub linked_at: OffsetDateTime,
    /// When its tokens cannot be renewed any more.
    pub refresh_expires_at: OffsetDateTime,
}

/// New tokens of a link, sealed, with their times.
#[derive(Clone, Debug)]
pub struct NewTokens<'a> {
    /// Both tokens, sealed.
    pub sealed_tokens: &'a [u8],
    /// When the access token dies.
    pub access_expires_at: OffsetDateTime,
    /// When the refresh token dies.
    pub refresh_expires_at: OffsetDateTime,
    /// When the access token should be fetched anew.
    pub refresh_at: OffsetDateTime,
}

/// A link is named by these three.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LinkKey {
    /// The merchant.
    pub merchant_id: MerchantId,
    /// Its customer.
    pub customer: CustomerId,
    /// The provider.
    pub provider: Provider,
}

/// Writes a link, or links anew. `false` if the wallet account is another customer's, and not to be `shared`.
pub async fn put(
    connection: &mut Session,
    key: &LinkKey,
    provider_user: &str,
    shared: bool,
    tokens: &NewTokens<'_>,
    now: OffsetDateTime,
    entry: &Entry,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "WITH old AS (
             SELECT provider_user, status FROM wallet_links WHERE merchant_id = $1 AND customer = $2 AND provider = $3 FOR UPDATE
         ), n AS (
             INSERT INTO wallet_links (merchant_id, customer, provider, provider_user, status, sealed_tokens, generation,
                                       access_expires_at, refresh_expires_at, refresh_at, linked_at, last_used_at, exclusive)
             -- Counting makes it come after: what was before is read before it is written over.
             SELECT $1, $2, $3, $4, 'active', $5, 1, $6, $7, $8, $9, $9, NOT $10 WHERE (SELECT count(*) FROM old) >= 0
             ON CONFLICT ON CONSTRAINT a_customer_has_one_link_to_a_provider DO UPDATE SET
                 provider_user = excluded.provider_user, status = 'active', sealed_tokens = excluded.sealed_tokens,
                 generation = wallet_links.generation + 1, access_expires_at = excluded.access_expires_at,
                 refresh_expires_at = excluded.refresh_expires_at, refresh_at = excluded.refresh_at, refresh_lease = NULL,
                 linked_at = excluded.linked_at, last_used_at = excluded.last_used_at, exclusive = excluded.exclusive
             RETURNING provider_user, status
         )
         INSERT INTO audit_log SELECT r.* FROM n LEFT JOIN old ON true,
             json_populate_record(NULL::audit_log, ($11::text::jsonb || jsonb_build_object(
                 'before', CASE WHEN old.status IS NOT NULL
                                THEN jsonb_build_object('provider_user', old.provider_user, 'status', old.status) END,
                 'after', jsonb_build_object('provider_user', n.provider_user, 'status', n.status)))::json) r",
        key.merchant_id.0,
        key.customer.as_str(),
        key.provider.to_string(),
        provider_user,
        tokens.sealed_tokens,
        tokens.access_expires_at,
        tokens.refresh_expires_at,
        tokens.refresh_at,
        now,
        shared,
        audit::document(entry)?,
    )
    .execute(connection)
    .await;
    match done {
        Ok(_) => Ok(true),
        Err(sqlx::Error::Database(error)) if error.constraint() == Some("a_wallet_account_is_linked_to_one_customer") => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The links of a customer.
pub async fn of_customer(connection: &mut Session, merchant: MerchantId, customer: &CustomerId) -> Result<Vec<LinkRow>, StoreError> {
    let rows = sqlx::query!(
        "SELECT provider, provider_user, status, linked_at, refresh_expires_at FROM wallet_links
         WHERE merchant_id = $1 AND customer = $2 ORDER BY provider",
        merchant.0,
        customer.as_str(),
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(LinkRow {
                provider: parsed(row.provider.parse().ok(), "provider", &row.provider)?,
                provider_user: row.provider_user,
                status: row.status,
                linked_at: row.linked_at,
                refresh_expires_at: row.refresh_expires_at,
            })
        })
        .collect()
}

/// The customer whose active link leads to this wallet account, the one used last.
pub async fn customer_of(
    connection: &mut Session,
    merchant: MerchantId,
    provider: Provider,
    provider_user: &str,
) -> Result<Option<CustomerId>, StoreError> {
    let row = sqlx::query_scalar!(
        "SELECT customer FROM wallet_links
         WHERE merchant_id = $1 AND provider = $2 AND provider_user = $3 AND status = 'active'
         ORDER BY last_used_at DESC LIMIT 1",
        merchant.0,
        provider.to_string(),
        provider_user,
    )
    .fetch_optional(connection)
    .await?;
    row.map(|text| parsed(CustomerId::parse(&text).ok(), "customer", "")).transpose()
}

/// The tokens of an active link.
pub async fn tokens(connection: &mut Session, key: &LinkKey) -> Result<Option<TokenRow>, StoreError> {
    let row = sqlx::query_as!(
        TokenRow,
        "SELECT provider_user, sealed_tokens, generation, access_expires_at, refresh_at FROM wallet_links
         WHERE merchant_id = $1 AND customer = $2 AND provider = $3 AND status = 'active'",
        key.merchant_id.0,
        key.customer.as_str(),
        key.provider.to_string(),
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// Takes the right to refresh a link's tokens until `until`. `false` if somebody else has it, or the
/// tokens are newer than the generation that was read.
pub async fn claim_refresh(
    connection: &mut Session,
    key: &LinkKey,
    generation: i64,
    now: OffsetDateTime,
    until: OffsetDateTime,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE wallet_links SET refresh_lease = $6
         WHERE merchant_id = $1 AND customer = $2 AND provider = $3 AND generation = $4 AND status = 'active'
           AND (refresh_lease IS NULL OR refresh_lease <= $5)",
        key.merchant_id.0,
        key.customer.as_str(),
        key.provider.to_string(),
        generation,
        now,
        until,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes refreshed tokens over the generation that was refreshed. `false` if the link changed meanwhile.
pub async fn put_refreshed(connection: &mut Session, key: &LinkKey, generation: i64, tokens: &NewTokens<'_>) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE wallet_links SET sealed_tokens = $5, generation = generation + 1, access_expires_at = $6, refresh_expires_at = $7,
                                 refresh_at = $8, refresh_lease = NULL
         WHERE merchant_id = $1 AND customer = $2 AND provider = $3 AND generation = $4",
        key.merchant_id.0,
        key.customer.as_str(),
        key.provider.to_string(),
        generation,
        tokens.sealed_tokens,
        tokens.access_expires_at,
        tokens.refresh_expires_at,
        tokens.refresh_at,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives the right to refresh back, to be tried again at `refresh_at`.
pub async fn release_refresh(
    connection: &mut Session,
    key: &LinkKey,
    generation: i64,
    refresh_at: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE wallet_links SET refresh_lease = NULL, refresh_at = $5
         WHERE merchant_id = $1 AND customer = $2 AND provider = $3 AND generation = $4",
        key.merchant_id.0,
        key.customer.as_str(),
        key.provider.to_string(),
        generation,
        refresh_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Marks a link whose tokens the provider refuses as expired, with the event that tells the merchant.
pub async fn expire(
    connection: &mut Session,
    key: &LinkKey,
    generation: i64,
    (event_id, event): (EventId, &str),
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH ended AS (
             UPDATE wallet_links SET status = 'expired', refresh_lease = NULL
             WHERE merchant_id = $1 AND customer = $2 AND provider = $3 AND generation = $4 AND status = 'active'
             RETURNING 1
         )
         INSERT INTO events (merchant_id, event_id, event_type, body, created_at)
         SELECT $1, $5, 'link.expired', $6::text::json, $7 FROM ended",
        key.merchant_id.0,
        key.customer.as_str(),
        key.provider.to_string(),
        generation,
        event_id.0,
        event,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets a link and its tokens. `false` if there was none.
pub async fn delete(connection: &mut Session, key: &LinkKey, entry: &Entry) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "WITH gone AS (
             DELETE FROM wallet_links WHERE merchant_id = $1 AND customer = $2 AND provider = $3 RETURNING provider_user, status
         )
         INSERT INTO audit_log SELECT r.* FROM gone, json_populate_record(NULL::audit_log, ($4::text::jsonb || jsonb_build_object(
             'before', jsonb_build_object('provider_user', gone.provider_user, 'status', gone.status)))::json) r",
        key.merchant_id.0,
        key.customer.as_str(),
        key.provider.to_string(),
        audit::document(entry)?,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Links whose access token should be fetched anew: in use since `used_since`, or about to lose
/// their refresh token before `refresh_ends_before`.
pub async fn due_for_refresh(
    connection: &mut Session,
    now: OffsetDateTime,
    used_since: OffsetDateTime,
    refresh_ends_before: OffsetDateTime,
    limit: i64,
) -> Result<Vec<LinkKey>, StoreError> {
    let rows = sqlx::query!(
        "SELECT merchant_id, customer, provider FROM wallet_links
         WHERE status = 'active' AND refresh_at <= $1 AND (refresh_lease IS NULL OR refresh_lease <= $1)
           AND (last_used_at >= $2 OR refresh_expires_at <= $3)
         ORDER BY refresh_at
         LIMIT $4",
        now,
        used_since,
        refresh_ends_before,
        limit,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(LinkKey {
                merchant_id: MerchantId(row.merchant_id),
                customer: parsed(CustomerId::parse(&row.customer).ok(), "customer", "")?,
                provider: parsed(row.provider.parse().ok(), "provider", &row.provider)?,
            })
        })
        .collect()
}
