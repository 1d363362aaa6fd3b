//! Answers that are nearly right, or not at all.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::providers::reading::tests::any_json;

/// Names that mean something to the code under test.
const NAMES: &[&str] = &[
    "code",
    "code ",
    "data",
    "status",
    "statuts",
    "status ",
    "withdraw_type",
    "request_id",
    "id",
    "uid",
    "symbol",
    "symbol ",
    "amount",
    "address",
    "withdraw_fee",
    "withdraw_fee_symbol",
    "confirmations",
    "txid",
    "normal_balance",
    "lock_balance",
    "created_at",
];

fn value() -> impl Strategy<Value = Value> {
    let plain = prop_oneof![
        Just(json!(0)),
        Just(json!("0")),
        Just(json!(1)),
        Just(json!("t-1")),
        Just(json!(null)),
        Just(json!("")),
        (-2_i64..8).prop_map(Value::from),
        proptest::sample::select(Code::DOCUMENTED).prop_map(|code| json!(code.number())),
    ];
    prop_oneof![3 => plain, 1 => any_json()]
}

fn object() -> impl Strategy<Value = Value> {
    let name = proptest::sample::select(NAMES).prop_map(str::to_owned);
    proptest::collection::btree_map(name, value(), 0..6).prop_map(|map| Value::Object(map.into_iter().collect()))
}

fn nearly_an_answer() -> impl Strategy<Value = Value> {
    let data =
        prop_oneof![object(), proptest::collection::vec(prop_oneof![3 => object(), 1 => value()], 0..4).prop_map(Value::from), value()];
    (object(), data).prop_map(|(mut answer, data)| {
        answer["data"] = data;
        answer
    })
}

/// Good answers to calls that move money, to lists, to feeds and to questions about users.
static GOOD: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let with = |data: Value| json!({"code": "0", "msg": "suc", "data": data});
    let deposit = json!({"id": 1, "uid": 11, "symbol": "ETH", "amount": "0.2", "created_at": 1, "status": 1, "txid": "x"});
    vec![
        with(json!({"statuts": 0})),
        with(json!({"status": "5", "withdraw_type": 1, "request_id": "t-1"})),
        with(json!({"status": 0, "withdraw_type": "2"})),
        with(json!([entry(), entry()])),
        with(json!([deposit, deposit])),
        with(json!({"uid": 42, "address": "1PiX", "normal_balance ": "1", "lock_balance ": "0"})),
        with(json!([{"symbol": "ETH", "normal_balance": "1", "lock_balance": "0"}])),
        json!({"code": "120402", "msg": "x", "data": null}),
        json!({"code": 110_088, "msg": "x"}),
    ]
});

/// Good answers, with some of their fields replaced.
fn spoilt_answer() -> impl Strategy<Value = Value> {
    (proptest::sample::select(GOOD.clone()), object(), 0..3).prop_map(|(mut answer, spoiler, depth)| {
        let place = match depth {
            2 if answer["data"][0].is_object() => &mut answer["data"][0],
            1 | 2 if answer["data"].is_object() => &mut answer["data"],
            _ => &mut answer,
        };
        let spoilt = spoiler.as_object().unwrap().iter().take(2).map(|(name, value)| (name.clone(), value.clone()));
        place.as_object_mut().unwrap().extend(spoilt);
        answer
    })
}

/// The values under a name, read without any of the code under test.
fn all<'a>(object: &'a Value, name: &str) -> Vec<&'a Value> {
    let map = object.as_object();
    map.into_iter().flatten().filter(|(key, value)| key.trim() == name && !value.is_null()).map(|(_, value)| value).collect()
}

fn plain_number(value: &Value) -> Option<i64> {
    value.to_string().trim_matches('"').trim().parse().ok()
}

fn says(object: &Value, name: &str, numbers: &[i64]) -> bool {
    let values = all(object, name);
    !values.is_empty() && values.iter().all(|value| plain_number(value).is_some_and(|number| numbers.contains(&number)))
}

fn says_status(object: &Value, numbers: &[i64]) -> bool {
    says(object, "status", numbers) || says(object, "statuts", numbers)
}

/// The `data` of an answer: itself, or the only one of its list.
fn data_of(answer: &Value) -> Option<&Value> {
    match all(answer, "data").as_slice() {
        [Value::Array(list)] if list.len() == 1 => list.first(),
        [data] => Some(data),
        _ => None,
    }
}

fn check_money(answer: &Value, sent: &Sent) -> Result<(), TestCaseError> {
    let taken = sent.status == 200 && says(answer, "code", &[0]);
    let data = data_of(answer).cloned().unwrap_or_default();
    for verb in [Verb::Withdraw, Verb::Transfer] {
        match outcome(verb, sent, &call()) {
            Outcome::Accepted(record) => {
                prop_assert!(taken && says_status(&data, &[0, 1, 2, 3, 4, 5, 6]), "{}", answer);
                let internal = verb == Verb::Transfer || says(&data, "withdraw_type", &[2]);
                let (paid, failed): (&[i64], &[i64]) = if internal { (&[0], &[1]) } else { (&[5], &[2, 4, 6]) };
                prop_assert!(record.standing != Standing::Paid || says_status(&data, paid), "{}", answer);
                prop_assert!(record.standing != Standing::Failed || says_status(&data, failed), "{}", answer);
            }
            Outcome::Refused(code) | Outcome::Misconfigured(code) => {
                let number: i64 = code.provider_code.parse().unwrap();
                prop_assert!(sent.status == 200 && number != 0 && says(answer, "code", &[number]), "{}", answer);
            }
            Outcome::Duplicate(record) => {
                prop_assert!(sent.status == 200 && record.is_none() && says(answer, "code", &[110_088]), "{}", answer);
            }
            Outcome::NotSent(_) => prop_assert!(false, "it was sent"),
            Outcome::Unknown(_) => {}
        }
    }
    if let Outcome::Accepted(record) = offer(sent, &call(), "42") {
        prop_assert!(taken && record.standing == Standing::Awaiting && !all(&data, "address").is_empty());
    }
    Ok(())
}

fn check_lists(answer: &Value, sent: &Sent) -> Result<(), TestCaseError> {
    let taken = sent.status == 200 && says(answer, "code", &[0]);
    let whole = |name: &str| match answer.as_object().and_then(|map| map.iter().find(|(key, _)| key.trim() == "data")) {
        Some((_, Value::Null)) => true,
        Some((_, Value::Array(list))) => list.iter().all(|entry| !all(entry, name).is_empty()),
        _ => false,
    };
    for list in LISTS {
        if let Ok(found) = listed(list, sent, &asked()) {
            prop_assert!(taken && whole("request_id"), "{}", answer);
            for row in found.into_iter().filter_map(|row| row.record.ok()) {
                prop_assert!(row.amount.is_some() && row.coin.is_some());
            }
        }
    }
    if let Ok(entries) = feed(sent) {
        prop_assert!(taken && whole("id"), "{}", answer);
        prop_assert!(entries.is_sorted_by_key(|entry| entry.id));
        prop_assert!(entries.iter().filter_map(|entry| entry.movement.as_ref().ok()).all(|incoming| !incoming.amount.is_zero()));
    }
    if let Ok(balances) = balances(sent) {
        prop_assert!(taken && (balances.is_empty() || whole("normal_balance")));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_json_says_only_what_it_says(
        answer in prop_oneof![any_json(), nearly_an_answer(), spoilt_answer()],
        status in prop_oneof![9 => Just(200_u16), 1 => 0_u16..700],
    ) {
        let sent = sent(status, answer.to_string());
        check_money(&answer, &sent)?;
        check_lists(&answer, &sent)?;
        let _ = (all_questions(&sent), coins(&sent), subject(&sent.body));
    }

    #[test]
    fn bytes_say_nothing(body in proptest::collection::vec(any::<u8>(), 0..300), status in 0_u16..700) {
        let sent = sent(status, &body);
        for verb in [Verb::Withdraw, Verb::Transfer] {
            prop_assert_eq!(heard(verb, &sent), "unknown");
        }
        prop_assert!(all_questions(&sent).iter().all(|word| word == "unavailable"));
        prop_assert!(coins(&sent).is_err());
        let _ = subject(&body);
    }

    #[test]
    fn a_cut_answer_says_nothing(good in proptest::sample::select(GOOD.clone()), at in any::<proptest::sample::Index>()) {
        let body = good.to_string();
        let sent = sent(200, &body[..at.index(body.len())]);
        prop_assert_eq!(heard(Verb::Withdraw, &sent), "unknown");
        prop_assert_eq!(heard(Verb::Transfer, &sent), "unknown");
        prop_assert!(all_questions(&sent).iter().all(|word| word == "unavailable"));
    }

    #[test]
    fn a_damaged_answer_says_only_what_it_says(
        good in proptest::sample::select(GOOD.clone()), at in any::<proptest::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut body = good.to_string().into_bytes();
        let at = at.index(body.len());
        body[at] = byte;
        let sent = sent(200, &body);
        match serde_json::from_slice::<Value>(&body) {
            Ok(answer) => { check_money(&answer, &sent)?; check_lists(&answer, &sent)?; }
            Err(_) => prop_assert!(all_questions(&sent).iter().all(|word| word == "unavailable")),
        }
    }
}
