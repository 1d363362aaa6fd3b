//! Reading: orders, lists, and why an order is where it is.

use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::Context;
use super::delivery::{self, Delivery};
use super::error::FlowError;
use super::evidence::{self, Evidence};
use super::page;
use crate::domain::agenda::{WaitingFor, waiting_for};
use crate::domain::ids::{AttemptId, DeliveryId, EndpointId, EventId, MerchantId, ReceiptId, ReportId, TradeId};
use crate::domain::order::{Kind, Order};
use crate::store::orders;
pub use crate::store::orders::Filter;
use crate::store::receipts::{self, ReceiptRow};
use crate::store::tasks;
use crate::store::timeline::{self, AttemptRow, ReportRow, StepRow};

/// One order of a kind.
pub async fn order(context: &Context, merchant: MerchantId, kind: Kind, trade_id: &TradeId) -> Result<Order, FlowError> {
    let found = any_order(context, merchant, trade_id).await?;
    if found.kind == kind { Ok(found) } else { Err(FlowError::NotFound(kind.into())) }
}

async fn any_order(context: &Context, merchant: MerchantId, trade_id: &TradeId) -> Result<Order, FlowError> {
    let mut connection = context.db.get().await?;
    let found = orders::by_trade_id(&mut connection, merchant, trade_id).await?;
    connection.done();
    found.map(|(order, _)| order).ok_or(FlowError::NotFound("order"))
}

/// Orders of a kind, newest first, at most `limit`; and whether there are more.
pub async fn list(
    context: &Context,
    merchant: MerchantId,
    kind: Kind,
    filter: &Filter,
    limit: usize,
) -> Result<(Vec<Order>, bool), FlowError> {
    let mut connection = context.db.get().await?;
    let found = orders::list(&mut connection, merchant, kind, filter, page::asked(limit)).await?;
    connection.done();
    Ok(page::shown(found, limit))
}

/// Why an order is where it is: all that happened to it, and what it waits for.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Timeline {
    /// Always `timeline`.
    pub object: &'static str,
    /// Your id of the order.
    pub trade_id: String,
    /// Where it is.
    pub status: &'static str,
    /// Where it is within the status.
    pub stage: Option<&'static str>,
    /// Whom or what it waits for. Null once it is final.
    pub waiting_for: Option<WaitingFor>,
    /// When we do something about it next. Null where nothing is left to do by ourselves.
    #[serde(with = "time::serde::rfc3339::option")]
    pub next_action_at: Option<OffsetDateTime>,
    /// What its end rests on. Empty until it is final.
    pub evidence: Vec<Evidence>,
    /// All that happened, first to last.
    pub entries: Vec<Entry>,
}

/// One thing that happened to an order.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Entry {
    /// `step`, `attempt`, `answer`, `callback`, `lookup`, `browser`, `receipt` or `delivery`.
    #[serde(rename = "type")]
    #[schema(example = "callback")]
    pub entry_type: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// In a few words.
    #[schema(example = "the callback says paid")]
    pub summary: String,
    /// What is known of it.
    #[schema(value_type = Object)]
    pub evidence: Value,
}

/// The history of an order.
pub async fn timeline(context: &Context, merchant: MerchantId, trade_id: &TradeId) -> Result<Timeline, FlowError> {
    let order = any_order(context, merchant, trade_id).await?;
    let mut connection = context.db.get().await?;
    let steps = timeline::steps(&mut connection, merchant, order.id).await?;
    let attempts = timeline::attempts(&mut connection, merchant, order.id).await?;
    let reports = timeline::reports(&mut connection, merchant, order.id).await?;
    let receipts = receipts::of_order(&mut connection, merchant, order.id).await?;
    let task = tasks::of_order(&mut connection, merchant, order.id).await?;
    drop(connection);
    let deliveries = delivery::of_order(context, merchant, order.id).await?;
    let evidence = evidence::of_end(context, &order, &steps, &reports, &receipts).await?;
    // Of one instant: what was said, then the step that it caused, then the call that follows.
    let mut entries: Vec<Entry> = reports.into_iter().map(report_entry).collect();
    entries.extend(receipts.iter().filter(|row| row.provider_user.is_some()).map(receipt_entry));
    entries.extend(steps.into_iter().map(step_entry));
    entries.extend(attempts.into_iter().map(attempt_entry));
    entries.extend(deliveries.into_iter().map(delivery_entry));
    entries.sort_by_key(|entry| entry.at);
    Ok(Timeline {
        object: "timeline",
        trade_id: order.trade_id.to_string(),
        status: order.state.status(),
        stage: order.state.stage(),
        waiting_for: waiting_for(&order),
        next_action_at: task.map(|(due_at, _)| due_at),
        evidence,
        entries,
    })
}

fn step_entry(row: StepRow) -> Entry {
    Entry {
        entry_type: "step".to_owned(),
        at: row.created_at,
        summary: row.reason,
        evidence: json!({
            "sequence": row.sequence,
            "status": row.status,
            "stage": row.stage,
            "channel": row.channel,
            "report": row.report_id.map(|id| ReportId(id).to_string()),
            "attempt": row.attempt_id.map(|id| AttemptId(id).to_string()),
        }),
    }
}

fn attempt_entry(row: AttemptRow) -> Entry {
    Entry {
        entry_type: "attempt".to_owned(),
        at: row.started_at,
        summary: row.detail.unwrap_or_else(|| "a call is open".to_owned()),
        evidence: json!({
            "id": AttemptId(row.attempt_id).to_string(),
            "state": row.state,
            "leased_until": rfc3339(row.leased_until),
            "ended_at": row.ended_at.map(rfc3339),
        }),
    }
}

fn report_entry(row: ReportRow) -> Entry {
    Entry {
        summary: format!("{}: {}", row.channel, row.verdict),
        entry_type: row.channel,
        at: row.received_at,
        evidence: json!({
            "id": ReportId(row.report_id).to_string(),
            "verdict": row.verdict,
            "said": row.summary,
            "digest": hex::encode(row.digest),
            "source": row.source,
        }),
    }
}

/// Incoming money that the provider listed, as it stands now.
fn receipt_entry(row: &ReceiptRow) -> Entry {
    Entry {
        entry_type: "receipt".to_owned(),
        at: row.created_at,
        summary: format!("{} {} came in: {}", row.amount.normalize(), row.coin, row.progress),
        evidence: json!({
            "id": ReceiptId(row.receipt_id).to_string(),
            "number": row.provider_receipt_id,
            "status": row.progress,
            "address": row.address,
            "txid": row.txid,
            "confirmations": row.confirmations,
            "updated_at": rfc3339(row.updated_at),
        }),
    }
}

/// An event on its way to an endpoint, as it stands now. (Without the endpoint's URL, which may hold a token.)
fn delivery_entry(delivery: Delivery) -> Entry {
    let Delivery { row, attempts } = delivery;
    let tries = attempts.into_iter().map(|attempt| {
        json!({
            "number": attempt.number,
            "at": rfc3339(attempt.at),
            "status": attempt.status,
            "latency_ms": attempt.latency_ms,
            "answer": attempt.answer,
            "failure": attempt.failure,
        })
    });
    let tries: Vec<Value> = tries.collect();
    Entry {
        entry_type: "delivery".to_owned(),
        at: row.created_at,
        summary: format!("{}: {}", row.event_type, row.state),
        evidence: json!({
            "id": DeliveryId(row.delivery_id).to_string(),
            "endpoint": EndpointId(row.endpoint_id).to_string(),
            "event": EventId(row.event_id).to_string(),
            "status": row.state,
            "attempts": tries,
            "next_attempt_at": row.due_at.map(rfc3339),
            "finished_at": row.finished_at.map(rfc3339),
        }),
    }
}

fn rfc3339(time: OffsetDateTime) -> Option<String> {
    time.format(&time::format_description::well_known::Rfc3339).ok()
}
