//! Many events for many endpoints of which some are dead: those that work hear everything nearly as fast as without the others.
//! Real HTTP, a real Postgres and the loops of a real process, in real time.

use tillgate::app;
use tillgate::domain::clock::Clock;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::receiver::{Endpoint, Receiver, Reply};
use crate::harness::{TestApp, free_port, settings};

const HEALTHY: usize = 15;
const STEPS: usize = 4;

/// What the endpoints that work may need with dead ones beside them, in percent of the time without.
const LONGEST: u128 = 250;

#[tokio::test(flavor = "multi_thread")]
async fn dead_endpoints_cost_those_that_work_little() {
    measure(300).await;
}

/// `make load`; `TILLGATE_EVENTS` is the number of events, 10,000 by default.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes minutes"]
async fn ten_thousand_events_to_twenty_endpoints_of_which_five_are_dead() {
    let events = std::env::var("TILLGATE_EVENTS").map_or(10_000, |events| events.parse().expect("a number"));
    measure(events).await;
}

/// Tells so many events to the endpoints that work alone, and then as many with five dead ones beside them.
async fn measure(events: usize) {
    let app = TestApp::start().await;
    let clock = Clock::system();
    let mut healthy = Vec::new();
    for _ in 0..HEALTHY {
        let receiver = Receiver::forgetful().await;
        Endpoint::at(&app, &receiver.url, &["*"]).await;
        healthy.push(receiver);
    }
    let mut took = Vec::new();
    for round in 1..=2 {
        // They stay open, and never answer.
        let mut deaf = Vec::new();
        if round == 2 {
            deaf = die(&app).await;
        }
        let started = clock.instant();
        happen(&app, events, round).await;
        let written = started.elapsed();

        // In real time, for the clock of the tests stands still.
        let context = app::context(&settings(&app.database, free_port(), &[]), clock.clone()).expect("a context").into();
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let started = clock.instant();
        tillgate::workers::start(&context, &tracker, &stop);
        for receiver in &healthy {
            receiver.has(round * events).await;
        }
        let time = started.elapsed();
        stop.cancel();
        let rate = (HEALTHY * events * 1000) as u128 / time.as_millis();
        println!(
            "{events} events to {HEALTHY} endpoints that work and {} dead ones: {time:.2?} ({rate}/s to those that work); written in {written:.2?}",
            (round - 1) * 5
        );
        took.push(time);
        drop(deaf);
    }
    let percent = took[1].as_millis() * 100 / took[0].as_millis();
    println!("with dead ones it took {percent} % of the time without");
    assert!(percent < LONGEST, "{took:?}");
}

/// Five endpoints that are dead: nobody listens, nobody answers (two each), and one that fails.
async fn die(app: &TestApp) -> Vec<TcpListener> {
    let mut deaf = Vec::new();
    for _ in 0..2 {
        Endpoint::at(app, &format!("http://127.0.0.1:{}/", free_port()), &["*"]).await;
        // The system takes connections, and nobody reads them.
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Endpoint::at(app, &format!("http://{}/", listener.local_addr().expect("an address")), &["*"]).await;
        deaf.push(listener);
    }
    let broken = Receiver::forgetful().await;
    broken.replies(&[Reply::Status(500)]);
    Endpoint::at(app, &broken.url, &["*"]).await;
    deaf
}

/// So many events happen, four of each order, about one KiB each.
async fn happen(app: &TestApp, events: usize, round: usize) {
    let insert = "INSERT INTO events (merchant_id, event_id, event_type, order_id, sequence, body, created_at)
        SELECT m.merchant_id, (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7' || right(md5(random()::text), 19))::uuid,
               'payout.processing', md5($4::text || '/' || n % $3)::uuid, n / $3 + 1,
               json_build_object('type', 'payout.processing', 'sequence', n / $3 + 1, 'data', repeat('x', 900)), now()
        FROM merchants m, generate_series($1, $2 - 1) n";
    let mut database = app.database().await;
    let orders = events.div_ceil(STEPS);
    for from in (0..events).step_by(100) {
        let number = |number: usize| i64::try_from(number).expect("a number");
        sqlx::query(insert)
            .bind(number(from))
            .bind(number(events.min(from + 100)))
            .bind(number(orders))
            .bind(number(round))
            .execute(&mut database)
            .await
            .expect("events");
    }
}

/// What is due together is taken together, and what ends together is written down together.
#[tokio::test(flavor = "multi_thread")]
async fn many_deliveries_share_a_commit() {
    let app = TestApp::start().await;
    for _ in 0..HEALTHY {
        let receiver = Receiver::forgetful().await;
        Endpoint::at(&app, &receiver.url, &["*"]).await;
    }
    happen(&app, 100, 1).await;
    let mut database = app.database().await;
    let count = "CREATE TABLE commits (xid xid8 PRIMARY KEY);
        CREATE FUNCTION count_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO commits VALUES (pg_current_xact_id()) ON CONFLICT DO NOTHING;
            RETURN NULL;
        END $$;
        CREATE TRIGGER commits_are_counted AFTER UPDATE OR DELETE ON webhook_queue FOR EACH STATEMENT EXECUTE FUNCTION count_commit()";
    sqlx::raw_sql(count).execute(&mut database).await.expect("a counter");
    app.advance(std::time::Duration::from_mins(1));
    let delivered = app.deliver().await;
    assert_eq!((delivered, app.count("webhook_queue").await), (100 * HEALTHY, 0));
    let commits = app.count("commits").await;
    // Of its first tries each endpoint has eight in a claim; a group of what ended has at most 64.
    assert!(commits * 8 <= i64::try_from(delivered).expect("a number"), "{commits} commits for {delivered} deliveries");
}
