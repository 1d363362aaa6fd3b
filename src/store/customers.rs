//! stub
use super::StoreError;
use crate::domain::ids::{CustomerId, MerchantId};
use crate::domain::order::Provider;
use sqlx::PgConnection;
use time::OffsetDateTime;
/// stub
pub async fn user(
    connection: &mut PgConnection,
    merchant: MerchantId,
    customer: &CustomerId,
    provider: Provider,
) -> Result<Option<String>, StoreError> {
    Ok(sqlx::query_scalar!(
        "SELECT provider_user FROM wallet_users WHERE merchant_id = $1 AND customer = $2 AND provider = $3",
        merchant.0,
        customer.as_str(),
        provider.to_string()
    )
    .fetch_optional(connection)
    .await?)
}
/// stub
pub async fn remember_address(
    _connection: &mut PgConnection,
    _merchant: MerchantId,
    _customer: &CustomerId,
    _provider: Provider,
    _provider_coin_id: &str,
    _coin: &str,
    _address: &str,
    _now: OffsetDateTime,
) -> Result<(), StoreError> {
    Ok(())
}
