use super::*;
use crate::domain::hearing::tests::at;
use crate::domain::ids::ReceiptId;
use crate::domain::money::Amount;
use crate::domain::status::Review;

const STANDINGS: [Standing; 6] =
    [Standing::Awaiting, Standing::Accepted, Standing::InReview, Standing::Broadcast, Standing::Paid, Standing::Failed];

fn amount(text: &str) -> Amount {
    Amount::parse_provider(text).unwrap()
}

/// A record that agrees with the order in everything that it says.
fn record(order: &Order, standing: Standing) -> ProviderRecord {
    ProviderRecord { amount: Some(order.amount), coin: Some(order.provider_coin_id.clone()), ..ProviderRecord::new(standing) }
}

/// In a word, at so long after the order's last step.
fn word(order: &Order, listed: &[ProviderRecord], age: Duration) -> &'static str {
    let listed: Vec<_> = listed.iter().cloned().map(Ok).collect();
    match compare_order(order, &listed, order.updated_at + age) {
        Verdict::Agree => "agree",
        Verdict::Behind => "behind",
        Verdict::Overdue(finding) | Verdict::Disagree(finding) => finding.kind.into(),
        Verdict::Unreadable => "unreadable",
    }
}

#[test]
fn what_each_place_of_an_order_makes_of_each_standing() {
    use Payout::{Accepted, Canceled, Failed, OutcomeUnknown, Queued, RequiresReview, Submitting, Succeeded};
    // Nothing listed, then by the order of STANDINGS; long after the last step.
    let table: [(State, [&str; 7]); 11] = [
        (State::Payout(Queued), ["agree", "agree", "status", "status", "status", "status", "status"]),
        (State::Payout(Submitting), ["agree", "agree", "status", "status", "status", "status", "status"]),
        (State::Payout(OutcomeUnknown), ["agree", "agree", "status", "status", "status", "status", "status"]),
        (State::Payout(RequiresReview(Review::OutcomeUnknown)), ["agree", "agree", "status", "status", "status", "status", "status"]),
        (State::Payout(Accepted), ["missing_at_provider", "agree", "agree", "agree", "agree", "status", "status"]),
        (State::Payout(Succeeded), ["missing_at_provider", "status", "status", "status", "status", "agree", "status"]),
        (State::Payout(Failed), ["agree", "agree", "status", "status", "status", "status", "agree"]),
        (State::Payout(Canceled), ["agree", "agree", "status", "status", "status", "status", "agree"]),
        (State::Deposit(Deposit::AwaitingPayment), ["agree", "agree", "status", "status", "status", "status", "agree"]),
        (State::Deposit(Deposit::Expired), ["agree", "agree", "status", "status", "status", "status", "agree"]),
        (State::Deposit(Deposit::Succeeded), ["missing_at_provider", "status", "status", "status", "status", "agree", "status"]),
    ];
    for (state, expected) in table {
        let order = at(state);
        let mut found = vec![word(&order, &[], OVERDUE)];
        found.extend(STANDINGS.map(|standing| word(&order, &[record(&order, standing)], OVERDUE)));
        assert_eq!(found, expected, "{state:?}");
    }
}

#[test]
fn what_has_just_happened_may_be_listed_later_and_what_is_ahead_will_be_heard() {
    let moment = SETTLING - Duration::SECOND;
    let (done, taken, open) =
        (at(State::Payout(Payout::Succeeded)), at(State::Payout(Payout::Accepted)), at(State::Payout(Payout::Queued)));
    for order in [&done, &taken] {
        assert_eq!((word(order, &[], moment), word(order, &[], SETTLING)), ("agree", "missing_at_provider"));
    }
    let slow = record(&done, Standing::Broadcast);
    assert_eq!((word(&done, std::slice::from_ref(&slow), moment), word(&done, &[slow], SETTLING)), ("agree", "status"));
    let ahead = record(&open, Standing::Paid);
    let almost = OVERDUE - Duration::SECOND;
    assert_eq!((word(&open, std::slice::from_ref(&ahead), almost), word(&open, &[ahead], OVERDUE)), ("behind", "status"));
    // That money moved for an order that ended without it cannot be too early to say.
    let failed = at(State::Payout(Payout::Failed));
    assert_eq!(word(&failed, &[record(&failed, Standing::Paid)], Duration::ZERO), "status");
}

#[test]
fn more_than_one_movement_another_content_and_another_fee_are_findings() {
    let order = at(State::Payout(Payout::Succeeded));
    let paid = record(&order, Standing::Paid);
    assert_eq!(word(&order, &[paid.clone(), paid.clone()], OVERDUE), "duplicate");
    assert_eq!(word(&order, &[record(&order, Standing::Failed), paid.clone()], OVERDUE), "agree", "a refused try beside the true one");
    let other = |change: fn(&mut ProviderRecord)| {
        let mut other = paid.clone();
        change(&mut other);
        word(&order, &[other], OVERDUE)
    };
    assert_eq!(other(|record| record.amount = Some(amount("12.4"))), "amount");
    assert_eq!(other(|record| record.coin = Some("6".into())), "coin");
    assert_eq!(other(|record| record.user = Some("43".into())), "recipient");
    let with_fee = Order { fee: Some(amount("0.1")), ..order.clone() };
    let record = |fee: &str| ProviderRecord { fee: Some(amount(fee)), ..paid.clone() };
    assert_eq!((word(&with_fee, &[record("0.10")], OVERDUE), word(&with_fee, &[record("0.2")], OVERDUE)), ("agree", "fee"));
    assert_eq!(compare_order(&order, &[Err("no JSON".into())], order.updated_at), Verdict::Unreadable);
}

#[test]
fn movements_are_compared_in_everything_that_makes_them_money() {
    let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
    let receipt = Receipt {
        id: ReceiptId(uuid::Uuid::from_u128(1)),
        number: "7".into(),
        order: None,
        customer: None,
        provider_user: Some("10001".into()),
        provider_coin_id: "ETH".into(),
        amount: amount("2"),
        progress: Progress::Confirmed,
        address: None,
        txid: None,
        confirmations: None,
    };
    let entry = Incoming {
        user: "10001".into(),
        provider_coin_id: "ETH".into(),
        amount: amount("2"),
        progress: Progress::Confirmed,
        address: None,
        txid: None,
        confirmations: Some(12),
        seen_at: Some(now - OVERDUE),
    };
    let word = |ours: Option<&Receipt>, theirs: Option<&Incoming>, age: Duration| match compare_movement(
        ours.map(|receipt| (receipt, now - age)),
        theirs,
        now,
    ) {
        Verdict::Agree => "agree",
        Verdict::Behind => "behind",
        Verdict::Overdue(finding) | Verdict::Disagree(finding) => finding.kind.into(),
        Verdict::Unreadable => "unreadable",
    };
    let pending = Receipt { progress: Progress::Pending, ..receipt.clone() };
    let abnormal = Incoming { progress: Progress::Abnormal, ..entry.clone() };
    let fresh = Incoming { seen_at: Some(now), ..entry.clone() };
    for (ours, theirs, age, expected) in [
        (Some(&receipt), Some(&entry), OVERDUE, "agree"),
        (None, Some(&entry), OVERDUE, "missing_here"),
        (None, Some(&fresh), OVERDUE, "behind"),
        (Some(&receipt), None, Duration::ZERO, "missing_at_provider"),
        (Some(&receipt), Some(&abnormal), Duration::ZERO, "status"),
        (Some(&receipt), Some(&Incoming { progress: Progress::Pending, ..entry.clone() }), Duration::ZERO, "behind"),
        (Some(&receipt), Some(&Incoming { progress: Progress::Pending, ..entry.clone() }), SETTLING, "status"),
        (Some(&pending), Some(&entry), Duration::ZERO, "behind"),
        (Some(&pending), Some(&entry), OVERDUE, "status"),
        (Some(&receipt), Some(&Incoming { amount: amount("3"), ..entry.clone() }), OVERDUE, "amount"),
        (Some(&pending), Some(&Incoming { amount: amount("3"), ..entry.clone() }), Duration::ZERO, "behind"),
        (Some(&receipt), Some(&Incoming { provider_coin_id: "BTC".into(), ..entry.clone() }), OVERDUE, "coin"),
        (Some(&receipt), Some(&Incoming { user: "10002".into(), ..entry.clone() }), OVERDUE, "recipient"),
    ] {
        assert_eq!(word(ours, theirs, age), expected, "{ours:?} {theirs:?}");
    }
}

#[test]
fn every_leg_comes_once_and_the_last_is_the_last() {
    let mut legs = vec![Leg::ALL[0]];
    while let Some(next) = legs.last().and_then(|leg| leg.next()) {
        legs.push(next);
    }
    assert_eq!(legs, Leg::ALL);
}
