//! A list of incoming money that shows its numbers late, out of order and with holes, read by readers that die at any page.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use crate::domain::feed::Reading;

/// The wallet's side: which numbers there are, and which of them it shows.
#[derive(Clone, Debug, Default)]
struct List {
    last: i64,
    ours: BTreeSet<i64>,
    shown: BTreeSet<i64>,
}

impl List {
    fn after(&self, number: i64, size: usize) -> Vec<i64> {
        self.shown.range(number + 1..).take(size).copied().collect()
    }
}

#[derive(Clone, Debug)]
enum Happens {
    /// Money comes in: shown at once, or later. Between it and the last one, so many numbers are other merchants'.
    Comes { others: i64, shown: bool },
    /// What was not shown is shown: the nth of them.
    Shows(usize),
    /// Somebody reads, in pages of this size, and dies after so many.
    Reads { size: usize, pages: usize },
    /// Somebody asks for what is followed.
    AsksAgain,
}

impl ReferenceStateMachine for List {
    type State = Self;
    type Transition = Happens;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Happens> {
        prop_oneof![
            4 => (prop_oneof![Just(0_i64), 0..4_i64, 180..230_i64], any::<bool>()).prop_map(|(others, shown)| Happens::Comes { others, shown }),
            2 => (0..8_usize).prop_map(Happens::Shows),
            3 => (1..4_usize, 0..6_usize).prop_map(|(size, pages)| Happens::Reads { size, pages }),
            1 => Just(Happens::AsksAgain),
        ]
        .boxed()
    }

    fn apply(mut list: Self, happens: &Happens) -> Self {
        match happens {
            Happens::Comes { others, shown } => {
                // A gap of more than `GAP` numbers is taken for other merchants': what is hidden behind one is for notices and
                // reconciliation to find, and no part of this model.
                list.last += if list.last > 700 { 1 } else { others + 1 };
                list.ours.insert(list.last);
                if *shown {
                    list.shown.insert(list.last);
                }
            }
            Happens::Shows(nth) => {
                let hidden: Vec<i64> = list.ours.difference(&list.shown).copied().collect();
                list.shown.extend(hidden.get(*nth));
            }
            Happens::Reads { .. } | Happens::AsksAgain => {}
        }
        list
    }
}

/// Our side: what is stored, in the same statement in which the cursor moves.
#[derive(Debug, Default)]
struct Reader {
    cursor: i64,
    stored: BTreeSet<i64>,
    followed: BTreeSet<i64>,
    /// The last reading came to the end of the list, and nothing has happened since.
    complete: bool,
}

impl Reader {
    fn read(&mut self, list: &List, size: usize, pages: usize) {
        let mut reading = Reading::from(self.cursor);
        for _ in 0..pages {
            let shown = list.after(reading.after, size);
            if shown.is_empty() {
                self.complete = true;
                return;
            }
            let page = reading.take(&shown).expect("the list goes on");
            assert!(page.cursor >= self.cursor, "the cursor goes back");
            self.cursor = page.cursor;
            self.keep(&shown);
            self.followed.extend(page.missing.iter().filter(|number| !self.stored.contains(*number)));
        }
    }

    fn keep(&mut self, numbers: &[i64]) {
        for number in numbers {
            self.stored.insert(*number);
            self.followed.remove(number);
        }
    }

    fn ask_again(&mut self, list: &List) {
        let found: Vec<i64> = self.followed.intersection(&list.shown).copied().collect();
        self.keep(&found);
    }
}

struct Feeds;

impl StateMachineTest for Feeds {
    type SystemUnderTest = Reader;
    type Reference = List;

    fn init_test(_: &List) -> Reader {
        Reader::default()
    }

    fn apply(mut reader: Reader, list: &List, happens: Happens) -> Reader {
        reader.complete = false;
        match happens {
            Happens::Reads { size, pages } => reader.read(list, size, pages),
            Happens::AsksAgain => reader.ask_again(list),
            Happens::Comes { .. } | Happens::Shows(_) => {}
        }
        reader
    }

    fn check_invariants(reader: &Reader, list: &List) {
        for number in &list.ours {
            let known = reader.stored.contains(number) || reader.followed.contains(number);
            assert!(known || *number > reader.cursor, "{number} was passed by, and nobody asks for it: {reader:?}");
            let visible = list.shown.contains(number) && !reader.followed.contains(number);
            assert!(!reader.complete || !visible || known, "{number} was shown, and the reading that came to the end has not seen it");
        }
        assert!(reader.stored.is_subset(&list.shown), "a number was stored that was never shown");
        // Whatever is shown in the end is found: nothing has to be remembered but what is stored.
        let mut heir = Reader {
            stored: reader.stored.clone(),
            followed: reader.followed.clone(),
            ..Reader { cursor: reader.cursor, ..Reader::default() }
        };
        let all = List { shown: list.ours.clone(), ..list.clone() };
        heir.ask_again(&all);
        heir.read(&all, 3, usize::MAX);
        assert_eq!(heir.stored, list.ours, "what was shown in the end was not found");
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
    #[test]
    fn a_list_that_shows_its_numbers_late_is_read_whole(sequential 1..30 => Feeds);
}
