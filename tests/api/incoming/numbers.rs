//! Hicoin's numbers: shown late, left out, or not to be read.

use std::time::Duration;

use serde_json::json;
use tillgate::sandbox::{Fault, HicoinTo};

use super::{Payer, expect, finish, much, round, show, start};
use crate::harness::{START, TestApp};

async fn cursor(app: &TestApp) -> i64 {
    sqlx::query_scalar("SELECT cursor FROM deposit_feeds").fetch_one(&mut app.database().await).await.expect("a cursor")
}

/// When `depositList` was asked for a number, in seconds since the test began.
fn asked_for(app: &TestApp, number: u64) -> Vec<i64> {
    let all = app.sandbox.call_log();
    let calls = all.iter().filter(|call| call.operation == "depositList" && call.is_about(&number.to_string()));
    calls.map(|call| call.at_ms / 1000 - START).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lower_number_that_is_shown_later_is_found_soon() {
    let app = start(&json!({})).await;
    let ada = Payer::new(&app, "ada").await;
    ada.ask("d-1", "3").await;
    let hidden = [ada.hide("0.1"), ada.hide("0.2")];
    ada.pay("1");
    let pending = ada.hide("0.7");
    ada.pay("1");
    round(&app).await;
    expect(&app, &[("d-1", "processing/partially_paid 2/2 under")]).await;
    assert_eq!((cursor(&app).await, app.count("feed_follows WHERE reason = 'missing'").await), (5, 3));
    for number in hidden {
        show(&app, number);
        finish(&app, number);
    }
    show(&app, pending);
    // By the list alone: single numbers are not answered now.
    app.sandbox.inject("depositList", None, Fault::Omit, tillgate::sandbox::Times::Forever);
    round(&app).await;
    expect(&app, &[("d-1", "processing/confirming 3/2.3 exact")]).await;
    app.sandbox.clear_faults();
    finish(&app, pending);
    round(&app).await;
    expect(&app, &[("d-1", "succeeded 3/3 exact")]).await;
    assert_eq!(app.count("feed_follows").await, 0);
    app.everything_is_found().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_far_behind_the_cursor_is_found_when_it_is_asked_for_by_itself() {
    let app = start(&json!({})).await;
    let ada = Payer::new(&app, "ada").await;
    ada.ask("d-1", "3").await;
    let [shown, pending] = [ada.hide("1"), ada.send("2")];
    for _ in 0..250 {
        app.sandbox.hicoin_deposit(None, &HicoinTo::Uid(77), "ETH", much("0.01")).expect("a deposit");
    }
    round(&app).await;
    assert_eq!(cursor(&app).await, 252);
    show(&app, shown);
    finish(&app, shown);
    finish(&app, pending);
    app.live(Duration::from_mins(2), Duration::from_secs(20), false).await;
    expect(&app, &[("d-1", "succeeded 3/3 exact")]).await;
    let listed = app.sandbox.call_log();
    let again = listed.iter().filter(|call| call.operation == "syncDepositList" && call.is_about(&shown.to_string()));
    assert_eq!(again.count(), 0, "the list begins a stretch before the cursor, not at the beginning");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_are_never_shown_are_asked_for_less_and_less_and_given_up() {
    let app = start(&json!({})).await;
    let ada = Payer::new(&app, "ada").await;
    ada.pay("1");
    app.sandbox.hicoin_skip_deposit_ids(None, 3).expect("a gap");
    ada.pay("1");
    round(&app).await;
    assert_eq!((cursor(&app).await, app.count("feed_follows").await, app.count("receipts").await), (5, 3, 2));
    app.live(Duration::from_mins(30), Duration::from_secs(30), false).await;
    app.live(Duration::from_hours(25), Duration::from_mins(30), false).await;
    let times = asked_for(&app, 3);
    let gaps: Vec<i64> = times.windows(2).map(|two| two[1] - two[0]).collect();
    assert_eq!((&gaps[..5], gaps.last(), times.len()), (&[30, 30, 60, 300, 900][..], Some(&3600), 30), "{gaps:?}");
    assert_eq!((asked_for(&app, 2), asked_for(&app, 4)), (times.clone(), times.clone()));
    assert!(times.last().is_some_and(|last| (86_400..90_000 + 60).contains(last)), "{times:?}");
    assert_eq!((app.count("feed_follows").await, cursor(&app).await), (0, 5));
    ada.ask("d-1", "2").await;
    ada.pay("2");
    round(&app).await;
    expect(&app, &[("d-1", "succeeded 2/2 exact")]).await;
    assert_eq!(cursor(&app).await, 6);
    app.everything_is_found().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_keeps_nothing_else_waiting_and_is_asked_for_again() {
    let app = start(&json!({})).await;
    let ada = Payer::new(&app, "ada").await;
    ada.ask("d-1", "2").await;
    // More than any amount that we can keep.
    let strange = ada.send("10000000000");
    ada.pay("2");
    round(&app).await;
    expect(&app, &[("d-1", "succeeded 2/2 exact")]).await;
    assert_eq!((cursor(&app).await, app.count("receipts").await), (2, 1));
    app.live(Duration::from_mins(10), Duration::from_mins(1), false).await;
    app.live(Duration::from_hours(30), Duration::from_hours(1), false).await;
    assert_eq!(app.count("feed_follows WHERE reason = 'unreadable' AND number = 1").await, 1, "it is never given up");
    assert!(asked_for(&app, strange).len() > 20);
    app.finish().await;
}
