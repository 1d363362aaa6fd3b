use std::time::Duration;

use serde_json::json;

use super::*;
use crate::domain::account::{Account, Wallet as Credentials};
use crate::domain::ids::TradeId;
use crate::domain::money::Amount;
use crate::domain::order::Provider;
use crate::domain::report::Standing;
use crate::providers::test_server::{Line, Seen, TestServer, Then, json};

pub(super) fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_551_325_752).unwrap()
}

pub(super) async fn fomo(script: Vec<Line>) -> (Fomo, TestServer) {
    let server = TestServer::start(script).await;
    let document = json!({
        "base_url": server.url("fomo"), "client_id": "acme", "client_secret": "tillgate-client-secret",
        "wallet_pwd": "wallet-pass", "redirect_uri": "https://acme.example/return",
    });
    let account = Account::from_document(Provider::Fomo, document.as_object().unwrap().clone()).unwrap();
    let Credentials::Fomo(account) = account.wallet else { unreachable!() };
    let http = ProviderHttp::new(Duration::from_secs(5), Clock::system()).unwrap();
    (Fomo::new(http, account, Clock::manual(now(), 1)), server)
}

pub(super) fn call() -> MoneyCall {
    MoneyCall {
        trade_id: TradeId::parse("t-1").unwrap(),
        provider_coin_id: "5".into(),
        amount: Amount::parse("12.50").unwrap(),
        server_uri: "https://pay.example/cb?a=b&c=d".parse().unwrap(),
        now: now(),
        deadline: Clock::system().instant() + Duration::from_secs(30),
    }
}

pub(super) fn token() -> SecretString {
    "user-token".into()
}

/// The one request that came, and its form without the random `state`.
fn only(server: &TestServer) -> (Seen, Vec<(String, String)>) {
    let [seen] = server.seen().try_into().unwrap();
    let mut form = seen.form();
    form.retain(|(name, value)| name != "state" || value.len() != 32 || !value.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    (seen, form)
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

const SIGN: &str = "579e794a0a095f755253e9f8bf6ab8f3145086d9";

#[tokio::test]
async fn a_deposit_is_offered_with_all_parameters() {
    let (fomo, server) = fomo(vec![json(200, r#"{"status": 1, "sucess": true, "transfer_id": "f-1"}"#)]).await;
    let answer = fomo.offer(&call(), Side { user: "42", access_token: Some(&token()) }).await;
    assert!(matches!(answer.outcome, Outcome::Accepted(record) if record.standing == Standing::Awaiting));
    assert_eq!(answer.evidence.unwrap().raw, br#"{"status": 1, "sucess": true, "transfer_id": "f-1"}"#);
    let (seen, form) = only(&server);
    assert_eq!(seen.request_line(), "POST /fomo/oauth2/resource/pre_pay HTTP/1.1");
    assert_eq!(seen.header("authorization"), Some("Bearer user-token"));
    assert_eq!(seen.form().len(), 12);
    let expected = [
        ("direction", "1"),
        ("timestamp", "1551325752"),
        ("sign", SIGN),
        ("trade_id", "t-1"),
        ("amount", "12.5"),
        ("coin_id", "5"),
        ("client_id", "acme"),
        ("server_uri", "https://pay.example/cb?a=b&c=d"),
        ("redirect_uri", "https://acme.example/return"),
        ("scope", "paytoken"),
        ("response_type", "code"),
    ];
    assert_eq!(form, pairs(&expected));
}

#[tokio::test]
async fn a_user_is_paid_with_all_parameters_and_no_token() {
    let paid = r#"{"success": true, "status": 1, "data": {"transfer_id": "f-1", "trade_id": "t-1", "httpcode": 200}}"#;
    let (fomo, server) = fomo(vec![json(200, paid)]).await;
    let answer = fomo.pay_user(&call(), Side { user: "77", access_token: None }).await;
    assert!(matches!(answer.outcome, Outcome::Accepted(record) if record.standing == Standing::Paid));
    let (seen, form) = only(&server);
    assert_eq!(seen.request_line(), "POST /fomo/oauth2/authorize/pay_user HTTP/1.1");
    assert_eq!(seen.header("authorization"), None);
    assert_eq!(seen.form().len(), 13);
    let expected = [
        ("direction", "2"),
        ("timestamp", "1551325752"),
        ("sign", SIGN),
        ("trade_id", "t-1"),
        ("amount", "12.5"),
        ("coin_id", "5"),
        ("user_id", "77"),
        ("client_id", "acme"),
        ("server_uri", "https://pay.example/cb?a=b&c=d"),
        ("scope", "paytoken"),
        ("response_type", "code"),
        ("wallet_pwd", "wallet-pass"),
    ];
    assert_eq!(form, pairs(&expected));
}

#[tokio::test]
async fn a_payment_whose_answer_is_lost_is_unknown_and_sent_once() {
    for then in [Then::Reset, Then::Close] {
        let (fomo, server) = fomo(vec![Line(vec![], then), json(200, r#"{"success": true, "status": 1}"#)]).await;
        let answer = fomo.pay_user(&call(), Side { user: "77", access_token: None }).await;
        assert!(matches!(answer, Answer { outcome: Outcome::Unknown(_), evidence: None }), "{answer:?}");
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_payment_past_its_deadline_is_not_sent() {
    let (fomo, server) = fomo(vec![]).await;
    let late = MoneyCall { deadline: Clock::system().instant(), ..call() };
    let answer = fomo.pay_user(&late, Side { user: "77", access_token: None }).await;
    assert!(matches!(answer, Answer { outcome: Outcome::NotSent(_), evidence: None }), "{answer:?}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_code_is_exchanged_and_a_token_refreshed() {
    let answer = r#"{"access_token": "a", "refresh_token": "r"}"#;
    let (exchanging, server) = fomo(vec![json(200, answer), json(200, r#"{"status": 1, "data": {"id": 77}}"#)]).await;
    let (_, profile) = exchanging.exchange(&"the-code".into(), now()).await.unwrap();
    assert_eq!(profile.provider_user, "77");
    let [seen, asked] = server.seen().try_into().unwrap();
    assert_eq!(asked.request_line(), "GET /fomo/oauth2/resource/get_user_info HTTP/1.1");
    assert_eq!(seen.request_line(), "POST /fomo/oauth2/authorize/token HTTP/1.1");
    let mut form = seen.form();
    assert!(form.pop().is_some_and(|(name, value)| name == "state" && value.len() == 32));
    let expected = [
        ("code", "the-code"),
        ("client_id", "acme"),
        ("client_secret", "tillgate-client-secret"),
        ("grant_type", "authorization_code"),
        ("redirect_uri", "https://acme.example/return"),
        ("scope", "userinfo paytoken"),
    ];
    assert_eq!(form, pairs(&expected));

    let (refreshing, server) = fomo(vec![json(200, answer)]).await;
    refreshing.refresh(&"old".into(), now()).await.unwrap();
    let (seen, form) = only(&server);
    assert_eq!(seen.request_line(), "POST /fomo/oauth2/RefreshToken HTTP/1.1");
    let expected = [
        ("refresh_token", "old"),
        ("client_id", "acme"),
        ("client_secret", "tillgate-client-secret"),
        ("grant_type", "refresh_token"),
        ("scope", "userinfo paytoken"),
    ];
    assert_eq!(form, pairs(&expected));
}

#[tokio::test]
async fn questions_carry_the_users_token_where_they_need_it() {
    let detail = r#"{"transfer_log": {"status": 1, "amount": "1", "transfer_id": "f-1"}}"#;
    let script = vec![json(200, r#"{"status": 1, "data": {"id": 77}}"#), json(200, detail), json(200, r#"{"active_coins": []}"#)];
    let (fomo, server) = fomo(script).await;
    assert_eq!(fomo.profile(&token(), "77").await.unwrap().provider_user, "77");
    assert!(matches!(fomo.by_reference("f-1", &token()).await, Looked::Found(..)));
    assert_eq!(fomo.coins().await, Ok(vec![]));
    let [profile, detail, coins] = server.seen().try_into().unwrap();
    assert_eq!(profile.request_line(), "GET /fomo/oauth2/resource/get_user_info HTTP/1.1");
    assert_eq!(detail.request_line(), "POST /fomo/oauth2/resource/get_transfer_detail HTTP/1.1");
    assert_eq!(coins.request_line(), "GET /fomo/wallet/get_active_coins HTTP/1.1");
    assert_eq!(detail.form(), pairs(&[("transfer_id", "f-1")]));
    assert_eq!((profile.header("authorization"), detail.header("authorization")), (Some("Bearer user-token"), Some("Bearer user-token")));
    assert_eq!(coins.header("authorization"), None);
    let callback = fomo.read(b"{\"status\": 1, \"trade_id\": \"t-1\"}", "application/x-www-form-urlencoded");
    assert_eq!(callback.unwrap().standing, Standing::Paid);
}

#[tokio::test]
async fn a_provider_that_is_gone_makes_every_question_unavailable() {
    let (fomo, _server) = fomo(vec![]).await;
    assert!(matches!(fomo.profile(&token(), "77").await, Err(LinkError::Unavailable(_))));
    assert!(matches!(fomo.exchange(&token(), now()).await, Err(LinkError::Unavailable(_))));
    assert!(matches!(fomo.by_reference("f-1", &token()).await, Looked::Unavailable(_)));
    assert!(fomo.coins().await.is_err());
}

#[tokio::test]
async fn its_debug_output_shows_no_secret() {
    let (fomo, _server) = fomo(vec![]).await;
    let debug = format!("{fomo:?}");
    assert!(!debug.contains("tillgate-client-secret") && !debug.contains("wallet-pass"), "{debug}");
}
