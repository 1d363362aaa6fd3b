//! Coins: what may be ordered at a provider. The last good list serves while the provider is down.

use std::sync::Arc;

use super::Context;
use super::error::FlowError;
use super::tenant::ProviderAccount;
use crate::domain::coin::{self, Coin};
use crate::domain::ids::MerchantId;
use crate::domain::money::Amount;
use crate::domain::order::Provider;
use crate::store::accounts;

/// All coins of an account: fresh, else the last good list.
pub async fn list(context: &Context, merchant: MerchantId, account: &ProviderAccount) -> Result<Arc<Vec<Coin>>, FlowError> {
    let provider = account.account.provider();
    let instant = context.clock.instant();
    if let Some(coins) = context.tenants.coins(merchant, provider, instant) {
        return Ok(coins);
    }
    let coins = match account.wallet.coins().await {
        Ok(coins) => {
            let document = serde_json::to_value(&coins).map_err(|error| FlowError::Internal(error.to_string()))?;
            accounts::put_coin_list(&mut *context.db.get().await?, merchant, provider, &document, context.clock.now()).await?;
            coins
        }
        Err(why) => last_good(context, merchant, provider, &why).await?,
    };
    let coins = Arc::new(coins);
    context.tenants.remember_coins(merchant, provider, coins.clone(), instant);
    Ok(coins)
}

async fn last_good(context: &Context, merchant: MerchantId, provider: Provider, why: &str) -> Result<Vec<Coin>, FlowError> {
    tracing::warn!(%merchant, %provider, why, "the provider's coins could not be listed; the last good list serves");
    let kept = accounts::coin_list(&mut *context.db.get().await?, merchant, provider).await?;
    let (document, _) = kept.ok_or_else(|| FlowError::ProviderUnavailable(format!("its coins could not be listed: {why}")))?;
    serde_json::from_value(document).map_err(|error| FlowError::Internal(error.to_string()))
}

/// The coin that an order names, if it can carry this amount.
pub async fn for_order(
    context: &Context,
    merchant: MerchantId,
    account: &ProviderAccount,
    name: &str,
    amount: Amount,
) -> Result<Coin, FlowError> {
    let coins = list(context, merchant, account).await?;
    let found = coin::find(&coins, name)
        .ok_or_else(|| FlowError::field("/coin", "coin_unknown", "the provider has no such coin; GET /v1/coins lists them"))?;
    if !found.active {
        return Err(FlowError::field("/coin", "coin_inactive", "the provider takes no orders in this coin now"));
    }
    amount
        .within_decimals(found.decimals)
        .map_err(|error| FlowError::field("/amount", "too_precise", format!("{error}, which is what {} has", found.coin)))?;
    Ok(found.clone())
}
