//! What backends do with a delivery, and what follows from it.

use std::time::Duration;

use serde_json::{Value, json};

use super::receiver::{Endpoint, Receiver, Reply};
use super::{asked, gateway, paid, pass, start};
use crate::harness::{START, TestApp, free_port};

/// The gaps of `timing.webhook_schedule`, in seconds.
const GAPS: [u64; 9] = [5, 60, 300, 1800, 7200, 18_000, 36_000, 36_000, 86_400];

fn raw(head: &str, body: &[u8]) -> Reply {
    let head = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", body.len());
    Reply::Raw([head.as_bytes(), body].concat())
}

/// The tries of an endpoint's only delivery.
async fn tries(app: &TestApp, endpoint: &Endpoint) -> Vec<Value> {
    let all = endpoint.deliveries(app).await;
    assert_eq!(all.len(), 1, "{all:?}");
    all[0]["attempts"].as_array().expect("tries").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_told_once_in_order_signed_and_to_the_byte() {
    let (app, receiver, endpoint) = start().await;
    paid(&app, "p-1").await;
    assert_eq!(app.deliver().await, 3);
    assert_eq!(receiver.kinds(), ["payout.queued", "payout.processing", "payout.succeeded"]);
    assert_eq!(receiver.steps(), [("p-1".to_owned(), 1), ("p-1".to_owned(), 2), ("p-1".to_owned(), 3)]);
    for seen in receiver.seen() {
        assert!(seen.is_signed_by(&endpoint.secret) && seen.timestamp == START, "{seen:?}");
        assert_eq!(seen.signature.split(' ').count(), 1);
        let stored: String = sqlx::query_scalar("SELECT body::text FROM events WHERE 'evt_' || replace(event_id::text, '-', '') = $1")
            .bind(&seen.id)
            .fetch_one(&mut app.database().await)
            .await
            .expect("the event");
        assert_eq!(stored.as_bytes(), seen.body);
    }
    assert_eq!(app.deliver().await, 0, "nothing is told twice");
    assert_eq!(endpoint.states(&app).await, ["delivered"; 3]);
    let timeline = app.get("/v1/orders/p-1/timeline").await.body;
    let told: Vec<&Value> = timeline["entries"].as_array().expect("entries").iter().filter(|entry| entry["type"] == "delivery").collect();
    assert_eq!(told.len(), 3);
    assert_eq!(told[0]["summary"], "payout.queued: delivered");
    assert_eq!(told[2]["evidence"]["attempts"][0]["status"], 200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_backend_does_the_event_is_told_until_it_has_it() {
    let app = gateway().await;
    let elsewhere = Receiver::start().await;
    let redirect = format!("307 Temporary Redirect\r\nlocation: {}", elsewhere.url);
    let huge = vec![b'x'; 10 * 1024 * 1024];
    let failures = [
        ("500", Reply::Status(500), Some(500), ""),
        ("404", Reply::Status(404), Some(404), ""),
        ("a redirect", raw(&redirect, b""), Some(307), ""),
        ("10 MB of error", raw("500 Broken", &huge), Some(500), ""),
        ("closes early", Reply::Close, None, "closed"),
        ("no HTTP", Reply::Raw(b"hello, this is no HTTP at all\r\n\r\n".to_vec()), None, "HTTP"),
        ("never answers", Reply::Hang, None, "no answer"),
        ("half an answer's head", Reply::Raw(b"HTTP/1.1 200 O".to_vec()), None, ""),
    ];
    let mut all = Vec::new();
    for (name, reply, status, words) in failures {
        let receiver = Receiver::start().await;
        receiver.replies(&[reply, Reply::Status(200)]);
        let endpoint = Endpoint::at(&app, &receiver.url, &["*"]).await;
        all.push((name, receiver, endpoint, status, words));
    }
    asked(&app, "p-1").await;
    assert_eq!(app.deliver().await, 8);
    for (name, receiver, endpoint, status, words) in &all {
        let tries = tries(&app, endpoint).await;
        assert_eq!((tries.len(), tries[0]["status"].as_u64()), (1, *status), "{name}: {tries:?}");
        assert!(tries[0]["failure"].as_str().unwrap_or_default().contains(words), "{name}: {tries:?}");
        assert_eq!(tries[0]["failure"].is_null(), status.is_some(), "{name}: {tries:?}");
        assert!(tries[0]["answer"].as_str().is_none_or(|answer| answer.len() <= 1024), "{name}");
        assert_eq!((receiver.seen().len(), endpoint.states(&app).await), (1, vec!["pending".to_owned()]), "{name}");
    }
    app.advance(Duration::from_millis(4999));
    assert_eq!(app.deliver().await, 0, "not before the schedule says so");
    pass(&app, Duration::from_secs(5)).await;
    assert_eq!(app.deliver().await, 8);
    for (name, receiver, endpoint, ..) in &all {
        let seen = receiver.seen();
        assert_eq!(endpoint.states(&app).await, ["delivered"], "{name}");
        assert!(seen.len() == 2 && seen[0].id == seen[1].id && seen[0].body == seen[1].body, "{name}");
        assert!(seen[1].is_signed_by(&endpoint.secret) && seen[1].timestamp > seen[0].timestamp, "{name}");
    }
    assert_eq!(elsewhere.seen().len(), 0, "redirects are not followed");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answers_status_counts_however_its_body_ends() {
    let app = gateway().await;
    let huge = vec![b'y'; 10 * 1024 * 1024];
    let half = Reply::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhal".to_vec());
    for (reply, begins) in [(raw("202 Fine", &huge), "y".repeat(1024)), (half, "hal".to_owned()), (raw("204 X", b""), String::new())] {
        let receiver = Receiver::start().await;
        receiver.replies(&[reply]);
        let endpoint = Endpoint::at(&app, &receiver.url, &["*"]).await;
        endpoint_gets_a_test(&app, &endpoint).await;
        let tries = tries(&app, &endpoint).await;
        assert_eq!((tries.len(), &tries[0]["answer"]), (1, &json!(begins)));
        assert_eq!(endpoint.states(&app).await, ["delivered"]);
    }
    app.finish().await;
}

async fn endpoint_gets_a_test(app: &TestApp, endpoint: &Endpoint) {
    assert_eq!(app.post(&format!("{}/test", endpoint.path()), &json!({})).await.status, 202);
    assert_eq!(app.deliver().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_last_try_a_delivery_is_exhausted_and_can_be_sent_again_by_hand() {
    let app = gateway().await;
    let receiver = Receiver::start().await;
    let down = format!("http://127.0.0.1:{}/", free_port());
    let endpoint = Endpoint::at(&app, &down, &["*"]).await;
    asked(&app, "p-1").await;
    for (number, gap) in GAPS.into_iter().enumerate() {
        assert_eq!(app.deliver().await, 1, "try {number}");
        let expected = if number < 4 { "enabled" } else { "failing" };
        assert_eq!(endpoint.status(&app).await, expected, "after {} failures", number + 1);
        let delivery = &endpoint.deliveries(&app).await[0];
        assert!(delivery["next_attempt_at"].is_string() && delivery["finished_at"].is_null(), "{delivery}");
        app.advance(Duration::from_secs(gap) - Duration::from_millis(1));
        assert_eq!(app.deliver().await, 0, "not before the gap is over");
        app.advance(Duration::from_millis(1) + Duration::from_secs(gap) / 10);
    }
    assert_eq!(app.deliver().await, 1);
    app.advance(Duration::from_hours(100));
    assert_eq!(app.deliver().await, 0);
    let exhausted = &app.get("/v1/webhook_deliveries?status=exhausted,canceled").await.body["data"][0];
    assert_eq!((exhausted["attempts"].as_array().map(Vec::len), &exhausted["next_attempt_at"]), (Some(10), &Value::Null));
    let stands = app.get(&endpoint.path()).await;
    assert!(stands.text("reason").contains("no connection") && stands.body["consecutive_failures"] == 10, "{}", stands.body);
    // The merchant moves, and asks for it.
    let moved = app.call("PATCH", &endpoint.path(), Some(&json!({ "url": receiver.url }))).await;
    assert_eq!((moved.status, moved.text("status")), (200, "failing"));
    let resend = format!("/v1/webhook_deliveries/{}/resend", exhausted["id"].as_str().expect("an id"));
    let again = app.post(&resend, &json!({})).await;
    assert_eq!((again.status, again.text("status")), (202, "pending"), "{}", again.body);
    assert_eq!(app.deliver().await, 1);
    assert_eq!(receiver.seen()[0].id, exhausted["event"]);
    assert_eq!((endpoint.states(&app).await, endpoint.status(&app).await), (vec!["delivered".to_owned()], "enabled".to_owned()));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_gone_is_disabled_and_what_waits_is_canceled() {
    let (app, receiver, endpoint) = start().await;
    receiver.replies(&[Reply::Status(410)]);
    paid(&app, "p-1").await;
    app.deliver().await;
    let stands = app.get(&endpoint.path()).await;
    assert_eq!((stands.text("status"), stands.text("reason")), ("disabled", "it answered 410: it is gone"));
    assert_eq!(endpoint.states(&app).await, ["canceled"; 3]);
    assert_eq!(receiver.seen().len(), 1);
    asked(&app, "p-2").await;
    assert_eq!((app.deliver().await, endpoint.states(&app).await.len()), (0, 3), "it is told nothing any more");
    for path in ["test", "replay"] {
        let body = json!({ "only": "failed" });
        app.post(&format!("{}/{path}", endpoint.path()), &body).await.expect_problem(409, "endpoint_disabled");
    }
    let id = endpoint.deliveries(&app).await[0]["id"].as_str().expect("an id").to_owned();
    app.post(&format!("/v1/webhook_deliveries/{id}/resend"), &json!({})).await.expect_problem(409, "endpoint_disabled");
    receiver.replies(&[Reply::Status(200)]);
    endpoint.set(&app, "enabled").await;
    assert_eq!(app.deliver().await, 0, "nothing comes back by itself");
    let replay = app.post(&format!("{}/replay", endpoint.path()), &json!({ "only": "failed" })).await;
    assert_eq!((replay.status, &replay.body["deliveries"]), (202, &json!(3)));
    assert_eq!(app.deliver().await, 3);
    assert_eq!(receiver.steps()[1..], [1, 2, 3].map(|number| ("p-1".to_owned(), number)));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_patience_is_left_alone() {
    for status in [429, 503] {
        let (app, receiver, endpoint) = start().await;
        let wait = |seconds: u32| raw(&format!("{status} Slowly\r\nretry-after: {seconds}"), b"");
        receiver.replies(&[wait(90), Reply::Status(200)]);
        asked(&app, "p-1").await;
        assert_eq!(app.deliver().await, 1);
        asked(&app, "p-2").await;
        app.advance(Duration::from_secs(89));
        assert_eq!(app.deliver().await, 0, "other orders' events wait, too: it is the backend that has too much");
        app.advance(Duration::from_secs(1));
        assert_eq!(app.deliver().await, 2);
        assert_eq!(endpoint.states(&app).await, ["delivered"; 2]);
        // What it asks for has bounds, and does not shorten the schedule.
        receiver.replies(&[wait(1_000_000), wait(1), Reply::Status(200)]);
        asked(&app, "p-3").await;
        assert_eq!(app.deliver().await, 1);
        app.advance(Duration::from_secs(3600));
        assert_eq!(app.deliver().await, 1);
        app.advance(Duration::from_secs(59));
        assert_eq!(app.deliver().await, 0);
        pass(&app, Duration::from_secs(10)).await;
        assert_eq!(app.deliver().await, 1);
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_sending_and_writing_down_sends_the_same_again() {
    let (app, receiver, endpoint) = start().await;
    receiver.replies(&[Reply::Hang, Reply::Status(200)]);
    asked(&app, "p-1").await;
    tokio::select! {
        _ = app.deliver() => panic!("it waits for the answer"),
        () = receiver.has(1) => {}
    }
    assert_eq!((app.deliver().await, endpoint.states(&app).await), (0, vec!["pending".to_owned()]), "its lease is not over");
    app.advance(Duration::from_secs(30));
    assert_eq!(app.deliver().await, 1);
    let seen = receiver.seen();
    assert!(seen.len() == 2 && seen[0].id == seen[1].id && seen[0].body == seen[1].body);
    assert_eq!(tries(&app, &endpoint).await.len(), 1, "of the first nobody knows what came of it");
    assert_eq!(endpoint.states(&app).await, ["delivered"]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_after_his_lease_writes_nothing() {
    let (app, receiver, endpoint) = start().await;
    let (open, gate) = tokio::sync::watch::channel(false);
    receiver.replies(&[Reply::Gate(gate), Reply::Status(500)]);
    asked(&app, "p-1").await;
    let late = app.replica(Default::default());
    tokio::join!(async { assert_eq!(late.deliver().await, 1) }, async {
        receiver.has(1).await;
        app.advance(Duration::from_secs(30));
        assert_eq!(app.deliver().await, 1, "somebody else takes it over");
        open.send(true).expect("a gate");
    });
    assert_eq!(endpoint.states(&app).await, ["pending"], "the later claim's word counts");
    assert_eq!(tries(&app, &endpoint).await.len(), 1);
    receiver.replies(&[Reply::Status(200)]);
    pass(&app, Duration::from_secs(5)).await;
    assert_eq!(app.deliver().await, 1);
    late.stop().await;
    app.finish().await;
}
