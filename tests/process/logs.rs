//! What processes write: for machines, one JSON object a line, with what is needed to find things again; and never a secret,
//! however much is asked for.

use serde_json::{Value, json};
use tillgate::sandbox::{Fault, Times};

use crate::house::{ADA, House, USDT};
use crate::program::until;
use crate::talk::{call, deposit_wish, log_line};

/// Every line of a gateway's log.
fn lines(log: &str) -> Vec<Value> {
    let read = |line: &str| serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("not JSON ({error}): {line}"));
    let lines: Vec<Value> = log.lines().map(read).collect();
    assert!(lines.iter().all(|line| line["timestamp"].is_string() && line["level"].is_string() && line["target"].is_string()));
    lines
}

fn with_message<'a>(lines: &'a [Value], message: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["message"] == message).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_logs_json_that_names_requests_and_orders() {
    let house = House::open().await;
    let gateway = house.serve("all").await;
    house.link_ada().await;
    let named = house.http.get(format!("{}/v1/payouts", house.api())).bearer_auth(&house.key).header("X-Request-Id", "my-own-name");
    let answer = named.send().await.expect("an answer");
    assert_eq!(answer.headers()["x-request-id"], "my-own-name");
    let asked = [
        ("POST", "/v1/deposits", Some(deposit_wish("d-1")), 201),
        ("POST", "/v1/deposits", Some(json!({ "trade_id": "!" })), 422),
        ("GET", "/v1/deposits/nowhere", None, 404),
        ("DELETE", "/v1/deposits", None, 405),
        ("GET", "/no/such/path", None, 404),
    ];
    let mut names = vec![("my-own-name".to_owned(), 200)];
    for (method, path, body, status) in asked {
        let answer = house.try_call(method, path, body.as_ref()).await.expect("an answer");
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        let name = answer.headers["x-request-id"].to_str().expect("a name").to_owned();
        if status >= 400 {
            assert_eq!(answer.text("request_id"), name, "{method} {path}");
        }
        names.push((name, status));
    }
    let refused = call(&house.http, &house.api(), "tg_wrong", "GET", "/v1/payouts", None).await.expect("an answer");
    assert_eq!(refused.status, 401);
    names.push((refused.headers["x-request-id"].to_str().expect("a name").to_owned(), 401));
    house.payout("p-1").await;
    house.comes_to("p-1", &["succeeded"]).await;
    gateway.program.terminate();
    let ended = gateway.program.end().await;
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), ""), "logs go to standard error");

    let lines = lines(&ended.err);
    let answered = with_message(&lines, "answered");
    assert!(answered.iter().all(|line| line["span"]["request_id"].as_str().is_some_and(|name| !name.is_empty())), "{answered:#?}");
    assert!(answered.iter().all(|line| line["span"]["method"].is_string() && line["millis"].is_string()), "{answered:#?}");
    for (name, status) in names {
        let found = answered.iter().filter(|line| line["span"]["request_id"] == name.as_str() && line["status"] == status).count();
        assert_eq!(found, 1, "one line for request {name} with {status}");
    }
    let steps = with_message(&lines, "step");
    for trade_id in ["d-1", "p-1"] {
        let of_order: Vec<_> = steps.iter().filter(|line| line["trade_id"] == trade_id).collect();
        assert!(!of_order.is_empty(), "steps of {trade_id}");
        assert!(of_order.iter().all(|line| line["merchant"].as_str().is_some_and(|text| text.starts_with("mer_"))), "{of_order:#?}");
    }
    // What a request does carries its name also below the handler.
    assert!(steps.iter().any(|line| line["trade_id"] == "d-1" && line["span"]["request_id"].is_string()), "{steps:#?}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_logged_though_everything_else_is() {
    let house = House::open().await;
    let gateway = house.serve_with("all", &[("TILLGATE__LOG__FILTER", "trace")]).await;
    house.link_ada().await;
    let refused = [("POST", "/v1/customers/ada/links", json!({ "provider": "fomo", "code": "canary-wrong-code" }))];
    for (method, path, body) in refused {
        let answer = house.try_call(method, path, Some(&body)).await.expect("an answer");
        assert!(!answer.body.to_string().contains("canary"), "{answer:?}");
    }
    let wrong_key = "tg_canary-wrong-key-canary-wrong-key-canary-wro";
    assert_eq!(call(&house.http, &house.api(), wrong_key, "GET", "/v1/payouts", None).await.expect("an answer").status, 401);
    house.sandbox.inject("pay_user", Some("p-lost"), Fault::GarbageAfter, Times::Count(1));
    for trade_id in ["p-1", "p-lost"] {
        house.payout(trade_id).await;
    }
    let created = house.post("/v1/deposits", &deposit_wish("d-1")).await;
    assert_eq!(created.status, 201);
    assert_eq!(house.sandbox.confirm_pay("d-1", None).await, Some(1));
    for trade_id in ["p-1", "p-lost", "d-1"] {
        until("the order succeeds", async || {
            house.sandbox.deliver_callbacks().await;
            house.place(trade_id).await.filter(|place| place == "succeeded")
        })
        .await;
    }
    // A refused call and a wrong answer are told in full, too.
    house.sandbox.set_merchant_balance("acme", USDT, rust_decimal::Decimal::ZERO);
    house.payout("p-refused").await;
    house.comes_to("p-refused", &["failed"]).await;
    let timeline = house.get("/v1/orders/p-lost/timeline").await;
    let metrics = house.http.get(format!("{}/metrics", gateway.management)).send().await.expect("metrics").text().await.expect("a text");
    gateway.program.terminate();
    let ended = gateway.program.end().await;
    assert!(ended.err.contains("\"level\":\"TRACE\"") && log_line(&ended.err, "stopped").is_some());
    for text in [ended.err, ended.out, timeline.body.to_string(), metrics] {
        // The house knows the others, and looks for them when it closes.
        for secret in ["canary", wrong_key, &house.key] {
            let line = text.lines().find(|line| line.contains(secret));
            assert!(line.is_none(), "{secret} is told: {}", line.unwrap_or_default());
        }
        assert!(!text.contains(&format!("\"user_id\":\"{ADA}\",\"session")), "no session either");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_fails_tells_no_secret_either() {
    let house = House::open().await;
    let broken = [
        ("TILLGATE__DATABASE__URL", "postgres://postgres:canary-database-password-52de@localhost:1/nowhere"),
        ("TILLGATE__DATABASE__URL", "postgres://postgres:canary-database-password-52de@local host/x"),
        ("TILLGATE__DATABASE__URL", "canary-database-password-52de"),
        ("TILLGATE__VAULT__KEY", "canary-vault-key"),
        ("TILLGATE__VAULT__PREVIOUS_KEYS", "canary-vault-key"),
        ("TILLGATE__LOG__FILTER", "canary=loud"),
    ];
    for (name, value) in broken {
        for command in [&["serve"][..], &["config", "check"], &["doctor"], &["merchant", "list"]] {
            let launch = house.launch(command).with([("TILLGATE__DATABASE__ACQUIRE_TIMEOUT", "300ms"), (name, value)]);
            let ended = launch.run().await;
            let (both, secret) = (format!("{}{}", ended.out, ended.err), if name.contains("LOG") { "\u{0}" } else { "canary" });
            assert!(!both.contains(secret), "{command:?} with {name}: {both}");
            assert!(ended.code != Some(101), "{command:?} with {name} panics: {both}");
        }
    }
    house.close().await;
}
