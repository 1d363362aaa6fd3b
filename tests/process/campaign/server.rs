//! The campaign's own Postgres: durable, at an address that stays, and killed outright now and then.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use tillgate::app::private_postgres::{Options, PrivatePostgres};

use crate::chaos::Dice;
use crate::database::{connect, execute, through};
use crate::house::basics;
use crate::program::{Folder, Launch, kill_process, until};
use crate::proxy::{Proxy, Target};

pub struct Server {
    running: Mutex<Option<PrivatePostgres>>,
    folder: Folder,
    /// Those who look on go through this one, which never harms anybody.
    door: Proxy,
}

impl Server {
    /// Starts it, with a database that has the schema, to be copied.
    pub async fn start() -> Self {
        let server = Self { running: Mutex::default(), folder: Folder::new(), door: Proxy::open(Dice(0)).await };
        server.up(&[]).await;
        execute(&mut connect(&server.address("postgres")).await, "CREATE DATABASE template_round").await;
        let migrated = Launch::new(&["migrate"], server.folder.path()).with(basics(&server.address("template_round"), 1)).run().await;
        assert_eq!(migrated.code, Some(0), "{}", migrated.err);
        server
    }

    /// Starts the server again where it is down; it recovers what was committed. These lead to it, too.
    pub async fn up(&self, doors: &[&Proxy]) {
        let options = Options::kept(self.data());
        let old = lock(&self.running).take();
        let started = tokio::task::spawn_blocking(move || {
            drop(old);
            PrivatePostgres::start(&options)
        });
        let postgres = started.await.expect("a task").expect("the campaign's Postgres");
        let url = postgres.url("x");
        let folder = url.split("?host=").nth(1).expect("a folder");
        let socket = Target::Socket(PathBuf::from(folder).join(".s.PGSQL.5432"));
        for door in [&[&self.door], doors].concat() {
            door.leads_to(vec![socket.clone()]);
        }
        *lock(&self.running) = Some(postgres);
    }

    /// This proxy leads to the server, too, until it is started again.
    pub fn leads_to_this(&self, door: &Proxy) {
        door.leads_to(self.door.targets());
    }

    /// Kills the server and all its sessions, as a power failure of its machine would.
    pub fn kill(&self) {
        let file = std::fs::read_to_string(self.data().join("postmaster.pid")).expect("the server runs");
        let postmaster: i32 = file.lines().next().expect("a line").trim().parse().expect("a number");
        let sessions = std::fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children")).unwrap_or_default();
        kill_process(postmaster);
        for session in sessions.split_whitespace().filter_map(|pid| pid.parse().ok()) {
            kill_process(session);
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A database as those see it who look on.
    pub fn address(&self, name: &str) -> String {
        through(&self.door, name)
    }

    /// A new database with the schema.
    pub async fn database(&self, name: &str) -> String {
        until("a database is made", async || {
            let mut connection = connect(&self.address("postgres")).await;
            let sql = format!("CREATE DATABASE {name} TEMPLATE template_round");
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.ok()
        })
        .await;
        self.address(name)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
