//! What the tests of a suite stand on: one private server, and a database for each test, which goes when its test does.

use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{Connection, PgConnection};
use tillgate::app::private_postgres::{Options, PrivatePostgres};
use tokio::sync::{OnceCell, mpsc, oneshot};

/// The server does not ask for it; it must not be seen in what a gateway writes.
pub const DATABASE_PASSWORD: &str = "canary-database-password-52de";

/// A server, and those who make and remove its databases.
#[derive(Debug)]
pub struct Databases {
    server: PrivatePostgres,
    maker: Keeper,
    remover: Keeper,
    last: AtomicU32,
    template: OnceCell<Database>,
}

/// A database, removed when the value is dropped. Reads as its address.
#[derive(Debug)]
pub struct Database {
    pub name: String,
    address: String,
    remover: Keeper,
}

impl Databases {
    /// A server with these settings besides, as `name=value`.
    pub fn new(settings: Vec<&'static str>) -> Self {
        let server = PrivatePostgres::start(&Options { settings, ..Options::temporary() }).expect("a private Postgres");
        // Who removes may have to wait until others have left; nobody who comes waits for that.
        let [maker, remover] = [(); 2].map(|()| Keeper::of(server.url("postgres")));
        Self { server, maker, remover, last: AtomicU32::new(0), template: OnceCell::const_new() }
    }

    /// The address of a database of this name.
    pub fn address(&self, name: &str) -> String {
        self.server.url(name).replacen("postgres@", &format!("postgres:{DATABASE_PASSWORD}@"), 1)
    }

    /// A database without any schema.
    pub async fn empty(&self) -> Database {
        self.new_database("").await
    }

    /// A copy of what `prepare` makes of an empty one, once for all.
    pub async fn prepared(&self, prepare: impl AsyncFnOnce(&Database)) -> Database {
        let make = async || {
            let empty = self.empty().await;
            prepare(&empty).await;
            empty
        };
        self.copy_of(self.template.get_or_init(make).await).await
    }

    /// A copy of a database that nobody uses.
    pub async fn copy_of(&self, original: &Database) -> Database {
        self.new_database(&format!("TEMPLATE {} STRATEGY FILE_COPY", original.name)).await
    }

    async fn new_database(&self, options: &str) -> Database {
        let name = format!("test_{}", self.last.fetch_add(1, Ordering::Relaxed));
        self.maker.tell(format!("CREATE DATABASE {name} {options}")).await.expect("an answer").expect("a database");
        Database { address: self.address(&name), name, remover: self.remover.clone() }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        drop(self.remover.tell(format!("DROP DATABASE {} WITH (FORCE)", self.name)));
    }
}

impl Deref for Database {
    type Target = String;

    fn deref(&self) -> &String {
        &self.address
    }
}

/// Makes or removes databases, one after the other: while one is copied, nobody may be in it.
#[derive(Clone, Debug)]
struct Keeper(mpsc::UnboundedSender<(String, oneshot::Sender<sqlx::Result<()>>)>);

impl Keeper {
    /// One with a thread of its own: tests have a runtime each, which ends with them.
    fn of(address: String) -> Self {
        let (sender, mut statements) = mpsc::unbounded_channel::<(String, oneshot::Sender<_>)>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let mut connection = PgConnection::connect(&address).await.expect("a connection");
                while let Some((sql, done)) = statements.recv().await {
                    let result = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await;
                    // Whoever removes does not wait.
                    let _ = done.send(result.map(drop));
                }
            });
        });
        Self(sender)
    }

    fn tell(&self, sql: String) -> oneshot::Receiver<sqlx::Result<()>> {
        let (done, answer) = oneshot::channel();
        // Where nobody is there any more the answer says so.
        let _ = self.0.send((sql, done));
        answer
    }
}
