//! `demo`: the main job in small. A merchant's backend and its customers, played over real HTTP
//! against a real gateway, with everything that goes wrong in life.

mod browser;
pub mod drill;
mod fomo;
mod hicoin;
mod webhooks;
mod youliao;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use reqwest::header::LOCATION;
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use self::webhooks::Backend;
use super::playground::{Playground, Wish};
use crate::domain::clock::Clock;
use crate::sandbox::Sandbox;

/// How long the demo waits for an order to come to its end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Settings of the demo: minutes become seconds, and webhooks may go to this machine.
const SETTINGS: [(&str, &str); 8] = [
    ("TILLGATE__TIMING__LOOKUP_SCHEDULE", "500ms,1s,2s"),
    ("TILLGATE__TIMING__POLL_SCHEDULE", "500ms,1s"),
    ("TILLGATE__TIMING__FEED_PERIOD", "500ms"),
    ("TILLGATE__TIMING__PROVIDER_TIMEOUT", "2s"),
    ("TILLGATE__TIMING__CALLBACK_GRACE", "1s"),
    ("TILLGATE__TIMING__LEASE", "5s"),
    ("TILLGATE__TIMING__WEBHOOK_SCHEDULE", "1s,2s,4s"),
    ("TILLGATE__WEBHOOKS__ALLOWED_NETWORKS", "127.0.0.0/8"),
];

/// An order of the demo and how it has to end.
struct Promise {
    trade_id: &'static str,
    collection: &'static str,
    story: &'static str,
    status: &'static str,
    /// How often the provider must have moved money for it.
    executions: usize,
    /// Under which ids the provider has it, where not under our own.
    movements: Vec<String>,
}

impl Promise {
    fn new(trade_id: &'static str, collection: &'static str, story: &'static str, status: &'static str, executions: usize) -> Self {
        Self { trade_id, collection, story, status, executions, movements: vec![trade_id.to_owned()] }
    }
}

/// Plays the demo. Succeeds only if every order ended as it must.
pub async fn run() -> anyhow::Result<ExitCode> {
    say("Starting a private Postgres, the simulated wallets and the gateway ...");
    let wish = Wish { data: None, port: 0, sandbox_port: 0, time_scale: 60, variables: SETTINGS.to_vec() };
    let playground = Playground::start(wish).await?;
    say(&format!(
        "The gateway answers at {}, FOMO at {}, Hicoin at {}, Youliao at {}.",
        playground.api,
        playground.sandbox.fomo_base_url(),
        playground.sandbox.hicoin_base_url(),
        playground.sandbox.youliao_base_url()
    ));
    let backend = Backend::open()?;
    let played = story(&playground, &backend).await;
    playground.stop().await?;
    backend.close().await;
    Ok(if played? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn story(playground: &Playground, backend: &Backend) -> anyhow::Result<bool> {
    let acme = Play::new(playground, &playground.key);
    acme.subscribe(backend).await?;
    let mut at_acme = acme.at_fomo().await?;
    at_acme.extend(acme.at_hicoin().await?);
    acme.at_youliao().await?;
    let kiosk = Play::new(playground, &playground.kiosk_key);
    let at_kiosk = kiosk.in_the_browser().await?;
    acme.linked_at_hicoin().await?;
    at_acme.push(acme.told(backend).await?);

    say("\norder                what happened            must be    is         executed");
    let all = acme.rows(&at_acme).await? & kiosk.rows(&at_kiosk).await? & acme.all_told(backend).await? & obeyed(playground).await?;
    say(if all { "\nEvery order stands where it must." } else { "\nAt least one line is WRONG." });
    Ok(all)
}

/// Whether what is stored obeys the laws, as `tillgate verify` sees it.
async fn obeyed(playground: &Playground) -> anyhow::Result<bool> {
    let broken = playground.broken().await?;
    for breach in &broken {
        say(&format!("{} is broken: {} {}: {}", breach.law, breach.merchant, breach.about, breach.found));
    }
    say(&format!("database: every law of tillgate verify holds   {}", if broken.is_empty() { "ok" } else { "WRONG" }));
    Ok(broken.is_empty())
}

fn say(line: &str) {
    println!("{line}");
}

/// A merchant's backend, with the customer beside it.
struct Play<'a> {
    sandbox: &'a Sandbox,
    api: &'a str,
    key: &'a str,
    http: reqwest::Client,
    clock: Clock,
}

impl<'a> Play<'a> {
    fn new(playground: &'a Playground, key: &'a SecretString) -> Self {
        // Where a browser is sent on to is looked at, and not followed.
        let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().unwrap_or_default();
        Self { sandbox: &playground.sandbox, api: &playground.api, key: key.expose_secret(), http, clock: Clock::system() }
    }

    /// Waits until an order is as it should be.
    async fn until(&self, promise: &Promise, fine: impl Fn(&Value) -> bool) -> anyhow::Result<()> {
        let path = format!("/v1/{}/{}", promise.collection, promise.trade_id);
        self.wait(&format!("something to happen to {}", promise.trade_id), async || Ok(fine(&self.get(&path).await?))).await
    }

    /// Waits until something is so.
    async fn wait(&self, what: &str, so: impl AsyncFn() -> anyhow::Result<bool>) -> anyhow::Result<()> {
        let end = self.clock.instant() + PATIENCE;
        while !so().await? {
            if self.clock.instant() > end {
                bail!("waited in vain for {what}");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Shows the steps of an order as they happen, until it is where it must be.
    async fn watch(&self, promise: &Promise) -> anyhow::Result<()> {
        let end = self.clock.instant() + PATIENCE;
        let mut shown = 0;
        loop {
            let timeline = self.get(&format!("/v1/orders/{}/timeline", promise.trade_id)).await?;
            let entries = timeline["entries"].as_array().cloned().unwrap_or_default();
            let steps: Vec<&Value> = entries.iter().filter(|entry| entry["type"] == "step").collect();
            for step in &steps[shown.min(steps.len())..] {
                let evidence = &step["evidence"];
                let stage = evidence["stage"].as_str().map(|stage| format!(" / {stage}")).unwrap_or_default();
                say(&format!("   {} is {}{stage}: {}", promise.trade_id, text(evidence, "status"), text(step, "summary")));
            }
            shown = steps.len();
            if timeline["status"] == promise.status {
                return Ok(());
            }
            if self.clock.instant() > end {
                say(&format!("   {} did not become {}", promise.trade_id, promise.status));
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// How often the provider moved money for an order, by its own books.
    fn executions(&self, promise: &Promise) -> usize {
        promise.movements.iter().map(|id| self.sandbox.executions(id)).sum()
    }

    /// The rows of the table for these orders; whether all is well with them.
    async fn rows(&self, promises: &[Promise]) -> anyhow::Result<bool> {
        let mut all = true;
        for promise in promises {
            let order = self.get(&format!("/v1/{}/{}", promise.collection, promise.trade_id)).await?;
            let (status, executions) = (text(&order, "status"), self.executions(promise));
            let fine = status == promise.status && executions == promise.executions;
            all &= fine;
            let verdict = if fine { "ok" } else { "WRONG" };
            say(&format!(
                "{:<20} {:<24} {:<10} {status:<10} {executions} time(s)   {verdict}",
                promise.trade_id, promise.story, promise.status
            ));
        }
        Ok(all)
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let answer = self.http.post(format!("{}{path}", self.api)).bearer_auth(self.key).json(body).send().await?;
        read(path, answer).await
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let answer = self.http.get(format!("{}{path}", self.api)).bearer_auth(self.key).send().await?;
        read(path, answer).await
    }

    /// A browser opens a page of the gateway's. Gives where it is sent on to.
    async fn open(&self, url: &str) -> anyhow::Result<String> {
        let answer = self.http.get(url).send().await?;
        ensure!(answer.status().is_redirection(), "the gateway answered {} to a browser", answer.status());
        let location = answer.headers().get(LOCATION).context("a redirect to nowhere")?;
        Ok(location.to_str()?.to_owned())
    }
}

async fn read(path: &str, answer: reqwest::Response) -> anyhow::Result<Value> {
    let status = answer.status();
    let body: Value = answer.json().await?;
    if !status.is_success() {
        bail!("{path} answered {status}: {body}");
    }
    Ok(body)
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}
