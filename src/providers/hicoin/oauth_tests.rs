use std::time::Duration;

use serde_json::json;

use super::*;
use crate::domain::account::{Account, Wallet as Credentials};
use crate::domain::clock::Clock;
use crate::domain::order::Provider;
use crate::providers::test_server::{TestServer, json as answer};

const TOKENS: &str = r#"{"access_token":"a-1","expires_in":"7200","refresh_token":"r-1","openid":"o-77","scope":"snsapi_base"}"#;

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_551_325_752).unwrap()
}

async fn oauth(script: &[(u16, &str)]) -> (HicoinOauth, TestServer) {
    let server = TestServer::start(script.iter().map(|(status, body)| answer(*status, body)).collect()).await;
    let document = json!({
        "base_url": server.url("hicoin"), "app_id": "acme", "app_secret": "open-secret",
        "oauth_base_url": server.url("oauth/api"), "oauth_secret": "oauth-secret",
    });
    let account = Account::from_document(Provider::Hicoin, document.as_object().unwrap().clone()).unwrap();
    let Credentials::Hicoin(account) = account.wallet else { unreachable!() };
    let http = ProviderHttp::new(Duration::from_secs(5), Clock::system()).unwrap();
    (HicoinOauth::of(&http, &account).unwrap(), server)
}

#[tokio::test]
async fn a_browser_is_sent_with_all_parameters_and_to_known_scopes_only() {
    let (oauth, _server) = oauth(&[]).await;
    let ours: Url = "https://pay.example/oauth/hicoin/return".parse().unwrap();
    let url = oauth.authorize_url("s1", None, &ours).unwrap();
    assert!(url.path().ends_with("/oauth/api/connect/oauth/authorize"), "{url}");
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let expected = [
        ("app_id", "acme"),
        ("redirect_uri", ours.as_str()),
        ("response_type", "code"),
        ("scope", "snsapi_userinfo"),
        ("state", "s1"),
        ("wallet_redirect", ours.as_str()),
    ];
    assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert!(oauth.authorize_url("s1", Some("snsapi_base"), &ours).is_ok());
    assert!(oauth.authorize_url("s1", Some("userinfo"), &ours).is_err());
}

#[tokio::test]
async fn a_code_is_exchanged_and_a_token_refreshed_bare_or_in_the_envelope() {
    let enveloped = format!(r#"{{"code":"0","msg":"suc","data":{TOKENS}}}"#);
    for body in [TOKENS, &enveloped] {
        let (oauth, server) = oauth(&[(200, body), (200, body)]).await;
        let (tokens, profile) = oauth.exchange(&"the-code".into(), now()).await.unwrap();
        assert_eq!((profile.provider_user.as_str(), tokens.access_token.expose_secret()), ("o-77", "a-1"));
        assert_eq!(tokens.access_expires_at, now() + time::Duration::hours(2));
        assert_eq!(oauth.refresh(&"r-1".into(), now()).await.unwrap().refresh_token.expose_secret(), "r-1");
        let [first, second] = server.seen().try_into().unwrap();
        let form = |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>();
        let exchanged = [("app_id", "acme"), ("secret", "oauth-secret"), ("code", "the-code"), ("grant_type", "authorization_code")];
        assert_eq!(first.form(), form(&exchanged));
        assert_eq!(second.form(), form(&[("app_id", "acme"), ("grant_type", "refresh_token"), ("refresh_token", "r-1")]));
        assert!(first.request_line().starts_with("POST /oauth/api/sns/oauth/access_token "), "{}", first.request_line());
        assert!(second.request_line().starts_with("POST /oauth/api/sns/oauth/refresh_token "), "{}", second.request_line());
    }
}

#[tokio::test]
async fn a_refresh_without_new_refresh_token_or_openid_keeps_the_old_one() {
    let (oauth, _server) = oauth(&[(200, r#"{"access_token":"a-2","expires_in":60}"#)]).await;
    let tokens = oauth.refresh(&"r-1".into(), now()).await.unwrap();
    assert_eq!((tokens.access_token.expose_secret(), tokens.refresh_token.expose_secret()), ("a-2", "r-1"));
}

#[tokio::test]
async fn what_went_wrong_is_sorted_by_whose_fault_it_is() {
    type Sort = fn(&LinkError) -> bool;
    let refused = |error: &LinkError| matches!(error, LinkError::Refused(_));
    let ours = |error: &LinkError| matches!(error, LinkError::Misconfigured(_));
    let later = |error: &LinkError| matches!(error, LinkError::Unavailable(_));
    let cases: [(u16, &str, Sort); 11] = [
        (200, r#"{"code":"100020","msg":"code used"}"#, refused),
        (200, r#"{"status":40029}"#, refused),
        (400, r#"{"error":"invalid_grant"}"#, refused),
        (200, r#"{"code":100005}"#, ours),
        (401, r#"{"error":"invalid_client"}"#, ours),
        (200, r#"{"code":100001}"#, later),
        (500, TOKENS, later),
        (400, r#"{"code":0}"#, later),
        (200, "<html>", later),
        (200, r#"{"access_token":"a-1","refresh_token":"r-1"}"#, later),
        (200, r#"{"access_token":"a-1","openid":"o-1"}"#, later),
    ];
    for (status, body, expected) in cases {
        let (oauth, _server) = oauth(&[(status, body)]).await;
        let error = oauth.exchange(&"c".into(), now()).await.unwrap_err();
        assert!(expected(&error), "{status} {body}: {error:?}");
    }
}
