//! `reconciliations`: comparing both sides over a period, a page at a time, and what was found.

pub mod ours;

use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use super::rows::parsed;
use super::session::Session;
use crate::domain::event::WrittenBody;
use crate::domain::ids::{MerchantId, RunId};
use crate::domain::order::Provider;
use crate::domain::reconciliation::Leg;

/// A row of `reconciliations`.
#[derive(Clone, Debug)]
pub struct RunRow {
    pub merchant_id: Uuid,
    pub run_id: Uuid,
    pub provider: String,
    pub period_from: OffsetDateTime,
    pub period_to: OffsetDateTime,
    pub repair: bool,
    pub asked_by: String,
    pub state: String,
    pub leg: String,
    pub cursor: Option<String>,
    pub expected: i64,
    pub questions: i64,
    pub compared: i64,
    pub behind: i64,
    pub repaired: i64,
    pub unreadable: i64,
    pub unchecked: i64,
    pub opened: i64,
    pub closed: i64,
    pub disagree: i64,
    pub balances: Option<Value>,
    pub failure: Option<String>,
    pub leased_until: Option<OffsetDateTime>,
    pub fence: i64,
    pub started_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
    pub finished_at: Option<OffsetDateTime>,
}

impl RunRow {
    /// What it compares now.
    pub fn leg(&self) -> Result<Leg, StoreError> {
        parsed(self.leg.parse().ok(), "leg", &self.leg)
    }

    /// The provider.
    pub fn provider(&self) -> Result<Provider, StoreError> {
        parsed(self.provider.parse().ok(), "provider", &self.provider)
    }

    /// Whose it is.
    pub fn merchant(&self) -> MerchantId {
        MerchantId(self.merchant_id)
    }
}

/// What a run is to compare.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// Whose account.
    pub merchant: MerchantId,
    /// At which provider.
    pub provider: Provider,
    /// Orders and movements of then and later.
    pub from: OffsetDateTime,
    /// And before this.
    pub to: OffsetDateTime,
    /// What the provider is further with is heard at once.
    pub repair: bool,
    /// `schedule`, or who asked.
    pub asked_by: &'a str,
}

/// The least id of what was made at a time or later: ids begin with their time in milliseconds.
pub fn first_id(time: OffsetDateTime) -> Uuid {
    let millis = u128::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
    Uuid::from_u128(millis << 80)
}

/// Begins a run, or finds the one that is under way for the same. `None` if the schedule's run of this night is over.
pub async fn begin(connection: &mut Session, id: RunId, wish: Wish<'_>, now: OffsetDateTime) -> Result<Option<RunRow>, StoreError> {
    let made = sqlx::query_as!(
        RunRow,
        "INSERT INTO reconciliations (merchant_id, run_id, provider, period_from, period_to, repair, asked_by, state, leg, expected, started_at, updated_at)
         SELECT $1, $2, $3, $4, $5, $6, $7, 'running', $8,
                (SELECT count(*) FROM orders WHERE merchant_id = $1 AND provider = $3 AND order_id >= $9 AND order_id < $10 AND kind <> 'deposit')
                + (SELECT count(*) FROM receipts WHERE merchant_id = $1 AND provider = $3 AND receipt_id >= $9 AND receipt_id < $10),
                $11, $11
         -- Looked at first: each minute of a night asks, and counting is dear.
         WHERE NOT EXISTS (SELECT FROM reconciliations
                           WHERE merchant_id = $1 AND provider = $3 AND period_to = $5 AND asked_by = 'schedule' AND $7 = 'schedule')
         ON CONFLICT DO NOTHING
         RETURNING *",
        wish.merchant.0,
        id.0,
        wish.provider.to_string(),
        wish.from,
        wish.to,
        wish.repair,
        wish.asked_by,
        Leg::ALL[0].to_string(),
        first_id(wish.from),
        first_id(wish.to),
        now,
    )
    .fetch_optional(&mut *connection)
    .await?;
    if made.is_some() {
        return Ok(made);
    }
    let under_way = sqlx::query_as!(
        RunRow,
        "SELECT * FROM reconciliations
         WHERE merchant_id = $1 AND provider = $2 AND period_from = $3 AND period_to = $4 AND repair = $5 AND state = 'running'",
        wish.merchant.0,
        wish.provider.to_string(),
        wish.from,
        wish.to,
        wish.repair,
    )
    .fetch_optional(connection)
    .await?;
    Ok(under_way)
}

/// The newest run of an account that a person began and that is not over.
pub async fn begun_by_hand(
    connection: &mut Session,
    merchant: MerchantId,
    provider: Provider,
    repair: bool,
) -> Result<Option<RunRow>, StoreError> {
    let row = sqlx::query_as!(
        RunRow,
        "SELECT * FROM reconciliations
         WHERE merchant_id = $1 AND provider = $2 AND repair = $3 AND state = 'running' AND asked_by <> 'schedule'
         ORDER BY run_id DESC LIMIT 1",
        merchant.0,
        provider.to_string(),
        repair,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// Takes a run that nobody works on, and keeps it until `leased_until`. `None` if it is over, or somebody works on it.
pub async fn claim(
    connection: &mut Session,
    (merchant, run): (MerchantId, RunId),
    now: OffsetDateTime,
    leased_until: OffsetDateTime,
) -> Result<Option<RunRow>, StoreError> {
    let row = sqlx::query_as!(
        RunRow,
        "UPDATE reconciliations SET leased_until = $4, fence = fence + 1, updated_at = $3
         WHERE merchant_id = $1 AND run_id = $2 AND state = 'running' AND (leased_until IS NULL OR leased_until <= $3)
         RETURNING *",
        merchant.0,
        run.0,
        now,
        leased_until,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// Runs that nobody works on, the oldest first.
pub async fn waiting(connection: &mut Session, now: OffsetDateTime) -> Result<Vec<(MerchantId, RunId)>, StoreError> {
    let rows = sqlx::query!(
        "SELECT merchant_id, run_id FROM reconciliations
         WHERE state = 'running' AND (leased_until IS NULL OR leased_until <= $1)
         ORDER BY started_at LIMIT 100",
        now,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (MerchantId(row.merchant_id), RunId(row.run_id))).collect())
}

/// A discrepancy that a page found.
#[derive(Debug, Serialize)]
pub struct FoundRow {
    /// Our id, if it is new.
    pub discrepancy_id: Uuid,
    /// The order that it is about.
    pub order_id: Option<Uuid>,
    /// What it is about, see [`super::discrepancies::DiscrepancyRow`].
    pub subject: String,
    /// About what the sides disagree.
    pub kind: &'static str,
    /// Our side.
    pub ours: Value,
    /// The other side.
    pub theirs: Value,
    /// SHA-256 of kind and both sides, in hexadecimal.
    pub digest: String,
    /// The event, if it is new.
    pub event_id: Uuid,
    /// Its body.
    pub event: WrittenBody,
}

/// A discrepancy that is none any more.
#[derive(Debug, Serialize)]
pub struct ClosedRow {
    /// Its id.
    pub discrepancy_id: Uuid,
    /// Why.
    pub reason: &'static str,
    /// The event, if it was open.
    pub event_id: Uuid,
    /// Its body.
    pub event: WrittenBody,
}

/// What a page counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Questions to the provider.
    pub questions: i64,
    /// Movements of which both sides were looked at.
    pub compared: i64,
    /// Of these: the provider is further.
    pub behind: i64,
    /// Of these: heard at once.
    pub repaired: i64,
    /// The provider's side could not be read.
    pub unreadable: i64,
    /// Nobody can be asked about it.
    pub unchecked: i64,
}

/// A page of a run, as it is written.
#[derive(Debug)]
pub struct PageWrite<'a> {
    /// The run, as it was claimed.
    pub run: &'a RunRow,
    /// What it compares next. Absent: it is over.
    pub leg: Option<Leg>,
    /// How far that has come.
    pub cursor: Option<String>,
    /// What was counted.
    pub counts: Counts,
    /// What was found.
    pub found: &'a [FoundRow],
    /// What is found no more.
    pub closed: &'a [ClosedRow],
    /// What the payout account owns.
    pub balances: Option<Value>,
    /// The present.
    pub now: OffsetDateTime,
    /// The worker keeps the run until then.
    pub leased_until: OffsetDateTime,
}

/// Writes a page: what was found, what is found no more, and how far the run has come, or nothing of it. `None` if somebody
/// else has taken the run over.
pub async fn write_page(connection: &mut Session, page: &PageWrite<'_>) -> Result<Option<RunRow>, StoreError> {
    let text = |error: serde_json::Error| StoreError::Unreadable(error.to_string());
    let (found, closed) = (serde_json::to_string(page.found).map_err(text)?, serde_json::to_string(page.closed).map_err(text)?);
    let over = page.leg.is_none();
    let disagree = i64::try_from(page.found.len()).unwrap_or(i64::MAX);
    let row = sqlx::query_as!(
        RunRow,
        r#"
        WITH held AS MATERIALIZED (
            SELECT run_id FROM reconciliations WHERE merchant_id = $1 AND run_id = $2 AND fence = $3 AND state = 'running' FOR UPDATE
        ), f AS (
            INSERT INTO discrepancies (merchant_id, discrepancy_id, order_id, provider, subject, found_by, kind, ours, theirs, digest, opened_at)
            SELECT $1, i.discrepancy_id, i.order_id, $4, i.subject, 'reconciliation', i.kind, i.ours, i.theirs, decode(i.digest, 'hex'), $5
            FROM held, json_to_recordset($6::text::json) AS i(discrepancy_id uuid, order_id uuid, subject text, kind text, ours jsonb, theirs jsonb, digest text)
            ON CONFLICT (merchant_id, provider, subject, digest) WHERE resolved_by IS DISTINCT FROM 'reconciliation' DO NOTHING
            RETURNING discrepancy_id
        ), fe AS (
            INSERT INTO events (merchant_id, event_id, event_type, body, created_at)
            SELECT $1, i.event_id, 'discrepancy.opened', i.event, $5
            FROM f JOIN json_to_recordset($6::text::json) AS i(discrepancy_id uuid, event_id uuid, event json) USING (discrepancy_id)
        ), c AS (
            UPDATE discrepancies d SET resolved_at = $5, resolved_by = 'reconciliation', reason = i.reason
            FROM held, json_to_recordset($7::text::json) AS i(discrepancy_id uuid, reason text)
            WHERE d.merchant_id = $1 AND d.discrepancy_id = i.discrepancy_id AND d.resolved_at IS NULL
            RETURNING d.discrepancy_id
        ), ce AS (
            INSERT INTO events (merchant_id, event_id, event_type, body, created_at)
            SELECT $1, i.event_id, 'discrepancy.resolved', i.event, $5
            FROM c JOIN json_to_recordset($7::text::json) AS i(discrepancy_id uuid, event_id uuid, event json) USING (discrepancy_id)
        )
        UPDATE reconciliations r SET
            leg = coalesce($8, r.leg), cursor = $9, questions = r.questions + $10, compared = r.compared + $11, behind = r.behind + $12,
            repaired = r.repaired + $13, unreadable = r.unreadable + $14, unchecked = r.unchecked + $15,
            opened = r.opened + (SELECT count(*) FROM f), closed = r.closed + (SELECT count(*) FROM c), disagree = r.disagree + $16,
            balances = coalesce($17, r.balances), updated_at = $5, leased_until = CASE WHEN $18 THEN NULL ELSE $19::timestamptz END,
            state = CASE WHEN $18 THEN 'finished' ELSE r.state END, finished_at = CASE WHEN $18 THEN $5 END
        FROM held WHERE r.merchant_id = $1 AND r.run_id = held.run_id
        RETURNING r.*
        "#,
        page.run.merchant_id,
        page.run.run_id,
        page.run.fence,
        page.run.provider,
        page.now,
        found,
        closed,
        page.leg.map(|leg| leg.to_string()),
        page.cursor,
        page.counts.questions,
        page.counts.compared,
        page.counts.behind,
        page.counts.repaired,
        page.counts.unreadable,
        page.counts.unchecked,
        disagree,
        page.balances,
        over,
        page.leased_until,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// Ends a run that cannot go on; or only lets it go, to be taken up again.
pub async fn stop(connection: &mut Session, run: &RunRow, failure: Option<&str>, now: OffsetDateTime) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE reconciliations SET leased_until = NULL, updated_at = $4, failure = $5,
                state = CASE WHEN $5::text IS NULL THEN state ELSE 'failed' END, finished_at = CASE WHEN $5::text IS NOT NULL THEN $4::timestamptz END
         WHERE merchant_id = $1 AND run_id = $2 AND fence = $3 AND state = 'running'",
        run.merchant_id,
        run.run_id,
        run.fence,
        now,
        failure,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Runs of a merchant, newest first, at most `limit`.
pub async fn list(
    connection: &mut Session,
    merchant: MerchantId,
    starting_after: Option<RunId>,
    limit: i64,
) -> Result<Vec<RunRow>, StoreError> {
    let rows = sqlx::query_as!(
        RunRow,
        "SELECT * FROM reconciliations WHERE merchant_id = $1 AND ($2::uuid IS NULL OR run_id < $2) ORDER BY run_id DESC LIMIT $3",
        merchant.0,
        starting_after.map(|id| id.0),
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// One run.
pub async fn get(connection: &mut Session, merchant: MerchantId, id: RunId) -> Result<Option<RunRow>, StoreError> {
    let row = sqlx::query_as!(RunRow, "SELECT * FROM reconciliations WHERE merchant_id = $1 AND run_id = $2", merchant.0, id.0)
        .fetch_optional(connection)
        .await?;
    Ok(row)
}
