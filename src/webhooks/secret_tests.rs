use super::*;

fn of_length(length: usize) -> String {
    format!("{PREFIX}{}", STANDARD.encode(vec![7; length]))
}

#[test]
fn what_was_generated_can_be_shown_and_read() {
    let random = std::array::from_fn(|at| u8::try_from(at).unwrap());
    let secret = Secret::generate(&random);
    let text = secret.reveal();
    assert!(text.starts_with("whsec_") && text.len() == 50, "{text}");
    assert_eq!(Secret::parse(&text).unwrap().key(), random);
}

#[test]
fn a_secret_has_24_to_64_bytes() {
    for good in [24, 32, 63, 64] {
        assert_eq!(Secret::parse(&of_length(good)).unwrap().reveal(), of_length(good));
    }
    for bad in [0, 1, 23, 65, 66, 67, 1000] {
        assert_eq!(Secret::parse(&of_length(bad)).err(), Some(SecretError::WrongLength), "{bad}");
    }
}

#[test]
fn what_is_no_secret_is_refused_and_not_shown() {
    let bare = of_length(32).replace(PREFIX, "");
    for (bad, why) in [
        (bare.as_str(), SecretError::NoPrefix),
        ("", SecretError::NoPrefix),
        ("WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", SecretError::NoPrefix),
        ("whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", SecretError::NoPrefix),
        ("whsec_", SecretError::WrongLength),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-_", SecretError::NotBase64),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", SecretError::NotBase64),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", SecretError::NotBase64),
        ("whsec_ä", SecretError::NotBase64),
    ] {
        assert_eq!(Secret::parse(bad).err(), Some(why), "{bad}");
        assert!(!why.to_string().contains("MfKQ"), "{why}");
    }
}

#[test]
fn a_secret_has_no_debug_output() {
    let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    assert_eq!(format!("{secret:?}"), "Secret(redacted)");
}
