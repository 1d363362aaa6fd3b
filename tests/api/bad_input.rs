//! Input that is wrong: every field and parameter, one wrong way after the other. Each is answered
//! by a problem that names it, and nothing comes of it: no row, no call to FOMO.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::harness::{TestApp, deposit_wish, payout_wish};

/// Where a body goes, and one that is fine.
#[derive(Clone, Debug)]
pub struct Door {
    pub path: String,
    pub body: Value,
}

/// A field and a value that it must not have; `None` leaves it out.
pub type Wrong = (&'static str, Option<Value>);

/// A gateway where everything that bodies go to is there: a link, orders and a discrepancy.
async fn app() -> (TestApp, Door) {
    let app = TestApp::start().await;
    app.link_ada().await;
    let discrepancy = app.discrepancy("d-0").await;
    assert_eq!(app.payout("p-0").await.status, 201);
    (app, Door { path: format!("/v1/discrepancies/{discrepancy}/resolve"), body: json!({ "reason": "a test" }) })
}

fn deposits() -> Door {
    let mut body = deposit_wish("d-1");
    body["expires_in"] = json!(600);
    body["return_url"] = json!("https://shop.example/thanks");
    body["metadata"] = json!({ "cart": 7 });
    Door { path: "/v1/deposits".to_owned(), body }
}

fn payouts() -> Door {
    let mut body = payout_wish("p-1");
    body["customer"] = json!("ada");
    body["metadata"] = json!({ "cart": 7 });
    Door { path: "/v1/payouts".to_owned(), body }
}

fn links() -> Door {
    Door { path: "/v1/customers/bob/links".to_owned(), body: json!({ "provider": "fomo", "code": "b1946ac9" }) }
}

fn customers() -> Door {
    let mobile = json!({ "country": "+86", "number": "138 0013 8000" });
    Door { path: "/v1/customers".to_owned(), body: json!({ "customer": "bob", "mobile": mobile, "email": "bob@shop.example" }) }
}

fn addresses() -> Door {
    Door { path: "/v1/customers/bob/addresses".to_owned(), body: json!({ "coin": "usdt", "provider": "fomo" }) }
}

fn resolutions() -> [Door; 2] {
    ["/v1/deposits/d-0/resolve", "/v1/payouts/p-0/resolve"]
        .map(|path| Door { path: path.to_owned(), body: json!({ "action": "reject", "reason": "a test" }) })
}

/// Values that no text has, of which at most `longest` characters are taken.
pub fn no_text(longest: usize) -> Vec<Value> {
    let long = "x".repeat(longest + 1);
    vec![json!(5), json!(12.5), json!(true), json!([]), json!(["x"]), json!({}), json!(""), json!("a\u{1}b"), json!("a\0b"), json!(long)]
}

pub fn optional(pointer: &'static str, values: Vec<Value>) -> Vec<Wrong> {
    values.into_iter().map(|value| (pointer, Some(value))).collect()
}

pub fn required(pointer: &'static str, values: Vec<Value>) -> Vec<Wrong> {
    [vec![(pointer, None), (pointer, Some(Value::Null))], optional(pointer, values)].concat()
}

fn amounts() -> Vec<Wrong> {
    let nineteen_decimals = format!("0.{}1", "0".repeat(18));
    let texts =
        ["0", "0.00", "-1", "+1", "1e3", "1E3", "1,5", " 1", "1 ", "1_000", "NaN", "Infinity", ".5", "1.", "0x1", "१", "10000000000"];
    let texts = texts.into_iter().chain([nineteen_decimals.as_str()]).map(|text| json!(text)).collect();
    [required("/amount", no_text(40)), optional("/amount", texts), optional("/amount", vec![json!(12), json!(-1), big_number()])].concat()
}

/// A JSON number that no machine number holds.
pub fn big_number() -> Value {
    serde_json::from_str("1e999").expect("a number")
}

fn metadata() -> Vec<Wrong> {
    let large = json!({ "x": "y".repeat(8192) });
    let values =
        [json!("x"), json!(5), json!(true), json!([]), json!({ "a": "\0" }), json!({ "\0": 1 }), json!({ "a": [{ "b": "\0" }] }), large];
    optional("/metadata", values.into())
}

fn wrong_orders() -> Vec<Wrong> {
    let others = |pointer, texts: &[&str]| optional(pointer, texts.iter().map(|text| json!(text)).collect());
    [
        required("/trade_id", no_text(64)),
        others("/trade_id", &["a b", "a/b", "ä", "a.b", " a"]),
        required("/provider", no_text(20)),
        others("/provider", &["FOMO", "youliao", "paypal"]),
        required("/coin", no_text(128)),
        amounts(),
        optional("/customer", no_text(128)),
        others("/customer", &[" ada", "ada ", "a\nb", "a\u{85}b"]),
        metadata(),
        vec![("/surprise", Some(json!(1)))],
    ]
    .concat()
}

fn wrong_deposits() -> Vec<Wrong> {
    let lives =
        [json!(0), json!(-1), json!(1.5), json!(2_592_001), json!(u64::MAX), big_number(), json!("900"), json!(""), json!(true), json!([])];
    let long = format!("https://shop.example/{}", "x".repeat(2048));
    let urls = [
        "ftp://shop.example",
        "shop.example",
        "javascript:alert(1)",
        "https://",
        "https://shop.example/\0",
        "https://shop.example/\n",
        &long,
    ];
    [
        wrong_orders(),
        required("/customer", Vec::new()),
        optional("/expires_in", lives.into()),
        optional("/return_url", [json!(5), json!([]), json!("")].into_iter().chain(urls.map(|url| json!(url))).collect()),
    ]
    .concat()
}

/// The destination itself.
fn wrong_destinations() -> Vec<Wrong> {
    [
        wrong_orders(),
        required("/destination", vec![json!("42"), json!(42), json!(true), json!([]), json!(["fomo_user", "42"])]),
        required("/destination/type", no_text(20)),
        optional("/destination/type", vec![json!("FomoUser"), json!("bank")]),
    ]
    .concat()
}

/// What each type of destination must not have.
fn wrong_parts() -> [(Value, Vec<Wrong>); 3] {
    let surprise = || vec![("/destination/surprise", Some(json!(1)))];
    let user = [required("/destination/user_id", no_text(128)), surprise(), vec![("/destination/uid", Some(json!("42")))]].concat();
    let chain = optional("/destination/on_chain_only", vec![json!("yes"), json!(1), json!([])]);
    let address = [required("/destination/address", no_text(128)), chain, surprise()].concat();
    let uid = [required("/destination/uid", no_text(128)), surprise()].concat();
    [
        (json!({ "type": "fomo_user", "user_id": "42" }), user),
        (json!({ "type": "address", "address": "0x1" }), address),
        (json!({ "type": "hicoin_user", "uid": "42" }), uid),
    ]
}

fn wrong_links() -> Vec<Wrong> {
    let others = vec![json!("FOMO"), json!("paypal")];
    let surprise = vec![("/surprise", Some(json!(1)))];
    [required("/provider", no_text(20)), optional("/provider", others), required("/code", no_text(2048)), surprise].concat()
}

fn wrong_customers() -> Vec<Wrong> {
    let texts = |pointer, texts: &[&str]| optional(pointer, texts.iter().map(|text| json!(text)).collect());
    [
        required("/customer", no_text(128)),
        texts("/customer", &[" bob", "a\u{85}b"]),
        optional("/mobile", vec![json!("+8613800138000"), json!(["+86", "13800138000"]), json!(5)]),
        required("/mobile/country", no_text(5)),
        texts("/mobile/country", &["86", "+", "0086", "+12345", "+8 6"]),
        required("/mobile/number", no_text(15)),
        texts("/mobile/number", &["123", "1234567890123456", "+8613800138000", "(138)0013", "१२३४५"]),
        vec![("/mobile/surprise", Some(json!(1)))],
        optional("/email", no_text(254)),
        texts("/email", &["bob", "@shop.example", "bob@", "a@b@c", "a b@c"]),
        vec![("/surprise", Some(json!(1)))],
    ]
    .concat()
}

fn wrong_addresses() -> Vec<Wrong> {
    let others = vec![json!("FOMO"), json!("paypal")];
    let surprise = vec![("/surprise", Some(json!(1)))];
    [required("/coin", no_text(128)), optional("/provider", no_text(20)), optional("/provider", others), surprise].concat()
}

fn wrong_resolutions() -> Vec<Wrong> {
    let others = vec![json!("Confirm"), json!("maybe")];
    [required("/action", no_text(20)), optional("/action", others), wrong_settlements()].concat()
}

fn wrong_settlements() -> Vec<Wrong> {
    [required("/reason", no_text(500)), optional("/reason", vec![json!("   "), json!("\n")]), vec![("/surprise", Some(json!(1)))]].concat()
}

/// The body with another value at this pointer.
pub fn with(body: &Value, (pointer, value): &Wrong) -> Value {
    let mut body = body.clone();
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let parent = body.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object");
    match value {
        Some(value) => parent.insert(key.to_owned(), value.clone()),
        None => parent.remove(key),
    };
    body
}

/// All that could come of a request: rows by table, and calls to FOMO.
async fn traces(app: &TestApp) -> (Vec<i64>, usize) {
    let tables = [
        "orders",
        "steps",
        "events",
        "tasks",
        "attempts",
        "reports",
        "receipts",
        "wallet_links",
        "customers",
        "wallet_users",
        "deposit_addresses",
        "discrepancies WHERE resolved_at IS NOT NULL",
    ];
    let mut rows = Vec::new();
    for table in tables {
        rows.push(app.count(table).await);
    }
    (rows, app.sandbox.call_log().len())
}

/// Posts the body with each wrong field. Gives what was not answered as it must be.
async fn refusals(app: &TestApp, door: &Door, wrongs: &[Wrong]) -> Vec<String> {
    refusals_by(app, "POST", door, wrongs).await
}

/// The same by another method.
pub async fn refusals_by(app: &TestApp, method: &str, door: &Door, wrongs: &[Wrong]) -> Vec<String> {
    let mut complaints = Vec::new();
    for wrong in wrongs {
        let answer = app.call(method, &door.path, Some(&with(&door.body, wrong))).await;
        let named = answer.pointers() == [wrong.0];
        let problem = answer.no_problem(422, "validation_failed").or_else(|| (!named).then(|| format!("it names {:?}", answer.pointers())));
        let shown: String = format!("{wrong:?}").chars().take(80).collect();
        complaints.extend(problem.map(|problem| format!("{} {shown}: {problem}", door.path)));
    }
    complaints
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_field_of_a_deposit_is_named_and_nothing_is_stored() {
    let (app, _) = app().await;
    let before = traces(&app).await;
    let complaints = refusals(&app, &deposits(), &wrong_deposits()).await;
    assert!(complaints.is_empty(), "{complaints:#?}");
    assert_eq!(traces(&app).await, before);
    assert_eq!(app.post("/v1/deposits", &deposits().body).await.status, 201);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_field_of_a_payout_is_named_and_nothing_is_stored() {
    let (app, _) = app().await;
    let before = traces(&app).await;
    let mut complaints = refusals(&app, &payouts(), &wrong_destinations()).await;
    for (destination, wrongs) in wrong_parts() {
        let body = with(&payouts().body, &("/destination", Some(destination)));
        complaints.extend(refusals(&app, &Door { body, ..payouts() }, &wrongs).await);
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
    assert_eq!(traces(&app).await, before);
    assert_eq!(app.post("/v1/payouts", &payouts().body).await.status, 201);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_field_of_a_link_or_a_decision_is_named_and_nothing_is_stored() {
    let (app, settlement) = app().await;
    let before = traces(&app).await;
    let mut complaints = refusals(&app, &links(), &wrong_links()).await;
    for door in resolutions() {
        complaints.extend(refusals(&app, &door, &wrong_resolutions()).await);
    }
    complaints.extend(refusals(&app, &settlement, &wrong_settlements()).await);
    assert!(complaints.is_empty(), "{complaints:#?}");
    assert_eq!(traces(&app).await, before);
    assert_eq!(app.post(&settlement.path, &settlement.body).await.status, 200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_field_of_a_customer_or_an_address_is_named_and_nothing_is_stored() {
    let (app, _) = app().await;
    let before = traces(&app).await;
    let mut complaints = refusals(&app, &customers(), &wrong_customers()).await;
    complaints.extend(refusals(&app, &addresses(), &wrong_addresses()).await);
    let coins = ["", "%00", "a%01b", "%20"].map(|text| ("coin", text.to_owned()));
    let others = [("provider", "paypal".to_owned()), ("surprise", "1".to_owned())];
    complaints.extend(refused_queries(&app, "/v1/customers/bob/balances", &[&coins[..], &others].concat()).await);
    assert!(complaints.is_empty(), "{complaints:#?}");
    assert_eq!(traces(&app).await, before);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_wrong_fields_are_named_at_once() {
    let (app, _) = app().await;
    let values = json!({ "trade_id": "a b", "provider": "x", "coin": "", "amount": "-1", "customer": " ", "expires_in": 0, "return_url": "x", "metadata": 1 });
    let answer = app.post("/v1/deposits", &values).await;
    answer.expect_problem(422, "validation_failed");
    let mut named = answer.pointers();
    named.sort_unstable();
    assert_eq!(named, ["/amount", "/coin", "/customer", "/expires_in", "/metadata", "/provider", "/return_url", "/trade_id"]);
    let shapes = json!({ "provider": 1, "amount": 2, "destination": { "type": "fomo_user", "uid": 3 }, "surprise": 4 });
    let answer = app.post("/v1/payouts", &shapes).await;
    answer.expect_problem(422, "validation_failed");
    let mut named = answer.pointers();
    named.sort_unstable();
    let all = ["/amount", "/coin", "/destination/uid", "/destination/user_id", "/provider", "/surprise", "/trade_id"];
    assert_eq!(named, all, "{}", answer.body);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coin_that_is_unknown_inactive_or_coarser_is_refused_with_its_own_code() {
    let (app, _) = app().await;
    let before = traces(&app).await;
    for (field, value, code) in [
        ("/coin", "doge", "coin_unknown"),
        ("/coin", "USDT", "coin_unknown"),
        ("/coin", "old", "coin_inactive"),
        ("/coin", "9", "coin_inactive"),
        ("/amount", "1.1234567", "too_precise"),
        ("/provider", "hicoin", "provider_not_configured"),
    ] {
        for door in [deposits(), payouts()] {
            let answer = app.post(&door.path, &with(&door.body, &(field, Some(json!(value))))).await;
            answer.expect_problem(422, code);
            assert_eq!(answer.pointers(), [field]);
        }
    }
    assert_eq!(traces(&app).await, before);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_json_is_400() {
    let (app, settlement) = app().await;
    let before = traces(&app).await;
    let deep = |inner: &str| format!("{}{inner}{}", "[".repeat(10_000), "]".repeat(10_000));
    let nested = format!(r#"{{"trade_id":"d-9","metadata":{}}}"#, deep(""));
    let texts = [
        "",
        " ",
        "{",
        "nonsense",
        "{}x",
        "{} {}",
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        "{'a':1}",
        r#"{"a":NaN}"#,
        r#"{"trade_id":"\ud800"}"#,
        "{\"a\":\"\n\"}",
    ];
    let bytes: [&[u8]; 4] = [b"\xff\xfe", b"{\"trade_id\":\"\xff\"}", b"\xef\xbb\xbf{}", b"{\"a\":1\0}"];
    let bodies = texts.iter().map(|text| text.as_bytes().to_vec()).chain(bytes.map(<[u8]>::to_vec)).chain([deep("").into(), nested.into()]);
    let [one, two] = resolutions();
    for (index, body) in bodies.enumerate() {
        for door in [&deposits(), &payouts(), &links(), &customers(), &addresses(), &one, &two, &settlement] {
            let answer = app.send("POST", &door.path, body.clone()).await;
            assert_eq!(answer.no_problem(400, "malformed_json"), None, "body {index} to {}", door.path);
        }
    }
    assert_eq!(traces(&app).await, before);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_that_is_no_object_or_has_a_key_twice_is_422() {
    let (app, settlement) = app().await;
    let before = traces(&app).await;
    let [one, two] = resolutions();
    for door in [&deposits(), &payouts(), &links(), &customers(), &addresses(), &one, &two, &settlement] {
        let fields = door.body.as_object().expect("an object");
        let in_order = ["trade_id", "provider", "coin", "amount", "customer", "destination", "action", "reason", "code"];
        let listed: Vec<&Value> = in_order.iter().filter_map(|name| fields.get(*name)).collect();
        let positional = [json!(listed), json!(["d-1", "fomo", "usdt", "12.5", "ada", null, null, null])];
        for body in [json!([]), json!("x"), json!(5), json!(null), json!(true), json!({})].iter().chain(&positional) {
            app.post(&door.path, body).await.expect_problem(422, "validation_failed");
        }
        for (name, value) in fields {
            let twice = door.body.to_string().replacen('{', &format!("{{{}:{value},", json!(name)), 1);
            let answer = app.send("POST", &door.path, twice).await;
            answer.expect_problem(422, "validation_failed");
            assert_eq!(answer.pointers(), [format!("/{name}")]);
        }
    }
    assert_eq!(traces(&app).await, before);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_twice_is_refused_at_any_depth() {
    let (app, _) = app().await;
    let metadata = r#""metadata":{"a":1,"b":[{"c":1,"c":2}]}"#;
    let body = deposits().body.to_string().replace(r#""metadata":{"cart":7}"#, metadata);
    let answer = app.send("POST", "/v1/deposits", body).await;
    answer.expect_problem(422, "validation_failed");
    assert_eq!(answer.pointers(), ["/metadata/b/0/c"]);
    let body = payouts().body.to_string().replace(r#""type":"fomo_user""#, r#""type":"fomo_user","type":"fomo_user""#);
    let answer = app.send("POST", "/v1/payouts", body).await;
    answer.expect_problem(422, "validation_failed");
    assert_eq!(answer.pointers(), ["/destination/type"]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_may_have_64_kib_and_not_a_byte_more() {
    let (app, settlement) = app().await;
    let [one, two] = resolutions();
    for door in [&links(), &customers(), &addresses(), &one, &two, &settlement, &deposits(), &payouts()] {
        let padded = |size: usize| format!("{}{}", door.body, " ".repeat(size - door.body.to_string().len()));
        app.send("POST", &door.path, padded(65_537)).await.expect_problem(413, "body_too_large");
        let fits = app.send("POST", &door.path, padded(65_536)).await;
        assert_ne!(fits.status, 413, "{}: {}", door.path, fits.body);
    }
    let callback = app.server_uri("d-0").replace(&app.api, "");
    app.send("POST", &callback, "x".repeat(65_537)).await.expect_problem(413, "body_too_large");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_comes_back_to_the_letter() {
    let (app, _) = app().await;
    let text = r#"{"big":12345678901234567890.10,"huge":1e200000,"nested":[{"a":null}],"odd":"\u2028 \"' ä","small":1E-30}"#;
    let body = deposits().body.to_string().replace(r#"{"cart":7}"#, text);
    let created = app.send("POST", "/v1/deposits", body).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let wanted: Value = serde_json::from_str(text).expect("JSON");
    let read = app.get("/v1/deposits/d-1").await;
    assert_eq!((created.body["metadata"].to_string(), read.body["metadata"].to_string()), (wanted.to_string(), wanted.to_string()));
    // In every event, too, also in those of the steps that a wallet's reports make.
    assert_eq!((app.confirm("d-1").await, app.callbacks().await), (Some(1), vec![200]));
    app.settle_down().await;
    let told = "SELECT body->'data'->>'status', (body->'data'->'metadata')::text FROM events
        WHERE body->'data'->>'trade_id' = 'd-1' ORDER BY sequence";
    let told: Vec<(String, String)> = sqlx::query_as(told).fetch_all(&mut app.database().await).await.expect("events");
    assert_eq!(told.last().map(|(status, _)| status.as_str()), Some("succeeded"), "{told:?}");
    let wanted = wanted.to_string();
    assert!(told.len() > 2 && told.iter().all(|(_, metadata)| *metadata == wanted), "{told:?}");
    app.finish().await;
}

/// Deeper ones could be stored, and then nobody could read the page that they are in.
#[tokio::test(flavor = "multi_thread")]
async fn metadata_is_not_nested_too_deep() {
    let (app, _) = app().await;
    let deep = |levels: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(levels - 1), "]".repeat(levels - 1));
    let body = |levels: usize| deposits().body.to_string().replace(r#"{"cart":7}"#, &deep(levels));
    for levels in [65, 100] {
        let refused = app.send("POST", "/v1/deposits", body(levels)).await;
        refused.expect_problem(422, "validation_failed");
        assert_eq!(refused.pointers(), ["/metadata"]);
    }
    let created = app.send("POST", "/v1/deposits", body(64)).await;
    assert_eq!((created.status, created.body["metadata"].to_string()), (201, deep(64)), "{}", created.body);
    let list = app.get("/v1/deposits").await;
    assert_eq!(list.body["data"][0]["metadata"].to_string(), deep(64));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backslash_before_u0000_is_no_nul() {
    let (app, _) = app().await;
    let metadata = json!({ "a": "\\u0000", "\\u0000": "b" });
    let created = app.post("/v1/deposits", &with(&deposits().body, &("/metadata", Some(metadata.clone())))).await;
    assert_eq!((created.status, &created.body["metadata"]), (201, &metadata), "{}", created.body);
    assert_eq!(app.get("/v1/deposits/d-1").await.body["metadata"], metadata);
    app.finish().await;
}

/// Parameters of lists of orders that say nothing that can be looked for.
fn wrong_filters(collection: &str) -> Vec<(&'static str, String)> {
    let id = "0".repeat(32);
    let (own, other, status) = if collection == "deposits" { ("dep_", "pay_", "queued") } else { ("pay_", "dep_", "expired") };
    let long = "x".repeat(200);
    let cursors = ["", "x", own, &id, "%00", &long, &format!("{other}{id}"), &format!("{own}{id}0"), &format!("{own}{}", "z".repeat(32))]
        .map(|text| ("starting_after", text.to_owned()));
    let texts: [(&str, &[&str]); 7] = [
        ("limit", &["", "0", "101", "-1", "1.5", "ten", "9999999999999999999999", "%00"]),
        ("status", &["", "nonsense", status, "succeeded,", ",", "Succeeded", "%00"]),
        ("provider", &["", "FOMO", "paypal", "%00", "fomo,hicoin"]),
        ("customer", &["", "%00", "a%01b", "%20", &long]),
        ("coin", &["", "%00", "a%01b", "%20", &long]),
        ("created_gte", &["", "yesterday", "2026-01-31", "2026-01-31T00:00:00", "2026-13-01T00:00:00Z", "1700000000", "%00"]),
        ("created_lt", &["", "x", "2026-02-30T00:00:00Z", "9999-12-31T23:59:59-23:59"]),
    ];
    let all = texts.iter().flat_map(|(name, texts)| texts.iter().map(|text| (*name, (*text).to_owned())));
    all.chain(cursors).chain([("surprise", "1".to_owned())]).collect()
}

pub async fn refused_queries(app: &TestApp, path: &str, wrongs: &[(&str, String)]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (name, value) in wrongs {
        let joint = if path.contains('?') { '&' } else { '?' };
        let query = format!("{path}{joint}{name}={value}");
        let answer = app.get(&query).await;
        let named = answer.pointers() == [*name];
        let problem = answer.no_problem(422, "validation_failed").or_else(|| (!named).then(|| format!("it names {:?}", answer.pointers())));
        complaints.extend(problem.map(|problem| format!("{query}: {problem}")));
    }
    complaints
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_parameter_of_a_list_is_named() {
    let (app, _) = app().await;
    let mut complaints = Vec::new();
    for collection in ["deposits", "payouts"] {
        complaints.extend(refused_queries(&app, &format!("/v1/{collection}"), &wrong_filters(collection)).await);
    }
    let ids = ["", "x", "dsc_", "%00"].map(|text| ("starting_after", text.to_owned()));
    let limits = ["", "0", "101", "x", "%00"].map(|text| ("limit", text.to_owned()));
    let others = ["", "closed", "Open", "%00"].map(|text| ("status", text.to_owned()));
    let wrongs = [&ids[..], &limits, &others, &[("surprise", "1".to_owned())]].concat();
    complaints.extend(refused_queries(&app, "/v1/discrepancies", &wrongs).await);
    let providers = ["", "FOMO", "paypal", "%00"].map(|text| ("provider", text.to_owned()));
    complaints.extend(refused_queries(&app, "/v1/coins", &providers).await);
    complaints.extend(refused_queries(&app, "/v1/coins?provider=fomo", &[("surprise", "1".to_owned())]).await);
    assert!(complaints.is_empty(), "{complaints:#?}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_wrong_parameters_are_named_at_once_and_a_parameter_comes_once() {
    let (app, _) = app().await;
    let answer = app.get("/v1/deposits?limit=0&status=x&created_gte=y&created_lt=z&provider=p&starting_after=s").await;
    answer.expect_problem(422, "validation_failed");
    let mut named = answer.pointers();
    named.sort_unstable();
    assert_eq!(named, ["created_gte", "created_lt", "limit", "provider", "starting_after", "status"]);
    for (query, name) in [("/v1/deposits?limit=1&limit=2", "limit"), ("/v1/coins?provider=fomo&provider=fomo", "provider")] {
        let answer = app.get(query).await;
        answer.expect_problem(422, "validation_failed");
        assert_eq!(answer.pointers(), [name]);
    }
    let answer = app.get("/v1/coins").await;
    answer.expect_problem(422, "validation_failed");
    assert_eq!(answer.pointers(), ["provider"]);
    let answer = app.get("/v1/coins?provider=hicoin").await;
    answer.expect_problem(422, "provider_not_configured");
    assert_eq!(answer.pointers(), ["provider"]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_names_nothing_is_404() {
    let (app, _) = app().await;
    for path in ["/", "/v1", "/v1/", "/v1/deposit", "/v1/deposits/", "/v2/deposits", "/v1/deposits/d-0/undo", "/docs.html"] {
        app.get(path).await.expect_problem(404, "route_not_found");
    }
    let long = "x".repeat(65);
    for id in ["nothing", "a%20b", "%00", "%FF", "a%2Fb", "%F0%9F%92%B0", &long] {
        for path in [format!("/v1/deposits/{id}"), format!("/v1/payouts/{id}"), format!("/v1/orders/{id}/timeline")] {
            app.get(&path).await.expect_problem(404, "not_found");
        }
        for path in [format!("/v1/deposits/{id}/cancel"), format!("/v1/payouts/{id}/refresh")] {
            app.post(&path, &json!({})).await.expect_problem(404, "not_found");
        }
        app.post(&format!("/v1/discrepancies/{id}/resolve"), &json!({ "reason": "x" })).await.expect_problem(404, "not_found");
        app.send("POST", &format!("/callbacks/fomo/{id}"), "status=1").await.expect_problem(404, "not_found");
        app.call("DELETE", &format!("/v1/customers/ada/links/{id}"), None).await.expect_problem(404, "not_found");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_that_cannot_be_one_is_named() {
    let (app, _) = app().await;
    let long = "x".repeat(129);
    for customer in ["%00", "a%01b", "%20ada", &long] {
        for (method, path, body) in [
            ("GET", format!("/v1/customers/{customer}/links"), None),
            ("POST", format!("/v1/customers/{customer}/links"), Some(links().body)),
            ("DELETE", format!("/v1/customers/{customer}/links/fomo"), None),
            ("GET", format!("/v1/customers/{customer}"), None),
            ("GET", format!("/v1/customers/{customer}/balances"), None),
            ("GET", format!("/v1/customers/{customer}/addresses"), None),
            ("POST", format!("/v1/customers/{customer}/addresses"), Some(addresses().body)),
        ] {
            let answer = app.call(method, &path, body.as_ref()).await;
            answer.expect_problem(422, "validation_failed");
            assert_eq!(answer.pointers(), ["customer"], "{method} {path}");
        }
    }
    app.finish().await;
}

fn any_json() -> impl Strategy<Value = Value> {
    let numbers = prop_oneof![any::<i64>().prop_map(Value::from), any::<f64>().prop_map(Value::from)];
    let texts = prop_oneof![any::<String>(), "[0-9]{1,12}(\\.[0-9]{1,20})?", "[a-z_]{1,10}"].prop_map(Value::from);
    let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), numbers, texts];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from);
        let object = prop::collection::btree_map(any::<String>(), inner, 0..6).prop_map(|map| Value::Object(map.into_iter().collect()));
        prop_oneof![list, object]
    })
}

/// The body of a door with some of its fields replaced by anything, or anything at all.
pub fn any_body(door: Door) -> impl Strategy<Value = (String, Value)> {
    let names: Vec<String> = door.body.as_object().into_iter().flat_map(|map| map.keys().cloned()).collect();
    let changed = prop::collection::vec((prop::sample::select(names), any_json()), 0..3).prop_map(move |changes| {
        let mut body = door.body.clone();
        changes.into_iter().for_each(|(name, value)| body[name] = value);
        body
    });
    (Just(door.path), prop_oneof![4 => changed, 1 => any_json()])
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_body_is_it_is_no_mistake_of_ours() {
    let (app, settlement) = app().await;
    let handle = tokio::runtime::Handle::current();
    let [one, two] = resolutions();
    for door in [deposits(), payouts(), links(), customers(), addresses(), one, two, settlement] {
        let mut runner = TestRunner::new(Config { cases: 64, failure_persistence: None, ..Config::default() });
        let tried = tokio::task::block_in_place(|| {
            runner.run(&any_body(door), |(path, body)| {
                let answer = handle.block_on(app.post(&path, &body));
                prop_assert!(answer.status < 500, "{} {}", answer.status, answer.body);
                prop_assert!(answer.status < 400 || answer.no_problem(answer.status, answer.text("code")).is_none(), "{answer:?}");
                Ok(())
            })
        });
        tried.expect("an answer to every body");
    }
    app.finish().await;
}
