//! What Tillgate says of orders, calls and receipts: one side of the comparison with the wallet's books.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use sqlx::{Connection, PgConnection};

/// An order, as we have it.
#[derive(Clone, Debug)]
pub struct Order {
    pub kind: String,
    pub provider: String,
    pub coin: String,
    pub amount: Decimal,
    pub status: String,
    pub is_final: bool,
    pub attempts: Vec<Attempt>,
    /// A person has agreed to a second call, or has said what became of the order.
    pub by_hand: bool,
}

/// A call, as we have it.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub state: String,
    pub started_ms: i64,
}

/// A receipt, as we have it.
#[derive(Clone, Debug)]
pub struct Receipt {
    pub number: String,
    pub user: String,
    pub coin: String,
    pub amount: Decimal,
    pub progress: String,
    pub unheard: bool,
}

/// All of it: orders by trade id, and receipts of wallets that list what comes in.
#[derive(Clone, Debug, Default)]
pub struct Ours {
    pub orders: BTreeMap<String, Order>,
    pub receipts: Vec<Receipt>,
    /// How far the list was read, and what of it is still asked for. Absent: it never was.
    pub cursor: Option<i64>,
    pub followed: Vec<i64>,
}

type OrderRow = (String, String, String, String, Decimal, String, bool, bool);

impl Ours {
    /// Reads the database of a test, which has one merchant, or several whose trade ids differ.
    pub async fn read(url: &str) -> Self {
        let mut db = PgConnection::connect(url).await.expect("a connection");
        let rows: Vec<OrderRow> = sqlx::query_as(
            "SELECT trade_id, kind, provider, provider_coin_id, amount, status, is_final,
                    EXISTS (SELECT FROM audit_log l WHERE l.merchant_id = o.merchant_id AND l.subject_id = o.trade_id
                              AND l.action ~ '[.](retry|confirm|reject)$')
             FROM orders o",
        )
        .fetch_all(&mut db)
        .await
        .expect("orders");
        let order = |(trade_id, kind, provider, coin, amount, status, is_final, by_hand): OrderRow| {
            (trade_id, Order { kind, provider, coin, amount, status, is_final, attempts: Vec::new(), by_hand })
        };
        let mut ours = Self { orders: rows.into_iter().map(order).collect(), ..Self::default() };
        let attempts: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT o.trade_id, a.state, floor(extract(epoch FROM a.started_at) * 1000)::bigint
             FROM attempts a JOIN orders o USING (merchant_id, order_id) ORDER BY a.started_at, a.attempt_id",
        )
        .fetch_all(&mut db)
        .await
        .expect("attempts");
        for (trade_id, state, started_ms) in attempts {
            ours.orders.entry(trade_id).and_modify(|order| order.attempts.push(Attempt { state, started_ms }));
        }
        let receipts: Vec<(String, String, String, Decimal, String, bool)> = sqlx::query_as(
            "SELECT provider_receipt_id, coalesce(provider_user, ''), provider_coin_id, amount, progress, unheard
             FROM receipts WHERE provider = 'hicoin'",
        )
        .fetch_all(&mut db)
        .await
        .expect("receipts");
        let receipt = |(number, user, coin, amount, progress, unheard)| Receipt { number, user, coin, amount, progress, unheard };
        ours.receipts = receipts.into_iter().map(receipt).collect();
        ours.cursor = sqlx::query_scalar("SELECT max(cursor) FROM deposit_feeds").fetch_one(&mut db).await.expect("a cursor");
        ours.followed = sqlx::query_scalar("SELECT number FROM feed_follows").fetch_all(&mut db).await.expect("numbers");
        ours
    }
}
