//! The secret that an endpoint and the gateway share.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::zeroize::Zeroize;
use secrecy::{ExposeSecret, SecretSlice};

const PREFIX: &str = "whsec_";
/// The bounds of the Standard Webhooks specification, in bytes.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;
/// Longer text cannot hold a secret: 64 bytes are 88 characters of base64.
const LONGEST_TEXT: usize = 88;

/// The key of an endpoint's signatures: 24 to 64 bytes, wiped from memory when dropped.
#[derive(Clone)]
pub struct Secret(SecretSlice<u8>);

/// Why a text is no secret. Shows nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It does not begin with `whsec_`.
    #[error("a webhook secret begins with whsec_: give the whole text that was shown when the endpoint was made")]
    NoPrefix,
    /// What follows `whsec_` is no base64.
    #[error(
        "what follows whsec_ is not base64 (A-Z a-z 0-9 + /, with = at the end where needed): copy the secret again, to its last character"
    )]
    NotBase64,
    /// Fewer or more bytes than the specification allows.
    #[error("a webhook secret has 24 to 64 bytes; this one has fewer or more: copy it again, to its last character")]
    WrongLength,
}

impl Secret {
    /// A secret of 32 bytes, which must come from a source that nobody can guess.
    pub fn generate(random: &[u8; 32]) -> Self {
        Self(random.to_vec().into())
    }

    /// Reads `whsec_` and base64.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(SecretError::NoPrefix)?;
        if encoded.len() > LONGEST_TEXT {
            return Err(SecretError::WrongLength);
        }
        // On the stack, so that no copy is left behind on the heap.
        let mut bytes = [0; LONGEST_TEXT];
        let read = STANDARD.decode_slice(encoded, &mut bytes).map_err(|_| SecretError::NotBase64);
        let secret = read.and_then(|length| {
            let fits = LENGTHS.contains(&length);
            if fits { Ok(Self(bytes[..length].to_vec().into())) } else { Err(SecretError::WrongLength) }
        });
        bytes.zeroize();
        secret
    }

    /// `whsec_` and base64: for the merchant who is shown it once, and for the vault.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(self.key()))
    }

    pub(super) fn key(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(redacted)")
    }
}

#[cfg(test)]
#[path = "secret_tests.rs"]
mod tests;
