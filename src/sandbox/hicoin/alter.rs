//! Altered books: what Hicoin's lists say otherwise than it was, or what moved behind everybody's back. The record of calls
//! and executions ([`Sandbox::books`](crate::sandbox::Sandbox::books)) stays as it is.

use rust_decimal::Decimal;
use serde::Deserialize;

use super::account::{Change, address_of, txid_of};
use super::deposit::{DONE_CONFIRMATIONS, DepositStatus, HicoinTo};
use super::operator::HicoinError;
use super::state::App;
use super::transfer::Transfer;
use super::withdrawal::{HicoinStage, Withdrawal};
use crate::sandbox::world::World;

/// An alteration of what Hicoin says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case", deny_unknown_fields)]
pub enum HicoinAlteration {
    /// A withdrawal or transfer is gone from the lists.
    OrderRemoved {
        /// Which.
        request_id: String,
    },
    /// Its amount is another one.
    OrderAmount {
        /// Which.
        request_id: String,
        /// The amount that lists show.
        amount: Decimal,
    },
    /// It goes to another address, or user.
    OrderRecipient {
        /// Which.
        request_id: String,
        /// The address, or the user's uid.
        to: String,
    },
    /// It failed after all.
    OrderFailed {
        /// Which.
        request_id: String,
    },
    /// It was carried out a second time, and the money moved again.
    OrderRepeated {
        /// Which.
        request_id: String,
    },
    /// A withdrawal to an address, done, that nobody ordered by a call.
    OrderAdded {
        /// Its id, which no order has.
        request_id: String,
        /// From whose account.
        uid: u64,
        /// Where to.
        address: String,
        /// In which coin.
        symbol: String,
        /// How much.
        amount: Decimal,
    },
    /// A deposit is gone from the lists.
    DepositRemoved {
        /// Which.
        id: u64,
    },
    /// Its amount is another one.
    DepositAmount {
        /// Which.
        id: u64,
        /// The amount that lists show.
        amount: Decimal,
    },
    /// A deposit, done, under a number that was passed by long ago.
    DepositAdded {
        /// Its number, which no deposit has.
        id: u64,
        /// Whose it is.
        uid: u64,
        /// In which coin.
        symbol: String,
        /// How much.
        amount: Decimal,
    },
}

impl App {
    /// Alters what the lists say.
    pub(super) fn alter(&mut self, world: &World, alteration: HicoinAlteration) -> Result<(), HicoinError> {
        match alteration {
            HicoinAlteration::OrderRemoved { request_id } => {
                self.known_order(&request_id)?;
                self.withdrawals.retain(|one| one.request_id != request_id);
                self.transfers.retain(|one| one.request_id != request_id);
            }
            HicoinAlteration::OrderAmount { request_id, amount } => {
                self.known_order(&request_id)?;
                self.withdrawals.iter_mut().filter(|one| one.request_id == request_id).for_each(|one| one.amount = amount);
                self.transfers.iter_mut().filter(|one| one.request_id == request_id).for_each(|one| one.amount = amount);
            }
            HicoinAlteration::OrderRecipient { request_id, to } => {
                self.known_order(&request_id)?;
                self.withdrawals.iter_mut().filter(|one| one.request_id == request_id).for_each(|one| one.address_to.clone_from(&to));
                let uid = to.parse().ok();
                for transfer in self.transfers.iter_mut().filter(|one| one.request_id == request_id) {
                    transfer.to_uid = uid.ok_or(HicoinError::NoSuchUser)?;
                }
            }
            HicoinAlteration::OrderFailed { request_id } => {
                self.known_order(&request_id)?;
                self.withdrawals.iter_mut().filter(|one| one.request_id == request_id).for_each(|one| one.stage = HicoinStage::Failed);
                self.transfers.iter_mut().filter(|one| one.request_id == request_id).for_each(|one| one.failed = true);
            }
            HicoinAlteration::OrderRepeated { request_id } => self.repeat(&request_id)?,
            HicoinAlteration::OrderAdded { request_id, uid, address, symbol, amount } => {
                self.add_withdrawal(world, request_id, uid, address, &symbol, amount)?;
            }
            HicoinAlteration::DepositRemoved { id } => self.deposits.remove(id)?,
            HicoinAlteration::DepositAmount { id, amount } => self.deposits.get_mut(id)?.amount = amount,
            HicoinAlteration::DepositAdded { id, uid, symbol, amount } => self.add(world, id, uid, &symbol, amount)?,
        }
        Ok(())
    }

    fn known_order(&self, request_id: &str) -> Result<(), HicoinError> {
        if self.has_order(request_id) { Ok(()) } else { Err(HicoinError::NoSuchWithdrawal) }
    }

    fn repeat(&mut self, request_id: &str) -> Result<(), HicoinError> {
        self.known_order(request_id)?;
        let id = self.order_id();
        let moved = |uid: u64, symbol: &str, normal: Decimal| Change { uid, symbol: symbol.to_owned(), normal, locked: Decimal::ZERO };
        if let Some(first) = self.withdrawals.iter().find(|one| one.request_id == request_id).cloned() {
            self.accounts.apply(&[moved(first.uid, &first.symbol, -first.amount)]).map_err(|_| HicoinError::NoAmount)?;
            self.withdrawals.push(Withdrawal { id, ..first });
        } else if let Some(first) = self.transfers.iter().find(|one| one.request_id == request_id).cloned() {
            let changes = [moved(first.from_uid, &first.symbol, -first.amount), moved(first.to_uid, &first.symbol, first.amount)];
            self.accounts.apply(&changes).map_err(|_| HicoinError::NoAmount)?;
            self.transfers.push(Transfer { id, ..first });
        }
        Ok(())
    }

    fn add_withdrawal(
        &mut self,
        world: &World,
        request_id: String,
        uid: u64,
        address_to: String,
        symbol: &str,
        amount: Decimal,
    ) -> Result<(), HicoinError> {
        if self.has_order(&request_id) {
            return Err(HicoinError::Settled);
        }
        let coin = self.coin(symbol).ok_or(HicoinError::NoSuchCoin)?.clone();
        let (id, now_ms) = (self.order_id(), world.clock.now_ms());
        self.withdrawals.push(Withdrawal {
            id,
            request_id,
            uid,
            symbol: coin.symbol.clone(),
            amount,
            fee: coin.fee,
            real_fee: coin.real_fee,
            created_at_ms: now_ms,
            updated_at_ms: now_ms,
            address_from: address_of(&self.setup.app_id, self.setup.uid, symbol),
            address_to,
            txid: txid_of(&self.setup.app_id, "withdrawal", id),
            confirmations: DONE_CONFIRMATIONS,
            stage: HicoinStage::Done,
        });
        Ok(())
    }

    fn add(&mut self, world: &World, id: u64, uid: u64, symbol: &str, amount: Decimal) -> Result<(), HicoinError> {
        if self.deposits.get_mut(id).is_ok() {
            return Err(HicoinError::Settled);
        }
        let made = self.deposit(world, &HicoinTo::Uid(uid), symbol, amount, false)?;
        self.deposits.renumber(made, id)?;
        self.settle_deposit(world, id, DepositStatus::Done)
    }
}
