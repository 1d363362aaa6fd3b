//! The time that all processes share is the database's. Leases, deadlines and what is due are times that one process writes and
//! another reads: the clock of a machine that is wrong, or that jumps, must not keep orders from others for as long, nor give away
//! what somebody is at work on.

use std::time::Duration;

use super::Context;
use super::error::FlowError;

/// An answer that took longer says too little of when it was made.
const PROMPT: Duration = Duration::from_millis(500);

/// Asks the database for the time, and goes by it from now on. Gives 1 if it was answered promptly enough.
pub async fn keep(context: &Context) -> Result<usize, FlowError> {
    let asked = context.clock.instant();
    let time = context.db.time().await?;
    let took = context.clock.instant().saturating_duration_since(asked);
    if took > PROMPT {
        return Ok(0);
    }
    context.clock.anchor(time, asked + took / 2);
    Ok(1)
}
