//! An event on its way to an endpoint: what follows from an answer, and when it is sent again.

use std::time::Duration;

use serde::Serialize;
use strum::{Display, EnumString, IntoStaticStr};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// No wait that a receiver asks for is longer: an event must not be kept for ever by a header.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// How an endpoint stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, Serialize, ToSchema)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum EndpointState {
    /// Events are sent to it.
    Enabled,
    /// Many tries in a row have failed. Events are sent to it one after the other, and queue.
    Failing,
    /// You stopped it. Events queue.
    Paused,
    /// It is told nothing, until you enable it again.
    Disabled,
}

/// How a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, Serialize, ToSchema)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// On its way.
    Pending,
    /// The endpoint has it.
    Delivered,
    /// It was tried to the end of the schedule.
    Exhausted,
    /// The endpoint was disabled or removed before it had it.
    Canceled,
}

/// What came of one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The endpoint answered with this status, and asked to be left alone for so long.
    Status(u16, Option<Duration>),
    /// No answer came.
    None,
}

/// What follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The endpoint has the event.
    Delivered,
    /// It wants no events any more (410).
    Gone,
    /// It is sent again then. The other way round, everything else waits until the second time, too, if there is one.
    Again(OffsetDateTime, Option<OffsetDateTime>),
    /// That was the last try.
    Exhausted,
}

/// Judges a try that came after `tries` failures. The schedule holds the gaps; `seed` spreads what failed together.
pub fn judge(answer: Answer, tries: i32, schedule: &[Duration], seed: u64, now: OffsetDateTime) -> Verdict {
    match answer {
        Answer::Status(200..=299, _) => return Verdict::Delivered,
        Answer::Status(410, _) => return Verdict::Gone,
        Answer::Status(..) | Answer::None => {}
    }
    let hold = match answer {
        // Only these two ask for patience; elsewhere (a redirect) the header means something else.
        Answer::Status(429 | 503, Some(wait)) => Some(now + wait.min(LONGEST_WAIT)),
        _ => None,
    };
    let Some(gap) = usize::try_from(tries).ok().and_then(|tries| schedule.get(tries)) else { return Verdict::Exhausted };
    let next = now + spread(*gap, seed);
    // Never sooner than the schedule: who answers `Retry-After: 1` for ever would see the end of it in seconds.
    Verdict::Again(hold.map_or(next, |hold| next.max(hold)), hold)
}

/// A gap, up to a tenth longer.
fn spread(gap: Duration, seed: u64) -> Duration {
    let thousandths = u32::try_from(mix(seed) % 100).unwrap_or_default();
    gap + gap / 1000 * thousandths
}

/// A seed that is the same for the same try, and unlike its neighbours'.
pub fn seed(delivery: Uuid, tries: i32) -> u64 {
    let (high, low) = delivery.as_u64_pair();
    mix(high ^ low.rotate_left(32)).wrapping_add(u64::from(tries.unsigned_abs()))
}

/// Splitmix64: neighbours come out far apart.
fn mix(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEDULE: [Duration; 2] = [Duration::from_secs(5), Duration::from_mins(1)];

    fn now() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
    }

    fn at(answer: Answer, tries: i32) -> Verdict {
        judge(answer, tries, &SCHEDULE, 7, now())
    }

    #[test]
    fn what_is_no_success_is_sent_again_until_the_schedule_ends() {
        for status in [200, 201, 204, 299] {
            assert_eq!(at(Answer::Status(status, None), 0), Verdict::Delivered);
        }
        assert_eq!(at(Answer::Status(410, None), 0), Verdict::Gone);
        for answer in
            [Answer::None, Answer::Status(100, None), Answer::Status(301, None), Answer::Status(404, None), Answer::Status(500, None)]
        {
            for (tries, gap) in [(0, SCHEDULE[0]), (1, SCHEDULE[1])] {
                let Verdict::Again(next, None) = at(answer, tries) else { panic!("{answer:?} {tries}") };
                assert!(next >= now() + gap && next < now() + gap + gap / 10, "{next}");
            }
            assert_eq!(at(answer, 2), Verdict::Exhausted);
        }
    }

    #[test]
    fn a_wait_is_honoured_within_bounds_and_never_shortens_the_schedule() {
        let hour = Duration::from_hours(1);
        for status in [429, 503] {
            let Verdict::Again(next, hold) = at(Answer::Status(status, Some(Duration::from_secs(90))), 0) else { panic!() };
            assert_eq!((next, hold), (now() + Duration::from_secs(90), Some(now() + Duration::from_secs(90))));
            let Verdict::Again(next, hold) = at(Answer::Status(status, Some(Duration::from_secs(1))), 1) else { panic!() };
            assert!(next >= now() + SCHEDULE[1] && hold == Some(now() + Duration::from_secs(1)));
            assert_eq!(at(Answer::Status(status, Some(hour * 48)), 0), Verdict::Again(now() + hour, Some(now() + hour)));
            assert_eq!(at(Answer::Status(status, Some(hour)), 2), Verdict::Exhausted);
        }
        let Verdict::Again(_, None) = at(Answer::Status(500, Some(hour)), 0) else { panic!("500 asks for nothing") };
    }

    #[test]
    fn what_failed_together_comes_back_apart_and_the_same_each_time() {
        let gaps = |seed| spread(Duration::from_secs(100), seed);
        let all: std::collections::BTreeSet<_> = (0..50).map(gaps).collect();
        assert!(all.len() > 25, "{all:?}");
        let one = Uuid::from_u128(7);
        assert_eq!(seed(one, 3), seed(one, 3));
        assert_ne!(seed(one, 3), seed(one, 4));
        assert_ne!(seed(one, 3), seed(Uuid::from_u128(8), 3));
    }
}
