//! Runs: stopped and taken up again, asked for by several at once, each night.

use std::time::Duration;

use tillgate::domain::ids::RunId;
use tillgate::domain::order::Provider;
use tillgate::flows::reconcile;
use tokio_util::sync::CancellationToken;

use super::{WAYS, all_is_done, begin, open, reconcile_all, start};
use crate::hicoin::ways::World;

async fn with_orders() -> World {
    let world = start().await;
    world.create_all(WAYS.iter().flat_map(|way| (0..3).map(move |number| (*way, format!("{way:?}-{number}"))))).await;
    all_is_done(&world).await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_run_goes_on_where_it_was_and_asks_nothing_twice() {
    let world = with_orders().await;
    let app = &world.app;
    // The first run has no balances to compare with.
    reconcile_all(app, Provider::Hicoin, false).await;
    let whole = reconcile_all(app, Provider::Hicoin, false).await;
    let run = begin(app, Provider::Hicoin, false).await;
    let key = (run.merchant(), RunId(run.run_id));
    let mut legs = Vec::new();
    // Stopped after each page.
    for _ in 0..20 {
        let stop = CancellationToken::new();
        let worked = reconcile::work(&app.context, key, &stop, |run| {
            legs.push(run.leg.clone());
            stop.cancel();
        });
        let worked = worked.await.expect("a run").expect("nobody else's");
        if worked.state == "finished" {
            let counts = |run: &reconcile::RunRow| (run.compared, run.questions, run.disagree);
            assert_eq!(counts(&worked), counts(&whole));
            legs.dedup();
            assert_eq!(legs, ["to_address", "to_user", "between_users", "deposits", "movements", "balances"]);
            return world.app.finish().await;
        }
    }
    panic!("it never ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_work_is_under_way_once_and_whoever_was_overtaken_writes_nothing() {
    let world = with_orders().await;
    let app = &world.app;
    let (one, other) = (begin(app, Provider::Hicoin, false).await, begin(app, Provider::Hicoin, false).await);
    assert_eq!(one.run_id, other.run_id);
    let key = (one.merchant(), RunId(one.run_id));
    let stop = CancellationToken::new();
    let mut pages = 0;
    let (context, clock) = (app.context.clone(), app.clock.clone());
    let slow = reconcile::work(&app.context, key, &stop, |_| {
        pages += 1;
        if pages == 2 {
            // It stands still for longer than its lease, and another one takes over.
            clock.advance(Duration::from_secs(31));
            let context = context.clone();
            let done = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(async { reconcile::work(&context, key, &CancellationToken::new(), |_| ()).await })
            });
            let taken = done.join().expect("a thread").expect("a run").expect("nobody has it");
            assert_eq!((taken.state.as_str(), taken.compared), ("finished", 12));
        }
    });
    assert!(slow.await.expect("an answer").is_none(), "it was taken over");
    assert_eq!(app.get(&format!("/v1/reconciliations/{}", RunId(one.run_id))).await.body["compared"], 12);
    world.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_night_has_one_run_of_each_account() {
    let world = with_orders().await;
    let app = &world.app;
    let stop = CancellationToken::new();
    let until_night = |app: &crate::harness::TestApp| {
        let now = app.clock.now();
        let night = now.replace_time(time::macros::time!(2:00)) + time::Duration::days(1);
        app.advance(Duration::try_from(night - now).expect("it is ahead"));
    };
    app.work(tillgate::domain::agenda::Work::Close).await;
    until_night(app);
    for expected in [2, 0] {
        reconcile::begin_nightly(&app.context).await.expect("the night's runs");
        assert_eq!(reconcile::work_on_all(&app.context, &stop).await.expect("the night's work"), expected, "of FOMO and of Hicoin");
    }
    until_night(app);
    reconcile::begin_nightly(&app.context).await.expect("the night's runs");
    assert_eq!(reconcile::work_on_all(&app.context, &stop).await.expect("the night's work"), 2);
    let list = app.get("/v1/reconciliations?limit=3").await.body;
    assert_eq!((list["data"].as_array().map(Vec::len), list["has_more"].as_bool()), (Some(3), Some(true)));
    let run = &list["data"][0];
    assert_eq!(
        (run["asked_by"].as_str(), run["status"].as_str(), run["repair"].as_bool()),
        (Some("schedule"), Some("finished"), Some(true))
    );
    let key = app.other_merchant(&[tillgate::flows::tenant::Scope::Admin]).await;
    let path = format!("/v1/reconciliations/{}", run["id"].as_str().expect("an id"));
    let key = secrecy::ExposeSecret::expose_secret(&key).to_owned();
    app.call_as(&key, "GET", &path, None).await.expect_problem(404, "not_found");
    assert!(open(app).await.is_empty());
    world.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_cannot_be_asked_loses_nothing() {
    use tillgate::sandbox::{Fault, Times};
    let world = with_orders().await;
    let app = &world.app;
    // The first run has no balances to compare with.
    reconcile_all(app, Provider::Hicoin, false).await;
    let whole = reconcile_all(app, Provider::Hicoin, false).await;
    let run = begin(app, Provider::Hicoin, false).await;
    let key = (run.merchant(), RunId(run.run_id));
    for list in ["withdrawList", "transferList", "systemTransferList", "syncDepositList", "getAllAccount"] {
        app.sandbox.inject(list, None, Fault::Error500Before, Times::Count(1));
    }
    let mut failures = 0;
    let done = loop {
        match reconcile::work(&app.context, key, &CancellationToken::new(), |_| ()).await {
            Ok(run) => break run.expect("nobody else's"),
            Err(_) => failures += 1,
        }
    };
    assert_eq!((failures, done.compared, done.disagree), (5, whole.compared, 0));
    world.app.finish().await;
}
