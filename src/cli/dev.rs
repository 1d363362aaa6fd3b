//! `dev` and `sandbox`: something to talk to while you write your side.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use rust_decimal::Decimal;
use secrecy::ExposeSecret;

use super::operate::Signals;
use super::playground::{KIOSK, MERCHANT, Playground, Wish};
use crate::config::{Log, LogFormat};
use crate::sandbox::{ClientSetup, HicoinApp, Options, Sandbox};
use crate::telemetry;

/// What `dev` starts.
#[derive(Debug, Args)]
pub struct DevArgs {
    /// The API's port
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// The simulated providers' port
    #[arg(long, default_value_t = 9101)]
    sandbox_port: u16,
    /// Where the data stays between runs
    #[arg(long, default_value = ".local/dev")]
    data: PathBuf,
}

/// What `sandbox` starts.
#[derive(Debug, Args)]
pub struct SandboxArgs {
    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    bind: IpAddr,
    /// The port
    #[arg(long, default_value_t = 9101)]
    port: u16,
    /// How many times faster than in life callbacks follow one another
    #[arg(long, default_value_t = 1)]
    time_scale: u32,
}

/// Runs everything until Ctrl-C.
pub async fn run(args: DevArgs) -> anyhow::Result<ExitCode> {
    telemetry::start(&Log { format: LogFormat::Text, filter: "info".to_owned() })?;
    let mut signals = Signals::new()?;
    let wish = Wish { data: Some(args.data), port: args.port, sandbox_port: args.sandbox_port, time_scale: 1, variables: Vec::new() };
    let playground = Playground::start(wish).await?;
    let session_key = stage(&playground.sandbox);
    let ClientSetup { client_id, .. } = ClientSetup::default();
    println!("\nTillgate is up, with a Postgres of its own and the providers simulated. Ctrl-C stops everything.\n");
    println!("  API        {}   (documentation: {}/docs)", playground.api, playground.api);
    println!("  probes     {}/readyz, /metrics", playground.management);
    println!("  providers  {}   (play the user: {})", playground.sandbox.fomo_base_url(), playground.sandbox.control_url());
    println!("  API key    {}   of {MERCHANT}, whose customers confirm in FOMO's app", playground.key.expose_secret());
    println!("             {}   of {KIOSK}, whose customers pay on FOMO's page\n", playground.kiosk_key.expose_secret());
    println!("Hicoin is simulated at {}; the merchant's user there owns 1000 ETH.\n", playground.sandbox.hicoin_base_url());
    println!("Youliao is simulated at {}; POST /v1/youliao/authorizations asks it.\n", playground.sandbox.youliao_base_url());
    println!("FOMO's user 42 has 1000 usdt. As FOMO's app, get a code for the merchant:\n");
    println!(
        "  curl -s {}authorize -d '{{\"session_key\":\"{session_key}\",\"client_id\":\"{client_id}\"}}'\n",
        playground.sandbox.control_url()
    );
    println!("To link Ada in your browser, open the authorize_url of this, and come back to {}/docs:\n", playground.api);
    println!(
        "  curl -s {0}/v1/customers/ada/links -H 'authorization: Bearer {1}' -H 'content-type: application/json' \\\n    -d '{{\"provider\":\"fomo\",\"return_url\":\"{0}/docs\"}}'\n",
        playground.api,
        playground.kiosk_key.expose_secret()
    );
    // As this process was called, for `make dev` installs nothing.
    let program = std::env::args().next().unwrap_or_else(|| "tillgate".to_owned());
    println!("To have {MERCHANT}'s webhooks sent to a receiver of yours, signed with a secret that it shows:\n");
    println!(
        "  TILLGATE_API_KEY={} {program} listen --url {} --forward-to http://localhost:3000/hook\n",
        playground.key.expose_secret(),
        playground.api
    );
    signals.wait().await;
    playground.stop().await?;
    Ok(ExitCode::SUCCESS)
}

/// Runs the simulated providers until Ctrl-C.
pub async fn sandbox(args: SandboxArgs) -> anyhow::Result<ExitCode> {
    telemetry::start(&Log { format: LogFormat::Text, filter: "info".to_owned() })?;
    let mut signals = Signals::new()?;
    let sandbox = Sandbox::start(Options { bind: args.bind, port: args.port, time_scale: args.time_scale, ..Options::default() }).await?;
    stage(&sandbox);
    println!(
        "FOMO is simulated at {}, Hicoin at {}, Youliao at {}; play their users at {}. Ctrl-C stops them.",
        sandbox.fomo_base_url(),
        sandbox.hicoin_base_url(),
        sandbox.youliao_base_url(),
        sandbox.control_url()
    );
    signals.wait().await;
    sandbox.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// A user with money, and a merchant with money. Gives the user's session key.
fn stage(sandbox: &Sandbox) -> String {
    let plenty = Decimal::ONE_THOUSAND;
    for client in [&ClientSetup::default().client_id, KIOSK] {
        sandbox.set_merchant_balance(client, "5", plenty);
    }
    if let Err(error) = sandbox.set_hicoin_balance(None, HicoinApp::default().uid, "ETH", plenty) {
        tracing::warn!(%error, "the merchant's user at Hicoin owns nothing");
    }
    sandbox.create_user("42", "Ada", &[("5", plenty)])
}
