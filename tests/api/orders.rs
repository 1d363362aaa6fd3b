//! Orders on their ordinary ways.

use serde_json::json;

use crate::harness::{TestApp, deposit_wish, payout_wish};

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_goes_from_wish_to_money() {
    let app = TestApp::start().await;
    app.link_ada().await;
    let created = app.deposit("d-1").await;
    assert_eq!((created.status, created.text("status")), (201, "awaiting_payment"));
    assert_eq!(created.body["next_action"]["type"], "confirm_in_app");
    assert_eq!(app.confirm("d-1").await, Some(1));
    assert_eq!(app.callbacks().await, [200]);
    assert_eq!(app.place("deposits", "d-1").await, "processing/verifying");
    app.look().await;
    let order = app.get("/v1/deposits/d-1").await;
    assert_eq!(order.text("status"), "succeeded");
    assert_eq!((order.text("amount_received"), order.text("amount_confirmed"), order.text("amount_state")), ("12.5", "12.5", "exact"));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_is_queued_at_once_and_sent_once() {
    let app = TestApp::start().await;
    app.link_ada().await;
    let created = app.payout("p-1").await;
    assert_eq!((created.status, created.text("status")), (201, "queued"));
    assert_eq!(app.sandbox.executions("p-1"), 0);
    app.submit().await;
    assert_eq!(app.place("payouts", "p-1").await, "succeeded");
    assert_eq!(app.callbacks().await, [200]);
    assert_eq!(app.submit().await, 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_wish_is_the_same_order_and_another_one_is_a_conflict() {
    let app = TestApp::start().await;
    app.link_ada().await;
    for (path, wish) in [("/v1/deposits", deposit_wish("same-d")), ("/v1/payouts", payout_wish("same-p"))] {
        let first = app.post(path, &wish).await;
        let again = app.post(path, &wish).await;
        assert_eq!((first.status, again.status), (201, 200));
        assert_eq!(again.headers["idempotent-replayed"], "true");
        assert_eq!(first.text("id"), again.text("id"));
        let mut other = wish.clone();
        other["amount"] = json!("12.6");
        let conflict = app.post(path, &other).await;
        assert_eq!((conflict.status, conflict.text("code")), (409, "trade_id_conflict"));
    }
    assert_eq!(app.sandbox.calls_for("pre_pay", "same-d"), 1);
    app.finish().await;
}
