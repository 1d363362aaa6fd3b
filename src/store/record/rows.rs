//! What the statement reads: each record and each receipt as one row of a document.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Record, TaskWrite, Version};
use crate::domain::agenda::Work;
use crate::domain::audit::Entry;
use crate::domain::claim::Claim;
use crate::domain::event::WrittenBody;
use crate::domain::ids::{CustomerId, EventId, MerchantId, OrderId};
use crate::domain::money::Amount;
use crate::domain::order::{Failure, NextAction, Order, Retry};
use crate::store::rows::bytes;

/// A record as the statement reads it. The names are those of its list of columns; parts that a record does not have are left
/// out, and so is what a step has nothing of, since Postgres reads the document name by name.
#[derive(Serialize)]
pub(super) struct Row<'a> {
    merchant_id: Uuid,
    order_id: Uuid,
    sequence: i64,
    changed: bool,
    hears: usize,
    #[serde(with = "time::serde::rfc3339")]
    now: OffsetDateTime,
    provider: &'static str,
    coin: &'a str,
    provider_coin_id: &'a str,
    customer: Option<&'a str>,
    channel: &'static str,
    remove_task: bool,
    #[serde(flatten)]
    born: Option<BornPart<'a>>,
    #[serde(flatten)]
    step: Option<StepPart<'a>>,
    #[serde(flatten)]
    report: Option<ReportPart<'a>>,
    #[serde(flatten)]
    ended: Option<EndedPart<'a>>,
    #[serde(flatten)]
    opened: Option<OpenedPart>,
    #[serde(flatten)]
    task: Option<TaskPart>,
    #[serde(flatten)]
    receipt: Option<ReceiptPart<'a>>,
    #[serde(flatten)]
    finding: Option<FindingPart<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<&'a Entry>,
}

/// What a new order is.
#[derive(Serialize)]
struct BornPart<'a> {
    born: String,
    trade_id: &'a str,
    kind: &'static str,
    decimals: u32,
    amount: Amount,
    tolerance: Amount,
    provider_user: Option<&'a str>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

/// What an order becomes, and how it is told.
#[derive(Serialize)]
struct StepPart<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<&'static str>,
    amount_received: Amount,
    amount_confirmed: Amount,
    #[serde(skip_serializing_if = "Option::is_none")]
    fee: Option<Amount>,
    late: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_action: Option<&'a NextAction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    txid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmations: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claim: Option<&'a Claim>,
    doubts: i16,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    doubt_since: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<&'a Retry>,
    is_final: bool,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    final_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    expires_at: Option<OffsetDateTime>,
    reason: &'a str,
    event_id: Uuid,
    event_type: &'a str,
    event: &'a RawValue,
}

/// What came in from outside.
#[derive(Serialize)]
struct ReportPart<'a> {
    report_id: Uuid,
    digest: String,
    sealed_raw: String,
    summary: &'a RawValue,
    verdict: &'static str,
    source: Option<&'a str>,
}

/// The attempt that ends.
#[derive(Serialize)]
struct EndedPart<'a> {
    ended_id: Uuid,
    ended_state: &'static str,
    ended_detail: &'a str,
}

/// The attempt that begins.
#[derive(Serialize)]
struct OpenedPart {
    opened_id: Uuid,
    #[serde(with = "time::serde::rfc3339")]
    opened_until: OffsetDateTime,
}

/// What is to be done next.
#[derive(Serialize)]
struct TaskPart {
    work: &'static str,
    lane: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    due_at: OffsetDateTime,
    tries: i32,
    #[serde(with = "time::serde::rfc3339::option")]
    absent_since: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    absent_last: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    leased_until: Option<OffsetDateTime>,
}

/// Money that is proven.
#[derive(Serialize)]
struct ReceiptPart<'a> {
    receipt_id: Uuid,
    receipt_number: &'a str,
    receipt_matched: bool,
    receipt_amount: Amount,
    receipt_fee: Option<Amount>,
    receipt_event_id: Uuid,
    receipt_event: &'a RawValue,
}

/// Where the sides disagree.
#[derive(Serialize)]
struct FindingPart<'a> {
    finding_id: Uuid,
    finding_kind: &'static str,
    ours: &'a Value,
    theirs: &'a Value,
    finding_digest: String,
    finding_event_id: Uuid,
    finding_event: &'a RawValue,
}

impl<'a> Row<'a> {
    pub(super) fn of(record: &'a Record<'a>) -> Self {
        let order = record.order;
        Self {
            merchant_id: order.merchant_id.0,
            order_id: order.id.0,
            sequence: order.sequence,
            changed: record.changed,
            hears: record.hears.len(),
            now: record.now,
            provider: order.provider.into(),
            coin: &order.coin,
            provider_coin_id: &order.provider_coin_id,
            customer: order.customer.as_ref().map(CustomerId::as_str),
            channel: record.channel.into(),
            remove_task: matches!(record.task, TaskWrite::Remove),
            born: record.born.map(|fingerprint| BornPart::of(order, fingerprint)),
            step: record.event.as_ref().map(|event| StepPart::of(record, event)),
            report: record.report.as_ref().map(|report| ReportPart {
                report_id: report.id.0,
                digest: bytes(&report.digest),
                sealed_raw: bytes(&report.sealed_raw),
                summary: &report.summary,
                verdict: report.verdict,
                source: report.source.as_deref(),
            }),
            ended: record.ended.as_ref().map(|(id, state, detail)| EndedPart { ended_id: id.0, ended_state: state, ended_detail: detail }),
            opened: record.opened.map(|(id, until)| OpenedPart { opened_id: id.0, opened_until: until }),
            task: TaskPart::of(order, record.task),
            receipt: record.receipt.as_ref().map(|(id, received, event_id, event)| ReceiptPart {
                receipt_id: id.0,
                receipt_number: &received.provider_receipt_id,
                receipt_matched: received.matched,
                receipt_amount: received.amount,
                receipt_fee: received.fee,
                receipt_event_id: event_id.0,
                receipt_event: event,
            }),
            finding: record.finding.as_ref().map(|(id, finding, digest, event_id, event)| FindingPart {
                finding_id: id.0,
                finding_kind: finding.kind.into(),
                ours: &finding.ours,
                theirs: &finding.theirs,
                finding_digest: bytes(digest),
                finding_event_id: event_id.0,
                finding_event: event,
            }),
            entry: record.entry,
        }
    }
}

impl<'a> BornPart<'a> {
    fn of(order: &'a Order, fingerprint: &[u8]) -> Self {
        Self {
            born: bytes(fingerprint),
            trade_id: order.trade_id.as_str(),
            kind: order.kind.into(),
            decimals: order.decimals,
            amount: order.amount,
            tolerance: order.tolerance,
            provider_user: order.provider_user.as_deref(),
            created_at: order.created_at,
        }
    }
}

impl<'a> StepPart<'a> {
    fn of(record: &'a Record<'a>, (event_id, event_type, event): &'a (EventId, String, WrittenBody)) -> Self {
        let order = record.order;
        Self {
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
            reason: &record.reason,
            event_id: event_id.0,
            event_type,
            event,
        }
    }
}

impl TaskPart {
    fn of(order: &Order, task: TaskWrite) -> Option<Self> {
        let TaskWrite::Set(task, progress, leased_until) = task else { return None };
        Some(Self {
            work: task.work.into(),
            lane: lane(order, task.work),
            due_at: task.due_at,
            tries: progress.tries,
            absent_since: progress.absent_since,
            absent_last: progress.absent_last,
            leased_until,
        })
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
    event: Option<&'a RawValue>,
}

impl<'a> HeardRow<'a> {
    pub(super) fn of(
        merchant: MerchantId,
        receipt: &Version,
        order: Option<OrderId>,
        event: Option<&'a (EventId, &'static str, WrittenBody)>,
    ) -> Self {
        Self {
            merchant_id: merchant.0,
            receipt_id: receipt.id.0,
            revision: receipt.revision,
            unheard: receipt.unheard,
            order_id: order.map(|order| order.0),
            event_id: event.map(|event| event.0.0),
            event_type: event.map(|event| event.1),
            event: event.map(|event| &*event.2),
        }
    }
}

/// The provider's list in which an order stands: orders of one lane can be asked about together.
fn lane(order: &Order, work: Work) -> Option<String> {
    let way = order.way().filter(|_| work == Work::Poll)?;
    Some(format!("{}/{way}", order.provider))
}
