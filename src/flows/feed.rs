//! Feeds: reading what came in, from providers that tell it only when they are asked.
//!
//! A cursor says up to which number everything that was shown is stored. It is not trusted alone:
//! numbers can become visible out of order, so that each reading begins a stretch before the cursor,
//! and numbers that the sequence leaves out are asked for by themselves until they appear or are
//! given up. What is pending is asked for until it is confirmed. A page is stored before the cursor
//! moves, in the same statement; what is stored and not yet heard of waits for [`attribute`].
//! Two readers of one feed do no harm.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::Context;
use super::attribute::attribute;
use super::coins;
use super::error::FlowError;
use super::settle::receipt_place;
use super::tenant::{ProviderAccount, tenant};
use crate::domain::coin::Coin;
use crate::domain::feed::Reading;
use crate::domain::order::{Order, Provider};
use crate::faults::{Bug, Point, planted, point};
use crate::providers::{AskError, DepositFeed, Entry, PAGE};
use crate::store::feeds::{self, EntryRow, FeedKey};
use crate::store::orders;

/// Feeds claimed at once, and read side by side.
const BATCH: i64 = 8;
/// Providers with a feed.
const PROVIDERS: [Provider; 1] = [Provider::Hicoin];

/// Reads every feed that is due. Gives the number of feeds read.
pub async fn read_due(context: &Context, stop: &CancellationToken) -> Result<usize, FlowError> {
    let mut done = 0;
    while !stop.is_cancelled() {
        let (now, providers) = (context.clock.now(), PROVIDERS.map(|provider| provider.to_string()));
        let due = feeds::claim(&mut *context.db.get().await?, &providers, now, now + context.timing.lease, BATCH).await?;
        if due.is_empty() {
            break;
        }
        point(Point::FeedClaimed);
        done += due.len();
        stream::iter(due).for_each_concurrent(None, |(feed, cursor)| one(context, feed, cursor, stop)).await;
    }
    Ok(done)
}

async fn one(context: &Context, feed: FeedKey, cursor: i64, stop: &CancellationToken) {
    let (merchant, provider) = (feed.merchant_id, feed.provider);
    if let Err(error) = read_and_release(context, feed, cursor, stop).await {
        metrics::counter!("tillgate_task_errors_total", "work" => "feed").increment(1);
        tracing::error!(%merchant, %provider, %error, "a feed of incoming money could not be read and will be read again");
    }
}

async fn read_and_release(context: &Context, feed: FeedKey, cursor: i64, stop: &CancellationToken) -> Result<(), FlowError> {
    let began = context.clock.now();
    let account = tenant(context, feed.merchant_id).await?.account(feed.provider)?.clone();
    let read = read(context, &account, feed, cursor, stop).await;
    let complete = matches!(read, Ok(true));
    let due_at = context.clock.now() + context.timing.feed_period;
    point(Point::FeedReleasing);
    feeds::release(&mut *context.db.get().await?, feed, complete.then_some(began), due_at).await?;
    read.map(drop)
}

/// Reads the feed of a deposit's account now.
///
/// # Errors
/// The provider cannot be asked.
pub async fn refresh(context: &Context, order: Order) -> Result<Order, FlowError> {
    let feed = FeedKey { merchant_id: order.merchant_id, provider: order.provider };
    let cursor = feeds::cursor(&mut *context.db.get().await?, feed).await?;
    if let Some(cursor) = cursor {
        read_and_release(context, feed, cursor, &CancellationToken::new()).await?;
    }
    let found = orders::by_id(&mut *context.db.get().await?, order.merchant_id, order.id).await?;
    found.ok_or_else(|| FlowError::Internal("an order has disappeared".to_owned()))
}

/// Asks for these numbers now, whatever the cursor says, and takes what is shown to its orders. At most [`PAGE`] numbers.
///
/// # Errors
/// The provider cannot be asked.
pub async fn hear_of(context: &Context, account: &ProviderAccount, feed: FeedKey, numbers: &[i64]) -> Result<(), FlowError> {
    let Some(port) = account.wallet.deposit_feed.as_deref() else { return Ok(()) };
    let coins = coins::list(context, feed.merchant_id, account).await?;
    let reader = Reader { context, account, feed, port, coins: &coins };
    let entries = port.by_ids(numbers).await.map_err(|error| unavailable(&error))?;
    reader.keep(&entries, numbers, &[], None).await
}

/// Whether what the provider knew at `since` has been read. True where the provider has no feed: then there is nothing to wait for.
pub async fn has_been_read_since(
    context: &Context,
    account: &ProviderAccount,
    order: &Order,
    since: OffsetDateTime,
) -> Result<bool, FlowError> {
    if account.wallet.deposit_feed.is_none() {
        return Ok(true);
    }
    let feed = FeedKey { merchant_id: order.merchant_id, provider: order.provider };
    let read_at = feeds::read_at(&mut *context.db.get().await?, feed).await?;
    Ok(read_at.is_some_and(|read_at| read_at >= since))
}

/// Reads what is to be asked for again, and the feed to its end; neither waits for the other to succeed. `false` if it was
/// stopped before.
async fn read(
    context: &Context,
    account: &ProviderAccount,
    feed: FeedKey,
    cursor: i64,
    stop: &CancellationToken,
) -> Result<bool, FlowError> {
    let Some(port) = account.wallet.deposit_feed.as_deref() else { return Ok(true) };
    let coins = coins::list(context, feed.merchant_id, account).await?;
    let reader = Reader { context, account, feed, port, coins: &coins };
    // What an earlier reader stored and did not finish.
    attribute(context, account, feed, &coins).await?;
    let (again, on) = (reader.ask_again(stop).await, reader.read_on(cursor, stop).await);
    // What another reader stored meanwhile: to us it was no news, and whoever relies on this reading relies on that, too.
    attribute(context, account, feed, &coins).await?;
    Ok(again? && on?)
}

/// One reading of one feed.
struct Reader<'a> {
    context: &'a Context,
    account: &'a ProviderAccount,
    feed: FeedKey,
    port: &'a dyn DepositFeed,
    coins: &'a [Coin],
}

impl Reader<'_> {
    /// Asks for the numbers that are due by themselves.
    async fn ask_again(&self, stop: &CancellationToken) -> Result<bool, FlowError> {
        let now = self.context.clock.now();
        loop {
            if stop.is_cancelled() {
                return Ok(false);
            }
            let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
            let numbers = feeds::follows(&mut *self.context.db.get().await?, self.feed, now, limit).await?;
            if numbers.is_empty() {
                return Ok(true);
            }
            let entries = self.port.by_ids(&numbers).await.map_err(|error| unavailable(&error))?;
            self.keep(&entries, &numbers, &[], None).await?;
        }
    }

    /// Reads from a stretch before the cursor until nothing more is shown.
    async fn read_on(&self, cursor: i64, stop: &CancellationToken) -> Result<bool, FlowError> {
        let mut reading = Reading::from(cursor);
        if planted(Bug::CursorIsTheMaximum) {
            reading.after = cursor;
        }
        loop {
            if stop.is_cancelled() {
                return Ok(false);
            }
            let entries = self.port.after(reading.after).await.map_err(|error| unavailable(&error))?;
            point(Point::FeedShown);
            if entries.is_empty() {
                return Ok(true);
            }
            let shown: Vec<i64> = entries.iter().map(|entry| entry.id).collect();
            let Some(page) = reading.take(&shown) else {
                return Err(FlowError::ProviderUnavailable("its feed goes in circles".to_owned()));
            };
            let missing = if planted(Bug::CursorIsTheMaximum) { Vec::new() } else { page.missing };
            self.keep(&entries, &[], &missing, Some(page.cursor)).await?;
        }
    }

    /// Stores a page, then takes to its orders what is new in it.
    async fn keep(&self, entries: &[Entry], asked: &[i64], missing: &[i64], cursor: Option<i64>) -> Result<(), FlowError> {
        let context = self.context;
        let now = context.clock.now();
        let rows = entries.iter().map(|entry| self.row(entry)).collect::<Result<Vec<_>, _>>()?;
        let millis = |gap: &Duration| i64::try_from(gap.as_millis()).unwrap_or(i64::MAX);
        let schedule: Vec<i64> = context.timing.poll_schedule.iter().map(millis).collect();
        let page = feeds::Page {
            feed: self.feed,
            entries: &rows,
            asked,
            missing,
            cursor,
            schedule: &schedule,
            grace: context.timing.late_window,
            now,
            leased_until: now + context.timing.lease,
        };
        let changed = feeds::keep(&mut *context.db.get().await?, &page).await?;
        point(Point::FeedKept);
        if changed > 0 {
            attribute(context, self.account, self.feed, self.coins).await?;
            point(Point::FeedAttributed);
        }
        Ok(())
    }

    fn row<'e>(&'e self, entry: &'e Entry) -> Result<EntryRow<'e>, FlowError> {
        let (merchant, provider) = (self.feed.merchant_id, self.feed.provider);
        let movement = entry.movement.as_ref();
        if let Err(why) = movement {
            tracing::error!(%merchant, %provider, number = entry.id, why, "incoming money cannot be read; it is asked for again");
        }
        let movement = movement.ok();
        let named = |id: &str| self.coins.iter().find(|coin| coin.provider_coin_id == id).map(|coin| coin.coin.as_str());
        Ok(EntryRow {
            number: entry.id,
            receipt_id: self.context.clock.new_uuid(),
            provider_user: movement.map(|movement| movement.user.as_str()),
            coin: movement.map(|movement| named(&movement.provider_coin_id).unwrap_or(&movement.provider_coin_id)),
            provider_coin_id: movement.map(|movement| movement.provider_coin_id.as_str()),
            amount: movement.map(|movement| movement.amount),
            progress: movement.map(|movement| movement.progress.into()),
            address: movement.and_then(|movement| movement.address.as_deref()),
            txid: movement.and_then(|movement| movement.txid.as_deref()),
            confirmations: movement.and_then(|movement| movement.confirmations),
            seen_at: movement.and_then(|movement| movement.seen_at),
            sealed_raw: match movement {
                Some(_) => {
                    let sealed = self.context.vault.seal(&receipt_place(merchant, provider, entry.id), &entry.evidence.raw)?;
                    Some(format!("\\x{}", hex::encode(sealed)))
                }
                None => None,
            },
        })
    }
}

pub(super) fn unavailable(error: &AskError) -> FlowError {
    FlowError::ProviderUnavailable(error.to_string())
}
