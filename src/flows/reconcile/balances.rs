//! The leg over what the payout account owns: it changes by what was paid out, and by nothing else that we know of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;

use super::{Page, RunRow, breathe};
use crate::domain::finding::{Finding, FindingKind};
use crate::domain::money::Amount;
use crate::flows::Context;
use crate::flows::discrepancy::Subject;
use crate::flows::error::FlowError;
use crate::flows::feed;
use crate::flows::tenant::ProviderAccount;
use crate::providers::AskError;
use crate::store::reconciliations::ours;

/// What the provider said that the account owned.
#[derive(Debug, Serialize, Deserialize)]
struct Snapshot {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    /// By the provider's id of the coin, what is held back included.
    owned: BTreeMap<String, String>,
    /// Coins in which something was open or in doubt then: with them nothing can be compared.
    in_motion: Vec<String>,
}

/// Asks what the account owns, and compares it with what it owned at the last run.
pub(super) async fn asked(context: &Context, account: &ProviderAccount, run: &RunRow) -> Result<Page, FlowError> {
    let mut page = Page::default();
    let (Some(users), Some(Ok(uid))) = (&account.wallet.users, account.wallet.address_payouts.as_ref().map(|payouts| payouts.source()))
    else {
        return Ok(page);
    };
    let began = context.clock.now();
    let (before, mut in_motion) = {
        let mut connection = context.db.get().await?;
        let before = ours::last_balances(&mut connection, run).await?;
        (before, ours::coins_in_motion(&mut connection, run, began).await?)
    };
    // Ours before theirs: what we take for paid by now has left the account.
    let before: Option<Snapshot> = before.and_then(|value| serde_json::from_value(value).ok());
    let paid = match &before {
        Some(before) => ours::paid_out(&mut *context.db.get().await?, run, before.at).await?,
        None => Vec::new(),
    };
    breathe(context).await;
    page.ask();
    let balances = match users.balances(&uid).await {
        Ok(balances) => balances,
        Err(error @ AskError::Unavailable(_)) => return Err(feed::unavailable(&error)),
        Err(error) => {
            tracing::warn!(%error, "the payout account's balances could not be asked for");
            page.counts.unchecked += 1;
            return Ok(page);
        }
    };
    // What was begun meanwhile may be in the answer or not.
    in_motion.extend(ours::coins_in_motion(&mut *context.db.get().await?, run, began).await?);
    let owned: BTreeMap<String, Amount> =
        balances.into_iter().map(|one| (one.provider_coin_id, one.available.plus_at_most(one.locked))).collect();
    // A fee in another coin is not known to the penny: then nothing can be expected.
    let comparable = !paid.iter().any(|paid| paid.other_fees);
    if let Some(before) = before.filter(|_| comparable) {
        for (coin, now) in &owned {
            if in_motion.contains(coin) || before.in_motion.contains(coin) {
                page.counts.unchecked += 1;
                continue;
            }
            page.counts.compared += 1;
            let then = before.owned.get(coin).and_then(|text| Amount::parse_provider(text).ok()).unwrap_or_default();
            let out = paid.iter().find(|paid| paid.provider_coin_id == *coin).and_then(|paid| Amount::from_decimal(paid.amount));
            let expected = then.minus(out.unwrap_or_default());
            if expected != Some(*now) {
                let ours =
                    json!({ "expected": expected, "owned_before": then, "since": rfc3339(before.at), "paid_out": out.unwrap_or_default() });
                let finding = Finding { kind: FindingKind::Balance, ours, theirs: json!({ "owned": now }) };
                page.found.push((Subject::Balance(coin.clone()), finding));
            }
        }
    }
    let snapshot = Snapshot { at: began, owned: owned.into_iter().map(|(coin, amount)| (coin, amount.to_string())).collect(), in_motion };
    page.balances = serde_json::to_value(snapshot).ok();
    Ok(page)
}

fn rfc3339(time: OffsetDateTime) -> Option<String> {
    time.format(&time::format_description::well_known::Rfc3339).ok()
}
