//! What to do about a call whose outcome nobody knows.
//!
//! "Not found" is never permission to send again by itself: a paused process can still be about to
//! send. Sending again is for providers that refuse a repeated id, and only after two looks, far
//! enough apart, found nothing. Everything else is looked up until a human takes over.

use std::time::Duration;

use time::OffsetDateTime;

use super::account::Policy;
use super::agenda::Timing;
use super::order::{Order, Retry};
use super::status::{Deposit, Payout, State};

/// What a provider can do, which decides how outcomes are learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// It refuses an id that it has seen.
    pub refuses_duplicates: bool,
    /// It can be asked about a movement by our id.
    pub lookup_by_trade_id: bool,
    /// It can be asked about a movement by its own id, where we hold a token of the user.
    pub lookup_by_reference: bool,
    /// It calls us.
    pub callbacks: bool,
    /// It lists incoming money of all users.
    pub deposit_feed: bool,
}

/// How the looks for an unknown outcome have gone so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Looks (or submissions) since the order came to its present place.
    pub tries: i32,
    /// The first of an unbroken row of looks that found nothing.
    pub absent_since: Option<OffsetDateTime>,
    /// The last look that found nothing.
    pub absent_last: Option<OffsetDateTime>,
}

impl Progress {
    /// The progress after one more look that found nothing.
    pub fn absent_at(self, now: OffsetDateTime) -> Self {
        Self { tries: self.tries + 1, absent_since: self.absent_since.or(Some(now)), absent_last: Some(now) }
    }

    /// The progress after one more look that told nothing either way.
    pub fn tried(self) -> Self {
        Self { tries: self.tries + 1, ..self }
    }

    /// The progress after one more look that showed it, readable or not: the row of looks that found nothing is broken.
    pub fn shown(self) -> Self {
        Self { tries: self.tries + 1, absent_since: None, absent_last: None }
    }

    fn absent_for(self) -> Option<time::Duration> {
        Some(self.absent_last? - self.absent_since?)
    }
}

/// Permission to open an attempt. Made here and nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit(());

impl Permit {
    /// For an order of which no attempt can have moved money.
    pub fn first(order: &Order) -> Option<Self> {
        (order.doubts == 0).then_some(Self(()))
    }

    /// For a deposit's call, which only asks the provider to expect money: the customer must still
    /// confirm, so that a repetition cannot move anything. Not for one that the provider is known to have: the customer
    /// could confirm both.
    pub fn moves_nothing(order: &Order) -> Option<Self> {
        (order.state == State::Deposit(Deposit::Created)).then_some(Self(()))
    }
}

/// How long somebody who wants a retry waits for another who agrees.
pub const AGREEMENT: Duration = Duration::from_hours(24);

/// What a person's wish to send again comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wished {
    /// No earlier call can have moved money: it is sent.
    Plain,
    /// It is kept until another agrees.
    Asked,
    /// The same person asks once more: that is still one.
    Alone,
    /// Another person agrees, or there is proof that nothing moved.
    Agreed,
}

/// Decides about a person's wish to send again. `absent`: [`is_absent`]. A wish that another agreed to is used up by the first
/// call, one that nobody agreed to ends after [`AGREEMENT`].
pub fn wish(order: &Order, by: &str, absent: bool, now: OffsetDateTime) -> Wished {
    match &order.retry {
        _ if order.doubts == 0 => Wished::Plain,
        _ if absent => Wished::Agreed,
        Some(asked) if asked.granted_by.is_none() && now - asked.asked_at < AGREEMENT => {
            if asked.asked_by == by {
                Wished::Alone
            } else {
                Wished::Agreed
            }
        }
        Some(_) | None => Wished::Asked,
    }
}

/// Whether there is proof that a call moved nothing: the provider refuses a repeated id, is trusted in that, and looks far
/// enough apart found nothing.
pub fn is_absent(capabilities: Capabilities, policy: &Policy, progress: Progress, timing: &Timing) -> bool {
    let seen_absent = progress.absent_for().is_some_and(|apart| apart >= timing.resend_gap);
    capabilities.refuses_duplicates && policy.trust_duplicate_refusal && capabilities.lookup_by_trade_id && seen_absent
}

/// What to do next about an unknown outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// Wait and look again.
    LookAgain,
    /// Send again, same id, same content.
    SendAgain(Permit),
    /// A human decides.
    GiveUp,
}

/// Decides what to do about a payout whose outcome is unknown.
pub fn recover(
    order: &Order,
    capabilities: Capabilities,
    policy: &Policy,
    progress: Progress,
    timing: &Timing,
    now: OffsetDateTime,
) -> Recovery {
    let doubtful_for = order.doubt_since.map_or(time::Duration::ZERO, |since| now - since);
    if doubtful_for >= timing.review_after {
        return Recovery::GiveUp;
    }
    if order.state != State::Payout(Payout::OutcomeUnknown) {
        return Recovery::LookAgain;
    }
    // Two persons have looked, and answer for it.
    if order.retry.as_ref().is_some_and(Retry::is_granted) {
        return Recovery::SendAgain(Permit(()));
    }
    let seen_absent = progress.absent_for().is_some_and(|apart| apart >= timing.resend_gap);
    let trusted = capabilities.refuses_duplicates && policy.trust_duplicate_refusal;
    let silent_long_enough = |grace: Duration| doubtful_for >= grace;
    match (trusted, capabilities.lookup_by_trade_id) {
        (true, true) if seen_absent => Recovery::SendAgain(Permit(())),
        (true, false) => Recovery::SendAgain(Permit(())),
        (false, true) if seen_absent => Recovery::GiveUp,
        (false, false) if silent_long_enough(timing.callback_grace) => Recovery::GiveUp,
        (true, true) | (false, _) => Recovery::LookAgain,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::domain::hearing::tests::payout;

    const FOMO: Capabilities = Capabilities {
        refuses_duplicates: true,
        lookup_by_trade_id: false,
        lookup_by_reference: true,
        callbacks: true,
        deposit_feed: false,
    };
    const HICOIN: Capabilities = Capabilities {
        refuses_duplicates: true,
        lookup_by_trade_id: true,
        lookup_by_reference: false,
        callbacks: false,
        deposit_feed: true,
    };

    fn decide(capabilities: Capabilities, trust: bool, looks_absent: &[u64], at_seconds: u64) -> Recovery {
        let mut order = payout(State::Payout(Payout::OutcomeUnknown));
        let start = order.created_at;
        order.doubts = 1;
        order.doubt_since = Some(start);
        let policy = Policy { trust_duplicate_refusal: trust, ..Policy::default() };
        let progress = looks_absent.iter().fold(Progress::default(), |progress, at| progress.absent_at(start + Duration::from_secs(*at)));
        recover(&order, capabilities, &policy, progress, &Timing::default(), start + Duration::from_secs(at_seconds))
    }

    #[test]
    fn a_provider_that_can_be_asked_is_sent_to_again_only_after_two_looks_far_apart() {
        assert_eq!(decide(HICOIN, true, &[], 5), Recovery::LookAgain);
        assert_eq!(decide(HICOIN, true, &[5], 5), Recovery::LookAgain);
        assert_eq!(decide(HICOIN, true, &[5, 20], 20), Recovery::LookAgain);
        assert!(matches!(decide(HICOIN, true, &[5, 20, 50], 50), Recovery::SendAgain(_)));
    }

    #[test]
    fn a_provider_that_is_not_trusted_to_refuse_duplicates_is_never_sent_to_again() {
        for at in [5, 60, 119, 120, 3600, 90_000] {
            for capabilities in [FOMO, HICOIN] {
                for looks in [&[][..], &[5, 40]] {
                    assert!(!matches!(decide(capabilities, false, looks, at), Recovery::SendAgain(_)));
                }
            }
        }
        assert_eq!(decide(HICOIN, false, &[5, 40], 40), Recovery::GiveUp);
        assert_eq!(decide(FOMO, false, &[], 120), Recovery::GiveUp);
    }

    proptest! {
        /// Whatever the account, the looks and the wishes: sent again is with trust, and, where there is a list, with the proof
        /// of two looks; or for two different keys.
        #[test]
        fn nothing_is_sent_again_without_trust_and_proof_or_two_persons(
            hicoin: bool, trust: bool, looks in proptest::collection::vec(0..120_u64, 0..5), at in 0..90_000_u64,
            wish in proptest::option::of((select(vec!["ada", "bob"]), proptest::option::of(select(vec!["ada", "bob"])))),
        ) {
            let mut looks = looks;
            looks.sort_unstable();
            let mut order = payout(State::Payout(Payout::OutcomeUnknown));
            (order.doubts, order.doubt_since) = (1, Some(order.created_at));
            order.retry = wish.map(|(asked, granted)| Retry {
                asked_by: asked.to_owned(),
                asked_at: order.created_at,
                reason: "why".to_owned(),
                granted_by: granted.map(str::to_owned),
            });
            let (capabilities, policy) = (if hicoin { HICOIN } else { FOMO }, Policy { trust_duplicate_refusal: trust, ..Policy::default() });
            let start = order.created_at;
            let progress = looks.iter().fold(Progress::default(), |progress, at| progress.absent_at(start + Duration::from_secs(*at)));
            let decided = recover(&order, capabilities, &policy, progress, &Timing::default(), start + Duration::from_secs(at));
            let proof = !hicoin || looks.first().zip(looks.last()).is_some_and(|(first, last)| last - first >= 30);
            let two = wish.is_some_and(|(asked, granted)| granted.is_some_and(|granted| granted != asked));
            let sends = matches!(decided, Recovery::SendAgain(_));
            prop_assert_eq!(sends, at < 86_400 && (two || (trust && proof)));
            prop_assert_eq!(is_absent(capabilities, &policy, progress, &Timing::default()), hicoin && trust && proof);
        }
    }

    #[test]
    fn after_a_day_a_human_decides() {
        assert_eq!(decide(FOMO, true, &[], 86_400), Recovery::GiveUp);
        assert_eq!(decide(HICOIN, true, &[5, 40], 86_400), Recovery::GiveUp);
    }

    #[test]
    fn a_first_attempt_needs_an_order_without_doubts() {
        let mut order = payout(State::Payout(Payout::Queued));
        assert!(Permit::first(&order).is_some());
        order.doubts = 1;
        assert!(Permit::first(&order).is_none());
        assert!(Permit::moves_nothing(&order).is_none());
    }
}
