//! What is done from Hicoin's own side: the chain, its back office, and its settings.

use rust_decimal::Decimal;

use super::Hicoin;
use super::account::HicoinBalance;
use super::alter::HicoinAlteration;
use super::deposit::{DepositStatus, HicoinTo};
use super::setup::HicoinCoin;
use super::state::App;
use super::wire::HicoinStyle;
use super::withdrawal::HicoinStage;
use crate::sandbox::clock::lock;
use crate::sandbox::world::World;

/// Why a control verb was not done: it names what is not there, or asks for what cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HicoinError {
    /// No such app, or none at all.
    #[error("no such app")]
    NoSuchApp,
    /// The app has no such user.
    #[error("no such user")]
    NoSuchUser,
    /// The app has no such coin.
    #[error("no such coin")]
    NoSuchCoin,
    /// The app was never given this address.
    #[error("no such address")]
    NoSuchAddress,
    /// The app has no deposit with this id.
    #[error("no such deposit")]
    NoSuchDeposit,
    /// The app has no withdrawal to a chain with this request_id.
    #[error("no such withdrawal")]
    NoSuchWithdrawal,
    /// The amount is not above zero, has more decimals than its coin, or leads to a balance that cannot be kept exactly.
    #[error("not an amount of this coin")]
    NoAmount,
    /// The deposit has this status already, or the withdrawal has ended.
    #[error("settled already")]
    Settled,
}

type Outcome<T> = Result<T, HicoinError>;

/// Every verb is about one app: the first one where none is named.
impl Hicoin {
    fn with_app<T>(&self, app_id: Option<&str>, work: impl FnOnce(&mut App, &World) -> Outcome<T>) -> Outcome<T> {
        let mut state = lock(&self.state);
        let first = state.first.clone();
        let app = state.apps.get_mut(app_id.unwrap_or(&first)).ok_or(HicoinError::NoSuchApp)?;
        work(app, &self.world)
    }

    pub(super) fn deposit(&self, app: Option<&str>, to: &HicoinTo, symbol: &str, amount: Decimal, visible: bool) -> Outcome<u64> {
        self.with_app(app, |app, world| app.deposit(world, to, symbol, amount, visible))
    }

    pub(super) fn show(&self, app: Option<&str>, id: u64) -> Outcome<()> {
        self.with_app(app, |app, world| app.show_deposit(world, id))
    }

    pub(super) fn confirm(&self, app: Option<&str>, id: u64, confirmations: u32) -> Outcome<()> {
        self.with_app(app, |app, world| app.confirm_deposit(world, id, confirmations))
    }

    pub(super) fn finish(&self, app: Option<&str>, id: u64) -> Outcome<()> {
        self.with_app(app, |app, world| app.settle_deposit(world, id, DepositStatus::Done))
    }

    pub(super) fn abnormal(&self, app: Option<&str>, id: u64) -> Outcome<()> {
        self.with_app(app, |app, world| app.settle_deposit(world, id, DepositStatus::Abnormal))
    }

    pub(super) fn skip_deposit_ids(&self, app: Option<&str>, count: u64) -> Outcome<()> {
        self.with_app(app, |app, _| {
            app.deposits.skip(count);
            Ok(())
        })
    }

    pub(super) fn alter(&self, app: Option<&str>, alteration: HicoinAlteration) -> Outcome<()> {
        self.with_app(app, |app, world| app.alter(world, alteration))
    }

    pub(super) fn withdrawal(&self, app: Option<&str>, request_id: &str, stage: HicoinStage, confirmations: Option<u32>) -> Outcome<()> {
        self.with_app(app, |app, world| {
            let at = app.find_withdrawal(request_id)?;
            app.move_withdrawal(world, at, stage, confirmations)
        })
    }

    pub(super) fn balance(&self, app: Option<&str>, uid: u64, symbol: &str) -> Outcome<HicoinBalance> {
        self.with_app(app, |app, _| Ok(app.accounts.balance(uid, symbol)))
    }

    pub(super) fn set_balance(&self, app: Option<&str>, uid: u64, symbol: &str, normal: Decimal) -> Outcome<()> {
        self.with_app(app, |app, _| {
            app.coin(symbol).ok_or(HicoinError::NoSuchCoin)?;
            app.accounts.set(uid, symbol, normal);
            Ok(())
        })
    }

    pub(super) fn freeze(&self, app: Option<&str>, uid: u64, frozen: bool) -> Outcome<()> {
        self.with_app(app, |app, _| {
            app.users.get_mut(&uid).ok_or(HicoinError::NoSuchUser)?.frozen = frozen;
            Ok(())
        })
    }

    /// Replaces a coin of the same symbol, or adds one.
    pub(super) fn set_coin(&self, app: Option<&str>, coin: HicoinCoin) -> Outcome<()> {
        self.with_app(app, |app, _| {
            match app.coins.iter_mut().find(|known| known.symbol == coin.symbol) {
                Some(known) => *known = coin,
                None => app.coins.push(coin),
            }
            Ok(())
        })
    }

    pub(super) fn set_notice_url(&self, app: Option<&str>, url: Option<&str>) -> Outcome<()> {
        self.with_app(app, |app, _| {
            app.notice_url = url.map(str::to_owned);
            Ok(())
        })
    }
}

/// Settings for all apps.
impl Hicoin {
    pub(super) fn set_style(&self, style: HicoinStyle) {
        lock(&self.state).rules.style = style;
    }

    pub(in crate::sandbox) fn set_duplicate_check(&self, on: bool) {
        lock(&self.state).rules.duplicate_check = on;
    }

    pub(super) fn set_auto_advance(&self, on: bool) {
        lock(&self.state).rules.auto_advance = on;
    }

    pub(super) fn set_refuse_ip(&self, on: bool) {
        lock(&self.state).rules.refuse_ip = on;
    }
}
