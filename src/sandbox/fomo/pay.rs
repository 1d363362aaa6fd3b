//! Payments (fomo-app.txt, section 三, 2 to 4). Money moves in one place, `execute`, and every movement enters the
//! books under the same lock.

use rust_decimal::Decimal;

use super::Desk;
use super::code::{self, Refusal};
use super::ledger::{Movement, Owner, Unmoved};
use super::notice::notice;
use super::state::{Coin, Fee};
use super::transfer::{Direction, Stage, Transfer};
use super::wire::Done;
use crate::sandbox::books::{Entry, Kind};
use crate::sandbox::clock::lock;
use crate::sandbox::world::fresh_token;

const PRE_PAY: [&str; 12] = [
    "direction",
    "timestamp",
    "sign",
    "trade_id",
    "amount",
    "coin_id",
    "client_id",
    "server_uri",
    "redirect_uri",
    "state",
    "scope",
    "response_type",
];
const PAY_USER: [&str; 13] = [
    "direction",
    "timestamp",
    "sign",
    "trade_id",
    "amount",
    "coin_id",
    "user_id",
    "client_id",
    "server_uri",
    "state",
    "scope",
    "response_type",
    "wallet_pwd",
];

impl Desk<'_> {
    /// Section 三, 2: announces a deposit, which the user has three minutes to confirm.
    pub(super) fn pre_pay(&mut self) -> Result<Done, Refusal> {
        self.form.require(&PRE_PAY)?;
        let grant = self.bearer()?;
        let client = self.client()?;
        self.check_sign(&client)?;
        self.check_fixed("1")?;
        grant.permits("paytoken")?;
        if grant.client_id != client.client_id {
            return Err(code::NOT_PERMITTED.into());
        }
        self.check_redirect(&client)?;
        self.check_server_uri()?;
        let (coin, amount) = self.coin_and_amount()?;
        self.check_unused(&client)?;
        let transfer = self.open(Direction::Deposit, client.client_id, grant.user_id, coin, amount);
        let done = Done::Prepaid { transfer_id: transfer.transfer_id.clone(), trade_id: transfer.trade_id.clone() };
        self.state.transfers.add(transfer);
        Ok(done)
    }

    /// Section 三, 3: the user confirms in the FOMO app, and the money moves.
    pub(super) fn confirm_pay(&mut self) -> Result<Done, Refusal> {
        self.form.require(&["trade_id", "transfer_id", "wallet_pwd", "session_key"])?;
        let user_id = self.session_user()?;
        let user = self.state.users.get(&user_id).ok_or(code::SESSION)?;
        self.check_wallet_pwd(user.wallet_pwd.as_deref())?;
        let (transfer_id, trade_id) = (self.form.get("transfer_id"), self.form.get("trade_id"));
        let known = self
            .state
            .transfers
            .get(transfer_id)
            .filter(|one| one.direction == Direction::Deposit && one.trade_id == trade_id && one.user_id == user_id);
        let mut transfer = known.cloned().ok_or(code::NO_SUCH_TRANSFER)?;
        if transfer.stage == Stage::Paid {
            return Err(code::DUPLICATE.into());
        }
        if transfer.stage == Stage::Failed || transfer.has_lapsed(self.now_ms) {
            return Err(code::EXPIRED.into());
        }
        let executed = self.execute(&mut transfer);
        let done = Done::Confirmed { transfer_id: transfer.transfer_id.clone(), trade_id: transfer.trade_id.clone() };
        if let Some(slot) = self.state.transfers.get_mut(transfer_id) {
            *slot = transfer;
        }
        executed.map(|()| done)
    }

    /// Section 三, 4: the merchant pays a user at once.
    pub(super) fn pay_user(&mut self) -> Result<Done, Refusal> {
        self.form.require(&PAY_USER)?;
        let client = self.client()?;
        self.check_sign(&client)?;
        self.check_fixed("2")?;
        self.check_server_uri()?;
        let (coin, amount) = self.coin_and_amount()?;
        let user_id = self.form.get("user_id").to_owned();
        if !self.state.users.contains_key(&user_id) {
            return Err(code::NO_SUCH_USER.into());
        }
        self.check_wallet_pwd(Some(&client.wallet_pwd))?;
        self.check_unused(&client)?;
        let mut transfer = self.open(Direction::Payout, client.client_id, user_id, coin, amount);
        let executed = self.execute(&mut transfer);
        let done = Done::PaidOut { transfer_id: transfer.transfer_id.clone(), trade_id: transfer.trade_id.clone() };
        // A payout that was refused for lack of money leaves nothing behind, so its trade_id may be used again.
        if transfer.stage != Stage::Waiting {
            self.state.transfers.add(transfer);
        }
        executed.map(|()| done)
    }

    pub(super) fn open(&self, direction: Direction, client_id: String, user_id: String, coin: Coin, amount: Decimal) -> Transfer {
        Transfer {
            transfer_id: fresh_token(),
            trade_id: self.form.get("trade_id").to_owned(),
            client_id,
            user_id,
            coin_id: coin.id,
            amount,
            cut: Decimal::ZERO,
            direction,
            stage: Stage::Waiting,
            created_at_ms: self.now_ms,
            server_uri: self.form.get("server_uri").to_owned(),
        }
    }

    /// Moves the money, enters it in the books and posts the callback; or fails, as asked for, and posts that. Web
    /// payments need not say where to call back; then nobody is called.
    pub(super) fn execute(&mut self, transfer: &mut Transfer) -> Result<(), Refusal> {
        let fee = self.state.fees.get(&transfer.coin_id).copied().unwrap_or(Fee::None);
        let decimals = self.state.coin(&transfer.coin_id).map_or(0, |coin| coin.decimals);
        let cut = fee.of(transfer.amount, decimals);
        let failed = self.world.faults.take_failure(&transfer.trade_id);
        if !failed {
            self.state.ledger.apply(movement(transfer, cut)).map_err(|unmoved| match unmoved {
                Unmoved::TooLittle => code::BALANCE,
                Unmoved::Inexact => code::INTERNAL,
            })?;
            transfer.cut = cut;
            lock(&self.world.books).record(entry(transfer, self.now_ms));
        }
        transfer.stage = if failed { Stage::Failed } else { Stage::Paid };
        if !transfer.server_uri.is_empty() {
            self.world.outbox.post(notice(self.state.style, transfer));
        }
        if failed { Err(code::INTERNAL.into()) } else { Ok(()) }
    }
}

fn movement(transfer: &Transfer, cut: Decimal) -> Movement<'_> {
    let user = Owner::User(transfer.user_id.clone());
    let client = Owner::Client(transfer.client_id.clone());
    let (payer, payee) = match transfer.direction {
        Direction::Deposit => (user, client),
        Direction::Payout => (client, user),
    };
    Movement { payer, payee, coin_id: &transfer.coin_id, amount: transfer.amount, cut }
}

fn entry(transfer: &Transfer, at_ms: i64) -> Entry {
    let kind = match transfer.direction {
        Direction::Deposit => Kind::Deposit,
        Direction::Payout => Kind::Payout,
    };
    Entry {
        at_ms,
        provider: "fomo",
        kind,
        client_id: transfer.client_id.clone(),
        trade_id: transfer.trade_id.clone(),
        transfer_id: transfer.transfer_id.clone(),
        user_id: transfer.user_id.clone(),
        coin_id: transfer.coin_id.clone(),
        amount: transfer.amount,
        fee: transfer.cut,
    }
}
