//! What goes through a customer's browser: links, and payments on the wallet's page.

mod links;
mod payments;

use std::collections::BTreeMap;

use reqwest::header::LOCATION;
use serde_json::{Value, json};
use tillgate::domain::audit::By;
use tillgate::domain::order::Provider;
use tillgate::flows::setup;
use tillgate::sandbox::Options;
use url::Url;

use crate::harness::{ADA, TestApp, hicoin, merchant};
use crate::links::stored;

/// The first user whom Hicoin registers for the merchant.
const CAROL: u64 = 10_001;
const SHOP: &str = "https://shop.example/back?order=7";

/// A gateway whose merchant may send browsers to its shop, with accounts at both wallets.
async fn start(fomo: &Value) -> TestApp {
    start_with(&[], fomo).await
}

async fn start_with(variables: &[(&str, &str)], fomo: &Value) -> TestApp {
    let app = TestApp::start_on(Options::default(), variables, &json!({})).await;
    let mut document = merchant("acme", &app.sandbox, fomo);
    document.return_origins = vec!["https://shop.example".to_owned()];
    let oauth = json!({ "oauth_base_url": app.sandbox.hicoin_oauth_base_url() });
    document.accounts.insert(Provider::Hicoin, hicoin(&app.sandbox, &oauth));
    setup::apply(&app.context, &By::operator("test"), &document).await.expect("the accounts");
    app.context.tenants.forget();
    let ours = app.context.public_url.join("oauth/hicoin/return").expect("an address");
    app.sandbox.set_hicoin_oauth_redirect_uri(None, ours.as_str()).expect("the app");
    app.sandbox.create_user(ADA, "Ada", &[("5", 1000.into())]);
    let known = app.post("/v1/customers", &json!({ "customer": "carol", "email": "carol@shop.example" })).await;
    assert_eq!(known.status, 201, "{}", known.body);
    app
}

/// What a page answered to a browser.
struct Page {
    status: u16,
    /// Where it sends the browser on.
    location: String,
    body: String,
    headers: BTreeMap<String, String>,
}

/// A browser opens an address of the gateway, whatever host it names, and follows nothing.
async fn open(app: &TestApp, address: &str) -> Page {
    let url = Url::parse(address).expect("an address");
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let answer = client.get(format!("{}{}{query}", app.api, url.path())).send().await.expect("an answer");
    let text = |value: &reqwest::header::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    Page {
        status: answer.status().as_u16(),
        location: answer.headers().get(LOCATION).map(text).unwrap_or_default(),
        headers: answer.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: answer.text().await.expect("a body"),
    }
}

impl Page {
    /// Nobody stores it, and the next page does not learn where the browser was.
    fn expect_quiet(&self) {
        assert_eq!((self.headers["cache-control"].as_str(), self.headers["referrer-policy"].as_str()), ("no-store", "no-referrer"));
    }

    #[track_caller]
    fn expect_on_to(&self, address: &str) {
        assert_eq!((self.status, self.location.as_str()), (303, address), "{}", self.body);
        self.expect_quiet();
    }
}

/// Begins a link by browser. Gives the address of the wallet's page.
async fn begin(app: &TestApp, customer: &str, provider: &str) -> String {
    let wish = json!({ "provider": provider, "return_url": SHOP });
    let begun = app.post(&format!("/v1/customers/{customer}/links"), &wish).await;
    assert_eq!((begun.status, begun.text("object")), (200, "link_request"), "{}", begun.body);
    begun.text("authorize_url").to_owned()
}

/// The user agrees on the wallet's page, or not. Gives where the browser is sent.
async fn decide(app: &TestApp, provider: &str, url: &str, agrees: bool) -> String {
    match provider {
        "fomo" => app.sandbox.browse_authorize(url, ADA, agrees).await.expect("a redirect"),
        _ => app.sandbox.browse_hicoin_authorize(url, CAROL, agrees).await.expect("a redirect"),
    }
}

/// Links Ada to FOMO by browser.
async fn link_ada(app: &TestApp) {
    let back = decide(app, "fomo", &begin(app, "ada", "fomo").await, true).await;
    open(app, &back).await.expect_on_to("https://shop.example/back?order=7&link=ok");
}

/// All that the database holds, as far as it is text.
async fn everything(app: &TestApp) -> String {
    stored(app).await.iter().map(|(_, value)| String::from_utf8_lossy(value)).collect::<Vec<_>>().join("\n")
}
