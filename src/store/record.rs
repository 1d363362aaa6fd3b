//! The one statement that changes orders: each order with its step, event, task, attempt, report,
//! receipts and discrepancy, or nothing of it. It takes one order or a page of them, as one document;
//! single orders that are written at the same time go as a page.

mod rows;
mod statement;

use std::time::Duration;

use futures_util::FutureExt;
use serde_json::value::RawValue;
use time::OffsetDateTime;

use self::rows::{HeardRow, Row};
use super::group::{Group, document, row};
use super::pool::Connections;
use super::session::Session;
use super::{Db, StoreError};
use crate::domain::agenda::Task;
use crate::domain::audit::Entry;
use crate::domain::event::WrittenBody;
use crate::domain::finding::Finding;
use crate::domain::hearing::Received;
use crate::domain::ids::{AttemptId, DiscrepancyId, EventId, MerchantId, OrderId, ReceiptId, ReportId};
use crate::domain::order::Order;
use crate::domain::recovery::Progress;
use crate::domain::report::Channel;

/// All that one report of one order writes.
#[derive(Debug)]
pub struct Record<'a> {
    /// The order, as it is after the report.
    pub order: &'a Order,
    /// The order changed: it gets a step and an event. Else only what goes with the report is written.
    pub changed: bool,
    /// The order is new and comes into being with this report. SHA-256 of what it stands for.
    pub born: Option<&'a [u8]>,
    /// The present.
    pub now: OffsetDateTime,
    /// How the report came.
    pub channel: Channel,
    /// What it said, in a few words.
    pub reason: String,
    /// The event of the step: its id, type and body. Absent where there is no step.
    pub event: Option<(EventId, String, WrittenBody)>,
    /// What came in from outside.
    pub report: Option<ReportRow>,
    /// The attempt that the report is about, and how it ends: state and detail.
    pub ended: Option<(AttemptId, &'static str, String)>,
    /// A new attempt, kept until then.
    pub opened: Option<(AttemptId, OffsetDateTime)>,
    /// What becomes of the order's task.
    pub task: TaskWrite,
    /// Money that the report proves, with its event where no order is open to it.
    pub receipt: Option<(ReceiptId, &'a Received, EventId, WrittenBody)>,
    /// Receipts that the order hears of with this report.
    pub hears: &'a [Version],
    /// Who did this by hand, and why: written if it changes anything.
    pub entry: Option<&'a Entry>,
    /// Where the sides disagree: its id, digest and event.
    pub finding: Option<(DiscrepancyId, &'a Finding, Vec<u8>, EventId, WrittenBody)>,
}

impl Record<'_> {
    /// It touches nothing that another order's record could touch, too: receipts are heard of by one order only, a new
    /// order's trade id may be used, and what is done by hand is rare.
    fn stands_alone(&self) -> bool {
        self.hears.is_empty() && self.born.is_none() && self.entry.is_none()
    }

    fn touches(&self) -> Touches {
        let more = !self.stands_alone() || self.receipt.is_some() || self.finding.is_some();
        let order = self.changed || self.report.is_some() || self.ended.is_some() || self.opened.is_some();
        match self.task {
            _ if more => Touches::More,
            TaskWrite::Leave | TaskWrite::Set(..) if !order => Touches::Tasks,
            _ => Touches::Orders,
        }
    }
}

/// What records write to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Touches {
    /// Tasks of orders that exist, and nothing else.
    Tasks,
    /// Orders that exist, with their steps, events, tasks, attempts and reports.
    Orders,
    /// Receipts, new orders, discrepancies or the audit log, too.
    More,
}

/// A record that goes to the database together with others.
#[derive(Clone, Debug)]
pub struct Single {
    order: OrderId,
    row: String,
    touches: Touches,
}

/// What came in from outside, to be kept.
#[derive(Debug)]
pub struct ReportRow {
    /// Its id.
    pub id: ReportId,
    /// SHA-256 of the raw input.
    pub digest: Vec<u8>,
    /// The raw input, sealed.
    pub sealed_raw: Vec<u8>,
    /// What was read from it, without secrets.
    pub summary: Box<RawValue>,
    /// What became of it.
    pub verdict: &'static str,
    /// Where a callback came from.
    pub source: Option<String>,
}

/// What becomes of an order's task.
#[derive(Clone, Copy, Debug)]
pub enum TaskWrite {
    /// It stays as it is.
    Leave,
    /// There is nothing more to do.
    Remove,
    /// This is to be done, after so many tries; kept by the writer until the lease ends, if one is given.
    Set(Task, Progress, Option<OffsetDateTime>),
}

/// A receipt that no order is open to: the merchant hears of it by an event.
#[derive(Debug)]
pub struct Homeless {
    /// Whose it is.
    pub merchant_id: MerchantId,
    /// The receipt.
    pub receipt: Version,
    /// The event's id, type and body. Absent: the merchant has heard of it before.
    pub event: Option<(EventId, &'static str, WrittenBody)>,
}

/// A receipt as it was read. It is written to only if it is still so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its id.
    pub id: ReceiptId,
    /// What the provider had told of it.
    pub revision: i32,
    /// Whether that was still to be heard of.
    pub unheard: bool,
}

/// What the records of a page have to do with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bond {
    /// Nothing: each is written or not by itself.
    Each,
    /// They are one decision: if something of it has changed since it was read, nothing is written.
    All,
}

/// Records of single orders on their way to the database. Two of the same order never share a statement.
pub type Records = Group<OrderId, Single, bool>;

/// The way of single records to the database.
pub fn records(connections: Connections, patience: Duration) -> Records {
    Group::new(patience, move |records: &[Single]| {
        let (orders, rows): (Vec<OrderId>, Vec<String>) = records.iter().map(|record| (record.order, record.row.clone())).unzip();
        let touches = records.iter().map(|record| record.touches).max().unwrap_or(Touches::Orders);
        let connections = connections.clone();
        async move {
            let page = Page { rows: document(&rows), heard: document(&[]), receipts: 0, bond: Bond::Each, touches };
            let mut connection = connections.get().await?;
            let written = write(&mut connection, &page).await?.unwrap_or_default();
            connection.done();
            Ok(orders.iter().map(|order| written.contains(order)).collect())
        }
        .boxed()
    })
}

/// Writes records, in one statement, each whole or not at all. Gives the orders whose record was
/// written. One is not if its order has changed since it was read, or one of its receipts: then read
/// again. `None` if the page is one decision and nothing of it was written.
pub async fn record(db: &Db, records: &[Record<'_>], homeless: &[Homeless], bond: Bond) -> Result<Option<Vec<OrderId>>, StoreError> {
    if let ([one], [], Bond::Each) = (records, homeless, bond)
        && one.stands_alone()
    {
        let id = one.order.id;
        let written = db.records.put(id, Single { order: id, row: row(&Row::of(one))?, touches: one.touches() }).await?;
        return Ok(Some(if written { vec![id] } else { Vec::new() }));
    }
    let rows = records.iter().map(|record| row(&Row::of(record))).collect::<Result<Vec<_>, _>>()?;
    let heard = records
        .iter()
        .flat_map(|record| {
            record.hears.iter().map(move |receipt| HeardRow::of(record.order.merchant_id, receipt, Some(record.order.id), None))
        })
        .chain(homeless.iter().map(|one| HeardRow::of(one.merchant_id, &one.receipt, None, one.event.as_ref())))
        .map(|heard| row(&heard))
        .collect::<Result<Vec<_>, _>>()?;
    let receipts = i64::try_from(heard.len()).unwrap_or(i64::MAX);
    let more = bond == Bond::All || !heard.is_empty();
    let touches = records.iter().map(Record::touches).chain(more.then_some(Touches::More)).max().unwrap_or(Touches::Orders);
    let page = Page { rows: document(&rows), heard: document(&heard), receipts, bond, touches };
    let mut connection = db.get().await?;
    let written = write(&mut connection, &page).await?;
    connection.done();
    Ok(written)
}

/// What one statement writes.
struct Page {
    /// The records, as a document.
    rows: String,
    /// The receipts that are heard of, as a document, and how many they are.
    heard: String,
    receipts: i64,
    bond: Bond,
    touches: Touches,
}

async fn write(connection: &mut Session, page: &Page) -> Result<Option<Vec<OrderId>>, StoreError> {
    let written = match page.touches {
        Touches::Tasks => statement::of_tasks(connection, &page.rows).await.map(Some),
        Touches::Orders => statement::of_orders(connection, &page.rows).await.map(Some),
        Touches::More => statement::of_all(connection, page).await,
    };
    match written {
        Ok(written) => Ok(written.map(|orders| orders.into_iter().map(OrderId).collect())),
        Err(sqlx::Error::Database(error)) if error.constraint() == Some("a_trade_id_is_used_once") => Ok(None),
        Err(error) => Err(error.into()),
    }
}
