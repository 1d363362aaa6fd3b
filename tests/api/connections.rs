//! Connections to the database: used again at once when all was answered, and never more than there are.

use std::pin::pin;
use std::time::Duration;

use futures_util::poll;
use tillgate::store::pool::Lease;
use tillgate::store::{Limits, StoreError};

use crate::harness::{empty_database, limits, pool};

/// The server's process behind a connection.
async fn process(lease: &mut Lease) -> i32 {
    sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut **lease).await.expect("an answer")
}

#[tokio::test]
async fn who_was_answered_leaves_the_connection_to_the_next() {
    let database = empty_database().await;
    let db = pool(&database, limits(2));
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
    let database = empty_database().await;
    let db = pool(&database, limits(1));
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

#[tokio::test]
async fn a_statement_that_is_not_answered_is_given_up_with_its_connection() {
    let short = Limits { statement: Duration::from_millis(300), ..limits(1) };
    let database = empty_database().await;
    let db = pool(&database, short);
    let mut lease = db.get().await.expect("a connection");
    let given_up = process(&mut lease).await;
    let answer = sqlx::query("SELECT pg_sleep(3600)").execute(&mut *lease).await;
    let error = StoreError::from(answer.expect_err("an hour is too long"));
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    drop(lease);
    // There may be one connection only, and nobody inherits that on which the statement goes on.
    let mut next = db.get().await.expect("a new connection");
    assert_ne!(process(&mut next).await, given_up);
    let looks: String = sqlx::query_scalar("SHOW client_connection_check_interval").fetch_one(&mut *next).await.expect("a setting");
    assert_eq!(looks, "10s", "the server ends what nobody waits for");
    next.done();
    db.close().await;
}
