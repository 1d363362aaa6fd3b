//! Deposits: how they are seen, in which order, and what becomes of them.

use serde_json::json;
use tillgate::sandbox::{HicoinError, HicoinTo, Kind};

use super::harness::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_is_pending_then_confirmed_then_done() {
    let wallet = Wallet::open().await;
    let address = wallet.address(ANN, "USDT").await;
    let id = wallet.sandbox.hicoin_deposit(None, &HicoinTo::Address(address.clone()), "USDT", amount("12.5")).expect("a deposit");
    let mut seen = wallet.list(DEPOSIT_LIST, &id.to_string()).await.remove(0);
    let txid = text(&seen, "/txid");
    assert_eq!(txid.len(), 64);
    let at = NOW * 1000;
    let expected = json!({
        "id": id, "uid": ANN, "symbol": "USDT", "amount": "12.5000000000000000", "created_at": at, "updated_at": at,
        "txid": txid, "confirmations": 0, "status": 0, "address_to": address,
    });
    assert_eq!(seen, expected);

    wallet.sandbox.advance(60);
    wallet.sandbox.hicoin_confirm(None, id, 3).expect("the deposit");
    seen = wallet.list(DEPOSIT_LIST, &id.to_string()).await.remove(0);
    assert_eq!((seen["confirmations"].as_u64(), seen["status"].as_u64()), (Some(3), Some(0)));
    assert_eq!((seen["created_at"].as_i64(), seen["updated_at"].as_i64()), (Some(at), Some(at + 60_000)));
    assert!(wallet.sandbox.books().is_empty());

    wallet.sandbox.hicoin_finish(None, id).expect("the deposit");
    assert_eq!(wallet.sandbox.hicoin_finish(None, id), Err(HicoinError::Settled));
    seen = wallet.list(DEPOSIT_LIST, &id.to_string()).await.remove(0);
    assert_eq!((seen["confirmations"].as_u64(), seen["status"].as_u64()), (Some(11), Some(1)));
    assert_eq!(wallet.balance(ANN), ("12.5".to_owned(), "0".to_owned()));
    let entry = wallet.sandbox.books().remove(0);
    assert_eq!((entry.provider, entry.kind, entry.user_id.as_str()), ("hicoin", Kind::Deposit, "10001"));
    assert_eq!((wallet.sandbox.executions("1"), wallet.sandbox.paid("1")), (1, 1));
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_higher_id_can_be_seen_before_a_lower_one() {
    let wallet = Wallet::open().await;
    let first = wallet.hidden_deposit(ANN, "1");
    let second = wallet.deposit(BOB, "2");
    wallet.sandbox.hicoin_skip_deposit_ids(None, 5).expect("the app");
    let third = wallet.deposit(ANN, "3");
    assert_eq!((first, second, third), (1, 2, 8));
    assert_eq!(wallet.sync("0").await, [2, 8]);
    wallet.sandbox.hicoin_finish(None, first).expect("the deposit");
    assert_eq!(wallet.list(DEPOSIT_LIST, "1,2,5").await.len(), 1, "hidden, though done, and a gap");
    wallet.sandbox.hicoin_show(None, first).expect("the deposit");
    for max_id in ["0", "-1"] {
        assert_eq!(wallet.sync(max_id).await, [1, 2, 8]);
    }
    assert_eq!(wallet.sync("2").await, [8]);
    assert_eq!(wallet.list(DEPOSIT_LIST, "8,1,8").await.len(), 2);
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_shows_the_first_hundred_whatever_their_status() {
    let wallet = Wallet::open().await;
    for _ in 0..150 {
        wallet.deposit(ANN, "0.01");
    }
    for id in [1, 102] {
        wallet.sandbox.hicoin_finish(None, id).expect("the deposit");
    }
    wallet.sandbox.hicoin_abnormal(None, 2).expect("the deposit");
    assert_eq!(wallet.sync("0").await, (1..=100).collect::<Vec<_>>());
    assert_eq!(wallet.sync("100").await, (101..=150).collect::<Vec<_>>());
    assert_eq!(wallet.sync("150").await, Vec::<u64>::new());
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abnormal_deposit_brings_nothing_and_a_done_one_can_be_undone() {
    let wallet = Wallet::open().await;
    let (bad, good) = (wallet.deposit(ANN, "7"), wallet.deposit(ANN, "9"));
    wallet.sandbox.hicoin_abnormal(None, bad).expect("the deposit");
    assert_eq!(wallet.sandbox.hicoin_abnormal(None, bad), Err(HicoinError::Settled));
    assert_eq!(wallet.list(DEPOSIT_LIST, "1").await[0]["status"], 2);
    assert!(wallet.sandbox.books().is_empty());

    wallet.sandbox.hicoin_finish(None, good).expect("the deposit");
    wallet.sandbox.hicoin_abnormal(None, good).expect("the chain was reorganised");
    assert_eq!(wallet.list(DEPOSIT_LIST, "2").await[0]["status"], 2);
    assert_eq!(wallet.kinds("2"), [Kind::Deposit, Kind::Returned]);
    assert_eq!((wallet.sandbox.executions("2"), wallet.sandbox.paid("2")), (1, 0));
    assert_eq!(wallet.balance(ANN), ("0".to_owned(), "0".to_owned()));
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_can_be_a_strangers_or_of_another_coin() {
    let wallet = Wallet::open().await;
    let stranger = wallet.deposit(77_777, "1");
    assert_eq!(wallet.list(DEPOSIT_LIST, &stranger.to_string()).await[0]["uid"], 77_777);
    let eth = wallet.address(ANN, "ETH").await;
    let id = wallet.sandbox.hicoin_deposit(None, &HicoinTo::Address(eth.clone()), "USDT", amount("1")).expect("a deposit");
    let seen = wallet.list(DEPOSIT_LIST, &id.to_string()).await.remove(0);
    assert_eq!((text(&seen, "/symbol"), text(&seen, "/address_to")), ("USDT".to_owned(), eth));
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_that_cannot_be_is_not_made() {
    let wallet = Wallet::open().await;
    let ann = HicoinTo::Uid(ANN);
    let unknown = HicoinTo::Address(OUTSIDE.to_owned());
    let cases = [
        (&ann, "DOGE", "1", HicoinError::NoSuchCoin),
        (&ann, "USDT", "0", HicoinError::NoAmount),
        (&ann, "USDT", "-1", HicoinError::NoAmount),
        (&ann, "USDT", "0.0000001", HicoinError::NoAmount),
        (&unknown, "USDT", "1", HicoinError::NoSuchAddress),
    ];
    for (to, symbol, sum, error) in cases {
        assert_eq!(wallet.sandbox.hicoin_deposit(None, to, symbol, amount(sum)), Err(error), "{symbol} {sum}");
    }
    assert_eq!(wallet.sandbox.hicoin_finish(None, 1), Err(HicoinError::NoSuchDeposit));
    assert_eq!(wallet.sandbox.hicoin_show(None, 1), Err(HicoinError::NoSuchDeposit));
    wallet.close().await;
}
