//! Transfers within Hicoin, which are done or failed at once and cost nothing (hicoin-openapi.rst, sections 4.7, 4.8,
//! 4.14 and 4.15).

use rust_decimal::Decimal;

use super::account::Change;
use super::code::{self, Refusal};
use super::state::App;
use super::wire::Done;
use super::{Desk, PROVIDER};
use crate::sandbox::books::{Entry, Kind};
use crate::sandbox::clock::lock;

/// By which call a transfer was ordered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// `userTransfer`.
    User,
    /// `systemTransfer`.
    System,
    /// `withdraw` to an address of an own user.
    Internal,
}

#[derive(Clone)]
pub(super) struct Transfer {
    pub(super) id: u64,
    pub(super) request_id: String,
    pub(super) sort: Sort,
    pub(super) from_uid: u64,
    pub(super) to_uid: u64,
    pub(super) symbol: String,
    pub(super) amount: Decimal,
    pub(super) created_at_ms: i64,
    /// Nothing was moved, and nothing will be.
    pub(super) failed: bool,
}

impl Transfer {
    /// 0: done, 1: failed.
    pub(super) fn status(&self) -> u8 {
        u8::from(self.failed)
    }
}

impl Desk<'_> {
    /// Section 4.7.
    pub(super) fn user_transfer(&mut self) -> Result<Done, Refusal> {
        self.form.require(&["request_id", "from_uid", "to_uid", "amount", "symbol"])?;
        let from_uid = self.known_uid("from_uid")?;
        self.order_transfer(Sort::User, from_uid)
    }

    /// Section 4.8: from the merchant's own account.
    pub(super) fn system_transfer(&mut self) -> Result<Done, Refusal> {
        self.form.require(&["request_id", "to_uid", "amount", "symbol"])?;
        self.order_transfer(Sort::System, self.app.setup.uid)
    }

    fn order_transfer(&mut self, sort: Sort, from_uid: u64) -> Result<Done, Refusal> {
        let to_uid = self.known_uid("to_uid")?;
        self.check_unused()?;
        let coin = self.coin()?;
        let amount = self.amount(&coin)?;
        self.transfer(sort, from_uid, to_uid, coin.symbol, amount)
    }

    /// Moves the money and enters it in the books; or fails, as asked for, and moves nothing. 120402 when there is too little.
    pub(super) fn transfer(&mut self, sort: Sort, from_uid: u64, to_uid: u64, symbol: String, amount: Decimal) -> Result<Done, Refusal> {
        self.check_balance(from_uid, &symbol, amount)?;
        let request_id = self.form.get("request_id").to_owned();
        let failed = self.world.faults.take_failure(&request_id);
        if !failed {
            let change = |uid, normal| Change { uid, symbol: symbol.clone(), normal, locked: Decimal::ZERO };
            self.app.accounts.apply(&[change(from_uid, -amount), change(to_uid, amount)]).map_err(|_| code::SYSTEM)?;
        }
        let created_at_ms = self.world.clock.now_ms();
        let id = self.app.order_id();
        let transfer = Transfer { id, request_id, sort, from_uid, to_uid, symbol, amount, created_at_ms, failed };
        if !failed {
            lock(&self.world.books).record(self.app.transfer_entry(&transfer));
        }
        let done = Done::Ordered { status: transfer.status(), withdraw_type: (sort == Sort::Internal).then_some(2) };
        self.app.transfers.push(transfer);
        Ok(done)
    }

    /// Section 4.14: transfers between users, and withdrawals that became one.
    pub(super) fn transfer_list(&self) -> Result<Done, Refusal> {
        self.list_transfers(&[Sort::User, Sort::Internal])
    }

    /// Section 4.15.
    pub(super) fn system_transfer_list(&self) -> Result<Done, Refusal> {
        self.list_transfers(&[Sort::System])
    }

    fn list_transfers(&self, sorts: &[Sort]) -> Result<Done, Refusal> {
        let ids = self.ids()?;
        let asked = self.app.transfers.iter().filter(|one| sorts.contains(&one.sort) && ids.contains(&one.request_id));
        Ok(Done::Transfers(asked.cloned().collect()))
    }
}

impl App {
    fn transfer_entry(&self, transfer: &Transfer) -> Entry {
        let kind = match transfer.sort {
            Sort::User | Sort::System => Kind::Transfer,
            Sort::Internal => Kind::Payout,
        };
        Entry {
            at_ms: transfer.created_at_ms,
            provider: PROVIDER,
            kind,
            client_id: self.setup.app_id.clone(),
            trade_id: transfer.request_id.clone(),
            transfer_id: transfer.id.to_string(),
            user_id: transfer.to_uid.to_string(),
            coin_id: transfer.symbol.clone(),
            amount: transfer.amount,
            fee: Decimal::ZERO,
        }
    }
}
