//! A payout over a bad line: calls that arrive late or not, answers that are lost, processes that are paused beyond their lease,
//! lists that lag. Whatever happens and in whatever order, the wallet carries it out once at most.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use time::OffsetDateTime;

use crate::domain::account::Policy;
use crate::domain::agenda::Timing;
use crate::domain::hearing::tests::payout;
use crate::domain::hearing::{Rules, hear};
use crate::domain::order::Order;
use crate::domain::recovery::{Capabilities, Permit, Progress, Recovery, is_absent, recover};
use crate::domain::report::{Channel, Code, Decision, Outcome, ProviderRecord, Report, Says, Standing};
use crate::domain::status::{Payout, State};

/// What a wallet is like.
#[derive(Clone, Copy, Debug)]
struct Nature {
    /// It refuses an id that it has seen.
    refuses_duplicates: bool,
    /// The account says so; only where it is true.
    trusted: bool,
    /// It can be asked by our id.
    lookup: bool,
}

#[derive(Clone, Debug)]
enum Happens {
    /// A worker looks at the order, and sends if it may.
    Works,
    /// The nth call on its way arrives, and the wallet takes or refuses it.
    Arrives {
        nth: usize,
        takes: bool,
    },
    /// The nth call on its way is lost, and never arrives.
    Lost(usize),
    /// The nth answer comes back.
    Answered(usize),
    /// The nth call did not leave after all, and its process knows.
    NotSent(usize),
    /// A lease is over: the open attempt is written off.
    LeaseEnds,
    /// A worker asks the wallet; the list may lag.
    Looks {
        lags: bool,
    },
    /// The wallet calls.
    CallsBack,
    Waits(u64),
    /// A person wants it sent again.
    Retry(&'static str),
}

/// What can happen does not depend on what has happened: the machine leaves out what is not there.
#[derive(Clone, Debug)]
struct World {
    nature: Nature,
}

impl ReferenceStateMachine for World {
    type State = Self;
    type Transition = Happens;

    fn init_state() -> BoxedStrategy<Self> {
        let natures = select(vec![(true, true), (true, false), (false, false)]);
        (natures, any::<bool>())
            .prop_map(|((refuses_duplicates, trusted), lookup)| Self { nature: Nature { refuses_duplicates, trusted, lookup } })
            .boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Happens> {
        let nth = || 0..3_usize;
        prop_oneof![
            5 => Just(Happens::Works),
            3 => (nth(), prop_oneof![4 => Just(true), 1 => Just(false)]).prop_map(|(nth, takes)| Happens::Arrives { nth, takes }),
            1 => nth().prop_map(Happens::Lost),
            2 => nth().prop_map(Happens::Answered),
            1 => nth().prop_map(Happens::NotSent),
            3 => Just(Happens::LeaseEnds),
            3 => any::<bool>().prop_map(|lags| Happens::Looks { lags }),
            1 => Just(Happens::CallsBack),
            4 => select(vec![1_u64, 20, 31, 200, 90_000]).prop_map(Happens::Waits),
            1 => select(vec!["ada", "bob"]).prop_map(Happens::Retry),
        ]
        .boxed()
    }

    fn apply(world: Self, _: &Happens) -> Self {
        world
    }
}

/// A call: on its way, arrived, or gone.
#[derive(Clone, Debug)]
enum Line {
    OnItsWay,
    Arrived(Outcome),
    Gone,
}

#[derive(Clone, Debug)]
struct Call {
    line: Line,
    /// Its attempt, as ours has it: it was given up before an answer came.
    written_off: bool,
    heard: bool,
}

/// Both sides.
#[derive(Debug)]
struct Both {
    order: Order,
    progress: Progress,
    now: OffsetDateTime,
    calls: Vec<Call>,
    /// The wallet's books.
    executed: usize,
    refused: usize,
    /// Two persons have agreed that it may be sent once more.
    agreed: usize,
}

impl Both {
    fn hear(&mut self, channel: Channel, proven: bool, says: Says) {
        let policy = Policy::default();
        let rules = Rules { policy: &policy, timing: &Timing::default(), now: self.now };
        let heard = hear(&self.order, &Report { channel, proven, says, evidence: None }, rules);
        if heard.order.state != self.order.state {
            self.progress = Progress::default();
        }
        self.order = heard.order;
    }

    fn record(&self) -> ProviderRecord {
        ProviderRecord { reference: Some("T1".into()), amount: Some(self.order.amount), ..ProviderRecord::new(Standing::Paid) }
    }

    /// As `submit` and `look` do: the state says which of the two rules gives the permit.
    fn work(&mut self, nature: Nature) {
        let (capabilities, policy) = nature.rules();
        let permit = match self.order.state {
            State::Payout(Payout::Queued) => Permit::first(&self.order),
            State::Payout(Payout::OutcomeUnknown) => {
                match recover(&self.order, capabilities, &policy, self.progress, &Timing::default(), self.now) {
                    Recovery::SendAgain(permit) => Some(permit),
                    Recovery::GiveUp => {
                        self.hear(Channel::Clock, true, Says::GaveUp);
                        None
                    }
                    Recovery::LookAgain => None,
                }
            }
            _ => None,
        };
        let Some(permit) = permit else { return };
        let in_doubt =
            self.calls.iter().any(|call| matches!(call.line, Line::OnItsWay) || matches!(call.line, Line::Arrived(_)) && !call.heard);
        let persons = self.order.retry.as_ref().is_some_and(|retry| retry.granted_by.is_some());
        assert!(!in_doubt || nature.trusted || persons, "it is sent again in doubt, to a wallet that is not trusted: {self:?}");
        self.agreed += usize::from(persons);
        self.hear(Channel::Gateway, true, Says::Attempt(permit));
        assert_eq!(self.order.state, State::Payout(Payout::Submitting));
        self.calls.push(Call { line: Line::OnItsWay, written_off: false, heard: false });
    }

    fn arrive(&mut self, at: usize, nature: Nature, takes: bool) {
        let outcome = if nature.refuses_duplicates && self.executed > 0 {
            Outcome::Duplicate(None)
        } else if takes {
            self.executed += 1;
            Outcome::Accepted(Box::new(self.record()))
        } else {
            self.refused += 1;
            Outcome::Refused(Code { code: "insufficient_balance", provider_code: "24".into(), message: "too low".into() })
        };
        self.calls[at].line = Line::Arrived(outcome);
    }

    /// The open attempt, if there is one.
    fn open(&self) -> Option<usize> {
        self.calls.iter().position(|call| !call.written_off && !call.heard)
    }

    fn answer(&mut self, at: usize, outcome: Outcome) {
        let late = self.calls[at].written_off;
        self.calls[at].heard = true;
        self.hear(Channel::Answer, true, Says::Answer { outcome, late });
    }
}

impl Nature {
    fn rules(self) -> (Capabilities, Policy) {
        let capabilities = Capabilities {
            refuses_duplicates: self.refuses_duplicates,
            lookup_by_trade_id: self.lookup,
            lookup_by_reference: false,
            callbacks: true,
            deposit_feed: false,
        };
        (capabilities, Policy { trust_duplicate_refusal: self.trusted, ..Policy::default() })
    }
}

struct Payouts;

impl StateMachineTest for Payouts {
    type SystemUnderTest = Both;
    type Reference = World;

    fn init_test(_: &World) -> Both {
        let order = payout(State::Payout(Payout::Queued));
        let now = order.created_at;
        Both { order, progress: Progress::default(), now, calls: Vec::new(), executed: 0, refused: 0, agreed: 0 }
    }

    fn apply(mut both: Both, world: &World, happens: Happens) -> Both {
        let on_its_way: Vec<usize> = (0..both.calls.len()).filter(|at| matches!(both.calls[*at].line, Line::OnItsWay)).collect();
        let unheard = |at: &usize| matches!(both.calls[*at].line, Line::Arrived(_)) && !both.calls[*at].heard;
        let answers: Vec<usize> = (0..both.calls.len()).filter(unheard).collect();
        match happens {
            Happens::Works => both.work(world.nature),
            Happens::Arrives { nth, takes } => {
                if let Some(at) = on_its_way.get(nth) {
                    both.arrive(*at, world.nature, takes);
                }
            }
            Happens::Lost(nth) => {
                if let Some(at) = on_its_way.get(nth) {
                    both.calls[*at].line = Line::Gone;
                }
            }
            Happens::Answered(nth) => {
                if let Some(at) = answers.get(nth)
                    && let Line::Arrived(outcome) = both.calls[*at].line.clone()
                {
                    both.answer(*at, outcome);
                }
            }
            Happens::NotSent(nth) => {
                if let Some(at) = on_its_way.get(nth) {
                    both.calls[*at].line = Line::Gone;
                    both.answer(*at, Outcome::NotSent("its lease was over".into()));
                }
            }
            Happens::LeaseEnds => {
                if let Some(at) = both.open() {
                    both.calls[at].written_off = true;
                    let outcome = Outcome::Unknown("its process is gone".into());
                    both.hear(Channel::Gateway, true, Says::Answer { outcome, late: false });
                }
            }
            Happens::Looks { lags } if world.nature.lookup => {
                if both.executed > 0 && !lags {
                    let record = both.record();
                    both.hear(Channel::Lookup, true, Says::Record(record));
                } else {
                    both.progress = both.progress.absent_at(both.now);
                }
            }
            Happens::CallsBack if both.executed > 0 => {
                let record = both.record();
                both.hear(Channel::Callback, true, Says::Record(record));
            }
            Happens::Looks { .. } | Happens::CallsBack => {}
            Happens::Waits(seconds) => both.now += Duration::from_secs(seconds),
            Happens::Retry(by) => {
                let (capabilities, policy) = world.nature.rules();
                let absent = is_absent(capabilities, &policy, both.progress, &Timing::default());
                let says = Says::Decision { decision: Decision::Retry, by: by.into(), reason: "seen".into(), absent };
                both.hear(Channel::Operator, true, says);
            }
        }
        both
    }

    fn check_invariants(both: &Both, world: &World) {
        // Two persons answer for what they do to a wallet that pays twice what is sent twice.
        let may = if world.nature.refuses_duplicates { 1 } else { 1 + both.agreed };
        assert!(both.executed <= may, "paid {} times: {both:?}", both.executed);
        assert!(both.calls.iter().filter(|call| !call.written_off && !call.heard).count() <= 1, "two attempts are open: {both:?}");
        let state = both.order.state;
        assert!(state != State::Payout(Payout::Succeeded) || both.executed > 0, "it succeeded, and nobody paid it: {both:?}");
        let failed = state == State::Payout(Payout::Failed);
        assert!(!failed || both.executed == 0, "it failed, and was paid: {both:?}");
        assert!(!failed || both.refused > 0, "it failed, and nobody refused it: {both:?}");
        let on_its_way = both.calls.iter().any(|call| matches!(call.line, Line::OnItsWay));
        assert!(!failed || !on_its_way, "it failed, and a call may still arrive: {both:?}");
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]
    #[test]
    fn a_payout_over_a_bad_line_is_paid_once_at_most(sequential 1..40 => Payouts);
}
