//! `link_requests`: browsers on their way to a provider and back.

use time::OffsetDateTime;
use uuid::Uuid;

use super::links::LinkKey;
use super::rows::parsed;
use super::session::Session;
use super::{StoreError, audit};
use crate::domain::audit::Entry;
use crate::domain::ids::{CustomerId, MerchantId};
use crate::domain::order::Provider;

/// A browser that was sent to a provider.
#[derive(Debug)]
pub struct NewRequest<'a> {
    /// Its id.
    pub id: Uuid,
    /// The link to be made.
    pub key: &'a LinkKey,
    /// A keyed hash of the state.
    pub state_hash: &'a [u8],
    /// Where the browser goes in the end.
    pub return_url: &'a str,
    /// When it was sent.
    pub now: OffsetDateTime,
    /// Until when it may come back.
    pub expires_at: OffsetDateTime,
}

/// Keeps a request; those of the merchant that ended long ago go away.
pub async fn insert(connection: &mut Session, request: &NewRequest<'_>, entry: &Entry) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH old AS (
             DELETE FROM link_requests WHERE merchant_id = $1 AND expires_at < $7::timestamptz - interval '1 day'
         ), l AS (
             INSERT INTO audit_log SELECT r.* FROM json_populate_record(NULL::audit_log, $9::text::json) r
         )
         INSERT INTO link_requests (merchant_id, request_id, state_hash, customer, provider, return_url, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        request.key.merchant_id.0,
        request.id,
        request.state_hash,
        request.key.customer.as_str(),
        request.key.provider.to_string(),
        request.return_url,
        request.now,
        request.expires_at,
        audit::document(entry)?,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Uses up the request whose state has one of these hashes. `None` if there is none at this provider, or it was used before,
/// or is over.
pub async fn take(
    connection: &mut Session,
    provider: Provider,
    state_hashes: &[Vec<u8>],
    now: OffsetDateTime,
) -> Result<Option<(LinkKey, String)>, StoreError> {
    let row = sqlx::query!(
        "UPDATE link_requests SET used_at = $3
         WHERE state_hash = ANY($1) AND provider = $2 AND used_at IS NULL AND expires_at > $3
         RETURNING merchant_id, customer, return_url",
        state_hashes,
        provider.to_string(),
        now,
    )
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        let customer = parsed(CustomerId::parse(&row.customer).ok(), "customer", "")?;
        Ok((LinkKey { merchant_id: MerchantId(row.merchant_id), customer, provider }, row.return_url))
    })
    .transpose()
}
