//! The steps of several orders on their way to one endpoint that answers as it likes: each is tried by the schedule and no
//! sooner, and an order's steps come in their order.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::delivery::{Answer, Verdict, judge, seed};

const SCHEDULE: [Duration; 3] = [Duration::from_secs(5), Duration::from_mins(1), Duration::from_mins(5)];

#[derive(Clone, Debug)]
enum Happens {
    /// The nth order makes a step.
    Steps(usize),
    /// A worker sends what is due; the endpoint answers with this.
    Sends(Option<(u16, Option<u64>)>),
    Waits(u64),
}

/// How many steps each order has made.
#[derive(Clone, Debug, Default)]
struct Orders(BTreeMap<usize, i64>);

impl ReferenceStateMachine for Orders {
    type State = Self;
    type Transition = Happens;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Happens> {
        let answer =
            select(vec![None, Some((200, None)), Some((500, None)), Some((429, Some(90))), Some((503, Some(999_999))), Some((404, None))]);
        prop_oneof![
            3 => (0..3_usize).prop_map(Happens::Steps),
            5 => answer.prop_map(Happens::Sends),
            3 => select(vec![1_u64, 6, 70, 400, 4000]).prop_map(Happens::Waits),
        ]
        .boxed()
    }

    fn apply(mut orders: Self, happens: &Happens) -> Self {
        if let Happens::Steps(order) = happens {
            *orders.0.entry(*order).or_default() += 1;
        }
        orders
    }
}

/// One place of the queue.
#[derive(Clone, Debug)]
struct Queued {
    id: Uuid,
    due_at: OffsetDateTime,
    tries: i32,
}

#[derive(Debug)]
struct Queue {
    now: OffsetDateTime,
    /// The endpoint asked to be left alone until then.
    hold: Option<OffsetDateTime>,
    waits: BTreeMap<(usize, i64), Queued>,
    taken: Vec<(usize, i64)>,
    exhausted: Vec<(usize, i64)>,
    /// When each was tried.
    tried: BTreeMap<(usize, i64), Vec<OffsetDateTime>>,
}

impl Queue {
    /// Of each order the lowest place, as the queue's statement has it; of those the one that is due longest.
    fn next(&self) -> Option<(usize, i64)> {
        if self.hold.is_some_and(|hold| hold > self.now) {
            return None;
        }
        let first = |place: &&(usize, i64)| !self.waits.keys().any(|other| other.0 == place.0 && other.1 < place.1);
        let due = self.waits.keys().filter(first).filter(|place| self.waits[*place].due_at <= self.now);
        due.min_by_key(|place| (self.waits[*place].due_at, **place)).copied()
    }

    fn send(&mut self, answer: Option<(u16, Option<u64>)>) {
        let Some(place) = self.next() else { return };
        let queued = self.waits[&place].clone();
        self.tried.entry(place).or_default().push(self.now);
        let answer = answer.map_or(Answer::None, |(status, wait)| Answer::Status(status, wait.map(Duration::from_secs)));
        match judge(answer, queued.tries, &SCHEDULE, seed(queued.id, queued.tries), self.now) {
            Verdict::Delivered => {
                self.waits.remove(&place);
                self.taken.push(place);
            }
            Verdict::Again(due_at, hold) => {
                assert!(due_at > self.now, "it is sent again at once");
                self.hold = hold.or(self.hold);
                self.waits.insert(place, Queued { due_at, tries: queued.tries + 1, ..queued });
            }
            Verdict::Exhausted => {
                self.waits.remove(&place);
                self.exhausted.push(place);
            }
            Verdict::Gone => unreachable!("nobody answers 410 here"),
        }
    }
}

struct Webhooks;

impl StateMachineTest for Webhooks {
    type SystemUnderTest = Queue;
    type Reference = Orders;

    fn init_test(_: &Orders) -> Queue {
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        Queue { now, hold: None, waits: BTreeMap::new(), taken: Vec::new(), exhausted: Vec::new(), tried: BTreeMap::new() }
    }

    fn apply(mut queue: Queue, orders: &Orders, happens: Happens) -> Queue {
        match happens {
            Happens::Steps(order) => {
                let place = (order, orders.0[&order]);
                let id = Uuid::from_u128(place.0 as u128 * 1000 + place.1.unsigned_abs() as u128);
                queue.waits.insert(place, Queued { id, due_at: queue.now, tries: 0 });
            }
            Happens::Sends(answer) => queue.send(answer),
            Happens::Waits(seconds) => queue.now += Duration::from_secs(seconds),
        }
        queue
    }

    fn check_invariants(queue: &Queue, orders: &Orders) {
        let mut last: BTreeMap<usize, i64> = BTreeMap::new();
        for (order, step) in &queue.taken {
            let before = last.insert(*order, *step).unwrap_or(0);
            assert!(before < *step, "order {order}: step {step} was taken after {before}");
            let skipped = (before + 1..*step).find(|skipped| !queue.exhausted.contains(&(*order, *skipped)));
            assert_eq!(skipped, None, "order {order}: step {step} was taken before one that is still to come");
        }
        for (place, times) in &queue.tried {
            assert!(times.len() <= SCHEDULE.len() + 1, "{place:?} was tried {} times", times.len());
            for (pair, gap) in times.windows(2).zip(SCHEDULE) {
                assert!(pair[1] - pair[0] >= gap, "{place:?} was tried again sooner than the schedule says");
            }
        }
        for (order, steps) in &orders.0 {
            for step in 1..=*steps {
                let place = (*order, step);
                let there = [queue.waits.contains_key(&place), queue.taken.contains(&place), queue.exhausted.contains(&place)];
                assert_eq!(there.into_iter().filter(|is| *is).count(), 1, "{place:?} is lost, or told twice");
            }
        }
        // No wait that the endpoint asks for is longer than an hour.
        assert!(queue.hold.is_none_or(|hold| hold <= queue.now + Duration::from_hours(1)));
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
    #[test]
    fn an_endpoint_hears_each_step_in_its_order_by_the_schedule(sequential 1..60 => Webhooks);
}
