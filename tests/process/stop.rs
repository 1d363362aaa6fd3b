//! SIGTERM: no new work, what is open is finished and written down, and the process ends within its grace; so that a
//! cluster can replace one process after the other under load.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tillgate::sandbox::{Fault, Times};

use crate::house::{Gateway, House, free_port};
use crate::program::{Ended, until};
use crate::talk::{call, client_without_memory, deposit_wish, log_line, payout_wish};

const PAYOUT: &str = "the-payout";
const DEPOSIT: &str = "the-deposit";

async fn stopping(gateway: &Gateway) {
    gateway.program.says("that it stops", |output| log_line(&output.err(), "stopping: no new work")).await;
}

/// It ended in good order, and says so.
fn in_good_order(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let stopped = log_line(&ended.err, "stopped").expect("it says that it has stopped");
    assert_eq!(stopped["in_time"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_finishes_the_open_call_and_claims_nothing_more() {
    let house = House::open().await;
    house.sandbox.inject("pay_user", Some(PAYOUT), Fault::HangAfter, Times::Count(1));
    let gateway = house.serve_with("all", &[("TILLGATE__TIMING__PROVIDER_TIMEOUT", "5s"), ("TILLGATE__TIMING__LEASE", "10s")]).await;
    house.payout(PAYOUT).await;
    house.held(1).await;

    gateway.program.terminate();
    stopping(&gateway).await;
    until("new requests are refused", async || match house.try_call("GET", "/v1/payouts", None).await {
        Ok(answer) => {
            assert_eq!(answer.status, 200, "an answer while stopping is a whole one");
            None
        }
        Err(error) => error.is_connect().then_some(()),
    })
    .await;
    assert_eq!(house.probe(&gateway, "/readyz").await, Some(503), "the cluster sees that it is not ready, until the end");
    assert_eq!(house.probe(&gateway, "/livez").await, Some(200), "it is alive, until the end");

    // Another process takes an order meanwhile. The stopping one leaves it alone.
    let api = house.serve("api").await;
    house.payout("the-next").await;
    house.sandbox.release();
    in_good_order(&gateway.program.end().await);
    assert_eq!(house.place(PAYOUT).await.as_deref(), Some("succeeded"), "by the answer: FOMO has not called back");
    assert_eq!(house.attempts(PAYOUT, "accepted").await, 1);
    assert_eq!((house.place("the-next").await.as_deref(), house.sandbox.calls_for("pay_user", "the-next")), (Some("queued"), 0));

    let worker = house.serve("worker").await;
    house.comes_to("the-next", &["succeeded"]).await;
    for gateway in [api, worker] {
        gateway.program.terminate();
        in_good_order(&gateway.program.end().await);
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_finishes_a_deposit_whether_its_client_waits_or_not() {
    for waits in [true, false] {
        let house = House::open().await;
        let gateway = house.serve_with("api", &[("TILLGATE__TIMING__PROVIDER_TIMEOUT", "5s"), ("TILLGATE__TIMING__LEASE", "10s")]).await;
        house.link_ada().await;
        house.sandbox.inject("pre_pay", Some(DEPOSIT), Fault::HangAfter, Times::Count(1));
        let (http, api, key) = (client_without_memory(), house.api(), house.key.clone());
        let asked = tokio::spawn(async move { call(&http, &api, &key, "POST", "/v1/deposits", Some(&deposit_wish(DEPOSIT))).await });
        house.held(1).await;
        if !waits {
            asked.abort();
        }
        gateway.program.terminate();
        stopping(&gateway).await;
        house.sandbox.release();
        let ended = gateway.program.end().await;
        in_good_order(&ended);
        assert_eq!(house.place(DEPOSIT).await.as_deref(), Some("awaiting_payment"), "waits: {waits}\n{}", ended.err);
        if waits {
            let answer = asked.await.expect("a task").expect("an answer");
            assert_eq!((answer.status, answer.text("status")), (201, "awaiting_payment"));
        }
        house.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grace_that_is_too_short_ends_with_a_failure_and_the_next_start_heals() {
    let house = House::open().await;
    house.sandbox.inject("pay_user", Some(PAYOUT), Fault::HangAfter, Times::Count(1));
    let settings =
        [("TILLGATE__TIMING__SHUTDOWN_GRACE", "300ms"), ("TILLGATE__TIMING__PROVIDER_TIMEOUT", "4s"), ("TILLGATE__TIMING__LEASE", "5s")];
    let gateway = house.serve_with("all", &settings).await;
    house.payout(PAYOUT).await;
    house.held(1).await;
    gateway.program.interrupt();
    let ended = tokio::time::timeout(Duration::from_secs(5), gateway.program.end()).await.expect("it does not outlast its grace");
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    house.sandbox.release();

    let gateway = house.serve("all").await;
    until("the payout succeeds", async || {
        house.sandbox.deliver_callbacks().await;
        house.place(PAYOUT).await.filter(|place| place == "succeeded")
    })
    .await;
    house.at_rest().await;
    gateway.program.interrupt();
    in_good_order(&gateway.program.end().await);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_outlast_its_grace_though_the_database_stands_still() {
    let house = House::open().await;
    let gateway = house.serve_with("all", &[("TILLGATE__TIMING__SHUTDOWN_GRACE", "500ms")]).await;
    let mut lock = house.lock("tasks").await;
    lock.blocks(1).await;
    gateway.program.terminate();
    let ended = tokio::time::timeout(Duration::from_secs(5), gateway.program.end()).await.expect("it does not outlast its grace");
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    lock.release().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_clients_keep_do_not_hold_up_a_stop() {
    let house = House::open().await;
    let gateway = house.serve_with("all", &[("TILLGATE__TIMING__SHUTDOWN_GRACE", "20s")]).await;
    let keeping = reqwest::Client::builder().no_proxy().build().expect("a client");
    let answer = call(&keeping, &house.api(), &house.key, "GET", "/v1/payouts", None).await.expect("an answer");
    assert_eq!(answer.status, 200);
    let (api, key) = (house.api(), house.key.clone());
    let busy = tokio::spawn(async move {
        // Asks again and again over the same connection, until it is told to go.
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        while call(&client, &api, &key, "GET", "/v1/payouts", None).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    gateway.program.terminate();
    stopping(&gateway).await;
    let ended = tokio::time::timeout(Duration::from_secs(8), gateway.program.end()).await;
    in_good_order(&ended.expect("the stop does not wait for clients that have nothing open"));
    busy.await.expect("the client saw the end");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_under_load_fails_no_request_and_pays_everything_once() {
    const PAYOUTS: usize = 40;
    const CLIENTS: usize = 4;
    let house = House::open().await;
    let ports = [house.port, free_port()];
    let mut replicas = Vec::new();
    for port in ports {
        replicas.push(Some(replica(&house, port).await));
    }
    let done = AtomicUsize::new(0);
    let restarted = AtomicUsize::new(0);
    let client = async |number: usize| {
        let (http, mut made) = (client_without_memory(), Vec::new());
        // At least its share, and as long as replicas are being restarted.
        while made.len() < PAYOUTS / CLIENTS || restarted.load(Ordering::Relaxed) < ports.len() {
            let trade_id = format!("payout-{number}-{}", made.len());
            create(&http, &house.key, &ports, made.len() % 2, &trade_id).await;
            made.push(trade_id);
            done.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
        made
    };
    let rolling = async {
        for (index, port) in ports.into_iter().enumerate() {
            let before = done.load(Ordering::Relaxed);
            until("some load", async || (done.load(Ordering::Relaxed) > before + 3).then_some(())).await;
            let old = replicas[index].take().expect("a replica");
            old.program.terminate();
            in_good_order(&old.program.end().await);
            replicas[index] = Some(replica(&house, port).await);
            restarted.fetch_add(1, Ordering::Relaxed);
        }
    };
    let (made, ()) = futures_util::future::join(join_all((0..CLIENTS).map(client)), rolling).await;
    let made: Vec<String> = made.into_iter().flatten().collect();
    assert!(made.len() >= PAYOUTS, "only {}", made.len());
    for trade_id in &made {
        house.comes_to(trade_id, &["succeeded"]).await;
        assert_eq!(house.sandbox.executions(trade_id), 1, "{trade_id}");
        assert_eq!(house.sandbox.calls_for("pay_user", trade_id), 1, "{trade_id}: an orderly stop leaves no doubt");
    }
    println!("{} payouts during the restart of two replicas, each paid once", made.len());
    for gateway in replicas.into_iter().flatten() {
        gateway.program.terminate();
        in_good_order(&gateway.program.end().await);
    }
    house.close().await;
}

async fn replica(house: &House, port: u16) -> Gateway {
    house.serve_with("all", &[("TILLGATE__SERVER__BIND", &format!("127.0.0.1:{port}"))]).await
}

/// The merchant's backend: asks one replica, and the other one only if the first takes no connection, or hangs up without a
/// word: when a listener closes, the kernel may have taken a connection that the process has not seen.
async fn create(http: &reqwest::Client, key: &str, ports: &[u16], first: usize, trade_id: &str) {
    let mut turn = first;
    until("a replica takes the payout", async || {
        let api = format!("http://127.0.0.1:{}", ports[turn % ports.len()]);
        let repeated = turn > first;
        turn += 1;
        match call(http, &api, key, "POST", "/v1/payouts", Some(&payout_wish(trade_id))).await {
            Ok(answer) => {
                assert!(answer.status == 201 || repeated && answer.status == 200, "{trade_id}: {answer:?}");
                Some(())
            }
            Err(error) => {
                assert!(error.is_connect() || !error.is_timeout() && error.is_request(), "{trade_id}: {error:?}");
                None
            }
        }
    })
    .await;
}
