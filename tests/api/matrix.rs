//! The fault matrix: {answer, callback} × {ok, lost, late, repeated, reordered, contradictory} ×
//! {deposit, payout}. Each cell tells one or more stories; whatever happens in one, its order ends
//! where it must, the provider's books show one movement at most, and everything can be read up.

mod answers;
mod callbacks;

use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::json;
use tillgate::sandbox::{CallbackFault, Fault, Times};

use crate::evidence::Fields;
use crate::harness::TestApp;

/// The cells: a test for each.
macro_rules! cells {
    ($($name:ident: $kind:ident, $stories:path;)*) => {
        const CELLS: &[&str] = &[$(stringify!($name)),*];
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                for story in $stories() {
                    play(stringify!($name), Kind::$kind, story).await;
                }
            }
        )*
    };
}

cells! {
    answer_ok_deposit: Deposit, answers::ok_deposit;
    answer_ok_payout: Payout, answers::ok_payout;
    answer_lost_deposit: Deposit, answers::lost_deposit;
    answer_lost_payout: Payout, answers::lost_payout;
    answer_late_deposit: Deposit, answers::late_deposit;
    answer_late_payout: Payout, answers::late_payout;
    answer_repeated_deposit: Deposit, answers::repeated_deposit;
    answer_repeated_payout: Payout, answers::repeated_payout;
    answer_reordered_deposit: Deposit, answers::reordered_deposit;
    answer_reordered_payout: Payout, answers::reordered_payout;
    answer_contradictory_deposit: Deposit, answers::contradictory_deposit;
    answer_contradictory_payout: Payout, answers::contradictory_payout;
    callback_ok_deposit: Deposit, callbacks::ok_deposit;
    callback_ok_payout: Payout, callbacks::ok_payout;
    callback_lost_deposit: Deposit, callbacks::lost_deposit;
    callback_lost_payout: Payout, callbacks::lost_payout;
    callback_late_deposit: Deposit, callbacks::late_deposit;
    callback_late_payout: Payout, callbacks::late_payout;
    callback_repeated_deposit: Deposit, callbacks::repeated_deposit;
    callback_repeated_payout: Payout, callbacks::repeated_payout;
    callback_reordered_deposit: Deposit, callbacks::reordered_deposit;
    callback_reordered_payout: Payout, callbacks::reordered_payout;
    callback_contradictory_deposit: Deposit, callbacks::contradictory_deposit;
    callback_contradictory_payout: Payout, callbacks::contradictory_payout;
}

#[test]
fn the_matrix_has_24_cells() {
    let mut all = Vec::new();
    for side in ["answer", "callback"] {
        for fault in ["ok", "lost", "late", "repeated", "reordered", "contradictory"] {
            all.extend(["deposit", "payout"].map(|kind| format!("{side}_{fault}_{kind}")));
        }
    }
    println!("the matrix has {} cells", CELLS.len());
    assert_eq!(CELLS, all);
    assert_eq!(CELLS.len(), 24);
}

/// The order of every story.
const ORDER: &str = "order-1";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Deposit,
    Payout,
}

/// What happens in one world, and how it must end.
struct Story {
    name: &'static str,
    acts: Vec<Act>,
    end: End,
}

fn story<const N: usize>(name: &'static str, acts: [Act; N], end: End) -> Story {
    Story { name, acts: acts.into(), end }
}

/// One thing that happens.
enum Act {
    /// The next call of this operation goes wrong.
    Fault(&'static str, Fault),
    /// So does every one until the end.
    Always(&'static str, Fault),
    /// FOMO's next callback goes wrong.
    CallbackFault(CallbackFault),
    /// The merchant asks for the order; a deposit is offered to FOMO at once.
    Create,
    /// Workers send what waits.
    Submit,
    /// Workers step until nothing is due now.
    Settle,
    /// So many seconds pass while workers work.
    Pass(u64),
    /// A day and more passes while workers work.
    PassADay,
    /// The user pays in FOMO's app.
    Confirm,
    /// FOMO calls back what it has to say.
    Callbacks,
    /// Somebody who knows the address calls back what agrees with the order in everything, with this status.
    Claim(&'static str),
    /// The last callback comes so many times more; nothing may be written for it.
    Again(usize),
    /// The merchant calls the order off.
    Cancel,
    /// The customer unlinks the wallet.
    Unlink,
    /// FOMO lets go what it holds.
    Release,
    /// Nothing goes wrong any more.
    Mend,
    /// The order is there now.
    Is(&'static str),
    /// While FOMO holds the first one's call, the others happen.
    While(Box<Act>, Vec<Act>),
}

/// How a story must end.
struct End {
    place: &'static str,
    is_final: bool,
    late: bool,
    attempts: usize,
    executions: usize,
    /// Callbacks with different content: the timeline shows each.
    callbacks: usize,
    discrepancies: Vec<&'static str>,
    unmatched: i64,
}

/// At this place after one attempt; final where the place is.
fn at(place: &'static str) -> End {
    let is_final = matches!(place, "succeeded" | "failed");
    End { place, is_final, late: false, attempts: 1, executions: 0, callbacks: 0, discrepancies: Vec::new(), unmatched: 0 }
}

impl End {
    /// FOMO moved the money, once.
    fn executed(self) -> Self {
        Self { executions: 1, ..self }
    }

    fn attempts(self, attempts: usize) -> Self {
        Self { attempts, ..self }
    }

    fn callbacks(self, callbacks: usize) -> Self {
        Self { callbacks, ..self }
    }

    fn late(self) -> Self {
        Self { late: true, ..self }
    }

    /// The time for late money is over.
    fn closed(self) -> Self {
        Self { is_final: true, ..self }
    }

    fn disagrees(self, kinds: &[&'static str]) -> Self {
        Self { discrepancies: kinds.into(), ..self }
    }

    fn unmatched(self, unmatched: i64) -> Self {
        Self { unmatched, ..self }
    }
}

/// A world in which a story is told.
struct World {
    app: TestApp,
    kind: Kind,
    /// The callback that came last.
    said: Mutex<Option<Fields>>,
}

async fn play(cell: &str, kind: Kind, story: Story) {
    println!("{cell}: {}", story.name);
    // Only where a story acts while a call hangs does the gateway wait long for the answer.
    let patient = story.acts.iter().any(|act| matches!(act, Act::While(..)));
    let timeout = if patient { "20s" } else { "500ms" };
    let app = TestApp::start_with(&[("TILLGATE__TIMING__PROVIDER_TIMEOUT", timeout)], &json!({})).await;
    app.link_ada().await;
    let world = World { app, kind, said: Mutex::new(None) };
    for act in &story.acts {
        world.act(act).await;
    }
    world.check(&story.end, &format!("{cell}: {}", story.name)).await;
    world.app.finish().await;
}

impl World {
    fn collection(&self) -> &'static str {
        if self.kind == Kind::Deposit { "deposits" } else { "payouts" }
    }

    fn act<'a>(&'a self, act: &'a Act) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
        Box::pin(async move {
            let app = &self.app;
            match act {
                Act::Fault(operation, fault) => app.sandbox.inject(operation, None, fault.clone(), Times::Count(1)),
                Act::Always(operation, fault) => app.sandbox.inject(operation, None, fault.clone(), Times::Forever),
                Act::CallbackFault(fault) => app.sandbox.callback_fault(ORDER, fault.clone()),
                Act::Create => self.create().await,
                Act::Submit => drop(app.submit().await),
                Act::Settle => app.settle_down().await,
                Act::Pass(seconds) => {
                    app.live(Duration::from_secs(seconds / 5 * 5), Duration::from_secs(5), false).await;
                    app.live(Duration::from_secs(seconds % 5), Duration::from_secs(1), false).await;
                }
                Act::PassADay => app.live(Duration::from_hours(26), Duration::from_mins(20), false).await,
                Act::Confirm => assert_eq!(app.confirm(ORDER).await, Some(1)),
                Act::Callbacks => self.callbacks().await,
                Act::Claim(status) => self.claim(status).await,
                Act::Again(times) => self.again(*times).await,
                Act::Cancel => assert_eq!(app.post(&format!("/v1/{}/{ORDER}/cancel", self.collection()), &json!({})).await.status, 200),
                Act::Unlink => assert_eq!(app.call("DELETE", "/v1/customers/ada/links/fomo", None).await.status, 204),
                Act::Release => app.release().await,
                Act::Mend => app.sandbox.clear_faults(),
                Act::Is(place) => assert_eq!(app.place(self.collection(), ORDER).await, *place),
                Act::While(first, others) => {
                    let meanwhile = async {
                        app.sandbox.wait_for_held(1).await;
                        for act in others {
                            self.act(act).await;
                        }
                    };
                    tokio::join!(self.act(first), meanwhile);
                }
            }
        })
    }

    async fn create(&self) {
        let created = match self.kind {
            Kind::Deposit => self.app.deposit(ORDER).await,
            Kind::Payout => self.app.payout(ORDER).await,
        };
        assert_eq!(created.status, 201, "{:?}", created.body);
    }

    async fn callbacks(&self) {
        *self.said.lock().expect("no panic") = Some(self.app.next_callback(ORDER));
        let statuses = self.app.callbacks().await;
        assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    }

    async fn claim(&self, status: &str) {
        let fields = self.app.claim(self.collection(), ORDER, status).await;
        assert_eq!(self.app.call_back(&self.app.server_uri(ORDER), &fields).await, 200);
        *self.said.lock().expect("no panic") = Some(fields);
    }

    async fn again(&self, times: usize) {
        let fields = self.said.lock().expect("no panic").clone().expect("a callback came before");
        let url = self.app.server_uri(ORDER);
        let before = self.app.footprint().await;
        for _ in 0..times {
            assert_eq!(self.app.call_back(&url, &fields).await, 200);
        }
        assert_eq!(self.app.footprint().await, before, "a repeated callback wrote something");
    }

    async fn check(&self, end: &End, story: &str) {
        let app = &self.app;
        let order = app.get(&format!("/v1/{}/{ORDER}", self.collection())).await.body;
        assert_eq!(app.place(self.collection(), ORDER).await, end.place, "{story}: place");
        assert_eq!((&order["is_final"], &order["late"]), (&json!(end.is_final), &json!(end.late)), "{story}: is_final and late");
        assert_eq!(app.attempts(ORDER).await.len(), end.attempts, "{story}: attempts {:?}", app.attempts(ORDER).await);
        assert_eq!(app.sandbox.executions(ORDER), end.executions, "{story}: executions");
        assert_eq!(app.discrepancies(ORDER).await, end.discrepancies, "{story}: discrepancies");
        assert_eq!(app.kept_callbacks(ORDER).await.len(), end.callbacks, "{story}: callbacks {:?}", app.kept_callbacks(ORDER).await);
        assert_eq!(app.entries(ORDER, "callback").await.len(), end.callbacks, "{story}: callbacks on the timeline");
        assert_eq!(app.entries(ORDER, "attempt").await.len(), end.attempts, "{story}: attempts on the timeline");
        assert_eq!(app.unmatched_receipts().await, end.unmatched, "{story}: unmatched receipts");
        let confirmed = if end.place == "succeeded" { "12.5" } else { "0" };
        assert_eq!(order["amount_confirmed"], confirmed, "{story}: amount_confirmed");
    }
}
