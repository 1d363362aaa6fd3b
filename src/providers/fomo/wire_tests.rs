use std::time::Duration as StdDuration;

use proptest::prelude::*;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::*;
use crate::domain::clock::Clock;
use crate::domain::ids::TradeId;
use crate::domain::money::Amount;
use crate::providers::LinkError;
use crate::providers::reading::tests::any_json;

fn call() -> MoneyCall {
    MoneyCall {
        trade_id: TradeId::parse("t-1").unwrap(),
        provider_coin_id: "5".into(),
        amount: Amount::parse("12.5").unwrap(),
        server_uri: "https://pay.example/cb".parse().unwrap(),
        now: OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap(),
        deadline: Clock::system().instant() + StdDuration::from_secs(30),
    }
}

fn sent(status: u16, body: impl AsRef<[u8]>) -> Sent {
    Sent { status, body: body.as_ref().to_vec(), location: None }
}

fn said(body: &Value) -> Sent {
    sent(200, body.to_string())
}

/// An outcome in a word, as the tables below write it.
fn word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Accepted(record) => format!("accepted {} {}", record.standing, record.reference.as_deref().unwrap_or("-")),
        Outcome::Refused(code) => format!("refused {}", code.code),
        Outcome::Misconfigured(code) => format!("misconfigured {}", code.code),
        Outcome::Duplicate(None) => "duplicate".into(),
        Outcome::Duplicate(Some(record)) => format!("duplicate {} {}", record.standing, record.reference.as_deref().unwrap_or("-")),
        Outcome::NotSent(_) => "not sent".into(),
        Outcome::Unknown(_) => "unknown".into(),
    }
}

fn heard(verb: Verb, sent: &Sent) -> String {
    word(&outcome(verb, sent, &call()))
}

#[test]
fn every_code_of_the_document_has_its_outcome() {
    // code, pay_user, pre_pay
    let table = [
        (0, "unknown", "refused parameter_missing"),
        (2, "unknown", "refused link_expired"),
        (3, "unknown", "refused link_expired"),
        (5, "unknown", "unknown"),
        (6, "unknown", "unknown"),
        (7, "misconfigured signature_wrong", "misconfigured signature_wrong"),
        (8, "misconfigured signature_expired", "misconfigured signature_expired"),
        (11, "unknown", "unknown"),
        (12, "unknown", "unknown"),
        (21, "refused coin_not_supported", "refused coin_not_supported"),
        (22, "unknown", "refused address_unavailable"),
        (23, "refused coin_unknown", "refused coin_unknown"),
        (24, "refused insufficient_balance", "refused insufficient_balance"),
        (25, "refused payment_password_not_set", "refused payment_password_not_set"),
        (26, "refused payment_password_wrong", "refused payment_password_wrong"),
        (54, "refused not_permitted", "refused not_permitted"),
        (74, "refused recipient_unknown", "refused recipient_unknown"),
        (80, "refused client_invalid", "refused client_invalid"),
        (81, "unknown", "unknown"),
        (82, "refused client_invalid", "refused client_invalid"),
        (107, "unknown", "refused user_not_registered"),
        (211, "duplicate", "duplicate"),
        (212, "unknown", "unknown"),
        (213, "unknown", "unknown"),
        (999, "unknown", "unknown"),
        (-1, "unknown", "unknown"),
    ];
    for (code, pay_user, pre_pay) in table {
        for answer in [
            json!({"success": false, "status": code, "msg": "x"}),
            json!({"sucess": "false", "status": code.to_string(), "data": []}),
            json!({"status ": code, "data": {"trade_id": "t-1"}}),
        ] {
            assert_eq!(heard(Verb::PayUser, &said(&answer)), pay_user, "{answer}");
            assert_eq!(heard(Verb::PrePay, &said(&answer)), pre_pay, "{answer}");
        }
        let contradiction = said(&json!({"success": true, "status": code, "transfer_id": "f-1"}));
        assert_eq!(heard(Verb::PayUser, &contradiction), "unknown");
        assert_eq!(heard(Verb::PrePay, &contradiction), "unknown");
    }
    let documented = Code::DOCUMENTED.iter().filter(|code| **code != Code::Success);
    assert!(documented.clone().all(|code| table.iter().any(|(number, ..)| *number == code.number())));
    assert!(documented.clone().all(|code| Code::from_number(code.number()) == *code));
    assert_eq!(Code::from_number(999), Code::Unknown(999));
}

#[test]
fn a_refusal_carries_our_name_and_their_code() {
    let Outcome::Refused(code) = outcome(Verb::PayUser, &said(&json!({"success": false, "status": "24"})), &call()) else { panic!() };
    assert_eq!((code.code, code.provider_code.as_str(), code.message.as_str()), ("insufficient_balance", "24", "the balance is too low"));
}

#[test]
fn a_payment_is_accepted_in_every_spelling() {
    for answer in [
        json!({"success": true, "status": 1, "msg": "成功", "data": {"transfer_id": "f-1", "trade_id": "t-1", "httpcode": 200}}),
        json!({"success": "true", "status": "1", "data": [{"transfer_id": "f-1", "trade_id": "t-1"}]}),
        json!({"sucess": 1, "status ": " 1 ", "transfer_id": "f-1"}),
        json!({"success": true, "sucess": true, "status": 1, "transfer_id": "f-1", "data": {"transfer_id": "f-1"}, "new": {"x": []}}),
    ] {
        assert_eq!(heard(Verb::PayUser, &said(&answer)), "accepted paid f-1", "{answer}");
    }
    for answer in [json!({"success": true, "status": 1}), json!({"success": true, "status": 1, "data": []})] {
        assert_eq!(heard(Verb::PayUser, &said(&answer)), "accepted paid -", "{answer}");
    }
    let answer = said(&json!({"success": true, "status": 1, "data": {"transfer_id": 77, "trade_id": "t-1"}}));
    let Outcome::Accepted(record) = outcome(Verb::PayUser, &answer, &call()) else { panic!() };
    let expected = ProviderRecord { trade_id: Some("t-1".into()), reference: Some("77".into()), ..ProviderRecord::new(Standing::Paid) };
    assert_eq!(*record, expected);
}

#[test]
fn an_offer_tells_what_to_confirm_and_until_when() {
    for answer in [
        json!({"sucess": true, "status": 1, "transfer_id": "f-1"}),
        json!({"success": true, "status": "1", "data": {"transfer_id": "f-1"}}),
        json!({"status": 1, "data": [{"transfer_id": "f-1"}]}),
    ] {
        let Outcome::Accepted(record) = outcome(Verb::PrePay, &said(&answer), &call()) else { panic!("{answer}") };
        let expires_at = call().now + Duration::minutes(3);
        assert_eq!((record.standing, record.reference.as_deref()), (Standing::Awaiting, Some("f-1")));
        assert_eq!(record.next_action, Some(NextAction::ConfirmInApp { transfer_id: "f-1".into(), expires_at }));
    }
    for answer in [json!({"sucess": true, "status": 1}), json!({"sucess": false, "status": 1, "transfer_id": "f-1"})] {
        assert_eq!(heard(Verb::PrePay, &said(&answer)), "unknown", "{answer}");
    }
    assert_eq!(heard(Verb::PrePay, &sent(401, "{}")), "refused link_expired");
    assert_eq!(heard(Verb::PayUser, &sent(401, "{}")), "unknown");
}

#[test]
fn a_repeated_trade_id_keeps_the_reference_where_there_is_one() {
    let answer = said(&json!({"success": false, "status": 211, "data": {"transfer_id": "f-1", "trade_id": "t-1"}}));
    assert_eq!(heard(Verb::PayUser, &answer), "duplicate accepted f-1");
    assert_eq!(heard(Verb::PrePay, &answer), "duplicate awaiting f-1");
}

#[test]
fn what_does_not_decide_is_unknown() {
    let accepted = json!({"success": true, "status": 1, "data": {"transfer_id": "f-1", "trade_id": "t-1"}}).to_string();
    assert_eq!(heard(Verb::PayUser, &sent(200, &accepted)), "accepted paid f-1");
    for verb in [Verb::PayUser, Verb::PrePay] {
        for cut in 0..accepted.len() {
            assert_eq!(heard(verb, &sent(200, &accepted[..cut])), "unknown", "{cut}");
        }
        for status in [201, 204, 301, 302, 400, 403, 404, 429, 500, 502, 503] {
            assert_eq!(heard(verb, &sent(status, &accepted)), "unknown", "{status}");
            assert_eq!(heard(verb, &sent(status, r#"{"success":false,"status":24}"#)), "unknown", "{status}");
        }
        for body in [
            "",
            "null",
            "true",
            "1",
            "[]",
            "[{\"success\":true,\"status\":1}]",
            "<html>502</html>",
            "ok",
            "{}",
            r#"{"success": true}"#,
            r#"{"success": false}"#,
            r#"{"success": true, "status": null, "transfer_id": "f-1"}"#,
            r#"{"success": true, "status": "ok", "transfer_id": "f-1"}"#,
            r#"{"success": true, "status": 1.0, "transfer_id": "f-1"}"#,
            r#"{"success": true, "status": true, "transfer_id": "f-1"}"#,
            r#"{"success": true, "status": [1], "transfer_id": "f-1"}"#,
            r#"{"success": true, "code": 1, "transfer_id": "f-1"}"#,
            r#"{"success": true, "data": {"status": 1, "transfer_id": "f-1"}}"#,
            r#"{"success": "maybe", "status": 1, "transfer_id": "f-1"}"#,
            r#"{"success": true, "sucess": false, "status": 1, "transfer_id": "f-1"}"#,
            r#"{"success": false, "status": 1, "transfer_id": "f-1"}"#,
            r#"{"success": true, "status": 1, "status ": 24, "transfer_id": "f-1"}"#,
            r#"{"success": true, "status": 1, "transfer_id": "f-1", "trade_id": "t-2"}"#,
            r#"{"success": true, "status": 1, "transfer_id": "f-1", "data": {"trade_id": "t-2"}}"#,
            r#"{"success": true, "status": 1, "transfer_id": "f-1", "trade_id": "t-1", "data": {"trade_id": "t-2"}}"#,
            r#"{"success": true, "status": 1, "transfer_id": "f-1", "data": {"trade_id": ["t-1"]}}"#,
            r#"{"success": true, "status": 1, "transfer_id": "f-1", "data": {"transfer_id": "f-2"}}"#,
            r#"{"success": true, "status": 1, "data": {"transfer_id": {"id": "f-1"}}}"#,
            r#"{"success": true, "status": 1, "transfer_id": "f-1", "data": "x"}"#,
            r#"{"success": true, "status": 1, "transfer_id": "f-1", "data": [{"transfer_id": "f-1"}, {"transfer_id": "f-1"}]}"#,
            r#"{"success": false, "status": 24, "data": {"trade_id": "t-2"}}"#,
        ] {
            assert_eq!(heard(verb, &sent(200, body)), "unknown", "{body}");
        }
    }
    assert_eq!(heard(Verb::PayUser, &said(&json!({"status": 1, "transfer_id": "f-1"}))), "unknown");
}

fn detail(log: &Value) -> Value {
    json!({"success": true, "status": 1, "data": {
        "from_user": {"id": "77", "name": "Li"}, "to_user": [{"user_id": 88}],
        "coin_info": {"id": "5", "name": "usdt"}, "transfer_log": log,
    }})
}

fn log(status: &Value, direction: &Value) -> Value {
    json!({"transfer_id": "f-1", "trade_id": "t-1", "amount": "12.50", "cut_amount": 0.5, "direction": direction, "status": status})
}

#[test]
fn a_transfer_is_found_with_the_user_of_the_other_side() {
    for (status, standing) in [(json!(1), Standing::Paid), (json!("1"), Standing::Paid), (json!(0), Standing::Awaiting)] {
        for (direction, way, user) in [(json!(1), Direction::In, "77"), (json!("2"), Direction::Out, "88")] {
            let answer = said(&detail(&log(&status, &direction)));
            let Looked::Found(record, evidence) = looked(&answer) else { panic!("{:?}", looked(&answer)) };
            let expected = ProviderRecord {
                trade_id: Some("t-1".into()),
                reference: Some("f-1".into()),
                user: Some(user.into()),
                coin: Some("5".into()),
                amount: Amount::parse("12.5").ok(),
                fee: Amount::parse("0.5").ok(),
                direction: Some(way),
                ..ProviderRecord::new(standing)
            };
            assert_eq!((*record, evidence.raw), (expected, answer.body));
        }
    }
    let bare = json!({"from_user": [{"uid": 77}], "transfer_log": [{"status": 1, "amount": 1, "direction": 1, "coin_id": 5}]});
    let Looked::Found(record, _) = looked(&said(&bare)) else { panic!() };
    assert_eq!((record.user.as_deref(), record.coin.as_deref(), record.reference), (Some("77"), Some("5"), None));
}

#[test]
fn other_answers_about_a_transfer_are_sorted() {
    let failed = |code: i64| json!({"success": false, "status": code});
    let name = |sent: &Sent| match looked(sent) {
        Looked::Found(..) => "found",
        Looked::Absent(_) => "absent",
        Looked::Unauthorized => "unauthorized",
        Looked::Unavailable(_) | Looked::Unreadable(_) => "unavailable",
    };
    for (code, expected) in
        [(212, "absent"), (213, "absent"), (2, "unauthorized"), (3, "unauthorized"), (0, "unavailable"), (5, "unavailable")]
    {
        assert_eq!(name(&said(&failed(code))), expected, "{code}");
    }
    assert_eq!(name(&sent(401, "")), "unauthorized");
    assert_eq!(name(&sent(500, failed(212).to_string())), "unavailable");
    let good = log(&json!(1), &json!(1));
    let with = |name: &str, value: Value| {
        let mut log = good.clone();
        log[name] = value;
        detail(&log)
    };
    for answer in [
        json!({}),
        json!({"success": true, "status": 1}),
        json!({"success": true, "status": 212}),
        json!({"success": false, "status": 1, "transfer_log": good}),
        detail(&json!([good, good])),
        with("status", json!(null)),
        with("status", json!(2)),
        with("status", json!({})),
        with("amount", json!(null)),
        with("amount", json!("-1")),
        with("amount", json!("12,5")),
        with("cut_amount", json!("x")),
        with("direction", json!(3)),
        with("coin_id", json!({})),
        with("trade_id", json!("a\u{0}")),
    ] {
        assert_eq!(name(&said(&answer)), "unavailable", "{answer}");
    }
}

const FORM: &str = "transfer_id=f-1&user_id=77&trade_id=t-1&coin_id=5&amount=12.5&cut_amount=0.5&direction=1&status=1";

#[test]
fn a_callback_is_read_as_a_form_or_as_json() {
    let expected = ProviderRecord {
        trade_id: Some("t-1".into()),
        reference: Some("f-1".into()),
        user: Some("77".into()),
        coin: Some("5".into()),
        amount: Amount::parse("12.5").ok(),
        fee: Amount::parse("0.5").ok(),
        direction: Some(Direction::In),
        ..ProviderRecord::new(Standing::Paid)
    };
    let json = json!({"transfer_id": "f-1", "user_id": 77, "trade_id": "t-1", "coin_id": 5, "amount": 12.5, "cut_amount": "0.50", "direction": "1", "status ": 1});
    assert_eq!(callback(FORM.as_bytes()), Ok(expected.clone()));
    assert_eq!(callback(format!(" {json}").as_bytes()), Ok(expected));
    let failed = callback(b"trade_id=t-1&status=0&direction=2&amount=").unwrap();
    assert_eq!((failed.standing, failed.direction, failed.amount), (Standing::Failed, Some(Direction::Out), None));
}

#[test]
fn a_callback_that_cannot_be_read_says_why() {
    for (body, why) in [
        ("", "status is missing"),
        ("trade_id=t-1", "status is missing"),
        ("status=1", "trade_id is missing"),
        ("status=2&trade_id=t-1", "status 2"),
        ("status=paid&trade_id=t-1", "status cannot"),
        ("status=1&status=0&trade_id=t-1", "twice"),
        ("status=1&trade_id=t-1&direction=3", "direction 3"),
        ("status=1&trade_id=t-1&amount=1,5", "amount cannot"),
        ("status=1&trade_id=t-1&cut_amount=-1", "cut_amount cannot"),
        ("status=1&trade_id=t%00", "trade_id cannot"),
        ("{\"status\":1,\"trade_id\":\"t-1\"", "JSON"),
        ("[{\"status\":1,\"trade_id\":\"t-1\"}]", "object"),
        ("{\"status\":1,\"trade_id\":{}}", "trade_id cannot"),
    ] {
        let error = callback(body.as_bytes()).unwrap_err().0;
        assert!(error.contains(why), "{body}: {error}");
    }
}

fn at() -> OffsetDateTime {
    call().now
}

#[test]
fn tokens_come_bare_or_in_an_envelope() {
    for answer in [
        json!({"access_token": "a", "refresh_token": "r", "expires_in": 3600, "token_type": "Bearer"}),
        json!({"status": 1, "msg": "ok", "data": {"access_token": "a", "refresh_token": "r", "expires_in": "3600"}}),
        json!({"code": "1", "success": true, "data": [{"access_token": "a", "refresh_token": "r"}]}),
        json!({"error": 0, "access_token": "a", "refresh_token": "r", "expires_in": -1}),
    ] {
        let tokens = tokens(&said(&answer), at(), None).unwrap();
        assert_eq!((tokens.access_token.expose_secret(), tokens.refresh_token.expose_secret()), ("a", "r"));
        assert_eq!(tokens.access_expires_at, at() + Duration::hours(1), "{answer}");
        assert_eq!(tokens.refresh_expires_at, at() + Duration::weeks(2));
    }
    let told = json!({"access_token": "a", "refresh_token": "r", "expires_in": 60, "refresh_expires_in": i64::MAX});
    let tokens = tokens(&said(&told), at(), None).unwrap();
    assert_eq!((tokens.access_expires_at - at(), tokens.refresh_expires_at - at()), (Duration::minutes(1), Duration::days(365)));
}

#[test]
fn a_refresh_without_a_new_refresh_token_keeps_the_old_one() {
    let answer = said(&json!({"access_token": "a"}));
    let kept = SecretString::from("old");
    assert_eq!(tokens(&answer, at(), Some(&kept)).unwrap().refresh_token.expose_secret(), "old");
    assert!(matches!(tokens(&answer, at(), None), Err(LinkError::Unavailable(_))));
}

#[test]
fn a_link_fails_by_whose_fault_it_is() {
    let name = |status: u16, body: &Value| match profile(&sent(status, body.to_string())) {
        Ok(_) => "ok",
        Err(LinkError::Refused(_)) => "refused",
        Err(LinkError::Misconfigured(_)) => "misconfigured",
        Err(LinkError::Unavailable(_)) => "unavailable",
    };
    for (code, expected) in [(0, "refused"), (2, "refused"), (3, "refused"), (54, "refused"), (74, "refused"), (107, "refused")] {
        assert_eq!(name(200, &json!({"status": code})), expected, "{code}");
        assert_eq!(name(401, &json!({"code": code.to_string()})), expected, "{code}");
    }
    for code in [7, 8, 80, 82] {
        assert_eq!(name(200, &json!({"status": code, "success": false})), "misconfigured", "{code}");
    }
    for code in [5, 6, 24, 211, 999] {
        assert_eq!(name(200, &json!({"status": code})), "unavailable", "{code}");
    }
    for (status, body, expected) in [
        (400, json!({"error": "invalid_grant"}), "refused"),
        (401, json!({"error": "expired_token", "error_description": "x"}), "refused"),
        (400, json!({"error": "anything else"}), "refused"),
        (401, json!({"error": "invalid_client"}), "misconfigured"),
        (400, json!({"error": "temporarily_unavailable"}), "unavailable"),
        (200, json!({"error": "invalid_grant"}), "refused"),
        (200, json!({"error": "database down"}), "unavailable"),
        (500, json!({"error": "invalid_grant"}), "unavailable"),
        (401, json!("<html>"), "unavailable"),
        (400, json!({"id": "77"}), "unavailable"),
        (200, json!({"success": false, "id": "77"}), "unavailable"),
        (200, json!({"success": true, "status": 1}), "unavailable"),
    ] {
        assert_eq!(name(status, &body), expected, "{status} {body}");
    }
}

#[test]
fn a_user_is_known_by_any_of_three_names() {
    for answer in [
        json!({"status": 1, "success": true, "data": {"user_id": 77, "nick": "Li", "access_token": "t"}}),
        json!({"status": "1", "data": [{"uid": "77", "nick": "Li"}]}),
        json!({"data": {"id": "77", "nick": "Li"}}),
    ] {
        let profile = profile(&said(&answer)).unwrap();
        assert_eq!((profile.provider_user.as_str(), &profile.details["nick"]), ("77", &json!("Li")));
        assert_eq!(profile.details.get("access_token"), None);
    }
    assert_eq!(profile(&said(&json!({"id": 77, "name": "Li"}))).unwrap().provider_user, "77");
}

#[test]
fn coins_are_read_as_the_document_shows_them() {
    let coin = |id: Value, name: &str, decimals: Value, active: Value| json!({"id": id, "name": name, "decimals": decimals, "is_active": active, "price": "0.9993"});
    let list = json!([
        coin(json!("1"), "vnt", json!("8"), json!("1")),
        coin(json!(5), "usdt", json!(6), json!("0")),
        coin(json!("9"), "usdt", json!("77"), json!(null)),
        coin(json!("8"), "btc", json!("18"), json!("?")),
        coin(json!("8"), "again", json!("1"), json!("1")),
        coin(json!(null), "no id", json!("1"), json!("1")),
        coin(json!("10"), "no decimals", json!("x"), json!("1")),
        "nonsense",
    ]);
    let read = coins(&said(&json!({"success": true, "status": 1, "data": {"active_coins": list}}))).unwrap();
    let rows: Vec<_> = read.iter().map(|coin| (coin.coin.as_str(), coin.provider_coin_id.as_str(), coin.decimals, coin.active)).collect();
    assert_eq!(rows, [("vnt", "1", 8, true), ("5", "5", 6, false), ("9", "9", 18, true), ("btc", "8", 18, false)]);
    assert_eq!(read[0].price.as_deref(), Some("0.9993"));
    assert_eq!(coins(&said(&json!({"active_coins": []}))), Ok(vec![]));
    for answer in
        [json!({}), json!({"active_coins": [1]}), json!({"success": false, "active_coins": []}), json!({"status": 5, "active_coins": []})]
    {
        assert!(coins(&said(&answer)).is_err(), "{answer}");
    }
}

/// Names that mean something to the code under test.
const NAMES: &[&str] = &[
    "success",
    "sucess",
    "status",
    "status ",
    "code",
    "data",
    "trade_id",
    "transfer_id",
    "transfer_log",
    "amount",
    "access_token",
    "id",
    "error",
];

/// Answers that look like FOMO's, with anything in the places that matter.
fn nearly_an_answer() -> impl Strategy<Value = Value> {
    let name = proptest::sample::select(NAMES).prop_map(str::to_owned);
    let plain = prop_oneof![Just(json!(true)), Just(json!(1)), Just(json!("1")), Just(json!("t-1")), (-2_i64..260).prop_map(Value::from)];
    let value = prop_oneof![3 => plain, 1 => any_json()];
    let object =
        proptest::collection::btree_map(name.clone(), value.clone(), 0..8).prop_map(|map| Value::Object(map.into_iter().collect()));
    proptest::collection::btree_map(name, prop_oneof![3 => value, 1 => object], 0..9)
        .prop_map(|map| Value::Object(map.into_iter().collect()))
}

/// Good answers, with some of their fields replaced by anything.
fn spoilt_answer() -> impl Strategy<Value = Value> {
    let good = [
        json!({"success": true, "status": 1, "data": {"transfer_id": "f-1", "trade_id": "t-1"}}),
        json!({"sucess": true, "status": 1, "transfer_id": "f-1"}),
        detail(&log(&json!(1), &json!(1))),
        json!({"transfer_log": log(&json!(0), &json!(2))}),
    ];
    (proptest::sample::select(good.to_vec()), nearly_an_answer(), any::<bool>()).prop_map(|(mut answer, spoiler, deep)| {
        let place = if deep && answer["data"].is_object() { &mut answer["data"] } else { &mut answer };
        let spoilt = spoiler.as_object().unwrap().iter().take(2).map(|(name, value)| (name.clone(), value.clone()));
        place.as_object_mut().unwrap().extend(spoilt);
        answer
    })
}

/// Whether one reads status 1 and success in it without any of the code under test.
fn plainly_accepted(answer: &Value) -> bool {
    let find = |name: &str| answer.as_object().and_then(|map| map.iter().find(|(key, _)| key.trim() == name)).map(|(_, value)| value);
    let yes = |value: Option<&Value>| value.is_some_and(|value| matches!(value.to_string().as_str(), "true" | "1" | "\"1\"" | "\"true\""));
    let one = find("status").is_some_and(|value| value.to_string().trim_matches('"').trim() == "1");
    one && (yes(find("success")) || yes(find("sucess")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn bytes_are_never_money(body in proptest::collection::vec(any::<u8>(), 0..300), status in 0_u16..700) {
        let sent = sent(status, &body);
        let outcome = outcome(Verb::PayUser, &sent, &call());
        prop_assert!(matches!(outcome, Outcome::Unknown(_)), "{:?}", outcome);
        prop_assert!(!matches!(looked(&sent), Looked::Found(..)));
        let _ = (callback(&body), tokens(&sent, at(), None), profile(&sent), coins(&sent));
    }

    #[test]
    fn any_json_is_never_money_unless_it_says_so(answer in prop_oneof![any_json(), nearly_an_answer(), spoilt_answer()], status in prop_oneof![9 => Just(200_u16), 1 => 0_u16..700]) {
        let sent = sent(status, answer.to_string());
        for verb in [Verb::PayUser, Verb::PrePay] {
            let outcome = outcome(verb, &sent, &call());
            if let Outcome::Accepted(record) = &outcome {
                prop_assert!(status == 200 && record.trade_id.as_deref().is_none_or(|echo| echo == "t-1"), "{:?}", outcome);
                prop_assert!(verb == Verb::PrePay || plainly_accepted(&answer), "{:?}", outcome);
                prop_assert_eq!(verb == Verb::PrePay, record.standing == Standing::Awaiting);
            }
        }
        if let Looked::Found(record, _) = looked(&sent) {
            prop_assert!(status == 200 && record.amount.is_some());
        }
        let _ = (callback(&sent.body), tokens(&sent, at(), None), profile(&sent), coins(&sent));
    }
}
