//! The table: what follows when something is learnt of an order.

use strum::IntoStaticStr;

use super::{Deposit, Payout, Review, State};

/// What was learnt of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fact {
    /// Of a deposit.
    Deposit(DepositFact),
    /// Of a payout or a transfer.
    Payout(PayoutFact),
}

/// What can be learnt of a deposit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DepositFact {
    /// The provider told how to pay.
    Offered,
    /// The provider refused to open the payment.
    Refused,
    /// An unproven voice says that it was paid or failed.
    Claimed,
    /// A part of the money was seen.
    PartSeen,
    /// All of the money was seen; it is not confirmed.
    AllSeen,
    /// The money is proven.
    Paid,
    /// The failure is proven.
    Failed,
    /// The deadline has passed and the provider, asked freshly, knows of no money.
    TimeUp,
    /// The merchant calls it off.
    Cancel,
    /// Proven evidence, or the account's policy, wants a human.
    Doubtful(Review),
    /// An operator says that it was paid.
    Confirm,
    /// An operator says that it was not.
    Reject,
}

/// What can be learnt of a payout or a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PayoutFact {
    /// An attempt was opened: a call is about to leave.
    Claimed,
    /// The call did not leave.
    NotSent,
    /// The provider refused; nothing moved by that call.
    Refused,
    /// Nobody knows what became of the call.
    Unknown,
    /// The provider has this id already.
    Duplicate,
    /// The provider has taken it.
    Accepted,
    /// The provider's people look at it.
    InReview,
    /// It is on the chain.
    Broadcast,
    /// The money has gone.
    Paid,
    /// The provider's record says that it failed.
    Failed,
    /// Every way to learn the outcome is used up.
    GaveUp,
    /// The merchant calls it off.
    Cancel,
    /// Proven evidence wants a human.
    Doubtful(Review),
    /// An operator says that the money has gone.
    Confirm,
    /// An operator says that nothing moved, or does not approve.
    Reject,
    /// An operator approves.
    Approve,
    /// An operator wants it sent again, and no earlier call can have moved money.
    Retry,
    /// An operator wants it sent again although an earlier call may have moved money: another has to agree.
    RetryAsked,
    /// The operator who asked asks once more.
    RetryAlone,
    /// It may be sent again although an earlier call may have moved money: two operators want it, or the provider, which
    /// refuses a repeated id, knows of none.
    RetryAgreed,
}

/// Why a fact does not move an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum Refusal {
    /// The order is final and the fact says otherwise.
    #[error("the order is final and this says otherwise")]
    Contradiction,
    /// Money for an order whose time for late money is over.
    #[error("the order's time for late money is over")]
    TooLate,
    /// Too far gone to call off.
    #[error("the order cannot be canceled any more")]
    NotCancelable,
    /// Nothing about it is a human's to decide.
    #[error("the order does not wait for a decision")]
    NotReviewable,
    /// Another attempt is open, or none is allowed.
    #[error("no attempt may be opened now")]
    NotClaimable,
    /// Sending again could pay twice.
    #[error("the outcome of an earlier attempt is unknown, so that sending again could pay twice")]
    MightPayTwice,
    /// It takes two to send again what may have moved money.
    #[error("the outcome of an earlier attempt is unknown: another operator, with a key of their own, has to ask for the retry, too")]
    NeedsAnother,
    /// A fact of another kind of order.
    #[error("this is not about an order of this kind")]
    WrongKind,
}

/// What the table has to know besides the place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// How many attempts, other than the one that the fact is about, may have moved money.
    pub doubts: i16,
    /// The time for late money is over.
    pub is_final: bool,
}

/// What follows when `fact` is learnt of an order at `state`.
pub fn advance(state: State, fact: Fact, circumstances: Circumstances) -> Result<State, Refusal> {
    match (state, fact) {
        (State::Deposit(state), Fact::Deposit(fact)) => advance_deposit(state, fact, circumstances).map(State::Deposit),
        (State::Payout(state), Fact::Payout(fact)) => advance_payout(state, fact, circumstances).map(State::Payout),
        (State::Deposit(_), Fact::Payout(_)) | (State::Payout(_), Fact::Deposit(_)) => Err(Refusal::WrongKind),
    }
}

fn advance_deposit(state: Deposit, fact: DepositFact, circumstances: Circumstances) -> Result<Deposit, Refusal> {
    use Deposit::{AwaitingPayment, Canceled, Confirming, Created, Expired, Failed, PartiallyPaid, RequiresReview, Succeeded, Verifying};
    use DepositFact as F;
    use Refusal::{Contradiction, NotCancelable, NotReviewable, TooLate};
    let closed = circumstances.is_final;
    match fact {
        F::Offered => match state {
            Created => Ok(AwaitingPayment),
            AwaitingPayment | Verifying | PartiallyPaid | Confirming | Succeeded | Expired | Failed | Canceled | RequiresReview(_) => {
                Ok(state)
            }
        },
        F::Refused => match state {
            Created if circumstances.doubts == 0 => Ok(Failed),
            Created | AwaitingPayment | Verifying | PartiallyPaid | Confirming => Ok(state),
            Succeeded | Expired | Failed | Canceled | RequiresReview(_) => Ok(state),
        },
        F::Claimed => match state {
            Created | AwaitingPayment | Verifying => Ok(Verifying),
            Expired | Canceled if closed => Err(TooLate),
            Expired | Canceled => Ok(Verifying),
            PartiallyPaid | Confirming | Succeeded | Failed | RequiresReview(_) => Ok(state),
        },
        F::PartSeen => match state {
            Created | AwaitingPayment | Verifying | PartiallyPaid => Ok(PartiallyPaid),
            Confirming | Succeeded | RequiresReview(_) => Ok(state),
            Expired | Canceled if closed => Err(TooLate),
            Expired | Canceled => Ok(state),
            Failed => Err(Contradiction),
        },
        F::AllSeen => match state {
            Created | AwaitingPayment | Verifying | PartiallyPaid | Confirming => Ok(Confirming),
            Succeeded | RequiresReview(_) => Ok(state),
            Expired | Canceled if closed => Err(TooLate),
            Expired | Canceled => Ok(Confirming),
            Failed => Err(Contradiction),
        },
        F::Paid => match state {
            Created | AwaitingPayment | Verifying | PartiallyPaid | Confirming | Succeeded => Ok(Succeeded),
            RequiresReview(Review::Unproven | Review::OutcomeUnknown) => Ok(Succeeded),
            // What was missing has come.
            RequiresReview(Review::UnderPaid | Review::Abnormal) => Ok(Succeeded),
            RequiresReview(Review::Mismatch | Review::OverPaid | Review::Late) => Ok(state),
            Expired | Canceled if closed => Err(TooLate),
            Expired | Canceled => Ok(Succeeded),
            Failed => Err(Contradiction),
        },
        F::Failed => match state {
            Created | AwaitingPayment | Verifying | PartiallyPaid | Confirming | Failed => Ok(Failed),
            RequiresReview(Review::Unproven | Review::OutcomeUnknown) => Ok(Failed),
            RequiresReview(Review::Mismatch | Review::UnderPaid | Review::OverPaid | Review::Late | Review::Abnormal) => Ok(state),
            Expired | Canceled => Ok(state),
            Succeeded => Err(Contradiction),
        },
        F::TimeUp => match state {
            Created | AwaitingPayment | Verifying | PartiallyPaid => Ok(Expired),
            Confirming | Succeeded | Expired | Failed | Canceled | RequiresReview(_) => Ok(state),
        },
        F::Cancel => match state {
            Created | AwaitingPayment | Canceled => Ok(Canceled),
            Verifying | PartiallyPaid | Confirming | Succeeded | Expired | Failed | RequiresReview(_) => Err(NotCancelable),
        },
        F::Doubtful(review) => match state {
            Created | AwaitingPayment | Verifying | PartiallyPaid | Confirming => Ok(RequiresReview(review)),
            RequiresReview(earlier) => Ok(RequiresReview(graver(earlier, review))),
            Expired | Canceled if closed => Err(TooLate),
            Expired | Canceled => Ok(RequiresReview(review)),
            Succeeded | Failed => Err(Contradiction),
        },
        F::Confirm => match state {
            Verifying | RequiresReview(_) | Succeeded => Ok(Succeeded),
            // Late money that only a person has seen.
            Expired | Canceled if closed => Err(TooLate),
            Expired | Canceled => Ok(Succeeded),
            Created | AwaitingPayment | PartiallyPaid | Confirming | Failed => Err(NotReviewable),
        },
        F::Reject => match state {
            Verifying | RequiresReview(_) | Failed => Ok(Failed),
            Created | AwaitingPayment | PartiallyPaid | Confirming | Succeeded | Expired | Canceled => Err(NotReviewable),
        },
    }
}

fn advance_payout(state: Payout, fact: PayoutFact, circumstances: Circumstances) -> Result<Payout, Refusal> {
    use Payout::{
        Accepted, Broadcast, Canceled, Failed, OutcomeUnknown, ProviderReview, Queued, Rejected, RequiresApproval, RequiresReview,
        Submitting, Succeeded,
    };
    use PayoutFact as F;
    use Refusal::{Contradiction, MightPayTwice, NeedsAnother, NotCancelable, NotClaimable, NotReviewable};
    let doubtful = circumstances.doubts > 0;
    match fact {
        F::Claimed => match state {
            Queued | OutcomeUnknown => Ok(Submitting),
            RequiresApproval | Submitting | Accepted | ProviderReview | Broadcast => Err(NotClaimable),
            Succeeded | Failed | Canceled | Rejected | RequiresReview(_) => Err(NotClaimable),
        },
        F::NotSent => match state {
            Submitting if doubtful => Ok(OutcomeUnknown),
            Submitting => Ok(Queued),
            OutcomeUnknown if !doubtful => Ok(Queued),
            Queued | RequiresApproval | OutcomeUnknown | Accepted | ProviderReview | Broadcast => Ok(state),
            Succeeded | Failed | Canceled | Rejected | RequiresReview(_) => Ok(state),
        },
        F::Refused => match state {
            // A refusal says nothing of an earlier call whose outcome is unknown.
            Submitting | OutcomeUnknown if doubtful => Ok(OutcomeUnknown),
            Submitting | OutcomeUnknown => Ok(Failed),
            RequiresReview(Review::OutcomeUnknown) if !doubtful => Ok(Failed),
            Queued | RequiresApproval | Accepted | ProviderReview | Broadcast => Ok(state),
            Succeeded | Failed | Canceled | Rejected | RequiresReview(_) => Ok(state),
        },
        F::Unknown => match state {
            Submitting => Ok(OutcomeUnknown),
            Queued | RequiresApproval | OutcomeUnknown | Accepted | ProviderReview | Broadcast => Ok(state),
            Succeeded | Failed | Canceled | Rejected | RequiresReview(_) => Ok(state),
        },
        F::Duplicate | F::Accepted => match state {
            Submitting | OutcomeUnknown | Accepted => Ok(Accepted),
            RequiresReview(Review::OutcomeUnknown) if fact == F::Accepted => Ok(Accepted),
            Queued | RequiresApproval => Ok(RequiresReview(Review::Mismatch)),
            ProviderReview | Broadcast | Succeeded | Failed | Canceled | Rejected | RequiresReview(_) => Ok(state),
        },
        F::InReview => match state {
            Submitting | OutcomeUnknown | Accepted | ProviderReview | RequiresReview(Review::OutcomeUnknown) => Ok(ProviderReview),
            Queued | RequiresApproval => Ok(RequiresReview(Review::Mismatch)),
            Broadcast | Succeeded | Failed | Canceled | Rejected | RequiresReview(_) => Ok(state),
        },
        F::Broadcast => match state {
            Submitting | OutcomeUnknown | Accepted | ProviderReview | Broadcast => Ok(Broadcast),
            RequiresReview(Review::OutcomeUnknown) => Ok(Broadcast),
            Queued | RequiresApproval => Ok(RequiresReview(Review::Mismatch)),
            Succeeded | Failed | Canceled | Rejected | RequiresReview(_) => Ok(state),
        },
        F::Paid => match state {
            Submitting | OutcomeUnknown | Accepted | ProviderReview | Broadcast | Succeeded => Ok(Succeeded),
            RequiresReview(Review::OutcomeUnknown | Review::Unproven) => Ok(Succeeded),
            RequiresReview(Review::Mismatch | Review::UnderPaid | Review::OverPaid | Review::Late | Review::Abnormal) => Ok(state),
            // Paid, and we never sent it: somebody else uses this id.
            Queued | RequiresApproval => Ok(RequiresReview(Review::Mismatch)),
            Failed | Canceled | Rejected => Err(Contradiction),
        },
        F::Failed => match state {
            Submitting | OutcomeUnknown | Accepted | ProviderReview | Broadcast | Failed => Ok(Failed),
            RequiresReview(Review::OutcomeUnknown | Review::Unproven) => Ok(Failed),
            RequiresReview(Review::Mismatch | Review::UnderPaid | Review::OverPaid | Review::Late | Review::Abnormal) => Ok(state),
            Queued | RequiresApproval => Ok(RequiresReview(Review::Mismatch)),
            Canceled | Rejected => Ok(state),
            Succeeded => Err(Contradiction),
        },
        F::GaveUp => match state {
            OutcomeUnknown => Ok(RequiresReview(Review::OutcomeUnknown)),
            Accepted if doubtful => Ok(RequiresReview(Review::OutcomeUnknown)),
            Queued | RequiresApproval | Submitting | Accepted | ProviderReview | Broadcast => Ok(state),
            Succeeded | Failed | Canceled | Rejected | RequiresReview(_) => Ok(state),
        },
        F::Cancel => match state {
            Queued | RequiresApproval | Canceled => Ok(Canceled),
            Submitting | OutcomeUnknown | Accepted | ProviderReview | Broadcast => Err(NotCancelable),
            Succeeded | Failed | Rejected | RequiresReview(_) => Err(NotCancelable),
        },
        F::Doubtful(review) => match state {
            Queued | RequiresApproval | Submitting | OutcomeUnknown | Accepted | ProviderReview | Broadcast => Ok(RequiresReview(review)),
            RequiresReview(earlier) => Ok(RequiresReview(graver(earlier, review))),
            Succeeded | Failed | Canceled | Rejected => Err(Contradiction),
        },
        F::Confirm => match state {
            RequiresReview(_) | Succeeded => Ok(Succeeded),
            Queued | RequiresApproval | Submitting | OutcomeUnknown | Accepted | ProviderReview | Broadcast => Err(NotReviewable),
            Failed | Canceled | Rejected => Err(NotReviewable),
        },
        F::Reject => match state {
            RequiresReview(_) | Failed => Ok(Failed),
            RequiresApproval | Rejected => Ok(Rejected),
            Queued | Submitting | OutcomeUnknown | Accepted | ProviderReview | Broadcast | Succeeded | Canceled => Err(NotReviewable),
        },
        F::Approve => match state {
            RequiresApproval | Queued => Ok(Queued),
            Submitting | OutcomeUnknown | Accepted | ProviderReview | Broadcast => Err(NotReviewable),
            Succeeded | Failed | Canceled | Rejected | RequiresReview(_) => Err(NotReviewable),
        },
        F::Retry => match state {
            // A mismatch means that the provider has a movement under this id.
            RequiresReview(Review::Mismatch) => Err(MightPayTwice),
            RequiresReview(_) if doubtful => Err(MightPayTwice),
            RequiresReview(_) => Ok(Queued),
            Queued | RequiresApproval | Submitting | OutcomeUnknown | Accepted | ProviderReview | Broadcast => Err(NotReviewable),
            Succeeded | Failed | Canceled | Rejected => Err(NotReviewable),
        },
        F::RetryAsked | F::RetryAlone => match state {
            RequiresReview(Review::Mismatch) => Err(MightPayTwice),
            RequiresReview(_) if fact == F::RetryAlone => Err(NeedsAnother),
            RequiresReview(_) => Ok(state),
            Queued | RequiresApproval | Submitting | OutcomeUnknown | Accepted | ProviderReview | Broadcast => Err(NotReviewable),
            Succeeded | Failed | Canceled | Rejected => Err(NotReviewable),
        },
        F::RetryAgreed => match state {
            RequiresReview(Review::Mismatch) => Err(MightPayTwice),
            // Not queued: what becomes of the earlier call still counts.
            RequiresReview(_) if doubtful => Ok(OutcomeUnknown),
            RequiresReview(_) => Ok(Queued),
            Queued | RequiresApproval | Submitting | OutcomeUnknown | Accepted | ProviderReview | Broadcast => Err(NotReviewable),
            Succeeded | Failed | Canceled | Rejected => Err(NotReviewable),
        },
    }
}

/// A mismatch outweighs every other reason to ask a human: it is never settled by later news.
fn graver(earlier: Review, later: Review) -> Review {
    if later == Review::Mismatch { later } else { earlier }
}
