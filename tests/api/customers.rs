//! Customers: registered once, with one contact, and nobody else's.

use futures_util::future::join_all;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tillgate::domain::ids::{CustomerId, MerchantId};
use tillgate::domain::order::Provider;
use tillgate::flows::tenant::Scope;
use tillgate::store::accounts;
use tillgate::store::customers::{self, NewUser, Registration};
use time::OffsetDateTime;

use crate::harness::TestApp;

const TAG: [u8; 32] = [1; 32];
const OTHER_TAG: [u8; 32] = [2; 32];

fn mobile(customer: &str) -> Value {
    json!({ "customer": customer, "mobile": { "country": "+86", "number": "138-0013-8000" } })
}

async fn acme(app: &TestApp) -> MerchantId {
    let mut connection = app.context.db.get().await.expect("a connection");
    accounts::merchant_by_name(&mut connection, "acme").await.expect("a row").expect("acme").id
}

/// Writes an account of a customer whose contact has this hash, as after a provider's answer.
async fn write(app: &TestApp, customer: &str, tags: &[[u8; 32]], user: &str) -> Registration {
    let customer = CustomerId::parse(customer).expect("a customer");
    let merchant_id = acme(app).await;
    let new = NewUser { merchant_id, customer: &customer, contact_tags: tags, provider: Provider::Fomo, provider_user: user };
    let mut connection = app.context.db.get().await.expect("a connection");
    customers::register(&mut connection, &new, app.clock.now()).await.expect("an answer")
}

async fn remember(app: &TestApp, customer: &str, coin: (&str, &str), address: &str) {
    let customer = CustomerId::parse(customer).expect("a customer");
    let merchant = acme(app).await;
    let mut connection = app.context.db.get().await.expect("a connection");
    let now: OffsetDateTime = app.clock.now();
    customers::remember_address(&mut connection, merchant, &customer, Provider::Fomo, coin.0, coin.1, address, now).await.expect("a row");
}

async fn rows(app: &TestApp) -> (i64, i64) {
    (app.count("customers").await, app.count("wallet_users").await)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_wallet_that_keeps_accounts_nobody_is_registered() {
    let app = TestApp::start().await;
    for body in [mobile("ada"), json!({ "customer": "ada", "email": "ada@shop.example" }), json!({ "customer": "ada" })] {
        let answer = app.post("/v1/customers", &body).await;
        answer.expect_problem(422, "provider_not_configured");
        assert_eq!(answer.pointers(), ["/provider"]);
    }
    app.post("/v1/customers/ada/addresses", &json!({ "coin": "usdt" })).await.expect_problem(422, "provider_not_configured");
    assert_eq!((rows(&app).await, app.sandbox.call_log().len()), ((0, 0), 0));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_registered_is_404_and_so_is_another_merchants_customer() {
    let app = TestApp::start().await;
    assert_eq!(write(&app, "ada", &[TAG], "42").await, Registration::Written);
    remember(&app, "ada", ("5", "usdt"), "T-1").await;
    let rival = app.other_merchant(&[Scope::OrdersRead]).await;
    for path in ["", "/balances", "/balances?coin=usdt", "/balances?provider=fomo", "/addresses"] {
        app.get(&format!("/v1/customers/bob{path}")).await.expect_problem(404, "not_found");
        let theirs = app.call_as(rival.expose_secret(), "GET", &format!("/v1/customers/ada{path}"), None).await;
        theirs.expect_problem(404, "not_found");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_is_shown_with_its_accounts_and_given_again() {
    let app = TestApp::start().await;
    assert_eq!(write(&app, "ada", &[TAG], "42").await, Registration::Written);
    let shown = app.get("/v1/customers/ada").await;
    let accounts = json!([{ "provider": "fomo", "provider_user": "42", "registered_at": "2027-01-15T08:00:00Z" }]);
    let body = json!({ "object": "customer", "customer": "ada", "accounts": accounts, "created_at": "2027-01-15T08:00:00Z" });
    assert_eq!((shown.status, &shown.body), (200, &body));
    let again = app.post("/v1/customers", &json!({ "customer": "ada" })).await;
    assert_eq!((again.status, &again.body, again.header("idempotent-replayed")), (200, &body, "true"));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_with_another_contact_is_a_conflict() {
    let app = TestApp::start().await;
    assert_eq!(write(&app, "ada", &[TAG], "42").await, Registration::Written);
    app.post("/v1/customers", &mobile("ada")).await.expect_problem(409, "customer_conflict");
    assert_eq!(write(&app, "ada", &[OTHER_TAG], "43").await, Registration::OtherContact);
    assert_eq!(write(&app, "ada", &[TAG], "43").await, Registration::Before);
    assert_eq!((rows(&app).await, app.get("/v1/customers/ada").await.body["accounts"][0]["provider_user"].clone()), ((1, 1), json!("42")));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_is_known_by_the_hash_of_a_former_key() {
    let app = TestApp::start().await;
    assert_eq!(write(&app, "ada", &[TAG], "42").await, Registration::Written);
    assert_eq!(write(&app, "ada", &[OTHER_TAG, TAG], "42").await, Registration::Before);
    assert_eq!(write(&app, "ada", &[OTHER_TAG], "42").await, Registration::Before, "the newest hash was kept");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_another_customers_registers_nobody() {
    let app = TestApp::start().await;
    assert_eq!(write(&app, "ada", &[TAG], "42").await, Registration::Written);
    assert_eq!(write(&app, "bob", &[TAG], "42").await, Registration::Taken);
    assert_eq!(rows(&app).await, (1, 1));
    app.get("/v1/customers/bob").await.expect_problem(404, "not_found");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_register_a_customer_at_once_one_does() {
    let app = TestApp::start().await;
    let same = join_all((0..16).map(|_| write(&app, "ada", &[TAG], "42"))).await;
    let written = |all: &[Registration]| all.iter().filter(|one| **one == Registration::Written).count();
    assert_eq!((written(&same), same.iter().filter(|one| **one == Registration::Before).count()), (1, 15));
    let tags: Vec<[u8; 32]> = (0..16).map(|byte| [byte; 32]).collect();
    let users: Vec<String> = (100..116).map(|user| user.to_string()).collect();
    let differing = join_all(tags.iter().zip(&users).map(|(tag, user)| write(&app, "bob", std::slice::from_ref(tag), user))).await;
    assert_eq!((written(&differing), differing.iter().filter(|one| **one == Registration::OtherContact).count()), (1, 15));
    let names: Vec<String> = (0..16).map(|number| format!("c-{number}")).collect();
    let rivals = join_all(names.iter().map(|name| write(&app, name, &[TAG], "7"))).await;
    assert_eq!((written(&rivals), rivals.iter().filter(|one| **one == Registration::Taken).count()), (1, 15));
    assert_eq!(rows(&app).await, (3, 3));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_addresses_of_a_customer_are_listed_and_stay() {
    let app = TestApp::start().await;
    assert_eq!(write(&app, "ada", &[TAG], "42").await, Registration::Written);
    assert_eq!(app.get("/v1/customers/ada/addresses").await.body["data"], json!([]));
    remember(&app, "ada", ("5", "usdt"), "T-1").await;
    remember(&app, "ada", ("8", "btc"), "b-1").await;
    remember(&app, "ada", ("5", "tether"), "T-2").await;
    let address = |coin: &str, id: &str, address: &str| {
        json!({ "object": "address", "customer": "ada", "provider": "fomo", "coin": coin, "provider_coin_id": id, "address": address,
                "created_at": "2027-01-15T08:00:00Z" })
    };
    let listed = app.get("/v1/customers/ada/addresses").await;
    assert_eq!((listed.status, &listed.body["data"]), (200, &json!([address("btc", "8", "b-1"), address("usdt", "5", "T-1")])));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_that_keeps_no_accounts_has_no_balances_and_no_addresses() {
    let app = TestApp::start().await;
    assert_eq!(write(&app, "ada", &[TAG], "42").await, Registration::Written);
    for (path, code) in
        [("", "users_not_supported"), ("?provider=fomo", "users_not_supported"), ("?provider=hicoin", "provider_not_configured")]
    {
        let answer = app.get(&format!("/v1/customers/ada/balances{path}")).await;
        answer.expect_problem(422, code);
        assert_eq!(answer.pointers(), ["provider"]);
    }
    for (provider, code) in [("fomo", "users_not_supported"), ("hicoin", "provider_not_configured")] {
        let answer = app.post("/v1/customers/ada/addresses", &json!({ "coin": "usdt", "provider": provider })).await;
        answer.expect_problem(422, code);
        assert_eq!(answer.pointers(), ["/provider"]);
    }
    app.finish().await;
}
