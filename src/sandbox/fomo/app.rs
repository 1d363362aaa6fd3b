//! What is done from FOMO's own side: its users in the FOMO app, and its operators.

use rust_decimal::Decimal;
use serde_json::Value;

use super::state::{Coin, Fee, TokenLife, USER_WALLET_PWD, User};
use super::wire::{Form, Style};
use super::{Call, Done, Fomo, Operation, Owner, code};
use crate::sandbox::clock::lock;
use crate::sandbox::faults::Answer;
use crate::sandbox::world::fresh_token;

impl Fomo {
    /// Registers a user, or logs one in again; answers a fresh session_key.
    pub(in crate::sandbox) fn create_user(&self, user_id: &str, name: &str, balances: &[(&str, Decimal)]) -> String {
        let mut state = lock(&self.state);
        let user = User { name: name.to_owned(), wallet_pwd: Some(USER_WALLET_PWD.to_owned()) };
        state.users.insert(user_id.to_owned(), user);
        for (coin_id, amount) in balances {
            state.ledger.set(Owner::User(user_id.to_owned()), coin_id, *amount);
        }
        let session_key = fresh_token();
        state.sessions.insert(session_key.clone(), user_id.to_owned());
        session_key
    }

    /// Changes or removes a user's wallet password; `false` for an unknown user.
    pub(in crate::sandbox) fn set_user_wallet_pwd(&self, user_id: &str, wallet_pwd: Option<&str>) -> bool {
        let mut state = lock(&self.state);
        let Some(user) = state.users.get_mut(user_id) else {
            return false;
        };
        user.wallet_pwd = wallet_pwd.map(str::to_owned);
        true
    }

    /// Registers another redirect_uri for a merchant's app; `false` for an unknown app.
    pub(in crate::sandbox) fn set_redirect_uri(&self, client_id: &str, redirect_uri: &str) -> bool {
        let mut state = lock(&self.state);
        let client = state.clients.get_mut(client_id);
        client.map(|client| redirect_uri.clone_into(&mut client.redirect_uri)).is_some()
    }

    /// The user agrees in the FOMO app; answers the code, or the refusal's status.
    pub(in crate::sandbox) fn authorize(&self, session_key: &str, client_id: &str) -> Result<String, i64> {
        let redirect_uri = lock(&self.state).clients.get(client_id).map(|one| one.redirect_uri.clone());
        let form = Form::from_pairs([
            ("response_type", "code"),
            ("client_id", client_id),
            ("redirect_uri", redirect_uri.as_deref().unwrap_or("unknown")),
            ("state", "fomo-app"),
            ("authorized", "yes"),
            ("session_key", session_key),
        ]);
        match self.perform(&Call { operation: Operation::Authorize, form, bearer: None }) {
            Ok(Done::Code(code)) => Ok(code),
            Ok(_) => Err(code::INTERNAL),
            Err(refusal) => Err(refusal.code),
        }
    }

    /// The user confirms with the right password, by the same way as over HTTP. Answers the status; `None` when a
    /// fault swallowed it. Without a transfer_id it is the latest deposit with this trade_id.
    pub(in crate::sandbox) async fn confirm(&self, trade_id: &str, transfer_id: Option<&str>) -> Option<i64> {
        let Some(form) = self.confirmation(trade_id, transfer_id) else {
            return Some(code::NO_SUCH_TRANSFER);
        };
        match self.handle(Call { operation: Operation::ConfirmPay, form, bearer: None }).await {
            Answer::Body(body) => status_of(&body),
            Answer::Truncated(_) | Answer::Garbage | Answer::Empty | Answer::Error500 | Answer::Cut => None,
        }
    }

    /// The form that the FOMO app would send; `None` for an order that FOMO does not know.
    fn confirmation(&self, trade_id: &str, transfer_id: Option<&str>) -> Option<Form> {
        let mut state = lock(&self.state);
        let fits = |id: &str| transfer_id.is_none_or(|only| id == only);
        let mut oldest_first = state.transfers.with_trade_id(trade_id);
        let found = oldest_first.rfind(|one| fits(&one.transfer_id)).cloned();
        drop(oldest_first);
        let found = found?;
        let wallet_pwd = state.users.get(&found.user_id).and_then(|user| user.wallet_pwd.clone());
        let session_key = fresh_token();
        state.sessions.insert(session_key.clone(), found.user_id);
        Some(Form::from_pairs([
            ("trade_id", trade_id),
            ("transfer_id", &found.transfer_id),
            ("wallet_pwd", wallet_pwd.as_deref().unwrap_or("none")),
            ("session_key", &session_key),
        ]))
    }

    pub(in crate::sandbox) fn balance(&self, owner: &Owner, coin_id: &str) -> Decimal {
        lock(&self.state).ledger.balance(owner, coin_id)
    }

    pub(in crate::sandbox) fn set_balance(&self, owner: Owner, coin_id: &str, amount: Decimal) {
        lock(&self.state).ledger.set(owner, coin_id, amount);
    }

    pub(in crate::sandbox) fn set_style(&self, style: Style) {
        lock(&self.state).style = style;
    }

    pub(in crate::sandbox) fn set_token_life(&self, life: TokenLife) {
        lock(&self.state).token_life = life;
    }

    pub(in crate::sandbox) fn set_duplicate_check(&self, on: bool) {
        lock(&self.state).duplicate_check = on;
    }

    pub(in crate::sandbox) fn set_fee(&self, coin_id: &str, fee: Fee) {
        lock(&self.state).fees.insert(coin_id.to_owned(), fee);
    }

    /// Switches a coin on or off; `false` for an unknown one.
    pub(in crate::sandbox) fn set_coin_active(&self, coin_id: &str, active: bool) -> bool {
        let mut state = lock(&self.state);
        let coin: Option<&mut Coin> = state.coins.iter_mut().find(|coin| coin.id == coin_id);
        coin.map(|coin| coin.is_active = active).is_some()
    }
}

fn status_of(body: &Value) -> Option<i64> {
    let status = body.get("status")?;
    status.as_i64().or_else(|| status.as_str()?.parse().ok())
}
