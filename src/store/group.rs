//! Group commit: what many callers write at the same time goes in one statement.
//!
//! A write goes at once and alone while fewer than two statements of its kind are under way. While two
//! are, what arrives waits, and goes together in the next. There is no timer: a group is what
//! has come since the last statement began. Callers do not see each other: each hears what became
//! of its own write, and only when the statement that carried it is committed.
//!
//! - A group that the database refuses has written nothing; its writes are repeated one by one, so
//!   that a bad one fails by itself.
//! - A group whose fate is not known (the connection is lost) is not repeated: every caller hears
//!   that the database is not available, as a caller of a single statement would.
//! - Two writes with the same key never share a statement, and a group is ordered by its keys, so
//!   that two groups do not wait for each other in a circle.
//! - Statements run in tasks of their own: a caller that goes away stops nobody's write.

use std::collections::{BTreeMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Serialize;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use super::StoreError;

/// Statements of one kind under way at the same time.
const LANES: usize = 2;
/// Writes in one statement.
const MOST: usize = 64;
/// Writes that are looked at for one group: many with the same key do not make each group dearer.
const SEEN: usize = 8 * MOST;
/// Bytes that a row begins with: an order's step is seldom longer, and is not moved while it grows.
const ROOM: usize = 4096;

/// A statement that carries many writes, and gives an answer for each, in their order.
type Statement<W, A> = dyn Fn(&[W]) -> BoxFuture<'static, Result<Vec<A>, StoreError>> + Send + Sync;
type Answer<A> = oneshot::Sender<Result<A, StoreError>>;

/// Writes of one kind, grouped. Cheap to share.
pub struct Group<K, W, A>(Arc<Inner<K, W, A>>);

struct Inner<K, W, A> {
    statement: Box<Statement<W, A>>,
    patience: Duration,
    queue: Mutex<Queue<K, W, A>>,
    lanes: TaskTracker,
}

struct Queue<K, W, A> {
    waiting: VecDeque<Waiting<K, W, A>>,
    /// Lanes that are open.
    open: usize,
    /// The number of the next write.
    next: u64,
}

struct Waiting<K, W, A> {
    number: u64,
    key: K,
    write: W,
    answer: Answer<A>,
}

impl<K, W, A> Group<K, W, A>
where
    K: Ord + Send + 'static,
    W: Send + Sync + 'static,
    A: Send + 'static,
{
    /// Writes that go by `statement`. One that waits longer than `patience` for its turn is given up.
    pub fn new<F>(patience: Duration, statement: F) -> Self
    where
        F: Fn(&[W]) -> BoxFuture<'static, Result<Vec<A>, StoreError>> + Send + Sync + 'static,
    {
        let queue = Mutex::new(Queue { waiting: VecDeque::new(), open: 0, next: 0 });
        let lanes = TaskTracker::new();
        lanes.close();
        Self(Arc::new(Inner { statement: Box::new(statement), patience, queue, lanes }))
    }

    /// Writes, alone or with others. `key` names what is written to.
    ///
    /// # Errors
    /// As the statement's. If it waited too long for its turn, nothing is written.
    pub async fn put(&self, key: K, write: W) -> Result<A, StoreError> {
        let (answer, mut heard) = oneshot::channel();
        let number = self.join(key, write, answer);
        let answer = match tokio::time::timeout(self.0.patience, &mut heard).await {
            Ok(answer) => answer,
            Err(_) if self.0.withdraw(number) => return Err(StoreError::Unavailable(sqlx::Error::PoolTimedOut)),
            Err(_) => heard.await,
        };
        // Nobody answers where the statement's task has died: then its outcome is unknown.
        answer.unwrap_or(Err(StoreError::Unavailable(sqlx::Error::WorkerCrashed)))
    }

    /// Puts a write in the queue, and opens a lane if there is room for one more.
    fn join(&self, key: K, write: W, answer: Answer<A>) -> u64 {
        let mut queue = self.0.queue();
        let number = queue.next;
        queue.next += 1;
        queue.waiting.push_back(Waiting { number, key, write, answer });
        if queue.open < LANES {
            queue.open += 1;
            self.0.lanes.spawn(Lane { of: self.0.clone(), closed: false }.run());
        }
        number
    }

    /// Waits until nothing is under way.
    pub async fn finish(&self) {
        self.0.lanes.wait().await;
    }
}

impl<K: Ord, W, A> Inner<K, W, A> {
    fn queue(&self) -> MutexGuard<'_, Queue<K, W, A>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a write back. `false` if a statement carries it already.
    fn withdraw(&self, number: u64) -> bool {
        let mut queue = self.queue();
        let place = queue.waiting.iter().position(|one| one.number == number);
        place.and_then(|place| queue.waiting.remove(place)).is_some()
    }

    /// The next group. `None`: nobody waits, and the lane is closed.
    #[expect(clippy::map_entry, reason = "an entry takes the key, and a write that waits on keeps its own")]
    fn next(&self) -> Option<BTreeMap<K, (W, Answer<A>)>> {
        let mut queue = self.queue();
        let (mut group, mut later) = (BTreeMap::new(), Vec::new());
        while group.len() < MOST && group.len() + later.len() < SEEN {
            let Some(next) = queue.waiting.pop_front() else { break };
            if group.contains_key(&next.key) {
                later.push(next);
            } else {
                group.insert(next.key, (next.write, next.answer));
            }
        }
        later.into_iter().rev().for_each(|one| queue.waiting.push_front(one));
        if group.is_empty() {
            queue.open -= 1;
            return None;
        }
        Some(group)
    }

    /// Writes a group, and tells each caller what became of its write.
    async fn write(&self, group: BTreeMap<K, (W, Answer<A>)>) {
        let (writes, callers): (Vec<W>, Vec<Answer<A>>) = group.into_values().unzip();
        match self.attempt(&writes).await {
            Some(Err(error)) if writes.len() > 1 && error.wrote_nothing() => {
                for (write, caller) in writes.iter().zip(callers) {
                    tell(caller, self.attempt(std::slice::from_ref(write)).await.map(single));
                }
            }
            Some(Err(error)) => {
                let mut callers = callers.into_iter();
                let first = callers.next();
                callers.for_each(|caller| tell(caller, Some(Err(error.copy()))));
                if let Some(caller) = first {
                    tell(caller, Some(Err(error)));
                }
            }
            Some(Ok(answers)) => callers.into_iter().zip(answers).for_each(|(caller, answer)| tell(caller, Some(Ok(answer)))),
            // Callers hear it by the end of their channels.
            None => {}
        }
    }

    /// `None` if the statement's code panicked.
    async fn attempt(&self, writes: &[W]) -> Option<Result<Vec<A>, StoreError>> {
        let statement = AssertUnwindSafe(async { (self.statement)(writes).await });
        statement.catch_unwind().await.ok()
    }
}

fn single<A>(answers: Result<Vec<A>, StoreError>) -> Result<A, StoreError> {
    answers?.pop().ok_or_else(|| StoreError::Unreadable("a statement gave no answer".to_owned()))
}

/// A caller that has gone away does not mind.
fn tell<A>(caller: Answer<A>, answer: Option<Result<A, StoreError>>) {
    if let Some(answer) = answer {
        drop(caller.send(answer));
    }
}

/// Writes one group after the other until nobody waits.
struct Lane<K: Ord, W, A> {
    of: Arc<Inner<K, W, A>>,
    closed: bool,
}

impl<K: Ord, W, A> Lane<K, W, A> {
    async fn run(mut self) {
        while let Some(group) = self.of.next() {
            self.of.write(group).await;
        }
        self.closed = true;
    }
}

impl<K: Ord, W, A> Drop for Lane<K, W, A> {
    /// The runtime ended under the lane: who waits for it must not wait for ever.
    fn drop(&mut self) {
        if self.closed {
            return;
        }
        let mut queue = self.of.queue();
        queue.open -= 1;
        if queue.open == 0 {
            queue.waiting.clear();
        }
    }
}

/// One row of a document that a statement reads.
pub fn row<T: Serialize>(row: &T) -> Result<String, StoreError> {
    let mut text = Vec::with_capacity(ROOM);
    serde_json::to_writer(&mut text, row).map_err(|error| StoreError::Unreadable(error.to_string()))?;
    String::from_utf8(text).map_err(|error| StoreError::Unreadable(error.to_string()))
}

/// The document of these rows.
pub fn document(rows: &[String]) -> String {
    let mut document = String::with_capacity(1 + rows.iter().map(|row| row.len() + 1).sum::<usize>());
    document.push('[');
    for (index, row) in rows.iter().enumerate() {
        document.push_str(if index > 0 { "," } else { "" });
        document.push_str(row);
    }
    document.push(']');
    document
}

impl<K, W, A> Clone for Group<K, W, A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, W, A> std::fmt::Debug for Group<K, W, A> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Group")
    }
}

#[cfg(test)]
mod tests;
