//! The state machine, whole: where an order can be, what can be learnt of it, and what follows.
//!
//! [`advance`] is total: for every state and every fact it names the next state (which may be the
//! same one: then nothing happened) or the [`Refusal`]. There is no catch-all arm over states, so
//! that a new state does not compile until every fact has its answer.
//!
//! Three rules shape the table. Stages of one status only move forward, so that late news does not
//! take an order back. `failed` never becomes `succeeded`: contrary evidence is a contradiction that
//! a human sees. And what might pay twice is refused where it is asked, not where it is sent.

mod edges;
mod table;

use strum::{Display, EnumString, IntoStaticStr};

pub use self::edges::{edges, facts};
pub use self::table::{Circumstances, DepositFact, Fact, PayoutFact, Refusal, advance};
use super::order::Kind;

/// Where an order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// A deposit's place.
    Deposit(Deposit),
    /// A payout's or a transfer's place.
    Payout(Payout),
}

/// Where a deposit can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Display, EnumString, IntoStaticStr)]
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
    /// The provider found something wrong with money that came.
    Abnormal,
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
        use Review::{Abnormal, Late, Mismatch, OutcomeUnknown, OverPaid, UnderPaid, Unproven};
        let reviews = [Mismatch, OutcomeUnknown, Unproven, UnderPaid, OverPaid, Late, Abnormal];
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
mod tests;
