//! Deposits (hicoin-openapi.rst, sections 4.12 and 4.13). They happen on the chain, so nobody calls for them: the
//! operator's verbs make them, and money and books follow their status.

use rust_decimal::Decimal;

use super::account::{Change, txid_of};
use super::check::{self, MOST_RECORDS};
use super::code::Refusal;
use super::operator::HicoinError;
use super::state::App;
use super::wire::Done;
use super::{Desk, PROVIDER, notice};
use crate::sandbox::books::{Entry, Kind};
use crate::sandbox::clock::lock;
use crate::sandbox::world::World;

/// The confirmations in the document's samples, with which a payment counts as done.
pub(super) const DONE_CONFIRMATIONS: u32 = 11;

/// To whom a deposit is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HicoinTo {
    /// This user's address for the coin; also one that the app never registered.
    Uid(u64),
    /// An address that the app was given, for whichever coin.
    Address(String),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum DepositStatus {
    Pending = 0,
    Done = 1,
    Abnormal = 2,
}

#[derive(Clone)]
pub(super) struct Deposit {
    pub(super) id: u64,
    pub(super) uid: u64,
    pub(super) symbol: String,
    pub(super) amount: Decimal,
    pub(super) created_at_ms: i64,
    pub(super) updated_at_ms: i64,
    pub(super) txid: String,
    pub(super) confirmations: u32,
    pub(super) address_to: String,
    pub(super) status: DepositStatus,
    /// Whether lists show it: Hicoin may number a deposit long before.
    pub(super) visible: bool,
}

/// An app's deposits, in the order of their ids.
#[derive(Default)]
pub(super) struct Deposits {
    list: Vec<Deposit>,
    last_id: u64,
}

impl Deposits {
    /// Ids that no deposit will ever have.
    pub(super) fn skip(&mut self, count: u64) {
        self.last_id = self.last_id.saturating_add(count);
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Result<&mut Deposit, HicoinError> {
        self.list.iter_mut().find(|one| one.id == id).ok_or(HicoinError::NoSuchDeposit)
    }

    /// A deposit that no list shows any more, and that nobody remembers.
    pub(super) fn remove(&mut self, id: u64) -> Result<(), HicoinError> {
        self.get_mut(id)?;
        self.list.retain(|one| one.id != id);
        Ok(())
    }

    /// Gives a deposit another number, by which it stands in the lists from now on.
    pub(super) fn renumber(&mut self, from: u64, to: u64) -> Result<(), HicoinError> {
        let deposit = self.get_mut(from)?;
        (deposit.id, deposit.visible) = (to, true);
        self.list.sort_by_key(|one| one.id);
        Ok(())
    }

    /// What `syncDepositList` shows: the first hundred after an id, whatever their status.
    pub(super) fn after(&self, max_id: i64) -> impl Iterator<Item = &Deposit> {
        let later = move |one: &&Deposit| one.visible && i64::try_from(one.id).is_ok_and(|id| id > max_id);
        self.list.iter().filter(later).take(MOST_RECORDS)
    }
}

impl Desk<'_> {
    /// Section 4.12.
    pub(super) fn sync_deposit_list(&self) -> Result<Done, Refusal> {
        self.form.require(&["max_id"])?;
        let max_id = check::number(self.form, "max_id")?;
        Ok(Done::Deposits(self.app.deposits.after(max_id).cloned().collect()))
    }

    /// Section 4.13: those that are there, by their ids.
    pub(super) fn deposit_list(&self) -> Result<Done, Refusal> {
        let ids = self.ids()?;
        let ids: Vec<u64> = ids.iter().map(|id| id.parse()).collect::<Result<_, _>>().map_err(|_| Refusal::parameter("ids"))?;
        let asked = self.app.deposits.list.iter().filter(|one| one.visible && ids.contains(&one.id));
        Ok(Done::Deposits(asked.cloned().collect()))
    }
}

impl App {
    /// A payment to one of the app's addresses is seen on the chain; answers its id.
    pub(super) fn deposit(
        &mut self,
        world: &World,
        to: &HicoinTo,
        symbol: &str,
        amount: Decimal,
        visible: bool,
    ) -> Result<u64, HicoinError> {
        let coin = self.coin(symbol).ok_or(HicoinError::NoSuchCoin)?;
        if amount <= Decimal::ZERO || amount.normalize().scale() > coin.decimals {
            return Err(HicoinError::NoAmount);
        }
        let (uid, address_to) = match to {
            HicoinTo::Uid(uid) => (*uid, self.accounts.address(&self.setup.app_id, *uid, symbol)),
            HicoinTo::Address(address) => (self.accounts.owner(address).ok_or(HicoinError::NoSuchAddress)?, address.clone()),
        };
        self.deposits.last_id += 1;
        let (id, now_ms) = (self.deposits.last_id, world.clock.now_ms());
        let deposit = Deposit {
            id,
            uid,
            symbol: symbol.to_owned(),
            amount,
            created_at_ms: now_ms,
            updated_at_ms: now_ms,
            txid: txid_of(&self.setup.app_id, "deposit", id),
            confirmations: 0,
            address_to,
            status: DepositStatus::Pending,
            visible,
        };
        self.tell_of_deposit(world, &deposit);
        self.deposits.list.push(deposit);
        Ok(id)
    }

    /// The chain confirms a deposit so often.
    pub(super) fn confirm_deposit(&mut self, world: &World, id: u64, confirmations: u32) -> Result<(), HicoinError> {
        self.change_deposit(world, id, |deposit| deposit.confirmations = confirmations)
    }

    /// Lists show a deposit from now on.
    pub(super) fn show_deposit(&mut self, world: &World, id: u64) -> Result<(), HicoinError> {
        self.change_deposit(world, id, |deposit| deposit.visible = true)
    }

    fn change_deposit(&mut self, world: &World, id: u64, change: impl FnOnce(&mut Deposit)) -> Result<(), HicoinError> {
        let deposit = self.deposits.get_mut(id)?;
        change(deposit);
        deposit.updated_at_ms = world.clock.now_ms();
        let deposit = deposit.clone();
        self.tell_of_deposit(world, &deposit);
        Ok(())
    }

    /// Credits a deposit that is done, or takes back one that was done and is abnormal now, as after a reorganisation
    /// of the chain; that may leave a negative balance.
    pub(super) fn settle_deposit(&mut self, world: &World, id: u64, status: DepositStatus) -> Result<(), HicoinError> {
        let deposit = self.deposits.get_mut(id)?.clone();
        if deposit.status == status {
            return Err(HicoinError::Settled);
        }
        let moved = match deposit.status {
            DepositStatus::Done => Some((Kind::Returned, -deposit.amount)),
            DepositStatus::Pending | DepositStatus::Abnormal => (status == DepositStatus::Done).then_some((Kind::Deposit, deposit.amount)),
        };
        if let Some((kind, normal)) = moved {
            let change = Change { uid: deposit.uid, symbol: deposit.symbol.clone(), normal, locked: Decimal::ZERO };
            self.accounts.apply(&[change]).map_err(|_| HicoinError::NoAmount)?;
            lock(&world.books).record(self.deposit_entry(&deposit, kind, world.clock.now_ms()));
        }
        self.change_deposit(world, id, |deposit| {
            deposit.status = status;
            if status == DepositStatus::Done {
                deposit.confirmations = deposit.confirmations.max(DONE_CONFIRMATIONS);
            }
        })
    }

    fn deposit_entry(&self, deposit: &Deposit, kind: Kind, at_ms: i64) -> Entry {
        Entry {
            at_ms,
            provider: PROVIDER,
            kind,
            client_id: self.setup.app_id.clone(),
            trade_id: deposit.id.to_string(),
            transfer_id: deposit.id.to_string(),
            user_id: deposit.uid.to_string(),
            coin_id: deposit.symbol.clone(),
            amount: deposit.amount,
            fee: Decimal::ZERO,
        }
    }

    /// Nobody is told of what lists do not show.
    fn tell_of_deposit(&self, world: &World, deposit: &Deposit) {
        if let Some(url) = self.notice_url.as_ref().filter(|_| deposit.visible) {
            world.outbox.post(notice::of_deposit(&self.setup.app_id, url, deposit));
        }
    }
}
