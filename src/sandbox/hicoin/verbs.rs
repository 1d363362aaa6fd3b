//! Hicoin's control verbs as methods. Each is about one app: the first of the options where `None` is given.

use rust_decimal::Decimal;

use super::account::HicoinBalance;
use super::alter::HicoinAlteration;
use super::deposit::HicoinTo;
use super::operator::HicoinError;
use super::setup::HicoinCoin;
use super::wire::HicoinStyle;
use super::withdrawal::HicoinStage;
use crate::sandbox::Sandbox;

/// Hicoin's own books.
impl Sandbox {
    /// Alters what Hicoin's lists say, as a mistake or a thief would.
    ///
    /// # Errors
    /// No such app, order or deposit, or not an amount of the coin.
    pub fn alter_hicoin(&self, app: Option<&str>, alteration: HicoinAlteration) -> Result<(), HicoinError> {
        self.core.hicoin.alter(app, alteration)
    }
}

/// Deposits at Hicoin (hicoin-openapi.rst, sections 4.12 and 4.13).
impl Sandbox {
    /// Somebody pays to one of the app's addresses: a deposit is pending, without confirmations. Answers its id.
    ///
    /// # Errors
    /// No such app, coin or address, or not an amount of the coin.
    pub fn hicoin_deposit(&self, app: Option<&str>, to: &HicoinTo, symbol: &str, amount: Decimal) -> Result<u64, HicoinError> {
        self.core.hicoin.deposit(app, to, symbol, amount, true)
    }

    /// As [`Sandbox::hicoin_deposit`], but no list shows it before [`Sandbox::hicoin_show`]: a later deposit with a
    /// higher id can become visible first.
    ///
    /// # Errors
    /// As there.
    pub fn hicoin_hidden_deposit(&self, app: Option<&str>, to: &HicoinTo, symbol: &str, amount: Decimal) -> Result<u64, HicoinError> {
        self.core.hicoin.deposit(app, to, symbol, amount, false)
    }

    /// Lists show a hidden deposit from now on.
    ///
    /// # Errors
    /// No such app or deposit.
    pub fn hicoin_show(&self, app: Option<&str>, id: u64) -> Result<(), HicoinError> {
        self.core.hicoin.show(app, id)
    }

    /// The chain has confirmed a deposit so often; its status stays.
    ///
    /// # Errors
    /// No such app or deposit.
    pub fn hicoin_confirm(&self, app: Option<&str>, id: u64, confirmations: u32) -> Result<(), HicoinError> {
        self.core.hicoin.confirm(app, id, confirmations)
    }

    /// A deposit is done (status 1): the user has the money, and the books an entry.
    ///
    /// # Errors
    /// No such app or deposit, or it is done already.
    pub fn hicoin_finish(&self, app: Option<&str>, id: u64) -> Result<(), HicoinError> {
        self.core.hicoin.finish(app, id)
    }

    /// A deposit is abnormal (status 2). One that was done is undone, as after a reorganisation of the chain: the
    /// money is taken back, and the books say [`Returned`](crate::sandbox::Kind::Returned).
    ///
    /// # Errors
    /// No such app or deposit, or it is abnormal already.
    pub fn hicoin_abnormal(&self, app: Option<&str>, id: u64) -> Result<(), HicoinError> {
        self.core.hicoin.abnormal(app, id)
    }

    /// Leaves a gap of so many ids before the next deposit.
    ///
    /// # Errors
    /// No such app.
    pub fn hicoin_skip_deposit_ids(&self, app: Option<&str>, count: u64) -> Result<(), HicoinError> {
        self.core.hicoin.skip_deposit_ids(app, count)
    }
}

/// Withdrawals and balances at Hicoin (sections 4.4 and 4.9).
impl Sandbox {
    /// Moves the latest withdrawal to a chain with this request_id to a stage, with so many confirmations where they
    /// are given. The money follows: paid away at [`HicoinStage::Done`], back in the balance where it is refused,
    /// failed or revoked.
    ///
    /// # Errors
    /// No such app or withdrawal, or it ended in another stage.
    pub fn hicoin_withdrawal(
        &self,
        app: Option<&str>,
        request_id: &str,
        stage: HicoinStage,
        confirmations: Option<u32>,
    ) -> Result<(), HicoinError> {
        self.core.hicoin.withdrawal(app, request_id, stage, confirmations)
    }

    /// What a user has of a coin; the merchant's own account is a user, too.
    ///
    /// # Errors
    /// No such app.
    pub fn hicoin_balance(&self, app: Option<&str>, uid: u64, symbol: &str) -> Result<HicoinBalance, HicoinError> {
        self.core.hicoin.balance(app, uid, symbol)
    }

    /// Sets what a user can spend of a coin; what waits in withdrawals stays.
    ///
    /// # Errors
    /// No such app or coin.
    pub fn set_hicoin_balance(&self, app: Option<&str>, uid: u64, symbol: &str, amount: Decimal) -> Result<(), HicoinError> {
        self.core.hicoin.set_balance(app, uid, symbol, amount)
    }
}

/// Hicoin's settings.
impl Sandbox {
    /// How answers look from now on.
    pub fn set_hicoin_style(&self, style: HicoinStyle) {
        self.core.hicoin.set_style(style);
    }

    /// Whether each list call about a withdrawal moves it on by one stage before it shows it.
    pub fn set_hicoin_auto_advance(&self, on: bool) {
        self.core.hicoin.set_auto_advance(on);
    }

    /// Whether all calls are refused because of where they come from (code 100007).
    pub fn set_hicoin_refuse_ip(&self, on: bool) {
        self.core.hicoin.set_refuse_ip(on);
    }

    /// Freezes a user, who may not withdraw (code 110004), or thaws him.
    ///
    /// # Errors
    /// No such app or user.
    pub fn set_hicoin_frozen(&self, app: Option<&str>, uid: u64, frozen: bool) -> Result<(), HicoinError> {
        self.core.hicoin.freeze(app, uid, frozen)
    }

    /// Replaces the app's coin of this symbol, with its fee and minimum, or adds it.
    ///
    /// # Errors
    /// No such app.
    pub fn set_hicoin_coin(&self, app: Option<&str>, coin: HicoinCoin) -> Result<(), HicoinError> {
        self.core.hicoin.set_coin(app, coin)
    }

    /// Where notices of the app's deposits and withdrawals go from now on; `None`: nowhere. They carry no signature
    /// and are repeated until they are answered `SUCCESS`.
    ///
    /// # Errors
    /// No such app.
    pub fn set_hicoin_notice_url(&self, app: Option<&str>, url: Option<&str>) -> Result<(), HicoinError> {
        self.core.hicoin.set_notice_url(app, url)
    }
}
