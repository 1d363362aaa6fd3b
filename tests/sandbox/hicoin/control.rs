//! The same verbs over HTTP.

use serde_json::{Value, json};

use super::harness::*;

async fn post(wallet: &Wallet, path: &str, body: Value) -> (u16, Value) {
    let url = format!("{}{path}", wallet.sandbox.control_url());
    let response = wallet.http.post(url).json(&body).send().await.expect("an answer");
    let status = response.status().as_u16();
    (status, response.json().await.unwrap_or_default())
}

async fn ok(wallet: &Wallet, path: &str, body: Value) -> Value {
    let (status, answer) = post(wallet, path, body.clone()).await;
    assert_eq!(status, 200, "{path} {body}");
    answer
}

async fn get(wallet: &Wallet, path: &str) -> Value {
    let url = format!("{}{path}", wallet.sandbox.control_url());
    wallet.http.get(url).send().await.expect("an answer").json().await.expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_can_play_the_chain_over_http() {
    let wallet = Wallet::open().await;
    let address = wallet.address(ANN, "USDT").await;
    ok(&wallet, "hicoin/deposits/skip", json!({ "count": 2 })).await;
    let hidden = ok(&wallet, "hicoin/deposits", json!({ "uid": ANN, "symbol": "USDT", "amount": "4", "visible": false })).await;
    let seen = json!({ "app": "acme-hicoin", "address": address, "symbol": "USDT", "amount": "5" });
    assert_eq!((hidden, ok(&wallet, "hicoin/deposits", seen).await), (json!({ "id": 3 }), json!({ "id": 4 })));
    assert_eq!(wallet.sync("0").await, [4]);
    ok(&wallet, "hicoin/deposits/show", json!({ "id": 3 })).await;
    ok(&wallet, "hicoin/deposits/confirm", json!({ "id": 3, "confirmations": 2 })).await;
    assert_eq!(wallet.list(DEPOSIT_LIST, "3").await[0]["confirmations"], 2);
    ok(&wallet, "hicoin/deposits/finish", json!({ "id": 3 })).await;
    ok(&wallet, "hicoin/deposits/abnormal", json!({ "id": 4 })).await;
    assert_eq!(get(&wallet, "hicoin/balances?uid=10001&symbol=USDT").await, json!({ "normal": "4", "locked": "0" }));

    wallet.withdraw("w1").await;
    ok(&wallet, "hicoin/withdrawals", json!({ "request_id": "w1", "status": "paying", "confirmations": 3 })).await;
    assert_eq!(wallet.list(WITHDRAW_LIST, "w1").await[0]["status"], 3);
    ok(&wallet, "hicoin/withdrawals", json!({ "request_id": "w1", "status": "refused" })).await;
    let kinds: Vec<_> = get(&wallet, "books").await["entries"].as_array().expect("a list").iter().map(|one| one["kind"].clone()).collect();
    assert_eq!(json!(kinds), json!(["deposit", "withdrawal", "returned"]));
    ok(&wallet, "hicoin/balances", json!({ "uid": BOB, "symbol": "BTC", "amount": "0.5" })).await;
    assert_eq!(get(&wallet, "hicoin/balances?uid=10002&symbol=BTC").await["normal"], "0.5");
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_and_faults_work_over_http() {
    let wallet = Wallet::open().await;
    ok(&wallet, "faults", json!({ "operation": "withdrawList", "trade_id": "w1", "fault": "omit" })).await;
    wallet.withdraw("w1").await;
    assert!(wallet.list(WITHDRAW_LIST, "w1").await.is_empty());
    assert_eq!(get(&wallet, "calls").await["calls"][3]["ids"], json!(["w1"]));

    let usdt = json!({
        "symbol": "USDT", "icon": "", "decimals": 6, "fee": { "symbol": "USDT", "amount": "2" }, "min": "50", "real_fee": "0",
    });
    let new = json!({
        "style": { "withdraw_type": true, "statuses": "strings" },
        "auto_advance": true,
        "coins": [usdt],
        "frozen": { "10001": true },
        "notice_url": "http://127.0.0.1:9/notices",
    });
    ok(&wallet, "hicoin/settings", new).await;
    assert_eq!(wallet.withdraw("w2").await["data"], json!({ "statuts": "0", "withdraw_type": 1 }));
    assert_eq!(wallet.list(WITHDRAW_LIST, "w2").await[0]["withdraw_fee"], "2");
    assert_eq!(code(&wallet.post(WITHDRAW, &with(&withdraw_form("w3"), "amount", "49")).await), 110_078);
    assert_eq!(code(&wallet.post(WITHDRAW, &with(&withdraw_form("w3"), "from_uid", "10001")).await), 110_004);
    let pending = get(&wallet, "callbacks").await["pending"].as_array().expect("a list").len();
    assert_eq!(pending, 2, "taken and approved");
    ok(&wallet, "hicoin/settings", json!({ "refuse_ip": true, "notice_url": "", "frozen": { "10001": false } })).await;
    assert_eq!(code(&wallet.withdraw("w3").await), 100_007);
    ok(&wallet, "settings", json!({ "duplicate_check": false })).await;
    ok(&wallet, "hicoin/settings", json!({ "refuse_ip": false, "style": {} })).await;
    assert_eq!(code(&wallet.withdraw("w1").await), 0);
    assert_eq!(wallet.sandbox.executions("w1"), 2);
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_refused() {
    let wallet = Wallet::open().await;
    let cases = [
        ("faults", json!({ "operation": "withdrawals", "fault": "omit" })),
        ("hicoin/deposits", json!({ "symbol": "USDT", "amount": "1" })),
        ("hicoin/deposits", json!({ "uid": ANN, "address": OUTSIDE, "symbol": "USDT", "amount": "1" })),
        ("hicoin/deposits", json!({ "address": OUTSIDE, "symbol": "USDT", "amount": "1" })),
        ("hicoin/deposits", json!({ "uid": ANN, "symbol": "DOGE", "amount": "1" })),
        ("hicoin/deposits/finish", json!({ "id": 1 })),
        ("hicoin/withdrawals", json!({ "request_id": "w1", "status": "done" })),
        ("hicoin/balances", json!({ "uid": ANN, "symbol": "DOGE", "amount": "1" })),
        ("hicoin/balances", json!({ "app": "nobody", "uid": ANN, "symbol": "BTC", "amount": "1" })),
        ("hicoin/settings", json!({ "frozen": { "4711": true } })),
    ];
    for (path, body) in cases {
        assert_eq!(post(&wallet, path, body.clone()).await.0, 422, "{path} {body}");
    }
    assert_eq!(post(&wallet, "hicoin/settings", json!({ "colour": "red" })).await.0, 400);
    wallet.close().await;
}
