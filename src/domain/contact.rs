//! How a person can be reached, as merchants write it: brought into one form, so that the same contact is the same text.

use secrecy::SecretString;

/// Why a text is no part of a contact. Says nothing of the text itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ContactError(&'static str);

/// Reads the code of a country: `+` and 1 to 4 digits.
pub fn country(text: &str) -> Result<String, ContactError> {
    let text = text.trim();
    let digits = text.strip_prefix('+').filter(|digits| is_number(digits, 1, 4));
    digits.map(|_| text.to_owned()).ok_or(ContactError("must be + and the country's code of 1 to 4 digits, for example +86"))
}

/// Reads a mobile number without its country: 4 to 15 digits, among which blanks and hyphens do not count.
pub fn number(text: &str) -> Result<SecretString, ContactError> {
    let plain: String = text.trim().chars().filter(|letter| !matches!(letter, ' ' | '-')).collect();
    match is_number(&plain, 4, 15) {
        true => Ok(plain.into()),
        false => Err(ContactError("must be 4 to 15 digits without the country's code; blanks and hyphens may stand between them")),
    }
}

/// Reads an e-mail address: at most 254 characters, one `@` between two parts. Capital letters do not count.
pub fn email(text: &str) -> Result<SecretString, ContactError> {
    let plain = text.trim().to_lowercase();
    let parts = plain.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
    let clean = !plain.chars().any(|letter| letter.is_whitespace() || letter.is_control());
    match parts && clean && plain.chars().count() <= 254 {
        true => Ok(plain.into()),
        false => Err(ContactError("must be an e-mail address of at most 254 characters, for example ada@shop.example")),
    }
}

fn is_number(text: &str, shortest: usize, longest: usize) -> bool {
    (shortest..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    use super::*;

    fn shown(read: Result<SecretString, ContactError>) -> Option<String> {
        read.ok().map(|secret| secret.expose_secret().to_owned())
    }

    #[test]
    fn a_country_is_a_plus_and_a_few_digits() {
        for (text, read) in [("+86", "+86"), (" +1 ", "+1"), ("+1684", "+1684")] {
            assert_eq!(country(text).as_deref(), Ok(read));
        }
        for bad in ["", "+", "86", "0086", "++86", "+ 86", "+86-", "+12345", "+8a", "+८६", "+86\0"] {
            assert!(country(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_number_is_its_digits_however_it_is_spaced() {
        for text in ["13800138000", " 138 0013 8000 ", "138-0013-8000", "1 3 8-00138000"] {
            assert_eq!(shown(number(text)).as_deref(), Some("13800138000"), "{text:?}");
        }
        assert_eq!(shown(number("0790-0900123")).as_deref(), Some("07900900123"), "a zero at the start is a digit");
        for bad in ["", "123", "1-2-3", &"1".repeat(16), "+8613800138000", "(138)00138000", "138.0013", "1380\t0138", "१२३४५", "1380\0"]
        {
            assert_eq!(shown(number(bad)), None, "{bad:?}");
        }
    }

    #[test]
    fn an_email_address_has_one_at_between_two_parts() {
        for (text, read) in [("ada@shop.example", "ada@shop.example"), (" Ada@Shop.Example ", "ada@shop.example"), ("ä@b", "ä@b")] {
            assert_eq!(shown(email(text)).as_deref(), Some(read));
        }
        let long = format!("{}@b", "a".repeat(252));
        assert!(email(&long).is_ok());
        for bad in ["", "@", "ada", "@b", "ada@", "a@b@c", "a @b", "a@b c", "a@\u{a0}b", "a@b\0", "a\n@b", &format!("a{long}")] {
            assert_eq!(shown(email(bad)), None, "{bad:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_contact_does_not_repeat_it() {
        let errors = [country("13800138000x").map(drop), number("13800138000x").map(drop), email("13800138000x").map(drop)];
        assert!(errors.iter().all(|error| error.is_err_and(|error| !error.to_string().contains("13800138000"))));
    }

    proptest! {
        #[test]
        fn what_was_read_reads_as_itself(text in "\\PC{0,20}", digits in "[0-9 -]{0,24}", name in "[A-Za-zÀ-ž.+]{1,9}@[A-Za-z.]{1,9}") {
            for text in [text, digits, name] {
                for read in [number, email] {
                    if let Some(once) = shown(read(&text)) {
                        prop_assert_eq!(shown(read(&once)), Some(once));
                    }
                }
            }
        }
    }
}
