use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::wire::{Reason, token};
use super::*;
use crate::domain::account::{Account, Wallet as Credentials};
use crate::domain::clock::Clock;
use crate::domain::order::Provider;
use crate::providers::http::Sent;
use crate::providers::test_server::{Line, TestServer, Then, json as answer};

const TOKEN: &str = "D2C-$2a$10$iWwxYtpyqtpp8KlFMh9tnOSYfwnvvA9cWMl6J0LO5ULHHygwJRWbK";
const WRONG_SIGN: &str = "签名不正确，请仔细检查";
const SILENT: &str = "it gave no reason that can be passed on";

fn account(server: &TestServer, redirect_base: &str) -> Youliao {
    let document = json!({
        "base_url": server.url("api/oauth"), "redirect_base": redirect_base,
        "app_id": "acme-youliao", "app_secret": "acme-youliao-secret",
    });
    let account = Account::from_document(Provider::Youliao, document.as_object().unwrap().clone()).unwrap();
    let Credentials::Youliao(account) = account.wallet else { unreachable!() };
    Youliao::new(ProviderHttp::new(Duration::from_secs(5), Clock::system()).unwrap(), account)
}

async fn youliao(script: Vec<Line>) -> (Youliao, TestServer) {
    let server = TestServer::start(script).await;
    (account(&server, "http://yliao.example/oAuth"), server)
}

fn applicant() -> Applicant {
    Applicant {
        mobile: "13812349882".into(),
        name: "王小明".into(),
        identity: "11010519491231002X".into(),
        amount: Amount::parse("1.23").unwrap(),
    }
}

fn sent(status: u16, body: impl Into<Vec<u8>>) -> Sent {
    Sent { status, body: body.into(), location: None }
}

fn read(body: &Value) -> Result<String, AskError> {
    token(&sent(200, body.to_string()), &["13812349882", "王小明", "11010519491231002X", "1.23"])
        .map(|token| token.expose_secret().to_owned())
}

/// What a refusal with these words passes on.
fn passed_on(words: &Value) -> String {
    match read(&json!({ "code": -1, "msg": words })) {
        Err(AskError::Refused(code) | AskError::Misconfigured(code)) => code.message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_call_is_a_signed_form_and_the_token_becomes_an_address() {
    let (youliao, server) = youliao(vec![answer(200, &json!({ "code": 1, "msg": "操作成功", "data": TOKEN }).to_string())]).await;
    let redirect = youliao.authorize(&applicant()).await.unwrap();
    let expected = "http://yliao.example/oAuth?token=D2C-%242a%2410%24iWwxYtpyqtpp8KlFMh9tnOSYfwnvvA9cWMl6J0LO5ULHHygwJRWbK";
    assert_eq!(redirect.expose_secret(), expected);
    let [seen] = server.seen().try_into().unwrap();
    assert_eq!(seen.request_line(), "POST /api/oauth HTTP/1.1");
    assert_eq!(seen.header("content-type"), Some("application/x-www-form-urlencoded"));
    let mut form = seen.form();
    form.sort();
    let expected = [
        ("amount", "1.23"),
        ("appId", "acme-youliao"),
        ("identity", "11010519491231002X"),
        ("mobile", "13812349882"),
        ("name", "王小明"),
        ("sign", "a10ddc8cd8f6ed70fa9610e0e2f038e5"),
    ];
    assert_eq!(form, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn an_address_keeps_what_it_has_and_encodes_the_token() {
    let server = TestServer::start(Vec::new()).await;
    for (base, begins) in [
        ("http://yliao.example/oAuth", "http://yliao.example/oAuth?token="),
        ("https://yliao.example", "https://yliao.example/?token="),
        ("http://yliao.example/oAuth?from=a%26b", "http://yliao.example/oAuth?from=a%26b&token="),
    ] {
        let address = account(&server, base).redirect(&"a/b+c&d=e%$#?é".into()).expose_secret().to_owned();
        assert_eq!(address, format!("{begins}a%2Fb%2Bc%26d%3De%25%24%23%3F%C3%A9"));
    }
}

#[tokio::test]
async fn without_an_answer_nothing_is_known_and_nothing_is_sent_again() {
    for (line, reason) in [
        (Line(Vec::new(), Then::Close), None),
        (Line(b"HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n{\"code\": 1, \"data\": \"D2C-x\"}".to_vec(), Then::Reset), None),
        (answer(500, &json!({ "code": 1, "data": TOKEN }).to_string()), Some("HTTP 500")),
        (answer(302, ""), Some("HTTP 302")),
        (answer(201, &json!({ "code": 1, "data": TOKEN }).to_string()), Some("HTTP 201")),
        (answer(200, ""), Some("the answer is empty")),
        (answer(200, "<html>"), Some("the answer is not JSON, or cut")),
    ] {
        let (youliao, server) = youliao(vec![line]).await;
        let Err(AskError::Unavailable(why)) = youliao.authorize(&applicant()).await else { panic!("{reason:?}") };
        assert!(reason.is_none_or(|reason| why == reason), "{why}");
        assert_eq!(server.seen().len(), 1);
    }
}

#[test]
fn amounts_travel_with_two_decimals() {
    for (amount, travels) in
        [("1.23", "1.23"), ("1.5", "1.50"), ("30000", "30000.00"), ("0.01", "0.01"), ("9999999999.99", "9999999999.99")]
    {
        assert_eq!(yuan(Amount::parse(amount).unwrap()), travels);
    }
}

#[test]
fn yes_needs_a_token() {
    for good in [json!({ "code": 1, "data": "D2C-x" }), json!({ "code": "1", "msg": "操作成功", "data": " D2C-x ", "more": 1 })] {
        assert_eq!(read(&good).as_deref(), Ok("D2C-x"));
    }
    for (bad, why) in [
        (json!({ "code": 1 }), "no token"),
        (json!({ "code": 1, "data": null }), "no token"),
        (json!({ "code": 1, "data": "" }), "no token"),
        (json!({ "code": 1, "data": { "token": "D2C-x" } }), "data cannot be read"),
        (json!({ "code": 1, "data": 5 }), "data cannot be read"),
        (json!({ "code": 1, "data": "a b" }), "data cannot be read"),
        (json!({ "code": 1, "data": "a\r\nb" }), "data cannot be read"),
        (json!({ "code": 0, "data": "D2C-x" }), "code 0"),
        (json!({ "code": 200, "data": "D2C-x" }), "code 200"),
        (json!({ "code": 1.5, "data": "D2C-x" }), "code cannot be read"),
        (json!({ "data": "D2C-x" }), "no code"),
        (json!({ "code": -1, "msg": "no", "data": "D2C-x" }), "says no and has a token"),
        (json!([{ "code": 1, "data": "D2C-x" }]), "no JSON object"),
    ] {
        let Err(AskError::Unavailable(told)) = read(&bad) else { panic!("{bad}") };
        assert!(told.contains(why) && !told.contains("D2C"), "{bad}: {told}");
    }
}

#[test]
fn the_documented_refusals_are_ours_to_mend() {
    for (words, reason) in [("appId不正确，请仔细检查", Reason::AppUnknown), (WRONG_SIGN, Reason::SignatureWrong)] {
        let Err(AskError::Misconfigured(code)) = read(&json!({ "code": -1, "msg": words })) else { panic!("{words}") };
        assert_eq!((code.code, code.provider_code.as_str(), code.message.as_str()), (reason.name(), "-1", words));
    }
    let Err(AskError::Refused(code)) = read(&json!({ "code": "-1", "msg": "余额不足", "data": {} })) else { panic!("no refusal") };
    assert_eq!((code.code, code.message.as_str()), ("refused", "余额不足"));
}

#[test]
fn a_refusal_that_repeats_what_was_asked_is_not_passed_on() {
    for echo in [
        "手机号13812349882不正确",
        "手机号 138-1234-9882 不正确",
        "王小明已存在",
        "no 王 小 明",
        "身份证11010519491231002x不正确",
        "身份证 110105 19491231 002X",
        "金额1.23太小",
    ] {
        assert_eq!(passed_on(&json!(echo)), SILENT, "{echo}");
    }
    for nothing in [json!(null), json!(""), json!({}), json!(["13812349882"]), json!("x".repeat(129)), json!("a\nb")] {
        assert_eq!(passed_on(&nothing), SILENT, "{nothing}");
    }
    for fine in ["手机号不正确", "138****9882", "amount too small: 1.24"] {
        assert_eq!(passed_on(&json!(fine)), fine);
    }
}

#[tokio::test]
async fn a_refusal_does_not_give_our_secret_or_signature_away() {
    for echo in ["expected acme-youliao-secret", "a10ddc8cd8f6ed70fa9610e0e2f038e5 is wrong"] {
        let (youliao, _server) = youliao(vec![answer(200, &json!({ "code": -1, "msg": echo }).to_string())]).await;
        let Err(AskError::Refused(code)) = youliao.authorize(&applicant()).await else { panic!("no refusal") };
        assert_eq!(code.message, SILENT);
    }
}

#[test]
fn nothing_personal_shows_in_debug_output() {
    let shown = format!("{:?}", applicant());
    assert!(!shown.contains("9882") && !shown.contains("王") && !shown.contains("002X"), "{shown}");
}

proptest! {
    #[test]
    fn bytes_without_code_1_give_no_token(status in prop_oneof![Just(200_u16), 100..600_u16], body in proptest::collection::vec(any::<u8>(), 0..64)) {
        prop_assert!(token(&sent(status, body), &[]).is_err());
    }

    #[test]
    fn any_code_but_two_tells_nothing(code in any::<i64>(), words in ".{0,20}") {
        prop_assume!(![1, -1].contains(&code));
        let read = read(&json!({ "code": code, "msg": words, "data": TOKEN }));
        prop_assert!(matches!(read, Err(AskError::Unavailable(_))));
    }

    #[test]
    fn words_around_what_was_asked_change_nothing(before in ".{0,40}", after in ".{0,40}", which in 0..4_usize) {
        let private = ["13812349882", "王小明", "11010519491231002X", "1.23"][which];
        prop_assert_eq!(passed_on(&json!(format!("{before}{private}{after}"))), SILENT);
    }
}
