//! Time and identity as values: the one place of the program that reads the wall clock.
//!
//! Everything else is handed a [`Clock`]; tests hold a [`Clock::manual`] and move it by hand.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use uuid::{NoContext, Timestamp, Uuid};

/// Where times and new ids come from.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// Absent in production: then ids are random.
    manual: Option<Arc<Mutex<Manual>>>,
    /// What time it was, by a clock that all processes share, at a point on the monotonic clock. Absent: the machine's clock counts.
    anchor: Arc<Mutex<Option<(Instant, OffsetDateTime)>>>,
}

#[derive(Debug)]
struct Manual {
    now: OffsetDateTime,
    seed: u64,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands still until [`Clock::advance`] moves it, and ids that repeat for the
    /// same seed.
    pub fn manual(start: OffsetDateTime, seed: u64) -> Self {
        Self { manual: Some(Arc::new(Mutex::new(Manual { now: to_micros(start), seed }))), anchor: Arc::default() }
    }

    /// The present, in UTC and whole microseconds, which is what Postgres keeps.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    pub fn now(&self) -> OffsetDateTime {
        match &self.manual {
            Some(manual) => manual.lock().unwrap_or_else(PoisonError::into_inner).now,
            None => to_micros(self.anchored().unwrap_or_else(OffsetDateTime::now_utc)),
        }
    }

    fn anchored(&self) -> Option<OffsetDateTime> {
        let (at, time) = (*self.anchor.lock().unwrap_or_else(PoisonError::into_inner))?;
        Some(time + self.instant().saturating_duration_since(at))
    }

    /// From now on the present is `time`, which it was at `at`, and what has passed since on the monotonic clock: where the clock of
    /// this machine is wrong, or jumps, nobody notices. All that hold a copy of this clock follow. A manual clock does not.
    pub fn anchor(&self, time: OffsetDateTime, at: Instant) {
        *self.anchor.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, time));
    }

    /// Whether the present does not come from the machine's clock.
    pub fn is_anchored(&self) -> bool {
        self.anchored().is_some()
    }

    /// A point on the monotonic clock, for deadlines inside this process only. It does not follow
    /// a manual clock: a paused process must notice real time that passed.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
    pub fn instant(&self) -> Instant {
        Instant::now()
    }

    /// Moves a manual clock forward. Does nothing to the machine's clock.
    pub fn advance(&self, by: Duration) {
        if let Some(manual) = &self.manual {
            manual.lock().unwrap_or_else(PoisonError::into_inner).now += by;
        }
    }

    /// A new time-ordered id (UUIDv7) of this clock's present.
    pub fn new_uuid(&self) -> Uuid {
        self.new_uuid_of(self.now())
    }

    /// A new id of what bears this time: it tells the same millisecond.
    pub fn new_uuid_of(&self, time: OffsetDateTime) -> Uuid {
        let seconds = u64::try_from(time.unix_timestamp()).unwrap_or_default();
        match &self.manual {
            None => Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, time.nanosecond())),
            Some(manual) => {
                let mut manual = manual.lock().unwrap_or_else(PoisonError::into_inner);
                let millis = seconds * 1000 + u64::from(time.nanosecond() / 1_000_000);
                // A counter in the high bits keeps ids of one manual instant in their order.
                manual.seed = manual.seed.wrapping_add(1);
                let mut random = [0; 10];
                random[..8].copy_from_slice(&manual.seed.to_be_bytes());
                uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
            }
        }
    }
}

fn to_micros(time: OffsetDateTime) -> OffsetDateTime {
    let nanos = time.nanosecond() / 1000 * 1000;
    time.replace_nanosecond(nanos).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anchored_clock_goes_on_from_its_anchor_whatever_the_machine_says() {
        let clock = Clock::system();
        let copy = clock.clone();
        let elsewhere = OffsetDateTime::from_unix_timestamp(1_000_000_000).unwrap();
        assert!(!copy.is_anchored());
        clock.anchor(elsewhere, clock.instant());
        assert!(copy.is_anchored());
        let apart = copy.now() - elsewhere;
        assert!(apart >= time::Duration::ZERO && apart < time::Duration::hours(1), "{apart}");
        assert_eq!(copy.new_uuid().get_timestamp().map(|stamp| stamp.to_unix().0), u64::try_from(copy.now().unix_timestamp()).ok());
    }

    #[test]
    fn a_manual_clock_moves_only_by_hand_and_repeats_its_ids() {
        let start = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        let ids = || {
            let clock = Clock::manual(start, 7);
            let first = clock.new_uuid();
            clock.advance(Duration::from_secs(60));
            (first, clock.new_uuid(), clock.now())
        };
        assert_eq!(ids(), ids());
        assert!(ids().0 < ids().1);
        assert_eq!(ids().2 - start, time::Duration::minutes(1));
    }
}
