//! The checker can fail: each law is broken by hand in a copy of a database in which all of them hold, and it is that law, and
//! no other, that is found broken.

mod outside;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sqlx::{Connection, PgConnection};
use tillgate::sandbox::{Fault, HicoinTo};
use time::OffsetDateTime;

use crate::checker::{database, nothing_is_broken};
use crate::databases::Database;
use crate::harness::{TestApp, copy_of};
use crate::incoming::{self, Payer, much, round};
use crate::webhooks::receiver::{Endpoint, Receiver, Reply};

/// A house in which everything there is to check has happened. Gives its database, and when that was.
async fn house() -> (Arc<Database>, OffsetDateTime) {
    let app = incoming::start(&json!({})).await;
    let receiver = Receiver::start().await;
    Endpoint::at(&app, &receiver.url, &["*"]).await;
    app.link_ada().await;
    let ada = Payer::new(&app, "ada").await;
    assert_eq!(app.payout("paid").await.status, 201);
    ada.ask("deposit", "2").await;
    ada.pay("2");
    app.discrepancy("disputed").await;
    let transfer =
        json!({ "trade_id": "moved", "provider": "hicoin", "coin": "ETH", "amount": "1", "from_customer": "ada", "to_customer": "bob" });
    round(&app).await;
    assert_eq!(app.post("/v1/transfers", &transfer).await.status, 201);
    round(&app).await;
    for (collection, trade_id) in [("payouts", "paid"), ("deposits", "deposit"), ("transfers", "moved")] {
        assert_eq!(app.place(collection, trade_id).await, "succeeded");
    }
    app.deliver().await;
    // Money that nobody asked for, one of it not confirmed; and a call that nobody answers.
    let stranger = app.sandbox.hicoin_deposit(None, &HicoinTo::Uid(77), "ETH", much("3")).expect("a deposit");
    incoming::finish(&app, stranger);
    app.sandbox.hicoin_deposit(None, &HicoinTo::Uid(78), "ETH", much("4")).expect("a deposit");
    app.sandbox.fault("pay_user", Fault::LoseAfter);
    assert_eq!(app.payout("doubtful").await.status, 201);
    round(&app).await;
    assert_eq!(app.place("payouts", "doubtful").await, "processing/outcome_unknown");
    // The first days are closed.
    app.advance(Duration::from_hours(25));
    let closed = app.get("/v1/reports/statement?from=2027-01-15&to=2027-01-16").await;
    assert_eq!(closed.status, 200, "{:?}", closed.body);
    // What comes from now on waits.
    receiver.behave(|_| Reply::Status(500));
    ada.ask("open", "5").await;
    app.deliver().await;
    let now = app.clock.now();
    (app.leave().await, now)
}

async fn execute(url: &str, sql: &str) -> u64 {
    let mut connection = PgConnection::connect(url).await.expect("a connection");
    let retell = "UPDATE webhook_deliveries d SET event_type = e.event_type FROM events e WHERE e.event_id = d.event_id";
    let sql = sql.replace("RETELL", retell);
    // Neither triggers nor foreign keys stand in the way of whoever owns the database.
    let sql = sql.replace("ORDER(", "(SELECT order_id FROM orders WHERE trade_id = ");
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("SET session_replication_role = replica; {sql}")))
        .execute(&mut connection)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
        .rows_affected()
}

/// Laws, and what breaks them.
type Break = (&'static [&'static str], &'static str);

/// A law, and what breaks it. Some mistakes break two: then both are named.
const BREAKS: &[Break] = &[
    (&["guards_stand"], "ALTER TABLE orders DISABLE TRIGGER final_orders_keep_their_status"),
    (&["guards_stand"], "DROP INDEX an_order_has_one_open_attempt"),
    (
        &["steps_without_gap"],
        "UPDATE steps SET sequence = 0 WHERE order_id = ORDER('paid') AND sequence = 1; UPDATE events SET sequence = 0 WHERE order_id = ORDER('paid') AND sequence = 1",
    ),
    (&["steps_without_gap"], "UPDATE orders SET sequence = sequence + 1 WHERE trade_id = 'paid'"),
    (&["last_step_is_the_place"], "UPDATE orders SET stage = 'broadcast' WHERE trade_id = 'doubtful'"),
    (
        &["steps_are_legal"],
        "UPDATE steps SET status = 'succeeded', stage = NULL WHERE order_id = ORDER('paid') AND sequence = 2; UPDATE events SET event_type = 'payout.succeeded' WHERE order_id = ORDER('paid') AND sequence = 2; RETELL",
    ),
    (
        &["steps_are_legal"],
        "UPDATE steps SET status = 'canceled' WHERE order_id = ORDER('open') AND sequence = 1; UPDATE events SET event_type = 'deposit.canceled' WHERE order_id = ORDER('open') AND sequence = 1; RETELL",
    ),
    (
        &["ends_are_final"],
        "UPDATE orders SET is_final = true, final_at = created_at, doubts = 0, doubt_since = NULL WHERE trade_id = 'doubtful'; UPDATE tasks SET work = 'look' WHERE order_id = ORDER('doubtful')",
    ),
    (
        &["trade_id_is_one_order"],
        "ALTER TABLE orders DROP CONSTRAINT a_trade_id_is_used_once; CREATE UNIQUE INDEX a_trade_id_is_used_once ON orders (merchant_id, order_id); UPDATE orders SET trade_id = 'paid' WHERE trade_id = 'moved'",
    ),
    (
        &["step_has_one_event"],
        "DELETE FROM webhook_deliveries WHERE event_id = (SELECT event_id FROM events WHERE order_id = ORDER('paid') AND sequence = 2); DELETE FROM webhook_attempts a WHERE NOT EXISTS (SELECT FROM webhook_deliveries d WHERE d.delivery_id = a.delivery_id); DELETE FROM events WHERE order_id = ORDER('paid') AND sequence = 2",
    ),
    (
        &["step_has_one_event"],
        "INSERT INTO events (merchant_id, event_id, event_type, order_id, sequence, body, created_at) SELECT merchant_id, first_id_at(created_at), event_type, order_id, sequence, body, created_at FROM events WHERE order_id = ORDER('paid') AND sequence = 2",
    ),
    (&["step_has_one_event"], "UPDATE events SET event_type = 'payout.failed' WHERE order_id = ORDER('paid') AND sequence = 3; RETELL"),
    (
        &["event_has_its_step"],
        "INSERT INTO events (merchant_id, event_id, event_type, order_id, sequence, body, created_at) SELECT merchant_id, first_id_at(created_at), event_type, order_id, 9, body, created_at FROM events WHERE order_id = ORDER('paid') AND sequence = 3",
    ),
    (
        &["event_has_its_step"],
        "INSERT INTO events (merchant_id, event_id, event_type, order_id, sequence, body, created_at) SELECT merchant_id, first_id_at(created_at), event_type, 'ffffffff-ffff-4fff-bfff-ffffffffffff', 1, body, created_at FROM events WHERE order_id = ORDER('paid') AND sequence = 3",
    ),
    (&["call_has_its_attempt"], "DELETE FROM attempts WHERE order_id = ORDER('paid')"),
    (&["call_has_its_attempt"], "UPDATE attempts SET order_id = ORDER('moved') WHERE order_id = ORDER('paid')"),
    (&["call_has_its_attempt"], "UPDATE steps SET attempt_id = NULL WHERE order_id = ORDER('moved') AND stage = 'submitting'"),
    (
        &["guards_stand", "one_open_attempt", "open_call_is_kept"],
        "DROP INDEX an_order_has_one_open_attempt; INSERT INTO attempts (merchant_id, attempt_id, order_id, state, started_at, leased_until) SELECT merchant_id, first_id_at(started_at + n * interval '1 s'), order_id, 'open', started_at, leased_until FROM attempts, generate_series(1, 2) n WHERE order_id = ORDER('paid')",
    ),
    (&["doubts_have_calls"], "UPDATE orders SET doubts = 2 WHERE trade_id = 'doubtful'"),
    (
        &["review_says_why"],
        "UPDATE orders SET status = 'requires_review', stage = 'mismatch' WHERE trade_id = 'doubtful'; UPDATE steps SET status = 'requires_review', stage = 'mismatch' WHERE order_id = ORDER('doubtful') AND sequence = (SELECT sequence FROM orders WHERE trade_id = 'doubtful'); UPDATE events SET event_type = 'payout.requires_review' WHERE order_id = ORDER('doubtful') AND sequence = (SELECT sequence FROM orders WHERE trade_id = 'doubtful'); UPDATE webhook_deliveries d SET event_type = e.event_type FROM events e WHERE e.event_id = d.event_id",
    ),
    (&["open_order_has_task"], "DELETE FROM tasks WHERE order_id = ORDER('doubtful')"),
    (&["open_order_has_task"], "DELETE FROM tasks WHERE order_id = ORDER('open')"),
    (
        &["final_order_has_no_task"],
        "UPDATE tasks SET order_id = ORDER('paid'), work = 'expire', lane = NULL, leased_until = NULL WHERE order_id = ORDER('open'); INSERT INTO tasks SELECT merchant_id, ORDER('open'), work, due_at, tries, absent_since, absent_last, leased_until, lane FROM tasks WHERE order_id = ORDER('paid')",
    ),
    (&["nothing_is_stuck"], "UPDATE tasks SET due_at = due_at - interval '3 days' WHERE order_id = ORDER('open')"),
    (&["nothing_is_stuck", "open_call_is_kept"], "UPDATE attempts SET state = 'open', ended_at = NULL WHERE order_id = ORDER('doubtful')"),
    (
        &["open_call_is_kept"],
        "INSERT INTO attempts (merchant_id, attempt_id, order_id, state, started_at, leased_until) SELECT merchant_id, first_id_at(now()), order_id, 'open', now(), now() + interval '1 h' FROM orders WHERE trade_id = 'doubtful'",
    ),
    (&["nothing_is_stuck"], "UPDATE deposit_feeds SET due_at = due_at - interval '3 days', leased_until = NULL"),
    (&["nothing_is_stuck"], "UPDATE receipts SET unheard = true WHERE progress = 'pending' AND order_id IS NULL"),
    (&["amounts_are_receipts"], "UPDATE orders SET amount_received = 3 WHERE trade_id = 'deposit'"),
    (&["amounts_are_receipts"], "UPDATE orders SET amount_confirmed = 1 WHERE trade_id = 'deposit'"),
    (&["amounts_are_receipts", "paid_is_settled"], "UPDATE orders SET amount_received = 5, amount_confirmed = 5 WHERE trade_id = 'open'"),
    (&["payout_counts_what_it_moved"], "UPDATE orders SET amount_confirmed = 1 WHERE trade_id = 'paid'"),
    (&["payout_counts_what_it_moved"], "UPDATE orders SET amount_received = amount WHERE trade_id = 'doubtful'"),
    (&["order_is_booked", "balances_add_up"], "DELETE FROM movements WHERE order_id = ORDER('paid')"),
    (&["order_is_booked", "balances_add_up"], "UPDATE movements SET amount = amount * 2 WHERE order_id = ORDER('moved') AND leg = 2"),
    (&["receipt_is_booked", "balances_add_up"], "UPDATE movements SET amount = amount + 1 WHERE order_id = ORDER('deposit')"),
    (
        &["receipt_is_booked", "amounts_are_receipts", "pending_is_followed"],
        "UPDATE receipts SET progress = 'pending' WHERE order_id = ORDER('deposit')",
    ),
    (
        &["guards_stand", "movement_is_one_receipt"],
        "ALTER TABLE receipts DROP CONSTRAINT a_movement_is_counted_once; INSERT INTO receipts SELECT (r2).* FROM (SELECT json_populate_record(r, json_build_object('receipt_id', first_id_at(r.created_at))) AS r2 FROM receipts r WHERE progress = 'pending') x",
    ),
    (&["receipt_has_a_home"], "UPDATE receipts SET unmatched_at = NULL WHERE order_id IS NULL AND progress = 'confirmed'"),
    (
        &["receipt_has_a_home"],
        "DELETE FROM webhook_deliveries WHERE event_type = 'receipt.unmatched'; DELETE FROM webhook_attempts a WHERE NOT EXISTS (SELECT FROM webhook_deliveries d WHERE d.delivery_id = a.delivery_id); DELETE FROM webhook_queue q WHERE NOT EXISTS (SELECT FROM webhook_deliveries d WHERE d.delivery_id = q.delivery_id); DELETE FROM events WHERE event_type = 'receipt.unmatched' AND body->'data'->>'status' = 'confirmed'",
    ),
    (&["receipt_fits_its_order"], "UPDATE receipts SET customer = 'bob' WHERE order_id = ORDER('deposit')"),
    (&["receipt_fits_its_order"], "UPDATE receipts SET provider_coin_id = 'BTC' WHERE order_id = ORDER('deposit')"),
    (&["pending_is_followed"], "DELETE FROM feed_follows"),
    (
        &["booked_is_known"],
        "INSERT INTO movements SELECT merchant_id, movement_id_of(booked_at + interval '1 day', '00000000-0000-4000-8000-000000000001', 0, 1), booked_at + interval '1 day', kind, provider, coin, amount, customer, trade_id, '00000000-0000-4000-8000-000000000001', NULL, 1 FROM movements WHERE order_id = ORDER('paid') AND leg = 1",
    ),
    (&["booked_is_known"], "UPDATE movements SET booked_at = booked_at + interval '1 hour' WHERE order_id = ORDER('paid') AND leg = 1"),
    (&["balances_add_up"], "UPDATE day_balances SET balance = balance + 1 WHERE provider = 'fomo'"),
    (&["balances_add_up"], "DELETE FROM day_balances WHERE provider = 'hicoin'"),
    (
        &["pending_is_queued"],
        "DELETE FROM webhook_queue WHERE delivery_id = (SELECT delivery_id FROM webhook_queue ORDER BY delivery_id LIMIT 1)",
    ),
    (
        &["queued_is_a_delivery"],
        "INSERT INTO webhook_queue SELECT merchant_id, endpoint_id, '00000000-0000-4000-8000-000000000001', 0, '00000000-0000-4000-8000-000000000001', event_id, due_at FROM webhook_queue LIMIT 1",
    ),
    (
        &["tries_are_counted"],
        "UPDATE webhook_deliveries SET attempts = attempts + 1 WHERE order_id = ORDER('paid') AND event_type = 'payout.queued'",
    ),
    (
        &["delivered_was_answered"],
        "UPDATE webhook_attempts SET status = 500 WHERE delivery_id IN (SELECT delivery_id FROM webhook_deliveries WHERE order_id = ORDER('paid') AND event_type = 'payout.queued')",
    ),
    (&["discrepancy_has_a_subject"], "UPDATE discrepancies SET subject = 'something'"),
    (
        &["delivery_has_its_event"],
        "UPDATE webhook_deliveries SET event_type = 'payout.failed' WHERE order_id = ORDER('paid') AND event_type = 'payout.queued'",
    ),
    (
        &["delivery_has_its_event"],
        "UPDATE webhook_deliveries SET order_id = ORDER('moved') WHERE order_id = ORDER('paid') AND event_type = 'payout.queued'",
    ),
    (&["audit_log_is_whole"], "UPDATE audit_log SET actor_name = 'nobody' WHERE position = 1"),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_law_that_is_broken_is_found_and_no_other() {
    let (whole, now) = house().await;
    // Nobody has worked since the last of it, which is no fault of theirs.
    let late = Some(now - time::Duration::hours(36));
    nothing_is_broken(&database(&whole, late).await);
    let mut wrong = Vec::new();
    for (laws, sql) in BREAKS {
        let copy = copy_of(&whole).await;
        execute(&copy, sql).await;
        let stuck = laws.contains(&"nothing_is_stuck");
        let found = database(
            &copy,
            if stuck { late.map(|late| late + time::Duration::hours(if sql.contains("3 days") { 0 } else { 40 })) } else { None },
        )
        .await;
        let mut names: Vec<&str> = found.iter().map(|breach| breach.law.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let mut expected = laws.to_vec();
        expected.sort_unstable();
        // Where everything is late, others are, too.
        let fine = names == expected && (!stuck || !found.is_empty());
        if !fine {
            let all: Vec<String> = found.iter().map(ToString::to_string).collect();
            wrong.push(format!("{sql}\n    must break {expected:?}, and breaks {names:?}\n    {}", all.join("\n    ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_law_has_a_case_that_breaks_it() {
    use strum::IntoEnumIterator;
    for law in tillgate::domain::law::Law::iter() {
        let name: &str = law.into();
        assert!(BREAKS.iter().any(|(laws, _)| laws.contains(&name)), "nobody breaks {name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_read_may_verify_and_nothing_is_written() {
    let app = TestApp::start().await;
    app.link_ada().await;
    assert_eq!(app.payout("paid").await.status, 201);
    app.submit().await;
    let mut owner = app.database().await;
    let reader = format!("reader_{}", std::process::id());
    let grants = format!(
        "DROP ROLE IF EXISTS {reader}; CREATE ROLE {reader} LOGIN; GRANT USAGE ON SCHEMA public TO {reader}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {reader}"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(grants)).execute(&mut owner).await.expect("a role");
    let url = app.database.replacen("//postgres:", &format!("//{reader}:"), 1);
    assert_ne!(url, **app.database);
    nothing_is_broken(&database(&url, None).await);
    drop(owner);
    app.finish().await;
}
