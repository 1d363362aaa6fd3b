use std::time::Duration as StdDuration;

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::*;
use crate::domain::clock::Clock;
use crate::domain::money::Amount;
use crate::domain::receipt::{Incoming, Progress};
use crate::providers::{Entry, Listed};

#[path = "wire_tests/fuzz.rs"]
mod fuzz;
#[path = "wire_tests/lists.rs"]
mod lists;
#[path = "wire_tests/samples.rs"]
mod samples;

fn call() -> MoneyCall {
    MoneyCall {
        trade_id: TradeId::parse("t-1").unwrap(),
        provider_coin_id: "ETH".into(),
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

fn asked() -> [TradeId; 1] {
    [TradeId::parse("t-1").unwrap()]
}

fn amount(text: &str) -> Amount {
    Amount::parse_provider(text).unwrap()
}

/// An outcome in a word, as the tables below write it.
fn word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Accepted(record) => format!("accepted {}", record.standing),
        Outcome::Refused(code) => format!("refused {}", code.code),
        Outcome::Misconfigured(code) => format!("misconfigured {}", code.code),
        Outcome::Duplicate(None) => "duplicate".into(),
        Outcome::Duplicate(Some(record)) => format!("duplicate {}", record.standing),
        Outcome::NotSent(_) => "not sent".into(),
        Outcome::Unknown(_) => "unknown".into(),
    }
}

fn heard(verb: Verb, sent: &Sent) -> String {
    word(&outcome(verb, sent, &call()))
}

fn ask_word<T>(result: Result<T, AskError>) -> String {
    match result {
        Ok(_) => "ok".into(),
        Err(AskError::Refused(code)) => format!("refused {}", code.code),
        Err(AskError::Misconfigured(code)) => format!("misconfigured {}", code.code),
        Err(AskError::Unavailable(_)) => "unavailable".into(),
    }
}

/// Every question, in words.
fn all_questions(sent: &Sent) -> Vec<String> {
    vec![
        ask_word(listed(List::Withdrawals, sent, &asked())),
        ask_word(listed(List::Transfers, sent, &asked())),
        ask_word(listed(List::SystemTransfers, sent, &asked())),
        ask_word(feed(sent)),
        ask_word(registered(sent)),
        ask_word(profile(sent)),
        ask_word(balance(sent, "ETH")),
        ask_word(balances(sent)),
        ask_word(address(sent, "42")),
    ]
}

const LISTS: [List; 3] = [List::Withdrawals, List::Transfers, List::SystemTransfers];

fn rows(list: List, data: &Value) -> Result<Vec<Listed>, AskError> {
    listed(list, &said(&json!({"code": "0", "msg": "suc", "data": data})), &asked())
}

fn entry() -> Value {
    json!({
        "request_id": "t-1", "id": 123, "uid": 2, "symbol ": "ETH", "amount": "12.50", "withdraw_fee_symbol": "ETH",
        "withdraw_fee": "0.1", "fee_symbol": "", "real_fee": "0.0000000000000001", "address_from": "0xa", "address_to": "0xb",
        "txid": "78d1", "confirmations": 11, "saas_status": 1, "company_status": 1, "status": 5, "from_uid": 7, "to_uid": "8",
    })
}

/// The entry with other values in some places.
fn entry_with(more: &Value) -> Value {
    let mut entry = entry();
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    entry
}

#[test]
fn every_code_of_the_document_has_its_meaning_for_each_kind_of_call() {
    // code, where money moves, where an address is offered, where nothing moves
    let table = [
        (100_001, "unknown", "unknown", "unavailable"),
        (100_004, "refused parameter_invalid", "refused parameter_invalid", "refused parameter_invalid"),
        (100_005, "misconfigured signature_wrong", "misconfigured signature_wrong", "misconfigured signature_wrong"),
        (100_007, "misconfigured source_not_allowed", "misconfigured source_not_allowed", "misconfigured source_not_allowed"),
        (100_015, "refused client_invalid", "refused client_invalid", "misconfigured client_invalid"),
        (100_016, "refused client_expired", "refused client_expired", "misconfigured client_expired"),
        (110_004, "refused user_frozen", "refused user_frozen", "refused user_frozen"),
        (110_023, "unknown", "unknown", "refused mobile_taken"),
        (110_055, "refused address_invalid", "refused address_invalid", "refused address_invalid"),
        (110_065, "refused user_unknown", "refused user_unknown", "refused user_unknown"),
        (110_078, "refused amount_too_small", "refused amount_too_small", "refused amount_too_small"),
        (110_087, "refused amount_too_large", "refused amount_too_large", "refused amount_too_large"),
        (110_088, "duplicate", "unknown", "refused trade_id_repeated"),
        (110_089, "unknown", "unknown", "refused mobile_invalid"),
        (110_101, "unknown", "unknown", "refused registration_failed"),
        (120_202, "refused coin_not_supported", "refused coin_not_supported", "refused coin_not_supported"),
        (120_402, "refused insufficient_balance", "refused insufficient_balance", "refused insufficient_balance"),
        (120_403, "refused insufficient_balance_for_fee", "refused insufficient_balance_for_fee", "refused insufficient_balance_for_fee"),
        (120_404, "refused amount_below_fee", "refused amount_below_fee", "refused amount_below_fee"),
        (999, "unknown", "unknown", "unavailable"),
        (-1, "unknown", "unknown", "unavailable"),
        (1, "unknown", "unknown", "unavailable"),
        (200, "unknown", "unknown", "unavailable"),
    ];
    for (code, money, offered, question) in table {
        for answer in [
            json!({"code": code, "msg": "x"}),
            json!({"code": code.to_string(), "msg": "x", "data": null}),
            json!({"code ": format!(" {code} "), "data": []}),
            json!({"code": code, "data": ""}),
            json!({"code": code, "data": "text"}),
            json!({"code": code, "data": {"request_id": "t-1"}}),
        ] {
            let sent = said(&answer);
            for verb in [Verb::Withdraw, Verb::Transfer] {
                assert_eq!(heard(verb, &sent), money, "{answer}");
            }
            assert_eq!(word(&offer(&sent, &call(), "42")), offered, "{answer}");
            assert!(all_questions(&sent).iter().all(|word| word == question), "{answer} {:?}", all_questions(&sent));
            assert!(coins(&sent).unwrap_err().contains(&code.to_string()), "{answer}");
        }
    }
    let failures = Code::DOCUMENTED.iter().filter(|code| **code != Code::Success);
    assert!(failures.clone().all(|code| table.iter().any(|(number, ..)| *number == code.number())));
    assert!(Code::DOCUMENTED.iter().all(|code| Code::from_number(code.number()) == *code && !code.meaning().is_empty()));
    assert_eq!((Code::DOCUMENTED.len(), Code::from_number(0), Code::from_number(999)), (20, Code::Success, Code::Unknown(999)));
    let Outcome::Unknown(why) = outcome(Verb::Transfer, &said(&json!({"code": 777})), &call()) else { panic!() };
    assert!(why.contains("777"), "{why}");
}

#[test]
fn a_refusal_carries_our_name_and_their_code() {
    let Outcome::Refused(code) = outcome(Verb::Transfer, &said(&json!({"code": "120402"})), &call()) else { panic!() };
    assert_eq!(
        (code.code, code.provider_code.as_str(), code.message.as_str()),
        ("insufficient_balance", "120402", "the balance is too low")
    );
}

#[test]
fn a_refusal_that_contradicts_itself_is_none() {
    for (data, withdrawal, transfer) in [
        (json!({"status": 0}), "unknown", "unknown"),
        (json!({"statuts": "1"}), "unknown", "refused user_frozen"),
        (json!({"status": 1, "withdraw_type": 2}), "refused user_frozen", "refused user_frozen"),
        (json!({"status": 4}), "refused user_frozen", "unknown"),
        (json!({"status": 9}), "unknown", "unknown"),
        (json!({"status": {}}), "unknown", "unknown"),
        (json!({"request_id": "t-2"}), "unknown", "unknown"),
        (json!([{"status": 5}]), "unknown", "unknown"),
    ] {
        let answer = said(&json!({"code": 110_004, "data": data}));
        assert_eq!((heard(Verb::Withdraw, &answer).as_str(), heard(Verb::Transfer, &answer).as_str()), (withdrawal, transfer), "{data}");
    }
    let wrong_secret = said(&json!({"code": 100_005, "data": {"status": 0}}));
    assert_eq!(heard(Verb::Transfer, &wrong_secret), "unknown");
    let twice = said(&json!({"code": 110_088, "data": {"status": 0}}));
    assert_eq!(heard(Verb::Transfer, &twice), "duplicate");
}

/// What each status of a withdrawal's answer means: without a `withdraw_type`, over the chain, as a transfer.
const STATUSES: [(i64, [&str; 3]); 9] = [
    (0, ["accepted accepted", "accepted in_review", "accepted paid"]),
    (1, ["accepted accepted", "accepted accepted", "accepted failed"]),
    (2, ["accepted failed", "accepted failed", "unknown"]),
    (3, ["accepted broadcast", "accepted broadcast", "unknown"]),
    (4, ["accepted failed", "accepted failed", "unknown"]),
    (5, ["accepted paid", "accepted paid", "unknown"]),
    (6, ["accepted failed", "accepted failed", "unknown"]),
    (7, ["unknown", "unknown", "unknown"]),
    (-1, ["unknown", "unknown", "unknown"]),
];

#[test]
fn every_status_is_read_by_every_way_and_in_every_spelling() {
    for (status, expected) in STATUSES {
        for name in ["status", "statuts", "status ", " statuts"] {
            for value in [json!(status), json!(status.to_string()), json!(format!(" {status} "))] {
                for code in [json!(0), json!("0")] {
                    let answer = |more: Value| {
                        let mut data = json!({name: value});
                        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
                        said(&json!({"code": code, "msg": "suc", "data": data}))
                    };
                    for (more, expected) in [
                        (json!({}), expected[0]),
                        (json!({"withdraw_type": null}), expected[0]),
                        (json!({"withdraw_type": 1}), expected[1]),
                        (json!({"withdraw_type ": "1"}), expected[1]),
                        (json!({"withdraw_type": "2"}), expected[2]),
                        (json!({"withdraw_type": 3}), "unknown"),
                        (json!({"withdraw_type": 0}), "unknown"),
                        (json!({"withdraw_type": "x"}), "unknown"),
                    ] {
                        assert_eq!(heard(Verb::Withdraw, &answer(more.clone())), expected, "{name} {value} {more}");
                        // A transfer has one meaning only.
                        assert_eq!(heard(Verb::Transfer, &answer(more)), transferred(status), "{name} {value}");
                    }
                }
            }
        }
    }
}

/// What each status of a transfer means.
fn transferred(status: i64) -> &'static str {
    match status {
        0 => "accepted paid",
        1 => "accepted failed",
        _ => "unknown",
    }
}

#[test]
fn an_answer_that_does_not_decide_is_unknown() {
    for body in [
        "",
        " ",
        "<html>502</html>",
        "null",
        "[]",
        r#"{"code": 0, "data": {"status": 0}"#,
        r#"[{"code": 0, "data": {"status": 0}}]"#,
        r#"{"data": {"status": 0}}"#,
        r#"{"code": null, "data": {"status": 0}}"#,
        r#"{"code": "", "data": {"status": 0}}"#,
        r#"{"code": "suc", "data": {"status": 0}}"#,
        r#"{"code": 0.0, "data": {"status": 0}}"#,
        r#"{"code": false, "data": {"status": 0}}"#,
        r#"{"code": 0, "code ": 120402, "data": {"status": 0}}"#,
        r#"{"status": 0, "data": {"status": 0}}"#,
        r#"{"code": 0}"#,
        r#"{"code": 0, "status": 0}"#,
        r#"{"code": 0, "data": null}"#,
        r#"{"code": 0, "data": []}"#,
        r#"{"code": 0, "data": {}}"#,
        r#"{"code": 0, "data": 0}"#,
        r#"{"code": 0, "data": "{\"status\": 0}"}"#,
        r#"{"code": 0, "data": {"status": null}}"#,
        r#"{"code": 0, "data": {"status": ""}}"#,
        r#"{"code": 0, "data": {"status": "ok"}}"#,
        r#"{"code": 0, "data": {"status": 0.0}}"#,
        r#"{"code": 0, "data": {"status": false}}"#,
        r#"{"code": 0, "data": {"status": 0, "statuts": 1}}"#,
        r#"{"code": 0, "data": {"status": 0, "status ": 1}}"#,
        r#"{"code": 0, "data": {"status": 0, "request_id": "t-2"}}"#,
        r#"{"code": 0, "data": {"status": 0, "request_id": {}}}"#,
        r#"{"code": 0, "data": [{"status": 0}, {"status": 0}]}"#,
    ] {
        for verb in [Verb::Withdraw, Verb::Transfer] {
            assert_eq!(heard(verb, &sent(200, body)), "unknown", "{body}");
        }
        assert_eq!(word(&offer(&sent(200, body), &call(), "42")), "unknown", "{body}");
    }
    for status in [0, 199, 201, 204, 301, 302, 400, 401, 403, 404, 429, 500, 502, 503] {
        for body in [r#"{"code": 0, "data": {"status": 0, "address": "a"}}"#, r#"{"code": 120402}"#, r#"{"code": 100005}"#] {
            assert_eq!(heard(Verb::Transfer, &sent(status, body)), "unknown", "{status}");
            assert_eq!(word(&offer(&sent(status, body), &call(), "42")), "unknown", "{status}");
            assert!(all_questions(&sent(status, body)).iter().all(|word| word == "unavailable"), "{status}");
            assert!(coins(&sent(status, body)).is_err());
        }
    }
    for data in [json!({"status": 0, "statuts": "0", "request_id": "t-1"}), json!([{"status": "0"}])] {
        assert_eq!(heard(Verb::Transfer, &said(&json!({"code": 0, "data": data}))), "accepted paid", "{data}");
    }
}

#[test]
fn an_accepted_movement_says_nothing_that_the_answer_did_not() {
    let answer = said(&json!({"code": 0, "data": {"status": 3, "withdraw_type": 1, "id": 5, "txid": "x"}}));
    let expected = Outcome::Accepted(Box::new(ProviderRecord::new(Standing::Broadcast)));
    assert_eq!(outcome(Verb::Withdraw, &answer, &call()), expected);
}
