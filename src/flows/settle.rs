//! Settling: the only writer of an order's status.
//!
//! Read the order, hear the report (pure), write everything that follows in one statement that
//! succeeds only on the sequence that was read; else read again. Callers never tell an order what to
//! become: they bring a report.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::Context;
use super::error::FlowError;
use super::tenant::ProviderAccount;
use crate::domain::agenda::Task;
use crate::domain::event::{DiscrepancyBody, EventBody, ReceiptBody};
use crate::domain::hearing::{Heard, Received, Rules, hear};
use crate::domain::ids::{AttemptId, DiscrepancyId, EventId, ReceiptId, ReportId};
use crate::domain::order::Order;
use crate::domain::recovery::Progress;
use crate::domain::report::{Channel, Evidence, Finding, Report, Says};
use crate::domain::status::{Deposit, Payout, Refusal, State};
use crate::store::record::{Record, ReportRow, TaskWrite, record};
use crate::store::{orders, timeline};

/// Tries to write before giving up on an order that changes all the time.
const TRIES: usize = 50;

/// What goes with a report besides what it says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Notes {
    /// The attempt that the report is about; it ends with it.
    pub ends: Option<AttemptId>,
    /// A new attempt, kept until then.
    pub opens: Option<(AttemptId, OffsetDateTime)>,
    /// How the order's task has gone. Absent: the report is not part of that task.
    pub progress: Option<Progress>,
}

/// What came of a report.
#[derive(Debug)]
pub struct Settled {
    /// The order, as it is now.
    pub order: Order,
    /// The report made a step.
    pub changed: bool,
    /// Why the report was not followed.
    pub refusal: Option<Refusal>,
}

/// Takes a report to its end.
pub async fn settle(
    context: &Context,
    account: &ProviderAccount,
    order: Order,
    mut report: Report,
    notes: Notes,
) -> Result<Settled, FlowError> {
    let mut order = order;
    for _ in 0..TRIES {
        let now = context.clock.now();
        let rules = Rules { policy: &account.account.policy, timing: &context.timing, now };
        let heard = hear(&order, &report, rules);
        if write(context, account, &report, &heard, notes, now).await? {
            note(&report, &heard);
            return Ok(Settled { order: heard.order, changed: heard.changed, refusal: heard.refusal });
        }
        order = read_again(context, &order).await?;
        given_up(context, &order, &mut report, notes).await?;
    }
    Err(FlowError::Internal("the order changes faster than it can be written".to_owned()))
}

async fn read_again(context: &Context, order: &Order) -> Result<Order, FlowError> {
    let found = orders::by_id(&mut *context.db.get().await?, order.merchant_id, order.id).await?;
    found.ok_or_else(|| FlowError::Internal("an order has disappeared".to_owned()))
}

/// Somebody else wrote meanwhile: perhaps they gave this report's attempt up as unknown.
async fn given_up(context: &Context, order: &Order, report: &mut Report, notes: Notes) -> Result<(), FlowError> {
    let (Some(attempt), Says::Answer { late, .. }) = (notes.ends, &mut report.says) else { return Ok(()) };
    let attempts = timeline::attempts(&mut *context.db.get().await?, order.merchant_id, order.id).await?;
    *late = attempts.iter().any(|row| row.attempt_id == attempt.0 && row.state == "unknown");
    Ok(())
}

async fn write(
    context: &Context,
    account: &ProviderAccount,
    report: &Report,
    heard: &Heard,
    notes: Notes,
    now: OffsetDateTime,
) -> Result<bool, FlowError> {
    let order = &heard.order;
    let event = EventBody::of(order);
    let event_body = text(&event)?;
    let reason = report.reason();
    let kept = report
        .evidence
        .as_ref()
        .filter(|_| worth_keeping(report, heard))
        .map(|evidence| Kept::new(context, order, evidence))
        .transpose()?;
    let summary = summary(report);
    let detail = detail(report);
    let receipt = heard.received.as_ref().map(|received| ReceiptWrite::new(context, order, received)).transpose()?;
    let finding = heard.finding.as_ref().map(|finding| FindingWrite::new(context, order, finding, now)).transpose()?;
    // An attempt is opened only with the step that says so; a deposit's call makes no step.
    let opens = notes.opens.filter(|_| heard.refusal.is_none());
    let row = Record {
        order,
        changed: heard.changed,
        now,
        channel: report.channel,
        reason: &reason,
        event: (EventId(context.clock.new_uuid()), &event.event_type, &event_body),
        report: kept.as_ref().map(|kept| ReportRow {
            id: kept.id,
            digest: &kept.digest,
            sealed_raw: &kept.sealed,
            summary: &summary,
            verdict: verdict(heard),
            source: kept.source.as_deref(),
        }),
        ended: notes.ends.zip(detail.as_ref()).map(|(attempt, (state, detail))| (attempt, *state, detail.as_str())),
        opened: opens,
        task: task(context, account, heard, notes, opens.map(|(_, until)| until), now),
        receipt: receipt.as_ref().map(|write| (write.id, write.received, write.event_id, write.body.as_str())),
        finding: finding.as_ref().map(|write| (write.id, write.finding, &write.digest[..], write.event_id, write.body.as_str())),
    };
    Ok(record(&mut *context.db.get().await?, &row).await?)
}

/// What becomes of the order's task.
fn task(
    context: &Context,
    account: &ProviderAccount,
    heard: &Heard,
    notes: Notes,
    lease: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> TaskWrite {
    if !heard.changed && notes.progress.is_none() {
        return TaskWrite::Leave;
    }
    let progress = notes.progress.unwrap_or_default();
    match Task::next(&heard.order, account.wallet.capabilities, progress, &context.timing, now) {
        Some(task) => TaskWrite::Set(task, progress, lease),
        None => TaskWrite::Remove,
    }
}

/// Looks at what is known to be under way say the same thing over and over: only news is kept.
fn worth_keeping(report: &Report, heard: &Heard) -> bool {
    let routine = matches!(
        heard.order.state,
        State::Payout(Payout::Accepted | Payout::ProviderReview | Payout::Broadcast)
            | State::Deposit(Deposit::Confirming | Deposit::AwaitingPayment)
    );
    heard.changed || heard.finding.is_some() || report.channel != Channel::Lookup || !routine
}

fn verdict(heard: &Heard) -> &'static str {
    match (&heard.finding, heard.refusal, heard.changed) {
        (Some(finding), _, _) => finding.kind.into(),
        (None, Some(refusal), _) => refusal.into(),
        (None, None, true) => "step",
        (None, None, false) => "unchanged",
    }
}

/// What was read from a report, without secrets.
fn summary(report: &Report) -> Value {
    match &report.says {
        Says::Record(record) => record.summary(),
        Says::Answer { outcome, .. } => json!({ "outcome": outcome.name(), "detail": outcome.detail() }),
        _ => json!({ "says": report.reason() }),
    }
}

fn detail(report: &Report) -> Option<(&'static str, String)> {
    match &report.says {
        Says::Answer { outcome, .. } => Some((outcome.name(), outcome.detail())),
        _ => None,
    }
}

fn text<T: serde::Serialize>(body: &T) -> Result<String, FlowError> {
    serde_json::to_string(body).map_err(|error| FlowError::Internal(error.to_string()))
}

/// Where the raw input of a report is sealed for.
pub fn evidence_place(order: &Order) -> String {
    format!("reports/{}/{}", order.merchant_id, order.id.0)
}

struct Kept {
    id: ReportId,
    digest: [u8; 32],
    sealed: Vec<u8>,
    source: Option<String>,
}

impl Kept {
    fn new(context: &Context, order: &Order, evidence: &Evidence) -> Result<Self, FlowError> {
        Ok(Self {
            id: ReportId(context.clock.new_uuid()),
            digest: Sha256::digest(&evidence.raw).into(),
            sealed: context.vault.seal(&evidence_place(order), &evidence.raw)?,
            source: evidence.source.clone(),
        })
    }
}

struct ReceiptWrite<'a> {
    id: ReceiptId,
    received: &'a Received,
    event_id: EventId,
    body: String,
}

impl<'a> ReceiptWrite<'a> {
    fn new(context: &Context, order: &Order, received: &'a Received) -> Result<Self, FlowError> {
        let id = ReceiptId(context.clock.new_uuid());
        let data = ReceiptBody {
            id: id.to_string(),
            object: "receipt",
            provider: order.provider,
            provider_receipt_id: received.provider_receipt_id.clone(),
            trade_id: Some(order.trade_id.to_string()),
            coin: order.coin.clone(),
            amount: received.amount,
        };
        let body = EventBody { event_type: "receipt.unmatched".to_owned(), timestamp: context.clock.now(), data, sequence: None };
        Ok(Self { id, received, event_id: EventId(context.clock.new_uuid()), body: text(&body)? })
    }
}

struct FindingWrite<'a> {
    id: DiscrepancyId,
    finding: &'a Finding,
    digest: [u8; 32],
    event_id: EventId,
    body: String,
}

impl<'a> FindingWrite<'a> {
    fn new(context: &Context, order: &Order, finding: &'a Finding, now: OffsetDateTime) -> Result<Self, FlowError> {
        let id = DiscrepancyId(context.clock.new_uuid());
        let sides = text(&(finding.kind, &finding.ours, &finding.theirs))?;
        let data = DiscrepancyBody {
            id: id.to_string(),
            object: "discrepancy",
            kind: finding.kind.to_string(),
            trade_id: order.trade_id.to_string(),
            ours: finding.ours.clone(),
            theirs: finding.theirs.clone(),
            status: "open",
            opened_at: now,
            resolved_at: None,
            resolved_by: None,
            reason: None,
        };
        let body = EventBody { event_type: "discrepancy.opened".to_owned(), timestamp: now, data, sequence: None };
        Ok(Self { id, finding, digest: Sha256::digest(sides).into(), event_id: EventId(context.clock.new_uuid()), body: text(&body)? })
    }
}

/// Tells the log: a step is information, what a person has to see is a warning.
fn note(report: &Report, heard: &Heard) {
    let order = &heard.order;
    let (merchant, trade_id, status) = (order.merchant_id, &order.trade_id, order.state.status());
    if let Some(finding) = &heard.finding {
        metrics::counter!("tillgate_discrepancies_total", "kind" => finding.kind.to_string()).increment(1);
        tracing::warn!(%merchant, %trade_id, status, kind = %finding.kind, "the sides disagree");
    }
    if heard.changed {
        metrics::counter!("tillgate_steps_total", "kind" => order.kind.to_string(), "status" => status).increment(1);
        let (stage, reason) = (order.state.stage(), report.reason());
        if status == "requires_review" {
            tracing::warn!(%merchant, %trade_id, status, stage, sequence = order.sequence, reason, "a person has to decide");
        } else {
            tracing::info!(%merchant, %trade_id, status, stage, sequence = order.sequence, reason, "step");
        }
    }
}
