//! `tasks`: what is to be done for open orders.

use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use super::rows::parsed;
use super::session::Session;
use crate::domain::agenda::Work;
use crate::domain::ids::{MerchantId, OrderId};
use crate::domain::recovery::Progress;

/// A task that this worker keeps until its lease ends.
#[derive(Clone, Copy, Debug)]
pub struct LeasedTask {
    /// Whose order it is about.
    pub merchant_id: MerchantId,
    /// The order.
    pub order_id: OrderId,
    /// What to do.
    pub work: Work,
    /// How it has gone so far.
    pub progress: Progress,
}

/// A task as it stands in the table.
struct TaskRow {
    merchant_id: Uuid,
    order_id: Uuid,
    work: String,
    tries: i32,
    absent_since: Option<OffsetDateTime>,
    absent_last: Option<OffsetDateTime>,
}

impl TaskRow {
    fn leased(self) -> Result<LeasedTask, StoreError> {
        Ok(LeasedTask {
            merchant_id: MerchantId(self.merchant_id),
            order_id: OrderId(self.order_id),
            work: parsed(self.work.parse().ok(), "work", &self.work)?,
            progress: Progress { tries: self.tries, absent_since: self.absent_since, absent_last: self.absent_last },
        })
    }
}

/// How the looks for an order have gone so far. `None` where nothing is to be done for it.
pub async fn progress(connection: &mut Session, merchant: MerchantId, order: OrderId) -> Result<Option<Progress>, StoreError> {
    let row = sqlx::query_as!(
        Progress,
        "SELECT tries, absent_since, absent_last FROM tasks WHERE merchant_id = $1 AND order_id = $2",
        merchant.0,
        order.0,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// Takes at most `limit` tasks of one kind that are due and that nobody keeps, oldest first, and
/// keeps them until `leased_until`. Other workers take others at the same time.
pub async fn claim(
    connection: &mut Session,
    work: Work,
    now: OffsetDateTime,
    leased_until: OffsetDateTime,
    limit: i64,
) -> Result<Vec<LeasedTask>, StoreError> {
    let rows = sqlx::query_as!(
        TaskRow,
        "WITH due AS (
             SELECT ctid AS at FROM tasks
             WHERE work = $1 AND due_at <= $2 AND (leased_until IS NULL OR leased_until <= $2)
             ORDER BY due_at
             LIMIT $4
             FOR UPDATE SKIP LOCKED
         )
         -- By the places of the rows: a planner that has counted many tasks would rather go through all of them than look for each by its
         -- key. What somebody has changed in this moment is not found there any more, and taken next time.
         UPDATE tasks SET leased_until = $3
         FROM due WHERE tasks.ctid = due.at
         RETURNING tasks.merchant_id, tasks.order_id, tasks.work, tasks.tries, tasks.absent_since, tasks.absent_last",
        work.to_string(),
        now,
        leased_until,
        limit,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(TaskRow::leased).collect()
}

/// Takes at most `limit` due polls of one lane of one merchant, the one whose oldest poll is due longest, and keeps them
/// until `leased_until`. Other workers take others at the same time.
pub async fn claim_page(
    connection: &mut Session,
    now: OffsetDateTime,
    leased_until: OffsetDateTime,
    limit: i64,
) -> Result<Vec<LeasedTask>, StoreError> {
    let rows = sqlx::query_as!(
        TaskRow,
        "WITH first AS (
             SELECT merchant_id, lane FROM tasks
             WHERE work = 'poll' AND due_at <= $1 AND (leased_until IS NULL OR leased_until <= $1)
             ORDER BY due_at
             LIMIT 1
             FOR UPDATE SKIP LOCKED
         ), due AS (
             -- Two values and no join: the index is read in its order until the page is full, also where the statistics say that
             -- there is next to nothing to sort.
             SELECT t.ctid AS at FROM tasks t
             WHERE t.merchant_id = (SELECT merchant_id FROM first) AND t.lane = (SELECT lane FROM first)
               AND t.work = 'poll' AND t.due_at <= $1 AND (t.leased_until IS NULL OR t.leased_until <= $1)
             ORDER BY t.due_at
             LIMIT $3
             FOR UPDATE OF t SKIP LOCKED
         )
         UPDATE tasks SET leased_until = $2
         FROM due WHERE tasks.ctid = due.at
         RETURNING tasks.merchant_id, tasks.order_id, tasks.work, tasks.tries, tasks.absent_since, tasks.absent_last",
        now,
        leased_until,
        limit,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(TaskRow::leased).collect()
}

/// Makes the task of an order due now, if it waits for the provider and nobody keeps it.
pub async fn hasten(connection: &mut Session, merchant: MerchantId, order: OrderId, now: OffsetDateTime) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE tasks SET due_at = $3
         WHERE merchant_id = $1 AND order_id = $2 AND work IN ('look', 'poll') AND due_at > $3 AND (leased_until IS NULL OR leased_until <= $3)",
        merchant.0,
        order.0,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The task of one order: when it is due and how it has gone. `None` where nothing is left to do.
pub async fn of_order(
    connection: &mut Session,
    merchant: MerchantId,
    order: OrderId,
) -> Result<Option<(OffsetDateTime, Progress)>, StoreError> {
    let row = sqlx::query!(
        "SELECT due_at, tries, absent_since, absent_last FROM tasks WHERE merchant_id = $1 AND order_id = $2",
        merchant.0,
        order.0,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| (row.due_at, Progress { tries: row.tries, absent_since: row.absent_since, absent_last: row.absent_last })))
}
