//! `kill -9` while an event is on its way to a merchant. It comes again under the same id where nobody can know that it was
//! taken, what follows it waits, and nothing is missing.

use futures_util::future::{FutureExt, LocalBoxFuture};

use crate::hook::{Hook, Reply};
use crate::house::{Gateway, House};
use crate::moments::{kill, side_by_side, stop};
use crate::told::{NEAR, step};

const PAYOUT: &str = "the-payout";

/// What happens until the process is dead. Gives a second one that has worked beside it, if there is one.
type Story = for<'a> fn(&'a House, &'a Hook, Gateway) -> LocalBoxFuture<'a, Option<Gateway>>;

struct Moment {
    name: &'static str,
    story: Story,
    /// How often the first event comes in all.
    times: usize,
}

const MOMENTS: [Moment; 5] = [
    Moment {
        name: "the receiver has it and has not answered",
        story: |house, hook, gateway| unanswered(house, hook, gateway, false).boxed_local(),
        times: 2,
    },
    Moment {
        name: "the same, with a second process",
        story: |house, hook, gateway| unanswered(house, hook, gateway, true).boxed_local(),
        times: 2,
    },
    Moment {
        name: "the receiver has taken it, and the record is lost",
        story: |house, _, gateway| recording(house, gateway, false).boxed_local(),
        times: 2,
    },
    Moment {
        name: "the receiver has taken it, and the record succeeds",
        story: |house, _, gateway| recording(house, gateway, true).boxed_local(),
        times: 1,
    },
    Moment {
        name: "it is taken from the queue, and has not left",
        story: |house, hook, gateway| claiming(house, hook, gateway).boxed_local(),
        times: 1,
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn an_event_survives_kill_9_at_every_moment_of_its_way() {
    side_by_side(MOMENTS.iter().map(|moment| (moment.name.to_owned(), play(moment)))).await;
}

async fn play(moment: &Moment) {
    let house = House::open().await;
    house.short_leases().await;
    let hook = Hook::open().await;
    let gateway = house.serve_with("all", &NEAR).await;
    let endpoint = house.endpoint(&hook).await;
    let beside = (moment.story)(&house, &hook, gateway).await;
    assert!(hook.got().iter().all(|one| step(one).1 == 1), "what follows waits");
    hook.answer(200);

    let gateway = match beside {
        Some(gateway) => gateway,
        None => house.serve_with("all", &NEAR).await,
    };
    house.comes_to(PAYOUT, &["succeeded"]).await;
    house.all_told().await;
    stop(gateway).await;
    let got = hook.got();
    assert_eq!(endpoint.check(&got)[PAYOUT], [1, 2, 3], "{}", moment.name);
    let times = got.iter().filter(|one| step(one).1 == 1).count();
    assert_eq!((times, got.len()), (moment.times, moment.times + 2), "{}", moment.name);
    house.close().await;
}

async fn unanswered(house: &House, hook: &Hook, gateway: Gateway, beside: bool) -> Option<Gateway> {
    hook.replies(&[Reply::Hang, Reply::Status(200)]);
    house.payout(PAYOUT).await;
    hook.has(1).await;
    house.comes_to(PAYOUT, &["succeeded"]).await;
    let beside = if beside { Some(house.serve_with("worker", &NEAR).await) } else { None };
    kill(gateway).await;
    beside
}

async fn recording(house: &House, gateway: Gateway, succeeds: bool) -> Option<Gateway> {
    house.turnstile("INSERT ON webhook_attempts").await;
    let lock = house.lock("turnstile").await;
    house.payout(PAYOUT).await;
    house.comes_to(PAYOUT, &["succeeded"]).await;
    house.dies_waiting(gateway, lock, 1, succeeds).await;
    None
}

async fn claiming(house: &House, hook: &Hook, gateway: Gateway) -> Option<Gateway> {
    house.turnstile("UPDATE ON webhook_queue").await;
    let lock = house.lock("turnstile").await;
    house.payout(PAYOUT).await;
    house.comes_to(PAYOUT, &["succeeded"]).await;
    house.dies_waiting(gateway, lock, 1, true).await;
    assert_eq!(hook.got().len(), 0);
    None
}
