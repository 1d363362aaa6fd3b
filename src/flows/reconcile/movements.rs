//! The leg over the provider's list of incoming movements: each with the receipt that we have of it.

use std::collections::{HashMap, HashSet};

use time::OffsetDateTime;

use super::{Page, RunRow, breathe};
use crate::domain::feed::TRAIL;
use crate::domain::receipt::{Incoming, Receipt};
use crate::domain::reconciliation::{Verdict, compare_movement};
use crate::flows::Context;
use crate::flows::discrepancy::Subject;
use crate::flows::error::FlowError;
use crate::flows::feed;
use crate::flows::tenant::ProviderAccount;
use crate::providers::{Entry, PAGE};
use crate::store::feeds::{self, FeedKey};
use crate::store::receipts;
use crate::store::reconciliations::ours as our_side;

/// Receipts of ours by the provider's numbers, with when we last heard of each.
type Ours = HashMap<i64, (Receipt, OffsetDateTime)>;

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
    let mut entries = port.after(after).await.map_err(|error| feed::unavailable(&error))?;
    let mut end = entries.iter().map(|entry| entry.id).max();
    let (ours, cut) = receipts(context, run, feed, (after + 1, end.unwrap_or(i64::MAX))).await?;
    if let Some(cut) = cut {
        // The list leaves out more than a page holds: what is beyond comes with the next.
        entries.retain(|entry| entry.id <= cut);
        end = Some(cut);
    }
    let beyond = end.is_none() || (cut.is_none() && entries.iter().all(|entry| seen_at(entry).is_some_and(|seen| seen >= run.period_to)));
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
    let ours = repaired(context, account, feed, run, &mut page, ours, &theirs).await?;
    compare_all(run, &mut page, &ours, &theirs, context.clock.now());
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

/// Receipts of ours in a range of numbers that belong to the period, with when we last heard of each; and the last number where
/// there are more.
async fn receipts(context: &Context, run: &RunRow, feed: FeedKey, range: (i64, i64)) -> Result<(Ours, Option<i64>), FlowError> {
    let rows = receipts::numbered(&mut *context.db.get().await?, feed.merchant_id, feed.provider, range, RECEIPTS).await?;
    let full = i64::try_from(rows.len()).unwrap_or(i64::MAX) >= RECEIPTS;
    let last = rows.last().and_then(|row| row.provider_receipt_id.parse().ok());
    let mut all = HashMap::new();
    for row in rows {
        if row.seen_at.unwrap_or(row.created_at) >= run.period_to {
            continue;
        }
        if let Ok(number) = row.provider_receipt_id.parse() {
            all.insert(number, (row.receipt()?, row.updated_at));
        }
    }
    Ok((all, last.filter(|_| full)))
}

/// What both sides have of one number that is to be compared.
fn entry<'a>(run: &RunRow, theirs: &'a HashMap<i64, Entry>, number: i64) -> Result<Option<&'a Incoming>, Skipped> {
    match theirs.get(&number).map(|entry| &entry.movement) {
        None => Ok(None),
        Some(Ok(movement)) if movement.seen_at.is_some_and(|seen| seen >= run.period_to) => Err(Skipped::Later),
        Some(Ok(movement)) => Ok(Some(movement)),
        Some(Err(_)) => Err(Skipped::Unreadable),
    }
}

/// Why a number is not compared.
enum Skipped {
    /// It is of a later period.
    Later,
    /// The provider's entry cannot be read.
    Unreadable,
}

fn numbers(ours: &Ours, theirs: &HashMap<i64, Entry>) -> Vec<i64> {
    let mut numbers: Vec<i64> = ours.keys().chain(theirs.keys()).copied().collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

fn verdict(ours: &Ours, number: i64, entry: Option<&Incoming>, now: OffsetDateTime) -> Verdict {
    compare_movement(ours.get(&number).map(|(receipt, heard_at)| (receipt, *heard_at)), entry, now)
}

fn compare_all(run: &RunRow, page: &mut Page, ours: &Ours, theirs: &HashMap<i64, Entry>, now: OffsetDateTime) {
    for number in numbers(ours, theirs) {
        let entry = match entry(run, theirs, number) {
            Ok(entry) => entry,
            Err(skipped) => {
                page.counts.unreadable += i64::from(matches!(skipped, Skipped::Unreadable));
                continue;
            }
        };
        page.counts.compared += 1;
        let finding = match verdict(ours, number, entry, now) {
            // Nothing is said about earlier findings.
            Verdict::Behind | Verdict::Unreadable => continue,
            Verdict::Agree => None,
            Verdict::Overdue(finding) | Verdict::Disagree(finding) => Some(finding),
        };
        page.seen.push(Subject::Receipt(number));
        page.found.extend(finding.map(|finding| (Subject::Receipt(number), finding)));
    }
}

/// Hears now what the provider is further with, where that is wished. Gives our side as it is then.
async fn repaired(
    context: &Context,
    account: &ProviderAccount,
    feed: FeedKey,
    run: &RunRow,
    page: &mut Page,
    mut ours: Ours,
    theirs: &HashMap<i64, Entry>,
) -> Result<Ours, FlowError> {
    let now = context.clock.now();
    let is_behind = |number: &i64| match entry(run, theirs, *number) {
        Ok(entry) => matches!(verdict(&ours, *number, entry, now), Verdict::Behind | Verdict::Overdue(_)),
        Err(_) => false,
    };
    let behind: Vec<i64> = numbers(&ours, theirs).into_iter().filter(is_behind).collect();
    page.counts.behind += i64::try_from(behind.len()).unwrap_or(i64::MAX);
    if !run.repair {
        return Ok(ours);
    }
    for numbers in behind.chunks(PAGE) {
        breathe(context).await;
        page.ask();
        feed::hear_of(context, account, feed, numbers).await?;
        for number in numbers {
            let (now_ours, _) = receipts(context, run, feed, (*number, *number)).await?;
            let changed = |row: &(Receipt, OffsetDateTime)| ours.get(number).is_none_or(|before| before.0 != row.0);
            page.counts.repaired += i64::from(now_ours.get(number).is_some_and(changed));
            ours.extend(now_ours);
        }
    }
    Ok(ours)
}

fn seen_at(entry: &Entry) -> Option<OffsetDateTime> {
    entry.movement.as_ref().ok().and_then(|movement| movement.seen_at)
}
