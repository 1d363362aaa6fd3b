//! The fault campaign: real gateways, a real Postgres, simulated wallets and a receiver of webhooks, everything behind proxies,
//! and everything that can go wrong going wrong at once, by dice. It tries to make the program pay twice, lose what it has
//! acknowledged, believe a lie, or stop working for good. `docs/RELIABILITY.md` says how, and what it has found.
//!
//! `make campaign` plays the long one. `TILLGATE_SEED=7` begins with that seed, `TILLGATE_ROUNDS=3` plays so many rounds,
//! `TILLGATE_ORDERS=500` asks for so many orders in each, `TILLGATE_CONTROL=callback_is_believed` plays one control alone.

mod controls;
mod fate;
mod figures;
mod history;
mod judge;
mod script;
mod server;
mod site;
mod weather;
mod work;

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::{join, join_all};
use strum::{EnumCount, IntoEnumIterator};
use tillgate::domain::clock::Clock;
use tillgate::faults::{Bug, Point};

use self::figures::{Coverage, Outcome, Tally};
use self::script::Script;
use self::server::Server;
use self::site::Site;
use crate::chaos::Dice;
use crate::database::connect;
use crate::program::pass;

/// What a campaign has to have done, so that finding nothing says something, and how soon it wants an unknown outcome asked about.
struct Least {
    /// Crashes and pauses.
    blows: usize,
    /// So many points have seen a process crash,
    points: usize,
    /// and so often each of them.
    at_each: usize,
    asked_within: Duration,
}

impl Least {
    fn is_reached(&self, sum: &Tally, coverage: &Coverage) -> bool {
        let (crashes, pauses) = blows(sum);
        crashes + pauses >= self.blows && Point::COUNT - coverage.lacking(self.at_each).len() >= self.points
    }
}

/// How many processes have crashed so far, and how many were paused.
fn blows(sum: &Tally) -> (usize, usize) {
    let crashes = ["kill -9", "crash at a point", "crash while stopping"].map(|what| sum.of(what)).iter().sum();
    (crashes, sum.of("pause"))
}

/// On whatever machine, beside whatever else.
const SHORT: Least = Least { blows: 5, points: 3, at_each: 1, asked_within: Duration::from_secs(30) };
const LONG: Least = Least { blows: 1000, points: Point::COUNT, at_each: 20, asked_within: Duration::from_secs(10) };

/// Plays a round to its end and judges it.
async fn play(script: Script, server: &Server, coverage: &Coverage, sum: &Tally) -> Outcome {
    let site = Site::furnish(script, server, coverage).await;
    let mut dice = Dice(site.script.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    site.trouble(true);
    let fates = join_all((0..site.script.gateways).map(|gateway| fate::fate(&site, gateway, dice.split())));
    let (weather, visitors) = (weather::weather(&site, dice.split()), work::visitors(&site, dice.split()));
    let work = async {
        work::work(&site, dice.split()).await;
        site.over.store(true, Ordering::Relaxed);
    };
    let (gateways, _) = join(fates, join(work, join(weather, visitors))).await;
    site.trouble(false);
    site.house.sandbox.clear_faults();
    let rest = come_to_rest(&site).await;
    let outcome = judge::judge(&site, rest).await;
    if site.script.bug.is_none() {
        site.tell_stories(&[outcome.broken.clone(), outcome.looked_at_after(LONG.asked_within)].concat()).await;
    }
    for gateway in gateways {
        gateway.terminate();
        gateway.end().await;
    }
    site.count_proxies();
    for (what, count) in site.tally.all() {
        sum.add(&what, count);
    }
    site.house.sandbox.stop().await;
    outcome
}

/// How long it takes until nothing is left to be done, from the end of the faults on.
async fn come_to_rest(site: &Site<'_>) -> Result<Duration, String> {
    let (clock, began) = (Clock::system(), Clock::system().instant());
    let mut eyes = connect(&site.house.database).await;
    loop {
        site.house.sandbox.release();
        let left = judge::unrest(site, &mut eyes).await.expect("the database is well");
        let time = clock.instant().saturating_duration_since(began);
        if left.is_empty() {
            return Ok(time);
        }
        if time > site.script.rest {
            return Err(format!("{} things are left: {:?}", left.len(), left.iter().take(5).collect::<Vec<_>>()));
        }
        pass(Duration::from_millis(150)).await;
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Prints what was found, and fails where something was.
fn conclude(what: &str, outcome: &Outcome, sum: &Tally, coverage: &Coverage, least: &Least) {
    let (p50, p99) = (outcome.look(50), outcome.look(99));
    println!("\nfaults that struck:");
    for (name, count) in sum.all() {
        println!("  {name:<40} {count:>6}");
    }
    let (crashes, pauses) = blows(sum);
    println!(
        "{what}: {} orders, {} acknowledged, {crashes} crashes, {} pauses; executions per order at most {}, acknowledged and lost {}; \
         first question after an unknown outcome p50 {p50:?}, p99 {p99:?} of {}; {} in review; {} events told; at rest after {:?}",
        outcome.orders,
        outcome.acknowledged,
        pauses,
        outcome.most_executions,
        outcome.acknowledged_lost,
        outcome.first_looks.len(),
        outcome.in_review,
        outcome.events,
        outcome.rest.unwrap_or_default(),
    );
    assert!(outcome.broken.is_empty(), "{what}: {} things are wrong:\n{}", outcome.broken.len(), outcome.broken.join("\n"));
    assert!(p99 <= least.asked_within, "{what}: the first question after an unknown outcome came late: {p99:?}");
    let lacking = coverage.lacking(least.at_each);
    assert!(
        least.is_reached(sum, coverage),
        "{what}: {crashes} crashes and {pauses} pauses say little; points where fewer than {} crashed: {lacking:?}",
        least.at_each
    );
}

/// Plays rounds of storm, one seed after the other, until there were so many or one has found something. Where as many again are
/// needed for what a campaign has to have done at the least, they are played, too.
async fn storm(what: &str, first: u64, rounds: u64, orders: usize, least: &Least) {
    let (server, coverage, sum) = (Server::start().await, Coverage::default(), Tally::default());
    let mut all = Outcome::default();
    let mut next = first;
    while next < first + rounds || (next < first + 2 * rounds && !least.is_reached(&sum, &coverage)) {
        let seed = next;
        next += 1;
        let outcome = play(Script::storm(seed, orders), &server, &coverage, &sum).await;
        println!("{what}, seed {seed}: {} orders, {} things are wrong", outcome.orders, outcome.broken.len());
        let broken = !outcome.broken.is_empty();
        all.join(outcome);
        if broken {
            break;
        }
    }
    println!("\ncrashes at each of {} points:\n{coverage}", Point::COUNT);
    if !fate::clocks_can_jump() {
        println!("libfaketime is not installed: no clock has jumped");
    }
    conclude(&format!("{what}, seeds {first}..{next}"), &all, &sum, &coverage, least);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_pays_nothing_twice_and_loses_nothing() {
    let orders = usize::try_from(number("TILLGATE_ORDERS", 300)).expect("a number");
    storm("short campaign", number("TILLGATE_SEED", 1), number("TILLGATE_ROUNDS", 1), orders, &SHORT).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "half an hour: make campaign"]
async fn a_long_storm_pays_nothing_twice_and_loses_nothing() {
    let orders = usize::try_from(number("TILLGATE_ORDERS", 2000)).expect("a number");
    storm("campaign", number("TILLGATE_SEED", 1), number("TILLGATE_ROUNDS", 18), orders, &LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_judge_sees_planted_bugs() {
    controls::play_all(&[Bug::LostCallNeverLeft, Bug::ServerErrorIsRefusal, Bug::SilenceIsUnsent]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes: make campaign"]
async fn the_judge_sees_every_planted_bug() {
    let wanted = std::env::var("TILLGATE_CONTROL").ok();
    let bugs: Vec<Bug> = Bug::iter().filter(|bug| wanted.as_ref().is_none_or(|name| <&str>::from(bug).ends_with(name))).collect();
    controls::play_all(&bugs).await;
}
