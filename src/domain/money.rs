//! Amounts of coins: the only way from text to a number that means money.
//!
//! An [`Amount`] is an exact decimal that survives the way through Postgres' `NUMERIC(28,18)`:
//! below 10^10 and with at most 18 decimals. `rust_decimal` rounds silently at its limits, so
//! nothing here calls an operation that may round without checking it first.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Most decimals an amount may have: the scale of the database columns.
pub const MAX_SCALE: u32 = 18;
/// Amounts stay below this many whole units, so that 28 digits always suffice.
const MAX_WHOLE_DIGITS: usize = 10;

/// An exact, non-negative amount of some coin. Never a float on any way in or out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(Decimal);

/// Why a text is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not digits with at most one decimal point between digits.
    #[error("must be a decimal number in plain digits, for example \"12.5\"")]
    Malformed,
    /// Zero, where an order needs something to move.
    #[error("must be greater than zero")]
    Zero,
    /// 10^10 or more.
    #[error("must be less than 10000000000")]
    TooLarge,
    /// More decimals than the coin (or any coin) has.
    #[error("has more than {0} decimals")]
    TooPrecise(u32),
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// Reads what a merchant asks for: plain digits, greater than zero.
    pub fn parse(text: &str) -> Result<Self, AmountError> {
        let amount = Self::parse_plain(text)?;
        if amount.is_zero() { Err(AmountError::Zero) } else { Ok(amount) }
    }

    /// Reads what a provider says: zero is allowed, and so is an exponent (`1E-8`), which
    /// providers written in Java are known to print.
    pub fn parse_provider(text: &str) -> Result<Self, AmountError> {
        let text = text.trim();
        match text.split_once(['e', 'E']) {
            None => Self::parse_plain(text),
            Some((mantissa, exponent)) => {
                let exponent: i32 = exponent.parse().map_err(|_| AmountError::Malformed)?;
                Self::parse_plain(&shifted(mantissa, exponent)?)
            }
        }
    }

    /// Takes a decimal that the database held; `None` if it is out of the bounds that the
    /// columns' checks promise.
    pub fn from_decimal(value: Decimal) -> Option<Self> {
        let value = value.normalize();
        let fits = !value.is_sign_negative() && value.scale() <= MAX_SCALE;
        fits.then_some(Self(value))
    }

    /// The decimal that is stored.
    pub fn to_decimal(self) -> Decimal {
        self.0
    }

    /// Says no to an amount with more decimals than the coin has.
    pub fn within_decimals(self, decimals: u32) -> Result<Self, AmountError> {
        if self.0.scale() > decimals {
            return Err(AmountError::TooPrecise(decimals));
        }
        Ok(self)
    }

    /// The sum, or `None` where it would not be exact or would not fit.
    pub fn plus(self, other: Self) -> Option<Self> {
        let sum = self.0.checked_add(other.0)?;
        // `checked_add` may round: an exact sum gives back both parts.
        let exact = sum.checked_sub(other.0)? == self.0 && sum.checked_sub(self.0)? == other.0;
        (exact && sum < limit()).then(|| Self(sum.normalize()))
    }

    /// The sum, or the greatest amount there is.
    pub fn plus_at_most(self, other: Self) -> Self {
        self.plus(other).unwrap_or_else(|| Self(limit() - Decimal::new(1, MAX_SCALE)))
    }

    /// So many percent of it, rounded down to `decimals`.
    pub fn percent(self, percent: Decimal, decimals: u32) -> Self {
        let share = self.0.checked_mul(percent / Decimal::ONE_HUNDRED).unwrap_or_default();
        let share = share.round_dp_with_strategy(decimals.min(MAX_SCALE), rust_decimal::RoundingStrategy::ToZero);
        Self::from_decimal(share).unwrap_or_default()
    }

    /// The difference, or `None` where it would be negative.
    pub fn minus(self, other: Self) -> Option<Self> {
        (other.0 <= self.0).then(|| Self((self.0 - other.0).normalize()))
    }

    /// Whether there is nothing in it.
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    fn parse_plain(text: &str) -> Result<Self, AmountError> {
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return Err(AmountError::Malformed),
            None => (text, ""),
        };
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) {
            return Err(AmountError::Malformed);
        }
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        if whole.len() > MAX_WHOLE_DIGITS {
            return Err(AmountError::TooLarge);
        }
        if fraction.len() > MAX_SCALE as usize {
            return Err(AmountError::TooPrecise(MAX_SCALE));
        }
        let plain = format!("{}.{}", if whole.is_empty() { "0" } else { whole }, if fraction.is_empty() { "0" } else { fraction });
        let value = Decimal::from_str_exact(&plain).map_err(|_| AmountError::TooLarge)?;
        Ok(Self(value.normalize()))
    }
}

fn limit() -> Decimal {
    Decimal::from(10_u64.pow(MAX_WHOLE_DIGITS as u32))
}

/// Moves the decimal point of `mantissa` by `exponent` places, in text.
fn shifted(mantissa: &str, exponent: i32) -> Result<String, AmountError> {
    const FARTHEST: i32 = 40;
    if !(-FARTHEST..=FARTHEST).contains(&exponent) {
        return Err(AmountError::TooLarge);
    }
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) || whole.is_empty() {
        return Err(AmountError::Malformed);
    }
    let padding = "0".repeat(FARTHEST as usize);
    let digits = format!("{padding}{whole}{fraction}{padding}");
    let point = padding.len() + whole.len();
    let point = point.saturating_add_signed(exponent as isize);
    Ok(format!("{}.{}", &digits[..point], &digits[point..]))
}

impl fmt::Display for Amount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse_plain(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_that_is_no_amount_is_refused_with_the_reason() {
        for text in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1_000", "1,5", " 1", "0x1", "NaN", "١"] {
            assert_eq!(Amount::parse(text), Err(AmountError::Malformed), "{text:?}");
        }
        assert_eq!(Amount::parse("0.00"), Err(AmountError::Zero));
        assert_eq!(Amount::parse("10000000000"), Err(AmountError::TooLarge));
        assert_eq!(Amount::parse("0.0000000000000000001"), Err(AmountError::TooPrecise(18)));
    }

    #[test]
    fn the_largest_amount_is_exact() {
        let text = "9999999999.999999999999999999";
        assert_eq!(Amount::parse(text).unwrap().to_string(), text);
    }

    #[test]
    fn a_sum_that_would_not_fit_is_no_sum() {
        let largest = Amount::parse("9999999999.999999999999999999").unwrap();
        assert_eq!(largest.plus(Amount::parse("0.000000000000000001").unwrap()), None);
    }

    #[test]
    fn exponents_of_providers_are_read_exactly() {
        for (text, plain) in [("1E-8", "0.00000001"), ("2.50e+2", "250"), ("0E-18", "0"), ("12.345E1", "123.45")] {
            assert_eq!(Amount::parse_provider(text).unwrap().to_string(), plain);
        }
        assert!(Amount::parse_provider("1E99").is_err());
        assert!(Amount::parse_provider("E5").is_err());
    }

    proptest! {
        #[test]
        fn digits_in_are_the_same_digits_out(whole in 0_u64..10_000_000_000, fraction in "[0-9]{0,17}[1-9]") {
            let text = format!("{whole}.{fraction}");
            prop_assert_eq!(Amount::parse(&text).unwrap().to_string(), text);
        }

        #[test]
        fn any_text_is_either_an_amount_or_an_error(text in ".*") {
            let _ = Amount::parse(&text);
            let _ = Amount::parse_provider(&text);
        }

        #[test]
        fn sums_are_exact_and_can_be_undone(a in 0_u64..u64::MAX / 4, b in 0_u64..u64::MAX / 4) {
            let amount = |units: u64| Amount::from_decimal(Decimal::from_i128_with_scale(units.into(), 12)).unwrap();
            let sum = amount(a).plus(amount(b)).unwrap();
            prop_assert_eq!(sum.minus(amount(b)).unwrap(), amount(a));
        }
    }
}
