//! What is to be done next for an order that is not final, and when.
//!
//! One open order has one task. It says nothing about the order that the order does not say itself:
//! it can be written anew from the order at any time.

use std::time::Duration;

use serde::Serialize;
use strum::{Display, EnumString, IntoStaticStr};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::domain::order::Order;
use crate::domain::recovery::{Capabilities, Progress};
use crate::domain::status::{Deposit, Payout, Review, State};

/// Times that the operator may set. The defaults are for production.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long one worker may keep a task before others may take it.
    pub lease: Duration,
    /// How long a call to a provider may take.
    pub provider_timeout: Duration,
    /// Gaps between looks for an unknown outcome; the last repeats.
    pub lookup_schedule: Vec<Duration>,
    /// Least distance of two looks that found nothing before a call is sent again.
    pub resend_gap: Duration,
    /// After this long without an outcome a human decides.
    pub review_after: Duration,
    /// Gaps between looks at what the provider has taken; the last repeats.
    pub poll_schedule: Vec<Duration>,
    /// How long a deposit waits for its payment where the merchant does not say.
    pub deposit_ttl: Duration,
    /// How much longer than its deadline a deposit waits for a callback.
    pub callback_grace: Duration,
    /// How long an expired or canceled deposit stays open to late money.
    pub late_window: Duration,
    /// How often the lists of incoming money are read.
    pub feed_period: Duration,
    /// Gaps between deliveries of one event to one endpoint; after the last it is exhausted.
    pub webhook_schedule: Vec<Duration>,
}

impl Default for Timing {
    fn default() -> Self {
        let seconds = |list: &[u64]| list.iter().copied().map(Duration::from_secs).collect();
        Self {
            lease: Duration::from_secs(30),
            provider_timeout: Duration::from_secs(10),
            lookup_schedule: seconds(&[5, 15, 30, 60, 120, 300, 900, 3600]),
            resend_gap: Duration::from_secs(30),
            review_after: Duration::from_hours(24),
            poll_schedule: seconds(&[5, 15, 30, 60, 300, 900, 3600]),
            deposit_ttl: Duration::from_mins(15),
            callback_grace: Duration::from_mins(2),
            late_window: Duration::from_hours(24),
            feed_period: Duration::from_secs(10),
            webhook_schedule: seconds(&[5, 60, 300, 1800, 7200, 18_000, 36_000, 36_000, 86_400]),
        }
    }
}

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Work {
    /// Send it to the provider.
    Submit,
    /// Ask the provider about it.
    Look,
    /// Ask the provider about it and others in one question.
    Poll,
    /// See whether its time is up.
    Expire,
    /// End the time for late money.
    Close,
}

/// The next thing to do for an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// What to do.
    pub work: Work,
    /// Not before then.
    pub due_at: OffsetDateTime,
}

/// Whom or what an order waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitingFor {
    /// Our workers send it.
    Submission,
    /// The provider's answer to an open call.
    ProviderAnswer,
    /// Certainty about a call whose answer was lost.
    Outcome,
    /// The provider's progress.
    Provider,
    /// The customer's payment.
    Customer,
    /// Proof of what was claimed.
    Proof,
    /// A person's decision.
    Decision,
    /// Late money, until the order is final.
    LateMoney,
}

impl Task {
    /// The task of an order that has come to its present place, or has been worked on there
    /// `progress.tries` times in vain. `None` where nothing is left to do by ourselves.
    pub fn next(order: &Order, capabilities: Capabilities, progress: Progress, timing: &Timing, now: OffsetDateTime) -> Option<Self> {
        if order.is_final {
            return None;
        }
        let task = |work, due_at| Some(Self { work, due_at });
        // Orders that can be asked about by our own id are asked about together.
        let ask = if capabilities.lookup_by_trade_id { Work::Poll } else { Work::Look };
        // What is due at its own time is tried again later than now.
        let retry = now + backoff(timing, progress.tries);
        let look_until_review = || {
            let soon = now + gap(&timing.lookup_schedule, progress.tries);
            task(ask, order.doubt_since.map_or(soon, |since| soon.min((since + timing.review_after).max(now))))
        };
        match order.state {
            // After a lost answer the first repetition waits, too: the provider may still be busy with it.
            State::Deposit(Deposit::Created) => {
                let tries = progress.tries.max(i32::from(order.doubts > 0));
                let (soon, last) = (now + backoff(timing, tries), deadline(order, timing, now));
                task(Work::Submit, if last > now { soon.min(last) } else { soon })
            }
            State::Deposit(Deposit::AwaitingPayment | Deposit::PartiallyPaid) => {
                task(Work::Expire, deadline(order, timing, now).max(retry))
            }
            State::Deposit(Deposit::Verifying) => {
                let soon = now + backoff(timing, progress.tries);
                let end = deadline(order, timing, now);
                task(Work::Look, if end > now { soon.min(end) } else { soon })
            }
            // The feed tells of it by itself; this is for the case that it does not.
            State::Deposit(Deposit::Confirming) if capabilities.deposit_feed => {
                task(Work::Look, now + gap(&timing.poll_schedule, i32::MAX))
            }
            State::Deposit(Deposit::Confirming) => task(Work::Look, now + backoff(timing, progress.tries)),
            State::Deposit(Deposit::Expired | Deposit::Canceled) => task(Work::Close, order.final_at.unwrap_or(now).max(retry)),
            State::Payout(Payout::Queued) => task(Work::Submit, now + backoff(timing, progress.tries)),
            State::Payout(Payout::Submitting) => task(Work::Submit, now),
            // Two persons want it sent again: now.
            State::Payout(Payout::OutcomeUnknown) if order.retry.is_some() => task(ask, retry),
            State::Payout(Payout::OutcomeUnknown) => look_until_review(),
            // Parked for a human; the provider may still be able to tell.
            State::Payout(Payout::RequiresReview(Review::OutcomeUnknown)) if capabilities.lookup_by_trade_id => {
                task(ask, now + gap(&timing.lookup_schedule, i32::MAX))
            }
            State::Payout(Payout::Accepted | Payout::ProviderReview | Payout::Broadcast) => {
                let can_look = capabilities.lookup_by_trade_id || (capabilities.lookup_by_reference && order.provider_reference.is_some());
                let poll = now + gap(&timing.poll_schedule, progress.tries);
                let give_up = order.doubt_since.map(|since| (since + timing.review_after).max(now));
                match (can_look, give_up) {
                    (true, Some(give_up)) => task(ask, poll.min(give_up)),
                    (true, None) => task(ask, poll),
                    (false, Some(give_up)) => task(Work::Look, give_up),
                    (false, None) => None,
                }
            }
            State::Deposit(Deposit::Succeeded | Deposit::Failed | Deposit::RequiresReview(_)) => None,
            State::Payout(Payout::RequiresApproval | Payout::RequiresReview(_)) => None,
            State::Payout(Payout::Succeeded | Payout::Failed | Payout::Canceled | Payout::Rejected) => None,
        }
    }
}

/// Whom or what an order waits for; `None` once it is final.
pub fn waiting_for(order: &Order) -> Option<WaitingFor> {
    if order.is_final {
        return None;
    }
    Some(match order.state {
        State::Deposit(Deposit::Created) if order.doubts > 0 => WaitingFor::Outcome,
        State::Deposit(Deposit::Created) => WaitingFor::Submission,
        State::Deposit(Deposit::AwaitingPayment | Deposit::PartiallyPaid) => WaitingFor::Customer,
        State::Deposit(Deposit::Verifying) => WaitingFor::Proof,
        State::Deposit(Deposit::Confirming) => WaitingFor::Provider,
        State::Deposit(Deposit::Expired | Deposit::Canceled) => WaitingFor::LateMoney,
        State::Deposit(Deposit::RequiresReview(_)) | State::Payout(Payout::RequiresReview(_) | Payout::RequiresApproval) => {
            WaitingFor::Decision
        }
        State::Payout(Payout::Queued) => WaitingFor::Submission,
        State::Payout(Payout::Submitting) => WaitingFor::ProviderAnswer,
        State::Payout(Payout::OutcomeUnknown) => WaitingFor::Outcome,
        State::Payout(Payout::Accepted | Payout::ProviderReview | Payout::Broadcast) => WaitingFor::Provider,
        State::Deposit(Deposit::Succeeded | Deposit::Failed) => return None,
        State::Payout(Payout::Succeeded | Payout::Failed | Payout::Canceled | Payout::Rejected) => return None,
    })
}

/// Until when a deposit may still be paid, or its claimed payment be proven, with the grace for the
/// callback on top.
pub fn deadline(order: &Order, timing: &Timing, now: OffsetDateTime) -> OffsetDateTime {
    let expires_at = order.expires_at.unwrap_or(now);
    let from = if order.claim.is_some() { expires_at.max(order.updated_at) } else { expires_at };
    from + timing.callback_grace
}

/// The first try is due at once; later ones keep the schedule of looks.
fn backoff(timing: &Timing, tries: i32) -> Duration {
    if tries == 0 { Duration::ZERO } else { gap(&timing.lookup_schedule, tries - 1) }
}

/// The gap after so many tries.
pub fn gap(schedule: &[Duration], tries: i32) -> Duration {
    let index = usize::try_from(tries).unwrap_or_default();
    schedule.get(index).or(schedule.last()).copied().unwrap_or(Duration::from_mins(1))
}

#[cfg(test)]
mod tests;
