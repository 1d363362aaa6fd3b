//! Several readers of one feed, at once.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tillgate::http::auth::TrustedProxies;

use super::{Payer, expect, finish, round, show, start};
use crate::harness::TestApp;

async fn deadlocks(app: &TestApp) -> i64 {
    let mut database = app.database().await;
    sqlx::query_scalar("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        .fetch_one(&mut database)
        .await
        .expect("a number")
}

/// Each of these gateways reads the feed now, several times, and all at once.
async fn all_read(gateways: &[&TestApp], trade_id: &str) {
    let path = format!("/v1/deposits/{trade_id}/refresh");
    let wishes = gateways.iter().flat_map(|app| [*app; 2]).map(|app| async {
        let answer = app.post(&path, &json!({})).await;
        // On a busy machine the provider may answer too late.
        assert!([200, 503].contains(&answer.status), "{}", answer.body);
    });
    join_all(wishes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_that_read_at_once_find_everything_once() {
    let app = start(&json!({ "top_ups": true })).await;
    let replica = app.replica(TrustedProxies::default());
    let [ada, bob] = [Payer::new(&app, "ada").await, Payer::new(&app, "bob").await];
    round(&app).await;
    let mut open: Vec<u64> = Vec::new();
    let mut hidden: Vec<u64> = Vec::new();
    for turn in 0..6 {
        for payer in [&ada, &bob] {
            payer.ask(&format!("{}-{turn}", payer.name), "2").await;
            open.extend([payer.send("0.5"), payer.send("1")]);
            hidden.push(payer.hide("0.5"));
            open.push(payer.send("3"));
        }
        all_read(&[&app, &replica], "ada-0").await;
        // What is confirmed now has lower numbers than what is new, and later ids.
        for number in std::mem::take(&mut hidden) {
            show(&app, number);
            open.push(number);
        }
        for number in open.split_off(open.len() / 3) {
            finish(&app, number);
        }
        app.advance(Duration::from_secs(10));
        all_read(&[&app, &replica], "ada-0").await;
    }
    for number in open {
        finish(&app, number);
    }
    app.advance(Duration::from_hours(1));
    tokio::join!(app.settle_down(), replica.settle_down());
    app.everything_is_found().await;
    assert_eq!(deadlocks(&app).await, 0);
    replica.stop().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_gets_money_from_several_hands_at_once_counts_all_of_it() {
    let app = start(&json!({})).await;
    let replica = app.replica(TrustedProxies::default());
    let ada = Payer::new(&app, "ada").await;
    for _ in 0..32 {
        ada.pay("1");
    }
    round(&app).await;
    ada.ask("d-1", "1000").await;
    let list = app.get("/v1/receipts?limit=100").await.body;
    let ids: Vec<String> =
        list["data"].as_array().expect("a list").iter().map(|one| one["id"].as_str().unwrap_or_default().to_owned()).collect();
    let (gateways, path, body) =
        ([&app, &replica], |id: &String| format!("/v1/receipts/{id}/assign"), json!({ "trade_id": "d-1", "reason": "a test" }));
    for (turn, ids) in ids.chunks(4).enumerate() {
        for _ in 0..2 {
            ada.pay("1");
        }
        let given = join_all(ids.iter().zip([&app, &replica].into_iter().cycle()).map(|(id, app)| async {
            let answer = app.post(&path(id), &body).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
        }));
        tokio::join!(given, all_read(&gateways, "d-1"));
        round(&app).await;
        let sum = 6 * (turn + 1);
        expect(&app, &[("d-1", &format!("processing/partially_paid {sum}/{sum} under"))]).await;
    }
    app.everything_is_found().await;
    assert_eq!(deadlocks(&app).await, 0);
    replica.stop().await;
    app.finish().await;
}
