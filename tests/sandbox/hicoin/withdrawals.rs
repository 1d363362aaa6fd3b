//! Withdrawals to a chain: their stages, the money that goes with them, and the books.

use serde_json::json;
use tillgate::sandbox::{HicoinError, HicoinStage, Kind, Options};

use super::harness::*;

fn pair(normal: &str, locked: &str) -> (String, String) {
    (normal.to_owned(), locked.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_goes_from_order_to_chain() {
    let wallet = Wallet::open().await;
    let answer = wallet.withdraw("w1").await;
    assert_eq!(answer, json!({ "code": "0", "msg": "suc", "data": { "statuts": 0 } }));
    assert_eq!(wallet.balance(MERCHANT), pair("900", "100"));
    assert_eq!((wallet.sandbox.executions("w1"), wallet.sandbox.paid("w1")), (1, 0));

    wallet.sandbox.hicoin_withdrawal(None, "w1", HicoinStage::Approved, None).expect("the withdrawal");
    let mut seen = wallet.list(WITHDRAW_LIST, "w1").await.remove(0);
    assert_eq!((text(&seen, "/txid"), text(&seen, "/real_fee")), (String::new(), "0".to_owned()));
    wallet.sandbox.advance(60);
    wallet.sandbox.hicoin_withdrawal(None, "w1", HicoinStage::Paying, Some(2)).expect("the withdrawal");
    wallet.sandbox.hicoin_withdrawal(None, "w1", HicoinStage::Paying, Some(7)).expect("the withdrawal");
    seen = wallet.list(WITHDRAW_LIST, "w1").await.remove(0);
    let (txid, from) = (text(&seen, "/txid"), text(&seen, "/address_from"));
    assert!(txid.len() == 64 && from.len() == 42);
    let expected = json!({
        "request_id": "w1", "id": 100_001, "uid": MERCHANT, "symbol ": "USDT", "amount": "100", "withdraw_fee_symbol": "USDT",
        "withdraw_fee": "1", "fee_symbol": "USDT", "real_fee": "0.0000000000000001", "created_at": NOW * 1000,
        "updated_at": (NOW + 60) * 1000, "address_from": from, "address_to": OUTSIDE, "txid": txid, "confirmations": 7,
        "saas_status": 1, "company_status": 1, "status": 3,
    });
    assert_eq!(seen, expected);
    assert_eq!((wallet.balance(MERCHANT), wallet.kinds("w1")), (pair("900", "100"), vec![Kind::Withdrawal]));

    wallet.sandbox.hicoin_withdrawal(None, "w1", HicoinStage::Done, None).expect("the withdrawal");
    seen = wallet.list(WITHDRAW_LIST, "w1").await.remove(0);
    assert_eq!((seen["status"].as_u64(), seen["confirmations"].as_u64()), (Some(5), Some(11)));
    assert_eq!((wallet.balance(MERCHANT), wallet.kinds("w1")), (pair("900", "0"), vec![Kind::Withdrawal, Kind::Completed]));
    let entry = wallet.sandbox.books().remove(0);
    assert_eq!((entry.amount, entry.fee, entry.user_id.as_str()), (amount("100"), amount("1"), OUTSIDE));
    assert_eq!((wallet.sandbox.executions("w1"), wallet.sandbox.paid("w1")), (1, 1));
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_that_is_not_paid_gives_its_money_back_once() {
    let wallet = Wallet::open().await;
    let ends = [(HicoinStage::Refused, 2, 2), (HicoinStage::Failed, 4, 1), (HicoinStage::Revoked, 6, 0)];
    for (stage, status, review) in ends {
        let request_id = format!("w{status}");
        wallet.withdraw(&request_id).await;
        wallet.sandbox.hicoin_withdrawal(None, &request_id, stage, None).expect("the withdrawal");
        assert_eq!(wallet.balance(MERCHANT), pair("1000", "0"), "{stage:?}");
        let seen = wallet.list(WITHDRAW_LIST, &request_id).await.remove(0);
        assert_eq!((&seen["status"], &seen["company_status"]), (&json!(status), &json!(review)));
        assert_eq!(wallet.kinds(&request_id), [Kind::Withdrawal, Kind::Returned]);
        assert_eq!((wallet.sandbox.executions(&request_id), wallet.sandbox.paid(&request_id)), (1, 0), "{stage:?}");
        for later in [HicoinStage::Paying, HicoinStage::Done] {
            assert_eq!(wallet.sandbox.hicoin_withdrawal(None, &request_id, later, None), Err(HicoinError::Settled));
        }
        assert_eq!(code(&wallet.withdraw(&request_id).await), 110_088, "its request_id is used up");
    }
    assert_eq!(wallet.sandbox.hicoin_withdrawal(None, "w", HicoinStage::Done, None), Err(HicoinError::NoSuchWithdrawal));
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_is_taken_once_by_whatever_order() {
    let wallet = Wallet::open().await;
    assert_eq!(code(&wallet.withdraw("r").await), 0);
    // Even an order that could not be paid any more is first of all a repetition.
    wallet.sandbox.set_hicoin_balance(None, MERCHANT, "USDT", amount("900")).expect("USDT");
    assert_eq!(code(&wallet.post(WITHDRAW, &with(&withdraw_form("r"), "amount", "999")).await), 110_088);
    assert_eq!(code(&wallet.post(USER_TRANSFER, &user_transfer_form("r")).await), 110_088);
    assert_eq!(code(&wallet.post(SYSTEM_TRANSFER, &system_transfer_form("r")).await), 110_088);
    assert_eq!(wallet.sandbox.executions("r"), 1);
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_duplicate_check_a_resent_order_is_executed_again() {
    let options = Options { manual_callbacks: true, duplicate_check: false, ..Options::default() };
    let wallet = Wallet::open_with(options).await;
    for _ in 0..2 {
        assert_eq!(code(&wallet.withdraw("w1").await), 0);
    }
    assert_eq!((wallet.sandbox.executions("w1"), wallet.balance(MERCHANT)), (2, pair("800", "200")));
    assert_eq!(wallet.list(WITHDRAW_LIST, "w1").await.len(), 2);
    wallet.sandbox.hicoin_withdrawal(None, "w1", HicoinStage::Done, None).expect("the latest");
    assert_eq!(wallet.sandbox.paid("w1"), 1);
    wallet.sandbox.set_duplicate_check(true);
    assert_eq!(code(&wallet.withdraw("w1").await), 110_088);
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn withdrawals_can_move_on_by_themselves() {
    let wallet = Wallet::open_with(Options { manual_callbacks: true, hicoin_auto_advance: true, ..Options::default() }).await;
    wallet.withdraw("w1").await;
    wallet.withdraw("w2").await;
    for status in [1, 3, 5, 5] {
        assert_eq!(wallet.list(WITHDRAW_LIST, "w1").await[0]["status"], status);
    }
    assert_eq!(wallet.kinds("w1"), [Kind::Withdrawal, Kind::Completed]);
    wallet.sandbox.set_hicoin_auto_advance(false);
    assert_eq!(wallet.list(WITHDRAW_LIST, "w2").await[0]["status"], 0, "nobody asked about it");
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_own_address_is_paid_at_once_and_without_a_fee() {
    let wallet = Wallet::open().await;
    let address = wallet.address(ANN, "USDT").await;
    let order = with(&withdraw_form("i1"), "to_address", &address);
    for (name, value) in [("amount", "0.5"), ("focus_online", "0")] {
        let order = with(&with(&order, name, value), "request_id", name);
        assert_eq!(wallet.post(WITHDRAW, &order).await["data"], json!({ "statuts": 0 }), "{name}={value}");
    }
    assert_eq!(wallet.balance(ANN), pair("100.5", "0"));
    assert_eq!(wallet.kinds("amount"), [Kind::Payout]);
    assert_eq!((wallet.sandbox.executions("amount"), wallet.sandbox.paid("amount")), (1, 1));
    assert!(wallet.list(WITHDRAW_LIST, "amount").await.is_empty());
    let seen = wallet.list(TRANSFER_LIST, "amount").await.remove(0);
    assert_eq!((&seen["from_uid"], &seen["to_uid"], &seen["status"]), (&json!(MERCHANT), &json!(ANN), &json!("0")));

    let forced = with(&with(&order, "focus_online", "1"), "request_id", "forced");
    assert_eq!(code(&wallet.post(WITHDRAW, &forced).await), 0);
    assert_eq!(wallet.list(WITHDRAW_LIST, "forced").await[0]["address_to"], json!(address));
    let other_coin = with(&with(&order, "to_address", &wallet.address(ANN, "ETH").await), "request_id", "other");
    assert_eq!(code(&wallet.post(WITHDRAW, &other_coin).await), 0);
    assert_eq!(wallet.kinds("other"), [Kind::Withdrawal], "an address for another coin is no address for this one");
    wallet.close().await;
}
