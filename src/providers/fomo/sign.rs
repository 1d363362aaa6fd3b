//! FOMO's signature.

use secrecy::{ExposeSecret, SecretString};
use sha1::{Digest, Sha1};

/// Signs a call: lowercase hex SHA-1 of the app's secret followed by the timestamp in epoch seconds
/// (part three, sections 2 and 4: `sign`). FOMO takes it for 10 minutes.
///
/// It covers no parameter of the call: it says who calls, not what is asked.
pub fn sign(client_secret: &SecretString, timestamp: i64) -> String {
    let mut hash = Sha1::new();
    hash.update(client_secret.expose_secret());
    hash.update(timestamp.to_string());
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_what_sha1sum_prints() {
        // printf '%s' 'tillgate-client-secret1551325752' | sha1sum
        assert_eq!(sign(&"tillgate-client-secret".into(), 1_551_325_752), "579e794a0a095f755253e9f8bf6ab8f3145086d9");
        assert_eq!(sign(&"abc".into(), 1_700_000_000), "24c3c0634c4d17ca5e290633e9c4117a3f54a8b1");
    }

    proptest! {
        #[test]
        fn it_is_forty_lowercase_hex_digits_of_the_joined_text(secret in ".{0,80}", timestamp in 0_i64..4_000_000_000) {
            let sign = sign(&secret.clone().into(), timestamp);
            prop_assert!(sign.len() == 40 && sign.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
            prop_assert_eq!(sign, hex::encode(Sha1::digest(format!("{secret}{timestamp}"))));
        }

        #[test]
        fn another_second_signs_otherwise(secret in "[a-z0-9]{8,40}", timestamp in 0_i64..4_000_000_000) {
            let secret = SecretString::from(secret);
            prop_assert_ne!(sign(&secret, timestamp), sign(&secret, timestamp + 1));
        }
    }
}
