//! Who owns how much, and which address is whose. Money of an app only enters by deposits and leaves by withdrawals.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// What a user has of a coin (hicoin-openapi.rst, section 4.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HicoinBalance {
    /// What can be spent.
    pub normal: Decimal,
    /// What waits in withdrawals.
    pub locked: Decimal,
}

/// A change of one account.
pub(super) struct Change {
    pub(super) uid: u64,
    pub(super) symbol: String,
    /// Added to what can be spent.
    pub(super) normal: Decimal,
    /// Added to what waits in withdrawals.
    pub(super) locked: Decimal,
}

/// A sum has more digits than a balance can keep exactly.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inexact;

/// The balances and addresses of one app.
#[derive(Default)]
pub(super) struct Accounts {
    balances: BTreeMap<(u64, String), HicoinBalance>,
    /// Address to its owner and coin.
    addresses: BTreeMap<String, (u64, String)>,
}

impl Accounts {
    pub(super) fn balance(&self, uid: u64, symbol: &str) -> HicoinBalance {
        self.balances.get(&(uid, symbol.to_owned())).copied().unwrap_or_default()
    }

    /// A user's accounts by coin: those that money has touched (section 4.6 wants them made as needed).
    pub(super) fn of(&self, uid: u64) -> Vec<(String, HicoinBalance)> {
        let own = self.balances.iter().filter(|((owner, _), _)| *owner == uid);
        own.map(|((_, symbol), balance)| (symbol.clone(), *balance)).collect()
    }

    /// Sets what can be spent; what waits in withdrawals stays.
    pub(super) fn set(&mut self, uid: u64, symbol: &str, normal: Decimal) {
        self.balances.entry((uid, symbol.to_owned())).or_default().normal = normal;
    }

    /// Makes all changes or none. Whether there is enough is for the caller to know.
    pub(super) fn apply(&mut self, changes: &[Change]) -> Result<(), Inexact> {
        let before: Vec<_> = changes.iter().map(|change| self.balance(change.uid, &change.symbol)).collect();
        let done = changes.iter().try_for_each(|change| {
            let balance = self.balance(change.uid, &change.symbol);
            let (normal, locked) = (exact_sum(balance.normal, change.normal)?, exact_sum(balance.locked, change.locked)?);
            self.put(change, HicoinBalance { normal, locked });
            Ok(())
        });
        if done.is_err() {
            changes.iter().zip(before).for_each(|(change, balance)| self.put(change, balance));
        }
        done
    }

    fn put(&mut self, change: &Change, balance: HicoinBalance) {
        self.balances.insert((change.uid, change.symbol.clone()), balance);
    }

    /// The user's address for a coin, which is always the same; from now on it is known as his.
    pub(super) fn address(&mut self, app_id: &str, uid: u64, symbol: &str) -> String {
        let address = address_of(app_id, uid, symbol);
        self.addresses.insert(address.clone(), (uid, symbol.to_owned()));
        address
    }

    /// The address that a user was given for a coin; empty before he asked for one.
    pub(super) fn known_address(&self, uid: u64, symbol: &str) -> String {
        let mut own = self.addresses.iter().filter(|(_, (owner, coin))| *owner == uid && coin == symbol);
        own.next().map(|(address, _)| address.clone()).unwrap_or_default()
    }

    /// Whose address this is.
    pub(super) fn owner(&self, address: &str) -> Option<u64> {
        self.addresses.get(address).map(|(uid, _)| *uid)
    }

    /// Whose address this is for a coin: another coin sent there would not arrive.
    pub(super) fn owner_for(&self, address: &str, symbol: &str) -> Option<u64> {
        self.addresses.get(address).filter(|(_, coin)| coin == symbol).map(|(uid, _)| *uid)
    }
}

/// `Decimal` rounds a sum that has more than 28 digits; a balance must not be rounded.
fn exact_sum(balance: Decimal, more: Decimal) -> Result<Decimal, Inexact> {
    let sum = balance.checked_add(more).ok_or(Inexact)?;
    if sum.checked_sub(balance) == Some(more) { Ok(sum) } else { Err(Inexact) }
}

/// An address made up of its owner and coin: 34 characters from `1` on for BTC, `0x` and 40 hex digits for the others.
pub(super) fn address_of(app_id: &str, uid: u64, symbol: &str) -> String {
    /// Without the characters that people mix up.
    const LETTERS: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let digest = Sha256::digest(format!("address {app_id} {uid} {symbol}"));
    if symbol == "BTC" {
        // 33 letters out of 32 bytes: the first one serves twice.
        let letters = digest.iter().chain(digest.iter().take(1)).map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]));
        std::iter::once('1').chain(letters).collect()
    } else {
        let hex = hex::encode(digest);
        format!("0x{}", &hex[..40])
    }
}

/// A made-up id of a transaction on the chain.
pub(super) fn txid_of(app_id: &str, what: &str, id: u64) -> String {
    hex::encode(Sha256::digest(format!("txid {app_id} {what} {id}")))
}
