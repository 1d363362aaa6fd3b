use super::*;
use crate::domain::account::{AcceptOrReview, Under};
use crate::domain::ids::{CustomerId, MerchantId, OrderId, TradeId};

use crate::domain::finding::*;
use crate::domain::order::{Birth, Destination, Direction, Kind, Provider};
use crate::domain::recovery::Permit;
use crate::domain::report::*;
use crate::domain::report::{Channel, Code};
use crate::domain::status::*;

mod decisions;
mod laws;
mod twins;

/// A payout of 12.5 usdt to FOMO's user 42.
pub fn payout(state: State) -> Order {
    let created_at = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
    let birth = Birth {
        merchant_id: MerchantId(uuid::Uuid::from_u128(1)),
        id: OrderId(uuid::Uuid::from_u128(2)),
        trade_id: TradeId::parse("trade-1").unwrap(),
        kind: Kind::Payout,
        provider: Provider::Fomo,
        coin: "usdt".into(),
        provider_coin_id: "5".into(),
        decimals: 6,
        amount: Amount::parse("12.5").unwrap(),
        at: created_at,
    };
    Order {
        state,
        destination: Some(Destination::FomoUser { user_id: "42".into() }),
        provider_user: Some("42".into()),
        ..Order::new(birth)
    }
}

/// A deposit of 12.5 usdt by the customer who is FOMO's user 42.
pub fn deposit(state: State) -> Order {
    let order = payout(state);
    let expires_at = Some(order.created_at + std::time::Duration::from_mins(15));
    Order { kind: Kind::Deposit, destination: None, customer: Some(CustomerId::parse("customer-7").unwrap()), expires_at, ..order }
}

/// The order as it is when it has come to this place: final where that ends it, in doubt where that is what it means.
pub fn at(state: State) -> Order {
    let mut order = if matches!(state, State::Deposit(_)) { deposit(state) } else { payout(state) };
    order.is_final = state.ends_at_once();
    order.final_at = match order.is_final {
        true => Some(order.created_at),
        false => state.ends_later().then(|| order.created_at + Timing::default().late_window),
    };
    if matches!(state, State::Payout(Payout::OutcomeUnknown | Payout::RequiresReview(Review::OutcomeUnknown))) {
        (order.doubts, order.doubt_since) = (1, Some(order.created_at));
    }
    if state.status() == "succeeded" {
        (order.amount_received, order.amount_confirmed) = (order.amount, order.amount);
    }
    order
}

fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

/// What the provider would say of the order if all were well.
fn record(order: &Order, standing: Standing) -> ProviderRecord {
    ProviderRecord {
        trade_id: Some("trade-1".into()),
        reference: Some("T1".into()),
        user: Some("42".into()),
        coin: Some("5".into()),
        amount: Some(order.amount),
        direction: Some(order.direction()),
        ..ProviderRecord::new(standing)
    }
}

fn report(channel: Channel, proven: bool, says: Says) -> Report {
    Report { channel, proven, says, evidence: None }
}

fn answer(outcome: Outcome) -> Report {
    report(Channel::Answer, true, Says::Answer { outcome, late: false })
}

fn late_answer(outcome: Outcome) -> Report {
    report(Channel::Answer, true, Says::Answer { outcome, late: true })
}

fn lookup(record: ProviderRecord) -> Report {
    report(Channel::Lookup, true, Says::Record(record))
}

/// A call of the provider that can still be checked by a query.
fn claim(record: ProviderRecord) -> Report {
    report(Channel::Callback, false, Says::Record(record))
}

/// A call of the provider where nothing better is to be had.
fn callback(record: ProviderRecord) -> Report {
    report(Channel::Callback, true, Says::Record(record))
}

fn clock(says: Says) -> Report {
    report(Channel::Clock, true, says)
}

fn decide(decision: Decision) -> Report {
    decided(decision, "ada", false)
}

fn decided(decision: Decision, by: &str, absent: bool) -> Report {
    report(Channel::Operator, true, Says::Decision { decision, by: by.into(), reason: "seen in the wallet".into(), absent })
}

fn refused() -> Outcome {
    let message = "The provider says that the balance is too low.".to_owned();
    Outcome::Refused(Code { code: "insufficient_balance", provider_code: "24".into(), message })
}

fn lost() -> Outcome {
    Outcome::Unknown("timeout".into())
}

fn not_sent() -> Outcome {
    Outcome::NotSent("no connection".into())
}

fn accepted(record: ProviderRecord) -> Outcome {
    Outcome::Accepted(Box::new(record))
}

/// Hears it under this policy, so many hours into the order's life.
fn hear_at(order: &Order, report: &Report, policy: &Policy, hours: u64) -> Heard {
    let now = order.created_at + std::time::Duration::from_hours(hours);
    hear(order, report, Rules { policy, timing: &Timing::default(), now })
}

fn heard(order: &Order, report: &Report) -> Heard {
    hear_at(order, report, &Policy::default(), 1)
}

/// The order after all of them.
fn after(order: &Order, reports: &[Report]) -> Order {
    reports.iter().fold(order.clone(), |order, report| heard(&order, report).order)
}

const CREATED: State = State::Deposit(Deposit::Created);
const AWAITING: State = State::Deposit(Deposit::AwaitingPayment);
const VERIFYING: State = State::Deposit(Deposit::Verifying);
const EXPIRED: State = State::Deposit(Deposit::Expired);
const SUBMITTING: State = State::Payout(Payout::Submitting);
const UNKNOWN: State = State::Payout(Payout::OutcomeUnknown);
const PARKED: State = State::Payout(Payout::RequiresReview(Review::OutcomeUnknown));
const SENT: State = State::Payout(Payout::Succeeded);

#[test]
fn money_after_expiry_counts_and_is_called_late() {
    let expired = heard(&at(AWAITING), &clock(Says::TimeUp)).order;
    assert_eq!((expired.state, expired.is_final, expired.late), (EXPIRED, false, false));
    let paid = heard(&expired, &lookup(record(&expired, Standing::Paid)));
    assert_eq!(paid.order.state, State::Deposit(Deposit::Succeeded));
    assert!(paid.order.late && paid.order.is_final);
    assert_eq!(paid.order.amount_confirmed, expired.amount);
    assert!(paid.received.unwrap().matched);
}

#[test]
fn late_money_waits_for_a_human_where_the_account_wants_that() {
    let policy = Policy { late: AcceptOrReview::Review, ..Policy::default() };
    let order = at(EXPIRED);
    let paid = hear_at(&order, &lookup(record(&order, Standing::Paid)), &policy, 1);
    assert_eq!(paid.order.state, State::Deposit(Deposit::RequiresReview(Review::Late)));
    assert!(paid.order.late && !paid.order.is_final);
    assert_eq!(paid.order.amount_received, order.amount);
    let confirmed = hear_at(&paid.order, &decide(Decision::Confirm), &policy, 2);
    assert_eq!(confirmed.order.state, State::Deposit(Deposit::Succeeded));
    assert_eq!(confirmed.received, None, "the receipt was written when the money came");
}

#[test]
fn a_failure_after_success_is_a_contradiction_that_changes_nothing() {
    for state in [State::Deposit(Deposit::Succeeded), SENT] {
        let order = at(state);
        let heard = heard(&order, &lookup(record(&order, Standing::Failed)));
        assert_eq!((&heard.order, heard.changed), (&order, false));
        assert_eq!(heard.refusal, Some(Refusal::Contradiction));
        assert_eq!(heard.finding.unwrap().kind, FindingKind::Contradiction);
    }
}

#[test]
fn every_field_that_does_not_agree_is_named_with_both_sides() {
    for state in [AWAITING, SUBMITTING] {
        let mut order = at(state);
        order.provider_reference = Some("T1".into());
        let (other_way, wrong) = (if order.direction() == Direction::In { Direction::Out } else { Direction::In }, Some("x".to_owned()));
        let right = record(&order, Standing::Paid);
        for (name, kind, record) in [
            ("amount", FindingKind::Amount, ProviderRecord { amount: Some(amount("12.4")), ..right.clone() }),
            ("coin", FindingKind::Coin, ProviderRecord { coin: wrong.clone(), ..right.clone() }),
            ("user", FindingKind::Recipient, ProviderRecord { user: wrong.clone(), ..right.clone() }),
            ("direction", FindingKind::Contradiction, ProviderRecord { direction: Some(other_way), ..right.clone() }),
            ("trade_id", FindingKind::Contradiction, ProviderRecord { trade_id: wrong.clone(), ..right.clone() }),
            ("reference", FindingKind::Duplicate, ProviderRecord { reference: wrong.clone(), ..right.clone() }),
        ] {
            let heard = heard(&order, &lookup(record));
            let finding = heard.finding.unwrap();
            assert_eq!(finding.kind, kind);
            assert!(finding.ours.get(name).is_some() && finding.theirs.get(name).is_some(), "{name}: {finding:?}");
            assert_eq!((heard.order.status_and_stage(), heard.received), (("requires_review", Some("mismatch")), None));
        }
    }
}

#[test]
fn what_a_record_does_not_say_is_not_compared() {
    let order = at(SUBMITTING);
    let heard = heard(&order, &lookup(ProviderRecord::new(Standing::Paid)));
    assert_eq!((heard.order.state, heard.finding), (SENT, None));
}

#[test]
fn a_fee_that_comes_later_is_filled_in_without_a_change_of_status() {
    let sent = heard(&at(SUBMITTING), &callback(record(&at(SUBMITTING), Standing::Paid))).order;
    assert_eq!((sent.amount_received, sent.fee), (sent.amount, None));
    for standing in [Standing::Paid, Standing::Broadcast] {
        let fee = Some(amount("0.5"));
        let later = heard(&sent, &lookup(ProviderRecord { fee, ..record(&sent, standing) }));
        assert_eq!((later.order.state, later.order.fee, later.changed), (SENT, fee, true));
        assert_eq!((later.order.amount_confirmed, later.order.amount_received), (sent.amount, amount("12")));
        assert_eq!(later.order.sequence, sent.sequence + 1);
    }
}

#[test]
fn a_refusal_of_the_second_call_says_nothing_of_the_first_that_is_in_doubt() {
    let second = heard(&at(UNKNOWN), &report(Channel::Gateway, true, Says::Attempt(Permit::moves_nothing(&at(CREATED)).unwrap()))).order;
    assert_eq!((second.state, second.doubts), (SUBMITTING, 1));
    let refused = heard(&second, &answer(refused())).order;
    assert_eq!((refused.state, refused.doubts, refused.failure), (UNKNOWN, 1, None));
}

#[test]
fn a_late_refusal_of_the_first_call_does_not_end_an_order_whose_second_call_is_open() {
    for nothing_moved in [refused(), not_sent()] {
        let mut second = at(SUBMITTING);
        (second.doubts, second.doubt_since) = (1, Some(second.created_at));
        let heard = heard(&second, &late_answer(nothing_moved)).order;
        assert_eq!((heard.state, heard.doubts, heard.doubt_since), (SUBMITTING, 0, None));
    }
}

#[test]
fn a_late_refusal_of_the_only_call_ends_the_order() {
    for state in [UNKNOWN, PARKED] {
        let failed = heard(&at(state), &late_answer(refused())).order;
        assert_eq!((failed.state, failed.doubts, failed.is_final), (State::Payout(Payout::Failed), 0, true));
        assert_eq!(failed.failure.unwrap().provider_code.as_deref(), Some("24"));
    }
    assert_eq!(heard(&at(UNKNOWN), &late_answer(not_sent())).order.state, State::Payout(Payout::Queued));
}

#[test]
fn a_duplicate_is_accepted_with_a_doubt_and_adopts_what_it_is_told() {
    let order = at(SUBMITTING);
    let told = Outcome::Duplicate(Some(Box::new(record(&order, Standing::Accepted))));
    for (outcome, reference) in [(Outcome::Duplicate(None), None), (told, Some("T1"))] {
        let heard = heard(&order, &answer(outcome)).order;
        assert_eq!((heard.state, heard.doubts), (State::Payout(Payout::Accepted), 1));
        assert_eq!(heard.provider_reference.as_deref(), reference);
        let gave_up = after(&heard, &[clock(Says::GaveUp)]);
        assert_eq!(gave_up.state, PARKED);
    }
}

#[test]
fn a_lost_answer_puts_no_doubt_on_a_payout_that_the_provider_is_known_to_have() {
    let in_review = heard(&at(SUBMITTING), &lookup(record(&at(SUBMITTING), Standing::InReview))).order;
    for outcome in [lost(), Outcome::Duplicate(None)] {
        let heard = heard(&in_review, &answer(outcome));
        assert_eq!((heard.order.state, heard.order.doubts, heard.changed), (State::Payout(Payout::ProviderReview), 0, false));
    }
}

#[test]
fn a_parked_payout_goes_on_when_the_provider_turns_out_to_have_it_and_is_not_sent_again() {
    for (standing, stage) in [(Standing::Accepted, "accepted"), (Standing::InReview, "provider_review"), (Standing::Broadcast, "broadcast")]
    {
        let known = heard(&at(PARKED), &lookup(record(&at(PARKED), standing))).order;
        assert_eq!(known.status_and_stage(), ("processing", Some(stage)));
        assert_eq!((known.doubts, &known.failure), (0, &None));
        assert_eq!(heard(&known, &decide(Decision::Retry)).refusal, Some(Refusal::NotReviewable));
    }
}

#[test]
fn a_payout_that_the_provider_knows_otherwise_is_never_sent_again() {
    for state in [State::Payout(Payout::Queued), SUBMITTING, UNKNOWN, State::Payout(Payout::Accepted), PARKED] {
        let order = at(state);
        let wrong = ProviderRecord { amount: Some(amount("125")), ..record(&order, Standing::Accepted) };
        let parked = heard(&order, &lookup(wrong)).order;
        assert_eq!(parked.status_and_stage(), ("requires_review", Some("mismatch")));
        assert_eq!(heard(&parked, &decide(Decision::Retry)).refusal, Some(Refusal::MightPayTwice));
    }
}

#[test]
fn a_false_claim_that_was_not_proven_in_time_expires_and_is_named_forged() {
    let claimed = heard(&at(AWAITING), &claim(record(&at(AWAITING), Standing::Paid))).order;
    assert_eq!((claimed.state, claimed.amount_received), (VERIFYING, Amount::ZERO));
    let expired = heard(&claimed, &clock(Says::TimeUp));
    assert_eq!((expired.order.state, expired.order.claim), (EXPIRED, None));
    assert_eq!(expired.finding.unwrap().kind, FindingKind::ForgedCallback);
}

#[test]
fn a_claim_of_failure_that_nobody_contradicts_until_the_end_is_a_failure() {
    let claimed = heard(&at(AWAITING), &claim(record(&at(AWAITING), Standing::Failed))).order;
    let failed = heard(&claimed, &clock(Says::TimeUp));
    assert_eq!((failed.order.state, failed.order.claim, failed.finding), (State::Deposit(Deposit::Failed), None, None));
}

#[test]
fn a_closed_deposit_is_final_and_money_after_it_has_no_order() {
    let order = at(EXPIRED);
    let early = hear_at(&order, &clock(Says::Close), &Policy::default(), 23);
    assert!(!early.changed && !early.order.is_final);
    let closed = hear_at(&order, &clock(Says::Close), &Policy::default(), 24).order;
    assert!(closed.is_final);
    let late = hear_at(&closed, &lookup(record(&order, Standing::Paid)), &Policy::default(), 25);
    assert_eq!((late.order, late.changed, late.refusal), (closed, false, Some(Refusal::TooLate)));
    let received = late.received.unwrap();
    assert_eq!((received.matched, received.amount, &*received.provider_receipt_id), (false, order.amount, "T1"));
}

#[test]
fn no_money_is_received_by_what_only_says_that_it_may_come() {
    let closed = Order { is_final: true, ..at(EXPIRED) };
    let wrong = ProviderRecord { amount: Some(amount("1")), ..record(&closed, Standing::Failed) };
    for unpaid in [lookup(record(&closed, Standing::Accepted)), lookup(wrong), claim(record(&closed, Standing::Paid))] {
        let heard = heard(&closed, &unpaid);
        assert_eq!((heard.changed, heard.received), (false, None));
    }
}

#[test]
fn a_worker_that_gave_up_too_late_raises_no_alarm() {
    for state in [State::Deposit(Deposit::Succeeded), State::Deposit(Deposit::Failed), EXPIRED, SENT] {
        let heard = heard(&at(state), &clock(Says::GaveUp));
        assert_eq!((heard.changed, heard.refusal, heard.finding), (false, None, None), "{state:?}");
    }
}

#[test]
fn a_callback_that_beats_the_answer_keeps_its_place() {
    let (created, awaiting) = (at(State::Deposit(Deposit::Created)), at(AWAITING));
    let offered = answer(accepted(record(&created, Standing::Awaiting)));
    let verifying = after(&created, &[claim(record(&created, Standing::Paid)), offered.clone()]);
    assert_eq!((verifying.state, verifying.provider_reference.as_deref()), (VERIFYING, Some("T1")));
    assert_eq!(after(&created, &[offered]).state, awaiting.state);
}

#[test]
fn the_offer_of_the_provider_shortens_the_deadline_and_never_lengthens_it() {
    let created = at(State::Deposit(Deposit::Created));
    for (minutes, expected) in [(3, 3), (60, 15)] {
        let expires_at = created.created_at + time::Duration::minutes(minutes);
        let next_action = Some(NextAction::ConfirmInApp { transfer_id: "T1".into(), expires_at });
        let offered = heard(&created, &answer(accepted(ProviderRecord { next_action, ..record(&created, Standing::Awaiting) }))).order;
        assert_eq!(offered.expires_at, Some(created.created_at + time::Duration::minutes(expected)));
        assert!(offered.next_action.is_some());
    }
}

/// Law 5 against the rule that a claimed failure and "nobody paid yet" make a failure: whoever can call
/// us ends a deposit that the customer is about to pay, and its money becomes a contradiction.
#[test]
fn a_forged_failure_does_not_end_a_deposit_that_is_then_paid() {
    let order = at(AWAITING);
    let reports =
        [claim(record(&order, Standing::Failed)), lookup(record(&order, Standing::Awaiting)), lookup(record(&order, Standing::Paid))];
    assert_eq!(after(&order, &reports).state, State::Deposit(Deposit::Succeeded));
}

impl Order {
    fn status_and_stage(&self) -> (&'static str, Option<&'static str>) {
        (self.state.status(), self.state.stage())
    }
}
