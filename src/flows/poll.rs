//! Polling: asking a provider about many orders in one question.
//!
//! Orders that a provider can be asked about by our own ids are asked about in pages, one lane (a
//! list of the provider) of one merchant at a time, the longest due first. What a page tells is
//! written in one statement; orders of which there is nothing new are not written to.

use std::collections::HashMap;

use futures_util::{StreamExt, stream};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::Context;
use super::error::FlowError;
use super::settle::{Change, Notes, settle, settle_page};
use super::submit;
use super::tenant::{ProviderAccount, tenant};
use super::work::nothing_to_do;
use crate::domain::account::Policy;
use crate::domain::hearing::{Rules, hear};
use crate::domain::ids::{MerchantId, OrderId, TradeId};
use crate::domain::order::Order;
use crate::domain::recovery::{Permit, Progress, Recovery, recover};
use crate::domain::report::{Channel, Report, Says, Standing};
use crate::domain::status::{Payout, Review, State};
use crate::faults::{Bug, Point, planted, point};
use crate::providers::{AskError, Listed, PAGE};
use crate::store::{orders, tasks};

/// Pages asked for side by side: one slow provider must not keep the others waiting.
const SIDE_BY_SIDE: usize = 4;
/// Orders of one page sent again side by side: what is still to be sent is kept for the length of a lease only.
const SENT_SIDE_BY_SIDE: usize = 16;

/// Asks about everything that is due now. Gives the number of orders asked about. Once `stop` is cancelled nothing more
/// is claimed.
pub async fn poll(context: &Context, stop: &CancellationToken) -> Result<usize, FlowError> {
    let turn = Mutex::new(());
    let lines = stream::iter(0..SIDE_BY_SIDE).map(|_| pages(context, stop, &turn)).buffer_unordered(SIDE_BY_SIDE);
    let counts: Vec<Result<usize, FlowError>> = lines.collect().await;
    counts.into_iter().sum()
}

/// One page after the other, until none is due.
async fn pages(context: &Context, stop: &CancellationToken, turn: &Mutex<()>) -> Result<usize, FlowError> {
    let mut done = 0;
    while !stop.is_cancelled() {
        let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
        let claimed = {
            // One line at a time: side by side they would share one page between them.
            let _turn = turn.lock().await;
            let now = context.clock.now();
            tasks::claim_page(&mut *context.db.get().await?, now, now + context.timing.lease, limit).await?
        };
        let Some(merchant) = claimed.first().map(|task| task.merchant_id) else { break };
        point(Point::PollClaimed);
        done += claimed.len();
        if let Err(error) = page(context, merchant, &claimed).await {
            metrics::counter!("tillgate_task_errors_total", "work" => "poll").increment(1);
            tracing::error!(%merchant, %error, "a page of polls failed and will be tried again");
        }
    }
    Ok(done)
}

async fn page(context: &Context, merchant: MerchantId, claimed: &[tasks::LeasedTask]) -> Result<(), FlowError> {
    let ids: Vec<(MerchantId, OrderId)> = claimed.iter().map(|task| (task.merchant_id, task.order_id)).collect();
    let found = orders::by_ids(&mut *context.db.get().await?, &ids).await?;
    let Some(provider) = found.first().map(|order| order.provider) else { return Ok(()) };
    let account = tenant(context, merchant).await?.account(provider)?.clone();
    let progress: HashMap<OrderId, Progress> = claimed.iter().map(|task| (task.order_id, task.progress)).collect();
    let (open, other): (Vec<Order>, Vec<Order>) = found.into_iter().partition(can_be_polled);
    for order in other {
        nothing_to_do(context, &account, &order, progress.get(&order.id).copied().unwrap_or_default()).await?;
    }
    let open = open.into_iter().map(|order| (progress.get(&order.id).copied(), order)).collect();
    look_up(context, &account, open).await?;
    Ok(())
}

/// Asks about one order now.
///
/// # Errors
/// The provider cannot be asked.
pub async fn refresh(context: &Context, account: &ProviderAccount, order: Order) -> Result<Order, FlowError> {
    let (merchant, id) = (order.merchant_id, order.id);
    if can_be_polled(&order) && !look_up(context, account, vec![(None, order)]).await? {
        return Err(FlowError::ProviderUnavailable("it could not be asked about this order; try again later".to_owned()));
    }
    let found = orders::by_id(&mut *context.db.get().await?, merchant, id).await?;
    found.ok_or_else(|| FlowError::Internal("an order has disappeared".to_owned()))
}

fn can_be_polled(order: &Order) -> bool {
    use Payout::{Accepted, Broadcast, OutcomeUnknown, ProviderReview, RequiresReview};
    let State::Payout(state) = order.state else { return false };
    matches!(state, OutcomeUnknown | Accepted | ProviderReview | Broadcast | RequiresReview(Review::OutcomeUnknown))
}

/// Asks about orders of one lane and hears what the provider says. With the progress of an order's task, what follows from
/// silence follows, too. Gives whether the provider could be asked.
async fn look_up(context: &Context, account: &ProviderAccount, orders: Vec<(Option<Progress>, Order)>) -> Result<bool, FlowError> {
    let (Some(lookups), Some(way)) = (&account.wallet.trade_lookups, orders.first().and_then(|(_, order)| order.way())) else {
        return Ok(true);
    };
    let ids: Vec<TradeId> = orders.iter().map(|(_, order)| order.trade_id.clone()).collect();
    let listed = lookups.by_trade_ids(way, &ids).await;
    point(Point::PollListed);
    count(account, ids.len(), listed.as_deref().ok());
    let mut entries = match &listed {
        Ok(entries) => Some(by_id(entries)),
        Err(error) => {
            complain(account, error);
            None
        }
    };
    let mut page = Page::default();
    for (progress, order) in orders {
        let entries = entries.as_mut().map(|all| all.remove(&order.trade_id).unwrap_or_default());
        page.add(context, account, order, progress, entries.as_deref());
    }
    page.write(context, account).await?;
    Ok(listed.is_ok())
}

fn by_id(entries: &[Listed]) -> HashMap<TradeId, Vec<&Listed>> {
    let mut all: HashMap<TradeId, Vec<&Listed>> = HashMap::new();
    for entry in entries {
        all.entry(entry.trade_id.clone()).or_default().push(entry);
    }
    all
}

/// Counts what was asked, by what it came to.
fn count(account: &ProviderAccount, asked: usize, entries: Option<&[Listed]>) {
    let increment = |outcome: &'static str, by: usize| {
        metrics::counter!("tillgate_lookups_total", "provider" => account.account.provider().to_string(), "outcome" => outcome)
            .increment(by as u64);
    };
    match entries {
        None => increment("unavailable", asked),
        Some(entries) => {
            let found = entries.len().min(asked);
            increment("found", found);
            increment("absent", asked - found);
        }
    }
}

fn complain(account: &ProviderAccount, error: &AskError) {
    let provider = account.account.provider();
    match error {
        AskError::Misconfigured(_) | AskError::Refused(_) => tracing::error!(%provider, %error, "orders could not be looked up"),
        AskError::Unavailable(_) => tracing::warn!(%provider, %error, "orders could not be looked up"),
    }
}

/// What follows from one answer.
#[derive(Default)]
struct Page {
    changes: Vec<Change>,
    /// What is heard after the first entry of an order: further entries under its id (the provider carried it out more than
    /// once), and that nobody can tell.
    further: Vec<(OrderId, Report)>,
    /// Orders to be sent again.
    again: Vec<(Order, Permit, Progress)>,
}

impl Page {
    /// Adds an order with its entries; `None` if the provider could not be asked.
    fn add(&mut self, context: &Context, account: &ProviderAccount, order: Order, progress: Option<Progress>, entries: Option<&[&Listed]>) {
        let now = context.clock.now();
        let (seen, absent) = match entries {
            None => (Vec::new(), false),
            Some(entries) => (to_be_heard(entries).into_iter().map(report).collect(), entries.is_empty()),
        };
        let mut reports = seen.into_iter();
        if let Some(report) = reports.next() {
            self.further.extend(reports.map(|report| (order.id, report)));
            let rules = Rules { policy: &account.account.policy, timing: &context.timing, now };
            let heard = hear(&order, &report, rules).order;
            // At a new place the order's schedule begins anew.
            let moved = heard.state != order.state;
            let progress = progress.map(|progress| if moved { Progress::default() } else { progress.shown() });
            // An entry that nobody can read leaves the order where it was, for so long.
            if progress.is_some_and(|progress| decide(context, account, &heard, progress) == Recovery::GiveUp) {
                self.further.push((order.id, clock(Says::GaveUp)));
            }
            self.changes.push(Change::new(order, report, Notes { progress, ..Notes::default() }));
            return;
        }
        let Some(progress) = progress else { return };
        let progress = if absent { progress.absent_at(now) } else { progress.tried() };
        let says = match decide(context, account, &order, progress) {
            Recovery::SendAgain(permit) if absent => {
                self.again.push((order, permit, Progress { absent_since: None, absent_last: None, ..progress }));
                return;
            }
            Recovery::SendAgain(_) | Recovery::LookAgain => Says::Nothing,
            Recovery::GiveUp => Says::GaveUp,
        };
        self.changes.push(Change::new(order, clock(says), Notes { progress: Some(progress), ..Notes::default() }));
    }

    async fn write(self, context: &Context, account: &ProviderAccount) -> Result<(), FlowError> {
        let written = settle_page(context, account, &self.changes, &[]).await?;
        point(Point::PollWritten);
        for (change, settled) in self.changes.into_iter().zip(written) {
            let id = change.order.id;
            let mut order = match settled {
                Some(settled) => settled.order,
                // It has changed since it was read, and its task with it. What the provider says counts all the same; silence
                // is judged anew.
                None if change.report.channel == Channel::Clock => continue,
                None => settle(context, account, change.order, change.report, Notes::default()).await?.order,
            };
            for (_, report) in self.further.iter().filter(|(of, _)| *of == id) {
                order = settle(context, account, order, report.clone(), Notes::default()).await?.order;
            }
        }
        let again = stream::iter(self.again);
        again
            .for_each_concurrent(SENT_SIDE_BY_SIDE, |(order, permit, progress)| send_again(context, account, order, permit, progress))
            .await;
        Ok(())
    }
}

/// Sends an order again. Where that goes wrong, its task comes back when the lease is over.
async fn send_again(context: &Context, account: &ProviderAccount, order: Order, permit: Permit, progress: Progress) {
    let (merchant, trade_id) = (order.merchant_id, order.trade_id.clone());
    point(Point::PollSendingAgain);
    if let Err(error) = submit::send(context, account, order, permit, progress).await {
        metrics::counter!("tillgate_task_errors_total", "work" => "poll").increment(1);
        tracing::error!(%merchant, %trade_id, %error, "an order could not be sent again and will be looked up again");
    }
}

fn decide(context: &Context, account: &ProviderAccount, order: &Order, progress: Progress) -> Recovery {
    let policy = &account.account.policy;
    let trusting = planted(Bug::NotFoundIsProof).then(|| Policy { trust_duplicate_refusal: true, ..policy.clone() });
    let policy = trusting.as_ref().unwrap_or(policy);
    recover(order, account.wallet.capabilities, policy, progress, &context.timing, context.clock.now())
}

fn clock(says: Says) -> Report {
    Report { channel: Channel::Clock, proven: true, says, evidence: None }
}

/// The entries of one order, in the order in which they are heard: what failed comes last, and not at all beside what cannot be
/// read. A try that failed may stand beside the one that was taken, and must not end the order before that is heard.
pub(super) fn to_be_heard<'a>(entries: &[&'a Listed]) -> Vec<&'a Listed> {
    let has_failed = |entry: &Listed| entry.record.as_ref().is_ok_and(|record| record.standing == Standing::Failed);
    let (failed, mut others): (Vec<&Listed>, Vec<&Listed>) = entries.iter().copied().partition(|entry| has_failed(entry));
    if others.iter().all(|entry| entry.record.is_ok()) {
        others.extend(failed);
    }
    others
}

/// What an entry of a list says of its order.
pub(super) fn report(entry: &Listed) -> Report {
    let says = match &entry.record {
        Ok(record) => Says::Record(record.clone()),
        Err(why) => Says::Unreadable(format!("the provider's list has an entry that cannot be read: {why}")),
    };
    Report { channel: Channel::Lookup, proven: true, says, evidence: Some(entry.evidence.clone()) }
}
