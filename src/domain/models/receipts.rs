//! Several deposits of one customer, and money that comes in for them in parts: each movement finds one home, counts there once,
//! and nothing is lost between them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use uuid::Uuid;

use crate::domain::account::Policy;
use crate::domain::agenda::Timing;
use crate::domain::hearing::tests::deposit;
use crate::domain::hearing::{Rules, hear};
use crate::domain::ids::{OrderId, ReceiptId};
use crate::domain::money::Amount;
use crate::domain::order::{Order, Provider};
use crate::domain::receipt::{Progress, Receipt, Takings, home};
use crate::domain::report::{Channel, Report, Says};
use crate::domain::status::{Deposit, State};

/// The chain's side: what came in, and how it stands.
#[derive(Clone, Debug, Default)]
struct Chain {
    moved: BTreeMap<u128, (u64, Option<Progress>)>,
}

#[derive(Clone, Debug)]
enum Happens {
    /// The customer is asked for so much.
    Asks(u64),
    /// So much comes in.
    Comes(u64),
    /// The nth movement is confirmed, or found abnormal.
    Turns(usize, Progress),
    /// The nth order's time is up, or over for good.
    TimeUp(usize),
    Closes(usize),
    /// The list tells of the nth movement (again).
    Tells(usize),
}

impl ReferenceStateMachine for Chain {
    type State = Self;
    type Transition = Happens;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Happens> {
        let turn = select(vec![Progress::Confirmed, Progress::Confirmed, Progress::Abnormal, Progress::Pending]);
        prop_oneof![
            3 => (1..5_u64).prop_map(Happens::Asks),
            4 => (1..5_u64).prop_map(Happens::Comes),
            3 => (0..8_usize, turn).prop_map(|(nth, progress)| Happens::Turns(nth, progress)),
            1 => (0..4_usize).prop_map(Happens::TimeUp),
            1 => (0..4_usize).prop_map(Happens::Closes),
            6 => (0..8_usize).prop_map(Happens::Tells),
        ]
        .boxed()
    }

    fn apply(mut chain: Self, happens: &Happens) -> Self {
        match happens {
            Happens::Comes(much) => {
                let number = chain.moved.len() as u128 + 1;
                chain.moved.insert(number, (*much, Some(Progress::Pending)));
            }
            Happens::Turns(nth, progress) => {
                let number = *nth as u128 + 1;
                chain.moved.entry(number).and_modify(|(_, stands)| *stands = Some(*progress));
            }
            Happens::Asks(_) | Happens::TimeUp(_) | Happens::Closes(_) | Happens::Tells(_) => {}
        }
        chain
    }
}

/// Our side.
#[derive(Debug, Default)]
struct House {
    orders: Vec<Order>,
    receipts: BTreeMap<u128, Receipt>,
    nobodys: Vec<u128>,
    homes: BTreeMap<u128, OrderId>,
}

fn amount(much: u64) -> Amount {
    Amount::parse(&much.to_string()).unwrap()
}

impl House {
    fn hear(&mut self, id: OrderId, says: Says, channel: Channel) {
        let (policy, timing) = (Policy::default(), Timing::default());
        let order = self.orders.iter_mut().find(|order| order.id == id).expect("it is there");
        let now = order.final_at.unwrap_or(order.created_at);
        let rules = Rules { policy: &policy, timing: &timing, now };
        let heard = hear(order, &Report { channel, proven: true, says, evidence: None }, rules);
        assert!(heard.received.is_none(), "a list makes no receipt of itself");
        *order = heard.order;
    }

    /// As `attribute` does: a receipt goes where it belongs once, and its order hears what all of its receipts come to.
    fn told(&mut self, number: u128, much: u64, progress: Progress) {
        let known = self.receipts.get(&number).map(|receipt| receipt.order);
        let order = match known {
            Some(order) => order,
            None => home(&self.orders, amount(much)).map(|order| order.id),
        };
        let receipt = Receipt {
            id: ReceiptId(Uuid::from_u128(number)),
            number: number.to_string(),
            order,
            customer: None,
            provider_user: None,
            provider_coin_id: "5".into(),
            amount: amount(much),
            progress,
            address: None,
            txid: None,
            confirmations: None,
        };
        self.receipts.insert(number, receipt);
        let Some(id) = order else {
            if known.is_none() {
                self.nobodys.push(number);
            }
            return;
        };
        assert!(self.homes.insert(number, id).is_none_or(|before| before == id), "receipt {number} has moved");
        let takings = Takings::of(self.receipts.values().filter(|receipt| receipt.order == Some(id)));
        self.hear(id, Says::Receipts(takings), Channel::Feed);
    }

    fn sum(&self, of: Option<OrderId>, counts: impl Fn(Progress) -> bool) -> Amount {
        let own = self.receipts.values().filter(|receipt| receipt.order == of && counts(receipt.progress));
        own.fold(Amount::ZERO, |sum, receipt| sum.plus(receipt.amount).unwrap())
    }
}

struct Receipts;

impl StateMachineTest for Receipts {
    type SystemUnderTest = House;
    type Reference = Chain;

    fn init_test(_: &Chain) -> House {
        House::default()
    }

    fn apply(mut house: House, chain: &Chain, happens: Happens) -> House {
        match happens {
            Happens::Asks(much) => {
                let id = OrderId(Uuid::from_u128(house.orders.len() as u128 + 100));
                let order = deposit(State::Deposit(Deposit::AwaitingPayment));
                house.orders.push(Order { id, provider: Provider::Hicoin, amount: amount(much), ..order });
            }
            Happens::TimeUp(nth) | Happens::Closes(nth) => {
                if let Some(id) = house.orders.get(nth).map(|order| order.id) {
                    let says = if matches!(happens, Happens::TimeUp(_)) { Says::TimeUp } else { Says::Close };
                    house.hear(id, says, Channel::Clock);
                }
            }
            Happens::Tells(nth) => {
                if let Some((number, (much, Some(progress)))) = chain.moved.iter().nth(nth) {
                    house.told(*number, *much, *progress);
                }
            }
            Happens::Comes(_) | Happens::Turns(..) => {}
        }
        house
    }

    fn check_invariants(house: &House, chain: &Chain) {
        for order in &house.orders {
            let (seen, confirmed) = (
                house.sum(Some(order.id), |progress| progress != Progress::Abnormal),
                house.sum(Some(order.id), |progress| progress == Progress::Confirmed),
            );
            assert_eq!((order.amount_received, order.amount_confirmed), (seen, confirmed), "{:?}: the amounts are not the sums", order.id);
            let settled = order.is_final || matches!(order.state, State::Deposit(Deposit::RequiresReview(_)));
            assert!(!order.covers(confirmed) || settled, "{:?} is paid, and {:?}", order.id, order.state);
        }
        let credited = house
            .orders
            .iter()
            .fold(house.sum(None, |progress| progress == Progress::Confirmed), |sum, order| sum.plus(order.amount_confirmed).unwrap());
        let told = house.receipts.values().filter(|receipt| receipt.progress == Progress::Confirmed);
        let there = told.fold(Amount::ZERO, |sum, receipt| sum.plus(receipt.amount).unwrap());
        assert_eq!(credited, there, "what came in is credited once");
        for (number, receipt) in &house.receipts {
            assert!(receipt.order.is_some() != house.nobodys.contains(number), "receipt {number} has two homes or none");
            assert_eq!(chain.moved.get(number).map(|(much, _)| amount(*much)), Some(receipt.amount));
        }
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
    #[test]
    fn money_that_comes_in_parts_finds_one_home_and_counts_once(sequential 1..40 => Receipts);
}
