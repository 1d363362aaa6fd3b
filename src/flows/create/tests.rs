//! A model of idempotent creation: many callers, answers that get lost, repetitions in other words and with other content.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use super::*;

/// One of two trade ids, and what is asked under it; `spelling` changes the words and not the content.
type Asked = (usize, Content, usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Content {
    kind: Kind,
    amount: u32,
    coin: &'static str,
    note: Option<&'static str>,
    user: &'static str,
    lives: Option<u64>,
}

#[derive(Clone, Debug)]
enum Happens {
    /// Somebody asks; whether the answer comes back.
    Asks(Asked, bool),
    /// The nth of those whose answer was lost asks again.
    AsksAgain(usize),
}

/// What must come of it: the first content under a trade id is the order's.
#[derive(Clone, Debug, Default)]
struct Merchant {
    first: BTreeMap<usize, Content>,
    lost: Vec<Asked>,
}

impl ReferenceStateMachine for Merchant {
    type State = Self;
    type Transition = Happens;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Happens> {
        let content = (
            select(vec![Kind::Payout, Kind::Transfer]),
            1..3_u32,
            select(vec!["usdt", "ETH"]),
            select(vec![None, Some("x")]),
            select(vec!["42", "43"]),
            select(vec![None, Some(60), Some(61)]),
        );
        let content = content.prop_map(|(kind, amount, coin, note, user, lives)| Content { kind, amount, coin, note, user, lives });
        prop_oneof![
            3 => ((0..2_usize, content, 0..3_usize), any::<bool>()).prop_map(|(asked, heard)| Happens::Asks(asked, heard)),
            2 => (0..4_usize).prop_map(Happens::AsksAgain),
        ]
        .boxed()
    }

    fn apply(mut merchant: Self, happens: &Happens) -> Self {
        if let Happens::Asks(asked, heard) = happens {
            merchant.first.entry(asked.0).or_insert(asked.1);
            if !heard {
                merchant.lost.push(*asked);
            }
        }
        merchant
    }
}

fn wish((id, content, spelling): Asked) -> Wish {
    let amount = ["", ".0", ".00"].map(|end| format!("{}{end}", content.amount));
    Wish {
        kind: content.kind,
        trade_id: TradeId::parse(&format!("trade-{id}")).unwrap(),
        provider: Provider::Fomo,
        coin: content.coin.to_owned(),
        amount: Amount::parse(&amount[spelling]).unwrap(),
        customer: None,
        destination: Some(Destination::FomoUser { user_id: content.user.to_owned() }),
        expires_in: content.lives.map(Duration::from_secs),
        return_url: None,
        metadata: content.note.map(|note| json!({ "note": note })),
    }
}

/// The table, as the statement that creates leaves it: who comes second writes nothing.
#[derive(Debug, Default)]
struct Orders(BTreeMap<String, [u8; 32]>);

/// What a caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Created,
    Replayed,
    Conflict,
}

impl Orders {
    fn ask(&mut self, asked: Asked) -> Told {
        let wish = wish(asked);
        let print = fingerprint(&wish);
        match self.0.get(wish.trade_id.as_str()) {
            None => {
                self.0.insert(wish.trade_id.to_string(), print);
                Told::Created
            }
            Some(earlier) if *earlier == print => Told::Replayed,
            Some(_) => Told::Conflict,
        }
    }
}

struct Creation;

impl StateMachineTest for Creation {
    type SystemUnderTest = Orders;
    type Reference = Merchant;

    fn init_test(_: &Merchant) -> Orders {
        Orders::default()
    }

    fn apply(mut orders: Orders, merchant: &Merchant, happens: Happens) -> Orders {
        let asked = match happens {
            Happens::Asks(asked, _) => Some(asked),
            Happens::AsksAgain(nth) => merchant.lost.get(nth).copied(),
        };
        let Some(asked) = asked else { return orders };
        let known = orders.0.contains_key(&format!("trade-{}", asked.0));
        let told = orders.ask(asked);
        let same = merchant.first[&asked.0] == asked.1;
        let must = match (known, same) {
            (false, _) => Told::Created,
            (true, true) => Told::Replayed,
            (true, false) => Told::Conflict,
        };
        assert_eq!(told, must, "{asked:?}");
        // Whoever repeats it at once, in whatever words, is told of the same order or of the same conflict.
        for spelling in 0..3 {
            let again = orders.ask((asked.0, asked.1, spelling));
            assert_eq!(again == Told::Conflict, must == Told::Conflict, "{asked:?} spelt {spelling}");
        }
        orders
    }

    fn check_invariants(orders: &Orders, merchant: &Merchant) {
        assert_eq!(orders.0.len(), merchant.first.len(), "one trade id is one order");
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
    #[test]
    fn one_trade_id_is_one_order_whoever_asks_and_however_often(sequential 1..20 => Creation);
}
