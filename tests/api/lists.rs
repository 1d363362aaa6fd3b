//! Lists: newest first, page by page, filtered.

use std::collections::BTreeSet;
use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tillgate::flows::tenant::Scope;

use crate::harness::{Answer, TestApp, deposit_wish, payout_wish};

/// The trade ids on a page, in their order.
fn names(answer: &Answer) -> Vec<&str> {
    answer.body["data"].as_array().into_iter().flatten().filter_map(|order| order["trade_id"].as_str()).collect()
}

async fn payouts(app: &TestApp, prefix: &str, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let created = app.payout(&format!("{prefix}-{number}")).await;
        assert_eq!(created.status, 201, "{}", created.body);
    }
}

/// Orders of many sorts: a minute lies between the first six.
async fn many_sorts() -> TestApp {
    let app = TestApp::start().await;
    app.link_ada().await;
    for (index, (coin, amount, customer)) in
        [("usdt", "1", "ada"), ("eth", "0.1", "bob"), ("usdt", "2", "bob"), ("usdt", "3", "")].into_iter().enumerate()
    {
        let mut wish = payout_wish(&format!("p-{index}"));
        (wish["coin"], wish["amount"]) = (json!(coin), json!(amount));
        if !customer.is_empty() {
            wish["customer"] = json!(customer);
        }
        assert_eq!(app.post("/v1/payouts", &wish).await.status, 201);
        app.advance(Duration::from_mins(1));
    }
    assert_eq!(app.deposit("d-0").await.status, 201);
    app.advance(Duration::from_mins(1));
    assert_eq!(app.deposit("d-1").await.status, 201);
    assert_eq!(app.post("/v1/payouts/p-2/cancel", &json!({})).await.status, 200);
    app.submit().await;
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_has_four_keys_and_an_empty_one_too() {
    let app = TestApp::start().await;
    app.link_ada().await;
    for path in ["/v1/deposits", "/v1/payouts", "/v1/discrepancies", "/v1/customers/nobody/links"] {
        assert_eq!(app.get(path).await.body, json!({ "object": "list", "data": [], "has_more": false, "next_cursor": null }), "{path}");
    }
    payouts(&app, "p", 0..2).await;
    app.discrepancy("d-0").await;
    let paths =
        ["/v1/deposits", "/v1/payouts", "/v1/payouts?limit=1", "/v1/discrepancies", "/v1/customers/ada/links", "/v1/coins?provider=fomo"];
    for path in paths {
        let list = app.get(path).await;
        let keys: Vec<&String> = list.body.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["data", "has_more", "next_cursor", "object"], "{path}");
        assert_eq!((list.text("object"), list.header("content-type")), ("list", "application/json"), "{path}");
        assert_eq!(list.body["has_more"] == json!(true), list.body["next_cursor"].is_string(), "{path}");
        assert!(!list.body["data"].as_array().expect("data").is_empty(), "{path}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_listed_is_what_is_got() {
    let app = many_sorts().await;
    for collection in ["deposits", "payouts"] {
        let list = app.get(&format!("/v1/{collection}")).await;
        for order in list.body["data"].as_array().expect("data") {
            let trade_id = order["trade_id"].as_str().expect("a trade id");
            assert_eq!(*order, app.get(&format!("/v1/{collection}/{trade_id}")).await.body);
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_come_first_and_deposits_and_payouts_do_not_mix() {
    let app = TestApp::start().await;
    app.link_ada().await;
    for number in 0..3 {
        assert_eq!(app.deposit(&format!("d-{number}")).await.status, 201);
        payouts(&app, "p", number..number + 1).await;
    }
    assert_eq!(names(&app.get("/v1/deposits").await), ["d-2", "d-1", "d-0"]);
    assert_eq!(names(&app.get("/v1/payouts").await), ["p-2", "p-1", "p-0"]);
    app.get("/v1/deposits/p-0").await.expect_problem(404, "not_found");
    app.get("/v1/payouts/d-0").await.expect_problem(404, "not_found");
    let cursor = app.get("/v1/payouts?limit=1").await.text("next_cursor").to_owned();
    app.get(&format!("/v1/deposits?starting_after={cursor}")).await.expect_problem(422, "validation_failed");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_meets_each_of_45_orders_once_while_new_ones_come() {
    let app = TestApp::start().await;
    payouts(&app, "old", 0..45).await;
    for limit in [1, 7, 20, 44, 45, 100] {
        let (mut seen, mut path, mut pages) = (Vec::new(), format!("/v1/payouts?limit={limit}"), 0);
        loop {
            let page = app.get(&path).await;
            let page_size = names(&page).len();
            assert!(page_size <= limit, "{page_size}");
            seen.extend(names(&page).into_iter().map(str::to_owned));
            pages += 1;
            payouts(&app, &format!("new-{limit}-{pages}"), 0..1).await;
            match page.body["next_cursor"].as_str() {
                Some(cursor) => path = format!("/v1/payouts?limit={limit}&starting_after={cursor}"),
                None => break,
            }
            assert_eq!(page_size, limit, "a page that is not the last is full");
        }
        let old: Vec<String> = seen.iter().filter(|name| name.starts_with("old")).cloned().collect();
        assert_eq!(old, (0..45).rev().map(|number| format!("old-{number}")).collect::<Vec<_>>(), "limit {limit}");
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len(), "limit {limit}");
        assert!(!seen.iter().any(|name| name.starts_with(&format!("new-{limit}-"))), "what is new does not come later");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_last_page_has_nothing_after_it() {
    let app = TestApp::start().await;
    payouts(&app, "p", 0..20).await;
    let page = app.get("/v1/payouts").await;
    assert_eq!((names(&page).len(), &page.body["has_more"], &page.body["next_cursor"]), (20, &json!(false), &Value::Null));
    payouts(&app, "p", 20..21).await;
    let page = app.get("/v1/payouts").await;
    assert_eq!((names(&page).len(), &page.body["has_more"]), (20, &json!(true)), "20 if nothing is said");
    assert_eq!(page.body["next_cursor"], page.body["data"][19]["id"]);
    let rest = app.get(&format!("/v1/payouts?starting_after={}", page.text("next_cursor"))).await;
    assert_eq!((names(&rest), &rest.body["has_more"], &rest.body["next_cursor"]), (vec!["p-0"], &json!(false), &Value::Null));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_names_no_order_is_a_place_all_the_same() {
    let app = TestApp::start().await;
    payouts(&app, "p", 0..3).await;
    for (digit, expected) in [("0", vec![]), ("f", vec!["p-2", "p-1", "p-0"])] {
        let page = app.get(&format!("/v1/payouts?starting_after=pay_{}", digit.repeat(32))).await;
        assert_eq!((page.status, names(&page)), (200, expected));
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_filter_and_any_of_them_together_show_what_fits() {
    let app = many_sorts().await;
    let minute = |minute: i64| format!("2027-01-15T08:0{minute}:00Z");
    assert_eq!(app.get("/v1/payouts/p-0").await.text("created_at"), minute(0));
    let (one, three) = (minute(1), minute(3));
    let elsewhere = one.replace("T08:01:00Z", "T09:31:00%2B01:30");
    for (query, expected) in [
        ("status=canceled", "p-2"),
        ("status=canceled,succeeded", "p-3 p-2 p-0"),
        ("status=succeeded,succeeded", "p-3 p-0"),
        ("status=processing,queued,requires_review", ""),
        ("provider=fomo", "p-3 p-2 p-1 p-0"),
        ("provider=hicoin", ""),
        ("customer=bob", "p-2 p-1"),
        ("customer=Bob", ""),
        ("coin=usdt", "p-3 p-2 p-0"),
        ("coin=eth", "p-1"),
        (&format!("created_gte={one}"), "p-3 p-2 p-1"),
        (&format!("created_gte={elsewhere}"), "p-3 p-2 p-1"),
        (&format!("created_lt={one}"), "p-0"),
        ("created_lt=2027-01-15T08:00:00Z", ""),
        ("created_lt=2027-01-15T08:00:00.000001Z", "p-0"),
        ("created_gte=2027-01-15T08:00:00.000001Z", "p-3 p-2 p-1"),
        ("created_gte=0001-01-01T00:00:00Z&created_lt=9999-12-31T23:59:59Z", "p-3 p-2 p-1 p-0"),
        (&format!("created_gte={one}&created_lt={three}"), "p-2 p-1"),
        (&format!("created_gte={three}&created_lt={one}"), ""),
        (&format!("created_gte={one}&created_lt={three}&customer=bob&coin=usdt&provider=fomo&status=canceled"), "p-2"),
        (&format!("created_gte={one}&created_lt={three}&customer=bob&coin=usdt&provider=fomo&status=succeeded"), ""),
        ("status=canceled,succeeded&coin=usdt&limit=2", "p-3 p-2"),
    ] {
        let page = app.get(&format!("/v1/payouts?{query}")).await;
        assert_eq!((page.status, names(&page).join(" ")), (200, expected.to_owned()), "{query}: {}", page.body);
    }
    let page = app.get("/v1/deposits?customer=ada&status=awaiting_payment&coin=usdt").await;
    assert_eq!(names(&page), ["d-1", "d-0"]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filtered_walk_meets_each_order_that_fits_once() {
    let app = TestApp::start().await;
    for number in 0..9 {
        let mut wish = payout_wish(&format!("p-{number}"));
        wish["customer"] = json!(if number % 2 == 0 { "even" } else { "odd" });
        assert_eq!(app.post("/v1/payouts", &wish).await.status, 201);
    }
    for number in [1, 2, 5] {
        assert_eq!(app.post(&format!("/v1/payouts/p-{number}/cancel"), &json!({})).await.status, 200);
    }
    for (query, expected) in [
        ("customer=even", "p-8 p-6 p-4 p-2 p-0"),
        ("status=canceled", "p-5 p-2 p-1"),
        ("status=queued,canceled,succeeded", "p-8 p-7 p-6 p-5 p-4 p-3 p-2 p-1 p-0"),
        ("status=queued,canceled&customer=odd", "p-7 p-5 p-3 p-1"),
    ] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = app.get(&format!("/v1/payouts?{query}&limit=2{cursor}")).await;
            seen.extend(names(&page).into_iter().map(str::to_owned));
            let Some(next) = page.body["next_cursor"].as_str() else { break };
            cursor = format!("&starting_after={next}");
        }
        assert_eq!(seen.join(" "), expected, "{query}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn discrepancies_are_listed_newest_first_and_by_status() {
    let app = TestApp::start().await;
    app.link_ada().await;
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.insert(0, app.discrepancy(&format!("d-{number}")).await);
    }
    let resolved = app.post(&format!("/v1/discrepancies/{}/resolve", ids[1]), &json!({ "reason": "a test" })).await;
    assert_eq!((resolved.status, resolved.text("status")), (200, "resolved"));
    for (query, expected) in [
        ("", vec![0, 1, 2]),
        ("?status=open", vec![0, 2]),
        ("?status=resolved", vec![1]),
        (&format!("?starting_after={}", ids[0]), vec![1, 2]),
    ] {
        let page = app.get(&format!("/v1/discrepancies{query}")).await;
        let found: Vec<&str> = page.body["data"].as_array().into_iter().flatten().filter_map(|row| row["id"].as_str()).collect();
        assert_eq!(found, expected.into_iter().map(|index: usize| ids[index].as_str()).collect::<Vec<_>>(), "{query}");
    }
    let page = app.get("/v1/discrepancies?limit=2").await;
    assert_eq!((&page.body["has_more"], page.text("next_cursor")), (&json!(true), ids[1].as_str()));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_does_not_stray_into_another_merchants_orders() {
    let app = TestApp::start().await;
    let rival = app.other_merchant(&[Scope::Admin]).await;
    for number in 0..4 {
        payouts(&app, "p", number..number + 1).await;
        let theirs = payout_wish(&format!("r-{number}"));
        assert_eq!(app.call_as(rival.expose_secret(), "POST", "/v1/payouts", Some(&theirs)).await.status, 201);
    }
    let theirs = app.call_as(rival.expose_secret(), "GET", "/v1/payouts?limit=1", None).await;
    let page = app.get(&format!("/v1/payouts?starting_after={}", theirs.text("next_cursor"))).await;
    assert_eq!(names(&page), ["p-3", "p-2", "p-1", "p-0"]);
    app.call_as(rival.expose_secret(), "POST", "/v1/deposits", Some(&deposit_wish("r-d"))).await.expect_problem(422, "link_required");
    app.finish().await;
}
