//! Withdrawals to a chain (hicoin-openapi.rst, sections 4.9 and 4.11): the money is locked when the order is taken,
//! and paid away or returned when it ends.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::account::{Change, address_of, txid_of};
use super::code::{self, Refusal};
use super::deposit::DONE_CONFIRMATIONS;
use super::operator::HicoinError;
use super::setup::{HicoinCoin, HicoinFee};
use super::state::App;
use super::transfer::Sort;
use super::wire::Done;
use super::{Desk, PROVIDER, notice};
use crate::sandbox::books::{Entry, Kind};
use crate::sandbox::clock::lock;
use crate::sandbox::world::World;

/// How far a withdrawal is, in the numbers of section 4.9.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HicoinStage {
    /// Taken, and nobody has looked at it.
    Unreviewed = 0,
    /// May be paid.
    Approved = 1,
    /// Will not be paid; the money is back.
    Refused = 2,
    /// On the chain, which has to confirm it.
    Paying = 3,
    /// Could not be paid; the money is back.
    Failed = 4,
    /// Paid.
    Done = 5,
    /// Called off; the money is back.
    Revoked = 6,
}

impl HicoinStage {
    /// The stage after this one when all goes well; `None` at the end of the way.
    fn next(self) -> Option<Self> {
        match self {
            Self::Unreviewed => Some(Self::Approved),
            Self::Approved => Some(Self::Paying),
            Self::Paying => Some(Self::Done),
            Self::Refused | Self::Failed | Self::Done | Self::Revoked => None,
        }
    }

    /// What the merchant's review has come to, in the same numbers; the document has none of its own.
    pub(super) fn review(self) -> u8 {
        match self {
            Self::Unreviewed | Self::Revoked => 0,
            Self::Approved | Self::Paying | Self::Failed | Self::Done => 1,
            Self::Refused => 2,
        }
    }
}

#[derive(Clone)]
pub(super) struct Withdrawal {
    pub(super) id: u64,
    pub(super) request_id: String,
    pub(super) uid: u64,
    pub(super) symbol: String,
    pub(super) amount: Decimal,
    pub(super) fee: HicoinFee,
    /// What the miners took; zero until it is on the chain.
    pub(super) real_fee: Decimal,
    pub(super) created_at_ms: i64,
    pub(super) updated_at_ms: i64,
    pub(super) address_from: String,
    pub(super) address_to: String,
    /// Empty until it is on the chain.
    pub(super) txid: String,
    pub(super) confirmations: u32,
    pub(super) stage: HicoinStage,
}

impl Withdrawal {
    /// Whether the fee is part of the amount, or taken besides in another coin.
    fn fee_is_inside(&self) -> bool {
        self.fee.symbol == self.symbol
    }

    /// The changes that move amount and fee by these signs: in what can be spent, in what waits.
    fn changes(&self, normal: Decimal, locked: Decimal) -> Vec<Change> {
        let change = |symbol: &str, amount: Decimal| Change {
            uid: self.uid,
            symbol: symbol.to_owned(),
            normal: normal * amount,
            locked: locked * amount,
        };
        let mut changes = vec![change(&self.symbol, self.amount)];
        if !self.fee_is_inside() {
            changes.push(change(&self.fee.symbol, self.fee.amount));
        }
        changes
    }
}

impl Desk<'_> {
    /// Section 4.9. To an address of the app's own users it is a transfer, unless `focus_online` forces it onto the chain.
    pub(super) fn withdraw(&mut self) -> Result<Done, Refusal> {
        self.form.require(&["request_id", "from_uid", "to_address", "amount", "symbol"])?;
        let on_chain = match self.form.get("focus_online") {
            "" | "0" => false,
            "1" => true,
            _ => return Err(Refusal::parameter("focus_online")),
        };
        let uid = self.known_uid("from_uid")?;
        self.check_unused()?;
        if self.app.users.get(&uid).is_some_and(|user| user.frozen) {
            return Err(code::FROZEN.into());
        }
        let coin = self.coin()?;
        let address_to = self.address()?;
        let amount = self.amount(&coin)?;
        match self.app.accounts.owner_for(&address_to, &coin.symbol).filter(|_| !on_chain) {
            Some(to_uid) => self.transfer(Sort::Internal, uid, to_uid, coin.symbol, amount),
            None => self.pay_on_chain(uid, coin, address_to, amount),
        }
    }

    fn pay_on_chain(&mut self, uid: u64, coin: HicoinCoin, address_to: String, amount: Decimal) -> Result<Done, Refusal> {
        let now_ms = self.world.clock.now_ms();
        let mut withdrawal = Withdrawal {
            id: 0,
            request_id: self.form.get("request_id").to_owned(),
            uid,
            address_from: address_of(&self.app.setup.app_id, self.app.setup.uid, &coin.symbol),
            symbol: coin.symbol,
            amount,
            fee: coin.fee,
            real_fee: Decimal::ZERO,
            created_at_ms: now_ms,
            updated_at_ms: now_ms,
            address_to,
            txid: String::new(),
            confirmations: 0,
            stage: HicoinStage::Unreviewed,
        };
        self.check_money(&withdrawal)?;
        if self.world.faults.take_failure(&withdrawal.request_id) {
            // It fails before any money is touched.
            withdrawal.stage = HicoinStage::Failed;
        } else {
            self.app.accounts.apply(&withdrawal.changes(Decimal::NEGATIVE_ONE, Decimal::ONE)).map_err(|_| code::SYSTEM)?;
        }
        withdrawal.id = self.app.order_id();
        if withdrawal.stage == HicoinStage::Unreviewed {
            lock(&self.world.books).record(self.app.withdrawal_entry(&withdrawal, Kind::Withdrawal, now_ms));
        }
        self.app.tell_of_withdrawal(self.world, &withdrawal);
        let done = Done::Ordered { status: withdrawal.stage as u8, withdraw_type: Some(1) };
        self.app.withdrawals.push(withdrawal);
        Ok(done)
    }

    /// 120404 for an amount that the fee eats up, 120402 and 120403 where the amount or a fee besides is not there.
    fn check_money(&self, withdrawal: &Withdrawal) -> Result<(), Refusal> {
        let fee = &withdrawal.fee;
        if withdrawal.fee_is_inside() && withdrawal.amount <= fee.amount {
            return Err(code::NOT_ABOVE_FEE.into());
        }
        self.check_balance(withdrawal.uid, &withdrawal.symbol, withdrawal.amount)?;
        if !withdrawal.fee_is_inside() && self.app.accounts.balance(withdrawal.uid, &fee.symbol).normal < fee.amount {
            return Err(code::FEE_BALANCE.into());
        }
        Ok(())
    }

    /// Section 4.11: withdrawals to a chain by their request_id; internal ones are in `transferList`.
    pub(super) fn withdraw_list(&mut self) -> Result<Done, Refusal> {
        let ids = self.ids()?;
        let asked: Vec<usize> = (0..self.app.withdrawals.len()).filter(|at| ids.contains(&self.app.withdrawals[*at].request_id)).collect();
        if self.rules.auto_advance {
            for at in &asked {
                if let Some(next) = self.app.withdrawals[*at].stage.next() {
                    // A stage that cannot be reached is not: the list shows the one before.
                    let _ = self.app.move_withdrawal(self.world, *at, next, None);
                }
            }
        }
        Ok(Done::Withdrawals(asked.iter().map(|at| self.app.withdrawals[*at].clone()).collect()))
    }
}

impl App {
    /// The latest withdrawal with this request_id.
    pub(super) fn find_withdrawal(&self, request_id: &str) -> Result<usize, HicoinError> {
        self.withdrawals.iter().rposition(|one| one.request_id == request_id).ok_or(HicoinError::NoSuchWithdrawal)
    }

    /// Moves a withdrawal to a stage, with the money that goes with it; what has ended stays as it is.
    pub(super) fn move_withdrawal(
        &mut self,
        world: &World,
        at: usize,
        stage: HicoinStage,
        confirmations: Option<u32>,
    ) -> Result<(), HicoinError> {
        let mut withdrawal = self.withdrawals[at].clone();
        let moves = withdrawal.stage != stage;
        if moves && withdrawal.stage.next().is_none() {
            return Err(HicoinError::Settled);
        }
        withdrawal.stage = stage;
        withdrawal.updated_at_ms = world.clock.now_ms();
        if matches!(stage, HicoinStage::Paying | HicoinStage::Done) {
            withdrawal.txid = txid_of(&self.setup.app_id, "withdrawal", withdrawal.id);
            withdrawal.real_fee = self.coin(&withdrawal.symbol).map(|coin| coin.real_fee).unwrap_or_default();
        }
        let least = if stage == HicoinStage::Done { DONE_CONFIRMATIONS } else { 0 };
        withdrawal.confirmations = confirmations.unwrap_or(withdrawal.confirmations.max(least));
        if moves {
            self.settle_withdrawal(world, &withdrawal)?;
        }
        self.tell_of_withdrawal(world, &withdrawal);
        self.withdrawals[at] = withdrawal;
        Ok(())
    }

    /// Lets go of the money of a withdrawal that has just ended.
    fn settle_withdrawal(&mut self, world: &World, withdrawal: &Withdrawal) -> Result<(), HicoinError> {
        let (kind, normal) = match withdrawal.stage {
            HicoinStage::Unreviewed | HicoinStage::Approved | HicoinStage::Paying => return Ok(()),
            HicoinStage::Done => (Kind::Completed, Decimal::ZERO),
            HicoinStage::Refused | HicoinStage::Failed | HicoinStage::Revoked => (Kind::Returned, Decimal::ONE),
        };
        self.accounts.apply(&withdrawal.changes(normal, Decimal::NEGATIVE_ONE)).map_err(|_| HicoinError::NoAmount)?;
        lock(&world.books).record(self.withdrawal_entry(withdrawal, kind, withdrawal.updated_at_ms));
        Ok(())
    }

    fn withdrawal_entry(&self, withdrawal: &Withdrawal, kind: Kind, at_ms: i64) -> Entry {
        Entry {
            at_ms,
            provider: PROVIDER,
            kind,
            client_id: self.setup.app_id.clone(),
            trade_id: withdrawal.request_id.clone(),
            transfer_id: withdrawal.id.to_string(),
            user_id: withdrawal.address_to.clone(),
            coin_id: withdrawal.symbol.clone(),
            amount: withdrawal.amount,
            // A fee in another coin is no part of this amount.
            fee: if withdrawal.fee_is_inside() { withdrawal.fee.amount } else { Decimal::ZERO },
        }
    }

    fn tell_of_withdrawal(&self, world: &World, withdrawal: &Withdrawal) {
        if let Some(url) = &self.notice_url {
            world.outbox.post(notice::of_withdrawal(&self.setup.app_id, url, withdrawal));
        }
    }
}
