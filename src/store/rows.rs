//! Rows as the tables hold them, and the way back to the domain's types.

use rust_decimal::Decimal;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use crate::domain::ids::{CustomerId, MerchantId, OrderId, TradeId};
use crate::domain::money::Amount;
use crate::domain::order::{Kind, Order};
use crate::domain::status::State;

/// A row of `orders`, whole.
#[derive(Debug, Deserialize)]
pub struct OrderRow {
    pub merchant_id: Uuid,
    pub order_id: Uuid,
    pub trade_id: String,
    pub kind: String,
    pub provider: String,
    pub status: String,
    pub stage: Option<String>,
    pub sequence: i64,
    pub coin: String,
    pub provider_coin_id: String,
    pub decimals: i32,
    #[serde(deserialize_with = "decimal")]
    pub amount: Decimal,
    #[serde(deserialize_with = "decimal")]
    pub tolerance: Decimal,
    #[serde(deserialize_with = "decimal")]
    pub amount_received: Decimal,
    #[serde(deserialize_with = "decimal")]
    pub amount_confirmed: Decimal,
    #[serde(deserialize_with = "maybe_decimal")]
    pub fee: Option<Decimal>,
    pub late: bool,
    pub customer: Option<String>,
    pub destination: Option<Value>,
    pub provider_user: Option<String>,
    pub source_user: Option<String>,
    pub next_action: Option<Value>,
    pub provider_reference: Option<String>,
    pub txid: Option<String>,
    pub confirmations: Option<i32>,
    pub failure: Option<Value>,
    pub claim: Option<Value>,
    pub doubts: i16,
    #[serde(with = "time::serde::rfc3339::option")]
    pub doubt_since: Option<OffsetDateTime>,
    pub is_final: bool,
    #[serde(with = "time::serde::rfc3339::option")]
    pub final_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    pub metadata: Option<Value>,
    #[serde(deserialize_with = "read_bytes")]
    pub fingerprint: Vec<u8>,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    pub return_url: Option<String>,
    pub retry: Option<Value>,
}

impl TryFrom<OrderRow> for Order {
    type Error = StoreError;

    fn try_from(row: OrderRow) -> Result<Self, StoreError> {
        let kind: Kind = parsed(row.kind.parse().ok(), "kind", &row.kind)?;
        let state = State::read(kind, &row.status, row.stage.as_deref());
        Ok(Self {
            merchant_id: MerchantId(row.merchant_id),
            id: OrderId(row.order_id),
            trade_id: parsed(TradeId::parse(&row.trade_id).ok(), "trade_id", &row.trade_id)?,
            kind,
            provider: parsed(row.provider.parse().ok(), "provider", &row.provider)?,
            state: parsed(state, "status", &row.status)?,
            sequence: row.sequence,
            coin: row.coin,
            provider_coin_id: row.provider_coin_id,
            decimals: parsed(row.decimals.try_into().ok(), "decimals", "")?,
            amount: amount(row.amount)?,
            tolerance: amount(row.tolerance)?,
            amount_received: amount(row.amount_received)?,
            amount_confirmed: amount(row.amount_confirmed)?,
            fee: row.fee.map(amount).transpose()?,
            late: row.late,
            customer: row.customer.map(|text| parsed(CustomerId::parse(&text).ok(), "customer", "")).transpose()?,
            destination: document(row.destination, "destination")?,
            provider_user: row.provider_user,
            source_user: row.source_user,
            next_action: document(row.next_action, "next_action")?,
            provider_reference: row.provider_reference,
            txid: row.txid,
            confirmations: row.confirmations,
            failure: document(row.failure, "failure")?,
            claim: document(row.claim, "claim")?,
            doubts: row.doubts,
            doubt_since: row.doubt_since,
            retry: document(row.retry, "retry")?,
            is_final: row.is_final,
            final_at: row.final_at,
            expires_at: row.expires_at,
            metadata: row.metadata,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// Orders from rows; fails if one of them cannot be read.
pub fn orders(rows: Vec<OrderRow>) -> Result<Vec<Order>, StoreError> {
    rows.into_iter().map(Order::try_from).collect()
}

/// An amount from its column.
pub fn amount(value: Decimal) -> Result<Amount, StoreError> {
    parsed(Amount::from_decimal(value), "amount", "")
}

fn document<T: DeserializeOwned>(value: Option<Value>, column: &str) -> Result<Option<T>, StoreError> {
    let read = |value| serde_json::from_value(value).map_err(|error| StoreError::Unreadable(format!("{column}: {error}")));
    value.map(read).transpose()
}

/// What was read, or an error that names the column.
pub fn parsed<T>(value: Option<T>, column: &str, text: &str) -> Result<T, StoreError> {
    value.ok_or_else(|| StoreError::Unreadable(format!("{column} {text:?}")))
}

/// Bytes in the form in which Postgres reads them from a text.
#[expect(clippy::expect_used, reason = "there is room for each digit, and a digit is a character")]
pub fn bytes(bytes: &[u8]) -> String {
    let mut text = vec![b'\\', b'x'];
    text.resize(2 + 2 * bytes.len(), b'0');
    hex::encode_to_slice(bytes, &mut text[2..]).expect("two digits for each");
    String::from_utf8(text).expect("digits")
}

/// How Postgres writes a number in JSON.
pub(super) fn decimal<'de, D: Deserializer<'de>>(input: D) -> Result<Decimal, D::Error> {
    serde_json::Number::deserialize(input)?.to_string().parse().map_err(D::Error::custom)
}

/// As [`decimal`], where there may be none.
pub(super) fn maybe_decimal<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Decimal>, D::Error> {
    let number = Option::<serde_json::Number>::deserialize(input)?;
    number.map(|number| number.to_string().parse().map_err(D::Error::custom)).transpose()
}

/// How Postgres writes bytes in JSON.
pub(super) fn read_bytes<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(input)?;
    hex::decode(text.strip_prefix("\\x").unwrap_or(&text)).map_err(D::Error::custom)
}
