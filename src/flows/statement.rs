//! Statements: what moved over a period, page by page, in constant memory and without a connection
//! held between pages.
//!
//! First the books are closed until the end of the statement, or until now: what is booked later is
//! booked after that, so that nothing that was shown ever changes, and all pages see the same. The rows are
//! added up while they pass by; the footer is written only if the sums that the database makes agree.

mod write;

use std::sync::Arc;

use bytes::Bytes;
use strum::{EnumString, IntoStaticStr};

use self::write::Writer;
use super::Context;
use super::error::FlowError;
use crate::domain::ids::{MerchantId, MovementId};
use crate::domain::statement::{Head, Holdings, Period, Tally};
use crate::store::movements;

/// Rows that are read at once.
const PAGE: usize = 1000;

/// How a statement is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Format {
    /// One object.
    #[default]
    Json,
    /// A table (RFC 4180) that spreadsheets open without harm.
    Csv,
    /// One object a line: the head, the rows, the footer.
    Ndjson,
}

impl Format {
    /// The media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

/// What to make a statement of.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Whose.
    pub merchant: MerchantId,
    /// Only this coin. Absent: all.
    pub coin: Option<String>,
    /// When.
    pub period: Period,
    /// How it is written.
    pub format: Format,
}

/// A statement that is being read.
#[derive(Debug)]
pub struct Statement {
    context: Arc<Context>,
    wish: Wish,
    /// What is shown: the period, or what is over of it.
    shown: Period,
    opening: Holdings,
    tally: Tally,
    writer: Writer,
    place: Place,
}

/// How far the reading has come.
#[derive(Clone, Copy, Debug)]
enum Place {
    Head,
    After(Option<MovementId>),
    Footer,
    End,
}

impl Statement {
    /// Closes the books and begins to read.
    ///
    /// # Errors
    /// The database cannot be asked.
    pub async fn open(context: Arc<Context>, wish: Wish) -> Result<Self, FlowError> {
        let shown = Period { to: wish.period.to.min(context.clock.now()), ..wish.period };
        let mut connection = context.db.get().await?;
        movements::close(&mut connection, wish.merchant, shown.to).await?;
        movements::sum_days(&mut connection, wish.merchant).await?;
        let opening = movements::holdings(&mut connection, wish.merchant, wish.coin.as_deref(), shown.from).await?;
        drop(connection);
        let writer = Writer::new(wish.format);
        Ok(Self { context, wish, shown, opening, tally: Tally::default(), writer, place: Place::Head })
    }

    /// The next piece of the text. `None` at its end.
    ///
    /// # Errors
    /// The database cannot be asked, or the books do not add up: then what was given so far has no footer and must not be believed.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FlowError> {
        let written = match self.place {
            Place::Head => {
                self.place = Place::After(None);
                self.writer.head(&self.head())
            }
            Place::After(last) => self.rows(last).await?,
            Place::Footer => {
                self.place = Place::End;
                self.footer().await?
            }
            Place::End => return Ok(None),
        };
        written.map(|bytes| Some(bytes.into())).map_err(|error| FlowError::Internal(error.to_string()))
    }

    fn head(&self) -> Head {
        let Period { from, to } = self.wish.period;
        let until = self.shown.to;
        Head { object: "statement", from, to, until, closed: until == to, coin: self.wish.coin.clone() }
    }

    async fn rows(&mut self, last: Option<MovementId>) -> Result<anyhow::Result<Vec<u8>>, FlowError> {
        let Wish { merchant, coin, .. } = &self.wish;
        let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
        let rows = movements::page(&mut *self.context.db.get().await?, *merchant, coin.as_deref(), self.shown, last, limit).await?;
        for row in &rows {
            self.tally.add(row).ok_or_else(|| FlowError::Internal("a sum is beyond the range".to_owned()))?;
        }
        self.place = match rows.last() {
            Some(row) if rows.len() == PAGE => Place::After(Some(row.id)),
            _ => Place::Footer,
        };
        Ok(self.writer.rows(&rows))
    }

    async fn footer(&mut self) -> Result<anyhow::Result<Vec<u8>>, FlowError> {
        let Wish { merchant, coin, .. } = &self.wish;
        let closing = movements::holdings(&mut *self.context.db.get().await?, *merchant, coin.as_deref(), self.shown.to).await?;
        let Some(balances) = self.tally.balances(&self.opening, &closing) else {
            metrics::counter!("tillgate_statements_unbalanced_total").increment(1);
            return Err(FlowError::Internal(format!(
                "the books of {merchant} do not add up between {} and {}",
                self.shown.from, self.shown.to
            )));
        };
        Ok(self.writer.footer(&balances, self.shown))
    }
}
