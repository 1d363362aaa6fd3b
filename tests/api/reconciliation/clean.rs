//! Where nothing was altered nothing is found, and it costs what it must.

use tillgate::domain::order::Provider;
use tillgate::sandbox::{HicoinAlteration, HicoinApp};

use super::{alter, begin, open, reconcile_all, start};

const ORDERS: i64 = 10_000;
const ADDRESS: &str = "0x754b0c610e311d0d00c810ef857b4dd989a67162";

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_orders_that_agree_raise_no_alarm_and_cost_a_hundred_questions() {
    let world = start().await;
    let app = &world.app;
    world.create(crate::hicoin::ways::Way::OnChain, "pattern").await;
    super::all_is_done(&world).await;
    // As many more as the one that went the whole way, on both sides.
    let sql = format!(
        "INSERT INTO orders SELECT (jsonb_populate_record(o, jsonb_build_object(
             'order_id', overlay(o.order_id::text placing lpad(to_hex(n), 12, '0') from 25), 'trade_id', 'many-' || n,
             'provider_reference', NULL))).*
         FROM orders o, generate_series(1, {ORDERS}) n WHERE o.trade_id = 'pattern'"
    );
    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut app.database().await).await.expect("orders");
    for number in 1..=ORDERS {
        let (request_id, uid) = (format!("many-{number}"), HicoinApp::default().uid);
        let (address, symbol, amount) = (ADDRESS.to_owned(), "ETH".to_owned(), rust_decimal::Decimal::ONE);
        alter(&world, HicoinAlteration::OrderAdded { request_id, uid, address, symbol, amount });
    }
    let asked = app.sandbox.calls("withdrawList");
    let expected = begin(app, Provider::Hicoin, false).await.expected;
    let run = reconcile_all(app, Provider::Hicoin, false).await;
    assert_eq!(expected, ORDERS + 1);
    assert_eq!((run.compared, run.disagree, run.behind, run.unreadable), (ORDERS + 1, 0, 0, 0));
    assert_eq!(app.sandbox.calls("withdrawList") - asked, 101, "a question for each hundred, and one for the rest");
    assert!(run.questions <= 104, "{} questions", run.questions);
    assert!(open(app).await.is_empty());

    // The one that is altered is found among them.
    alter(&world, HicoinAlteration::OrderRemoved { request_id: "many-7777".to_owned() });
    assert_eq!(reconcile_all(app, Provider::Hicoin, false).await.opened, 1);
    assert_eq!(open(app).await, [("many-7777".to_owned(), "missing_at_provider".to_owned())]);
}
