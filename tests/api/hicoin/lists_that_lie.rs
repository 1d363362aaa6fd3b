//! Lists that say something else than the order, twice, or what nobody can read.

use std::time::Duration;

use serde_json::{Value, json};
use tillgate::sandbox::{Fault, HicoinStage, Options, Times};

use super::liar::Liar;
use super::ways::{MISMATCH, REVIEW, Way, World, seen};

/// A world with a liar in it, where nothing moves on by itself.
async fn start() -> (World, Liar) {
    let world = World::start_on(Options::default(), &json!({})).await;
    let liar = Liar::between(&world).await;
    (world, liar)
}

/// Orders whose answers are lost, so that only the lists tell of them.
async fn unheard(world: &World, orders: &[(Way, String)]) {
    for (way, id) in orders {
        world.app.sandbox.inject(way.operation(), Some(id), Fault::LoseAfter, Times::Count(1));
    }
    world.create_all(orders.iter().cloned()).await;
    world.app.submit().await;
}

/// The field that an order's entry tells otherwise, and the kind of the discrepancy that comes of it.
fn lies() -> Vec<(Way, &'static str, Value, &'static str)> {
    use Way::{BetweenUsers, Internal, OnChain, ToUser};
    let mut all = vec![
        (OnChain, "uid", json!(10002), "recipient"),
        (OnChain, "address_to", json!("0x754b0c610e311d0d00c810ef857b4dd989a67163"), "recipient"),
        (Internal, "from_uid", json!(10001), "recipient"),
        (ToUser, "to_uid", json!("10002"), "recipient"),
        (BetweenUsers, "from_uid", json!(10002), "recipient"),
        (BetweenUsers, "to_uid", json!(10001), "recipient"),
    ];
    for way in [OnChain, Internal, ToUser, BetweenUsers] {
        all.push((way, "amount", json!("1.0000000000000001"), "amount"));
        all.push((way, "symbol", json!("BTC"), "coin"));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_tells_of_something_else_is_a_discrepancy_and_the_order_a_persons() {
    let (world, liar) = start().await;
    let id = |number: usize| format!("p-{number}");
    let orders: Vec<_> = lies().iter().enumerate().map(|(number, lie)| (lie.0, id(number))).collect();
    for (number, (_, key, value, _)) in lies().into_iter().enumerate() {
        liar.says(&id(number), key, value);
    }
    unheard(&world, &orders).await;
    world.pass(5).await;
    liar.repent();
    world.pass_a_day().await;
    let ends = world.seen().await;
    for (number, (way, key, _, kind)) in lies().into_iter().enumerate() {
        let (id, what) = (id(number), format!("{way:?} with another {key}"));
        assert_eq!(ends[&id], seen(MISMATCH, &["unknown"], 1, 1), "{what}");
        assert_eq!(world.app.discrepancies(&id).await, [kind], "{what}");
        assert_eq!(world.asked(way, &id, 0).len(), 1, "{what}: nothing that comes later settles it");
        let retry = json!({ "action": "retry", "reason": "let us try" });
        let refused = world.app.post(&format!("/v1/{}/{id}/resolve", way.collection()), &retry).await;
        refused.expect_problem(409, "might_pay_twice");
    }
    liar.stop().await;
    world.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_way_of_writing_is_not_something_else() {
    let (world, liar) = start().await;
    let orders: Vec<_> = (0..6).map(|number| (Way::OnChain, format!("p-{number}"))).collect();
    liar.says("p-0", "amount", json!("1.000"));
    liar.says("p-1", "address_to", json!("0x754B0C610E311D0D00C810EF857B4DD989A67162"));
    liar.says("p-2", "uid", json!("10000"));
    liar.says("p-3", "address_to", json!(""));
    liar.says("p-4", "status", json!("0"));
    liar.tells("p-5", |entry| vec![json!({ "request_id": "somebody-elses", "status": 9 }), entry]);
    unheard(&world, &orders).await;
    world.pass(5).await;
    for (way, id) in &orders {
        assert_eq!(world.place(*way, id).await, "processing/provider_review", "{id}");
    }
    assert_eq!(world.app.count("discrepancies").await, 0);
    liar.stop().await;
    world.app.finish().await;
}

fn with(mut entry: Value, changes: &[(&str, Value)]) -> Value {
    changes.iter().for_each(|(key, value)| entry[*key] = value.clone());
    entry
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_is_listed_twice_was_carried_out_twice() {
    let (world, liar) = start().await;
    let twice = |changes: &'static [(&'static str, i64)]| {
        move |entry: Value| {
            let changes: Vec<_> = changes.iter().map(|(key, value)| (*key, json!(value))).collect();
            vec![entry.clone(), with(entry, &changes)]
        }
    };
    let orders = ["open", "failed", "paid", "user", "same", "late"].map(|id| (Way::OnChain, id.to_owned()));
    let orders = orders.map(|(way, id)| (if id == "user" { Way::ToUser } else { way }, id));
    liar.tells("open", twice(&[("id", 7)]));
    liar.tells("failed", twice(&[("id", 7), ("status", 4)]));
    liar.tells("user", twice(&[("id", 7)]));
    // An entry twice is not a movement twice.
    liar.tells("same", twice(&[]));
    unheard(&world, &orders).await;
    world.app.sandbox.hicoin_withdrawal(None, "paid", HicoinStage::Done, None).expect("a withdrawal");
    liar.tells("paid", twice(&[("id", 7), ("status", 3)]));
    world.pass(5).await;
    assert_eq!(world.place(Way::OnChain, "late").await, "processing/provider_review");
    liar.says("late", "id", json!(7));
    world.pass(60).await;
    for (way, id) in &orders {
        let (place, kinds): (_, &[&str]) = match id.as_str() {
            "open" | "failed" | "late" => (MISMATCH, &["duplicate"]),
            // What has ended stays as it ended.
            "paid" | "user" => ("succeeded", &["duplicate"]),
            _ => ("processing/provider_review", &[]),
        };
        assert_eq!(
            (world.place(*way, id).await.as_str(), world.app.discrepancies(id).await),
            (place, kinds.iter().map(|kind| (*kind).to_owned()).collect()),
            "{id}"
        );
    }
    liar.stop().await;
    world.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_nobody_can_read_is_neither_there_nor_absent_and_a_persons_after_a_day() {
    let (world, liar) = start().await;
    let orders: Vec<_> = ["status", "amount", "symbol"].map(|key| (Way::OnChain, key.to_owned())).into();
    liar.says("status", "status", json!(9));
    liar.says("amount", "amount", json!("many"));
    liar.says("symbol", "symbol", Value::Null);
    unheard(&world, &orders).await;
    world.app.live(Duration::from_hours(23), Duration::from_mins(30), false).await;
    world.seen().await.iter().for_each(|(id, seen_)| assert_eq!(*seen_, seen("processing/outcome_unknown", &["unknown"], 1, 1), "{id}"));
    // A look that comes again at once for ever would never let go.
    let day = world.app.live(Duration::from_hours(3), Duration::from_hours(1), false);
    tokio::time::timeout(Duration::from_secs(60), day).await.expect("the workers come to rest");
    world.seen().await.iter().for_each(|(id, end)| assert_eq!(*end, seen(REVIEW, &["unknown"], 1, 1), "{id}"));
    assert!(world.asked(Way::OnChain, "status", 0).len() < 60, "by the schedule");
    liar.repent();
    world.pass(3600).await;
    assert_eq!(world.place(Way::OnChain, "status").await, "processing/provider_review");
    liar.stop().await;
    world.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_nobody_can_read_breaks_the_row_of_looks_that_found_nothing() {
    let (world, liar) = start().await;
    unheard(&world, &[(Way::OnChain, "p-1".to_owned())]).await;
    for (wait, readable) in [(5, None), (15, Some(false)), (30, None)] {
        liar.repent();
        match readable {
            None => liar.tells("p-1", |_| Vec::new()),
            Some(_) => liar.says("p-1", "status", json!(9)),
        }
        world.pass(wait).await;
    }
    assert_eq!(world.seen().await["p-1"].calls, 1, "it was there in between");
    world.pass(60).await;
    assert_eq!(world.seen().await["p-1"], seen("processing/accepted", &["unknown", "duplicate"], 1, 2));
    liar.stop().await;
    world.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_may_be_about_anything_makes_the_whole_page_say_nothing() {
    let (world, liar) = start().await;
    let orders: Vec<_> = (0..3).map(|number| (Way::OnChain, format!("p-{number}"))).collect();
    liar.tells("p-1", |entry| vec![json!("nothing"), entry]);
    unheard(&world, &orders).await;
    world.app.live(Duration::from_mins(2), Duration::from_secs(5), false).await;
    world.seen().await.iter().for_each(|(id, seen_)| assert_eq!(*seen_, seen("processing/outcome_unknown", &["unknown"], 1, 1), "{id}"));
    liar.repent();
    world.pass(120).await;
    for (way, id) in &orders {
        assert_eq!(world.place(*way, id).await, "processing/provider_review", "{id}");
    }
    liar.stop().await;
    world.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_try_beside_the_one_that_was_taken_ends_nothing_in_whichever_order_they_are_listed() {
    let (world, liar) = start().await;
    // Status 4 is a failure, 1 is on its way (hicoin-openapi.rst, section 4.9); 99 is nothing that anybody knows.
    let beside = |statuses: [i64; 2]| {
        move |entry: Value| {
            let numbered = |at: usize| with(entry.clone(), &[("status", json!(statuses[at])), ("id", json!(900_001 + at))]);
            vec![numbered(0), numbered(1)]
        }
    };
    let cases = [("failed-first", [4, 1]), ("failed-last", [1, 4]), ("unreadable-last", [4, 99]), ("unreadable-first", [99, 4])];
    let orders = cases.map(|(id, _)| (Way::OnChain, id.to_owned()));
    for (id, statuses) in cases {
        liar.tells(id, beside(statuses));
    }
    unheard(&world, &orders).await;
    world.pass(5).await;
    for (way, id) in &orders {
        let place = world.place(*way, id).await;
        let expected = if id.starts_with("failed") { MISMATCH } else { "processing/outcome_unknown" };
        assert_eq!(place, expected, "{id}: a person sees that there are two, or it is asked for again");
    }
    liar.repent();
    liar.stop().await;
    world.app.finish().await;
}
