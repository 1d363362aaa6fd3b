//! Creating orders, in one statement for all that are asked for at the same time.

use std::time::Duration;

use futures_util::FutureExt;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::agenda::Task;
use crate::domain::ids::{AttemptId, CustomerId, EventId, MerchantId, TradeId};
use crate::domain::money::Amount;
use crate::domain::order::{Destination, NextAction, Order};
use crate::store::group::{Group, document, row};
use crate::store::links::TokenRow;
use crate::store::pool::Connections;
use crate::store::rows::bytes;
use crate::store::session::Session;
use crate::store::{Db, StoreError};

/// A new order with all that is written with it.
#[derive(Debug)]
pub struct NewOrder<'a> {
    /// The order, at its first place and sequence 1.
    pub order: &'a Order,
    /// SHA-256 of what was asked.
    pub fingerprint: &'a [u8],
    /// The event of its first step.
    pub event_id: EventId,
    /// That event's type and body.
    pub event: (&'a str, &'a RawValue),
    /// Why there is a first step: who asked for the order.
    pub reason: &'a str,
    /// What is to be done next.
    pub task: Task,
    /// The first attempt, where the caller sends it at once, and until when the caller keeps the task.
    pub attempt: Option<(AttemptId, OffsetDateTime)>,
    /// Where the customer's browser goes after it has paid.
    pub return_url: Option<&'a str>,
    /// What the customer must have at the provider: without it nothing is written.
    pub needs: Need,
}

/// What an order needs its customer to have at the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// An account that is open to us.
    Link,
    /// An account that the provider keeps for us.
    User,
}

/// What became of a new order.
#[derive(Debug)]
pub struct Created {
    /// It was written; else the trade id was there before.
    pub inserted: bool,
    /// What the order with this trade id asked for.
    pub fingerprint: Vec<u8>,
    /// The customer's link. Absent where none is needed.
    pub link: Option<TokenRow>,
    /// The provider's id of the customer's user. Absent where none is needed.
    pub user: Option<String>,
    /// Where the customer pays this coin in, if that was asked before.
    pub address: Option<String>,
}

/// New orders on their way to the database. Two with the same trade id never share a statement.
pub type Creations = Group<(MerchantId, TradeId), String, Option<Created>>;

/// The way of new orders to the database.
pub fn creations(connections: Connections, patience: Duration) -> Creations {
    Group::new(patience, move |rows| {
        let (connections, count, document) = (connections.clone(), rows.len(), document(rows));
        async move {
            let mut connection = connections.get().await?;
            let created = write(&mut connection, &document, count).await?;
            connection.done();
            Ok(created)
        }
        .boxed()
    })
}

/// Writes a new order with its first step, event, task and attempt, in one statement. Where the
/// trade id was used before, nothing is written but a touch of that order's row, so that the answer
/// waits for the row to be as durable as a new one. `None` if the customer lacks what is needed.
pub async fn create(db: &Db, new: &NewOrder<'_>) -> Result<Option<Created>, StoreError> {
    let key = (new.order.merchant_id, new.order.trade_id.clone());
    db.creations.put(key, row(&Row::of(new))?).await
}

/// A new order as the statement reads it. The names are those of its list of columns.
#[derive(Serialize)]
struct Row<'a> {
    merchant_id: Uuid,
    order_id: Uuid,
    trade_id: &'a str,
    kind: &'static str,
    provider: &'static str,
    status: &'static str,
    stage: Option<&'static str>,
    coin: &'a str,
    provider_coin_id: &'a str,
    decimals: u32,
    amount: Amount,
    tolerance: Amount,
    customer: Option<&'a str>,
    destination: Option<&'a Destination>,
    provider_user: Option<&'a str>,
    source_user: Option<&'a str>,
    next_action: Option<&'a NextAction>,
    #[serde(with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
    metadata: Option<&'a Value>,
    fingerprint: String,
    return_url: Option<&'a str>,
    #[serde(with = "time::serde::rfc3339")]
    now: OffsetDateTime,
    reason: &'a str,
    event_id: Uuid,
    event_type: &'a str,
    event: &'a RawValue,
    work: &'static str,
    #[serde(with = "time::serde::rfc3339")]
    due_at: OffsetDateTime,
    attempt_id: Option<Uuid>,
    #[serde(with = "time::serde::rfc3339::option")]
    leased_until: Option<OffsetDateTime>,
    needs_link: bool,
    needs_user: bool,
}

impl<'a> Row<'a> {
    fn of(new: &'a NewOrder<'a>) -> Self {
        let order = new.order;
        Self {
            merchant_id: order.merchant_id.0,
            order_id: order.id.0,
            trade_id: order.trade_id.as_str(),
            kind: order.kind.into(),
            provider: order.provider.into(),
            status: order.state.status(),
            stage: order.state.stage(),
            coin: &order.coin,
            provider_coin_id: &order.provider_coin_id,
            decimals: order.decimals,
            amount: order.amount,
            tolerance: order.tolerance,
            customer: order.customer.as_ref().map(CustomerId::as_str),
            destination: order.destination.as_ref(),
            provider_user: order.provider_user.as_deref(),
            source_user: order.source_user.as_deref(),
            next_action: order.next_action.as_ref(),
            expires_at: order.expires_at,
            metadata: order.metadata.as_ref(),
            fingerprint: bytes(new.fingerprint),
            return_url: new.return_url,
            now: order.created_at,
            reason: new.reason,
            event_id: new.event_id.0,
            event_type: new.event.0,
            event: new.event.1,
            work: new.task.work.into(),
            due_at: new.task.due_at,
            attempt_id: new.attempt.map(|(attempt, _)| attempt.0),
            leased_until: new.attempt.map(|(_, until)| until),
            needs_link: new.needs == Need::Link,
            needs_user: new.needs == Need::User,
        }
    }
}

/// Writes the rows of a document, `count` of them. Gives what became of each, in their order.
async fn write(connection: &mut Session, document: &str, count: usize) -> Result<Vec<Option<Created>>, StoreError> {
    let rows = sqlx::query!(
        r#"
        WITH input AS MATERIALIZED (
            SELECT * FROM ROWS FROM (json_to_recordset($1::text::json) AS (
                merchant_id uuid, order_id uuid, trade_id text, kind text, provider text, status text, stage text, coin text,
                provider_coin_id text, decimals integer, amount numeric, tolerance numeric, customer text, destination jsonb,
                provider_user text, source_user text, next_action jsonb, expires_at timestamptz, metadata json, fingerprint bytea,
                return_url text, now timestamptz, reason text, event_id uuid, event_type text, event json, work text, due_at timestamptz,
                attempt_id uuid, leased_until timestamptz, needs_link boolean, needs_user boolean)) WITH ORDINALITY
        ), ready AS MATERIALIZED (
            SELECT i.*, link.provider_user AS linked, link.sealed_tokens, link.generation, link.access_expires_at, link.refresh_at,
                   link.last_used_at, payer.provider_user AS payer, payer.address
            FROM input i
            -- One by one over their keys, whatever the statistics say of these tables.
            LEFT JOIN LATERAL (
                SELECT l.* FROM wallet_links l
                WHERE i.needs_link AND l.merchant_id = i.merchant_id AND l.customer = i.customer AND l.provider = i.provider
                  AND l.status = 'active'
                LIMIT 1
            ) link ON true
            LEFT JOIN LATERAL (
                SELECT u.provider_user, a.address
                FROM wallet_users u
                LEFT JOIN deposit_addresses a ON a.merchant_id = u.merchant_id AND a.customer = u.customer AND a.provider = u.provider
                                                 AND a.provider_coin_id = i.provider_coin_id
                WHERE i.needs_user AND u.merchant_id = i.merchant_id AND u.customer = i.customer AND u.provider = i.provider
                LIMIT 1
            ) payer ON true
            WHERE (NOT i.needs_link OR link.provider_user IS NOT NULL) AND (NOT i.needs_user OR payer.provider_user IS NOT NULL)
        ), o AS (
            INSERT INTO orders (
                merchant_id, order_id, trade_id, kind, provider, status, stage, sequence, coin, provider_coin_id, decimals,
                amount, tolerance, amount_received, amount_confirmed, late, customer, destination, provider_user, source_user, next_action,
                doubts, is_final, expires_at, metadata, fingerprint, created_at, updated_at, return_url)
            SELECT merchant_id, order_id, trade_id, kind, provider, status, stage, 1, coin, provider_coin_id, decimals,
                   amount, tolerance, 0, 0, false, customer, destination, coalesce(provider_user, linked, payer), source_user, next_action,
                   0, false, expires_at, metadata, fingerprint, now, now, return_url
            FROM ready
            -- Always in the same order, so that two statements never wait for each other.
            ORDER BY merchant_id, trade_id
            ON CONFLICT ON CONSTRAINT a_trade_id_is_used_once DO UPDATE SET trade_id = excluded.trade_id
            RETURNING merchant_id, trade_id, order_id, fingerprint
        ), fresh AS (
            SELECT r.* FROM ready r JOIN o USING (merchant_id, order_id)
        ), worn AS (
            SELECT l.merchant_id, l.customer, l.provider, n.now
            FROM (SELECT merchant_id, customer, provider, max(now) AS now FROM ready WHERE last_used_at < now - interval '1 hour'
                  GROUP BY 1, 2, 3 ORDER BY 1, 2, 3) n
            CROSS JOIN LATERAL (
                SELECT w.* FROM wallet_links w
                WHERE w.merchant_id = n.merchant_id AND w.customer = n.customer AND w.provider = n.provider FOR NO KEY UPDATE OF w
            ) l
        ), used AS (
            -- Links in use are kept fresh; to the hour is exact enough.
            UPDATE wallet_links l SET last_used_at = worn.now
            FROM worn WHERE l.merchant_id = worn.merchant_id AND l.customer = worn.customer AND l.provider = worn.provider
        ), s AS (
            INSERT INTO steps (merchant_id, order_id, sequence, status, stage, channel, reason, created_at)
            SELECT merchant_id, order_id, 1, status, stage, 'merchant', reason, now FROM fresh
        ), e AS (
            INSERT INTO events (merchant_id, event_id, event_type, order_id, sequence, body, created_at)
            SELECT merchant_id, event_id, event_type, order_id, 1, event, now FROM fresh
        ), t AS (
            INSERT INTO tasks (merchant_id, order_id, work, due_at, tries, leased_until, attempt_id)
            SELECT merchant_id, order_id, work, due_at, 0, leased_until, attempt_id FROM fresh
        ), a AS (
            INSERT INTO attempts (merchant_id, attempt_id, order_id, state, started_at, leased_until)
            SELECT merchant_id, attempt_id, order_id, 'open', now, leased_until FROM fresh WHERE attempt_id IS NOT NULL
        )
        SELECT r.ordinality AS "place!", o.order_id = r.order_id AS "inserted!", o.fingerprint AS "fingerprint!",
               r.linked AS "provider_user?", r.sealed_tokens AS "sealed_tokens?", r.generation AS "generation?",
               r.access_expires_at AS "access_expires_at?", r.refresh_at AS "refresh_at?", r.payer AS "payer?", r.address AS "address?"
        FROM o JOIN ready r USING (merchant_id, trade_id)
        "#,
        document,
    )
    .fetch_all(connection)
    .await?;
    let mut created: Vec<Option<Created>> = (0..count).map(|_| None).collect();
    for row in rows {
        let place = usize::try_from(row.place).unwrap_or_default().checked_sub(1).and_then(|place| created.get_mut(place));
        let Some(place) = place else { return Err(StoreError::Unreadable(format!("place {}", row.place))) };
        *place = Some(Created {
            inserted: row.inserted,
            fingerprint: row.fingerprint,
            link: TokenRow::from_columns(row.provider_user, row.sealed_tokens, row.generation, row.access_expires_at, row.refresh_at),
            user: row.payer,
            address: row.address,
        });
    }
    Ok(created)
}
