//! The sandbox's own time: the real clock plus an offset, or a fixed instant, so that no test has to sleep.

use std::sync::{Mutex, MutexGuard, PoisonError};

use time::OffsetDateTime;

/// Locks a mutex of the sandbox. Every update under these locks is complete before it can panic, so poison is ignored.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

enum Mode {
    /// Real time plus this many milliseconds.
    Real { offset_ms: i64 },
    /// A fixed instant in epoch milliseconds, which only `advance` moves.
    Pinned { at_ms: i64 },
}

/// The clock on which tokens, signatures and unconfirmed payments age.
pub(super) struct Clock(Mutex<Mode>);

impl Clock {
    pub(super) fn real() -> Self {
        Self(Mutex::new(Mode::Real { offset_ms: 0 }))
    }

    /// Now, in epoch milliseconds.
    pub(super) fn now_ms(&self) -> i64 {
        match *lock(&self.0) {
            Mode::Real { offset_ms } => real_ms().saturating_add(offset_ms),
            Mode::Pinned { at_ms } => at_ms,
        }
    }

    /// Moves the clock on by `seconds`; it stays real or pinned as it was.
    pub(super) fn advance(&self, seconds: i64) {
        let step = seconds.saturating_mul(1000);
        match &mut *lock(&self.0) {
            Mode::Real { offset_ms } => *offset_ms = offset_ms.saturating_add(step),
            Mode::Pinned { at_ms } => *at_ms = at_ms.saturating_add(step),
        }
    }

    /// Stops the clock at an epoch second; `None` returns to real time without an offset.
    pub(super) fn set(&self, unix_seconds: Option<i64>) {
        *lock(&self.0) = match unix_seconds {
            Some(seconds) => Mode::Pinned { at_ms: seconds.saturating_mul(1000) },
            None => Mode::Real { offset_ms: 0 },
        };
    }
}

#[allow(clippy::disallowed_methods, reason = "the sandbox stands for another company's server, which has its own clock")]
fn real_ms() -> i64 {
    let millis = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
    i64::try_from(millis).unwrap_or(i64::MAX)
}
