//! The loops of a real process deliver by themselves: what fails comes again by the schedule, and an endpoint is left alone when
//! it asks for it, is paused or is gone.

use std::time::Duration;

use serde_json::{Value, json};

use crate::hook::{Hook, Reply};
use crate::house::House;
use crate::moments::stop;
use crate::program::until;
use crate::told::{Endpoint, step};

const OPEN: (&str, &str) = ("TILLGATE__WEBHOOKS__ALLOWED_NETWORKS", "127.0.0.0/8");

/// How an endpoint stands.
async fn status(house: &House, endpoint: &Endpoint) -> String {
    house.get(&endpoint.path).await.text("status").to_owned()
}

async fn set(house: &House, endpoint: &Endpoint, status: &str) {
    let set = house.try_call("PATCH", &endpoint.path, Some(&json!({ "status": status }))).await.expect("an answer");
    assert_eq!((set.status, set.text("status")), (200, status), "{set:?}");
}

/// What the endpoint answered to the first step of the first order, try by try.
async fn statuses_of_first(house: &House) -> Value {
    let all = house.get("/v1/webhook_deliveries?limit=100").await;
    let first = all.body["data"].as_array().expect("a list").iter().rfind(|one| one["trade_id"] == "one").expect("its delivery");
    first["attempts"].as_array().expect("attempts").iter().map(|one| one["status"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_comes_again_by_the_schedule_and_who_asks_for_patience_has_it() {
    let house = House::open().await;
    let gateway = house.serve_with("all", &[OPEN, ("TILLGATE__TIMING__WEBHOOK_SCHEDULE", "300ms,900ms,1s")]).await;
    let hook = Hook::open().await;
    hook.replies(&[Reply::Status(500), Reply::Status(500), Reply::Busy(3), Reply::Status(200)]);
    let endpoint = house.endpoint(&hook).await;
    house.payout("one").await;
    // While it is to be left alone, and the gateway knows it, something else happens.
    until("its wish is written down", async || (statuses_of_first(&house).await == json!([500, 500, 503])).then_some(())).await;
    house.payout("two").await;
    house.all_told().await;
    let got = hook.got();
    assert_eq!(endpoint.check(&got).values().map(Vec::as_slice).collect::<Vec<_>>(), [[1, 2, 3], [1, 2, 3]]);
    let gaps: Vec<Duration> = got.windows(2).take(3).map(|two| two[1].at - two[0].at).collect();
    for (gap, least) in gaps.iter().zip([300, 900, 3000].map(Duration::from_millis)) {
        assert!(*gap >= least, "{gaps:?}");
    }
    assert!(got[..3].iter().all(|one| step(one) == ("one".to_owned(), 1)) && got.len() == 9, "nothing else came before that: {got:?}");
    assert_eq!(statuses_of_first(&house).await, json!([500, 500, 503, 200]));
    stop(gateway).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_endpoint_is_told_later_and_one_that_is_gone_never() {
    let house = House::open().await;
    let gateway = house.serve_with("all", &[OPEN]).await;
    let (hook, other) = (Hook::open().await, Hook::open().await);
    let (endpoint, _) = (house.endpoint(&hook).await, house.endpoint(&other).await);
    set(&house, &endpoint, "paused").await;
    house.payout("one").await;
    other.has(3).await;
    assert_eq!(hook.got().len(), 0);
    set(&house, &endpoint, "enabled").await;
    hook.has(3).await;
    assert_eq!(endpoint.check(&hook.got())["one"], [1, 2, 3]);

    hook.answer(410);
    house.payout("two").await;
    other.has(6).await;
    until("it is disabled", async || (status(&house, &endpoint).await == "disabled").then_some(())).await;
    house.payout("three").await;
    other.has(9).await;
    assert_eq!(hook.got().len(), 4);
    let canceled = house.get("/v1/webhook_deliveries?status=canceled").await;
    let canceled: Vec<&Value> = canceled.body["data"].as_array().expect("a list").iter().map(|one| &one["trade_id"]).collect();
    // What came after that has no delivery at all.
    assert!(!canceled.is_empty() && canceled.iter().all(|trade_id| *trade_id == "two"), "{canceled:?}");
    stop(gateway).await;
    house.close().await;
}
