//! Callbacks: when they come, how often, and what faults make of them.

use tillgate::sandbox::{CallbackFault, Options, Style, delay_before};

use super::harness::{Form, Shop};

#[test]
fn the_schedule_is_the_documents() {
    let due = |attempt| -> u64 { (1..=attempt).filter_map(delay_before).map(|delay| delay.as_secs()).sum() };
    let table = [(1, 1), (2, 61), (3, 121), (4, 181), (5, 241), (6, 841), (7, 1441), (100, 57_241)];
    for (attempt, seconds) in table {
        assert_eq!(due(attempt), seconds, "attempt {attempt}");
    }
    assert_eq!(delay_before(101), None);
    assert_eq!(delay_before(0), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unanswered_callback_is_repeated_until_200() {
    let mut shop = Shop::open_with(Options { time_scale: 10_000, ..Options::default() }).await;
    shop.receiver.answers(503);
    shop.pay_user("p1").await;
    for _ in 0..3 {
        assert_eq!(shop.receiver.next().await["trade_id"], "p1");
    }
    shop.receiver.answers(200);
    shop.receiver.next().await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_hand_a_callback_stays_pending_until_200_and_is_given_up_after_a_hundred() {
    let mut shop = Shop::open().await;
    shop.receiver.answers(500);
    shop.pay_user("p1").await;
    assert_eq!(shop.sandbox.deliver_callbacks().await[0].status_code, 500);
    assert_eq!(shop.sandbox.pending_callbacks()[0].attempts, 1);
    shop.receiver.answers(200);
    assert_eq!(shop.sandbox.deliver_callbacks().await.len(), 1);
    assert!(shop.sandbox.deliver_callbacks().await.is_empty());
    assert_eq!(shop.receiver.drain().len(), 2);

    shop.receiver.answers(500);
    shop.pay_user("p2").await;
    for _ in 0..100 {
        assert_eq!(shop.sandbox.deliver_callbacks().await.len(), 1);
    }
    assert!(shop.sandbox.deliver_callbacks().await.is_empty());
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callbacks_can_come_as_json() {
    let mut shop = Shop::open().await;
    shop.sandbox.set_style(Style { json_callbacks: true, ..Style::default() });
    shop.pay_user("p1").await;
    shop.sandbox.deliver_callbacks().await;
    assert_eq!(shop.receiver.next().await["amount"], "10.5");
    shop.close().await;
}

/// What arrives under a fault, as the fields that differ from the truth, one list per callback.
async fn differences(fault: CallbackFault) -> Vec<Vec<(String, String)>> {
    let mut shop = Shop::open().await;
    shop.pay_user("p1").await;
    let pending = shop.sandbox.pending_callbacks();
    let truth: Form = pending[0].fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    shop.sandbox.callback_fault("p1", fault);
    shop.sandbox.deliver_callbacks().await;
    assert!(shop.sandbox.pending_callbacks().is_empty());
    let told = shop.receiver.drain();
    shop.close().await;
    let differs = |(name, value): &(String, String)| truth.get(name) != Some(value);
    told.into_iter().map(|one| one.into_iter().filter(differs).collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_callback_fault_changes_what_it_names() {
    assert_eq!(differences(CallbackFault::Missing).await, Vec::<Vec<_>>::new());
    assert_eq!(differences(CallbackFault::Repeat(3)).await, [vec![], vec![], vec![]]);
    let cases = [
        (CallbackFault::WrongAmount("999".to_owned()), "amount", "999"),
        (CallbackFault::WrongCoin, "coin_id", "8"),
        (CallbackFault::WrongUser, "user_id", "u1-other"),
        (CallbackFault::WrongTransferId, "transfer_id", "00000000000000000000000000000000"),
        (CallbackFault::WrongDirection, "direction", "1"),
    ];
    for (fault, name, value) in cases {
        assert_eq!(differences(fault).await, [vec![(name.to_owned(), value.to_owned())]]);
    }
    let contradicted = differences(CallbackFault::Contradict).await;
    assert_eq!(contradicted, [vec![], vec![("status".to_owned(), "0".to_owned())]]);
}
