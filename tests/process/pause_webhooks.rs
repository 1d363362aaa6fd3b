//! SIGSTOP: a process that stands still for longer than its lease while an event is on its way, and then goes on as if nothing
//! had happened.

use serde_json::json;

use crate::hook::{Hook, Reply};
use crate::house::House;
use crate::moments::stop;
use crate::program::until;
use crate::told::NEAR;

const PAYOUT: &str = "the-payout";

/// It has sent the event, and stands still before the answer comes. Somebody else has taken it over when it hears that it was
/// refused: that is old news, and changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn who_stood_still_before_the_answer_writes_nothing() {
    let house = House::open().await;
    house.short_leases().await;
    let hook = Hook::open().await;
    hook.replies(&[Reply::Hang, Reply::Hang, Reply::Status(200)]);
    let first = house.serve_with("all", &NEAR).await;
    let endpoint = house.endpoint(&hook).await;
    house.payout(PAYOUT).await;
    hook.has(1).await;
    house.comes_to(PAYOUT, &["succeeded"]).await;
    first.program.pause();
    let second = house.serve_with("worker", &NEAR).await;
    hook.has(2).await;
    hook.let_one_go(0, 500);
    first.program.resume();
    house.works_again(&first).await;
    // It comes to the end of what it had begun before it stops.
    stop(first).await;
    hook.let_one_go(1, 200);
    house.all_told().await;
    stop(second).await;
    let got = hook.got();
    assert_eq!(endpoint.check(&got)[PAYOUT], [1, 2, 3]);
    assert_eq!((got[0].answered, &got[0].id), (Some(500), &got[1].id));
    let refused: i64 = sqlx::query_scalar("SELECT count(*) FROM webhook_attempts WHERE status = 500")
        .fetch_one(&mut *house.eyes.lock().await)
        .await
        .expect("a count");
    assert_eq!(refused, 0);
    house.close().await;
}

/// It has taken the event, and stands still before it sends it, for longer than its real lease: then it does not send it.
#[tokio::test(flavor = "multi_thread")]
async fn who_stood_still_before_sending_sends_nothing() {
    let house = House::open().await;
    let hook = Hook::open().await;
    let api = house.serve_with("api", &NEAR).await;
    let endpoint = house.endpoint(&hook).await;
    house.turnstile("UPDATE ON webhook_queue").await;
    let first = house.serve_with("worker", &NEAR).await;
    let lock = house.lock("turnstile").await;
    let made = house.post(&format!("{}/test", endpoint.path), &json!({})).await;
    assert_eq!(made.status, 202, "{made:?}");
    house.stands_still_at(&first, lock, true).await;
    let taken = "SELECT leased_until > now() FROM webhook_queue";
    let eyes = || house.eyes.lock();
    until("it is taken", async || {
        sqlx::query_scalar::<_, Option<bool>>(taken).fetch_one(&mut *eyes().await).await.expect("it").filter(|taken| *taken)
    })
    .await;
    let second = house.serve_with("worker", &NEAR).await;
    hook.has(1).await;
    house.all_told().await;
    first.program.resume();
    house.works_again(&first).await;
    for gateway in [api, first, second] {
        stop(gateway).await;
    }
    assert_eq!(hook.got().len(), 1);
    house.close().await;
}
