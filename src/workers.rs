//! The loops: each looks at the rows for what is due, at its period or when woken. A step takes no
//! input, so that it does not matter who runs it, how often, or what happened before.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::agenda::Work;
use crate::flows::deliver::{self, Line};
use crate::flows::error::FlowError;
use crate::flows::{Context, coins, feed, forget, link, poll, reconcile, retention, time, work};

/// How often a loop looks when nobody wakes it.
const PERIOD: Duration = Duration::from_millis(500);
/// Who is woken again and again looks once in this time: what has come meanwhile is taken together.
const REST: Duration = Duration::from_millis(20);
/// How often links and lists of coins are looked at.
const HOUSEKEEPING: Duration = Duration::from_secs(5);
/// How often it is looked whether both sides are to be compared.
const RECONCILING: Duration = Duration::from_mins(1);
/// How often months of events are made and dropped.
const RETENTION: Duration = Duration::from_hours(1);

/// Keeps this process's clock with the database's, also where it only answers requests.
pub fn keep_time(context: &Arc<Context>, tracker: &TaskTracker, stop: &CancellationToken) {
    let shared = context.clone();
    tracker.spawn(run_every(HOUSEKEEPING, Arc::default(), stop.clone(), move || {
        let context = shared.clone();
        async move { time::keep(&context).await }
    }));
}

/// Starts all loops. They stop claiming work when `stop` is cancelled; `tracker` knows when what
/// they had claimed is finished.
pub fn start(context: &Arc<Context>, tracker: &TaskTracker, stop: &CancellationToken) {
    let tasks = [
        (Work::Submit, context.wake.submit.clone()),
        (Work::Look, context.wake.look.clone()),
        (Work::Expire, Arc::default()),
        (Work::Close, Arc::default()),
    ];
    for (kind, notify) in tasks {
        let (context, token) = (context.clone(), stop.clone());
        tracker.spawn(run_every(PERIOD, notify, stop.clone(), move || {
            let (context, token) = (context.clone(), token.clone());
            async move { work::work(&context, kind, &token).await }
        }));
    }
    let (shared, token) = (context.clone(), stop.clone());
    tracker.spawn(run_every(PERIOD, context.wake.poll.clone(), stop.clone(), move || {
        let (context, token) = (shared.clone(), token.clone());
        async move { poll::poll(&context, &token).await }
    }));
    let (shared, token) = (context.clone(), stop.clone());
    tracker.spawn(run_every(PERIOD, context.wake.feed.clone(), stop.clone(), move || {
        let (context, token) = (shared.clone(), token.clone());
        async move { feed::read_due(&context, &token).await }
    }));
    for (line, notify) in [(Line::Working, context.wake.deliver.clone()), (Line::Failing, Arc::default())] {
        let (context, token) = (context.clone(), stop.clone());
        tracker.spawn(run_every(PERIOD, notify, stop.clone(), move || {
            let (context, token) = (context.clone(), token.clone());
            async move { deliver::deliver(&context, line, &token).await }
        }));
    }
    let shared = context.clone();
    tracker.spawn(run_every(HOUSEKEEPING, Arc::default(), stop.clone(), move || {
        let context = shared.clone();
        async move { deliver::keep_tidy(&context).await }
    }));
    let (shared, token) = (context.clone(), stop.clone());
    tracker.spawn(run_every(RECONCILING, Arc::default(), stop.clone(), move || {
        let (context, token) = (shared.clone(), token.clone());
        async move { reconcile::work_on_all(&context, &token).await }
    }));
    let shared = context.clone();
    tracker.spawn(run_every(RECONCILING, Arc::default(), stop.clone(), move || {
        let context = shared.clone();
        async move { reconcile::begin_nightly(&context).await }
    }));
    let (shared, token) = (context.clone(), stop.clone());
    tracker.spawn(run_every(HOUSEKEEPING, Arc::default(), stop.clone(), move || {
        let (context, token) = (shared.clone(), token.clone());
        async move { link::refresh_due(&context, &token).await }
    }));
    let (shared, token) = (context.clone(), stop.clone());
    tracker.spawn(run_every(HOUSEKEEPING, Arc::default(), stop.clone(), move || {
        let (context, token) = (shared.clone(), token.clone());
        async move { coins::refresh_due(&context, &token).await }
    }));
    let shared = context.clone();
    tracker.spawn(run_every(RETENTION, Arc::default(), stop.clone(), move || {
        let context = shared.clone();
        async move { retention::keep(&context).await }
    }));
    let shared = context.clone();
    tracker.spawn(run_every(RETENTION, Arc::default(), stop.clone(), move || {
        let context = shared.clone();
        async move { forget::forget(&context).await }
    }));
}

/// Runs `step` at once, then each time the period is over or somebody wakes it, after a rest, until the stop.
async fn run_every<F, S>(period: Duration, notify: Arc<Notify>, stop: CancellationToken, step: S)
where
    F: Future<Output = Result<usize, FlowError>> + Send + 'static,
    S: Fn() -> F,
{
    let mut rest = tokio::time::interval(REST);
    rest.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !stop.is_cancelled() {
        rest.tick().await;
        // A step of its own task: a panic in it ends the step, not the loop.
        match tokio::spawn(step()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::error!(%error, "a worker's step failed and will be repeated"),
            Err(panic) => tracing::error!(%panic, "a worker's step broke off and will be repeated"),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = notify.notified() => {}
            () = tokio::time::sleep(period) => {}
        }
    }
}
