//! Hearing a report: compare it with the order, look its fact up in the state machine, and say what
//! the order becomes. Pure, and the same for every provider and every channel.

mod compare;
mod facts;

use time::OffsetDateTime;

pub(in crate::domain) use self::compare::mismatch;
use self::compare::{contradiction, disproven};
use self::facts::{a_call_may_be_open, doubtful, fact};
use crate::domain::account::Policy;
use crate::domain::agenda::Timing;
use crate::domain::claim::Claim;
use crate::domain::finding::{Finding, FindingKind};
use crate::domain::money::Amount;
use crate::domain::order::{Failure, Kind, NextAction, Order, Retry};
use crate::domain::receipt::Takings;
use crate::domain::report::{Channel, Decision, Outcome, ProviderRecord, Report, Says, Standing};
use crate::domain::status::{Circumstances, Deposit, DepositFact, Fact, Payout, PayoutFact, Refusal, Review, State, advance};

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
    let agrees = heard.finding.is_none();
    count_doubts(&mut heard.order, report, agrees, rules.now);
    let fact = if agrees { fact(order, report, rules) } else { doubtful(order, Review::Mismatch) };
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
    let agrees = heard.finding.is_none();
    let circumstances = Circumstances { doubts: heard.order.doubts, is_final: before.is_final };
    match fact.map(|fact| advance(before.state, fact, circumstances)) {
        None => {}
        Some(Ok(state)) => {
            heard.order.state = state;
            explain(&mut heard.order, before, report);
            keep_wish(&mut heard.order, before, report, fact, rules.now);
        }
        Some(Err(refusal)) => {
            heard.refusal = Some(refusal);
            heard.order = before.clone();
            if let Says::Receipts(takings) = &report.says {
                add_up(&mut heard.order, takings);
            }
            if refusal == Refusal::Contradiction && heard.finding.is_none() {
                heard.finding = Some(contradiction(before, report));
            }
            // Every receipt has a home: what no order is open to goes to the unmatched list.
            let homeless = refusal == Refusal::TooLate || (refusal == Refusal::Contradiction && before.kind == Kind::Deposit);
            if homeless && agrees && report.proven {
                let paid = record_of(report).filter(|record| record.standing == Standing::Paid);
                heard.received = paid.map(|record| received(before, record, false));
            }
            return;
        }
    }
    if let Says::Receipts(takings) = &report.says {
        add_up(&mut heard.order, takings);
    } else if agrees {
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
fn count_doubts(order: &mut Order, report: &Report, agrees: bool, now: OffsetDateTime) {
    // The provider is known to have it: whatever a call came to, it was this movement. A claim alone is no knowledge.
    let only_claimed = order.state == State::Deposit(Deposit::Verifying) && order.provider_reference.is_none();
    let taken = order.state.is_taken() && !only_claimed;
    match &report.says {
        Says::Answer { outcome, late } if order.kind == Kind::Deposit && !taken && names(outcome) => {
            // One that does not refuse a repetition may have both: what the earlier announcements came to stays in doubt.
            let answered = if matches!(outcome, Outcome::Duplicate(_)) { order.doubts } else { i16::from(*late) };
            order.doubts = (order.doubts - answered).max(0);
        }
        Says::Answer { outcome: Outcome::Accepted(_), .. } if order.kind == Kind::Deposit => {}
        Says::Answer { outcome: Outcome::Accepted(_), .. } => order.doubts = 0,
        Says::Answer { .. } if taken => {}
        Says::Answer { outcome: Outcome::Unknown(_), late: false } if a_call_may_be_open(order) => order.doubts += 1,
        Says::Answer { outcome: Outcome::Unknown(_), late: true } => {}
        // There is one, whose name may be known.
        Says::Answer { outcome: Outcome::Duplicate(_), .. } if order.kind == Kind::Deposit => {
            order.doubts = i16::from(order.provider_reference.is_none());
        }
        Says::Answer { outcome: Outcome::Unknown(_) | Outcome::Duplicate(_), .. } => order.doubts = order.doubts.max(1),
        Says::Answer { late: true, .. } => order.doubts = (order.doubts - 1).max(0),
        Says::Record(record) if report.proven && record.standing == Standing::Failed && order.may_have_twins() => {}
        Says::Record(record) if report.proven && record.standing != Standing::Awaiting => order.doubts = 0,
        // Now its name is known; that of a record which does not agree is not taken over.
        Says::Record(record) if report.proven && agrees && order.provider_reference.is_none() && record.reference.is_some() => {
            order.doubts = (order.doubts - 1).max(0);
        }
        Says::Decision { decision: Decision::Confirm | Decision::Reject, .. } => order.doubts = 0,
        _ => {}
    }
    order.doubt_since = (order.doubts > 0).then(|| order.doubt_since.unwrap_or(now));
}

/// Whether the answer tells what the provider calls the movement.
fn names(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Accepted(record) | Outcome::Duplicate(Some(record)) if record.reference.is_some())
}

/// The amounts of a deposit are what its receipts add up to, whatever becomes of the order.
fn add_up(order: &mut Order, takings: &Takings) {
    order.amount_received = takings.seen;
    order.amount_confirmed = takings.confirmed;
    if let Some(newest) = &takings.newest {
        order.provider_reference.get_or_insert_with(|| newest.number.clone());
        order.txid = newest.txid.clone().or(order.txid.take());
        order.confirmations = newest.confirmations.or(order.confirmations);
    }
    if let (Some(NextAction::SendToAddress { amount, .. }), Some(missing)) = (&mut order.next_action, order.amount.minus(takings.seen)) {
        *amount = missing;
    }
}

fn record_of(report: &Report) -> Option<&ProviderRecord> {
    match &report.says {
        Says::Record(record) => Some(record),
        Says::Answer { outcome: Outcome::Accepted(record) | Outcome::Duplicate(Some(record)), .. } => Some(record),
        _ => None,
    }
}

/// Fills in what the record tells and the order does not know yet.
fn amend(order: &mut Order, record: &ProviderRecord, report: &Report) {
    if !report.proven {
        let claimed = matches!(record.standing, Standing::Paid | Standing::Failed);
        if !claimed || order.state != State::Deposit(Deposit::Verifying) {
            return;
        }
        let paid = record.standing == Standing::Paid;
        let by_browser = report.channel == Channel::Browser;
        match (order.claim.as_mut().filter(|claim| claim.paid), &record.reference) {
            (Some(earlier), reference) if paid => {
                earlier.by_browser &= by_browser;
                reference.iter().for_each(|reference| earlier.add(reference));
            }
            (Some(_), _) => {}
            (None, reference) => {
                order.claim = Some(Claim { paid, reference: reference.clone(), others: Vec::new(), fee: record.fee, by_browser });
            }
        }
        return;
    }
    fn fill<T: Clone>(place: &mut Option<T>, value: &Option<T>) {
        if place.is_none() {
            place.clone_from(value);
        }
    }
    // Of several it is this one that moves.
    if order.kind == Kind::Deposit && record.reference.is_some() && !matches!(record.standing, Standing::Awaiting | Standing::Failed) {
        order.provider_reference.clone_from(&record.reference);
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
        // Nor does a decision where every movement is a receipt of its own.
        Some(Fact::Deposit(DepositFact::Confirm)) if order.provider.lists_receipts() => None,
        Some(Fact::Deposit(DepositFact::Paid | DepositFact::Confirm | DepositFact::Doubtful(Review::Late))) => {
            let fresh = before.amount_received.is_zero();
            let claim = order.claim.take();
            if let Some(claim) = claim {
                order.provider_reference = order.provider_reference.take().or(claim.reference);
                order.fee = order.fee.or(claim.fee);
            }
            if fresh {
                order.amount_received = order.amount;
                order.amount_confirmed = order.amount;
            }
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

/// Keeps a wish to send again until another agrees, and the agreement until the call is made. Whatever else moves the order
/// ends both.
fn keep_wish(order: &mut Order, before: &Order, report: &Report, fact: Option<Fact>, now: OffsetDateTime) {
    match (fact, &report.says) {
        (Some(Fact::Payout(PayoutFact::RetryAsked)), Says::Decision { by, reason, .. }) => {
            order.retry = Some(Retry { asked_by: by.clone(), asked_at: now, reason: reason.clone(), granted_by: None });
        }
        (Some(Fact::Payout(PayoutFact::RetryAgreed)), Says::Decision { by, absent, .. }) => {
            // With proof the order goes the way of every unknown outcome, and the proof is taken anew.
            order.retry = before.retry.clone().filter(|_| !absent).map(|asked| Retry { granted_by: Some(by.clone()), ..asked });
            // As if the outcome had become unknown now: there is a whole time to learn it.
            order.doubt_since = (order.doubts > 0).then_some(now);
        }
        _ if order.state != before.state => order.retry = None,
        _ => {}
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
        Review::Abnormal => "The provider found something wrong with money that came.",
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
pub mod tests;
