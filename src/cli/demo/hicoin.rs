//! What happens at Hicoin, which calls nobody: everything is found by asking.

use anyhow::Context as _;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{Play, Promise, say, text};
use crate::sandbox::{Fault, HicoinApp, HicoinTo, Times};

pub(super) const COIN: &str = "ETH";
/// An address outside of Hicoin.
const OUTSIDE: &str = "0x754b0c610e311d0d00c810ef857b4dd989a67162";

impl Play<'_> {
    /// Everything at Hicoin. Gives how each order has to end.
    pub(super) async fn at_hicoin(&self) -> anyhow::Result<Vec<Promise>> {
        let ada = self.register().await?;
        Ok(vec![
            self.coins_arrive(ada).await?,
            self.topped_up(ada).await?,
            self.withdrawal().await?,
            self.lost_withdrawal().await?,
            self.between_customers().await?,
        ])
    }

    /// Gives Hicoin's id of Ada.
    pub(super) async fn register(&self) -> anyhow::Result<u64> {
        say("\n8. Ada and Bob get accounts at Hicoin: the merchant registers its customers.");
        self.sandbox.set_hicoin_balance(None, HicoinApp::default().uid, COIN, Decimal::ONE_HUNDRED)?;
        self.sandbox.set_hicoin_auto_advance(true);
        let mut ada = None;
        for customer in ["ada", "bob"] {
            let wish = json!({ "customer": customer, "email": format!("{customer}@shop.example") });
            let made = self.post("/v1/customers", &wish).await?;
            let uid = text(&made["accounts"][0], "provider_user");
            say(&format!("   registered: {customer} is Hicoin's user {uid}"));
            ada = ada.or(uid.parse().ok());
        }
        ada.context("Hicoin gave Ada no number")
    }

    async fn coins_arrive(&self, ada: u64) -> anyhow::Result<Promise> {
        say("\n9. Ada pays 2 ETH to the address that she is shown. Hicoin's list of deposits tells when they are there.");
        let mut promise = Promise::new("hicoin-deposit", "deposits", "confirmed on the chain", "succeeded", 1);
        let order = self.show_address(promise.trade_id, "2").await?;
        say(&format!("   to pay: 2 ETH to {}", text(&order["next_action"], "address")));
        promise.movements = vec![self.send(&promise, ada, "2").await?];
        self.watch(&promise).await?;
        Ok(promise)
    }

    async fn topped_up(&self, ada: u64) -> anyhow::Result<Promise> {
        say("\n10. Ada is asked for 3 ETH, sends 1, and then the rest.");
        let mut promise = Promise::new("hicoin-topped-up", "deposits", "paid in two parts", "succeeded", 2);
        self.show_address(promise.trade_id, "3").await?;
        let first = self.send(&promise, ada, "1").await?;
        let order = self.get(&format!("/v1/deposits/{}", promise.trade_id)).await?;
        say(&format!("   received {}, still to pay {}", text(&order, "amount_received"), text(&order["next_action"], "amount")));
        promise.movements = vec![first, self.send(&promise, ada, "2").await?];
        self.watch(&promise).await?;
        Ok(promise)
    }

    async fn withdrawal(&self) -> anyhow::Result<Promise> {
        say("\n11. The merchant pays 1 ETH to an address on the chain: Hicoin reviews, pays, and waits for the chain.");
        let promise = Promise::new("hicoin-withdrawal", "payouts", "paid on the chain", "succeeded", 1);
        self.withdraw(promise.trade_id, "1").await?;
        self.watch(&promise).await?;
        let order = self.get(&format!("/v1/payouts/{}", promise.trade_id)).await?;
        say(&format!(
            "   the recipient gets {}, Hicoin keeps {}, txid {}",
            text(&order, "amount_received"),
            text(&order, "fee"),
            text(&order, "txid")
        ));
        Ok(promise)
    }

    async fn lost_withdrawal(&self) -> anyhow::Result<Promise> {
        say("\n12. Hicoin takes a withdrawal, and its answer is lost on the way. Tillgate looks it up before anything else.");
        let promise = Promise::new("hicoin-lost-answer", "payouts", "answer lost", "succeeded", 1);
        self.sandbox.inject("withdraw", Some(promise.trade_id), Fault::LoseAfter, Times::Count(1));
        self.withdraw(promise.trade_id, "2").await?;
        self.watch(&promise).await?;
        Ok(promise)
    }

    async fn between_customers(&self) -> anyhow::Result<Promise> {
        say("\n13. Ada gives Bob half an ETH, inside Hicoin.");
        let promise = Promise::new("hicoin-transfer", "transfers", "moved inside Hicoin", "succeeded", 1);
        let wish = json!({ "trade_id": promise.trade_id, "provider": "hicoin", "coin": COIN, "amount": "0.5", "from_customer": "ada", "to_customer": "bob" });
        self.post("/v1/transfers", &wish).await?;
        self.watch(&promise).await?;
        Ok(promise)
    }

    pub(super) async fn show_address(&self, trade_id: &str, amount: &str) -> anyhow::Result<Value> {
        let wish =
            json!({ "trade_id": trade_id, "provider": "hicoin", "coin": COIN, "amount": amount, "customer": "ada", "expires_in": 600 });
        self.post("/v1/deposits", &wish).await
    }

    /// Ada sends coins to her address; once they were seen, the chain confirms them. Gives Hicoin's number of it.
    async fn send(&self, promise: &Promise, ada: u64, amount: &str) -> anyhow::Result<String> {
        let before = self.get(&format!("/v1/deposits/{}", promise.trade_id)).await?;
        let number = self.sandbox.hicoin_deposit(None, &HicoinTo::Uid(ada), COIN, amount.parse()?)?;
        self.until(promise, |order| order["amount_received"] != before["amount_received"]).await?;
        self.sandbox.hicoin_finish(None, number)?;
        self.until(promise, |order| order["amount_confirmed"] != before["amount_confirmed"]).await?;
        Ok(number.to_string())
    }

    pub(super) async fn withdraw(&self, trade_id: &str, amount: &str) -> anyhow::Result<Value> {
        let destination = json!({ "type": "address", "address": OUTSIDE });
        let wish = json!({ "trade_id": trade_id, "provider": "hicoin", "coin": COIN, "amount": amount, "destination": destination });
        self.post("/v1/payouts", &wish).await
    }
}
