//! The leg over the provider's list of incoming movements: each with the receipt that we have of it.

use std::collections::{HashMap, HashSet};

use time::OffsetDateTime;

use super::{Page, RunRow, breathe};
use crate::domain::receipt::{Incoming, Receipt};
use crate::domain::reconciliation::{Verdict, compare_movement};
use crate::flows::Context;
use crate::flows::discrepancy::Subject;
use crate::flows::error::FlowError;
use crate::flows::feed::{self, TRAIL};
use crate::flows::tenant::ProviderAccount;
use crate::providers::{Entry, PAGE};
use crate::store::feeds::{self, FeedKey};
use crate::store::receipts;
use crate::store::reconciliations::ours as our_side;

/// Most receipts of ours between the first and the last number of one page of the provider's list.
const RECEIPTS: i64 = 1000;

/// A page of the list.
pub(super) async fn listed(context: &Context, account: &ProviderAccount, run: &RunRow) -> Result<Page, FlowError> {
    let Some(port) = account.wallet.deposit_feed.as_deref() else { return Ok(Page::default()) };
    let feed = FeedKey { merchant_id: run.merchant(), provider: run.provider()? };
    let after = match run.cursor.as_deref().and_then(|text| text.parse().ok()) {
        Some(after) => after,
        None => beginning(context, run, feed).await?,
    };
    let mut page = Page::default();
    breathe(context).await;
    page.ask();
    let entries = port.after(after).await.map_err(|error| feed::unavailable(&error))?;
    let end = entries.iter().map(|entry| entry.id).max();
    let ours = receipts(context, run, feed, (after + 1, end.unwrap_or(i64::MAX))).await?;
    let absent: Vec<i64> = {
        let shown: HashSet<i64> = entries.iter().map(|entry| entry.id).collect();
        let mut absent: Vec<i64> = ours.keys().copied().filter(|number| !shown.contains(number)).collect();
        absent.sort_unstable();
        absent
    };
    let mut theirs: HashMap<i64, Entry> = entries.into_iter().map(|entry| (entry.id, entry)).collect();
    // What the list leaves out may have been stored after it was read: asked for by itself, it shows.
    for numbers in absent.chunks(PAGE) {
        breathe(context).await;
        page.ask();
        theirs.extend(port.by_ids(numbers).await.map_err(|error| feed::unavailable(&error))?.into_iter().map(|entry| (entry.id, entry)));
    }
    let behind = compare_all(run, &mut page, &ours, &theirs, context.clock.now());
    repair(context, account, feed, run, &mut page, &behind).await?;
    let beyond = end.is_none() || theirs.values().all(|entry| seen_at(entry).is_some_and(|seen| seen >= run.period_to));
    page.cursor = end.filter(|_| !beyond).map(|last| last.to_string());
    Ok(page)
}

/// The number that the list is read after: a stretch before the first one of the period.
async fn beginning(context: &Context, run: &RunRow, feed: FeedKey) -> Result<i64, FlowError> {
    let mut connection = context.db.get().await?;
    let first = match our_side::number_before(&mut connection, run).await? {
        Some(number) => number,
        None => feeds::cursor(&mut connection, feed).await?.unwrap_or_default(),
    };
    Ok((first - TRAIL).max(0))
}

/// Receipts of ours in a range of numbers that belong to the period, with when we last heard of each.
async fn receipts(
    context: &Context,
    run: &RunRow,
    feed: FeedKey,
    range: (i64, i64),
) -> Result<HashMap<i64, (Receipt, OffsetDateTime)>, FlowError> {
    let rows = receipts::numbered(&mut *context.db.get().await?, feed.merchant_id, feed.provider, range, RECEIPTS).await?;
    let mut all = HashMap::new();
    for row in rows {
        if row.seen_at.unwrap_or(row.created_at) >= run.period_to {
            continue;
        }
        if let Ok(number) = row.provider_receipt_id.parse() {
            all.insert(number, (row.receipt()?, row.updated_at));
        }
    }
    Ok(all)
}

/// Gives the numbers that the provider is further with.
fn compare_all(
    run: &RunRow,
    page: &mut Page,
    ours: &HashMap<i64, (Receipt, OffsetDateTime)>,
    theirs: &HashMap<i64, Entry>,
    now: OffsetDateTime,
) -> Vec<i64> {
    let mut numbers: Vec<i64> = ours.keys().chain(theirs.keys()).copied().collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut behind = Vec::new();
    for number in numbers {
        let entry: Option<&Incoming> = match theirs.get(&number).map(|entry| &entry.movement) {
            None => None,
            Some(Ok(movement)) if movement.seen_at.is_some_and(|seen| seen >= run.period_to) => continue,
            Some(Ok(movement)) => Some(movement),
            Some(Err(_)) => {
                page.counts.unreadable += 1;
                continue;
            }
        };
        page.counts.compared += 1;
        let ours = ours.get(&number).map(|(receipt, heard_at)| (receipt, *heard_at));
        let finding = match compare_movement(ours, entry, now) {
            Verdict::Agree | Verdict::Unreadable => None,
            Verdict::Behind => {
                behind.push(number);
                None
            }
            Verdict::Overdue(finding) => {
                behind.push(number);
                (!run.repair).then_some(finding)
            }
            Verdict::Disagree(finding) => Some(finding),
        };
        page.seen.push(Subject::Receipt(number));
        page.found.extend(finding.map(|finding| (Subject::Receipt(number), finding)));
    }
    behind
}

/// Hears now what the provider is further with, where that is wished.
async fn repair(
    context: &Context,
    account: &ProviderAccount,
    feed: FeedKey,
    run: &RunRow,
    page: &mut Page,
    behind: &[i64],
) -> Result<(), FlowError> {
    let count = i64::try_from(behind.len()).unwrap_or(i64::MAX);
    page.counts.behind += count;
    if !run.repair {
        return Ok(());
    }
    for numbers in behind.chunks(PAGE) {
        breathe(context).await;
        page.ask();
        feed::hear_of(context, account, feed, numbers).await?;
    }
    page.counts.repaired += count;
    Ok(())
}

fn seen_at(entry: &Entry) -> Option<OffsetDateTime> {
    entry.movement.as_ref().ok().and_then(|movement| movement.seen_at)
}
