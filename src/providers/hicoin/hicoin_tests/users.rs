//! Registering customers, and asking about them.

use super::*;

pub fn mobile() -> Contact {
    Contact::Mobile { country: "+86".into(), number: "15004648456".into() }
}

pub fn email() -> Contact {
    Contact::Email("li+x@example.com".into())
}

#[tokio::test]
async fn a_user_is_registered_by_telephone_or_mail() {
    let made = r#"{"code": "0", "msg": "suc", "data": {"uid": 10000}}"#;
    let (hicoin, server) = hicoin(&[made, made, made, made]).await;
    for contact in [mobile(), email()] {
        assert_eq!(hicoin.register(&contact).await, Ok("10000".into()));
        assert_eq!(hicoin.find(&contact).await.unwrap(), Profile { provider_user: "10000".into(), details: json!({"uid": 10000}) });
    }
    let (by_mobile, by_mail) = ([("country", "+86"), ("mobile", "15004648456")], [("email", "li+x@example.com")]);
    assert_seen(
        &server,
        CLOCK_TIME,
        &[
            ("POST /hicoin/api/user/createUser", &by_mobile),
            ("GET /hicoin/api/user/info", &by_mobile),
            ("POST /hicoin/api/user/registerEmail", &by_mail),
            ("GET /hicoin/api/user/info", &by_mail),
        ],
    );
    let [created, asked, _, _] = server.seen().try_into().unwrap();
    assert!(created.body.contains("country=%2B86"));
    assert!(asked.request_line().contains("country=%2B86"));
}

#[tokio::test]
async fn somebody_who_is_registered_already_is_found() {
    let known = r#"{"code": "0", "data": {"uid": 10001, "nickname": "135****7778"}}"#;
    let refusal = |code: i64| json!({"code": code.to_string(), "msg": "x", "data": null}).to_string();
    let refused = |code: &str| format!("refused {code}");
    // contact, answer of the registration, answer of the question, expected
    let table = [
        (mobile(), refusal(110_023), known.to_owned(), "10001".to_owned()),
        (mobile(), refusal(110_023), refusal(110_065), refused("110023")),
        (mobile(), refusal(110_023), r#"{"code": 0, "data": null}"#.into(), refused("110023")),
        (mobile(), refusal(110_023), refusal(100_001), "unavailable".into()),
        (mobile(), refusal(110_023), "<html>".into(), "unavailable".into()),
        (mobile(), refusal(110_023), r#"{"code": 0, "data": {"uid": {}}}"#.into(), "unavailable".into()),
        (mobile(), refusal(110_023), refusal(100_005), "misconfigured 100005".into()),
        (mobile(), refusal(110_089), known.into(), refused("110089")),
        (mobile(), refusal(100_007), known.into(), "misconfigured 100007".into()),
        (email(), refusal(110_101), known.into(), "10001".into()),
        (email(), refusal(100_004), known.into(), "10001".into()),
        (email(), refusal(110_101), refusal(110_065), refused("110101")),
        (email(), refusal(100_001), known.into(), "unavailable".into()),
        (email(), refusal(999), known.into(), "unavailable".into()),
    ];
    for (contact, registration, question, expected) in table {
        let (hicoin, _server) = hicoin(&[&registration, &question]).await;
        let word = match hicoin.register(&contact).await {
            Ok(user) => user,
            Err(AskError::Refused(code)) => refused(&code.provider_code),
            Err(AskError::Misconfigured(code)) => format!("misconfigured {}", code.provider_code),
            Err(AskError::Unavailable(_)) => "unavailable".into(),
        };
        assert_eq!(word, expected, "{registration} {question}");
    }
}

#[tokio::test]
async fn accounts_and_coins_are_asked_for() {
    let balance = r#"{"code": "0", "data": {"normal_balance ": "1", "lock_balance ": "0"}}"#;
    let (hicoin, server) = hicoin(&[balance, NONE, r#"{"code": "0", "data": {"uid": 42, "address": "1PiX"}}"#, NONE]).await;
    let expected = Balance { provider_coin_id: "ETH".into(), available: Amount::parse("1").unwrap(), locked: Amount::ZERO };
    assert_eq!(hicoin.balance("42", "ETH").await, Ok(expected));
    assert_eq!(hicoin.balances("42").await, Ok(vec![]));
    assert_eq!(hicoin.address("42", "ETH").await, Ok("1PiX".into()));
    assert_eq!(hicoin.coins().await, Ok(vec![]));
    let both = [("uid", "42"), ("symbol", "ETH")];
    assert_seen(
        &server,
        CLOCK_TIME,
        &[
            ("GET /hicoin/api/account/getByUidAndSymbol", &both),
            ("GET /hicoin/api/account/getAllAccount", &[("uid", "42")]),
            ("POST /hicoin/api/account/getDepositAddress", &both),
            ("GET /hicoin/api/user/getCoinList", &[]),
        ],
    );
}
