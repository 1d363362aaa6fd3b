use proptest::prelude::*;
use standardwebhooks::Webhook;

use super::*;

/// The example of the Standard Webhooks specification.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const BODY: &[u8] = br#"{"test": 2432232314}"#;
const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

#[test]
fn the_example_of_the_specification_is_signed_as_it_says() {
    let secret = Secret::parse(SECRET).unwrap();
    assert_eq!(sign(std::slice::from_ref(&secret), ID, 1_614_265_330, BODY), SIGNATURE);
}

#[test]
fn each_secret_signs_and_the_first_comes_first() {
    let [old, new] = [1, 2].map(|byte| Secret::generate(&[byte; 32]));
    let both = sign(&[new.clone(), old.clone()], "id", 1, b"");
    assert_eq!(both, format!("{} {}", sign(&[new], "id", 1, b""), sign(&[old], "id", 1, b"")));
    assert_eq!(sign(&[], "id", 1, b""), "");
}

proptest! {
    /// Merchants verify with these libraries.
    #[test]
    fn the_public_library_signs_the_same(key in any::<[u8; 32]>(), id in "[a-z0-9_]{1,40}", timestamp in 0..i64::from(i32::MAX), body in ".{0,200}") {
        let secret = Secret::generate(&key);
        let theirs = Webhook::new(&secret.reveal()).unwrap().sign(&id, timestamp, body.as_bytes()).unwrap();
        prop_assert_eq!(sign(&[secret], &id, timestamp, body.as_bytes()), theirs);
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the library reads the wall clock")]
fn the_public_library_accepts_what_we_sign_with_either_secret() {
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let secrets = [1, 2].map(|byte| Secret::generate(&[byte; 32]));
    let mut headers = reqwest::header::HeaderMap::new();
    headers.insert("webhook-id", ID.parse().unwrap());
    headers.insert("webhook-timestamp", now.into());
    headers.insert("webhook-signature", sign(&secrets, ID, now, BODY).parse().unwrap());
    for secret in &secrets {
        let theirs = Webhook::new(&secret.reveal()).unwrap();
        assert!(theirs.verify(BODY, &headers).is_ok());
        assert!(theirs.verify(b"{}", &headers).is_err());
    }
}
