//! Coins: what may be ordered at a provider.
//!
//! Workers keep the lists fresh, so that orders do not wait for the provider. While it is down, the
//! last good list serves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::Context;
use super::error::FlowError;
use super::tenant::{ProviderAccount, tenant};
use crate::domain::coin::{self, Coin};
use crate::domain::ids::MerchantId;
use crate::domain::money::Amount;
use crate::domain::order::Provider;
use crate::store::accounts;

/// A list younger than this is used without asking the provider.
const FRESH: Duration = Duration::from_mins(5);
/// A list older than this is fetched anew by the workers.
const STALE: Duration = Duration::from_mins(4);
/// Lists fetched in one round.
const ROUND: i64 = 20;

/// All coins of an account: from a fresh list, else from the provider, else from the last good list.
pub async fn list(context: &Context, merchant: MerchantId, account: &ProviderAccount) -> Result<Arc<Vec<Coin>>, FlowError> {
    let provider = account.account.provider();
    let instant = context.clock.instant();
    if let Some(coins) = context.tenants.coins(merchant, provider, instant) {
        return Ok(coins);
    }
    // Rare: not in the memory of every order.
    Box::pin(list_anew(context, merchant, account, instant)).await
}

async fn list_anew(
    context: &Context,
    merchant: MerchantId,
    account: &ProviderAccount,
    instant: Instant,
) -> Result<Arc<Vec<Coin>>, FlowError> {
    let provider = account.account.provider();
    let kept = accounts::coin_list(&mut *context.db.get().await?, merchant, provider).await?;
    let coins = match kept {
        Some((document, fetched_at)) if context.clock.now() - fetched_at < FRESH => read(document)?,
        kept => match fetch(context, merchant, account).await? {
            Ok(coins) => coins,
            Err(why) => {
                tracing::warn!(%merchant, %provider, why, "the provider's coins could not be listed; the last good list serves");
                let (document, _) = kept.ok_or_else(|| FlowError::ProviderUnavailable(format!("its coins could not be listed: {why}")))?;
                read(document)?
            }
        },
    };
    let coins = Arc::new(coins);
    context.tenants.remember_coins(merchant, provider, coins.clone(), instant);
    Ok(coins)
}

/// Fetches lists that are missing or old. Gives the number of lists fetched.
pub async fn refresh_due(context: &Context, stop: &CancellationToken) -> Result<usize, FlowError> {
    let providers = [Provider::Fomo.to_string(), Provider::Hicoin.to_string()];
    let before = context.clock.now() - STALE;
    let due = accounts::stale_coin_lists(&mut *context.db.get().await?, &providers, before, ROUND).await?;
    let mut done = 0;
    for (merchant, provider) in due {
        if stop.is_cancelled() {
            break;
        }
        // One list that cannot be fetched must not keep the others from it.
        match keep_fresh(context, merchant, provider).await {
            Ok(Ok(_)) => done += 1,
            Ok(Err(why)) => tracing::warn!(%merchant, %provider, why, "the provider's coins could not be listed"),
            Err(error) => tracing::error!(%merchant, %provider, %error, "the provider's coins could not be listed"),
        }
    }
    Ok(done)
}

async fn keep_fresh(context: &Context, merchant: MerchantId, provider: Provider) -> Result<Result<Vec<Coin>, String>, FlowError> {
    let tenant = tenant(context, merchant).await?;
    fetch(context, merchant, tenant.account(provider)?).await
}

/// Asks the provider, and keeps the list for the time when it cannot be asked.
async fn fetch(context: &Context, merchant: MerchantId, account: &ProviderAccount) -> Result<Result<Vec<Coin>, String>, FlowError> {
    let coins = match account.wallet.coins.coins().await {
        Ok(coins) => coins,
        Err(why) => return Ok(Err(why)),
    };
    let document = serde_json::to_value(&coins)?;
    let provider = account.account.provider();
    accounts::put_coin_list(&mut *context.db.get().await?, merchant, provider, &document, context.clock.now()).await?;
    Ok(Ok(coins))
}

fn read(document: serde_json::Value) -> Result<Vec<Coin>, FlowError> {
    Ok(serde_json::from_value(document)?)
}

/// The coin that somebody names.
pub async fn named(context: &Context, merchant: MerchantId, account: &ProviderAccount, name: &str) -> Result<Coin, FlowError> {
    let coins = list(context, merchant, account).await?;
    coin::find(&coins, name).cloned().ok_or_else(unknown)
}

/// Nobody has this coin.
pub fn unknown() -> FlowError {
    FlowError::field("/coin", "coin_unknown", "the provider has no such coin; GET /v1/coins lists them")
}

/// Says no to a coin that the provider takes no orders in.
pub fn active(coin: &Coin) -> Result<(), FlowError> {
    let why = || FlowError::field("/coin", "coin_inactive", "the provider takes no orders in this coin now");
    coin.active.then_some(()).ok_or_else(why)
}

/// The coin that an order names, if it can carry this amount.
pub async fn for_order(
    context: &Context,
    merchant: MerchantId,
    account: &ProviderAccount,
    name: &str,
    amount: Amount,
) -> Result<Coin, FlowError> {
    let found = named(context, merchant, account, name).await?;
    active(&found)?;
    amount
        .within_decimals(found.decimals)
        .map_err(|error| FlowError::field("/amount", "too_precise", format!("{error}, which is what {} has", found.coin)))?;
    Ok(found)
}
