//! A connection on which no statement takes for ever.
//!
//! A server whose machine dies closes nothing. Who waits for its answer would wait until the system gives the connection up, which
//! takes a quarter of an hour, and soon everybody would wait for one of these connections. So a statement has a limited time; then
//! its outcome is unknown, as that of one whose connection was cut.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{BoxStream, Stream, StreamExt};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Connection, Describe, Either, Error, Execute, Executor, PgConnection, Postgres, SqlStr};
use tokio::time::{Sleep, sleep};

/// A connection of the pool whose statements each take no longer than a limit.
#[derive(Debug)]
pub struct Session {
    connection: PoolConnection<Postgres>,
    limit: Duration,
}

impl Session {
    pub(super) fn new(connection: PoolConnection<Postgres>, limit: Duration) -> Self {
        Self { connection, limit }
    }

    /// Whether the server answers.
    pub async fn ping(&mut self) -> Result<(), Error> {
        within(self.limit, self.connection.ping()).await
    }

    pub(super) fn is_in_transaction(&self) -> bool {
        self.connection.is_in_transaction()
    }

    /// How long a statement may take.
    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// The connection without a limit, for what may rightly take its time: see [`within`] and [`LONG`].
    pub(super) fn unhurried(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Gives the connection back to the library, which looks for what was left behind on it. One on which it finds no end of that
    /// within the limit is closed.
    pub(super) fn give_back(mut self) {
        tokio::spawn(tokio::time::timeout(self.limit, self.connection.return_to_pool()));
    }

    /// Leaves the connection to nobody: there is no runtime any more that could take it back.
    pub(super) fn leave(self) {
        drop(self.connection.leak());
    }
}

/// For what goes over all that a merchant was ever told, or over a month of everybody.
pub(super) const LONG: Duration = Duration::from_mins(10);

/// What the server answers to all of this together, in so much time at most.
pub async fn within<T, E: From<Error>>(limit: Duration, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(late().into()))
}

/// The server has not answered in time: as if the connection had been cut.
fn late() -> Error {
    Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "the database did not answer in time"))
}

type Step = Result<Either<PgQueryResult, PgRow>, Error>;

/// What a statement gives, until its time is over.
struct Limited<'e> {
    steps: BoxStream<'e, Step>,
    end: Pin<Box<Sleep>>,
}

impl Stream for Limited<'_> {
    type Item = Step;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Step>> {
        match self.steps.poll_next_unpin(context) {
            Poll::Pending => self.end.poll_unpin(context).map(|()| Some(Err(late()))),
            ready => ready,
        }
    }
}

impl<'c> Executor<'c> for &'c mut Session {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Step>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let end = Box::pin(sleep(self.limit));
        Box::pin(Limited { steps: self.connection.fetch_many(query), end })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        Box::pin(within(self.limit, self.connection.fetch_optional(query)))
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [PgTypeInfo]) -> BoxFuture<'e, Result<PgStatement, Error>>
    where
        'c: 'e,
    {
        Box::pin(within(self.limit, self.connection.prepare_with(sql, parameters)))
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, Error>>
    where
        'c: 'e,
    {
        Box::pin(within(self.limit, self.connection.describe(sql)))
    }
}
