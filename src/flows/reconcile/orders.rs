//! The legs over orders: each with what the provider has under its id, or under its own number.

use std::collections::HashMap;

use uuid::Uuid;

use super::{Page, RunRow, breathe};
use crate::domain::ids::TradeId;
use crate::domain::order::{Order, Way};
use crate::domain::reconciliation::{Verdict, compare_order};
use crate::domain::report::{Channel, ProviderRecord, Report, Says};
use crate::flows::Context;
use crate::flows::discrepancy::Subject;
use crate::flows::error::FlowError;
use crate::flows::poll;
use crate::flows::settle::{Notes, settle};
use crate::flows::tenant::ProviderAccount;
use crate::flows::{feed, look};
use crate::providers::{Listed, Looked, PAGE};
use crate::store::reconciliations::ours;

/// Orders of a page that the provider is asked about one by one: so few that a lease lasts for it, with a new token.
const ONE_BY_ONE: usize = 1;

/// A page of orders that went one way, in one question.
pub(super) async fn by_our_ids(context: &Context, account: &ProviderAccount, run: &RunRow, way: Way) -> Result<Page, FlowError> {
    // Before the provider is asked: what we know by now, it knew.
    let (orders, mut page) = orders(context, run, Some(way), PAGE).await?;
    let (Some(lookups), false) = (&account.wallet.trade_lookups, orders.is_empty()) else { return Ok(page) };
    let ids: Vec<TradeId> = orders.iter().map(|order| order.trade_id.clone()).collect();
    breathe(context).await;
    page.ask();
    let listed = lookups.by_trade_ids(way, &ids).await.map_err(|error| feed::unavailable(&error))?;
    let mut by_id: HashMap<&TradeId, Vec<&Listed>> = HashMap::new();
    for entry in &listed {
        by_id.entry(&entry.trade_id).or_default().push(entry);
    }
    for order in orders {
        let entries = by_id.remove(&order.trade_id).unwrap_or_default();
        let records: Vec<_> = entries.iter().map(|entry| entry.record.clone()).collect();
        let reports = poll::to_be_heard(&entries).into_iter().map(poll::report).collect();
        compare(context, account, run, &mut page, order, &records, reports).await?;
    }
    Ok(page)
}

/// A few deposits that the provider knows by a number, one question each.
pub(super) async fn by_their_numbers(context: &Context, account: &ProviderAccount, run: &RunRow) -> Result<Page, FlowError> {
    let (orders, mut page) = orders(context, run, None, ONE_BY_ONE).await?;
    for order in orders {
        let Some(reference) = order.provider_reference.clone() else { continue };
        breathe(context).await;
        let looked = look::ask(context, account, &order, &reference).await?;
        page.counts.questions += i64::from(looked.is_some());
        match looked {
            None => page.counts.unchecked += 1,
            Some(Looked::Unavailable(why)) => return Err(FlowError::ProviderUnavailable(why)),
            Some(Looked::Unauthorized) => page.counts.unchecked += 1,
            Some(Looked::Unreadable(_)) => page.counts.unreadable += 1,
            Some(Looked::Absent(_)) => compare(context, account, run, &mut page, order, &[], Vec::new()).await?,
            Some(Looked::Found(record, evidence)) => {
                let says = Says::Record((*record).clone());
                let report = Report { channel: Channel::Lookup, proven: true, says, evidence: Some(evidence) };
                compare(context, account, run, &mut page, order, &[Ok(*record)], vec![report]).await?;
            }
        }
    }
    Ok(page)
}

async fn orders(context: &Context, run: &RunRow, way: Option<Way>, limit: usize) -> Result<(Vec<Order>, Page), FlowError> {
    let after = run.cursor.as_deref().and_then(|text| Uuid::try_parse(text).ok());
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let orders = ours::orders_of_period(&mut *context.db.get().await?, run, way, after, most).await?;
    let last = orders.last().map(|order| order.id.0.to_string());
    let cursor = last.filter(|_| orders.len() == limit);
    Ok((orders, Page { cursor, ..Page::default() }))
}

/// Compares one order with what the provider has, and hears it where that is wished and helps.
async fn compare(
    context: &Context,
    account: &ProviderAccount,
    run: &RunRow,
    page: &mut Page,
    order: Order,
    records: &[Result<ProviderRecord, String>],
    reports: Vec<Report>,
) -> Result<(), FlowError> {
    page.counts.compared += 1;
    let mut order = order;
    let mut verdict = compare_order(&order, records, context.clock.now());
    if matches!(verdict, Verdict::Behind | Verdict::Overdue(_)) {
        page.counts.behind += 1;
        if run.repair {
            let before = order.sequence;
            for report in reports {
                order = settle(context, account, order, report, Notes::default()).await?.order;
            }
            page.counts.repaired += i64::from(order.sequence > before);
            // What it did not take from the provider is still to be told.
            verdict = compare_order(&order, records, context.clock.now());
        }
    }
    let subject = Subject::Order(Box::new(order));
    match verdict {
        Verdict::Unreadable => page.counts.unreadable += 1,
        // Nothing is said about earlier findings.
        Verdict::Behind => {}
        Verdict::Agree => page.seen.push(subject),
        Verdict::Overdue(finding) | Verdict::Disagree(finding) => {
            page.found.push((subject.clone(), finding));
            page.seen.push(subject);
        }
    }
    Ok(())
}
