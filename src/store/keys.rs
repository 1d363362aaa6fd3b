//! `api_keys`.

use time::OffsetDateTime;

use super::session::Session;
use super::{StoreError, audit};
use crate::domain::audit::Entry;
use crate::domain::ids::{KeyId, MerchantId};

/// A key as it is stored: the key itself is nowhere.
#[derive(Clone, Debug)]
pub struct KeyRow {
    /// Whose key it is.
    pub merchant_id: MerchantId,
    /// Its id.
    pub id: KeyId,
    /// Its start, for people.
    pub prefix: String,
    /// What people call it. Absent: it was made without a name.
    pub name: Option<String>,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Networks that it may be used from; empty means any.
    pub allow_ips: Vec<String>,
    /// Absent: it does not expire.
    pub expires_at: Option<OffsetDateTime>,
}

/// Writes a new key.
pub async fn insert(connection: &mut Session, key: &KeyRow, hash: &[u8], now: OffsetDateTime, entry: &Entry) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH l AS (
             INSERT INTO audit_log SELECT r.* FROM json_populate_record(NULL::audit_log, $10::text::json) r
         )
         INSERT INTO api_keys (merchant_id, key_id, prefix, key_hash, scopes, allow_ips, created_at, expires_at, name)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        key.merchant_id.0,
        key.id.0,
        key.prefix,
        hash,
        &key.scopes,
        &key.allow_ips,
        now,
        key.expires_at,
        key.name,
        audit::document(entry)?,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The live key with one of these hashes (one for each vault key that is still honoured).
pub async fn by_hash(connection: &mut Session, hashes: &[Vec<u8>]) -> Result<Option<KeyRow>, StoreError> {
    let row = sqlx::query!(
        "SELECT merchant_id, key_id, prefix, name, scopes, allow_ips, expires_at FROM api_keys
         WHERE key_hash = ANY($1) AND revoked_at IS NULL",
        hashes,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| KeyRow {
        merchant_id: MerchantId(row.merchant_id),
        id: KeyId(row.key_id),
        prefix: row.prefix,
        name: row.name,
        scopes: row.scopes,
        allow_ips: row.allow_ips,
        expires_at: row.expires_at,
    }))
}

/// Revokes a merchant's live keys whose id or prefix is this; `entry` is written for each of them. Says how many there were.
pub async fn revoke(
    connection: &mut Session,
    merchant: MerchantId,
    key: Option<KeyId>,
    prefix: &str,
    now: OffsetDateTime,
    entry: &Entry,
) -> Result<i64, StoreError> {
    let revoked = sqlx::query_scalar!(
        r#"WITH k AS (
             UPDATE api_keys SET revoked_at = $4 WHERE merchant_id = $1 AND (key_id = $2 OR prefix = $3) AND revoked_at IS NULL
             RETURNING key_id, prefix, name
         ), l AS (
             INSERT INTO audit_log SELECT r.* FROM k, json_populate_record(NULL::audit_log, ($5::text::jsonb || jsonb_build_object(
                 'subject_id', 'key_' || replace(k.key_id::text, '-', ''),
                 'before', jsonb_build_object('prefix', k.prefix, 'name', k.name, 'revoked', false),
                 'after', jsonb_build_object('revoked', true)))::json) r
         )
         SELECT count(*) AS "revoked!" FROM k"#,
        merchant.0,
        key.map(|key| key.0),
        prefix,
        now,
        audit::document(entry)?,
    )
    .fetch_one(connection)
    .await?;
    Ok(revoked)
}

/// The channel on which processes tell each other that merchants, accounts or keys have changed.
pub const CHANGES: &str = "tillgate_accounts";

/// Tells all processes to forget the keys and accounts that they remember.
pub async fn announce_change(connection: &mut Session) -> Result<(), StoreError> {
    sqlx::query!("NOTIFY tillgate_accounts").execute(connection).await?;
    Ok(())
}
