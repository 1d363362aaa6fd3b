//! What happens at Youliao: a person is authorised. No money moves, so that it is no order.

use anyhow::ensure;
use serde_json::json;

use super::{Play, say, text};

impl Play<'_> {
    /// An authorisation, from the merchant's request to Youliao's page.
    pub(super) async fn at_youliao(&self) -> anyhow::Result<()> {
        say("\n14. The merchant has a person authorised at Youliao: a token comes back, and the person's browser goes there with it.");
        let wish = json!({ "mobile": "13800138000", "name": "王小明", "identity": "11010519491231002X", "amount": "30000" });
        let granted = self.post("/v1/youliao/authorizations", &wish).await?;
        let page = self.http.get(text(&granted, "redirect_url")).send().await?.error_for_status()?.text().await?;
        ensure!(page.contains("Authorised"), "Youliao's page does not say that the person is authorised");
        let (name, mobile, identity) = (text(&granted, "name"), text(&granted, "mobile"), text(&granted, "identity"));
        say(&format!("   {}: {name}, mobile {mobile}, identity {identity}; Youliao's page says so, too", text(&granted, "status")));
        Ok(())
    }
}
