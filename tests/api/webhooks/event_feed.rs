//! `/v1/events`: the same as the webhooks, in an order in which nothing is skipped.

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tillgate::flows::tenant::Scope;
use uuid::Uuid;

use super::{asked, paid, start};
use crate::harness::TestApp;

/// All that was written so far can be read: no older transaction is open on the server, which other tests use, too.
pub async fn come_to_light(app: &TestApp) {
    let mut database = app.database().await;
    for _ in 0..100_000 {
        let query = "SELECT coalesce(max(xid) < pg_snapshot_xmin(pg_current_snapshot()), true) FROM events";
        if sqlx::query_scalar::<_, bool>(query).fetch_one(&mut database).await.expect("an answer") {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("a transaction is open for ever");
}

pub async fn page(app: &TestApp, query: &str) -> Vec<Value> {
    let page = app.get(&format!("/v1/events?{query}")).await;
    assert_eq!(page.status, 200, "{}", page.body);
    page.body["data"].as_array().expect("a list").clone()
}

pub fn ids(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["id"].as_str().expect("an id")).collect()
}

/// A transaction that has written an event of this id, and is still open.
async fn open_transaction(app: &TestApp, id: u128) -> PgConnection {
    let mut connection = PgConnection::connect(&app.database).await.expect("a connection");
    sqlx::raw_sql("BEGIN").execute(&mut connection).await.expect("a transaction");
    sqlx::query(
        "INSERT INTO events (merchant_id, event_id, event_type, body, created_at)
         SELECT merchant_id, $1, 'link.expired', '{\"type\":\"link.expired\"}', now() FROM merchants",
    )
    .bind(Uuid::from_u128(id))
    .execute(&mut connection)
    .await
    .expect("an event");
    connection
}

async fn commit(mut connection: PgConnection) {
    sqlx::raw_sql("COMMIT").execute(&mut connection).await.expect("a commit");
    connection.close().await.expect("the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_committed_late_is_not_skipped() {
    let app = TestApp::start().await;
    let (first, second) = (open_transaction(&app, 1).await, open_transaction(&app, 2).await);
    commit(second).await;
    // A reader who goes by ids (times are no better) has read up to the second one, and never sees the first.
    let mut database = app.database().await;
    let by_id = "SELECT event_id FROM events WHERE event_id > $1 ORDER BY event_id";
    let plain = |after: u128| sqlx::query_scalar::<_, Uuid>(by_id).bind(Uuid::from_u128(after));
    let read = plain(0).fetch_all(&mut database).await.expect("ids");
    assert_eq!(read, [Uuid::from_u128(2)]);
    // Ours says nothing of the second while the first may still come before it.
    assert_eq!(page(&app, "").await, Vec::<Value>::new());
    commit(first).await;
    let lost = plain(2).fetch_all(&mut database).await.expect("ids");
    assert_eq!(lost, Vec::<Uuid>::new(), "the plain cursor has lost the first one");
    come_to_light(&app).await;
    let all = page(&app, "").await;
    assert_eq!(ids(&all), [format!("evt_{:032x}", 1), format!("evt_{:032x}", 2)]);
    let rest = page(&app, &format!("starting_after={}", ids(&all)[0])).await;
    assert_eq!(ids(&rest), [format!("evt_{:032x}", 2)]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_commits_does_not_matter_either_way() {
    let app = TestApp::start().await;
    // The ids are against the order of the transactions: a reader that has seen id 2 goes on to id 1.
    let (first, second) = (open_transaction(&app, 2).await, open_transaction(&app, 1).await);
    commit(first).await;
    let before = page(&app, "").await;
    let after = ids(&before).last().map(|id| format!("starting_after={id}")).unwrap_or_default();
    commit(second).await;
    come_to_light(&app).await;
    let rest = page(&app, &after).await;
    let read: Vec<&str> = ids(&before).into_iter().chain(ids(&rest)).collect();
    assert_eq!(read, [format!("evt_{:032x}", 2), format!("evt_{:032x}", 1)]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_says_what_the_webhooks_say() {
    let (app, receiver, _) = start().await;
    let wish = json!({ "trade_id": "p-1", "provider": "fomo", "coin": "usdt", "amount": "12.5",
        "destination": { "type": "fomo_user", "user_id": "42" }, "metadata": { "n": 12345678901234567890_u64, "text": "ä\"\\" } });
    assert_eq!(app.post("/v1/payouts", &wish).await.status, 201);
    app.submit().await;
    app.deliver().await;
    come_to_light(&app).await;
    let (all, seen) = (page(&app, "limit=100").await, receiver.seen());
    assert_eq!((all.len(), seen.len()), (3, 3));
    for (event, seen) in all.iter().zip(&seen) {
        assert_eq!(event["id"], seen.id);
        let mut body = event.clone();
        body.as_object_mut().expect("an object").remove("id");
        assert_eq!(body, seen.json());
    }
    let text = app.http.get(format!("{}/v1/events", app.api)).bearer_auth(app.key.expose_secret()).send().await.expect("an answer");
    let text = text.text().await.expect("a body");
    for seen in seen {
        let body = String::from_utf8(seen.body).expect("text");
        assert!(text.contains(&body[1..]), "number by number the same");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
pub async fn pages_and_filters_go_on_from_the_last_one_read() {
    let (app, _, endpoint) = start().await;
    for number in 0..3 {
        paid(&app, &format!("p-{number}")).await;
    }
    assert_eq!(app.post(&format!("{}/test", endpoint.path()), &json!({})).await.status, 202);
    come_to_light(&app).await;
    let all = page(&app, "limit=100").await;
    assert_eq!(all.len(), 9, "tests of an endpoint are no news");
    let (mut read, mut after) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("/v1/events?limit=2{after}")).await;
        read.extend(page.body["data"].as_array().expect("a list").clone());
        assert_eq!(page.body["has_more"], !page.body["next_cursor"].is_null());
        if page.body["has_more"] == false {
            break;
        }
        after = format!("&starting_after={}", page.text("next_cursor"));
    }
    assert_eq!(read, all);
    let last = ids(&all)[8].to_owned();
    assert_eq!(page(&app, &format!("starting_after={last}")).await, Vec::<Value>::new());
    for (wanted, number) in [("payout.*", 9), ("*", 9), ("deposit.*", 0), ("payout.queued", 3), ("payout.queued,payout.succeeded", 6)] {
        assert_eq!(page(&app, &format!("limit=100&type={wanted}")).await.len(), number, "{wanted}");
    }
    for (query, pointer) in [
        ("type=payout", "type"),
        ("type=", "type"),
        ("limit=0", "limit"),
        ("starting_after=evt_1", "starting_after"),
        ("ending_before=x", "ending_before"),
    ] {
        let refused = app.get(&format!("/v1/events?{query}")).await;
        assert_eq!((refused.status, refused.pointers()), (422, vec![pointer]), "{query}");
    }
    let unknown = format!("evt_{:032x}", 5);
    app.get(&format!("/v1/events?starting_after={unknown}")).await.expect_problem(422, "event_unknown");
    let rival = app.other_merchant(&[Scope::OrdersRead]).await;
    let theirs = app.call_as(rival.expose_secret(), "GET", "/v1/events", None).await;
    assert_eq!(theirs.body["data"], json!([]));
    let cursor = format!("/v1/events?starting_after={last}");
    app.call_as(rival.expose_secret(), "GET", &cursor, None).await.expect_problem(422, "event_unknown");
    asked(&app, "p-9").await;
    come_to_light(&app).await;
    assert_eq!(page(&app, &format!("starting_after={last}")).await.len(), 1);
    app.finish().await;
}
