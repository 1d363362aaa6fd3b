//! Reports of all kinds, in any order and repeated: what an order may become, and what it may never.

use proptest::prelude::*;
use proptest::sample::select;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use crate::domain::account::Policy;
use crate::domain::agenda::{Timing, waiting_for};
use crate::domain::hearing::tests::{at, deposit, payout};
use crate::domain::hearing::{Heard, Rules, hear};
use crate::domain::order::{Kind, Order};
use crate::domain::receipt::Takings;
use crate::domain::report::{Channel, Code, Decision, Outcome, ProviderRecord, Report, Says, Standing};
use crate::domain::status::{Deposit, Payout, State, edges};

/// What is told, in short.
#[derive(Clone, Debug)]
enum Tells {
    /// A record of the movement, proven or claimed, with the right amount or a wrong one.
    Record {
        standing: Standing,
        channel: Channel,
        proven: bool,
        right: bool,
    },
    /// What became of a call.
    Answer {
        outcome: usize,
        late: bool,
    },
    Decides(Decision, &'static str, bool),
    TimeUp,
    GaveUp,
    Cancel,
    Close,
    /// What was told last is told again.
    Again,
}

/// The simplest account of an order: its kind, and the end that it has come to.
#[derive(Clone, Debug)]
struct Account {
    kind: Kind,
    hours: u64,
}

impl ReferenceStateMachine for Account {
    type State = Self;
    type Transition = (Tells, u64);

    fn init_state() -> BoxedStrategy<Self> {
        select(vec![Kind::Deposit, Kind::Payout]).prop_map(|kind| Self { kind, hours: 0 }).boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<(Tells, u64)> {
        let standing =
            select(vec![Standing::Awaiting, Standing::Accepted, Standing::InReview, Standing::Broadcast, Standing::Paid, Standing::Failed]);
        let way = select(vec![(Channel::Lookup, true), (Channel::Callback, true), (Channel::Callback, false), (Channel::Browser, false)]);
        let right = prop_oneof![6 => Just(true), 1 => Just(false)];
        let decision = select(vec![Decision::Confirm, Decision::Reject, Decision::Retry, Decision::Approve]);
        let tells = prop_oneof![
            6 => (standing, way, right).prop_map(|(standing, (channel, proven), right)| Tells::Record { standing, channel, proven, right }),
            4 => (0..7_usize, any::<bool>()).prop_map(|(outcome, late)| Tells::Answer { outcome, late }),
            2 => (decision, select(vec!["ada", "bob"]), any::<bool>()).prop_map(|(decision, by, absent)| Tells::Decides(decision, by, absent)),
            1 => select(vec![Tells::TimeUp, Tells::GaveUp, Tells::Cancel, Tells::Close]),
            3 => Just(Tells::Again),
        ];
        (tells, select(vec![0_u64, 0, 0, 1, 30])).boxed()
    }

    fn apply(account: Self, (_, hours): &(Tells, u64)) -> Self {
        Self { hours: account.hours + hours, ..account }
    }
}

/// The order, as the house has it, and what was told last.
#[derive(Debug)]
struct House {
    order: Order,
    last: Option<Report>,
}

fn report(order: &Order, tells: &Tells) -> Option<Report> {
    let record = |standing, right: bool| ProviderRecord {
        amount: right.then_some(order.amount).or(order.amount.plus(order.amount)),
        coin: Some(order.provider_coin_id.clone()),
        reference: Some("T1".into()),
        ..ProviderRecord::new(standing)
    };
    let code = || Code { code: "insufficient_balance", provider_code: "24".into(), message: "too low".into() };
    let (channel, proven, says) = match tells {
        Tells::Record { standing, channel, proven, right } => (*channel, *proven, Says::Record(record(*standing, *right))),
        Tells::Answer { outcome, late } => {
            let outcome = match outcome {
                0 => Outcome::Accepted(Box::new(record(Standing::Accepted, true))),
                1 => Outcome::Accepted(Box::new(record(Standing::Paid, true))),
                2 => Outcome::Refused(code()),
                3 => Outcome::NotSent("no connection".into()),
                4 => Outcome::Misconfigured(code()),
                5 => Outcome::Duplicate(None),
                _ => Outcome::Unknown("timeout".into()),
            };
            (Channel::Answer, true, Says::Answer { outcome, late: *late })
        }
        Tells::Decides(decision, by, absent) => {
            let says = Says::Decision { decision: *decision, by: (*by).into(), reason: "seen".into(), absent: *absent };
            (Channel::Operator, true, says)
        }
        Tells::TimeUp => (Channel::Clock, true, Says::TimeUp),
        Tells::GaveUp => (Channel::Clock, true, Says::GaveUp),
        Tells::Cancel => (Channel::Merchant, true, Says::Cancel),
        Tells::Close => (Channel::Clock, true, Says::Close),
        Tells::Again => return None,
    };
    Some(Report { channel, proven, says, evidence: None })
}

/// Whether it is one thing said twice. An answer is of one call, and is heard once: its attempt's row sees to that. A person who
/// asks twice for the same means it twice.
fn may_be_repeated(report: &Report) -> bool {
    !matches!(report.says, Says::Answer { .. } | Says::Decision { .. })
}

fn check(before: &Order, heard: &Heard, report: &Report) {
    let after = &heard.order;
    let told = format!("{:?} at {:?}: {:?}", report.says, before.state, after.state);
    assert_eq!(after.sequence, before.sequence + i64::from(heard.changed), "{told}: a step is missing");
    assert!(heard.changed || after == before, "{told}: it changed without a step");
    if before.state != after.state {
        assert!(edges(before.kind).contains(&(before.state, after.state)), "{told}: no such step");
    }
    if before.is_final {
        assert_eq!((after.state, after.is_final), (before.state, true), "{told}: an end moved");
    }
    assert!(!after.state.ends_at_once() || after.is_final, "{told}: an end that is none");
    assert_eq!(waiting_for(after).is_none(), after.is_final, "{told}: it waits for nobody");
    assert_eq!(after.doubts > 0, after.doubt_since.is_some(), "{told}: doubts without a beginning");
    if after.kind == Kind::Payout {
        let moved = after.state == State::Payout(Payout::Succeeded);
        assert_eq!(after.amount_confirmed == after.amount, moved, "{told}: it counts what it did not move");
    }
    let proven = report.proven || matches!(report.says, Says::Decision { .. });
    if !proven {
        let claimed = after.state == before.state || after.state == State::Deposit(Deposit::Verifying);
        assert!(claimed && after.amount_confirmed == before.amount_confirmed, "{told}: a claim moved it");
    }
}

struct Orders;

impl StateMachineTest for Orders {
    type SystemUnderTest = House;
    type Reference = Account;

    fn init_test(account: &Account) -> House {
        let order = match account.kind {
            Kind::Deposit => deposit(State::first(Kind::Deposit)),
            Kind::Payout | Kind::Transfer => at(State::Payout(Payout::Submitting)),
        };
        House { order, last: None }
    }

    fn apply(mut house: House, account: &Account, (tells, _): (Tells, u64)) -> House {
        let policy = Policy::default();
        let now = payout(State::first(Kind::Payout)).created_at + std::time::Duration::from_hours(account.hours);
        let rules = Rules { policy: &policy, timing: &Timing::default(), now };
        let Some(report) = report(&house.order, &tells).or_else(|| house.last.clone()) else { return house };
        let heard = hear(&house.order, &report, rules);
        check(&house.order, &heard, &report);
        if may_be_repeated(&report) {
            let again = hear(&heard.order, &report, rules);
            assert!(!again.changed, "the same report twice is two steps: {:?}", report.says);
            // Money that no order is open to any more is told each time, and is one receipt by its number.
            assert!(again.received.is_none_or(|money| !money.matched), "the same money twice: {:?}", report.says);
        }
        // Receipts that are none bring nothing, wherever it is.
        let nothing = Report { channel: Channel::Feed, proven: true, says: Says::Receipts(Takings::default()), evidence: None };
        if heard.order.kind == Kind::Payout {
            assert_eq!(hear(&heard.order, &nothing, rules).order.state, heard.order.state);
        }
        house.order = heard.order;
        house.last = Some(report);
        house
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]
    #[test]
    fn an_order_goes_along_the_state_machine_to_one_end(sequential 1..20 => Orders);
}
