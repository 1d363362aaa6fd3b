//! Months in UTC: what events and deliveries are kept and dropped by.

use std::fmt;
use std::time::Duration;

use time::{Date, OffsetDateTime, UtcOffset};

/// A month of the calendar, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month(Date);

impl Month {
    /// The month that a time is in.
    pub fn of(at: OffsetDateTime) -> Self {
        Self::with(at.to_offset(UtcOffset::UTC).date())
    }

    /// The month that a day is in.
    pub fn with(day: Date) -> Self {
        // Every month has a first day.
        Self(day.replace_day(1).unwrap_or(day))
    }

    /// Its first day.
    pub fn first_day(self) -> Date {
        self.0
    }

    /// The one after it.
    pub fn next(self) -> Self {
        Self::with(self.0.saturating_add(time::Duration::days(31)))
    }

    /// It, and so many after it.
    pub fn and_following(self, number: usize) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self), |month| Some(month.next())).take(number + 1)
    }

    /// Whether its end is at least so long ago.
    pub fn ended_ago(self, age: Duration, now: OffsetDateTime) -> bool {
        Duration::try_from(now - self.next().0.midnight().assume_utc()).is_ok_and(|since| since >= age)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04}-{:02}", self.0.year(), u8::from(self.0.month()))
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn months_are_of_utc_and_follow_each_other_over_the_end_of_a_year() {
        let month = Month::of(datetime!(2026-12-01 00:30 +2));
        let names: Vec<String> = month.and_following(3).map(|month| month.to_string()).collect();
        assert_eq!(names, ["2026-11", "2026-12", "2027-01", "2027-02"]);
        assert_eq!(Month::of(datetime!(2027-01-31 23:59 UTC)).next(), Month::of(datetime!(2027-02-01 00:00 UTC)));
    }

    #[test]
    fn a_month_is_old_enough_when_its_last_moment_is() {
        let (month, day) = (Month::of(datetime!(2027-01-15 00:00 UTC)), Duration::from_hours(24));
        assert!(!month.ended_ago(day, datetime!(2027-02-01 23:59:59.999 UTC)));
        assert!(month.ended_ago(day, datetime!(2027-02-02 00:00 UTC)));
        assert!(!month.ended_ago(Duration::ZERO, datetime!(2027-01-31 23:59 UTC)));
        assert!(!month.ended_ago(Duration::MAX, datetime!(2027-02-02 00:00 UTC)));
    }
}
