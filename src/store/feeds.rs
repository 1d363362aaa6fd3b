//! `deposit_feeds` and `feed_follows`: how far incoming money has been read, and what is to be asked for again.

use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use super::rows::parsed;
use super::session::Session;
use crate::domain::ids::MerchantId;
use crate::domain::money::Amount;
use crate::domain::order::Provider;

/// Nobody can make us ask for more numbers than this by naming them.
const MOST_FOLLOWS: i64 = 5000;

/// The feed of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FeedKey {
    /// Whose account it is.
    pub merchant_id: MerchantId,
    /// Where.
    pub provider: Provider,
}

/// Takes feeds that are due and that nobody keeps, and keeps them until `leased_until`. An account without a feed gets one,
/// which is due at once.
pub async fn claim(
    connection: &mut Session,
    providers: &[String],
    now: OffsetDateTime,
    leased_until: OffsetDateTime,
    limit: i64,
) -> Result<Vec<(FeedKey, i64)>, StoreError> {
    let rows = sqlx::query!(
        r#"
        WITH fresh AS (
            INSERT INTO deposit_feeds (merchant_id, provider, cursor, due_at, leased_until)
            SELECT a.merchant_id, a.provider, 0, $2, $3 FROM provider_accounts a
            WHERE a.provider = ANY($1)
              AND NOT EXISTS (SELECT FROM deposit_feeds f WHERE f.merchant_id = a.merchant_id AND f.provider = a.provider)
            LIMIT $4
            ON CONFLICT DO NOTHING
            RETURNING merchant_id, provider, cursor
        ), due AS (
            SELECT merchant_id, provider FROM deposit_feeds
            WHERE due_at <= $2 AND (leased_until IS NULL OR leased_until <= $2)
            ORDER BY due_at
            LIMIT $4
            FOR UPDATE SKIP LOCKED
        ), taken AS (
            UPDATE deposit_feeds f SET leased_until = $3
            FROM due WHERE f.merchant_id = due.merchant_id AND f.provider = due.provider
            RETURNING f.merchant_id, f.provider, f.cursor
        )
        SELECT merchant_id AS "merchant_id!", provider AS "provider!", cursor AS "cursor!" FROM fresh
        UNION ALL SELECT merchant_id, provider, cursor FROM taken
        "#,
        providers,
        now,
        leased_until,
        limit,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let provider = parsed(row.provider.parse().ok(), "provider", &row.provider)?;
            Ok((FeedKey { merchant_id: MerchantId(row.merchant_id), provider }, row.cursor))
        })
        .collect()
}

/// Lets a feed go. `read_at`: when a reading began that came to its end.
pub async fn release(
    connection: &mut Session,
    feed: FeedKey,
    read_at: Option<OffsetDateTime>,
    due_at: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE deposit_feeds SET leased_until = NULL, due_at = $4, read_at = greatest(read_at, $3)
         WHERE merchant_id = $1 AND provider = $2",
        feed.merchant_id.0,
        feed.provider.to_string(),
        read_at,
        due_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// How far a feed has been read. `None`: nobody has begun to.
pub async fn cursor(connection: &mut Session, feed: FeedKey) -> Result<Option<i64>, StoreError> {
    let row = sqlx::query_scalar!(
        "SELECT cursor FROM deposit_feeds WHERE merchant_id = $1 AND provider = $2",
        feed.merchant_id.0,
        feed.provider.to_string(),
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// When the last reading of a feed that came to its end began.
pub async fn read_at(connection: &mut Session, feed: FeedKey) -> Result<Option<OffsetDateTime>, StoreError> {
    let row = sqlx::query_scalar!(
        "SELECT read_at FROM deposit_feeds WHERE merchant_id = $1 AND provider = $2",
        feed.merchant_id.0,
        feed.provider.to_string(),
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.flatten())
}

/// Makes a feed due now, and asks for one of its numbers at the next reading; unless so many are asked for already that
/// whoever names them is not to be listened to.
pub async fn hasten(connection: &mut Session, feed: FeedKey, number: Option<i64>, now: OffsetDateTime) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH f AS (
             UPDATE deposit_feeds SET due_at = least(due_at, $4) WHERE merchant_id = $1 AND provider = $2 RETURNING 1
         )
         INSERT INTO feed_follows (merchant_id, provider, number, reason, since, due_at, tries)
         SELECT $1, $2, $3, 'missing', $4, $4, 0 FROM f
         WHERE $3::bigint IS NOT NULL
           AND (SELECT count(*) FROM feed_follows WHERE merchant_id = $1 AND provider = $2) < $5
         ON CONFLICT ON CONSTRAINT a_number_is_followed_once DO UPDATE SET due_at = least(feed_follows.due_at, excluded.due_at)",
        feed.merchant_id.0,
        feed.provider.to_string(),
        number,
        now,
        MOST_FOLLOWS,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Numbers that are to be asked for again, the longest due first, at most `limit`.
pub async fn follows(connection: &mut Session, feed: FeedKey, now: OffsetDateTime, limit: i64) -> Result<Vec<i64>, StoreError> {
    let numbers = sqlx::query_scalar!(
        "SELECT number FROM feed_follows WHERE merchant_id = $1 AND provider = $2 AND due_at <= $3 ORDER BY due_at, number LIMIT $4",
        feed.merchant_id.0,
        feed.provider.to_string(),
        now,
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(numbers)
}

/// One entry of a page, as it is kept. One that could not be read has its number only.
#[derive(Debug, Serialize)]
pub struct EntryRow<'a> {
    /// The provider's number of it.
    pub number: i64,
    /// Our id, if it is new.
    pub receipt_id: Uuid,
    /// The provider's id of the user.
    pub provider_user: Option<&'a str>,
    /// The coin's name.
    pub coin: Option<&'a str>,
    /// The provider's id of the coin.
    pub provider_coin_id: Option<&'a str>,
    /// How much came.
    pub amount: Option<Amount>,
    /// How it stands.
    pub progress: Option<&'static str>,
    /// Where it came to.
    pub address: Option<&'a str>,
    /// The chain's id.
    pub txid: Option<&'a str>,
    /// Confirmations on the chain.
    pub confirmations: Option<i32>,
    /// When the provider saw it first.
    #[serde(with = "time::serde::rfc3339::option")]
    pub seen_at: Option<OffsetDateTime>,
    /// The entry's bytes, sealed, in hexadecimal.
    pub sealed_raw: Option<String>,
}

/// A page as it is kept.
#[derive(Debug)]
pub struct Page<'a> {
    /// The feed.
    pub feed: FeedKey,
    /// What it shows.
    pub entries: &'a [EntryRow<'a>],
    /// Numbers that were asked for by themselves; those not among the entries are asked for again later.
    pub asked: &'a [i64],
    /// Numbers that the sequence leaves out.
    pub missing: &'a [i64],
    /// Everything shown up to this number is stored with this page. Absent: nothing new about that.
    pub cursor: Option<i64>,
    /// Gaps between questions about one number, in milliseconds; the last repeats.
    pub schedule: &'a [i64],
    /// A number that is missing for so long is given up.
    pub grace: Duration,
    /// The present.
    pub now: OffsetDateTime,
    /// The reader keeps the feed until then.
    pub leased_until: OffsetDateTime,
}

/// Keeps a page: new receipts and what changed of known ones (both to be heard of), the numbers to ask for again, and how
/// far the feed has been read; in one statement, so that the cursor never passes what is not stored. Gives how many
/// receipts there are to be heard of. News never make a receipt pending again.
pub async fn keep(connection: &mut Session, page: &Page<'_>) -> Result<usize, StoreError> {
    let entries = serde_json::to_string(page.entries).map_err(|error| StoreError::Unreadable(error.to_string()))?;
    let grace = page.now - page.grace;
    let changed = sqlx::query_scalar!(
        r#"
        WITH input AS MATERIALIZED (
            SELECT * FROM json_to_recordset($3::text::json) AS i(
                number bigint, receipt_id uuid, provider_user text, coin text, provider_coin_id text, amount numeric, progress text,
                address text, txid text, confirmations integer, seen_at timestamptz, sealed_raw bytea)
        ), shown AS MATERIALIZED (
            -- What is shown as pending may be known to have gone on. One by one, and with its length: each index of numbers finds it alone.
            SELECT i.number, i.progress, CASE WHEN i.progress = 'pending' THEN coalesce((
                       SELECT r.progress FROM receipts r
                       WHERE r.merchant_id = $1 AND r.provider = $2 AND r.provider_receipt_id = i.number::text
                         AND length(r.provider_receipt_id) = length(i.number::text) LIMIT 1), 'pending') END AS stored
            FROM input i
        ), kept AS (
            INSERT INTO receipts AS r (
                merchant_id, receipt_id, provider, provider_receipt_id, customer, provider_user, coin, provider_coin_id, amount, progress,
                address, txid, confirmations, seen_at, sealed_raw, revision, unheard, created_at, updated_at)
            SELECT $1, i.receipt_id, $2, i.number::text, u.customer, i.provider_user, i.coin, i.provider_coin_id, i.amount, i.progress,
                   i.address, i.txid, i.confirmations, i.seen_at, i.sealed_raw, 1, true, $4, $4
            FROM input i
            LEFT JOIN wallet_users u ON u.merchant_id = $1 AND u.provider = $2 AND u.provider_user = i.provider_user
            WHERE i.progress IS NOT NULL
            ORDER BY i.number
            ON CONFLICT ON CONSTRAINT a_movement_is_counted_once DO UPDATE SET
                amount = excluded.amount, txid = excluded.txid, confirmations = excluded.confirmations, progress = excluded.progress,
                sealed_raw = excluded.sealed_raw, raw_digest = NULL, revision = r.revision + 1, unheard = true, updated_at = excluded.updated_at
            WHERE (excluded.progress <> 'pending' OR r.progress = 'pending')
              AND (r.amount, r.txid, r.confirmations, r.progress)
                  IS DISTINCT FROM (excluded.amount, excluded.txid, excluded.confirmations, excluded.progress)
            RETURNING 1
        ), again AS (
            INSERT INTO feed_follows AS f (merchant_id, provider, number, reason, since, due_at, tries)
            SELECT $1, $2, number, CASE WHEN progress IS NULL THEN 'unreadable' ELSE 'pending' END, $4,
                   $4 + interval '1 millisecond' * ($7::bigint[])[1], 0
            FROM shown i
            WHERE i.progress IS NULL
               OR i.stored = 'pending'
            ORDER BY number
            ON CONFLICT ON CONSTRAINT a_number_is_followed_once DO UPDATE SET
                reason = excluded.reason,
                tries = CASE WHEN f.reason = excluded.reason THEN f.tries + 1 ELSE 0 END,
                due_at = $4 + interval '1 millisecond' * ($7::bigint[])[
                    CASE WHEN f.reason = excluded.reason THEN least(f.tries + 2, array_length($7::bigint[], 1)) ELSE 1 END]
            WHERE f.reason <> excluded.reason OR f.number = ANY($5::bigint[])
        ), not_shown AS (
            UPDATE feed_follows f SET
                tries = f.tries + 1,
                due_at = $4 + interval '1 millisecond' * ($7::bigint[])[least(f.tries + 2, array_length($7::bigint[], 1))]
            WHERE f.merchant_id = $1 AND f.provider = $2 AND f.number = ANY($5::bigint[])
              AND NOT EXISTS (SELECT FROM input i WHERE i.number = f.number)
              AND NOT (f.reason = 'missing' AND f.since < $8)
        ), over AS (
            DELETE FROM feed_follows f
            WHERE f.merchant_id = $1 AND f.provider = $2
              AND (f.number IN (
                      SELECT i.number FROM shown i WHERE i.progress IN ('confirmed', 'abnormal') OR i.stored <> 'pending')
                   OR (f.number = ANY($5::bigint[]) AND f.reason = 'missing' AND f.since < $8
                       AND NOT EXISTS (SELECT FROM input i WHERE i.number = f.number)))
        ), gaps AS (
            INSERT INTO feed_follows (merchant_id, provider, number, reason, since, due_at, tries)
            SELECT $1, $2, number, 'missing', $4, $4, 0 FROM unnest($6::bigint[]) AS number
            ON CONFLICT ON CONSTRAINT a_number_is_followed_once DO NOTHING
        ), read AS (
            UPDATE deposit_feeds SET cursor = greatest(cursor, $9), leased_until = $10
            WHERE merchant_id = $1 AND provider = $2 AND $9::bigint IS NOT NULL
        )
        SELECT count(*) AS "changed!" FROM kept
        "#,
        page.feed.merchant_id.0,
        page.feed.provider.to_string(),
        entries,
        page.now,
        page.asked,
        page.missing,
        page.schedule,
        grace,
        page.cursor,
        page.leased_until,
    )
    .fetch_one(connection)
    .await?;
    Ok(usize::try_from(changed).unwrap_or_default())
}
