//! Looking: asking the provider about an order, and drawing the conclusions that time allows.

use super::Context;
use super::error::FlowError;
use super::link::{self, NoToken};
use super::settle::{Change, Notes, Settled, settle, settle_page};
use super::submit;
use super::tenant::ProviderAccount;
use super::work::{account_of, has_open_call, nothing_to_do, rewrite_task};
use super::{feed, poll};
use crate::domain::agenda::deadline;
use crate::domain::order::{Kind, Order};
use crate::domain::recovery::{Progress, Recovery, recover};
use crate::domain::report::{Channel, ProviderRecord, Report, Says, Standing};
use crate::domain::status::{Deposit, Payout, Review, State};
use crate::faults::{Point, point};
use crate::providers::Looked;
use crate::store::tasks::LeasedTask;

/// What a fresh look told.
enum Seen {
    /// The provider told something, and it was heard.
    Heard(Box<Settled>),
    /// The provider knows of no such movement.
    Nothing(Order),
    /// The provider could not be asked now.
    Unavailable(Order),
    /// There is no way to ask: no reference, or no token.
    NoWay(Order),
}

/// Works on an order that is to be looked at, that may have expired, or whose time for late money is over.
pub async fn look(context: &Context, order: Order, task: LeasedTask) -> Result<(), FlowError> {
    let account = account_of(context, &order).await?;
    if order.is_final {
        return nothing_to_do(context, &account, &order, task.progress).await;
    }
    match order.state {
        State::Deposit(Deposit::Confirming) if account.wallet.deposit_feed.is_some() => {
            let order = feed::refresh(context, order).await?;
            rewrite_task(context, &account, &order, task.progress.tried()).await
        }
        State::Deposit(Deposit::Verifying) => verify(context, &account, order, task.progress).await,
        State::Deposit(Deposit::AwaitingPayment | Deposit::PartiallyPaid) => expire(context, &account, order, task.progress).await,
        State::Deposit(Deposit::Expired | Deposit::Canceled) => close(context, &account, order, task.progress).await,
        State::Payout(
            Payout::OutcomeUnknown
            | Payout::Accepted
            | Payout::ProviderReview
            | Payout::Broadcast
            | Payout::RequiresReview(Review::OutcomeUnknown),
        ) => find_outcome(context, &account, order, task.progress).await,
        _ => nothing_to_do(context, &account, &order, task.progress).await,
    }
}

/// Asks the provider now, and hears what it says. Nothing follows from the time alone.
pub async fn refresh(context: &Context, order: Order) -> Result<Order, FlowError> {
    let account = account_of(context, &order).await?;
    if account.wallet.trade_lookups.is_some() && order.way().is_some() {
        return poll::refresh(context, &account, order).await;
    }
    if account.wallet.deposit_feed.is_some() && order.kind == Kind::Deposit {
        return feed::refresh(context, order).await;
    }
    Ok(match see(context, &account, order, None).await? {
        Seen::Heard(settled) => settled.order,
        Seen::Nothing(order) | Seen::NoWay(order) => order,
        Seen::Unavailable(_) => {
            return Err(FlowError::ProviderUnavailable("it could not be asked about this order; try again later".to_owned()));
        }
    })
}

/// Whether the provider can be asked about an order right now.
pub async fn can_ask(context: &Context, account: &ProviderAccount, order: &Order) -> Result<bool, FlowError> {
    if order.customer.is_none() {
        return Ok(false);
    }
    Ok(!matches!(link::access_token(context, account, &link::key_of(order)?, None).await?, Err(NoToken::Missing)))
}

/// Somebody claims that a deposit was paid or failed: look for the proof.
async fn verify(context: &Context, account: &ProviderAccount, order: Order, progress: Progress) -> Result<(), FlowError> {
    let seen =
        if account.account.policy.confirm_by_query { see(context, account, order, Some(progress)).await? } else { Seen::NoWay(order) };
    match seen {
        Seen::Heard(settled) if settled.order.state != State::Deposit(Deposit::Verifying) => Ok(()),
        Seen::Heard(settled) => unproven_yet(context, account, settled.order, progress).await,
        Seen::Nothing(order) => unproven_yet(context, account, order, progress).await,
        Seen::Unavailable(order) if context.clock.now() - order.updated_at >= context.timing.review_after => {
            conclude(context, account, order, Says::GaveUp, progress).await
        }
        Seen::Unavailable(order) => rewrite_task(context, account, &order, progress.tried()).await,
        // A browser's word is no proof, however long nobody else says anything.
        Seen::NoWay(order) if order.claim.as_ref().is_some_and(|claim| claim.by_browser) => {
            wait_for_a_person(context, account, order, progress).await
        }
        Seen::NoWay(order) => believe(context, account, order, progress).await,
    }
}

/// The provider says that nobody paid (yet): wait for it until the time is up.
async fn unproven_yet(context: &Context, account: &ProviderAccount, order: Order, progress: Progress) -> Result<(), FlowError> {
    let now = context.clock.now();
    if now >= deadline(&order, &context.timing, now) {
        return time_up(context, account, order, progress).await;
    }
    rewrite_task(context, account, &order, progress.tried()).await
}

/// Only the customer's browser says that it was paid (or not), and nobody can be asked: a person has time to find out.
async fn wait_for_a_person(context: &Context, account: &ProviderAccount, order: Order, progress: Progress) -> Result<(), FlowError> {
    let now = context.clock.now();
    let failed = order.claim.as_ref().is_some_and(|claim| !claim.paid);
    if failed && now >= deadline(&order, &context.timing, now) {
        return time_up(context, account, order, progress).await;
    }
    if now - order.updated_at >= context.timing.review_after {
        return conclude(context, account, order, Says::GaveUp, progress).await;
    }
    rewrite_task(context, account, &order, progress.tried()).await
}

/// No better proof is to be had than the claim, which came with the order's capability and agreed
/// with the order in everything.
async fn believe(context: &Context, account: &ProviderAccount, order: Order, progress: Progress) -> Result<(), FlowError> {
    let Some(claim) = order.claim.clone() else { return rewrite_task(context, account, &order, progress).await };
    let standing = if claim.paid { Standing::Paid } else { Standing::Failed };
    let record = ProviderRecord { reference: claim.reference, fee: claim.fee, ..ProviderRecord::new(standing) };
    conclude(context, account, order, Says::Record(record), progress).await
}

/// The deadline of a deposit has passed: look once more before it expires.
async fn expire(context: &Context, account: &ProviderAccount, order: Order, progress: Progress) -> Result<(), FlowError> {
    let end = deadline(&order, &context.timing, context.clock.now());
    if !feed::has_been_read_since(context, account, &order, end).await? {
        return rewrite_task(context, account, &order, progress.tried()).await;
    }
    match see(context, account, order, Some(progress)).await? {
        Seen::Heard(settled) if settled.changed => Ok(()),
        Seen::Heard(settled) => time_up(context, account, settled.order, progress).await,
        Seen::Nothing(order) | Seen::NoWay(order) => time_up(context, account, order, progress).await,
        Seen::Unavailable(order) => rewrite_task(context, account, &order, progress.tried()).await,
    }
}

/// The time for late money is over: look once more before the order is final.
async fn close(context: &Context, account: &ProviderAccount, order: Order, progress: Progress) -> Result<(), FlowError> {
    let end = order.final_at.unwrap_or(order.updated_at);
    if !feed::has_been_read_since(context, account, &order, end).await? {
        return rewrite_task(context, account, &order, progress.tried()).await;
    }
    match see(context, account, order, Some(progress)).await? {
        Seen::Heard(settled) if settled.changed => Ok(()),
        Seen::Heard(settled) => conclude(context, account, settled.order, Says::Close, progress).await,
        Seen::Nothing(order) | Seen::NoWay(order) => conclude(context, account, order, Says::Close, progress).await,
        Seen::Unavailable(order) => rewrite_task(context, account, &order, progress.tried()).await,
    }
}

/// The deadline has passed, and the provider knows of no money.
pub async fn time_up(context: &Context, account: &ProviderAccount, order: Order, progress: Progress) -> Result<(), FlowError> {
    conclude(context, account, order, Says::TimeUp, progress).await
}

/// What became of a payout, where nobody has told us: look, send again, or ask a human.
async fn find_outcome(context: &Context, account: &ProviderAccount, order: Order, progress: Progress) -> Result<(), FlowError> {
    let before = order.state;
    let (order, progress) = match see(context, account, order, Some(progress)).await? {
        Seen::Heard(settled) if settled.order.state != before => return Ok(()),
        Seen::Heard(settled) => (settled.order, progress),
        Seen::Nothing(order) => (order, progress.absent_at(context.clock.now())),
        Seen::Unavailable(order) | Seen::NoWay(order) => (order, progress),
    };
    let now = context.clock.now();
    match recover(&order, account.wallet.capabilities, &account.account.policy, progress, &context.timing, now) {
        Recovery::LookAgain => rewrite_task(context, account, &order, progress.tried()).await,
        Recovery::SendAgain(permit) => {
            submit::send(context, account, order, permit, Progress { absent_since: None, absent_last: None, ..progress }).await
        }
        Recovery::GiveUp => conclude(context, account, order, Says::GaveUp, progress).await,
    }
}

/// Asks the provider about the order's movement, and hears the answer. Where it may have several names, each is asked for, until
/// one moves the order.
async fn see(context: &Context, account: &ProviderAccount, order: Order, progress: Option<Progress>) -> Result<Seen, FlowError> {
    let (before, references) = (order.state, order.references());
    let mut seen = Seen::NoWay(order);
    for reference in references {
        let order = match seen {
            Seen::NoWay(order) | Seen::Nothing(order) => order,
            Seen::Heard(settled) if settled.order.state == before => settled.order,
            Seen::Heard(_) | Seen::Unavailable(_) => break,
        };
        seen = see_one(context, account, order, &reference, progress).await?;
    }
    Ok(seen)
}

async fn see_one(
    context: &Context,
    account: &ProviderAccount,
    order: Order,
    reference: &str,
    progress: Option<Progress>,
) -> Result<Seen, FlowError> {
    Ok(match ask(context, account, &order, reference).await? {
        None => Seen::NoWay(order),
        Some(Looked::Found(record, evidence)) => {
            let report = Report { channel: Channel::Lookup, proven: true, says: Says::Record(*record), evidence: Some(evidence) };
            let notes = Notes { progress: progress.map(Progress::tried), ..Notes::default() };
            Seen::Heard(Box::new(settle(context, account, order, report, notes).await?))
        }
        Some(Looked::Absent(_)) => Seen::Nothing(order),
        Some(Looked::Unavailable(_) | Looked::Unreadable(_) | Looked::Unauthorized) => Seen::Unavailable(order),
    })
}

/// Asks about the movement of an order that the provider calls `reference`, with its customer's token. `None`: there is no way to.
pub async fn ask(context: &Context, account: &ProviderAccount, order: &Order, reference: &str) -> Result<Option<Looked>, FlowError> {
    let (Some(lookups), Some(_)) = (&account.wallet.reference_lookups, &order.customer) else { return Ok(None) };
    let key = link::key_of(order)?;
    let mut token = link::access_token(context, account, &key, None).await?;
    for fresh in [false, true] {
        let access_token = match token {
            Ok(access_token) => access_token,
            Err(NoToken::Missing) => return Ok(None),
            // Only this customer's: others can be asked about.
            Err(NoToken::Unavailable(why)) => {
                tracing::warn!(trade_id = %order.trade_id, why, "there is no token to ask with");
                return Ok(Some(Looked::Unauthorized));
            }
        };
        let looked = lookups.by_reference(reference, &access_token).await;
        point(Point::LookAnswered);
        metrics::counter!("tillgate_lookups_total", "provider" => order.provider.to_string(), "outcome" => looked_name(&looked))
            .increment(1);
        match looked {
            Looked::Unauthorized if !fresh => token = link::refresh(context, account, &key).await?,
            looked => {
                if let Looked::Unavailable(why) | Looked::Unreadable(why) = &looked {
                    tracing::warn!(trade_id = %order.trade_id, why, "the provider could not be asked");
                }
                return Ok(Some(looked));
            }
        }
    }
    Ok(Some(Looked::Unauthorized))
}

fn looked_name(looked: &Looked) -> &'static str {
    match looked {
        Looked::Found(..) => "found",
        Looked::Absent(_) => "absent",
        Looked::Unauthorized => "unauthorized",
        Looked::Unavailable(_) | Looked::Unreadable(_) => "unavailable",
    }
}

/// Draws a conclusion from silence. It is about the order as it was read: where somebody has told something since, it is void, and
/// whoever wrote that has written the task anew. Where the order goes, nobody may look at it for long: a call that is still open, or
/// was lost, comes to its end first.
async fn conclude(context: &Context, account: &ProviderAccount, order: Order, says: Says, progress: Progress) -> Result<(), FlowError> {
    if has_open_call(context, &order).await? {
        return nothing_to_do(context, account, &order, progress.tried()).await;
    }
    let report = Report { channel: Channel::Clock, proven: true, says, evidence: None };
    let change = Change::new(order, report, Notes { progress: Some(progress.tried()), ..Notes::default() });
    match settle_page(context, account, &[change], &[]).await?.pop().flatten() {
        Some(settled) if !settled.changed => rewrite_task(context, account, &settled.order, progress.tried()).await,
        Some(_) | None => Ok(()),
    }
}
