//! Links by browser: the state, the code, and where the browser goes in the end.

use std::time::Duration;

use serde_json::json;
use tillgate::sandbox::Fault;

use super::{SHOP, begin, decide, everything, link_ada, open, start};

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_links_by_browser_at_each_wallet_or_does_not_want_to() {
    let app = start(&json!({})).await;
    for provider in ["fomo", "hicoin"] {
        for (agrees, result) in [(false, "denied"), (true, "ok")] {
            let url = begin(&app, "ada", provider).await;
            let back = decide(&app, provider, &url, agrees).await;
            open(&app, &back).await.expect_on_to(&format!("https://shop.example/back?order=7&link={result}"));
        }
        let profile = app.get(&format!("/v1/customers/ada/profile?provider={provider}")).await;
        assert_eq!((profile.status, profile.text("object")), (200, "profile"), "{}", profile.body);
        assert!(!profile.text("provider_user").is_empty());
        assert!(!profile.body["details"].to_string().contains("token"), "{}", profile.body);
    }
    let links = app.get("/v1/customers/ada/links").await;
    assert_eq!(links.body["data"].as_array().map(Vec::len), Some(2), "{}", links.body);
    app.get("/v1/customers/bob/profile?provider=fomo").await.expect_problem(404, "not_found");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_is_good_once_for_its_wallet_and_for_fifteen_minutes() {
    let app = start(&json!({})).await;
    let refused = |page: super::Page| {
        assert_eq!((page.status, page.location.as_str()), (400, ""), "{}", page.body);
        page.expect_quiet();
    };
    let back = decide(&app, "fomo", &begin(&app, "ada", "fomo").await, true).await;
    for wrong in ["", "?code=c", "?code=c&state=", "?code=c&state=guess", &format!("?code=c&state={}", "x".repeat(5000))] {
        refused(open(&app, &format!("https://pay.example/oauth/fomo/return{wrong}")).await);
    }
    refused(open(&app, &back.replace("/oauth/fomo/", "/oauth/hicoin/")).await);
    open(&app, &back).await.expect_on_to("https://shop.example/back?order=7&link=ok");
    refused(open(&app, &back).await);
    let late = decide(&app, "fomo", &begin(&app, "ada", "fomo").await, true).await;
    app.advance(Duration::from_secs(15 * 60));
    refused(open(&app, &late).await);
    assert_eq!(app.sandbox.calls("token"), 1, "only the good state is exchanged");
    assert_eq!(open(&app, "https://pay.example/oauth/nobody/return?state=x").await.status, 404);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_with_the_code_is_failed_and_nothing_else() {
    let app = start(&json!({})).await;
    let failed = "https://shop.example/back?order=7&link=failed";
    for (operation, fault) in [("token", Fault::LoseAfter), ("token", Fault::Code(5)), ("get_user_info", Fault::Error500Before)] {
        let back = decide(&app, "fomo", &begin(&app, "ada", "fomo").await, true).await;
        app.sandbox.fault(operation, fault);
        open(&app, &back).await.expect_on_to(failed);
    }
    // A code that was used before, under a state of its own.
    let used = decide(&app, "fomo", &begin(&app, "ada", "fomo").await, true).await;
    open(&app, &used).await.expect_on_to("https://shop.example/back?order=7&link=ok");
    let code = used.split(['?', '&']).find(|part| part.starts_with("code=")).expect("a code").to_owned();
    let url = begin(&app, "bob", "fomo").await;
    let state = url.split(['?', '&']).find(|part| part.starts_with("state=")).expect("a state").to_owned();
    open(&app, &format!("https://pay.example/oauth/fomo/return?{code}&{state}")).await.expect_on_to(failed);
    // Ada's wallet account is hers alone.
    let back = decide(&app, "fomo", &begin(&app, "bob", "fomo").await, true).await;
    open(&app, &back).await.expect_on_to(failed);
    assert_eq!(app.count("wallet_links").await, 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_may_share_a_wallet_account_between_customers() {
    let app = start(&json!({ "shared_links": true })).await;
    link_ada(&app).await;
    let back = decide(&app, "fomo", &begin(&app, "bob", "fomo").await, true).await;
    open(&app, &back).await.expect_on_to("https://shop.example/back?order=7&link=ok");
    assert_eq!(app.count("wallet_links").await, 2);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_are_sent_to_the_merchants_own_pages_only() {
    let app = start(&json!({})).await;
    for foreign in [
        "https://evil.example/",
        "http://shop.example/",
        "https://shop.example:444/",
        "https://shop.example.evil.example/",
        "//shop.example/",
        "//evil.example/",
        "/back",
        "https:shop.example",
        "https://shop.example@evil.example/",
        "https://user@shop.example/",
        "https://user:pass@shop.example/",
        "https://evil.example\\@shop.example/",
        "https://shop.example\\.evil.example/",
        "https://shop.example/\r\nLocation: x",
        "https://shop.example/\tx",
        " https://shop.example/",
        "https://shop%2eexample.evil.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "ftp://shop.example/",
        "",
    ] {
        let answer = app.post("/v1/customers/ada/links", &json!({ "provider": "fomo", "return_url": foreign })).await;
        assert_eq!((answer.status, answer.pointers()), (422, vec!["/return_url"]), "{foreign:?}: {}", answer.body);
    }
    for own in [SHOP, "https://shop.example", "https://SHOP.example:443/x#y"] {
        assert_eq!(app.post("/v1/customers/ada/links", &json!({ "provider": "fomo", "return_url": own })).await.status, 200, "{own}");
    }
    for wrong in [
        json!({ "provider": "fomo" }),
        json!({ "provider": "fomo", "code": "c", "return_url": SHOP }),
        json!({ "provider": "fomo", "code": "c", "scope": "userinfo" }),
        json!({ "provider": "fomo", "return_url": SHOP, "scope": "everything" }),
        json!({ "provider": "hicoin", "return_url": SHOP, "scope": "userinfo" }),
    ] {
        assert_eq!(app.post("/v1/customers/ada/links", &wrong).await.status, 422, "{wrong}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_ends_is_told_once_and_its_secrets_are_kept_nowhere() {
    let app = start(&json!({})).await;
    let back = decide(&app, "fomo", &begin(&app, "ada", "fomo").await, true).await;
    open(&app, &back).await.expect_on_to("https://shop.example/back?order=7&link=ok");
    let secrets: Vec<&str> = back.split(['?', '&']).filter_map(|part| part.strip_prefix("code=").or(part.strip_prefix("state="))).collect();
    assert_eq!(secrets.len(), 2);
    let all = everything(&app).await;
    assert!(secrets.iter().all(|secret| !all.contains(secret)), "a code or state is stored");
    app.advance(Duration::from_secs(15 * 24 * 3600));
    assert_eq!(app.refresh_links().await, 0);
    let links = app.get("/v1/customers/ada/links").await;
    assert_eq!(links.body["data"][0]["status"], "expired", "{}", links.body);
    app.get("/v1/customers/ada/profile?provider=fomo").await.expect_problem(404, "not_found");
    assert_eq!(app.count("events WHERE event_type = 'link.expired'").await, 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_at_hicoin_is_renewed_ahead_of_its_end_by_one_call_and_ends_when_that_is_refused() {
    let app = super::start_with(&[("TILLGATE__TIMING__PROVIDER_TIMEOUT", "20s")], &json!({})).await;
    let back = decide(&app, "hicoin", &begin(&app, "ada", "hicoin").await, true).await;
    open(&app, &back).await.expect_on_to("https://shop.example/back?order=7&link=ok");
    let life = i64::from(tillgate::sandbox::HicoinTokenLife::default().access_seconds);
    let near_its_end = Duration::from_secs(u64::try_from(life - 120).expect("a time"));
    app.advance(near_its_end);
    assert_eq!((app.refresh_links().await, app.sandbox.calls("hicoin_refresh_token")), (1, 1), "a worker renews it in time");
    app.advance(near_its_end);
    app.sandbox.fault("hicoin_refresh_token", Fault::Delay(100));
    let profiles = (0..50).map(|_| app.get("/v1/customers/ada/profile?provider=hicoin"));
    for profile in futures_util::future::join_all(profiles).await {
        assert_eq!(profile.status, 200, "{}", profile.body);
    }
    assert_eq!(app.sandbox.calls("hicoin_refresh_token"), 2, "fifty requests renew it once");
    app.advance(near_its_end);
    app.sandbox.fault("hicoin_refresh_token", Fault::Code(100_020));
    assert_eq!(app.refresh_links().await, 0, "nothing is renewed");
    let links = app.get("/v1/customers/ada/links").await;
    assert_eq!(links.body["data"][0]["status"], "expired", "{}", links.body);
    assert_eq!(app.count("events WHERE event_type = 'link.expired'").await, 1);
    app.finish().await;
}
