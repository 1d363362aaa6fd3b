//! The state machine, whole: where an order can be, what can be learnt of it, and what follows.
//!
//! [`advance`] is total: for every state and every fact it names the next state (which may be the
//! same one: then nothing happened) or the [`Refusal`]. There is no catch-all arm over states, so
//! that a new state does not compile until every fact has its answer.
//!
//! Three rules shape the table. Stages of one status only move forward, so that late news does not
//! take an order back. `failed` never becomes `succeeded`: contrary evidence is a contradiction that
//! a human sees. And what might pay twice is refused where it is asked, not where it is sent.

use strum::{Display, EnumString, IntoStaticStr};

use super::order::Kind;

/// Where an order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// A deposit's place.
    Deposit(Deposit),
    /// A payout's or a transfer's place.
    Payout(Payout),
}

/// Where a deposit can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Deposit {
    /// Stored here; the provider has not answered yet.
    Created,
    /// The customer has to act.
    AwaitingPayment,
    /// `processing`: somebody claims that it was paid (or failed); the proof is on its way.
    Verifying,
    /// `processing`: a part of the amount was seen.
    PartiallyPaid,
    /// `processing`: the money was seen and is not confirmed yet.
    Confirming,
    /// The money is there.
    Succeeded,
    /// Nobody paid in time. Open to late money until it is final.
    Expired,
    /// The provider refused, or the payment failed.
    Failed,
    /// The merchant called it off. Open to late money until it is final.
    Canceled,
    /// A human decides.
    RequiresReview(Review),
}

/// Where a payout or a transfer can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Payout {
    /// Stored here; nothing was sent.
    Queued,
    /// A human has to approve it first.
    RequiresApproval,
    /// `processing`: a call is open.
    Submitting,
    /// `processing`: a call may have moved money; nobody has told us yet.
    OutcomeUnknown,
    /// `processing`: the provider has it.
    Accepted,
    /// `processing`: the provider's people look at it.
    ProviderReview,
    /// `processing`: it is on the chain.
    Broadcast,
    /// The money has gone.
    Succeeded,
    /// Nothing moved.
    Failed,
    /// The merchant called it off before anything was sent.
    Canceled,
    /// A human refused to approve it.
    Rejected,
    /// A human decides.
    RequiresReview(Review),
}

/// Why a human has to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Review {
    /// The provider's record does not agree with the order.
    Mismatch,
    /// Nobody can tell whether the money moved.
    OutcomeUnknown,
    /// A claim could not be proven in time.
    Unproven,
    /// Less came than was asked.
    UnderPaid,
    /// More came than was asked.
    OverPaid,
    /// Money came after expiry or cancellation.
    Late,
}

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
    /// An operator wants it sent again.
    Retry,
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
            RequiresReview(Review::Mismatch | Review::UnderPaid | Review::OverPaid | Review::Late) => Ok(state),
            Expired | Canceled if closed => Err(TooLate),
            Expired | Canceled => Ok(Succeeded),
            Failed => Err(Contradiction),
        },
        F::Failed => match state {
            Created | AwaitingPayment | Verifying | PartiallyPaid | Confirming | Failed => Ok(Failed),
            RequiresReview(Review::Unproven | Review::OutcomeUnknown) => Ok(Failed),
            RequiresReview(Review::Mismatch | Review::UnderPaid | Review::OverPaid | Review::Late) => Ok(state),
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
            Created | AwaitingPayment | PartiallyPaid | Confirming | Expired | Failed | Canceled => Err(NotReviewable),
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
    use Refusal::{Contradiction, MightPayTwice, NotCancelable, NotClaimable, NotReviewable};
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
            RequiresReview(Review::Mismatch | Review::UnderPaid | Review::OverPaid | Review::Late) => Ok(state),
            // Paid, and we never sent it: somebody else uses this id.
            Queued | RequiresApproval => Ok(RequiresReview(Review::Mismatch)),
            Failed | Canceled | Rejected => Err(Contradiction),
        },
        F::Failed => match state {
            Submitting | OutcomeUnknown | Accepted | ProviderReview | Broadcast | Failed => Ok(Failed),
            RequiresReview(Review::OutcomeUnknown | Review::Unproven) => Ok(Failed),
            RequiresReview(Review::Mismatch | Review::UnderPaid | Review::OverPaid | Review::Late) => Ok(state),
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
    }
}

/// A mismatch outweighs every other reason to ask a human: it is never settled by later news.
fn graver(earlier: Review, later: Review) -> Review {
    if later == Review::Mismatch { later } else { earlier }
}

impl State {
    /// Where an order of this kind begins.
    pub fn first(kind: Kind) -> Self {
        match kind {
            Kind::Deposit => Self::Deposit(Deposit::Created),
            Kind::Payout | Kind::Transfer => Self::Payout(Payout::Queued),
        }
    }

    /// The public status: coarse and stable.
    pub fn status(self) -> &'static str {
        match self {
            Self::Deposit(state) => match state {
                Deposit::Created => "created",
                Deposit::AwaitingPayment => "awaiting_payment",
                Deposit::Verifying | Deposit::PartiallyPaid | Deposit::Confirming => "processing",
                Deposit::Succeeded => "succeeded",
                Deposit::Expired => "expired",
                Deposit::Failed => "failed",
                Deposit::Canceled => "canceled",
                Deposit::RequiresReview(_) => "requires_review",
            },
            Self::Payout(state) => match state {
                Payout::Queued => "queued",
                Payout::RequiresApproval => "requires_approval",
                Payout::Submitting | Payout::OutcomeUnknown | Payout::Accepted => "processing",
                Payout::ProviderReview | Payout::Broadcast => "processing",
                Payout::Succeeded => "succeeded",
                Payout::Failed => "failed",
                Payout::Canceled => "canceled",
                Payout::Rejected => "rejected",
                Payout::RequiresReview(_) => "requires_review",
            },
        }
    }

    /// The finer place inside the status; absent where the status says it all.
    pub fn stage(self) -> Option<&'static str> {
        match self {
            Self::Deposit(state) => match state {
                Deposit::Verifying => Some("verifying"),
                Deposit::PartiallyPaid => Some("partially_paid"),
                Deposit::Confirming => Some("confirming"),
                Deposit::RequiresReview(review) => Some(review.into()),
                Deposit::Created | Deposit::AwaitingPayment | Deposit::Succeeded => None,
                Deposit::Expired | Deposit::Failed | Deposit::Canceled => None,
            },
            Self::Payout(state) => match state {
                Payout::Submitting => Some("submitting"),
                Payout::OutcomeUnknown => Some("outcome_unknown"),
                Payout::Accepted => Some("accepted"),
                Payout::ProviderReview => Some("provider_review"),
                Payout::Broadcast => Some("broadcast"),
                Payout::RequiresReview(review) => Some(review.into()),
                Payout::Queued | Payout::RequiresApproval | Payout::Succeeded => None,
                Payout::Failed | Payout::Canceled | Payout::Rejected => None,
            },
        }
    }

    /// Reads back what [`State::status`] and [`State::stage`] wrote.
    pub fn read(kind: Kind, status: &str, stage: Option<&str>) -> Option<Self> {
        Self::all(kind).into_iter().find(|state| state.status() == status && state.stage() == stage)
    }

    /// Every place of this kind.
    pub fn all(kind: Kind) -> Vec<Self> {
        use Review::{Late, Mismatch, OutcomeUnknown, OverPaid, UnderPaid, Unproven};
        let reviews = [Mismatch, OutcomeUnknown, Unproven, UnderPaid, OverPaid, Late];
        match kind {
            Kind::Deposit => {
                use Deposit::{AwaitingPayment, Canceled, Confirming, Created, Expired, Failed, PartiallyPaid, Succeeded, Verifying};
                let plain = [Created, AwaitingPayment, Verifying, PartiallyPaid, Confirming, Succeeded, Expired, Failed, Canceled];
                plain.into_iter().chain(reviews.map(Deposit::RequiresReview)).map(Self::Deposit).collect()
            }
            Kind::Payout | Kind::Transfer => {
                use Payout::{
                    Accepted, Broadcast, Canceled, Failed, OutcomeUnknown, ProviderReview, Queued, Rejected, RequiresApproval, Submitting,
                    Succeeded,
                };
                let plain = [
                    Queued,
                    RequiresApproval,
                    Submitting,
                    OutcomeUnknown,
                    Accepted,
                    ProviderReview,
                    Broadcast,
                    Succeeded,
                    Failed,
                    Canceled,
                    Rejected,
                ];
                plain.into_iter().chain(reviews.map(Payout::RequiresReview)).map(Self::Payout).collect()
            }
        }
    }

    /// Whether reaching it ends the order at once.
    pub fn ends_at_once(self) -> bool {
        match self {
            Self::Deposit(Deposit::Succeeded | Deposit::Failed) => true,
            Self::Deposit(
                Deposit::Created | Deposit::AwaitingPayment | Deposit::Verifying | Deposit::PartiallyPaid | Deposit::Confirming,
            ) => false,
            Self::Deposit(Deposit::Expired | Deposit::Canceled | Deposit::RequiresReview(_)) => false,
            Self::Payout(Payout::Succeeded | Payout::Failed | Payout::Canceled | Payout::Rejected) => true,
            Self::Payout(Payout::Queued | Payout::RequiresApproval | Payout::Submitting | Payout::OutcomeUnknown) => false,
            Self::Payout(Payout::Accepted | Payout::ProviderReview | Payout::Broadcast | Payout::RequiresReview(_)) => false,
        }
    }

    /// Whether the provider is known to have it in hand.
    pub fn is_taken(self) -> bool {
        match self {
            Self::Deposit(Deposit::AwaitingPayment | Deposit::Verifying | Deposit::PartiallyPaid | Deposit::Confirming) => true,
            Self::Deposit(Deposit::Created | Deposit::Succeeded | Deposit::Expired | Deposit::Failed | Deposit::Canceled) => false,
            Self::Deposit(Deposit::RequiresReview(review)) | Self::Payout(Payout::RequiresReview(review)) => review == Review::Mismatch,
            Self::Payout(Payout::Accepted | Payout::ProviderReview | Payout::Broadcast) => true,
            Self::Payout(Payout::Queued | Payout::RequiresApproval | Payout::Submitting | Payout::OutcomeUnknown) => false,
            Self::Payout(Payout::Succeeded | Payout::Failed | Payout::Canceled | Payout::Rejected) => false,
        }
    }

    /// Whether it is open to late money for a while before it ends.
    pub fn ends_later(self) -> bool {
        matches!(self, Self::Deposit(Deposit::Expired | Deposit::Canceled))
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
