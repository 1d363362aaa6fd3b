//! Customers: registered once, with one contact, and nobody else's.

use futures_util::future::join_all;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tillgate::domain::audit::By;
use tillgate::domain::ids::{CustomerId, MerchantId};
use tillgate::domain::order::Provider;
use tillgate::flows::setup;
use tillgate::flows::tenant::Scope;
use tillgate::sandbox::{Fault, HicoinApp, Sandbox};
use tillgate::store::accounts;
use tillgate::store::customers::{self, NewUser, Registration};
use time::OffsetDateTime;

use crate::harness::{Answer, TestApp, make_key, merchant};
use crate::links::stored;

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
    let entry = By::operator("test").does(new.merchant_id, app.clock.now(), "customer.create", ("customer", new.customer.to_string()));
    customers::register(&mut connection, &new, app.clock.now(), &entry).await.expect("an answer")
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

/// The merchant's own account at Hicoin; the first user that it registers is the next one.
const FIRST: &str = "10001";

/// Gives a merchant an account at the simulated Hicoin, the same one to all.
async fn with_hicoin(app: &TestApp, name: &str) {
    let mut document = merchant(name, &app.sandbox, &json!({}));
    document.accounts.insert(Provider::Hicoin, hicoin(&app.sandbox));
    setup::apply(&app.context, &By::operator("test"), &document).await.expect("a merchant");
    app.context.tenants.forget();
}

fn hicoin(sandbox: &Sandbox) -> serde_json::Map<String, Value> {
    let own = HicoinApp::default();
    let account = json!({ "base_url": sandbox.hicoin_base_url(), "app_id": own.app_id, "app_secret": own.app_secret });
    account.as_object().expect("an object").clone()
}

async fn start() -> TestApp {
    let app = TestApp::start().await;
    with_hicoin(&app, "acme").await;
    app
}

fn email(customer: &str, address: &str) -> Value {
    json!({ "customer": customer, "email": address })
}

/// A customer that was registered now.
fn expect_made(answer: &Answer, user: &str) {
    assert_eq!((answer.status, answer.header("idempotent-replayed")), (201, ""), "{}", answer.body);
    assert_eq!(answer.body["accounts"][0]["provider_user"], user);
}

/// A customer that was there before.
fn expect_replayed(answer: &Answer, made: &Answer) {
    assert_eq!((answer.status, answer.header("idempotent-replayed"), &answer.body), (200, "true", &made.body));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_registers_once_by_mobile_or_by_email() {
    let app = start().await;
    let made = app.post("/v1/customers", &mobile("ada")).await;
    expect_made(&made, FIRST);
    let accounts = json!([{ "provider": "hicoin", "provider_user": FIRST, "registered_at": "2027-01-15T08:00:00Z" }]);
    assert_eq!(made.body, json!({ "object": "customer", "customer": "ada", "accounts": accounts, "created_at": "2027-01-15T08:00:00Z" }));
    assert_eq!(app.get("/v1/customers/ada").await.body, made.body);
    let spaced = json!({ "customer": "ada", "mobile": { "country": " +86", "number": " 1380013 8000" }, "email": "ada@shop.example" });
    for body in [mobile("ada"), spaced, json!({ "customer": "ada" })] {
        expect_replayed(&app.post("/v1/customers", &body).await, &made);
    }
    let by_email = app.post("/v1/customers", &email("bob", "Bob@Shop.example")).await;
    expect_made(&by_email, "10002");
    expect_replayed(&app.post("/v1/customers", &email("bob", " bob@shop.example")).await, &by_email);
    assert_eq!((app.sandbox.calls("createUser"), app.sandbox.calls("registerEmail"), rows(&app).await), (1, 1, (2, 2)));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_known_at_the_wallet_is_found_there() {
    let app = start().await;
    expect_made(&app.post("/v1/customers", &mobile("ada")).await, FIRST);
    expect_made(&app.post("/v1/customers", &email("bob", "bob@shop.example")).await, "10002");
    with_hicoin(&app, "rival").await;
    let rival = make_key(&app.context, "rival", &[Scope::DepositsWrite]).await;
    for (body, user) in [(mobile("eve"), FIRST), (email("mallory", "bob@shop.example"), "10002")] {
        expect_made(&app.call_as(rival.expose_secret(), "POST", "/v1/customers", Some(&body)).await, user);
    }
    assert_eq!(app.sandbox.calls("user_info"), 2);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_contact_or_anothers_contact_is_a_conflict_and_stores_nothing() {
    let app = start().await;
    let made = app.post("/v1/customers", &mobile("ada")).await;
    let calls = app.sandbox.call_log().len();
    let other = json!({ "customer": "ada", "mobile": { "country": "+1", "number": "13800138000" } });
    for body in [other, email("ada", "ada@shop.example")] {
        app.post("/v1/customers", &body).await.expect_problem(409, "customer_conflict");
    }
    assert_eq!(app.sandbox.call_log().len(), calls, "the wallet is not asked");
    app.post("/v1/customers", &mobile("bob")).await.expect_problem(409, "user_taken");
    app.get("/v1/customers/bob").await.expect_problem(404, "not_found");
    assert_eq!(rows(&app).await, (1, 1));
    expect_replayed(&app.post("/v1/customers", &mobile("ada")).await, &made);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_wallet_refuses_is_said_of_the_field() {
    let app = start().await;
    let none = app.post("/v1/customers", &json!({ "customer": "ada" })).await;
    none.expect_problem(422, "contact_required");
    assert_eq!((none.pointers(), app.sandbox.call_log().len()), (vec!["/mobile"], 0));
    let short = json!({ "customer": "ada", "mobile": { "country": "+86", "number": "1234" } });
    let refused = app.post("/v1/customers", &short).await;
    refused.expect_problem(422, "mobile_invalid");
    assert_eq!(refused.pointers(), ["/mobile"]);
    let refused = app.post("/v1/customers", &email("ada", "ada@shop")).await;
    assert_eq!((refused.status, refused.pointers()), (422, vec!["/email"]), "{}", refused.body);
    assert_eq!(rows(&app).await, (0, 0));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_stored_before_the_wallet_has_answered() {
    let app = start().await;
    for fault in [Fault::Code(100_005), Fault::Code(100_001), Fault::LoseBefore, Fault::Error500Before, Fault::LoseAfter] {
        app.sandbox.fault("createUser", fault);
        let answer = app.post("/v1/customers", &mobile("ada")).await;
        answer.expect_problem(503, "provider_unavailable");
        assert_eq!((answer.header("retry-after"), rows(&app).await), ("1", (0, 0)));
    }
    expect_made(&app.post("/v1/customers", &mobile("ada")).await, FIRST);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_requests_at_once_one_registers() {
    let app = start().await;
    let statuses = |answers: &[Answer]| {
        let mut all: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        all.sort_unstable();
        all
    };
    let same = mobile("ada");
    let same = join_all((0..6).map(|_| app.post("/v1/customers", &same))).await;
    assert_eq!(statuses(&same), [200, 200, 200, 200, 200, 201]);
    assert!(same.iter().all(|answer| answer.body == same[0].body));
    let bodies: Vec<Value> = (0..6).map(|number| email("bob", &format!("bob{number}@shop.example"))).collect();
    let differing = join_all(bodies.iter().map(|body| app.post("/v1/customers", body))).await;
    assert_eq!(statuses(&differing), [201, 409, 409, 409, 409, 409]);
    assert_eq!(rows(&app).await, (2, 2));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn balances_are_what_the_wallet_says_now() {
    let app = start().await;
    expect_made(&app.post("/v1/customers", &mobile("ada")).await, FIRST);
    assert_eq!(app.get("/v1/customers/ada/balances").await.body["data"], json!([]));
    for (coin, amount) in [("USDT", "12.50"), ("BTC", "0.00000001")] {
        app.sandbox.set_hicoin_balance(None, 10_001, coin, amount.parse().expect("an amount")).expect("an account");
    }
    let balance = |coin: &str, available: &str| json!({ "object": "balance", "provider": "hicoin", "coin": coin, "provider_coin_id": coin, "available": available, "locked": "0" });
    let all = app.get("/v1/customers/ada/balances").await;
    assert_eq!((all.status, &all.body["data"]), (200, &json!([balance("BTC", "0.00000001"), balance("USDT", "12.5")])));
    assert_eq!(app.get("/v1/customers/ada/balances?provider=hicoin").await.body, all.body);
    let one = app.get("/v1/customers/ada/balances?coin=USDT").await;
    assert_eq!((&one.body["data"], app.sandbox.calls("getByUidAndSymbol")), (&json!([balance("USDT", "12.5")]), 1));
    let unknown = app.get("/v1/customers/ada/balances?coin=DOGE").await;
    unknown.expect_problem(422, "coin_unknown");
    assert_eq!(unknown.pointers(), ["coin"]);
    app.get("/v1/customers/ada/balances?provider=fomo").await.expect_problem(422, "users_not_supported");
    app.sandbox.fault("getAllAccount", Fault::LoseBefore);
    app.get("/v1/customers/ada/balances").await.expect_problem(503, "provider_unavailable");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn balances_have_the_coins_ids_where_its_names_are_not_to_be_had() {
    let app = start().await;
    expect_made(&app.post("/v1/customers", &mobile("ada")).await, FIRST);
    app.sandbox.set_hicoin_balance(None, 10_001, "USDT", 7.into()).expect("an account");
    app.sandbox.fault("getCoinList", Fault::LoseBefore);
    let all = app.get("/v1/customers/ada/balances").await;
    assert_eq!((all.status, &all.body["data"][0]["coin"]), (200, &json!("USDT")), "{}", all.body);
    app.sandbox.fault("getCoinList", Fault::LoseBefore);
    app.get("/v1/customers/ada/balances?coin=USDT").await.expect_problem(503, "provider_unavailable");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_asked_for_once_and_remembered() {
    let app = start().await;
    let path = "/v1/customers/ada/addresses";
    app.post(path, &json!({ "coin": "USDT" })).await.expect_problem(404, "not_found");
    expect_made(&app.post("/v1/customers", &mobile("ada")).await, FIRST);
    app.sandbox.fault("getDepositAddress", Fault::LoseAfter);
    app.post(path, &json!({ "coin": "USDT" })).await.expect_problem(503, "provider_unavailable");
    assert_eq!(app.count("deposit_addresses").await, 0);
    let made = app.post(path, &json!({ "coin": "USDT" })).await;
    let body = json!({ "object": "address", "customer": "ada", "provider": "hicoin", "coin": "USDT", "provider_coin_id": "USDT",
                       "address": made.text("address"), "created_at": "2027-01-15T08:00:00Z" });
    assert_eq!((made.status, &made.body), (201, &body));
    assert!(made.text("address").starts_with("0x"), "{}", made.body);
    expect_replayed(&app.post(path, &json!({ "coin": "USDT", "provider": "hicoin" })).await, &made);
    assert_eq!(app.sandbox.calls("getDepositAddress"), 2);
    assert_eq!(app.post(path, &json!({ "coin": "BTC" })).await.status, 201);
    let listed = app.get(path).await;
    assert_eq!((listed.body["data"].as_array().map(Vec::len), &listed.body["data"][1]), (Some(2), &made.body));
    app.post(path, &json!({ "coin": "DOGE" })).await.expect_problem(422, "coin_unknown");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_account_keeps_its_customers_and_takes_no_new_ones() {
    let app = start().await;
    let made = app.post("/v1/customers", &mobile("ada")).await;
    let path = "/v1/customers/ada/addresses";
    let address = app.post(path, &json!({ "coin": "USDT" })).await;
    setup::apply(&app.context, &By::operator("test"), &merchant("acme", &app.sandbox, &json!({}))).await.expect("a merchant");
    app.context.tenants.forget();
    expect_replayed(&app.post("/v1/customers", &mobile("ada")).await, &made);
    expect_replayed(&app.post(path, &json!({ "coin": "USDT" })).await, &address);
    assert_eq!(app.get("/v1/customers/ada/balances").await.status, 200);
    app.post(path, &json!({ "coin": "BTC" })).await.expect_problem(422, "provider_disabled");
    app.post("/v1/customers", &email("bob", "bob@shop.example")).await.expect_problem(422, "provider_disabled");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_is_in_no_table_and_in_no_answer() {
    let app = start().await;
    let mut answers = vec![app.post("/v1/customers", &mobile("ada")).await, app.post("/v1/customers", &mobile("bob")).await];
    answers.push(app.post("/v1/customers", &email("bob", "secret.bob@shop.example")).await);
    answers.push(app.get("/v1/customers/ada").await);
    for (name, value) in stored(&app).await {
        let text = String::from_utf8_lossy(&value).into_owned();
        assert!(!text.contains("13800138000") && !text.contains("secret.bob"), "{name}: {text}");
    }
    for answer in answers {
        assert!(!answer.body.to_string().contains("13800138000") && !answer.body.to_string().contains("secret.bob"), "{}", answer.body);
    }
    app.finish().await;
}
