//! Bringing a process to a moment, and what happens to it there.

use futures_util::future::join_all;
use time::OffsetDateTime;

use crate::database::{Lock, connect};
use crate::house::{Gateway, House, watched};
use crate::program::until;

/// Runs the cases of a table side by side, and fails with the names of those that failed.
pub async fn side_by_side(cases: impl IntoIterator<Item = (String, impl Future<Output = ()>)>) {
    let failed: Vec<String> = join_all(cases.into_iter().map(|(name, case)| watched(name, case))).await.into_iter().flatten().collect();
    assert!(failed.is_empty(), "these cases fail: {failed:#?}");
}

pub async fn kill(gateway: Gateway) {
    let ended = gateway.program.kill().await;
    assert_eq!(ended.code, None, "it was killed and did not end by itself: {}", ended.err);
}

/// Ends a gateway in good order.
pub async fn stop(gateway: Gateway) {
    gateway.program.terminate();
    let ended = gateway.program.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
}

impl House {
    /// A gateway whose statements are carried out also after its death (`warm`), or any.
    pub async fn serve_perhaps_warm(&self, role: &str, warm: bool, variables: &[(&str, &str)]) -> Gateway {
        if warm { self.serve_warm(role, variables).await } else { self.serve_with(role, variables).await }
    }

    /// The gateway is killed while so many of its statements wait for the table. What it had asked for is carried out when
    /// the lock is released, or, if it shall not be committed, is lost with its session.
    pub async fn dies_waiting(&self, gateway: Gateway, mut lock: Lock, count: usize, committed: bool) {
        lock.blocks(count).await;
        kill(gateway).await;
        if !committed {
            lock.end_who_waits().await;
            self.nobody_left().await;
        }
        lock.release().await;
        self.nobody_left().await;
    }

    /// A process that may go on stands still at a statement that is carried out meanwhile, or is lost.
    pub async fn stands_still_at(&self, process: &Gateway, mut lock: Lock, carried_out: bool) {
        lock.blocks(1).await;
        process.program.pause();
        if !carried_out {
            lock.end_who_waits().await;
        }
        lock.release().await;
    }

    /// Waits until every lease that was given before now is over.
    pub async fn leases_are_over(&self) {
        let mut eyes = connect(&self.database).await;
        let (since,): (OffsetDateTime,) = sqlx::query_as("SELECT now()").fetch_one(&mut eyes).await.expect("the present");
        until("the leases are over", async || {
            let over: bool = sqlx::query_scalar("SELECT now() > $1 + interval '3200 milliseconds'")
                .bind(since)
                .fetch_one(&mut eyes)
                .await
                .expect("the present");
            over.then_some(())
        })
        .await;
    }

    /// Waits until a process that was paused takes connections again: what it believes to be its own it finishes before it stops.
    pub async fn works_again(&self, process: &Gateway) {
        until("the paused process works again", async || (self.probe(process, "/readyz").await == Some(200)).then_some(())).await;
    }
}
