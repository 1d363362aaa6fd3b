use proptest::prelude::*;
use time::macros::datetime;
use uuid::Uuid;

use super::*;

fn row(coin: &str, amount: &str) -> Movement {
    Movement {
        id: MovementId(Uuid::nil()),
        booked_at: OffsetDateTime::UNIX_EPOCH,
        kind: "deposit".to_owned(),
        provider: "fomo".to_owned(),
        coin: coin.to_owned(),
        amount: Sum::parse(amount).unwrap(),
        customer: None,
        trade_id: None,
        receipt: None,
    }
}

fn holdings(of: &[(&str, &str)]) -> Holdings {
    of.iter().map(|(coin, sum)| (("fomo".to_owned(), (*coin).to_owned()), Sum::parse(sum).unwrap())).collect()
}

#[test]
fn sums_are_written_plainly() {
    for (text, plain) in [("-12.500000000000000000", "-12.5"), ("0.000000000000000000", "0"), ("100", "100"), ("-0.1", "-0.1")] {
        assert_eq!(Sum::parse(text).unwrap().to_string(), plain);
    }
    for text in ["", "-", ".5", "1e3", "+1", "--1", "0.0000000000000000001", "1.-5"] {
        assert_eq!(Sum::parse(text), None, "{text:?}");
    }
}

#[test]
fn a_sum_is_exact_beyond_what_one_amount_can_hold() {
    let large = Sum::parse("9999999999.999999999999999999").unwrap();
    let mut sum = Sum::default();
    for _ in 0..1000 {
        sum = sum.plus(large).unwrap();
    }
    assert_eq!(sum.to_string(), "9999999999999.999999999999999");
    assert_eq!(Sum(i128::MAX).plus(large), None);
}

#[test]
fn opening_and_rows_make_the_closing_or_there_is_no_footer() {
    let mut tally = Tally::default();
    for (coin, amount) in [("usdt", "12.5"), ("usdt", "-0.5"), ("eth", "1")] {
        tally.add(&row(coin, amount)).unwrap();
    }
    let footer =
        tally.balances(&holdings(&[("usdt", "3"), ("btc", "7")]), &holdings(&[("usdt", "15"), ("eth", "1"), ("btc", "7")])).unwrap();
    let seen: Vec<_> = footer.iter().map(|one| (one.coin.as_str(), one.rows, one.sum.to_string(), one.closing.to_string())).collect();
    assert_eq!(
        seen,
        [
            ("btc", 0, "0".to_owned(), "7".to_owned()),
            ("eth", 1, "1".to_owned(), "1".to_owned()),
            ("usdt", 2, "12".to_owned(), "15".to_owned())
        ]
    );
    assert_eq!(tally.balances(&holdings(&[("usdt", "3")]), &holdings(&[("usdt", "15.000000000000000001"), ("eth", "1")])), None);
    assert_eq!(tally.balances(&holdings(&[("usdt", "3")]), &holdings(&[("usdt", "15")])), None, "a coin that the books do not hold");
    assert_eq!(tally.balances(&holdings(&[("usdt", "3"), ("btc", "7")]), &holdings(&[("usdt", "15"), ("eth", "1")])), None);
}

#[test]
fn a_period_is_at_most_a_year_and_not_in_the_future() {
    let now = datetime!(2026-11-22 12:00 UTC);
    let at = |text: &str| moment(text).unwrap();
    let period = |from: &str, to: &str| Period::new(at(from), at(to), now).map(|_| ()).map_err(|(field, _)| field);
    assert_eq!(period("2026-11-01", "2026-12-01"), Ok(()));
    assert_eq!(period("2025-12-01", "2026-12-02"), Ok(()));
    assert_eq!(period("2025-12-01", "2026-12-03"), Err("to"));
    assert_eq!(period("2026-11-01", "2026-11-01"), Err("to"));
    assert_eq!(period("2026-11-22T12:00:00Z", "2026-12-01"), Err("from"));
    assert_eq!(period("1999-12-31", "2000-01-02"), Err("from"));
}

#[test]
fn a_day_begins_at_midnight_and_a_moment_has_whole_microseconds() {
    assert_eq!(moment("2026-11-22"), Ok(datetime!(2026-11-22 00:00 UTC)));
    assert_eq!(moment("2026-11-22T01:00:00.1234567+01:00"), Ok(datetime!(2026-11-22 00:00:00.123456 UTC)));
    for text in ["", "2026-13-01", "2026-11-22 00:00", "yesterday", "2026-11-22T00:00:00", "9999-12-31T23:59:59-01:00"] {
        assert!(moment(text).is_err(), "{text:?}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(units: i128) {
        let sum = Sum(units / 2);
        prop_assert_eq!(Sum::parse(&sum.to_string()), Some(sum));
    }

    #[test]
    fn an_amount_is_the_same_as_its_text(units in -9_999_999_999_999_999_999_i128..10_000_000_000_000_000_000, scale in 0_u32..18) {
        let amount = Decimal::from_i128_with_scale(units, scale);
        prop_assert_eq!(Sum::of(amount), Sum::parse(&amount.to_string()));
    }
}
