//! Submitting: what goes to a provider and may move money.

use std::time::Instant;

use secrecy::SecretString;

use super::Context;
use super::capability::callback_url;
use super::error::FlowError;
use super::feed;
use super::link::{self, NoToken};
use super::look::time_up;
use super::settle::{Change, Notes, settle, settle_page};
use super::tenant::ProviderAccount;
use super::web;
use super::work::{account_of, nothing_to_do, rewrite_task, write_off_lost_attempt};
use crate::domain::agenda::deadline;
use crate::domain::ids::AttemptId;
use crate::domain::order::{Destination, Kind, NextAction, Order, Way};
use crate::domain::recovery::{Permit, Progress};
use crate::domain::report::{Channel, Code, Outcome, ProviderRecord, Report, Says, Standing};
use crate::domain::status::{Deposit, Payout, State};
use crate::faults::{Point, point};
use crate::providers::{Answer, MoneyCall, Side};
use crate::store::customers;
use crate::store::links::{self, LinkKey};

/// Works on an order that waits to be sent, or that was being sent when its worker stopped.
pub async fn submit(context: &Context, order: Order, progress: Progress) -> Result<(), FlowError> {
    let account = account_of(context, &order).await?;
    match order.state {
        State::Payout(Payout::Queued) => match Permit::first(&order) {
            Some(permit) => send(context, &account, order, permit, progress).await,
            None => rewrite_task(context, &account, &order, progress).await,
        },
        State::Payout(Payout::Submitting) => match write_off_lost_attempt(context, &account, &order).await? {
            Some(_) => Ok(()),
            None => Err(FlowError::Internal("an order is being submitted without an attempt".to_owned())),
        },
        State::Deposit(Deposit::Created) => offer_again(context, &account, order, progress).await,
        // It went on while the call was open.
        _ => nothing_to_do(context, &account, &order, progress).await,
    }
}

/// Sends a payout: claim, act, record.
pub async fn send(context: &Context, account: &ProviderAccount, order: Order, permit: Permit, progress: Progress) -> Result<(), FlowError> {
    let token = match payees_token(context, account, &order).await? {
        Ok(token) => token,
        Err(why) => {
            tracing::warn!(trade_id = %order.trade_id, ?why, "no token for a payout yet");
            return rewrite_task(context, account, &order, progress.tried()).await;
        }
    };
    let Some((order, attempt, deadline)) = claim(context, account, order, permit, progress).await? else { return Ok(()) };
    let call = money_call(context, &order, deadline)?;
    let answer = pay(account, &order, &call, token.as_ref()).await;
    point(Point::SubmitAnswered);
    record(context, account, order, attempt, answer, progress).await?;
    Ok(())
}

fn unable() -> Answer {
    Answer { outcome: Outcome::NotSent("the account has no way to send this".to_owned()), evidence: None }
}

/// The token of the user who is to be paid, where the wallet wants one.
async fn payees_token(
    context: &Context,
    account: &ProviderAccount,
    order: &Order,
) -> Result<Result<Option<SecretString>, NoToken>, FlowError> {
    if !account.wallet.payouts_need_token || order.way() != Some(Way::ToUser) {
        return Ok(Ok(None));
    }
    let user = order.provider_user.as_deref().unwrap_or_default();
    let customer = links::customer_of(&mut *context.db.get().await?, order.merchant_id, order.provider, user).await?;
    let Some(customer) = customer else { return Ok(Err(NoToken::Missing)) };
    let key = LinkKey { merchant_id: order.merchant_id, customer, provider: order.provider };
    Ok(link::access_token(context, account, &key, None).await?.map(Some))
}

/// Makes the call that moves the money of an order.
async fn pay(account: &ProviderAccount, order: &Order, call: &MoneyCall, access_token: Option<&SecretString>) -> Answer {
    let wallet = &account.wallet;
    let source = order.source_user.as_deref().unwrap_or_default();
    let user = order.provider_user.as_deref().unwrap_or_default();
    match (order.way(), &order.destination) {
        (Some(Way::ToUser), _) => wallet.user_payouts.pay_user(call, Side { user, access_token }).await,
        (Some(Way::ToAddress), Some(Destination::Address { address, on_chain_only })) => match &wallet.address_payouts {
            Some(port) => port.pay_address(call, source, address, on_chain_only.unwrap_or_default()).await,
            None => unable(),
        },
        (Some(Way::BetweenUsers), _) => match &wallet.transfers {
            Some(port) => port.transfer(call, source, user).await,
            None => unable(),
        },
        (Some(Way::ToAddress) | None, _) => unable(),
    }
}

/// Opens a deposit at the provider again, where the answer was lost or never came.
async fn offer_again(context: &Context, account: &ProviderAccount, order: Order, progress: Progress) -> Result<(), FlowError> {
    let order = write_off_lost_attempt(context, account, &order).await?.unwrap_or(order);
    // It may have gone on meanwhile: then there is no permit.
    let Some(permit) = Permit::moves_nothing(&order) else { return rewrite_task(context, account, &order, progress).await };
    let now = context.clock.now();
    let end = deadline(&order, &context.timing, now);
    if now >= end {
        // The address may be known from elsewhere, and the money be there.
        return match feed::has_been_read_since(context, account, &order, end).await? {
            true => time_up(context, account, order, progress).await,
            false => rewrite_task(context, account, &order, progress.tried()).await,
        };
    }
    if account.wallet.users.is_some() || account.wallet.web_deposits.is_some() {
        let Some((order, attempt, deadline)) = claim(context, account, order, permit, progress).await? else { return Ok(()) };
        if account.wallet.web_deposits.is_some() {
            let next_action = web::next_action(context, &order)?;
            offered_before(context, account, order, attempt, next_action).await?;
        } else {
            offer(context, account, order, attempt, deadline, None, progress).await?;
        }
        return Ok(());
    }
    let key = link::key_of(&order)?;
    let token = match link::access_token(context, account, &key, None).await? {
        Ok(token) => token,
        Err(NoToken::Unavailable(why)) => {
            tracing::warn!(trade_id = %order.trade_id, why, "no token for a deposit yet");
            return rewrite_task(context, account, &order, progress.tried()).await;
        }
        Err(NoToken::Missing) => return without_link(context, account, order, progress).await,
    };
    if let Some((order, attempt, deadline)) = claim(context, account, order, permit, progress).await? {
        offer(context, account, order, attempt, deadline, Some(&token), progress).await?;
    }
    Ok(())
}

/// Asks the provider to expect a deposit whose attempt is committed.
pub async fn offer(
    context: &Context,
    account: &ProviderAccount,
    order: Order,
    attempt: AttemptId,
    deadline: Instant,
    access_token: Option<&SecretString>,
    progress: Progress,
) -> Result<Order, FlowError> {
    let call = money_call(context, &order, deadline)?;
    let payer = Side { user: order.provider_user.as_deref().unwrap_or_default(), access_token };
    let mut answer = match &account.wallet.deposits {
        Some(port) => port.offer(&call, payer).await,
        None => unable(),
    };
    point(Point::SubmitAnswered);
    if matches!(&answer.outcome, Outcome::Refused(code) if code.code == "link_expired") {
        answer.outcome = Box::pin(after_refused_token(context, account, &order, answer.outcome)).await?;
    }
    if let Outcome::Accepted(record) = &mut answer.outcome
        && let Some(NextAction::SendToAddress { address, coin, .. }) = &mut record.next_action
        && let Some(customer) = &order.customer
    {
        coin.clone_from(&order.coin);
        let (merchant, now, mut connection) = (order.merchant_id, context.clock.now(), context.db.get().await?);
        let coin = (order.provider_coin_id.as_str(), order.coin.as_str());
        point(Point::AddressGiven);
        customers::remember_address(&mut connection, merchant, customer, order.provider, coin.0, coin.1, address, now).await?;
    }
    record(context, account, order, attempt, answer, progress).await
}

/// What the customer has to do is known: nobody needs to be asked.
pub async fn offered_before(
    context: &Context,
    account: &ProviderAccount,
    order: Order,
    attempt: AttemptId,
    next_action: NextAction,
) -> Result<Order, FlowError> {
    let record_of_it = ProviderRecord { next_action: Some(next_action), ..ProviderRecord::new(Standing::Awaiting) };
    let answer = Answer { outcome: Outcome::Accepted(Box::new(record_of_it)), evidence: None };
    record(context, account, order, attempt, answer, Progress::default()).await
}

/// The provider refuses a token that should be good: fetch a new one, then the offer can be made
/// again. The refusal stands only if there is no new token to be had.
async fn after_refused_token(context: &Context, account: &ProviderAccount, order: &Order, refused: Outcome) -> Result<Outcome, FlowError> {
    let key = link::key_of(order)?;
    Ok(match link::refresh(context, account, &key).await? {
        Ok(_) => Outcome::NotSent("the wallet's token was refused; a new one was fetched".to_owned()),
        Err(NoToken::Unavailable(why)) => {
            Outcome::NotSent(format!("the wallet's token was refused, and a new one could not be fetched: {why}"))
        }
        Err(NoToken::Missing) => refused,
    })
}

fn link_has_ended() -> Outcome {
    let message = "The customer's link to the wallet has ended.".to_owned();
    Outcome::Refused(Code { code: "link_expired", provider_code: String::new(), message })
}

/// A deposit whose attempt is committed cannot be sent for want of a token: that attempt ends.
pub async fn without_token(
    context: &Context,
    account: &ProviderAccount,
    order: Order,
    attempt: AttemptId,
    for_good: bool,
) -> Result<Order, FlowError> {
    let outcome = if for_good { link_has_ended() } else { Outcome::NotSent("no access token could be fetched".to_owned()) };
    record(context, account, order, attempt, Answer { outcome, evidence: None }, Progress::default()).await
}

async fn without_link(context: &Context, account: &ProviderAccount, order: Order, progress: Progress) -> Result<(), FlowError> {
    let says = Says::Answer { outcome: link_has_ended(), late: false };
    let report = Report { channel: Channel::Gateway, proven: true, says, evidence: None };
    let settled = settle(context, account, order, report, Notes { progress: Some(progress.tried()), ..Notes::default() }).await?;
    tracing::info!(trade_id = %settled.order.trade_id, "a deposit has lost its link");
    Ok(())
}

/// Commits the attempt. The deadline is taken before the lease is written, so that it ends first. `None` if the order has
/// changed since it was read: the permit was for the order as it was, and whoever changed it decides anew.
async fn claim(
    context: &Context,
    account: &ProviderAccount,
    order: Order,
    permit: Permit,
    progress: Progress,
) -> Result<Option<(Order, AttemptId, Instant)>, FlowError> {
    let deadline = context.clock.instant() + context.timing.lease;
    let attempt = AttemptId(context.clock.new_uuid());
    let until = context.clock.now() + context.timing.lease;
    let report = Report { channel: Channel::Gateway, proven: true, says: Says::Attempt(permit), evidence: None };
    let notes = Notes { opens: Some((attempt, until)), progress: Some(progress), ends: None };
    point(Point::SubmitClaiming);
    let claimed = settle_page(context, account, &[Change::new(order, report, notes)], &[]).await?.pop().flatten();
    point(Point::SubmitClaimed);
    Ok(claimed.filter(|claimed| claimed.refusal.is_none()).map(|claimed| (claimed.order, attempt, deadline)))
}

/// Writes down what a call came to.
async fn record(
    context: &Context,
    account: &ProviderAccount,
    order: Order,
    attempt: AttemptId,
    answer: Answer,
    progress: Progress,
) -> Result<Order, FlowError> {
    metrics::counter!("tillgate_attempts_total", "provider" => order.provider.to_string(), "outcome" => answer.outcome.name()).increment(1);
    if let Outcome::Misconfigured(code) = &answer.outcome {
        tracing::error!(merchant = %order.merchant_id, provider = %order.provider, code = code.code, "the provider refuses our credentials or our clock");
    }
    // A call that did not get through is repeated later and later; anything else begins anew.
    let progress = match &answer.outcome {
        Outcome::NotSent(_) | Outcome::Misconfigured(_) => progress.tried(),
        Outcome::Unknown(_) | Outcome::Refused(_) if order.doubts > 0 => progress.tried(),
        // The provider expects the deposit and does not say under which name: asking again helps less and less.
        Outcome::Duplicate(None) if order.kind == Kind::Deposit => progress.tried(),
        _ => Progress::default(),
    };
    let report = Report {
        channel: Channel::Answer,
        proven: true,
        says: Says::Answer { outcome: answer.outcome, late: false },
        evidence: answer.evidence,
    };
    let notes = Notes { ends: Some(attempt), progress: Some(progress), opens: None };
    let settled = settle(context, account, order, report, notes).await?;
    point(Point::SubmitRecorded);
    Ok(settled.order)
}

/// What every call about an order carries.
pub fn money_call(context: &Context, order: &Order, deadline: Instant) -> Result<MoneyCall, FlowError> {
    Ok(MoneyCall {
        trade_id: order.trade_id.clone(),
        provider_coin_id: order.provider_coin_id.clone(),
        amount: order.amount,
        server_uri: callback_url(context, order)?,
        now: context.clock.now(),
        deadline,
    })
}
