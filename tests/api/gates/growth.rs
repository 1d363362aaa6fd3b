//! What reading and polling cost does not grow with history: buffers of the very statements that the program sends.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, PgExecutor};

use super::plans::read_by;
use crate::databases::{Database, Databases};
use crate::harness::{limits, pool};

/// The one statement of the program with these words.
fn statement(words: &[&str]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".sqlx");
    let files = fs::read_dir(folder).expect("the offline query data").flatten();
    let texts = files.map(|file| {
        let data: Value = serde_json::from_str(&fs::read_to_string(file.path()).expect("a file")).expect("JSON");
        data["query"].as_str().expect("a query").to_owned()
    });
    let mut found: Vec<String> = texts.filter(|text| words.iter().all(|word| text.contains(word))).collect();
    assert_eq!(found.len(), 1, "{words:?}: {found:#?}");
    found.remove(0)
}

pub async fn run(database: impl PgExecutor<'_>, sql: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(database).await.expect("a statement");
}

/// What a statement touches that was prepared long ago: buffers, and rows of tables. What it writes is taken back.
async fn cost<D>(database: &mut D, text: &str, values: &str) -> (i64, i64)
where
    for<'a> &'a mut D: PgExecutor<'a>,
{
    run(&mut *database, &format!("BEGIN; PREPARE gate AS {text}")).await;
    for _ in 0..6 {
        run(&mut *database, &format!("SAVEPOINT s; EXECUTE gate({values}); ROLLBACK TO s")).await;
    }
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE gate({values})");
    let plan: Value = sqlx::query_scalar(sqlx::AssertSqlSafe(explain)).persistent(false).fetch_one(&mut *database).await.expect("a plan");
    run(&mut *database, "ROLLBACK; DEALLOCATE gate").await;
    let plan = &plan[0]["Plan"];
    let count = |key: &str| plan[key].as_i64().expect("a count");
    (count("Shared Hit Blocks") + count("Shared Read Blocks"), rows_read(plan))
}

/// The rows that a plan has read from tables, those that it did not want included.
fn rows_read(node: &Value) -> i64 {
    let mut sum = 0;
    read_by(node, &mut |_, rows| sum += rows);
    sum
}

const M: &str = "'00000000-0000-0000-0000-000000000001'";

/// A server of its own: what takes long here would hold up the event feeds of other tests.
fn databases() -> &'static Databases {
    static OWN: OnceLock<Databases> = OnceLock::new();
    OWN.get_or_init(|| Databases::new(Vec::new()))
}

/// A database of a merchant with so many payouts, of which the newest `open` are polled, and with statistics as if there were nothing; and
/// a connection to it.
async fn history(orders: u32, open: u32) -> (Database, PgConnection) {
    let prepare = async |empty: &Database| {
        let db = pool(empty, limits(1));
        db.migrate().await.expect("the schema");
        db.close().await;
    };
    let place = databases().prepared(prepare).await;
    let mut database = PgConnection::connect(&place).await.expect("a connection");
    let seed = format!(
        "ALTER TABLE orders SET (autovacuum_enabled = false); ALTER TABLE tasks SET (autovacuum_enabled = false);
         SET session_replication_role = replica;
         INSERT INTO merchants VALUES ({M}, 'm', '{{}}', now());
         INSERT INTO provider_accounts VALUES ({M}, 'fomo', '', now(), NULL);
         ANALYZE orders; ANALYZE tasks;
         INSERT INTO orders (merchant_id, order_id, trade_id, kind, provider, status, sequence, coin, provider_coin_id, decimals, amount, tolerance,
             amount_received, amount_confirmed, late, destination, doubts, is_final, final_at, fingerprint, created_at, updated_at)
         SELECT {M}, (lpad(to_hex(n), 12, '0') || '70008000000000000000')::uuid, md5(n::text), 'payout', 'fomo', 'succeeded', 4, 'usdt', '5', 6, 1, 0,
             0, 0, false, '{{}}', 0, true, now(), '\\x00', now(), now()
         FROM generate_series(1, {orders}) n;
         INSERT INTO tasks (merchant_id, order_id, work, lane, due_at, tries)
         SELECT {M}, (lpad(to_hex(n), 12, '0') || '70008000000000000000')::uuid, 'poll', 'fomo/to_user', '2026-01-01'::timestamptz + n * interval '1 second', 0
         FROM generate_series({orders} - {open} + 1, {orders}) n"
    );
    run(&mut database, &seed).await;
    // Nobody has counted since: what the planner knows is an empty table's.
    run(&mut database, "DELETE FROM pg_statistic WHERE starelid IN ('orders'::regclass, 'tasks'::regclass)").await;
    run(&mut database, "UPDATE pg_class SET reltuples = 0, relpages = 0 WHERE oid IN ('orders'::regclass, 'tasks'::regclass)").await;
    (place, database)
}

/// The id of the order of a number, in SQL.
fn id(number: impl std::fmt::Display) -> String {
    format!("(lpad(to_hex({number}), 12, '0') || '70008000000000000000')::uuid")
}

/// What a list asks for: the values of its statement.
fn page(kind: &str, (from, until): (&str, &str), statuses: &str) -> String {
    format!("{M}, '{kind}', {from}, {until}, {statuses}, NULL, NULL, NULL, NULL, 51")
}

const FIRST: &str = "'00000000-0000-0000-0000-000000000000'";
const LAST: &str = "'ffffffff-ffff-ffff-ffff-ffffffffffff'";

/// Nothing has been counted yet; it was when the table was empty; as it is.
const STATISTICS: [&str; 3] =
    ["SELECT 'none'", "UPDATE pg_class SET reltuples = 0, relpages = 4 WHERE oid = 'orders'::regclass", "ANALYZE orders"];

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_read_and_listed_for_the_same_price_whatever_the_history() {
    let get = statement(&["SELECT * FROM orders WHERE merchant_id = $1 AND trade_id = $2"]);
    let list = statement(&["SELECT * FROM orders", "AND kind = $2 AND order_id >= $3", "LIMIT $10"]);
    let of_status = statement(&["SELECT * FROM orders", "AND status = wanted.status AND order_id >= $3", "LIMIT $10"]);
    let of_customer = statement(&["SELECT * FROM orders", "AND customer = $11 AND order_id >= $3", "LIMIT $10"]);
    for text in [&list, &of_status, &of_customer] {
        assert!(!text.to_lowercase().contains("offset") && !text.to_lowercase().contains("count("));
    }
    let mut costs = Vec::new();
    for orders in [10_000, 100_000] {
        let (_place, mut database) = history(orders, 0).await;
        for statistics in STATISTICS {
            run(&mut database, statistics).await;
            // Orders are not deleted: a table of pages without rows is for lists to be sure, and never seen.
            if statistics != STATISTICS[1] {
                let (buffers, rows) = cost(&mut database, &get, &format!("{M}, md5('{}')", orders / 2)).await;
                assert!(buffers <= 6 && rows == 1, "{buffers} buffers and {rows} rows for one of {orders}, {statistics}");
            }
            for last in [orders, orders / 2, 60] {
                costs.push(cost(&mut database, &list, &page("payout", (FIRST, &id(last)), "NULL")).await);
                costs.push(cost(&mut database, &of_status, &page("payout", (FIRST, &id(last)), "'{queued,succeeded}'")).await);
            }
            // Of this kind there is none, of these statuses and of this customer, and none in this time, which ends amid the others. None is
            // looked for among all the others.
            let none = [
                (&list, page("deposit", (FIRST, LAST), "NULL")),
                (&list, page("payout", (LAST, LAST), "NULL")),
                (&list, page("payout", (&id(orders / 2), &id(orders / 2)), "NULL")),
                (&of_status, page("payout", (FIRST, LAST), "'{queued,requires_review}'")),
                (&of_status, page("payout", (&id(orders / 2), &id(orders / 2)), "'{succeeded,requires_review}'")),
                (&of_status, page("deposit", (FIRST, LAST), "'{succeeded,failed}'")),
                (&of_customer, page("payout", (FIRST, LAST), "NULL") + ", 'nobody'"),
                (&of_customer, page("payout", (FIRST, LAST), "'{succeeded}'") + ", 'nobody'"),
            ];
            for (text, values) in none {
                let (buffers, rows) = cost(&mut database, text, &values).await;
                assert!(buffers <= 6 && rows == 0, "{buffers} buffers and {rows} rows for none of {orders}, {statistics}: {values}");
            }
        }
    }
    // Rows of two statuses are shown as half of them each, rounded.
    assert!(costs.iter().all(|(buffers, rows)| *buffers <= 60 && *rows <= 52), "a page of 51 touches {costs:?} buffers and rows");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_polls_is_claimed_for_the_same_price_however_many_are_open() {
    let page = statement(&["WITH first AS", "work = 'poll'", "UPDATE tasks"]);
    let claim = statement(&["WITH due AS", "UPDATE tasks SET leased_until = $3"]);
    let (place, _) = history(20_000, 20_000).await;
    let db = pool(&place, limits(1));
    let mut database = db.get().await.expect("a connection of the gateway's");
    let counted = |rows: u32| format!("UPDATE pg_class SET reltuples = {rows} WHERE oid = 'tasks'::regclass");
    for known in ["SELECT 'nothing'".to_owned(), counted(0), "ANALYZE tasks".to_owned(), counted(0), counted(40)] {
        run(&mut *database, &known).await;
        // The oldest, then the page, then the page again to take it; and not all that are open.
        let (_, rows) = cost(&mut *database, &page, "'2027-01-01', '2027-01-02', 100").await;
        assert!(rows <= 1 + 100 + 100, "a page of 100 reads {rows} rows: {known}");
        let (_, rows) = cost(&mut *database, &claim, "'poll', '2027-01-01', '2027-01-02', 32").await;
        assert!(rows <= 32 + 32, "a claim of 32 reads {rows} rows: {known}");
    }
}

/// A table that was never counted is the same trap for whoever reads the orders of a page.
#[tokio::test(flavor = "multi_thread")]
async fn orders_of_a_page_are_read_one_by_one() {
    let read = statement(&["SELECT o.* FROM unnest($1::uuid[], $2::uuid[])"]);
    let (_place, mut database) = history(50_000, 0).await;
    let ids: Vec<String> = (1..=100).map(|n| format!("{:012x}70008000000000000000", n * 400)).collect();
    let merchants = vec![M.trim_matches('\''); 100].join(",");
    let values = format!("'{{{merchants}}}', '{{{}}}'", ids.join(","));
    for statistics in STATISTICS {
        run(&mut database, statistics).await;
        let (buffers, rows) = cost(&mut database, &read, &values).await;
        assert!(buffers <= 100 * 5 && rows == 100, "{buffers} buffers and {rows} rows: {statistics}");
    }
}

/// A page of what is old enough to be forgotten, of tables that were counted.
#[tokio::test(flavor = "multi_thread")]
async fn raw_inputs_are_forgotten_for_the_same_price_however_many_are_kept() {
    let reports = statement(&["WITH page AS MATERIALIZED", "UPDATE reports r SET sealed_raw"]);
    let receipts = statement(&["FROM receipts r LEFT JOIN LATERAL", "raw_inputs_forgotten"]);
    let (place, _) = history(20_000, 0).await;
    let db = pool(&place, limits(1));
    let mut database = db.get().await.expect("a connection of the gateway's");
    let kept = format!(
        "SET session_replication_role = replica;
         INSERT INTO reports (merchant_id, report_id, order_id, channel, digest, sealed_raw, summary, verdict, received_at)
         SELECT {M}, md5('r' || n)::uuid, {0}, 'callback', decode(md5(n::text), 'hex'), '\\x01', '{{}}', 'step', now() FROM generate_series(1, 20000) n;
         INSERT INTO receipts (merchant_id, receipt_id, provider, provider_receipt_id, order_id, coin, provider_coin_id, amount, progress, revision,
             unheard, created_at, updated_at)
         SELECT {M}, md5('m' || n)::uuid, 'fomo', n::text, {0}, 'usdt', '5', 1, 'confirmed', 1, false, now(), now() FROM generate_series(1, 20000) n;
         RESET session_replication_role",
        id("n")
    );
    run(&mut *database, &kept).await;
    for known in ["SELECT 'nothing'", "ANALYZE orders; ANALYZE reports; ANALYZE receipts"] {
        run(&mut *database, known).await;
        for (text, most) in [(&reports, 3 * 100), (&receipts, 2 * 100)] {
            let (_, rows) = cost(&mut *database, text, &format!("{M}, {LAST}, 100")).await;
            assert!(rows <= most, "{rows} rows for a page of 100: {known}");
        }
    }
}

/// Tasks that were counted in a quiet night, when there were none, and all come in the morning.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_comes_to_its_end_for_the_same_price_however_many_are_open() {
    let of_tasks = statement(&["WITH input AS", "sequence bigint, work text", "SELECT ARRAY(SELECT order_id FROM here)"]);
    let of_orders = statement(&["remove_task boolean", "SELECT ARRAY(SELECT order_id FROM here)"]);
    let of_all = statement(&["remove_task boolean", "CASE WHEN stands"]);
    let (place, _) = history(20_000, 20_000).await;
    let db = pool(&place, limits(1));
    let mut database = db.get().await.expect("a connection of the gateway's");
    let one = "00000000-0000-7000-8000-00000000abcd";
    let order = format!(
        "INSERT INTO orders (merchant_id, order_id, trade_id, kind, provider, status, sequence, coin, provider_coin_id, decimals, amount, tolerance,
             amount_received, amount_confirmed, late, destination, doubts, is_final, fingerprint, created_at, updated_at)
         VALUES ({M}, '{one}', 'one', 'payout', 'fomo', 'queued', 1, 'usdt', '5', 6, 1, 0, 0, 0, false, '{{}}', 0, false, '\\x00', now(), now());
         INSERT INTO tasks (merchant_id, order_id, work, due_at, tries) VALUES ({M}, '{one}', 'submit', now(), 0);
         UPDATE pg_class SET reltuples = 0, relpages = 4 WHERE oid = 'tasks'::regclass"
    );
    run(&mut *database, &order).await;
    let end = json!([{
        "merchant_id": M.trim_matches('\''), "order_id": one, "sequence": 2, "changed": true, "hears": 0, "now": "2026-01-31T00:00:00Z",
        "status": "canceled", "amount_received": "0", "amount_confirmed": "0", "late": false, "doubts": 0, "is_final": true,
        "final_at": "2026-01-31T00:00:00Z", "channel": "merchant", "reason": "no", "event_id": "018bcfe5-6800-7000-8000-000000000001",
        "event_type": "payout.canceled", "event": "{}", "remove_task": true,
    }]);
    let later = json!([{
        "merchant_id": M.trim_matches('\''), "order_id": one, "sequence": 1, "changed": false, "hears": 0, "now": "2026-01-31T00:00:00Z",
        "remove_task": false, "work": "submit", "due_at": "2026-01-31T00:00:00Z", "tries": 1,
    }]);
    let more = ", '[]', false, 0";
    for known in ["SELECT 'a quiet night'", "ANALYZE tasks; ANALYZE orders"] {
        run(&mut *database, known).await;
        for (report, what, more) in
            [(&of_tasks, &later, ""), (&of_orders, &later, ""), (&of_orders, &end, ""), (&of_all, &later, more), (&of_all, &end, more)]
        {
            let (buffers, rows) = cost(&mut *database, report, &format!("'{what}'{more}")).await;
            assert!(
                buffers <= 150 && rows <= 10,
                "{buffers} buffers and {rows} rows, of which the task and the order are two each: {known}"
            );
        }
    }
}

/// A queue that nobody has counted: what comes next of an object stands in the index of the queue's order, and nowhere else in order.
#[tokio::test(flavor = "multi_thread")]
async fn a_try_is_written_down_for_the_same_price_however_much_is_queued() {
    let tries = statement(&["WITH input AS", "webhook_attempts", "success boolean"]);
    let (place, _) = history(1, 0).await;
    let db = pool(&place, limits(1));
    let mut database = db.get().await.expect("a connection of the gateway's");
    let queue = format!(
        "ALTER TABLE webhook_queue SET (autovacuum_enabled = false);
         INSERT INTO webhook_queue (merchant_id, endpoint_id, object_id, place, delivery_id, event_id, due_at)
         SELECT {M}, {M}, md5((n / 4)::text)::uuid, n % 4 + 1, md5('d' || n)::uuid, md5('e' || n)::uuid, now() FROM generate_series(0, 3999) n"
    );
    run(&mut *database, &queue).await;
    let delivery: String =
        sqlx::query_scalar("SELECT delivery_id::text FROM webhook_queue WHERE object_id = md5('500')::uuid AND place = 1")
            .fetch_one(&mut *database)
            .await
            .expect("a delivery");
    let told = json!([{
        "merchant_id": M.trim_matches('\''), "delivery_id": delivery, "fence": 0, "sent": true, "now": "2026-01-31T00:00:00Z",
        "state": "delivered", "success": true, "gone": false, "status": 200, "latency_ms": 1,
    }]);
    for known in ["SELECT 'nothing'", "UPDATE pg_class SET reltuples = 0 WHERE oid = 'webhook_queue'::regclass", "ANALYZE webhook_queue"] {
        run(&mut *database, known).await;
        let (buffers, rows) = cost(&mut *database, &tries, &format!("'{told}', 5")).await;
        assert!(
            buffers <= 60 && rows <= 10,
            "{buffers} buffers and {rows} rows, of which the queue's are two, read a few times each: {known}"
        );
    }
}

/// What Postgres has counted of a queue: nothing; that it was empty, by whatever way; a few rows; all of it.
#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_taken_for_the_same_price_whatever_is_known_of_the_queue() {
    let claim = statement(&["WITH RECURSIVE busy AS", "FOR UPDATE SKIP LOCKED"]);
    let (place, _) = history(1, 0).await;
    let db = pool(&place, limits(1));
    let mut database = db.get().await.expect("a connection of the gateway's");
    let queued = |events: std::ops::Range<u32>| {
        format!(
            "INSERT INTO webhook_queue (merchant_id, endpoint_id, object_id, place, delivery_id, event_id, due_at)
             SELECT {M}, md5('n' || e)::uuid, md5((n / 4)::text)::uuid, n % 4 + 1, md5('d' || n || '/' || e)::uuid, md5('e' || n)::uuid, now()
             FROM generate_series({}, {}) n, generate_series(1, 10) e;",
            events.start,
            events.end - 1
        )
    };
    let endpoints = format!(
        "ALTER TABLE webhook_queue SET (autovacuum_enabled = false);
         INSERT INTO webhook_endpoints (merchant_id, endpoint_id, url, events, state, since, created_at)
         SELECT {M}, md5('n' || e)::uuid, 'https://example.com/', '{{*}}', 'enabled', now(), now() FROM generate_series(1, 10) e;"
    );
    run(&mut *database, &endpoints).await;
    let values = "now() + interval '1 s', now() + interval '31 s', 'enabled', 16, 160, now() + interval '2 s', NULL, '{}', 16";
    let counted = |rows: u32| format!("UPDATE pg_class SET reltuples = {rows} WHERE oid = 'webhook_queue'::regclass;");
    let few = queued(0..4) + "ANALYZE webhook_queue;" + &queued(4..2000);
    for known in [few, counted(0), "ANALYZE webhook_queue".to_owned(), counted(0), counted(40)] {
        run(&mut *database, &known).await;
        let (buffers, rows) = cost(&mut *database, &claim, values).await;
        // Of ten endpoints each 36, with the first of their orders; 160 of them are locked and taken.
        assert!(buffers <= 8000 && rows <= 10 * 36 * 2 + 160 * 4, "{buffers} buffers and {rows} rows: {known}");
    }
}
