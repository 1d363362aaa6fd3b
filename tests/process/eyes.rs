//! What the test sees in the database, beside what the API tells.

use std::panic::AssertUnwindSafe;

use crate::database::sessions;
use crate::house::House;
use crate::program::until;
use futures_util::future::FutureExt;

impl House {
    /// The status and stage of an order, as the database has it, as `status` or `status/stage`. `None`: there is none.
    pub async fn place(&self, trade_id: &str) -> Option<String> {
        sqlx::query_scalar("SELECT status || coalesce('/' || stage, '') FROM orders WHERE trade_id = $1")
            .bind(trade_id)
            .fetch_optional(&mut *self.eyes.lock().await)
            .await
            .expect("a place")
    }

    /// Waits until an order is at one of these places.
    pub async fn comes_to(&self, trade_id: &str, places: &[&str]) -> String {
        let what = format!("{trade_id} is {}", places.join(" or "));
        let comes = until(&what, async || self.place(trade_id).await.filter(|place| places.contains(&place.as_str())));
        match AssertUnwindSafe(comes).catch_unwind().await {
            Ok(place) => place,
            Err(_) => panic!("in vain: {what}; its story:\n{}", self.story(trade_id).await),
        }
    }

    /// Waits until the database has finished with what dead processes had asked it.
    pub async fn nobody_left(&self) {
        let mut eyes = self.eyes.lock().await;
        let name: String = sqlx::query_scalar("SELECT current_database()").fetch_one(&mut *eyes).await.expect("a name");
        until("the sessions of the dead are over", async || (sessions(&mut eyes, &name).await == 0).then_some(())).await;
    }

    /// How many attempts of an order there are at a state.
    pub async fn attempts(&self, trade_id: &str, state: &str) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM attempts JOIN orders USING (merchant_id, order_id) WHERE trade_id = $1 AND state = $2")
            .bind(trade_id)
            .bind(state)
            .fetch_one(&mut *self.eyes.lock().await)
            .await
            .expect("a count")
    }

    /// How many orders were looked for in vain.
    pub async fn absent(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM tasks WHERE absent_since IS NOT NULL")
            .fetch_one(&mut *self.eyes.lock().await)
            .await
            .expect("a count")
    }

    /// How many tasks a worker would take now.
    pub async fn due(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM tasks WHERE due_at <= now() AND (leased_until IS NULL OR leased_until <= now())")
            .fetch_one(&mut *self.eyes.lock().await)
            .await
            .expect("a count")
    }

    /// What happened to an order, for messages.
    pub async fn story(&self, trade_id: &str) -> String {
        let receipts: Vec<String> = sqlx::query_scalar(
            "SELECT concat_ws(' ', 'receipt', r.provider_receipt_id, r.created_at, r.amount::real, r.progress, coalesce(o.trade_id, 'nobody''s'))
             FROM receipts r LEFT JOIN orders o USING (merchant_id, order_id) ORDER BY r.created_at",
        )
        .fetch_all(&mut *self.eyes.lock().await)
        .await
        .expect("receipts");
        format!("{}\n{}", self.story_of(trade_id).await, receipts.join("\n"))
    }

    /// The same, without what has come in.
    pub async fn story_of(&self, trade_id: &str) -> String {
        let attempts: Vec<String> = sqlx::query_scalar(
            "SELECT concat_ws(' ', 'attempt', a.started_at, a.ended_at, a.state, a.leased_until, a.detail, t.work, t.due_at, t.leased_until) FROM attempts a JOIN orders USING (merchant_id, order_id) LEFT JOIN tasks t USING (merchant_id, order_id)
             WHERE trade_id = $1 ORDER BY a.started_at",
        )
        .bind(trade_id)
        .fetch_all(&mut *self.eyes.lock().await)
        .await
        .expect("attempts");
        let steps: Vec<String> = sqlx::query_scalar(
            "SELECT concat_ws(' ', 'step', s.sequence, s.created_at, s.status, s.stage, s.reason) FROM steps s JOIN orders USING (merchant_id, order_id)
             WHERE trade_id = $1 ORDER BY s.sequence",
        )
        .bind(trade_id)
        .fetch_all(&mut *self.eyes.lock().await)
        .await
        .expect("steps");
        let reports: Vec<String> = sqlx::query_scalar(
            "SELECT concat_ws(' ', 'report', r.received_at, r.channel, r.verdict, r.summary) FROM reports r JOIN orders USING (merchant_id, order_id)
             WHERE trade_id = $1 ORDER BY r.received_at",
        )
        .bind(trade_id)
        .fetch_all(&mut *self.eyes.lock().await)
        .await
        .expect("reports");
        let calls = self.sandbox.call_log().into_iter().filter(|call| call.trade_id.as_deref() == Some(trade_id));
        let calls: Vec<String> = calls.map(|call| format!("call {} {}", call.at_ms, call.operation)).collect();
        [attempts, steps, reports, calls].concat().join("\n")
    }

    /// Waits until a gateway has nothing left to do: no call is open, and no final order has a task.
    pub async fn at_rest(&self) {
        until("no call is open, and final orders have no tasks", async || {
            let left: i64 = sqlx::query_scalar(
                "SELECT (SELECT count(*) FROM attempts WHERE state = 'open')
                      + (SELECT count(*) FROM tasks JOIN orders USING (merchant_id, order_id) WHERE is_final)",
            )
            .fetch_one(&mut *self.eyes.lock().await)
            .await
            .expect("a count");
            (left == 0).then_some(())
        })
        .await;
    }
}
