//! Links: customers' accounts at providers, and the tokens that open them.
//!
//! A refresh token may work only once, so that one refresh runs at a time for each link: within the
//! process by a lock, across replicas by a lease in the row. A write succeeds only over the
//! generation that was read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::Context;
use super::error::FlowError;
use super::tenant::{ProviderAccount, tenant};
use crate::domain::audit::{By, Entry};
use crate::domain::event::{EventBody, LinkExpiredBody};
use crate::domain::ids::{CustomerId, EventId, MerchantId};
use crate::domain::order::{Order, Provider};
use crate::faults::{Bug, Point, planted, point};
use crate::providers::{LinkError, Tokens};
pub use crate::store::links::LinkRow;
use crate::store::links::{self, LinkKey, NewTokens, TokenRow};

/// An access token is fetched anew this long before it dies, or in the last fifth of its life.
const AHEAD: Duration = Duration::from_mins(5);
/// Links that were used within this time are kept fresh.
const IN_USE: Duration = Duration::from_hours(24);
/// Links whose refresh token dies within this time are refreshed, used or not.
const LAST_CALL: Duration = Duration::from_hours(72);
/// After a failed refresh the next one waits this long.
const PAUSE: Duration = Duration::from_secs(30);
/// How often to see whether another replica has finished its refresh.
const GLANCE: Duration = Duration::from_millis(100);
/// Links refreshed in one round.
const ROUND: i64 = 100;

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoToken {
    /// The customer is not linked, or the link has ended: only a new link helps.
    Missing,
    /// There may be one later.
    Unavailable(String),
}

/// Locks of the links that this process is refreshing.
#[derive(Debug, Default)]
pub struct Refreshing {
    locks: Mutex<HashMap<LinkKey, Arc<tokio::sync::Mutex<()>>>>,
}

impl Refreshing {
    fn of(&self, key: &LinkKey) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        locks.entry(key.clone()).or_default().clone()
    }
}

/// Both tokens, as they are sealed.
#[derive(Serialize, Deserialize)]
struct TokenDocument {
    access: String,
    refresh: String,
}

/// Links a customer's account with the code that the wallet's app gave. Linking again replaces the link.
pub async fn create(
    context: &Context,
    merchant: MerchantId,
    by: &By,
    customer: CustomerId,
    provider: Provider,
    code: &SecretString,
) -> Result<LinkRow, FlowError> {
    let tenant = tenant(context, merchant).await?;
    let account = tenant.open_account(provider)?;
    let refused = |error: LinkError| match error {
        LinkError::Refused(why) => {
            FlowError::field("/code", "code_refused", format!("the wallet does not accept this code: {why}; get a new one"))
        }
        LinkError::Misconfigured(why) => {
            tracing::error!(%merchant, %provider, why, "the provider refuses our credentials or our clock");
            FlowError::ProviderUnavailable("it refuses the account's credentials".to_owned())
        }
        LinkError::Unavailable(why) => FlowError::ProviderUnavailable(why),
    };
    let key = LinkKey { merchant_id: merchant, customer, provider };
    exchange(context, account, by, &key, code).await?.map_err(refused)?;
    let row = of_customer(context, merchant, &key.customer).await?.into_iter().find(|link| link.provider == provider);
    row.ok_or_else(|| FlowError::Internal("a link has disappeared".to_owned()))
}

/// Exchanges a code and keeps the tokens.
pub async fn exchange(
    context: &Context,
    account: &ProviderAccount,
    by: &By,
    key: &LinkKey,
    code: &SecretString,
) -> Result<Result<(), LinkError>, FlowError> {
    let now = context.clock.now();
    let (tokens, profile) = match account.links()?.exchange(code, now).await {
        Ok(linked) => linked,
        Err(error) => return Ok(Err(error)),
    };
    point(Point::LinkExchanged);
    let sealed = seal(context, key, &tokens)?;
    let (shared, tokens) = (account.account.policy.shared_links, new_tokens(&tokens, &sealed, now));
    let entry = entry(by, key, "create", now);
    let written = links::put(&mut *context.db.get().await?, key, &profile.provider_user, shared, &tokens, now, &entry).await?;
    point(Point::LinkKept);
    if !written {
        return Err(FlowError::conflict("link_taken", "this wallet account is linked to another customer; unlink it there first"));
    }
    Ok(Ok(()))
}

/// What is done to a link.
pub fn entry(by: &By, key: &LinkKey, verb: &str, now: OffsetDateTime) -> Entry {
    by.does(key.merchant_id, now, format!("link.{verb}"), ("link", format!("{}/{}", key.customer, key.provider)))
}

/// What the wallet tells of a customer.
pub async fn profile(
    context: &Context,
    merchant: MerchantId,
    customer: CustomerId,
    provider: Provider,
) -> Result<(LinkRow, serde_json::Value), FlowError> {
    const NO_LINK: FlowError = FlowError::NotFound("link");
    let tenant = tenant(context, merchant).await?;
    let account = tenant.account(provider)?;
    let links = account.links()?;
    let row = of_customer(context, merchant, &customer).await?.into_iter().find(|link| link.provider == provider).ok_or(NO_LINK)?;
    let key = LinkKey { merchant_id: merchant, customer, provider };
    let mut token = access_token(context, account, &key, None).await?;
    for fresh in [false, true] {
        let access_token = match token {
            Ok(access_token) => access_token,
            Err(NoToken::Missing) => return Err(NO_LINK),
            Err(NoToken::Unavailable(why)) => return Err(FlowError::ProviderUnavailable(why)),
        };
        match links.profile(&access_token, &row.provider_user).await {
            Ok(profile) => return Ok((row, profile.details)),
            // A token that should be good is refused: a new one may do.
            Err(LinkError::Refused(_)) if !fresh => token = refresh(context, account, &key).await?,
            Err(error) => return Err(FlowError::ProviderUnavailable(error.to_string())),
        }
    }
    Err(NO_LINK)
}

/// The links of a customer.
pub async fn of_customer(context: &Context, merchant: MerchantId, customer: &CustomerId) -> Result<Vec<LinkRow>, FlowError> {
    Ok(links::of_customer(&mut *context.db.get().await?, merchant, customer).await?)
}

/// Forgets a link and its tokens.
pub async fn delete(context: &Context, merchant: MerchantId, by: &By, customer: CustomerId, provider: Provider) -> Result<(), FlowError> {
    let key = LinkKey { merchant_id: merchant, customer, provider };
    let entry = entry(by, &key, "delete", context.clock.now());
    match links::delete(&mut *context.db.get().await?, &key, &entry).await? {
        true => Ok(()),
        false => Err(FlowError::NotFound("link")),
    }
}

/// The link that an order of a customer uses.
pub fn key_of(order: &Order) -> Result<LinkKey, FlowError> {
    let customer = order.customer.clone().ok_or_else(|| FlowError::Internal("an order without a customer has no link".to_owned()))?;
    Ok(LinkKey { merchant_id: order.merchant_id, customer, provider: order.provider })
}

/// An access token that is good for a while: the one in `row` (or in the table), or a fresh one.
pub async fn access_token(
    context: &Context,
    account: &ProviderAccount,
    key: &LinkKey,
    row: Option<TokenRow>,
) -> Result<Result<SecretString, NoToken>, FlowError> {
    let row = match row {
        Some(row) => Some(row),
        None => Box::pin(async { links::tokens(&mut *context.db.get().await?, key).await }).await?,
    };
    let Some(row) = row else { return Ok(Err(NoToken::Missing)) };
    let now = context.clock.now();
    if now < row.refresh_at {
        return Ok(Ok(open(context, key, &row)?.access.into()));
    }
    match Box::pin(refresh_generation(context, account, key, Some(row.generation))).await? {
        Err(NoToken::Unavailable(_)) if now < row.access_expires_at => Ok(Ok(open(context, key, &row)?.access.into())),
        other => Ok(other),
    }
}

/// Fetches a new access token, whatever the old one's age.
pub async fn refresh(context: &Context, account: &ProviderAccount, key: &LinkKey) -> Result<Result<SecretString, NoToken>, FlowError> {
    refresh_generation(context, account, key, None).await
}

/// Keeps links fresh that are in use or about to end. Gives the number of links refreshed.
pub async fn refresh_due(context: &Context, stop: &CancellationToken) -> Result<usize, FlowError> {
    let now = context.clock.now();
    let due = links::due_for_refresh(&mut *context.db.get().await?, now, now - IN_USE, now + LAST_CALL, ROUND).await?;
    let mut done = 0;
    for key in due {
        if stop.is_cancelled() {
            break;
        }
        // One link that cannot be refreshed must not keep the others from it.
        match keep_fresh(context, &key).await {
            Ok(Ok(_)) => done += 1,
            Ok(Err(why)) => tracing::warn!(merchant = %key.merchant_id, provider = %key.provider, ?why, "a link could not be refreshed"),
            Err(error) => tracing::error!(merchant = %key.merchant_id, provider = %key.provider, %error, "a link could not be refreshed"),
        }
    }
    Ok(done)
}

async fn keep_fresh(context: &Context, key: &LinkKey) -> Result<Result<SecretString, NoToken>, FlowError> {
    let tenant = tenant(context, key.merchant_id).await?;
    access_token(context, tenant.account(key.provider)?, key, None).await
}

async fn refresh_generation(
    context: &Context,
    account: &ProviderAccount,
    key: &LinkKey,
    seen: Option<i64>,
) -> Result<Result<SecretString, NoToken>, FlowError> {
    let lock = context.refreshing.of(key);
    let _alone_in_this_process = lock.lock().await;
    let Some(row) = links::tokens(&mut *context.db.get().await?, key).await? else { return Ok(Err(NoToken::Missing)) };
    if seen.is_some_and(|generation| generation != row.generation) {
        return Ok(Ok(open(context, key, &row)?.access.into()));
    }
    let now = context.clock.now();
    let alone = links::claim_refresh(&mut *context.db.get().await?, key, row.generation, now, now + context.timing.lease).await?;
    if !alone {
        return wait_for_another_replica(context, key, row.generation).await;
    }
    call_refresh(context, account, key, &row, now).await
}

async fn call_refresh(
    context: &Context,
    account: &ProviderAccount,
    key: &LinkKey,
    row: &TokenRow,
    now: OffsetDateTime,
) -> Result<Result<SecretString, NoToken>, FlowError> {
    let refresh_token: SecretString = open(context, key, row)?.refresh.into();
    point(Point::TokenClaimed);
    match account.links()?.refresh(&refresh_token, now).await {
        Ok(tokens) => {
            point(Point::TokenFetched);
            if planted(Bug::TokenIsNotKept) {
                return Ok(Ok(tokens.access_token));
            }
            let sealed = seal(context, key, &tokens)?;
            links::put_refreshed(&mut *context.db.get().await?, key, row.generation, &new_tokens(&tokens, &sealed, now)).await?;
            point(Point::TokenKept);
            Ok(Ok(tokens.access_token))
        }
        Err(LinkError::Refused(why)) => {
            tracing::warn!(merchant = %key.merchant_id, provider = %key.provider, why, "a link has ended: the provider refuses its refresh token");
            expire(context, key, row).await?;
            Ok(Err(NoToken::Missing))
        }
        Err(error) => {
            links::release_refresh(&mut *context.db.get().await?, key, row.generation, now + PAUSE).await?;
            Ok(Err(NoToken::Unavailable(error.to_string())))
        }
    }
}

/// The link has ended: the merchant is told.
async fn expire(context: &Context, key: &LinkKey, row: &TokenRow) -> Result<(), FlowError> {
    let now = context.clock.now();
    let data = LinkExpiredBody {
        object: "link",
        customer: key.customer.to_string(),
        provider: key.provider,
        provider_user: row.provider_user.clone(),
        status: "expired",
    };
    let event = EventBody { event_type: "link.expired".to_owned(), timestamp: now, data, sequence: None };
    let body = event.written()?;
    let event_id = EventId(context.clock.new_uuid());
    links::expire(&mut *context.db.get().await?, key, row.generation, (event_id, body.get()), now).await?;
    context.wake.deliver.notify_one();
    Ok(())
}

/// Another replica is refreshing: its result is in the row soon.
async fn wait_for_another_replica(context: &Context, key: &LinkKey, generation: i64) -> Result<Result<SecretString, NoToken>, FlowError> {
    let end = context.clock.instant() + context.timing.provider_timeout;
    while context.clock.instant() < end {
        tokio::time::sleep(GLANCE).await;
        match links::tokens(&mut *context.db.get().await?, key).await? {
            None => return Ok(Err(NoToken::Missing)),
            Some(row) if row.generation != generation => return Ok(Ok(open(context, key, &row)?.access.into())),
            Some(_) => {}
        }
    }
    Ok(Err(NoToken::Unavailable("another replica is refreshing the token".to_owned())))
}

fn place(key: &LinkKey) -> String {
    format!("wallet_links/{}/{}/{}", key.merchant_id, key.provider, key.customer)
}

fn seal(context: &Context, key: &LinkKey, tokens: &Tokens) -> Result<Vec<u8>, FlowError> {
    let document =
        TokenDocument { access: tokens.access_token.expose_secret().to_owned(), refresh: tokens.refresh_token.expose_secret().to_owned() };
    let plain = serde_json::to_vec(&document)?;
    Ok(context.vault.seal(&place(key), &plain)?)
}

fn open(context: &Context, key: &LinkKey, row: &TokenRow) -> Result<TokenDocument, FlowError> {
    let plain = context.vault.open(&place(key), &row.sealed_tokens)?;
    serde_json::from_slice(plain.expose_secret()).map_err(|_| FlowError::Internal("sealed tokens cannot be read".to_owned()))
}

fn new_tokens<'a>(tokens: &Tokens, sealed_tokens: &'a [u8], now: OffsetDateTime) -> NewTokens<'a> {
    let life = Duration::try_from(tokens.access_expires_at - now).unwrap_or_default();
    let ahead = AHEAD.min(life / 5);
    NewTokens {
        sealed_tokens,
        access_expires_at: tokens.access_expires_at,
        refresh_expires_at: tokens.refresh_expires_at,
        refresh_at: tokens.access_expires_at - ahead,
    }
}
