//! What goes through a customer's browser: links, and payments on FOMO's page.

use rust_decimal::Decimal;
use serde_json::json;

use super::{Play, Promise, say, text};
use crate::cli::playground::KIOSK;

/// The customer at FOMO, and at Hicoin the first whom the merchant registered.
const ADA: &str = "42";
const ADA_AT_HICOIN: u64 = 10_001;
/// FOMO's id of usdt.
const USDT: &str = "5";
/// The page of the shop that browsers are to come back to.
const SHOP: &str = "https://shop.example/thanks";

impl Play<'_> {
    /// Everything at a merchant without an app. Gives how each order has to end.
    pub(super) async fn in_the_browser(&self) -> anyhow::Result<Vec<Promise>> {
        self.sandbox.set_merchant_balance(KIOSK, USDT, Decimal::ONE_HUNDRED);
        self.linked_at_fomo().await?;
        Ok(vec![self.paid_on_a_page().await?, self.paid_out_by_the_page().await?])
    }

    async fn linked_at_fomo(&self) -> anyhow::Result<()> {
        say("\n15. Another merchant has no app. Ada links her FOMO account in the browser: FOMO's page asks her, and sends her back.");
        let page = self.begin_link("fomo").await?;
        let back = self.sandbox.browse_authorize(&page, ADA, true).await?;
        say(&format!("   Ada agrees, and her browser ends at {}", self.open(&back).await?));
        Ok(())
    }

    async fn paid_on_a_page(&self) -> anyhow::Result<Promise> {
        say("\n16. Ada pays 8 usdt on FOMO's page. What her browser brings back proves nothing, so that a person looks and confirms.");
        let promise = Promise::new("deposit-in-browser", "deposits", "paid on a page", "succeeded", 1);
        let wish = json!({ "trade_id": promise.trade_id, "provider": "fomo", "coin": "usdt", "amount": "8", "customer": "ada", "return_url": SHOP });
        let order = self.post("/v1/deposits", &wish).await?;
        let page = self.open(&text(&order["next_action"], "url")).await?;
        let back = self.sandbox.browse_pay(&page, true).await?;
        say(&format!("   Ada pays, and her browser ends at {}", self.open(&back).await?));
        let path = format!("/v1/deposits/{}", promise.trade_id);
        let claimed = self.get(&path).await?;
        say(&format!(
            "   {} is {} / {}: nobody but the browser says so",
            promise.trade_id,
            text(&claimed, "status"),
            text(&claimed, "stage")
        ));
        let decision = json!({ "action": "confirm", "reason": "FOMO's back office shows the 8 usdt" });
        self.post(&format!("{path}/resolve"), &decision).await?;
        self.watch(&promise).await?;
        Ok(promise)
    }

    async fn paid_out_by_the_page(&self) -> anyhow::Result<Promise> {
        say("\n17. This merchant pays Ada 3 usdt. FOMO's answer is where its page would send a browser.");
        let promise = Promise::new("payout-by-page", "payouts", "paid by a page", "succeeded", 1);
        let destination = json!({ "type": "fomo_user", "user_id": ADA });
        let wish = json!({ "trade_id": promise.trade_id, "provider": "fomo", "coin": "usdt", "amount": "3", "destination": destination });
        self.post("/v1/payouts", &wish).await?;
        self.watch(&promise).await?;
        Ok(promise)
    }

    /// The first merchant's customer links Hicoin's account, too.
    pub(super) async fn linked_at_hicoin(&self) -> anyhow::Result<()> {
        say("\n18. Ada links her own account at Hicoin in the browser.");
        let page = self.begin_link("hicoin").await?;
        let back = self.sandbox.browse_hicoin_authorize(&page, ADA_AT_HICOIN, true).await?;
        say(&format!("   Ada agrees, and her browser ends at {}", self.open(&back).await?));
        let profile = self.get("/v1/customers/ada/profile?provider=hicoin").await?;
        say(&format!("   linked: ada is {} for this merchant at Hicoin", text(&profile, "provider_user")));
        Ok(())
    }

    /// Gives the wallet's page.
    async fn begin_link(&self, provider: &str) -> anyhow::Result<String> {
        let begun = self.post("/v1/customers/ada/links", &json!({ "provider": provider, "return_url": SHOP })).await?;
        Ok(text(&begun, "authorize_url"))
    }
}
