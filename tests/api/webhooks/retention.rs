//! Retention: months of events and deliveries are made before they come, and dropped when they are old and done with.

use serde_json::json;
use sqlx::{Connection, PgConnection, Row};
use tillgate::domain::clock::Clock;
use tillgate::store::events::are_ahead;
use time::OffsetDateTime;
use time::macros::datetime;
use uuid::Uuid;

use super::event_feed::{come_to_light, ids, page};
use super::receiver::{Endpoint, Receiver};
use super::{Duration, asked, paid};
use crate::harness::{TestApp, empty_database, fresh_database, settings};

const THIRTY_DAYS: [(&str, &str); 1] = [("TILLGATE__RETENTION__EVENTS", "30d")];

/// A gateway that keeps events for 30 days, and an endpoint for everything. It is January 2027.
async fn start() -> (TestApp, Receiver, Endpoint) {
    let app = TestApp::start_with(&THIRTY_DAYS, &json!({})).await;
    app.link_ada().await;
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::at(&app, &receiver.url, &["*"]).await;
    (app, receiver, endpoint)
}

fn advance_to(app: &TestApp, time: OffsetDateTime) {
    app.advance(Duration::try_from(time - app.clock.now()).expect("a later time"));
}

/// The months of a table, the oldest first.
async fn months_of(app: &TestApp, table: &str) -> Vec<String> {
    let names: Vec<String> =
        sqlx::query_scalar("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = $1::regclass ORDER BY 1")
            .bind(table)
            .fetch_all(&mut app.database().await)
            .await
            .expect("names");
    names.iter().filter_map(|name| name.strip_prefix(&format!("{table}_"))).filter(|month| *month != "default").map(str::to_owned).collect()
}

async fn has_january(app: &TestApp) -> bool {
    let mut there = Vec::new();
    for table in ["events", "webhook_deliveries", "webhook_attempts"] {
        there.push(months_of(app, table).await.contains(&"2027_01".to_owned()));
    }
    assert!(there.iter().all(|one| *one == there[0]), "all three tables have the same months");
    there[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_goes_when_it_is_old_enough_and_not_a_second_before() {
    let (app, receiver, endpoint) = start().await;
    paid(&app, "p-1").await;
    assert_eq!(app.deliver().await, 3);
    come_to_light(&app).await;
    let old = ids(&page(&app, "").await)[2].to_owned();
    let delivery = format!("/v1/webhook_deliveries/{}", endpoint.deliveries(&app).await[0]["id"].as_str().expect("an id"));
    advance_to(&app, datetime!(2027-02-04 12:00 UTC));
    paid(&app, "p-2").await;
    assert_eq!(app.deliver().await, 3);
    advance_to(&app, datetime!(2027-03-02 23:59:59 UTC));
    assert_eq!(app.retain().await, 4, "March to June are made");
    assert!(has_january(&app).await);
    assert_eq!(page(&app, &format!("starting_after={old}")).await.len(), 3);
    app.advance(Duration::from_secs(1));
    assert_eq!(app.retain().await, 1);
    assert_eq!(months_of(&app, "events").await, ["2027_02", "2027_03", "2027_04", "2027_05", "2027_06"]);
    assert!(!has_january(&app).await);
    assert_eq!((app.count("events").await, app.count("webhook_attempts").await), (3, 3));
    // What is gone is said to be gone, and nothing is skipped in silence.
    app.get(&delivery).await.expect_problem(404, "not_found");
    app.post(&format!("{delivery}/resend"), &json!({})).await.expect_problem(404, "not_found");
    app.get(&format!("/v1/events?starting_after={old}")).await.expect_problem(422, "event_removed");
    let unknown = format!("/v1/events?starting_after=evt_{}", app.clock.new_uuid().simple());
    app.get(&unknown).await.expect_problem(422, "event_unknown");
    assert_eq!(page(&app, "").await.len(), 3);
    let timeline = app.get("/v1/orders/p-1/timeline").await;
    let kinds: Vec<&str> = timeline.body["entries"].as_array().expect("a list").iter().filter_map(|one| one["type"].as_str()).collect();
    assert!(kinds.contains(&"step") && !kinds.contains(&"delivery"), "{kinds:?}");
    let replay = app.post(&format!("{}/replay", endpoint.path()), &json!({ "since": "2026-01-01T00:00:00Z" })).await;
    assert_eq!(replay.body["deliveries"], 3);
    assert_eq!((app.deliver().await, receiver.seen().len()), (3, 9));
    assert_eq!(app.retain().await, 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_to_be_delivered_stays_however_old_it_is() {
    let (app, _, endpoint) = start().await;
    endpoint.set(&app, "paused").await;
    paid(&app, "p-1").await;
    advance_to(&app, datetime!(2028-01-01 00:00 UTC));
    app.retain().await;
    assert!(has_january(&app).await);
    endpoint.set(&app, "enabled").await;
    assert_eq!(app.deliver().await, 3);
    // One that was delivered and is asked for again counts as much.
    let id = endpoint.deliveries(&app).await[1]["id"].as_str().expect("an id").to_owned();
    assert_eq!(app.post(&format!("/v1/webhook_deliveries/{id}/resend"), &json!({})).await.status, 202);
    app.retain().await;
    assert!(has_january(&app).await);
    // Canceled is an end, too.
    endpoint.set(&app, "disabled").await;
    app.retain().await;
    assert!(!has_january(&app).await);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resending_that_comes_first_keeps_the_month() {
    let (app, receiver, _) = start().await;
    paid(&app, "p-1").await;
    app.deliver().await;
    advance_to(&app, datetime!(2027-03-02 23:59:59 UTC));
    assert_eq!(app.retain().await, 4, "March to June are made");
    app.advance(Duration::from_secs(1));
    let mut resending = app.database().await;
    sqlx::raw_sql(
        "BEGIN;
         UPDATE webhook_deliveries SET state = 'pending', finished_at = NULL;
         INSERT INTO webhook_queue (merchant_id, endpoint_id, object_id, place, delivery_id, event_id, due_at)
         SELECT d.merchant_id, d.endpoint_id, d.order_id, e.sequence, d.delivery_id, d.event_id, e.created_at
         FROM webhook_deliveries d JOIN events e USING (merchant_id, event_id)",
    )
    .execute(&mut resending)
    .await
    .expect("an open transaction");
    assert_eq!(app.retain().await, 0, "the tables are in use");
    // It commits while the drop waits for it, or when that has given up.
    let (done, ()) = tokio::join!(app.retain(), async {
        waits_for_a_lock(&app).await;
        sqlx::raw_sql("COMMIT").execute(&mut resending).await.expect("a commit");
    });
    assert_eq!((done, has_january(&app).await), (0, true));
    assert_eq!((app.deliver().await, receiver.seen().len()), (3, 6));
    assert_eq!(app.retain().await, 1);
    assert!(!has_january(&app).await);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resending_that_comes_second_finds_nothing_or_all_of_it() {
    for (end, status, tries) in [("ROLLBACK", 202, 1), ("COMMIT", 404, 0)] {
        let (app, _, endpoint) = start().await;
        paid(&app, "p-1").await;
        app.deliver().await;
        let id = endpoint.deliveries(&app).await[1]["id"].as_str().expect("an id").to_owned();
        let mut dropping = app.database().await;
        sqlx::raw_sql("BEGIN").execute(&mut dropping).await.expect("a transaction");
        let done: String =
            sqlx::query_scalar("SELECT drop_month('2027-01-01', now())").fetch_one(&mut dropping).await.expect("the month can be dropped");
        assert_eq!(done, "dropped");
        let path = format!("/v1/webhook_deliveries/{id}/resend");
        let (resent, ()) = tokio::join!(async { app.post(&path, &json!({})).await }, async {
            waits_for_a_lock(&app).await;
            sqlx::raw_sql(end).execute(&mut dropping).await.expect("an end");
        });
        assert_eq!(resent.status, status, "{}", resent.body);
        assert_eq!((app.count("webhook_queue").await, app.deliver().await), (tries, usize::try_from(tries).expect("a number")));
        app.finish().await;
    }
}

/// Returns when a statement of the test's gateway waits for a table; `false` if none does for long.
async fn waits_for_a_lock(app: &TestApp) -> bool {
    let mut database = app.database().await;
    for _ in 0..10_000 {
        let waiting = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')";
        if sqlx::query_scalar::<_, bool>(waiting).fetch_one(&mut database).await.expect("an answer") {
            return true;
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_at_once_do_what_one_would_do() {
    let (app, ..) = start().await;
    paid(&app, "p-1").await;
    app.deliver().await;
    let other = app.replica_with(&THIRTY_DAYS, tillgate::http::auth::TrustedProxies::default());
    advance_to(&app, datetime!(2027-06-15 00:00 UTC));
    let (one, two) = tokio::join!(app.retain(), other.retain());
    // Who was in the other's way leaves it to the next round.
    let rest = app.retain().await;
    assert_eq!(one + two + rest, 6, "January and February go, June to September are made");
    assert_eq!(months_of(&app, "events").await, ["2027_06", "2027_07", "2027_08", "2027_09"]);
    other.stop().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_without_a_month_is_moved_to_it() {
    let (app, receiver, endpoint) = start().await;
    advance_to(&app, datetime!(2027-08-31 23:59:59 UTC));
    paid(&app, "p-1").await;
    assert_eq!(app.deliver().await, 3);
    app.advance(Duration::from_secs(1));
    endpoint.set(&app, "paused").await;
    paid(&app, "p-2").await;
    // A clock that was wrong for a moment.
    let ahead = "INSERT INTO events (merchant_id, event_id, event_type, body, created_at)
                 SELECT merchant_id, first_id_at('2031-05-05Z'), 'link.expired', '{\"type\":\"link.expired\"}', '2031-05-05Z' FROM merchants";
    sqlx::raw_sql(ahead).execute(&mut app.database().await).await.expect("an event");
    come_to_light(&app).await;
    let before = page(&app, "limit=100").await;
    assert_eq!((before.len(), app.count("events_default").await, app.count("webhook_attempts_default").await), (7, 7, 3));
    app.retain().await;
    assert_eq!(page(&app, "limit=100").await, before);
    let rows = |table: &'static str| app.count(table);
    assert_eq!((rows("events_2027_08").await, rows("events_2027_09").await, rows("events_default").await), (3, 3, 1));
    assert_eq!((rows("webhook_attempts_2027_08").await, rows("webhook_deliveries_2027_09").await), (3, 3));
    // Nothing of it is told twice, and all that waited goes out.
    endpoint.set(&app, "enabled").await;
    assert_eq!((app.deliver().await, receiver.seen().len()), (4, 7));
    advance_to(&app, datetime!(2031-05-20 00:00 UTC));
    app.retain().await;
    assert_eq!((rows("events").await, rows("events_default").await, rows("events_2031_05").await), (1, 0, 1));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_goes_through_the_months_in_its_order() {
    let (app, ..) = start().await;
    for (number, day) in
        [datetime!(2027-01-31 23:59 UTC), datetime!(2027-02-01 00:00 UTC), datetime!(2027-03-01 00:00 UTC)].into_iter().enumerate()
    {
        advance_to(&app, day);
        paid(&app, &format!("p-{number}")).await;
        app.deliver().await;
    }
    come_to_light(&app).await;
    let order = "SELECT 'evt_' || replace(event_id::text, '-', '') FROM events ORDER BY xid, event_id";
    let all: Vec<String> = sqlx::query_scalar(order).fetch_all(&mut app.database().await).await.expect("ids");
    let (mut read, mut after) = (Vec::new(), String::new());
    loop {
        let page = page(&app, &format!("limit=2{after}")).await;
        let Some(last) = page.last() else { break };
        after = format!("&starting_after={}", last["id"].as_str().expect("an id"));
        read.extend(ids(&page).into_iter().map(str::to_owned));
    }
    assert_eq!((read.len(), &read), (9, &all));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_in_a_month_that_stays_is_not_led_past_one_that_went() {
    let (app, _, endpoint) = start().await;
    endpoint.set(&app, "paused").await;
    paid(&app, "p-1").await;
    let wish = json!({ "events": ["deposit.*"] });
    assert_eq!(app.call("PATCH", &endpoint.path(), Some(&wish)).await.status, 200);
    advance_to(&app, datetime!(2027-02-10 00:00 UTC));
    paid(&app, "p-2").await;
    advance_to(&app, datetime!(2027-04-10 00:00 UTC));
    asked(&app, "p-3").await;
    come_to_light(&app).await;
    let last_of_january = ids(&page(&app, "").await)[2].to_owned();
    app.retain().await;
    assert_eq!(months_of(&app, "events").await[..2], ["2027_01", "2027_04"]);
    app.get(&format!("/v1/events?starting_after={last_of_january}")).await.expect_problem(422, "event_removed");
    let rest = page(&app, "").await;
    assert_eq!((rest.len(), rest[0]["data"]["trade_id"].as_str()), (1, Some("p-3")));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_migration_keeps_what_is_there() {
    let place = empty_database().await;
    let mut database = PgConnection::connect(&place).await.expect("a connection");
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut files: Vec<_> = std::fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path()).collect();
    files.sort();
    let sql = |number: usize| sqlx::AssertSqlSafe(std::fs::read_to_string(&files[number]).expect("a migration"));
    for number in 0..5 {
        sqlx::raw_sql(sql(number)).execute(&mut database).await.expect("it applies");
    }
    let rows = "INSERT INTO merchants (merchant_id, name, return_origins, created_at) VALUES ('00000000-0000-0000-0000-00000000000a', 'acme', '{}', now());
        INSERT INTO webhook_endpoints (merchant_id, endpoint_id, url, events, state, since, created_at)
        SELECT merchant_id, '00000000-0000-0000-0000-00000000000b', 'https://shop.example', '{*}', 'enabled', now(), now() FROM merchants;
        INSERT INTO events (merchant_id, event_id, event_type, order_id, sequence, body, created_at)
        SELECT merchant_id, id, 'payout.queued', '00000000-0000-0000-0000-00000000000c', row_number() OVER (), '{\"b\":1, \"a\": 2.50}', now()
        FROM merchants, unnest('{00000000-0000-0000-0000-000000000001,0193f2a7-0000-7000-8000-000000000001,01a2ce8b-d400-7000-8000-000000000001}'::uuid[]) id;
        UPDATE webhook_deliveries SET state = 'delivered', finished_at = now(), attempts = 1 WHERE delivery_id < '01a00000-0000-0000-0000-000000000000';
        DELETE FROM webhook_queue WHERE delivery_id < '01a00000-0000-0000-0000-000000000000';
        INSERT INTO webhook_attempts SELECT merchant_id, delivery_id, 1, 200, 5, 'ok', NULL, now() FROM webhook_deliveries WHERE state = 'delivered'";
    sqlx::raw_sql(rows).execute(&mut database).await.expect("rows");
    let before = contents(&mut database).await;
    assert_eq!(before.len(), 3 + 3 + 2 + 1);
    sqlx::raw_sql(sql(5)).execute(&mut database).await.expect("it applies");
    assert_eq!(contents(&mut database).await, before);
    let count =
        "SELECT array[(SELECT count(*) FROM events_1970_01), (SELECT count(*) FROM events_2024_12), (SELECT count(*) FROM events_2027_01),
                              (SELECT count(*) FROM events_default)]";
    assert_eq!(sqlx::query_scalar::<_, Vec<i64>>(count).fetch_one(&mut database).await.expect("numbers"), [1, 1, 1, 0]);
    // What comes after it is told, once.
    let further = "INSERT INTO events (merchant_id, event_id, event_type, body, created_at)
        SELECT merchant_id, '01a2ce8b-d400-7000-8000-000000000002', 'link.expired', '{}', now() FROM merchants";
    sqlx::raw_sql(further).execute(&mut database).await.expect("an event");
    assert_eq!(contents(&mut database).await.len(), before.len() + 3);
}

/// All rows of the tables that the migration touches.
async fn contents(database: &mut PgConnection) -> Vec<String> {
    let all = "SELECT to_jsonb(e) || jsonb_build_object('body', e.body::text) FROM events e UNION ALL SELECT to_jsonb(d) FROM webhook_deliveries d
               UNION ALL SELECT to_jsonb(a) FROM webhook_attempts a UNION ALL SELECT to_jsonb(q) FROM webhook_queue q";
    let query = sqlx::AssertSqlSafe(format!("SELECT t.row::text FROM ({all}) t (row) ORDER BY 1"));
    sqlx::query_scalar(query).fetch_all(database).await.expect("rows")
}

/// The plan of the one statement of the program that has this in it.
async fn plan(database: &mut PgConnection, part: &str, arguments: sqlx::postgres::PgArguments) -> String {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(".sqlx");
    let texts = std::fs::read_dir(folder).expect("a folder").map(|file| std::fs::read(file.expect("a file").path()).expect("a file"));
    let queries =
        texts.map(|text| serde_json::from_slice::<serde_json::Value>(&text).expect("JSON")["query"].as_str().expect("SQL").to_owned());
    let found: Vec<String> = queries.filter(|query| query.contains(part)).collect();
    assert_eq!(found.len(), 1, "{part}");
    let explain = sqlx::AssertSqlSafe(format!("EXPLAIN (COSTS OFF) {}", found[0]));
    let lines = sqlx::query_with(explain, arguments).fetch_all(database).await.expect("a plan");
    lines.iter().map(|line| line.get::<String, _>(0) + "\n").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_knows_an_id_reads_one_month_and_pages_of_the_feed_sort_nothing() {
    let place = fresh_database().await;
    let mut database = PgConnection::connect(&place).await.expect("a connection");
    let many = "INSERT INTO merchants (merchant_id, name, return_origins, created_at) VALUES ('00000000-0000-0000-0000-00000000000a', 'acme', '{}', now());
        INSERT INTO webhook_endpoints (merchant_id, endpoint_id, url, events, state, since, created_at)
        SELECT merchant_id, '00000000-0000-0000-0000-00000000000b', 'https://shop.example', '{*}', 'enabled', now(), now() FROM merchants;
        SELECT make_month('2027-03-01');
        INSERT INTO events (merchant_id, event_id, event_type, order_id, sequence, body, created_at)
        SELECT merchant_id, first_id_at('2027-01-01Z'::timestamptz + n * interval '20 minutes'), 'payout.queued', first_id_at('2027-01-01Z'), n, '{}', now()
        FROM merchants, generate_series(0, 6000) n;
        ANALYZE";
    sqlx::raw_sql(many).execute(&mut database).await.expect("rows");
    let query = "SELECT merchant_id, event_id, delivery_id, endpoint_id FROM webhook_deliveries ORDER BY delivery_id OFFSET 3000 LIMIT 1";
    let (merchant, event, delivery, endpoint): (Uuid, Uuid, Uuid, Uuid) =
        sqlx::query_as(query).fetch_one(&mut database).await.expect("a row");
    let arguments = |all: &[Uuid]| {
        let mut arguments = sqlx::postgres::PgArguments::default();
        for one in all {
            sqlx::Arguments::add(&mut arguments, one).expect("an argument");
        }
        arguments
    };
    let reads = |plan: &str, table: &str| plan.lines().filter(|line| line.contains(" on ") && line.contains(table)).count();
    let place = plan(&mut database, "AS \"xid!\", e.event_id FROM events e", arguments(&[merchant, event])).await;
    assert_eq!(reads(&place, "events_"), 1, "{place}");
    let one = plan(&mut database, "WHERE d.merchant_id = $1 AND d.delivery_id = $2", arguments(&[merchant, delivery])).await;
    assert_eq!(reads(&one, "webhook_deliveries_"), 1, "{one}");
    let both = plan(&mut database, "delivery_id = delivery_id_of($2, $3)", arguments(&[merchant, event, endpoint])).await;
    assert_eq!(reads(&both, "webhook_deliveries_"), 1, "{both}");
    let mut wanted = sqlx::postgres::PgArguments::default();
    sqlx::Arguments::add(&mut wanted, merchant).expect("an argument");
    sqlx::Arguments::add(&mut wanted, "3").expect("an argument");
    sqlx::Arguments::add(&mut wanted, event).expect("an argument");
    sqlx::Arguments::add(&mut wanted, None::<Vec<String>>).expect("an argument");
    sqlx::Arguments::add(&mut wanted, 50_i64).expect("an argument");
    let feed = plan(&mut database, "ORDER BY xid, event_id", wanted).await;
    assert!(feed.contains("Merge Append") && !feed.contains("Sort Key: events_"), "{feed}");
    assert!(!feed.contains("->  Sort") && !feed.contains("Seq Scan on events"), "{feed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn places_of_another_server_are_noticed() {
    let (app, ..) = start().await;
    asked(&app, "p-1").await;
    let mut database = app.database().await;
    assert!(!are_ahead(&mut *app.lease().await).await.expect("an answer"));
    sqlx::raw_sql("UPDATE events SET xid = '9000000000'").execute(&mut database).await.expect("events");
    assert!(are_ahead(&mut *app.lease().await).await.expect("an answer"));
    assert_eq!(page(&app, "").await.len(), 0);
    sqlx::raw_sql("UPDATE events SET xid = '3'").execute(&mut database).await.expect("events");
    assert!(!are_ahead(&mut *app.lease().await).await.expect("an answer"));
    assert_eq!(page(&app, "").await.len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_age_that_is_shorter_than_the_schedule_of_deliveries_is_refused() {
    let context = |age: &str| {
        let settings = settings("postgres://localhost/none", 1, &[("TILLGATE__RETENTION__EVENTS", age)]);
        tillgate::app::context(&settings, Clock::system()).map(drop).map_err(|error| error.to_string())
    };
    for age in ["0s", "2d"] {
        let refused = context(age).expect_err("it is too short");
        assert!(refused.contains("retention.events") && refused.contains("timing.webhook_schedule"), "{refused}");
    }
    assert_eq!((context("3d"), context("forever")), (Ok(()), Ok(())));
}
