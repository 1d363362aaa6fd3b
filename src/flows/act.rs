//! What people and merchants decide: cancel, refresh, resolve.

use super::Context;
use super::error::FlowError;
use super::look;
use super::read;
use super::settle::settle_by_hand;
use super::work::account_of;
use crate::domain::audit::{By, Entry};
use crate::domain::ids::{MerchantId, TradeId};
use crate::domain::order::{Kind, Order};
use crate::domain::recovery::is_absent;
use crate::domain::report::{Channel, Decision, Report, Says};
use crate::store::tasks;

/// Calls an order off, as long as no money can have moved. Calling off twice is calling off once.
pub async fn cancel(context: &Context, merchant: MerchantId, by: &By, kind: Kind, trade_id: &TradeId) -> Result<Order, FlowError> {
    let order = read::order(context, merchant, kind, trade_id).await?;
    let entry = entry(context, by, &order, "cancel");
    hear(context, order, Report { channel: Channel::Merchant, proven: true, says: Says::Cancel, evidence: None }, entry).await
}

/// What is done to an order by hand.
fn entry(context: &Context, by: &By, order: &Order, verb: &str) -> Entry {
    let kind: &'static str = order.kind.into();
    by.does(order.merchant_id, context.clock.now(), format!("{kind}.{verb}"), (kind, order.trade_id.to_string()))
}

/// Asks the provider about an order now.
pub async fn refresh(context: &Context, merchant: MerchantId, kind: Kind, trade_id: &TradeId) -> Result<Order, FlowError> {
    let order = read::order(context, merchant, kind, trade_id).await?;
    look::refresh(context, order).await
}

/// A person decides what became of an order, and says why.
pub async fn resolve(
    context: &Context,
    merchant: MerchantId,
    by: &By,
    kind: Kind,
    trade_id: &TradeId,
    (decision, reason): (Decision, String),
) -> Result<Order, FlowError> {
    let order = read::order(context, merchant, kind, trade_id).await?;
    if kind == Kind::Deposit && matches!(decision, Decision::Retry | Decision::Approve) {
        return Err(FlowError::field("/action", "action_not_supported", "a deposit can be confirmed or rejected"));
    }
    let entry = entry(context, by, &order, decision.into()).because(&reason);
    let absent = decision == Decision::Retry && absent(context, &order).await?;
    let says = Says::Decision { decision, by: by.label().to_owned(), reason, absent };
    let order = hear(context, order, Report { channel: Channel::Operator, proven: true, says, evidence: None }, entry).await?;
    context.wake.submit.notify_one();
    context.wake.look.notify_one();
    context.wake.poll.notify_one();
    Ok(order)
}

/// Whether the provider is known to have no such movement: then one person is enough to send again.
async fn absent(context: &Context, order: &Order) -> Result<bool, FlowError> {
    let account = account_of(context, order).await?;
    let progress = tasks::progress(&mut *context.db.get().await?, order.merchant_id, order.id).await?.unwrap_or_default();
    Ok(is_absent(account.wallet.capabilities, &account.account.policy, progress, &context.timing))
}

async fn hear(context: &Context, order: Order, report: Report, entry: Entry) -> Result<Order, FlowError> {
    let account = account_of(context, &order).await?;
    let settled = settle_by_hand(context, &account, order, report, entry).await?;
    match settled.refusal {
        Some(refusal) => Err(refusal.into()),
        None => Ok(settled.order),
    }
}
