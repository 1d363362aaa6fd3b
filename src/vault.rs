//! The vault: seals what must not be read at rest, and makes the keyed hashes that the house uses.
//!
//! One root key comes from the environment; every purpose has its own key derived from it. A sealed
//! value names the root key that sealed it, so that the key can be rotated: the new one seals, the
//! previous ones still open. The context (which table, whose row) is bound into the seal, so that a
//! value cannot be moved to another row.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

const VERSION: u8 = 1;
const KEY_ID: usize = 4;
const NONCE: usize = 24;

/// Why something could not be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The key is not 32 bytes in base64.
    #[error("a vault key must be 32 bytes in base64; make one with: openssl rand -base64 32")]
    BadKey,
    /// The value was sealed by a key that we do not hold.
    #[error("sealed by a vault key that is not configured; add it to vault.previous_keys")]
    UnknownKey,
    /// The value was altered, moved, or is none of ours.
    #[error("the sealed value is damaged or belongs somewhere else")]
    Damaged,
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    NoRandomness,
}

/// Holds the keys.
#[derive(Clone)]
pub struct Vault {
    /// The first one seals; all open.
    roots: Vec<Root>,
}

#[derive(Clone)]
struct Root {
    id: [u8; KEY_ID],
    secret: SecretSlice<u8>,
    cipher: XChaCha20Poly1305,
    /// The hash of each purpose, at its beginning: a request needs several, and their keys are always the same.
    begun: Arc<RwLock<HashMap<&'static str, Hmac<Sha256>>>>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Vault({} keys)", self.roots.len())
    }
}

impl Vault {
    /// A vault that seals with `key` and still opens what `previous` sealed; each 32 bytes in base64.
    pub fn new(key: &SecretString, previous: &[SecretString]) -> Result<Self, VaultError> {
        let roots = std::iter::once(key).chain(previous).map(Root::new).collect::<Result<_, _>>()?;
        Ok(Self { roots })
    }

    /// Seals `plain` for one place, named by `context`.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        let root = &self.roots[0];
        let nonce = random::<NONCE>()?;
        let payload = Payload { msg: plain, aad: context.as_bytes() };
        let sealed = root.cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| VaultError::Damaged)?;
        Ok([&[VERSION], &root.id[..], &nonce, &sealed].concat())
    }

    /// Opens what was sealed for the same place.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<SecretSlice<u8>, VaultError> {
        let (version, rest) = sealed.split_first().ok_or(VaultError::Damaged)?;
        let (key_id, rest) = rest.split_at_checked(KEY_ID).ok_or(VaultError::Damaged)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE>().ok_or(VaultError::Damaged)?;
        if *version != VERSION {
            return Err(VaultError::Damaged);
        }
        let root = self.roots.iter().find(|root| root.id == key_id).ok_or(VaultError::UnknownKey)?;
        let payload = Payload { msg: body, aad: context.as_bytes() };
        let plain = root.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| VaultError::Damaged)?;
        Ok(plain.into())
    }

    /// The keyed hash of a message for one purpose, by the newest key.
    pub fn tag(&self, purpose: &'static str, message: &[u8]) -> [u8; 32] {
        self.roots[0].tag(purpose, message)
    }

    /// The keyed hashes of a message by every key that is still honoured, newest first.
    pub fn tags(&self, purpose: &'static str, message: &[u8]) -> Vec<[u8; 32]> {
        self.roots.iter().map(|root| root.tag(purpose, message)).collect()
    }

    /// Whether `tag` (or its beginning, at least 16 bytes) is the keyed hash of the message. Takes
    /// the same time whatever the difference.
    pub fn verify(&self, purpose: &'static str, message: &[u8], tag: &[u8]) -> bool {
        if tag.len() < 16 || tag.len() > 32 {
            return false;
        }
        self.tags(purpose, message).iter().any(|good| good[..tag.len()].ct_eq(tag).into())
    }
}

impl Root {
    fn new(key: &SecretString) -> Result<Self, VaultError> {
        let bytes = STANDARD.decode(key.expose_secret().trim()).map_err(|_| VaultError::BadKey)?;
        if bytes.len() != 32 {
            return Err(VaultError::BadKey);
        }
        let mut id = [0; KEY_ID];
        id.copy_from_slice(&Sha256::digest(&bytes)[..KEY_ID]);
        let seals = tag(begin(&bytes, "seal"), b"");
        Ok(Self { id, secret: bytes.into(), cipher: XChaCha20Poly1305::new(&Key::from(seals)), begun: Arc::default() })
    }

    fn tag(&self, purpose: &'static str, message: &[u8]) -> [u8; 32] {
        tag(self.begun(purpose), message)
    }

    fn begun(&self, purpose: &'static str) -> Hmac<Sha256> {
        if let Some(begun) = self.begun.read().unwrap_or_else(PoisonError::into_inner).get(purpose) {
            return begun.clone();
        }
        let begun = begin(self.secret.expose_secret(), purpose);
        self.begun.write().unwrap_or_else(PoisonError::into_inner).insert(purpose, begun.clone());
        begun
    }
}

/// The hash of a purpose, at its beginning.
fn begin(root: &[u8], purpose: &str) -> Hmac<Sha256> {
    keyed(&tag(keyed(root), purpose.as_bytes()))
}

fn tag(mut mac: Hmac<Sha256>, message: &[u8]) -> [u8; 32] {
    mac.update(message);
    mac.finalize().into_bytes().into()
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// Bytes that nobody can guess.
pub fn random<const N: usize>() -> Result<[u8; N], VaultError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| VaultError::NoRandomness)?;
    Ok(bytes)
}

/// 32 unguessable bytes as text that fits into a URL.
pub fn random_token() -> Result<String, VaultError> {
    Ok(URL_SAFE_NO_PAD.encode(random::<32>()?))
}

/// A fresh vault key, for private servers that live as long as the process.
pub fn random_key() -> Result<SecretString, VaultError> {
    Ok(STANDARD.encode(random::<32>()?).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SecretString {
        STANDARD.encode([byte; 32]).into()
    }

    #[test]
    fn what_was_sealed_opens_only_in_its_own_place() {
        let vault = Vault::new(&key(1), &[]).unwrap();
        let sealed = vault.seal("orders/1", b"secret").unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_eq!(vault.open("orders/1", &sealed).unwrap().expose_secret(), b"secret");
        assert_eq!(vault.open("orders/2", &sealed).unwrap_err(), VaultError::Damaged);
        for index in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[index] ^= 1;
            assert!(vault.open("orders/1", &altered).is_err(), "byte {index}");
            assert!(vault.open("orders/1", &sealed[..index]).is_err(), "length {index}");
        }
    }

    /// What stands in databases must open in every version to come. Both values were made by others' code (libsodium, and Python's `hmac`).
    #[test]
    fn what_was_sealed_once_opens_for_ever() {
        let vault = Vault::new(&key(1), &[]).unwrap();
        let sealed = "0172cd6e84000102030405060708090a0b0c0d0e0f10111213141516178762f84f6a85068d96dee46398743146c69695347630";
        assert_eq!(vault.open("orders/1", &hex::decode(sealed).unwrap()).unwrap().expose_secret(), b"secret");
        let tag = "52c1fd908bb83ee4bd790c79910abc203ac64d55d3f232841d7516dc523c5c06";
        assert_eq!(hex::encode(vault.tag("capability", b"m")), tag);
    }

    #[test]
    fn a_rotated_key_opens_the_old_and_seals_with_the_new() {
        let old = Vault::new(&key(1), &[]).unwrap();
        let both = Vault::new(&key(2), &[key(1)]).unwrap();
        let sealed = old.seal("a", b"x").unwrap();
        assert!(both.open("a", &sealed).is_ok());
        assert_eq!(old.open("a", &both.seal("a", b"x").unwrap()).unwrap_err(), VaultError::UnknownKey);
        assert!(both.verify("capability", b"m", &old.tag("capability", b"m")));
        assert!(!old.verify("capability", b"m", &both.tag("capability", b"m")));
    }

    #[test]
    fn tags_of_different_purposes_differ_and_short_ones_do_not_count() {
        let vault = Vault::new(&key(1), &[]).unwrap();
        let tag = vault.tag("a", b"m");
        assert_ne!(tag, vault.tag("b", b"m"));
        assert!(vault.verify("a", b"m", &tag[..16]));
        assert!(!vault.verify("a", b"m", &tag[..15]));
        assert!(!vault.verify("a", b"n", &tag));
    }

    #[test]
    fn a_key_of_the_wrong_length_is_refused() {
        for bad in ["", "short", "AAAA", "*"] {
            assert_eq!(Vault::new(&bad.to_owned().into(), &[]).err(), Some(VaultError::BadKey));
        }
    }
}
