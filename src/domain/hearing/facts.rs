//! What is learnt from a report: the fact that the state machine is asked about.

use time::OffsetDateTime;

use super::Rules;
use crate::domain::account::{AcceptOrReview, Policy, Under};
use crate::domain::order::Order;
use crate::domain::receipt::Takings;
use crate::domain::recovery::{Wished, wish};
use crate::domain::report::{Decision, Outcome, Report, Says, Standing};
use crate::domain::status::{Deposit, DepositFact, Fact, Payout, PayoutFact, Review, State};

pub(super) fn doubtful(order: &Order, review: Review) -> Option<Fact> {
    Some(match order.state {
        State::Deposit(_) => Fact::Deposit(DepositFact::Doubtful(review)),
        State::Payout(_) => Fact::Payout(PayoutFact::Doubtful(review)),
    })
}

/// What is learnt from a report that agrees with the order.
pub(super) fn fact(order: &Order, report: &Report, rules: Rules<'_>) -> Option<Fact> {
    if is_about_an_earlier_call(order, report) {
        return None;
    }
    match order.state {
        State::Deposit(state) => deposit_fact(order, state, report, rules.policy).map(Fact::Deposit),
        State::Payout(_) => payout_fact(order, report, rules.now).map(Fact::Payout),
    }
}

/// A late answer by which nothing moved lifts a doubt. Where another call may be open by now, that
/// call's own answer decides.
pub(super) fn is_about_an_earlier_call(order: &Order, report: &Report) -> bool {
    let moved = |outcome: &Outcome| matches!(outcome, Outcome::Accepted(_) | Outcome::Duplicate(_));
    a_call_may_be_open(order) && matches!(&report.says, Says::Answer { outcome, late: true } if !moved(outcome))
}

pub(super) fn a_call_may_be_open(order: &Order) -> bool {
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
        Says::Receipts(takings) => receipts_fact(order, state, takings, policy),
        Says::TimeUp => Some(match policy.under {
            // Somebody said that it failed, and until the end the provider knew of no payment.
            _ if state == Deposit::Verifying && claimed_failure(order) && !order.may_have_twins() => DepositFact::Failed,
            _ if state != Deposit::PartiallyPaid => DepositFact::TimeUp,
            Under::Wait => DepositFact::TimeUp,
            // What was seen is enough from now on; it counts when all of it is confirmed.
            Under::Accept if order.amount_confirmed < order.amount_received => DepositFact::AllSeen,
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
        // Where no proof is waited for any more, a voice is heard as it speaks: it moves nothing, and
        // what speaks against a settled order is for a person to see.
        Standing::Failed if matches!(state, Deposit::Succeeded | Deposit::Expired | Deposit::Canceled) => Some(DepositFact::Failed),
        Standing::Paid if state == Deposit::Failed => Some(DepositFact::Paid),
        Standing::Paid | Standing::Failed if !proven => Some(DepositFact::Claimed),
        Standing::Paid if late && !order.is_final && policy.late == AcceptOrReview::Review => Some(DepositFact::Doubtful(Review::Late)),
        Standing::Paid => Some(DepositFact::Paid),
        // Another may still be paid.
        Standing::Failed if order.may_have_twins() => None,
        Standing::Failed => Some(DepositFact::Failed),
        Standing::Awaiting => None,
        Standing::Accepted | Standing::InReview | Standing::Broadcast => proven.then_some(DepositFact::AllSeen),
    }
}

/// What the receipts of a deposit mean for it.
fn receipts_fact(order: &Order, state: Deposit, takings: &Takings, policy: &Policy) -> Option<DepositFact> {
    let open = !order.is_final;
    let late = order.late || matches!(state, Deposit::Expired | Deposit::Canceled);
    let over = takings.confirmed.minus(order.amount).is_some_and(|more| more > order.tolerance);
    // At its deadline the account was content with less.
    let content = state == Deposit::Confirming && policy.under == Under::Accept && takings.confirmed == takings.seen;
    Some(if order.covers(takings.confirmed) {
        match () {
            () if open && late && policy.late == AcceptOrReview::Review => DepositFact::Doubtful(Review::Late),
            () if open && over && policy.over == AcceptOrReview::Review => DepositFact::Doubtful(Review::OverPaid),
            () => DepositFact::Paid,
        }
    } else if takings.abnormal && !order.covers(takings.seen) {
        DepositFact::Doubtful(Review::Abnormal)
    } else if takings.seen.is_zero() {
        return None;
    } else if order.covers(takings.seen) {
        DepositFact::AllSeen
    } else if content {
        DepositFact::Paid
    } else {
        DepositFact::PartSeen
    })
}

fn claimed_failure(order: &Order) -> bool {
    order.claim.as_ref().is_some_and(|claim| !claim.paid)
}

fn payout_fact(order: &Order, report: &Report, now: OffsetDateTime) -> Option<PayoutFact> {
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
        Says::TimeUp | Says::Close | Says::Nothing | Says::Unreadable(_) | Says::Receipts(_) => None,
        Says::Decision { decision, by, absent, .. } => Some(match decision {
            Decision::Confirm => PayoutFact::Confirm,
            Decision::Reject => PayoutFact::Reject,
            Decision::Retry => match wish(order, by, *absent, now) {
                Wished::Plain => PayoutFact::Retry,
                Wished::Asked => PayoutFact::RetryAsked,
                Wished::Alone => PayoutFact::RetryAlone,
                Wished::Agreed => PayoutFact::RetryAgreed,
            },
            Decision::Approve => PayoutFact::Approve,
        }),
    }
}
