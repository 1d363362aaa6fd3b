//! What must hold of incoming money beyond the law of every moment.

use sqlx::PgConnection;

use super::TestApp;
use crate::checker::books::{Rules, judge};
use crate::checker::nothing_is_broken;
use crate::checker::ours::Ours;

/// Nothing is nobody's while somebody waits for it. Here time is one, so that steps and receipts can be compared by it; between
/// processes with clocks of their own it would be no law.
pub async fn check_waiting(database: &mut PgConnection) {
    let broken: Vec<String> = sqlx::query_scalar(
        // Where each deposit stood when the receipt came, if nothing else happened to it at that moment. What the provider saw
        // long before the deposit was made is not its money.
        "SELECT provider_receipt_id
         FROM receipts r JOIN orders o ON o.merchant_id = r.merchant_id AND o.kind = 'deposit' AND o.provider = r.provider
              AND o.customer = r.customer AND o.provider_coin_id = r.provider_coin_id
         CROSS JOIN LATERAL (SELECT s.status, s.stage, s.created_at FROM steps s WHERE s.merchant_id = o.merchant_id AND s.order_id = o.order_id
                               AND s.created_at <= r.unmatched_at ORDER BY s.sequence DESC LIMIT 1) last_step
         WHERE r.unmatched_at > last_step.created_at AND (r.seen_at IS NULL OR o.created_at - r.seen_at <= interval '15 minutes')
           AND (last_step.status IN ('created', 'awaiting_payment') OR last_step.stage = 'partially_paid')",
    )
    .fetch_all(database)
    .await
    .expect("the law can be checked");
    assert!(broken.is_empty(), "nobody's, while somebody waits for it: {broken:?}");
}

impl TestApp {
    /// Everything that Hicoin has booked is found, each deposit as one receipt, and credited once.
    pub async fn everything_is_found(&self) {
        super::check_law(self).await;
        nothing_is_broken(&judge(&self.sandbox, &Ours::read(&self.database).await, Rules { at_rest: true, ..Rules::default() }));
    }
}
