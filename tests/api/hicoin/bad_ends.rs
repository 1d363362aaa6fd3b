//! Withdrawals that end badly, statuses that mean two things, and news that comes late.

use std::time::Duration;

use rust_decimal::Decimal;
use serde_json::json;
use tillgate::sandbox::{CallbackFault, HicoinApp, HicoinBalance, HicoinStage, HicoinStatuses, HicoinStyle, Options, Times};

use super::ways::{WAYS, Way, World, seen};

use HicoinStage::{Approved, Done, Failed, Paying, Refused, Revoked, Unreviewed};

/// A world where withdrawals stay where they are until a test moves them.
async fn start() -> World {
    World::start_on(Options::default(), &json!({})).await
}

fn money(world: &World) -> HicoinBalance {
    world.app.sandbox.hicoin_balance(None, HicoinApp::default().uid, "ETH").expect("a balance")
}

fn move_to(world: &World, trade_id: &str, stage: HicoinStage) {
    world.app.sandbox.hicoin_withdrawal(None, trade_id, stage, None).expect("a withdrawal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_that_ends_badly_fails_and_the_money_is_back() {
    let world = start().await;
    let before = money(&world);
    let stages = |stage| [Unreviewed, Approved, Paying].map(|from| (from, stage, format!("{from:?}-{stage:?}")));
    let orders: Vec<_> = [Refused, Failed, Revoked].into_iter().flat_map(stages).collect();
    world.create_all(orders.iter().map(|(_, _, id)| (Way::OnChain, id.clone()))).await;
    world.app.submit().await;
    assert_eq!(money(&world).locked, Decimal::from(9));
    orders.iter().filter(|(from, _, _)| *from != Unreviewed).for_each(|(from, _, id)| move_to(&world, id, *from));
    world.pass(5).await;
    for (from, stage, id) in &orders {
        let place = match from {
            Unreviewed => "processing/provider_review",
            Approved => "processing/accepted",
            _ => "processing/broadcast",
        };
        assert_eq!(world.place(Way::OnChain, id).await, place, "{id}");
        move_to(&world, id, *stage);
    }
    world.pass(60).await;
    for (_, _, id) in &orders {
        assert_eq!(world.seen().await[id], seen("failed", &["accepted"], 1, 1), "{id}");
        let order = world.app.get(&format!("/v1/payouts/{id}")).await;
        assert_eq!(order.body["failure"]["code"], "failed_at_provider", "{id}");
        assert_eq!((order.text("amount_confirmed"), &order.body["is_final"]), ("0", &json!(true)), "{id}");
        assert_eq!(world.app.sandbox.paid(id), 0, "{id}");
    }
    assert_eq!(money(&world), before);
    world.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_in_the_very_answer_has_failed() {
    let world = start().await;
    let before = money(&world);
    for way in WAYS {
        world.app.sandbox.inject_callback(Some(way.name()), CallbackFault::Failed, Times::Count(1));
        world.create(way, way.name()).await;
    }
    world.app.submit().await;
    // Without `withdraw_type`, 1 may be an internal transfer that failed or a withdrawal that was let pass.
    assert_eq!(world.place(Way::Internal, "internal").await, "processing/accepted");
    for way in [Way::OnChain, Way::ToUser, Way::BetweenUsers] {
        assert_eq!(world.place(way, way.name()).await, "failed", "{way:?}");
    }
    world.pass(5).await;
    world.seen().await.iter().for_each(|(id, end)| assert_eq!(*end, seen("failed", &["accepted"], 0, 1), "{id}"));
    assert_eq!(money(&world), before);
    world.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn status_0_is_a_success_only_where_it_says_of_what() {
    for (withdraw_type, internal, on_chain) in
        [(false, "processing/accepted", "processing/accepted"), (true, "succeeded", "processing/provider_review")]
    {
        let world = start().await;
        world.app.sandbox.set_hicoin_style(HicoinStyle { withdraw_type, ..HicoinStyle::default() });
        world.create_all(WAYS.map(|way| (way, way.name().to_owned()))).await;
        world.app.submit().await;
        assert_eq!(world.place(Way::Internal, "internal").await, internal);
        assert_eq!(world.place(Way::OnChain, "chain").await, on_chain);
        world.pass(5).await;
        assert_eq!(world.place(Way::Internal, "internal").await, "succeeded");
        assert_eq!(world.place(Way::OnChain, "chain").await, "processing/provider_review");
        world.app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_style_of_answer_is_understood() {
    for statuses in [HicoinStatuses::AsPrinted, HicoinStatuses::Numbers, HicoinStatuses::Strings] {
        let world = World::start(true).await;
        let right = statuses != HicoinStatuses::AsPrinted;
        world.app.sandbox.set_hicoin_style(HicoinStyle {
            number_codes: right,
            status_spelt_right: right,
            trimmed_keys: right,
            withdraw_type: right,
            string_times: right,
            statuses,
        });
        world.create_all(WAYS.map(|way| (way, way.name().to_owned()))).await;
        world.app.submit().await;
        world.app.live(Duration::from_mins(2), Duration::from_secs(10), false).await;
        world.seen().await.iter().for_each(|(id, end)| assert_eq!(*end, seen("succeeded", &["accepted"], 1, 1), "{id}, {statuses:?}"));
        world.app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn late_news_takes_no_order_back_and_what_has_ended_is_not_asked_about() {
    let world = start().await;
    world.create(Way::OnChain, "p-1").await;
    world.app.submit().await;
    move_to(&world, "p-1", Paying);
    world.pass(5).await;
    assert_eq!(world.place(Way::OnChain, "p-1").await, "processing/broadcast");
    let told = world.app.get("/v1/payouts/p-1").await;
    for stage in [Approved, Unreviewed] {
        move_to(&world, "p-1", stage);
        world.pass(60).await;
        let again = world.app.get("/v1/payouts/p-1").await;
        assert_eq!(again.body, told.body, "{stage:?} is no news");
    }
    move_to(&world, "p-1", Done);
    world.pass(300).await;
    assert_eq!(world.place(Way::OnChain, "p-1").await, "succeeded");
    let asked = world.asked(Way::OnChain, "p-1", 0).len();
    let refreshed = world.app.post("/v1/payouts/p-1/refresh", &json!({})).await;
    assert_eq!((refreshed.status, refreshed.text("status")), (200, "succeeded"));
    world.pass_a_day().await;
    assert_eq!(world.asked(Way::OnChain, "p-1", 0).len(), asked);
    assert_eq!(world.app.count("discrepancies").await, 0);
    world.app.finish().await;
}
