//! FOMO: deposits are asked for by its own numbers, with the customer's token.

use std::time::Duration;

use serde_json::json;
use tillgate::domain::order::Provider;

use super::{open, reconcile_all};
use crate::harness::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_whose_callback_was_lost_is_heard_when_it_is_repaired() {
    let app = TestApp::start().await;
    app.link_ada().await;
    for trade_id in ["told", "lost", "unpaid"] {
        assert_eq!(app.deposit(trade_id).await.status, 201);
    }
    assert_eq!((app.confirm("told").await, app.confirm("lost").await), (Some(1), Some(1)));
    app.sandbox.callback_fault("lost", tillgate::sandbox::CallbackFault::Missing);
    app.callbacks().await;
    app.settle_down().await;
    app.advance(Duration::from_mins(1));
    let run = reconcile_all(&app, Provider::Fomo, false).await;
    assert_eq!((run.compared, run.behind, run.repaired, run.disagree), (3, 1, 0, 0));
    assert_eq!(app.place("deposits", "lost").await, "awaiting_payment");
    let run = reconcile_all(&app, Provider::Fomo, true).await;
    assert_eq!((run.behind, run.repaired, run.disagree), (1, 1, 0));
    assert_eq!(app.place("deposits", "lost").await, "succeeded");
    assert_eq!(app.place("deposits", "unpaid").await, "awaiting_payment");
    assert_eq!(reconcile_all(&app, Provider::Fomo, true).await.behind, 0);
    assert!(open(&app).await.is_empty());

    // Without a token nobody can be asked, and the run says so.
    assert_eq!(app.call("DELETE", "/v1/customers/ada/links/fomo", Some(&json!({}))).await.status, 204);
    let run = reconcile_all(&app, Provider::Fomo, false).await;
    assert_eq!((run.compared, run.unchecked, run.disagree), (0, 3, 0));
    app.finish().await;
}
