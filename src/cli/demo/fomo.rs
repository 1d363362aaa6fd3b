//! What happens at FOMO: the customer confirms in FOMO's app, and FOMO calls back.

use anyhow::{Context as _, bail};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{Play, Promise, say, text};
use crate::sandbox::{CallbackFault, ClientSetup, Fault, Times};

/// FOMO's id of usdt, and of the demo's customer.
const USDT: &str = "5";
const ADA: &str = "42";

impl Play<'_> {
    /// Everything at FOMO. Gives how each order has to end.
    pub(super) async fn at_fomo(&self) -> anyhow::Result<Vec<Promise>> {
        self.link().await?;
        Ok(vec![
            self.plain_deposit().await?,
            self.plain_payout().await?,
            self.lost_answer().await?,
            self.repeated_callback().await?,
            self.forged_callback().await?,
            self.no_money().await?,
        ])
    }

    pub(super) async fn link(&self) -> anyhow::Result<()> {
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
        let promise = Promise::new("deposit-1", "deposits", "paid", "succeeded", 1);
        self.deposit(promise.trade_id, "25", 600).await?;
        self.confirm(promise.trade_id).await?;
        self.watch(&promise).await?;
        Ok(promise)
    }

    async fn plain_payout(&self) -> anyhow::Result<Promise> {
        say("\n3. The merchant pays Ada 10 usdt: the answer comes at once, the money goes right afterwards.");
        let promise = Promise::new("payout-1", "payouts", "paid", "succeeded", 1);
        self.payout(promise.trade_id, "10").await?;
        self.watch(&promise).await?;
        Ok(promise)
    }

    async fn lost_answer(&self) -> anyhow::Result<Promise> {
        say("\n4. FOMO pays 7 usdt, and its answer is lost on the way. Tillgate must not pay twice, and must find out.");
        let promise = Promise::new("payout-lost-answer", "payouts", "answer lost", "succeeded", 1);
        self.sandbox.inject("pay_user", Some(promise.trade_id), Fault::LoseAfter, Times::Count(1));
        self.payout(promise.trade_id, "7").await?;
        self.watch(&promise).await?;
        Ok(promise)
    }

    async fn repeated_callback(&self) -> anyhow::Result<Promise> {
        say("\n5. Ada pays 5 usdt, and FOMO calls back three times.");
        let promise = Promise::new("deposit-repeated", "deposits", "called back three times", "succeeded", 1);
        self.sandbox.inject_callback(Some(promise.trade_id), CallbackFault::Repeat(3), Times::Count(1));
        self.deposit(promise.trade_id, "5", 600).await?;
        self.confirm(promise.trade_id).await?;
        self.watch(&promise).await?;
        Ok(promise)
    }

    async fn forged_callback(&self) -> anyhow::Result<Promise> {
        say("\n6. Somebody wants 500 usdt for nothing: forged callbacks, to a guessed address and to a stolen one.");
        let promise = Promise::new("deposit-forged", "deposits", "forged callbacks", "expired", 0);
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
        let promise = Promise::new("payout-refused", "payouts", "refused", "failed", 0);
        self.payout(promise.trade_id, "100000").await?;
        self.watch(&promise).await?;
        Ok(promise)
    }

    pub(super) async fn deposit(&self, trade_id: &str, amount: &str, expires_in: u64) -> anyhow::Result<Value> {
        let wish = json!({ "trade_id": trade_id, "provider": "fomo", "coin": "usdt", "amount": amount, "customer": "ada", "expires_in": expires_in });
        self.post("/v1/deposits", &wish).await
    }

    pub(super) async fn payout(&self, trade_id: &str, amount: &str) -> anyhow::Result<Value> {
        let destination = json!({ "type": "fomo_user", "user_id": ADA });
        let wish = json!({ "trade_id": trade_id, "provider": "fomo", "coin": "usdt", "amount": amount, "destination": destination });
        self.post("/v1/payouts", &wish).await
    }

    pub(super) async fn confirm(&self, trade_id: &str) -> anyhow::Result<()> {
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
}
