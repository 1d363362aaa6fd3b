//! What the statement reads: each record and each receipt as one row of a document.

use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Record, TaskWrite, Version};
use crate::domain::agenda::Work;
use crate::domain::audit::Entry;
use crate::domain::ids::{CustomerId, EventId, MerchantId, OrderId};
use crate::domain::money::Amount;
use crate::domain::order::{Claim, Failure, NextAction, Order, Retry};
use crate::store::rows::bytes;

/// A record as the statement reads it. The names are those of its list of columns.
#[derive(Serialize)]
pub(super) struct Row<'a> {
    merchant_id: Uuid,
    order_id: Uuid,
    sequence: i64,
    changed: bool,
    born: Option<String>,
    hears: usize,
    #[serde(with = "time::serde::rfc3339")]
    now: OffsetDateTime,
    trade_id: &'a str,
    kind: &'static str,
    provider: &'static str,
    coin: &'a str,
    provider_coin_id: &'a str,
    decimals: u32,
    amount: Amount,
    tolerance: Amount,
    customer: Option<&'a str>,
    provider_user: Option<&'a str>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    status: &'static str,
    stage: Option<&'static str>,
    amount_received: Amount,
    amount_confirmed: Amount,
    fee: Option<Amount>,
    late: bool,
    next_action: Option<&'a NextAction>,
    provider_reference: Option<&'a str>,
    txid: Option<&'a str>,
    confirmations: Option<i32>,
    failure: Option<&'a Failure>,
    claim: Option<&'a Claim>,
    doubts: i16,
    #[serde(with = "time::serde::rfc3339::option")]
    doubt_since: Option<OffsetDateTime>,
    retry: Option<&'a Retry>,
    is_final: bool,
    #[serde(with = "time::serde::rfc3339::option")]
    final_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
    channel: &'static str,
    reason: &'a str,
    event_id: Uuid,
    event_type: &'a str,
    event: &'a str,
    report_id: Option<Uuid>,
    digest: Option<String>,
    sealed_raw: Option<String>,
    summary: Option<&'a Value>,
    verdict: Option<&'static str>,
    source: Option<&'a str>,
    ended_id: Option<Uuid>,
    ended_state: Option<&'static str>,
    ended_detail: Option<&'a str>,
    opened_id: Option<Uuid>,
    #[serde(with = "time::serde::rfc3339::option")]
    opened_until: Option<OffsetDateTime>,
    remove_task: bool,
    work: Option<&'static str>,
    lane: Option<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    due_at: Option<OffsetDateTime>,
    tries: Option<i32>,
    #[serde(with = "time::serde::rfc3339::option")]
    absent_since: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    absent_last: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    leased_until: Option<OffsetDateTime>,
    receipt_id: Option<Uuid>,
    receipt_number: Option<&'a str>,
    receipt_matched: Option<bool>,
    receipt_amount: Option<Amount>,
    receipt_fee: Option<Amount>,
    receipt_event_id: Option<Uuid>,
    receipt_event: Option<&'a str>,
    finding_id: Option<Uuid>,
    finding_kind: Option<&'static str>,
    ours: Option<&'a Value>,
    theirs: Option<&'a Value>,
    finding_digest: Option<String>,
    finding_event_id: Option<Uuid>,
    finding_event: Option<&'a str>,
    entry: Option<&'a Entry>,
}

impl<'a> Row<'a> {
    pub(super) fn of(record: &'a Record<'a>) -> Self {
        let order = record.order;
        let (report, receipt, finding) = (record.report.as_ref(), record.receipt.as_ref(), record.finding.as_ref());
        let task = match record.task {
            TaskWrite::Leave | TaskWrite::Remove => None,
            TaskWrite::Set(task, progress, lease) => Some((task, progress, lease)),
        };
        Self {
            merchant_id: order.merchant_id.0,
            order_id: order.id.0,
            sequence: order.sequence,
            changed: record.changed,
            born: record.born.map(bytes),
            hears: record.hears.len(),
            now: record.now,
            trade_id: order.trade_id.as_str(),
            kind: order.kind.into(),
            provider: order.provider.into(),
            coin: &order.coin,
            provider_coin_id: &order.provider_coin_id,
            decimals: order.decimals,
            amount: order.amount,
            tolerance: order.tolerance,
            customer: order.customer.as_ref().map(CustomerId::as_str),
            provider_user: order.provider_user.as_deref(),
            created_at: order.created_at,
            status: order.state.status(),
            stage: order.state.stage(),
            amount_received: order.amount_received,
            amount_confirmed: order.amount_confirmed,
            fee: order.fee,
            late: order.late,
            next_action: order.next_action.as_ref(),
            provider_reference: order.provider_reference.as_deref(),
            txid: order.txid.as_deref(),
            confirmations: order.confirmations,
            failure: order.failure.as_ref(),
            claim: order.claim.as_ref(),
            doubts: order.doubts,
            doubt_since: order.doubt_since,
            retry: order.retry.as_ref(),
            is_final: order.is_final,
            final_at: order.final_at,
            expires_at: order.expires_at,
            channel: record.channel.into(),
            reason: &record.reason,
            event_id: record.event.0.0,
            event_type: &record.event.1,
            event: &record.event.2,
            report_id: report.map(|report| report.id.0),
            digest: report.map(|report| bytes(&report.digest)),
            sealed_raw: report.map(|report| bytes(&report.sealed_raw)),
            summary: report.map(|report| &report.summary),
            verdict: report.map(|report| report.verdict),
            source: report.and_then(|report| report.source.as_deref()),
            ended_id: record.ended.as_ref().map(|ended| ended.0.0),
            ended_state: record.ended.as_ref().map(|ended| ended.1),
            ended_detail: record.ended.as_ref().map(|ended| ended.2.as_str()),
            opened_id: record.opened.map(|opened| opened.0.0),
            opened_until: record.opened.map(|opened| opened.1),
            remove_task: matches!(record.task, TaskWrite::Remove),
            work: task.map(|(task, _, _)| task.work.into()),
            lane: task.and_then(|(task, _, _)| lane(order, task.work)),
            due_at: task.map(|(task, _, _)| task.due_at),
            tries: task.map(|(_, progress, _)| progress.tries),
            absent_since: task.and_then(|(_, progress, _)| progress.absent_since),
            absent_last: task.and_then(|(_, progress, _)| progress.absent_last),
            leased_until: task.and_then(|(_, _, lease)| lease),
            receipt_id: receipt.map(|receipt| receipt.0.0),
            receipt_number: receipt.map(|receipt| receipt.1.provider_receipt_id.as_str()),
            receipt_matched: receipt.map(|receipt| receipt.1.matched),
            receipt_amount: receipt.map(|receipt| receipt.1.amount),
            receipt_fee: receipt.and_then(|receipt| receipt.1.fee),
            receipt_event_id: receipt.map(|receipt| receipt.2.0),
            receipt_event: receipt.map(|receipt| receipt.3.as_str()),
            finding_id: finding.map(|finding| finding.0.0),
            finding_kind: finding.map(|finding| finding.1.kind.into()),
            ours: finding.map(|finding| &finding.1.ours),
            theirs: finding.map(|finding| &finding.1.theirs),
            finding_digest: finding.map(|finding| bytes(&finding.2)),
            finding_event_id: finding.map(|finding| finding.3.0),
            finding_event: finding.map(|finding| finding.4.as_str()),
            entry: record.entry,
        }
    }
}

/// A receipt that is heard of, as the statement reads it.
#[derive(Serialize)]
pub(super) struct HeardRow<'a> {
    merchant_id: Uuid,
    receipt_id: Uuid,
    revision: i32,
    unheard: bool,
    order_id: Option<Uuid>,
    event_id: Option<Uuid>,
    event_type: Option<&'static str>,
    event: Option<&'a str>,
}

impl<'a> HeardRow<'a> {
    pub(super) fn of(
        merchant: MerchantId,
        receipt: &Version,
        order: Option<OrderId>,
        event: Option<&'a (EventId, &'static str, String)>,
    ) -> Self {
        Self {
            merchant_id: merchant.0,
            receipt_id: receipt.id.0,
            revision: receipt.revision,
            unheard: receipt.unheard,
            order_id: order.map(|order| order.0),
            event_id: event.map(|event| event.0.0),
            event_type: event.map(|event| event.1),
            event: event.map(|event| event.2.as_str()),
        }
    }
}

/// The provider's list in which an order stands: orders of one lane can be asked about together.
fn lane(order: &Order, work: Work) -> Option<String> {
    let way = order.way().filter(|_| work == Work::Poll)?;
    Some(format!("{}/{way}", order.provider))
}
