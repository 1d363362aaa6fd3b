//! The databases of the houses: one private server, a database for each house, and the ways of standing in somebody's way there.

use std::path::Path;
use std::sync::OnceLock;

use sqlx::{Connection, PgConnection};
use url::Url;

use crate::databases::{DATABASE_PASSWORD, Database, Databases};
use crate::house::basics;
use crate::program::{Folder, Launch, until};
use crate::proxy::{Proxy, Target};

/// The server that all tests of this process share.
fn databases() -> &'static Databases {
    static SHARED: OnceLock<Databases> = OnceLock::new();
    // Its vacuum would look into hundreds of databases, one after the other and again and again.
    SHARED.get_or_init(|| Databases::new(vec!["autovacuum=off"]))
}

/// A database behind this proxy.
pub fn through(door: &Proxy, name: &str) -> String {
    format!("postgres://postgres:{DATABASE_PASSWORD}@127.0.0.1:{}/{name}?sslmode=disable", door.port)
}

/// This database behind a proxy, which leads there from now on.
pub fn behind(door: &Proxy, database: &str) -> String {
    let url = Url::parse(database).expect("an address");
    let (_, folder) = url.query_pairs().find(|(name, _)| name == "host").expect("a folder");
    door.leads_to(vec![Target::Socket(Path::new(&*folder).join(".s.PGSQL.5432"))]);
    through(door, url.path().trim_start_matches('/'))
}

/// An empty database of its own.
pub async fn empty_database() -> Database {
    databases().empty().await
}

/// A database of its own, with the schema as `tillgate migrate` makes it.
pub async fn fresh_database() -> Database {
    let prepare = async |empty: &Database| {
        let folder = Folder::new();
        let migrated = Launch::new(&["migrate"], folder.path()).with(basics(empty, 1)).run().await;
        assert_eq!(migrated.code, Some(0), "{}", migrated.err);
        let mut eyes = connect(&databases().address("postgres")).await;
        until("nobody uses the template", async || (sessions(&mut eyes, &empty.name).await == 0).then_some(())).await;
    };
    databases().prepared(prepare).await
}

/// A connection for looking, and for standing in the way.
pub async fn connect(database: &str) -> PgConnection {
    PgConnection::connect(database).await.expect("a connection")
}

pub async fn execute(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(connection).await.expect(sql);
}

/// How many sessions of gateways a database has.
pub async fn sessions(eyes: &mut PgConnection, of: &str) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND application_name = 'tillgate'")
        .bind(of)
        .fetch_one(eyes)
        .await
        .expect("a count")
}

/// A table that nobody else can use.
#[derive(Debug)]
pub struct Lock {
    pub connection: PgConnection,
    pub table: &'static str,
}

impl Lock {
    /// Waits until so many of the gateways' statements wait for the table.
    pub async fn blocks(&mut self, count: usize) {
        let table = self.table;
        let what = format!("{count} statements wait for {table}");
        until(&what, async || (waiting(&mut self.connection, table).await.len() >= count).then_some(())).await;
    }

    /// Goes out of the way: what waits is done, whether its sender is still there or not.
    pub async fn release(mut self) {
        execute(&mut self.connection, "COMMIT").await;
    }

    /// Ends what waits, as when the database itself dies: of the statement nothing is left.
    pub async fn end_who_waits(&mut self) {
        for pid in waiting(&mut self.connection, self.table).await {
            sqlx::query("SELECT pg_terminate_backend($1)").bind(pid).execute(&mut self.connection).await.expect("an end");
        }
    }
}

async fn waiting(connection: &mut PgConnection, table: &str) -> Vec<i32> {
    // Within a transaction the server would show the same picture again and again.
    execute(connection, "SELECT pg_stat_clear_snapshot()").await;
    sqlx::query_scalar(
        "SELECT l.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid)
         WHERE NOT l.granted AND a.datname = current_database() AND a.application_name = 'tillgate' AND l.relation = $1::regclass",
    )
    .bind(table)
    .fetch_all(connection)
    .await
    .expect("who waits")
}
