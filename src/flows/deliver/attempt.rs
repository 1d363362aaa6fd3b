//! One try of one delivery: signed, sent, written down.

use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::counter;
use secrecy::ExposeSecret;
use time::OffsetDateTime;
use url::Url;

use crate::domain::delivery::{Answer, DeliveryState, Verdict, judge, seed};
use crate::faults::{Bug, Point, planted, point};
use crate::flows::Context;
use crate::flows::endpoint::secret_place;
use crate::flows::error::FlowError;
use crate::store::tries::{self, Record};
use crate::store::webhook_queue::{self, Address, Claimed};
use crate::webhooks::{self, Attempt, Outcome, Request, Secret, TOTAL_TIMEOUT};

/// An endpoint, ready to be sent to. Its secrets are wiped from memory with the last delivery of one claim.
pub struct Target {
    url: Url,
    secrets: Vec<Secret>,
}

impl Target {
    /// Opens the secrets.
    pub fn open(context: &Context, address: &Address, claimed: &Claimed) -> Result<Self, FlowError> {
        let place = secret_place(claimed.merchant_id, address.endpoint_id);
        let open = |sealed: &Vec<u8>| -> Result<Secret, FlowError> {
            let opened = context.vault.open(&place, sealed)?;
            let text = std::str::from_utf8(opened.expose_secret()).map_err(|error| FlowError::Internal(error.to_string()))?;
            Secret::parse(text).map_err(|error| FlowError::Internal(error.to_string()))
        };
        let url = address.url.parse().map_err(|_| FlowError::Internal("an endpoint whose URL is none".to_owned()))?;
        Ok(Self { url, secrets: address.sealed_secrets.iter().map(open).collect::<Result<_, _>>()? })
    }
}

/// A delivery that waits for its turn.
pub struct Kept {
    /// The delivery.
    pub claimed: Claimed,
    /// Where it goes.
    pub target: Arc<Target>,
    /// The end of its lease, on the clock that no pause of the process stops.
    pub deadline: Instant,
}

/// A try that has come to its end.
pub struct Tried {
    claimed: Claimed,
    attempt: Attempt,
    verdict: Verdict,
    at: OffsetDateTime,
}

impl Tried {
    /// How long it took, if the endpoint has the event.
    pub fn success(&self) -> Option<Duration> {
        (self.verdict == Verdict::Delivered).then_some(self.attempt.latency)
    }
}

/// Sends it, signed with every live secret of the endpoint. `None` if its lease could end meanwhile, as when the process was paused:
/// then others take it over.
pub async fn send(context: &Context, kept: Kept) -> Option<Tried> {
    let Kept { mut claimed, target, deadline } = kept;
    let (id, timestamp) = (claimed.event_id.to_string(), context.clock.now().unix_timestamp());
    let body = std::mem::take(&mut claimed.body);
    let signature = webhooks::sign(&target.secrets, &id, timestamp, body.as_bytes());
    let request = Request { url: target.url.clone(), signature, id, timestamp, body: body.into() };
    if context.clock.instant() + TOTAL_TIMEOUT >= deadline {
        return None;
    }
    if planted(Bug::DeliveredBeforeSent) {
        let outcome = Outcome::Answered { status: 200, retry_after: None, start_of_body: String::new() };
        record(context, judged(context, claimed.clone(), Attempt { outcome, latency: Duration::ZERO })).await;
    }
    point(Point::WebhookSending);
    let attempt = context.sender.send(&request).await;
    point(Point::WebhookSent);
    Some(judged(context, claimed, attempt))
}

fn judged(context: &Context, claimed: Claimed, attempt: Attempt) -> Tried {
    let at = context.clock.now();
    let answer = match &attempt.outcome {
        Outcome::Answered { status, retry_after, .. } => Answer::Status(*status, *retry_after),
        Outcome::Failed(_) => Answer::None,
    };
    let verdict = judge(answer, claimed.tries, &context.timing.webhook_schedule, seed(claimed.delivery_id.0, claimed.tries), at);
    Tried { claimed, attempt, verdict, at }
}

/// Writes down what came of it: a try. Where that goes wrong the lease ends by itself, and the delivery is tried again.
pub async fn record(context: &Context, tried: Tried) -> bool {
    if let Err(error) = write(context, &tried).await {
        complain(&tried.claimed, &error);
    }
    point(Point::WebhookRecorded);
    true
}

/// Says that a delivery could not be made or written down.
pub fn complain(claimed: &Claimed, error: &FlowError) {
    counter!("tillgate_webhook_errors_total").increment(1);
    let (merchant, delivery) = (claimed.merchant_id, claimed.delivery_id);
    tracing::error!(%merchant, %delivery, %error, "a delivery could not be made or written down, and will be tried again");
}

async fn write(context: &Context, tried: &Tried) -> Result<(), FlowError> {
    let Tried { claimed, attempt, verdict, at } = tried;
    let (status, answer, failure) = match &attempt.outcome {
        Outcome::Answered { status, start_of_body, .. } => (Some(i32::from(*status)), Some(start_of_body.as_str()), None),
        Outcome::Failed(failure) => (None, None, Some(failure.to_string())),
    };
    let (state, again, hold) = match *verdict {
        Verdict::Delivered => (DeliveryState::Delivered, None, None),
        Verdict::Gone => (DeliveryState::Canceled, None, None),
        Verdict::Again(next, hold) => (DeliveryState::Pending, Some(next), hold),
        Verdict::Exhausted => (DeliveryState::Exhausted, None, None),
    };
    let record = Record {
        state: state.into(),
        again,
        success: *verdict == Verdict::Delivered,
        gone: *verdict == Verdict::Gone,
        hold,
        status,
        latency_ms: i32::try_from(attempt.latency.as_millis()).unwrap_or(i32::MAX),
        answer,
        failure: failure.as_deref(),
    };
    if !tries::record(&context.db, claimed, &record, *at).await? {
        return Ok(());
    }
    if *verdict == Verdict::Gone {
        webhook_queue::cancel_for_disabled(&mut *context.db.get().await?, *at).await?;
    }
    note(claimed, *verdict, status, failure.as_deref());
    Ok(())
}

/// Puts what was not sent back where it was: that is no try.
pub async fn give_back(context: &Context, kept: Kept) -> bool {
    if let Err(error) = tries::give_back(&context.db, &kept.claimed, context.clock.now()).await {
        complain(&kept.claimed, &error.into());
    }
    false
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
