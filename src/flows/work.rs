//! Working off tasks: claim some that are due, work on them side by side, until none is due.

use futures_util::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::Context;
use super::error::FlowError;
use super::settle::{Notes, settle};
use super::tenant::{ProviderAccount, tenant};
use crate::domain::agenda::Work;
use crate::domain::ids::AttemptId;
use crate::domain::order::Order;
use crate::domain::recovery::Progress;
use crate::domain::report::{Channel, Outcome, Report, Says};
use crate::faults::{Bug, Point, planted, point};
use crate::store::{orders, tasks, timeline};

/// Tasks claimed at once.
const BATCH: i64 = 32;
/// Tasks of one claim worked on side by side.
const SIDE_BY_SIDE: usize = 16;

/// Works on everything of this kind that is due now. Gives the number of tasks. Once `stop` is
/// cancelled nothing more is claimed; what was claimed is finished.
pub async fn work(context: &Context, work: Work, stop: &CancellationToken) -> Result<usize, FlowError> {
    let mut done = 0;
    while !stop.is_cancelled() {
        let now = context.clock.now();
        let claimed = tasks::claim(&mut *context.db.get().await?, work, now, now + context.timing.lease, BATCH).await?;
        if claimed.is_empty() {
            break;
        }
        point(Point::TaskClaimed);
        done += claimed.len();
        let ids: Vec<_> = claimed.iter().map(|task| (task.merchant_id, task.order_id)).collect();
        let found = orders::by_ids(&mut *context.db.get().await?, &ids).await?;
        let pairs = claimed.into_iter().filter_map(|task| Some((task, found.iter().find(|order| order.id == task.order_id)?)));
        stream::iter(pairs).for_each_concurrent(SIDE_BY_SIDE, |(task, order)| one(context, task, order.clone())).await;
    }
    Ok(done)
}

async fn one(context: &Context, task: tasks::LeasedTask, order: Order) {
    let (merchant, trade_id) = (order.merchant_id, order.trade_id.clone());
    let result = match task.work {
        Work::Submit => super::submit::submit(context, order, task.progress).await,
        Work::Look | Work::Poll | Work::Expire | Work::Close => super::look::look(context, order, task).await,
    };
    // The lease ends by itself: the task is tried again then.
    if let Err(error) = result {
        metrics::counter!("tillgate_task_errors_total", "work" => task.work.to_string()).increment(1);
        tracing::error!(%merchant, %trade_id, work = %task.work, %error, "a task failed and will be tried again");
    }
}

/// The account that carries an order out.
pub async fn account_of(context: &Context, order: &Order) -> Result<ProviderAccount, FlowError> {
    Ok(tenant(context, order.merchant_id).await?.account(order.provider)?.clone())
}

/// Writes off an attempt that nobody works on any more. `None` if there is none.
pub async fn write_off_lost_attempt(context: &Context, account: &ProviderAccount, order: &Order) -> Result<Option<Order>, FlowError> {
    let attempts = timeline::attempts(&mut *context.db.get().await?, order.merchant_id, order.id).await?;
    let Some(lost) = attempts.into_iter().find(|attempt| attempt.state == "open") else { return Ok(None) };
    let why = "the process that sent it stopped before it could write down the answer".to_owned();
    let outcome = if planted(Bug::LostCallNeverLeft) { Outcome::NotSent(why) } else { Outcome::Unknown(why) };
    point(Point::TaskWritingOff);
    let report = Report { channel: Channel::Gateway, proven: true, says: Says::Answer { outcome, late: false }, evidence: None };
    let notes = Notes { ends: Some(AttemptId(lost.attempt_id)), progress: Some(Progress::default()), opens: None };
    Ok(Some(settle(context, account, order.clone(), report, notes).await?.order))
}

/// Whether a call about an order is open, or was lost.
pub async fn has_open_call(context: &Context, order: &Order) -> Result<bool, FlowError> {
    let attempts = timeline::attempts(&mut *context.db.get().await?, order.merchant_id, order.id).await?;
    Ok(attempts.iter().any(|attempt| attempt.state == "open"))
}

/// An order that needs no work keeps its task while a call is open. If nobody can be working on that call any more, it is
/// written off; else the task comes back when its lease is over.
pub async fn nothing_to_do(context: &Context, account: &ProviderAccount, order: &Order, progress: Progress) -> Result<(), FlowError> {
    let attempts = timeline::attempts(&mut *context.db.get().await?, order.merchant_id, order.id).await?;
    let now = context.clock.now();
    if attempts.iter().any(|attempt| attempt.state == "open" && attempt.leased_until <= now) {
        write_off_lost_attempt(context, account, order).await?;
        return Ok(());
    }
    rewrite_task(context, account, order, progress).await
}

/// Writes the task of an order anew: it did not fit the order any more.
pub async fn rewrite_task(context: &Context, account: &ProviderAccount, order: &Order, progress: Progress) -> Result<(), FlowError> {
    let report = Report { channel: Channel::Clock, proven: true, says: Says::Nothing, evidence: None };
    let notes = Notes { progress: Some(progress), ..Notes::default() };
    settle(context, account, order.clone(), report, notes).await?;
    Ok(())
}
