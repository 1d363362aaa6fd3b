//! A gateway to play with: a private Postgres, the simulated providers and a demo merchant, all
//! started by this process and gone with it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::app::private_postgres::{Options, PrivatePostgres};
use crate::app::{self, Gateway, Role};
use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::domain::order::Provider;
use crate::flows::setup::{self, KeyWish, MerchantDocument};
use crate::flows::tenant::Scope;
use crate::sandbox::{self, Sandbox};
use crate::vault;

/// The merchant that everything here belongs to.
pub const MERCHANT: &str = "acme";

/// Everything that runs.
#[derive(Debug)]
pub struct Playground {
    /// The simulated providers.
    pub sandbox: Sandbox,
    /// Where the API is.
    pub api: String,
    /// Where the probes and metrics are.
    pub management: String,
    /// A key that may do everything.
    pub key: SecretString,
    gateway: Gateway,
    postgres: PrivatePostgres,
}

/// What to start.
#[derive(Debug)]
pub struct Wish {
    /// Where the data stays; absent: nowhere.
    pub data: Option<PathBuf>,
    /// The API's port; 0 is a free one.
    pub port: u16,
    /// The providers' port; 0 is a free one.
    pub sandbox_port: u16,
    /// How many times faster than in life the providers' callbacks follow one another.
    pub time_scale: u32,
    /// Settings of the gateway, as in the environment.
    pub variables: Vec<(&'static str, &'static str)>,
}

impl Playground {
    /// Starts everything, and says on standard output what was started.
    pub async fn start(wish: Wish) -> anyhow::Result<Self> {
        let options = wish.data.as_ref().map_or_else(Options::temporary, |path| Options::kept(path.join("postgres")));
        let postgres = PrivatePostgres::start(&options)?;
        let sandbox = Sandbox::start(sandbox::Options { port: wish.sandbox_port, time_scale: wish.time_scale, ..Default::default() })
            .await
            .context("the simulated providers cannot be started")?;
        let key = vault_key(wish.data.as_deref())?;
        let settings = settings(&wish, &postgres, &key).await?;
        let context = app::context(&settings, Clock::system())?;
        context.db.migrate().await?;
        setup::apply(&context, &merchant(&sandbox)).await?;
        let wish = KeyWish { scopes: vec![Scope::Admin], allow_ips: Vec::new(), expires_at: None };
        let (_, key) = setup::create_key(&context, MERCHANT, &wish).await?;
        let gateway = Gateway::start(context, &settings, Role::All).await?;
        let address = |address: Option<SocketAddr>| address.map(|address| format!("http://{address}")).unwrap_or_default();
        let (api, management) = (address(gateway.api), address(gateway.management));
        Ok(Self { sandbox, api, management, key, gateway, postgres })
    }

    /// Stops everything in good order.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.gateway.stop().await;
        self.sandbox.stop().await;
        self.postgres.stop()?;
        Ok(())
    }
}

/// The key that sealed what is kept must be kept, too.
fn vault_key(data: Option<&Path>) -> anyhow::Result<SecretString> {
    let Some(data) = data else { return Ok(vault::random_key()?) };
    let path = data.join("vault.key");
    if !path.exists() {
        std::fs::create_dir_all(data)?;
        std::fs::write(&path, vault::random_key()?.expose_secret()).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(std::fs::read_to_string(&path)?.trim().to_owned().into())
}

async fn settings(wish: &Wish, postgres: &PrivatePostgres, key: &SecretString) -> anyhow::Result<Settings> {
    // The port must be known before the first order: the addresses of callbacks are made of it.
    let port = match wish.port {
        0 => std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port(),
        port => port,
    };
    let own = [
        ("TILLGATE__DATABASE__URL", postgres.url("postgres")),
        ("TILLGATE__VAULT__KEY", key.expose_secret().to_owned()),
        ("TILLGATE__SERVER__BIND", format!("127.0.0.1:{port}")),
        ("TILLGATE__SERVER__MANAGEMENT_BIND", "127.0.0.1:0".to_owned()),
        ("TILLGATE__SERVER__PUBLIC_URL", format!("http://127.0.0.1:{port}")),
    ];
    let given = wish.variables.iter().map(|(name, value)| (*name, (*value).to_owned()));
    let all = given.chain(own).map(|(name, value)| (name.to_owned(), value));
    Ok(Settings::load(Path::new("config"), all)?)
}

/// The demo merchant: its accounts at the simulated wallets.
fn merchant(sandbox: &Sandbox) -> MerchantDocument {
    let client = sandbox::ClientSetup::default();
    let fomo = json!({
        "base_url": sandbox.fomo_base_url(),
        "client_id": client.client_id,
        "client_secret": client.client_secret,
        "wallet_pwd": client.wallet_pwd,
        "redirect_uri": client.redirect_uri,
    });
    let app = sandbox::HicoinApp::default();
    let hicoin = json!({
        "base_url": sandbox.hicoin_base_url(),
        "app_id": app.app_id,
        "app_secret": app.app_secret,
        "payout_uid": app.uid.to_string(),
    });
    let platform = sandbox::YouliaoApp::default();
    let youliao = json!({
        "base_url": sandbox.youliao_base_url(),
        "redirect_base": sandbox.youliao_redirect_base(),
        "app_id": platform.app_id,
        "app_secret": platform.app_secret,
    });
    let table = |document| if let Value::Object(map) = document { map } else { Default::default() };
    MerchantDocument {
        name: MERCHANT.to_owned(),
        return_origins: vec!["https://shop.example".to_owned()],
        accounts: BTreeMap::from([(Provider::Fomo, table(fomo)), (Provider::Hicoin, table(hicoin)), (Provider::Youliao, table(youliao))]),
    }
}
