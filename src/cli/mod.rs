//! The command line: what the operator and the newcomer type.

pub mod demo;
pub mod dev;
pub mod listen;
pub mod merchant_file;
pub mod operate;
pub mod playground;
pub mod reconcile;
pub mod report;
pub mod verify;
pub mod webhook;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::app::Role;
use crate::config::Settings;
use crate::domain::audit::Chain;
use crate::domain::clock::Clock;
use crate::telemetry;

/// The payment gateway between your backends and coin wallets.
#[derive(Debug, Parser)]
#[command(name = "tillgate", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway until SIGTERM or Ctrl-C
    Serve {
        /// What this process does
        #[arg(long, value_enum, default_value = "all")]
        role: Role,
    },
    /// Bring the database's schema up to this program's
    Migrate,
    /// See it work: private Postgres, simulated providers, real orders, a table at the end
    Demo,
    /// Prove on the simulated wallets that nothing depends on one way of hearing
    #[command(subcommand)]
    Drill(DrillCommand),
    /// The gateway with a private Postgres, simulated providers and a demo merchant, until Ctrl-C
    Dev(dev::DevArgs),
    /// The simulated providers alone, until Ctrl-C
    Sandbox(dev::SandboxArgs),
    /// Merchants and their provider accounts
    #[command(subcommand)]
    Merchant(MerchantCommand),
    /// API keys of merchants
    #[command(subcommand)]
    Key(KeyCommand),
    /// Compare both sides with the wallets now, movement by movement, and say where they disagree
    Reconcile(reconcile::ReconcileArgs),
    /// Look at everything that is stored, read-only, and say where it breaks a law; ends with 3 if it does
    Verify(verify::VerifyArgs),
    /// The log of what persons and keys changed by hand
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Write a merchant's statement: every movement over a period, with opening and closing balances
    Report(report::ReportArgs),
    /// Forward a merchant's events to a receiver of yours, signed as webhooks are, until Ctrl-C
    Listen(listen::ListenArgs),
    /// For those who receive webhooks
    #[command(subcommand)]
    Webhook(WebhookCommand),
    /// The configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Say whether the gateway could run here, and what is missing
    Doctor,
    /// Print the API's description (OpenAPI 3.1)
    Openapi,
}

#[derive(Debug, Subcommand)]
enum DrillCommand {
    /// The same orders with every callback and with none: they must come to the same ends
    Callbacks,
}

#[derive(Debug, Subcommand)]
enum MerchantCommand {
    /// Make the merchants what a file says; applying it again changes nothing
    Apply {
        /// The file, TOML
        file: PathBuf,
    },
    /// List merchants and their accounts
    List,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make a key and print it, alone, on standard output. It is shown this once.
    Create(KeyArgs),
    /// Revoke a key at once
    Revoke {
        /// The merchant's name
        #[arg(long)]
        merchant: String,
        /// The key's id (key_...) or its beginning (tg_...)
        key: String,
    },
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Look for rows that were removed, altered, inserted or moved; print the head of each log, to be kept elsewhere
    Verify {
        /// The merchant's name; all of them if absent
        #[arg(long)]
        merchant: Option<String>,
        /// What an earlier run printed as the head, HASH@POSITION: the log must still hold it
        #[arg(long, requires = "merchant")]
        expect: Option<Chain>,
    },
}

/// A key to be made.
#[derive(Debug, Args)]
pub struct KeyArgs {
    /// The merchant's name
    #[arg(long)]
    merchant: String,
    /// Who holds it, for people: it stands in the audit log
    #[arg(long)]
    name: Option<String>,
    /// What it may do: orders:read, deposits:write, payouts:write, admin
    #[arg(long, value_delimiter = ',', required = true)]
    scopes: Vec<String>,
    /// How long it lives, for example 90d; for ever if absent
    #[arg(long)]
    expires_in: Option<humantime::Duration>,
    /// Addresses or networks that it may be used from; any if absent
    #[arg(long, value_delimiter = ',')]
    allow_ips: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum WebhookCommand {
    /// Say whether a captured request is genuine, and what is wrong with it
    Verify(webhook::VerifyArgs),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Check the configuration; names every key that is missing or wrong
    Check,
}

/// Runs what the command line says.
pub async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Demo => return demo::run().await,
        Command::Drill(DrillCommand::Callbacks) => return demo::drill::callbacks().await,
        Command::Dev(args) => return dev::run(args).await,
        Command::Sandbox(args) => return dev::sandbox(args).await,
        Command::Openapi => {
            return print(&crate::http::openapi::document().to_pretty_json()?);
        }
        Command::Webhook(WebhookCommand::Verify(args)) => return Ok(webhook::verify(&args, &Clock::system())),
        Command::Listen(args) => return listen::run(args).await,
        Command::Doctor => return operate::doctor(settings()).await,
        Command::Config(ConfigCommand::Check) => return operate::check_config(&settings()?),
        _ => {}
    }
    let settings = settings()?;
    telemetry::start(&settings.log)?;
    match cli.command {
        Command::Serve { role } => operate::serve(&settings, role).await,
        Command::Migrate => operate::migrate(&settings).await,
        Command::Reconcile(args) => reconcile::run(&settings, &args).await,
        Command::Verify(args) => verify::run(&settings, &args).await,
        Command::Report(args) => report::run(&settings, &args).await,
        Command::Merchant(MerchantCommand::Apply { file }) => operate::apply_merchants(&settings, &file).await,
        Command::Merchant(MerchantCommand::List) => operate::list_merchants(&settings).await,
        Command::Key(KeyCommand::Create(args)) => operate::create_key(&settings, &args).await,
        Command::Key(KeyCommand::Revoke { merchant, key }) => operate::revoke_key(&settings, &merchant, &key).await,
        Command::Audit(AuditCommand::Verify { merchant, expect }) => operate::verify_audit(&settings, merchant.as_deref(), expect).await,
        Command::Demo
        | Command::Drill(_)
        | Command::Dev(_)
        | Command::Sandbox(_)
        | Command::Openapi
        | Command::Listen(_)
        | Command::Webhook(_)
        | Command::Doctor
        | Command::Config(_) => Ok(ExitCode::SUCCESS),
    }
}

fn settings() -> Result<Settings, crate::config::ConfigError> {
    // What is no text may be somebody else's; ours is refused as what it then is.
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    Settings::load(Path::new("config"), std::env::vars_os().map(|(name, value)| (text(name), text(value))))
}

/// Prints a long text; a reader who has seen enough may go away.
fn print(text: &str) -> anyhow::Result<ExitCode> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}
