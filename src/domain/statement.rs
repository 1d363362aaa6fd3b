//! Statements: every movement of a merchant's money over a period, as the books hold it, and what
//! the books held before and after. In each coin, opening and rows make the closing, exactly.

use std::collections::BTreeMap;
use std::fmt;

use rust_decimal::Decimal;
use serde::{Serialize, Serializer};
use time::format_description::well_known::Rfc3339;
use time::{Date, Duration, OffsetDateTime, Time, UtcOffset};
use utoipa::ToSchema;

use super::ids::MovementId;
use super::money::MAX_SCALE;

/// A statement covers at most so much.
pub const LONGEST: Duration = Duration::days(366);

/// A sum of amounts, of either sign, in units of the last decimal that a column holds. It is exact
/// where a decimal of 28 digits is not: sums of amounts have up to 38.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum(i128);

impl Sum {
    /// One amount of a movement; `None` if it has more decimals than the column.
    pub fn of(amount: Decimal) -> Option<Self> {
        let places = MAX_SCALE.checked_sub(amount.scale())?;
        amount.mantissa().checked_mul(10_i128.checked_pow(places)?).map(Self)
    }

    /// A sum as Postgres writes it, for example `-12.500000000000000000`; `None` if it is no such text.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || fraction.len() > MAX_SCALE as usize || !plain(whole) || !plain(fraction) {
            return None;
        }
        let units: i128 = format!("{whole}{fraction:0<width$}", width = MAX_SCALE as usize).parse().ok()?;
        Some(Self(if negative { -units } else { units }))
    }

    /// The sum of both; `None` beyond the range.
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = 10_u128.pow(MAX_SCALE);
        let (whole, fraction) = (self.0.unsigned_abs() / one, self.0.unsigned_abs() % one);
        let sign = if self.0 < 0 { "-" } else { "" };
        let fraction = format!("{fraction:0width$}", width = MAX_SCALE as usize);
        match fraction.trim_end_matches('0') {
            "" => write!(formatter, "{sign}{whole}"),
            fraction => write!(formatter, "{sign}{whole}.{fraction}"),
        }
    }
}

impl Serialize for Sum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// From this time on and before that one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// The first moment that is in it.
    pub from: OffsetDateTime,
    /// The first that is not any more.
    pub to: OffsetDateTime,
}

impl Period {
    /// Says no to what no statement is made over, naming the wrong end of it.
    ///
    /// # Errors
    /// `from` or `to`, and what is wrong with it.
    pub fn new(from: OffsetDateTime, to: OffsetDateTime, now: OffsetDateTime) -> Result<Self, (&'static str, &'static str)> {
        match () {
            () if from.year() < 2000 => Err(("from", "must be in the year 2000 or later")),
            () if from >= to => Err(("to", "must be after from")),
            () if to - from > LONGEST => Err(("to", "must be at most 366 days after from")),
            () if from >= now => Err(("from", "must not be in the future")),
            () => Ok(Self { from, to }),
        }
    }
}

/// A day, which begins at midnight UTC, or a moment; in whole microseconds, which is what the books keep.
///
/// # Errors
/// What it should look like.
pub fn moment(text: &str) -> Result<OffsetDateTime, &'static str> {
    let day = time::macros::format_description!("[year]-[month]-[day]");
    if let Ok(date) = Date::parse(text, &day) {
        return Ok(date.with_time(Time::MIDNIGHT).assume_utc());
    }
    let read = OffsetDateTime::parse(text, &Rfc3339).ok().and_then(|time| time.checked_to_offset(UtcOffset::UTC));
    let whole = read.and_then(|time| time.replace_nanosecond(time.nanosecond() / 1000 * 1000).ok());
    whole.ok_or("must be a day such as 2026-01-31 or a time such as 2026-01-31T00:00:00Z")
}

/// What a statement is about.
#[derive(Clone, Debug, Serialize)]
pub struct Head {
    /// Always `statement`.
    pub object: &'static str,
    /// Booked at this time or later.
    #[serde(with = "time::serde::rfc3339")]
    pub from: OffsetDateTime,
    /// And before this.
    #[serde(with = "time::serde::rfc3339")]
    pub to: OffsetDateTime,
    /// How far it goes: `to`, or the present where that is earlier.
    #[serde(with = "time::serde::rfc3339")]
    pub until: OffsetDateTime,
    /// It goes to its end: the same question is answered by the same bytes for ever.
    pub closed: bool,
    /// The only coin. Null: all of them.
    pub coin: Option<String>,
}

/// One movement of money, as it was booked.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Movement {
    /// Its id. Later movements have greater ones.
    #[serde(serialize_with = "by_display")]
    #[schema(value_type = String, example = "mov_0193f2a7c1d281c88b57242dd9d90001")]
    pub id: MovementId,
    /// When it was written into the books.
    #[serde(with = "time::serde::rfc3339")]
    pub booked_at: OffsetDateTime,
    /// `deposit`, `payout`, `transfer`, `fee`; `reversal` takes a movement back, `correction` changes how much it was.
    #[schema(example = "deposit")]
    pub kind: String,
    /// The wallet.
    #[schema(example = "hicoin")]
    pub provider: String,
    /// The coin.
    #[schema(example = "ETH")]
    pub coin: String,
    /// What came in, above zero, or went out, below zero, in whole coins.
    #[schema(value_type = String, example = "-12.5")]
    pub amount: Sum,
    /// Your id of the customer whose money it is. Null where it is nobody's, or yours.
    pub customer: Option<String>,
    /// Your id of the order, as far as it was known when it was booked.
    pub trade_id: Option<String>,
    /// The receipt, where it came in.
    pub receipt: Option<String>,
}

/// What a coin at a wallet came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Balance {
    /// The wallet.
    #[schema(example = "hicoin")]
    pub provider: String,
    /// The coin.
    #[schema(example = "ETH")]
    pub coin: String,
    /// What the books held before the first row, in whole coins.
    #[schema(value_type = String, example = "100")]
    pub opening: Sum,
    /// How many rows there are.
    pub rows: u64,
    /// What they add up to.
    #[schema(value_type = String, example = "-12.5")]
    pub sum: Sum,
    /// What the books held after the last one.
    #[schema(value_type = String, example = "87.5")]
    pub closing: Sum,
    /// Always true: opening and sum make the closing. A statement that does not add up has no footer.
    pub balanced: bool,
}

fn by_display<S: Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// What the books held at some time, by wallet and coin.
pub type Holdings = BTreeMap<(String, String), Sum>;

/// Adds up the rows of a statement while they pass by.
#[derive(Debug, Default)]
pub struct Tally(BTreeMap<(String, String), (u64, Sum)>);

impl Tally {
    /// One row more. `None` if the sum is beyond the range.
    pub fn add(&mut self, row: &Movement) -> Option<()> {
        // Rows of one coin come by the thousand: a name is copied for the first of them only.
        let place = match self.0.iter_mut().find(|((provider, coin), _)| *provider == row.provider && *coin == row.coin) {
            Some((_, place)) => place,
            None => self.0.entry((row.provider.clone(), row.coin.clone())).or_default(),
        };
        *place = (place.0 + 1, place.1.plus(row.amount)?);
        Some(())
    }

    /// The footer: one balance for each coin at each wallet. `None` if for one of them opening and rows do not make what the
    /// books hold now, which was added up by another hand.
    pub fn balances(&self, opening: &Holdings, closing: &Holdings) -> Option<Vec<Balance>> {
        let mut keys: Vec<&(String, String)> = opening.keys().chain(closing.keys()).chain(self.0.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        let one = |key: &(String, String)| {
            let at = |holdings: &Holdings| holdings.get(key).copied().unwrap_or_default();
            let (opening, closing) = (at(opening), at(closing));
            let (rows, sum) = self.0.get(key).copied().unwrap_or_default();
            let (provider, coin) = key.clone();
            let balanced = opening.plus(sum)? == closing;
            balanced.then_some(Balance { provider, coin, opening, rows, sum, closing, balanced })
        };
        keys.into_iter().map(one).collect()
    }
}

#[cfg(test)]
mod tests;
