//! How much waits for one endpoint, and how it fails, makes no difference to another.

use std::time::Duration;

use super::receiver::{Endpoint, Receiver, Reply};
use super::{asked, gateway, start};

#[tokio::test(flavor = "multi_thread")]
async fn dead_endpoints_do_not_hold_up_those_that_work() {
    let (app, healthy, endpoint) = start().await;
    let mut dead = Vec::new();
    for _ in 0..3 {
        let receiver = Receiver::start().await;
        receiver.replies(&[Reply::Hang]);
        Endpoint::at(&app, &receiver.url, &["*"]).await;
        dead.push(receiver);
    }
    for number in 0..20 {
        asked(&app, &format!("p-{number}")).await;
    }
    // The healthy one has everything before the first of the others has come to its end.
    let stopped = tokio::select! {
        done = app.deliver() => Err(done),
        () = healthy.has(20) => Ok(()),
    };
    assert_eq!(stopped, Ok(()), "the healthy one waited for the dead ones");
    for receiver in &dead {
        assert!(receiver.seen().len() <= 16, "{} sends at once to one backend", receiver.seen().len());
    }
    // What was on its way when the test broke off comes back.
    app.advance(Duration::from_secs(30));
    app.deliver().await;
    assert_eq!(endpoint.states(&app).await, ["delivered"; 20]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_endpoint_is_tried_one_at_a_time_and_keeps_all_until_it_is_back() {
    let app = gateway().await;
    let receiver = Receiver::start().await;
    receiver.replies(&[Reply::Status(500)]);
    let endpoint = Endpoint::at(&app, &receiver.url, &["*"]).await;
    for number in 0..12 {
        asked(&app, &format!("p-{number}")).await;
    }
    app.deliver().await;
    assert_eq!(endpoint.status(&app).await, "failing");
    assert_eq!(receiver.seen().len(), 12);
    assert_eq!(endpoint.states(&app).await, ["pending"; 12]);
    let (_open, gate) = tokio::sync::watch::channel(false);
    receiver.replies(&[Reply::Gate(gate)]);
    app.advance(Duration::from_secs(6));
    tokio::select! {
        _ = app.deliver() => panic!("it waits for the answer"),
        // The second one is not sent before the first has failed: in real time, which this backend lets pass.
        () = receiver.has(13) => {}
    }
    assert_eq!(receiver.seen().len(), 13, "one at a time");
    receiver.replies(&[Reply::Status(200)]);
    app.advance(Duration::from_secs(30));
    assert_eq!(app.deliver().await, 12);
    assert_eq!((endpoint.status(&app).await, endpoint.states(&app).await), ("enabled".to_owned(), vec!["delivered".to_owned(); 12]));
    app.finish().await;
}

/// Many events of orders whose first event has failed do not stand in the way of the others.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_behind_failures_does_not_hide_what_can_be_sent() {
    let (app, receiver, endpoint) = start().await;
    receiver.behave(|seen| Reply::Status(if seen.step().0.starts_with("p-") { 500 } else { 200 }));
    for number in 0..40 {
        asked(&app, &format!("p-{number}")).await;
    }
    while app.submit().await > 0 {}
    app.deliver().await;
    // 40 have failed, 80 wait behind them; the endpoint is failing, and is asked about one thing at a time.
    assert_eq!(endpoint.status(&app).await, "failing");
    asked(&app, "q-1").await;
    assert_eq!(app.deliver().await, 1);
    assert_eq!(receiver.steps().last(), Some(&("q-1".to_owned(), 1)));
    assert_eq!(endpoint.status(&app).await, "enabled");
    app.finish().await;
}
