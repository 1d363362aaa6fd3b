//! Reading amounts as strictly as the strictest provider might.

use rust_decimal::Decimal;

/// Reads digits with at most one point: no sign, no exponent, no blanks, and not zero.
pub(super) fn positive_decimal(text: &str, decimals: u32) -> Option<Decimal> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let amount = Decimal::from_str_exact(text).ok()?;
    (amount > Decimal::ZERO && amount.scale() <= decimals).then_some(amount)
}
