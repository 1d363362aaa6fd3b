//! Making, changing and removing endpoints, and their secrets.

use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tillgate::flows::tenant::Scope;

use super::receiver::{Endpoint, Receiver, Reply};
use super::{asked, paid, pass, start};
use crate::harness::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_shown_once_and_kept_sealed() {
    let app = TestApp::start().await;
    let made = app.post("/v1/webhook_endpoints", &json!({ "url": "https://shop.example/hook" })).await;
    assert_eq!((made.status, made.header("cache-control")), (201, "no-store"), "{}", made.body);
    let secret = made.text("secret").to_owned();
    assert!(secret.starts_with("whsec_") && secret.len() == 50, "32 random bytes in base64");
    assert_eq!((made.text("object"), made.text("status"), &made.body["events"]), ("webhook_endpoint", "enabled", &json!(["*"])));
    let path = format!("/v1/webhook_endpoints/{}", made.text("id"));
    let mut shown = made.body.clone();
    shown.as_object_mut().expect("an object").remove("secret");
    assert_eq!(app.get(&path).await.body, shown);
    assert_eq!(app.get("/v1/webhook_endpoints").await.body["data"], json!([shown]));
    let row: String = sqlx::query_scalar("SELECT encode(sealed, 'escape') FROM webhook_secrets")
        .fetch_one(&mut app.database().await)
        .await
        .expect("a secret");
    assert!(!row.contains(&secret[6..20]));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_endpoint_is_refused_by_its_field() {
    let app = TestApp::start().await;
    let url = "https://shop.example/hook";
    for (wish, pointer) in [
        (json!({}), "/url"),
        (json!({ "url": 5 }), "/url"),
        (json!({ "url": "shop.example" }), "/url"),
        (json!({ "url": "ftp://shop.example/" }), "/url"),
        (json!({ "url": "https://user:pw@shop.example/" }), "/url"),
        (json!({ "url": "https://10.0.0.1/" }), "/url"),
        (json!({ "url": "https://169.254.169.254/latest/meta-data" }), "/url"),
        (json!({ "url": "https://[::ffff:10.0.0.1]/" }), "/url"),
        (json!({ "url": "http://93.184.216.34/" }), "/url"),
        (json!({ "url": format!("https://shop.example/{}", "x".repeat(2048)) }), "/url"),
        (json!({ "url": url, "events": [] }), "/events"),
        (json!({ "url": url, "events": "*" }), "/events"),
        (json!({ "url": url, "events": ["payout.payed"] }), "/events"),
        (json!({ "url": url, "secret": "whsec_x" }), "/secret"),
    ] {
        let refused = app.post("/v1/webhook_endpoints", &wish).await;
        refused.expect_problem(422, "validation_failed");
        assert_eq!(refused.pointers(), [pointer], "{wish}");
    }
    assert_eq!(app.count("webhook_endpoints").await, 0);
    let strict = TestApp::start_with(&[("TILLGATE__WEBHOOKS__ALLOWED_NETWORKS", "")], &json!({})).await;
    for url in ["http://127.0.0.1:9/", "https://127.0.0.1/", "https://localhost/"] {
        let refused = strict.post("/v1/webhook_endpoints", &json!({ "url": url })).await;
        assert_eq!((refused.status, refused.pointers()), (422, vec!["/url"]), "{url}");
    }
    strict.finish().await;
    let made = Endpoint::at(&app, url, &["*"]).await;
    for (change, pointer) in [
        (json!({ "url": "https://10.0.0.1/" }), "/url"),
        (json!({ "events": ["x"] }), "/events"),
        (json!({ "status": "failing" }), "/status"),
        (json!({ "state": "paused" }), "/state"),
    ] {
        let refused = app.call("PATCH", &made.path(), Some(&change)).await;
        assert_eq!((refused.status, refused.pointers()), (422, vec![pointer]), "{change}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_hears_of_what_it_wants() {
    let (app, everything, _) = start().await;
    let some = Receiver::start().await;
    let endpoint = Endpoint::at(&app, &some.url, &["payout.succeeded", "deposit.*", "payout.succeeded"]).await;
    assert_eq!(app.get(&endpoint.path()).await.body["events"], json!(["deposit.*", "payout.succeeded"]));
    paid(&app, "p-1").await;
    assert_eq!(app.deliver().await, 4);
    assert_eq!((everything.seen().len(), some.kinds()), (3, vec!["payout.succeeded".to_owned()]));
    assert_eq!(app.deposit("d-1").await.status, 201);
    let changed = app.call("PATCH", &endpoint.path(), Some(&json!({ "events": ["payout.queued"] }))).await;
    assert_eq!((changed.status, &changed.body["events"]), (200, &json!(["payout.queued"])));
    asked(&app, "p-2").await;
    app.deliver().await;
    // Orders do not wait for each other.
    let mut kinds = some.kinds();
    kinds.sort();
    assert_eq!(kinds, ["deposit.awaiting_payment", "deposit.created", "payout.queued", "payout.succeeded"]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_writes_an_event_tells_the_endpoints() {
    let (app, receiver, _) = start().await;
    let discrepancy = app.discrepancy("d-1").await;
    let resolved = app.post(&format!("/v1/discrepancies/{discrepancy}/resolve"), &json!({ "reason": "a test" })).await;
    assert_eq!(resolved.status, 200);
    paid(&app, "p-1").await;
    app.deliver().await;
    let kinds = receiver.kinds();
    for kind in ["discrepancy.opened", "discrepancy.resolved", "deposit.created", "payout.succeeded"] {
        assert!(kinds.iter().any(|found| found == kind), "{kind} in {kinds:?}");
    }
    assert_eq!(i64::try_from(kinds.len()).ok(), Some(app.count("events").await));
    // Two parts of one statement that write events, as the one that records reports has.
    let two = "WITH a AS (INSERT INTO events (merchant_id, event_id, event_type, body, created_at)
                          SELECT merchant_id, gen_random_uuid(), 'link.expired', '{}', now() FROM merchants)
               INSERT INTO events (merchant_id, event_id, event_type, body, created_at)
               SELECT merchant_id, gen_random_uuid(), 'receipt.unmatched', '{}', now() FROM merchants";
    sqlx::query(two).execute(&mut app.database().await).await.expect("two events");
    assert_eq!(app.count("webhook_queue").await, 2);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_secrets_sign_while_they_are_exchanged_in_the_middle_of_retries() {
    let (app, receiver, endpoint) = start().await;
    receiver.replies(&[Reply::Status(500), Reply::Status(500), Reply::Status(200)]);
    asked(&app, "p-1").await;
    app.deliver().await;
    let rotated = app.post(&format!("{}/rotate_secret", endpoint.path()), &json!({ "overlap": 30 })).await;
    assert_eq!((rotated.status, rotated.header("cache-control")), (200, "no-store"), "{}", rotated.body);
    let new = rotated.text("secret").to_owned();
    assert_ne!(new, endpoint.secret);
    pass(&app, Duration::from_secs(5)).await;
    app.deliver().await;
    pass(&app, Duration::from_secs(60)).await;
    app.deliver().await;
    let signed: Vec<(bool, bool, usize)> = receiver
        .seen()
        .iter()
        .map(|seen| (seen.is_signed_by(&endpoint.secret), seen.is_signed_by(&new), seen.signature.split(' ').count()))
        .collect();
    assert_eq!(signed, [(true, false, 1), (true, true, 2), (false, true, 1)]);
    // Without an overlap the old one is dead at once.
    let now = app.post(&format!("{}/rotate_secret", endpoint.path()), &json!({ "overlap": 0 })).await;
    assert_eq!(app.post(&format!("{}/test", endpoint.path()), &json!({})).await.status, 202);
    app.deliver().await;
    let last = receiver.seen().pop().expect("a test");
    assert!(last.is_signed_by(now.text("secret")) && !last.is_signed_by(&new));
    assert_eq!((last.kind().as_str(), app.count("webhook_secrets").await), ("webhook_endpoint.test", 1));
    for _ in 0..3 {
        assert_eq!(app.post(&format!("{}/rotate_secret", endpoint.path()), &json!({})).await.status, 200);
    }
    app.post(&format!("{}/rotate_secret", endpoint.path()), &json!({})).await.expect_problem(409, "too_many_secrets");
    let refused = app.post(&format!("{}/rotate_secret", endpoint.path()), &json!({ "overlap": 700_000 })).await;
    assert_eq!((refused.status, refused.pointers()), (422, vec!["/overlap"]));
    assert_eq!(app.count("webhook_secrets WHERE ends_at IS NULL").await, 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_endpoint_is_told_nothing_and_its_history_stays() {
    let (app, receiver, endpoint) = start().await;
    paid(&app, "p-1").await;
    app.deliver().await;
    receiver.replies(&[Reply::Status(500)]);
    paid(&app, "p-2").await;
    app.deliver().await;
    assert_eq!(app.call("DELETE", &endpoint.path(), None).await.status, 204);
    for (method, path) in [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/test"), ("POST", "/rotate_secret")] {
        let answer = app.call(method, &format!("{}{path}", endpoint.path()), Some(&json!({}))).await;
        answer.expect_problem(404, "not_found");
    }
    assert_eq!(app.get("/v1/webhook_endpoints").await.body["data"], json!([]));
    app.advance(Duration::from_hours(1));
    asked(&app, "p-3").await;
    assert_eq!(app.deliver().await, 0);
    let mut states = endpoint.states(&app).await;
    states.dedup();
    assert_eq!((states, app.count("webhook_secrets").await), (vec!["delivered".to_owned(), "canceled".to_owned()], 0));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anothers_endpoints_and_deliveries_are_not_there() {
    let (app, receiver, endpoint) = start().await;
    asked(&app, "p-1").await;
    app.deliver().await;
    let rival = app.other_merchant(&[Scope::Admin]).await;
    let delivery = format!("/v1/webhook_deliveries/{}", endpoint.deliveries(&app).await[0]["id"].as_str().expect("an id"));
    for (method, path, body) in [
        ("GET", endpoint.path(), json!({})),
        ("PATCH", endpoint.path(), json!({ "status": "disabled" })),
        ("DELETE", endpoint.path(), json!({})),
        ("POST", format!("{}/rotate_secret", endpoint.path()), json!({})),
        ("POST", format!("{}/test", endpoint.path()), json!({})),
        ("POST", format!("{}/replay", endpoint.path()), json!({ "only": "failed" })),
        ("GET", delivery.clone(), json!({})),
        ("POST", format!("{delivery}/resend"), json!({})),
    ] {
        app.call_as(rival.expose_secret(), method, &path, Some(&body)).await.expect_problem(404, "not_found");
    }
    for path in ["/v1/webhook_endpoints".to_owned(), format!("/v1/webhook_deliveries?endpoint={}", endpoint.id)] {
        assert_eq!(app.call_as(rival.expose_secret(), "GET", &path, None).await.body["data"], json!([]), "{path}");
    }
    // The rival's own endpoint hears of the rival's orders only.
    let theirs = Receiver::start().await;
    let made = app.call_as(rival.expose_secret(), "POST", "/v1/webhook_endpoints", Some(&json!({ "url": theirs.url }))).await;
    assert_eq!(made.status, 201);
    asked(&app, "p-2").await;
    app.deliver().await;
    assert_eq!((theirs.seen().len(), receiver.seen().len()), (0, 2));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_have_pages_filters_and_an_end() {
    let (app, receiver, endpoint) = start().await;
    let second = Endpoint::at(&app, "https://shop.example/", &["deposit.*"]).await;
    receiver.behave(|seen| Reply::Status(if seen.step().0 == "p-2" { 500 } else { 200 }));
    for trade_id in ["p-1", "p-2", "p-3"] {
        asked(&app, trade_id).await;
        app.advance(Duration::from_millis(1));
    }
    app.deliver().await;
    let trades = |page: &Value| {
        let all = page["data"].as_array().expect("a list").iter();
        all.map(|one| one["trade_id"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>().join(" ")
    };
    for (query, expected) in [
        (String::new(), "p-3 p-2 p-1"),
        ("status=pending".to_owned(), "p-2"),
        ("status=delivered,exhausted".to_owned(), "p-3 p-1"),
        (format!("endpoint={}", endpoint.id), "p-3 p-2 p-1"),
        (format!("endpoint={}", second.id), ""),
        ("limit=1".to_owned(), "p-3"),
    ] {
        let page = app.get(&format!("/v1/webhook_deliveries?{query}")).await;
        assert_eq!((page.status, trades(&page.body).as_str()), (200, expected), "{query}");
        assert_eq!(page.body["has_more"], query == "limit=1");
    }
    let first = app.get("/v1/webhook_deliveries?limit=1").await;
    let rest = app.get(&format!("/v1/webhook_deliveries?starting_after={}", first.text("next_cursor"))).await;
    assert_eq!(trades(&rest.body), "p-2 p-1");
    let endpoints = app.get("/v1/webhook_endpoints?limit=1").await;
    assert_eq!((endpoints.body["data"][0]["id"].as_str(), endpoints.body["has_more"].as_bool()), (Some(second.id.as_str()), Some(true)));
    let rest = app.get(&format!("/v1/webhook_endpoints?starting_after={}", second.id)).await;
    assert_eq!(rest.body["data"][0]["id"], endpoint.id);
    for query in ["status=lost", "endpoint=x", "limit=101", "starting_after=whe_1", "order=x"] {
        assert_eq!(app.get(&format!("/v1/webhook_deliveries?{query}")).await.status, 422, "{query}");
    }
    for _ in 0..48 {
        Endpoint::at(&app, "https://shop.example/", &["*"]).await;
    }
    app.post("/v1/webhook_endpoints", &json!({ "url": "https://shop.example/" })).await.expect_problem(409, "too_many_endpoints");
    app.finish().await;
}
