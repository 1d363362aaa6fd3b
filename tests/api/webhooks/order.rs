//! The order in which an endpoint hears of an order's steps, whatever fails on the way.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::receiver::{Endpoint, Receiver, Reply, Seen};
use super::{asked, gateway, paid, pass, start};

fn steps(trade_id: &str, numbers: impl IntoIterator<Item = i64>) -> Vec<(String, i64)> {
    numbers.into_iter().map(|number| (trade_id.to_owned(), number)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_waits_for_the_one_before_it_and_other_orders_do_not() {
    let (app, receiver, endpoint) = start().await;
    receiver.behave(|seen| Reply::Status(if seen.step().0 == "p-1" { 500 } else { 200 }));
    paid(&app, "p-1").await;
    paid(&app, "p-2").await;
    assert_eq!(app.deliver().await, 4);
    let seen = receiver.steps();
    let of = |trade_id: &str| seen.iter().filter(|step| step.0 == trade_id).cloned().collect::<Vec<_>>();
    assert_eq!((of("p-1"), of("p-2")), (steps("p-1", [1]), steps("p-2", 1..=3)));
    assert_eq!(app.deliver().await, 0);
    receiver.replies(&[Reply::Status(200)]);
    pass(&app, Duration::from_secs(5)).await;
    assert_eq!(app.deliver().await, 3, "what waited behind it comes at once");
    assert_eq!(receiver.steps()[4..], steps("p-1", 1..=3));
    assert_eq!(endpoint.states(&app).await, ["delivered"; 6]);
    app.finish().await;
}

/// The steps behind them were due before the failed ones were due again, and there were more of them than a claim looks at: nothing
/// was ever sent to the endpoint any more. The fault campaign has found it (seed 3).
#[tokio::test(flavor = "multi_thread")]
async fn failed_steps_are_found_behind_however_many_that_wait_for_them() {
    const ORDERS: usize = 33;
    let (app, receiver, endpoint) = start().await;
    receiver.behave(|seen| Reply::Status(if seen.step().1 == 1 { 500 } else { 200 }));
    for number in 0..ORDERS {
        asked(&app, &format!("p-{number}")).await;
    }
    assert_eq!(app.deliver().await, ORDERS);
    app.advance(Duration::from_secs(1));
    app.submit().await;
    receiver.replies(&[Reply::Status(200)]);
    // No worker looks until all of it is due.
    app.advance(Duration::from_mins(1));
    assert_eq!(app.deliver().await, 3 * ORDERS);
    assert_eq!(endpoint.states(&app).await.iter().filter(|state| *state == "delivered").count(), 3 * ORDERS);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exhausted_step_lets_the_next_one_through() {
    let (app, receiver, endpoint) = start().await;
    receiver.behave(|seen| Reply::Status(if seen.step().1 == 1 { 500 } else { 200 }));
    paid(&app, "p-1").await;
    for _ in 0..10 {
        app.deliver().await;
        app.advance(Duration::from_hours(27));
    }
    app.deliver().await;
    assert_eq!(endpoint.states(&app).await, ["exhausted", "delivered", "delivered"]);
    assert_eq!(receiver.seen().len(), 12);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_endpoint_queues_and_is_told_all_of_it_when_it_is_enabled() {
    let (app, receiver, endpoint) = start().await;
    endpoint.set(&app, "paused").await;
    paid(&app, "p-1").await;
    assert_eq!(app.deliver().await, 0);
    assert_eq!(endpoint.states(&app).await, ["pending"; 3]);
    endpoint.set(&app, "enabled").await;
    assert_eq!(app.deliver().await, 3);
    // What failed does not wait for its hour once the merchant says that all is well.
    receiver.replies(&[Reply::Status(500), Reply::Status(200)]);
    paid(&app, "p-2").await;
    assert_eq!((app.deliver().await, app.deliver().await), (1, 0));
    endpoint.set(&app, "paused").await;
    app.advance(Duration::from_hours(1));
    assert_eq!(app.deliver().await, 0);
    endpoint.set(&app, "enabled").await;
    assert_eq!(app.deliver().await, 3);
    assert_eq!(receiver.steps()[4..], steps("p-2", 1..=3));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_behind_a_failed_step_comes_when_that_is_sent_again_by_hand() {
    let (app, receiver, endpoint) = start().await;
    receiver.replies(&[Reply::Status(500), Reply::Status(500), Reply::Status(500), Reply::Status(500), Reply::Status(200)]);
    paid(&app, "p-1").await;
    for gap in [5, 60, 300, 0] {
        assert_eq!(app.deliver().await, 1);
        pass(&app, Duration::from_secs(gap)).await;
    }
    // It is due in half an hour.
    assert_eq!(app.deliver().await, 0);
    let id = endpoint.deliveries(&app).await[0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(app.post(&format!("/v1/webhook_deliveries/{id}/resend"), &json!({})).await.status, 202);
    assert_eq!(app.deliver().await, 3);
    assert_eq!(receiver.steps()[4..], steps("p-1", 1..=3));
    app.finish().await;
}

/// A small generator: the same numbers for the same seed.
fn random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

/// Each order's steps, in the order in which the backend took each for the first time.
fn taken(seen: &[(Seen, bool)]) -> BTreeMap<String, Vec<i64>> {
    let mut all: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for (seen, _) in seen.iter().filter(|(_, taken)| *taken) {
        let (trade_id, number) = seen.step();
        let steps = all.entry(trade_id).or_default();
        if !steps.contains(&number) {
            steps.push(number);
        }
    }
    all
}

/// Two processes deliver to backends that fail at random; orders go on meanwhile. At the end every backend has every step, and has
/// taken the steps of each order in their order.
async fn every_step_comes_in_order(mut seed: u64) {
    let app = gateway().await;
    let other = app.replica(Default::default());
    let mut backends = Vec::new();
    for _ in 0..3 {
        let receiver = Receiver::start().await;
        let log = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let (shared, mut own) = (log.clone(), random(&mut seed) | 1);
        receiver.behave(move |seen| {
            let number = random(&mut own) % 10;
            shared.lock().expect("a log").push((seen.clone(), number < 6));
            match number {
                0..6 => Reply::Status(200),
                6..8 => Reply::Status(500),
                8 => Reply::Close,
                _ => Reply::Raw(b"HTTP/1.1 503 Slowly\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n".to_vec()),
            }
        });
        let endpoint = Endpoint::at(&app, &receiver.url, &["payout.*"]).await;
        backends.push((endpoint, log));
    }
    for round in 0..6 {
        asked(&app, &format!("p-{round}")).await;
        asked(&app, &format!("q-{round}")).await;
        // A step comes while others are on their way.
        tokio::join!(app.deliver(), other.deliver(), app.submit());
        app.advance(Duration::from_secs(random(&mut seed) % 20));
    }
    for _ in 0..200 {
        tokio::join!(app.deliver(), other.deliver());
        if app.count("webhook_queue").await == 0 {
            break;
        }
        app.advance(Duration::from_secs(60 + random(&mut seed) % 4000));
    }
    for (endpoint, log) in &backends {
        let exhausted = endpoint.deliveries(&app).await.iter().filter(|one| one["status"] != "delivered").count();
        assert_eq!(exhausted, 0, "ten tries of which most succeed are enough");
        let taken = taken(&log.lock().expect("a log"));
        assert_eq!(taken.len(), 12);
        for (trade_id, numbers) in taken {
            assert_eq!(numbers, [1, 2, 3], "{trade_id}, seed {seed}");
        }
    }
    other.stop().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_come_in_their_order_whatever_fails() {
    for seed in [3, 1_000_003, 77_777_777_777] {
        every_step_comes_in_order(seed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_tell_everything_once_while_nothing_fails() {
    let (app, receiver, endpoint) = start().await;
    let other = app.replica(Default::default());
    for number in 0..12 {
        asked(&app, &format!("p-{number}")).await;
    }
    app.submit().await;
    let (one, two) = tokio::join!(app.deliver(), other.deliver());
    assert_eq!(one + two, 36);
    let seen = receiver.seen();
    let ids: std::collections::BTreeSet<_> = seen.iter().map(|seen| seen.id.clone()).collect();
    assert_eq!((seen.len(), ids.len()), (36, 36));
    for number in 0..12 {
        let trade_id = format!("p-{number}");
        let own: Vec<_> = seen.iter().map(Seen::step).filter(|step| step.0 == trade_id).collect();
        assert_eq!(own, steps(&trade_id, 1..=3));
    }
    assert_eq!(endpoint.states(&app).await, ["delivered"; 36]);
    other.stop().await;
    app.finish().await;
}
