//! What is concluded from silence and from the time, and when it must not be. The fault campaign has found these (seed 1).

use std::time::Duration;

use serde_json::json;
use tillgate::app;
use tillgate::domain::clock::Clock;
use tillgate::flows::time;
use tillgate::sandbox::{Fault, Times};

use crate::evidence::with;
use crate::harness::{TestApp, free_port, fresh_database, settings};

/// Longer than a deposit waits for its payment, with the grace for the callback.
const TOO_LONG: Duration = Duration::from_mins(18);

/// The deposit expired although FOMO had told of the money, and had its 200.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_comes_while_an_older_one_is_looked_up_is_not_overtaken_by_the_deadline() {
    let app = TestApp::start_with(&[("TILLGATE__TIMING__PROVIDER_TIMEOUT", "10s")], &json!({})).await;
    app.link_ada().await;
    // The answer was lost, so that nobody here knows the transfer's id yet.
    app.sandbox.inject("pre_pay", Some("d-1"), Fault::LoseAfter, Times::Count(1));
    assert_eq!(app.deposit("d-1").await.text("status"), "created");
    assert_eq!(app.confirm("d-1").await, Some(1));
    let url = app.server_uri("d-1");
    assert_eq!(app.call_back(&url, &with(app.next_callback("d-1"), "transfer_id", "7781")).await, 200);
    assert_eq!(app.place("deposits", "d-1").await, "processing/verifying");
    app.advance(TOO_LONG);
    app.sandbox.inject("get_transfer_detail", None, Fault::HangAfter, Times::Count(1));
    let meanwhile = async {
        app.sandbox.wait_for_held(1).await;
        assert_eq!(app.callbacks().await, [200]);
        app.sandbox.release();
    };
    futures_util::future::join(app.look(), meanwhile).await;
    app.settle_down().await;
    assert_eq!(app.place("deposits", "d-1").await, "succeeded");
    app.finish().await;
}

/// The call stayed open for as long as late money was waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_lost_is_written_off_before_its_deposit_expires() {
    let app = TestApp::start_with(&[("TILLGATE__TIMING__PROVIDER_TIMEOUT", "10s")], &json!({})).await;
    app.link_ada().await;
    app.sandbox.inject("pre_pay", Some("d-1"), Fault::HangBefore, Times::Count(1));
    let meanwhile = async {
        app.sandbox.wait_for_held(1).await;
        let forged = with(app.claim("deposits", "d-1", "1").await, "transfer_id", "7781");
        assert_eq!(app.call_back(&app.server_uri("d-1"), &forged).await, 200);
        app.advance(TOO_LONG);
        // To write it off is news, after which the claim has its grace again.
        app.live(Duration::from_mins(3), Duration::from_mins(1), false).await;
        assert_eq!((app.place("deposits", "d-1").await.as_str(), app.attempts("d-1").await), ("expired", vec!["unknown".to_owned()]));
        app.sandbox.release();
    };
    futures_util::future::join(app.deposit("d-1"), meanwhile).await;
    app.finish().await;
}

/// A machine that was ahead kept what it had taken from the others for as long.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_asked_goes_by_the_time_of_the_database() {
    let settings = settings(&fresh_database().await, free_port(), &[]);
    let right = Clock::system().now();
    for wrong in [Duration::ZERO, Duration::from_hours(24)] {
        let clock = Clock::system();
        clock.anchor(right + wrong, clock.instant());
        let context = app::context(&settings, clock.clone()).expect("a context");
        assert_eq!(time::keep(&context).await.expect("the time"), 1);
        let apart = (clock.now() - right).abs();
        assert!(apart < Duration::from_mins(1), "{apart}");
        context.db.close().await;
    }
}
