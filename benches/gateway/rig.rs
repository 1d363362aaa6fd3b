//! What a run stands on: a durable Postgres, and houses in it: a database of its own, the simulated wallets in a process of their
//! own, and as many gateways as a lane wants. Gateways and wallets are the program itself, as it is shipped.

pub mod counts;
pub mod house;
pub mod meter;
pub mod process;
pub mod server;

use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use sqlx::Connection;
use tillgate::app;
use tillgate::config::Settings;
use tillgate::domain::audit::By;
use tillgate::domain::clock::Clock;
use tillgate::domain::ids::{MerchantId, OrderId, TradeId};
use tillgate::domain::money::Amount;
use tillgate::domain::order::{Birth, Kind, Order, Provider};
use tillgate::flows::setup::{self, KeyWish, MerchantDocument};
use tillgate::flows::tenant::Scope;
use tillgate::flows::{Context, capability};
use tillgate::sandbox::{ClientSetup, HicoinApp};
use time::OffsetDateTime;
use uuid::Uuid;

use server::Server;

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_tillgate");
/// The database that all others are copies of.
const FIRST: &str = "first";
/// The merchant of most lanes.
pub const MERCHANT: &str = "bench";
const VAULT_KEY: &str = "YmVuY2gtdmF1bHQta2V5LWJlbmNoLXZhdWx0LWtleS0=";

/// Everything that lanes share.
#[derive(Debug)]
pub struct Rig {
    /// The server.
    pub server: Server,
    /// Less of everything: for a build server.
    pub quick: bool,
    /// The merchant's id and an API key of his.
    pub merchant: Uuid,
    /// His API key, which may do everything.
    pub key: String,
    /// Where the simulated wallets listen, in whatever house.
    pub sandbox_port: u16,
    /// Logs and other files of this run.
    pub folder: PathBuf,
    context: Context,
    houses: std::cell::Cell<u32>,
}

impl Rig {
    /// Starts the server and makes the first database: schema, merchant, accounts and key.
    pub async fn start(quick: bool) -> anyhow::Result<Self> {
        let server = Server::start()?;
        server.run("postgres", &format!("CREATE DATABASE {FIRST}")).await?;
        let folder = std::env::temp_dir().join(format!("tillgate-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let sandbox_port = free_port()?;
        let settings = settings(&server.url(FIRST), 1)?;
        let context = app::context(&settings, Clock::system())?;
        context.db.migrate().await?;
        server.run(FIRST, "CREATE EXTENSION pg_stat_statements").await?;
        setup::apply(&context, &By::operator("bench"), &document(MERCHANT, sandbox_port)).await?;
        let key = admin_key(&context, MERCHANT).await?;
        let mut connection = server.connect(FIRST).await?;
        let merchant = sqlx::query_scalar("SELECT merchant_id FROM merchants").fetch_one(&mut connection).await?;
        connection.close().await?;
        context.db.close().await;
        Ok(Self { server, quick, merchant, key, sandbox_port, folder, context, houses: Default::default() })
    }

    /// A new database: a copy of the first.
    pub async fn database(&self) -> anyhow::Result<String> {
        self.houses.set(self.houses.get() + 1);
        let name = format!("house_{}", self.houses.get());
        self.server.run("postgres", &format!("CREATE DATABASE {name} TEMPLATE {FIRST}")).await?;
        Ok(name)
    }

    /// Removes a database.
    pub async fn drop(&self, database: &str) -> anyhow::Result<()> {
        self.server.run("postgres", &format!("DROP DATABASE {database} WITH (FORCE)")).await
    }

    /// Makes further merchants in a database, and a key of each.
    pub async fn merchants(&self, database: &str, count: usize) -> anyhow::Result<Vec<String>> {
        let context = app::context(&settings(&self.server.url(database), 4)?, Clock::system())?;
        let mut keys = Vec::new();
        for number in 1..=count {
            let name = format!("shop-{number}");
            setup::apply(&context, &By::operator("bench"), &document(&name, self.sandbox_port)).await?;
            keys.push(admin_key(&context, &name).await?);
        }
        context.db.close().await;
        Ok(keys)
    }

    /// The path of the address to which the wallet reports an order.
    pub fn callback_path(&self, order: Uuid) -> anyhow::Result<String> {
        let birth = Birth {
            merchant_id: MerchantId(self.merchant),
            id: OrderId(order),
            trade_id: TradeId::parse("any")?,
            kind: Kind::Payout,
            provider: Provider::Fomo,
            coin: String::new(),
            provider_coin_id: String::new(),
            decimals: 6,
            amount: Amount::parse("1")?,
            at: OffsetDateTime::UNIX_EPOCH,
        };
        Ok(capability::callback_url(&self.context, &Order::new(birth))?.path().to_owned())
    }

    /// How many interleaved pairs a ratio is the median of.
    pub fn rounds(&self) -> usize {
        if self.quick { 2 } else { 5 }
    }

    /// How long one side of a pair runs, in milliseconds.
    pub fn side_ms(&self) -> u64 {
        if self.quick { 400 } else { 2_500 }
    }

    /// One of two numbers: for a quick run, or for a full one.
    pub fn pick<T>(&self, quick: T, full: T) -> T {
        if self.quick { quick } else { full }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A port that is free now.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// The variables that every process needs.
pub fn variables(url: &str) -> Vec<(String, String)> {
    let own = [
        ("TILLGATE__DATABASE__URL", url),
        ("TILLGATE__VAULT__KEY", VAULT_KEY),
        // It would work in the middle of a lane, if that is at night.
        ("TILLGATE__RECONCILIATION__NIGHTLY_AT", "never"),
        ("TILLGATE__WEBHOOKS__ALLOWED_NETWORKS", "127.0.0.0/8"),
    ];
    own.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn settings(url: &str, connections: u32) -> anyhow::Result<Settings> {
    let more = [("TILLGATE__DATABASE__MAX_CONNECTIONS".to_owned(), connections.to_string())];
    Ok(Settings::load(Path::new("/nonexistent"), variables(url).into_iter().chain(more))?)
}

async fn admin_key(context: &Context, merchant: &str) -> anyhow::Result<String> {
    let wish = KeyWish { scopes: vec![Scope::Admin], allow_ips: Vec::new(), expires_at: None, name: None };
    Ok(setup::create_key(context, &By::operator("bench"), merchant, &wish).await?.1.expose_secret().to_owned())
}

fn document(name: &str, port: u16) -> MerchantDocument {
    let (client, app) = (ClientSetup::default(), HicoinApp::default());
    let table = |value: Value| -> Map<String, Value> { if let Value::Object(map) = value { map } else { Map::new() } };
    let fomo = table(json!({
        "base_url": format!("http://127.0.0.1:{port}/fomo/"),
        "client_id": client.client_id,
        "client_secret": client.client_secret,
        "wallet_pwd": client.wallet_pwd,
        "redirect_uri": client.redirect_uri,
    }));
    let hicoin = table(json!({
        "base_url": format!("http://127.0.0.1:{port}/hicoin/"),
        "app_id": app.app_id,
        "app_secret": app.app_secret,
        "payout_uid": app.uid.to_string(),
    }));
    MerchantDocument {
        name: name.to_owned(),
        return_origins: Vec::new(),
        accounts: [(Provider::Fomo, fomo), (Provider::Hicoin, hicoin)].into(),
    }
}
