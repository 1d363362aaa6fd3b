//! Transfers between a merchant's own accounts.

use serde_json::json;
use tillgate::sandbox::{CallbackFault, Kind};

use super::harness::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_moves_money_at_once_and_is_listed_with_its_like() {
    let wallet = Wallet::open().await;
    let user = wallet.post(USER_TRANSFER, &user_transfer_form("t1")).await;
    assert_eq!(user, json!({ "code": "0", "msg": "suc", "data": { "statuts": 0 } }));
    let system = wallet.post(SYSTEM_TRANSFER, &system_transfer_form("s1")).await;
    assert_eq!(system["data"], json!({ "statuts": 0 }));
    let balances = [MERCHANT, ANN, BOB].map(|uid| wallet.balance(uid).0);
    assert_eq!(balances, ["969.5", "25", "5.5"]);
    assert_eq!((wallet.kinds("t1"), wallet.kinds("s1")), (vec![Kind::Transfer], vec![Kind::Transfer]));
    assert_eq!(wallet.sandbox.paid("t1"), 1);

    let seen = wallet.list(TRANSFER_LIST, "s1,t1,unknown").await;
    let expected = json!([{
        "request_id": "t1", "id": 100_001, "symbol": "USDT", "amount": "25.0000000000000000", "created_at": NOW * 1000,
        "updated_at": NOW * 1000, "from_uid": MERCHANT, "to_uid": ANN, "status": "0",
    }]);
    assert_eq!(json!(seen), expected);
    let seen = wallet.list(SYSTEM_TRANSFER_LIST, "s1,t1").await;
    assert_eq!((seen.len(), &seen[0]["request_id"], &seen[0]["to_uid"]), (1, &json!("s1"), &json!(BOB)));
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_can_fail_with_status_1_and_move_nothing() {
    let wallet = Wallet::open().await;
    let internal = with(&withdraw_form("i1"), "to_address", &wallet.address(ANN, "USDT").await);
    let orders = [
        (USER_TRANSFER, TRANSFER_LIST, user_transfer_form("t1")),
        (SYSTEM_TRANSFER, SYSTEM_TRANSFER_LIST, system_transfer_form("s1")),
        (WITHDRAW, TRANSFER_LIST, internal),
    ];
    for (path, list, order) in orders {
        let request_id = &order["request_id"];
        wallet.sandbox.callback_fault(request_id, CallbackFault::Failed);
        let answer = wallet.post(path, &order).await;
        assert_eq!((code(&answer), &answer["data"]), (0, &json!({ "statuts": 1 })), "{path}");
        assert_eq!(wallet.list(list, request_id).await[0]["status"], "1");
        assert_eq!(code(&wallet.post(path, &order).await), 110_088, "{path}");
        assert_eq!(wallet.sandbox.executions(request_id), 0);
    }
    assert_eq!(wallet.balance(MERCHANT).0, "1000");
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_can_fail_before_any_money_is_touched() {
    let wallet = Wallet::open().await;
    wallet.sandbox.callback_fault("w1", CallbackFault::Failed);
    assert_eq!(wallet.withdraw("w1").await["data"], json!({ "statuts": 4 }));
    assert_eq!(wallet.list(WITHDRAW_LIST, "w1").await[0]["status"], 4);
    assert!(wallet.sandbox.books().is_empty());
    assert_eq!(wallet.balance(MERCHANT), ("1000".to_owned(), "0".to_owned()));
    wallet.close().await;
}
