//! Lists that have not caught up, permits that are out of date, and refusals while a call is in doubt.

use std::time::Duration;

use serde_json::json;
use tillgate::domain::ids::TradeId;
use tillgate::domain::recovery::Progress;
use tillgate::flows::submit;
use tillgate::sandbox::{Fault, Times};
use tillgate::store::orders;

use super::ways::{REVIEW, WAYS, Way, World, merchant_id, seen};
use crate::harness::START;

const FOREVER: u32 = 0;

/// Orders that Hicoin carried out, whose answers were lost, and which its list leaves out so many times.
async fn lagging(world: &World, omissions: &[u32]) -> Vec<(Way, u32, String)> {
    let all: Vec<_> =
        WAYS.into_iter().flat_map(|way| omissions.iter().map(move |count| (way, *count, format!("{}-{count}", way.name())))).collect();
    for (way, count, id) in &all {
        let times = if *count == FOREVER { Times::Forever } else { Times::Count(*count) };
        world.app.sandbox.inject(way.operation(), Some(id), Fault::LoseAfter, Times::Count(1));
        world.app.sandbox.inject(way.list(), Some(id), Fault::Omit, times);
    }
    world.create_all(all.iter().map(|(way, _, id)| (*way, id.clone()))).await;
    world.app.submit().await;
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lagging_list_leaves_out_is_sent_again_after_two_looks_far_apart_and_paid_once() {
    let world = World::start(true).await;
    let all = lagging(&world, &[1, 2, 3, 5, FOREVER]).await;
    world.app.live(Duration::from_mins(5), Duration::from_secs(5), false).await;
    for (way, count, id) in &all {
        let calls = world.times(way.operation(), id, START);
        let looks = world.asked(*way, id, START);
        assert_eq!(looks.get(..2), Some(&[5, 20][..]), "{id} is looked for by the schedule");
        match count {
            1 | 2 => assert_eq!(calls, [0], "{id} was found before it was sent again"),
            // Two looks, 45 s apart: those at 5 and 20 s are too near to each other.
            // The second call is refused as a repeated one: from then on the looks begin anew.
            3 => assert_eq!((calls.as_slice(), looks.as_slice()), (&[0, 50][..], &[5, 20, 50, 55][..]), "{id}"),
            _ => assert_eq!((calls.as_slice(), looks.get(..6)), (&[0, 50][..], Some(&[5, 20, 50, 55, 70, 100][..])), "{id}"),
        }
    }
    world.pass_a_day().await;
    let expected = |count: u32| match count {
        1 | 2 => seen("succeeded", &["unknown"], 1, 1),
        FOREVER => seen(REVIEW, &["unknown", "duplicate"], 1, 2),
        _ => seen("succeeded", &["unknown", "duplicate"], 1, 2),
    };
    let ends = world.seen().await;
    all.iter().for_each(|(_, count, id)| assert_eq!(ends[id], expected(*count), "{id}"));
    // Once the lists have caught up, the hourly looks find what a person was asked about.
    world.app.sandbox.clear_faults();
    world.app.live(Duration::from_hours(4), Duration::from_hours(1), false).await;
    let ends = world.seen().await;
    let late = all.iter().filter(|(_, count, _)| *count == FOREVER);
    late.for_each(|(_, _, id)| assert_eq!(ends[id], seen("succeeded", &["unknown", "duplicate"], 1, 2), "{id}"));
    world.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_trust_what_a_lagging_list_leaves_out_is_never_sent_again() {
    let world = World::start(false).await;
    let all = lagging(&world, &[1, 3, FOREVER]).await;
    world.app.live(Duration::from_secs(45), Duration::from_secs(5), false).await;
    for (way, count, id) in &all {
        assert_eq!(world.place(*way, id).await == "processing/outcome_unknown", *count != 1, "{id} after 45 s");
    }
    world.pass(5).await;
    for (way, count, id) in &all {
        assert_eq!(world.place(*way, id).await == REVIEW, *count != 1, "{id} after two looks far enough apart");
        let retry = json!({ "action": "retry", "reason": "let us try" });
        let path = format!("/v1/{}/{id}/resolve", way.collection());
        let asked = world.app.post(&path, &retry).await;
        match *count {
            1 => asked.expect_problem(409, "order_not_in_review"),
            _ => assert_eq!((asked.status, asked.text("status")), (200, "requires_review"), "{id}: without trust it takes two"),
        }
        let alone = world.app.post(&path, &retry).await;
        alone.expect_problem(409, if *count == 1 { "order_not_in_review" } else { "second_operator_needed" });
    }
    world.pass_a_day().await;
    let ends = world.seen().await;
    for (_, count, id) in &all {
        let place = if *count == FOREVER { REVIEW } else { "succeeded" };
        assert_eq!(ends[id], seen(place, &["unknown"], 1, 1), "{id}");
    }
    world.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_cannot_be_asked_about_is_not_sent_again_and_is_a_persons_after_a_day() {
    let world = World::start(true).await;
    for way in WAYS {
        world.app.sandbox.inject(way.operation(), Some(way.name()), Fault::LoseBefore, Times::Count(1));
        world.app.sandbox.inject(way.list(), None, Fault::Code(100_005), Times::Forever);
    }
    world.create_all(WAYS.map(|way| (way, way.name().to_owned()))).await;
    world.app.submit().await;
    world.app.live(Duration::from_hours(2), Duration::from_mins(10), false).await;
    let unknown = seen("processing/outcome_unknown", &["unknown"], 0, 1);
    world.seen().await.iter().for_each(|(id, seen)| assert_eq!(*seen, unknown, "{id}"));
    let refreshed = world.app.post("/v1/payouts/chain/refresh", &json!({})).await;
    refreshed.expect_problem(503, "provider_unavailable");
    world.pass_a_day().await;
    world.seen().await.iter().for_each(|(id, end)| assert_eq!(*end, seen(REVIEW, &["unknown"], 0, 1), "{id}"));
    // With the list it is known that nothing moved: then one person is enough, and the list is asked once more before each call.
    world.app.sandbox.clear_faults();
    world.app.live(Duration::from_hours(3), Duration::from_mins(30), false).await;
    world.seen().await.iter().for_each(|(id, end)| assert_eq!(*end, seen(REVIEW, &["unknown"], 0, 1), "{id}"));
    for way in WAYS {
        let retry = json!({ "action": "retry", "reason": "Hicoin has none of this id" });
        let resumed = world.app.post(&format!("/v1/{}/{}/resolve", way.collection(), way.name()), &retry).await;
        assert_eq!((resumed.status, resumed.text("stage")), (200, "outcome_unknown"), "{}", resumed.body);
    }
    world.app.live(Duration::from_mins(20), Duration::from_secs(10), false).await;
    world.seen().await.iter().for_each(|(id, end)| assert_eq!(*end, seen("succeeded", &["unknown", "accepted"], 1, 2), "{id}"));
    world.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_while_an_earlier_call_is_in_doubt_is_no_failure() {
    let world = World::start(true).await;
    for way in WAYS {
        world.app.sandbox.inject(way.operation(), Some(way.name()), Fault::LoseBefore, Times::Count(1));
        world.app.sandbox.inject(way.operation(), Some(way.name()), Fault::Code(120_402), Times::Forever);
    }
    world.create_all(WAYS.map(|way| (way, way.name().to_owned()))).await;
    world.app.submit().await;
    world.app.live(Duration::from_mins(20), Duration::from_secs(30), false).await;
    for (id, seen) in world.seen().await {
        assert_eq!((seen.place.as_str(), seen.executions), ("processing/outcome_unknown", 0), "{id}");
        assert!((2..=4).contains(&seen.calls), "{id} was sent {} times: each wants two looks that found nothing", seen.calls);
    }
    world.app.sandbox.clear_faults();
    world.app.live(Duration::from_hours(3), Duration::from_mins(15), false).await;
    for (id, seen) in world.seen().await {
        assert_eq!((seen.place.as_str(), seen.executions), ("succeeded", 1), "{id}");
    }
    world.app.finish().await;
}

/// A worker reads an order and sleeps; another one sends it meanwhile, and the answer is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_slept_over_its_lease_does_not_send_what_another_one_has_sent() {
    let world = World::start(false).await;
    let acme = merchant_id(&world.app, "acme").await;
    for way in WAYS {
        world.app.sandbox.inject(way.operation(), Some(way.name()), Fault::LoseAfter, Times::Count(1));
        world.create(way, way.name()).await;
        let trade_id = TradeId::parse(way.name()).expect("a trade id");
        let read = || async {
            let mut connection = world.app.context.db.get().await.expect("a connection");
            orders::by_trade_id(&mut connection, acme, &trade_id).await.expect("an order").expect("an order").0
        };
        let stale = read().await;
        world.app.submit().await;
        submit::submit(&world.app.context, stale, Progress::default()).await.expect("a step");
        assert_eq!(read().await.doubts, 1, "{way:?}");
        assert_eq!(world.seen().await[way.name()], seen("processing/outcome_unknown", &["unknown"], 1, 1));
    }
    world.pass_a_day().await;
    world.seen().await.iter().for_each(|(id, end)| assert_eq!(*end, seen("succeeded", &["unknown"], 1, 1), "{id}"));
    world.app.finish().await;
}
