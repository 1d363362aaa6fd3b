//! Connections to the database: used again at once when all was answered, and never more than there are.

use std::pin::pin;
use std::time::Duration;

use futures_util::poll;
use tillgate::store::Db;
use tillgate::store::pool::Lease;

use crate::harness::empty_database;

const PATIENCE: Duration = Duration::from_secs(30);

async fn db(connections: u32) -> Db {
    Db::open(&empty_database().await.into(), connections, PATIENCE).expect("a pool")
}

/// The server's process behind a connection.
async fn process(lease: &mut Lease) -> i32 {
    sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut **lease).await.expect("an answer")
}

#[tokio::test]
async fn who_was_answered_leaves_the_connection_to_the_next() {
    let db = db(2).await;
    let mut first = db.get().await.expect("a connection");
    let used = process(&mut first).await;
    first.done();
    let mut second = db.get().await.expect("a connection");
    assert_eq!(process(&mut second).await, used);
    let mut beside = db.get().await.expect("a connection");
    assert_ne!(process(&mut beside).await, used, "one that is in use is nobody else's");
    drop((second, beside));
    db.close().await;
}

#[tokio::test]
async fn nobody_gets_more_connections_than_there_are() {
    let db = db(1).await;
    let lease = db.get().await.expect("a connection");
    assert!(poll!(pin!(db.get())).is_pending(), "there is one, and it is in use");
    // Whoever waits gets it when it is given back, either way.
    let next = async |lease: Lease, done: bool| {
        let giving_back = async {
            tokio::task::yield_now().await;
            if done { lease.done() } else { drop(lease) }
        };
        tokio::join!(db.get(), giving_back).0.expect("the connection")
    };
    let lease = next(lease, true).await;
    let lease = next(lease, false).await;
    lease.done();
    db.close().await;
    assert!(db.get().await.is_err(), "it is closed");
}
