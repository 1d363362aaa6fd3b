//! What breaks a law, looked for in what is stored: page by page, each check one statement, so that it sees one moment and is not
//! misled by what is written meanwhile.
//!
//! Nothing here writes, and a role that may only read is enough. The laws and their names are in `domain::law`.

mod books;
mod calls;
mod orders;
mod receipts;
mod told;

use sqlx::{ConnectOptions, Connection, Executor, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

use super::rows::parsed;
use super::{Db, StoreError};
use crate::domain::ids::MerchantId;
use crate::domain::law::{self, Law};

/// Rows of a page.
pub const PAGE: i64 = 1000;

/// What breaks a law.
#[derive(Debug)]
pub struct Found {
    /// The law.
    pub law: Law,
    /// What it is about.
    pub about: String,
    /// What was found.
    pub found: String,
}

/// What breaks a law, as a statement gives it.
struct FoundRow {
    law: String,
    about: String,
    found: String,
}

fn read(rows: Vec<FoundRow>) -> Result<Vec<Found>, StoreError> {
    let one = |row: FoundRow| Ok(Found { law: parsed(row.law.parse().ok(), "law", &row.law)?, about: row.about, found: row.found });
    rows.into_iter().map(one).collect()
}

/// What is walked through, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumIter, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Part {
    /// Orders with their steps, events, calls, tasks and amounts.
    Orders,
    /// What came in.
    Receipts,
    /// What came in and is nobody's.
    Unmatched,
    /// The books.
    Movements,
    /// Where both sides disagree.
    Discrepancies,
    /// Events on their way to endpoints.
    Deliveries,
    /// What is to be delivered.
    Queue,
}

/// Rows of a merchant with ids above `after` and up to `until`.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// Whose.
    pub merchant: MerchantId,
    /// Not this, but what follows.
    pub after: Uuid,
    /// To this.
    pub until: Uuid,
}

/// What the checks have to know besides the rows.
#[derive(Debug)]
pub struct Tables {
    legal: Vec<String>,
    beginnings: Vec<String>,
    ends: Vec<String>,
    late_ends: Vec<String>,
    rests: Vec<String>,
    /// What was due before this is stuck. Absent: nobody asks.
    pub stuck_before: Option<OffsetDateTime>,
}

impl Tables {
    /// The program's own tables.
    pub fn new(stuck_before: Option<OffsetDateTime>) -> Self {
        let (ends, late_ends) = law::ends();
        Self { legal: law::legal_steps(), beginnings: law::beginnings(), ends, late_ends, rests: law::rests(), stuck_before }
    }
}

/// A connection that cannot write.
pub async fn reader(db: &Db) -> Result<PgConnection, StoreError> {
    // Its statements look at much, and may take their time: nobody waits for them.
    let quiet = (*db.connections.pool().connect_options()).clone().disable_statement_logging();
    let mut connection = PgConnection::connect_with(&quiet).await?;
    // A page is small: compiling its statements takes longer than carrying them out. Planning does not: where a plan is made for
    // any page, the lists of places are gone through from the beginning for each row.
    let settings = "SET default_transaction_read_only = on; SET jit = off; SET enable_sort = on;
        SET plan_cache_mode = force_custom_plan; SET max_parallel_workers_per_gather = 2";
    connection.execute(settings).await?;
    Ok(connection)
}

/// Pages are looked at row by row, through indexes: at their borders the planner takes them for ten times as long as they are, and
/// would read whole tables.
pub async fn row_by_row(connection: &mut PgConnection) -> Result<(), StoreError> {
    connection.execute("SET enable_hashjoin = off; SET enable_mergejoin = off").await?;
    Ok(())
}

/// Whole tables are added up.
pub async fn as_a_whole(connection: &mut PgConnection) -> Result<(), StoreError> {
    connection.execute("RESET enable_hashjoin; RESET enable_mergejoin").await?;
    Ok(())
}

/// How many rows of each part a merchant has.
pub async fn sizes(connection: &mut PgConnection, merchant: MerchantId) -> Result<i64, StoreError> {
    let row = sqlx::query!(
        r#"SELECT (SELECT count(*) FROM orders WHERE merchant_id = $1) + (SELECT count(*) FROM receipts WHERE merchant_id = $1)
                + (SELECT count(*) FROM receipts WHERE merchant_id = $1 AND order_id IS NULL)
                + (SELECT count(*) FROM movements WHERE merchant_id = $1) + (SELECT count(*) FROM discrepancies WHERE merchant_id = $1)
                + (SELECT count(*) FROM webhook_deliveries WHERE merchant_id = $1)
                + (SELECT count(*) FROM webhook_queue WHERE merchant_id = $1) AS "all!""#,
        merchant.0,
    )
    .fetch_one(connection)
    .await?;
    Ok(row.all)
}

/// The end of the page behind `after`: its last id and how many rows it has. `None` where nothing follows.
pub async fn page(connection: &mut PgConnection, part: Part, merchant: MerchantId, after: Uuid) -> Result<Option<(Uuid, i64)>, StoreError> {
    macro_rules! last {
        ($query:literal) => {{
            let row = sqlx::query!($query, merchant.0, after, PAGE).fetch_one(connection).await?;
            row.last.map(|last| (last, row.rows))
        }};
    }
    Ok(match part {
        Part::Orders => last!(
            r#"SELECT (array_agg(id ORDER BY id DESC))[1] AS "last", count(*) AS "rows!"
               FROM (SELECT order_id AS id FROM orders WHERE merchant_id = $1 AND order_id > $2 ORDER BY order_id LIMIT $3) p"#
        ),
        Part::Receipts => last!(
            r#"SELECT (array_agg(id ORDER BY id DESC))[1] AS "last", count(*) AS "rows!"
               FROM (SELECT receipt_id AS id FROM receipts WHERE merchant_id = $1 AND receipt_id > $2 ORDER BY receipt_id LIMIT $3) p"#
        ),
        Part::Unmatched => last!(
            r#"SELECT (array_agg(id ORDER BY id DESC))[1] AS "last", count(*) AS "rows!"
               FROM (SELECT receipt_id AS id FROM receipts WHERE merchant_id = $1 AND receipt_id > $2 AND order_id IS NULL
                     ORDER BY receipt_id LIMIT $3) p"#
        ),
        Part::Movements => last!(
            r#"SELECT (array_agg(id ORDER BY id DESC))[1] AS "last", count(*) AS "rows!"
               FROM (SELECT movement_id AS id FROM movements WHERE merchant_id = $1 AND movement_id > $2 ORDER BY movement_id LIMIT $3) p"#
        ),
        Part::Discrepancies => last!(
            r#"SELECT (array_agg(id ORDER BY id DESC))[1] AS "last", count(*) AS "rows!"
               FROM (SELECT discrepancy_id AS id FROM discrepancies WHERE merchant_id = $1 AND discrepancy_id > $2
                     ORDER BY discrepancy_id LIMIT $3) p"#
        ),
        Part::Deliveries => last!(
            r#"SELECT (array_agg(id ORDER BY id DESC))[1] AS "last", count(*) AS "rows!"
               FROM (SELECT delivery_id AS id FROM webhook_deliveries WHERE merchant_id = $1 AND delivery_id > $2
                     ORDER BY delivery_id LIMIT $3) p"#
        ),
        Part::Queue => last!(
            r#"SELECT (array_agg(id ORDER BY id DESC))[1] AS "last", count(*) AS "rows!"
               FROM (SELECT delivery_id AS id FROM webhook_queue WHERE merchant_id = $1 AND delivery_id > $2
                     ORDER BY delivery_id LIMIT $3) p"#
        ),
    })
}

/// What breaks a law on a page.
pub async fn check(connection: &mut PgConnection, part: Part, range: Range, tables: &Tables) -> Result<Vec<Found>, StoreError> {
    let mut found = Vec::new();
    match part {
        Part::Orders => {
            found.extend(orders::steps(connection, range, tables).await?);
            found.extend(orders::events(connection, range).await?);
            found.extend(calls::calls(connection, range).await?);
            found.extend(calls::tasks(connection, range, tables).await?);
            found.extend(orders::amounts(connection, range).await?);
            found.extend(books::of_orders(connection, range).await?);
        }
        Part::Receipts => {
            found.extend(receipts::receipts(connection, range, tables).await?);
            found.extend(books::of_receipts(connection, range).await?);
        }
        Part::Unmatched => found.extend(receipts::unmatched(connection, range).await?),
        Part::Movements => found.extend(books::movements(connection, range).await?),
        Part::Discrepancies => found.extend(receipts::discrepancies(connection, range).await?),
        Part::Deliveries => found.extend(told::deliveries(connection, range).await?),
        Part::Queue => found.extend(told::queue(connection, range).await?),
    }
    Ok(found)
}

/// What breaks a law of a merchant as a whole: closed days, feeds that nobody reads.
pub async fn check_merchant(connection: &mut PgConnection, merchant: MerchantId, tables: &Tables) -> Result<Vec<Found>, StoreError> {
    let mut found = books::balances(connection, merchant).await?;
    found.extend(receipts::feeds(connection, merchant, tables).await?);
    Ok(found)
}

/// The guards that the promise does not rest on the program alone for.
const TRIGGERS: [&str; 13] = [
    "final_orders_keep_their_status",
    "new_orders_are_booked",
    "orders_are_booked",
    "new_receipts_are_booked",
    "receipts_are_booked",
    "movements_are_for_ever",
    "events_go_to_endpoints",
    "audit_rows_are_chained",
    "audit_rows_do_not_change",
    "the_audit_log_is_not_emptied",
    "audit_heads_do_not_go_away",
    "audit_heads_are_not_emptied",
    "audit_heads_go_up_by_one",
];
const UNIQUE: [&str; 5] = [
    "a_trade_id_is_used_once",
    "a_movement_is_counted_once",
    "an_order_has_one_open_attempt",
    "an_order_has_one_step_of_a_number",
    "a_repeated_callback_is_one_report",
];

/// Guards of the database's own that are gone or put out of work.
pub async fn check_guards(connection: &mut PgConnection) -> Result<Vec<Found>, StoreError> {
    let rows = sqlx::query_as!(
        FoundRow,
        r#"SELECT 'guards_stand' AS "law!", name AS "about!", 'the trigger is missing or disabled' AS "found!"
           FROM unnest($1::text[]) name
           WHERE NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgname = name AND t.tgenabled IN ('O', 'A'))
           UNION ALL
           SELECT 'guards_stand', name, 'the unique index is missing or invalid'
           FROM unnest($2::text[]) name
           WHERE NOT EXISTS (SELECT FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
                             WHERE c.relname = name AND i.indisunique AND i.indisvalid)"#,
        &TRIGGERS.map(str::to_owned)[..],
        &UNIQUE.map(str::to_owned)[..],
    )
    .fetch_all(connection)
    .await?;
    read(rows)
}
