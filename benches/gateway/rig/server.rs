//! The Postgres of a run: durable, with its own settings but for what counts statements, and gone at the end.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use sqlx::{Connection, PgConnection};
use tillgate::app::private_postgres::{Options, PrivatePostgres};

use super::process;

/// The running server.
#[derive(Debug)]
pub struct Server {
    postgres: PrivatePostgres,
    bin: PathBuf,
}

impl Server {
    /// Starts it.
    pub fn start() -> anyhow::Result<Self> {
        Ok(Self { postgres: PrivatePostgres::start(&Options::measured())?, bin: PrivatePostgres::bin_dir()? })
    }

    /// The address of one of its databases.
    pub fn url(&self, database: &str) -> String {
        self.postgres.url(database)
    }

    /// A connection to one of its databases.
    pub async fn connect(&self, database: &str) -> anyhow::Result<PgConnection> {
        Ok(PgConnection::connect(&self.url(database)).await?)
    }

    /// Runs statements in one of its databases.
    pub async fn run(&self, database: &str, sql: &str) -> anyhow::Result<()> {
        let mut connection = self.connect(database).await?;
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.with_context(|| shortened(sql))?;
        connection.close().await?;
        Ok(())
    }

    /// One number that a statement gives.
    pub async fn number(&self, database: &str, sql: &str) -> anyhow::Result<i64> {
        let mut connection = self.connect(database).await?;
        let number = sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await;
        connection.close().await?;
        number.with_context(|| shortened(sql))
    }

    /// Its version, and the settings that decide what a commit costs.
    pub async fn version(&self) -> anyhow::Result<String> {
        let mut connection = self.connect("postgres").await?;
        let sql = "SELECT current_setting('server_version') || ', fsync ' || current_setting('fsync') || ', synchronous_commit '
            || current_setting('synchronous_commit') || ', shared_buffers ' || current_setting('shared_buffers')";
        let version = sqlx::query_scalar(sql).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(version)
    }

    /// Where it lives. What is put there goes when it ends.
    pub fn folder(&self) -> &Path {
        self.postgres.folder()
    }

    /// A program of the server, ready to talk to it. `None` where it is not installed.
    pub fn program(&self, name: &str) -> Option<Command> {
        let path = Some(self.bin.join(name)).filter(|path| path.is_file())?;
        let mut command = Command::new(path);
        command.env("PGHOST", self.postgres.folder()).env("PGPORT", "5432").env("PGUSER", "postgres").env("LC_ALL", "C");
        Some(command)
    }

    /// What `pg_waldump` says of the log between two places: commits, bytes of records, and bytes of page images.
    pub fn wal(&self, from: &str, to: &str) -> anyhow::Result<Wal> {
        let Some(mut command) = self.program("pg_waldump") else { bail!("there is no pg_waldump") };
        let folder = self.postgres.folder().join("data/pg_wal");
        let output = command.arg("-p").arg(folder).args(["-s", from, "-e", to, "--stats=record"]).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr);
        // The places differ, and there is no record between them: nothing was written.
        if error.contains("could not find a valid record") {
            return Ok(Wal::default());
        }
        if !output.status.success() {
            bail!("pg_waldump: {}", error.trim());
        }
        Ok(Wal::read(&text))
    }

    /// CPU-seconds of all its processes so far.
    pub fn cpu(&self) -> f64 {
        let Some(pid) = self.postgres.pid() else { return 0.0 };
        loop {
            let (own, ended) = process::cpu(pid);
            let children: f64 = process::children(pid).into_iter().map(|child| process::cpu(child).0).sum();
            // One that ended in between (as those of the floor do, when the gateway's turn begins) is in neither.
            if process::cpu(pid).1 == ended {
                return own + ended + children;
            }
        }
    }

    /// Where its data is.
    pub fn data(&self) -> PathBuf {
        self.postgres.folder().join("data")
    }
}

fn shortened(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(120).collect()
}

/// What was written to the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wal {
    /// Transactions that wrote something, and were committed.
    pub commits: f64,
    /// Bytes, without images of whole pages.
    pub bytes: f64,
    /// Bytes of images of whole pages: what the first change after a checkpoint costs besides.
    pub images: f64,
}

impl Wal {
    /// Lines are: type, count, (share), bytes of records, (share), bytes of images, (share), sum, (share).
    fn read(text: &str) -> Self {
        let mut wal = Self::default();
        for line in text.lines() {
            let plain = line.replace(['(', ')', '%', '['], " ");
            let numbers: Vec<f64> = plain.split_whitespace().filter_map(|word| word.trim_end_matches(']').parse().ok()).collect();
            if line.starts_with("Transaction/COMMIT") {
                wal.commits += numbers.first().copied().unwrap_or_default();
            }
            if line.starts_with("Total") {
                // count, bytes of records, share, bytes of images, share, sum, share
                wal.bytes = numbers.get(1).copied().unwrap_or_default();
                wal.images = numbers.get(3).copied().unwrap_or_default();
            }
        }
        wal
    }
}
