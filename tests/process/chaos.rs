//! A schedule of random moments: two gateways are killed and paused again and again while money goes out on all three ways,
//! comes in and is confirmed, and Hicoin's answers are lost, late or broken. It is the same schedule for the same seed.
//!
//! `TILLGATE_SEEDS=50 cargo test --test process chaos` plays that many, `TILLGATE_SEED=7` this one alone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{FutureExt, LocalBoxFuture, join, join_all};
use rust_decimal::Decimal;
use serde_json::Value;
use tillgate::sandbox::{Fault, HicoinTo, Times};

use crate::hicoin::{ADA_UID, ALL, BOB_UID, STRANGER_UID, Way, deposit_wish};
use crate::house::{At, Gateway, House, Plan, free_port};
use crate::moments::{kill, stop};
use crate::program::{pass, until};
use crate::talk::call;

const PAYOUTS: usize = 21;
/// Ada is asked for ten deposits of different amounts, Bob for one, which he pays in ten parts.
const DEPOSITS: usize = 10;
/// Short times, so that leases end and outcomes are doubted while it lasts.
const SHORT: [(&str, &str); 6] = [
    ("TILLGATE__TIMING__LEASE", "1s"),
    ("TILLGATE__TIMING__PROVIDER_TIMEOUT", "700ms"),
    ("TILLGATE__TIMING__LOOKUP_SCHEDULE", "100ms,300ms"),
    ("TILLGATE__TIMING__POLL_SCHEDULE", "100ms,300ms"),
    ("TILLGATE__TIMING__RESEND_GAP", "150ms"),
    ("TILLGATE__TIMING__FEED_PERIOD", "200ms"),
];

/// What those who act side by side tell each other.
#[derive(Default)]
pub struct Signs {
    /// All was asked for and paid in.
    pub over: AtomicBool,
    /// A request has failed again and again: on a slow machine the gateways get time to answer.
    mercy: AtomicBool,
}

/// Numbers that look random and are the same for the same seed (SplitMix64).
#[derive(Debug)]
pub struct Dice(pub u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From `low`, below `high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.roll() % (high - low)
    }

    pub fn wait(&mut self, most: u64) -> LocalBoxFuture<'static, ()> {
        pass(Duration::from_millis(self.between(0, most))).boxed_local()
    }

    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[usize::try_from(self.between(0, all.len() as u64)).expect("an index")]
    }

    /// Dice of their own, for somebody who acts beside the others.
    pub fn split(&mut self) -> Self {
        Self(self.roll())
    }
}

/// The seeds that are asked for; one, if none is.
pub fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    number("TILLGATE_SEED").map_or(1..1 + number("TILLGATE_SEEDS").unwrap_or(1), |seed| seed..seed + 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_paused_at_random_moments_everything_ends_well() {
    for seed in seeds() {
        let plays = [false, true].map(|refuses_duplicates| {
            let name = format!("seed {seed}, duplicates refused: {refuses_duplicates}");
            (name, play(seed, refuses_duplicates))
        });
        crate::moments::side_by_side(plays).await;
    }
}

async fn play(seed: u64, refuses_duplicates: bool) {
    let house = House::with(Plan { refuses_duplicates, ..Plan::at(At::Hicoin) }).await;
    let mut dice = Dice(seed);
    let ports = [house.port, free_port()];
    let signs = Signs::default();
    let trouble = join_all(ports.map(|port| fate(&house, port, &SHORT, dice.split(), &signs)));
    let (mut chain, mut backend, mut weather) = (dice.split(), dice.split(), dice.split());
    let work = async {
        let storm = async {
            while !signs.over.load(Ordering::Relaxed) {
                weather.wait(900).await;
                house.sandbox.release();
                let question = *weather.one_of(&["syncDepositList", "depositList", "withdrawList", "systemTransferList", "transferList"]);
                house.sandbox.inject(question, None, fault(&mut weather), Times::Count(1));
            }
        };
        let all = async {
            until("the customers are known", async || house.customers.initialized().then_some(())).await;
            let (numbers, ()) = join(pay_in(&house, ports, &mut chain, &signs), pay_out(&house, ports, &mut backend, &signs)).await;
            signs.over.store(true, Ordering::Relaxed);
            numbers
        };
        join(all, storm).await.0
    };
    let (gateways, numbers) = join(trouble, work).await;

    // The weather clears.
    house.sandbox.clear_faults();
    ends(&house, refuses_duplicates).await;
    house.heard(&numbers, "confirmed").await;
    for trade_id in deposits() {
        house.comes_to(&trade_id, &["succeeded"]).await;
    }
    house.at_rest().await;
    for gateway in gateways {
        stop(gateway).await;
    }
    let count = |fits: fn(usize, usize) -> bool| {
        let calls = |way: Way, trade_id: &str| house.sandbox.calls_for(way.call(), trade_id);
        orders().iter().filter(|(way, trade_id)| fits(house.sandbox.executions(trade_id), calls(*way, trade_id))).count()
    };
    let (paid, repeated) = (count(|executions, _| executions == 1), count(|_, calls| calls > 1));
    println!("seed {seed}, duplicates refused: {refuses_duplicates:<5} -> {paid} of {PAYOUTS} paid, {repeated} sent again");
    assert!(refuses_duplicates || repeated == 0, "seed {seed}: {repeated} were sent twice where that pays twice");
    house.close().await;
}

fn orders() -> Vec<(Way, String)> {
    (0..PAYOUTS).map(|number| (ALL[number % ALL.len()], format!("out-{number}"))).collect()
}

fn deposits() -> Vec<String> {
    (0..=DEPOSITS).map(|number| format!("in-{number}")).collect()
}

/// What goes wrong with a call.
fn fault(dice: &mut Dice) -> Fault {
    let delay = Fault::Delay(dice.between(0, 1500));
    let all = [
        delay,
        Fault::LoseBefore,
        Fault::LoseAfter,
        Fault::HangBefore,
        Fault::HangAfter,
        Fault::HangLate,
        Fault::Error500Before,
        Fault::Error500After,
        Fault::GarbageAfter,
        Fault::TruncatedAfter,
        Fault::EmptyAfter,
    ];
    dice.one_of(&all).clone()
}

/// Starts a gateway, and kills or pauses it again and again. Gives it back at work.
pub async fn fate(house: &House, port: u16, settings: &[(&str, &str)], mut dice: Dice, signs: &Signs) -> Gateway {
    let bind = format!("127.0.0.1:{port}");
    let variables = [settings, &[("TILLGATE__SERVER__BIND", bind.as_str())]].concat();
    let mut gateway = house.serve_with("all", &variables).await;
    while !signs.over.load(Ordering::Relaxed) {
        dice.wait(1500).await;
        if signs.mercy.load(Ordering::Relaxed) {
            continue;
        }
        if dice.between(0, 2) == 0 {
            kill(gateway).await;
            gateway = house.serve_with("all", &variables).await;
        } else {
            gateway.program.pause();
            dice.wait(2500).await;
            gateway.program.resume();
        }
    }
    gateway
}

/// The merchant's backend asks for payouts, at whichever gateway answers.
async fn pay_out(house: &House, ports: [u16; 2], dice: &mut Dice, signs: &Signs) {
    for (way, trade_id) in orders() {
        dice.wait(400).await;
        if dice.between(0, 2) == 0 {
            house.sandbox.inject(way.call(), Some(&trade_id), fault(dice), Times::Count(1));
        }
        let (path, wish) = way.wish(&trade_id);
        ask(house, ports, path, &wish, signs).await;
    }
}

/// Customers pay what they were asked for, and somebody pays for nothing; the chain shows it in any order, and confirms it.
async fn pay_in(house: &House, ports: [u16; 2], dice: &mut Dice, signs: &Signs) -> Vec<u64> {
    let mut payments: Vec<(u64, Decimal)> = Vec::new();
    for (number, trade_id) in deposits().iter().enumerate() {
        let amount = Decimal::from(number + 1);
        let (customer, uid) = if number < DEPOSITS { ("ada", ADA_UID) } else { ("bob", BOB_UID) };
        let parts = if number < DEPOSITS { 1 } else { DEPOSITS };
        let whole = if parts == 1 { amount } else { Decimal::from(parts) };
        ask(house, ports, "/v1/deposits", &deposit_wish(trade_id, customer, whole), signs).await;
        let what = format!("{trade_id} is expected");
        until(&what, async || house.place(trade_id).await.filter(|place| place != "created")).await;
        payments.extend((0..parts).map(|_| (uid, whole / Decimal::from(parts))));
    }
    payments.extend([(STRANGER_UID, Decimal::ONE), (STRANGER_UID, Decimal::TWO)]);
    let sandbox = &house.sandbox;
    let mut all = Vec::new();
    let mut hidden = Vec::new();
    while !payments.is_empty() || !hidden.is_empty() {
        dice.wait(250).await;
        let pays = hidden.is_empty() || (!payments.is_empty() && dice.between(0, 2) == 0);
        if pays {
            let at = usize::try_from(dice.between(0, payments.len() as u64)).expect("an index");
            let (uid, amount) = payments.swap_remove(at);
            sandbox.hicoin_skip_deposit_ids(None, dice.between(0, 3)).expect("the app");
            let number = sandbox.hicoin_hidden_deposit(None, &HicoinTo::Uid(uid), "ETH", amount).expect("a deposit");
            hidden.push(number);
            all.push(number);
        } else {
            let at = usize::try_from(dice.between(0, hidden.len() as u64)).expect("an index");
            sandbox.hicoin_show(None, hidden.swap_remove(at)).expect("a deposit");
            // One that was shown before is confirmed, some at once.
            let shown: Vec<u64> = all.iter().copied().filter(|number| !hidden.contains(number)).collect();
            house.confirm(&[*dice.one_of(&shown)]);
        }
    }
    house.confirm(&all);
    all
}

/// Asks until it is answered: a request may hang in a paused process, or go down with a killed one.
pub async fn ask(house: &House, ports: [u16; 2], path: &str, wish: &Value, signs: &Signs) {
    let mut turn = 0;
    until(&format!("an answer to {wish}"), async || {
        let api = format!("http://127.0.0.1:{}", ports[turn % ports.len()]);
        turn += 1;
        signs.mercy.store(turn > 4, Ordering::Relaxed);
        let asked = call(&house.http, &api, &house.key, "POST", path, Some(wish));
        let answer = tokio::time::timeout(Duration::from_secs(3), asked).await.ok()?.ok()?;
        assert!(matches!(answer.status, 200 | 201 | 503), "{wish}: {answer:?}");
        (answer.status != 503).then_some(())
    })
    .await;
    signs.mercy.store(false, Ordering::Relaxed);
}

/// Every payout comes to its end: it is paid, or, where Hicoin is not trusted and nothing was paid, a person has to decide.
async fn ends(house: &House, refuses_duplicates: bool) {
    for (_, trade_id) in orders() {
        until(&format!("{trade_id} ends"), async || {
            house.sandbox.release();
            let place = house.place(&trade_id).await?;
            let unpaid = !refuses_duplicates && house.sandbox.executions(&trade_id) == 0;
            let end = if unpaid { "requires_review/outcome_unknown" } else { "succeeded" };
            (place == end).then_some(())
        })
        .await;
    }
}
