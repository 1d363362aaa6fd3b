//! Delivering: events that are due go to the merchants' endpoints.
//!
//! Again three acts: claim (a lease on each delivery), act (HTTP, holding neither a transaction nor a connection),
//! record (only while nobody else has taken the delivery over). What leaves twice has the same `webhook-id`; nothing is lost.
//!
//! Sends run side by side, and a claim follows whenever one ends: nobody waits for the slowest. Endpoints that fail stand in a
//! line of their own, so that they never take the places of those that do not. For endpoints that are quick a claim takes more
//! than is sent at once; when one is not quick any more, what was taken ahead for it is given back.

mod attempt;
mod lanes;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::gauge;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::attempt::{Kept, Target, Tried, complain, give_back, record, send};
use self::lanes::{Key, Lanes};
use super::Context;
use super::error::FlowError;
use crate::domain::delivery::EndpointState;
use crate::faults::{Point, point};
use crate::store::webhook_queue::{Claim, Taken};
use crate::store::{StoreError, endpoints, webhook_queue};
use crate::webhooks;

/// So many of one endpoint are on their way at once (claims of two processes at one moment do not count each other's).
const OF_ONE: usize = 8;
/// So many of one endpoint that fails: enough to notice that it is back.
const OF_ONE_FAILING: usize = 1;
/// So many of one endpoint that is quick are kept at once, by one process alone.
const AHEAD: usize = 256;
/// So many are on their way at once from one process, in one line, or wait to be written down: so many at most are sent again
/// when it dies.
const AT_ONCE: usize = 256;
/// So many are kept besides, until it is their turn. A look costs what it goes over, however much it takes; beside a transaction
/// that stays open that is all that was ever taken meanwhile. So it takes much.
const BESIDES: usize = 2048;
/// While more than so many wait for their turn there is no claim.
const ENOUGH: usize = 64;
/// A lease is longer than a sending can take.
const SHORTEST_LEASE: Duration = webhooks::TOTAL_TIMEOUT.saturating_add(Duration::from_secs(5));
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

impl Line {
    fn state(self) -> EndpointState {
        match self {
            Self::Working => EndpointState::Enabled,
            Self::Failing => EndpointState::Failing,
        }
    }

    fn of_one(self) -> usize {
        match self {
            Self::Working => OF_ONE,
            Self::Failing => OF_ONE_FAILING,
        }
    }
}

/// Delivers everything of a line that is due now. Gives the number of tries. Once `stop` is cancelled nothing more is claimed; what
/// is on its way is finished, and what waits for its turn is given back.
pub async fn deliver(context: &Arc<Context>, line: Line, stop: &CancellationToken) -> Result<usize, FlowError> {
    let mut working = Working {
        context: context.clone(),
        line,
        by: context.clock.new_uuid(),
        lanes: Lanes::new(line.of_one()),
        sends: JoinSet::new(),
        whose: HashMap::new(),
        writes: JoinSet::new(),
        claims: JoinSet::new(),
        look: true,
        tries: 0,
        broken: None,
    };
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        if stop.is_cancelled() || working.broken.is_some() {
            let waiting = working.lanes.drain();
            working.give_back(waiting);
        } else {
            working.claim();
        }
        working.start();
        if working.is_idle() {
            return working.broken.map_or(Ok(working.tries), Err);
        }
        tokio::select! {
            Some(ended) = working.sends.join_next_with_id() => working.ended(ended),
            Some(written) = working.writes.join_next() => working.written(written),
            Some(taken) = working.claims.join_next() => working.taken(taken),
            () = context.wake.deliver.notified(), if line == Line::Working => working.look = true,
            _ = period.tick() => {
                working.look = true;
                let still = working.lanes.drain_still();
                working.give_back(still);
            }
        }
    }
}

/// One working of the queue. Whatever takes time is a task of its own: one that waits for a connection of the pool must not keep
/// others from giving theirs back.
struct Working {
    context: Arc<Context>,
    line: Line,
    by: Uuid,
    lanes: Lanes<Kept>,
    sends: JoinSet<Option<Tried>>,
    /// The endpoint of each send.
    whose: HashMap<Id, Key>,
    /// Gives whether it was a try.
    writes: JoinSet<bool>,
    claims: JoinSet<Result<(Taken, Instant), StoreError>>,
    /// There may be more to take.
    look: bool,
    tries: usize,
    broken: Option<FlowError>,
}

impl Working {
    fn is_idle(&self) -> bool {
        self.sends.is_empty() && self.writes.is_empty() && self.claims.is_empty()
    }

    /// What has begun and is not written down.
    fn unwritten(&self) -> usize {
        self.sends.len() + self.writes.len()
    }

    /// Looks for more, if there may be more and there is room for it.
    fn claim(&mut self) {
        let limit = (AT_ONCE + BESIDES).saturating_sub(self.lanes.waiting() + self.unwritten());
        if !self.look || limit == 0 || self.unwritten() >= AT_ONCE || self.lanes.waiting() > ENOUGH || !self.claims.is_empty() {
            return;
        }
        self.look = false;
        let (context, now) = (self.context.clone(), self.context.clock.now());
        let lease = context.timing.lease.max(SHORTEST_LEASE);
        let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let quick = if self.line == Line::Working { self.lanes.quick() } else { Vec::new() };
        let claim = Claim {
            by: self.by,
            line: self.line.state(),
            now,
            leased_until: now + lease,
            of_one: number(self.line.of_one()),
            quick: quick.into_iter().map(|(_, endpoint)| endpoint.0).collect(),
            ahead: number(AHEAD),
            limit: number(limit),
            look_again: now + LOOK_AGAIN,
        };
        self.claims.spawn(async move {
            let deadline = context.clock.instant() + lease;
            Ok((webhook_queue::claim(&mut *context.db.get().await?, &claim).await?, deadline))
        });
    }

    /// What a claim has taken waits for its turn.
    fn taken(&mut self, taken: Result<Result<(Taken, Instant), StoreError>, JoinError>) {
        let (taken, deadline) = match taken {
            Ok(Ok(taken)) => taken,
            // What is on its way comes to its end first.
            Ok(Err(error)) => return self.broken = Some(error.into()),
            Err(panic) => return self.broken = Some(FlowError::Internal(panic.to_string())),
        };
        point(Point::WebhookClaimed);
        // There may be more behind it.
        self.look |= taken.put_off > 0 || !taken.deliveries.is_empty();
        for (address, deliveries) in taken.deliveries {
            let Some(first) = deliveries.first() else { continue };
            match Target::open(&self.context, &address, first) {
                Ok(target) => {
                    let (key, target) = ((first.merchant_id, first.endpoint_id), Arc::new(target));
                    for claimed in deliveries {
                        self.lanes.keep(key, Kept { claimed, target: target.clone(), deadline });
                    }
                }
                Err(error) => {
                    self.tries += deliveries.len();
                    deliveries.iter().for_each(|claimed| complain(claimed, &error));
                }
            }
        }
    }

    /// Sends what can be sent.
    fn start(&mut self) {
        while self.unwritten() < AT_ONCE
            && let Some((key, kept)) = self.lanes.next()
        {
            let context = self.context.clone();
            let send = self.sends.spawn(async move { send(&context, kept).await });
            self.whose.insert(send.id(), key);
        }
    }

    /// A try has come to its end, and is written down; the endpoint has its place again.
    fn ended(&mut self, ended: Result<(Id, Option<Tried>), JoinError>) {
        let (id, tried) = match ended {
            Ok(ended) => ended,
            Err(panic) => {
                tracing::error!(%panic, "a delivery broke off and will be tried again");
                (panic.id(), None)
            }
        };
        let Some(key) = self.whose.remove(&id) else { return };
        let too_many = self.lanes.end(key, tried.as_ref().and_then(Tried::success));
        self.give_back(too_many);
        let context = self.context.clone();
        match tried {
            Some(tried) => _ = self.writes.spawn(async move { record(&context, tried).await }),
            None => (self.tries, self.look) = (self.tries + 1, true),
        }
    }

    /// Something is written down, and others may come after it.
    fn written(&mut self, written: Result<bool, JoinError>) {
        self.look = true;
        match written {
            Ok(tried) => self.tries += usize::from(tried),
            Err(panic) => tracing::error!(%panic, "what came of a delivery could not be written down, and it will be tried again"),
        }
    }

    /// Puts what was not sent back in the queue.
    fn give_back(&mut self, kept: Vec<Kept>) {
        for kept in kept {
            let context = self.context.clone();
            self.writes.spawn(async move { give_back(&context, kept).await });
        }
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
