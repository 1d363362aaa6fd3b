//! Settling: the only writer of an order's status.
//!
//! Read the order, hear the report (pure), write everything that follows in one statement that
//! succeeds only on the sequence that was read; else read again. Callers never tell an order what to
//! become: they bring a report.

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::Context;
use super::discrepancy::{Filed, Subject, file};
use super::error::FlowError;
use super::tenant::ProviderAccount;
use crate::domain::agenda::Task;
use crate::domain::audit::Entry;
use crate::domain::event::{EventBody, ReceiptBody, WrittenBody};
use crate::domain::finding::Finding;
use crate::domain::hearing::{Heard, Received, Rules, hear};
use crate::domain::ids::{AttemptId, DiscrepancyId, EventId, MerchantId, ReceiptId, ReportId};
use crate::domain::order::{Order, Provider};
use crate::domain::receipt::Progress;
use crate::domain::recovery;
use crate::domain::report::{Channel, Evidence, Report, Says};
use crate::domain::status::{Deposit, Payout, Refusal, State};
use crate::faults::{Bug, Point, planted, point};
use crate::store::record::{Bond, Record, ReportRow, TaskWrite, record};
pub use crate::store::record::{Homeless, Version};
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
    pub progress: Option<recovery::Progress>,
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

/// One report of one order, to be settled together with others.
#[derive(Debug)]
pub struct Change {
    /// The order, as it was read.
    pub order: Order,
    /// What is said of it.
    pub report: Report,
    /// What goes with that.
    pub notes: Notes,
    /// The receipts that the report is about.
    pub hears: Vec<Version>,
    /// Who brings this by hand, and why: for the audit log, if it changes anything.
    pub entry: Option<Entry>,
    /// The order is not stored yet and comes into being with this. SHA-256 of what it stands for.
    pub born: Option<[u8; 32]>,
}

impl Change {
    /// A report of an order that is stored.
    pub fn new(order: Order, report: Report, notes: Notes) -> Self {
        Self { order, report, notes, hears: Vec::new(), entry: None, born: None }
    }
}

/// Takes a report to its end.
pub fn settle(
    context: &Context,
    account: &ProviderAccount,
    order: Order,
    report: Report,
    notes: Notes,
) -> impl Future<Output = Result<Settled, FlowError>> {
    settle_change(context, account, Box::new(Change::new(order, report, notes)))
}

/// Takes what a person or a key reports to its end; `entry` tells the audit log of it, if it changes anything.
pub fn settle_by_hand(
    context: &Context,
    account: &ProviderAccount,
    order: Order,
    report: Report,
    entry: Entry,
) -> impl Future<Output = Result<Settled, FlowError>> {
    let change = Change { entry: Some(entry), ..Change::new(order, report, Notes::default()) };
    settle_change(context, account, Box::new(change))
}

/// The change is by itself: every flow settles in the end, and each would be larger by twice an order.
async fn settle_change(context: &Context, account: &ProviderAccount, mut change: Box<Change>) -> Result<Settled, FlowError> {
    for _ in 0..TRIES {
        // By itself: a flow that waits for a wallet's answer has not to hold what it will take to write that down.
        let page = Box::pin(settle_page(context, account, std::slice::from_ref(&*change), &[]));
        if let Some(settled) = page.await?.pop().flatten() {
            return Ok(settled);
        }
        change.order = Box::pin(read_again(context, &change.order)).await?;
        Box::pin(given_up(context, &mut change)).await?;
    }
    Err(FlowError::Internal("the order changes faster than it can be written".to_owned()))
}

/// Takes many reports, each of another order, one statement far. `None` for an order that has changed since it was read:
/// nothing of its report is written.
pub async fn settle_page(
    context: &Context,
    account: &ProviderAccount,
    changes: &[Change],
    homeless: &[Homeless],
) -> Result<Vec<Option<Settled>>, FlowError> {
    let settled = write_page(context, account, changes, homeless, Bond::Each).await?;
    Ok(settled.unwrap_or_else(|| changes.iter().map(|_| None).collect()))
}

/// Takes many reports that are one decision, each of another order, one statement far. `false` if an order or a receipt has
/// changed since it was read, or the trade id of an order to be born is used: nothing is written.
pub async fn settle_together(
    context: &Context,
    account: &ProviderAccount,
    changes: &[Change],
    homeless: &[Homeless],
) -> Result<bool, FlowError> {
    Ok(write_page(context, account, changes, homeless, Bond::All).await?.is_some())
}

async fn write_page(
    context: &Context,
    account: &ProviderAccount,
    changes: &[Change],
    homeless: &[Homeless],
    bond: Bond,
) -> Result<Option<Vec<Option<Settled>>>, FlowError> {
    let now = context.clock.now();
    let rules = Rules { policy: &account.account.policy, timing: &context.timing, now };
    let heard: Vec<Heard> = changes.iter().map(|change| hear(&change.order, &change.report, rules)).collect();
    let pairs = || changes.iter().zip(&heard);
    let entries: Vec<Option<Entry>> = pairs().map(|(change, heard)| entry(change, heard, now)).collect();
    let write = |((change, heard), entry)| write(context, account, change, heard, entry, now);
    let records = pairs().zip(entries.iter().map(Option::as_ref)).map(write).collect::<Result<Vec<_>, _>>()?;
    point(Point::SettleWriting);
    let written = record(&context.db, &records, homeless, bond).await?;
    point(Point::SettleWritten);
    drop(records);
    let Some(written) = written else { return Ok(None) };
    // A page that tells nothing new has no event: whoever delivers need not look.
    let tells = |heard: &Heard| heard.changed || heard.finding.is_some() || heard.received.is_some();
    if !homeless.is_empty() || heard.iter().any(tells) {
        context.wake.deliver.notify_one();
    }
    for (change, heard) in pairs().filter(|(_, heard)| written.contains(&heard.order.id)) {
        note(&change.report, heard);
    }
    let settled = |heard: Heard| Settled { order: heard.order, changed: heard.changed, refusal: heard.refusal };
    Ok(Some(heard.into_iter().map(|heard| written.contains(&heard.order.id).then(|| settled(heard))).collect()))
}

async fn read_again(context: &Context, order: &Order) -> Result<Order, FlowError> {
    let found = orders::by_id(&mut *context.db.get().await?, order.merchant_id, order.id).await?;
    found.ok_or_else(|| FlowError::Internal("an order has disappeared".to_owned()))
}

/// Somebody else wrote meanwhile: perhaps they gave this report's attempt up as unknown. Or this report gives up an attempt whose
/// answer has come now: then it was not lost, and there is nothing to say.
async fn given_up(context: &Context, change: &mut Change) -> Result<(), FlowError> {
    let (Some(attempt), Says::Answer { late, .. }) = (change.notes.ends, &mut change.report.says) else { return Ok(()) };
    let attempts = timeline::attempts(&mut *context.db.get().await?, change.order.merchant_id, change.order.id).await?;
    match attempts.iter().find(|row| row.attempt_id == attempt.0).map(|row| row.state.as_str()) {
        Some("open") | None => *late = false,
        Some("unknown") => *late = true,
        Some(_) => {
            change.report.says = Says::Nothing;
            change.notes = Notes::default();
        }
    }
    Ok(())
}

/// The row of the audit log: the order before and after, unless it says itself what changed.
fn entry(change: &Change, heard: &Heard, now: OffsetDateTime) -> Option<Entry> {
    let entry = change.entry.clone()?;
    let (before, after) =
        (entry.before.clone().unwrap_or_else(|| place(&change.order)), entry.after.clone().unwrap_or_else(|| place(&heard.order)));
    Some(Entry { at: now, before: Some(before), after: Some(after), ..entry })
}

/// Where an order is, and what it counts.
fn place(order: &Order) -> Value {
    json!({
        "status": order.state.status(),
        "stage": order.state.stage(),
        "sequence": order.sequence,
        "amount_received": order.amount_received,
        "amount_confirmed": order.amount_confirmed,
        "retry": order.retry,
    })
}

/// All that a report writes.
fn write<'a>(
    context: &Context,
    account: &ProviderAccount,
    change: &'a Change,
    heard: &'a Heard,
    entry: Option<&'a Entry>,
    now: OffsetDateTime,
) -> Result<Record<'a>, FlowError> {
    let Change { report, notes, .. } = change;
    let order = &heard.order;
    let has_step = heard.changed || change.born.is_some();
    let event = has_step.then(|| told(context, order)).transpose()?;
    let evidence = report.evidence.as_ref().filter(|_| worth_keeping(report, heard));
    // An attempt is opened only with the step that says so; a deposit's call makes no step.
    let opened = notes.opens.filter(|_| heard.refusal.is_none());
    Ok(Record {
        order,
        changed: heard.changed,
        born: change.born.as_ref().map(|digest| &digest[..]),
        now,
        channel: report.channel,
        reason: report.reason(),
        event,
        report: evidence.map(|evidence| kept(context, order, evidence, report, heard)).transpose()?,
        ended: notes.ends.zip(detail(report)).map(|(attempt, (state, detail))| (attempt, state, detail)),
        opened,
        task: task(context, account, heard, *notes, opened.map(|(_, until)| until), now),
        receipt: heard.received.as_ref().map(|received| unmatched(context, order, received)).transpose()?,
        hears: &change.hears,
        entry,
        finding: heard.finding.as_ref().map(|finding| discrepancy(context, order, finding)).transpose()?,
    })
}

/// The event of a step.
fn told(context: &Context, order: &Order) -> Result<(EventId, String, WrittenBody), FlowError> {
    let event = EventBody::of(order);
    let body = event.written()?;
    Ok((EventId(context.clock.new_uuid()), event.event_type, body))
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
    if planted(Bug::DoubtIsForgotten) && heard.order.doubts > 0 {
        return TaskWrite::Remove;
    }
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
fn summary(report: &Report) -> Result<Box<RawValue>, serde_json::Error> {
    match &report.says {
        Says::Record(record) => to_raw_value(record),
        Says::Answer { outcome, .. } => to_raw_value(&json!({ "outcome": outcome.name(), "detail": outcome.detail() })),
        _ => to_raw_value(&json!({ "says": report.reason() })),
    }
}

fn detail(report: &Report) -> Option<(&'static str, String)> {
    match &report.says {
        Says::Answer { outcome, .. } => Some((outcome.name(), outcome.detail())),
        _ => None,
    }
}

/// Where the raw input of a report is sealed for.
pub fn evidence_place(order: &Order) -> String {
    format!("reports/{}/{}", order.merchant_id, order.id.0)
}

/// Where the raw input of an incoming movement is sealed for.
pub fn receipt_place(merchant: MerchantId, provider: Provider, number: i64) -> String {
    format!("receipts/{merchant}/{provider}/{number}")
}

/// What came in from outside, sealed.
fn kept(context: &Context, order: &Order, evidence: &Evidence, report: &Report, heard: &Heard) -> Result<ReportRow, FlowError> {
    Ok(ReportRow {
        id: ReportId(context.clock.new_uuid()),
        digest: Sha256::digest(&evidence.raw).to_vec(),
        sealed_raw: context.vault.seal(&evidence_place(order), &evidence.raw)?,
        summary: summary(report)?,
        verdict: verdict(heard),
        source: evidence.source.clone(),
    })
}

/// Money of an order's own movement, with the event for the case that the order is not open to it any more.
fn unmatched<'a>(
    context: &Context,
    order: &Order,
    received: &'a Received,
) -> Result<(ReceiptId, &'a Received, EventId, WrittenBody), FlowError> {
    let (id, now) = (ReceiptId(context.clock.new_uuid()), context.clock.now());
    let data = ReceiptBody {
        id: id.to_string(),
        object: "receipt",
        provider: order.provider,
        provider_receipt_id: received.provider_receipt_id.clone(),
        status: Progress::Confirmed,
        trade_id: Some(order.trade_id.to_string()),
        customer: order.customer.as_ref().map(ToString::to_string),
        coin: order.coin.clone(),
        amount: received.amount,
        fee: received.fee,
        address: None,
        txid: order.txid.clone(),
        confirmations: order.confirmations,
        created_at: now,
        updated_at: now,
    };
    let body = EventBody { event_type: "receipt.unmatched".to_owned(), timestamp: now, data, sequence: None };
    Ok((id, received, EventId(context.clock.new_uuid()), body.written()?))
}

type FindingWrite<'a> = (DiscrepancyId, &'a Finding, Vec<u8>, EventId, WrittenBody);

fn discrepancy<'a>(context: &Context, order: &Order, finding: &'a Finding) -> Result<FindingWrite<'a>, FlowError> {
    let Filed { id, digest, event_id, event } = file(context, order.provider, &Subject::Order(Box::new(order.clone())), "report", finding)?;
    Ok((id, finding, digest, event_id, event))
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
