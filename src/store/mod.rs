//! The only room with SQL: one file for each table or two, free functions over a connection,
//! checked against the schema when they are compiled.
//!
//! A durable step is one statement, never `BEGIN ... COMMIT` over the wire: it costs one round trip
//! and one commit, and there is no half of it.

pub mod accounts;
pub mod audit;
pub mod authorizations;
pub mod customers;
pub mod deliveries;
pub mod discrepancies;
pub mod endpoints;
pub mod events;
pub mod feeds;
pub mod group;
pub mod keys;
pub mod link_requests;
pub mod links;
pub mod movements;
pub mod news;
pub mod orders;
pub mod pool;
pub mod raw_inputs;
pub mod receipts;
pub mod reconciliations;
pub mod record;
pub mod retention;
pub mod rows;
pub mod session;
pub mod tasks;
pub mod timeline;
pub mod tries;
pub mod verify;
pub mod webhook_queue;

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{Connection, Executor};
use time::OffsetDateTime;

use self::pool::{Connections, LIFETIME, Lease};
use self::session::Session;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// What a process allows itself of the database.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// So many connections.
    pub connections: u32,
    /// How long somebody waits for one of them.
    pub acquire: Duration,
    /// How long a statement takes at most. Then nobody waits for its answer any more.
    pub statement: Duration,
}

/// The database, shared by everything in the process.
#[derive(Clone, Debug)]
pub struct Db {
    connections: Connections,
    /// New orders, grouped.
    creations: orders::Creations,
    /// Reports of orders, grouped.
    records: record::Records,
    /// What came of tries to deliver, grouped.
    tries: tries::Tries,
}

/// Why the database did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, or is out of connections: the same request may succeed later.
    #[error("the database is not available: {0}")]
    Unavailable(sqlx::Error),
    /// It refused a statement: our mistake.
    #[error("the database refused a statement: {0}")]
    Refused(sqlx::Error),
    /// It holds something that we cannot have written.
    #[error("the database holds what cannot be read: {0}")]
    Unreadable(String),
    /// Its schema is not the one that this program was made for.
    #[error("{0}")]
    Schema(String),
}

impl StoreError {
    /// The database has said no, so that nothing of the statement is written. Else nobody knows.
    fn wrote_nothing(&self) -> bool {
        const ROLLED_BACK: &str = "40";
        match self {
            Self::Refused(sqlx::Error::Database(_)) => true,
            Self::Unavailable(sqlx::Error::Database(error)) => error.code().is_some_and(|code| code.starts_with(ROLLED_BACK)),
            _ => false,
        }
    }

    /// The same for another caller, in words.
    fn copy(&self) -> Self {
        let words = |error: &sqlx::Error| sqlx::Error::Io(std::io::Error::other(error.to_string()));
        match self {
            Self::Unavailable(error) => Self::Unavailable(words(error)),
            Self::Refused(error) => Self::Refused(words(error)),
            Self::Unreadable(why) => Self::Unreadable(why.clone()),
            Self::Schema(why) => Self::Schema(why.clone()),
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) if is_passing(database.code().as_deref()) => Self::Unavailable(error),
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => Self::Unavailable(error),
            sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => Self::Unavailable(error),
            _ => Self::Refused(error),
        }
    }
}

/// No statement but those of migrations has a reason to read a whole table, nor to be compiled. Postgres thinks so where its statistics
/// are of a table that was empty: a queue at night, a month that begins. A plan of then is kept, and reads all of it once it is full.
/// Neither has one to sort what an index holds in its order, at once or piece by piece, because another index is smaller or as good for
/// an empty table; nor a plan that is better for some values than for others: each is planned once, and not for each page of a list
/// anew. And none reads so much that processes of its own would pay, as Postgres thinks where a table is large.
///
/// Where a statement takes long, the server looks whether anybody still waits for its answer.
const SESSION: [(&str, &str); 7] = [
    ("enable_seqscan", "off"),
    ("enable_sort", "off"),
    ("enable_incremental_sort", "off"),
    ("jit", "off"),
    ("max_parallel_workers_per_gather", "0"),
    ("plan_cache_mode", "force_generic_plan"),
    ("client_connection_check_interval", "10s"),
];

/// SQLSTATEs that say nothing of the statement: try again.
fn is_passing(code: Option<&str>) -> bool {
    const READ_ONLY: &str = "25006";
    code.is_some_and(|code| ["08", "40", "53", "57"].iter().any(|class| code.starts_with(class)) || code == READ_ONLY)
}

impl Db {
    /// Opens a pool. Connects at the first use.
    pub fn open(url: &SecretString, limits: Limits) -> Result<Self, StoreError> {
        let options: PgConnectOptions = url.expose_secret().parse().map_err(StoreError::Refused)?;
        let pool = PgPoolOptions::new()
            .max_connections(limits.connections)
            .acquire_timeout(limits.acquire)
            .max_lifetime(LIFETIME)
            // Saves a round trip; a dead connection shows in the statement, which is then unavailable.
            .test_before_acquire(false)
            // A cancelled `begin` can hand back a connection with an open transaction; what the next
            // borrower writes would then be lost though it was acknowledged.
            .after_release(|connection, _| {
                Box::pin(async move {
                    if connection.is_in_transaction() {
                        connection.execute("ROLLBACK").await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(options.application_name("tillgate").options(SESSION));
        let connections = Connections::new(pool, limits);
        let creations = orders::creations(connections.clone(), limits.acquire);
        let records = record::records(connections.clone(), limits.acquire);
        let tries = tries::tries(connections.clone(), limits.acquire);
        Ok(Self { connections, creations, records, tries })
    }

    /// A connection of its own for one statement or a few.
    pub async fn get(&self) -> Result<Lease, StoreError> {
        self.connections.get().await
    }

    /// Brings the schema up to this program's. Safe to run by several processes at once.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let failed = |error: &dyn std::fmt::Display| StoreError::Schema(error.to_string());
        let mut connection = self.connections.pool().acquire().await.map_err(|error| failed(&error))?.detach();
        connection.execute("SET enable_seqscan = on").await.map_err(|error| failed(&error))?;
        MIGRATIONS.run(&mut connection).await.map_err(|error| failed(&error))
    }

    /// Says no to a schema that is older or newer than this program.
    pub async fn check_schema(&self) -> Result<(), StoreError> {
        let mut connection = self.get().await?;
        let exists =
            sqlx::query_scalar!(r#"SELECT to_regclass('_sqlx_migrations') IS NOT NULL AS "exists!""#).fetch_one(&mut *connection).await?;
        let applied = if exists { applied_migrations(&mut connection).await? } else { Vec::new() };
        let known: Vec<i64> = MIGRATIONS.iter().map(|migration| migration.version).collect();
        match (known.iter().find(|version| !applied.contains(version)), applied.iter().find(|version| !known.contains(version))) {
            (None, None) => Ok(()),
            (Some(version), _) => Err(StoreError::Schema(format!("the database lacks migration {version}; run: tillgate migrate"))),
            (None, Some(version)) => Err(StoreError::Schema(format!(
                "the database has migration {version}, which is newer than this program; use the newer program"
            ))),
        }
    }

    /// Hears what other processes announce on a channel, over a connection of its own: the pool's are for statements.
    pub async fn listen(&self, channel: &str) -> Result<PgListener, StoreError> {
        let own = PgPoolOptions::new().max_connections(1).connect_lazy_with((*self.connections.pool().connect_options()).clone());
        let mut listener = PgListener::connect_with(&own).await?;
        listener.listen(channel).await?;
        Ok(listener)
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.get().await?.ping().await?)
    }

    /// What time it is there.
    pub async fn time(&self) -> Result<OffsetDateTime, StoreError> {
        Ok(sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#).fetch_one(&mut *self.get().await?).await?)
    }

    /// Waits for what is under way and closes all connections.
    pub async fn close(&self) {
        self.creations.finish().await;
        self.records.finish().await;
        self.tries.finish().await;
        self.connections.close().await;
    }
}

async fn applied_migrations(connection: &mut Session) -> Result<Vec<i64>, StoreError> {
    Ok(sqlx::query_scalar!("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version").fetch_all(connection).await?)
}
