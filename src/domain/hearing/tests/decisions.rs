//! What persons decide: with one key or two, with proof or without.

use super::*;

#[test]
fn an_operator_confirms_what_was_claimed_and_the_claim_becomes_the_receipt() {
    let told = ProviderRecord { fee: Some(amount("0.5")), ..record(&at(AWAITING), Standing::Paid) };
    let claimed = heard(&at(AWAITING), &claim(told)).order;
    let confirmed = heard(&claimed, &decide(Decision::Confirm));
    assert_eq!(confirmed.order.state, State::Deposit(Deposit::Succeeded));
    assert_eq!((confirmed.order.provider_reference.as_deref(), confirmed.order.fee), (Some("T1"), Some(amount("0.5"))));
    assert_eq!(confirmed.order.claim, None);
    assert_eq!(confirmed.received.unwrap().provider_receipt_id, "T1");
}

#[test]
fn an_operator_confirms_or_rejects_a_parked_payout() {
    let confirmed = heard(&at(PARKED), &decide(Decision::Confirm)).order;
    assert_eq!((confirmed.state, confirmed.amount_confirmed, confirmed.doubts), (SENT, confirmed.amount, 0));
    let rejected = heard(&at(PARKED), &decide(Decision::Reject)).order;
    assert_eq!((rejected.state, rejected.doubt_since), (State::Payout(Payout::Failed), None));
    assert_eq!(rejected.failure.unwrap().code, "rejected_by_operator");
    let retried = heard(&at(PARKED), &decide(Decision::Retry));
    assert_eq!((retried.order.state, retried.order.doubts, retried.refusal), (PARKED, 1, None));
}

#[test]
fn it_takes_two_keys_to_send_again_what_may_have_been_paid_and_that_once() {
    let asked = heard(&at(PARKED), &decided(Decision::Retry, "ada", false)).order;
    assert_eq!((asked.state, asked.sequence), (PARKED, at(PARKED).sequence + 1));
    let wish = asked.retry.clone().unwrap();
    assert_eq!((wish.asked_by.as_str(), wish.granted_by.as_deref(), wish.reason.as_str()), ("ada", None, "seen in the wallet"));
    let alone = heard(&asked, &decided(Decision::Retry, "ada", false));
    assert_eq!((alone.changed, alone.refusal), (false, Some(Refusal::NeedsAnother)));
    let agreed = heard(&asked, &decided(Decision::Retry, "bob", false)).order;
    assert_eq!((agreed.state, agreed.doubts, agreed.doubt_since), (UNKNOWN, 1, Some(agreed.updated_at)));
    assert!(agreed.retry.as_ref().unwrap().is_granted());
    let sent = heard(&agreed, &report(Channel::Gateway, true, Says::Attempt(Permit::moves_nothing(&at(CREATED)).unwrap()))).order;
    assert_eq!((sent.state, sent.retry.as_ref(), sent.doubts), (SUBMITTING, None, 1));
    let refused = heard(&sent, &answer(refused())).order;
    assert_eq!((refused.state, refused.retry), (UNKNOWN, None), "a refusal says nothing of the earlier call");
}

#[test]
fn a_wish_to_send_again_ends_after_a_day_and_with_every_news() {
    let asked = heard(&at(PARKED), &decided(Decision::Retry, "ada", false)).order;
    let late = hear_at(&asked, &decided(Decision::Retry, "bob", false), &Policy::default(), 25).order;
    assert_eq!((late.state, late.retry.unwrap().asked_by.as_str()), (PARKED, "bob"));
    let in_time = hear_at(&asked, &decided(Decision::Retry, "bob", false), &Policy::default(), 24).order;
    assert_eq!(in_time.state, UNKNOWN);
    for news in [lookup(record(&asked, Standing::Accepted)), decide(Decision::Confirm), decide(Decision::Reject)] {
        assert_eq!(heard(&asked, &news).order.retry, None, "{news:?}");
    }
    let wrong = ProviderRecord { amount: Some(amount("125")), ..record(&asked, Standing::Accepted) };
    let parked = heard(&asked, &lookup(wrong)).order;
    assert_eq!(heard(&parked, &decided(Decision::Retry, "bob", false)).refusal, Some(Refusal::MightPayTwice));
    assert_eq!(heard(&parked, &decided(Decision::Retry, "bob", true)).refusal, Some(Refusal::MightPayTwice));
}

#[test]
fn with_proof_of_absence_one_key_is_enough_and_the_proof_is_taken_anew() {
    let order = heard(&at(PARKED), &decided(Decision::Retry, "ada", true)).order;
    assert_eq!((order.state, order.retry, order.doubts), (UNKNOWN, None, 1));
}

#[test]
fn an_operator_approves_or_rejects_what_was_not_sent_yet() {
    let waiting = at(State::Payout(Payout::RequiresApproval));
    assert_eq!(heard(&waiting, &decide(Decision::Approve)).order.state, State::Payout(Payout::Queued));
    let rejected = heard(&waiting, &decide(Decision::Reject)).order;
    assert_eq!((rejected.state, rejected.is_final), (State::Payout(Payout::Rejected), true));
}

#[test]
fn the_deadline_and_the_operator_add_no_money_to_what_was_seen() {
    let mut part = at(State::Deposit(Deposit::PartiallyPaid));
    (part.amount_received, part.amount_confirmed) = (amount("10"), amount("4"));
    let accept = Policy { under: Under::Accept, ..Policy::default() };
    let counted = hear_at(&part, &clock(Says::TimeUp), &accept, 1);
    assert_eq!((counted.order.state, counted.order.amount_received), (State::Deposit(Deposit::Confirming), amount("10")));
    assert_eq!(counted.order.amount_confirmed, amount("4"), "a deadline proves nothing");
    part.amount_confirmed = amount("10");
    assert_eq!(hear_at(&part, &clock(Says::TimeUp), &accept, 1).order.state, State::Deposit(Deposit::Succeeded));
    part.amount_confirmed = amount("4");
    let review = Policy { under: Under::Review, ..Policy::default() };
    let parked = hear_at(&part, &clock(Says::TimeUp), &review, 1).order;
    assert_eq!(parked.status_and_stage(), ("requires_review", Some("under_paid")));
    let confirmed = heard(&parked, &decide(Decision::Confirm));
    assert_eq!((confirmed.order.amount_received, confirmed.order.amount_confirmed), (amount("10"), amount("4")));
    assert_eq!((counted.received, confirmed.received), (None, None));
}
