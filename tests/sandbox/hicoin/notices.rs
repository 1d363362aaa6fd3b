//! Notices, where they are set up.

use tillgate::sandbox::{CallbackFault, Fault, HicoinStage};

use super::harness::*;
use crate::harness::Receiver;

async fn open() -> (Wallet, Receiver) {
    let (wallet, receiver) = (Wallet::open().await, Receiver::open());
    receiver.says("SUCCESS");
    wallet.sandbox.set_hicoin_notice_url(None, Some(&receiver.url)).expect("the app");
    (wallet, receiver)
}

async fn close(wallet: Wallet, receiver: Receiver) {
    receiver.handle.stop(false).await;
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_where_no_notices_are_set_up() {
    let wallet = Wallet::open().await;
    wallet.deposit(ANN, "1");
    wallet.withdraw("w1").await;
    assert!(wallet.sandbox.pending_callbacks().is_empty());
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_is_told_at_each_change_and_not_while_it_is_hidden() {
    let (wallet, mut receiver) = open().await;
    let id = wallet.hidden_deposit(ANN, "1.5");
    wallet.sandbox.hicoin_confirm(None, id, 1).expect("the deposit");
    assert!(wallet.sandbox.pending_callbacks().is_empty());
    wallet.sandbox.hicoin_show(None, id).expect("the deposit");
    wallet.sandbox.hicoin_confirm(None, id, 4).expect("the deposit");
    wallet.sandbox.hicoin_finish(None, id).expect("the deposit");
    assert_eq!(wallet.sandbox.deliver_callbacks().await.len(), 3);
    let told = receiver.drain();
    let states: Vec<_> = told.iter().map(|one| (one["status"].as_str(), one["confirmations"].as_str())).collect();
    assert_eq!(states, [("0", "1"), ("0", "4"), ("1", "11")]);
    let seen = wallet.list(DEPOSIT_LIST, "1").await.remove(0);
    let (txid, address) = (text(&seen, "/txid"), text(&seen, "/address_to"));
    let expected = form([
        ("app_id", "acme-hicoin"),
        ("id", "1"),
        ("uid", "10001"),
        ("symbol", "USDT"),
        ("amount", "1.5"),
        ("status", "1"),
        ("txid", &txid),
        ("confirmations", "11"),
        ("address_to", &address),
    ]);
    assert_eq!(told[2], expected);
    close(wallet, receiver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_is_told_with_its_fees() {
    let (wallet, mut receiver) = open().await;
    wallet.withdraw("w1").await;
    wallet.sandbox.hicoin_withdrawal(None, "w1", HicoinStage::Done, Some(20)).expect("the withdrawal");
    wallet.sandbox.deliver_callbacks().await;
    let told = receiver.drain();
    assert_eq!(told.iter().map(|one| one["status"].as_str()).collect::<Vec<_>>(), ["0", "5"]);
    let txid = text(&wallet.list(WITHDRAW_LIST, "w1").await[0], "/txid");
    let expected = form([
        ("app_id", "acme-hicoin"),
        ("id", "100001"),
        ("request_id", "w1"),
        ("uid", "10000"),
        ("symbol", "USDT"),
        ("amount", "100"),
        ("withdraw_fee_symbol", "USDT"),
        ("withdraw_fee", "1"),
        ("fee_symbol", "USDT"),
        ("real_fee", "0.0000000000000001"),
        ("status", "5"),
        ("txid", &txid),
        ("confirmations", "20"),
        ("address_to", OUTSIDE),
    ]);
    assert_eq!(told[1], expected);
    wallet.sandbox.set_hicoin_notice_url(None, None).expect("the app");
    wallet.withdraw("w2").await;
    assert!(wallet.sandbox.pending_callbacks().is_empty());
    close(wallet, receiver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_bare_word_success_ends_a_notice() {
    let (wallet, mut receiver) = open().await;
    wallet.withdraw("w1").await;
    for answer in ["", "FAILURE", "\"SUCCESS\"", "{\"code\":\"SUCCESS\"}"] {
        receiver.says(answer);
        assert_eq!(wallet.sandbox.deliver_callbacks().await[0].status_code, 200);
    }
    receiver.says("SUCCESS");
    receiver.answers(500);
    assert_eq!(wallet.sandbox.deliver_callbacks().await[0].status_code, 500);
    assert_eq!(wallet.sandbox.pending_callbacks()[0].attempts, 5);
    receiver.answers(200);
    wallet.sandbox.deliver_callbacks().await;
    assert!(wallet.sandbox.pending_callbacks().is_empty());
    assert_eq!(receiver.drain().len(), 6);
    close(wallet, receiver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_can_come_before_the_answer() {
    let (wallet, mut receiver) = open().await;
    wallet.sandbox.fault("withdraw", Fault::CallbackFirst);
    assert_eq!(code(&wallet.withdraw("w1").await), 0);
    assert_eq!(receiver.drain()[0]["request_id"], "w1");
    close(wallet, receiver).await;
}

/// What arrives under a fault, as the fields that differ from the truth, one list per notice.
async fn differences(fault: CallbackFault) -> Vec<Vec<(String, String)>> {
    let (wallet, mut receiver) = open().await;
    wallet.withdraw("w1").await;
    let truth = wallet.sandbox.pending_callbacks().remove(0).fields;
    wallet.sandbox.callback_fault("w1", fault);
    wallet.sandbox.deliver_callbacks().await;
    assert!(wallet.sandbox.pending_callbacks().is_empty());
    let told = receiver.drain();
    close(wallet, receiver).await;
    let differs = |(name, value): &(String, String)| truth.get(name.as_str()) != Some(value);
    told.into_iter().map(|one| one.into_iter().filter(differs).collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_callback_fault_changes_what_it_names() {
    assert!(differences(CallbackFault::Missing).await.is_empty());
    assert_eq!(differences(CallbackFault::Repeat(3)).await, [vec![], vec![], vec![]]);
    let cases = [
        (CallbackFault::WrongAmount("999".to_owned()), "amount", "999"),
        (CallbackFault::WrongCoin, "symbol", "BTC"),
        (CallbackFault::WrongUser, "uid", "100009"),
        (CallbackFault::WrongTransferId, "id", "1000019"),
    ];
    for (fault, name, value) in cases {
        assert_eq!(differences(fault).await, [vec![(name.to_owned(), value.to_owned())]]);
    }
    assert_eq!(differences(CallbackFault::Contradict).await, [vec![], vec![("status".to_owned(), "1".to_owned())]]);
}
