//! Telling the merchant: endpoints, deliveries to backends that behave badly, and the event feed.

mod answers;
mod endpoints;
mod event_feed;
mod fairness;
mod load;
mod order;
pub mod receiver;
mod replay;
mod retention;
mod wrong;

use std::time::Duration;

use self::receiver::{Endpoint, Receiver};
use crate::harness::TestApp;

/// A gateway whose payouts can be paid.
pub async fn gateway() -> TestApp {
    let app = TestApp::start().await;
    app.link_ada().await;
    app
}

/// A gateway, a backend, and its endpoint for everything.
pub async fn start() -> (TestApp, Receiver, Endpoint) {
    let app = gateway().await;
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::at(&app, &receiver.url, &["*"]).await;
    (app, receiver, endpoint)
}

/// A payout is asked for and paid: three steps.
pub async fn paid(app: &TestApp, trade_id: &str) {
    assert_eq!(app.payout(trade_id).await.status, 201);
    app.submit().await;
    assert_eq!(app.place("payouts", trade_id).await, "succeeded");
}

/// A payout is asked for: one step.
pub async fn asked(app: &TestApp, trade_id: &str) {
    assert_eq!(app.payout(trade_id).await.status, 201);
}

/// The gap before a further try passes, whatever is added to it.
pub async fn pass(app: &TestApp, gap: Duration) {
    app.advance(gap + gap / 10);
}
