//! Notices: a provider tells that something has happened. Nobody signs that, so that nothing in it is
//! believed: it is a nudge to ask now.

use super::Context;
use super::capability;
use super::error::FlowError;
use super::settle::{Notes, settle};
use super::tenant::tenant;
use crate::domain::ids::{MerchantId, TradeId};
use crate::domain::order::Provider;
use crate::domain::report::{Channel, Evidence, Report, Says};
use crate::faults::{Point, point};
use crate::providers::Subject;
use crate::store::feeds::{self, FeedKey};
use crate::store::{orders, tasks};

/// Takes a notice. Gives whether it could be read; an address that we did not make is not found.
pub async fn receive(context: &Context, provider: Provider, capability: &str, evidence: Evidence) -> Result<bool, FlowError> {
    const NO_SUCH: FlowError = FlowError::NotFound("callback address");
    let merchant = capability::open_notice(context, provider, capability).ok_or(NO_SUCH)?;
    let account = tenant(context, merchant).await?.account(provider).map_err(|_| NO_SUCH)?.clone();
    let notices = account.wallet.notices.clone().ok_or(NO_SUCH)?;
    let subject = notices.subject(&evidence.raw);
    metrics::counter!("tillgate_callbacks_total", "provider" => provider.to_string(), "read" => if subject.is_ok() { "ok" } else { "no" })
        .increment(1);
    match subject {
        Ok(Subject::Order(trade_id)) => about_order(context, merchant, provider, &trade_id, evidence).await?,
        Ok(Subject::Incoming(number)) => {
            let feed = FeedKey { merchant_id: merchant, provider };
            feeds::hasten(&mut *context.db.get().await?, feed, Some(number), context.clock.now()).await?;
            point(Point::NoticeHastened);
            context.wake.feed.notify_one();
        }
        Err(why) => {
            tracing::warn!(%merchant, %provider, why, "a notice cannot be read");
            return Ok(false);
        }
    }
    Ok(true)
}

/// Keeps the notice with its order, and makes the order's next look due now.
async fn about_order(
    context: &Context,
    merchant: MerchantId,
    provider: Provider,
    trade_id: &TradeId,
    evidence: Evidence,
) -> Result<(), FlowError> {
    let found = orders::by_trade_id(&mut *context.db.get().await?, merchant, trade_id).await?;
    let Some((order, _)) = found.filter(|(order, _)| order.provider == provider) else {
        tracing::warn!(%merchant, %provider, %trade_id, "a notice is about an order that is not ours");
        return Ok(());
    };
    let account = tenant(context, merchant).await?.account(provider)?.clone();
    let id = order.id;
    let report = Report { channel: Channel::Callback, proven: false, says: Says::Nothing, evidence: Some(evidence) };
    settle(context, &account, order, report, Notes::default()).await?;
    point(Point::NoticeKept);
    tasks::hasten(&mut *context.db.get().await?, merchant, id, context.clock.now()).await?;
    point(Point::NoticeHastened);
    context.wake.poll.notify_one();
    Ok(())
}
