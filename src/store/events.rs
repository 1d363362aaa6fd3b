//! `events`: what merchants are told, in the order in which it can be read without loss.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{StoreError, audit};
use crate::domain::audit::Entry;
use crate::domain::ids::{EndpointId, EventId, MerchantId};

/// An event.
#[derive(Clone, Debug)]
pub struct EventRow {
    /// Its id.
    pub event_id: Uuid,
    /// Its body, to the byte as it was written.
    pub body: String,
}

/// A place in the order of events: behind this event.
#[derive(Clone, Debug)]
pub struct Place {
    xid: String,
    event_id: Uuid,
}

impl Place {
    /// Before everything.
    pub fn start() -> Self {
        Self { xid: "0".to_owned(), event_id: Uuid::nil() }
    }
}

/// The place behind an event. `None` if there is no such event.
pub async fn place_of(connection: &mut PgConnection, merchant: MerchantId, event: EventId) -> Result<Option<Place>, StoreError> {
    let place = sqlx::query_as!(
        Place,
        r#"SELECT xid::text AS "xid!", event_id FROM events WHERE merchant_id = $1 AND event_id = $2"#,
        merchant.0,
        event.0,
    )
    .fetch_optional(connection)
    .await?;
    Ok(place)
}

/// Events behind a place, oldest first, at most `limit`; of these types, if some are given. What is shown once is never
/// joined by something before it: an event comes to light when no transaction is open that is older than its own.
pub async fn after(
    connection: &mut PgConnection,
    merchant: MerchantId,
    place: &Place,
    wanted: Option<&[String]>,
    limit: i64,
) -> Result<Vec<EventRow>, StoreError> {
    let rows = sqlx::query_as!(
        EventRow,
        r#"SELECT event_id, body::text AS "body!" FROM events
           WHERE merchant_id = $1 AND (xid, event_id) > ($2::text::xid8, $3) AND xid < pg_snapshot_xmin(pg_current_snapshot())
             -- Tests of one endpoint are nobody else's news.
             AND endpoint_id IS NULL
             AND ($4::text[] IS NULL OR wants_event($4, event_type))
           ORDER BY xid, event_id
           LIMIT $5"#,
        merchant.0,
        place.xid,
        place.event_id,
        wanted,
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// Writes an event that one endpoint alone is told.
pub async fn insert_for(
    connection: &mut PgConnection,
    merchant: MerchantId,
    endpoint: EndpointId,
    (event, event_type, body): (EventId, &str, &str),
    now: OffsetDateTime,
    entry: &Entry,
) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH l AS (
             INSERT INTO audit_log SELECT r.* FROM json_populate_record(NULL::audit_log, $7::text::json) r
         )
         INSERT INTO events (merchant_id, event_id, event_type, body, created_at, endpoint_id) VALUES ($1, $2, $3, $4::text::json, $5, $6)",
        merchant.0,
        event.0,
        event_type,
        body,
        now,
        endpoint.0,
        audit::document(entry)?,
    )
    .execute(connection)
    .await?;
    Ok(())
}
