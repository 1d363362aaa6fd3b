use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, yield_now};

use super::*;

/// A refusal as the database words it.
#[derive(Debug, thiserror::Error)]
#[error("no")]
struct No(&'static str);

impl sqlx::error::DatabaseError for No {
    fn message(&self) -> &str {
        "no"
    }
    fn code(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(self.0))
    }
    fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        self
    }
    fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
        self
    }
    fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
        self
    }
    fn kind(&self) -> sqlx::error::ErrorKind {
        sqlx::error::ErrorKind::Other
    }
}

/// What a write does to the statement that carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Good,
    /// A constraint refuses it.
    Bad,
    /// It is a deadlock's victim, but for when it is alone.
    Victim,
    /// The connection is lost.
    Lost,
    /// Our own code is wrong.
    Panics,
}

type Write = (u32, u32, Fate);

/// A database that counts: each write is its key, its number and its fate; the answer is its number.
struct Server {
    /// What was committed, statement by statement: keys and numbers.
    committed: Mutex<Vec<Vec<Write>>>,
    /// Statements under way, and the most that were.
    under_way: AtomicUsize,
    peak: AtomicUsize,
    /// A statement waits for a permit and consumes it.
    permits: Semaphore,
}

impl Server {
    fn new(permits: usize) -> Arc<Self> {
        Arc::new(Self {
            committed: Mutex::default(),
            under_way: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            permits: Semaphore::new(permits),
        })
    }

    fn group(self: &Arc<Self>, patience: Duration) -> Group<u32, Write, u32> {
        let server = self.clone();
        Group::new(patience, move |writes: &[Write]| {
            let (server, writes) = (server.clone(), writes.to_vec());
            Box::pin(async move { server.run(writes).await })
        })
    }

    async fn run(&self, writes: Vec<Write>) -> Result<Vec<u32>, StoreError> {
        let under_way = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.peak.fetch_max(under_way, Ordering::SeqCst);
        self.permits.acquire().await.expect("it stays open").forget();
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        let any = |fate| writes.iter().any(|(_, _, own)| *own == fate);
        if any(Fate::Panics) {
            panic!("a bug");
        }
        if any(Fate::Lost) {
            return Err(StoreError::Unavailable(sqlx::Error::Io(std::io::Error::other("gone"))));
        }
        if any(Fate::Victim) && writes.len() > 1 {
            return Err(sqlx::Error::Database(Box::new(No("40P01"))).into());
        }
        if any(Fate::Bad) {
            return Err(sqlx::Error::Database(Box::new(No("23514"))).into());
        }
        let answers = writes.iter().map(|(_, number, _)| *number).collect();
        self.committed.lock().expect("a log").push(writes);
        Ok(answers)
    }

    /// The numbers of each statement, but for those that filled the lanes.
    fn statements(&self) -> Vec<Vec<u32>> {
        let committed = self.committed.lock().expect("a log");
        let numbers = committed.iter().map(|writes| writes.iter().map(|(_, number, _)| *number).collect::<Vec<_>>());
        numbers.filter(|numbers| numbers[0] < 1000).collect()
    }

    fn has_committed(&self, number: u32) -> usize {
        self.committed.lock().expect("a log").iter().flatten().filter(|(_, own, _)| *own == number).count()
    }
}

const LONG: Duration = Duration::from_secs(60);

type Heard = JoinHandle<Result<u32, StoreError>>;

/// Puts a write and lets it come as far as it can.
async fn put(group: &Group<u32, Write, u32>, write: Write) -> Heard {
    let group = group.clone();
    let task = tokio::spawn(async move { group.put(write.0, write).await });
    for _ in 0..3 {
        yield_now().await;
    }
    task
}

/// Fills both lanes, so that what comes now waits.
async fn fill(group: &Group<u32, Write, u32>) -> Vec<Heard> {
    let mut lanes = Vec::new();
    for number in 1000..1000 + u32::try_from(LANES).expect("few") {
        lanes.push(put(group, (number, number, Fate::Good)).await);
    }
    lanes
}

async fn good(heard: Heard) -> u32 {
    heard.await.expect("no panic").expect("written")
}

#[tokio::test]
async fn a_write_goes_at_once_and_alone() {
    let server = Server::new(9);
    let group = server.group(LONG);
    for number in 0..3 {
        assert_eq!(group.put(7, (7, number, Fate::Good)).await.expect("written"), number);
    }
    assert_eq!(server.statements(), [[0], [1], [2]]);
}

#[tokio::test]
async fn what_comes_while_the_lanes_are_full_goes_together() {
    let server = Server::new(0);
    let group = server.group(LONG);
    let mut all = fill(&group).await;
    for number in 0..100 {
        all.push(put(&group, (number, number, Fate::Good)).await);
    }
    server.permits.add_permits(99);
    for heard in all {
        good(heard).await;
    }
    group.finish().await;
    let sizes: Vec<usize> = server.statements().iter().map(Vec::len).collect();
    assert_eq!(sizes, [MOST, 100 - MOST]);
    assert_eq!(server.peak.load(Ordering::SeqCst), LANES);
}

#[tokio::test]
async fn writes_to_the_same_thing_go_one_after_the_other() {
    let server = Server::new(0);
    let group = server.group(LONG);
    let mut all = fill(&group).await;
    for (key, number) in [(1, 10), (1, 11), (2, 20), (1, 12)] {
        all.push(put(&group, (key, number, Fate::Good)).await);
    }
    server.permits.add_permits(99);
    for heard in all {
        good(heard).await;
    }
    assert_eq!(server.statements(), [vec![10, 20], vec![11], vec![12]]);
}

#[tokio::test]
async fn a_bad_write_fails_alone() {
    let server = Server::new(0);
    let group = server.group(LONG);
    fill(&group).await;
    let one = put(&group, (1, 1, Fate::Good)).await;
    let bad = put(&group, (2, 2, Fate::Bad)).await;
    let other = put(&group, (3, 3, Fate::Good)).await;
    server.permits.add_permits(99);
    assert_eq!((good(one).await, good(other).await), (1, 3));
    assert!(matches!(bad.await.expect("no panic"), Err(StoreError::Refused(sqlx::Error::Database(_)))));
    assert_eq!(server.statements(), [[1], [3]]);
}

#[tokio::test]
async fn a_victim_of_a_deadlock_is_repeated() {
    let server = Server::new(0);
    let group = server.group(LONG);
    fill(&group).await;
    let (one, victim) = (put(&group, (1, 1, Fate::Good)).await, put(&group, (2, 2, Fate::Victim)).await);
    server.permits.add_permits(99);
    assert_eq!((good(one).await, good(victim).await), (1, 2));
}

#[tokio::test]
async fn nothing_is_repeated_whose_fate_is_not_known() {
    for fate in [Fate::Lost, Fate::Panics] {
        let server = Server::new(0);
        let group = server.group(LONG);
        fill(&group).await;
        let (one, lost) = (put(&group, (1, 1, Fate::Good)).await, put(&group, (2, 2, fate)).await);
        server.permits.add_permits(99);
        for heard in [one, lost] {
            assert!(matches!(heard.await.expect("no panic"), Err(StoreError::Unavailable(_))));
        }
        assert!(server.statements().is_empty());
        assert_eq!(group.put(5, (5, 5, Fate::Good)).await.expect("it goes on"), 5);
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_stops_nobody() {
    let server = Server::new(0);
    let group = server.group(LONG);
    let lanes = fill(&group).await;
    let gone = put(&group, (1, 1, Fate::Good)).await;
    let stays = put(&group, (2, 2, Fate::Good)).await;
    gone.abort();
    lanes.iter().for_each(JoinHandle::abort);
    yield_now().await;
    server.permits.add_permits(99);
    assert_eq!(good(stays).await, 2);
    group.finish().await;
    assert_eq!(server.statements(), [[1, 2]]);
}

#[tokio::test]
async fn one_that_waits_too_long_for_its_turn_is_not_written() {
    let server = Server::new(0);
    let group = server.group(Duration::from_millis(20));
    let lanes = fill(&group).await;
    let late = put(&group, (1, 1, Fate::Good)).await;
    assert!(matches!(late.await.expect("no panic"), Err(StoreError::Unavailable(sqlx::Error::PoolTimedOut))));
    server.permits.add_permits(99);
    // Those whose statement is under way wait for it, however long.
    for heard in lanes {
        good(heard).await;
    }
    assert_eq!(server.has_committed(1), 0);
}

#[test]
fn a_runtime_that_ends_leaves_nobody_waiting() {
    let server = Server::new(0);
    let group = server.group(LONG);
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (first, second) = (runtime(), runtime());
    first.block_on(fill(&group));
    let waits = second.block_on(put(&group, (1, 1, Fate::Good)));
    drop(first);
    assert!(matches!(second.block_on(waits).expect("no panic"), Err(StoreError::Unavailable(_))));
    server.permits.add_permits(9);
    assert_eq!(second.block_on(group.put(2, (2, 2, Fate::Good))).expect("a lane opens again"), 2);
}

fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![20 => Just(Fate::Good), 2 => Just(Fate::Bad), 1 => Just(Fate::Victim), 1 => Just(Fate::Lost), 1 => Just(Fate::Panics)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    /// Whatever comes when: each caller hears its own answer, what it hears is so, and nothing is written twice.
    #[test]
    fn every_caller_hears_what_became_of_its_write(
        callers in prop::collection::vec((0u32..12, fates(), 0usize..4, prop::bool::weighted(0.1)), 1..150),
        permits in prop::collection::vec(0usize..3, 150),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let server = Server::new(0);
            let group = server.group(LONG);
            let mut all = Vec::new();
            for (number, ((key, fate, pause, leaves), permits)) in callers.iter().zip(permits).enumerate() {
                let number = u32::try_from(number).expect("few");
                let (server_too, group, write) = (server.clone(), group.clone(), (*key, number, *fate));
                let heard = tokio::spawn(async move {
                    let heard = group.put(write.0, write).await;
                    (heard, server_too.has_committed(number))
                });
                for _ in 0..*pause {
                    yield_now().await;
                }
                if *leaves {
                    heard.abort();
                }
                server.permits.add_permits(permits);
                all.push((number, *fate, heard));
            }
            server.permits.add_permits(1000);
            let troubled = callers.iter().any(|(_, fate, _, _)| matches!(fate, Fate::Lost | Fate::Panics));
            for (number, fate, heard) in all {
                let Ok((heard, committed)) = heard.await else { continue };
                match (fate, heard) {
                    (Fate::Good | Fate::Victim, Ok(answer)) => assert_eq!((answer, committed), (number, 1)),
                    (Fate::Bad, Err(StoreError::Refused(_))) => assert_eq!(committed, 0),
                    (_, Err(StoreError::Unavailable(_))) => assert!(troubled && committed == 0),
                    other => panic!("{number}: {other:?}"),
                }
            }
            group.finish().await;
            let committed = server.committed.lock().expect("a log");
            for statement in committed.iter() {
                let keys: std::collections::BTreeSet<u32> = statement.iter().map(|(key, _, _)| *key).collect();
                assert!(keys.len() == statement.len() && keys.len() <= MOST, "{statement:?}");
            }
            assert!(server.peak.load(Ordering::SeqCst) <= LANES);
        });
    }
}
