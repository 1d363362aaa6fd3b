//! A house for each test: a database of its own, a simulated wallet, a merchant with a key, and as many gateway processes as
//! the test wants; and the law, which is checked at the end.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};

use futures_util::future::FutureExt;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use sqlx::PgConnection;
use tillgate::sandbox::{ClientSetup, HicoinApp, Options, Sandbox};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::database::{Lock, connect, execute, fresh_database};
use crate::databases::{DATABASE_PASSWORD, Database};
use crate::law::check_law;
use crate::program::{Ended, Folder, Launch, Output, Program, until};
use crate::proxy::{Proxy, Target};
use crate::talk::{Answer, call, client_without_memory, deposit_wish, log_line, payout_wish};

pub const USDT: &str = "5";
pub const ADA: &str = "42";
/// Secrets that must never be seen in what a process writes.
pub const CLIENT_SECRET: &str = "canary-client-secret-7f3a";
pub const WALLET_PWD: &str = "canary-wallet-pwd-91bc";
pub const APP_SECRET: &str = "canary-app-secret-c04d";
pub const VAULT_KEY: &str = "Y2FuYXJ5LXZhdWx0LWtleS1jYW5hcnktdmF1bHQta2U=";

/// Times that let a test see the end of things.
const TIMES: [(&str, &str); 11] = [
    ("LEASE", "2s"),
    ("PROVIDER_TIMEOUT", "1s"),
    ("LOOKUP_SCHEDULE", "200ms,500ms"),
    ("POLL_SCHEDULE", "200ms,500ms"),
    ("RESEND_GAP", "200ms"),
    ("FEED_PERIOD", "300ms"),
    ("REVIEW_AFTER", "1h"),
    ("CALLBACK_GRACE", "1s"),
    ("DEPOSIT_TTL", "10m"),
    ("LATE_WINDOW", "1h"),
    ("SHUTDOWN_GRACE", "5s"),
];

/// Where the merchant has his account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    Fomo,
    Hicoin,
    Both,
}

/// Houses of all tests that are open at once: beyond that the machine is too slow for their times, and the database has no
/// connection left.
static OPEN: Semaphore = Semaphore::const_new(16);

/// What differs between houses.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub at: At,
    /// The wallet refuses an id that it has seen, and the account says so.
    pub refuses_duplicates: bool,
}

impl Plan {
    /// An ordinary wallet.
    pub const fn at(at: At) -> Self {
        Self { at, refuses_duplicates: true }
    }
}

/// What a house stands on, where that is not the ordinary ground.
#[derive(Debug, Default)]
pub struct Ground<'a> {
    /// A database of its own, with the schema.
    pub database: Option<String>,
    /// Stands between gateways and wallets.
    pub wallets: Option<&'a Proxy>,
    /// FOMO calls back by itself, so many times faster than its document says.
    pub calls_back: Option<u32>,
}

/// Everything that a test needs but the gateway itself.
#[derive(Debug)]
pub struct House {
    pub database: String,
    pub sandbox: Sandbox,
    pub key: String,
    pub folder: Folder,
    pub http: reqwest::Client,
    /// The API's port of the first gateway, which FOMO calls back.
    pub port: u16,
    pub plan: Plan,
    /// Ada and Bob are known at Hicoin from the first gateway with an API on.
    pub customers: tokio::sync::OnceCell<()>,
    /// The test's own eyes on the database.
    pub eyes: tokio::sync::Mutex<PgConnection>,
    /// Goes with the house. None where the ground has one.
    _own: Option<Database>,
    secrets: Mutex<Vec<String>>,
    outputs: Mutex<Vec<(String, Output)>>,
    _place: SemaphorePermit<'static>,
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    pub program: Program,
    pub management: String,
}

/// A port that nobody uses, below those that the kernel gives to clients: it stays free while its process is away.
pub fn free_port() -> u16 {
    static LAST: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 9000).expect("a small number");
    loop {
        let port = 20_000 + (start + LAST.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// The variables that every command needs.
pub fn basics(database: &str, port: u16) -> Vec<(String, String)> {
    let own = [
        ("TILLGATE__DATABASE__URL", database.to_owned()),
        // It would stand in line at the locks by which tests stop a gateway at a moment.
        ("TILLGATE__RECONCILIATION__NIGHTLY_AT", "never".to_owned()),
        ("TILLGATE__DATABASE__MAX_CONNECTIONS", "5".to_owned()),
        ("TILLGATE__VAULT__KEY", VAULT_KEY.to_owned()),
        ("TILLGATE__SERVER__BIND", format!("127.0.0.1:{port}")),
        ("TILLGATE__SERVER__MANAGEMENT_BIND", "127.0.0.1:0".to_owned()),
        ("TILLGATE__SERVER__PUBLIC_URL", format!("http://127.0.0.1:{port}")),
    ];
    let times = TIMES.iter().map(|(name, value)| (format!("TILLGATE__TIMING__{name}"), (*value).to_owned()));
    own.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(times).collect()
}

impl House {
    /// A house on an ordinary FOMO.
    pub async fn open() -> Self {
        Self::with(Plan::at(At::Fomo)).await
    }

    /// A house as planned.
    pub async fn with(plan: Plan) -> Self {
        Self::on(Ground::default(), plan).await
    }

    /// A house as planned, on this ground.
    pub async fn on(ground: Ground<'_>, plan: Plan) -> Self {
        let place = OPEN.acquire().await.expect("it is never closed");
        let client = ClientSetup { client_secret: CLIENT_SECRET.to_owned(), wallet_pwd: WALLET_PWD.to_owned(), ..ClientSetup::default() };
        let options = Options {
            manual_callbacks: ground.calls_back.is_none(),
            time_scale: ground.calls_back.unwrap_or(1),
            duplicate_check: plan.refuses_duplicates,
            clients: vec![client.clone()],
            hicoin_apps: vec![HicoinApp { app_secret: APP_SECRET.to_owned(), ..HicoinApp::default() }],
            hicoin_auto_advance: true,
            ..Options::default()
        };
        let sandbox = Sandbox::start(options).await.expect("the sandbox");
        sandbox.set_merchant_balance(&client.client_id, USDT, Decimal::from(1_000_000));
        let (database, own) = match ground.database {
            Some(database) => (database, None),
            None => {
                let own = fresh_database().await;
                (own.to_string(), Some(own))
            }
        };
        let behind = |url: &str| match ground.wallets {
            Some(proxy) => {
                let url: url::Url = url.parse().expect("an address");
                proxy.leads_to(vec![Target::Port(url.port().expect("a port"))]);
                format!("http://127.0.0.1:{}{}", proxy.port, url.path())
            }
            None => url.to_owned(),
        };
        let mut house = Self {
            eyes: tokio::sync::Mutex::new(connect(&database).await),
            database,
            sandbox,
            key: String::new(),
            folder: Folder::new(),
            http: client_without_memory(),
            port: free_port(),
            plan,
            customers: tokio::sync::OnceCell::new(),
            _own: own,
            secrets: Mutex::new([CLIENT_SECRET, WALLET_PWD, APP_SECRET, DATABASE_PASSWORD, VAULT_KEY].map(str::to_owned).to_vec()),
            outputs: Mutex::default(),
            _place: place,
        };
        let file = house.folder.write(
            "merchants.toml",
            &merchants(&behind(&house.sandbox.fomo_base_url()), &behind(&house.sandbox.hicoin_base_url()), &client, plan),
        );
        let applied = house.run(&["merchant", "apply", &file.display().to_string()]).await;
        assert_eq!(applied.code, Some(0), "{}", applied.err);
        house.key = house.make_key("admin").await;
        match plan.at {
            At::Fomo => {
                let session = house.sandbox.create_user(ADA, "Ada", &[(USDT, Decimal::from(1000))]);
                house.secrets().push(session);
            }
            At::Hicoin | At::Both => house.fund_hicoin(),
        }
        house
    }

    fn secrets(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No process may write this.
    pub fn keep_secret(&self, secret: &str) {
        self.secrets().push(secret.to_owned());
    }

    /// A key of the merchant, made by the command.
    pub async fn make_key(&self, scopes: &str) -> String {
        let made = self.launch(&["key", "create", "--merchant", "acme", "--scopes", scopes]).run().await;
        assert_eq!(made.code, Some(0), "{}", made.err);
        let key = made.out.trim().to_owned();
        self.secrets().push(key.clone());
        assert!(!made.err.contains(&key), "the key belongs to standard output alone");
        key
    }

    /// A command of this house, to be started.
    pub fn launch(&self, args: &[&str]) -> Launch {
        let secrets = [("ACME_FOMO_SECRET", CLIENT_SECRET), ("ACME_FOMO_PWD", WALLET_PWD), ("ACME_HICOIN_SECRET", APP_SECRET)];
        Launch::new(args, self.folder.path()).with(basics(&self.database, self.port)).with(secrets)
    }

    /// Runs a command of this house to its end.
    pub async fn run(&self, args: &[&str]) -> Ended {
        let program = self.launch(args).start();
        self.note(&args.join(" "), &program);
        program.end().await
    }

    /// What this process writes is looked through at the end.
    pub fn note(&self, name: &str, program: &Program) {
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner).push((name.to_owned(), program.output.clone()));
    }

    /// A gateway on the house's own port, ready to work.
    pub async fn serve(&self, role: &str) -> Gateway {
        self.serve_with(role, &[]).await
    }

    /// A gateway with these settings as well.
    pub async fn serve_with(&self, role: &str, variables: &[(&str, &str)]) -> Gateway {
        let launch = self.launch(&["serve", "--role", role]).with(variables.iter().copied());
        let program = launch.start();
        self.note(&format!("serve --role {role}"), &program);
        let up = program.says("that it is up", |output| log_line(&output.err(), "the gateway is up")).await;
        let management = format!("http://{}", up["management"].as_str().expect("an address"));
        let gateway = Gateway { program, management };
        until("the gateway is ready", async || (self.probe(&gateway, "/readyz").await == Some(200)).then_some(())).await;
        if self.plan.at == At::Hicoin && role != "worker" {
            self.customers.get_or_init(|| self.register_customers()).await;
        }
        gateway
    }

    /// A gateway that has carried out an order of every kind over its only connection: what it asks the database again is one
    /// message, which is carried out whether the sender lives or not. (What it asks for the first time is prepared first.)
    pub async fn serve_warm(&self, role: &str, variables: &[(&str, &str)]) -> Gateway {
        let other = match role {
            "worker" => Some(self.serve("api").await),
            "api" => Some(self.serve("worker").await),
            _ => None,
        };
        let gateway = self.serve_with(role, &[&[("TILLGATE__DATABASE__MAX_CONNECTIONS", "1")], variables].concat()).await;
        match self.plan.at {
            At::Fomo => self.warm_up_at_fomo().await,
            At::Hicoin | At::Both => self.warm_up_at_hicoin().await,
        }
        if let Some(other) = other {
            other.program.kill().await;
        }
        gateway
    }

    async fn warm_up_at_fomo(&self) {
        self.link_ada().await;
        self.payout("warm-payout").await;
        self.comes_to("warm-payout", &["succeeded"]).await;
        let created = self.post("/v1/deposits", &deposit_wish("warm-deposit")).await;
        assert_eq!((created.status, created.text("status")), (201, "awaiting_payment"), "{created:?}");
        assert_eq!(self.sandbox.confirm_pay("warm-deposit", None).await, Some(1));
        let delivered = self.sandbox.deliver_callbacks().await;
        assert!(delivered.iter().all(|one| one.status_code == 200), "{delivered:?}");
        self.comes_to("warm-deposit", &["succeeded"]).await;
    }

    /// How a probe answers. `None`: it takes no connection.
    pub async fn probe(&self, gateway: &Gateway, path: &str) -> Option<u16> {
        let answer = self.http.get(format!("{}{path}", gateway.management)).send().await;
        answer.ok().map(|answer| answer.status().as_u16())
    }

    /// Where the API of the first gateway is.
    pub fn api(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub async fn try_call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer, reqwest::Error> {
        call(&self.http, &self.api(), &self.key, method, path, body).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.try_call("GET", path, None).await.expect("an answer")
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.try_call("POST", path, Some(body)).await.expect("an answer")
    }

    /// Creates a payout of 12.5 usdt to Ada.
    pub async fn payout(&self, trade_id: &str) -> Answer {
        let created = self.post("/v1/payouts", &payout_wish(trade_id)).await;
        assert_eq!(created.status, 201, "{:?}", created.body);
        created
    }

    /// Links customer `ada` to FOMO's user 42.
    pub async fn link_ada(&self) {
        let session = self.sandbox.create_user(ADA, "Ada", &[(USDT, Decimal::from(1000))]);
        let code = self.sandbox.authorize(&session, "acme").expect("a code");
        self.secrets().extend([session, code.clone()]);
        let linked = self.post("/v1/customers/ada/links", &json!({ "provider": "fomo", "code": code })).await;
        assert_eq!(linked.status, 201, "{:?}", linked.body);
    }

    /// Waits until so many calls hang at the wallet.
    pub async fn held(&self, count: usize) {
        let held = tokio::time::timeout(crate::program::PATIENCE, self.sandbox.wait_for_held(count));
        held.await.expect("a call hangs at the wallet");
    }

    /// Stands in the way of whoever needs this table.
    pub async fn lock(&self, table: &'static str) -> Lock {
        let mut connection = connect(&self.database).await;
        execute(&mut connection, &format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")).await;
        Lock { connection, table }
    }

    /// Ends the test: what the law says must hold, and no process has told a secret.
    pub async fn close(self) {
        check_law(&self).await;
        self.check_secrets();
        self.sandbox.stop().await;
    }

    /// No process has told a secret.
    pub fn check_secrets(&self) {
        let secrets = self.secrets();
        for (name, output) in self.outputs.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            for text in [output.out(), output.err()] {
                for secret in secrets.iter() {
                    let line = text.lines().find(|line| line.contains(secret.as_str()));
                    assert!(line.is_none(), "{name} tells {secret}: {}", line.unwrap_or_default());
                }
            }
        }
    }
}

/// Runs a case beside others; gives its name if it fails.
pub async fn watched(name: String, case: impl Future<Output = ()>) -> Option<String> {
    AssertUnwindSafe(case).catch_unwind().await.err().map(|_| name)
}

/// The merchant's file; the secrets come from the environment.
fn merchants(fomo_url: &str, hicoin_url: &str, client: &ClientSetup, plan: Plan) -> String {
    let trust = plan.refuses_duplicates;
    let fomo = format!(
        "[merchant.fomo]\nbase_url = \"{fomo_url}\"\nclient_id = \"{}\"\nclient_secret = {{ env = \"ACME_FOMO_SECRET\" }}\n\
         wallet_pwd = {{ env = \"ACME_FOMO_PWD\" }}\nredirect_uri = \"{}\"\ntrust_duplicate_refusal = {trust}\n",
        client.client_id, client.redirect_uri,
    );
    let hicoin = format!(
        "[merchant.hicoin]\nbase_url = \"{hicoin_url}\"\napp_id = \"{}\"\napp_secret = {{ env = \"ACME_HICOIN_SECRET\" }}\n\
         payout_uid = \"{}\"\ntrust_duplicate_refusal = {trust}\n",
        HicoinApp::default().app_id,
        HicoinApp::default().uid,
    );
    let accounts = match plan.at {
        At::Fomo => fomo,
        At::Hicoin => hicoin,
        At::Both => fomo + &hicoin,
    };
    format!("[[merchant]]\nname = \"acme\"\n{accounts}")
}
