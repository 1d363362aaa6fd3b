//! What time it is: a process goes by the database's time, whatever its own machine says.

use std::cell::Cell;
use std::time::Duration;

use tillgate::domain::clock::Clock;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::database::{connect, execute};
use crate::house::House;
use crate::moments::stop;
use crate::program::until;

/// So far is the database behind this machine. Wallets refuse what differs from their time by more than a few minutes.
const BEHIND: Duration = Duration::from_mins(1);
/// Answers take a part of a second, and the whole life of a payout some seconds.
const SHORT: Duration = Duration::from_secs(10);

/// Everybody who connects to this database after the first time, and asks it after any, sees a time so far behind the machine's.
async fn shift_time(database: &str, behind: Duration) {
    let sql = format!(
        "CREATE SCHEMA IF NOT EXISTS shifted;
         CREATE OR REPLACE FUNCTION shifted.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
             AS $$ SELECT pg_catalog.clock_timestamp() - interval '{} seconds' $$;
         DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = shifted, pg_catalog, public', current_database()); END $$;",
        behind.as_secs()
    );
    execute(&mut connect(database).await, &sql).await;
}

/// How far the API, which creates an order, and the worker, which ends it, are behind this machine.
async fn behind(house: &House, trade_id: &str) -> [time::Duration; 2] {
    let began = Clock::system().now();
    house.payout(trade_id).await;
    house.comes_to(trade_id, &["succeeded"]).await;
    let order = house.get(&format!("/v1/payouts/{trade_id}")).await;
    ["created_at", "updated_at"].map(|key| began - OffsetDateTime::parse(order.text(key), &Rfc3339).expect("a time"))
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_of_every_role_go_by_the_time_of_the_database() {
    let house = House::open().await;
    shift_time(&house.database, BEHIND).await;
    let (api, worker) = (house.serve("api").await, house.serve("worker").await);
    let found = behind(&house, "one").await;
    assert!(found.iter().all(|behind| (*behind - BEHIND).unsigned_abs() < SHORT), "{found:?}");
    // They ask again and again: the database's clock is put right.
    shift_time(&house.database, Duration::ZERO).await;
    let orders = Cell::new(0);
    until("they follow the database", async || {
        orders.set(orders.get() + 1);
        let found = behind(&house, &format!("more-{}", orders.get())).await;
        found.iter().all(|behind| behind.unsigned_abs() < SHORT).then_some(())
    })
    .await;
    stop(api).await;
    stop(worker).await;
    house.close().await;
}
