//! Who may do what: keys, their scopes, networks and ends, and the wall between merchants.

use std::collections::HashSet;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tillgate::domain::audit::By;
use tillgate::domain::ids::KeyId;
use tillgate::flows::setup::{self, KeyWish};
use tillgate::flows::tenant::Scope;
use tillgate::http::auth::TrustedProxies;

use crate::harness::{Answer, TestApp, deposit_wish, make_key, payout_wish, read};

/// What each route needs. A route that is not here fails a test.
const ROUTES: [(&str, &str, Scope); 51] = [
    ("POST", "/v1/deposits", Scope::DepositsWrite),
    ("GET", "/v1/deposits", Scope::OrdersRead),
    ("GET", "/v1/deposits/{trade_id}", Scope::OrdersRead),
    ("POST", "/v1/deposits/{trade_id}/cancel", Scope::DepositsWrite),
    ("POST", "/v1/deposits/{trade_id}/refresh", Scope::DepositsWrite),
    ("POST", "/v1/deposits/{trade_id}/resolve", Scope::Admin),
    ("POST", "/v1/payouts", Scope::PayoutsWrite),
    ("GET", "/v1/payouts", Scope::OrdersRead),
    ("GET", "/v1/payouts/{trade_id}", Scope::OrdersRead),
    ("POST", "/v1/payouts/{trade_id}/cancel", Scope::PayoutsWrite),
    ("POST", "/v1/payouts/{trade_id}/refresh", Scope::PayoutsWrite),
    ("POST", "/v1/payouts/{trade_id}/resolve", Scope::Admin),
    ("POST", "/v1/transfers", Scope::PayoutsWrite),
    ("GET", "/v1/transfers", Scope::OrdersRead),
    ("GET", "/v1/transfers/{trade_id}", Scope::OrdersRead),
    ("POST", "/v1/transfers/{trade_id}/cancel", Scope::PayoutsWrite),
    ("POST", "/v1/transfers/{trade_id}/refresh", Scope::PayoutsWrite),
    ("POST", "/v1/transfers/{trade_id}/resolve", Scope::Admin),
    ("GET", "/v1/orders/{trade_id}/timeline", Scope::OrdersRead),
    ("GET", "/v1/receipts", Scope::OrdersRead),
    ("POST", "/v1/receipts/{id}/assign", Scope::Admin),
    ("POST", "/v1/customers", Scope::DepositsWrite),
    ("GET", "/v1/customers/{customer}", Scope::OrdersRead),
    ("GET", "/v1/customers/{customer}/balances", Scope::OrdersRead),
    ("POST", "/v1/customers/{customer}/addresses", Scope::DepositsWrite),
    ("GET", "/v1/customers/{customer}/addresses", Scope::OrdersRead),
    ("POST", "/v1/customers/{customer}/links", Scope::DepositsWrite),
    ("GET", "/v1/customers/{customer}/links", Scope::OrdersRead),
    ("DELETE", "/v1/customers/{customer}/links/{provider}", Scope::DepositsWrite),
    ("GET", "/v1/customers/{customer}/profile", Scope::OrdersRead),
    ("GET", "/v1/coins", Scope::OrdersRead),
    ("POST", "/v1/youliao/authorizations", Scope::DepositsWrite),
    ("GET", "/v1/youliao/authorizations", Scope::OrdersRead),
    ("GET", "/v1/discrepancies", Scope::OrdersRead),
    ("POST", "/v1/discrepancies/{id}/resolve", Scope::Admin),
    ("GET", "/v1/audit_log", Scope::Admin),
    ("GET", "/v1/reconciliations", Scope::OrdersRead),
    ("GET", "/v1/reconciliations/{id}", Scope::OrdersRead),
    ("GET", "/v1/reports/statement", Scope::OrdersRead),
    ("GET", "/v1/events", Scope::OrdersRead),
    ("POST", "/v1/webhook_endpoints", Scope::Admin),
    ("GET", "/v1/webhook_endpoints", Scope::OrdersRead),
    ("GET", "/v1/webhook_endpoints/{id}", Scope::OrdersRead),
    ("PATCH", "/v1/webhook_endpoints/{id}", Scope::Admin),
    ("DELETE", "/v1/webhook_endpoints/{id}", Scope::Admin),
    ("POST", "/v1/webhook_endpoints/{id}/rotate_secret", Scope::Admin),
    ("POST", "/v1/webhook_endpoints/{id}/test", Scope::Admin),
    ("POST", "/v1/webhook_endpoints/{id}/replay", Scope::Admin),
    ("GET", "/v1/webhook_deliveries", Scope::OrdersRead),
    ("GET", "/v1/webhook_deliveries/{id}", Scope::OrdersRead),
    ("POST", "/v1/webhook_deliveries/{id}/resend", Scope::Admin),
];

/// A path of a route that leads to nothing.
fn to_nothing(template: &str) -> String {
    let path = template.replace("{trade_id}", "none").replace("{customer}", "nobody").replace("{provider}", "fomo");
    path.replace("{id}", &format!("dsc_{}", "0".repeat(32)))
}

async fn key_with(app: &TestApp, wish: KeyWish) -> (KeyId, SecretString) {
    setup::create_key(&app.context, &By::operator("test"), "acme", &wish).await.expect("a key")
}

fn anything() -> KeyWish {
    KeyWish { scopes: vec![Scope::Admin], allow_ips: Vec::new(), expires_at: None, name: None }
}

/// Asks for the list of deposits with this `Authorization` header.
async fn with_header(app: &TestApp, value: &[u8]) -> Answer {
    let value = reqwest::header::HeaderValue::from_bytes(value).expect("a header");
    read(app.http.get(format!("{}/v1/deposits", app.api)).header("authorization", value).send().await.expect("an answer")).await
}

/// Asks for the list of deposits with this key, through proxies that say this of the client.
async fn forwarded(app: &TestApp, key: &SecretString, hops: &[&str]) -> u16 {
    let mut request = app.http.get(format!("{}/v1/deposits", app.api)).bearer_auth(key.expose_secret());
    for hop in hops {
        request = request.header("x-forwarded-for", *hop);
    }
    request.send().await.expect("an answer").status().as_u16()
}

async fn status(app: &TestApp, key: &SecretString) -> u16 {
    app.call_as(key.expose_secret(), "GET", "/v1/deposits", None).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_live_key_every_route_is_401() {
    let app = TestApp::start().await;
    for (method, template, _) in ROUTES {
        let url = format!("{}{}", app.api, to_nothing(template));
        let answer = read(app.http.request(method.parse().expect("a method"), url).send().await.expect("an answer")).await;
        answer.expect_problem(401, "unauthorized");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_or_unknown_key_is_401() {
    let app = TestApp::start().await;
    let key = app.key.expose_secret().to_owned();
    let (cut, longer) = (&key[..key.len() - 1], format!("{key}x"));
    let swapped = key.replacen("tg_", "TG_", 1);
    let long = format!("Bearer tg_{}", "x".repeat(8000));
    let unknown = format!("Bearer tg_{}", "A".repeat(43));
    for header in
        ["", "Bearer", "Bearer ", "bearer tg_", &key, &format!("Basic {key}"), &format!("Bearer {cut}"), &format!("Bearer {longer}")]
            .into_iter()
            .chain([&*format!("Bearer {swapped}"), &format!("Bearer {key} {key}"), &format!("Bearer,{key}"), &long, &unknown])
    {
        let answer = with_header(&app, header.as_bytes()).await;
        assert_eq!(answer.no_problem(401, "unauthorized"), None, "{header}");
    }
    with_header(&app, b"Bearer tg_\xff\xfe").await.expect_problem(401, "unauthorized");
    assert_eq!(with_header(&app, format!("bearer {key}").as_bytes()).await.status, 200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_is_told_so_before_what_else_is_wrong() {
    let app = TestApp::start().await;
    let (reader, huge) = (make_key(&app.context, "acme", &[Scope::OrdersRead]).await, "x".repeat(70_000));
    let mut number = 0;
    for (method, template, scope) in ROUTES {
        for body in ["", "{", "[]", "{}", &huge] {
            number += 1;
            let unknown = format!("tg_{number:043}");
            let path = format!("{}?limit=wrong&surprise=1", to_nothing(template));
            let send = |key: String| app.http.request(method.parse().expect("a method"), format!("{}{path}", app.api)).bearer_auth(key);
            let stranger = read(send(unknown).body(body.to_owned()).send().await.expect("an answer")).await;
            assert_eq!(stranger.no_problem(401, "unauthorized"), None, "{method} {path} {body:.10}");
            if scope != Scope::OrdersRead {
                app.context.tenants.forget();
                let known = read(send(reader.expose_secret().to_owned()).body(body.to_owned()).send().await.expect("an answer")).await;
                assert_eq!(known.no_problem(403, "scope_missing"), None, "{method} {path} {body:.10}");
            }
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_scope_opens_its_own_routes_and_admin_opens_all() {
    let app = TestApp::start().await;
    for scope in [Scope::OrdersRead, Scope::DepositsWrite, Scope::PayoutsWrite, Scope::Admin] {
        let key = make_key(&app.context, "acme", &[scope]).await;
        for (method, template, needed) in ROUTES {
            let answer = app.call_as(key.expose_secret(), method, &to_nothing(template), Some(&json!({}))).await;
            if scope == needed || scope == Scope::Admin {
                assert!(![401, 403].contains(&answer.status), "{scope} at {method} {template}: {}", answer.body);
            } else {
                assert_eq!(answer.no_problem(403, "scope_missing"), None, "{scope} at {method} {template}");
                assert!(answer.text("detail").contains(&needed.to_string()), "{}", answer.body);
            }
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_names_the_scope_of_every_route() {
    let app = TestApp::start().await;
    let document = app.get("/openapi.json").await.body;
    for (method, template, scope) in ROUTES {
        let security = &document["paths"][template][method.to_lowercase()]["security"];
        assert_eq!(*security, json!([{ "api_key": [scope.to_string()] }]), "{method} {template}");
    }
    let secured: usize =
        document["paths"].as_object().expect("paths").values().filter_map(Value::as_object).map(serde_json::Map::len).sum();
    assert_eq!(secured, ROUTES.len() + 4, "all but the callbacks and the browsers' pages need a key");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_several_scopes_has_them_all_and_no_more() {
    let app = TestApp::start().await;
    let key = make_key(&app.context, "acme", &[Scope::OrdersRead, Scope::PayoutsWrite]).await;
    let wish = payout_wish("p-1");
    assert_eq!(app.call_as(key.expose_secret(), "POST", "/v1/payouts", Some(&wish)).await.status, 201);
    assert_eq!(app.call_as(key.expose_secret(), "GET", "/v1/payouts/p-1", None).await.status, 200);
    app.call_as(key.expose_secret(), "POST", "/v1/deposits", Some(&deposit_wish("d-1"))).await.expect_problem(403, "scope_missing");
    let none = make_key(&app.context, "acme", &[]).await;
    app.call_as(none.expose_secret(), "GET", "/v1/payouts/p-1", None).await.expect_problem(403, "scope_missing");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_keys_live_side_by_side_and_a_revoked_one_is_dead_at_once() {
    let app = TestApp::start().await;
    let (id, first) = key_with(&app, anything()).await;
    let (_, second) = key_with(&app, anything()).await;
    assert_eq!((status(&app, &first).await, status(&app, &second).await), (200, 200));
    assert_eq!(setup::revoke_key(&app.context, &By::operator("test"), "acme", &id.to_string()).await.expect("a revocation"), 1);
    assert_eq!((status(&app, &first).await, status(&app, &second).await), (401, 200));
    assert_eq!(setup::revoke_key(&app.context, &By::operator("test"), "acme", second.expose_secret()).await.expect("a revocation"), 1);
    assert_eq!((status(&app, &second).await, status(&app, &app.key).await), (401, 200));
    assert_eq!(setup::revoke_key(&app.context, &By::operator("test"), "acme", &id.to_string()).await.expect("no revocation"), 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merchant_cannot_revoke_anothers_key() {
    let app = TestApp::start().await;
    let rival = app.other_merchant(&[Scope::Admin]).await;
    let (id, key) = key_with(&app, anything()).await;
    for name in [id.to_string(), key.expose_secret().to_owned(), String::new(), "tg_".to_owned()] {
        assert_eq!(setup::revoke_key(&app.context, &By::operator("test"), "rival", &name).await.expect("no revocation"), 0);
    }
    assert_eq!((status(&app, &key).await, status(&app, &rival).await), (200, 200));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_dies_at_its_hour_though_it_was_just_used() {
    let app = TestApp::start().await;
    let expires_at = Some(app.clock.now() + Duration::from_secs(60));
    let (_, key) = key_with(&app, KeyWish { expires_at, ..anything() }).await;
    app.advance(Duration::from_secs(59));
    assert_eq!(status(&app, &key).await, 200);
    app.advance(Duration::from_secs(1));
    assert_eq!(status(&app, &key).await, 401);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_networks_works_from_there_only() {
    let app = TestApp::start().await;
    for (networks, expected) in
        [("127.0.0.1/32", 200), ("10.0.0.0/8", 401), ("::1/128", 401), ("10.0.0.0/8 127.0.0.0/8", 200), ("0.0.0.0/0", 200)]
    {
        let allow_ips = networks.split(' ').map(|network| network.parse().expect("a network")).collect();
        let (_, key) = key_with(&app, KeyWish { allow_ips, ..anything() }).await;
        assert_eq!(status(&app, &key).await, expected, "{networks}");
        assert_eq!(status(&app, &key).await, expected, "{networks}, remembered");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_proxies_say_is_believed_as_far_as_we_trust_them() {
    let app = TestApp::start().await;
    let allow_ips = vec!["10.0.0.0/8".parse().expect("a network")];
    let (_, key) = key_with(&app, KeyWish { allow_ips, ..anything() }).await;
    assert_eq!(forwarded(&app, &key, &["10.1.1.1"]).await, 401, "nobody is trusted");
    let behind = app.replica(TrustedProxies(vec!["127.0.0.0/8".parse().expect("a network")]));
    for (hops, expected) in [
        (vec![], 401),
        (vec!["10.1.1.1"], 200),
        (vec!["10.1.1.1:4711"], 200),
        (vec!["1.2.3.4, 10.1.1.1"], 200),
        (vec!["1.2.3.4", "10.1.1.1"], 200),
        (vec!["10.1.1.1, 127.0.0.9"], 200),
        (vec!["10.1.1.1, 1.2.3.4"], 401),
        (vec!["10.1.1.1", "1.2.3.4"], 401),
        // What cannot be read is the client, too: what stands before it was the client's own word.
        (vec!["10.1.1.1, 1.2.3.4:4711"], 401),
        (vec!["10.1.1.1, unknown"], 401),
        (vec!["10.1.1.1, 1.2.3.4, "], 401),
    ] {
        assert_eq!(forwarded(&behind, &key, &hops).await, expected, "{hops:?}");
    }
    behind.stop().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_holds_a_keyed_hash_and_not_the_key() {
    let app = TestApp::start().await;
    let (id, key) = key_with(&app, anything()).await;
    let key = key.expose_secret();
    assert_eq!((&key[..3], key.len()), ("tg_", 46), "32 random bytes in base64");
    let query = "SELECT key_hash, prefix, to_jsonb(k)::text FROM api_keys k WHERE key_id = $1";
    let row: (Vec<u8>, String, String) = sqlx::query_as(query).bind(id.0).fetch_one(&mut app.database().await).await.expect("a row");
    assert_eq!(row.0, app.context.vault.tag(setup::API_KEY, key.as_bytes()));
    assert_ne!(row.0, <sha2::Sha256 as sha2::Digest>::digest(key.as_bytes()).to_vec(), "the hash is keyed");
    assert_eq!(row.1, key[..10]);
    assert!(!row.2.contains(&key[..11]), "no more than the prefix is shown");
    app.finish().await;
}

/// Everything that belongs to somebody, as paths with and without an existing id.
fn paths_of(discrepancy: &str, deposit: &str, payout: &str, customer: &str) -> Vec<(&'static str, String, Value)> {
    let (decision, none) = (json!({ "action": "reject", "reason": "x" }), json!({}));
    let mut all = Vec::new();
    for (collection, id) in [("deposits", deposit), ("payouts", payout)] {
        all.push(("GET", format!("/v1/{collection}/{id}"), none.clone()));
        all.push(("POST", format!("/v1/{collection}/{id}/cancel"), none.clone()));
        all.push(("POST", format!("/v1/{collection}/{id}/refresh"), none.clone()));
        all.push(("POST", format!("/v1/{collection}/{id}/resolve"), decision.clone()));
        all.push(("GET", format!("/v1/orders/{id}/timeline"), none.clone()));
    }
    all.push(("POST", format!("/v1/discrepancies/{discrepancy}/resolve"), json!({ "reason": "x" })));
    all.push(("DELETE", format!("/v1/customers/{customer}/links/fomo"), none));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn anothers_ids_are_answered_as_ids_that_do_not_exist() {
    let app = TestApp::start().await;
    app.link_ada().await;
    let discrepancy = app.discrepancy("d-1").await;
    assert_eq!(app.payout("p-1").await.status, 201);
    let rival = app.other_merchant(&[Scope::Admin]).await;
    let before = app.count("steps").await;
    let theirs = paths_of(&discrepancy, "d-1", "p-1", "ada");
    let nobodys = paths_of(&format!("dsc_{}", "0".repeat(32)), "d-9", "p-9", "eve");
    for ((method, path, body), (_, nothing, _)) in theirs.iter().zip(&nobodys) {
        let one = app.call_as(rival.expose_secret(), method, path, Some(body)).await;
        let other = app.call_as(rival.expose_secret(), method, nothing, Some(body)).await;
        one.expect_problem(404, "not_found");
        assert_eq!((one.status, one.text("code"), one.text("detail")), (other.status, other.text("code"), other.text("detail")));
        // Whether the connection goes on depends on how much of the body had arrived.
        let headers = |answer: &Answer| answer.headers.keys().filter(|name| *name != "connection").cloned().collect::<HashSet<_>>();
        assert_eq!(headers(&one), headers(&other));
    }
    assert_eq!(app.count("steps").await, before);
    assert_eq!(app.get("/v1/customers/ada/links").await.body["data"].as_array().map(Vec::len), Some(1));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn merchants_lists_links_and_trade_ids_are_their_own() {
    let app = TestApp::start().await;
    app.link_ada().await;
    app.discrepancy("same").await;
    let first = app.payout("same-p").await;
    let rival = app.other_merchant(&[Scope::Admin]).await;
    let cursor = first.text("id");
    for path in
        ["/v1/deposits", "/v1/payouts", &format!("/v1/payouts?starting_after={cursor}"), "/v1/discrepancies", "/v1/customers/ada/links"]
    {
        let list = app.call_as(rival.expose_secret(), "GET", path, None).await;
        assert_eq!((list.status, &list.body["data"]), (200, &json!([])), "{path}");
    }
    let refused = app.call_as(rival.expose_secret(), "POST", "/v1/deposits", Some(&deposit_wish("other"))).await;
    refused.expect_problem(422, "link_required");
    let own = app.call_as(rival.expose_secret(), "POST", "/v1/payouts", Some(&payout_wish("same-p"))).await;
    assert_eq!(own.status, 201, "{}", own.body);
    assert_ne!(own.text("id"), first.text("id"));
    let linked = json!({ "provider": "fomo", "code": app.code(crate::harness::ADA) });
    assert_eq!(
        app.call_as(rival.expose_secret(), "POST", "/v1/customers/eve/links", Some(&linked)).await.status,
        201,
        "42 is no secret of acme's"
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callbacks_capability_opens_its_own_order_and_nothing_else() {
    let app = TestApp::start().await;
    app.link_ada().await;
    assert_eq!((app.deposit("d-1").await.status, app.deposit("d-2").await.status), (201, 201));
    let path = app.server_uri("d-1").replace(&app.api, "");
    let capability = path.rsplit('/').next().expect("a capability");
    let flipped = format!("{}{}", &capability[..capability.len() - 2], if capability.ends_with("AA") { "BB" } else { "AA" });
    let other = app.server_uri("d-2");
    let mixed = format!("{}{}", &other[other.len() - capability.len()..][..43], &capability[43..]);
    for forged in [&flipped, &mixed, &capability[..43], &capability[1..], &format!("{capability}A"), "", "AAAA"] {
        let answer = app.send("POST", &format!("/callbacks/fomo/{forged}"), "status=1").await;
        let code = if forged.is_empty() { "route_not_found" } else { "not_found" };
        answer.expect_problem(404, code);
    }
    assert_eq!(app.count("reports WHERE channel = 'callback'").await, 0);
    assert_eq!(app.send("POST", &path, "nonsense").await.status, 200);
    assert_eq!(app.count("reports WHERE channel = 'callback'").await, 1);
    app.finish().await;
}
