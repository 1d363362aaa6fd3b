use proptest::prelude::*;

use super::*;
use crate::domain::claim::Claim;
use crate::domain::hearing::tests::at;
use crate::domain::order::Kind;

const FOMO: Capabilities =
    Capabilities { refuses_duplicates: true, lookup_by_trade_id: false, lookup_by_reference: true, callbacks: true, deposit_feed: false };
const HICOIN: Capabilities =
    Capabilities { refuses_duplicates: true, lookup_by_trade_id: true, lookup_by_reference: false, callbacks: false, deposit_feed: true };
/// A provider that can be asked nothing: only its calls tell.
const MUTE: Capabilities =
    Capabilities { refuses_duplicates: false, lookup_by_trade_id: false, lookup_by_reference: false, callbacks: true, deposit_feed: false };

fn all_states() -> impl Iterator<Item = State> {
    [Kind::Deposit, Kind::Payout].into_iter().flat_map(State::all)
}

fn tried(tries: i32) -> Progress {
    Progress { tries, ..Progress::default() }
}

/// An order at this place after `tries`, asked `after` seconds of its life: the work, and in how many seconds.
fn next(order: &Order, capabilities: Capabilities, tries: i32, after: u64) -> Option<(Work, i64)> {
    let now = order.created_at + Duration::from_secs(after);
    let task = Task::next(order, capabilities, tried(tries), &Timing::default(), now)?;
    Some((task.work, (task.due_at - now).whole_seconds()))
}

#[test]
fn no_order_is_forgotten() {
    for state in all_states() {
        for capabilities in [FOMO, HICOIN, MUTE] {
            for (reference, doubts) in [(None, 0), (None, 1), (Some("T1".to_owned()), 0), (Some("T1".to_owned()), 1)] {
                let mut order = at(state);
                order.doubt_since = order.doubt_since.or((doubts > 0).then_some(order.created_at));
                order.doubts = order.doubts.max(doubts);
                order.provider_reference = reference;
                if order.is_final || next(&order, capabilities, 0, 1).is_some() {
                    continue;
                }
                let waits = waiting_for(&order);
                let can_look = capabilities.lookup_by_trade_id || (capabilities.lookup_by_reference && order.provider_reference.is_some());
                let for_a_call = waits == Some(WaitingFor::Provider) && capabilities.callbacks && !can_look && order.doubts == 0;
                assert!(waits == Some(WaitingFor::Decision) || for_a_call, "{state:?} waits for {waits:?} under {capabilities:?}");
            }
        }
    }
}

#[test]
fn a_final_order_has_no_task_and_waits_for_nobody_and_every_other_waits_for_somebody() {
    for state in all_states() {
        let mut order = at(state);
        assert_eq!(waiting_for(&order).is_none(), order.is_final, "{state:?}");
        order.is_final = true;
        for capabilities in [FOMO, HICOIN, MUTE] {
            assert_eq!(next(&order, capabilities, 3, 1), None);
        }
        assert_eq!(waiting_for(&order), None);
    }
}

#[test]
fn due_times_follow_the_schedules() {
    let (day, deadline) = (86_400, 17 * 60);
    let deposit = State::Deposit;
    let payout = State::Payout;
    for (state, capabilities, tries, after, expected) in [
        (deposit(Deposit::Created), FOMO, 0, 0, Some((Work::Submit, 0))),
        (deposit(Deposit::Created), FOMO, 1, 0, Some((Work::Submit, 5))),
        (deposit(Deposit::Created), FOMO, 4, 0, Some((Work::Submit, 60))),
        (deposit(Deposit::Created), FOMO, 8, 0, Some((Work::Submit, deadline))),
        (deposit(Deposit::Created), FOMO, 8, 1200, Some((Work::Submit, 3600))),
        (deposit(Deposit::AwaitingPayment), FOMO, 0, 0, Some((Work::Expire, deadline))),
        (deposit(Deposit::AwaitingPayment), FOMO, 0, 1200, Some((Work::Expire, 0))),
        (deposit(Deposit::AwaitingPayment), FOMO, 2, 9999, Some((Work::Expire, 15))),
        (deposit(Deposit::PartiallyPaid), HICOIN, 0, 20, Some((Work::Expire, deadline - 20))),
        (deposit(Deposit::Verifying), FOMO, 0, 9, Some((Work::Look, 0))),
        (deposit(Deposit::Verifying), FOMO, 3, 9, Some((Work::Look, 30))),
        (deposit(Deposit::Confirming), HICOIN, 99, 9, Some((Work::Look, 3600))),
        (deposit(Deposit::Expired), FOMO, 0, 0, Some((Work::Close, day))),
        (deposit(Deposit::Canceled), FOMO, 5, 90_000, Some((Work::Close, 120))),
        (deposit(Deposit::RequiresReview(Review::Late)), FOMO, 0, 0, None),
        (payout(Payout::Queued), FOMO, 0, 0, Some((Work::Submit, 0))),
        (payout(Payout::Queued), FOMO, 2, 0, Some((Work::Submit, 15))),
        (payout(Payout::RequiresApproval), FOMO, 0, 0, None),
        (payout(Payout::Submitting), FOMO, 7, 0, Some((Work::Submit, 0))),
        (payout(Payout::OutcomeUnknown), FOMO, 0, 0, Some((Work::Look, 5))),
        (payout(Payout::OutcomeUnknown), HICOIN, 6, 100, Some((Work::Poll, 900))),
        (payout(Payout::OutcomeUnknown), HICOIN, 50, 100, Some((Work::Poll, 3600))),
        (payout(Payout::OutcomeUnknown), HICOIN, 50, 86_340, Some((Work::Poll, 60))),
        (payout(Payout::OutcomeUnknown), HICOIN, 50, 99_999, Some((Work::Poll, 0))),
        (payout(Payout::Accepted), HICOIN, 0, 0, Some((Work::Poll, 5))),
        (payout(Payout::ProviderReview), HICOIN, 4, 0, Some((Work::Poll, 300))),
        (payout(Payout::Broadcast), HICOIN, 99, 0, Some((Work::Poll, 3600))),
        (payout(Payout::Accepted), FOMO, 0, 0, None),
        (payout(Payout::RequiresReview(Review::OutcomeUnknown)), HICOIN, 0, 0, Some((Work::Poll, 3600))),
        (payout(Payout::RequiresReview(Review::OutcomeUnknown)), FOMO, 0, 0, None),
        (payout(Payout::RequiresReview(Review::Mismatch)), HICOIN, 0, 0, None),
    ] {
        assert_eq!(next(&at(state), capabilities, tries, after), expected, "{state:?} after {tries} tries, at {after} s");
    }
}

#[test]
fn a_deposit_whose_first_call_was_lost_waits_before_the_call_is_repeated() {
    let mut order = at(State::Deposit(Deposit::Created));
    (order.doubts, order.doubt_since) = (1, Some(order.created_at));
    assert_eq!(next(&order, FOMO, 0, 0), Some((Work::Submit, 5)));
    assert_eq!(waiting_for(&order), Some(WaitingFor::Outcome));
}

#[test]
fn a_taken_payout_is_asked_about_by_its_reference_once_that_is_known() {
    let mut order = at(State::Payout(Payout::Accepted));
    order.provider_reference = Some("T1".into());
    assert_eq!(next(&order, FOMO, 0, 0), Some((Work::Look, 5)));
    assert_eq!(next(&order, MUTE, 0, 0), None);
}

#[test]
fn a_taken_payout_in_doubt_that_cannot_be_asked_about_is_looked_at_when_a_human_has_to() {
    let mut order = at(State::Payout(Payout::Accepted));
    (order.doubts, order.doubt_since) = (1, Some(order.created_at));
    assert_eq!(next(&order, FOMO, 0, 600), Some((Work::Look, 86_400 - 600)));
    assert_eq!(next(&order, FOMO, 0, 90_000), Some((Work::Look, 0)));
    assert_eq!(next(&order, HICOIN, 0, 600), Some((Work::Poll, 5)));
}

#[test]
fn a_claim_after_the_deadline_is_given_the_grace_to_be_proven() {
    let timing = Timing::default();
    let mut order = at(State::Deposit(Deposit::Verifying));
    order.updated_at += Duration::from_hours(2);
    assert_eq!(deadline(&order, &timing, order.updated_at), order.created_at + Duration::from_mins(17));
    order.claim = Some(Claim { paid: true, reference: None, others: Vec::new(), fee: None, by_browser: false });
    assert_eq!(deadline(&order, &timing, order.updated_at), order.updated_at + Duration::from_mins(2));
    order.updated_at = order.created_at;
    assert_eq!(deadline(&order, &timing, order.updated_at), order.created_at + Duration::from_mins(17));
}

#[test]
fn an_empty_schedule_still_waits() {
    let timing = Timing { lookup_schedule: Vec::new(), poll_schedule: Vec::new(), ..Timing::default() };
    let order = at(State::Payout(Payout::OutcomeUnknown));
    let task = Task::next(&order, HICOIN, tried(0), &timing, order.created_at).unwrap();
    assert_eq!(task.due_at - order.created_at, time::Duration::minutes(1));
}

proptest! {
    #[test]
    fn nothing_is_due_in_the_past(
        state in proptest::sample::select(all_states().collect::<Vec<_>>()),
        capabilities in proptest::sample::select(vec![FOMO, HICOIN, MUTE]),
        tries in prop_oneof![0..12, Just(i32::MAX)],
        after in 0..200_000_u64,
        doubted in proptest::option::of(0..200_000_u64),
        referenced: bool,
    ) {
        let mut order = at(state);
        let now = order.created_at + Duration::from_secs(after);
        if let Some(doubted) = doubted {
            (order.doubts, order.doubt_since) = (1, Some(order.created_at + Duration::from_secs(doubted.min(after))));
        }
        order.provider_reference = referenced.then(|| "T1".to_owned());
        if let Some(task) = Task::next(&order, capabilities, tried(tries), &Timing::default(), now) {
            prop_assert!(task.due_at >= now);
            prop_assert!(task.due_at <= now + Duration::from_hours(25), "and nothing waits longer than its longest gap");
        }
    }

    #[test]
    fn what_failed_once_is_not_due_again_at_once(
        state in proptest::sample::select(vec![
            State::Deposit(Deposit::Created),
            State::Deposit(Deposit::AwaitingPayment),
            State::Deposit(Deposit::PartiallyPaid),
            State::Deposit(Deposit::Verifying),
            State::Deposit(Deposit::Confirming),
            State::Deposit(Deposit::Expired),
            State::Deposit(Deposit::Canceled),
            State::Payout(Payout::Queued),
        ]),
        tries in 1..50,
        after in (17 * 60)..200_000_u64,
    ) {
        let (_, wait) = next(&at(state), FOMO, tries, after).unwrap();
        prop_assert!(wait >= 5, "{state:?} is due {wait} s after try {tries}");
    }
}
