//! Laws 3, 4 and 5 of hearing, held against generated histories.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use time::Duration;

use super::*;
use crate::domain::account::{AcceptOrReview, Under};
use crate::domain::claim::Claim;
use crate::domain::report::*;

/// What must be the same in whatever order the reports came.
#[derive(Debug, PartialEq)]
struct End {
    state: State,
    is_final: bool,
    amount_received: Amount,
    amount_confirmed: Amount,
    fee: Option<Amount>,
    reference: Option<String>,
    txid: Option<String>,
    confirmations: Option<i32>,
    claim: Option<Claim>,
    doubts: i16,
}

impl From<Order> for End {
    fn from(order: Order) -> Self {
        Self {
            state: order.state,
            is_final: order.is_final,
            amount_received: order.amount_received,
            amount_confirmed: order.amount_confirmed,
            fee: order.fee,
            reference: order.provider_reference,
            txid: order.txid,
            confirmations: order.confirmations,
            claim: order.claim,
            doubts: order.doubts,
        }
    }
}

/// The two ways in which a movement that the provider has can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truth {
    Paid,
    Failed,
}

impl Truth {
    fn standing(self) -> Standing {
        match self {
            Self::Paid => Standing::Paid,
            Self::Failed => Standing::Failed,
        }
    }
}

fn truth() -> impl Strategy<Value = Truth> {
    select(vec![Truth::Paid, Truth::Failed])
}

/// Records of one movement on its way to the truth. Some tell the fee and the chain's id, some do not.
fn way(order: Order, truth: Truth) -> impl Strategy<Value = ProviderRecord> {
    let standings = vec![Standing::Accepted, Standing::InReview, Standing::Broadcast, truth.standing()];
    (select(standings), any::<bool>(), any::<bool>()).prop_map(move |(standing, priced, on_chain)| ProviderRecord {
        fee: priced.then(|| amount("0.5")),
        txid: on_chain.then(|| "0xabc".to_owned()),
        confirmations: on_chain.then_some(3),
        ..record(&order, standing)
    })
}

/// Every one of them up to three times, in any order.
fn shuffled(reports: Vec<Report>) -> impl Strategy<Value = Vec<Report>> {
    proptest::collection::vec(1..4_usize, reports.len())
        .prop_map(move |times| reports.iter().zip(times).flat_map(|(report, times)| vec![report.clone(); times]).collect::<Vec<_>>())
        .prop_shuffle()
}

/// What one open call, and everybody else, may tell of a payout that the provider has. The record that
/// ends it is among them. The answer is heard once: its attempt's row sees to that.
fn tellings_of_a_payout(truth: Truth) -> impl Strategy<Value = (Vec<Report>, Report)> {
    let order = payout(SUBMITTING);
    let records = proptest::collection::vec((way(order.clone(), truth), any::<bool>()), 0..4);
    let outcome = prop_oneof![
        way(order.clone(), truth).prop_map(accepted),
        Just(lost()),
        Just(Outcome::Duplicate(None)),
        way(order.clone(), truth).prop_map(|record| Outcome::Duplicate(Some(Box::new(record)))),
    ];
    (records, outcome).prop_map(move |(records, outcome)| {
        let mut reports: Vec<_> =
            records.into_iter().map(|(record, called)| if called { callback(record) } else { lookup(record) }).collect();
        reports.push(claim(record(&order, truth.standing())));
        reports.push(lookup(record(&order, Standing::Awaiting)));
        reports.push(callback(record(&order, truth.standing())));
        (reports, answer(outcome))
    })
}

fn two_orders_of_a_payout() -> impl Strategy<Value = (Truth, i16, Vec<Report>, Vec<Report>)> {
    let with_answer_at = |mut reports: Vec<Report>, answer: Report, at: Index| {
        reports.insert(at.index(reports.len() + 1), answer);
        reports
    };
    (truth(), 0..3_i16).prop_flat_map(move |(truth, doubts)| {
        tellings_of_a_payout(truth).prop_flat_map(move |(reports, answer)| {
            let (other, again) = (answer.clone(), reports.clone());
            let one = (shuffled(reports), any::<Index>()).prop_map(move |(reports, at)| with_answer_at(reports, answer.clone(), at));
            let two = (shuffled(again), any::<Index>()).prop_map(move |(reports, at)| with_answer_at(reports, other.clone(), at));
            (Just(truth), Just(doubts), one, two)
        })
    })
}

/// What may be told of a deposit, the offer heard once. Where it was paid the merchant may call it off and its
/// time may run out as well: money wins.
fn tellings_of_a_deposit(truth: Truth) -> impl Strategy<Value = Vec<Report>> {
    let order = deposit(State::Deposit(Deposit::Created));
    let records = proptest::collection::vec(way(order.clone(), truth).prop_map(lookup), 0..4);
    let offer = record(&order, Standing::Awaiting);
    let offers = vec![accepted(offer.clone()), Outcome::Duplicate(Some(Box::new(offer))), Outcome::Duplicate(None)];
    (records, select(offers), any::<[bool; 4]>()).prop_map(move |(mut reports, offer, [claimed, asked, timed, called_off])| {
        let told = record(&order, truth.standing());
        reports.extend([answer(offer), lookup(told.clone())]);
        reports.extend(claimed.then(|| claim(told)));
        reports.extend(asked.then(|| lookup(record(&order, Standing::Awaiting))));
        reports.extend((timed && truth == Truth::Paid).then(|| clock(Says::TimeUp)));
        reports.extend((called_off && truth == Truth::Paid).then(|| report(Channel::Merchant, true, Says::Cancel)));
        reports
    })
}

fn two_orders_of_a_deposit() -> impl Strategy<Value = (Truth, Vec<Report>, Vec<Report>)> {
    truth().prop_flat_map(|truth| {
        tellings_of_a_deposit(truth).prop_flat_map(move |reports| (Just(truth), shuffled(reports.clone()), shuffled(reports)))
    })
}

/// What a call really came to, whether or not its answer is ever heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Arrived,
    Refused,
    NotSent,
}

/// How its answer reaches us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hearing {
    InTime,
    AfterItWasGivenUp,
    /// The provider says what it did, but nobody hears it. For calls that arrived only.
    Never,
}

/// A gateway that follows the machine, and a provider that refuses a repeated id, in one thread: chance says
/// which of the things that can happen is next.
struct Play {
    order: Order,
    plan: Vec<(Call, Hearing)>,
    open: Option<(Call, Hearing, Outcome)>,
    late: Vec<Outcome>,
    moved: bool,
    truth: Truth,
}

impl Play {
    fn hear(&mut self, report: &Report) {
        let heard = heard(&self.order, report);
        assert!(heard.finding.is_none(), "a consistent world gave {:?} for {report:?} at {:?}", heard.finding, self.order.state);
        assert!(heard.order.state != UNKNOWN || heard.order.doubts > 0, "outcome_unknown without a doubt");
        assert!(heard.order.state != State::Payout(Payout::Queued) || heard.order.doubts == 0, "queued with a doubt");
        self.order = heard.order;
    }

    /// Sends: from the end of the plan on every call is refused.
    fn send(&mut self) {
        let (call, hearing) = if self.plan.is_empty() { (Call::Refused, Hearing::InTime) } else { self.plan.remove(0) };
        let outcome = match call {
            Call::Arrived if self.moved => Outcome::Duplicate(None),
            Call::Arrived => accepted(record(&self.order, Standing::Accepted)),
            Call::Refused => refused(),
            Call::NotSent => not_sent(),
        };
        self.moved |= call == Call::Arrived;
        self.hear(&report(Channel::Gateway, true, Says::Attempt(Permit::moves_nothing(&at(CREATED)).unwrap())));
        self.open = Some((call, hearing, outcome));
    }

    fn close(&mut self) {
        let Some((call, hearing, outcome)) = self.open.take() else { return };
        match hearing {
            Hearing::InTime => self.hear(&answer(outcome)),
            Hearing::Never if call == Call::Arrived => self.hear(&answer(lost())),
            Hearing::AfterItWasGivenUp | Hearing::Never => {
                self.hear(&answer(lost()));
                self.late.push(outcome);
            }
        }
    }

    /// One of the things that can happen now.
    fn step(&mut self, chance: Index) {
        let may_send = self.open.is_none() && matches!(self.order.state, State::Payout(Payout::Queued) | UNKNOWN);
        let may_give_up = self.order.doubts > 0 && self.open.is_none();
        let may_retry = self.order.state == PARKED && self.order.doubts == 0 && self.late.is_empty();
        let possible: Vec<u8> = [may_send, self.open.is_some(), !self.late.is_empty(), self.moved, self.moved, may_give_up, may_retry]
            .into_iter()
            .zip(0..)
            .filter_map(|(possible, which)| possible.then_some(which))
            .collect();
        if possible.is_empty() {
            return;
        }
        match possible[chance.index(possible.len())] {
            0 => self.send(),
            1 => self.close(),
            2 => {
                let outcome = self.late.swap_remove(chance.index(self.late.len()));
                self.hear(&late_answer(outcome));
            }
            3 => self.hear(&lookup(record(&self.order, Standing::InReview))),
            4 => self.hear(&callback(record(&self.order, self.truth.standing()))),
            5 => self.hear(&clock(Says::GaveUp)),
            _ => self.hear(&decide(Decision::Retry)),
        }
    }

    /// Lets everything that is still to come, come.
    fn finish(&mut self) {
        for _ in 0..100 {
            self.close();
            for outcome in std::mem::take(&mut self.late) {
                self.hear(&late_answer(outcome));
            }
            if self.moved {
                self.hear(&callback(record(&self.order, self.truth.standing())));
            } else if self.order.state == PARKED && self.order.doubts == 0 {
                self.hear(&decide(Decision::Retry));
            } else if matches!(self.order.state, State::Payout(Payout::Queued) | UNKNOWN) {
                self.send();
            }
        }
    }
}

fn plan() -> impl Strategy<Value = Vec<(Call, Hearing)>> {
    let call = select(vec![Call::Arrived, Call::Refused, Call::NotSent]);
    let hearing = select(vec![Hearing::InTime, Hearing::AfterItWasGivenUp, Hearing::Never]);
    proptest::collection::vec((call, hearing), 0..6)
}

fn maybe<T: Clone + std::fmt::Debug + 'static>(right: T, wrong: T) -> impl Strategy<Value = Option<T>> {
    prop_oneof![3 => Just(None), 6 => Just(Some(right)), 1 => Just(Some(wrong))]
}

/// Any record at all, agreeing with the order or not.
fn any_record() -> impl Strategy<Value = ProviderRecord> {
    use Standing::{Accepted, Awaiting, Broadcast, Failed, InReview, Paid};
    let text = |right: &str| maybe(right.to_owned(), "x".to_owned());
    let who = (text("trade-1"), text("T1"), text("42"), text("5"));
    let what = (maybe(amount("12.5"), amount("1")), maybe(amount("0.5"), amount("99")), maybe(Direction::In, Direction::Out));
    let rest = (proptest::option::of(Just("0xabc".to_owned())), proptest::option::of(0..9), any::<bool>());
    (select(vec![Awaiting, Accepted, InReview, Broadcast, Paid, Failed]), who, what, rest).prop_map(
        |(standing, (trade_id, reference, user, coin), (amount, fee, direction), (txid, confirmations, acts))| {
            let expires_at = payout(SUBMITTING).created_at + Duration::minutes(3);
            let next_action = acts.then(|| NextAction::ConfirmInApp { transfer_id: "T1".into(), expires_at });
            let plain = ProviderRecord::new(standing);
            ProviderRecord { trade_id, reference, user, coin, amount, fee, direction, txid, confirmations, next_action, ..plain }
        },
    )
}

/// A record that certainly does not agree.
fn any_wrong_record() -> impl Strategy<Value = ProviderRecord> {
    let wrong = || Some("x".to_owned());
    (any_record(), 0..4).prop_map(move |(record, which)| match which {
        0 => ProviderRecord { trade_id: wrong(), ..record },
        1 => ProviderRecord { user: wrong(), ..record },
        2 => ProviderRecord { coin: wrong(), ..record },
        _ => ProviderRecord { amount: Some(amount("1")), ..record },
    })
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        any_record().prop_map(accepted),
        Just(refused()),
        Just(not_sent()),
        Just(Outcome::Misconfigured(Code { code: "signature", provider_code: "7".into(), message: "The sign is wrong.".into() })),
        proptest::option::of(any_record()).prop_map(|record| Outcome::Duplicate(record.map(Box::new))),
        Just(lost()),
    ]
}

/// Any report at all.
fn any_report() -> impl Strategy<Value = Report> {
    let records = (select(vec![Channel::Lookup, Channel::Callback, Channel::Browser]), any::<bool>(), any_record());
    let decisions = select(vec![Decision::Confirm, Decision::Reject, Decision::Retry, Decision::Approve]);
    let attempt = report(Channel::Gateway, true, Says::Attempt(Permit::moves_nothing(&at(CREATED)).unwrap()));
    prop_oneof![
        4 => records.prop_map(|(channel, proven, record)| report(channel, proven || channel == Channel::Lookup, Says::Record(record))),
        3 => (any_outcome(), any::<bool>()).prop_map(|(outcome, late)| report(Channel::Answer, true, Says::Answer { outcome, late })),
        2 => Just(attempt),
        1 => Just(clock(Says::TimeUp)),
        1 => Just(clock(Says::GaveUp)),
        1 => Just(clock(Says::Close)),
        1 => select(vec![Says::Nothing, Says::Unreadable("no JSON".into())]).prop_map(|says| report(Channel::Callback, false, says)),
        1 => Just(report(Channel::Merchant, true, Says::Cancel)),
        1 => decisions.prop_map(decide),
    ]
}

fn any_policy() -> impl Strategy<Value = Policy> {
    (select(vec![Under::Wait, Under::Accept, Under::Review]), select(vec![AcceptOrReview::Accept, AcceptOrReview::Review]))
        .prop_map(|(under, late)| Policy { under, late, ..Policy::default() })
}

/// A place as it is on arrival, and what then came, with the hours in between.
fn any_history() -> impl Strategy<Value = (Order, Policy, Vec<(Report, u8)>)> {
    let states: Vec<_> = [Kind::Deposit, Kind::Payout].into_iter().flat_map(State::all).collect();
    (select(states).prop_map(at), any_policy(), proptest::collection::vec((any_report(), 0..20_u8), 1..12))
}

/// Any order that a history can lead to.
fn any_order() -> impl Strategy<Value = Order> {
    any_history().prop_map(|(order, policy, history)| {
        history.iter().fold(order, |order, (report, hours)| hear_at(&order, report, &policy, u64::from(*hours)).order)
    })
}

/// Reports that count calls, which the order cannot tell apart: each attempt's row lets its answer through once.
fn counts(order: &Order, report: &Report) -> bool {
    match &report.says {
        Says::Answer { outcome: Outcome::Unknown(_), late: false } => order.state == State::Deposit(Deposit::Created),
        Says::Answer { outcome: Outcome::Refused(_) | Outcome::NotSent(_) | Outcome::Misconfigured(_), late: true } => order.doubts > 1,
        _ => false,
    }
}

/// What no single report may break.
fn lawful(before: &Order, heard: &Heard) {
    let after = &heard.order;
    assert_eq!(heard.changed, after != before);
    assert_eq!(after.sequence, before.sequence + i64::from(heard.changed));
    assert_eq!(heard.changed, after.updated_at > before.updated_at || after.sequence > before.sequence);
    assert!(!before.is_final || (after.state == before.state && after.is_final), "{:?} -> {:?}", before.state, after.state);
    assert!(!(before.state.status() == "failed" && after.state.status() == "succeeded"));
    assert_eq!(after.state.ends_at_once() && after.is_final, after.state.ends_at_once());
    assert!(!after.is_final || after.final_at.is_some());
    assert!(after.doubts >= 0 && (after.doubts > 0) == after.doubt_since.is_some() && !(after.is_final && after.doubts > 0));
    assert!(after.amount_received >= before.amount_received || before.fee != after.fee, "money that was seen is not forgotten");
    if after.kind == Kind::Deposit {
        assert!(after.amount_confirmed <= after.amount_received);
        let counted = heard.received.as_ref().is_some_and(|received| received.matched);
        assert_eq!(counted, after.amount_received > before.amount_received, "counted money and a receipt come together");
    }
    assert!(heard.refusal.is_none() || !heard.changed, "a refusal moves nothing");
    assert!(after.failure.is_none() || matches!(after.state.status(), "failed" | "rejected" | "requires_review"));
}

/// Who wants to send again, with proof or without, how many hours later; and whether the call is then made.
fn wishes() -> impl Strategy<Value = Vec<(&'static str, bool, u64, bool)>> {
    let proof = prop_oneof![9 => Just(false), 1 => Just(true)];
    proptest::collection::vec((select(vec!["ada", "bob", "eve"]), proof, 0..30_u64, any::<bool>()), 1..16)
}

proptest! {
    /// A call whose outcome is unknown is made again for two different keys within a day, or with proof of absence; each time once.
    #[test]
    fn nobody_sends_again_alone(wishes in wishes()) {
        let mut order = at(PARKED);
        let mut asked: Option<(&str, u64)> = None;
        let mut hours = 0;
        for (by, absent, later, sends) in wishes {
            hours += later;
            let before = order.clone();
            let heard = hear_at(&order, &decided(Decision::Retry, by, absent), &Policy::default(), hours);
            order = heard.order;
            let waiting = asked.filter(|(_, since)| hours - since < 24);
            let agreed = absent || waiting.is_some_and(|(first, _)| first != by);
            prop_assert_eq!(order.state == UNKNOWN, before.state == PARKED && agreed);
            if order.state == PARKED {
                prop_assert_eq!(heard.refusal, waiting.map(|_| Refusal::NeedsAnother));
                asked = waiting.or(Some((by, hours)));
                continue;
            }
            prop_assert_eq!(order.retry.as_ref().is_some_and(crate::domain::order::Retry::is_granted), !absent);
            if sends {
                let attempt = report(Channel::Gateway, true, Says::Attempt(Permit::moves_nothing(&at(CREATED)).unwrap()));
                order = hear_at(&order, &attempt, &Policy::default(), hours).order;
                prop_assert!(order.retry.is_none(), "an agreement is used up by the call");
                order = hear_at(&order, &answer(lost()), &Policy::default(), hours).order;
            }
            order = hear_at(&order, &clock(Says::GaveUp), &Policy::default(), hours).order;
            prop_assert_eq!((order.state, order.retry.as_ref()), (PARKED, None));
            asked = None;
        }
    }

    #[test]
    fn what_is_told_of_a_payout_in_any_order_ends_in_the_truth((truth, doubts, one, two) in two_orders_of_a_payout()) {
        let mut order = payout(SUBMITTING);
        (order.doubts, order.doubt_since) = (doubts, (doubts > 0).then_some(order.created_at));
        let end = End::from(after(&order, &one));
        prop_assert_eq!(end.state.status(), match truth { Truth::Paid => "succeeded", Truth::Failed => "failed" });
        prop_assert_eq!(end, End::from(after(&order, &two)));
    }

    #[test]
    fn what_is_told_of_a_deposit_in_any_order_ends_in_the_truth((truth, one, two) in two_orders_of_a_deposit()) {
        let order = deposit(State::Deposit(Deposit::Created));
        let [one, two] = [one, two].map(|reports| {
            let end = End::from(after(&order, &reports));
            // Money seen after a failure is a contradiction of which nothing is kept: its details depend on the order.
            if truth == Truth::Failed { End { fee: None, txid: None, confirmations: None, ..end } } else { end }
        });
        prop_assert_eq!(one.state.status(), match truth { Truth::Paid => "succeeded", Truth::Failed => "failed" });
        prop_assert_eq!(one, two);
    }

    #[test]
    fn a_deposit_that_nobody_paid_expires_whatever_was_claimed_of_it(times in proptest::collection::vec(0..4_usize, 1..12)) {
        let created = deposit(State::Deposit(Deposit::Created));
        let told = [
            answer(accepted(record(&created, Standing::Awaiting))),
            claim(record(&created, Standing::Paid)),
            lookup(record(&created, Standing::Awaiting)),
            clock(Says::TimeUp),
        ];
        let reports: Vec<_> = times.into_iter().map(|which| told[which].clone()).collect();
        let expired = after(&after(&created, &reports), &[clock(Says::TimeUp)]);
        let closed = hear_at(&expired, &clock(Says::Close), &Policy::default(), 48).order;
        prop_assert_eq!((closed.state, closed.is_final, closed.claim), (EXPIRED, true, None));
        prop_assert!(closed.amount_received.is_zero() && !closed.late);
    }

    #[test]
    fn a_payout_ends_as_the_books_of_the_provider_say(plan in plan(), truth in truth(), chances: Vec<Index>) {
        let mut play = Play { order: payout(State::Payout(Payout::Queued)), plan, open: None, late: Vec::new(), moved: false, truth };
        for chance in chances {
            play.step(chance);
        }
        play.finish();
        let paid = play.moved && truth == Truth::Paid;
        prop_assert_eq!(play.order.state, State::Payout(if paid { Payout::Succeeded } else { Payout::Failed }));
        prop_assert_eq!(play.order.amount_confirmed, if paid { play.order.amount } else { Amount::ZERO });
    }

    #[test]
    fn the_same_report_twice_is_one_step((order, policy, history) in any_history()) {
        let mut order = order;
        let mut hours = 0;
        for (report, later) in history {
            hours += u64::from(later);
            let once = hear_at(&order, &report, &policy, hours).order;
            let twice = hear_at(&once, &report, &policy, hours);
            prop_assert!(!twice.changed || counts(&order, &report), "{:?} again: {:?} -> {:?}", report, once, twice.order);
            order = once;
        }
    }

    #[test]
    fn no_history_breaks_the_law((order, policy, history) in any_history()) {
        let mut order = order;
        let mut hours = 0;
        for (report, later) in history {
            hours += u64::from(later);
            let heard = hear_at(&order, &report, &policy, hours);
            lawful(&order, &heard);
            order = heard.order;
        }
    }

    #[test]
    fn what_is_not_proven_ends_nothing_and_counts_nothing(
        order in any_order(),
        policy in any_policy(),
        records in proptest::collection::vec((any_record(), any::<bool>()), 1..8),
    ) {
        let claimed = records.into_iter().fold(order.clone(), |order, (record, browser)| {
            let channel = if browser { Channel::Browser } else { Channel::Callback };
            hear_at(&order, &report(channel, false, Says::Record(record)), &policy, 30).order
        });
        prop_assert_eq!(claimed.is_final, order.is_final);
        prop_assert_eq!((claimed.amount_received, claimed.amount_confirmed), (order.amount_received, order.amount_confirmed));
        prop_assert_eq!((claimed.fee, claimed.provider_reference, claimed.doubts), (order.fee, order.provider_reference, order.doubts));
        prop_assert!(claimed.state == order.state || claimed.state == VERIFYING);
    }

    #[test]
    fn a_mismatch_that_anybody_can_send_changes_nothing(order in any_order(), record in any_wrong_record(), proven: bool) {
        let heard = heard(&order, &report(Channel::Callback, proven, Says::Record(record)));
        prop_assert_eq!(&heard.order, &order);
        prop_assert!(!heard.changed && heard.received.is_none());
        prop_assert_eq!(heard.finding.unwrap().kind, FindingKind::ForgedCallback);
    }

    #[test]
    fn a_mismatch_that_the_provider_sends_calls_a_human(order in any_order(), record in any_wrong_record()) {
        let heard = heard(&order, &lookup(record));
        prop_assert!(heard.finding.is_some_and(|finding| finding.kind != FindingKind::ForgedCallback));
        if order.is_final {
            prop_assert_eq!((heard.order, heard.changed), (order, false));
            prop_assert!(matches!(heard.refusal, Some(Refusal::Contradiction | Refusal::TooLate)));
        } else {
            prop_assert_eq!(heard.order.status_and_stage(), ("requires_review", Some("mismatch")));
            prop_assert!(heard.received.is_none());
        }
    }
}
