//! Faults strike Hicoin's calls as they strike FOMO's, and lists can forget.

use tillgate::sandbox::{Fault, Times};

use super::harness::*;

/// What a caller can see of an answer.
#[derive(Debug, PartialEq)]
enum Seen {
    NoAnswer,
    BrokenBody,
    NotJson,
    Status500,
    Code(i64),
}

async fn look(wallet: &Wallet, request_id: &str) -> Seen {
    let Ok(response) = wallet.send(WITHDRAW, &signed(&withdraw_form(request_id))).await else {
        return Seen::NoAnswer;
    };
    if response.status() == 500 {
        return Seen::Status500;
    }
    let Ok(body) = response.text().await else {
        return Seen::BrokenBody;
    };
    serde_json::from_str(&body).map_or(Seen::NotJson, |answer| Seen::Code(code(&answer)))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_shows_the_caller_one_thing_and_the_books_another() {
    let cases = [
        (Fault::LoseBefore, Seen::NoAnswer, 0),
        (Fault::LoseAfter, Seen::NoAnswer, 1),
        (Fault::Delay(1), Seen::Code(0), 1),
        (Fault::Error500Before, Seen::Status500, 0),
        (Fault::Error500After, Seen::Status500, 1),
        (Fault::GarbageBefore, Seen::NotJson, 0),
        (Fault::GarbageAfter, Seen::NotJson, 1),
        (Fault::TruncatedAfter, Seen::BrokenBody, 1),
        (Fault::EmptyAfter, Seen::NotJson, 1),
        (Fault::Code(100_001), Seen::Code(100_001), 0),
        (Fault::CallbackFirst, Seen::Code(0), 1),
        (Fault::Omit, Seen::Code(0), 1),
    ];
    let wallet = Wallet::open().await;
    wallet.sandbox.set_hicoin_balance(None, MERCHANT, "USDT", amount("2000")).expect("USDT");
    for (number, (fault, seen, executions)) in cases.into_iter().enumerate() {
        let request_id = format!("w{number}");
        wallet.sandbox.inject("withdraw", Some(&request_id), fault.clone(), Times::default());
        assert_eq!(look(&wallet, &request_id).await, seen, "{fault:?}");
        assert_eq!(wallet.sandbox.executions(&request_id), executions, "{fault:?}");
        let again = if executions == 0 { 0 } else { 110_088 };
        assert_eq!(look(&wallet, &request_id).await, Seen::Code(again), "{fault:?} is used up");
        assert_eq!(wallet.sandbox.calls_for("withdraw", &request_id), 2);
    }
    wallet.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_order_is_executed_at_its_release() {
    for (fault, while_held, executions) in [(Fault::HangBefore, 0, 0), (Fault::HangAfter, 1, 1), (Fault::HangLate, 0, 1)] {
        let wallet = Wallet::open().await;
        wallet.sandbox.fault("withdraw", fault.clone());
        let release = async {
            wallet.sandbox.wait_for_held(1).await;
            assert_eq!(wallet.sandbox.executions("w1"), while_held, "{fault:?}");
            wallet.sandbox.release();
        };
        let (seen, ()) = tokio::join!(look(&wallet, "w1"), release);
        assert_eq!(seen == Seen::Code(0), executions == 1, "{fault:?}");
        assert_eq!(wallet.sandbox.executions("w1"), executions, "{fault:?}");
        wallet.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_can_fail() {
    let wallet = Wallet::open().await;
    let posts = [
        ("createUser", "api/user/createUser"),
        ("registerEmail", "api/user/registerEmail"),
        ("getDepositAddress", "api/account/getDepositAddress"),
        ("userTransfer", USER_TRANSFER),
        ("systemTransfer", SYSTEM_TRANSFER),
        ("withdraw", WITHDRAW),
    ];
    let gets = [
        ("user_info", "api/user/info"),
        ("getByUidAndSymbol", "api/account/getByUidAndSymbol"),
        ("getAllAccount", "api/account/getAllAccount"),
        ("getCoinList", "api/user/getCoinList"),
        ("withdrawList", WITHDRAW_LIST),
        ("syncDepositList", SYNC),
        ("depositList", DEPOSIT_LIST),
        ("transferList", TRANSFER_LIST),
        ("systemTransferList", SYSTEM_TRANSFER_LIST),
    ];
    for (operation, path) in posts.into_iter().chain(gets) {
        wallet.sandbox.fault(operation, Fault::Code(100_016));
        let is_post = posts.contains(&(operation, path));
        let answer = if is_post { wallet.post(path, &form([])).await } else { wallet.get(path, &form([])).await };
        assert_eq!((code(&answer), text(&answer, "/msg").as_str()), (100_016, "商户信息过期"), "{operation}");
    }
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_and_the_log_find_one_id_among_many() {
    let wallet = Wallet::open().await;
    wallet.sandbox.inject("withdrawList", Some("w2"), Fault::Code(100_001), Times::Forever);
    for (ids, expected) in [("w1,w3", 0), ("w1,w2", 100_001), ("w2", 100_001), ("w22", 0)] {
        assert_eq!(code(&wallet.get(WITHDRAW_LIST, &form([("ids", ids)])).await), expected, "{ids}");
    }
    assert_eq!((wallet.sandbox.calls_for("withdrawList", "w1"), wallet.sandbox.calls_for("withdrawList", "w2")), (2, 2));
    let log = wallet.sandbox.call_log();
    assert_eq!(log.last().expect("a call").ids, ["w22"]);
    assert!(log.iter().all(|call| !call.params.contains_key("sign")));
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_forgets_what_it_is_told_to() {
    let wallet = Wallet::open().await;
    for request_id in ["w1", "w2", "w3"] {
        wallet.withdraw(request_id).await;
    }
    let shown =
        async || -> Vec<String> { wallet.list(WITHDRAW_LIST, "w1,w2,w3").await.iter().map(|one| text(one, "/request_id")).collect() };
    wallet.sandbox.inject("withdrawList", Some("w1"), Fault::Omit, Times::Count(2));
    wallet.sandbox.inject("withdrawList", Some("w3"), Fault::Omit, Times::Count(1));
    assert_eq!(shown().await, ["w2"]);
    assert_eq!(shown().await, ["w2", "w3"]);
    assert_eq!(shown().await, ["w1", "w2", "w3"]);
    wallet.sandbox.fault("withdrawList", Fault::Omit);
    assert!(shown().await.is_empty());
    assert_eq!(shown().await.len(), 3);
    assert_eq!(wallet.sandbox.executions("w1"), 1);
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_list_can_forget() {
    let wallet = Wallet::open().await;
    wallet.post(USER_TRANSFER, &user_transfer_form("t1")).await;
    wallet.post(SYSTEM_TRANSFER, &system_transfer_form("s1")).await;
    let (first, second) = (wallet.deposit(ANN, "1").to_string(), wallet.deposit(ANN, "1"));
    let lists = [
        ("transferList", TRANSFER_LIST, "t1"),
        ("systemTransferList", SYSTEM_TRANSFER_LIST, "s1"),
        ("depositList", DEPOSIT_LIST, first.as_str()),
    ];
    for (operation, path, id) in lists {
        wallet.sandbox.inject(operation, Some(id), Fault::Omit, Times::default());
        assert!(wallet.list(path, id).await.is_empty(), "{operation}");
        assert_eq!(wallet.list(path, id).await.len(), 1, "{operation}");
    }
    wallet.sandbox.inject("syncDepositList", Some(&first), Fault::Omit, Times::default());
    assert_eq!(wallet.sync("1").await, [second], "it was not about the first one");
    assert_eq!(wallet.sync("0").await, [second]);
    assert_eq!(wallet.sync("0").await.len(), 2);
    assert_eq!(wallet.sandbox.calls_for("syncDepositList", &first), 2);
    wallet.close().await;
}
