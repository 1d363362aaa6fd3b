//! The same verbs over HTTP.

use serde_json::{Value, json};

use super::harness::*;

async fn post(wallet: &Wallet, path: &str, body: Value) -> (u16, Value) {
    let url = format!("{}hicoin/{path}", wallet.sandbox.control_url());
    let response = wallet.http.post(url).json(&body).send().await.expect("an answer");
    (response.status().as_u16(), response.json().await.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_can_play_the_browser_over_http() {
    let wallet = Wallet::open().await;
    let settings = json!({
        "style": { "enveloped": true },
        "token_life": { "access_seconds": 60, "rotate": true },
        "user": BOB,
        "redirect_uri": "http://127.0.0.1:8080/return",
    });
    assert_eq!(post(&wallet, "oauth/settings", settings).await.0, 200);
    let params = with(&silently(), "redirect_uri", "http://127.0.0.1:8080/return");
    let location = open(&url(&wallet, &params)).await.sent();
    let answer = wallet.oauth(ACCESS_TOKEN, &exchange(&param(&location, "code"))).await;
    assert_eq!(answer["data"]["expires_in"], "60");
    let openid = wallet.http.get(format!("{}hicoin/openid?uid={BOB}", wallet.sandbox.control_url())).send().await.expect("an answer");
    assert_eq!(openid.json::<Value>().await.expect("JSON")["openid"], answer["data"]["openid"]);

    let asked = with(&to_agree(), "redirect_uri", "http://127.0.0.1:8080/return");
    let denied = post(&wallet, "browse/authorize", json!({ "url": url(&wallet, &asked), "uid": ANN, "approve": false })).await;
    assert_eq!(denied, (200, json!({ "location": "http://127.0.0.1:8080/return?error=access_denied&state=Abc123" })));
    assert_eq!(post(&wallet, "browse/authorize", json!({ "url": url(&wallet, &to_agree()), "uid": ANN, "approve": true })).await.0, 422);
    for nonsense in [json!({ "user": 4711 }), json!({ "app": "nobody", "user": 0 })] {
        assert_eq!(post(&wallet, "oauth/settings", nonsense).await.0, 422);
    }
    assert_eq!(post(&wallet, "oauth/settings", json!({ "colour": "red" })).await.0, 400);
    wallet.close().await;
}
