//! Two processes deliver at the same time to one receiver that fails now and then, and are killed and paused at random moments
//! while orders run. It is the same schedule for the same seed; `TILLGATE_SEED` and `TILLGATE_SEEDS` choose, as for `chaos`.

use std::sync::atomic::Ordering;

use futures_util::future::{join, join_all};

use crate::chaos::{Dice, Signs, ask, fate, seeds};
use crate::hook::{Hook, Reply};
use crate::house::{House, free_port};
use crate::moments::stop;
use crate::program::until;
use crate::talk::payout_wish;
use crate::told::NEAR;

const PAYOUTS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn whoever_dies_meanwhile_each_orders_steps_are_told_in_order_and_none_is_missing() {
    for seed in seeds() {
        play(seed).await;
    }
}

async fn play(seed: u64) {
    let house = House::open().await;
    house.short_leases().await;
    let mut dice = Dice(seed);
    let (hook, mut moods) = (Hook::open().await, dice.split());
    hook.behave(move |_| match moods.between(0, 10) {
        0..7 => Reply::Status(200),
        7..9 => Reply::Status(500),
        _ => Reply::Hang,
    });
    let api = house.serve_with("api", &NEAR).await;
    let endpoint = house.endpoint(&hook).await;
    stop(api).await;

    let ports = [house.port, free_port()];
    let signs = Signs::default();
    let trouble = join_all(ports.map(|port| fate(&house, port, &NEAR, dice.split(), &signs)));
    let (mut backend, mut patience) = (dice.split(), dice.split());
    let work = async {
        for trade_id in payouts() {
            backend.wait(500).await;
            ask(&house, ports, "/v1/payouts", &payout_wish(&trade_id), &signs).await;
        }
        signs.over.store(true, Ordering::Relaxed);
    };
    let lets_go = async {
        while !signs.over.load(Ordering::Relaxed) {
            patience.wait(900).await;
            hook.let_go(200);
        }
    };
    let (gateways, _) = join(trouble, join(work, lets_go)).await;

    hook.answer(200);
    hook.let_go(200);
    for trade_id in payouts() {
        until(&format!("{trade_id} ends"), async || {
            // Whose answer died with a process is told by FOMO's callback, and by nothing else.
            house.sandbox.deliver_callbacks().await;
            (house.place(&trade_id).await? == "succeeded").then_some(())
        })
        .await;
    }
    house.all_told().await;
    house.at_rest().await;
    for gateway in gateways {
        stop(gateway).await;
    }
    let got = hook.got();
    let seen = endpoint.check(&got);
    let steps: i64 = sqlx::query_scalar("SELECT count(*) FROM steps").fetch_one(&mut *house.eyes.lock().await).await.expect("a count");
    println!("seed {seed}: {steps} events of {} orders came in {} requests", seen.len(), got.len());
    assert_eq!(i64::try_from(seen.values().map(Vec::len).sum::<usize>()).ok(), Some(steps), "seed {seed}");
    for (trade_id, numbers) in &seen {
        assert!(numbers.iter().copied().eq(1..=i64::try_from(numbers.len()).expect("a number")), "seed {seed}: {trade_id} {numbers:?}");
    }
    assert_eq!(seen.len(), PAYOUTS, "seed {seed}");
    assert!(got.len() > seen.values().map(Vec::len).sum::<usize>(), "seed {seed}: the receiver has failed");
    house.close().await;
}

fn payouts() -> impl Iterator<Item = String> {
    (0..PAYOUTS).map(|number| format!("out-{number}"))
}
