//! Who has how much on its way: what one working of the queue keeps, by endpoint.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::domain::ids::{EndpointId, MerchantId};

/// An endpoint.
pub type Key = (MerchantId, EndpointId);

/// An endpoint whose last tries all succeeded as fast as this is quick: what is kept ahead for it will not wait for long.
const QUICK: Duration = Duration::from_millis(25);
/// One that takes longer is slow. In between nothing changes: we may be slow ourselves.
const SLOW: Duration = Duration::from_millis(250);

/// What is kept of type `T`, by endpoint; endpoints take turns.
#[derive(Debug)]
pub struct Lanes<T> {
    of_one: usize,
    lanes: HashMap<Key, Lane<T>>,
    /// Endpoints for which something can be sent now, each once.
    turns: VecDeque<Key>,
    waiting: usize,
}

#[derive(Debug)]
struct Lane<T> {
    waiting: VecDeque<T>,
    on_their_way: usize,
    /// It stands among the turns.
    in_turn: bool,
    /// Quick successes in a row.
    streak: usize,
    /// Nothing has come to its end since the last look.
    stands_still: bool,
}

impl<T> Lane<T> {
    fn can_send(&self, of_one: usize) -> bool {
        !self.waiting.is_empty() && self.on_their_way < of_one
    }
}

impl<T> Lanes<T> {
    /// Lanes in which at most so many of one endpoint are on their way at once.
    pub fn new(of_one: usize) -> Self {
        Self { of_one, lanes: HashMap::new(), turns: VecDeque::new(), waiting: 0 }
    }

    /// Keeps something until its turn.
    pub fn keep(&mut self, key: Key, one: T) {
        let lane = self.lanes.entry(key).or_insert_with(|| Lane {
            waiting: VecDeque::new(),
            on_their_way: 0,
            in_turn: false,
            streak: 0,
            stands_still: false,
        });
        lane.waiting.push_back(one);
        self.waiting += 1;
        self.line_up(key);
    }

    /// What is sent next.
    pub fn next(&mut self) -> Option<(Key, T)> {
        // What waited for some may have been taken away.
        while let Some(key) = self.turns.pop_front() {
            let Some(lane) = self.lanes.get_mut(&key) else { continue };
            lane.in_turn = false;
            let Some(one) = lane.waiting.pop_front() else { continue };
            lane.on_their_way += 1;
            self.waiting -= 1;
            self.line_up(key);
            return Some((key, one));
        }
        None
    }

    /// Something has come to its end: after so long with success, or without. Gives what waits for the endpoint if it fails or has
    /// become slow: others of it must not be late, or come in spite of that, because they were taken too early.
    pub fn end(&mut self, key: Key, success: Option<Duration>) -> Vec<T> {
        let Some(lane) = self.lanes.get_mut(&key) else { return Vec::new() };
        lane.on_their_way = lane.on_their_way.saturating_sub(1);
        lane.stands_still = false;
        lane.streak = if success.is_some_and(|took| took <= QUICK) { lane.streak + 1 } else { 0 };
        if success.is_none_or(|took| took > SLOW) {
            return self.drain_one(key);
        }
        self.line_up(key);
        Vec::new()
    }

    fn line_up(&mut self, key: Key) {
        let Some(lane) = self.lanes.get_mut(&key) else { return };
        if !lane.in_turn && lane.can_send(self.of_one) {
            lane.in_turn = true;
            self.turns.push_back(key);
        }
    }

    /// Endpoints for which more may be kept ahead.
    pub fn quick(&self) -> Vec<Key> {
        self.lanes.iter().filter(|(_, lane)| lane.streak >= self.of_one).map(|(key, _)| *key).collect()
    }

    /// How much waits.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Takes all that waits.
    pub fn drain(&mut self) -> Vec<T> {
        let keys: Vec<Key> = self.lanes.keys().copied().collect();
        keys.into_iter().flat_map(|key| self.drain_one(key)).collect()
    }

    /// Takes what waits for endpoints that have all that they may on their way, and of which nothing has come to its end since
    /// this was called last.
    pub fn drain_still(&mut self) -> Vec<T> {
        let of_one = self.of_one;
        let is_still = |lane: &mut Lane<T>| std::mem::replace(&mut lane.stands_still, true) && lane.on_their_way >= of_one;
        let keys: Vec<Key> = self.lanes.iter_mut().filter_map(|(key, lane)| is_still(lane).then_some(*key)).collect();
        keys.into_iter().flat_map(|key| self.drain_one(key)).collect()
    }

    /// Takes what waits for one endpoint, which is not quick any more.
    fn drain_one(&mut self, key: Key) -> Vec<T> {
        let Some(lane) = self.lanes.get_mut(&key) else { return Vec::new() };
        lane.streak = 0;
        self.waiting -= lane.waiting.len();
        lane.waiting.drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const FAST: Option<Duration> = Some(Duration::from_millis(1));

    fn key(number: u128) -> Key {
        (MerchantId(Uuid::from_u128(1)), EndpointId(Uuid::from_u128(number)))
    }

    fn all(lanes: &mut Lanes<u32>) -> Vec<u32> {
        std::iter::from_fn(|| lanes.next()).map(|(_, one)| one).collect()
    }

    #[test]
    fn endpoints_take_turns_and_none_has_more_on_its_way_than_it_should() {
        let mut lanes = Lanes::new(2);
        for one in [10, 11, 12, 13] {
            lanes.keep(key(1), one);
        }
        lanes.keep(key(2), 20);
        assert_eq!(all(&mut lanes), [10, 20, 11]);
        assert_eq!(lanes.waiting(), 2);
        lanes.end(key(1), FAST);
        assert_eq!(all(&mut lanes), [12]);
        lanes.end(key(2), FAST);
        assert_eq!(all(&mut lanes), [0; 0]);
    }

    #[test]
    fn an_endpoint_is_quick_after_quick_successes_only() {
        let mut lanes = Lanes::new(2);
        let mut end = |success| {
            lanes.keep(key(1), 0);
            lanes.next();
            lanes.end(key(1), success);
            !lanes.quick().is_empty()
        };
        assert_eq!([end(FAST), end(FAST), end(None), end(FAST)], [false, true, false, false]);
        assert_eq!([end(FAST), end(Some(QUICK * 2)), end(FAST)], [true, false, false]);
    }

    #[test]
    fn what_waits_for_an_endpoint_that_fails_is_slow_or_stands_still_is_let_go() {
        let mut lanes = Lanes::new(2);
        for number in [1, 2, 3] {
            (0..4).for_each(|one| lanes.keep(key(number), one));
        }
        assert_eq!(all(&mut lanes).len(), 6);
        assert_eq!(lanes.end(key(3), FAST), [0; 0]);
        assert_eq!(lanes.end(key(3), Some(SLOW * 2)), [2, 3]);
        assert!(lanes.next().is_none(), "nothing waits that could be sent");
        assert!(lanes.drain_still().is_empty(), "nobody had time yet");
        lanes.end(key(1), FAST);
        assert_eq!(all(&mut lanes), [2]);
        assert_eq!(lanes.drain_still(), [2, 3], "those of the second");
        assert_eq!(lanes.end(key(1), None), [3]);
        lanes.keep(key(1), 9);
        assert_eq!((lanes.waiting(), lanes.drain(), lanes.waiting()), (1, vec![9], 0));
    }
}
