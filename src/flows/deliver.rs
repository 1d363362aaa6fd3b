//! Delivering: events that are due go to the merchants' endpoints.
//!
//! Again three acts: claim (a lease on each delivery), act (HTTP, holding neither a transaction nor a connection),
//! record (only while nobody else has taken the delivery over). What leaves twice has the same `webhook-id`; nothing is lost.
//!
//! Sends run side by side, and a claim follows whenever one ends: nobody waits for the slowest. Endpoints that fail stand in a
//! line of their own, so that they never take the places of those that do not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{counter, gauge};
use secrecy::ExposeSecret;
use time::OffsetDateTime;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Context;
use super::endpoint::secret_place;
use super::error::FlowError;
use crate::domain::delivery::{Answer, DeliveryState, EndpointState, Verdict, judge, seed};
use crate::faults::{Bug, Point, planted, point};
use crate::store::webhook_queue::{Claim, Claimed, Record};
use crate::store::{endpoints, webhook_queue};
use crate::webhooks::{self, Attempt, Outcome, Request, Secret};

/// So many of one endpoint are on their way at once (claims of two processes at one moment do not count each other's).
const OF_ONE: i64 = 8;
/// So many of one endpoint that fails: enough to notice that it is back.
const OF_ONE_FAILING: i64 = 1;
/// So many are on their way at once from one process, in one line.
const AT_ONCE: usize = 256;
/// A lease is longer than a sending can take.
const SHORTEST_LEASE: Duration = webhooks::TOTAL_TIMEOUT.saturating_add(Duration::from_secs(5));
/// After so many failures in a row an endpoint is said to fail.
const PATIENCE: i32 = 5;
/// How often a line looks for more while it waits for answers.
const PERIOD: Duration = Duration::from_millis(500);
/// What waits behind a failed delivery is looked at again after so long, whatever happened meanwhile.
const LOOK_AGAIN: Duration = Duration::from_mins(5);

/// Which endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Those that work.
    Working,
    /// Those that fail.
    Failing,
}

/// Delivers everything of a line that is due now. Gives the number of tries. Once `stop` is cancelled nothing more is claimed; what
/// was claimed is finished.
pub async fn deliver(context: &Arc<Context>, line: Line, stop: &CancellationToken) -> Result<usize, FlowError> {
    // Tasks of their own: one that waits for a connection of the pool must not keep others from giving theirs back.
    let mut sends = JoinSet::new();
    let (mut done, mut broken) = (0, None);
    loop {
        while !stop.is_cancelled() && broken.is_none() && sends.len() < AT_ONCE {
            let taken = match claim(context, line, AT_ONCE - sends.len()).await {
                Ok(taken) => taken,
                // What is on its way comes to its end first.
                Err(error) => {
                    broken = Some(error);
                    break;
                }
            };
            let Taken { claimed, deadline, put_off } = taken;
            point(Point::WebhookClaimed);
            let nothing = claimed.is_empty() && put_off == 0;
            for one in claimed {
                let context = context.clone();
                sends.spawn(async move { send(&context, one, deadline).await });
            }
            if nothing {
                break;
            }
        }
        if sends.is_empty() {
            return broken.map_or(Ok(done), Err);
        }
        tokio::select! {
            Some(ended) = sends.join_next() => {
                if let Err(panic) = ended {
                    tracing::error!(%panic, "a delivery broke off and will be tried again");
                }
                done += 1;
                // What has ended besides needs no claim of its own.
                while sends.try_join_next().is_some() {
                    done += 1;
                }
            }
            () = context.wake.deliver.notified(), if line == Line::Working => {}
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}

/// What a claim has taken.
struct Taken {
    claimed: Vec<Claimed>,
    /// The end of the lease, on the clock that no pause of the process stops.
    deadline: Instant,
    /// How many wait behind one that failed, and were put off.
    put_off: i64,
}

/// Takes what is due.
async fn claim(context: &Context, line: Line, limit: usize) -> Result<Taken, FlowError> {
    let (now, lease) = (context.clock.now(), context.timing.lease.max(SHORTEST_LEASE));
    let deadline = context.clock.instant() + lease;
    let (line, of_one) = match line {
        Line::Working => (EndpointState::Enabled, OF_ONE),
        Line::Failing => (EndpointState::Failing, OF_ONE_FAILING),
    };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let claim = Claim { line, now, leased_until: now + lease, of_one, limit, look_again: now + LOOK_AGAIN };
    let (claimed, put_off) = webhook_queue::claim(&mut *context.db.get().await?, &claim).await?;
    Ok(Taken { claimed, deadline, put_off })
}

/// One try, from its claim to its record.
async fn send(context: &Context, claimed: Claimed, deadline: Instant) {
    // The lease ends by itself: the delivery is tried again then.
    if let Err(error) = try_once(context, &claimed, deadline).await {
        counter!("tillgate_webhook_errors_total").increment(1);
        let (merchant, delivery) = (claimed.merchant_id, claimed.delivery_id);
        tracing::error!(%merchant, %delivery, %error, "a delivery could not be made or written down, and will be tried again");
    }
}

async fn try_once(context: &Context, claimed: &Claimed, deadline: Instant) -> Result<(), FlowError> {
    let request = sign(context, claimed)?;
    // A process that was paused past its lease: others have taken over.
    if context.clock.instant() >= deadline {
        return Ok(());
    }
    if planted(Bug::DeliveredBeforeSent) {
        let outcome = Outcome::Answered { status: 200, retry_after: None, start_of_body: String::new() };
        record(context, claimed, &Attempt { outcome, latency: Duration::ZERO }, context.clock.now()).await?;
    }
    point(Point::WebhookSending);
    let attempt = context.sender.send(&request).await;
    point(Point::WebhookSent);
    record(context, claimed, &attempt, context.clock.now()).await?;
    point(Point::WebhookRecorded);
    Ok(())
}

/// The request, signed with every live secret of the endpoint.
fn sign(context: &Context, claimed: &Claimed) -> Result<Request, FlowError> {
    let place = secret_place(claimed.merchant_id, claimed.endpoint_id);
    let open = |sealed: &Vec<u8>| -> Result<Secret, FlowError> {
        let opened = context.vault.open(&place, sealed)?;
        let text = std::str::from_utf8(opened.expose_secret()).map_err(|error| FlowError::Internal(error.to_string()))?;
        Secret::parse(text).map_err(|error| FlowError::Internal(error.to_string()))
    };
    let secrets = claimed.sealed_secrets.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let (id, timestamp) = (claimed.event_id.to_string(), context.clock.now().unix_timestamp());
    Ok(Request {
        url: claimed.url.parse().map_err(|_| FlowError::Internal("an endpoint whose URL is none".to_owned()))?,
        signature: webhooks::sign(&secrets, &id, timestamp, claimed.body.as_bytes()),
        id,
        timestamp,
        body: claimed.body.clone().into(),
    })
}

/// Writes down what came of a try.
async fn record(context: &Context, claimed: &Claimed, attempt: &Attempt, now: OffsetDateTime) -> Result<(), FlowError> {
    let failure = match &attempt.outcome {
        Outcome::Answered { .. } => None,
        Outcome::Failed(failure) => Some(failure.to_string()),
    };
    let (answer, status, text) = match &attempt.outcome {
        Outcome::Answered { status, retry_after, start_of_body } => {
            (Answer::Status(*status, *retry_after), Some(i32::from(*status)), Some(start_of_body.as_str()))
        }
        Outcome::Failed(_) => (Answer::None, None, None),
    };
    let verdict = judge(answer, claimed.tries, &context.timing.webhook_schedule, seed(claimed.delivery_id.0, claimed.tries), now);
    let (state, again, hold) = match verdict {
        Verdict::Delivered => (DeliveryState::Delivered, None, None),
        Verdict::Gone => (DeliveryState::Canceled, None, None),
        Verdict::Again(at, hold) => (DeliveryState::Pending, Some(at), hold),
        Verdict::Exhausted => (DeliveryState::Exhausted, None, None),
    };
    let record = Record {
        state: state.into(),
        again,
        success: verdict == Verdict::Delivered,
        gone: verdict == Verdict::Gone,
        hold,
        status,
        latency_ms: i32::try_from(attempt.latency.as_millis()).unwrap_or(i32::MAX),
        answer: text,
        failure: failure.as_deref(),
    };
    let mut connection = context.db.get().await?;
    if !webhook_queue::record(&mut connection, claimed, &record, PATIENCE, now).await? {
        return Ok(());
    }
    if verdict == Verdict::Gone {
        webhook_queue::cancel_for_disabled(&mut connection, now).await?;
    }
    note(claimed, verdict, status, failure.as_deref());
    Ok(())
}

/// Tells the log and the metrics.
fn note(claimed: &Claimed, verdict: Verdict, status: Option<i32>, failure: Option<&str>) {
    let (merchant, endpoint, delivery) = (claimed.merchant_id, claimed.endpoint_id, claimed.delivery_id);
    let result = match verdict {
        Verdict::Delivered => "delivered",
        Verdict::Gone => "gone",
        Verdict::Again(..) => "failed",
        Verdict::Exhausted => "exhausted",
    };
    counter!("tillgate_webhook_attempts_total", "result" => result).increment(1);
    match verdict {
        Verdict::Delivered => tracing::debug!(%merchant, %endpoint, %delivery, status, "delivered"),
        Verdict::Again(next, _) => tracing::info!(%merchant, %endpoint, %delivery, status, failure, %next, "not delivered"),
        Verdict::Gone => tracing::warn!(%merchant, %endpoint, %delivery, "the endpoint is gone: it is disabled"),
        Verdict::Exhausted => tracing::warn!(%merchant, %endpoint, %delivery, status, failure, "not delivered, and not tried again"),
    }
}

/// Keeps the queue tidy, and measures it. Gives the number of deliveries that were canceled.
pub async fn keep_tidy(context: &Context) -> Result<usize, FlowError> {
    let now = context.clock.now();
    let mut connection = context.db.get().await?;
    let canceled = webhook_queue::cancel_for_disabled(&mut connection, now).await?;
    let (queued, oldest) = webhook_queue::depth(&mut connection, now).await?;
    let states = endpoints::count_by_state(&mut connection).await?;
    gauge!("tillgate_webhook_queue_depth").set(count(queued));
    let late = oldest.map(|oldest| Duration::try_from(now - oldest).unwrap_or_default()).unwrap_or_default();
    gauge!("tillgate_webhook_oldest_due_seconds").set(late);
    for state in [EndpointState::Enabled, EndpointState::Failing, EndpointState::Paused, EndpointState::Disabled] {
        let name: &'static str = state.into();
        let found = states.iter().find(|(found, _)| found == name).map_or(0, |(_, count)| *count);
        gauge!("tillgate_webhook_endpoints", "state" => name).set(count(found));
    }
    Ok(usize::try_from(canceled).unwrap_or_default())
}

fn count(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
