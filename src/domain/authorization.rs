//! Authorisations at Youliao: who may be named in one, and what may be shown of it afterwards.
//!
//! Youliao takes whatever it is told, so that the form of everything is checked here. What is wrong is
//! said without the text itself: all of it is personal.

use secrecy::SecretString;
use serde::Serialize;
use strum::{Display, EnumString};
use time::macros::offset;
use time::{Date, Month, OffsetDateTime};
use utoipa::ToSchema;

/// The longest name, in characters.
const LONGEST_NAME: usize = 64;
/// How many characters of a number are shown.
const SHOWN: usize = 4;
/// Nobody alive was born before.
const EARLIEST_BIRTH: i32 = 1900;

/// What became of an authorisation that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema, Display, EnumString)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Status {
    /// Youliao gave a token.
    Granted,
    /// Youliao said no.
    Refused,
    /// There is no answer that tells.
    Unknown,
}

/// Why a text does not describe a person. Says nothing of the text itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PersonError(&'static str);

/// Reads a mobile number of mainland China: 1, then 3 to 9, then nine digits.
pub fn mobile(text: &str) -> Result<SecretString, PersonError> {
    let fine = text.len() == 11 && is_digits(text) && text.starts_with('1') && text.as_bytes()[1] >= b'3';
    fine.then(|| text.into()).ok_or(PersonError("must be a mobile number of mainland China: 11 digits, the first 1, the second 3 to 9"))
}

/// Reads a person's name: 1 to 64 characters, no control characters, no blanks at its ends.
pub fn name(text: &str) -> Result<SecretString, PersonError> {
    let fine = (1..=LONGEST_NAME).contains(&text.chars().count()) && text.trim() == text && !text.chars().any(char::is_control);
    fine.then(|| text.into()).ok_or(PersonError("must be 1 to 64 characters without control characters or blanks at its ends"))
}

/// Reads a resident's identity number (GB 11643): six digits of a region, the day of birth, three digits of
/// order, and a check digit, which may be `X` or `x`. Gives it with a capital `X`.
pub fn identity(text: &str, today: Date) -> Result<SecretString, PersonError> {
    let text = text.to_ascii_uppercase();
    let (digits, check) = text.split_at_checked(17).ok_or(FORM)?;
    if !is_digits(digits) || !(is_digits(check) || check == "X") || check.len() != 1 {
        return Err(FORM);
    }
    if digits.starts_with('0') {
        return Err(PersonError("must begin with a region's six digits, the first of them 1 to 9"));
    }
    birth(&digits[6..14]).filter(|day| day.year() >= EARLIEST_BIRTH && *day < today).ok_or(BIRTH)?;
    if !check.starts_with(check_digit(digits)) {
        return Err(PersonError("has a wrong check digit: at least one of its characters is mistyped"));
    }
    Ok(text.into())
}

const FORM: PersonError = PersonError("must be an identity number of 18 characters: 17 digits, and a digit or X");
const BIRTH: PersonError =
    PersonError("must have a day of birth, year, month and day, as its seventh to fourteenth digit: a real one, in the past");

/// The day that it is where identity numbers come from.
pub fn today_in_china(now: OffsetDateTime) -> Date {
    now.to_offset(offset!(+8)).date()
}

fn birth(digits: &str) -> Option<Date> {
    let month = Month::try_from(digits[4..6].parse::<u8>().ok()?).ok()?;
    Date::from_calendar_date(digits[..4].parse().ok()?, month, digits[6..].parse().ok()?).ok()
}

/// ISO 7064, MOD 11-2: with the check digit behind them, the digits read as a number of base 2 leave 1 when divided by 11.
fn check_digit(digits: &str) -> char {
    const SYMBOLS: [char; 11] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'X'];
    let rest = digits.bytes().fold(0, |rest, digit| (rest + usize::from(digit - b'0')) * 2 % 11);
    SYMBOLS[(12 - rest) % 11]
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The last four characters of a number: what is kept of it in the clear.
pub fn last_four(number: &str) -> String {
    let skipped = number.chars().count().saturating_sub(SHOWN);
    number.chars().skip(skipped).collect()
}

/// A name as its first character and a `*` for each other one. A name of one character is a `*`.
pub fn masked_name(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().unwrap_or('*');
    match letters.count() {
        0 => "*".to_owned(),
        others => format!("{first}{}", "*".repeat(others)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret;
    use time::macros::{date, datetime};

    use super::*;

    const TODAY: Date = date!(2027 - 01 - 15);

    fn read(text: &str) -> Result<String, PersonError> {
        identity(text, TODAY).map(|secret| secret.expose_secret().to_owned())
    }

    /// The check digit by the standard's table of weights, and not by its recursion.
    fn by_weights(digits: &str) -> char {
        let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
        let sum: u32 = digits.chars().zip(weights).map(|(digit, weight)| digit.to_digit(10).unwrap() * weight).sum();
        "10X98765432".chars().nth(sum as usize % 11).unwrap()
    }

    #[test]
    fn a_mobile_number_is_eleven_digits_of_the_mainland() {
        for good in ["13812349882", "19900000000", "13000000000"] {
            assert_eq!(mobile(good).unwrap().expose_secret(), good);
        }
        for bad in [
            "",
            "12812349882",
            "1381234988",
            "138123498820",
            "23812349882",
            "+8613812349882",
            "138 1234 9882",
            "138-1234988",
            "1381234988x",
        ]
        .into_iter()
        .chain([" 13812349882", "13812349882\n", "１３８１２３４９８８２", "1381234988٢", "1３812349"])
        {
            assert_eq!(mobile(bad).unwrap_err().to_string().matches("1381234").count(), 0, "{bad:?}");
        }
    }

    #[test]
    fn a_name_is_what_people_are_called() {
        let longest = "é".repeat(64);
        for good in ["王", "王小明", "阿卜杜拉·买买提", "Ada Lovelace", "A+b&c=d%", "𠮷野", &longest] {
            assert_eq!(name(good).unwrap().expose_secret(), good);
        }
        for bad in ["", " ", " 王", "王\u{3000}", "王\0", "王\n小", "王\u{85}小", &format!("{longest}x")] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn every_check_digit_is_known() {
        // Of the same day, computed elsewhere by the table of weights.
        let known = ["110105194912310070", "110105194912310011", "110105194912310062", "110105194912310003", "110105194912310054"];
        let more = ["110105194912310185", "110105194912310046", "110105194912310097", "110105194912310038", "110105194912310089"];
        for good in known.into_iter().chain(more).chain(["11010519491231002X", "34052419800101001X"]) {
            assert_eq!(read(good).as_deref(), Ok(good));
        }
        assert_eq!(read("11010519491231002x").as_deref(), Ok("11010519491231002X"), "a small x is a large one");
    }

    #[test]
    fn what_is_wrong_with_an_identity_number_is_said_without_it() {
        for (bad, named) in [
            ("", "18 characters"),
            ("11010519491231002", "18 characters"),
            ("11010519491231002X0", "18 characters"),
            ("X1010519491231002X", "18 characters"),
            ("1101051949123100２X", "18 characters"),
            ("11010519491231002Y", "18 characters"),
            ("1101051949123100é", "18 characters"),
            (" 1010519491231002X", "18 characters"),
            ("01010519491231002X", "region"),
            ("110105194913310021", "birth"),
            ("110105194902300023", "birth"),
            ("110105202702010021", "birth"),
            ("110105189912310021", "birth"),
            ("110105194912310021", "check digit"),
            ("110105194912310029", "check digit"),
        ] {
            let why = read(bad).unwrap_err().to_string();
            assert!(why.contains(named) && (bad.is_empty() || !why.contains(bad)), "{bad:?}: {why}");
        }
    }

    #[test]
    fn a_day_of_birth_is_real_and_in_the_past() {
        let number = |day: &str| {
            let digits = format!("110105{day}001");
            format!("{digits}{}", by_weights(&digits))
        };
        for good in ["19000101", "20000229", "20240229", "20270114"] {
            assert!(read(&number(good)).is_ok(), "{good}");
        }
        for bad in ["20270115", "20270116", "19000229", "20230229", "20240431", "20240100", "20240001", "20241301", "18991231", "00000101"]
        {
            assert_eq!(read(&number(bad)), Err(BIRTH), "{bad}");
        }
        assert_eq!(today_in_china(datetime!(2027-01-14 15:59 UTC)), date!(2027 - 01 - 14));
        assert_eq!(today_in_china(datetime!(2027-01-14 16:00 UTC)), TODAY);
    }

    #[test]
    fn little_is_shown() {
        assert_eq!((last_four("13812349882").as_str(), last_four("11010519491231002X").as_str()), ("9882", "002X"));
        for (name, masked) in [("王小明", "王**"), ("王", "*"), ("𠮷野", "𠮷*"), ("Ada L", "A****"), ("", "*")] {
            assert_eq!(masked_name(name), masked);
        }
    }

    proptest! {
        #[test]
        fn of_eleven_last_characters_one_is_right(region in 110_000..660_000_u32, days in 0..46_000_i64, order in 0..1000_u32) {
            let day = date!(1900 - 01 - 01) + time::Duration::days(days);
            let digits = format!("{region}{:04}{:02}{:02}{order:03}", day.year(), u8::from(day.month()), day.day());
            let good: Vec<char> = "0123456789X".chars().filter(|check| read(&format!("{digits}{check}")).is_ok()).collect();
            prop_assert_eq!(good, vec![by_weights(&digits)]);
        }

        #[test]
        fn a_mistyped_digit_shows(index in 0..17_usize, other in 0..10_u8) {
            let mut text = "11010519491231002X".as_bytes().to_vec();
            prop_assume!(text[index] != b'0' + other);
            text[index] = b'0' + other;
            prop_assert!(read(std::str::from_utf8(&text).unwrap()).is_err());
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,24}") {
            let _ = (mobile(&text), name(&text), identity(&text, TODAY), last_four(&text));
            prop_assert!(masked_name(&text).chars().skip(1).all(|letter| letter == '*'));
        }
    }
}
