//! Forgetting: raw inputs from outside are kept, sealed, for a configured time. What was read from them, and their digests, stay.

use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use super::Context;
use super::error::FlowError;
use super::settle::receipt_place;
use crate::domain::ids::MerchantId;
use crate::store::reconciliations::first_id;
use crate::store::{accounts, raw_inputs};

/// Rows of one statement.
const PAGE: usize = 500;
/// Statements of one round for each merchant: the rest waits for the next.
const PAGES: usize = 200;

/// Forgets the raw inputs that are old enough. Gives how many rows were looked at.
pub async fn forget(context: &Context) -> Result<usize, FlowError> {
    let Some(age) = context.keep_raw_inputs else { return Ok(0) };
    let until = first_id(context.clock.now() - age);
    let merchants = accounts::merchants(&mut *context.db.get().await?).await?;
    let mut all = 0;
    for merchant in merchants {
        // What is wrong with one merchant's inputs keeps nobody else's.
        all += forget_of(context, merchant.id, until).await.unwrap_or_else(|error| {
            tracing::error!(merchant = %merchant.id, %error, "raw inputs could not be forgotten");
            0
        });
    }
    Ok(all)
}

async fn forget_of(context: &Context, merchant: MerchantId, until: uuid::Uuid) -> Result<usize, FlowError> {
    let mut all = 0;
    for _ in 0..PAGES {
        let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
        let (seen, _) = raw_inputs::forget_reports(&mut *context.db.get().await?, merchant, until, limit).await?;
        let seen = usize::try_from(seen).unwrap_or_default() + receipts(context, merchant, until).await?;
        all += seen;
        if seen == 0 {
            break;
        }
    }
    Ok(all)
}

/// A page of receipts. Gives how many were looked at.
async fn receipts(context: &Context, merchant: MerchantId, until: uuid::Uuid) -> Result<usize, FlowError> {
    let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
    let page = raw_inputs::old_receipts(&mut *context.db.get().await?, merchant, until, limit).await?;
    let Some(last) = page.last().map(|input| input.receipt_id) else { return Ok(0) };
    let seen = page.len();
    let (mut ids, mut sealed, mut digests) = (Vec::new(), Vec::new(), Vec::new());
    for input in page.into_iter().filter(|input| input.may_go) {
        let (Some(raw), Ok(provider)) = (input.sealed_raw, input.provider.parse()) else { continue };
        let place = receipt_place(merchant, provider, input.provider_receipt_id.parse().unwrap_or_default());
        // Sealed with a key that was retired: nobody can read it, nor make its digest.
        let Ok(open) = context.vault.open(&place, &raw) else { continue };
        let digest = Sha256::digest(open.expose_secret()).to_vec();
        ids.push(input.receipt_id);
        sealed.push(raw);
        digests.push(digest);
    }
    raw_inputs::forget_receipts(&mut *context.db.get().await?, merchant, (&ids, &sealed, &digests), last).await?;
    Ok(seen)
}
