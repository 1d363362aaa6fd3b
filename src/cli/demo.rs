//! `demo`: the main job in small. A merchant's backend and its customers, played over real HTTP
//! against a real gateway, with everything that goes wrong in life.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rust_decimal::Decimal;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::playground::{Playground, Wish};
use crate::domain::clock::Clock;
use crate::sandbox::{CallbackFault, ClientSetup, Fault, Sandbox, Times};

/// FOMO's id of usdt, and of the demo's customer.
const USDT: &str = "5";
const ADA: &str = "42";
/// How long the demo waits for an order to come to its end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Times of the demo: minutes become seconds.
const TIMES: [(&str, &str); 5] = [
    ("TILLGATE__TIMING__LOOKUP_SCHEDULE", "500ms,1s,2s"),
    ("TILLGATE__TIMING__POLL_SCHEDULE", "500ms,1s"),
    ("TILLGATE__TIMING__PROVIDER_TIMEOUT", "2s"),
    ("TILLGATE__TIMING__CALLBACK_GRACE", "1s"),
    ("TILLGATE__TIMING__LEASE", "5s"),
];

/// An order of the demo and how it has to end.
struct Promise {
    trade_id: &'static str,
    collection: &'static str,
    story: &'static str,
    status: &'static str,
    executions: usize,
}

/// Plays the demo. Succeeds only if every order ended as it must.
pub async fn run() -> anyhow::Result<ExitCode> {
    say("Starting a private Postgres, the simulated FOMO and the gateway ...");
    let wish = Wish { data: None, port: 0, sandbox_port: 0, time_scale: 60, variables: TIMES.to_vec() };
    let playground = Playground::start(wish).await?;
    say(&format!("The gateway answers at {}, FOMO at {}.", playground.api, playground.sandbox.fomo_base_url()));
    let played = Play::new(&playground).story().await;
    playground.stop().await?;
    Ok(if played? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn say(line: &str) {
    println!("{line}");
}

/// The merchant's backend, with the customer beside it.
struct Play<'a> {
    sandbox: &'a Sandbox,
    api: &'a str,
    key: &'a str,
    http: reqwest::Client,
    clock: Clock,
}

impl<'a> Play<'a> {
    fn new(playground: &'a Playground) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap_or_default();
        Self { sandbox: &playground.sandbox, api: &playground.api, key: playground.key.expose_secret(), http, clock: Clock::system() }
    }

    async fn story(&self) -> anyhow::Result<bool> {
        self.link().await?;
        let promises = [
            self.plain_deposit().await?,
            self.plain_payout().await?,
            self.lost_answer().await?,
            self.repeated_callback().await?,
            self.forged_callback().await?,
            self.no_money().await?,
        ];
        self.table(&promises).await
    }

    async fn link(&self) -> anyhow::Result<()> {
        say("\n1. Ada links her FOMO account: FOMO's app gives the merchant's app a code, the backend gives it to Tillgate.");
        let client = ClientSetup::default().client_id;
        self.sandbox.set_merchant_balance(&client, USDT, Decimal::ONE_THOUSAND);
        let session = self.sandbox.create_user(ADA, "Ada", &[(USDT, Decimal::ONE_THOUSAND)]);
        let code = self.sandbox.authorize(&session, &client).map_err(|status| anyhow::anyhow!("FOMO refuses a code: {status}"))?;
        let link = self.post("/v1/customers/ada/links", &json!({ "provider": "fomo", "code": code })).await?;
        say(&format!("   linked: ada is FOMO's user {}", text(&link, "provider_user")));
        Ok(())
    }

    async fn plain_deposit(&self) -> anyhow::Result<Promise> {
        say("\n2. Ada pays 25 usdt: the order is stored, FOMO is asked to expect it, Ada confirms in her app.");
        let promise = Promise { trade_id: "deposit-1", collection: "deposits", story: "paid", status: "succeeded", executions: 1 };
        self.deposit(promise.trade_id, "25", 600).await?;
        self.confirm(promise.trade_id).await?;
        self.watch(&promise).await?;
        Ok(promise)
    }

    async fn plain_payout(&self) -> anyhow::Result<Promise> {
        say("\n3. The merchant pays Ada 10 usdt: the answer comes at once, the money goes right afterwards.");
        let promise = Promise { trade_id: "payout-1", collection: "payouts", story: "paid", status: "succeeded", executions: 1 };
        self.payout(promise.trade_id, "10").await?;
        self.watch(&promise).await?;
        Ok(promise)
    }

    async fn lost_answer(&self) -> anyhow::Result<Promise> {
        say("\n4. FOMO pays 7 usdt, and its answer is lost on the way. Tillgate must not pay twice, and must find out.");
        let promise =
            Promise { trade_id: "payout-lost-answer", collection: "payouts", story: "answer lost", status: "succeeded", executions: 1 };
        self.sandbox.inject("pay_user", Some(promise.trade_id), Fault::LoseAfter, Times::Count(1));
        self.payout(promise.trade_id, "7").await?;
        self.watch(&promise).await?;
        Ok(promise)
    }

    async fn repeated_callback(&self) -> anyhow::Result<Promise> {
        say("\n5. Ada pays 5 usdt, and FOMO calls back three times.");
        let promise = Promise {
            trade_id: "deposit-repeated",
            collection: "deposits",
            story: "called back three times",
            status: "succeeded",
            executions: 1,
        };
        self.sandbox.inject_callback(Some(promise.trade_id), CallbackFault::Repeat(3), Times::Count(1));
        self.deposit(promise.trade_id, "5", 600).await?;
        self.confirm(promise.trade_id).await?;
        self.watch(&promise).await?;
        Ok(promise)
    }

    async fn forged_callback(&self) -> anyhow::Result<Promise> {
        say("\n6. Somebody wants 500 usdt for nothing: forged callbacks, to a guessed address and to a stolen one.");
        let promise =
            Promise { trade_id: "deposit-forged", collection: "deposits", story: "forged callbacks", status: "expired", executions: 0 };
        let order = self.deposit(promise.trade_id, "500", 2).await?;
        let guessed = format!("{}/callbacks/fomo/{}", self.api, "A".repeat(75));
        say(&format!("   guessed address: the gateway answers {}", self.forge(&guessed, &order, "500").await?));
        let calls = self.sandbox.call_log();
        let stolen = calls
            .iter()
            .rev()
            .find(|call| call.trade_id.as_deref() == Some(promise.trade_id))
            .and_then(|call| call.params.get("server_uri"));
        let stolen = stolen.context("FOMO was not told where to call back")?;
        say(&format!("   stolen address, wrong amount: {} (stored, not believed)", self.forge(stolen, &order, "5000").await?));
        say(&format!(
            "   stolen address, all fields right: {} (stored, FOMO is asked, and knows better)",
            self.forge(stolen, &order, "500").await?
        ));
        self.watch(&promise).await?;
        let found = self.get("/v1/discrepancies?status=open").await?;
        say(&format!("   discrepancies for the operator: {}", found["data"].as_array().map_or(0, Vec::len)));
        Ok(promise)
    }

    async fn no_money(&self) -> anyhow::Result<Promise> {
        say("\n7. The merchant's wallet is too empty for 100000 usdt: FOMO refuses, nothing moves.");
        let promise = Promise { trade_id: "payout-refused", collection: "payouts", story: "refused", status: "failed", executions: 0 };
        self.payout(promise.trade_id, "100000").await?;
        self.watch(&promise).await?;
        Ok(promise)
    }

    async fn deposit(&self, trade_id: &str, amount: &str, expires_in: u64) -> anyhow::Result<Value> {
        let wish = json!({ "trade_id": trade_id, "provider": "fomo", "coin": "usdt", "amount": amount, "customer": "ada", "expires_in": expires_in });
        self.post("/v1/deposits", &wish).await
    }

    async fn payout(&self, trade_id: &str, amount: &str) -> anyhow::Result<Value> {
        let destination = json!({ "type": "fomo_user", "user_id": ADA });
        let wish = json!({ "trade_id": trade_id, "provider": "fomo", "coin": "usdt", "amount": amount, "destination": destination });
        self.post("/v1/payouts", &wish).await
    }

    async fn confirm(&self, trade_id: &str) -> anyhow::Result<()> {
        match self.sandbox.confirm_pay(trade_id, None).await {
            Some(1) => Ok(()),
            other => bail!("FOMO did not let Ada confirm {trade_id}: {other:?}"),
        }
    }

    async fn forge(&self, url: &str, order: &Value, amount: &str) -> anyhow::Result<u16> {
        let transfer_id = text(&order["next_action"], "transfer_id");
        let fields = [
            ("transfer_id", transfer_id.as_str()),
            ("user_id", ADA),
            ("trade_id", order["trade_id"].as_str().unwrap_or_default()),
            ("coin_id", USDT),
            ("amount", amount),
            ("cut_amount", "0"),
            ("direction", "1"),
            ("status", "1"),
        ];
        Ok(self.http.post(url).form(&fields).send().await?.status().as_u16())
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

    async fn table(&self, promises: &[Promise]) -> anyhow::Result<bool> {
        say("\norder               what happened            must be    is         paid by FOMO");
        let mut all = true;
        for promise in promises {
            let order = self.get(&format!("/v1/{}/{}", promise.collection, promise.trade_id)).await?;
            let (status, executions) = (text(&order, "status"), self.sandbox.executions(promise.trade_id));
            let fine = status == promise.status && executions == promise.executions;
            all &= fine;
            let verdict = if fine { "ok" } else { "WRONG" };
            say(&format!(
                "{:<19} {:<24} {:<10} {status:<10} {executions} time(s)   {verdict}",
                promise.trade_id, promise.story, promise.status
            ));
        }
        say(if all { "\nEvery order stands where it must." } else { "\nAt least one order is WRONG." });
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
