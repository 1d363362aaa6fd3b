//! Codes become tokens, and tokens are renewed.

use serde_json::json;
use tillgate::sandbox::{Fault, HicoinOauthStyle, HicoinStyle, HicoinTokenLife};

use super::harness::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_code_gives_what_the_documents_table_says() {
    let wallet = Wallet::open().await;
    let tokens = wallet.oauth(ACCESS_TOKEN, &exchange(&wallet.code_of(ANN).await)).await;
    let mut names: Vec<_> = tokens.as_object().expect("an object").keys().cloned().collect();
    names.sort();
    assert_eq!(names, ["access_token", "expires_in", "openid", "refresh_token", "scope"]);
    assert_eq!((&tokens["expires_in"], &tokens["scope"]), (&json!("7200"), &json!("snsapi_userinfo")));
    let again = wallet.oauth(ACCESS_TOKEN, &exchange(&wallet.code_of(ANN).await)).await;
    assert_eq!(tokens["openid"], again["openid"], "an openid is for good");
    assert_ne!(tokens["access_token"], again["access_token"]);
    let logged = wallet.sandbox.call_log();
    assert!(logged.iter().all(|call| ["secret", "code", "refresh_token"].iter().all(|name| !call.params.contains_key(*name))));
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_works_once_in_time_and_for_its_app() {
    let wallet = Wallet::open().await;
    let good = exchange(&wallet.code_of(ANN).await);
    let checks = [
        ("app_id", "", 100_004),
        ("secret", "", 100_004),
        ("code", "", 100_004),
        ("grant_type", "", 100_004),
        ("app_id", "nobody", 100_015),
        ("secret", "guess", 100_005),
        ("grant_type", "code", 100_004),
        ("code", "guess", 100_004),
    ];
    for (name, value, refused) in checks {
        assert_eq!(code(&wallet.oauth(ACCESS_TOKEN, &with(&good, name, value)).await), refused, "{name}={value}");
    }
    assert!(wallet.oauth(ACCESS_TOKEN, &good).await.get("access_token").is_some());
    assert_eq!(code(&wallet.oauth(ACCESS_TOKEN, &good).await), 100_004, "once");

    let (early, late) = (wallet.code_of(ANN).await, wallet.code_of(ANN).await);
    wallet.sandbox.advance(299);
    assert!(wallet.oauth(ACCESS_TOKEN, &exchange(&early)).await.get("access_token").is_some());
    wallet.sandbox.advance(1);
    assert_eq!(text(&wallet.oauth(ACCESS_TOKEN, &exchange(&late)).await, "/msg"), "请求参数不合法: code");
    let by_get = wallet.http.get(format!("{}{ACCESS_TOKEN}", wallet.sandbox.hicoin_oauth_base_url())).send().await.expect("an answer");
    assert_eq!(by_get.status(), 405);
    let elsewhere = wallet.oauth_send("/sns/oauth/user", &form([])).await.expect("an answer");
    assert_eq!(elsewhere.status(), 404);
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_stays_good_until_it_ends() {
    let wallet = Wallet::open().await;
    let tokens = wallet.oauth(ACCESS_TOKEN, &exchange(&wallet.code_of(BOB).await)).await;
    let token = text(&tokens, "/refresh_token");
    for (name, value, refused) in [
        ("app_id", "", 100_004),
        ("app_id", "nobody", 100_015),
        ("grant_type", "code", 100_004),
        ("refresh_token", "guess", 100_004),
        ("refresh_token", "", 100_004),
    ] {
        assert_eq!(code(&wallet.oauth(REFRESH_TOKEN, &with(&refresh(&token), name, value)).await), refused, "{name}={value}");
    }
    wallet.sandbox.advance(30 * 24 * 3600 - 1);
    let next = wallet.oauth(REFRESH_TOKEN, &refresh(&token)).await;
    assert_ne!(next["access_token"], tokens["access_token"]);
    for name in ["refresh_token", "openid", "scope", "expires_in"] {
        assert_eq!(next[name], tokens[name], "{name}");
    }
    wallet.sandbox.advance(1);
    assert_eq!(code(&wallet.oauth(REFRESH_TOKEN, &refresh(&token)).await), 100_004, "a refresh does not make it live longer");
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_tokens_can_rotate() {
    let wallet = Wallet::open().await;
    wallet.sandbox.set_hicoin_token_life(HicoinTokenLife { access_seconds: 60, refresh_seconds: 100, rotate: true });
    let tokens = wallet.oauth(ACCESS_TOKEN, &exchange(&wallet.code_of(ANN).await)).await;
    assert_eq!(tokens["expires_in"], "60");
    let first = text(&tokens, "/refresh_token");
    wallet.sandbox.advance(99);
    let second = text(&wallet.oauth(REFRESH_TOKEN, &refresh(&first)).await, "/refresh_token");
    assert_ne!(first, second);
    assert_eq!(code(&wallet.oauth(REFRESH_TOKEN, &refresh(&first)).await), 100_004, "replaced");
    wallet.sandbox.advance(99);
    assert_eq!(text(&wallet.oauth(REFRESH_TOKEN, &refresh(&second)).await, "/openid"), text(&tokens, "/openid"));
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_come_bare_or_in_the_envelope() {
    let wallet = Wallet::open().await;
    wallet.sandbox.set_hicoin_oauth_style(HicoinOauthStyle { enveloped: true, number_expires_in: true });
    let answer = wallet.oauth(ACCESS_TOKEN, &exchange(&wallet.code_of(ANN).await)).await;
    assert_eq!((&answer["code"], &answer["msg"]), (&json!("0"), &json!("suc")));
    assert_eq!(answer["data"]["expires_in"], 7200);
    wallet.sandbox.set_hicoin_style(HicoinStyle { number_codes: true, ..HicoinStyle::default() });
    let token = text(&answer, "/data/refresh_token");
    assert_eq!(wallet.oauth(REFRESH_TOKEN, &refresh(&token)).await["code"], 0);
    assert_eq!(wallet.oauth(REFRESH_TOKEN, &refresh("guess")).await["code"], 100_004);
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_has_used_the_code_up() {
    let wallet = Wallet::open().await;
    let good = exchange(&wallet.code_of(ANN).await);
    for operation in ["hicoin_access_token", "hicoin_refresh_token"] {
        wallet.sandbox.fault(operation, Fault::Code(100_001));
    }
    assert_eq!(code(&wallet.oauth(ACCESS_TOKEN, &good).await), 100_001);
    assert_eq!(code(&wallet.oauth(REFRESH_TOKEN, &refresh("any")).await), 100_001);
    wallet.sandbox.fault("hicoin_access_token", Fault::LoseBefore);
    assert!(wallet.oauth_send(ACCESS_TOKEN, &good).await.is_err());
    wallet.sandbox.fault("hicoin_access_token", Fault::TruncatedAfter);
    assert!(wallet.oauth_send(ACCESS_TOKEN, &good).await.expect("a head").text().await.is_err());
    assert_eq!(code(&wallet.oauth(ACCESS_TOKEN, &good).await), 100_004);
    wallet.close().await;
}
