//! The audit log: every change by hand leaves one row, and a row that was tampered with is found.

use std::collections::BTreeSet;

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::PgConnection;
use tillgate::domain::audit::{Broken, By, Chain};
use tillgate::domain::ids::MerchantId;
use tillgate::flows::audit;
use tillgate::flows::setup::{self, KeyWish};
use tillgate::flows::tenant::Scope;

use crate::harness::{Answer, TestApp, make_key, merchant};
use crate::incoming::{Payer, round, start};

/// Routes that change something and leave no row, each with its reason.
const NO_ROW: [(&str, &str, &str); 8] = [
    ("POST", "/v1/deposits", "an order's first step says who asked for it"),
    ("POST", "/v1/payouts", "an order's first step says who asked for it"),
    ("POST", "/v1/transfers", "an order's first step says who asked for it"),
    ("POST", "/v1/deposits/{trade_id}/refresh", "what changes is the provider's word, with its evidence"),
    ("POST", "/v1/payouts/{trade_id}/refresh", "what changes is the provider's word, with its evidence"),
    ("POST", "/v1/transfers/{trade_id}/refresh", "what changes is the provider's word, with its evidence"),
    ("POST", "/v1/customers/{customer}/addresses", "it remembers what the provider says, and nobody decides anything"),
    ("POST", "/v1/youliao/authorizations", "every request is a row of a table of its own"),
];

/// Routes that leave a row, with its action.
const ROW: [(&str, &str, &str); 17] = [
    ("POST", "/v1/deposits/{trade_id}/cancel", "deposit.cancel"),
    ("POST", "/v1/deposits/{trade_id}/resolve", "deposit.reject"),
    ("POST", "/v1/payouts/{trade_id}/cancel", "payout.cancel"),
    ("POST", "/v1/payouts/{trade_id}/resolve", "payout.reject"),
    ("POST", "/v1/transfers/{trade_id}/cancel", "transfer.cancel"),
    ("POST", "/v1/transfers/{trade_id}/resolve", "transfer.reject"),
    ("POST", "/v1/receipts/{id}/assign", "receipt.assign"),
    ("POST", "/v1/discrepancies/{id}/resolve", "discrepancy.resolve"),
    ("POST", "/v1/customers", "customer.create"),
    ("POST", "/v1/customers/{customer}/links", "link.create"),
    ("DELETE", "/v1/customers/{customer}/links/{provider}", "link.delete"),
    ("POST", "/v1/webhook_endpoints", "webhook_endpoint.create"),
    ("PATCH", "/v1/webhook_endpoints/{id}", "webhook_endpoint.update"),
    ("POST", "/v1/webhook_endpoints/{id}/rotate_secret", "webhook_endpoint.rotate_secret"),
    ("POST", "/v1/webhook_endpoints/{id}/test", "webhook_endpoint.test"),
    ("POST", "/v1/webhook_endpoints/{id}/replay", "webhook_endpoint.replay"),
    ("DELETE", "/v1/webhook_endpoints/{id}", "webhook_endpoint.delete"),
];
/// It needs a delivery of the endpoint before it goes.
const RESEND: (&str, &str, &str) = ("POST", "/v1/webhook_deliveries/{id}/resend", "webhook_delivery.resend");

const HOOK: &str = "https://shop.example/hook";

async fn rows(app: &TestApp) -> Vec<Value> {
    let list = app.get("/v1/audit_log?limit=100").await;
    assert_eq!(list.status, 200, "{}", list.body);
    list.body["data"].as_array().expect("a list").clone()
}

/// A person has to decide about an order; how it came to that is no matter here.
async fn put_under_review(app: &TestApp, trade_id: &str) {
    let sql = "WITH o AS (
                   UPDATE orders SET status = 'requires_review', stage = 'unproven', sequence = sequence + 1 WHERE trade_id = $1 RETURNING *
               ), s AS (
                   INSERT INTO steps (merchant_id, order_id, sequence, status, stage, channel, reason, created_at)
                   SELECT merchant_id, order_id, sequence, status, stage, 'gateway', 'nobody can tell', updated_at FROM o
               )
               INSERT INTO events (merchant_id, event_id, event_type, order_id, sequence, body, created_at)
               SELECT merchant_id, (left(first_id_at(updated_at)::text, 15) || right(order_id::text, 21))::uuid, kind || '.' || status, order_id,
                      sequence, '{}', updated_at FROM o";
    sqlx::query(sql).bind(trade_id).execute(&mut app.database().await).await.expect("an update");
}

/// Does what a route is for. Gives the answer, and the reason that was given.
async fn act(app: &TestApp, key: &str, method: &str, route: &str, world: &mut World) -> (Answer, Option<&'static str>) {
    let by = |path: String, body: Value| async move {
        let mut request = app.http.request(method.parse().expect("a method"), format!("{}{path}", app.api)).bearer_auth(key);
        request = request.header("x-request-id", "the-request");
        if !body.is_null() {
            request = request.json(&body);
        }
        crate::harness::read(request.send().await.expect("an answer")).await
    };
    let reason = "seen at the provider";
    let reject = json!({ "action": "reject", "reason": reason });
    let verb = route.rsplit('/').next().expect("a verb");
    let kind = route.split('/').nth(2).expect("a room");
    match kind {
        "deposits" | "payouts" | "transfers" => {
            let trade_id = format!("{kind}-{verb}");
            let wish = match kind {
                "transfers" => {
                    json!({ "trade_id": trade_id, "provider": "hicoin", "coin": "ETH", "amount": "1", "from_customer": "ada", "to_customer": "bob" })
                }
                "deposits" => crate::harness::deposit_wish(&trade_id),
                _ => crate::harness::payout_wish(&trade_id),
            };
            assert_eq!(app.post(&format!("/v1/{kind}"), &wish).await.status, 201);
            world.subject = trade_id.clone();
            if verb == "cancel" {
                return (by(format!("/v1/{kind}/{trade_id}/cancel"), Value::Null).await, None);
            }
            put_under_review(app, &trade_id).await;
            (by(format!("/v1/{kind}/{trade_id}/resolve"), reject).await, Some(reason))
        }
        "receipts" => {
            let carol = Payer::new(app, "carol").await;
            carol.pay("1");
            round(app).await;
            let receipt = app.get("/v1/receipts?unmatched=true").await.body["data"][0]["id"].as_str().expect("a receipt").to_owned();
            carol.ask("d-carol", "2").await;
            world.subject = receipt.clone();
            world.before = app.count("audit_log").await;
            (by(format!("/v1/receipts/{receipt}/assign"), json!({ "trade_id": "d-carol", "reason": reason })).await, Some(reason))
        }
        "customers" if method == "DELETE" => {
            "ada/fomo".clone_into(&mut world.subject);
            (by("/v1/customers/ada/links/fomo".to_owned(), Value::Null).await, None)
        }
        "customers" if verb == "links" => {
            let code = app.code(crate::harness::ADA);
            "ada/fomo".clone_into(&mut world.subject);
            (by("/v1/customers/ada/links".to_owned(), json!({ "provider": "fomo", "code": code })).await, None)
        }
        "customers" => {
            "dora".clone_into(&mut world.subject);
            (by("/v1/customers".to_owned(), json!({ "customer": "dora", "email": "dora@shop.example" })).await, None)
        }
        "discrepancies" => {
            let id = app.discrepancy("d-differs").await;
            world.subject.clone_from(&id);
            (by(format!("/v1/discrepancies/{id}/resolve"), json!({ "reason": reason })).await, Some(reason))
        }
        "webhook_deliveries" => (by(format!("/v1/webhook_deliveries/{}/resend", world.subject), Value::Null).await, None),
        "webhook_endpoints" => {
            let path = format!("/v1/webhook_endpoints/{}", world.endpoint);
            let answer = match (method, verb) {
                ("POST", "webhook_endpoints") => {
                    let made = by("/v1/webhook_endpoints".to_owned(), json!({ "url": format!("{HOOK}?token=hook-token") })).await;
                    made.text("id").clone_into(&mut world.endpoint);
                    world.secrets.push(made.text("secret").to_owned());
                    made
                }
                ("PATCH", _) => by(path, json!({ "events": ["payout.*"], "status": "paused" })).await,
                ("DELETE", _) => by(path, Value::Null).await,
                (_, "rotate_secret") => {
                    let rotated = by(format!("{path}/rotate_secret"), json!({})).await;
                    world.secrets.push(rotated.text("secret").to_owned());
                    rotated
                }
                (_, "replay") => by(format!("{path}/replay"), json!({ "only": "failed" })).await,
                (_, _) => by(format!("{path}/{verb}"), Value::Null).await,
            };
            world.subject.clone_from(&world.endpoint);
            (answer, None)
        }
        other => panic!("nobody knows what to do at {other}"),
    }
}

/// What the deeds leave for those after them.
#[derive(Default)]
struct World {
    endpoint: String,
    subject: String,
    secrets: Vec<String>,
    /// Rows before the deed.
    before: i64,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_that_changes_something_leaves_a_row_or_says_why_not() {
    let app = start(&json!({})).await;
    let document = app.get("/openapi.json").await.body;
    let mut routes = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in ["post", "put", "patch", "delete"] {
            if path.starts_with("/v1/") && item.get(method).is_some() {
                routes.insert((method.to_uppercase(), path.clone()));
            }
        }
    }
    let known: BTreeSet<(String, String)> =
        ROW.iter().chain(NO_ROW.iter()).chain([&RESEND]).map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    assert_eq!(routes, known, "a route that changes something leaves a row, or stands among those that do not, with the reason");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_by_hand_is_told_with_who_what_before_after_why_and_the_request() {
    let app = start(&json!({})).await;
    app.link_ada().await;
    let wish = KeyWish { scopes: vec![Scope::Admin], allow_ips: Vec::new(), expires_at: None, name: Some("olga".to_owned()) };
    let (id, key) = setup::create_key(&app.context, &By::operator("root"), "acme", &wish).await.expect("a key");
    let mut world = World::default();
    // The endpoint is removed last.
    let resend_before = ROW.len() - 1;
    for (number, (method, route, action)) in ROW.into_iter().enumerate() {
        if number == resend_before {
            let list = app.get("/v1/webhook_deliveries?limit=1").await;
            list.body["data"][0]["id"].as_str().expect("a delivery").clone_into(&mut world.subject);
            deed(&app, &mut world, (key.expose_secret(), &id.to_string()), RESEND).await;
        }
        deed(&app, &mut world, (key.expose_secret(), &id.to_string()), (method, route, action)).await;
    }
    let merchant =
        MerchantId(sqlx::query_scalar("SELECT merchant_id FROM merchants").fetch_one(&mut app.database().await).await.expect("one"));
    let head = audit::verify(&app.context.db, merchant, None).await.expect("the log can be read").expect("the chain is whole");
    assert_eq!(head.position, app.count("audit_log").await);
    // Nothing in it opens anything.
    let log: String =
        sqlx::query_scalar("SELECT string_agg(l::text, ' ') FROM audit_log l").fetch_one(&mut app.database().await).await.expect("text");
    let account = crate::harness::merchant("acme", &app.sandbox, &json!({})).accounts;
    let mut secrets: Vec<String> = world.secrets.iter().map(|secret| secret.trim_start_matches("whsec_").to_owned()).collect();
    secrets.extend([app.key.expose_secret()[10..].to_owned(), key.expose_secret()[10..].to_owned(), "hook-token".to_owned()]);
    secrets.push("dora@shop.example".to_owned());
    for settings in account.values() {
        let hidden = settings.iter().filter(|(name, _)| name.contains("secret") || name.contains("pwd"));
        secrets.extend(hidden.map(|(_, value)| value.as_str().expect("a text").to_owned()));
    }
    assert!(secrets.len() > 7 && secrets.iter().all(|secret| secret.len() > 5));
    for secret in secrets {
        assert!(!log.contains(&secret), "{secret} is in the log");
    }
    app.finish().await;
}

/// Does something, and finds one row of it.
async fn deed(app: &TestApp, world: &mut World, (key, id): (&str, &str), (method, route, action): (&str, &str, &str)) {
    let is_write = method == "POST" && (route == "/v1/customers" || route.ends_with("/links"));
    world.before = app.count("audit_log").await;
    let (answer, reason) = act(app, key, method, route, world).await;
    assert!((200..300).contains(&answer.status), "{route}: {}", answer.body);
    assert_eq!(app.count("audit_log").await, world.before + 1, "{method} {route} leaves one row");
    let row = rows(app).await.remove(0);
    assert_eq!(row["action"], action, "{row}");
    assert_eq!(row["actor"], json!({ "type": "key", "id": id, "name": "olga" }), "{row}");
    assert_eq!((&row["subject"]["id"], &row["request_id"]), (&json!(world.subject), &json!("the-request")), "{row}");
    assert_eq!(row["reason"], json!(reason), "{row}");
    let has_before = !is_write || route.ends_with("/links");
    let creates = ["webhook_endpoint.create", "webhook_endpoint.rotate_secret", "webhook_endpoint.test", "webhook_endpoint.replay"];
    let has_before = has_before && !creates.contains(&action) && action != "webhook_delivery.resend" && action != "link.create";
    assert!(!has_before || !row["before"].is_null(), "{row}");
    assert!(action.ends_with(".delete") || !row["after"].is_null(), "{row}");
    if action.ends_with(".reject") {
        assert_eq!((&row["before"]["status"], &row["after"]["status"]), (&json!("requires_review"), &json!("failed")), "{row}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_or_changes_nothing_leaves_no_row() {
    let app = TestApp::start().await;
    app.link_ada().await;
    assert_eq!(app.payout("p-1").await.status, 201);
    app.submit().await;
    assert_eq!(app.deposit("d-1").await.status, 201);
    assert_eq!(app.post("/v1/deposits/d-1/cancel", &Value::Null).await.status, 200);
    let before = app.count("audit_log").await;
    let reason = "no reason";
    for (path, body, status) in [
        ("/v1/deposits/d-1/cancel", Value::Null, 200),
        ("/v1/payouts/p-1/cancel", Value::Null, 409),
        ("/v1/payouts/p-1/resolve", json!({ "action": "reject", "reason": reason }), 409),
        ("/v1/payouts/p-1/resolve", json!({ "action": "reject", "reason": " " }), 422),
        ("/v1/payouts/p-1/resolve", json!({ "action": "reject" }), 422),
        ("/v1/payouts/none/resolve", json!({ "action": "reject", "reason": reason }), 404),
        ("/v1/receipts/rcp_00000000000000000000000000000001/assign", json!({ "trade_id": "d-1" }), 422),
        ("/v1/receipts/rcp_00000000000000000000000000000001/assign", json!({ "trade_id": "d-1", "reason": reason }), 404),
        ("/v1/customers/ada/links", json!({ "provider": "fomo", "code": "wrong" }), 422),
        ("/v1/webhook_endpoints", json!({ "url": "ftp://shop.example" }), 422),
        ("/v1/webhook_endpoints/whe_00000000000000000000000000000001/rotate_secret", json!({}), 404),
    ] {
        assert_eq!(app.post(path, &body).await.status, status, "{path} {body}");
    }
    assert_eq!(setup::revoke_key(&app.context, &By::operator("root"), "acme", "tg_nothing").await.expect("an answer"), 0);
    setup::apply(&app.context, &By::operator("root"), &merchant("acme", &app.sandbox, &json!({}))).await.expect("nothing new");
    assert_eq!(app.count("audit_log").await, before);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_does_is_told_too() {
    let app = TestApp::start().await;
    let by = By::operator("root");
    setup::apply(&app.context, &by, &merchant("acme", &app.sandbox, &json!({ "under": "review", "wallet_pwd": "another" })))
        .await
        .expect("a change");
    let found = rows(&app).await;
    let seen: Vec<_> = found.iter().map(|row| (row["action"].as_str(), row["actor"]["type"].as_str())).collect();
    let operator = Some("operator");
    let all = [Some("account.set"), Some("key.create"), Some("account.set"), Some("merchant.apply")];
    assert_eq!(seen, all.map(|action| (action, operator)));
    assert_eq!(found[0]["after"]["changed"], json!(["under", "wallet_pwd"]));
    assert_eq!((&found[0]["after"]["settings"]["under"], &found[0]["actor"]["name"]), (&json!("review"), &json!("root")));
    assert!(!found[0].to_string().contains("another"));
    let extra = make_key(&app.context, "acme", &[Scope::OrdersRead]).await;
    assert_eq!(setup::revoke_key(&app.context, &by, "acme", extra.expose_secret()).await.expect("a revocation"), 1);
    let row = rows(&app).await.remove(0);
    assert_eq!((row["action"].as_str(), &row["before"]["prefix"]), (Some("key.revoke"), &json!(&extra.expose_secret()[..10])));
    app.call_as(extra.expose_secret(), "GET", "/v1/audit_log", None).await.expect_problem(401, "unauthorized");
    let reader = make_key(&app.context, "acme", &[Scope::OrdersRead, Scope::PayoutsWrite]).await;
    app.call_as(reader.expose_secret(), "GET", "/v1/audit_log", None).await.expect_problem(403, "scope_missing");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_walked_and_filtered() {
    let app = TestApp::start().await;
    app.link_ada().await;
    for number in 0..4 {
        assert_eq!(app.payout(&format!("p-{number}")).await.status, 201);
        assert_eq!(app.post(&format!("/v1/payouts/p-{number}/cancel"), &Value::Null).await.status, 200);
    }
    let all = rows(&app).await;
    let positions: Vec<_> = all.iter().map(|row| row["position"].as_i64().expect("a number")).collect();
    assert_eq!(positions, (1..=i64::try_from(all.len()).expect("few")).rev().collect::<Vec<_>>());
    let (mut walked, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("/v1/audit_log?limit=3{cursor}")).await;
        walked.extend(page.body["data"].as_array().expect("a list").clone());
        let Some(next) = page.body["next_cursor"].as_str() else { break };
        cursor = format!("&starting_after={next}");
    }
    assert_eq!(walked, all);
    let key = all[0]["actor"]["id"].as_str().expect("a key");
    for (query, count) in [
        ("subject=p-2".to_owned(), 1),
        ("action=payout.cancel".to_owned(), 4),
        ("action=payout.".to_owned(), 4),
        ("action=payout".to_owned(), 0),
        (format!("actor={key}"), 5),
        ("actor=test".to_owned(), 3),
        (format!("actor={key}&action=link.create&subject=ada/fomo"), 1),
    ] {
        let page = app.get(&format!("/v1/audit_log?{query}")).await;
        assert_eq!(page.body["data"].as_array().map(Vec::len), Some(count), "{query}: {}", page.body);
    }
    for bad in ["starting_after=0", "starting_after=x", "limit=0", "who=me"] {
        assert_eq!(app.get(&format!("/v1/audit_log?{bad}")).await.status, 422, "{bad}");
    }
    let rival = app.other_merchant(&[Scope::Admin]).await;
    let theirs = app.call_as(rival.expose_secret(), "GET", "/v1/audit_log", None).await;
    assert_eq!(theirs.body["data"].as_array().map(Vec::len), Some(3), "a chain of its own: {}", theirs.body);
    app.finish().await;
}

async fn merchant_of(app: &TestApp) -> MerchantId {
    MerchantId(sqlx::query_scalar("SELECT merchant_id FROM merchants").fetch_one(&mut app.database().await).await.expect("a merchant"))
}

async fn verify(app: &TestApp) -> Result<Chain, Broken> {
    audit::verify(&app.context.db, merchant_of(app).await, None).await.expect("the log can be read")
}

#[tokio::test(flavor = "multi_thread")]
async fn many_changes_at_once_make_one_chain_without_gap_or_fork() {
    let app = TestApp::start().await;
    app.link_ada().await;
    for number in 0..40 {
        assert_eq!(app.payout(&format!("p-{number}")).await.status, 201);
    }
    let before = verify(&app).await.expect("it is whole");
    let change = |number: usize| {
        let app = &app;
        async move {
            match number % 2 {
                0 => app.post(&format!("/v1/payouts/p-{number}/cancel"), &Value::Null).await.status,
                _ => app.post("/v1/webhook_endpoints", &json!({ "url": format!("{HOOK}/{number}") })).await.status,
            }
        }
    };
    let (statuses, meanwhile) = tokio::join!(futures_util::future::join_all((0..40).map(change)), async {
        let mut heads = Vec::new();
        for _ in 0..10 {
            heads.push(verify(&app).await);
        }
        heads
    });
    assert!(statuses.iter().all(|status| [200, 201].contains(status)), "{statuses:?}");
    assert!(meanwhile.iter().all(Result::is_ok), "a check while rows are added: {meanwhile:?}");
    let after = verify(&app).await.expect("it is whole");
    assert_eq!(after.position, before.position + 40);
    assert_eq!(audit::verify(&app.context.db, merchant_of(&app).await, Some(before)).await.expect("the log can be read"), Ok(after));
    app.finish().await;
}

/// What somebody does who owns the tables: nothing holds him back.
async fn tamper(database: &mut PgConnection, sql: &str) {
    let sql = format!("BEGIN; SET LOCAL session_replication_role = replica; {sql}; COMMIT");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(database).await.expect("a forgery");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgery_by_whoever_owns_the_tables_is_found() {
    let app = TestApp::start().await;
    app.link_ada().await;
    for number in 0..3 {
        assert_eq!(app.payout(&format!("p-{number}")).await.status, 201);
        assert_eq!(app.post(&format!("/v1/payouts/p-{number}/cancel"), &Value::Null).await.status, 200);
    }
    let head = verify(&app).await.expect("it is whole");
    let (last, merchant) = (head.position, merchant_of(&app).await);
    let mut database = app.database().await;
    for refused in [
        "UPDATE audit_log SET reason = 'x'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "DELETE FROM audit_heads",
        "TRUNCATE audit_heads",
        "UPDATE audit_heads SET position = position - 1",
    ] {
        let error = sqlx::raw_sql(refused).execute(&mut database).await.expect_err("it is append-only").to_string();
        assert!(error.contains("append-only"), "{refused}: {error}");
    }
    sqlx::raw_sql("CREATE TABLE kept AS SELECT * FROM audit_log; CREATE TABLE kept_heads AS SELECT * FROM audit_heads")
        .execute(&mut database)
        .await
        .expect("a copy");
    let altered = [
        "at = at + interval '1 microsecond'",
        "actor_kind = 'customer'",
        "actor_id = NULL",
        "actor_name = 'eve'",
        "action = 'payout.confirm'",
        "subject_type = 'deposit'",
        "subject_id = 'p-9'",
        "before = NULL",
        "after = '{}'",
        "reason = 'because'",
        "request_id = NULL",
        "previous_hash = hash",
        "hash = previous_hash",
    ];
    let mut forgeries: Vec<(String, i64, &str)> =
        altered.iter().map(|set| (format!("UPDATE audit_log SET {set} WHERE position = {}", last - 1), last - 1, "altered")).collect();
    forgeries.extend([1, 3, last].map(|gone| (format!("DELETE FROM audit_log WHERE position = {gone}"), gone, "removed")));
    forgeries.push(("DELETE FROM audit_log".to_owned(), 1, "removed"));
    forgeries.push((format!("DELETE FROM audit_log WHERE position > {}", last - 2), last - 1, "removed"));
    forgeries.push((
        "UPDATE audit_log SET position = CASE position WHEN 3 THEN 104 ELSE 103 END WHERE position IN (3, 4);
                      UPDATE audit_log SET position = position - 100 WHERE position > 100"
            .to_owned(),
        3,
        "reordered",
    ));
    forgeries.push((format!("INSERT INTO audit_log SELECT merchant_id, position + 1, at, actor_kind, actor_id, actor_name, action, subject_type, subject_id,
                      before, after, reason, request_id, previous_hash, hash FROM audit_log WHERE position = {last}"), last + 1, "inserted"));
    forgeries.push(("UPDATE audit_heads SET hash = decode(repeat('00', 32), 'hex')".to_owned(), last, "altered"));
    let anew = format!(
        "UPDATE audit_log l SET reason = 'x' WHERE position = {p}; UPDATE audit_log l SET hash = sha256(audit_bytes(l)) WHERE position = {p}",
        p = last - 1
    );
    forgeries.push((anew, last, "inserted"));
    for (forgery, position, how) in forgeries {
        tamper(&mut database, &forgery).await;
        let broken = verify(&app).await.expect_err(&forgery).to_string();
        assert!(broken.starts_with(&format!("position {position}: ")) && broken.contains(how), "{forgery}: {broken}");
        tamper(&mut database, "DELETE FROM audit_log; INSERT INTO audit_log SELECT * FROM kept; DELETE FROM audit_heads; INSERT INTO audit_heads SELECT * FROM kept_heads").await;
        assert_eq!(verify(&app).await, Ok(head), "{forgery}");
    }
    // He can take the newest rows and the head back together, and forge all of it from some row on: then only what was kept
    // elsewhere tells.
    let back = format!(
        "DELETE FROM audit_log WHERE position = {last}; UPDATE audit_heads SET position = {p}, hash = (SELECT hash FROM audit_log WHERE position = {p})",
        p = last - 1
    );
    tamper(&mut database, &back).await;
    assert!(verify(&app).await.is_ok());
    let broken = audit::verify(&app.context.db, merchant, Some(head)).await.expect("the log can be read").expect_err("it was longer");
    assert_eq!(broken, Broken::Cut { first: last, head: last });
    let forged = format!(
        "DELETE FROM audit_log WHERE position = {p}; UPDATE audit_heads SET position = {q}, hash = (SELECT hash FROM audit_log WHERE position = {q})",
        p = last - 1,
        q = last - 2
    );
    tamper(&mut database, &forged).await;
    let again = "INSERT INTO audit_log SELECT * FROM kept WHERE position >= ".to_owned() + &(last - 1).to_string();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("UPDATE kept SET reason = 'x'; {again}"))).execute(&mut database).await.expect("rows");
    assert!(verify(&app).await.is_ok());
    let broken = audit::verify(&app.context.db, merchant, Some(head)).await.expect("the log can be read").expect_err("it is another one");
    assert!(matches!(broken, Broken::NotAsExpected { position, .. } if position == last), "{broken}");
    app.finish().await;
}
