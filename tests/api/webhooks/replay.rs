//! Telling again what was told, or was not.

use std::time::Duration;

use serde_json::json;

use super::receiver::{Endpoint, Receiver};
use super::{paid, start};

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_since_a_time_tells_everything_since_then_had_or_not() {
    let (app, receiver, endpoint) = start().await;
    paid(&app, "p-1").await;
    app.advance(Duration::from_secs(3600));
    let since = app.clock.now().format(&time::format_description::well_known::Rfc3339).expect("a time");
    paid(&app, "p-2").await;
    assert_eq!(app.deliver().await, 6);
    let replay = app.post(&format!("{}/replay", endpoint.path()), &json!({ "since": since })).await;
    assert_eq!((replay.status, &replay.body["deliveries"]), (202, &json!(3)), "{}", replay.body);
    assert_eq!(app.deliver().await, 3);
    assert_eq!(receiver.steps()[6..], [1, 2, 3].map(|number| ("p-2".to_owned(), number)));
    let seen = receiver.seen();
    let ids: Vec<&String> = seen.iter().filter(|seen| seen.step().0 == "p-2").map(|seen| &seen.id).collect();
    assert_eq!(ids[..3], ids[3..], "under the same ids");
    let failed = app.post(&format!("{}/replay", endpoint.path()), &json!({ "only": "failed", "since": since })).await;
    assert_eq!(failed.body["deliveries"], 0);
    // Who comes later hears of the past when he asks for it, as far as he wants it.
    let late = Receiver::start().await;
    let second = Endpoint::at(&app, &late.url, &["payout.succeeded"]).await;
    assert_eq!(app.deliver().await, 0);
    let replay = app.post(&format!("{}/replay", second.path()), &json!({ "since": "2026-01-01T00:00:00Z" })).await;
    assert_eq!(replay.body["deliveries"], 2);
    assert_eq!(app.deliver().await, 2);
    let mut steps = late.steps();
    steps.sort();
    assert_eq!(steps, [("p-1".to_owned(), 3), ("p-2".to_owned(), 3)]);
    assert_eq!(receiver.seen().len(), 9, "the other endpoint is not told again");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_sent_again_by_hand_though_the_endpoint_has_it() {
    let (app, receiver, endpoint) = start().await;
    paid(&app, "p-1").await;
    app.deliver().await;
    let second = endpoint.deliveries(&app).await[1].clone();
    let path = format!("/v1/webhook_deliveries/{}", second["id"].as_str().expect("an id"));
    assert_eq!(app.get(&path).await.body, second);
    let again = app.post(&format!("{path}/resend"), &json!({})).await;
    assert_eq!((again.status, again.text("status")), (202, "pending"));
    assert_eq!(app.post(&format!("{path}/resend"), &json!({})).await.status, 202, "twice is once");
    assert_eq!(app.deliver().await, 1);
    assert_eq!(receiver.seen()[3].id, second["event"]);
    let tries = app.get(&path).await.body["attempts"].as_array().map(Vec::len);
    assert_eq!(tries, Some(2));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_for_a_replay_says_what() {
    let (app, _, endpoint) = start().await;
    for (wish, pointer) in [
        (json!({}), ""),
        (json!({ "only": "delivered" }), "/only"),
        (json!({ "since": "yesterday" }), "/since"),
        (json!({ "since": "2026-01-01T00:00:00Z", "until": "x" }), "/until"),
    ] {
        let refused = app.post(&format!("{}/replay", endpoint.path()), &wish).await;
        assert_eq!((refused.status, refused.pointers()), (422, vec![pointer]), "{wish}");
    }
    app.finish().await;
}
