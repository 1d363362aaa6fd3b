//! What the merchant is shown and told of an order.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::finding::Severity;
use super::money::Amount;
use super::order::{AmountState, Destination, Failure, Kind, NextAction, Order, Provider, Retry};
use super::receipt::Progress;

/// An order, as the API and every event show it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OrderBody {
    /// Our id of the order.
    #[schema(example = "pay_0193f2a7c1d27b5e8f4e2a90c3d4e5f6")]
    pub id: String,
    /// What it is.
    pub object: Kind,
    /// Your id of the order, for ever its idempotency key.
    #[schema(example = "order-1001")]
    pub trade_id: String,
    /// The wallet that carries it out.
    pub provider: Provider,
    /// Where it is: coarse and stable.
    #[schema(example = "processing")]
    pub status: &'static str,
    /// Where it is within the status: finer, and may grow. Null where the status says it all.
    #[schema(example = "outcome_unknown")]
    pub stage: Option<&'static str>,
    /// The coin, as `/v1/coins` names it.
    #[schema(example = "usdt")]
    pub coin: String,
    /// The amount asked, in whole coins.
    #[schema(value_type = String, example = "12.5")]
    pub amount: Amount,
    /// Deposits: what was seen. Payouts and transfers: what the other side gets.
    #[schema(value_type = String, example = "12.5")]
    pub amount_received: Amount,
    /// Deposits: what was proven. Payouts and transfers: what has gone.
    #[schema(value_type = String, example = "12.5")]
    pub amount_confirmed: Amount,
    /// What the provider took, in the same coin. Null until the provider says.
    #[schema(value_type = Option<String>, example = "0.1")]
    pub fee: Option<Amount>,
    /// How the amount seen compares with the amount asked.
    pub amount_state: AmountState,
    /// The money came after expiry or cancellation.
    pub late: bool,
    /// Your customer.
    #[schema(example = "customer-7")]
    pub customer: Option<String>,
    /// Where a payout goes.
    pub destination: Option<Destination>,
    /// What the customer has to do next.
    pub next_action: Option<NextAction>,
    /// A page that shows the customer how to pay.
    pub checkout_url: Option<String>,
    /// The provider's id of the movement.
    #[schema(example = "7781")]
    pub provider_reference: Option<String>,
    /// The chain's id of the movement.
    pub txid: Option<String>,
    /// Confirmations on the chain.
    pub confirmations: Option<i32>,
    /// Why it failed or waits for a human.
    pub failure: Option<Failure>,
    /// Somebody wants it sent again although its outcome is unknown. Absent where nobody does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Nothing will change any more.
    pub is_final: bool,
    /// When it became final, or will.
    #[serde(with = "time::serde::rfc3339::option")]
    pub final_at: Option<OffsetDateTime>,
    /// Until when a deposit is expected to be paid.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    /// Counts the order's steps, without gaps.
    #[schema(example = 3)]
    pub sequence: i64,
    /// Your own notes, as you gave them.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Value>,
    /// When you asked for it.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When its last step was.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

impl From<&Order> for OrderBody {
    fn from(order: &Order) -> Self {
        Self {
            id: order.public_id(),
            object: order.kind,
            trade_id: order.trade_id.to_string(),
            provider: order.provider,
            status: order.state.status(),
            stage: order.state.stage(),
            coin: order.coin.clone(),
            amount: order.amount,
            amount_received: order.amount_received,
            amount_confirmed: order.amount_confirmed,
            fee: order.fee,
            amount_state: order.amount_state(),
            late: order.late,
            customer: order.customer.as_ref().map(ToString::to_string),
            destination: order.destination.clone(),
            next_action: order.next_action.clone(),
            checkout_url: None,
            provider_reference: order.provider_reference.clone(),
            txid: order.txid.clone(),
            confirmations: order.confirmations,
            failure: order.failure.clone(),
            retry: order.retry.clone(),
            is_final: order.is_final,
            final_at: order.final_at,
            expires_at: order.expires_at,
            sequence: order.sequence,
            metadata: order.metadata.clone(),
            created_at: order.created_at,
            updated_at: order.updated_at,
        }
    }
}

/// What a merchant is told: the body of an event, in the webhook and in the event feed alike.
#[derive(Clone, Debug, Serialize)]
pub struct EventBody<T> {
    /// What happened, for example `payout.succeeded`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub timestamp: OffsetDateTime,
    /// What it happened to, as it then was.
    pub data: T,
    /// The step's number within its order. Null where the event is not about a step.
    pub sequence: Option<i64>,
}

/// A body as it is stored and sent: written once, and the same to the byte from then on.
pub type WrittenBody = Box<RawValue>;

impl<T: Serialize> EventBody<T> {
    /// As it is stored and sent.
    ///
    /// # Errors
    /// What it is about cannot be written as JSON.
    pub fn written(&self) -> Result<WrittenBody, serde_json::Error> {
        to_raw_value(self)
    }
}

impl EventBody<OrderBody> {
    /// The event of the order's newest step.
    pub fn of(order: &Order) -> Self {
        Self {
            event_type: format!("{}.{}", order.kind, order.state.status()),
            timestamp: order.updated_at,
            data: OrderBody::from(order),
            sequence: Some(order.sequence),
        }
    }
}

/// A discrepancy, as the API and its events show it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DiscrepancyBody {
    /// Its id.
    #[schema(example = "dsc_0193f2a7c1d27b5e8f4e2a90c3d4e5f6")]
    pub id: String,
    /// Always `discrepancy`.
    pub object: &'static str,
    /// About what the sides disagree.
    #[schema(example = "forged_callback")]
    pub kind: String,
    /// How soon somebody should look at it.
    pub severity: Severity,
    /// The wallet whose side it is.
    #[schema(example = "hicoin")]
    pub provider: String,
    /// Your id of the order that it is about. Null where it is about none.
    pub trade_id: Option<String>,
    /// The provider's number of the incoming movement that it is about. Null where it is about none.
    pub provider_receipt_id: Option<String>,
    /// The coin whose balance it is about. Null where it is about none.
    pub balance_of: Option<String>,
    /// `report` (something that was heard) or `reconciliation` (both sides were compared).
    pub found_by: String,
    /// The way out.
    pub suggested_action: &'static str,
    /// Our side.
    #[schema(value_type = Object)]
    pub ours: Value,
    /// The other side.
    #[schema(value_type = Object)]
    pub theirs: Value,
    /// `open` or `resolved`.
    pub status: &'static str,
    /// When it was found.
    #[serde(with = "time::serde::rfc3339")]
    pub opened_at: OffsetDateTime,
    /// When it was resolved.
    #[serde(with = "time::serde::rfc3339::option")]
    pub resolved_at: Option<OffsetDateTime>,
    /// Who resolved it: a key, or `reconciliation`, which found that both sides agree again.
    pub resolved_by: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// An incoming movement, as the API and its events show it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ReceiptBody {
    /// Its id.
    #[schema(example = "rcp_0193f2a7c1d27b5e8f4e2a90c3d4e5f6")]
    pub id: String,
    /// Always `receipt`.
    pub object: &'static str,
    /// The provider that reports it.
    pub provider: Provider,
    /// The provider's id of the movement.
    pub provider_receipt_id: String,
    /// How it stands. What is abnormal does not count.
    pub status: Progress,
    /// Your id of the order that it is of; in an event, also of an order whose time for late money was over when it came.
    /// Null where it is nobody's.
    pub trade_id: Option<String>,
    /// Your customer whom it came to. Null where the wallet's user is not one of yours.
    #[schema(example = "customer-7")]
    pub customer: Option<String>,
    /// The coin, as `/v1/coins` names it.
    #[schema(example = "ETH")]
    pub coin: String,
    /// How much came.
    #[schema(value_type = String, example = "12.5")]
    pub amount: Amount,
    /// What the provider took of it. Null where it does not say.
    #[schema(value_type = Option<String>)]
    pub fee: Option<Amount>,
    /// The address that it came to.
    pub address: Option<String>,
    /// The chain's id of the movement.
    pub txid: Option<String>,
    /// Confirmations on the chain.
    pub confirmations: Option<i32>,
    /// When we first heard of it.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When the provider last told something new of it.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// A link that has ended, as its event shows it.
#[derive(Clone, Debug, Serialize)]
pub struct LinkExpiredBody {
    /// Always `link`.
    pub object: &'static str,
    /// The merchant's id of the customer.
    pub customer: String,
    /// The wallet.
    pub provider: Provider,
    /// The wallet's id of the user.
    pub provider_user: String,
    /// Always `expired`.
    pub status: &'static str,
}

/// An endpoint that is being tested, as its event shows it.
#[derive(Clone, Debug, Serialize)]
pub struct EndpointTestBody {
    /// Always `webhook_endpoint`.
    pub object: &'static str,
    /// Its id.
    pub id: String,
}
