//! What the operator does: run, migrate, merchants, keys, checks.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use secrecy::ExposeSecret;

use super::{KeyArgs, merchant_file};
use crate::app::{self, Gateway, Role};
use crate::config::{ConfigError, Settings};
use crate::domain::account::network;
use crate::domain::audit::{By, Chain};
use crate::domain::clock::Clock;
use crate::domain::order::Provider;
use crate::flows::audit;
use crate::flows::capability::notice_url;
use crate::flows::setup::{self, KeyWish};
use crate::flows::tenant::Scope;
use crate::store::{Db, Limits};
use crate::telemetry;

/// Runs the gateway until it is told to stop.
pub async fn serve(settings: &Settings, role: Role) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new()?;
    let gateway = Gateway::start(app::context(settings, Clock::system())?, settings, role).await?;
    signals.wait().await;
    let in_time = gateway.stop().await;
    Ok(if in_time { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// SIGTERM and Ctrl-C.
#[derive(Debug)]
pub struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// From now on the signals do not end the process by themselves.
    pub fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Returns when one comes.
    pub async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Brings the schema up to this program's.
pub async fn migrate(settings: &Settings) -> anyhow::Result<ExitCode> {
    let db = Db::open(settings.database_url()?, Limits { connections: 1, ..app::limits(&settings.database) })?;
    db.migrate().await.context("the schema could not be brought up to date")?;
    db.check_schema().await?;
    println!("The schema is up to date.");
    Ok(ExitCode::SUCCESS)
}

/// Makes the merchants what a file says.
pub async fn apply_merchants(settings: &Settings, file: &Path) -> anyhow::Result<ExitCode> {
    let merchants = merchant_file::read(file)?;
    let context = app::context(settings, Clock::system())?;
    // All of them or none: a mistake in one must not leave half of a file applied.
    for merchant in &merchants {
        setup::check(merchant)?;
    }
    for merchant in &merchants {
        for change in setup::apply(&context, &operator(), merchant).await? {
            println!("{change}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Lists merchants and their accounts.
pub async fn list_merchants(settings: &Settings) -> anyhow::Result<ExitCode> {
    let context = app::context(settings, Clock::system())?;
    for (merchant, accounts) in setup::merchants(&context).await? {
        let accounts: Vec<String> =
            accounts.iter().map(|account| format!("{}{}", account.provider, if account.disabled { " (closed)" } else { "" })).collect();
        println!("{}  {}  {}", merchant.name, merchant.id, accounts.join(", "));
        if accounts.iter().any(|account| account.starts_with("hicoin")) && settings.public_url().is_ok() {
            println!("    notices of hicoin: {}", notice_url(&context, merchant.id, Provider::Hicoin)?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes a key. Standard output carries the key alone.
pub async fn create_key(settings: &Settings, args: &KeyArgs) -> anyhow::Result<ExitCode> {
    let context = app::context(settings, Clock::system())?;
    let scopes = args.scopes.iter().map(|text| scope(text)).collect::<anyhow::Result<_>>()?;
    let allow_ips = args
        .allow_ips
        .iter()
        .map(|text| network(text).with_context(|| format!("{text:?} is no IP address or network")))
        .collect::<anyhow::Result<_>>()?;
    let expires_at = args.expires_in.map(|life| context.clock.now() + *life);
    let name = args.name.as_deref().map(key_name).transpose()?;
    let wish = KeyWish { scopes, allow_ips, expires_at, name };
    let (id, key) = setup::create_key(&context, &operator(), &args.merchant, &wish).await?;
    eprintln!("{id} was made. It is shown this once:");
    println!("{}", key.expose_secret());
    Ok(ExitCode::SUCCESS)
}

/// Who types: the name of the operator's account on this machine, for the audit log. It is his word and no proof; who may reach
/// the database from here at all is the machine's business.
fn operator() -> By {
    let name = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok().filter(|text| !text.is_empty()));
    By::operator(name.as_deref().unwrap_or("unknown"))
}

fn key_name(text: &str) -> anyhow::Result<String> {
    let fine = (1..=64).contains(&text.chars().count()) && text.trim() == text && !text.chars().any(char::is_control);
    if !fine {
        bail!("a key's name has 1 to 64 characters, no control characters, and no blanks at its ends");
    }
    Ok(text.to_owned())
}

/// Follows the audit logs, of one merchant or of all, from the first row to the last.
pub async fn verify_audit(settings: &Settings, merchant: Option<&str>, expect: Option<Chain>) -> anyhow::Result<ExitCode> {
    let context = app::context(settings, Clock::system())?;
    let all = setup::merchants(&context).await?;
    let wanted: Vec<_> = all.into_iter().map(|(row, _)| row).filter(|row| merchant.is_none_or(|name| name == row.name)).collect();
    if let (Some(name), true) = (merchant, wanted.is_empty()) {
        bail!("there is no merchant {name:?}; tillgate merchant list shows all");
    }
    let mut whole = true;
    for row in wanted {
        match audit::verify(&context.db, row.id, expect).await? {
            Ok(head) => println!("ok    {}: {} rows, head {head}", row.name, head.position),
            Err(broken) => {
                whole = false;
                println!("FAIL  {}: {broken}", row.name);
            }
        }
    }
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn scope(text: &str) -> anyhow::Result<Scope> {
    text.trim()
        .parse()
        .with_context(|| format!("there is no scope {text:?}; there are orders:read, deposits:write, payouts:write and admin"))
}

/// Revokes a key.
pub async fn revoke_key(settings: &Settings, merchant: &str, key: &str) -> anyhow::Result<ExitCode> {
    let context = app::context(settings, Clock::system())?;
    match setup::revoke_key(&context, &operator(), merchant, key).await? {
        0 => bail!("merchant {merchant} has no live key {key:?}"),
        count => println!("{count} revoked."),
    }
    Ok(ExitCode::SUCCESS)
}

/// Says which keys are missing or wrong.
pub fn check_config(settings: &Settings) -> anyhow::Result<ExitCode> {
    let needed = [settings.database_url().err(), settings.vault_key().err(), settings.public_url().err()];
    let missing: Vec<ConfigError> = needed.into_iter().flatten().collect();
    for error in &missing {
        eprintln!("{error}");
    }
    if !missing.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    app::context(settings, Clock::system())?;
    telemetry::filter(&settings.log)?;
    println!("The configuration is complete.");
    Ok(ExitCode::SUCCESS)
}

/// Says whether the gateway could run here.
pub async fn doctor(settings: Result<Settings, ConfigError>) -> anyhow::Result<ExitCode> {
    let settings = match settings {
        Ok(settings) => settings,
        Err(error) => return Ok(report(&[("configuration", Err(error.to_string()))])),
    };
    let keys = [settings.database_url().err(), settings.vault_key().err(), settings.public_url().err()];
    let keys: Vec<String> = keys.into_iter().flatten().map(|error| error.to_string()).collect();
    let mut findings = vec![
        ("configuration", if keys.is_empty() { Ok(()) } else { Err(keys.join("; ")) }),
        ("logs", telemetry::filter(&settings.log).map(drop).map_err(|error| format!("{error:#}"))),
    ];
    if keys.is_empty() {
        match app::context(&settings, Clock::system()) {
            Err(error) => findings.push(("keys", Err(format!("{error:#}")))),
            Ok(context) => {
                findings.push(("keys", Ok(())));
                findings.push(("database", context.db.ping().await.map_err(|error| error.to_string())));
                let schema = context.db.check_schema().await.map_err(|error| error.to_string());
                if schema.is_ok() {
                    findings.push(("event feed", event_feed(&context.db).await));
                }
                findings.push(("schema", schema));
            }
        }
    }
    Ok(report(&findings))
}

/// Whether merchants can read all of their events.
async fn event_feed(db: &crate::store::Db) -> Result<(), String> {
    let ahead = async { crate::store::events::are_ahead(&mut *db.get().await?).await };
    if ahead.await.map_err(|error| error.to_string())? {
        return Err("events are hidden from /v1/events: they carry numbers of transactions that this server has not come to, as after a \
                    restore of a dump. Before the gateway starts: UPDATE events SET xid = '3'; UPDATE dropped_months SET last_xid = '0';"
            .to_owned());
    }
    Ok(())
}

fn report(findings: &[(&str, Result<(), String>)]) -> ExitCode {
    for (what, finding) in findings {
        match finding {
            Ok(()) => println!("ok    {what}"),
            Err(why) => println!("FAIL  {what}: {why}"),
        }
    }
    if findings.iter().all(|(_, finding)| finding.is_ok()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
