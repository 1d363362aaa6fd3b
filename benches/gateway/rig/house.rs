//! A house: a database, the simulated wallets, and gateways.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tillgate::sandbox::ClientSetup;

use super::meter::Meter;
use super::process::Process;
use super::{PROGRAM, Rig, free_port, variables};
use crate::load::{Client, Target};

/// How long a process may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// One gateway.
#[derive(Debug)]
pub struct Gateway {
    /// The process.
    pub process: Process,
    /// Where the API is.
    pub api: SocketAddr,
    /// Where the probes are.
    pub management: SocketAddr,
}

/// A database with everything around it. Its processes end with it; its database is dropped by [`House::close`].
#[derive(Debug)]
pub struct House<'r> {
    /// What it stands on.
    pub rig: &'r Rig,
    /// Its database.
    pub database: String,
    /// The simulated wallets.
    pub sandbox: Process,
    /// Its gateways.
    pub gateways: Vec<Gateway>,
}

impl<'r> House<'r> {
    /// A new database, the wallets, and no gateway yet.
    pub async fn open(rig: &'r Rig) -> anyhow::Result<Self> {
        let database = rig.database().await?;
        let house = Self::over(rig, database).await?;
        // A worker makes them when it starts: what is measured is one that has run before.
        house
            .run("SELECT make_month((date_trunc('month', now() AT TIME ZONE 'UTC') + n * interval '1 month')::date) FROM generate_series(0, 3) n")
            .await?;
        Ok(house)
    }

    /// The same on a database that is there.
    pub async fn over(rig: &'r Rig, database: String) -> anyhow::Result<Self> {
        let port = rig.sandbox_port.to_string();
        let log = rig.folder.join(format!("{database}-sandbox.log"));
        let quiet = [("RUST_LOG".to_owned(), "warn".to_owned())];
        let sandbox = Process::start(Path::new(PROGRAM), &["sandbox", "--port", &port], &quiet, log)?;
        let mut house = Self { rig, database, sandbox, gateways: Vec::new() };
        let begin = Instant::now();
        while house.wallet("GET", "clock", &Value::Null).await.is_err() {
            house.sandbox.must_run()?;
            anyhow::ensure!(begin.elapsed() < READY_WITHIN, "the simulated wallets do not answer");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let client = ClientSetup::default().client_id;
        house.wallet("POST", "balances", &json!({ "client_id": client, "coin_id": "5", "amount": "1000000000" })).await?;
        Ok(house)
    }

    /// Starts a gateway of this role, with these settings besides; gives how long it took to be ready.
    pub async fn serve(&mut self, role: &str, settings: &[(&str, &str)]) -> anyhow::Result<Duration> {
        self.start(Path::new(PROGRAM), &["serve", "--role", role], settings).await
    }

    /// The same under a program that watches it.
    pub async fn serve_under(&mut self, watcher: &Path, arguments: &[&str], role: &str) -> anyhow::Result<Duration> {
        let all = [arguments, &[PROGRAM, "serve", "--role", role]].concat();
        self.start(watcher, &all, &[]).await
    }

    async fn start(&mut self, program: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> anyhow::Result<Duration> {
        let (api, management) = (free_port()?, free_port()?);
        let mut all = variables(&self.rig.server.url(&self.database));
        all.extend([
            ("TILLGATE__SERVER__BIND".to_owned(), format!("127.0.0.1:{api}")),
            ("TILLGATE__SERVER__MANAGEMENT_BIND".to_owned(), format!("127.0.0.1:{management}")),
            ("TILLGATE__SERVER__PUBLIC_URL".to_owned(), format!("http://127.0.0.1:{api}")),
        ]);
        all.extend(settings.iter().map(|(name, value)| (format!("TILLGATE__{name}"), (*value).to_owned())));
        let log = self.rig.folder.join(format!("{}-gateway-{}.log", self.database, self.gateways.len()));
        let begin = Instant::now();
        let process = Process::start(program, arguments, &all, log)?;
        let mut gateway = Gateway { process, api: ([127, 0, 0, 1], api).into(), management: ([127, 0, 0, 1], management).into() };
        while !is_ready(gateway.management).await {
            gateway.process.must_run()?;
            anyhow::ensure!(begin.elapsed() < READY_WITHIN, "the gateway is not ready");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let took = begin.elapsed();
        self.gateways.push(gateway);
        Ok(took)
    }

    /// Stops the gateways.
    pub async fn stop_gateways(&mut self) -> anyhow::Result<()> {
        for gateway in std::mem::take(&mut self.gateways) {
            gateway.process.stop().await?;
        }
        Ok(())
    }

    /// Ends everything and drops the database.
    pub async fn close(mut self) -> anyhow::Result<()> {
        self.stop_gateways().await?;
        self.rig.drop(&self.database).await
    }

    /// The API, with the merchant's key.
    pub fn api(&self) -> Target {
        Target {
            addresses: self.gateways.iter().map(|gateway| gateway.api).collect(),
            key: self.rig.key.clone(),
            content_type: "application/json",
        }
    }

    /// The API as the wallet sees it.
    pub fn callbacks(&self) -> Target {
        Target { key: String::new(), content_type: "application/x-www-form-urlencoded", ..self.api() }
    }

    /// One call of the API.
    pub async fn call(&self, method: &'static str, path: &str, body: &Value) -> anyhow::Result<Value> {
        ask(&self.api(), method, path.to_owned(), body).await
    }

    /// One call of the wallets' control.
    pub async fn wallet(&self, method: &'static str, path: &str, body: &Value) -> anyhow::Result<Value> {
        let target = Target {
            addresses: vec![([127, 0, 0, 1], self.rig.sandbox_port).into()],
            key: String::new(),
            content_type: "application/json",
        };
        ask(&target, method, format!("/_control/{path}"), body).await
    }

    /// Links the customer `ada` to a user of FOMO: deposits need it.
    pub async fn link_ada(&self) -> anyhow::Result<()> {
        let user = json!({ "user_id": "42", "name": "Ada", "balances": { "5": "1000000000" } });
        let session = self.wallet("POST", "users", &user).await?["session_key"].clone();
        let asked = json!({ "session_key": session, "client_id": ClientSetup::default().client_id });
        let code = self.wallet("POST", "authorize", &asked).await?["code"].clone();
        self.call("POST", "/v1/customers/ada/links", &json!({ "provider": "fomo", "code": code })).await?;
        Ok(())
    }

    /// What it costs from now on.
    pub fn meter(&self) -> Meter<'_> {
        Meter::start(self)
    }

    /// Runs statements in its database.
    pub async fn run(&self, sql: &str) -> anyhow::Result<()> {
        self.rig.server.run(&self.database, sql).await
    }

    /// Has the planner know what its tables are like by now. Autovacuum sees to that within a minute; whoever measures for seconds, in
    /// a database that was empty a moment ago, would measure plans for empty tables.
    pub async fn know_tables(&self) -> anyhow::Result<()> {
        self.run("ANALYZE").await
    }

    /// One number from its database.
    pub async fn number(&self, sql: &str) -> anyhow::Result<i64> {
        self.rig.server.number(&self.database, sql).await
    }

    /// Looks until a statement gives this number; gives how long that took. Looking takes a twentieth of the time at most: the server
    /// does it beside the work that is measured.
    pub async fn until(&self, sql: &str, wanted: i64, within: Duration) -> anyhow::Result<Duration> {
        let mut connection = self.rig.server.connect(&self.database).await?;
        let begin = Instant::now();
        loop {
            let asked = Instant::now();
            let number: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await?;
            if number == wanted {
                return Ok(begin.elapsed());
            }
            anyhow::ensure!(begin.elapsed() < within, "in vain: {sql} gives {number}, not {wanted}");
            tokio::time::sleep((asked.elapsed() * 20).max(Duration::from_millis(20))).await;
        }
    }
}

async fn ask(target: &Target, method: &'static str, path: String, body: &Value) -> anyhow::Result<Value> {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let (status, answer) = Client::connect(target, 0).await?.send((method, path.clone(), text)).await?;
    if !(200..300).contains(&status) {
        bail!("{method} {path}: {status} {}", String::from_utf8_lossy(&answer));
    }
    serde_json::from_slice(&answer).with_context(|| path)
}

async fn is_ready(management: SocketAddr) -> bool {
    let target = Target { addresses: vec![management], key: String::new(), content_type: "" };
    let Ok(mut client) = Client::connect(&target, 0).await else { return false };
    matches!(client.send(("GET", "/readyz".to_owned(), String::new())).await, Ok((200, _)))
}
