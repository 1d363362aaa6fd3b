use proptest::prelude::*;

use super::*;
use crate::webhooks::sign;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const MESSAGE: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const SENT: i64 = 1_614_265_330;
const BODY: &[u8] = br#"{"type":"deposit.succeeded","data":{"amount":"1.50","names":["\u00e4", "a/b"]}}"#;
const TOLERANCE: Duration = Duration::from_secs(300);

fn secret() -> Secret {
    Secret::parse(SECRET).unwrap()
}

fn headers(id: &str, timestamp: &str, signature: &str) -> Vec<(String, String)> {
    [("Content-Type", "application/json"), ("Webhook-Id", id), ("Webhook-Timestamp", timestamp), ("Webhook-Signature", signature)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// As Tillgate sends it.
fn genuine(body: &[u8]) -> Vec<(String, String)> {
    headers(MESSAGE, &SENT.to_string(), &sign(&[secret()], MESSAGE, SENT, body))
}

fn findings(headers: &[(String, String)], body: &[u8]) -> Vec<Finding> {
    diagnose(headers, body, &[secret()], SENT + 5, TOLERANCE).err().unwrap_or_default()
}

/// A signature over something else than it should be.
fn signed_otherwise(key: &[u8], id: &str, timestamp: &str, body: &[u8]) -> String {
    format!("v1,{}", STANDARD.encode(mac(key, id, timestamp, body)))
}

#[test]
fn the_example_of_the_specification_is_genuine() {
    let headers = headers(MESSAGE, "1614265330", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    assert_eq!(findings(&headers, br#"{"test": 2432232314}"#), []);
}

#[test]
fn one_of_several_signatures_and_secrets_is_enough() {
    let [old, new, other] = [1, 2, 3].map(|byte| Secret::generate(&[byte; 32]));
    let both = format!("v1a,xyz junk {} v2,abc", sign(&[new.clone(), old.clone()], MESSAGE, SENT, BODY));
    let headers = headers(MESSAGE, &SENT.to_string(), &both);
    let check = |secrets: &[Secret]| diagnose(&headers, BODY, secrets, SENT, TOLERANCE);
    assert_eq!(check(std::slice::from_ref(&old)), Ok(()));
    assert_eq!(check(&[other.clone(), new]), Ok(()));
    assert!(check(std::slice::from_ref(&other)).unwrap_err().contains(&Finding::NothingFits));
    assert_eq!(check(&[]), Err(vec![Finding::NoSecret]));
}

#[test]
fn a_missing_header_is_named() {
    for wanted in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let mut headers = genuine(BODY);
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case(wanted));
        assert_eq!(findings(&headers, BODY), [Finding::HeaderMissing { wanted }]);
    }
    assert_eq!(findings(&[], BODY).len(), 3);
}

#[test]
fn a_header_under_another_name_is_found_and_used() {
    for found in ["HTTP_WEBHOOK_ID", "webhook_id", "WebhookId", "X-Webhook-Id"] {
        let mut headers = genuine(BODY);
        headers[1].0 = found.to_owned();
        assert_eq!(findings(&headers, BODY), [Finding::HeaderRenamed { wanted: "webhook-id", found: found.to_owned() }]);
    }
    let mut headers = genuine(BODY);
    headers[3].0 = "svix-signature".to_owned();
    let of_others = Finding::HeaderOfOthers { wanted: "webhook-signature", found: "svix-signature".to_owned() };
    assert_eq!(findings(&headers, BODY), std::slice::from_ref(&of_others));
    assert_eq!(findings(&headers, b"{}"), [of_others, Finding::NothingFits]);
    let mut headers = genuine(BODY);
    headers.push(("webhook-id".to_owned(), "another".to_owned()));
    assert_eq!(findings(&headers, BODY), [Finding::HeaderRepeated { wanted: "webhook-id" }]);
}

#[test]
fn times_are_judged_by_the_tolerance() {
    let at = |now| diagnose(&genuine(BODY), BODY, &[secret()], now, TOLERANCE).err().unwrap_or_default();
    let tolerance = Seconds(300);
    for fine in [SENT - 300, SENT, SENT + 300] {
        assert_eq!(at(fine), []);
    }
    assert_eq!(at(SENT + 301), [Finding::TooOld { by: Seconds(301), tolerance }]);
    assert_eq!(at(SENT - 301), [Finding::InTheFuture { by: Seconds(301), tolerance }]);
    let told = at(SENT + 7200)[0].to_string();
    assert!(told.contains("sent 2h ago") && told.contains("5m are allowed"), "{told}");
    assert!(diagnose(&genuine(BODY), BODY, &[secret()], i64::MIN, TOLERANCE).is_err());
}

#[test]
fn a_timestamp_that_is_none_is_told() {
    for found in ["", "now", "2021-02-25T15:02:10Z", "1614265330.5", "-1614265330", "+1614265330", "99999999999999999999"] {
        let headers = headers(MESSAGE, found, &signed_otherwise(secret().key(), MESSAGE, found, BODY));
        assert_eq!(findings(&headers, BODY), [Finding::TimestampNotANumber { found: found.to_owned() }]);
    }
    // Whether the milliseconds were signed or not.
    for signed in ["1614265330000", "1614265330"] {
        let headers = headers(MESSAGE, "1614265330000", &signed_otherwise(secret().key(), MESSAGE, signed, BODY));
        assert_eq!(findings(&headers, BODY), [Finding::TimestampInMilliseconds]);
    }
}

#[test]
fn a_signature_that_cannot_be_read_is_told() {
    let good = sign(&[secret()], MESSAGE, SENT, BODY);
    let hex: String = STANDARD.decode(&good[3..]).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
    let malformed = |part: &str| Finding::SignatureMalformed { part: part.to_owned() };
    let unknown = |version: &str| Finding::UnknownVersion { version: version.to_owned() };
    for (header, finding) in [
        (String::new(), malformed("")),
        (good.replace("v1,", ""), malformed(&good[3..])),
        (good.replace("v1,", "v1="), malformed(&good.replace("v1,", "v1="))),
        (good.replace("v1,", "sha256="), malformed(&good.replace("v1,", "sha256="))),
        (good.trim_end_matches('=').to_owned(), malformed(good.trim_end_matches('='))),
        (good.replace("v1,", "v2,"), unknown("v2")),
        (good.replace("v1,", "v1a,"), unknown("v1a")),
        (format!("v1,{hex}"), Finding::SignatureInHex),
    ] {
        assert_eq!(findings(&headers(MESSAGE, &SENT.to_string(), &header), BODY), [finding], "{header}");
    }
}

#[test]
fn what_became_of_the_body_is_found() {
    let json = String::from_utf8(BODY.to_vec()).unwrap();
    let pretty = serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(&json).unwrap()).unwrap();
    for (signed, captured, finding) in [
        ("{}", "{}\n", Finding::NewlineAdded),
        ("{}", "{}\r\n", Finding::NewlineAdded),
        ("{}", "{}\n\n", Finding::NewlineAdded),
        ("{}\n", "{}", Finding::NewlineRemoved),
        ("[\n1]", "[\r\n1]", Finding::LineEnds),
        ("[\r\n1]", "[\n1]", Finding::LineEnds),
        ("{}", "\u{feff}{}", Finding::ByteOrderMark),
        ("{}", "e30=", Finding::Base64Body),
        ("{\"b\":1,\"a\":[1,2]}", "{ \"b\": 1,\n  \"a\": [ 1, 2 ]\n}\n", Finding::Rewritten),
        ("{\"b\": 1, \"a\": [1, 2]}", "{\"b\":1,\"a\":[1,2]}", Finding::Rewritten),
        ("{\"a\":1,\"b\":\"ü/\"}", "{\"b\":\"\\u00fc\\/\",\"a\":1}", Finding::Rewritten),
        ("{\"a\":\"x, y: \\\"\"}", "{\"a\" : \"x, y: \\\"\"}", Finding::Rewritten),
        ("{\"a\":1.50}", "{\"a\": 1.50}", Finding::Rewritten),
        ("{\"data\":{\"amount\":\"1.50\",\"names\":[\"ä\",\"a/b\"]},\"type\":\"deposit.succeeded\"}", &pretty, Finding::Rewritten),
        (&json, "", Finding::EmptyBody),
        (&json, "{}", Finding::NothingFits),
    ] {
        assert_eq!(findings(&genuine(signed.as_bytes()), captured.as_bytes()), [finding], "{signed:?} came as {captured:?}");
    }
}

#[test]
fn a_length_that_is_not_the_headers_is_told_as_well() {
    let mut headers = genuine(BODY);
    headers.push(("Content-Length".to_owned(), BODY.len().to_string()));
    assert_eq!(findings(&headers, BODY), []);
    let cut = &BODY[..BODY.len() - 10];
    let lengths = Finding::OtherLength { said: BODY.len().to_string(), is: cut.len() };
    assert_eq!(findings(&headers, cut), [Finding::NothingFits, lengths]);
}

#[test]
fn keys_of_the_wrong_form_are_found() {
    let sent = SENT.to_string();
    let text = signed_otherwise(SECRET.as_bytes(), MESSAGE, &sent, BODY);
    assert_eq!(findings(&headers(MESSAGE, &sent, &text), BODY), [Finding::KeyIsText]);
    let base64 = signed_otherwise(&SECRET.as_bytes()[6..], MESSAGE, &sent, BODY);
    assert_eq!(findings(&headers(MESSAGE, &sent, &base64), BODY), [Finding::KeyIsBase64]);
    // Two faults at once.
    let longer = [BODY, b"\n"].concat();
    assert_eq!(findings(&headers(MESSAGE, &sent, &base64), &longer), [Finding::KeyIsBase64, Finding::NewlineAdded]);
}

#[test]
fn id_and_timestamp_in_each_others_place_are_found() {
    let sent = SENT.to_string();
    let good = sign(&[secret()], MESSAGE, SENT, BODY);
    assert_eq!(findings(&headers(&sent, MESSAGE, &good), BODY), [Finding::Swapped]);
    let other = signed_otherwise(secret().key(), &sent, MESSAGE, BODY);
    assert_eq!(findings(&headers(MESSAGE, &sent, &other), BODY), [Finding::Swapped]);
}

#[test]
fn captures_are_read_as_they_come() {
    let expected =
        Capture { headers: vec![("Webhook-Id".into(), "a:b".into()), ("X".into(), String::new())], body: b"{\r\n\r\n}".to_vec() };
    for head in ["POST /hook HTTP/1.1\r\nWebhook-Id: a:b\r\nX:\r\n", "Webhook-Id:a:b\nX: \n", "POST / HTTP/2\nWebhook-Id:  a:b \nX:\n"] {
        let request = format!("{head}\r\n{{\r\n\r\n}}");
        assert_eq!(Capture::read(request.as_bytes()).unwrap(), expected, "{head}");
        assert_eq!(read_headers(head.as_bytes()).unwrap(), expected.headers, "{head}");
        assert_eq!(Capture::read(head.as_bytes()), Err(CaptureError::NoBody), "{head}");
    }
    assert_eq!(Capture::read(b""), Err(CaptureError::NoBody));
    assert_eq!(Capture::read(b"\n{}").unwrap_err(), CaptureError::NoBody);
    assert_eq!(read_headers(b"a: 1\n\nno header"), Err(CaptureError::NoHeader(3)));
    assert_eq!(read_headers(b"{\"a\": 1}"), Err(CaptureError::NoHeader(1)));
    assert_eq!(read_headers(b"").unwrap(), []);
}

proptest! {
    #[test]
    fn what_we_sign_is_genuine(key in any::<[u8; 32]>(), id in "[!-~]{1,60}", sent in 0..4_000_000_000_i64, body in any::<Vec<u8>>()) {
        let secrets = [Secret::generate(&key)];
        let headers = headers(&id, &sent.to_string(), &sign(&secrets, &id, sent, &body));
        prop_assert_eq!(diagnose(&headers, &body, &secrets, sent, TOLERANCE), Ok(()));
    }

    #[test]
    fn any_flipped_bit_is_found(place in 0..1000_usize, bit in 0..7_u8) {
        let mut headers = genuine(BODY);
        let mut body = BODY.to_vec();
        // Anywhere in the three headers' values or the body.
        let mut values: Vec<Vec<u8>> = headers[1..].iter().map(|(_, value)| value.clone().into_bytes()).collect();
        let length = body.len() + values.iter().map(Vec::len).sum::<usize>();
        let byte = values.iter_mut().flatten().chain(&mut body).nth(place % length).unwrap();
        *byte ^= 1 << bit;
        for ((_, value), flipped) in headers[1..].iter_mut().zip(values) {
            *value = String::from_utf8(flipped).unwrap();
        }
        prop_assert_ne!(findings(&headers, &body), []);
    }

    #[test]
    fn nothing_makes_it_panic(headers in prop::collection::vec(("(?i)(webhook|svix|http_webhook)[-_](id|timestamp|signature)", "\\PC{0,60}"), 0..6), body in any::<Vec<u8>>(), now in any::<i64>()) {
        let secrets = [Secret::generate(&[1; 32])];
        prop_assert!(diagnose(&headers, &body, &secrets, now, TOLERANCE).is_err());
        let _ = Capture::read(&body);
    }
}
