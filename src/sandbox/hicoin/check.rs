//! The checks that Hicoin's calls have in common, each with the code of its refusal (hicoin-openapi.rst, appendix 2).

use std::collections::{BTreeMap, BTreeSet};

use md5::{Digest, Md5};
use rust_decimal::Decimal;

use super::Desk;
use super::code::{self, Refusal};
use super::setup::HicoinCoin;
use super::state::{App, Rules};
use super::wire::Form;
use crate::sandbox::amount::positive_decimal;

/// How far a call's `time` may be from now, either way.
const TIME_LIMIT_SECONDS: u64 = 600;
/// How many records a list call may name (sections 4.11 to 4.15), and how many `syncDepositList` shows.
pub(super) const MOST_RECORDS: usize = 100;

/// The app that makes a call: 100015 for an unknown one, 100007 from a wrong address, 100005 for a wrong signature.
pub(super) fn authenticate<'a>(
    apps: &'a mut BTreeMap<String, App>,
    rules: &Rules,
    form: &Form,
    now_ms: i64,
) -> Result<&'a mut App, Refusal> {
    form.require(&["app_id", "time", "sign"])?;
    let app = apps.get_mut(form.get("app_id")).ok_or(code::NO_SUCH_APP)?;
    if rules.refuse_ip {
        return Err(code::IP.into());
    }
    let time: i64 = number(form, "time")?;
    let fresh = (now_ms / 1000).abs_diff(time) <= TIME_LIMIT_SECONDS;
    if !fresh || form.get("sign") != sign(form, &app.setup.app_secret) {
        return Err(code::SIGN.into());
    }
    Ok(app)
}

/// Appendix 1, by its text: every parameter that has a value, sorted by name, and the secret at the end. The PHP sample
/// would leave out a value of `0`; the text does not.
fn sign(form: &Form, app_secret: &str) -> String {
    let signed = form.sorted().filter(|(name, value)| *name != "sign" && !value.is_empty());
    let joined = signed.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
    hex::encode(Md5::digest(format!("{joined}{app_secret}")))
}

/// A whole number, or 100004.
pub(super) fn number<T: std::str::FromStr>(form: &Form, name: &'static str) -> Result<T, Refusal> {
    form.get(name).parse().map_err(|_| Refusal::parameter(name))
}

/// The ids of a list call as they came.
pub(super) fn split_ids(form: &Form) -> Vec<String> {
    form.get("ids").split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect()
}

impl Desk<'_> {
    /// A user of this app: 110065 for an unknown one.
    pub(super) fn known_uid(&self, name: &'static str) -> Result<u64, Refusal> {
        let uid = number(self.form, name)?;
        if self.app.users.contains_key(&uid) { Ok(uid) } else { Err(code::NO_SUCH_USER.into()) }
    }

    /// 120202 for a coin that the app does not have.
    pub(super) fn coin(&self) -> Result<HicoinCoin, Refusal> {
        self.app.coin(self.form.get("symbol")).cloned().ok_or_else(|| code::NO_SUCH_COIN.into())
    }

    /// An amount within the coin's decimals, or 100004; 110078 below the coin's minimum.
    pub(super) fn amount(&self, coin: &HicoinCoin) -> Result<Decimal, Refusal> {
        let amount = positive_decimal(self.form.get("amount"), coin.decimals).ok_or(Refusal::parameter("amount"))?;
        if amount < coin.min { Err(code::BELOW_MINIMUM.into()) } else { Ok(amount) }
    }

    /// 110055 for what is too short for an address, or has blanks in it.
    pub(super) fn address(&self) -> Result<String, Refusal> {
        let address = self.form.get("to_address");
        if address.chars().count() < 20 || address.contains(char::is_whitespace) {
            Err(code::ADDRESS.into())
        } else {
            Ok(address.to_owned())
        }
    }

    /// 110088 for a `request_id` that this app has used before, for whatever order to pay.
    pub(super) fn check_unused(&self) -> Result<(), Refusal> {
        let used = self.app.has_order(self.form.get("request_id"));
        if used && self.rules.duplicate_check { Err(code::DUPLICATE.into()) } else { Ok(()) }
    }

    /// 120402 when there is less to spend.
    pub(super) fn check_balance(&self, uid: u64, symbol: &str, amount: Decimal) -> Result<(), Refusal> {
        if self.app.accounts.balance(uid, symbol).normal < amount { Err(code::BALANCE.into()) } else { Ok(()) }
    }

    /// What a list call asks for: one to a hundred ids, or 100004.
    pub(super) fn ids(&self) -> Result<BTreeSet<String>, Refusal> {
        let ids = split_ids(self.form);
        let whole = ids.len() == self.form.get("ids").split(',').count();
        if whole && ids.len() <= MOST_RECORDS { Ok(ids.into_iter().collect()) } else { Err(Refusal::parameter("ids")) }
    }
}
