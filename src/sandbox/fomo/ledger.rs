//! Who owns how much. Money only moves between accounts, so the sum over all of them never changes by a payment.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

/// An account of the ledger, per coin.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sandbox) enum Owner {
    User(String),
    Client(String),
    /// What the provider took as `cut_amount`.
    Fees,
}

/// A movement: `amount` leaves the payer, `cut` of it goes to the provider, the rest to the payee.
pub(super) struct Movement<'a> {
    pub(super) payer: Owner,
    pub(super) payee: Owner,
    pub(super) coin_id: &'a str,
    pub(super) amount: Decimal,
    pub(super) cut: Decimal,
}

/// Why a movement did not happen.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unmoved {
    /// The payer has less than the amount.
    TooLittle,
    /// The sum cannot be kept exactly.
    Inexact,
}

#[derive(Default)]
pub(super) struct Ledger(BTreeMap<(Owner, String), Decimal>);

impl Ledger {
    pub(super) fn balance(&self, owner: &Owner, coin_id: &str) -> Decimal {
        self.0.get(&(owner.clone(), coin_id.to_owned())).copied().unwrap_or_default()
    }

    pub(super) fn set(&mut self, owner: Owner, coin_id: &str, amount: Decimal) {
        self.0.insert((owner, coin_id.to_owned()), amount);
    }

    /// Moves everything or nothing.
    pub(super) fn apply(&mut self, movement: Movement<'_>) -> Result<(), Unmoved> {
        let Movement { payer, payee, coin_id, amount, cut } = movement;
        let before = self.balance(&payer, coin_id);
        if before < amount {
            return Err(Unmoved::TooLittle);
        }
        let net = amount.checked_sub(cut).ok_or(Unmoved::Inexact)?;
        let payer_after = before.checked_sub(amount).ok_or(Unmoved::Inexact)?;
        let payee_after = exact_sum(self.balance(&payee, coin_id), net)?;
        let fees_after = exact_sum(self.balance(&Owner::Fees, coin_id), cut)?;
        self.set(payer, coin_id, payer_after);
        self.set(payee, coin_id, payee_after);
        self.set(Owner::Fees, coin_id, fees_after);
        Ok(())
    }
}

/// `Decimal` rounds a sum that has more than 28 digits; a ledger must not.
fn exact_sum(balance: Decimal, more: Decimal) -> Result<Decimal, Unmoved> {
    let sum = balance.checked_add(more).ok_or(Unmoved::Inexact)?;
    if sum.checked_sub(balance) == Some(more) { Ok(sum) } else { Err(Unmoved::Inexact) }
}
