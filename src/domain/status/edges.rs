//! The table from above: which facts there are, and which steps they make.

use std::collections::BTreeSet;

use super::{Circumstances, DepositFact, Fact, PayoutFact, Review, State, advance};
use crate::domain::order::Kind;

pub(super) const REVIEWS: [Review; 7] =
    [Review::Mismatch, Review::OutcomeUnknown, Review::Unproven, Review::UnderPaid, Review::OverPaid, Review::Late, Review::Abnormal];

/// Everything that can be learnt of an order of this kind.
pub fn facts(kind: Kind) -> Vec<Fact> {
    match kind {
        Kind::Deposit => {
            use DepositFact::{AllSeen, Cancel, Claimed, Confirm, Doubtful, Failed, Offered, Paid, PartSeen, Refused, Reject, TimeUp};
            let plain = [Offered, Refused, Claimed, PartSeen, AllSeen, Paid, Failed, TimeUp, Cancel, Confirm, Reject];
            // A new fact does not compile until it stands in the list above.
            let _ = |fact| match fact {
                Offered | Refused | Claimed | PartSeen | AllSeen | Paid | Failed | TimeUp | Cancel | Confirm | Reject | Doubtful(_) => {}
            };
            plain.into_iter().chain(REVIEWS.map(Doubtful)).map(Fact::Deposit).collect()
        }
        Kind::Payout | Kind::Transfer => {
            use PayoutFact::{
                Accepted, Approve, Broadcast, Cancel, Claimed, Confirm, Doubtful, Duplicate, Failed, GaveUp, InReview, NotSent, Paid,
                Refused, Reject, Retry, RetryAgreed, RetryAlone, RetryAsked, Unknown,
            };
            let plain = [
                Claimed,
                NotSent,
                Refused,
                Unknown,
                Duplicate,
                Accepted,
                InReview,
                Broadcast,
                Paid,
                Failed,
                GaveUp,
                Cancel,
                Confirm,
                Reject,
                Approve,
                Retry,
                RetryAsked,
                RetryAlone,
                RetryAgreed,
            ];
            let _ = |fact| match fact {
                Claimed | NotSent | Refused | Unknown | Duplicate | Accepted | InReview | Broadcast | Paid | Failed | GaveUp | Cancel
                | Confirm | Reject | Approve | Retry | RetryAsked | RetryAlone | RetryAgreed | Doubtful(_) => {}
            };
            plain.into_iter().chain(REVIEWS.map(Doubtful)).map(Fact::Payout).collect()
        }
    }
}

/// Every step that leads somewhere else, whatever makes it.
pub fn edges(kind: Kind) -> BTreeSet<(State, State)> {
    let circumstances = [(0, false), (1, false), (0, true), (1, true)].map(|(doubts, is_final)| Circumstances { doubts, is_final });
    let mut all = BTreeSet::new();
    for from in State::all(kind) {
        for fact in facts(kind) {
            let to = circumstances.into_iter().filter_map(|circumstances| advance(from, fact, circumstances).ok());
            all.extend(to.filter(|to| *to != from).map(|to| (from, to)));
        }
    }
    all
}
