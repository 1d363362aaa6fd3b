//! Hicoin's open API, as its document describes it (hicoin-openapi.rst). A call is read into a `Call`, logged, run
//! under whatever fault waits for it, worked on at the `Desk` of its app under one lock, and rendered by `render`.
//! What happens without a call, on the chain or in Hicoin's back office, is done by `operator`. Its OAuth
//! (hicoin-oauth.rst), which knows the same users, is in `oauth`.

mod account;
mod alter;
mod check;
mod code;
mod control;
mod deposit;
mod notice;
mod oauth;
mod operator;
mod render;
mod routes;
mod setup;
mod state;
mod transfer;
mod user;
mod verbs;
mod wire;
mod withdrawal;

use std::sync::{Arc, Mutex};

use serde_json::Value;

use self::code::Refusal;
use self::routes::Operation;
use self::state::{App, State};
use self::wire::{Done, Form};
use super::books::CallRecord;
use super::clock::lock;
use super::faults::{Answer, Faulty, run};
use super::world::World;

pub use self::account::HicoinBalance;
pub use self::alter::HicoinAlteration;
pub(super) use self::control::routes as control_routes;
pub use self::deposit::HicoinTo;
pub(super) use self::oauth::BASE as OAUTH_BASE;
pub use self::oauth::{HicoinOauthApp, HicoinOauthStyle, HicoinTokenLife};
pub use self::operator::HicoinError;
pub(super) use self::routes::{knows, routes};
pub use self::setup::{HicoinApp, HicoinCoin, HicoinFee};
pub(super) use self::state::Rules;
pub use self::wire::{HicoinStatuses, HicoinStyle};
pub use self::withdrawal::HicoinStage;

/// The name by which the books know this provider.
const PROVIDER: &str = "hicoin";

/// One call as it came in.
struct Call {
    operation: Operation,
    form: Form,
}

/// The simulated provider.
pub(super) struct Hicoin {
    state: Mutex<State>,
    oauth: Mutex<oauth::State>,
    world: Arc<World>,
}

/// One call being worked on, with everything that it may look at: nothing of another app.
struct Desk<'a> {
    world: &'a World,
    rules: &'a Rules,
    app: &'a mut App,
    form: &'a Form,
}

impl Hicoin {
    pub(super) fn new(
        world: Arc<World>,
        apps: Vec<HicoinApp>,
        oauth_apps: Vec<HicoinOauthApp>,
        coins: &[HicoinCoin],
        rules: Rules,
    ) -> Self {
        let oauth = Mutex::new(oauth::State::new(oauth_apps, &apps));
        Self { state: Mutex::new(State::new(apps, coins, rules)), oauth, world }
    }

    /// Executes a call, whole and at once.
    fn perform(&self, call: &Call) -> Result<Done, Refusal> {
        let mut state = lock(&self.state);
        let (form, now_ms) = (&call.form, self.world.clock.now_ms());
        let State { apps, rules, .. } = &mut *state;
        let app = check::authenticate(apps, rules, form, now_ms)?;
        let mut desk = Desk { world: &self.world, rules, app, form };
        match call.operation {
            Operation::CreateUser => desk.create_user(),
            Operation::RegisterEmail => desk.register_email(),
            Operation::UserInfo => desk.user_info(),
            Operation::GetByUidAndSymbol => desk.get_by_uid_and_symbol(),
            Operation::GetAllAccount => desk.get_all_account(),
            Operation::GetDepositAddress => desk.get_deposit_address(),
            Operation::UserTransfer => desk.user_transfer(),
            Operation::SystemTransfer => desk.system_transfer(),
            Operation::Withdraw => desk.withdraw(),
            Operation::GetCoinList => Ok(desk.get_coin_list()),
            Operation::WithdrawList => desk.withdraw_list(),
            Operation::SyncDepositList => desk.sync_deposit_list(),
            Operation::DepositList => desk.deposit_list(),
            Operation::TransferList => desk.transfer_list(),
            Operation::SystemTransferList => desk.system_transfer_list(),
        }
    }

    /// Logs a call and runs it under the fault that waits for it.
    async fn handle(&self, call: Call) -> Answer {
        let (operation, at_ms) = (call.operation.name(), self.world.clock.now_ms());
        let named = Some(call.form.get("request_id")).filter(|id| !id.is_empty());
        let (trade_id, ids) = (named.map(str::to_owned), self.listed(&call));
        let about = [trade_id.as_slice(), ids.as_slice()].concat();
        let params = call.form.to_map();
        lock(&self.world.books).log(CallRecord { at_ms, operation, trade_id: trade_id.clone(), ids, params });
        let (fault, omitted) = match self.world.faults.take(operation, &about) {
            Some(strike) => (Some(strike.fault), strike.omitted),
            None => (None, Vec::new()),
        };
        let call = Faultable { hicoin: self, call, trade_id, omitted };
        run(fault, &self.world.gate, &call).await
    }

    /// The records that a list call is about. `syncDepositList` names none; it is about those that it would show now.
    fn listed(&self, call: &Call) -> Vec<String> {
        if call.operation != Operation::SyncDepositList {
            return check::split_ids(&call.form);
        }
        let max_id = check::number(&call.form, "max_id");
        let state = lock(&self.state);
        match (state.apps.get(call.form.get("app_id")), max_id) {
            (Some(app), Ok(max_id)) => app.deposits.after(max_id).map(|one| one.id.to_string()).collect(),
            _ => Vec::new(),
        }
    }
}

/// A call as the faults see it.
struct Faultable<'a> {
    hicoin: &'a Hicoin,
    call: Call,
    trade_id: Option<String>,
    /// The records that the answer leaves out.
    omitted: Vec<String>,
}

impl Faultable<'_> {
    fn render(&self, outcome: &Result<Done, Refusal>) -> Value {
        let style = lock(&self.hicoin.state).rules.style;
        render::render(style, outcome)
    }
}

impl Faulty for Faultable<'_> {
    fn execute(&self) -> Value {
        let outcome = self.hicoin.perform(&self.call);
        self.render(&outcome.map(|done| done.without(&self.omitted)))
    }

    fn refuse(&self, code: i64) -> Value {
        self.render(&Err(code.into()))
    }

    /// Only orders to pay have something to tell, and only where notices are set up.
    async fn callback_first(&self) -> Value {
        let answer = self.execute();
        if let Some(trade_id) = self.trade_id.as_deref() {
            self.hicoin.world.outbox.deliver(Some(trade_id)).await;
        }
        answer
    }
}
