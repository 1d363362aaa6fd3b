//! What the merchant's backend asked, and what it was told: the client's side of the story, which is judged without asking us.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::script::Kind;

/// One order as its merchant knows it.
#[derive(Clone, Debug)]
pub struct Asked {
    pub kind: Kind,
    /// The order's id, as told by each 2xx.
    pub acknowledged: Vec<String>,
    /// Refused for good.
    pub failed: Vec<u16>,
    /// No answer, or one that says to come again.
    pub unknown: usize,
    /// A customer has paid it.
    pub paid: bool,
    /// A callback about it carried another amount, and was answered 200.
    pub lied_about: bool,
    /// Another wish under the same id was granted.
    pub stolen: bool,
}

/// The story of all orders.
#[derive(Debug, Default)]
pub struct History(Mutex<BTreeMap<String, Asked>>);

impl History {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Asked>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is asked for.
    pub fn invoke(&self, trade_id: &str, kind: Kind) {
        let fresh = Asked { kind, acknowledged: Vec::new(), failed: Vec::new(), unknown: 0, paid: false, lied_about: false, stolen: false };
        self.lock().insert(trade_id.to_owned(), fresh);
    }

    /// Something is learnt.
    pub fn note(&self, trade_id: &str, learn: impl FnOnce(&mut Asked)) {
        if let Some(asked) = self.lock().get_mut(trade_id) {
            learn(asked);
        }
    }

    pub fn all(&self) -> BTreeMap<String, Asked> {
        self.lock().clone()
    }
}
