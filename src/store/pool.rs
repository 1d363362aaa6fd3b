//! Connections to the database, and the way back for those whose statement was answered.
//!
//! The library's pool asks the server about each connection that comes back, which is a round trip and a task for each
//! statement. Who has read an answer to its end knows that the connection is good, and says so ([`Lease::done`]): it waits here for
//! the next one. All others (a statement failed, or its caller went away in the middle of it) go back by the library's way, which
//! looks for what they left behind; and so do those that are old, or that nobody needs any more.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::PgPool;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::session::Session;
use super::{Limits, StoreError};
use crate::domain::clock::Clock;

/// A connection that nobody has needed for so long goes back to the library, which closes it in time.
const UNNEEDED: Duration = Duration::from_mins(1);
/// An older one is not used again.
pub const LIFETIME: Duration = Duration::from_mins(30);

/// The connections of a process. Cheap to share.
#[derive(Clone, Debug)]
pub struct Connections(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pool: PgPool,
    /// One for each connection that may be open: who has one finds a connection here or in the library's pool.
    places: Arc<Semaphore>,
    limits: Limits,
    clock: Clock,
    /// Good and not in use, the one that waits longest first.
    free: Mutex<VecDeque<Free>>,
}

#[derive(Debug)]
struct Free {
    session: Session,
    /// When it came from the library's pool.
    taken: Instant,
    /// When it was last used.
    used: Instant,
}

/// A connection that is in use.
#[derive(Debug)]
pub struct Lease {
    /// Before the place: whoever gets the place next finds the connection.
    session: Option<Session>,
    taken: Instant,
    of: Connections,
    _place: OwnedSemaphorePermit,
}

impl Connections {
    /// Those of a pool, which has as many as `limits` say.
    pub fn new(pool: PgPool, limits: Limits) -> Self {
        let places = Arc::new(Semaphore::new(usize::try_from(limits.connections).unwrap_or(1)));
        Self(Arc::new(Inner { pool, places, limits, clock: Clock::system(), free: Mutex::default() }))
    }

    /// The library's pool.
    pub fn pool(&self) -> &PgPool {
        &self.0.pool
    }

    /// A connection.
    pub async fn get(&self) -> Result<Lease, StoreError> {
        let place = match self.0.places.clone().try_acquire_owned() {
            Ok(place) => place,
            Err(_) => self.wait().await?,
        };
        let now = self.0.clock.instant();
        let free = self.0.free().pop_back();
        let (session, taken) = match free.filter(|free| now.saturating_duration_since(free.taken) < LIFETIME) {
            Some(free) => (free.session, free.taken),
            // Seldom, and what it takes to open one is ten times the rest of whatever waits for it: kept apart.
            None => (Session::new(Box::pin(self.0.pool.acquire()).await?, self.0.limits.statement), now),
        };
        Ok(Lease { session: Some(session), taken, of: self.clone(), _place: place })
    }

    async fn wait(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        match tokio::time::timeout(self.0.limits.acquire, self.0.places.clone().acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) => Err(StoreError::Unavailable(sqlx::Error::PoolClosed)),
            Err(_) => Err(StoreError::Unavailable(sqlx::Error::PoolTimedOut)),
        }
    }

    /// Closes all connections; waits for those that are in use.
    pub async fn close(&self) {
        self.0.places.close();
        let closing = self.0.pool.close();
        let free = std::mem::take(&mut *self.0.free());
        free.into_iter().for_each(|free| free.session.give_back());
        closing.await;
    }
}

impl Inner {
    fn free(&self) -> MutexGuard<'_, VecDeque<Free>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a good connection for whoever comes next, and lets go of one that nobody has needed for long.
    fn keep(&self, session: Session, taken: Instant) {
        let now = self.clock.instant();
        let mut free = self.free();
        // Closing begins with the places.
        if self.places.is_closed() {
            drop(free);
            return session.give_back();
        }
        free.push_back(Free { session, taken, used: now });
        let unneeded = free.front().is_some_and(|first| now.saturating_duration_since(first.used) >= UNNEEDED);
        let unneeded = unneeded.then(|| free.pop_front()).flatten();
        drop(free);
        if let Some(unneeded) = unneeded {
            unneeded.session.give_back();
        }
    }
}

impl Drop for Inner {
    /// There may be no runtime any more in which the library could take them back.
    fn drop(&mut self) {
        let free = self.free.get_mut().unwrap_or_else(PoisonError::into_inner);
        free.drain(..).for_each(|free| free.session.leave());
    }
}

impl Lease {
    /// Gives it back: what was asked is answered, to the end.
    pub fn done(mut self) {
        if let Some(session) = self.session.take_if(|session| !session.is_in_transaction()) {
            self.of.0.keep(session, self.taken);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            session.give_back();
        }
    }
}

impl Deref for Lease {
    type Target = Session;

    #[expect(clippy::expect_used, reason = "it is taken only by whoever consumes the lease")]
    fn deref(&self) -> &Session {
        self.session.as_ref().expect("a lease that is not done")
    }
}

impl DerefMut for Lease {
    #[expect(clippy::expect_used, reason = "it is taken only by whoever consumes the lease")]
    fn deref_mut(&mut self) -> &mut Session {
        self.session.as_mut().expect("a lease that is not done")
    }
}
