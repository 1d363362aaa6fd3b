//! What people and merchants decide: cancel, refresh, resolve.

use serde_json::json;

use super::Context;
use super::error::FlowError;
use super::look;
use super::read;
use super::settle::settle_by_hand;
use super::work::account_of;
use crate::domain::audit::{By, Entry};
use crate::domain::event::{DiscrepancyBody, EventBody};
use crate::domain::ids::{DiscrepancyId, EventId, MerchantId, TradeId};
use crate::domain::order::{Kind, Order};
use crate::domain::recovery::is_absent;
use crate::domain::report::{Channel, Decision, Report, Says};
use crate::store::{discrepancies, tasks};

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

/// A person closes a discrepancy, and says why.
pub async fn resolve_discrepancy(
    context: &Context,
    merchant: MerchantId,
    by: &By,
    id: DiscrepancyId,
    reason: &str,
) -> Result<DiscrepancyBody, FlowError> {
    let now = context.clock.now();
    let mut body = read::discrepancy(context, merchant, id).await?;
    if body.status == "resolved" {
        return Err(FlowError::conflict("already_resolved", "this discrepancy was resolved before"));
    }
    body.status = "resolved";
    body.resolved_at = Some(now);
    body.resolved_by = Some(by.label().to_owned());
    body.reason = Some(reason.to_owned());
    let event = EventBody { event_type: "discrepancy.resolved".to_owned(), timestamp: now, data: body.clone(), sequence: None };
    let text = serde_json::to_string(&event).map_err(|error| FlowError::Internal(error.to_string()))?;
    let event_id = EventId(context.clock.new_uuid());
    let entry = by.does(merchant, now, "discrepancy.resolve", ("discrepancy", id.to_string())).because(reason);
    let entry =
        entry.before(json!({ "status": "open", "kind": body.kind, "trade_id": body.trade_id })).after(json!({ "status": "resolved" }));
    let mut connection = context.db.get().await?;
    match discrepancies::resolve(&mut connection, merchant, id, (by.label(), reason), (event_id, &text), now, &entry).await? {
        true => {
            context.wake.deliver.notify_one();
            Ok(body)
        }
        false => Err(FlowError::conflict("already_resolved", "this discrepancy was resolved before")),
    }
}
