//! What receipts make of an order, held against generated histories.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use time::Duration;

use super::{amount, receipt};
use crate::domain::account::{AcceptOrReview, Policy, Under};
use crate::domain::agenda::{Timing, deadline};
use crate::domain::finding::FindingKind;
use crate::domain::hearing::tests::deposit;
use crate::domain::hearing::{Heard, Rules, hear};
use crate::domain::money::Amount;
use crate::domain::order::{NextAction, Order, Provider};
use crate::domain::receipt::{Progress, Receipt, Takings, home};
use crate::domain::report::{Channel, Decision, Report, Says};
use crate::domain::status::{Deposit, Refusal, Review, State};

/// What can happen to a deposit with receipts.
#[derive(Clone, Debug)]
enum Happens {
    Comes(u64, Progress),
    Confirms(Index),
    TurnsAbnormal(Index),
    TimeUp,
    Close,
    Cancel,
    Rejected,
}

fn happens() -> impl Strategy<Value = Happens> {
    let progress = select(vec![Progress::Pending, Progress::Pending, Progress::Confirmed, Progress::Abnormal]);
    prop_oneof![
        4 => (1..6_u64, progress).prop_map(|(much, progress)| Happens::Comes(much, progress)),
        5 => any::<Index>().prop_map(Happens::Confirms),
        2 => any::<Index>().prop_map(Happens::TurnsAbnormal),
        1 => Just(Happens::TimeUp),
        1 => Just(Happens::Close),
        1 => Just(Happens::Cancel),
        1 => Just(Happens::Rejected),
    ]
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let two = || select(vec![AcceptOrReview::Accept, AcceptOrReview::Review]);
    (select(vec![Under::Wait, Under::Accept, Under::Review]), two(), two()).prop_map(|(under, over, late)| Policy {
        under,
        over,
        late,
        ..Policy::default()
    })
}

/// An order of 5 whose customer knows where to pay.
fn fresh(tolerance: u64) -> Order {
    let asked = amount("5");
    let next_action = NextAction::SendToAddress { address: "0xa".into(), coin: "usdt".into(), amount: asked, memo: None };
    let tolerance = amount(&tolerance.to_string());
    Order { amount: asked, tolerance, next_action: Some(next_action), ..deposit(State::Deposit(Deposit::AwaitingPayment)) }
}

fn said(channel: Channel, says: Says) -> Report {
    Report { channel, proven: true, says, evidence: None }
}

fn of_feed(receipts: &[Receipt]) -> Report {
    said(Channel::Feed, Says::Receipts(Takings::of(receipts)))
}

fn total(receipts: &[Receipt], counts: impl Fn(Progress) -> bool) -> Amount {
    receipts.iter().filter(|one| counts(one.progress)).fold(Amount::ZERO, |sum, one| sum.plus(one.amount).unwrap())
}

/// Says what is wrong with how the receipts were heard.
fn wrong(before: &Order, heard: &Heard, receipts: &[Receipt], policy: &Policy, timed_out: bool) -> Option<&'static str> {
    let order = &heard.order;
    let seen = total(receipts, |progress| progress != Progress::Abnormal);
    let confirmed = total(receipts, |progress| progress == Progress::Confirmed);
    let ended = order.state == State::Deposit(Deposit::Succeeded);
    let person = matches!(order.state, State::Deposit(Deposit::RequiresReview(_)));
    let content = timed_out && policy.under == Under::Accept && confirmed == seen && !seen.is_zero();
    let trusting = policy.over == AcceptOrReview::Accept && policy.late == AcceptOrReview::Accept;
    let asked = match &order.next_action {
        Some(NextAction::SendToAddress { amount, .. }) => Some(*amount),
        _ => None,
    };
    let open = matches!(order.state, State::Deposit(Deposit::AwaitingPayment | Deposit::PartiallyPaid));
    [
        (order.amount_received != seen || order.amount_confirmed != confirmed, "the amounts are not the sums"),
        (before.is_final && (order.state, order.is_final) != (before.state, true), "an end moved"),
        (
            before.is_final
                && heard.refusal == Some(Refusal::Contradiction)
                && heard.finding.as_ref().map(|one| one.kind) != Some(FindingKind::Contradiction),
            "a contradiction is nobody's to see",
        ),
        (!before.is_final && order.covers(confirmed) && !ended && !person, "covered and not settled"),
        (!before.is_final && order.covers(confirmed) && !ended && trusting, "covered and left to a person for nothing"),
        (!before.is_final && ended && !order.covers(confirmed) && !content, "settled without the money"),
        (open && asked != order.amount.minus(seen), "it asks for something else than what is missing"),
        (!open && asked.is_some(), "it asks for money that is not wanted"),
        (order.sequence != before.sequence + i64::from(heard.changed), "a step is missing"),
        (heard.received.is_some(), "a receipt makes a receipt"),
    ]
    .into_iter()
    .find_map(|(broken, why)| broken.then_some(why))
}

/// Everything in its order, each thing heard at once.
fn play(history: &[Happens], policy: &Policy, tolerance: u64) -> Result<(), TestCaseError> {
    let timing = Timing::default();
    let (mut order, mut receipts, mut now, mut timed_out) = (fresh(tolerance), Vec::<Receipt>::new(), fresh(0).created_at, false);
    for happens in history {
        now += Duration::seconds(1);
        let pick = |receipts: &[Receipt], index: &Index, from: &[Progress]| {
            let fitting: Vec<usize> = (0..receipts.len()).filter(|at| from.contains(&receipts[*at].progress)).collect();
            (!fitting.is_empty()).then(|| fitting[index.index(fitting.len())])
        };
        let other = match happens {
            // What comes for an order that is over is not its own.
            Happens::Comes(..) if home(std::slice::from_ref(&order), amount("1")).is_none() => continue,
            Happens::Comes(much, progress) => {
                receipts.push(receipt(receipts.len() + 1, *much, *progress));
                None
            }
            Happens::Confirms(index) => {
                let Some(at) = pick(&receipts, index, &[Progress::Pending, Progress::Abnormal]) else { continue };
                receipts[at].progress = Progress::Confirmed;
                None
            }
            Happens::TurnsAbnormal(index) => {
                let Some(at) = pick(&receipts, index, &[Progress::Pending, Progress::Confirmed]) else { continue };
                receipts[at].progress = Progress::Abnormal;
                None
            }
            Happens::TimeUp => {
                now = now.max(deadline(&order, &timing, now));
                timed_out = true;
                Some(said(Channel::Clock, Says::TimeUp))
            }
            Happens::Close => {
                now = now.max(order.final_at.unwrap_or(now));
                Some(said(Channel::Clock, Says::Close))
            }
            Happens::Cancel => Some(said(Channel::Merchant, Says::Cancel)),
            Happens::Rejected => {
                let decision = Decision::Reject;
                Some(said(Channel::Operator, Says::Decision { decision, by: "ada".into(), reason: "no".into(), absent: false }))
            }
        };
        let rules = Rules { policy, timing: &timing, now };
        if let Some(report) = other {
            let heard = hear(&order, &report, rules);
            prop_assert!(!order.is_final || heard.order.state == order.state, "{:?} moved an end", report.says);
            prop_assert_eq!(heard.order.amount_received, order.amount_received, "{:?} brought money", report.says);
            prop_assert_eq!(heard.order.amount_confirmed, order.amount_confirmed, "{:?} brought money", report.says);
            order = heard.order;
            continue;
        }
        let heard = hear(&order, &of_feed(&receipts), rules);
        prop_assert_eq!(
            wrong(&order, &heard, &receipts, policy, timed_out),
            None,
            "{:?} at {:?}: {:?}",
            receipts,
            order.state,
            heard.order.state
        );
        order = heard.order;
        let again = hear(&order, &of_feed(&receipts), rules);
        prop_assert!(!again.changed && again.order == order, "the same receipts twice are two steps");
    }
    Ok(())
}

/// Receipts with how each is first seen and how it ends, and the two tellings of all of them in two orders.
fn two_tellings() -> impl Strategy<Value = (Vec<Receipt>, Vec<usize>, Vec<usize>)> {
    let end = select(vec![Progress::Confirmed, Progress::Confirmed, Progress::Abnormal]);
    proptest::collection::vec((1..5_u64, end, any::<bool>()), 1..6).prop_flat_map(|all| {
        let ends: Vec<Receipt> = all.iter().zip(1..).map(|((much, end, _), number)| receipt(number, *much, *end)).collect();
        // Each is told once where it is first seen at its end, else twice.
        let told: Vec<usize> = all.iter().enumerate().flat_map(|(at, (_, _, twice))| vec![at; if *twice { 2 } else { 1 }]).collect();
        (Just(ends), Just(told.clone()).prop_shuffle(), Just(told).prop_shuffle())
    })
}

fn after(ends: &[Receipt], told: &[usize], policy: &Policy) -> (State, bool, Amount, Amount) {
    let timing = Timing::default();
    let (mut order, mut known) = (fresh(0), Vec::<Receipt>::new());
    for (position, at) in told.iter().enumerate() {
        let last = !told[position + 1..].contains(at);
        let news = Receipt { progress: if last { ends[*at].progress } else { Progress::Pending }, ..ends[*at].clone() };
        known.retain(|one| one.id != news.id);
        known.push(news);
        order = hear(&order, &of_feed(&known), Rules { policy, timing: &timing, now: order.created_at }).order;
    }
    (order.state, order.is_final, order.amount_received, order.amount_confirmed)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn receipts_add_up_in_any_order((ends, one, _) in two_tellings()) {
        let shuffled: Vec<Receipt> = {
            let mut seen = Vec::new();
            for at in one { if !seen.contains(&at) { seen.push(at); } }
            seen.into_iter().map(|at| ends[at].clone()).collect()
        };
        let takings = Takings::of(&ends);
        prop_assert_eq!(&takings, &Takings::of(&shuffled));
        let newest = ends.iter().filter(|one| one.progress != Progress::Abnormal).map(|one| one.number.clone()).next_back();
        prop_assert_eq!(takings.newest.map(|one| one.number), newest);
        prop_assert_eq!(takings.abnormal, ends.iter().any(|one| one.progress == Progress::Abnormal));
    }

    #[test]
    fn an_order_is_what_its_receipts_make_of_it(
        history in proptest::collection::vec(happens(), 1..16), policy in any_policy(), tolerance in 0..2_u64,
    ) {
        play(&history, &policy, tolerance)?;
    }

    #[test]
    fn receipts_in_any_order_end_in_the_same_place((ends, one, two) in two_tellings(), policy in any_policy()) {
        let policy = Policy { over: AcceptOrReview::Accept, ..policy };
        prop_assert_eq!(after(&ends, &one, &policy), after(&ends, &two, &policy));
    }
}

#[test]
fn a_decision_brings_no_money_where_each_movement_is_a_receipt() {
    let (policy, timing) = (Policy::default(), Timing::default());
    let order = Order { provider: Provider::Hicoin, ..fresh(0) };
    let rules = Rules { policy: &policy, timing: &timing, now: order.created_at };
    let doubtful = hear(&order, &of_feed(&[receipt(1, 5, Progress::Abnormal)]), rules).order;
    assert_eq!(doubtful.state, State::Deposit(Deposit::RequiresReview(Review::Abnormal)));
    let says = Says::Decision { decision: Decision::Confirm, by: "ada".into(), reason: "paid in cash".into(), absent: false };
    let heard = hear(&doubtful, &said(Channel::Operator, says), rules);
    assert_eq!((heard.order.state, heard.order.is_final), (State::Deposit(Deposit::Succeeded), true));
    assert_eq!((heard.order.amount_received, heard.order.amount_confirmed, heard.received), (Amount::ZERO, Amount::ZERO, None));
}
