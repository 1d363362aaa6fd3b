//! The same verbs over HTTP.

use serde_json::{Value, json};

use super::harness::*;

async fn post(shop: &Shop, path: &str, body: Value) -> (u16, String) {
    let url = format!("{}{path}", shop.sandbox.control_url());
    let response = shop.http.post(url).json(&body).send().await.expect("an answer");
    (response.status().as_u16(), response.text().await.expect("a body"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_can_play_the_browser_over_http() {
    let shop = Shop::open().await;
    let (agree, params) = (authorize_url(&shop, &to_agree()), payment(&shop, "1", "t1"));
    let (status, body) = post(&shop, "browse/authorize", json!({ "url": agree, "user_id": "u1", "approve": false })).await;
    assert_eq!((status, body), (200, json!({ "location": format!("{BACK}?error=access_denied&state=s+%261") }).to_string()));
    let pay = json!({ "url": pay_url(&shop, &params), "approve": true });
    let fault = json!({ "operation": "web_pay", "trade_id": "t1", "fault": "lose_before" });
    assert_eq!(post(&shop, "faults", fault).await.0, 200);
    assert_eq!(post(&shop, "browse/pay", pay.clone()).await, (422, "no answer".to_owned()));
    assert_eq!(post(&shop, "browse/pay", pay).await, (200, json!({ "location": outcome(&params, 1) }).to_string()));

    let back = "http://127.0.0.1:8080/return";
    assert_eq!(post(&shop, "redirect_uris", json!({ "client_id": "acme", "redirect_uri": back })).await.0, 200);
    assert_eq!(post(&shop, "redirect_uris", json!({ "client_id": "nobody", "redirect_uri": back })).await.0, 422);
    let (status, body) = post(&shop, "browse/authorize", json!({ "url": agree, "user_id": "u1", "approve": true })).await;
    assert!(status == 422 && body.contains("Error 54: "), "{status} {body}");
    let elsewhere = post(&shop, "browse/pay", json!({ "url": "https://evil.example/", "approve": true })).await;
    assert_eq!(elsewhere, (422, "not the URL of this page".to_owned()));
    for operation in ["web_authorize_page", "web_authorize", "web_pay_page", "web_pay_user"] {
        let fault = json!({ "operation": operation, "fault": "no_redirect", "times": "forever" });
        assert_eq!(post(&shop, "faults", fault).await.0, 200, "{operation}");
    }
    shop.close().await;
}
