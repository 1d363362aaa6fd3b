//! A deposit that was announced twice to a provider that took both: any of its movements may be the one that is paid.

use super::*;

/// One announcement was lost, the next one accepted.
fn announced_twice() -> Order {
    let created = at(State::Deposit(Deposit::Created));
    let order = after(&created, &[answer(lost()), answer(accepted(record(&created, Standing::Awaiting)))]);
    assert_eq!((order.state, order.doubts, order.provider_reference.as_deref()), (AWAITING, 1, Some("T1")));
    order
}

fn twin(order: &Order, standing: Standing) -> ProviderRecord {
    ProviderRecord { reference: Some("T0".to_owned()), ..record(order, standing) }
}

#[test]
fn money_of_either_settles_the_order_and_names_it() {
    let order = announced_twice();
    for paid in [twin(&order, Standing::Paid), record(&order, Standing::Paid)] {
        let name = paid.reference.clone();
        let end = after(&order, &[claim(paid.clone()), lookup(record(&order, Standing::Awaiting)), lookup(paid)]);
        assert_eq!((end.state, end.provider_reference, end.doubts), (State::Deposit(Deposit::Succeeded), name, 0));
    }
}

/// The fault campaign has found this one (seed 5).
#[test]
fn a_claim_that_comes_before_the_first_announcement_is_given_up_keeps_its_name() {
    let created = at(State::Deposit(Deposit::Created));
    let paid = twin(&created, Standing::Paid);
    let told = [claim(paid.clone()), answer(lost()), answer(accepted(record(&created, Standing::Awaiting)))];
    let order = after(&created, &told);
    assert_eq!((order.state, order.references()), (State::Deposit(Deposit::Verifying), vec!["T1".to_owned(), "T0".to_owned()]));
    assert_eq!(after(&order, &[lookup(paid)]).state, State::Deposit(Deposit::Succeeded));
}

#[test]
fn each_name_is_asked_for_and_a_claim_alone_moves_no_money() {
    let order = announced_twice();
    let heard = heard(&order, &claim(twin(&order, Standing::Paid)));
    assert_eq!((heard.order.state, heard.finding, heard.received), (State::Deposit(Deposit::Verifying), None, None));
    assert_eq!(heard.order.references(), ["T1", "T0"]);
}

#[test]
fn the_failure_of_one_does_not_end_the_other() {
    let order = announced_twice();
    for failed in [twin(&order, Standing::Failed), record(&order, Standing::Failed)] {
        let reports = [claim(failed.clone()), lookup(failed), clock(Says::TimeUp)];
        assert_eq!(after(&order, &reports).state, State::Deposit(Deposit::Expired));
    }
}

#[test]
fn a_provider_that_refuses_the_repetition_has_one_only() {
    let created = at(State::Deposit(Deposit::Created));
    for told in [None, Some(Box::new(record(&created, Standing::Awaiting)))] {
        let order = after(&created, &[answer(lost()), answer(lost()), answer(Outcome::Duplicate(told))]);
        let named = after(&order, &[claim(record(&created, Standing::Paid)), lookup(record(&created, Standing::Awaiting))]);
        assert!(!named.may_have_twins(), "{named:?}");
        let other = heard(&named, &claim(twin(&named, Standing::Paid)));
        assert_eq!(other.finding.map(|finding| finding.kind), Some(FindingKind::ForgedCallback));
    }
}

#[test]
fn a_late_answer_of_the_only_announcement_leaves_no_doubt() {
    let created = at(State::Deposit(Deposit::Created));
    let order = after(&created, &[answer(lost()), late_answer(accepted(record(&created, Standing::Awaiting)))]);
    assert_eq!((order.state, order.doubts), (AWAITING, 0));
}

/// The model of orders has found this one: each repetition was a step, and took a doubt away.
#[test]
fn an_announcement_that_does_not_agree_leaves_every_doubt_however_often_it_is_listed() {
    let created = at(State::Deposit(Deposit::Created));
    let order = after(&created, &[answer(lost()), answer(lost())]);
    let other = lookup(ProviderRecord { amount: order.amount.plus(order.amount), ..record(&order, Standing::Awaiting) });
    let first = heard(&order, &other);
    assert_eq!((first.order.state, first.order.doubts), (State::Deposit(Deposit::RequiresReview(Review::Mismatch)), 2));
    let second = heard(&first.order, &other);
    assert_eq!((second.changed, second.order), (false, first.order));
}
