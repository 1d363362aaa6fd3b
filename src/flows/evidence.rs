//! Evidence: what an order's end rests on.

use serde::Serialize;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::Context;
use super::error::FlowError;
use super::settle::receipt_place;
use crate::domain::ids::{ReceiptId, ReportId};
use crate::domain::order::Order;
use crate::store::receipts::{self, ReceiptRow};
use crate::store::timeline::{ReportRow, StepRow};

/// One thing that an order's end rests on.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Evidence {
    /// By which way it was learnt: `answer`, `callback`, `lookup`, `feed`, `browser`, `operator`, `merchant` or `clock`.
    #[schema(example = "lookup")]
    pub channel: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What it said, in a few words.
    #[schema(example = "the lookup says paid")]
    pub says: String,
    /// The wallet's id of the movement.
    pub provider_reference: Option<String>,
    /// Our id of what came in: of a report, or of a receipt. Null where nothing came in from outside.
    pub id: Option<String>,
    /// SHA-256 of the raw input, in hexadecimal. Null where there is none (any more).
    pub digest: Option<String>,
}

/// What the end of an order rests on: the steps that brought it to its status, with what was said, and the incoming movements
/// that it counts. Nothing while it has not ended.
pub async fn of_end(
    context: &Context,
    order: &Order,
    steps: &[StepRow],
    reports: &[ReportRow],
    movements: &[ReceiptRow],
) -> Result<Vec<Evidence>, FlowError> {
    if !order.is_final {
        return Ok(Vec::new());
    }
    // Of several steps at this status the first one decided; later ones only corrected amounts.
    let decided = steps.iter().rev().take_while(|step| step.status == order.state.status()).last();
    let mut all: Vec<Evidence> = decided.map(|step| of_step(order, step, reports)).into_iter().collect();
    if movements.iter().any(|row| row.provider_user.is_some()) {
        let sealed = receipts::sealed_of_order(&mut *context.db.get().await?, order.merchant_id, order.id).await?;
        for row in movements.iter().filter(|row| row.progress == "confirmed") {
            let (raw, digest) = sealed
                .iter()
                .find(|(id, ..)| *id == row.receipt_id)
                .map_or((None, None), |(_, raw, digest)| (raw.as_deref(), digest.as_deref()));
            all.push(of_movement(context, order, row, raw, digest)?);
        }
    }
    Ok(all)
}

fn of_step(order: &Order, step: &StepRow, reports: &[ReportRow]) -> Evidence {
    let report = step.report_id.and_then(|id| reports.iter().find(|report| report.report_id == id));
    Evidence {
        channel: step.channel.clone(),
        at: step.created_at,
        says: step.reason.clone(),
        provider_reference: order.provider_reference.clone(),
        id: report.map(|report| ReportId(report.report_id).to_string()),
        digest: report.map(|report| hex::encode(&report.digest)),
    }
}

fn of_movement(
    context: &Context,
    order: &Order,
    row: &ReceiptRow,
    sealed: Option<&[u8]>,
    kept: Option<&[u8]>,
) -> Result<Evidence, FlowError> {
    let number = row.provider_receipt_id.parse().unwrap_or_default();
    let place = receipt_place(order.merchant_id, order.provider, number);
    // A key that was retired takes the raw input with it, and not the timeline.
    let raw = sealed.and_then(|sealed| context.vault.open(&place, sealed).ok());
    Ok(Evidence {
        channel: "feed".to_owned(),
        at: row.updated_at,
        says: format!("{} {} came in: {}", row.amount.normalize(), row.coin, row.progress),
        provider_reference: Some(row.provider_receipt_id.clone()),
        id: Some(ReceiptId(row.receipt_id).to_string()),
        digest: raw.map(|raw| hex::encode(Sha256::digest(secrecy::ExposeSecret::expose_secret(&raw)))).or(kept.map(hex::encode)),
    })
}
