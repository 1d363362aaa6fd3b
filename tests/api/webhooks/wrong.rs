//! Input about webhooks that is wrong: every field and parameter, one wrong way after the other. Each is answered by a problem
//! that names it, and nothing comes of it.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use super::receiver::Endpoint;
use super::start;
use crate::bad_input::{Door, Wrong, any_body, big_number, no_text, optional, refusals_by, refused_queries, required};
use crate::harness::TestApp;

/// The bodies that there are, each with its method.
fn doors(endpoint: &Endpoint) -> [(&'static str, Door); 4] {
    let (url, events) = ("https://shop.example/hook", ["payout.*"]);
    let door = |method, path: String, body| (method, Door { path, body });
    [
        door("POST", "/v1/webhook_endpoints".to_owned(), json!({ "url": url, "events": events })),
        door("PATCH", endpoint.path(), json!({ "url": url, "events": events, "status": "paused" })),
        door("POST", format!("{}/rotate_secret", endpoint.path()), json!({ "overlap": 60 })),
        door("POST", format!("{}/replay", endpoint.path()), json!({ "since": "2026-01-31T00:00:00Z", "only": "failed" })),
    ]
}

fn texts(pointer: &'static str, texts: &[&str]) -> Vec<Wrong> {
    optional(pointer, texts.iter().map(|text| json!(text)).collect())
}

fn urls() -> Vec<Wrong> {
    let wrong =
        ["shop.example", "//shop.example/", "https://", "javascript:alert(1)", "https://shop.example/#x", "https://a:b@shop.example/"];
    [optional("/url", no_text(2048)), texts("/url", &wrong), texts("/url", &["https://10.0.0.1/", "https://[::1]:x/"])].concat()
}

fn wanted() -> Vec<Wrong> {
    let lists =
        [json!([]), json!([""]), json!(["payout"]), json!(["*.succeeded"]), json!(["payout.*", "x"]), json!(["Payout.*"]), json!(["a\0b"])];
    optional("/events", [&lists[..], &[json!("*"), json!(5), json!(true), json!({ "0": "*" })]].concat())
}

/// What is wrong for each of the doors.
fn wrongs() -> [Vec<Wrong>; 4] {
    let surprise = || vec![("/surprise", Some(json!(1)))];
    let overlaps =
        [json!(-1), json!(1.5), json!(604_801), json!(u64::MAX), big_number(), json!("60"), json!(""), json!(true), json!([]), json!({})];
    [
        [required("/url", Vec::new()), urls(), wanted(), surprise()].concat(),
        [urls(), wanted(), optional("/status", no_text(20)), texts("/status", &["failing", "Paused", "deleted"]), surprise()].concat(),
        [optional("/overlap", overlaps.into()), surprise()].concat(),
        [
            optional("/since", no_text(64)),
            texts("/since", &["yesterday", "2026-01-31", "2026-02-30T00:00:00Z", "1700000000"]),
            optional("/only", no_text(20)),
            texts("/only", &["Failed", "delivered"]),
            surprise(),
        ]
        .concat(),
    ]
}

/// All that could come of a request.
async fn traces(app: &TestApp) -> Vec<i64> {
    let mut rows = Vec::new();
    for table in ["webhook_endpoints", "webhook_endpoints WHERE state = 'enabled'", "webhook_secrets", "webhook_deliveries", "events"] {
        rows.push(app.count(table).await);
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_field_about_an_endpoint_is_named_and_nothing_is_stored() {
    let (app, _, endpoint) = start().await;
    let before = traces(&app).await;
    let mut complaints = Vec::new();
    for ((method, door), wrongs) in doors(&endpoint).iter().zip(wrongs()) {
        complaints.extend(refusals_by(&app, method, door, &wrongs).await);
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
    assert_eq!(traces(&app).await, before);
    for (method, door) in doors(&endpoint) {
        let fine = app.call(method, &door.path, Some(&door.body)).await;
        assert!((200..300).contains(&fine.status), "{method} {}: {}", door.path, fine.body);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_json_no_object_or_too_long_is_refused() {
    let (app, _, endpoint) = start().await;
    let before = traces(&app).await;
    for (method, door) in doors(&endpoint) {
        for body in ["{", "nonsense", "{} {}", r#"{"a":1,}"#, r#"{"url":"\ud800"}"#] {
            app.send(method, &door.path, body).await.expect_problem(400, "malformed_json");
        }
        for body in [json!([]), json!("x"), json!(5), json!(null), json!(true)] {
            app.call(method, &door.path, Some(&body)).await.expect_problem(422, "validation_failed");
        }
        for (name, value) in door.body.as_object().expect("an object") {
            let twice = door.body.to_string().replacen('{', &format!("{{{}:{value},", json!(name)), 1);
            let answer = app.send(method, &door.path, twice).await;
            answer.expect_problem(422, "validation_failed");
            assert_eq!(answer.pointers(), [format!("/{name}")]);
        }
        app.send(method, &door.path, format!("{}{}", door.body, " ".repeat(65_536))).await.expect_problem(413, "body_too_large");
    }
    assert_eq!(traces(&app).await, before);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_parameter_and_path_is_named() {
    let (app, _, endpoint) = start().await;
    let of = |name: &'static str, values: &[&str]| values.iter().map(|value| (name, (*value).to_owned())).collect::<Vec<_>>();
    let id = "0".repeat(32);
    let limits = of("limit", &["", "0", "101", "-1", "1.5", "ten", "9999999999999999999999", "%00"]);
    let surprise = of("surprise", &["1"]);
    let cursors = |own: &str| of("starting_after", &["", "x", own, "%00", &id, &format!("dep_{id}"), &format!("{own}{id}0")]);
    let endpoints = of("endpoint", &["", "x", "whe_", "%00", &format!("whd_{id}")]);
    let statuses = of("status", &["", "lost", "pending,", ",", "Pending", "%00"]);
    let types = of("type", &["", "payout", "payout.payed", "payout.*,", "*.*", "%00"]);
    let mut complaints = Vec::new();
    for (path, wrongs) in [
        ("/v1/webhook_endpoints", [limits.clone(), cursors("whe_"), surprise.clone()].concat()),
        ("/v1/webhook_deliveries", [limits.clone(), cursors("whd_"), endpoints, statuses, surprise.clone()].concat()),
        ("/v1/events", [limits, cursors("evt_"), types, surprise].concat()),
    ] {
        complaints.extend(refused_queries(&app, path, &wrongs).await);
        let twice = app.get(&format!("{path}?limit=1&limit=2")).await;
        twice.expect_problem(422, "validation_failed");
        assert_eq!(twice.pointers(), ["limit"]);
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
    for id in ["nothing", "%00", "%FF", "a%2Fb", &format!("whe_{id}"), &format!("whd_{id}"), &endpoint.id.replace("whe_", "whd_")] {
        for (method, path) in [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/rotate_secret"), ("POST", "/test")] {
            let path = format!("/v1/webhook_endpoints/{id}{path}");
            app.call(method, &path, Some(&json!({}))).await.expect_problem(404, "not_found");
        }
        let replay = app.post(&format!("/v1/webhook_endpoints/{id}/replay"), &json!({ "only": "failed" })).await;
        replay.expect_problem(404, "not_found");
        app.get(&format!("/v1/webhook_deliveries/{id}")).await.expect_problem(404, "not_found");
        app.post(&format!("/v1/webhook_deliveries/{id}/resend"), &json!({})).await.expect_problem(404, "not_found");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_body_is_it_is_no_mistake_of_ours() {
    let (app, _, endpoint) = start().await;
    let handle = tokio::runtime::Handle::current();
    for (method, door) in doors(&endpoint) {
        let mut runner = TestRunner::new(Config { cases: 64, failure_persistence: None, ..Config::default() });
        let tried = tokio::task::block_in_place(|| {
            runner.run(&any_body(door), |(path, body): (String, Value)| {
                let answer = handle.block_on(app.call(method, &path, Some(&body)));
                prop_assert!(answer.status < 500, "{} {}", answer.status, answer.body);
                prop_assert!(answer.status < 400 || answer.no_problem(answer.status, answer.text("code")).is_none(), "{answer:?}");
                Ok(())
            })
        });
        tried.expect("an answer to every body");
    }
    app.finish().await;
}
