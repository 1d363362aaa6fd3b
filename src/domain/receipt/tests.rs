use proptest::prelude::*;
use proptest::sample::select;
use time::Duration;
use uuid::Uuid;

use super::*;
use crate::domain::hearing::tests::at;
use crate::domain::order::Kind;

mod laws;

fn amount(text: &str) -> Amount {
    Amount::parse_provider(text).unwrap()
}

/// A deposit that is so many seconds old, asks for so much and has seen so much.
fn asking(id: u128, state: Deposit, asked: &str, seen: &str, age: i64) -> Order {
    let order = at(State::Deposit(state));
    let created_at = order.created_at - Duration::seconds(age);
    let id = OrderId(Uuid::from_u128(id));
    Order { id, created_at, amount: amount(asked), amount_received: amount(seen), amount_confirmed: Amount::ZERO, ..order }
}

fn receipt(number: usize, much: u64, progress: Progress) -> Receipt {
    Receipt {
        id: ReceiptId(Uuid::from_u128(number as u128)),
        number: number.to_string(),
        order: None,
        customer: None,
        provider_user: None,
        provider_coin_id: "5".into(),
        amount: amount(&much.to_string()),
        progress,
        address: None,
        txid: Some(format!("0x{number}")),
        confirmations: Some(1),
    }
}

#[test]
fn money_goes_to_whom_it_fits_best() {
    use Deposit::{AwaitingPayment, Canceled, Confirming, Created, Expired, Failed, PartiallyPaid, RequiresReview, Succeeded};
    let review = |why| asking(9, RequiresReview(why), "2", "1", 90);
    let cases = [
        (
            "the one that asks for exactly this, though it is the youngest",
            "2",
            Some(3),
            vec![
                asking(1, AwaitingPayment, "5", "0", 30),
                asking(2, PartiallyPaid, "5", "3", 20),
                asking(3, AwaitingPayment, "2", "0", 10),
            ],
        ),
        (
            "then the one that misses exactly this",
            "2",
            Some(2),
            vec![asking(1, AwaitingPayment, "5", "0", 30), asking(2, PartiallyPaid, "5", "3", 20), asking(3, Created, "1", "0", 10)],
        ),
        (
            "then the oldest open one",
            "7",
            Some(1),
            vec![
                asking(1, AwaitingPayment, "5", "0", 30),
                asking(2, PartiallyPaid, "5", "3", 20),
                asking(3, AwaitingPayment, "2", "0", 10),
            ],
        ),
        (
            "of two that ask for exactly this the older",
            "2",
            Some(2),
            vec![asking(1, AwaitingPayment, "2", "0", 10), asking(2, AwaitingPayment, "2", "0", 30), asking(3, Created, "2", "0", 20)],
        ),
        (
            "of one instant the first",
            "2",
            Some(1),
            vec![asking(2, AwaitingPayment, "2", "0", 10), asking(1, AwaitingPayment, "2", "0", 10)],
        ),
        (
            "an open one that does not fit before a settled one that does",
            "2",
            Some(2),
            vec![asking(1, Confirming, "2", "0", 30), asking(2, AwaitingPayment, "9", "0", 10)],
        ),
        (
            "a settled one before a late one that asks for exactly this",
            "2",
            Some(1),
            vec![asking(1, Confirming, "9", "9", 10), asking(2, Expired, "2", "0", 30), asking(3, Canceled, "2", "0", 40)],
        ),
        ("of late ones the one that fits", "2", Some(3), vec![asking(2, Expired, "3", "0", 30), asking(3, Canceled, "2", "0", 10)]),
        ("one that waits for what is missing", "1", Some(9), vec![review(Review::UnderPaid), asking(2, Expired, "1", "0", 30)]),
        ("one that waits for good money", "1", Some(9), vec![review(Review::Abnormal)]),
        (
            "not one that a person is to decide for another reason",
            "1",
            None,
            vec![review(Review::OverPaid), review(Review::Late), review(Review::Mismatch), review(Review::Unproven)],
        ),
        (
            "not one that is over",
            "2",
            None,
            vec![
                asking(1, Succeeded, "2", "0", 1),
                asking(2, Failed, "2", "0", 1),
                Order { is_final: true, ..asking(3, Expired, "2", "0", 1) },
                Order { is_final: true, ..asking(4, Canceled, "2", "0", 1) },
            ],
        ),
        ("nobody's where there is nobody", "2", None, vec![]),
    ];
    for (why, much, expected, deposits) in cases {
        assert_eq!(home(&deposits, amount(much)).map(|order| order.id.0.as_u128()), expected, "{why}");
    }
}

fn any_deposit() -> impl Strategy<Value = Order> {
    (select(State::all(Kind::Deposit)), 1..4_u64, 0..4_u64, 0..3_i64, any::<bool>()).prop_map(|(state, asked, seen, age, is_over)| {
        let State::Deposit(state) = state else { unreachable!() };
        let order = asking(0, state, &asked.to_string(), &seen.to_string(), age);
        Order { is_final: order.is_final || is_over, ..order }
    })
}

fn any_deposits() -> impl Strategy<Value = Vec<Order>> {
    proptest::collection::vec(any_deposit(), 0..8)
        .prop_map(|orders| orders.into_iter().zip(1..).map(|(order, id)| Order { id: OrderId(Uuid::from_u128(id)), ..order }).collect())
}

/// The rule in its own words: the first of these kinds that there is any of, and of those the oldest.
fn by_the_words(deposits: &[Order], much: Amount) -> Option<OrderId> {
    let classes = [
        |state| matches!(state, Deposit::Created | Deposit::AwaitingPayment | Deposit::Verifying | Deposit::PartiallyPaid),
        |state| matches!(state, Deposit::Confirming | Deposit::RequiresReview(Review::UnderPaid | Review::Abnormal)),
        |state| matches!(state, Deposit::Expired | Deposit::Canceled),
    ];
    let fits = [
        |order: &Order, much| order.amount_received.is_zero() && order.amount == much,
        |order: &Order, much| order.amount_received.plus(much) == Some(order.amount),
        |_: &Order, _| true,
    ];
    let is_of = |class: fn(Deposit) -> bool, order: &Order| !order.is_final && matches!(order.state, State::Deposit(state) if class(state));
    let kinds = classes.into_iter().flat_map(|class| fits.map(|fit| (class, fit)));
    kinds
        .filter_map(|(class, fit)| {
            let fitting = deposits.iter().filter(|order| is_of(class, order) && fit(order, much));
            fitting.min_by_key(|order| (order.created_at, order.id.0)).map(|order| order.id)
        })
        .next()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn money_goes_home_by_the_rule_whoever_is_asked_first(
        (deposits, shuffled) in any_deposits().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())), much in 1..4_u64,
    ) {
        let much = amount(&much.to_string());
        let found = home(&deposits, much).map(|order| order.id);
        prop_assert_eq!(found, home(&shuffled, much).map(|order| order.id));
        prop_assert_eq!(found, by_the_words(&deposits, much));
    }
}

#[test]
fn a_longer_number_is_a_newer_one() {
    let takings = Takings::of(&[receipt(10, 1, Progress::Confirmed), receipt(9, 1, Progress::Pending), receipt(11, 1, Progress::Abnormal)]);
    assert_eq!(takings.newest.unwrap().number, "10");
}
