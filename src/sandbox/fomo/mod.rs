//! FOMO, app flow, as its document describes it (fomo-app.txt). A call is read into a `Call`, logged, run under
//! whatever fault waits for it, worked on at the `Desk` under one lock, and rendered by `render`. The pages of the web
//! flow (fomo-web.txt) are in `web`; they work at the same desk.

mod app;
mod check;
mod code;
mod ledger;
mod notice;
mod oauth;
mod pay;
mod query;
mod render;
mod routes;
mod state;
mod transfer;
mod web;
mod wire;

use std::sync::{Arc, Mutex};

use serde_json::Value;

use self::code::Refusal;
use self::routes::Operation;
use self::state::State;
use self::wire::{Done, Form};
use super::books::CallRecord;
use super::clock::lock;
use super::faults::{Answer, Faulty, run};
use super::world::World;

pub(super) use self::ledger::Owner;
pub(super) use self::routes::{knows, routes};
pub use self::state::{ClientSetup, Coin, Fee, TokenLife, USER_WALLET_PWD};
pub(super) use self::web::control_routes;
pub use self::wire::Style;

/// One call as it came in.
struct Call {
    operation: Operation,
    form: Form,
    bearer: Option<String>,
}

/// The simulated provider.
pub(super) struct Fomo {
    state: Mutex<State>,
    world: Arc<World>,
}

/// One call being worked on, with everything that it may look at.
struct Desk<'a> {
    world: &'a World,
    state: &'a mut State,
    form: &'a Form,
    bearer: Option<&'a str>,
    now_ms: i64,
}

impl Fomo {
    pub(super) fn new(world: Arc<World>, clients: Vec<ClientSetup>, coins: Vec<Coin>, duplicate_check: bool) -> Self {
        Self { state: Mutex::new(State::new(clients, coins, duplicate_check)), world }
    }

    /// Executes a call, whole and at once.
    fn perform(&self, call: &Call) -> Result<Done, Refusal> {
        let mut state = lock(&self.state);
        let mut desk = Desk {
            world: &self.world,
            state: &mut state,
            form: &call.form,
            bearer: call.bearer.as_deref(),
            now_ms: self.world.clock.now_ms(),
        };
        match call.operation {
            Operation::Authorize => desk.authorize(),
            Operation::Token => desk.token(),
            Operation::Refresh => desk.refresh(),
            Operation::GetUserInfo => desk.get_user_info(),
            Operation::PrePay => desk.pre_pay(),
            Operation::ConfirmPay => desk.confirm_pay(),
            Operation::PayUser => desk.pay_user(),
            Operation::GetTransferDetail => desk.get_transfer_detail(),
            Operation::GetActiveCoins => Ok(desk.get_active_coins()),
        }
    }

    /// Logs a call and runs it under the fault that waits for it.
    async fn handle(&self, call: Call) -> Answer {
        let (operation, trade_id) = (call.operation.name(), self.trade_id(&call));
        let at_ms = self.world.clock.now_ms();
        let params = call.form.to_map();
        lock(&self.world.books).log(CallRecord { at_ms, operation, trade_id: trade_id.clone(), ids: Vec::new(), params });
        let fault = self.world.faults.take(operation, trade_id.as_slice()).map(|strike| strike.fault);
        let call = Faultable { fomo: self, call, trade_id };
        run(fault, &self.world.gate, &call).await
    }

    /// The order that a call is about: named, or found by the transfer.
    fn trade_id(&self, call: &Call) -> Option<String> {
        let (named, transfer_id) = (call.form.get("trade_id"), call.form.get("transfer_id"));
        if !named.is_empty() {
            return Some(named.to_owned());
        }
        let state = lock(&self.state);
        state.transfers.get(transfer_id).map(|one| one.trade_id.clone())
    }
}

/// A call as the faults see it.
struct Faultable<'a> {
    fomo: &'a Fomo,
    call: Call,
    trade_id: Option<String>,
}

impl Faultable<'_> {
    fn render(&self, outcome: &Result<Done, Refusal>) -> Value {
        let style = lock(&self.fomo.state).style;
        render::render(style, self.call.operation == Operation::PrePay, outcome)
    }
}

impl Faulty for Faultable<'_> {
    fn execute(&self) -> Value {
        self.render(&self.fomo.perform(&self.call))
    }

    fn refuse(&self, code: i64) -> Value {
        self.render(&Err(code.into()))
    }

    async fn callback_first(&self) -> Value {
        let mut answer = self.execute();
        // Only payments are called back, and they name their order.
        let Some(trade_id) = self.trade_id.as_deref() else {
            return answer;
        };
        let delivered = self.fomo.world.outbox.deliver(Some(trade_id)).await;
        if let Some(first) = delivered.first() {
            let style = lock(&self.fomo.state).style;
            render::set_httpcode(style, &mut answer, first.status_code);
        }
        answer
    }
}
