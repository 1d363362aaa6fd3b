//! Attributing: finding each receipt its home, an order or the list of what is nobody's, and telling
//! the order what its receipts add up to.

use std::collections::HashMap;

use sha2::{Digest, Sha256};
use time::Duration;

use super::Context;
use super::error::FlowError;
use super::receipt::body;
use super::settle::{Change, Homeless, Notes, Version, settle_together};
use super::tenant::ProviderAccount;
use crate::domain::coin::Coin;
use crate::domain::event::EventBody;
use crate::domain::hearing::{Rules, hear};
use crate::domain::ids::{EventId, OrderId, TradeId};
use crate::domain::money::MAX_SCALE;
use crate::domain::order::{Birth, Kind, Order};
use crate::domain::receipt::{Progress, Receipt, Takings, home};
use crate::domain::report::{Channel, Report, Says};
use crate::domain::status::{Deposit, State};
use crate::faults::{Bug, planted};
use crate::providers::PAGE;
use crate::store::feeds::FeedKey;
use crate::store::news::{self, News};
use crate::store::orders;
use crate::store::receipts::{self, ReceiptRow};

/// Money that the provider saw longer than this before an order was made was not paid for it: a history that is read late
/// pays nothing new. Two clocks may be apart so far.
const CLOCKS_APART: Duration = Duration::minutes(15);
/// Tries to write before giving up on orders that change all the time.
const TRIES: usize = 50;

/// Takes all receipts of an account that nobody has heard of to their homes, a page at a time, each page with a constant
/// number of statements. Where one receipt goes depends on where those before it went: a page is one decision, and where
/// anything of it has changed meanwhile, it is made anew, about fewer receipts.
pub async fn attribute(context: &Context, account: &ProviderAccount, feed: FeedKey, coins: &[Coin]) -> Result<(), FlowError> {
    let (mut limit, mut tries) = (PAGE, 0);
    loop {
        let News { receipts, deposits, known, more } =
            news::news(&mut *context.db.get().await?, feed.merchant_id, feed.provider, limit).await?;
        if receipts.is_empty() {
            return Ok(());
        }
        let mut page = Page { context, account, feed, coins, files: files(deposits, &known)?, homeless: Vec::new() };
        page.sort_in(receipts)?;
        if !page.write().await? {
            (tries, limit) = (tries + 1, (limit / 2).max(1));
            if tries == TRIES {
                return Err(FlowError::Internal("deposits change faster than they can be written".to_owned()));
            }
        } else if more {
            limit = (limit * 2).min(PAGE);
        } else {
            return Ok(());
        }
    }
}

/// A deposit with all its receipts.
struct File {
    /// As it was read, or as it would be born.
    before: Order,
    /// As it is with the receipts sorted in so far: that decides where the next one goes.
    now: Order,
    receipts: Vec<Receipt>,
    hears: Vec<Version>,
    born: Option<[u8; 32]>,
}

fn files(deposits: Vec<Order>, known: &[ReceiptRow]) -> Result<HashMap<OrderId, File>, FlowError> {
    let mut files: HashMap<OrderId, File> = deposits
        .into_iter()
        .map(|order| (order.id, File { now: order.clone(), before: order, receipts: Vec::new(), hears: Vec::new(), born: None }))
        .collect();
    for row in known {
        if let Some(file) = row.order_id.and_then(|id| files.get_mut(&OrderId(id))) {
            file.receipts.push(row.receipt()?);
        }
    }
    Ok(files)
}

/// A page of news on its way to the orders.
struct Page<'a> {
    context: &'a Context,
    account: &'a ProviderAccount,
    feed: FeedKey,
    coins: &'a [Coin],
    files: HashMap<OrderId, File>,
    homeless: Vec<ReceiptRow>,
}

impl Page<'_> {
    /// Sorts receipts in, by their age: each goes where it belongs once the older ones are in.
    fn sort_in(&mut self, mut news: Vec<ReceiptRow>) -> Result<(), FlowError> {
        news.sort_by_key(|row| (row.provider_receipt_id.len(), row.provider_receipt_id.clone()));
        // What is an order's already counts there before anything new is sorted in.
        let (of_orders, new): (Vec<_>, Vec<_>) = news.into_iter().partition(|row| row.order_id.is_some());
        for row in of_orders.into_iter().chain(new) {
            let receipt = row.receipt()?;
            match receipt.order.or_else(|| self.home(&row, &receipt)) {
                Some(order) => self.add(order, &row, receipt),
                None => self.homeless.push(row),
            }
        }
        Ok(())
    }

    /// The order that a receipt goes to, which may come into being for it. What was nobody's once stays so until a person
    /// gives it to an order.
    fn home(&mut self, row: &ReceiptRow, receipt: &Receipt) -> Option<OrderId> {
        if row.unmatched_at.is_some() {
            return None;
        }
        let customer = receipt.customer.as_ref()?;
        let fits = |order: &Order| {
            let theirs = order.customer.as_ref() == Some(customer) && order.provider_coin_id == receipt.provider_coin_id;
            theirs && row.seen_at.is_none_or(|seen| order.created_at - seen <= CLOCKS_APART)
        };
        let open = self.files.values().map(|file| &file.now).filter(|order| fits(order));
        // Where money makes its own order, more of it is not too much for one that has what it asked for.
        let top_ups = self.account.account.policy.top_ups;
        let has_enough = |order: &&Order| top_ups && order.state == State::Deposit(Deposit::Confirming);
        if let Some(order) = home(open, receipt.amount).filter(|order| !has_enough(order)) {
            return Some(order.id);
        }
        (top_ups && receipt.progress != Progress::Abnormal).then(|| self.top_up(row, receipt)).flatten()
    }

    /// A deposit for money that nobody asked for.
    fn top_up(&mut self, row: &ReceiptRow, receipt: &Receipt) -> Option<OrderId> {
        let now = self.context.clock.now();
        let trade_id = TradeId::parse(&format!("{}-{}", self.feed.provider, receipt.number)).ok()?;
        let decimals =
            self.coins.iter().find(|coin| coin.provider_coin_id == receipt.provider_coin_id).map_or(MAX_SCALE, |coin| coin.decimals);
        let birth = Birth {
            merchant_id: self.feed.merchant_id,
            id: OrderId(self.context.clock.new_uuid_of(now)),
            trade_id,
            kind: Kind::Deposit,
            provider: self.feed.provider,
            coin: row.coin.clone(),
            provider_coin_id: receipt.provider_coin_id.clone(),
            decimals,
            amount: receipt.amount,
            at: now,
        };
        let order = Order {
            // Its first step is the one by which the money is heard.
            sequence: 0,
            customer: receipt.customer.clone(),
            provider_user: receipt.provider_user.clone(),
            expires_at: Some(now + self.context.timing.deposit_ttl),
            ..Order::new(birth)
        };
        let id = order.id;
        // Nobody asked for it: whoever asks for this trade id later asks for something else.
        let born = Some(Sha256::digest(format!("top-up {}/{}", self.feed.provider, receipt.number)).into());
        self.files.insert(id, File { now: order.clone(), before: order, receipts: Vec::new(), hears: Vec::new(), born });
        Some(id)
    }

    fn add(&mut self, order: OrderId, row: &ReceiptRow, receipt: Receipt) {
        let rules = Rules { policy: &self.account.account.policy, timing: &self.context.timing, now: self.context.clock.now() };
        let Some(file) = self.files.get_mut(&order) else { return };
        file.receipts.retain(|known| known.id != receipt.id || planted(Bug::ReceiptCountsAgain));
        file.receipts.push(receipt);
        file.hears.push(row.version());
        file.now = hear(&file.now, &report(&file.receipts), rules).order;
    }

    /// Writes the page in one statement. `false` if nothing of it could be written.
    async fn write(self) -> Result<bool, FlowError> {
        let Self { context, account, files, homeless, .. } = self;
        let mut changes: Vec<Change> = files
            .into_values()
            .filter(|file| !file.hears.is_empty())
            .map(|file| {
                let report = report(&file.receipts);
                Change { hears: file.hears, born: file.born, ..Change::new(file.before, report, Notes::default()) }
            })
            .collect();
        changes.sort_by_key(|change| change.order.id.0);
        let homeless = homeless.iter().map(|row| left_alone(context, row)).collect::<Result<Vec<_>, _>>()?;
        Ok(settle_together(context, account, &changes, &homeless).await? || leave_unborn(context, account, &changes).await?)
    }
}

/// Receipts whose own order cannot be made, since the merchant uses its trade id for something else, are nobody's.
async fn leave_unborn(context: &Context, account: &ProviderAccount, changes: &[Change]) -> Result<bool, FlowError> {
    let mut homeless = Vec::new();
    for change in changes.iter().filter(|change| change.born.is_some()) {
        let mut connection = context.db.get().await?;
        if orders::by_trade_id(&mut connection, change.order.merchant_id, &change.order.trade_id).await?.is_none() {
            continue;
        }
        tracing::warn!(merchant = %change.order.merchant_id, trade_id = %change.order.trade_id, "a top-up's trade id is used by another order");
        for version in &change.hears {
            if let Some(row) = receipts::get(&mut connection, change.order.merchant_id, version.id).await? {
                homeless.push(left_alone(context, &row)?);
            }
        }
    }
    Ok(!homeless.is_empty() && settle_together(context, account, &[], &homeless).await?)
}

fn report(receipts: &[Receipt]) -> Report {
    Report { channel: Channel::Feed, proven: true, says: Says::Receipts(Takings::of(receipts)), evidence: None }
}

/// What the merchant is told of a receipt that no order is open to.
fn left_alone(context: &Context, row: &ReceiptRow) -> Result<Homeless, FlowError> {
    const TYPE: &str = "receipt.unmatched";
    let event = EventBody { event_type: TYPE.to_owned(), timestamp: context.clock.now(), data: body(row)?, sequence: None };
    let merchant_id = crate::domain::ids::MerchantId(row.merchant_id);
    Ok(Homeless { merchant_id, receipt: row.version(), event: Some((EventId(context.clock.new_uuid()), TYPE, event.written()?)) })
}
