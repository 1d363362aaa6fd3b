//! Exact counts: statements, round trips, commits, pages touched and bytes of the log for one operation.
//!
//! A statement that is prepared already is one round trip (parameters, execution and the end of the transaction travel together),
//! so that a round trip is what `pg_stat_statements` counts as a call, utility statements as well. Preparing happens once a connection, and
//! the warm-up before the count has done it. Commits and bytes are read from the log itself, by `pg_waldump`.

use serde::Serialize;
use sqlx::{Connection, Row};

use super::house::House;
use super::server::Wal;

/// What one operation comes to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Counts {
    /// Statements, each a round trip.
    pub statements: f64,
    /// Commits that wrote something.
    pub commits: f64,
    /// Bytes of the log, without page images.
    pub wal: f64,
    /// Bytes of page images.
    pub images: f64,
    /// Pages of 8 kB that were touched.
    pub buffers: f64,
    /// Statements that are not of every operation (refreshing what is cached), in all.
    pub rare: f64,
    /// Each statement of every operation: its beginning, and how often.
    pub each: Vec<(String, f64)>,
}

/// A statement that is seen in fewer operations than this share is no part of the operation.
const RARE: f64 = 0.05;

/// Counts `operations` that `run` does; `warm` of the same come before. Both get the number of the first.
pub async fn counted<F>(house: &House<'_>, (warm, operations): (u64, u64), mut run: impl FnMut(u64, u64) -> F) -> anyhow::Result<Counts>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let server = &house.rig.server;
    let mut eyes = server.connect("postgres").await?;
    // What vacuum writes is not of an operation.
    for sql in [
        "ALTER SYSTEM SET autovacuum = off",
        "ALTER SYSTEM SET pg_stat_statements.track_planning = off",
        "SELECT pg_reload_conf()",
        "CHECKPOINT",
    ] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut eyes).await?;
    }
    run(0, warm).await?;
    sqlx::raw_sql("CREATE EXTENSION IF NOT EXISTS pg_stat_statements; SELECT pg_stat_statements_reset()").execute(&mut eyes).await?;
    let place = "SELECT pg_current_wal_flush_lsn()::text";
    let from: String = sqlx::query_scalar(place).fetch_one(&mut eyes).await?;
    run(warm, operations).await?;
    let to: String = sqlx::query_scalar(place).fetch_one(&mut eyes).await?;
    let rows = sqlx::query(
        "SELECT query, calls, shared_blks_hit + shared_blks_read FROM pg_stat_statements
         WHERE dbid = (SELECT oid FROM pg_database WHERE datname = $1) ORDER BY calls DESC",
    )
    .bind(&house.database)
    .fetch_all(&mut eyes)
    .await?;
    for sql in ["ALTER SYSTEM RESET ALL", "SELECT pg_reload_conf()"] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut eyes).await?;
    }
    eyes.close().await?;
    let wal = if from == to { Wal::default() } else { server.wal(&from, &to)? };
    let all = operations as f64;
    let mut counts = Counts { commits: wal.commits / all, wal: wal.bytes / all, images: wal.images / all, ..Counts::default() };
    for row in rows {
        let (query, calls, pages): (String, i64, i64) = (row.get(0), row.get(1), row.get(2));
        let share = calls as f64 / all;
        if share < RARE {
            counts.rare += calls as f64;
            continue;
        }
        counts.statements += share;
        counts.buffers += pages as f64 / all;
        counts.each.push((query.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(90).collect(), share));
    }
    Ok(counts)
}
