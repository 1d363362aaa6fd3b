//! `drill callbacks`: the same orders twice, once with every callback of every wallet and once with none. They must come to
//! the same ends: whatever callbacks tell, asking finds out as well, only later.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use super::{Play, SETTINGS, say, text};
use crate::cli::playground::{Playground, Wish};
use crate::sandbox::{CallbackFault, HicoinTo, Times};

/// How long a set of orders may take to come to its ends.
const PATIENCE: Duration = Duration::from_secs(90);
/// Statuses that are no end yet.
const UNDER_WAY: [&str; 5] = ["created", "awaiting_payment", "queued", "processing", ""];
/// Each order of a set: its list, and what happens to it.
const ORDERS: [(&str, &str, &str); 7] = [
    ("fomo-paid", "deposits", "paid at FOMO"),
    ("fomo-unpaid", "deposits", "never paid at FOMO"),
    ("fomo-payout", "payouts", "paid out at FOMO"),
    ("hicoin-paid", "deposits", "paid at Hicoin"),
    ("hicoin-payout", "payouts", "paid out to an address at Hicoin"),
    ("hicoin-user", "payouts", "paid out to a user of Hicoin"),
    ("hicoin-transfer", "transfers", "moved between users of Hicoin"),
];

/// Plays both sets. Succeeds only if they come to the same ends.
pub async fn callbacks() -> anyhow::Result<ExitCode> {
    say("Starting a private Postgres, the simulated wallets and the gateway ...");
    let wish = Wish { data: None, port: 0, sandbox_port: 0, time_scale: 60, variables: SETTINGS.to_vec() };
    let playground = Playground::start(wish).await?;
    let played = both(&playground).await;
    playground.stop().await?;
    Ok(if played? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn both(playground: &Playground) -> anyhow::Result<bool> {
    let play = Play::new(playground, &playground.key);
    play.link().await?;
    let ada = play.register().await?;
    let notices = play.clock.now().unix_timestamp();
    say(&format!("\nWith callbacks: every order of a set, {} of them.", ORDERS.len()));
    let with = play.set("with", ada).await?;
    say("Without: no wallet calls us any more.");
    play.sandbox.inject_callback(None, CallbackFault::Missing, Times::Forever);
    play.sandbox.set_hicoin_notice_url(None, None)?;
    let without = play.set("without", ada).await?;
    let took = play.clock.now().unix_timestamp() - notices;
    say("\norder              what happened                      with callbacks   without");
    let mut all = true;
    for ((order, _, story), (with, without)) in ORDERS.iter().zip(with.iter().zip(&without)) {
        let fine = with == without && !UNDER_WAY.contains(&with.as_str());
        all &= fine;
        say(&format!("{order:<18} {story:<34} {with:<16} {without:<12} {}", if fine { "ok" } else { "WRONG" }));
    }
    say(&format!(
        "\n{} ({took} s, with the times of the demo: minutes are seconds)",
        if all { "Every order came to the same end." } else { "At least one order came to another end." }
    ));
    Ok(all)
}

impl Play<'_> {
    /// Asks for each order and lets happen what happens. Gives where each has come.
    async fn set(&self, name: &str, ada: u64) -> anyhow::Result<Vec<String>> {
        let id = |order: &str| format!("{order}-{name}");
        // Long enough for Ada to confirm, and short enough to wait for the end.
        self.deposit(&id("fomo-paid"), "25", 4).await?;
        self.deposit(&id("fomo-unpaid"), "26", 4).await?;
        self.confirm(&id("fomo-paid")).await?;
        self.payout(&id("fomo-payout"), "10").await?;
        self.show_address(&id("hicoin-paid"), "2").await?;
        let number = self.sandbox.hicoin_deposit(None, &HicoinTo::Uid(ada), super::hicoin::COIN, "2".parse()?)?;
        self.sandbox.hicoin_finish(None, number)?;
        self.withdraw(&id("hicoin-payout"), "1").await?;
        let to_user = json!({ "type": "hicoin_user", "uid": ada.to_string() });
        let wish = json!({ "trade_id": id("hicoin-user"), "provider": "hicoin", "coin": "ETH", "amount": "0.5", "destination": to_user });
        self.post("/v1/payouts", &wish).await?;
        let wish = json!({ "trade_id": id("hicoin-transfer"), "provider": "hicoin", "coin": "ETH", "amount": "0.25", "from_customer": "ada", "to_customer": "bob" });
        self.post("/v1/transfers", &wish).await?;

        let end = self.clock.instant() + PATIENCE;
        loop {
            let mut ends = Vec::new();
            for (order, collection, _) in ORDERS {
                ends.push(text(&self.get(&format!("/v1/{collection}/{}", id(order))).await?, "status"));
            }
            if ends.iter().all(|status| !UNDER_WAY.contains(&status.as_str())) || self.clock.instant() > end {
                return Ok(ends);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}
