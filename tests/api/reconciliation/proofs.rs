//! "Why do you say this succeeded?": what an order's end rests on.

use std::time::Duration;

use serde_json::{Value, json};

use super::{all_is_done, paid, start};
use crate::harness::TestApp;
use crate::hicoin::ways::Way;

async fn evidence(app: &TestApp, trade_id: &str) -> Vec<Value> {
    let timeline = app.get(&format!("/v1/orders/{trade_id}/timeline")).await.body;
    timeline["evidence"].as_array().expect("evidence").clone()
}

fn channels(all: &[Value]) -> Vec<&str> {
    all.iter().map(|one| one["channel"].as_str().expect("a channel")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_end_names_what_it_rests_on() {
    let world = start().await;
    let app = &world.app;
    world.create(Way::OnChain, "payout").await;
    let number = paid(&world, "deposit", "2").await;
    assert!(evidence(app, "payout").await.is_empty(), "nothing has ended");
    all_is_done(&world).await;

    let payout = evidence(app, "payout").await;
    assert_eq!(channels(&payout), ["lookup"]);
    let reports = app.entries("payout", "lookup").await;
    let report = reports.iter().find(|report| report["evidence"]["id"] == payout[0]["id"]).expect("the report");
    assert_eq!((&payout[0]["digest"], payout[0]["says"].as_str()), (&report["evidence"]["digest"], Some("the lookup says paid")));
    assert!(payout[0]["provider_reference"].as_str().is_some_and(|text| !text.is_empty()));

    let deposit = evidence(app, "deposit").await;
    assert_eq!(channels(&deposit), ["feed", "feed"], "the step, and the money that it counts");
    assert_eq!(deposit[1]["provider_reference"], number.to_string());
    assert!(deposit[1]["digest"].as_str().is_some_and(|digest| digest.len() == 64));

    // A person's word rests on a person.
    app.link_ada().await;
    assert_eq!(app.deposit("told").await.status, 201);
    assert_eq!(app.post("/v1/deposits/told/cancel", &json!({})).await.status, 200);
    let confirm = json!({ "action": "confirm", "reason": "seen in FOMO's back office" });
    assert_eq!(app.post("/v1/deposits/told/resolve", &confirm).await.status, 200);
    let told = evidence(app, "told").await;
    assert_eq!((channels(&told), &told[0]["digest"]), (vec!["operator"], &Value::Null));
    assert!(told[0]["says"].as_str().is_some_and(|text| text.contains("seen in FOMO's back office")));
    world.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_inputs_are_forgotten_when_they_are_old_and_their_digests_stay() {
    use tillgate::flows::forget::forget;
    let world = start().await;
    let app = &world.app;
    world.create(Way::OnChain, "payout").await;
    paid(&world, "deposit", "2").await;
    all_is_done(&world).await;
    world.create(Way::OnChain, "open").await;
    app.submit().await;
    let before = [evidence(app, "payout").await, evidence(app, "deposit").await];
    let kept = async || {
        let reports = "reports r JOIN orders o USING (merchant_id, order_id) WHERE r.sealed_raw <> ''";
        let finals = app.count(&format!("{reports} AND o.is_final")).await;
        (finals, app.count(&format!("{reports} AND NOT o.is_final")).await, app.count("receipts WHERE sealed_raw IS NOT NULL").await)
    };
    let (reports, of_open, receipts) = kept().await;
    assert!(reports > 0 && of_open > 0 && receipts == 1, "{reports} {of_open} {receipts}");

    app.clock.advance(Duration::from_hours(399 * 24));
    assert_eq!(forget(&app.context).await.expect("a round"), 0);
    assert_eq!(kept().await, (reports, of_open, receipts));
    app.clock.advance(Duration::from_hours(2 * 24));
    assert!(forget(&app.context).await.expect("a round") > 0);
    assert_eq!(kept().await, (0, of_open, 0), "what is of an open order stays");
    assert_eq!([evidence(app, "payout").await, evidence(app, "deposit").await], before, "the digests stay");
    assert_eq!(forget(&app.context).await.expect("a round"), 0, "nothing is looked at twice");
}
