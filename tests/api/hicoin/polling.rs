//! Polling: how many calls and statements a round takes, what it writes, and when the next one is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tillgate::domain::audit::By;
use tillgate::domain::order::Provider;
use tillgate::flows::setup;
use tillgate::flows::tenant::Scope;
use tillgate::http::auth::TrustedProxies;
use tillgate::sandbox::{Fault, Options, Times};
use tracing_subscriber::layer::SubscriberExt;

use super::ways::{Way, World};
use crate::harness::statements::Statements;
use crate::harness::{START, hicoin, make_key, merchant};

/// The second merchant, with the same account at Hicoin.
async fn rival(world: &World) -> SecretString {
    let app = &world.app;
    let mut document = merchant("rival", &app.sandbox, &json!({}));
    document.accounts.insert(Provider::Hicoin, hicoin(&app.sandbox, &json!({})));
    setup::apply(&app.context, &By::operator("test"), &document).await.expect("a merchant");
    make_key(&app.context, "rival", &[Scope::Admin]).await
}

/// The calls of the lists after the first `from` calls: the operation and the ids of each.
fn pages(world: &World, from: usize) -> Vec<(&'static str, Vec<String>)> {
    let log = world.app.sandbox.call_log();
    let lists = log.into_iter().skip(from).filter(|call| call.operation.ends_with("List") && call.operation != "syncDepositList");
    lists.map(|call| (call.operation, call.ids)).collect()
}

/// So many pages of each list were asked for, and no order twice.
fn check_round(world: &World, from: usize, expected: &[(&'static str, usize)], orders: usize) {
    let pages = pages(world, from);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    pages.iter().for_each(|(operation, _)| *counts.entry(operation).or_default() += 1);
    assert_eq!(counts, expected.iter().copied().collect(), "calls of each list");
    let ids: Vec<&String> = pages.iter().flat_map(|(_, ids)| ids).collect();
    assert_eq!((ids.len(), ids.iter().collect::<BTreeSet<_>>().len()), (orders, orders), "each order is asked about once");
}

/// Whoever wrote the rows of orders last, and how much was ever said of them.
async fn written(world: &World) -> (String, i64, i64, i64) {
    let sql = "SELECT string_agg(order_id::text || xmin::text || xmax::text, ' ' ORDER BY order_id) FROM orders";
    let rows = sqlx::query_scalar(sql).fetch_one(&mut world.app.database().await).await.expect("rows");
    (rows, world.app.count("steps").await, world.app.count("events").await, world.app.count("reports").await)
}

// On one thread, so that its statements can be told from those of other tests.
#[tokio::test]
async fn a_round_takes_a_call_and_three_statements_for_a_hundred_orders_and_writes_to_none_of_them() {
    let statements = Statements::default();
    // With a single subscriber, what another thread comes by first would be taken for disabled.
    let _another = tracing::Dispatch::new(tracing_subscriber::registry());
    let _counted = tracing::subscriber::set_default(tracing_subscriber::registry().with(statements.clone()));
    let world = World::start_on(Options::default(), &json!({})).await;
    let (app, rival) = (&world.app, rival(&world).await);
    // Hicoin says that it knows these, and does not show them.
    app.sandbox.inject("systemTransfer", None, Fault::Code(110_088), Times::Forever);
    let lanes = [(false, Way::OnChain, 250), (false, Way::ToUser, 101), (true, Way::OnChain, 30), (true, Way::ToUser, 30)];
    let orders = lanes.into_iter().flat_map(|(others, way, count)| (0..count).map(move |number| (others, way, number)));
    let wishes = orders.map(|(others, way, number)| {
        let key = if others { &rival } else { &app.key };
        (key.expose_secret(), world.wish(way, &format!("{}-{others}-{number}", way.name())))
    });
    stream::iter(wishes.collect::<Vec<_>>())
        .for_each_concurrent(8, |(key, wish)| async move {
            assert_eq!(app.call_as(key, "POST", "/v1/payouts", Some(&wish)).await.status, 201);
        })
        .await;
    app.submit().await;
    let all = [("withdrawList", 3 + 1), ("systemTransferList", 2 + 1)];
    let mut begun = app.sandbox.call_log().len();
    let mut before = Default::default();
    for (wait, news) in [(5, true), (15, false), (30, false)] {
        app.advance(Duration::from_secs(wait));
        statements.take("");
        assert_eq!(app.poll().await, 411);
        check_round(&world, begun, &all, 411);
        // Four lines ask for pages, each until there is none.
        assert_eq!(statements.take("WITH first AS"), 7 + 4, "claims");
        assert_eq!(statements.take("SELECT o.*"), 7, "orders read");
        assert_eq!(statements.take("WITH input AS"), 7, "and all that was told written");
        for merchants in ["SELECT provider, sealed", "SELECT return_origins"] {
            assert!(statements.take(merchants) <= 4, "merchants are remembered for a while");
        }
        assert_eq!(statements.take(""), 0, "and nothing else");
        let after = written(&world).await;
        assert!(news || after == before, "nothing new was written after {wait} s");
        (before, begun) = (after, app.sandbox.call_log().len());
    }

    // Hicoin cannot be asked: everything stays.
    assert_eq!(app.count("tasks WHERE absent_last IS NOT NULL").await, 131, "what is not shown was looked for");
    let absent = absences(&world).await;
    app.sandbox.inject("withdrawList", None, Fault::LoseBefore, Times::Forever);
    app.sandbox.inject("systemTransferList", None, Fault::GarbageBefore, Times::Forever);
    app.advance(Duration::from_mins(1));
    assert_eq!(app.poll().await, 411);
    check_round(&world, begun, &all, 411);
    assert_eq!((written(&world).await, absences(&world).await), (before.clone(), absent));

    // Two processes share the work.
    app.sandbox.clear_faults();
    begun = app.sandbox.call_log().len();
    let replica = app.replica(TrustedProxies::default());
    app.advance(Duration::from_mins(5));
    let (one, two) = tokio::join!(app.poll(), replica.poll());
    assert_eq!(one + two, 411);
    let ids: Vec<String> = pages(&world, begun).into_iter().flat_map(|(_, ids)| ids).collect();
    assert_eq!((ids.len(), ids.iter().collect::<BTreeSet<_>>().len()), (411, 411), "each order is asked about once");
    assert_eq!(written(&world).await, before);
    replica.stop().await;
    world.app.finish().await;
}

/// The looks that found nothing.
async fn absences(world: &World) -> String {
    let sql = "SELECT string_agg(concat_ws(' ', order_id, absent_since, absent_last), ',' ORDER BY order_id) FROM tasks";
    sqlx::query_scalar(sql).fetch_one(&mut world.app.database().await).await.expect("rows")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_look_is_first() {
    let world = World::start_on(Options::default(), &json!({})).await;
    for batch in ["b", "a"] {
        world.create_all((0..60).map(|number| (Way::OnChain, format!("{batch}-{number}")))).await;
        world.app.submit().await;
        world.app.advance(Duration::from_secs(3));
    }
    world.app.advance(Duration::from_secs(4));
    let begun = world.app.sandbox.call_log().len();
    assert_eq!(world.app.poll().await, 120);
    let mut pages = pages(&world, begun);
    pages.sort_by_key(|(_, ids)| std::cmp::Reverse(ids.len()));
    let old = |ids: &[String]| ids.iter().filter(|id| id.starts_with('b')).count();
    let counts: Vec<_> = pages.iter().map(|(operation, ids)| (*operation, ids.len(), old(ids))).collect();
    assert_eq!(counts, [("withdrawList", 100, 60), ("withdrawList", 20, 0)]);
    world.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn looks_come_fast_at_first_and_hourly_at_last_and_begin_anew_at_a_new_place() {
    let world = World::start_on(Options::default(), &json!({})).await;
    world.app.sandbox.fault("systemTransfer", Fault::Code(110_088));
    world.create(Way::ToUser, "known").await;
    world.create(Way::OnChain, "shown").await;
    world.app.submit().await;
    let mut passed = 0;
    for due in [5, 20, 50, 110, 410, 1310, 4910, 8510] {
        world.pass(due - passed - 1).await;
        assert!(!world.asked(Way::ToUser, "known", START).contains(&i64::try_from(due - 1).expect("a time")), "a second before {due} s");
        world.pass(1).await;
        passed = due;
    }
    assert_eq!(world.asked(Way::ToUser, "known", START), [5, 20, 50, 110, 410, 1310, 4910, 8510]);
    // The first look finds it in review: from then on the schedule runs anew. It is late where nobody worked meanwhile.
    assert_eq!(world.asked(Way::OnChain, "shown", START)[..6], [5, 19, 49, 109, 409, 1309]);
    world.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_of_the_greatest_length_go_into_one_question() {
    let world = World::start_on(Options::default(), &json!({})).await;
    world.create_all((0..100).map(|number| (Way::OnChain, format!("{number:_>64}")))).await;
    world.app.submit().await;
    let begun = world.app.sandbox.call_log().len();
    world.app.advance(Duration::from_secs(5));
    assert_eq!(world.app.poll().await, 100);
    check_round(&world, begun, &[("withdrawList", 1)], 100);
    assert!(world.seen().await.values().all(|seen| seen.place == "processing/provider_review"));
    world.app.finish().await;
}
