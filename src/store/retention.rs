//! The months of `events`, `webhook_deliveries` and `webhook_attempts`: which there are, making them and dropping them.
//!
//! The tables change in functions of the database (migration 6), each of them one statement from here. They take the tables for
//! themselves for some milliseconds, and give up where they would have to wait for longer than a tenth of a second: what comes
//! behind a statement that waits for a table waits, too, and payments must not.

use time::OffsetDateTime;

use super::StoreError;
use super::session::{LONG, Session, within};
use crate::domain::month::Month;

/// What came of a change of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is made.
    Made,
    /// There was nothing to be changed.
    Unneeded,
    /// Something of the month is to be delivered yet: it stays.
    Pending,
    /// The tables are in use, or another process changes them: try again later.
    Busy,
}

/// The months that have tables of their own, oldest first.
pub async fn months(connection: &mut Session) -> Result<Vec<Month>, StoreError> {
    let days = sqlx::query_scalar!(
        r#"SELECT to_date(right(c.relname, 7), 'YYYY_MM') AS "day!"
           FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
           WHERE i.inhparent = 'events'::regclass AND c.relname ~ '^events_\d{4}_\d{2}$'
           ORDER BY 1"#
    )
    .fetch_all(connection)
    .await?;
    Ok(days.into_iter().map(Month::with).collect())
}

/// The months up to this one of what was written while its month had no table. That is read whole: it is empty as a rule.
pub async fn months_in_default(connection: &mut Session, until: Month) -> Result<Vec<Month>, StoreError> {
    let asking = sqlx::query_scalar!(
        r#"SELECT month AS "day!" FROM (SELECT month_of_id(event_id) AS month FROM events_default
                                        UNION SELECT month_of_id(delivery_id) FROM webhook_deliveries_default) m
           WHERE month <= $1 ORDER BY month"#,
        until.first_day(),
    )
    .fetch_all(connection.unhurried());
    let days = within(LONG, asking).await?;
    Ok(days.into_iter().map(Month::with).collect())
}

/// Makes the tables of a month, and moves there what was written of it before.
pub async fn make_month(connection: &mut Session, month: Month) -> Result<Change, StoreError> {
    let making = sqlx::query_scalar!(r#"SELECT make_month($1) AS "done!""#, month.first_day()).fetch_one(connection.unhurried());
    change(within(LONG, making).await)
}

/// Drops a month, if nothing of it is to be delivered any more.
pub async fn drop_month(connection: &mut Session, month: Month, now: OffsetDateTime) -> Result<Change, StoreError> {
    let dropping = sqlx::query_scalar!(r#"SELECT drop_month($1, $2) AS "done!""#, month.first_day(), now).fetch_one(connection.unhurried());
    change(within(LONG, dropping).await)
}

fn change(done: Result<String, sqlx::Error>) -> Result<Change, StoreError> {
    const LOCK_NOT_AVAILABLE: &str = "55P03";
    const DEADLOCK_DETECTED: &str = "40P01";
    match done {
        Ok(done) => match done.as_str() {
            "made" | "dropped" => Ok(Change::Made),
            "there" | "gone" => Ok(Change::Unneeded),
            "pending" => Ok(Change::Pending),
            "busy" => Ok(Change::Busy),
            other => Err(StoreError::Unreadable(format!("the change of a month is {other:?}"))),
        },
        Err(sqlx::Error::Database(error)) if matches!(error.code().as_deref(), Some(LOCK_NOT_AVAILABLE | DEADLOCK_DETECTED)) => {
            Ok(Change::Busy)
        }
        Err(error) => Err(error.into()),
    }
}
