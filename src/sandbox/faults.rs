//! Faults on request: what can go wrong between the gateway and a provider, asked for by a test and used up as calls
//! arrive. A fault says two things: whether the provider executes the call, and what the caller gets to see of it.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

use super::clock::lock;

/// What goes wrong with one call. In JSON: `"lose_after"`, `{"delay": 500}`, `{"code": 24}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The connection closes without an answer; nothing is executed.
    LoseBefore,
    /// The call is executed; the connection closes without an answer.
    LoseAfter,
    /// Waits this many real milliseconds, then executes and answers, even if the caller has gone away meanwhile.
    Delay(u64),
    /// Nothing is ever executed; the connection is held until `release`, then closed without an answer.
    HangBefore,
    /// The call is executed; its answer is held until `release`.
    HangAfter,
    /// The call is held until `release` and executed **then**, even if the caller gave up long ago.
    HangLate,
    /// HTTP 500; nothing is executed.
    Error500Before,
    /// HTTP 500 although the call is executed.
    Error500After,
    /// HTTP 200 with a body that is not JSON; nothing is executed.
    GarbageBefore,
    /// HTTP 200 with a body that is not JSON although the call is executed.
    GarbageAfter,
    /// The call is executed; half of the answer's body arrives, then the connection closes.
    TruncatedAfter,
    /// The call is executed; HTTP 200 with an empty body.
    EmptyAfter,
    /// The provider answers this status code; nothing is executed.
    Code(i64),
    /// The call is executed, its callback is delivered and answered, and only then the call itself is answered.
    CallbackFirst,
    /// A list leaves out the record that the fault is meant for, or all of them, in an otherwise good answer, as if
    /// the provider had not caught up. Calls that do not list records by id are answered as ever.
    Omit,
    /// The call is executed; where a redirect would say so, HTTP 200 comes with a page. This fault and the next two
    /// leave calls that do not redirect as they are.
    NoRedirect,
    /// The call is executed; the redirect leads to the right place but carries nothing of the outcome.
    BareRedirect,
    /// The call is executed; what the redirect repeats of the request is wrong: a payment's amount, or else the state.
    WrongEcho,
}

/// What goes wrong with one callback. In JSON: `"missing"`, `{"repeat": 3}`, `{"wrong_amount": "9.5"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallbackFault {
    /// It is never sent.
    Missing,
    /// It is sent this many times in all.
    Repeat(u32),
    /// It carries this amount.
    WrongAmount(String),
    /// It names another coin.
    WrongCoin,
    /// It names another user.
    WrongUser,
    /// It names another transfer.
    WrongTransferId,
    /// It claims the opposite direction.
    WrongDirection,
    /// The true callback is followed by one with the opposite status.
    Contradict,
    /// The payment itself fails at the provider: no money moves, and the callback, where there is one, says so.
    Failed,
}

/// How often a fault strikes. In JSON: `{"count": 2}` or `"forever"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Times {
    /// This many calls.
    Count(u32),
    /// Every call until the faults are cleared.
    Forever,
}

impl Default for Times {
    fn default() -> Self {
        Self::Count(1)
    }
}

/// One queue entry: a fault, how often, and for which order.
struct Rule<F> {
    fault: F,
    times: Times,
    /// `None`: whatever order comes.
    trade_id: Option<String>,
    /// `None` for callbacks, which have one queue.
    operation: Option<String>,
}

struct Queue<F>(Mutex<VecDeque<Rule<F>>>);

impl<F: Clone> Queue<F> {
    fn new() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }

    /// Uses up the first rule that fits; answers its fault, and the order that it is meant for.
    fn take(&self, fits: impl Fn(&Rule<F>) -> bool) -> Option<(F, Option<String>)> {
        let mut rules = lock(&self.0);
        let index = rules.iter().position(fits)?;
        let rule = rules.get_mut(index)?;
        let taken = (rule.fault.clone(), rule.trade_id.clone());
        match &mut rule.times {
            Times::Forever => {}
            Times::Count(left) if *left > 1 => *left -= 1,
            Times::Count(_) => drop(rules.remove(index)),
        }
        Some(taken)
    }
}

impl<F> Rule<F> {
    fn is_about(&self, id: &str) -> bool {
        self.trade_id.as_deref().is_none_or(|only| only == id)
    }
}

/// A fault that strikes a call.
pub(super) struct Strike {
    pub(super) fault: Fault,
    /// The records that the answer leaves out; empty but for [`Fault::Omit`].
    pub(super) omitted: Vec<String>,
}

/// All faults that wait for a call or a callback.
pub(super) struct Faults {
    calls: Queue<Fault>,
    callbacks: Queue<CallbackFault>,
}

impl Faults {
    pub(super) fn none() -> Self {
        Self { calls: Queue::new(), callbacks: Queue::new() }
    }

    pub(super) fn add(&self, operation: &str, trade_id: Option<&str>, fault: Fault, times: Times) {
        lock(&self.calls.0).push_back(Rule { fault, times, trade_id: trade_id.map(str::to_owned), operation: Some(operation.to_owned()) });
    }

    pub(super) fn add_callback(&self, trade_id: Option<&str>, fault: CallbackFault, times: Times) {
        lock(&self.callbacks.0).push_back(Rule { fault, times, trade_id: trade_id.map(str::to_owned), operation: None });
    }

    pub(super) fn clear(&self) {
        lock(&self.calls.0).clear();
        lock(&self.callbacks.0).clear();
    }

    /// What is to go wrong with a call that is about these orders: none, one, or all that a list names.
    pub(super) fn take(&self, operation: &str, ids: &[String]) -> Option<Strike> {
        let of_operation = |rule: &Rule<Fault>| rule.operation.as_deref() == Some(operation);
        let fits = |rule: &Rule<Fault>| of_operation(rule) && (rule.trade_id.is_none() || ids.iter().any(|id| rule.is_about(id)));
        let (fault, meant_for) = self.calls.take(fits)?;
        let omitted = match (&fault, meant_for) {
            (Fault::Omit, None) => ids.to_vec(),
            // One call may have to forget several records, each by a rule of its own.
            (Fault::Omit, Some(first)) => {
                let named = |rule: &Rule<Fault>, id: &str| rule.trade_id.as_deref() == Some(id) && rule.fault == Fault::Omit;
                let others = ids.iter().filter(|id| **id != first);
                let also: Vec<_> =
                    others.filter(|id| self.calls.take(|rule| of_operation(rule) && named(rule, id)).is_some()).cloned().collect();
                [vec![first], also].concat()
            }
            _ => Vec::new(),
        };
        Some(Strike { fault, omitted })
    }

    /// Whether this payment is to fail at the provider.
    pub(super) fn take_failure(&self, trade_id: &str) -> bool {
        self.callbacks.take(|rule| rule.is_about(trade_id) && rule.fault == CallbackFault::Failed).is_some()
    }

    /// What is to go wrong with the delivery of this order's callback.
    pub(super) fn take_callback(&self, trade_id: &str) -> Option<CallbackFault> {
        self.callbacks.take(|rule| rule.is_about(trade_id) && rule.fault != CallbackFault::Failed).map(|(fault, _)| fault)
    }
}

/// Where hanging calls wait. Counting them lets a test know that a call has arrived without sleeping.
pub(super) struct Gate {
    held: watch::Sender<usize>,
    released: watch::Sender<u64>,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self { held: watch::Sender::new(0), released: watch::Sender::new(0) }
    }

    /// Holds the caller until the next `release`. It counts as held until it drops what this gives.
    async fn hold(&self) -> Held<'_> {
        let mut released = self.released.subscribe();
        self.held.send_modify(|held| *held += 1);
        let held = Held(self);
        // The sender lives in `self`, so the channel cannot close while we wait.
        let _ = released.changed().await;
        held
    }

    /// Lets everything go that is held now.
    pub(super) fn release(&self) {
        self.released.send_modify(|generation| *generation += 1);
    }

    /// Returns when at least `count` calls are held.
    pub(super) async fn wait_for(&self, count: usize) {
        let _ = self.held.subscribe().wait_for(|held| *held >= count).await;
    }

    /// Returns when nothing is held any more, and what was held has done its work.
    pub(super) async fn wait_for_none(&self) {
        let _ = self.held.subscribe().wait_for(|held| *held == 0).await;
    }
}

/// A call that is held, or was and is at work.
struct Held<'a>(&'a Gate);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.held.send_modify(|held| *held -= 1);
    }
}

/// What the caller gets to see on the wire of a reply, which is JSON unless a provider has pages.
pub(super) enum Answer<R = Value> {
    Body(R),
    Truncated(R),
    Garbage,
    Empty,
    Error500,
    /// The connection closes without a byte.
    Cut,
}

/// A call as the faults see it: something that can be executed, refused, or outrun by its callback.
pub(super) trait Faulty<R = Value>: Sync {
    /// Executes the call and renders its answer.
    fn execute(&self) -> R;
    /// Renders a refusal with this code.
    fn refuse(&self, code: i64) -> R;
    /// Executes the call, delivers its callback, and renders the answer.
    fn callback_first(&self) -> impl Future<Output = R> + Send;
}

/// Runs a call under a fault.
pub(super) async fn run<R: Send>(fault: Option<Fault>, gate: &Gate, call: &impl Faulty<R>) -> Answer<R> {
    let after = |answer: Answer<R>| {
        call.execute();
        answer
    };
    match fault {
        // What is left out of a list, or wrong with a redirect, is known to the call itself.
        None | Some(Fault::Omit | Fault::NoRedirect | Fault::BareRedirect | Fault::WrongEcho) => Answer::Body(call.execute()),
        Some(Fault::LoseBefore) => Answer::Cut,
        Some(Fault::LoseAfter) => after(Answer::Cut),
        Some(Fault::Delay(millis)) => {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            Answer::Body(call.execute())
        }
        Some(Fault::HangBefore) => {
            let _held = gate.hold().await;
            Answer::Cut
        }
        Some(Fault::HangAfter) => {
            let body = call.execute();
            let _held = gate.hold().await;
            Answer::Body(body)
        }
        Some(Fault::HangLate) => {
            let _held = gate.hold().await;
            Answer::Body(call.execute())
        }
        Some(Fault::Error500Before) => Answer::Error500,
        Some(Fault::Error500After) => after(Answer::Error500),
        Some(Fault::GarbageBefore) => Answer::Garbage,
        Some(Fault::GarbageAfter) => after(Answer::Garbage),
        Some(Fault::TruncatedAfter) => Answer::Truncated(call.execute()),
        Some(Fault::EmptyAfter) => after(Answer::Empty),
        Some(Fault::Code(code)) => Answer::Body(call.refuse(code)),
        Some(Fault::CallbackFirst) => Answer::Body(call.callback_first().await),
    }
}
