//! What people and merchants decide: cancel, refresh, resolve.

use super::Context;
use super::error::FlowError;
use super::look;
use super::read;
use super::settle::{Notes, settle};
use super::work::account_of;
use crate::domain::ids::{MerchantId, TradeId};
use crate::domain::order::{Kind, Order};
use crate::domain::report::{Channel, Decision, Report, Says};

/// Calls an order off, as long as no money can have moved. Calling off twice is calling off once.
pub async fn cancel(context: &Context, merchant: MerchantId, kind: Kind, trade_id: &TradeId) -> Result<Order, FlowError> {
    let order = read::order(context, merchant, kind, trade_id).await?;
    hear(context, order, Report { channel: Channel::Merchant, proven: true, says: Says::Cancel, evidence: None }).await
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
    kind: Kind,
    trade_id: &TradeId,
    decision: Decision,
    (by, reason): (String, String),
) -> Result<Order, FlowError> {
    let order = read::order(context, merchant, kind, trade_id).await?;
    if kind == Kind::Deposit && matches!(decision, Decision::Retry | Decision::Approve) {
        return Err(FlowError::field("/action", "action_not_supported", "a deposit can be confirmed or rejected"));
    }
    let says = Says::Decision { decision, by, reason };
    let order = hear(context, order, Report { channel: Channel::Operator, proven: true, says, evidence: None }).await?;
    context.wake.submit.notify_one();
    Ok(order)
}

async fn hear(context: &Context, order: Order, report: Report) -> Result<Order, FlowError> {
    let account = account_of(context, &order).await?;
    let settled = settle(context, &account, order, report, Notes::default()).await?;
    match settled.refusal {
        Some(refusal) => Err(refusal.into()),
        None => Ok(settled.order),
    }
}
