//! Hearing a report: compare it with the order, look its fact up in the state machine, and say what
//! the order becomes. Pure, and the same for every provider and every channel.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::account::{AcceptOrReview, Policy, Under};
use super::agenda::Timing;
use super::money::Amount;
use super::order::{Claim, Failure, NextAction, Order};
use super::report::{Decision, Finding, FindingKind, Outcome, ProviderRecord, Report, Says, Standing};
use super::status::{Circumstances, Deposit, DepositFact, Fact, Payout, PayoutFact, Refusal, Review, State, advance};

/// What hearing needs besides the order and the report.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The account's choices.
    pub policy: &'a Policy,
    /// The operator's times.
    pub timing: &'a Timing,
    /// The present.
    pub now: OffsetDateTime,
}

/// What a report leads to.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    /// The order as it is after the report; with the next sequence if it `changed`.
    pub order: Order,
    /// Whether the report made a step.
    pub changed: bool,
    /// Why the report's fact was not followed.
    pub refusal: Option<Refusal>,
    /// Where the report and the order disagree.
    pub finding: Option<Finding>,
    /// Money that the report proves.
    pub received: Option<Received>,
}

/// Incoming money that a report proves: it becomes a receipt.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// The provider's id of the movement.
    pub provider_receipt_id: String,
    /// How much came, the fee not taken off.
    pub amount: Amount,
    /// What the provider took of it.
    pub fee: Option<Amount>,
    /// Whether it counts for the order; else nobody's order is open to it any more.
    pub matched: bool,
}

/// Says what the order becomes when `report` is heard.
pub fn hear(order: &Order, report: &Report, rules: Rules<'_>) -> Heard {
    let mut heard = Heard { order: order.clone(), changed: false, refusal: None, finding: None, received: None };
    let mismatch = record_of(report).and_then(|record| mismatch(order, record));
    if let Some(finding) = mismatch {
        if !report.is_authenticated() {
            heard.finding = Some(Finding { kind: FindingKind::ForgedCallback, ..finding });
            return heard;
        }
        heard.finding = Some(finding);
    }
    count_doubts(&mut heard.order, report, rules.now);
    let fact = if heard.finding.is_some() { doubtful(order, Review::Mismatch) } else { fact(order, report, rules.policy) };
    follow(&mut heard, order, report, fact, rules);
    heard.changed = heard.order != *order;
    if heard.changed {
        heard.order.sequence += 1;
        heard.order.updated_at = rules.now;
    }
    heard
}

/// Takes the fact through the state machine and writes down what comes of it.
fn follow(heard: &mut Heard, before: &Order, report: &Report, fact: Option<Fact>, rules: Rules<'_>) {
    let trusted = heard.finding.is_none();
    let circumstances = Circumstances { doubts: heard.order.doubts, is_final: before.is_final };
    match fact.map(|fact| advance(before.state, fact, circumstances)) {
        None => {}
        Some(Ok(state)) => {
            heard.order.state = state;
            explain(&mut heard.order, before, report);
        }
        Some(Err(refusal)) => {
            heard.refusal = Some(refusal);
            heard.order = before.clone();
            if refusal == Refusal::Contradiction && heard.finding.is_none() {
                heard.finding = Some(contradiction(before, report));
            }
            if refusal == Refusal::TooLate && report.proven {
                let paid = record_of(report).filter(|record| record.standing == Standing::Paid);
                heard.received = paid.map(|record| received(before, record, false));
            }
            return;
        }
    }
    if trusted {
        if let Some(record) = record_of(report) {
            amend(&mut heard.order, record, report);
        }
        heard.received = count_money(&mut heard.order, before, report, fact);
    }
    if matches!(report.says, Says::TimeUp)
        && before.state != heard.order.state
        && let Some(claim) = heard.order.claim.take()
    {
        heard.finding = claim.paid.then(|| disproven(before));
    }
    conclude(&mut heard.order, before, report, rules);
}

/// Keeps count of the attempts that may have moved money without our knowing.
fn count_doubts(order: &mut Order, report: &Report, now: OffsetDateTime) {
    // The provider is known to have it: whatever a call came to, it was this movement.
    let taken = order.state.is_taken();
    match &report.says {
        Says::Answer { outcome: Outcome::Accepted(_), .. } => order.doubts = 0,
        Says::Answer { .. } if taken => {}
        Says::Answer { outcome: Outcome::Unknown(_), late: false } if a_call_may_be_open(order) => order.doubts += 1,
        Says::Answer { outcome: Outcome::Unknown(_), late: true } => {}
        Says::Answer { outcome: Outcome::Unknown(_) | Outcome::Duplicate(_), .. } => order.doubts = order.doubts.max(1),
        Says::Answer { late: true, .. } => order.doubts = (order.doubts - 1).max(0),
        Says::Record(record) if report.proven && record.standing != Standing::Awaiting => order.doubts = 0,
        Says::Decision { decision: Decision::Confirm | Decision::Reject, .. } => order.doubts = 0,
        _ => {}
    }
    order.doubt_since = (order.doubts > 0).then(|| order.doubt_since.unwrap_or(now));
}

fn record_of(report: &Report) -> Option<&ProviderRecord> {
    match &report.says {
        Says::Record(record) => Some(record),
        Says::Answer { outcome: Outcome::Accepted(record) | Outcome::Duplicate(Some(record)), .. } => Some(record),
        _ => None,
    }
}

/// Where a record does not agree with the order: what was not said is not compared.
fn mismatch(order: &Order, record: &ProviderRecord) -> Option<Finding> {
    let mut ours = Map::new();
    let mut theirs = Map::new();
    let mut kind = None;
    let mut compare = |name: &str, finding, our: Option<Value>, their: Option<Value>| {
        if let (Some(our), Some(their)) = (our, their)
            && our != their
        {
            ours.insert(name.to_owned(), our);
            theirs.insert(name.to_owned(), their);
            kind.get_or_insert(finding);
        }
    };
    let text = |value: &Option<String>| value.as_ref().map(|value| json!(value));
    compare("amount", FindingKind::Amount, Some(json!(order.amount)), record.amount.map(|amount| json!(amount)));
    compare("coin", FindingKind::Coin, Some(json!(order.provider_coin_id)), text(&record.coin));
    compare("user", FindingKind::Recipient, text(&order.provider_user), text(&record.user));
    compare("direction", FindingKind::Contradiction, Some(json!(order.direction())), record.direction.map(|direction| json!(direction)));
    compare("trade_id", FindingKind::Contradiction, Some(json!(order.trade_id)), text(&record.trade_id));
    compare("reference", FindingKind::Duplicate, text(&order.provider_reference), text(&record.reference));
    kind.map(|kind| Finding { kind, ours: Value::Object(ours), theirs: Value::Object(theirs) })
}

fn contradiction(order: &Order, report: &Report) -> Finding {
    let theirs = record_of(report).map_or_else(|| json!({ "says": report.reason() }), ProviderRecord::summary);
    Finding { kind: FindingKind::Contradiction, ours: json!({ "status": order.state.status() }), theirs }
}

fn disproven(order: &Order) -> Finding {
    Finding {
        kind: FindingKind::ForgedCallback,
        ours: json!({ "status": order.state.status(), "provider_says": "not paid" }),
        theirs: json!({ "claimed": order.claim }),
    }
}

fn doubtful(order: &Order, review: Review) -> Option<Fact> {
    Some(match order.state {
        State::Deposit(_) => Fact::Deposit(DepositFact::Doubtful(review)),
        State::Payout(_) => Fact::Payout(PayoutFact::Doubtful(review)),
    })
}

/// What is learnt from a report that agrees with the order.
fn fact(order: &Order, report: &Report, policy: &Policy) -> Option<Fact> {
    if is_about_an_earlier_call(order, report) {
        return None;
    }
    match order.state {
        State::Deposit(state) => deposit_fact(order, state, report, policy).map(Fact::Deposit),
        State::Payout(_) => payout_fact(report).map(Fact::Payout),
    }
}

/// A late answer by which nothing moved lifts a doubt. Where another call may be open by now, that
/// call's own answer decides.
fn is_about_an_earlier_call(order: &Order, report: &Report) -> bool {
    let moved = |outcome: &Outcome| matches!(outcome, Outcome::Accepted(_) | Outcome::Duplicate(_));
    a_call_may_be_open(order) && matches!(&report.says, Says::Answer { outcome, late: true } if !moved(outcome))
}

fn a_call_may_be_open(order: &Order) -> bool {
    matches!(order.state, State::Payout(Payout::Submitting) | State::Deposit(Deposit::Created))
}

fn deposit_fact(order: &Order, state: Deposit, report: &Report, policy: &Policy) -> Option<DepositFact> {
    match &report.says {
        Says::Attempt(_) | Says::Close | Says::Nothing | Says::Unreadable(_) => None,
        Says::Answer { outcome, .. } => match outcome {
            Outcome::Accepted(_) => Some(DepositFact::Offered),
            Outcome::Duplicate(Some(record)) if record.reference.is_some() => Some(DepositFact::Offered),
            Outcome::Refused(_) => Some(DepositFact::Refused),
            Outcome::Duplicate(_) | Outcome::NotSent(_) | Outcome::Misconfigured(_) | Outcome::Unknown(_) => None,
        },
        Says::Record(record) => deposit_record_fact(order, state, record.standing, report.proven, policy),
        Says::TimeUp => Some(match policy.under {
            // Somebody said that it failed, and until the end the provider knew of no payment.
            _ if state == Deposit::Verifying && claimed_failure(order) => DepositFact::Failed,
            _ if state != Deposit::PartiallyPaid => DepositFact::TimeUp,
            Under::Wait => DepositFact::TimeUp,
            Under::Accept => DepositFact::Paid,
            Under::Review => DepositFact::Doubtful(Review::UnderPaid),
        }),
        Says::GaveUp if order.state.ends_at_once() || order.state.ends_later() => None,
        Says::GaveUp => Some(DepositFact::Doubtful(Review::Unproven)),
        Says::Cancel => Some(DepositFact::Cancel),
        Says::Decision { decision, .. } => Some(match decision {
            Decision::Confirm => DepositFact::Confirm,
            Decision::Reject => DepositFact::Reject,
            Decision::Retry | Decision::Approve => return None,
        }),
    }
}

fn deposit_record_fact(order: &Order, state: Deposit, standing: Standing, proven: bool, policy: &Policy) -> Option<DepositFact> {
    let late = order.late || matches!(state, Deposit::Expired | Deposit::Canceled);
    match standing {
        Standing::Paid | Standing::Failed if !proven => Some(DepositFact::Claimed),
        Standing::Paid if late && !order.is_final && policy.late == AcceptOrReview::Review => Some(DepositFact::Doubtful(Review::Late)),
        Standing::Paid => Some(DepositFact::Paid),
        Standing::Failed => Some(DepositFact::Failed),
        Standing::Awaiting => None,
        Standing::Accepted | Standing::InReview | Standing::Broadcast => proven.then_some(DepositFact::AllSeen),
    }
}

fn claimed_failure(order: &Order) -> bool {
    order.claim.as_ref().is_some_and(|claim| !claim.paid)
}

fn payout_fact(report: &Report) -> Option<PayoutFact> {
    let of_standing = |standing| match standing {
        Standing::Awaiting => None,
        Standing::Accepted => Some(PayoutFact::Accepted),
        Standing::InReview => Some(PayoutFact::InReview),
        Standing::Broadcast => Some(PayoutFact::Broadcast),
        Standing::Paid => Some(PayoutFact::Paid),
        Standing::Failed => Some(PayoutFact::Failed),
    };
    match &report.says {
        Says::Attempt(_) => Some(PayoutFact::Claimed),
        Says::Answer { outcome, .. } => match outcome {
            Outcome::Accepted(record) => of_standing(record.standing).or(Some(PayoutFact::Accepted)),
            Outcome::Refused(_) => Some(PayoutFact::Refused),
            Outcome::NotSent(_) | Outcome::Misconfigured(_) => Some(PayoutFact::NotSent),
            Outcome::Duplicate(_) => Some(PayoutFact::Duplicate),
            Outcome::Unknown(_) => Some(PayoutFact::Unknown),
        },
        Says::Record(record) => of_standing(record.standing).filter(|_| report.proven),
        Says::GaveUp => Some(PayoutFact::GaveUp),
        Says::Cancel => Some(PayoutFact::Cancel),
        Says::TimeUp | Says::Close | Says::Nothing | Says::Unreadable(_) => None,
        Says::Decision { decision, .. } => Some(match decision {
            Decision::Confirm => PayoutFact::Confirm,
            Decision::Reject => PayoutFact::Reject,
            Decision::Retry => PayoutFact::Retry,
            Decision::Approve => PayoutFact::Approve,
        }),
    }
}

/// Fills in what the record tells and the order does not know yet.
fn amend(order: &mut Order, record: &ProviderRecord, report: &Report) {
    if !report.proven {
        let claimed = matches!(record.standing, Standing::Paid | Standing::Failed);
        let keep = order.claim.as_ref().is_some_and(|claim| claim.paid);
        if claimed && order.state == State::Deposit(Deposit::Verifying) && !keep {
            order.claim = Some(Claim { paid: record.standing == Standing::Paid, reference: record.reference.clone(), fee: record.fee });
        }
        return;
    }
    fn fill<T: Clone>(place: &mut Option<T>, value: &Option<T>) {
        if place.is_none() {
            place.clone_from(value);
        }
    }
    fill(&mut order.provider_reference, &record.reference);
    if record.standing != Standing::Awaiting {
        fill(&mut order.fee, &record.fee);
    }
    fill(&mut order.txid, &record.txid);
    order.confirmations = order.confirmations.max(record.confirmations);
    if order.state == State::Deposit(Deposit::AwaitingPayment) {
        fill(&mut order.next_action, &record.next_action);
        if let Some(NextAction::ConfirmInApp { expires_at, .. }) = &order.next_action {
            order.expires_at = order.expires_at.map(|ours| ours.min(*expires_at));
        }
    }
}

/// Writes down the money that a fact proves.
fn count_money(order: &mut Order, before: &Order, report: &Report, fact: Option<Fact>) -> Option<Received> {
    match fact {
        // The deadline brings no money: what was seen counts, as far as it went.
        Some(Fact::Deposit(_)) if matches!(report.says, Says::TimeUp) => None,
        Some(Fact::Deposit(DepositFact::Paid | DepositFact::Confirm | DepositFact::Doubtful(Review::Late))) => {
            let fresh = before.amount_received.is_zero();
            let claim = order.claim.take();
            if let Some(claim) = claim {
                order.provider_reference = order.provider_reference.take().or(claim.reference);
                order.fee = order.fee.or(claim.fee);
            }
            if fresh {
                order.amount_received = order.amount;
            }
            order.amount_confirmed = order.amount_received;
            let record = record_of(report).cloned().unwrap_or_else(|| ProviderRecord::new(Standing::Paid));
            fresh.then(|| received(order, &record, true))
        }
        _ if order.state == State::Payout(Payout::Succeeded) => {
            order.amount_confirmed = order.amount;
            order.amount_received = order.amount.minus(order.fee.unwrap_or_default()).unwrap_or_default();
            None
        }
        _ => None,
    }
}

fn received(order: &Order, record: &ProviderRecord, matched: bool) -> Received {
    let reference = record.reference.clone().or_else(|| order.provider_reference.clone());
    Received {
        provider_receipt_id: reference.unwrap_or_else(|| order.trade_id.to_string()),
        amount: record.amount.unwrap_or(order.amount),
        fee: record.fee.or(order.fee),
        matched,
    }
}

/// Says why an order failed or waits for a human; forgets it when it goes on.
fn explain(order: &mut Order, before: &Order, report: &Report) {
    if order.state == before.state {
        return;
    }
    let failure = |code: &str, message: String| Some(Failure { code: code.to_owned(), provider_code: None, message });
    order.failure = match (order.state, &report.says) {
        (State::Deposit(Deposit::Failed) | State::Payout(Payout::Failed), Says::Answer { outcome: Outcome::Refused(code), .. }) => {
            Some(Failure { code: code.code.to_owned(), provider_code: Some(code.provider_code.clone()), message: code.message.clone() })
        }
        (State::Deposit(Deposit::RequiresReview(review)) | State::Payout(Payout::RequiresReview(review)), _) => {
            failure(review.into(), review_message(review).to_owned())
        }
        (_, Says::Decision { decision: Decision::Reject, reason, .. }) => failure("rejected_by_operator", reason.clone()),
        (State::Deposit(Deposit::Failed) | State::Payout(Payout::Failed), _) => {
            failure("failed_at_provider", "The provider says that the payment failed.".to_owned())
        }
        _ => None,
    };
    if !matches!(order.state, State::Deposit(Deposit::AwaitingPayment | Deposit::PartiallyPaid)) {
        order.next_action = None;
    }
}

fn review_message(review: Review) -> &'static str {
    match review {
        Review::Mismatch => "The provider's record does not agree with the order. See its discrepancies.",
        Review::OutcomeUnknown => "Nobody can tell whether the money moved. Check at the provider, then resolve the order.",
        Review::Unproven => "The payment was claimed and could not be proven in time.",
        Review::UnderPaid => "Less came than was asked.",
        Review::OverPaid => "More came than was asked.",
        Review::Late => "The money came after expiry or cancellation.",
    }
}

/// Sets what follows from the new place alone: lateness and finality.
fn conclude(order: &mut Order, before: &Order, report: &Report, rules: Rules<'_>) {
    let was_over = before.state.ends_later();
    if was_over && order.state != before.state {
        order.late = true;
    }
    if order.state.ends_later() && !was_over {
        order.late = false;
        order.final_at = Some(rules.now + rules.timing.late_window);
    } else if order.state.ends_at_once() && !before.is_final {
        order.is_final = true;
        order.final_at = Some(rules.now);
        order.claim = None;
    } else if was_over && !order.state.ends_later() {
        order.final_at = None;
    }
    let over = order.final_at.is_some_and(|final_at| final_at <= rules.now);
    if matches!(report.says, Says::Close) && order.state.ends_later() && over {
        order.is_final = true;
    }
    if order.is_final {
        order.doubts = 0;
        order.doubt_since = None;
    }
}

#[cfg(test)]
#[path = "hearing_tests.rs"]
pub mod tests;
