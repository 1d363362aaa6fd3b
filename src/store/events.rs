//! `events`: what merchants are told, in the order in which it can be read without loss.

use time::OffsetDateTime;
use uuid::Uuid;

use super::session::Session;
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

/// The place that every reader begins at: behind all that was dropped.
pub async fn start(connection: &mut Session) -> Result<Place, StoreError> {
    let dropped = sqlx::query_as!(
        Place,
        r#"SELECT last_xid::text AS "xid!", last_event AS event_id FROM dropped_months ORDER BY last_xid DESC, last_event DESC LIMIT 1"#
    )
    .fetch_optional(connection)
    .await?;
    Ok(dropped.unwrap_or_else(|| Place { xid: "0".to_owned(), event_id: Uuid::nil() }))
}

/// The place behind an event. `None` if there is no such event, or something behind it was dropped: a month that is kept for its
/// pending deliveries can be older than one that is gone.
pub async fn place_of(connection: &mut Session, merchant: MerchantId, event: EventId) -> Result<Option<Place>, StoreError> {
    let place = sqlx::query_as!(
        Place,
        r#"SELECT e.xid::text AS "xid!", e.event_id FROM events e
           WHERE e.merchant_id = $1 AND e.event_id = $2
             AND NOT EXISTS (SELECT FROM dropped_months WHERE (last_xid, last_event) > (e.xid, e.event_id))"#,
        merchant.0,
        event.0,
    )
    .fetch_optional(connection)
    .await?;
    Ok(place)
}

/// Whether events of the time of this id were dropped: there may have been one of this id, and others after it.
pub async fn was_dropped(connection: &mut Session, event: EventId) -> Result<bool, StoreError> {
    let dropped =
        sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM dropped_months WHERE month >= month_of_id($1)) AS "dropped!""#, event.0)
            .fetch_one(connection)
            .await?;
    Ok(dropped)
}

/// Events behind a place, oldest first, at most `limit`; of these types, if some are given. What is shown once is never
/// joined by something before it: an event comes to light when no transaction is open that is older than its own. Gives nothing
/// where something behind the place was dropped.
pub async fn after(
    connection: &mut Session,
    merchant: MerchantId,
    place: &Place,
    wanted: Option<&[String]>,
    limit: i64,
) -> Result<Vec<EventRow>, StoreError> {
    let rows = sqlx::query_as!(
        EventRow,
        r#"SELECT event_id, body::text AS "body!" FROM events
           WHERE merchant_id = $1 AND (xid, event_id) > ($2::text::xid8, $3) AND xid < pg_snapshot_xmin(pg_current_snapshot())
             AND NOT EXISTS (SELECT FROM dropped_months WHERE (last_xid, last_event) > ($2::text::xid8, $3))
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

/// Whether there are places that this server has not come to, as after a restore of a dump: it hides them until it has.
pub async fn are_ahead(connection: &mut Session) -> Result<bool, StoreError> {
    let ahead = sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM merchants m CROSS JOIN LATERAL (
                   SELECT e.xid FROM events e WHERE e.merchant_id = m.merchant_id ORDER BY e.xid DESC, e.event_id DESC LIMIT 1) last
               WHERE last.xid >= pg_snapshot_xmax(pg_current_snapshot()))
             OR EXISTS (SELECT FROM dropped_months WHERE last_xid >= pg_snapshot_xmax(pg_current_snapshot())) AS "ahead!""#
    )
    .fetch_one(connection)
    .await?;
    Ok(ahead)
}

/// Writes an event that one endpoint alone is told.
pub async fn insert_for(
    connection: &mut Session,
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
