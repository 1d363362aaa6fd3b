//! What answers look like, what the description of the API says of them, and the verbs of orders.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tillgate::sandbox::{Coin, Fault, Options, Times};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::harness::{ADA, Answer, TestApp, USDT, deposit_wish, payout_wish, read};

/// The keys of an order, all of them.
const ORDER: &str = "id object trade_id provider status stage coin amount amount_received amount_confirmed fee amount_state late customer \
    destination next_action checkout_url provider_reference txid confirmations failure is_final final_at expires_at sequence metadata \
    created_at updated_at";

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[track_caller]
fn expect_keys(value: &Value, names: &str) {
    assert_eq!(keys(value), names.split_whitespace().collect(), "{value}");
}

/// Every time in it is RFC 3339 in UTC, written with a Z.
#[track_caller]
fn expect_times(value: &Value) {
    let fields = value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value));
    let items = value.as_array().into_iter().flatten().map(|value| ("", value));
    for (name, value) in fields.chain(items) {
        if let Some(text) = value.as_str().filter(|_| name == "at" || name.ends_with("_at") || name.ends_with("_until")) {
            let time = OffsetDateTime::parse(text, &Rfc3339).expect("a time");
            assert!(text.ends_with('Z') && time.year() > 2000, "{name}: {text}");
        }
        expect_times(value);
    }
}

#[track_caller]
fn expect_order(order: &Value) {
    expect_keys(order, ORDER);
    expect_times(order);
    for name in ["amount", "amount_received", "amount_confirmed", "fee"] {
        let amount = &order[name];
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        assert!(amount.as_str().is_some_and(digits) || (name == "fee" && amount.is_null()), "{name}: {amount}");
    }
    for name in ["id", "object", "trade_id", "provider", "status", "coin", "amount_state", "created_at", "updated_at"] {
        assert!(order[name].is_string(), "{name}: {}", order[name]);
    }
    for name in ["stage", "customer", "checkout_url", "provider_reference", "txid", "final_at", "expires_at"] {
        assert!(order[name].is_string() || order[name].is_null(), "{name}: {}", order[name]);
    }
    for name in ["destination", "next_action", "failure", "metadata"] {
        assert!(order[name].is_object() || order[name].is_null(), "{name}: {}", order[name]);
    }
    assert!(order["late"].is_boolean() && order["is_final"].is_boolean() && order["sequence"].is_u64(), "{order}");
}

async fn linked() -> TestApp {
    let app = TestApp::start().await;
    app.link_ada().await;
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_has_the_same_shape_at_every_place() {
    let app = linked().await;
    let created = app.post("/v1/deposits", &deposit_wish("d-1")).await;
    expect_order(&created.body);
    assert_eq!((created.text("object"), &created.text("id")[..4], created.text("trade_id")), ("deposit", "dep_", "d-1"));
    expect_keys(&created.body["next_action"], "type transfer_id expires_at");
    assert_eq!((created.text("customer"), &created.body["destination"], &created.body["sequence"]), ("ada", &Value::Null, &json!(2)));
    assert_eq!(app.get("/v1/deposits/d-1").await.body, created.body, "what is told is what is stored");
    app.confirm("d-1").await;
    app.callbacks().await;
    expect_order(&app.get("/v1/deposits/d-1").await.body);
    app.look().await;
    let succeeded = app.get("/v1/deposits/d-1").await;
    expect_order(&succeeded.body);
    assert_eq!((&succeeded.body["is_final"], &succeeded.body["next_action"], succeeded.text("fee")), (&json!(true), &Value::Null, "0"));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_has_the_same_shape_at_every_place() {
    let app = linked().await;
    let mut wish = payout_wish("p-1");
    wish["metadata"] = json!({ "note": "thanks" });
    let created = app.post("/v1/payouts", &wish).await;
    expect_order(&created.body);
    assert_eq!((created.text("object"), &created.text("id")[..4], created.text("status")), ("payout", "pay_", "queued"));
    assert_eq!((&created.body["destination"], &created.body["metadata"]), (&wish["destination"], &wish["metadata"]));
    assert_eq!(app.get("/v1/payouts/p-1").await.body, created.body, "what is told is what is stored");
    app.sandbox.set_merchant_balance("acme", USDT, rust_decimal::Decimal::ZERO);
    app.submit().await;
    let failed = app.get("/v1/payouts/p-1").await;
    expect_order(&failed.body);
    assert_eq!(failed.text("status"), "failed");
    expect_keys(&failed.body["failure"], "code provider_code message");
    assert_eq!((&failed.body["failure"]["code"], &failed.body["failure"]["provider_code"]), (&json!("insufficient_balance"), &json!("24")));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_that_fomo_does_not_answer_is_made_all_the_same() {
    let app = linked().await;
    for fault in [Fault::LoseBefore, Fault::Error500Before, Fault::GarbageBefore, Fault::HangBefore] {
        app.sandbox.inject("pre_pay", None, fault.clone(), Times::default());
        let trade_id = format!("{fault:?}");
        let created = app.deposit(&trade_id).await;
        expect_order(&created.body);
        assert_eq!((created.status, created.text("status"), &created.body["next_action"]), (201, "created", &Value::Null), "{fault:?}");
        app.sandbox.release();
    }
    app.live(Duration::from_mins(2), Duration::from_secs(10), true).await;
    for trade_id in ["LoseBefore", "Error500Before", "GarbageBefore", "HangBefore"] {
        assert_eq!(app.place("deposits", trade_id).await, "awaiting_payment", "{trade_id}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeline_tells_all_from_first_to_last_with_evidence() {
    let app = linked().await;
    app.deposit("d-1").await;
    let open = app.get("/v1/orders/d-1/timeline").await;
    expect_keys(&open.body, "object trade_id status stage waiting_for next_action_at evidence entries");
    assert_eq!((open.text("object"), open.text("waiting_for"), open.text("status")), ("timeline", "customer", "awaiting_payment"));
    assert!(open.body["next_action_at"].is_string());
    app.confirm("d-1").await;
    app.advance(Duration::from_secs(1));
    app.callbacks().await;
    app.look().await;
    let whole = app.get("/v1/orders/d-1/timeline").await;
    expect_times(&whole.body);
    assert_eq!((&whole.body["waiting_for"], &whole.body["next_action_at"]), (&Value::Null, &Value::Null));
    let entries = whole.body["entries"].as_array().expect("entries");
    let mut types: Vec<&str> = entries.iter().filter_map(|entry| entry["type"].as_str()).collect();
    types.sort_unstable();
    assert_eq!(types, ["answer", "attempt", "callback", "lookup", "step", "step", "step", "step"]);
    let steps: Vec<i64> = entries.iter().filter_map(|entry| entry["evidence"]["sequence"].as_i64()).collect();
    assert_eq!(steps, [1, 2, 3, 4]);
    assert!(entries.iter().map(|entry| entry["at"].as_str()).is_sorted());
    for entry in entries {
        expect_keys(entry, "type at summary evidence");
        assert!(!entry["summary"].as_str().expect("a summary").is_empty() && !keys(&entry["evidence"]).is_empty(), "{entry}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payouts_timeline_shows_its_attempt_and_its_steps() {
    let app = linked().await;
    app.payout("p-1").await;
    app.submit().await;
    let timeline = app.get("/v1/orders/p-1/timeline").await;
    let entries = timeline.body["entries"].as_array().expect("entries");
    let steps: Vec<String> = entries
        .iter()
        .filter(|entry| entry["type"] == "step")
        .map(|entry| format!("{} {}", entry["evidence"]["sequence"], entry["evidence"]["status"].as_str().unwrap_or_default()))
        .collect();
    assert_eq!(steps, ["1 queued", "2 processing", "3 succeeded"]);
    assert_eq!(entries.iter().filter(|entry| entry["type"] == "attempt" && entry["evidence"]["state"] == "accepted").count(), 1);
    app.get("/v1/orders/p-2/timeline").await.expect_problem(404, "not_found");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_made_shown_replaced_and_forgotten() {
    let app = TestApp::start().await;
    let path = "/v1/customers/ada/links";
    let wish = |code: &str| json!({ "provider": "fomo", "code": code });
    let made = app.post(path, &wish(&app.code(ADA))).await;
    assert_eq!(made.status, 201);
    expect_keys(&made.body, "object customer provider provider_user status linked_at renewable_until");
    expect_times(&made.body);
    assert_eq!(
        (made.text("object"), made.text("customer"), made.text("provider_user"), made.text("status")),
        ("link", "ada", ADA, "active")
    );
    assert_eq!(app.get(path).await.body["data"], json!([made.body]));
    app.advance(Duration::from_secs(5));
    let again = app.post(path, &wish(&app.code("43"))).await;
    assert_eq!((again.status, again.text("provider_user")), (201, "43"));
    assert_ne!(again.text("linked_at"), made.text("linked_at"));
    assert_eq!(app.get(path).await.body["data"], json!([again.body]), "one link to one wallet");
    let forgotten = app.call("DELETE", "/v1/customers/ada/links/fomo", None).await;
    assert_eq!((forgotten.status, &forgotten.body), (204, &json!("")));
    app.call("DELETE", "/v1/customers/ada/links/fomo", None).await.expect_problem(404, "not_found");
    assert_eq!(app.get(path).await.body["data"], json!([]));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_works_once_and_a_wallet_account_is_one_customers() {
    let app = linked().await;
    let code = app.code("43");
    let link = async |customer: &str, code: &str| {
        app.post(&format!("/v1/customers/{customer}/links"), &json!({ "provider": "fomo", "code": code })).await
    };
    assert_eq!(link("bob", &code).await.status, 201);
    let used = link("bob", &code).await;
    used.expect_problem(422, "code_refused");
    assert_eq!(used.pointers(), ["/code"]);
    link("eve", &app.code(ADA)).await.expect_problem(409, "link_taken");
    app.sandbox.fault("token", Fault::Error500Before);
    let down = link("bob", &app.code("43")).await;
    down.expect_problem(503, "provider_unavailable");
    assert_eq!((down.header("retry-after"), app.count("wallet_links").await), ("1", 2));
    assert_eq!(app.call("DELETE", "/v1/customers/ada/links/fomo", None).await.status, 204);
    assert_eq!(link("eve", &app.code(ADA)).await.status, 201);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn customers_may_have_any_name() {
    let app = TestApp::start().await;
    for (number, (encoded, name)) in [
        ("a%2Fb", "a/b"),
        ("50%25", "50%"),
        ("%25%32%46", "%2F"),
        ("a+b", "a+b"),
        ("a%20b", "a b"),
        ("%C3%A4", "ä"),
        ("x%3Fy%23z", "x?y#z"),
        ("..", ".."),
    ]
    .into_iter()
    .enumerate()
    {
        if name == ".." {
            continue; // HTTP clients resolve it.
        }
        let (user, path) = (format!("7{number}"), format!("/v1/customers/{encoded}/links"));
        let made = app.post(&path, &json!({ "provider": "fomo", "code": app.code(&user) })).await;
        assert_eq!((made.status, made.text("customer")), (201, name), "{}", made.body);
        assert_eq!(app.get(&path).await.body["data"], json!([made.body]));
        let mut wish = deposit_wish(&format!("d-{number}"));
        wish["customer"] = json!(name);
        let order = app.post("/v1/deposits", &wish).await;
        assert_eq!((order.status, order.text("customer")), (201, name));
        let listed = app.get(&format!("/v1/deposits?customer={}", encoded.replace('+', "%2B"))).await;
        assert_eq!(listed.body["data"][0]["id"], order.body["id"], "{name}");
        assert_eq!(app.call("DELETE", &format!("{path}/fomo"), None).await.status, 204);
    }
    app.finish().await;
}

/// A coin with six decimals.
fn coin(id: &str, name: &str) -> Coin {
    let sample = Coin::samples().into_iter().find(|coin| coin.id == USDT).expect("usdt");
    Coin { id: id.to_owned(), name: name.to_owned(), ..sample }
}

#[tokio::test(flavor = "multi_thread")]
async fn coins_come_in_one_shape_with_names_that_mean_one_coin() {
    let old = Coin { is_active: false, ..coin("9", "old") };
    let coins = vec![coin(USDT, "usdt"), coin("6", "usdt"), coin("8", "btc"), coin("3", "8"), old];
    let app = TestApp::start_on(Options { coins, ..Options::default() }, &[], &json!({})).await;
    let list = app.get("/v1/coins?provider=fomo").await;
    let listed = list.body["data"].as_array().expect("data");
    let shown: Vec<(&str, &str)> =
        listed.iter().filter_map(|coin| Some((coin["coin"].as_str()?, coin["provider_coin_id"].as_str()?))).collect();
    assert_eq!(shown, [("5", "5"), ("6", "6"), ("btc", "8"), ("3", "3"), ("old", "9")], "a name that is another coin's id is no name");
    for coin in listed {
        let optional = ["icon", "price"].into_iter().filter(|name| coin.get(*name).is_some());
        expect_keys(
            coin,
            &["coin", "provider", "provider_coin_id", "decimals", "active"].into_iter().chain(optional).collect::<Vec<_>>().join(" "),
        );
        assert!(
            coin["decimals"].is_u64() && coin["active"].is_boolean() && coin["provider"] == "fomo" && coin["price"].is_string(),
            "{coin}"
        );
    }
    for (number, (named, id)) in [("5", "5"), ("6", "6"), ("btc", "8"), ("8", "8"), ("3", "3")].into_iter().enumerate() {
        let mut wish = payout_wish(&format!("p-{number}"));
        wish["coin"] = json!(named);
        assert_eq!(app.post("/v1/payouts", &wish).await.status, 201, "{named}");
        assert_eq!(app.count(&format!("orders WHERE trade_id = 'p-{number}' AND provider_coin_id = '{id}'")).await, 1, "{named} is {id}");
    }
    for (named, code) in [("usdt", "coin_unknown"), ("old", "coin_inactive")] {
        let mut wish = payout_wish("p-9");
        wish["coin"] = json!(named);
        app.post("/v1/payouts", &wish).await.expect_problem(422, code);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_good_list_of_coins_serves_while_fomo_is_down() {
    let app = linked().await;
    app.sandbox.inject("get_active_coins", None, Fault::Error500Before, Times::Forever);
    let none = app.get("/v1/coins?provider=fomo").await;
    none.expect_problem(503, "provider_unavailable");
    app.deposit("d-1").await.expect_problem(503, "provider_unavailable");
    app.sandbox.clear_faults();
    let good = app.get("/v1/coins?provider=fomo").await;
    assert_eq!((good.status, good.body["data"].as_array().map(Vec::len)), (200, Some(5)));
    for fault in [Fault::Error500Before, Fault::GarbageBefore, Fault::EmptyAfter, Fault::LoseBefore, Fault::Code(5)] {
        app.sandbox.inject("get_active_coins", None, fault.clone(), Times::Forever);
        app.advance(Duration::from_hours(1));
        app.context.tenants.forget();
        let kept = app.get("/v1/coins?provider=fomo").await;
        assert_eq!((kept.status, &kept.body), (200, &good.body), "{fault:?}");
        assert_eq!(app.payout(&format!("{fault:?}").replace(['(', ')'], "")).await.status, 201);
        app.sandbox.clear_faults();
    }
    app.finish().await;
}

/// Asks with this header as the request's name.
async fn named(app: &TestApp, path: &str, name: &[u8]) -> Answer {
    let value = reqwest::header::HeaderValue::from_bytes(name).expect("a header");
    read(app.http.get(format!("{}{path}", app.api)).header("x-request-id", value).send().await.expect("an answer")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_request_id_is_echoed_and_a_bad_one_replaced() {
    let app = TestApp::start().await;
    let (longest, long) = ("x".repeat(128), "x".repeat(129));
    for path in ["/v1/deposits", "/v1/nothing", "/docs/", "/docs", "/openapi.json"] {
        for good in ["a", "req-1_2.3", "0193f2a7-c1d2-7b5e-8f4e-2a90c3d4e5f6", &longest] {
            assert_eq!(named(&app, path, good.as_bytes()).await.header("x-request-id"), good, "{path}");
        }
        let mut made = BTreeSet::new();
        for bad in ["", "a b", "a,b", "<script>", "a/b", "a\"b", &long] {
            made.insert(named(&app, path, bad.as_bytes()).await.header("x-request-id").to_owned());
        }
        made.insert(named(&app, path, b"\xc3\xa4").await.header("x-request-id").to_owned());
        made.insert(app.get(path).await.header("x-request-id").to_owned());
        assert!(
            made.len() == 9 && made.iter().all(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())),
            "{path}: {made:?}"
        );
    }
    let problem = named(&app, "/v1/deposits", b"mine").await;
    problem.expect_problem(401, "unauthorized");
    assert_eq!(problem.text("request_id"), "mine");
    app.finish().await;
}

/// The methods of each path, as the description has them.
fn described(document: &Value) -> BTreeSet<(String, String)> {
    let paths = document["paths"].as_object().expect("paths");
    let methods = |item: &Value| item.as_object().into_iter().flatten().map(|(method, _)| method.to_uppercase()).collect::<Vec<_>>();
    paths.iter().flat_map(|(path, item)| methods(item).into_iter().map(move |method| (method, path.clone()))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_a_path_does_not_take_is_405_and_the_others_are_named() {
    let app = TestApp::start().await;
    let described = described(&app.get("/openapi.json").await.body);
    let paths: BTreeSet<&String> = described.iter().map(|(_, path)| path).collect();
    for template in paths {
        let path = template.replace(['{', '}'], "");
        let takes: Vec<&str> = ["GET", "POST", "PATCH", "DELETE"]
            .into_iter()
            .filter(|method| described.contains(&((*method).into(), template.clone())))
            .collect();
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            if !takes.contains(&method) {
                let answer = app.call(method, &path, None).await;
                assert_eq!(answer.no_problem(405, "method_not_allowed"), None, "{method} {path}");
                assert_eq!(answer.header("allow"), takes.join(", "), "{method} {path}");
            }
        }
    }
    app.finish().await;
}

/// The routes that the handlers' attributes name.
fn attributed() -> BTreeSet<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http");
    let mut found = BTreeSet::new();
    for file in std::fs::read_dir(folder).expect("the folder") {
        let path = file.expect("a file").path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        for line in std::fs::read_to_string(path).expect("source").lines() {
            let route = line.strip_prefix("#[").and_then(|rest| rest.strip_suffix("\")]")).and_then(|rest| rest.split_once("(\""));
            if let Some((method @ ("get" | "post" | "put" | "patch" | "delete"), path)) = route {
                found.insert((method.to_uppercase(), path.to_owned()));
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_is_openapi_3_1_and_has_every_route_and_no_other() {
    let app = TestApp::start().await;
    let answer = app.get("/openapi.json").await;
    assert!(answer.text("openapi").starts_with("3.1."), "{}", answer.text("openapi"));
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(described(&answer.body), attributed());
    assert!(attributed().len() >= 20);
    for (method, template) in attributed() {
        let operation = &answer.body["paths"][&template][method.to_lowercase()];
        let text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
        assert!(text(&operation["summary"]) && text(&operation["operationId"]), "{method} {template}");
        let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert!(parameters.iter().all(|parameter| text(&parameter["description"])), "{method} {template}: {parameters:?}");
        let in_path = parameters.iter().filter(|parameter| parameter["in"] == "path").count();
        assert_eq!(in_path, template.matches('{').count(), "{method} {template}");
        assert!(operation["responses"].as_object().is_some_and(|responses| responses.len() >= 2), "{method} {template}");
        let answered = app.call(&method, &template.replace(['{', '}'], ""), None).await;
        assert!(answered.text("code") != "route_not_found" && answered.status != 405, "{method} {template}: {}", answered.body);
    }
    let operations: Vec<&Value> = answer.body["paths"]
        .as_object()
        .into_iter()
        .flatten()
        .flat_map(|(_, item)| item.as_object())
        .flatten()
        .map(|(_, operation)| &operation["operationId"])
        .collect();
    assert_eq!(
        operations.iter().map(ToString::to_string).collect::<BTreeSet<_>>().len(),
        operations.len(),
        "operation ids are unique: {operations:?}"
    );
    app.finish().await;
}

/// The properties in a schema that say neither what they mean nor give an example. What can have one
/// value only says it by that.
fn unexplained(place: &str, schema: &Value) -> Vec<String> {
    let says = |schema: &Value| ["description", "example", "examples"].iter().any(|key| schema.get(key).is_some());
    let explains = |property: &Value| {
        let single = property["enum"].as_array().is_some_and(|values| values.len() == 1) || property.get("const").is_some();
        // What may be null is explained beside its type.
        single || says(property) || property["oneOf"].as_array().is_some_and(|parts| parts.iter().any(says))
    };
    let empty = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&empty);
    let own = properties.iter().filter(|(_, property)| !explains(property)).map(|(name, _)| format!("{place}.{name}"));
    let below = schema.as_object().into_iter().flatten().map(|(_, value)| value).chain(schema.as_array().into_iter().flatten());
    own.chain(below.flat_map(|value| unexplained(place, value))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_property_in_the_description_is_explained() {
    let app = TestApp::start().await;
    let document = app.get("/openapi.json").await.body;
    let schemas = document["components"]["schemas"].as_object().expect("schemas");
    assert!(schemas.len() > 10);
    let silent: Vec<String> = schemas.iter().flat_map(|(name, schema)| unexplained(name, schema)).collect();
    assert!(silent.is_empty(), "{silent:#?}");
    let order: BTreeSet<&str> = keys(&schemas["OrderBody"]["properties"]);
    // `retry` is there only while somebody wants an order sent again.
    assert_eq!(order, ORDER.split_whitespace().chain(["retry"]).collect());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reference_is_served_by_ourselves_alone() {
    let app = TestApp::start().await;
    let page = app.get("/docs/").await;
    let html = page.body.as_str().expect("a page");
    assert!(page.status == 200 && page.header("content-type").starts_with("text/html") && html.contains("<html"), "{html}");
    let addresses: Vec<&str> = html
        .split(['"', '\''])
        .zip(html.split(['"', '\'']).skip(1))
        .filter(|(before, _)| before.ends_with("src=") || before.ends_with("href="))
        .map(|(_, address)| address)
        .collect();
    assert!(addresses.len() >= 3 && addresses.iter().all(|address| !address.contains("//")), "{addresses:?}");
    for address in &addresses {
        let asset = app.get(&format!("/docs/{}", address.trim_start_matches("./"))).await;
        assert_eq!(asset.status, 200, "{address}");
    }
    let start = app.get("/docs/swagger-initializer.js").await;
    let script = start.body.as_str().expect("a script");
    assert!(script.contains("/openapi.json") && !script.contains("http://") && !script.contains("https://"), "{script}");
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let moved = client.get(format!("{}/docs", app.api)).send().await.expect("an answer");
    assert_eq!((moved.status().as_u16(), moved.headers()["location"].to_str().ok()), (308, Some("/docs/")));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_deposit_counts_late_money_as_late() {
    let app = linked().await;
    app.deposit("d-1").await;
    for _ in 0..2 {
        let canceled = app.post("/v1/deposits/d-1/cancel", &json!({})).await;
        assert_eq!((canceled.status, canceled.text("status"), &canceled.body["is_final"]), (200, "canceled", &json!(false)));
        assert_eq!((&canceled.body["next_action"], canceled.body["final_at"].is_string()), (&Value::Null, true));
    }
    assert_eq!(app.confirm("d-1").await, Some(1));
    assert_eq!(app.callbacks().await, [200]);
    app.settle_down().await;
    let order = app.get("/v1/deposits/d-1").await;
    expect_order(&order.body);
    assert_eq!((order.text("status"), &order.body["late"], order.text("amount_received")), ("succeeded", &json!(true), "12.5"));
    app.post("/v1/deposits/d-1/cancel", &json!({})).await.expect_problem(409, "order_not_cancelable");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_payout_is_never_sent_and_a_sent_one_is_not_canceled() {
    let app = linked().await;
    app.payout("p-1").await;
    app.payout("p-2").await;
    for _ in 0..2 {
        let canceled = app.post("/v1/payouts/p-1/cancel", &json!({})).await;
        assert_eq!((canceled.status, canceled.text("status"), &canceled.body["is_final"]), (200, "canceled", &json!(true)));
    }
    app.settle_down().await;
    assert_eq!((app.sandbox.calls_for("pay_user", "p-1"), app.sandbox.calls_for("pay_user", "p-2")), (0, 1));
    app.post("/v1/payouts/p-2/cancel", &json!({})).await.expect_problem(409, "order_not_cancelable");
    assert_eq!((app.place("payouts", "p-1").await.as_str(), app.place("payouts", "p-2").await.as_str()), ("canceled", "succeeded"));
    let again = app.payout("p-1").await;
    assert_eq!((again.status, again.text("status")), (200, "canceled"), "the trade id is used for ever");
    app.get("/v1/payouts/p-3").await.expect_problem(404, "not_found");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_that_may_be_under_way_is_not_canceled() {
    let app = linked().await;
    app.payout("p-1").await;
    app.sandbox.fault("pay_user", Fault::LoseAfter);
    app.submit().await;
    assert_eq!(app.place("payouts", "p-1").await, "processing/outcome_unknown");
    app.post("/v1/payouts/p-1/cancel", &json!({})).await.expect_problem(409, "order_not_cancelable");
    assert_eq!(app.callbacks().await, [200]);
    assert_eq!(app.place("payouts", "p-1").await, "succeeded");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_asks_fomo_now() {
    let app = linked().await;
    app.deposit("d-1").await;
    let asked = app.post("/v1/deposits/d-1/refresh", &json!({})).await;
    assert_eq!((asked.status, asked.text("status"), app.sandbox.calls("get_transfer_detail")), (200, "awaiting_payment", 1));
    assert_eq!(app.confirm("d-1").await, Some(1));
    app.sandbox.fault("get_transfer_detail", Fault::Error500Before);
    app.post("/v1/deposits/d-1/refresh", &json!({})).await.expect_problem(503, "provider_unavailable");
    let asked = app.post("/v1/deposits/d-1/refresh", &json!({})).await;
    expect_order(&asked.body);
    assert_eq!((asked.text("status"), asked.text("amount_confirmed")), ("succeeded", "12.5"));
    app.payout("p-1").await;
    let queued = app.post("/v1/payouts/p-1/refresh", &json!({})).await;
    assert_eq!((queued.status, queued.text("status"), app.sandbox.calls("pay_user")), (200, "queued", 0), "asking sends nothing");
    app.finish().await;
}

/// A callback for a deposit that nobody paid, which agrees with the order in everything.
async fn claim_payment(app: &TestApp, order: &Answer) {
    let transfer = order.body["next_action"]["transfer_id"].as_str().expect("a transfer");
    let trade_id = order.text("trade_id");
    let form =
        format!("transfer_id={transfer}&user_id={ADA}&trade_id={trade_id}&coin_id={USDT}&amount=12.5&cut_amount=0&direction=1&status=1");
    let path = app.server_uri(trade_id).replace(&app.api, "");
    assert_eq!(app.send("POST", &path, form).await.status, 200);
    assert_eq!(app.place("deposits", trade_id).await, "processing/verifying");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_decides_what_waits_for_proof_and_nothing_else() {
    let app = linked().await;
    let decide = async |id: &str, action: &str| {
        app.post(&format!("/v1/deposits/{id}/resolve"), &json!({ "action": action, "reason": " seen by eye " })).await
    };
    for (trade_id, action, status) in [("d-1", "confirm", "succeeded"), ("d-2", "reject", "failed")] {
        let order = app.deposit(trade_id).await;
        decide(trade_id, action).await.expect_problem(409, "order_not_in_review");
        claim_payment(&app, &order).await;
        for unfit in ["retry", "approve"] {
            let refused = decide(trade_id, unfit).await;
            refused.expect_problem(422, "action_not_supported");
            assert_eq!(refused.pointers(), ["/action"]);
        }
        let decided = decide(trade_id, action).await;
        expect_order(&decided.body);
        assert_eq!((decided.status, decided.text("status"), &decided.body["is_final"]), (200, status, &json!(true)));
        let timeline = app.get(&format!("/v1/orders/{trade_id}/timeline")).await.body.to_string();
        assert!(timeline.contains("seen by eye") && timeline.contains("key_"), "{timeline}");
        let other = if action == "confirm" { "reject" } else { "confirm" };
        decide(trade_id, other).await.expect_problem(409, "order_not_in_review");
        assert_eq!(decide(trade_id, action).await.body, decided.body, "deciding twice is deciding once");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_that_waits_for_nobody_is_not_decided() {
    let app = linked().await;
    app.payout("p-1").await;
    let decide = async |action: &str| app.post("/v1/payouts/p-1/resolve", &json!({ "action": action, "reason": "x" })).await;
    for action in ["confirm", "reject", "retry"] {
        decide(action).await.expect_problem(409, "order_not_in_review");
    }
    assert_eq!(decide("approve").await.text("status"), "queued", "it needs no approval");
    app.submit().await;
    for action in ["reject", "retry", "approve"] {
        decide(action).await.expect_problem(409, "order_not_in_review");
    }
    assert_eq!((app.place("payouts", "p-1").await.as_str(), app.sandbox.calls("pay_user")), ("succeeded", 1));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discrepancy_is_settled_once_by_name_and_with_a_reason() {
    let app = linked().await;
    let id = app.discrepancy("d-1").await;
    let open = app.get("/v1/discrepancies").await.body["data"][0].clone();
    expect_keys(
        &open,
        "id object kind severity provider trade_id provider_receipt_id balance_of found_by suggested_action ours theirs status opened_at resolved_at resolved_by reason",
    );
    assert_eq!((&open["object"], &open["kind"], &open["trade_id"]), (&json!("discrepancy"), &json!("forged_callback"), &json!("d-1")));
    assert_eq!((&open["ours"]["amount"], &open["theirs"]["amount"], &open["resolved_by"]), (&json!("12.5"), &json!("9.5"), &Value::Null));
    let path = format!("/v1/discrepancies/{id}/resolve");
    let settled = app.post(&path, &json!({ "reason": "a test" })).await;
    assert_eq!((settled.status, settled.text("status"), settled.text("reason")), (200, "resolved", "a test"));
    assert!(settled.text("resolved_by").starts_with("key_"));
    expect_times(&settled.body);
    assert_eq!(app.get("/v1/discrepancies").await.body["data"], json!([settled.body]));
    app.post(&path, &json!({ "reason": "again" })).await.expect_problem(409, "already_resolved");
    assert_eq!(app.count("events WHERE event_type = 'discrepancy.resolved'").await, 1);
    app.finish().await;
}
