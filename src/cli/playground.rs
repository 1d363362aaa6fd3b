//! A gateway to play with: a private Postgres, the simulated providers and a demo merchant, all
//! started by this process and gone with it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::app::private_postgres::{Options, PrivatePostgres};
use crate::app::{self, Gateway, Role};
use crate::config::Settings;
use crate::domain::audit::By;
use crate::domain::clock::Clock;
use crate::domain::law::Breach;
use crate::domain::order::Provider;
use crate::flows::Context;
use crate::flows::setup::{self, KeyWish, MerchantDocument};
use crate::flows::tenant::Scope;
use crate::flows::verify;
use crate::sandbox::{self, ClientSetup, HicoinApp, HicoinOauthApp, Sandbox, YouliaoApp};
use crate::vault;

/// The merchant with an app: its customers confirm at FOMO in FOMO's app.
pub const MERCHANT: &str = "acme";
/// The merchant without one: its customers pay at FOMO in their browser (`flow = "web"`).
pub const KIOSK: &str = "kiosk";
/// Who sets the merchants up, for their audit logs.
const OPERATOR: &str = "playground";

/// Everything that runs.
#[derive(Debug)]
pub struct Playground {
    /// The simulated providers.
    pub sandbox: Sandbox,
    /// Where the API is.
    pub api: String,
    /// Where the probes and metrics are.
    pub management: String,
    /// A key of the merchant with an app that may do everything.
    pub key: SecretString,
    /// The same of the merchant without one.
    pub kiosk_key: SecretString,
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
    /// Every law that is broken in what the gateway has stored.
    pub async fn broken(&self) -> anyhow::Result<Vec<Breach>> {
        Ok(verify::breaches(&self.gateway.context().db, &verify::Wish::default()).await?)
    }

    /// Starts everything, and says on standard output what was started.
    pub async fn start(wish: Wish) -> anyhow::Result<Self> {
        let options = wish.data.as_ref().map_or_else(Options::temporary, |path| Options::kept(path.join("postgres")));
        let postgres = PrivatePostgres::start(&options)?;
        // The port must be known before the first order: the addresses of callbacks and returns are made of it.
        let port = match wish.port {
            0 => std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port(),
            port => port,
        };
        let public = format!("http://127.0.0.1:{port}");
        let sandbox = Sandbox::start(providers(&wish, &public)).await.context("the simulated providers cannot be started")?;
        let vault_key = vault_key(wish.data.as_deref())?;
        let settings = settings(&wish, &public, &postgres, &vault_key)?;
        let context = app::context(&settings, Clock::system())?;
        context.db.migrate().await?;
        for merchant in [app_merchant(&sandbox, &public), kiosk(&sandbox, &public)] {
            setup::apply(&context, &By::operator(OPERATOR), &merchant).await?;
        }
        let (key, kiosk_key) = (admin_key(&context, MERCHANT).await?, admin_key(&context, KIOSK).await?);
        let gateway = Gateway::start(context, &settings, Role::All).await?;
        let address = |address: Option<SocketAddr>| address.map(|address| format!("http://{address}")).unwrap_or_default();
        let (api, management) = (address(gateway.api), address(gateway.management));
        Ok(Self { sandbox, api, management, key, kiosk_key, gateway, postgres })
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

async fn admin_key(context: &Context, merchant: &str) -> anyhow::Result<SecretString> {
    let wish = KeyWish { scopes: vec![Scope::Admin], allow_ips: Vec::new(), expires_at: None, name: None };
    Ok(setup::create_key(context, &By::operator(OPERATOR), merchant, &wish).await?.1)
}

fn settings(wish: &Wish, public: &str, postgres: &PrivatePostgres, key: &SecretString) -> anyhow::Result<Settings> {
    let own = [
        ("TILLGATE__DATABASE__URL", postgres.url("postgres")),
        ("TILLGATE__VAULT__KEY", key.expose_secret().to_owned()),
        ("TILLGATE__SERVER__BIND", public.trim_start_matches("http://").to_owned()),
        ("TILLGATE__SERVER__MANAGEMENT_BIND", "127.0.0.1:0".to_owned()),
        ("TILLGATE__SERVER__PUBLIC_URL", public.to_owned()),
    ];
    let given = wish.variables.iter().map(|(name, value)| (*name, (*value).to_owned()));
    let all = given.chain(own).map(|(name, value)| (name.to_owned(), value));
    Ok(Settings::load(Path::new("config"), all)?)
}

/// The wallets, which send browsers back to the gateway.
fn providers(wish: &Wish, public: &str) -> sandbox::Options {
    let client = |name: &str| ClientSetup {
        client_id: name.to_owned(),
        redirect_uri: format!("{public}/oauth/fomo/return"),
        ..ClientSetup::default()
    };
    sandbox::Options {
        port: wish.sandbox_port,
        time_scale: wish.time_scale,
        clients: vec![client(MERCHANT), client(KIOSK)],
        hicoin_oauth_apps: vec![HicoinOauthApp { redirect_uri: format!("{public}/oauth/hicoin/return"), ..HicoinOauthApp::default() }],
        ..sandbox::Options::default()
    }
}

/// The merchant with an app, with an account at every provider.
fn app_merchant(sandbox: &Sandbox, public: &str) -> MerchantDocument {
    let app = HicoinApp::default();
    let hicoin = json!({
        "base_url": sandbox.hicoin_base_url(),
        "app_id": app.app_id,
        "app_secret": app.app_secret,
        "payout_uid": app.uid.to_string(),
        "oauth_base_url": sandbox.hicoin_oauth_base_url(),
    });
    let platform = YouliaoApp::default();
    let youliao = json!({
        "base_url": sandbox.youliao_base_url(),
        "redirect_base": sandbox.youliao_redirect_base(),
        "app_id": platform.app_id,
        "app_secret": platform.app_secret,
    });
    let fomo = fomo(sandbox, public, MERCHANT, "app");
    document(MERCHANT, public, [(Provider::Fomo, fomo), (Provider::Hicoin, hicoin), (Provider::Youliao, youliao)])
}

/// The merchant without an app.
fn kiosk(sandbox: &Sandbox, public: &str) -> MerchantDocument {
    document(KIOSK, public, [(Provider::Fomo, fomo(sandbox, public, KIOSK, "web"))])
}

fn fomo(sandbox: &Sandbox, public: &str, client_id: &str, flow: &str) -> Value {
    let client = ClientSetup::default();
    json!({
        "base_url": sandbox.fomo_base_url(),
        "client_id": client_id,
        "client_secret": client.client_secret,
        "wallet_pwd": client.wallet_pwd,
        "redirect_uri": format!("{public}/oauth/fomo/return"),
        "flow": flow,
    })
}

/// Browsers may be sent back to the shop, to the gateway's own pages, and to a shop that is being written.
fn document<const N: usize>(name: &str, public: &str, accounts: [(Provider, Value); N]) -> MerchantDocument {
    let table = |document| if let Value::Object(map) = document { map } else { Default::default() };
    MerchantDocument {
        name: name.to_owned(),
        return_origins: ["https://shop.example", "http://localhost:3000", public].map(str::to_owned).to_vec(),
        accounts: accounts.map(|(provider, account)| (provider, table(account))).into(),
    }
}
