//! The law at the end of every house: what the one checker finds in the wallet's books and in our database, and what holds
//! besides where everything has come to rest.

use sqlx::PgConnection;

use crate::checker::books::{Rules, judge};
use crate::checker::ours::Ours;
use crate::checker::{self, Breach};
use crate::database::connect;
use crate::house::House;

/// Everything has come to rest, and the promise was kept.
pub async fn check_law(house: &House) {
    let breaches = breaches(house, Rules::default()).await;
    for breach in breaches.iter().filter(|breach| !breach.about.is_empty()) {
        eprintln!("{}: {}", breach.about, house.story(&breach.about).await);
    }
    checker::nothing_is_broken(&breaches);
}

/// Everything has come to rest: what is broken of the promise.
pub async fn breaches(house: &House, rules: Rules) -> Vec<Breach> {
    let ours = Ours::read(&house.database).await;
    let rules = Rules { at_rest: true, refuses_duplicates: house.plan.refuses_duplicates, ..rules };
    let mut breaches = judge(&house.sandbox, &ours, rules);
    breaches.extend(checker::database(&house.database, None).await);
    breaches.extend(rest(&mut connect(&house.database).await).await);
    breaches
}

/// What holds only when nobody is at work.
async fn rest(database: &mut PgConnection) -> Vec<Breach> {
    let broken: Vec<(String, String)> = sqlx::query_as(
        "SELECT 'a final order has no task', trade_id FROM orders o JOIN tasks t USING (merchant_id, order_id) WHERE o.is_final
         UNION ALL
         SELECT 'no attempt is open', trade_id FROM orders o JOIN attempts a USING (merchant_id, order_id) WHERE a.state = 'open'
         UNION ALL
         SELECT 'nobody disagrees', trade_id FROM orders o JOIN discrepancies d USING (merchant_id, order_id) WHERE d.resolved_at IS NULL
         UNION ALL
         SELECT 'what is nobody''s is told once for each of its standings', body->'data'->>'provider_receipt_id' FROM events
         WHERE event_type = 'receipt.unmatched'
         GROUP BY body->'data'->>'provider_receipt_id', body->'data'->>'status', body->'data'->>'confirmations'
         HAVING count(*) > 1",
    )
    .fetch_all(database)
    .await
    .expect("the law can be checked");
    broken.into_iter().map(|(law, about)| Breach::new("I18", &law, &about, "and nobody is at work")).collect()
}
