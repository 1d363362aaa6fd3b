use proptest::prelude::*;
use secrecy::ExposeSecret;
use serde_json::json;

use super::*;

fn fields(value: &Value) -> Fields {
    Fields::from_json(value.to_string().as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

fn raw(text: &str) -> Fields {
    Fields::from_json(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn names_are_trimmed_and_must_not_contradict_each_other() {
    assert_eq!(raw(r#"{"normal_balance ": "1.5"}"#).id("normal_balance"), Ok(Some("1.5".into())));
    assert_eq!(raw(r#"{"symbol ": "a", "symbol": "a"}"#).id("symbol"), Ok(Some("a".into())));
    assert!(Fields::from_json(br#"{"status ": 1, "status": 0}"#).is_err());
    assert!(Fields::from_form(b"status=1&status=0").is_err());
    assert_eq!(Fields::from_form(b"+status+=1&x=%2B86").ok().and_then(|form| form.integer("status").unwrap()), Some(1));
}

#[test]
fn what_is_no_whole_object_is_unreadable() {
    for body in ["", " \n", "{", "{\"a\":1", "[]", "1", "null", "\"{}\"", "<html>", "{}{}", "{\"a\":1}x", "\u{feff}{}"] {
        assert!(Fields::from_json(body.as_bytes()).is_err(), "{body:?}");
    }
    assert!(Fields::from_json(b"{\"a\":\"\xff\"}").is_err());
    assert!(Fields::from_json("[".repeat(100_000).as_bytes()).is_err());
}

#[test]
fn absent_is_not_unreadable() {
    for value in [json!({}), json!({"a": null}), json!({"a": ""}), json!({"a": "  "})] {
        let fields = fields(&value);
        assert_eq!((fields.id("a"), fields.integer("a"), fields.flag("a"), fields.amount("a")), (Ok(None), Ok(None), Ok(None), Ok(None)));
        assert!(fields.object("a").is_ok_and(|object| object.is_none()) && fields.token("a").is_ok_and(|token| token.is_none()));
    }
    for value in [json!({"a": {}}), json!({"a": [1]}), json!({"a": true}), json!({"a": "x\u{0}"}), json!({"a": "x".repeat(129)})] {
        let fields = fields(&value);
        assert!(fields.id("a").is_err() && fields.integer("a").is_err() && fields.amount("a").is_err(), "{value}");
    }
}

#[test]
fn numbers_come_as_numbers_or_texts() {
    for (text, number) in
        [("1", Some(1)), ("\"1\"", Some(1)), ("\" 1 \"", Some(1)), ("-5", Some(-5)), ("1.0", None), ("1e0", None), ("true", None)]
    {
        assert_eq!(raw(&format!("{{\"a\": {text}}}")).integer("a").ok().flatten(), number, "{text}");
    }
    for (text, flag) in [
        ("true", Some(true)),
        ("\"True\"", Some(true)),
        ("1", Some(true)),
        ("\"0\"", Some(false)),
        ("2", None),
        ("\"yes\"", None),
        ("[]", None),
    ] {
        assert_eq!(raw(&format!("{{\"a\": {text}}}")).flag("a").ok().flatten(), flag, "{text}");
    }
    let time = OffsetDateTime::from_unix_timestamp(1_551_325_752).unwrap();
    assert_eq!(raw(r#"{"a": 1551325752000, "b": "1551325752000"}"#).millis("a"), Ok(Some(time)));
    assert_eq!(raw(r#"{"a": 1551325752000, "b": "1551325752000"}"#).millis("b"), Ok(Some(time)));
    assert!(raw(r#"{"a": 9223372036854775807}"#).millis("a").is_err());
}

#[test]
fn amounts_are_read_from_their_literal_text() {
    for (text, amount) in [
        ("0.1", "0.1"),
        ("\"12.50\"", "12.5"),
        ("9999999999.999999999999999999", "9999999999.999999999999999999"),
        ("0.100000000000000005", "0.100000000000000005"),
        ("1E-8", "0.00000001"),
        ("0", "0"),
    ] {
        let read = raw(&format!("{{\"a\": {text}}}")).amount("a").unwrap().map(|amount| amount.to_string());
        assert_eq!(read.as_deref(), Some(amount));
    }
    for text in ["-1", "\"1,5\"", "\"NaN\"", "1e99", "true", "0.0000000000000000001"] {
        assert!(raw(&format!("{{\"a\": {text}}}")).amount("a").is_err(), "{text}");
    }
}

#[test]
fn an_object_may_be_the_only_one_of_a_list() {
    for text in [r#"{"data": {"a": 1}}"#, r#"{"data": [{"a": 1}]}"#, r#"{"data ": [{"a ": 1}]}"#] {
        assert_eq!(raw(text).object("data").ok().flatten().and_then(|data| data.integer("a").unwrap()), Some(1), "{text}");
    }
    for text in [r#"{"data": []}"#, r#"{"data": false}"#, r#"{"data": null}"#, r#"{"data": ""}"#, "{}"] {
        assert!(raw(text).object("data").is_ok_and(|data| data.is_none()), "{text}");
    }
    for text in [
        r#"{"data": [{"a": 1}, {"a": 2}]}"#,
        r#"{"data": "x"}"#,
        r#"{"data": 1}"#,
        r#"{"data": true}"#,
        r#"{"data": [1]}"#,
        r#"{"data": [[]]}"#,
    ] {
        assert!(raw(text).object("data").is_err(), "{text}");
    }
}

#[test]
fn a_list_that_must_be_there_is_no_list_where_it_is_missing() {
    let length = |text: &str| raw(text).entries("data").map(<[Value]>::len);
    for (text, expected) in [(r#"{"data": [1, {}]}"#, 2), (r#"{"data ": []}"#, 0), (r#"{"data": null}"#, 0)] {
        assert_eq!(length(text), Ok(expected), "{text}");
    }
    for text in ["{}", r#"{"data": ""}"#, r#"{"data": "[]"}"#, r#"{"data": {}}"#, r#"{"data": 0}"#, r#"{"data": false}"#] {
        assert!(length(text).is_err(), "{text}");
    }
}

#[test]
fn tokens_fit_into_a_header() {
    assert_eq!(raw(r#"{"a": " to-ken "}"#).token("a").unwrap().unwrap().expose_secret(), "to-ken");
    for text in [r#"{"a": "to ken"}"#, r#"{"a": "a\r\nb"}"#, r#"{"a": "é"}"#, r#"{"a": {}}"#] {
        assert!(raw(text).token("a").is_err(), "{text}");
    }
}

#[test]
fn credentials_and_zeros_are_taken_out() {
    let told = json!({"name": "a\u{0}b", "Access_Token": "t", "deep": [{"session_key": "s", "wallet_pwd": "p", "n\u{0}": 1}]});
    assert_eq!(without_secrets(told), json!({"name": "ab", "deep": [{"n": 1}]}));
}

/// Any JSON, not too deep.
pub fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-3_i64..300).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "[0-9]{1,3}(\\.[0-9]{1,20})?".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z_ ]{0,8}", inner, 0..5).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn nothing_panics(value in any_json()) {
        if let Ok(fields) = Fields::from_json(json!({"a": value}).to_string().as_bytes()) {
            let _ = (fields.id("a"), fields.integer("a"), fields.flag("a"), fields.amount("a"), fields.millis("a"));
            let _ = (fields.object("a").is_ok(), fields.list("a").is_ok(), fields.token("a").is_ok());
            let _ = without_secrets(value);
        }
    }

    #[test]
    fn bytes_do_not_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = (Fields::from_json(&body).is_ok(), Fields::from_form(&body).is_ok());
    }
}
