//! Questions that move nothing: a transfer's detail (fomo-app.txt, section 三, 5) and the coins (appendix 二).

use super::Desk;
use super::code::{self, Refusal};
use super::wire::Done;

impl Desk<'_> {
    /// 212 for a transfer that is unknown or somebody else's, 213 for one that lapsed unconfirmed.
    pub(super) fn get_transfer_detail(&self) -> Result<Done, Refusal> {
        self.form.require(&["transfer_id"])?;
        let grant = self.bearer()?;
        let found = self.state.transfers.get(self.form.get("transfer_id"));
        let transfer = found.filter(|one| one.user_id == grant.user_id).ok_or(code::NO_SUCH_TRANSFER)?;
        if transfer.has_lapsed(self.now_ms) {
            return Err(code::EXPIRED.into());
        }
        let user_name = self.state.users.get(&transfer.user_id).map(|user| user.name.clone()).unwrap_or_default();
        let coin = self.state.coin(&transfer.coin_id).cloned();
        Ok(Done::Detail { transfer: Box::new(transfer.clone()), user_name, coin })
    }

    /// Every coin, the inactive ones marked so.
    pub(super) fn get_active_coins(&self) -> Done {
        Done::Coins(self.state.coins.clone())
    }
}
