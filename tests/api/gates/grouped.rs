//! Callers at the same time share statements, and do not notice.

use futures_util::future::join_all;
use serde_json::json;

use super::{Meter, warm};
use crate::harness::payout_wish;

#[tokio::test]
async fn payouts_at_the_same_time_share_statements_and_each_has_its_answer() {
    let app = warm().await;
    let mut meter = Meter::on(&app).await;
    meter.begin().await;
    let names: Vec<String> = (0..60).map(|number| format!("p-{number}")).collect();
    let answers = join_all(names.iter().map(|name| app.payout(name))).await;
    for (name, answer) in names.iter().zip(&answers) {
        assert_eq!((answer.status, answer.text("trade_id")), (201, name.as_str()));
    }
    let (statements, commits) = meter.costs().await;
    assert!(statements < 60, "{statements} statements");
    assert_eq!(statements, commits);
    app.settle_down().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_at_the_same_time_with_one_trade_id_get_one_order() {
    let app = warm().await;
    let wishes: Vec<_> = (0..48).map(|number| payout_wish(&format!("p-{}", number % 6))).collect();
    let answers = join_all(wishes.iter().map(|wish| app.post("/v1/payouts", wish))).await;
    for trade_id in (0..6).map(|number| format!("p-{number}")) {
        let mut of_it: Vec<_> = answers.iter().filter(|answer| answer.text("trade_id") == trade_id).collect();
        of_it.sort_by_key(|answer| std::cmp::Reverse(answer.status));
        assert_eq!(of_it.iter().map(|answer| answer.status).collect::<Vec<_>>(), [201, 200, 200, 200, 200, 200, 200, 200]);
        assert!(of_it.iter().all(|answer| answer.text("id") == of_it[0].text("id")));
    }
    assert_eq!(app.count("orders WHERE trade_id LIKE 'p-%'").await, 6);
    app.settle_down().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_database_refuses_fails_alone() {
    let app = warm().await;
    let refuse = "ALTER TABLE orders ADD CONSTRAINT nothing_bad CHECK (trade_id NOT LIKE 'bad-%')";
    sqlx::query(refuse).execute(&mut app.database().await).await.expect("a constraint");
    let names: Vec<String> =
        (0..40).map(|number| if u32::is_multiple_of(number, 8) { format!("bad-{number}") } else { format!("p-{number}") }).collect();
    let answers = join_all(names.iter().map(|name| app.payout(name))).await;
    for (name, answer) in names.iter().zip(&answers) {
        if name.starts_with("bad") {
            answer.expect_problem(500, "internal_error");
        } else {
            assert_eq!(answer.status, 201, "{name}: {}", answer.body);
        }
    }
    app.settle_down().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lacks_what_is_needed_hears_so_beside_those_who_do_not() {
    let app = warm().await;
    let wish = |number: usize| {
        let customer = if number.is_multiple_of(3) { "bob" } else { "ada" };
        // To the letter, also where it has to be written into a document.
        let metadata = json!({ "note": "\"quoted\" \\ and \u{1F4B6}", "n": number });
        json!({ "trade_id": format!("d-{number}"), "provider": "fomo", "coin": "usdt", "amount": "1.5", "customer": customer, "metadata": metadata })
    };
    let wishes: Vec<_> = (0..30).map(wish).collect();
    let answers = join_all(wishes.iter().map(|wish| app.post("/v1/deposits", wish))).await;
    for (number, (wish, answer)) in wishes.iter().zip(&answers).enumerate() {
        if number.is_multiple_of(3) {
            answer.expect_problem(422, "link_required");
        } else {
            assert_eq!((answer.status, answer.text("status"), &answer.body["metadata"]), (201, "awaiting_payment", &wish["metadata"]));
        }
    }
    app.finish().await;
}
