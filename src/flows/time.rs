//! The time that all processes share is the database's. Leases, deadlines and what is due are times that one process writes and
//! another reads: the clock of a machine that is wrong, or that jumps, must not keep orders from others for as long, nor give away
//! what somebody is at work on.
//!
//! Where the database cannot be asked, the time goes on from the last answer. Where its own clock jumps, or the machine sleeps,
//! processes are apart until they ask again; nobody is paid twice by it, because whoever writes has to hold the order's fence.

use std::time::Duration;

use super::Context;
use super::error::FlowError;

/// An answer that took longer says too little of when it was made, but to those who know nothing better.
const PROMPT: Duration = Duration::from_millis(500);

/// Asks the database for the time, and goes by it from now on. A clock that agrees is left alone: where it
/// goes back at all, then by no more than an answer takes. Gives 1 if the time was kept.
pub async fn keep(context: &Context) -> Result<usize, FlowError> {
    let clock = &context.clock;
    let (asked, before, is_anchored) = (clock.instant(), clock.now(), clock.is_anchored());
    let time = context.db.time().await?;
    let took = clock.instant().saturating_duration_since(asked);
    if is_anchored && took > PROMPT {
        return Ok(0);
    }
    if !is_anchored || time < before || time > before + took {
        clock.anchor(time, asked + took / 2);
    }
    Ok(1)
}
