//! `youliao_authorizations`: what Youliao was asked, and what became of it.

use time::OffsetDateTime;

use super::StoreError;
use super::rows::parsed;
use super::session::Session;
use crate::domain::authorization::Status;
use crate::domain::ids::{AuthorizationId, MerchantId};
use crate::domain::money::Amount;

/// What may be seen of an authorisation.
#[derive(Clone, Debug, PartialEq)]
pub struct AuthorizationRow {
    /// Its id.
    pub id: AuthorizationId,
    /// What became of it.
    pub status: Status,
    /// The end of the mobile number.
    pub mobile_last_four: String,
    /// The end of the identity number.
    pub identity_last_four: String,
    /// The name but for its first character.
    pub name_masked: String,
    /// How much, in yuan.
    pub amount: Amount,
    /// When it was asked for.
    pub created_at: OffsetDateTime,
}

/// An authorisation that is about to be asked for.
#[derive(Clone, Debug)]
pub struct NewAuthorization<'a> {
    /// Who asks.
    pub merchant_id: MerchantId,
    /// What may be seen of it.
    pub row: &'a AuthorizationRow,
    /// The keyed hash of the mobile number.
    pub mobile_tag: [u8; 32],
    /// The keyed hash of the identity number.
    pub identity_tag: [u8; 32],
}

/// Writes an authorisation down before the call.
pub async fn insert(connection: &mut Session, new: &NewAuthorization<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO youliao_authorizations (merchant_id, authorization_id, status, mobile_tag, identity_tag, mobile_last_four,
             identity_last_four, name_masked, amount, created_at)
         VALUES ($1, $2, 'unknown', $3, $4, $5, $6, $7, $8, $9)",
        new.merchant_id.0,
        new.row.id.0,
        &new.mobile_tag,
        &new.identity_tag,
        new.row.mobile_last_four,
        new.row.identity_last_four,
        new.row.name_masked,
        new.row.amount.to_decimal(),
        new.row.created_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes down what the answer says: granted or refused.
pub async fn answer(
    connection: &mut Session,
    merchant: MerchantId,
    id: AuthorizationId,
    status: Status,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE youliao_authorizations SET status = $3, answered_at = $4
         WHERE merchant_id = $1 AND authorization_id = $2 AND status = 'unknown'",
        merchant.0,
        id.0,
        status.to_string(),
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Authorisations of a merchant, newest first.
pub async fn list(
    connection: &mut Session,
    merchant: MerchantId,
    starting_after: Option<AuthorizationId>,
    limit: i64,
) -> Result<Vec<AuthorizationRow>, StoreError> {
    let rows = sqlx::query!(
        "SELECT authorization_id, status, mobile_last_four, identity_last_four, name_masked, amount, created_at
         FROM youliao_authorizations
         WHERE merchant_id = $1 AND ($2::uuid IS NULL OR authorization_id < $2)
         ORDER BY authorization_id DESC
         LIMIT $3",
        merchant.0,
        starting_after.map(|id| id.0),
        limit,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(AuthorizationRow {
                id: AuthorizationId(row.authorization_id),
                status: parsed(row.status.parse().ok(), "status", &row.status)?,
                mobile_last_four: row.mobile_last_four,
                identity_last_four: row.identity_last_four,
                name_masked: row.name_masked,
                amount: parsed(Amount::from_decimal(row.amount), "amount", &row.amount.to_string())?,
                created_at: row.created_at,
            })
        })
        .collect()
}
