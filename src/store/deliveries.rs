//! `webhook_deliveries` and `webhook_attempts`: the history of what merchants were told; and sending it again.

use sqlx::{Connection, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

use super::session::{LONG, Session, within};
use super::{StoreError, audit};
use crate::domain::audit::Entry;
use crate::domain::delivery::DeliveryState;
use crate::domain::ids::{DeliveryId, EndpointId, EventId, MerchantId, OrderId};

/// A delivery.
#[derive(Clone, Debug)]
pub struct DeliveryRow {
    /// Its id.
    pub delivery_id: Uuid,
    /// Where it goes.
    pub endpoint_id: Uuid,
    /// What it tells.
    pub event_id: Uuid,
    /// The event's type.
    pub event_type: String,
    /// The merchant's id of the order that the event is about.
    pub trade_id: Option<String>,
    /// How it stands.
    pub state: String,
    /// When its event was written.
    pub created_at: OffsetDateTime,
    /// When it came to its end.
    pub finished_at: Option<OffsetDateTime>,
    /// When it is tried next, if nothing of the same order is before it. Absent where it is finished.
    pub due_at: Option<OffsetDateTime>,
}

/// A try.
#[derive(Clone, Debug)]
pub struct AttemptRow {
    /// The delivery's id.
    pub delivery_id: Uuid,
    /// Counts from 1.
    pub number: i32,
    /// The HTTP status.
    pub status: Option<i32>,
    /// How long it took.
    pub latency_ms: i32,
    /// How the answer's body begins.
    pub answer: Option<String>,
    /// Why no answer came.
    pub failure: Option<String>,
    /// When it came to its end.
    pub at: OffsetDateTime,
}

/// What a list shows. An absent field filters nothing.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// To this endpoint.
    pub endpoint: Option<EndpointId>,
    /// In one of these states.
    pub states: Option<Vec<String>>,
    /// Only what is older than this one.
    pub starting_after: Option<DeliveryId>,
}

/// Deliveries, newest first, at most `limit`.
pub async fn list(connection: &mut Session, merchant: MerchantId, filter: &Filter, limit: i64) -> Result<Vec<DeliveryRow>, StoreError> {
    let rows = sqlx::query_as!(
        DeliveryRow,
        r#"SELECT d.delivery_id, d.endpoint_id, d.event_id, d.event_type, o.trade_id AS "trade_id?", d.state, d.created_at, d.finished_at,
                  q.due_at AS "due_at?"
           FROM webhook_deliveries d
           LEFT JOIN orders o ON o.merchant_id = d.merchant_id AND o.order_id = d.order_id
           -- As tries are written: by the queue's key, whatever is known of the queue.
           LEFT JOIN LATERAL (
               SELECT q.* FROM webhook_queue q WHERE (q.merchant_id, q.delivery_id) >= (d.merchant_id, d.delivery_id)
               ORDER BY q.merchant_id, q.delivery_id LIMIT 1) q ON q.merchant_id = d.merchant_id AND q.delivery_id = d.delivery_id
           WHERE d.merchant_id = $1 AND ($2::uuid IS NULL OR d.endpoint_id = $2) AND ($3::text[] IS NULL OR d.state = ANY($3))
             AND d.delivery_id < coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
           ORDER BY d.delivery_id DESC
           LIMIT $5"#,
        merchant.0,
        filter.endpoint.map(|id| id.0),
        filter.states.as_deref(),
        filter.starting_after.map(|id| id.0),
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// One delivery.
pub async fn get(connection: &mut Session, merchant: MerchantId, delivery: DeliveryId) -> Result<Option<DeliveryRow>, StoreError> {
    let row = sqlx::query_as!(
        DeliveryRow,
        r#"SELECT d.delivery_id, d.endpoint_id, d.event_id, d.event_type, o.trade_id AS "trade_id?", d.state, d.created_at, d.finished_at,
                  q.due_at AS "due_at?"
           FROM webhook_deliveries d
           LEFT JOIN orders o ON o.merchant_id = d.merchant_id AND o.order_id = d.order_id
           LEFT JOIN LATERAL (
               SELECT q.* FROM webhook_queue q WHERE (q.merchant_id, q.delivery_id) >= (d.merchant_id, d.delivery_id)
               ORDER BY q.merchant_id, q.delivery_id LIMIT 1) q ON q.merchant_id = d.merchant_id AND q.delivery_id = d.delivery_id
           WHERE d.merchant_id = $1 AND d.delivery_id = $2"#,
        merchant.0,
        delivery.0,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// The id of the delivery of an event to an endpoint. `None` if there is none.
pub async fn id_of(
    connection: &mut Session,
    merchant: MerchantId,
    event: EventId,
    endpoint: EndpointId,
) -> Result<Option<Uuid>, StoreError> {
    let id = sqlx::query_scalar!(
        "SELECT delivery_id FROM webhook_deliveries WHERE merchant_id = $1 AND delivery_id = delivery_id_of($2, $3)",
        merchant.0,
        event.0,
        endpoint.0,
    )
    .fetch_optional(connection)
    .await?;
    Ok(id)
}

/// The deliveries of an order's events, first to last. The newest 200.
pub async fn of_order(connection: &mut Session, merchant: MerchantId, order: OrderId) -> Result<Vec<DeliveryRow>, StoreError> {
    let mut rows = sqlx::query_as!(
        DeliveryRow,
        r#"SELECT d.delivery_id, d.endpoint_id, d.event_id, d.event_type, NULL::text AS trade_id, d.state, d.created_at, d.finished_at,
                  q.due_at AS "due_at?"
           FROM events e
           -- Event by event: joined, all deliveries of the merchant are read.
           CROSS JOIN LATERAL (
               SELECT d.* FROM webhook_deliveries d
               WHERE d.merchant_id = e.merchant_id AND d.event_id = e.event_id
                 AND d.delivery_id BETWEEN first_delivery_of(e.event_id) AND last_delivery_of(e.event_id) OFFSET 0) d
           LEFT JOIN LATERAL (
               SELECT q.* FROM webhook_queue q WHERE (q.merchant_id, q.delivery_id) >= (d.merchant_id, d.delivery_id)
               ORDER BY q.merchant_id, q.delivery_id LIMIT 1) q ON q.merchant_id = d.merchant_id AND q.delivery_id = d.delivery_id
           WHERE e.merchant_id = $1 AND e.order_id = $2
           ORDER BY e.sequence DESC, d.delivery_id DESC
           LIMIT 200"#,
        merchant.0,
        order.0,
    )
    .fetch_all(connection)
    .await?;
    rows.reverse();
    Ok(rows)
}

/// The tries of these deliveries, first to last.
pub async fn attempts(connection: &mut Session, merchant: MerchantId, deliveries: &[Uuid]) -> Result<Vec<AttemptRow>, StoreError> {
    let mut rows = sqlx::query_as!(
        AttemptRow,
        "SELECT a.delivery_id, a.number, a.status, a.latency_ms, a.answer, a.failure, a.at
         FROM unnest($2::uuid[]) AS wanted(id)
         CROSS JOIN LATERAL (SELECT * FROM webhook_attempts a WHERE a.merchant_id = $1 AND a.delivery_id = wanted.id OFFSET 0) a",
        merchant.0,
        deliveries,
    )
    .fetch_all(connection)
    .await?;
    // Here, and not there: an index has all of the merchant's tries in this order, and would be read instead of being sorted.
    rows.sort_unstable_by_key(|row| (row.delivery_id, row.number));
    Ok(rows)
}

/// Sends a delivery again that is finished, at once. `false` if it is not in one of these states.
pub async fn resend(
    connection: &mut Session,
    merchant: MerchantId,
    (endpoint, one): (EndpointId, DeliveryId),
    states: &[DeliveryState],
    now: OffsetDateTime,
    entry: &Entry,
) -> Result<bool, StoreError> {
    within(connection.limit(), async {
        let mut transaction = connection.unhurried().begin().await?;
        let reopened = reopen(&mut transaction, merchant, (endpoint, Some(one)), states, None, now).await?;
        if reopened > 0 {
            audit::insert(&mut transaction, entry).await?;
        }
        transaction.commit().await?;
        Ok(reopened > 0)
    })
    .await
}

/// Which deliveries an endpoint gets again.
#[derive(Debug)]
pub struct Again<'a> {
    /// Those in one of these states.
    pub states: &'a [DeliveryState],
    /// Only those whose event was written at this time or later.
    pub since: Option<OffsetDateTime>,
    /// Also events of this time or later (the least id of that time) that were never on their way to it.
    pub handed_since: Option<(OffsetDateTime, Uuid)>,
}

/// Sends past events to an endpoint again, and says so in the audit log: all of it or nothing. Gives their number.
pub async fn replay(
    connection: &mut Session,
    merchant: MerchantId,
    endpoint: EndpointId,
    again: Again<'_>,
    now: OffsetDateTime,
    entry: impl FnOnce(i64) -> Entry,
) -> Result<i64, StoreError> {
    within(LONG, async {
        let mut transaction = connection.unhurried().begin().await?;
        let mut count = reopen(&mut transaction, merchant, (endpoint, None), again.states, again.since, now).await?;
        if let Some(since) = again.handed_since {
            count += hand_past_events(&mut transaction, merchant, endpoint, since, now).await?;
        }
        audit::insert(&mut transaction, &entry(count)).await?;
        transaction.commit().await?;
        Ok(count)
    })
    .await
}

/// Sends deliveries again: this one, or all to the endpoint that are in one of these states and whose event was written at
/// `since` or later. They are due at once, and have the whole schedule before them. Gives their number.
async fn reopen(
    connection: &mut PgConnection,
    merchant: MerchantId,
    (endpoint, one): (EndpointId, Option<DeliveryId>),
    states: &[DeliveryState],
    since: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Result<i64, StoreError> {
    let states: Vec<String> = states.iter().map(ToString::to_string).collect();
    let reopened = sqlx::query_scalar!(
        r#"WITH d AS (
             UPDATE webhook_deliveries d SET state = 'pending', finished_at = NULL
             FROM webhook_endpoints n
             WHERE d.merchant_id = $1 AND d.endpoint_id = $2 AND d.state = ANY($4) AND ($5::timestamptz IS NULL OR d.created_at >= $5)
               -- Only these months are looked into. Ids can be made a little before the time that is written down.
               AND d.delivery_id >= coalesce($3::uuid, first_id_at($5 - interval '1 hour'), '00000000-0000-0000-0000-000000000000')
               AND d.delivery_id <= coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
               AND n.merchant_id = d.merchant_id AND n.endpoint_id = d.endpoint_id AND n.state <> 'disabled' AND n.deleted_at IS NULL
             RETURNING d.merchant_id, d.endpoint_id, d.delivery_id, d.event_id
         ), q AS (
             INSERT INTO webhook_queue (merchant_id, endpoint_id, object_id, place, delivery_id, event_id, due_at)
             SELECT d.merchant_id, d.endpoint_id, CASE WHEN e.sequence IS NULL THEN e.event_id ELSE e.order_id END, coalesce(e.sequence, 0),
                    d.delivery_id, d.event_id, $6
             FROM d JOIN events e ON e.merchant_id = d.merchant_id AND e.event_id = d.event_id
             -- Always in the same order, so that two of us never wait for each other.
             ORDER BY 3, 4
             ON CONFLICT ON CONSTRAINT a_delivery_is_queued_once DO UPDATE SET due_at = $6, tries = 0
                 WHERE webhook_queue.leased_until IS NULL OR webhook_queue.leased_until <= $6
         )
         SELECT count(*) AS "reopened!" FROM d"#,
        merchant.0,
        endpoint.0,
        one.map(|id| id.0),
        &states,
        since,
        now,
    )
    .fetch_one(connection)
    .await?;
    Ok(reopened)
}

/// Tells an endpoint of events that were written at `since` or later, that it wants, and that were never on their way to it: it
/// did not want them then, or was disabled, or not there. `first_id` is the least id of that time. Gives their number.
async fn hand_past_events(
    connection: &mut PgConnection,
    merchant: MerchantId,
    endpoint: EndpointId,
    (since, first_id): (OffsetDateTime, Uuid),
    now: OffsetDateTime,
) -> Result<i64, StoreError> {
    let handed = sqlx::query_scalar!(
        r#"WITH d AS (
             INSERT INTO webhook_deliveries (merchant_id, delivery_id, endpoint_id, event_id, event_type, order_id, state, created_at)
             SELECT e.merchant_id, delivery_id_of(e.event_id, n.endpoint_id), n.endpoint_id, e.event_id, e.event_type, e.order_id, 'pending', e.created_at
             FROM events e JOIN webhook_endpoints n ON n.merchant_id = e.merchant_id
             WHERE e.merchant_id = $1 AND n.endpoint_id = $2 AND n.state <> 'disabled' AND n.deleted_at IS NULL
               AND e.event_id >= $4 AND e.created_at >= $3 AND e.endpoint_id IS NULL AND wants_event(n.events, e.event_type)
             ON CONFLICT DO NOTHING
             RETURNING merchant_id, delivery_id, endpoint_id, event_id
         ), q AS (
             INSERT INTO webhook_queue (merchant_id, endpoint_id, object_id, place, delivery_id, event_id, due_at)
             SELECT d.merchant_id, d.endpoint_id, CASE WHEN e.sequence IS NULL THEN e.event_id ELSE e.order_id END, coalesce(e.sequence, 0),
                    d.delivery_id, d.event_id, $5
             FROM d JOIN events e ON e.merchant_id = d.merchant_id AND e.event_id = d.event_id
             ORDER BY 3, 4
         )
         SELECT count(*) AS "handed!" FROM d"#,
        merchant.0,
        endpoint.0,
        since,
        first_id,
        now,
    )
    .fetch_one(connection)
    .await?;
    Ok(handed)
}
