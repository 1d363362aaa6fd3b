//! What somebody says of a deposit before it is proven.

use serde::{Deserialize, Serialize};

use super::money::Amount;

/// What an unproven report claimed of a deposit, until it is proven or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Whether it claimed payment, or failure.
    pub paid: bool,
    /// The provider's id of the movement, as claimed.
    pub reference: Option<String>,
    /// Other ids that later claims of payment named: any of them may be the true one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<String>,
    /// What the provider took, as claimed.
    pub fee: Option<Amount>,
    /// Only the customer's own browser claims it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_browser: bool,
}

impl Claim {
    /// No more ids than this are remembered.
    const MOST: usize = 8;

    /// Every id of the movement that was claimed.
    pub fn references(&self) -> Vec<String> {
        self.reference.iter().chain(&self.others).cloned().collect()
    }

    /// Remembers what a later claim of payment calls the movement.
    pub fn add(&mut self, reference: &str) {
        if self.others.len() < Self::MOST && !self.references().iter().any(|known| known == reference) {
            self.others.push(reference.to_owned());
        }
    }
}
