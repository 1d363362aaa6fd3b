//! Discrepancies: filing what was found, and showing it with the way out.

use serde_json::json;
use sha2::{Digest, Sha256};

use super::Context;
use super::error::FlowError;
use super::page;
use crate::domain::audit::By;
use crate::domain::event::{DiscrepancyBody, EventBody, WrittenBody};
use crate::domain::finding::{Finding, FindingKind, Severity};
use crate::domain::ids::{DiscrepancyId, EventId, MerchantId};
use crate::domain::order::{Order, Provider};
use crate::store::discrepancies::{self, DiscrepancyRow};

/// What a discrepancy is about.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    /// An order.
    Order(Box<Order>),
    /// An incoming movement, by the provider's number.
    Receipt(i64),
    /// What the payout account owns of a coin.
    Balance(String),
}

impl Subject {
    /// As it is stored.
    pub fn key(&self) -> String {
        match self {
            Self::Order(order) => order.id.0.to_string(),
            Self::Receipt(number) => format!("receipt:{number}"),
            Self::Balance(coin) => format!("balance:{coin}"),
        }
    }
}

/// A finding, ready to be written.
#[derive(Debug)]
pub struct Filed {
    /// Our id, if it is new.
    pub id: DiscrepancyId,
    /// SHA-256 of kind and both sides: the same finding is filed once.
    pub digest: Vec<u8>,
    /// The event, if it is new.
    pub event_id: EventId,
    /// Its body.
    pub event: WrittenBody,
}

/// Makes a finding ready to be written.
pub fn file(context: &Context, provider: Provider, subject: &Subject, found_by: &str, finding: &Finding) -> Result<Filed, FlowError> {
    let (id, now) = (DiscrepancyId(context.clock.new_uuid()), context.clock.now());
    let sides = serde_json::to_vec(&(finding.kind, &finding.ours, &finding.theirs))?;
    let row = DiscrepancyRow {
        discrepancy_id: id.0,
        provider: provider.to_string(),
        subject: subject.key(),
        trade_id: match subject {
            Subject::Order(order) => Some(order.trade_id.to_string()),
            Subject::Receipt(_) | Subject::Balance(_) => None,
        },
        found_by: found_by.to_owned(),
        kind: finding.kind.to_string(),
        ours: finding.ours.clone(),
        theirs: finding.theirs.clone(),
        digest: Sha256::digest(sides).to_vec(),
        opened_at: now,
        resolved_at: None,
        resolved_by: None,
        reason: None,
    };
    let digest = row.digest.clone();
    let event = EventBody { event_type: "discrepancy.opened".to_owned(), timestamp: now, data: body(row), sequence: None };
    Ok(Filed { id, digest, event_id: EventId(context.clock.new_uuid()), event: event.written()? })
}

/// The event of a discrepancy that is resolved.
pub fn resolved(
    context: &Context,
    row: DiscrepancyRow,
    (by, reason): (&str, &str),
) -> Result<(EventId, DiscrepancyBody, WrittenBody), FlowError> {
    let now = context.clock.now();
    let row = DiscrepancyRow { resolved_at: Some(now), resolved_by: Some(by.to_owned()), reason: Some(reason.to_owned()), ..row };
    let data = body(row);
    let event = EventBody { event_type: "discrepancy.resolved".to_owned(), timestamp: now, data: data.clone(), sequence: None };
    Ok((EventId(context.clock.new_uuid()), data, event.written()?))
}

/// Discrepancies, newest first, at most `limit`; and whether there are more.
pub async fn list(
    context: &Context,
    merchant: MerchantId,
    open: Option<bool>,
    starting_after: Option<DiscrepancyId>,
    limit: usize,
) -> Result<(Vec<DiscrepancyBody>, bool), FlowError> {
    let found = discrepancies::list(&mut *context.db.get().await?, merchant, open, starting_after, page::asked(limit)).await?;
    let (found, more) = page::shown(found, limit);
    Ok((found.into_iter().map(body).collect(), more))
}

/// A person closes a discrepancy, and says why. It changes no order.
pub async fn resolve(
    context: &Context,
    merchant: MerchantId,
    by: &By,
    id: DiscrepancyId,
    reason: &str,
) -> Result<DiscrepancyBody, FlowError> {
    let again = || FlowError::conflict("already_resolved", "this discrepancy was resolved before");
    let now = context.clock.now();
    let mut connection = context.db.get().await?;
    let row = discrepancies::get(&mut connection, merchant, id).await?.ok_or(FlowError::NotFound("discrepancy"))?;
    if row.resolved_at.is_some() {
        return Err(again());
    }
    let (event_id, body, event) = resolved(context, row, (by.label(), reason))?;
    let entry = by.does(merchant, now, "discrepancy.resolve", ("discrepancy", id.to_string())).because(reason);
    let before = json!({ "status": "open", "kind": body.kind, "trade_id": body.trade_id });
    let entry = entry.before(before).after(json!({ "status": "resolved" }));
    if !discrepancies::resolve(&mut connection, merchant, id, (by.label(), reason), (event_id, event.get()), now, &entry).await? {
        return Err(again());
    }
    context.wake.deliver.notify_one();
    Ok(body)
}

/// Tells the metrics how many are open, by kind and age.
pub async fn measure(context: &Context) -> Result<usize, FlowError> {
    const AGES: [&str; 3] = ["hour", "day", "older"];
    let found = discrepancies::count_open(&mut *context.db.get().await?, context.clock.now()).await?;
    for kind in FindingKind::ALL {
        let name: &'static str = kind.into();
        for age in AGES {
            let count = found.iter().find(|(kind, of, _)| kind == name && of == age).map_or(0, |(.., count)| *count);
            metrics::gauge!("tillgate_discrepancies_open", "kind" => name, "age" => age).set(u32::try_from(count).unwrap_or(u32::MAX));
        }
    }
    Ok(0)
}

fn body(row: DiscrepancyRow) -> DiscrepancyBody {
    let kind = row.kind.parse::<FindingKind>().ok();
    let about = |prefix: &str| row.subject.strip_prefix(prefix).map(str::to_owned);
    DiscrepancyBody {
        id: DiscrepancyId(row.discrepancy_id).to_string(),
        object: "discrepancy",
        severity: kind.map_or(Severity::Critical, FindingKind::severity),
        suggested_action: kind.map_or("Look at both sides.", FindingKind::suggested_action),
        provider_receipt_id: about("receipt:"),
        balance_of: about("balance:"),
        kind: row.kind,
        provider: row.provider,
        trade_id: row.trade_id,
        found_by: row.found_by,
        ours: row.ours,
        theirs: row.theirs,
        status: if row.resolved_at.is_some() { "resolved" } else { "open" },
        opened_at: row.opened_at,
        resolved_at: row.resolved_at,
        resolved_by: row.resolved_by,
        reason: row.reason,
    }
}
