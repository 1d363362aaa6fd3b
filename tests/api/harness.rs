//! A gateway of its own for each test, and the law that is checked at its end.

mod receipts;
pub mod statements;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix_web::web;
use rust_decimal::Decimal;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use sqlx::{Connection, PgConnection};
use tillgate::app::{self};
use tillgate::config::Settings;
use tillgate::domain::agenda::Work;
use tillgate::domain::audit::By;
use tillgate::domain::clock::Clock;
use tillgate::domain::month::Month;
use tillgate::domain::order::Provider;
use tillgate::flows::deliver::{self, Line};
use tillgate::flows::setup::{self, KeyWish, MerchantDocument};
use tillgate::flows::tenant::Scope;
use tillgate::flows::{Context, feed, link, poll, retention, work};
use tillgate::http::{self, auth::TrustedProxies};
use tillgate::sandbox::{CallbackFault, ClientSetup, HicoinApp, Options, Sandbox};
use tillgate::store::pool::Lease;
use tillgate::store::{Db, Limits};
use tillgate::webhooks::Sender;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use self::receipts::check_waiting;
use crate::checker::books::Rules;
use crate::checker::ours::Ours;
use crate::checker::{self, nothing_is_broken};
use crate::databases::{Database, Databases};

pub const USDT: &str = "5";
pub const ADA: &str = "42";
/// The present of every test, until it advances.
pub const START: i64 = 1_800_000_000;

/// A gateway, its database, the simulated providers and a merchant with a key.
pub struct TestApp {
    pub api: String,
    pub key: SecretString,
    pub sandbox: Sandbox,
    pub context: Arc<Context>,
    pub clock: Clock,
    pub database: Arc<Database>,
    pub http: reqwest::Client,
    server: actix_web::dev::ServerHandle,
}

/// An answer of the API.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answer {
    /// The string at this key.
    pub fn text(&self, key: &str) -> &str {
        self.body[key].as_str().unwrap_or_default()
    }

    /// A header; empty if it is absent or no text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Says what is no problem (RFC 9457) with this status and code, in the form that all problems have.
    pub fn no_problem(&self, status: u16, code: &str) -> Option<String> {
        let fine = self.status == status
            && self.text("code") == code
            && self.header("content-type") == "application/problem+json"
            && self.text("type") == "about:blank"
            && self.body["status"].as_u64() == Some(u64::from(status))
            && !self.text("title").is_empty()
            && !self.text("detail").is_empty()
            && !self.text("request_id").is_empty()
            && self.text("request_id") == self.header("x-request-id");
        (!fine).then(|| format!("{status} {code} was expected, not {} {}", self.status, self.body))
    }

    /// A problem with this status and code.
    #[track_caller]
    pub fn expect_problem(&self, status: u16, code: &str) {
        assert_eq!(self.no_problem(status, code), None);
    }

    /// The fields that a problem names, in their order.
    pub fn pointers(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        let fine = |error: &&Value| ["code", "detail"].iter().all(|key| error[key].as_str().is_some_and(|text| !text.is_empty()));
        errors.iter().filter(fine).filter_map(|error| error["pointer"].as_str()).collect()
    }
}

/// The server that all tests of this process share; each test has a database of its own.
fn databases() -> &'static Databases {
    static SHARED: OnceLock<Databases> = OnceLock::new();
    // Its vacuum would look into hundreds of databases, one after the other and again and again.
    SHARED.get_or_init(|| Databases::new(vec!["autovacuum=off"]))
}

/// So many connections, and time for everything.
pub fn limits(connections: u32) -> Limits {
    Limits { connections, acquire: Duration::from_secs(30), statement: Duration::from_secs(60) }
}

/// The gateway's own way to a database.
pub fn pool(database: &Database, limits: Limits) -> Db {
    Db::open(&database.to_string().into(), limits).expect("a pool")
}

/// A fresh database on the shared server, with the schema.
pub async fn fresh_database() -> Database {
    let prepare = async |empty: &Database| {
        let db = pool(empty, limits(1));
        db.migrate().await.expect("the schema");
        // As workers do. What is later than that is in the default, as it is where no worker has been.
        for month in Month::of(OffsetDateTime::from_unix_timestamp(START).expect("a time")).and_following(1) {
            tillgate::store::retention::make_month(&mut db.get().await.expect("a connection"), month).await.expect("a month");
        }
        db.close().await;
    };
    databases().prepared(prepare).await
}

/// A database without any schema.
pub async fn empty_database() -> Database {
    databases().empty().await
}

/// A copy of a database that nobody uses.
pub async fn copy_of(database: &Database) -> Database {
    databases().copy_of(database).await
}

/// A port that is free now.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

impl TestApp {
    /// A gateway with short times for what cannot be stepped.
    pub async fn start() -> Self {
        Self::start_with(&[], &json!({})).await
    }

    /// A gateway with these settings (as in the environment), whose merchant's FOMO account has these extra ones.
    pub async fn start_with(variables: &[(&str, &str)], account: &Value) -> Self {
        Self::start_on(Options::default(), variables, account).await
    }

    /// A gateway whose simulated providers start in this way.
    pub async fn start_on(providers: Options, variables: &[(&str, &str)], account: &Value) -> Self {
        let database = Arc::new(fresh_database().await);
        let sandbox = Sandbox::start(Options { manual_callbacks: true, ..providers }).await.expect("the sandbox");
        sandbox.set_clock(Some(START));
        let clock = Clock::manual(OffsetDateTime::from_unix_timestamp(START).expect("a time"), 1);
        let (context, api, server) = serve(&database, &clock, variables, TrustedProxies::default());
        setup::apply(&context, &By::operator("test"), &merchant("acme", &sandbox, account)).await.expect("a merchant");
        let key = make_key(&context, "acme", &[Scope::Admin]).await;
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let app = Self { api, key, sandbox, context, clock, database, http, server };
        app.sandbox.set_merchant_balance("acme", USDT, Decimal::from(1000));
        app
    }

    /// A gateway whose merchant has an account at Hicoin, too, with these settings. The merchant's user there owns 100 ETH,
    /// Ada is 10001 and Bob is 10002.
    pub async fn start_hicoin(providers: Options, variables: &[(&str, &str)], account: &Value) -> Self {
        let app = Self::start_on(providers, variables, &json!({})).await;
        let mut document = merchant("acme", &app.sandbox, &json!({}));
        document.accounts.insert(Provider::Hicoin, hicoin(&app.sandbox, account));
        setup::apply(&app.context, &By::operator("test"), &document).await.expect("an account at Hicoin");
        app.context.tenants.forget();
        app.sandbox.set_hicoin_balance(None, HicoinApp::default().uid, "ETH", Decimal::from(100)).expect("a balance");
        for customer in ["ada", "bob"] {
            let wish = json!({ "customer": customer, "email": format!("{customer}@shop.example") });
            assert_eq!(app.post("/v1/customers", &wish).await.status, 201);
        }
        app
    }

    /// A second gateway on the same database, with the same providers and clock, that believes these proxies.
    pub fn replica(&self, proxies: TrustedProxies) -> Self {
        self.replica_with(&[], proxies)
    }

    /// As [`TestApp::replica`], with these settings (as in the environment).
    pub fn replica_with(&self, variables: &[(&str, &str)], proxies: TrustedProxies) -> Self {
        let (context, api, server) = serve(&self.database, &self.clock, variables, proxies);
        let (key, sandbox, http) = (self.key.clone(), self.sandbox.clone(), self.http.clone());
        Self { api, key, sandbox, context, clock: self.clock.clone(), database: self.database.clone(), http, server }
    }

    /// Ends a replica.
    pub async fn stop(self) {
        self.server.stop(false).await;
        self.context.db.close().await;
    }

    /// A second merchant's key with these scopes; its account at FOMO is the same.
    pub async fn other_merchant(&self, scopes: &[Scope]) -> SecretString {
        setup::apply(&self.context, &By::operator("test"), &merchant("rival", &self.sandbox, &json!({}))).await.expect("a merchant");
        make_key(&self.context, "rival", scopes).await
    }

    /// Sends a request with the merchant's key.
    pub async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.call_as(self.key.expose_secret(), method, path, body).await
    }

    /// Sends a request with some key.
    pub async fn call_as(&self, key: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let method = method.parse().expect("a method");
        let mut request = self.http.request(method, format!("{}{path}", self.api)).bearer_auth(key);
        if let Some(body) = body {
            request = request.json(body);
        }
        read(request.send().await.expect("an answer")).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path, Some(body)).await
    }

    /// Sends these bytes as JSON, with the merchant's key.
    pub async fn send(&self, method: &str, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.http.request(method.parse().expect("a method"), format!("{}{path}", self.api));
        let request = request.bearer_auth(self.key.expose_secret()).header("content-type", "application/json").body(body);
        read(request.send().await.expect("an answer")).await
    }

    /// The number that a query gives.
    pub async fn count(&self, query: &str) -> i64 {
        let query = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {query}"));
        sqlx::query_scalar(query).fetch_one(&mut self.database().await).await.expect("a number")
    }

    /// Links customer `ada` to FOMO's user 42, who has 1000 usdt.
    pub async fn link_ada(&self) {
        let code = self.code(ADA);
        let linked = self.post("/v1/customers/ada/links", &json!({ "provider": "fomo", "code": code })).await;
        assert_eq!(linked.status, 201, "{:?}", linked.body);
    }

    /// The code that FOMO's app gives for a user, who has 1000 usdt.
    pub fn code(&self, user: &str) -> String {
        let session = self.sandbox.create_user(user, "Ada", &[(USDT, Decimal::from(1000))]);
        self.sandbox.authorize(&session, "acme").expect("a code")
    }

    /// A deposit of 12.5 usdt by Ada.
    pub async fn deposit(&self, trade_id: &str) -> Answer {
        self.post("/v1/deposits", &deposit_wish(trade_id)).await
    }

    /// A payout of 12.5 usdt to Ada.
    pub async fn payout(&self, trade_id: &str) -> Answer {
        self.post("/v1/payouts", &payout_wish(trade_id)).await
    }

    /// A deposit of Ada's whose callback tells another amount. Gives the id of the discrepancy.
    pub async fn discrepancy(&self, trade_id: &str) -> String {
        assert_eq!(self.deposit(trade_id).await.status, 201);
        self.sandbox.callback_fault(trade_id, CallbackFault::WrongAmount("9.5".to_owned()));
        assert_eq!(self.confirm(trade_id).await, Some(1));
        assert_eq!(self.callbacks().await, [200]);
        let open = self.get("/v1/discrepancies?status=open&limit=1").await;
        open.body["data"][0]["id"].as_str().expect("a discrepancy").to_owned()
    }

    /// Ada confirms a deposit in FOMO's app. Gives FOMO's status.
    pub async fn confirm(&self, trade_id: &str) -> Option<i64> {
        self.sandbox.confirm_pay(trade_id, None).await
    }

    /// FOMO sends the callbacks that it has to send now.
    pub async fn callbacks(&self) -> Vec<u16> {
        self.sandbox.deliver_callbacks().await.into_iter().map(|delivered| delivered.status_code).collect()
    }

    /// A worker does all of one kind that is due now. Gives the number of tasks.
    pub async fn work(&self, kind: Work) -> usize {
        work::work(&self.context, kind, &CancellationToken::new()).await.expect("a worker's step")
    }

    /// Workers send what waits to be sent.
    pub async fn submit(&self) -> usize {
        self.work(Work::Submit).await
    }

    /// Workers ask the provider about what is unknown or unproven.
    pub async fn look(&self) -> usize {
        self.work(Work::Look).await
    }

    /// All workers step until nothing is due now.
    pub async fn settle_down(&self) {
        for _ in 0..20 {
            let mut done = 0;
            for kind in [Work::Submit, Work::Look, Work::Expire, Work::Close] {
                done += self.work(kind).await;
            }
            done += self.poll().await + self.read_feeds().await;
            if done == 0 {
                return;
            }
        }
        panic!("the workers never come to rest");
    }

    /// Workers ask the provider about many orders in one question. Gives the number of orders.
    pub async fn poll(&self) -> usize {
        poll::poll(&self.context, &CancellationToken::new()).await.expect("a worker's step")
    }

    /// Workers read the feeds of incoming money that are due. Gives the number of feeds.
    pub async fn read_feeds(&self) -> usize {
        feed::read_due(&self.context, &CancellationToken::new()).await.expect("a worker's step")
    }

    /// Workers deliver what is due, to endpoints that work and to those that fail. Gives the number of tries.
    pub async fn deliver(&self) -> usize {
        let stop = CancellationToken::new();
        let mut all = 0;
        loop {
            let lines =
                tokio::join!(deliver::deliver(&self.context, Line::Working, &stop), deliver::deliver(&self.context, Line::Failing, &stop));
            let done = lines.0.expect("a worker's step") + lines.1.expect("a worker's step");
            all += done;
            // An endpoint may have come into the other line meanwhile.
            if done == 0 {
                return all;
            }
        }
    }

    /// A worker makes the months of events that come, and drops the old ones. Gives the number of both.
    pub async fn retain(&self) -> usize {
        retention::keep(&self.context).await.expect("a worker's step")
    }

    /// Workers keep links fresh.
    pub async fn refresh_links(&self) -> usize {
        link::refresh_due(&self.context, &CancellationToken::new()).await.expect("a worker's step")
    }

    /// Time passes, here and at the provider.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.sandbox.set_clock(Some(self.clock.now().unix_timestamp()));
    }

    /// Time passes in small steps while the workers work, and FOMO's callbacks come if `callbacks`.
    pub async fn live(&self, by: Duration, step: Duration, callbacks: bool) {
        let mut passed = Duration::ZERO;
        while passed < by {
            self.advance(step);
            passed += step;
            if callbacks {
                self.callbacks().await;
            }
            self.settle_down().await;
        }
    }

    /// The status and stage of an order, as `status` or `status/stage`.
    pub async fn place(&self, collection: &str, trade_id: &str) -> String {
        let order = self.get(&format!("/v1/{collection}/{trade_id}")).await;
        let status = order.text("status").to_owned();
        order.body["stage"].as_str().map_or(status.clone(), |stage| format!("{status}/{stage}"))
    }

    /// A connection to the test's database, for looking.
    pub async fn database(&self) -> PgConnection {
        PgConnection::connect(&self.database).await.expect("a connection")
    }

    /// One of the gateway's own connections.
    pub async fn lease(&self) -> Lease {
        self.context.db.get().await.expect("a connection")
    }

    /// Where FOMO was told to report an order to.
    pub fn server_uri(&self, trade_id: &str) -> String {
        let calls = self.sandbox.call_log();
        let call = calls.iter().rev().find(|call| call.trade_id.as_deref() == Some(trade_id) && call.params.contains_key("server_uri"));
        call.expect("FOMO was told where to report to").params["server_uri"].clone()
    }

    /// Ends the gateway and nothing else: its database can be copied then.
    pub async fn leave(self) -> Arc<Database> {
        self.server.stop(true).await;
        self.sandbox.stop().await;
        self.context.db.close().await;
        self.database
    }

    /// Ends the test: what the law says must hold, whatever happened.
    pub async fn finish(self) {
        check_law(&self).await;
        self.server.stop(false).await;
        self.sandbox.stop().await;
        self.context.db.close().await;
    }
}

/// A gateway on a free port: what it works with, its address and its server.
fn serve(
    database: &str,
    clock: &Clock,
    variables: &[(&str, &str)],
    proxies: TrustedProxies,
) -> (Arc<Context>, String, actix_web::dev::ServerHandle) {
    let settings = settings(database, free_port(), variables);
    let mut context = app::context(&settings, clock.clone()).expect("a context");
    // Who waits for a receiver that hangs waits in real time.
    context.sender = Sender::with_timeouts(context.allowed.clone(), Duration::from_millis(500), Duration::from_millis(800));
    let context = web::Data::new(context);
    let (server, address) = http::serve(context.clone(), proxies, settings.server.bind, Duration::from_secs(1)).expect("a server");
    let handle = server.handle();
    tokio::spawn(server);
    (context.into_inner(), format!("http://{address}"), handle)
}

/// The settings of a test's gateway.
pub fn settings(database: &str, port: u16, variables: &[(&str, &str)]) -> Settings {
    let own = [
        ("TILLGATE__DATABASE__URL", database.to_owned()),
        ("TILLGATE__VAULT__KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned()),
        ("TILLGATE__SERVER__BIND", format!("127.0.0.1:{port}")),
        ("TILLGATE__SERVER__PUBLIC_URL", format!("http://127.0.0.1:{port}")),
        ("TILLGATE__TIMING__PROVIDER_TIMEOUT", "500ms".to_owned()),
        ("TILLGATE__WEBHOOKS__ALLOWED_NETWORKS", "127.0.0.0/8".to_owned()),
        ("TILLGATE__RECONCILIATION__PAUSE", "0s".to_owned()),
    ];
    let given = variables.iter().map(|(name, value)| (*name, (*value).to_owned()));
    let mut all: BTreeMap<String, String> = own.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    all.extend(given.map(|(name, value)| (name.to_owned(), value)));
    Settings::load(std::path::Path::new("/nonexistent"), all.into_iter()).expect("settings")
}

/// A merchant with an account at the simulated FOMO.
pub fn merchant(name: &str, sandbox: &Sandbox, extra: &Value) -> MerchantDocument {
    let client = ClientSetup::default();
    let mut fomo = json!({
        "base_url": sandbox.fomo_base_url(),
        "client_id": client.client_id,
        "client_secret": client.client_secret,
        "wallet_pwd": client.wallet_pwd,
        "redirect_uri": client.redirect_uri,
    });
    let map = fomo.as_object_mut().expect("an object");
    map.extend(extra.as_object().expect("an object").clone());
    MerchantDocument { name: name.to_owned(), return_origins: Vec::new(), accounts: BTreeMap::from([(Provider::Fomo, map.clone())]) }
}

/// An account at Hicoin with these extra settings.
pub fn hicoin(sandbox: &Sandbox, extra: &Value) -> Map<String, Value> {
    let app = HicoinApp::default();
    let account = json!({
        "base_url": sandbox.hicoin_base_url(),
        "app_id": app.app_id,
        "app_secret": app.app_secret,
        "payout_uid": app.uid.to_string(),
    });
    account.as_object().into_iter().chain(extra.as_object()).flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// A key of a merchant.
pub async fn make_key(context: &Context, merchant: &str, scopes: &[Scope]) -> SecretString {
    let wish = KeyWish { scopes: scopes.to_vec(), allow_ips: Vec::new(), expires_at: None, name: None };
    setup::create_key(context, &By::operator("test"), merchant, &wish).await.expect("a key").1
}

pub fn deposit_wish(trade_id: &str) -> Value {
    json!({ "trade_id": trade_id, "provider": "fomo", "coin": "usdt", "amount": "12.5", "customer": "ada" })
}

pub fn payout_wish(trade_id: &str) -> Value {
    let destination = json!({ "type": "fomo_user", "user_id": ADA });
    json!({ "trade_id": trade_id, "provider": "fomo", "coin": "usdt", "amount": "12.5", "destination": destination })
}

/// An answer with its body, which is JSON or empty.
pub async fn read(response: reqwest::Response) -> Answer {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.expect("a body");
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Answer { status, headers, body }
}

/// The law, as the wallets' books and our database show it.
pub async fn check_law(app: &TestApp) {
    let ours = Ours::read(&app.database).await;
    let mut breaches = checker::books::judge(&app.sandbox, &ours, Rules::default());
    breaches.extend(checker::database(&app.database, None).await);
    nothing_is_broken(&breaches);
    check_waiting(&mut app.database().await).await;
}

/// Returns when so many statements wait for locks.
pub async fn waiting(database: &mut PgConnection, count: i64) {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let found = async {
        while sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut *database).await.expect("a count") < count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), found).await.expect("statements that wait");
}
