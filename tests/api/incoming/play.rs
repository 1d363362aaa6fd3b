//! Chance plays: the provider, the merchant, the customers, the workers and the time, in any order; in the end everything is found.

use std::time::Duration;

use serde_json::{Value, json};
use tillgate::http::auth::TrustedProxies;
use tillgate::sandbox::{Fault, HicoinTo, Times};

use super::{ADA, much, start};
use crate::harness::{TestApp, check_law};

/// A small generator of numbers: the same seed plays the same play.
struct Chance(u64);

impl Chance {
    /// Below `most`.
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % most as u64).expect("a small number")
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }
}

/// Two gateways on one database, and what happens around them.
struct Play<'a> {
    chance: Chance,
    app: &'a TestApp,
    replica: TestApp,
    /// Hicoin's numbers that are not confirmed yet, those that no list shows, and those that are done.
    open: Vec<u64>,
    hidden: Vec<u64>,
    done: Vec<u64>,
    orders: Vec<String>,
    log: Vec<String>,
}

impl Play<'_> {
    fn either(&mut self) -> &TestApp {
        if self.chance.below(2) == 0 { self.app } else { &self.replica }
    }

    fn take(&mut self, from: fn(&mut Self) -> &mut Vec<u64>) -> Option<u64> {
        let length = from(self).len();
        if length == 0 {
            return None;
        }
        let at = self.chance.below(length);
        Some(from(self).swap_remove(at))
    }

    async fn step(&mut self) {
        let which = self.chance.below(24);
        self.log.push(format!("{which}"));
        match which {
            0..=3 => self.deposit(),
            4 => {
                self.app.sandbox.hicoin_skip_deposit_ids(None, 1 + self.chance.below(3) as u64).expect("a gap");
            }
            5 | 6 => {
                if let Some(number) = self.take(|play| &mut play.hidden) {
                    self.app.sandbox.hicoin_show(None, number).expect("a deposit");
                    self.open.push(number);
                }
            }
            7..=9 => {
                if let Some(number) = self.take(|play| &mut play.open) {
                    self.app.sandbox.hicoin_finish(None, number).expect("a deposit");
                    self.done.push(number);
                }
            }
            10 => {
                if let Some(number) = self.take(|play| &mut play.open) {
                    self.app.sandbox.hicoin_abnormal(None, number).expect("a deposit");
                }
            }
            11 => {
                if let Some(number) = self.take(|play| &mut play.done) {
                    self.app.sandbox.hicoin_abnormal(None, number).expect("a deposit");
                }
            }
            12..=14 => self.order().await,
            15 => {
                if !self.orders.is_empty() {
                    let path = format!("/v1/deposits/{}/cancel", self.chance.of(&self.orders.clone()));
                    self.either().post(&path, &json!({})).await;
                }
            }
            16 => {
                let seconds = self.chance.of(&[3, 30, 300, 1200]);
                self.app.advance(Duration::from_secs(seconds));
            }
            17 | 18 => {
                self.app.advance(Duration::from_secs(10));
                self.either().read_feeds().await;
            }
            19 | 20 => self.both_read().await,
            21 => {
                let operation = self.chance.of(&["syncDepositList", "depositList"]);
                let fault =
                    self.chance.of(&[Fault::LoseBefore, Fault::Error500Before, Fault::TruncatedAfter, Fault::Omit, Fault::Code(100_001)]);
                self.app.sandbox.inject(operation, None, fault, Times::Count(1));
            }
            22 => self.app.settle_down().await,
            _ => {
                let fresh = self.app.replica(TrustedProxies::default());
                std::mem::replace(&mut self.replica, fresh).stop().await;
            }
        }
    }

    /// Ada, Bob or somebody whom we do not know pays.
    fn deposit(&mut self) {
        let to = HicoinTo::Uid(self.chance.of(&[ADA, ADA, ADA + 1, 77]));
        let amount = much(self.chance.of(&["1", "2", "3"]));
        let sandbox = &self.app.sandbox;
        if self.chance.below(3) == 0 {
            self.hidden.push(sandbox.hicoin_hidden_deposit(None, &to, "ETH", amount).expect("a deposit"));
        } else {
            self.open.push(sandbox.hicoin_deposit(None, &to, "ETH", amount).expect("a deposit"));
        }
    }

    async fn order(&mut self) {
        let trade_id = format!("d-{}", self.orders.len());
        let (customer, amount) = (self.chance.of(&["ada", "bob"]), self.chance.of(&["1", "2", "3", "4"]));
        let wish = json!({ "trade_id": trade_id, "provider": "hicoin", "coin": "ETH", "amount": amount, "customer": customer });
        let made = self.either().post("/v1/deposits", &wish).await;
        assert_eq!(made.status, 201, "{}", made.body);
        self.orders.push(trade_id);
    }

    /// Both gateways read the feed at the same moment. Where a fault strikes, one of them may say that it could not.
    async fn both_read(&mut self) {
        let Some(trade_id) = self.orders.last().cloned() else { return };
        let (path, body) = (format!("/v1/deposits/{trade_id}/refresh"), json!({}));
        let calls_off = self.orders.get(self.orders.len().saturating_sub(3)).filter(|_| self.chance.below(3) == 0);
        let canceled = async {
            if let Some(trade_id) = calls_off {
                self.replica.post(&format!("/v1/deposits/{trade_id}/cancel"), &body).await;
            }
        };
        let (one, two, ()) = tokio::join!(self.app.post(&path, &body), self.replica.post(&path, &body), canceled);
        assert!([one.status, two.status].iter().all(|status| [200, 503].contains(status)), "{} {}", one.body, two.body);
    }

    /// Everything is shown and comes to an end, time passes, and the feed is read.
    async fn end(&mut self) {
        // Shown where the test fails.
        println!("{}", self.log.join(" "));
        check_law(self.app).await;
        for number in std::mem::take(&mut self.hidden) {
            self.app.sandbox.hicoin_show(None, number).expect("a deposit");
            self.open.push(number);
        }
        for number in std::mem::take(&mut self.open) {
            self.app.sandbox.hicoin_finish(None, number).expect("a deposit");
            self.done.push(number);
        }
        self.app.sandbox.clear_faults();
        self.app.advance(Duration::from_secs(3601));
        // By one of the two, by any means.
        if self.chance.below(4) == 0 {
            self.either().settle_down().await;
        } else {
            assert_eq!(self.either().read_feeds().await, 1);
        }
        // What is undone later than this is undone within the stretch that is read again.
        self.done = self.done.split_off(self.done.len().saturating_sub(50));
        self.app.everything_is_found().await;
    }
}

async fn play(account: &Value, seed: u64, plays: usize) {
    let app = start(account).await;
    let replica = app.replica(TrustedProxies::default());
    let (open, hidden, done, orders, log) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut play = Play { chance: Chance(seed), app: &app, replica, open, hidden, done, orders, log };
    for _ in 0..plays {
        play.log.clear();
        for _ in 0..12 {
            play.step().await;
        }
        play.end().await;
    }
    play.replica.stop().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_everything_is_found_and_counted_once() {
    play(&json!({}), 1, 50).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_everything_is_found_and_counted_once_where_persons_decide() {
    play(&json!({ "under": "review", "over": "review", "late": "review" }), 2, 25).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_everything_is_found_and_counted_once_where_money_makes_orders() {
    play(&json!({ "under": "accept", "top_ups": true, "tolerance_percent": "40" }), 3, 25).await;
}
