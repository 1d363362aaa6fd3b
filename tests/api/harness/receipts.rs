//! The law of incoming money, as it shows in the database and in the provider's books.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use sqlx::PgConnection;
use tillgate::sandbox::Kind;

use super::TestApp;

/// What Hicoin has booked of one deposit.
struct Booked {
    user: String,
    coin: String,
    amount: Decimal,
    /// It was not taken out again.
    stays: bool,
}

/// By Hicoin's numbers.
fn booked(app: &TestApp) -> BTreeMap<i64, Booked> {
    let mut deposits = BTreeMap::new();
    for entry in app.sandbox.books().into_iter().filter(|entry| entry.provider == "hicoin") {
        let Ok(number) = entry.transfer_id.parse::<i64>() else { continue };
        match entry.kind {
            Kind::Deposit => {
                deposits.insert(number, Booked { user: entry.user_id, coin: entry.coin_id, amount: entry.amount, stays: true });
            }
            Kind::Returned => {
                deposits.entry(number).and_modify(|booked| booked.stays = false);
            }
            Kind::Payout | Kind::Withdrawal | Kind::Transfer | Kind::Completed => {}
        }
    }
    deposits
}

/// What must hold at every moment, however much is still to be read.
pub async fn check_receipts(app: &TestApp, database: &mut PgConnection) {
    let broken: Vec<(String, String)> = sqlx::query_as(
        "SELECT 'the amounts are the sums of the receipts', trade_id FROM orders o
         WHERE kind = 'deposit' AND (amount_received, amount_confirmed) IS DISTINCT FROM
               (SELECT (coalesce(sum(amount) FILTER (WHERE progress <> 'abnormal'), 0), coalesce(sum(amount) FILTER (WHERE progress = 'confirmed'), 0))
                FROM receipts r WHERE r.merchant_id = o.merchant_id AND r.order_id = o.order_id AND NOT r.unheard)
           AND NOT EXISTS (SELECT FROM receipts r WHERE r.merchant_id = o.merchant_id AND r.order_id = o.order_id AND r.unheard)
         UNION ALL
         SELECT 'who has the money is settled, or a person decides', trade_id FROM orders
         WHERE kind = 'deposit' AND amount_confirmed >= amount - tolerance AND NOT is_final AND status <> 'requires_review'
         UNION ALL
         SELECT 'what is nobody''s is told', provider_receipt_id FROM receipts r
         WHERE order_id IS NULL AND NOT unheard
           AND (unmatched_at IS NULL OR NOT EXISTS (
                    SELECT FROM events e WHERE e.merchant_id = r.merchant_id AND e.event_type = 'receipt.unmatched'
                      AND e.body->'data'->>'provider_receipt_id' = r.provider_receipt_id AND e.body->'data'->>'status' = r.progress))
         UNION ALL
         -- Where each deposit stood when the receipt came, if nothing else happened to it at that moment. What the provider saw
         -- long before the deposit was made is not its money.
         SELECT 'nothing is nobody''s while somebody waits for it', provider_receipt_id
         FROM receipts r JOIN orders o ON o.merchant_id = r.merchant_id AND o.kind = 'deposit' AND o.provider = r.provider
              AND o.customer = r.customer AND o.provider_coin_id = r.provider_coin_id
         CROSS JOIN LATERAL (SELECT s.status, s.stage, s.created_at FROM steps s WHERE s.merchant_id = o.merchant_id AND s.order_id = o.order_id
                               AND s.created_at <= r.unmatched_at ORDER BY s.sequence DESC LIMIT 1) last_step
         WHERE r.unmatched_at > last_step.created_at AND (r.seen_at IS NULL OR o.created_at - r.seen_at <= interval '15 minutes')
           AND (last_step.status IN ('created', 'awaiting_payment') OR last_step.stage = 'partially_paid')
         UNION ALL
         SELECT 'what is pending is asked for again', provider_receipt_id FROM receipts r
         WHERE progress = 'pending' AND NOT EXISTS (
             SELECT FROM feed_follows f WHERE f.merchant_id = r.merchant_id AND f.provider = r.provider AND f.number::text = r.provider_receipt_id)
         UNION ALL
         SELECT 'money is of an order in its coin, of its customer unless a person gave it', provider_receipt_id
         FROM receipts r JOIN orders o USING (merchant_id, order_id)
         WHERE o.kind <> 'deposit' OR o.provider <> r.provider OR o.provider_coin_id <> r.provider_coin_id
            OR (r.unmatched_at IS NULL AND o.customer IS DISTINCT FROM r.customer)",
    )
    .fetch_all(&mut *database)
    .await
    .expect("the law can be checked");
    assert!(broken.is_empty(), "the law of incoming money is broken: {broken:?}");
    let found: Vec<(i64, String, String, Decimal, String)> = sqlx::query_as(
        "SELECT provider_receipt_id::bigint, coalesce(provider_user, ''), provider_coin_id, amount, progress FROM receipts WHERE provider = 'hicoin'",
    )
    .fetch_all(&mut *database)
    .await
    .expect("receipts");
    let found: BTreeMap<i64, _> =
        found.into_iter().map(|(number, user, coin, amount, progress)| (number, (user, coin, amount, progress))).collect();
    let books = booked(app);
    for (number, (.., progress)) in &found {
        assert!(progress != "confirmed" || books.contains_key(number), "receipt {number} is confirmed, and Hicoin never had the money");
    }
    let cursor: Option<i64> =
        sqlx::query_scalar("SELECT max(cursor) FROM deposit_feeds").fetch_one(&mut *database).await.expect("a cursor");
    let followed: Vec<i64> = sqlx::query_scalar("SELECT number FROM feed_follows").fetch_all(&mut *database).await.expect("numbers");
    for (number, booked) in &books {
        match found.get(number) {
            Some((user, coin, amount, _)) => {
                assert_eq!(
                    (user, coin, *amount),
                    (&booked.user, &booked.coin, booked.amount),
                    "receipt {number} is what Hicoin has booked"
                );
            }
            None => assert!(
                cursor.is_none_or(|cursor| *number > cursor) || followed.contains(number),
                "deposit {number} was passed by, and nobody asks for it"
            ),
        }
    }
}

impl TestApp {
    /// Everything that Hicoin has booked is found, each deposit as one receipt, and credited once.
    pub async fn everything_is_found(&self) {
        let mut database = self.database().await;
        check_receipts(self, &mut database).await;
        let found: Vec<(i64, String)> = sqlx::query_as(
            "SELECT provider_receipt_id::bigint, progress FROM receipts WHERE provider = 'hicoin' AND progress <> 'pending' ORDER BY 1",
        )
        .fetch_all(&mut database)
        .await
        .expect("receipts");
        let found: BTreeMap<i64, String> = found.into_iter().collect();
        let books = booked(self);
        for (number, booked) in &books {
            let expected = if booked.stays { "confirmed" } else { "abnormal" };
            assert_eq!(found.get(number).map(String::as_str), Some(expected), "deposit {number}");
        }
        let credited: Decimal = sqlx::query_scalar(
            "SELECT (SELECT coalesce(sum(amount_confirmed), 0) FROM orders WHERE kind = 'deposit' AND provider = 'hicoin')
                  + (SELECT coalesce(sum(amount), 0) FROM receipts WHERE provider = 'hicoin' AND order_id IS NULL AND progress = 'confirmed')",
        )
        .fetch_one(&mut database)
        .await
        .expect("a sum");
        assert_eq!(credited, books.values().filter(|booked| booked.stays).map(|booked| booked.amount).sum::<Decimal>(), "credited once");
        let unheard: i64 =
            sqlx::query_scalar("SELECT count(*) FROM receipts WHERE unheard").fetch_one(&mut database).await.expect("a number");
        assert_eq!(unheard, 0, "everybody has heard of it");
    }
}
