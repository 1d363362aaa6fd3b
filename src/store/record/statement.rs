//! The text of the statement that writes records, in three forms.
//!
//! Postgres sets up each part of a statement anew whenever it runs, whether a row comes to that part or not. Nearly all records are of
//! orders that exist, and touch nothing beside them: their form leaves out what is for receipts, new orders, findings and hands, which
//! takes a third of the time. Both forms are one text, so that there is one law. Of most open orders a wallet tells nothing new, again
//! and again: what is left of the text then is the order's task.

use sqlx::Error;
use uuid::Uuid;

use super::{Bond, Page};
use crate::store::session::Session;

/// The statement. What goes beyond the orders is left to the form: receipts that are heard of, and that none of them has changed
/// (`found`, `heard`); whether the page stands as a whole (`page`, `stands`); new orders (`born`); the rest (`beyond`); the answer.
macro_rules! statement {
    (
        $($argument:expr),+;
        found: $found:literal, heard: $heard:literal, page: $page:literal, stands: $stands:literal,
        born: $born:literal, beyond: $beyond:literal, answer: $answer:literal
    ) => {
        sqlx::query_scalar!(
            r#"WITH input AS MATERIALIZED (
                SELECT * FROM json_to_recordset($1::text::json) AS i(
                    merchant_id uuid, order_id uuid, sequence bigint, changed boolean, born bytea, hears integer, now timestamptz,
                    trade_id text, kind text, provider text, coin text, provider_coin_id text, decimals integer, amount numeric,
                    tolerance numeric, customer text, provider_user text, created_at timestamptz,
                    status text, stage text, amount_received numeric, amount_confirmed numeric, fee numeric, late boolean, next_action jsonb,
                    provider_reference text, txid text, confirmations integer, failure jsonb, claim jsonb, doubts smallint,
                    doubt_since timestamptz, retry jsonb, is_final boolean, final_at timestamptz, expires_at timestamptz,
                    channel text, reason text, event_id uuid, event_type text, event json,
                    report_id uuid, digest bytea, sealed_raw bytea, summary jsonb, verdict text, source text,
                    ended_id uuid, ended_state text, ended_detail text, opened_id uuid, opened_until timestamptz,
                    remove_task boolean, work text, lane text, due_at timestamptz, tries integer, absent_since timestamptz,
                    absent_last timestamptz, leased_until timestamptz,
                    receipt_id uuid, receipt_number text, receipt_matched boolean, receipt_amount numeric, receipt_fee numeric,
                    receipt_event_id uuid, receipt_event json,
                    finding_id uuid, finding_kind text, ours jsonb, theirs jsonb, finding_digest bytea, finding_event_id uuid, finding_event json,
                    entry json)
            ), held AS (
                -- Who changes an order, or opens or ends a call about it, does so alone. (Who has nothing new to tell writes nothing to it.)
                -- Always in the same order, so that two pages never wait for each other.
                -- One by one over their keys, whatever the statistics say of the table.
                SELECT o.order_id FROM (
                    SELECT merchant_id, order_id, CASE WHEN changed THEN sequence - 1 ELSE sequence END AS sequence FROM input
                    WHERE changed OR opened_id IS NOT NULL OR ended_id IS NOT NULL ORDER BY order_id
                ) i CROSS JOIN LATERAL (
                    SELECT o.order_id FROM orders o
                    WHERE o.merchant_id = i.merchant_id AND o.order_id = i.order_id AND o.sequence = i.sequence FOR NO KEY UPDATE OF o
                ) o
            "# + $found + r#"), fits AS (
                SELECT i.* FROM input i
                WHERE CASE
                    WHEN i.born IS NOT NULL THEN true
                    WHEN i.changed OR i.opened_id IS NOT NULL OR i.ended_id IS NOT NULL THEN
                        EXISTS (SELECT FROM held WHERE held.order_id = i.order_id)
                    ELSE EXISTS (SELECT FROM orders o
                                 WHERE o.merchant_id = i.merchant_id AND o.order_id = i.order_id AND o.sequence = i.sequence)
                END"# + $heard + r#"
            "# + $page + r#"), here AS (
                SELECT fits.* FROM fits"# + $stands + r#"
            "# + $born + r#"), moved AS (
                -- One of an array of one: where the planner can tell that there is no other such row, it counts the search twice (PostgreSQL
                -- 15), so that reading all of a table of some hundreds looks cheaper, and is done when there are many more.
                UPDATE orders o SET
                    status = i.status, stage = i.stage, sequence = i.sequence, amount_received = i.amount_received,
                    amount_confirmed = i.amount_confirmed, fee = i.fee, late = i.late, next_action = i.next_action,
                    provider_reference = i.provider_reference, txid = i.txid, confirmations = i.confirmations, failure = i.failure,
                    claim = i.claim, doubts = i.doubts, doubt_since = i.doubt_since, retry = i.retry, is_final = i.is_final, final_at = i.final_at,
                    expires_at = i.expires_at, updated_at = i.now
                FROM here i WHERE i.changed AND i.born IS NULL AND o.merchant_id = i.merchant_id AND o.order_id = ANY (ARRAY[i.order_id])
            ), s AS (
                INSERT INTO steps (merchant_id, order_id, sequence, status, stage, channel, reason, report_id, attempt_id, created_at)
                SELECT merchant_id, order_id, sequence, status, stage, channel, reason, report_id, coalesce(ended_id, opened_id), now
                FROM here WHERE changed
            ), e AS (
                INSERT INTO events (merchant_id, event_id, event_type, order_id, sequence, body, created_at)
                SELECT merchant_id, event_id, event_type, order_id, sequence, event, now FROM here WHERE changed
            ), r AS (
                INSERT INTO reports (merchant_id, report_id, order_id, channel, digest, sealed_raw, summary, verdict, source, received_at)
                SELECT merchant_id, report_id, order_id, channel, digest, sealed_raw, summary, verdict, source, now
                FROM here WHERE report_id IS NOT NULL
                ON CONFLICT (merchant_id, order_id, digest) WHERE channel = 'callback' DO NOTHING
            ), a AS (
                -- An attempt that was given up as unknown may still hear its answer.
                -- What is born here has had no attempt; saying so leaves one row, as the planner counts. And see `moved`.
                UPDATE attempts a SET state = i.ended_state, detail = i.ended_detail, ended_at = i.now
                FROM here i
                WHERE i.ended_id IS NOT NULL AND i.born IS NULL
                  AND a.merchant_id = i.merchant_id AND a.attempt_id = ANY (ARRAY[i.ended_id]) AND a.state IN ('open', 'unknown')
            ), n AS (
                INSERT INTO attempts (merchant_id, attempt_id, order_id, state, started_at, leased_until)
                SELECT merchant_id, opened_id, order_id, 'open', now, opened_until FROM here WHERE opened_id IS NOT NULL
            ), d AS (
                -- While another attempt is open, the task stays with whoever keeps it: a crash must not leave it open for ever. The
                -- row itself says so: it is read anew when it was changed meanwhile, the table of attempts would not be.
                -- One by one over their keys: to a planner whose statistics are of a night without orders it looks as good to read all
                -- tasks. What somebody takes in this moment is left to him: he finds that there is nothing to do.
                DELETE FROM tasks t
                USING (SELECT k.at FROM here i CROSS JOIN LATERAL (
                           SELECT t.ctid AS at FROM tasks t
                           WHERE t.merchant_id = i.merchant_id AND t.order_id = i.order_id AND t.sequence <= i.sequence
                             AND (t.attempt_id IS NULL OR t.attempt_id = i.ended_id
                                  -- Seen to have ended, which is for good; one that is not seen may just have been opened.
                                  OR EXISTS (SELECT FROM attempts a
                                             WHERE a.merchant_id = t.merchant_id AND a.attempt_id = t.attempt_id AND a.state <> 'open'))
                           LIMIT 1 FOR UPDATE) k
                       WHERE i.remove_task) done
                WHERE t.ctid = done.at
            ), t AS (
                INSERT INTO tasks (
                    merchant_id, order_id, sequence, work, lane, due_at, tries, absent_since, absent_last, leased_until, attempt_id)
                SELECT merchant_id, order_id, sequence, work, lane, due_at, tries, absent_since, absent_last, leased_until, opened_id
                FROM here WHERE work IS NOT NULL AND (changed OR born IS NOT NULL)
                ON CONFLICT ON CONSTRAINT an_open_order_has_one_task DO UPDATE SET
                    sequence = excluded.sequence, work = excluded.work, lane = excluded.lane, due_at = excluded.due_at, tries = excluded.tries,
                    absent_since = excluded.absent_since, absent_last = excluded.absent_last, leased_until = excluded.leased_until,
                    attempt_id = coalesce(excluded.attempt_id, nullif(
                        tasks.attempt_id,
                        (SELECT i.ended_id FROM here i WHERE i.merchant_id = tasks.merchant_id AND i.order_id = tasks.order_id)))
            ), u AS (
                -- The order may change in this moment: who changes it has the last word on its task, and where none is left, none comes back.
                UPDATE tasks t SET
                    sequence = i.sequence, work = i.work, lane = i.lane, due_at = i.due_at, tries = i.tries,
                    absent_since = i.absent_since, absent_last = i.absent_last, leased_until = i.leased_until,
                    attempt_id = coalesce(i.opened_id, nullif(t.attempt_id, i.ended_id))
                FROM here i CROSS JOIN LATERAL (
                    SELECT t.ctid AS at FROM tasks t
                    WHERE t.merchant_id = i.merchant_id AND t.order_id = i.order_id AND t.sequence <= i.sequence LIMIT 1 FOR UPDATE) k
                WHERE i.work IS NOT NULL AND NOT i.changed AND i.born IS NULL AND t.ctid = k.at
            "# + $beyond + r#")
            "# + $answer,
            $($argument),+
        )
    };
}

/// Writes when to ask again, after a look that told nothing new. Gives the orders of which that was written.
pub(super) async fn of_tasks(connection: &mut Session, rows: &str) -> Result<Vec<Uuid>, Error> {
    let statement = sqlx::query_scalar!(
        r#"WITH input AS MATERIALIZED (
            SELECT * FROM json_to_recordset($1::text::json) AS i(
                merchant_id uuid, order_id uuid, sequence bigint, work text, lane text, due_at timestamptz, tries integer,
                absent_since timestamptz, absent_last timestamptz, leased_until timestamptz)
        ), here AS (
            SELECT i.* FROM input i CROSS JOIN LATERAL (
                SELECT FROM orders o WHERE o.merchant_id = i.merchant_id AND o.order_id = i.order_id AND o.sequence = i.sequence OFFSET 0) o
        ), u AS (
            -- As in the other forms.
            UPDATE tasks t SET
                sequence = i.sequence, work = i.work, lane = i.lane, due_at = i.due_at, tries = i.tries,
                absent_since = i.absent_since, absent_last = i.absent_last, leased_until = i.leased_until
            FROM here i CROSS JOIN LATERAL (
                SELECT t.ctid AS at FROM tasks t
                WHERE t.merchant_id = i.merchant_id AND t.order_id = i.order_id AND t.sequence <= i.sequence LIMIT 1 FOR UPDATE) k
            WHERE i.work IS NOT NULL AND t.ctid = k.at
        )
        SELECT ARRAY(SELECT order_id FROM here) AS "orders!""#,
        rows
    );
    statement.fetch_one(connection).await
}

/// Writes records that touch nothing beside their orders: of each what it says, or nothing. Gives the orders that were written.
pub(super) async fn of_orders(connection: &mut Session, rows: &str) -> Result<Vec<Uuid>, Error> {
    let statement = statement!(
        rows;
        found: "", heard: "", page: "", stands: "", born: "", beyond: "",
        answer: r#"SELECT ARRAY(SELECT order_id FROM here) AS "orders!""#
    );
    statement.fetch_one(connection).await
}

/// Writes records of every kind. Gives the orders that were written; `None` if the page is one decision and does not stand.
pub(super) async fn of_all(connection: &mut Session, page: &Page) -> Result<Option<Vec<Uuid>>, Error> {
    let statement = statement!(
        page.rows, page.heard, page.bond == Bond::All, page.receipts;
        found: r#"), found AS (
            SELECT h.*, r.at
            FROM json_to_recordset($2::text::json)
                AS h(merchant_id uuid, receipt_id uuid, revision integer, unheard boolean, order_id uuid, event_id uuid, event_type text, event json)
            CROSS JOIN LATERAL (
                -- Said like this, only the primary key will do. By two equalities another index looks as good to a planner whose
                -- statistics are of a few receipts, and reads all of the merchant's, for each.
                SELECT r.ctid AS at, r.* FROM receipts r WHERE (r.merchant_id, r.receipt_id) >= (h.merchant_id, h.receipt_id)
                ORDER BY r.merchant_id, r.receipt_id LIMIT 1) r
            WHERE r.merchant_id = h.merchant_id AND r.receipt_id = h.receipt_id AND r.revision = h.revision AND r.unheard = h.unheard
              AND (r.order_id IS NULL OR r.order_id = h.order_id)
            -- By the provider's numbers, as readers of feeds do.
            ORDER BY length(r.provider_receipt_id), r.provider_receipt_id
        ), kept AS MATERIALIZED (
            -- What was changed before it was locked is not there any more, and its page is decided anew.
            SELECT f.* FROM found f CROSS JOIN LATERAL (
                -- Looked at once more when the lock is there: a row that was changed is found at its old place all the same.
                SELECT FROM receipts r WHERE r.ctid = f.at AND r.revision = f.revision AND r.unheard = f.unheard LIMIT 1 FOR UPDATE) r
            "#,
        heard: r#" AND i.hears = (SELECT count(*) FROM kept k WHERE k.order_id = i.order_id)"#,
        page: r#"), page AS MATERIALIZED (
            SELECT NOT $3 OR ((SELECT count(*) FROM fits) = (SELECT count(*) FROM input) AND (SELECT count(*) FROM kept) = $4) AS stands
            "#,
        stands: ", page WHERE page.stands",
        born: r#"), born AS (
            -- A trade id that is used by another order ends the statement: there is no half of a page.
            INSERT INTO orders (
                merchant_id, order_id, trade_id, kind, provider, status, stage, sequence, coin, provider_coin_id, decimals, amount, tolerance,
                amount_received, amount_confirmed, fee, late, customer, provider_user, next_action, provider_reference, txid, confirmations,
                failure, doubts, is_final, final_at, expires_at, fingerprint, created_at, updated_at)
            SELECT merchant_id, order_id, trade_id, kind, provider, status, stage, sequence, coin, provider_coin_id, decimals, amount, tolerance,
                amount_received, amount_confirmed, fee, late, customer, provider_user, next_action, provider_reference, txid, confirmations,
                failure, doubts, is_final, final_at, expires_at, born, created_at, now
            FROM here WHERE born IS NOT NULL
            "#,
        beyond: r#"), m AS (
            INSERT INTO receipts (
                merchant_id, receipt_id, provider, provider_receipt_id, order_id, customer, coin, provider_coin_id, amount, fee, progress,
                revision, unheard, unmatched_at, created_at, updated_at)
            SELECT merchant_id, receipt_id, provider, receipt_number, CASE WHEN receipt_matched THEN order_id END, customer, coin,
                provider_coin_id, receipt_amount, receipt_fee, 'confirmed', 1, false, CASE WHEN NOT receipt_matched THEN now END, now, now
            FROM here WHERE receipt_id IS NOT NULL
            ON CONFLICT ON CONSTRAINT a_movement_is_counted_once DO NOTHING
            RETURNING receipt_id, order_id
        ), me AS (
            INSERT INTO events (merchant_id, event_id, event_type, body, created_at)
            SELECT i.merchant_id, i.receipt_event_id, 'receipt.unmatched', i.receipt_event, i.now
            FROM m JOIN here i USING (receipt_id) WHERE m.order_id IS NULL
        ), h AS (
            UPDATE receipts r SET order_id = k.order_id, unheard = false,
                unmatched_at = CASE WHEN k.order_id IS NULL THEN coalesce(r.unmatched_at, r.updated_at) ELSE r.unmatched_at END
            FROM kept k, page
            WHERE page.stands AND r.ctid = k.at
              AND (k.order_id IS NULL OR EXISTS (SELECT FROM here i WHERE i.order_id = k.order_id))
        ), he AS (
            INSERT INTO events (merchant_id, event_id, event_type, body, created_at)
            SELECT merchant_id, event_id, event_type, event, (event->>'timestamp')::timestamptz
            FROM kept, page WHERE page.stands AND order_id IS NULL AND event_id IS NOT NULL
        ), f AS (
            INSERT INTO discrepancies (merchant_id, discrepancy_id, order_id, provider, subject, found_by, kind, ours, theirs, digest, opened_at)
            SELECT merchant_id, finding_id, order_id, provider, order_id::text, 'report', finding_kind, ours, theirs, finding_digest, now
            FROM here WHERE finding_id IS NOT NULL
            ON CONFLICT (merchant_id, provider, subject, digest) WHERE resolved_by IS DISTINCT FROM 'reconciliation'
                -- What was heard is for a person to settle, also where a comparison has found it before. Its id stays, and it has its event.
                DO UPDATE SET found_by = 'report' WHERE discrepancies.found_by = 'reconciliation'
            RETURNING discrepancy_id
        ), fe AS (
            INSERT INTO events (merchant_id, event_id, event_type, body, created_at)
            SELECT i.merchant_id, i.finding_event_id, 'discrepancy.opened', i.finding_event, i.now
            FROM f JOIN here i ON i.finding_id = f.discrepancy_id
        ), l AS (
            INSERT INTO audit_log SELECT r.* FROM here i, json_populate_record(NULL::audit_log, i.entry) r
            WHERE i.entry IS NOT NULL AND (i.changed OR i.hears > 0)
            "#,
        answer: r#"SELECT CASE WHEN stands THEN ARRAY(SELECT order_id FROM here) END AS "orders?" FROM page"#
    );
    statement.fetch_one(connection).await
}
