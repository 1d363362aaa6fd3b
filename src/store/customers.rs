//! `customers`, `wallet_users` and `deposit_addresses`: the accounts that wallets keep for our customers.

use time::OffsetDateTime;

use super::rows::parsed;
use super::session::Session;
use super::{StoreError, audit};
use crate::domain::audit::Entry;
use crate::domain::ids::{CustomerId, MerchantId};
use crate::domain::order::Provider;

/// A customer with its accounts.
#[derive(Clone, Debug)]
pub struct CustomerRow {
    /// The keyed hash of the contact that it was registered with.
    pub contact_tag: Vec<u8>,
    /// When it was registered first.
    pub created_at: OffsetDateTime,
    /// Its accounts, by provider.
    pub users: Vec<UserRow>,
}

/// The account of a customer that a provider keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRow {
    /// The provider.
    pub provider: Provider,
    /// The provider's id of the user.
    pub provider_user: String,
    /// When it was registered.
    pub created_at: OffsetDateTime,
}

/// An account that a provider has just made or found for a customer.
#[derive(Clone, Debug)]
pub struct NewUser<'a> {
    /// The merchant.
    pub merchant_id: MerchantId,
    /// Its customer.
    pub customer: &'a CustomerId,
    /// The keyed hashes of the customer's contact, newest first: that one is kept.
    pub contact_tags: &'a [[u8; 32]],
    /// The provider.
    pub provider: Provider,
    /// The provider's id of the user.
    pub provider_user: &'a str,
}

/// What became of an account that was to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// It was written, with its customer where that was new.
    Written,
    /// The customer has an account there already.
    Before,
    /// The customer was registered with another contact: nothing was written.
    OtherContact,
    /// The account belongs to another customer: nothing was written.
    Taken,
}

/// Writes an account of a customer, and the customer where it is new, or nothing.
pub async fn register(connection: &mut Session, new: &NewUser<'_>, now: OffsetDateTime, entry: &Entry) -> Result<Registration, StoreError> {
    let tags: Vec<Vec<u8>> = new.contact_tags.iter().map(|tag| tag.to_vec()).collect();
    let done = sqlx::query!(
        r#"
        WITH c AS (
            -- Whoever comes second waits here for the first one's row, and goes on only with the same contact.
            INSERT INTO customers (merchant_id, customer, contact_tag, created_at) VALUES ($1, $2, ($3::bytea[])[1], $6)
            ON CONFLICT ON CONSTRAINT a_customer_is_registered_once DO UPDATE SET contact_tag = excluded.contact_tag
                WHERE customers.contact_tag = ANY($3)
            RETURNING 1
        ), u AS (
            INSERT INTO wallet_users (merchant_id, customer, provider, provider_user, created_at)
            SELECT $1, $2, $4, $5, $6 FROM c
            ON CONFLICT ON CONSTRAINT a_customer_has_one_user_at_a_provider DO NOTHING
            RETURNING 1
        ), l AS (
            INSERT INTO audit_log SELECT r.* FROM u, json_populate_record(NULL::audit_log, $7::text::json) r
        )
        SELECT EXISTS (SELECT FROM c) AS "same_contact!", EXISTS (SELECT FROM u) AS "written!"
        "#,
        new.merchant_id.0,
        new.customer.as_str(),
        &tags,
        new.provider.to_string(),
        new.provider_user,
        now,
        audit::document(entry)?,
    )
    .fetch_one(connection)
    .await;
    match done {
        Ok(row) if row.written => Ok(Registration::Written),
        Ok(row) if row.same_contact => Ok(Registration::Before),
        Ok(_) => Ok(Registration::OtherContact),
        Err(sqlx::Error::Database(error)) if error.constraint() == Some("a_wallet_user_is_one_customers") => Ok(Registration::Taken),
        Err(error) => Err(error.into()),
    }
}

/// A customer with its accounts. `None` if it is not registered.
pub async fn customer(connection: &mut Session, merchant: MerchantId, customer: &CustomerId) -> Result<Option<CustomerRow>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT c.contact_tag, c.created_at, u.provider AS "provider?", u.provider_user AS "provider_user?", u.created_at AS "registered_at?"
           FROM customers c LEFT JOIN wallet_users u USING (merchant_id, customer)
           WHERE c.merchant_id = $1 AND c.customer = $2
           ORDER BY u.provider"#,
        merchant.0,
        customer.as_str(),
    )
    .fetch_all(connection)
    .await?;
    let mut found = None;
    for row in rows {
        let customer = found.get_or_insert(CustomerRow { contact_tag: row.contact_tag, created_at: row.created_at, users: Vec::new() });
        if let (Some(provider), Some(provider_user), Some(created_at)) = (row.provider, row.provider_user, row.registered_at) {
            let provider = parsed(provider.parse().ok(), "provider", &provider)?;
            customer.users.push(UserRow { provider, provider_user, created_at });
        }
    }
    Ok(found)
}

/// The provider's id of the user whom it keeps for a customer. `None` if the customer is not registered there.
pub async fn user(
    connection: &mut Session,
    merchant: MerchantId,
    customer: &CustomerId,
    provider: Provider,
) -> Result<Option<String>, StoreError> {
    let user = sqlx::query_scalar!(
        "SELECT provider_user FROM wallet_users WHERE merchant_id = $1 AND customer = $2 AND provider = $3",
        merchant.0,
        customer.as_str(),
        provider.to_string(),
    )
    .fetch_optional(connection)
    .await?;
    Ok(user)
}

/// Where a customer pays a coin in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressRow {
    /// The provider.
    pub provider: Provider,
    /// The coin's name, as it was when the address was made.
    pub coin: String,
    /// The provider's id of the coin.
    pub provider_coin_id: String,
    /// The address.
    pub address: String,
    /// When it was remembered.
    pub created_at: OffsetDateTime,
}

/// Remembers where a registered customer pays a coin in. What was remembered before stays.
#[expect(clippy::too_many_arguments, reason = "all of them are the row, and each has a type or a name of its own")]
pub async fn remember_address(
    connection: &mut Session,
    merchant: MerchantId,
    customer: &CustomerId,
    provider: Provider,
    provider_coin_id: &str,
    coin: &str,
    address: &str,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO deposit_addresses (merchant_id, customer, provider, provider_coin_id, coin, address, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT ON CONSTRAINT a_customer_has_one_address_of_a_coin DO NOTHING",
        merchant.0,
        customer.as_str(),
        provider.to_string(),
        provider_coin_id,
        coin,
        address,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The addresses of a customer that are remembered, by provider and coin.
pub async fn addresses(connection: &mut Session, merchant: MerchantId, customer: &CustomerId) -> Result<Vec<AddressRow>, StoreError> {
    let rows = sqlx::query!(
        "SELECT provider, coin, provider_coin_id, address, created_at FROM deposit_addresses
         WHERE merchant_id = $1 AND customer = $2 ORDER BY provider, coin, provider_coin_id",
        merchant.0,
        customer.as_str(),
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(AddressRow {
                provider: parsed(row.provider.parse().ok(), "provider", &row.provider)?,
                coin: row.coin,
                provider_coin_id: row.provider_coin_id,
                address: row.address,
                created_at: row.created_at,
            })
        })
        .collect()
}

/// The address of a customer for one coin, if it is remembered.
pub async fn address(
    connection: &mut Session,
    merchant: MerchantId,
    customer: &CustomerId,
    provider: Provider,
    provider_coin_id: &str,
) -> Result<Option<AddressRow>, StoreError> {
    let row = sqlx::query!(
        "SELECT coin, address, created_at FROM deposit_addresses
         WHERE merchant_id = $1 AND customer = $2 AND provider = $3 AND provider_coin_id = $4",
        merchant.0,
        customer.as_str(),
        provider.to_string(),
        provider_coin_id,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| AddressRow {
        provider,
        coin: row.coin,
        provider_coin_id: provider_coin_id.to_owned(),
        address: row.address,
        created_at: row.created_at,
    }))
}
