//! `audit_log` and `audit_heads`: reading them. A row is written by the statement that makes its change, as one more part of it:
//! `INSERT INTO audit_log SELECT r.* FROM json_populate_record(NULL::audit_log, ...) r`; a trigger chains it.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::StoreError;
use super::session::Session;
use crate::domain::audit::{Chain, Entry, Row};
use crate::domain::ids::MerchantId;

/// An entry as a statement takes it.
pub fn document(entry: &Entry) -> Result<String, StoreError> {
    serde_json::to_string(entry).map_err(|error| StoreError::Unreadable(error.to_string()))
}

/// Writes a row by itself: for changes of several statements, in the same transaction.
pub async fn insert(connection: &mut PgConnection, entry: &Entry) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO audit_log SELECT r.* FROM json_populate_record(NULL::audit_log, $2::text::json) r WHERE r.merchant_id = $1",
        entry.merchant_id,
        document(entry)?,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A row, its columns.
struct AuditRow {
    position: i64,
    at: OffsetDateTime,
    actor_kind: String,
    actor_id: Option<String>,
    actor_name: String,
    action: String,
    subject_type: String,
    subject_id: String,
    before: Option<String>,
    after: Option<String>,
    reason: Option<String>,
    request_id: Option<String>,
    previous_hash: Vec<u8>,
    hash: Vec<u8>,
}

impl AuditRow {
    fn of(self, merchant: MerchantId) -> Row {
        Row {
            merchant,
            position: self.position,
            at: self.at,
            actor_kind: self.actor_kind,
            actor_id: self.actor_id,
            actor_name: self.actor_name,
            action: self.action,
            subject_type: self.subject_type,
            subject_id: self.subject_id,
            before: self.before,
            after: self.after,
            reason: self.reason,
            request_id: self.request_id,
            previous_hash: self.previous_hash,
            hash: self.hash,
        }
    }
}

/// Rows after this position, oldest first, at most `limit`.
pub async fn after(connection: &mut Session, merchant: MerchantId, position: i64, limit: i64) -> Result<Vec<Row>, StoreError> {
    let rows = sqlx::query_as!(
        AuditRow,
        r#"SELECT position, at, actor_kind, actor_id, actor_name, action, subject_type, subject_id, before::text, after::text,
                  reason, request_id, previous_hash, hash
           FROM audit_log WHERE merchant_id = $1 AND position > $2 ORDER BY position LIMIT $3"#,
        merchant.0,
        position,
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| row.of(merchant)).collect())
}

/// The head of a merchant's log; that of an empty one where there is none.
pub async fn head(connection: &mut Session, merchant: MerchantId) -> Result<Chain, StoreError> {
    let row = sqlx::query!("SELECT position, hash FROM audit_heads WHERE merchant_id = $1", merchant.0).fetch_optional(connection).await?;
    let Some(row) = row else { return Ok(Chain::default()) };
    let hash = row.hash.try_into().map_err(|_| StoreError::Unreadable("the head of an audit log is no hash".to_owned()))?;
    Ok(Chain { position: row.position, hash })
}

/// Which rows.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only rows before this position.
    pub starting_after: Option<i64>,
    /// Only what was done to this.
    pub subject: Option<String>,
    /// Only what this key (its id), or who has this name, did.
    pub actor: Option<String>,
    /// Only this; one that ends with `.` means all that begin so.
    pub action: Option<String>,
}

/// Rows of a merchant's log, newest first, at most `limit`.
pub async fn list(connection: &mut Session, merchant: MerchantId, filter: &Filter, limit: i64) -> Result<Vec<Row>, StoreError> {
    let rows = sqlx::query_as!(
        AuditRow,
        r#"SELECT position, at, actor_kind, actor_id, actor_name, action, subject_type, subject_id, before::text, after::text,
                  reason, request_id, previous_hash, hash
           FROM audit_log
           WHERE merchant_id = $1 AND ($2::bigint IS NULL OR position < $2) AND ($3::text IS NULL OR subject_id = $3)
             AND ($4::text IS NULL OR actor_id = $4 OR actor_name = $4)
             AND ($5::text IS NULL OR action = $5 OR ($5 LIKE '%.' AND starts_with(action, $5)))
           ORDER BY position DESC LIMIT $6"#,
        merchant.0,
        filter.starting_after,
        filter.subject,
        filter.actor,
        filter.action,
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| row.of(merchant)).collect())
}
