//! `webhook_endpoints` and `webhook_secrets`: where merchants want to be told, and what it is signed with.

use time::OffsetDateTime;
use uuid::Uuid;

use super::session::Session;
use super::{StoreError, audit};
use crate::domain::audit::Entry;
use crate::domain::delivery::EndpointState;
use crate::domain::ids::{EndpointId, MerchantId, SecretId};

/// An endpoint.
#[derive(Clone, Debug)]
pub struct EndpointRow {
    /// Its id.
    pub endpoint_id: Uuid,
    /// Where it is.
    pub url: String,
    /// What it wants to hear of.
    pub events: Vec<String>,
    /// How it stands.
    pub state: String,
    /// Why it is not enabled.
    pub reason: Option<String>,
    /// Since when it stands so.
    pub since: OffsetDateTime,
    /// Tries that failed since the last success.
    pub consecutive_failures: i32,
    /// When it last took an event; exact to ten seconds while all goes well.
    pub last_success_at: Option<OffsetDateTime>,
    /// When a try last failed.
    pub last_failure_at: Option<OffsetDateTime>,
    /// It asked to be left alone until then.
    pub not_before: Option<OffsetDateTime>,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

/// A sealed secret with its id.
pub type Sealed<'a> = (SecretId, &'a [u8]);

/// Writes a new endpoint with its secret. `false` if the merchant has `most` already.
pub async fn insert(
    connection: &mut Session,
    merchant: MerchantId,
    (endpoint, url, events): (EndpointId, &str, &[String]),
    (secret, sealed): Sealed<'_>,
    most: i64,
    now: OffsetDateTime,
    entry: &Entry,
) -> Result<bool, StoreError> {
    let made = sqlx::query_scalar!(
        r#"WITH n AS (
             INSERT INTO webhook_endpoints (merchant_id, endpoint_id, url, events, state, since, created_at)
             SELECT $1, $2, $3, $4, 'enabled', $8, $8
             WHERE (SELECT count(*) FROM webhook_endpoints WHERE merchant_id = $1 AND deleted_at IS NULL) < $7
             RETURNING 1
         ), s AS (
             INSERT INTO webhook_secrets (merchant_id, endpoint_id, secret_id, sealed, created_at)
             SELECT $1, $2, $5, $6, $8 FROM n
         ), l AS (
             INSERT INTO audit_log SELECT r.* FROM n, json_populate_record(NULL::audit_log, $9::text::json) r
         )
         SELECT count(*) AS "made!" FROM n"#,
        merchant.0,
        endpoint.0,
        url,
        events,
        secret.0,
        sealed,
        most,
        now,
        audit::document(entry)?,
    )
    .fetch_one(connection)
    .await?;
    Ok(made == 1)
}

/// One endpoint.
pub async fn get(connection: &mut Session, merchant: MerchantId, endpoint: EndpointId) -> Result<Option<EndpointRow>, StoreError> {
    let row = sqlx::query_as!(
        EndpointRow,
        "SELECT endpoint_id, url, events, state, reason, since, consecutive_failures, last_success_at, last_failure_at, not_before, created_at
         FROM webhook_endpoints WHERE merchant_id = $1 AND endpoint_id = $2 AND deleted_at IS NULL",
        merchant.0,
        endpoint.0,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// Endpoints of a merchant, newest first, at most `limit`.
pub async fn list(
    connection: &mut Session,
    merchant: MerchantId,
    starting_after: Option<EndpointId>,
    limit: i64,
) -> Result<Vec<EndpointRow>, StoreError> {
    let rows = sqlx::query_as!(
        EndpointRow,
        "SELECT endpoint_id, url, events, state, reason, since, consecutive_failures, last_success_at, last_failure_at, not_before, created_at
         FROM webhook_endpoints
         WHERE merchant_id = $1 AND deleted_at IS NULL AND ($2::uuid IS NULL OR endpoint_id < $2)
         ORDER BY endpoint_id DESC
         LIMIT $3",
        merchant.0,
        starting_after.map(|id| id.0),
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// What a merchant changes of an endpoint. What is absent stays as it is.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Another address.
    pub url: Option<String>,
    /// Other events.
    pub events: Option<Vec<String>>,
    /// Another state. A merchant's word begins a new count of failures.
    pub state: Option<EndpointState>,
}

/// Changes an endpoint. `false` if there is none.
pub async fn update(
    connection: &mut Session,
    merchant: MerchantId,
    endpoint: EndpointId,
    change: &Change,
    now: OffsetDateTime,
    entry: &Entry,
) -> Result<bool, StoreError> {
    let reason = match change.state {
        Some(EndpointState::Paused) => Some("you paused it"),
        Some(EndpointState::Disabled) => Some("you disabled it"),
        Some(EndpointState::Enabled | EndpointState::Failing) | None => None,
    };
    let changed = sqlx::query_scalar!(
        r#"WITH old AS (
             SELECT url, events, state FROM webhook_endpoints
             WHERE merchant_id = $1 AND endpoint_id = $2 AND deleted_at IS NULL FOR NO KEY UPDATE
         ), n AS (
             UPDATE webhook_endpoints n SET
                 url = coalesce($3, n.url), events = coalesce($4, n.events),
                 state = coalesce($5, n.state), reason = CASE WHEN $5::text IS NULL THEN reason ELSE $6 END,
                 since = CASE WHEN $5 IS DISTINCT FROM n.state AND $5 IS NOT NULL THEN $7 ELSE since END,
                 consecutive_failures = CASE WHEN $5 IS NULL THEN consecutive_failures ELSE 0 END,
                 not_before = CASE WHEN $5 IS NULL THEN not_before END
             FROM old
             WHERE n.merchant_id = $1 AND n.endpoint_id = $2 AND n.deleted_at IS NULL
             RETURNING n.url, n.events, n.state
         ), l AS (
             -- The query of an address may hold a secret.
             INSERT INTO audit_log SELECT r.* FROM n, old, json_populate_record(NULL::audit_log, ($8::text::jsonb || jsonb_build_object(
                 'before', jsonb_build_object('url', split_part(old.url, '?', 1), 'events', old.events, 'status', old.state),
                 'after', jsonb_build_object('url', split_part(n.url, '?', 1), 'events', n.events, 'status', n.state,
                                             'url_changed', n.url <> old.url)))::json) r
         )
         SELECT count(*) AS "changed!" FROM n"#,
        merchant.0,
        endpoint.0,
        change.url,
        change.events.as_deref(),
        change.state.map(<&str>::from),
        reason,
        now,
        audit::document(entry)?,
    )
    .fetch_one(connection)
    .await?;
    Ok(changed == 1)
}

/// Removes an endpoint and its secrets. Its history stays. `false` if there is none.
pub async fn delete(
    connection: &mut Session,
    merchant: MerchantId,
    endpoint: EndpointId,
    now: OffsetDateTime,
    entry: &Entry,
) -> Result<bool, StoreError> {
    let removed = sqlx::query_scalar!(
        r#"WITH n AS (
             UPDATE webhook_endpoints SET state = 'disabled', reason = 'you removed it', since = $3, deleted_at = $3
             WHERE merchant_id = $1 AND endpoint_id = $2 AND deleted_at IS NULL
             RETURNING url, events
         ), s AS (
             DELETE FROM webhook_secrets WHERE merchant_id = $1 AND endpoint_id = $2 AND EXISTS (SELECT FROM n)
         ), l AS (
             INSERT INTO audit_log SELECT r.* FROM n, json_populate_record(NULL::audit_log, ($4::text::jsonb || jsonb_build_object(
                 'before', jsonb_build_object('url', split_part(n.url, '?', 1), 'events', n.events)))::json) r
         )
         SELECT count(*) AS "removed!" FROM n"#,
        merchant.0,
        endpoint.0,
        now,
        audit::document(entry)?,
    )
    .fetch_one(connection)
    .await?;
    Ok(removed == 1)
}

/// Gives an endpoint a new secret; those that sign now do so until `until`. `false` if there is no such endpoint, or it has
/// `most` live secrets already.
pub async fn rotate(
    connection: &mut Session,
    merchant: MerchantId,
    endpoint: EndpointId,
    (secret, sealed): Sealed<'_>,
    (until, most): (OffsetDateTime, i64),
    now: OffsetDateTime,
    entry: &Entry,
) -> Result<bool, StoreError> {
    let made = sqlx::query_scalar!(
        r#"WITH n AS (
             -- One rotation after the other.
             SELECT FROM webhook_endpoints WHERE merchant_id = $1 AND endpoint_id = $2 AND deleted_at IS NULL FOR NO KEY UPDATE
         ), fine AS (
             SELECT FROM n
             WHERE $5::timestamptz <= $7::timestamptz
                OR (SELECT count(*) FROM webhook_secrets
                    WHERE merchant_id = $1 AND endpoint_id = $2 AND (ends_at IS NULL OR ends_at > $7)) < $6
         ), gone AS (
             DELETE FROM webhook_secrets
             WHERE merchant_id = $1 AND endpoint_id = $2 AND ($5 <= $7 OR ends_at <= $7) AND EXISTS (SELECT FROM fine)
             RETURNING 1
         ), ending AS (
             UPDATE webhook_secrets SET ends_at = least(ends_at, $5)
             WHERE merchant_id = $1 AND endpoint_id = $2 AND $5 > $7 AND (ends_at IS NULL OR ends_at > $7) AND EXISTS (SELECT FROM fine)
             RETURNING 1
         ), s AS (
             INSERT INTO webhook_secrets (merchant_id, endpoint_id, secret_id, sealed, created_at)
             -- Counting makes it come after them: there is one newest secret at every moment.
             SELECT $1, $2, $3, $4, $7 FROM fine WHERE (SELECT count(*) FROM ending) + (SELECT count(*) FROM gone) >= 0
         ), l AS (
             INSERT INTO audit_log SELECT r.* FROM fine, json_populate_record(NULL::audit_log, $8::text::json) r
         )
         SELECT count(*) AS "made!" FROM fine"#,
        merchant.0,
        endpoint.0,
        secret.0,
        sealed,
        until,
        most,
        now,
        audit::document(entry)?,
    )
    .fetch_one(connection)
    .await?;
    Ok(made == 1)
}

/// How many endpoints are in each state, of all merchants.
pub async fn count_by_state(connection: &mut Session) -> Result<Vec<(String, i64)>, StoreError> {
    let rows = sqlx::query!(r#"SELECT state, count(*) AS "count!" FROM webhook_endpoints WHERE deleted_at IS NULL GROUP BY state"#)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(|row| (row.state, row.count)).collect())
}
