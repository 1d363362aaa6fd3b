//! The control API: the same verbs over HTTP.

use serde_json::{Value, json};
use tillgate::sandbox::Sandbox;

use super::harness::{NOW, Shop, USDT, amount, text};

async fn post(shop: &Shop, path: &str, body: Value) -> (u16, Value) {
    let url = format!("{}{path}", shop.sandbox.control_url());
    let response = shop.http.post(url).json(&body).send().await.expect("an answer");
    let status = response.status().as_u16();
    (status, response.json().await.unwrap_or_default())
}

async fn get(shop: &Shop, path: &str) -> Value {
    let url = format!("{}{path}", shop.sandbox.control_url());
    shop.http.get(url).send().await.expect("an answer").json().await.expect("JSON")
}

async fn ok(shop: &Shop, path: &str, body: Value) -> Value {
    let (status, answer) = post(shop, path, body).await;
    assert_eq!(status, 200, "{path}");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_can_play_the_user_over_http() {
    let mut shop = Shop::open().await;
    let user = json!({ "user_id": "u2", "name": "Bob", "balances": { "5": "50" } });
    shop.session = text(&ok(&shop, "users", user).await, "/session_key");
    let agreed = ok(&shop, "authorize", json!({ "session_key": shop.session, "client_id": "acme" })).await;
    let tokens = shop.call("oauth2/authorize/token", &shop.token_form(&text(&agreed, "/code"))).await;
    shop.access = text(&tokens, "/access_token");

    ok(&shop, "settings", json!({ "fees": { "5": { "fixed": "0.5" } } })).await;
    shop.pre_pay("t1").await;
    assert_eq!(ok(&shop, "confirm", json!({ "trade_id": "t1" })).await["status"], 1);
    assert_eq!(get(&shop, "callbacks").await["pending"][0]["fields"]["cut_amount"], "0.5");
    let delivered = ok(&shop, "callbacks/deliver", json!({})).await;
    assert_eq!(delivered["delivered"], json!([{ "trade_id": "t1", "status_code": 200 }]));
    assert_eq!(shop.receiver.next().await["user_id"], "u2");

    let entry = get(&shop, "books").await["entries"][0].take();
    assert_eq!((text(&entry, "/amount"), text(&entry, "/fee")), ("10.5".to_owned(), "0.5".to_owned()));
    assert_eq!(get(&shop, "balances?user_id=u2&coin_id=5").await["amount"], "39.5");
    ok(&shop, "balances", json!({ "client_id": "acme", "coin_id": "5", "amount": "999.5" })).await;
    assert_eq!(shop.sandbox.merchant_balance("acme", USDT), amount("999.5"));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_clock_and_settings_work_over_http() {
    let shop = Shop::open().await;
    let fault = json!({ "operation": "pay_user", "trade_id": "p1", "fault": { "code": 5 }, "times": { "count": 2 } });
    ok(&shop, "faults", fault).await;
    ok(&shop, "faults", json!({ "operation": "callback", "fault": "missing", "times": "forever" })).await;
    assert_eq!(shop.pay_user("p1").await["status"], 5);
    assert_eq!(shop.pay_user("p2").await["status"], 1);
    assert!(ok(&shop, "callbacks/deliver", json!({})).await["delivered"].as_array().is_some_and(Vec::is_empty));
    let url = format!("{}faults", shop.sandbox.control_url());
    shop.http.delete(url).send().await.expect("an answer");
    assert_eq!(shop.pay_user("p1").await["status"], 1);

    assert_eq!(ok(&shop, "clock", json!({ "advance": 60 })).await["now_ms"], (NOW + 60) * 1000);
    assert_eq!(ok(&shop, "clock", json!({ "set": NOW })).await["now_ms"], NOW * 1000);
    ok(&shop, "clock", json!({ "set": null })).await;
    assert!(shop.sandbox.now_ms() > NOW * 1000);
    shop.sandbox.set_clock(Some(NOW));

    let new = json!({
        "style": { "strings": true },
        "token_life": { "access_seconds": 60, "refresh_seconds": 120 },
        "duplicate_check": false,
        "coins": { "8": false },
        "wallet_pwds": { "u1": null },
    });
    ok(&shop, "settings", new).await;
    assert_eq!(text(&shop.link().await, "/expires_in"), "60");
    assert_eq!(shop.pay_user("p1").await["status"], "1");
    assert_eq!(shop.sandbox.executions("p1"), 2);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_call_log_counts_everything_and_keeps_no_secret() {
    let shop = Shop::open().await;
    shop.pay_user("p1").await;
    shop.call("oauth2/RefreshToken", &shop.refresh_form(&shop.refresh)).await;
    let calls = get(&shop, "calls").await;
    assert_eq!(calls["counts"], json!({ "token": 1, "pay_user": 1, "refresh": 1 }));
    assert_eq!(text(&calls, "/calls/1/params/amount"), "10.5");
    let log = calls.to_string();
    for secret in ["acme-secret", "acme-pwd", shop.session.as_str(), shop.refresh.as_str(), shop.access.as_str()] {
        assert!(!log.contains(secret), "{secret}");
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_refused() {
    let shop = Shop::open().await;
    let cases = [
        ("faults", json!({ "operation": "pay_usr", "fault": "lose_after" })),
        ("faults", json!({ "operation": "pay_user", "fault": "lose_everything" })),
        ("settings", json!({ "coins": { "77": true } })),
        ("balances", json!({ "coin_id": "5", "amount": "1" })),
    ];
    for (path, body) in cases {
        assert_eq!(post(&shop, path, body.clone()).await.0, 422, "{path} {body}");
    }
    assert_eq!(post(&shop, "settings", json!({ "colour": "red" })).await.0, 400);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_sandbox_frees_its_port() {
    let shop = Shop::open().await;
    let url = shop.sandbox.fomo_base_url();
    let again: Sandbox = shop.sandbox.clone();
    shop.close().await;
    again.stop().await;
    let error = reqwest::Client::builder().no_proxy().build().expect("a client").get(url).send().await;
    assert!(error.is_err_and(|error| error.is_connect()));
}
