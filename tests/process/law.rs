//! The law, as far as it shows in the database and in the provider's books. It is checked at the end of every house.

use rust_decimal::Decimal;
use sqlx::PgConnection;
use tillgate::sandbox::Kind;

use crate::database::connect;
use crate::house::House;

/// The law, as far as it shows in the database and in FOMO's books.
pub async fn check_law(house: &House, nobody_lied: bool) {
    let mut database = connect(&house.database).await;
    let broken: Vec<(String, String)> = sqlx::query_as(
        "SELECT 'steps without a gap', trade_id FROM orders o
         WHERE (SELECT array_agg(sequence ORDER BY sequence) FROM steps s WHERE s.merchant_id = o.merchant_id AND s.order_id = o.order_id)
               IS DISTINCT FROM (SELECT array_agg(n) FROM generate_series(1, o.sequence) n)
         UNION ALL
         SELECT 'an event for each step', trade_id FROM orders o
         WHERE (SELECT array_agg(e.sequence ORDER BY e.sequence) FROM events e WHERE e.merchant_id = o.merchant_id AND e.order_id = o.order_id)
               IS DISTINCT FROM (SELECT array_agg(n) FROM generate_series(1, o.sequence) n)
         UNION ALL
         SELECT 'received is the sum of receipts', trade_id FROM orders o
         WHERE kind = 'deposit' AND amount_received <>
               (SELECT coalesce(sum(amount), 0) FROM receipts r WHERE r.merchant_id = o.merchant_id AND r.order_id = o.order_id)
         UNION ALL
         SELECT 'the last step is where the order is', trade_id FROM orders o
         WHERE NOT EXISTS (SELECT FROM steps s WHERE s.merchant_id = o.merchant_id AND s.order_id = o.order_id
                           AND s.sequence = o.sequence AND s.status = o.status AND s.stage IS NOT DISTINCT FROM o.stage)
         UNION ALL
         SELECT 'a final order has no task', trade_id FROM orders o JOIN tasks t USING (merchant_id, order_id) WHERE o.is_final
         UNION ALL
         SELECT 'no attempt is open', trade_id FROM orders o JOIN attempts a USING (merchant_id, order_id) WHERE a.state = 'open'
         UNION ALL
         SELECT 'what is on its way to an endpoint is queued, and nothing else is', delivery_id::text
         FROM (SELECT merchant_id, delivery_id FROM webhook_deliveries WHERE state = 'pending') d
         FULL JOIN webhook_queue q USING (merchant_id, delivery_id) WHERE d IS NULL OR q IS NULL
         UNION ALL
         SELECT 'nobody disagrees', trade_id FROM orders o JOIN discrepancies d USING (merchant_id, order_id)
         WHERE d.resolved_at IS NULL AND $1",
    )
    .bind(nobody_lied)
    .fetch_all(&mut database)
    .await
    .expect("the law can be checked");
    assert!(broken.is_empty(), "the law is broken: {broken:?}");
    // Deposits at Hicoin are nobody's call: they are looked at by themselves.
    let orders: Vec<(String, String, String)> =
        sqlx::query_as("SELECT trade_id, kind, status FROM orders WHERE NOT (kind = 'deposit' AND provider = 'hicoin')")
            .fetch_all(&mut database)
            .await
            .expect("orders");
    for (trade_id, kind, status) in orders {
        let executions = house.sandbox.executions(&trade_id);
        assert!(executions <= 1, "{trade_id} was carried out {executions} times: {}", house.story(&trade_id).await);
        assert!(status != "succeeded" || executions == 1, "{kind} {trade_id} succeeded, and the wallet did not move the money");
        assert!(status != "failed" || executions == 0, "{kind} {trade_id} failed, and the wallet moved the money");
    }
    check_incoming(house, &mut database).await;
}

/// Every deposit in Hicoin's books is exactly one receipt, which counts once, and was told once.
async fn check_incoming(house: &House, database: &mut PgConnection) {
    let books = house.sandbox.books();
    let deposits = books.iter().filter(|entry| entry.provider == "hicoin" && entry.kind == Kind::Deposit);
    let mut theirs: Vec<(String, Decimal)> = deposits.map(|entry| (entry.transfer_id.clone(), entry.amount.normalize())).collect();
    theirs.sort();
    let ours: Vec<(String, Decimal)> = sqlx::query_as(
        "SELECT provider_receipt_id, amount FROM receipts WHERE provider = 'hicoin' AND progress = 'confirmed' AND NOT unheard",
    )
    .fetch_all(&mut *database)
    .await
    .expect("receipts");
    let mut ours: Vec<_> = ours.into_iter().map(|(number, amount)| (number, amount.normalize())).collect();
    ours.sort();
    assert_eq!(ours, theirs, "what we have received, and what Hicoin has credited");
    let broken: Vec<(String, String)> = sqlx::query_as(
        "SELECT 'confirmed is the sum of confirmed receipts', trade_id FROM orders o
         WHERE kind = 'deposit' AND amount_confirmed <>
               (SELECT coalesce(sum(amount), 0) FROM receipts r
                WHERE r.merchant_id = o.merchant_id AND r.order_id = o.order_id AND r.progress = 'confirmed')
         UNION ALL
         SELECT 'what is nobody''s is told once for each of its standings', body->'data'->>'provider_receipt_id' FROM events
         WHERE event_type = 'receipt.unmatched'
         GROUP BY body->'data'->>'provider_receipt_id', body->'data'->>'status', body->'data'->>'confirmations'
         HAVING count(*) > 1
         UNION ALL
         SELECT 'what is nobody''s is told', provider_receipt_id FROM receipts r
         WHERE order_id IS NULL
           AND NOT EXISTS (SELECT FROM events e WHERE e.merchant_id = r.merchant_id AND e.event_type = 'receipt.unmatched'
                           AND e.body->'data'->>'provider_receipt_id' = r.provider_receipt_id)",
    )
    .fetch_all(database)
    .await
    .expect("the law can be checked");
    assert!(broken.is_empty(), "the law is broken: {broken:?}");
}
