//! Payouts whose outcome nobody knows: what is sent again, what is never sent again, and who decides.

use std::sync::Arc;
use std::time::Duration;

use rust_decimal::Decimal;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tillgate::domain::agenda::Work;
use tillgate::domain::audit::By;
use tillgate::flows::tenant::Scope;
use tillgate::flows::{Context, setup, work};
use tillgate::sandbox::{Fault, Times};
use tokio_util::sync::CancellationToken;

use crate::harness::{TestApp, USDT, free_port, make_key, merchant, payout_wish, settings};

const OUTCOME_UNKNOWN: &str = "processing/outcome_unknown";
const REVIEW: &str = "requires_review/outcome_unknown";

async fn start() -> TestApp {
    let app = TestApp::start().await;
    app.link_ada().await;
    app
}

/// A merchant that does not trust FOMO to refuse a repeated id, and is right not to.
async fn start_distrustful() -> TestApp {
    let app = TestApp::start_with(&[], &json!({ "trust_duplicate_refusal": false })).await;
    app.link_ada().await;
    app.sandbox.set_duplicate_check(false);
    app
}

/// A payout that was sent, and whose answer was this.
async fn sent(app: &TestApp, trade_id: &str, fault: Fault) {
    app.sandbox.fault("pay_user", fault);
    assert_eq!(app.payout(trade_id).await.status, 201);
    app.submit().await;
}

async fn place(app: &TestApp, trade_id: &str) -> String {
    app.place("payouts", trade_id).await
}

async fn pass(app: &TestApp, seconds: u64) {
    app.advance(Duration::from_secs(seconds));
    app.settle_down().await;
}

async fn pass_a_day(app: &TestApp) {
    app.live(Duration::from_hours(26), Duration::from_mins(20), false).await;
}

async fn resolve(app: &TestApp, trade_id: &str, action: &str) -> crate::harness::Answer {
    app.post(&format!("/v1/payouts/{trade_id}/resolve"), &json!({ "action": action, "reason": "seen at FOMO" })).await
}

/// A replica of the gateway: a process of its own, as far as the database can tell.
fn replica(app: &TestApp) -> Arc<Context> {
    let settings = settings(&app.database, free_port(), &[("TILLGATE__DATABASE__MAX_CONNECTIONS", "4")]);
    Arc::new(tillgate::app::context(&settings, app.clock.clone()).expect("a context"))
}

async fn submit_by(context: &Context) -> usize {
    work::work(context, Work::Submit, &CancellationToken::new()).await.expect("a worker's step")
}

/// The worker dies while FOMO holds its call.
async fn crash_while_sending(app: &TestApp) {
    tokio::select! {
        _ = app.submit() => panic!("the call came back"),
        () = app.sandbox.wait_for_held(1) => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_that_fomo_never_heard_of_is_sent_again_unchanged_after_five_seconds() {
    let app = start().await;
    sent(&app, "p-1", Fault::LoseBefore).await;
    assert_eq!(place(&app, "p-1").await, OUTCOME_UNKNOWN);
    pass(&app, 4).await;
    assert_eq!(app.sandbox.calls_for("pay_user", "p-1"), 1);
    pass(&app, 1).await;
    assert_eq!((place(&app, "p-1").await.as_str(), app.sandbox.executions("p-1")), ("succeeded", 1));
    let calls = app.sandbox.call_log();
    let sent: Vec<_> = calls.iter().filter(|call| call.operation == "pay_user").collect();
    assert_eq!(sent.len(), 2);
    for name in ["trade_id", "amount", "coin_id", "user_id", "direction", "client_id", "server_uri"] {
        assert_eq!(sent[0].params[name], sent[1].params[name], "{name}");
    }
    assert_ne!(sent[0].params["timestamp"], sent[1].params["timestamp"]);
    assert_eq!(app.attempts("p-1").await, ["unknown", "accepted"]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_that_nobody_tells_of_waits_for_the_provider_and_then_for_a_person() {
    let app = start().await;
    sent(&app, "p-1", Fault::LoseAfter).await;
    pass(&app, 5).await;
    assert_eq!(place(&app, "p-1").await, "processing/accepted");
    assert_eq!(app.get("/v1/orders/p-1/timeline").await.body["waiting_for"], "provider");
    app.live(Duration::from_secs(86_394), Duration::from_secs(14_399), false).await;
    assert_eq!(place(&app, "p-1").await, "processing/accepted", "a second before the day is over");
    pass(&app, 1).await;
    assert_eq!(place(&app, "p-1").await, REVIEW);
    assert_eq!(app.get("/v1/orders/p-1/timeline").await.body["waiting_for"], "decision");
    let confirmed = resolve(&app, "p-1", "confirm").await;
    assert_eq!((confirmed.status, confirmed.text("status"), &confirmed.body["is_final"]), (200, "succeeded", &Value::Bool(true)));
    assert_eq!(app.attempts("p-1").await, ["unknown", "duplicate"]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_ends_what_waits_for_a_person() {
    let app = start().await;
    sent(&app, "p-1", Fault::LoseAfter).await;
    pass_a_day(&app).await;
    assert_eq!(place(&app, "p-1").await, REVIEW);
    assert_eq!(app.callbacks().await, [200]);
    assert_eq!(place(&app, "p-1").await, "succeeded");
    assert_eq!(resolve(&app, "p-1", "reject").await.text("code"), "order_not_in_review");
    app.finish().await;
}

/// Each way not to know, and whether FOMO pays.
fn ways_not_to_know() -> [(Fault, usize); 10] {
    [
        (Fault::LoseBefore, 0),
        (Fault::LoseAfter, 1),
        (Fault::HangLate, 1),
        (Fault::Error500Before, 0),
        (Fault::Error500After, 1),
        (Fault::GarbageAfter, 1),
        (Fault::TruncatedAfter, 1),
        (Fault::EmptyAfter, 1),
        (Fault::Code(5), 0),
        (Fault::Code(999), 0),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn where_fomo_is_not_trusted_to_refuse_duplicates_an_unknown_payout_is_never_sent_again() {
    let app = start_distrustful().await;
    for (number, (fault, executions)) in ways_not_to_know().into_iter().enumerate() {
        let trade_id = format!("p-{number}");
        sent(&app, &trade_id, fault.clone()).await;
        assert_eq!(place(&app, &trade_id).await, OUTCOME_UNKNOWN, "{fault:?}");
        app.release().await;
        app.live(Duration::from_mins(5), Duration::from_secs(10), false).await;
        assert_eq!(place(&app, &trade_id).await, REVIEW, "{fault:?}");
        let asked = resolve(&app, &trade_id, "retry").await;
        assert_eq!((asked.status, asked.text("status")), (200, "requires_review"), "{fault:?}: it takes two");
        assert_eq!(resolve(&app, &trade_id, "retry").await.text("code"), "second_operator_needed", "{fault:?}");
        pass_a_day(&app).await;
        assert_eq!(place(&app, &trade_id).await, REVIEW, "{fault:?}");
        let seen = (app.sandbox.calls_for("pay_user", &trade_id), app.sandbox.executions(&trade_id), app.attempts(&trade_id).await.len());
        assert_eq!(seen, (1, executions, 1), "{fault:?}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_operators_together_send_again_what_nobody_can_tell_of() {
    let app = start_distrustful().await;
    for trade_id in ["p-1", "p-2"] {
        sent(&app, trade_id, Fault::LoseBefore).await;
    }
    app.live(Duration::from_mins(5), Duration::from_secs(30), false).await;
    let asked = resolve(&app, "p-1", "retry").await;
    assert_eq!((asked.status, asked.text("status")), (200, "requires_review"), "{}", asked.body);
    let wish = &asked.body["retry"];
    assert_eq!(
        (&wish["reason"], &wish["granted_by"], &wish["asked_at"]),
        (&json!("seen at FOMO"), &Value::Null, &asked.body["updated_at"])
    );
    resolve(&app, "p-1", "retry").await.expect_problem(409, "second_operator_needed");
    let bob = make_key(&app.context, "acme", &[Scope::Admin]).await;
    let retry =
        |trade_id: &str| (format!("/v1/payouts/{trade_id}/resolve"), json!({ "action": "retry", "reason": "it is not in the books" }));
    let (path, body) = retry("p-1");
    // Who may not decide cannot agree either.
    let clerk = make_key(&app.context, "acme", &[Scope::PayoutsWrite]).await;
    app.call_as(clerk.expose_secret(), "POST", &path, Some(&body)).await.expect_problem(403, "scope_missing");
    app.settle_down().await;
    assert_eq!(app.sandbox.calls_for("pay_user", "p-1"), 1);
    let agreed = app.call_as(bob.expose_secret(), "POST", &path, Some(&body)).await;
    assert_eq!((agreed.status, agreed.text("stage")), (200, "outcome_unknown"), "{}", agreed.body);
    assert_ne!(agreed.body["retry"]["granted_by"], agreed.body["retry"]["asked_by"]);
    app.settle_down().await;
    assert_eq!((place(&app, "p-1").await.as_str(), app.sandbox.executions("p-1")), ("succeeded", 1));
    assert_eq!((app.sandbox.calls_for("pay_user", "p-1"), app.attempts("p-1").await.join(" ")), (2, "unknown accepted".to_owned()));
    assert!(app.get("/v1/payouts/p-1").await.body.get("retry").is_none());
    let log = app.get("/v1/audit_log?action=payout.retry").await;
    let rows = log.body["data"].as_array().expect("a list");
    assert_eq!(rows.len(), 2, "{}", log.body);
    assert_ne!(rows[0]["actor"]["id"], rows[1]["actor"]["id"]);
    assert_eq!(rows[1]["after"]["retry"]["asked_by"], rows[1]["actor"]["id"]);
    // An agreement comes within a day, or it is a wish of its own.
    assert_eq!(resolve(&app, "p-2", "retry").await.status, 200);
    pass_a_day(&app).await;
    let (path, body) = retry("p-2");
    let late = app.call_as(bob.expose_secret(), "POST", &path, Some(&body)).await;
    assert_eq!((late.status, late.text("status")), (200, "requires_review"));
    assert_eq!(app.sandbox.calls_for("pay_user", "p-2"), 1);
    // Many at once are still each somebody.
    let answers = futures_util::future::join_all((0..8).map(|_| resolve(&app, "p-2", "retry"))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
    app.settle_down().await;
    assert_eq!((place(&app, "p-2").await.as_str(), app.sandbox.executions("p-2")), ("succeeded", 1));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_fomo_is_not_trusted_to_refuse_duplicates_a_callback_ends_an_unknown_payout() {
    let app = start_distrustful().await;
    for (number, (fault, executions)) in ways_not_to_know().into_iter().enumerate() {
        let trade_id = format!("p-{number}");
        sent(&app, &trade_id, fault.clone()).await;
        app.release().await;
        app.live(Duration::from_mins(5), Duration::from_secs(30), true).await;
        let end = if executions == 1 { "succeeded" } else { REVIEW };
        assert_eq!(place(&app, &trade_id).await, end, "{fault:?}");
        assert_eq!((app.sandbox.calls_for("pay_user", &trade_id), app.sandbox.executions(&trade_id)), (1, executions), "{fault:?}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_while_sending_is_not_repeated_where_duplicates_are_not_refused() {
    let app = start_distrustful().await;
    app.sandbox.fault("pay_user", Fault::HangLate);
    app.payout("p-1").await;
    crash_while_sending(&app).await;
    app.live(Duration::from_mins(6), Duration::from_secs(10), false).await;
    assert_eq!(place(&app, "p-1").await, REVIEW);
    app.release().await;
    pass_a_day(&app).await;
    assert_eq!(app.sandbox.calls_for("pay_user", "p-1"), 1);
    app.callbacks().await;
    assert_eq!(place(&app, "p-1").await, "succeeded");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_not_to_know_ends_in_one_payment_where_duplicates_are_refused() {
    let app = start().await;
    for (number, (fault, _)) in ways_not_to_know().into_iter().enumerate() {
        let trade_id = format!("p-{number}");
        sent(&app, &trade_id, fault.clone()).await;
        assert_eq!(place(&app, &trade_id).await, OUTCOME_UNKNOWN, "{fault:?}");
        pass(&app, 5).await;
        app.release().await;
        app.live(Duration::from_secs(60), Duration::from_secs(5), true).await;
        assert_eq!((place(&app, &trade_id).await.as_str(), app.sandbox.executions(&trade_id)), ("succeeded", 1), "{fault:?}");
        assert_eq!(app.sandbox.calls_for("pay_user", &trade_id), 2, "{fault:?}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_while_an_earlier_call_is_in_doubt_is_no_failure() {
    let app = start().await;
    sent(&app, "p-1", Fault::LoseAfter).await;
    app.sandbox.fault("pay_user", Fault::Code(24));
    pass(&app, 5).await;
    assert_eq!(place(&app, "p-1").await, OUTCOME_UNKNOWN);
    pass(&app, 15).await;
    assert_eq!(place(&app, "p-1").await, "processing/accepted");
    assert_eq!(app.callbacks().await, [200]);
    assert_eq!(place(&app, "p-1").await, "succeeded");
    assert_eq!(app.attempts("p-1").await, ["unknown", "refused", "duplicate"]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_while_an_earlier_call_is_in_doubt_come_by_the_schedule_and_not_all_the_time() {
    let app = start().await;
    sent(&app, "p-1", Fault::LoseBefore).await;
    app.sandbox.inject("pay_user", None, Fault::Code(24), Times::Forever);
    app.live(Duration::from_mins(10), Duration::from_secs(5), false).await;
    assert_eq!(place(&app, "p-1").await, OUTCOME_UNKNOWN);
    // At 0 s, and then 5 s, 15 s, 30 s, 1 min, 2 min and 5 min after the one before.
    assert_eq!(app.sandbox.calls_for("pay_user", "p-1"), 7);
    pass_a_day(&app).await;
    assert_eq!(place(&app, "p-1").await, REVIEW);
    app.finish().await;
}

/// Lets connections through to the sandbox.
async fn open(port: u16, app: &TestApp) -> tokio::task::JoinHandle<()> {
    let base = url::Url::parse(&app.sandbox.fomo_base_url()).expect("an address");
    let target = (base.host_str().expect("a host").to_owned(), base.port().expect("a port"));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("the port is still free");
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = tokio::net::TcpStream::connect(target.clone()).await.expect("the sandbox");
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_leave_is_tried_again_later_and_later_and_sent_once_the_port_opens() {
    let app = start().await;
    app.payout("p-1").await;
    let port = free_port();
    let closed = json!({ "base_url": format!("http://127.0.0.1:{port}/fomo/") });
    setup::apply(&app.context, &By::operator("test"), &merchant("acme", &app.sandbox, &closed)).await.expect("another address");
    app.submit().await;
    for (wait, attempts) in [(4, 1), (1, 2), (14, 2), (1, 3), (29, 3), (1, 4)] {
        pass(&app, wait).await;
        assert_eq!((place(&app, "p-1").await.as_str(), app.attempts("p-1").await.len()), ("queued", attempts));
    }
    let door = open(port, &app).await;
    pass(&app, 60).await;
    assert_eq!((place(&app, "p-1").await.as_str(), app.sandbox.executions("p-1")), ("succeeded", 1));
    assert_eq!(app.attempts("p-1").await, ["not_sent", "not_sent", "not_sent", "not_sent", "accepted"]);
    assert_eq!(app.sandbox.calls_for("pay_user", "p-1"), 1);
    door.abort();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_left_can_be_called_off() {
    let app = start().await;
    sent(&app, "p-1", Fault::Code(8)).await;
    assert_eq!(place(&app, "p-1").await, "queued");
    let canceled = app.post("/v1/payouts/p-1/cancel", &json!({})).await;
    assert_eq!((canceled.status, canceled.text("status")), (200, "canceled"));
    pass_a_day(&app).await;
    assert_eq!(app.sandbox.executions("p-1"), 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_or_clock_keeps_the_payout_queued_until_it_is_right() {
    for code in [7, 8] {
        let app = start().await;
        app.sandbox.inject("pay_user", None, Fault::Code(code), Times::Count(3));
        app.payout("p-1").await;
        app.submit().await;
        for wait in [5, 15] {
            assert_eq!(place(&app, "p-1").await, "queued");
            pass(&app, wait).await;
        }
        assert_eq!((place(&app, "p-1").await.as_str(), app.sandbox.executions("p-1")), ("queued", 0));
        pass(&app, 30).await;
        assert_eq!((place(&app, "p-1").await.as_str(), app.sandbox.executions("p-1")), ("succeeded", 1));
        assert_eq!(app.attempts("p-1").await, ["misconfigured", "misconfigured", "misconfigured", "accepted"]);
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_whose_worker_died_before_fomo_moved_is_written_off_and_recovered() {
    let app = start().await;
    app.sandbox.fault("pay_user", Fault::HangLate);
    app.payout("p-1").await;
    crash_while_sending(&app).await;
    assert_eq!(place(&app, "p-1").await, "processing/submitting");
    pass(&app, 29).await;
    assert_eq!((place(&app, "p-1").await.as_str(), app.attempts("p-1").await), ("processing/submitting", vec!["open".to_owned()]));
    pass(&app, 1).await;
    assert_eq!((place(&app, "p-1").await.as_str(), app.attempts("p-1").await), (OUTCOME_UNKNOWN, vec!["unknown".to_owned()]));
    pass(&app, 5).await;
    app.release().await;
    assert_eq!((place(&app, "p-1").await.as_str(), app.attempts("p-1").await.len()), ("succeeded", 2));
    app.live(Duration::from_mins(2), Duration::from_secs(10), true).await;
    assert_eq!(app.sandbox.executions("p-1"), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_whose_worker_died_after_fomo_moved_is_written_off_and_recovered() {
    let app = start().await;
    app.sandbox.fault("pay_user", Fault::HangAfter);
    app.payout("p-1").await;
    crash_while_sending(&app).await;
    app.live(Duration::from_secs(40), Duration::from_secs(5), false).await;
    assert_eq!(place(&app, "p-1").await, "processing/accepted");
    assert_eq!(app.callbacks().await, [200]);
    assert_eq!(
        (place(&app, "p-1").await.as_str(), app.attempts("p-1").await),
        ("succeeded", vec!["unknown".to_owned(), "duplicate".to_owned()])
    );
    app.release().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_for_an_attempt_whose_worker_died_is_enough() {
    let app = start().await;
    app.sandbox.fault("pay_user", Fault::HangAfter);
    app.payout("p-1").await;
    crash_while_sending(&app).await;
    assert_eq!(app.callbacks().await, [200]);
    assert_eq!(place(&app, "p-1").await, "succeeded");
    pass_a_day(&app).await;
    assert_eq!(app.sandbox.calls_for("pay_user", "p-1"), 1);
    app.release().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_at_once_send_a_payout_once() {
    let app = start().await;
    let other = replica(&app);
    for number in 0..10 {
        let trade_id = format!("p-{number}");
        app.payout(&trade_id).await;
        let (one, two) = tokio::join!(app.submit(), submit_by(&other));
        assert_eq!((one + two, app.sandbox.calls_for("pay_user", &trade_id)), (1, 1));
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_at_once_recover_a_payout_once() {
    let app = start().await;
    let other = replica(&app);
    sent(&app, "p-1", Fault::LoseBefore).await;
    app.advance(Duration::from_secs(5));
    let stop = CancellationToken::new();
    let (_, others) = tokio::join!(app.look(), work::work(&other, Work::Look, &stop));
    others.expect("a worker's step");
    assert_eq!((place(&app, "p-1").await.as_str(), app.sandbox.calls_for("pay_user", "p-1")), ("succeeded", 2));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_payouts_and_four_workers_are_a_hundred_payments() {
    let app = start().await;
    app.sandbox.set_merchant_balance("acme", USDT, Decimal::from(10_000));
    for number in 0..100 {
        let created = app.post("/v1/payouts", &payout_wish(&format!("p-{number}"))).await;
        assert_eq!(created.status, 201);
    }
    let replicas = [replica(&app), replica(&app), replica(&app), replica(&app)];
    let all = futures_util::future::join_all(replicas.iter().map(|replica| submit_by(replica))).await;
    assert_eq!(all.iter().sum::<usize>(), 100, "{all:?}");
    for number in 0..100 {
        let trade_id = format!("p-{number}");
        assert_eq!((app.sandbox.calls_for("pay_user", &trade_id), app.sandbox.executions(&trade_id)), (1, 1), "{trade_id}");
    }
    let list = app.get("/v1/payouts?status=succeeded&limit=100").await;
    assert_eq!(list.body["data"].as_array().map(Vec::len), Some(100));
    app.finish().await;
}
