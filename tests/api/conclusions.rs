//! What is concluded from silence and from the time, and when it must not be. The fault campaign has found these (seed 1).

use std::time::Duration;

use serde_json::json;
use tillgate::app;
use tillgate::domain::clock::Clock;
use tillgate::domain::ids::{AttemptId, MerchantId, OrderId};
use tillgate::domain::order::{Order, Provider};
use tillgate::domain::recovery::Progress;
use tillgate::domain::report::{Channel, Outcome, Report, Says};
use tillgate::domain::status::{Payout, State};
use tillgate::flows::settle::{Change, Notes, settle, settle_page};
use tillgate::flows::tenant::tenant;
use tillgate::flows::time;
use tillgate::http::auth::TrustedProxies;
use tillgate::sandbox::{Fault, Options, Times};
use tillgate::store::orders;

use crate::evidence::with;
use crate::harness::{TestApp, free_port, fresh_database, settings, waiting};

/// Longer than a deposit waits for its payment, with the grace for the callback.
const TOO_LONG: Duration = Duration::from_mins(18);

/// The deposit expired although FOMO had told of the money, and had its 200.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_comes_while_an_older_one_is_looked_up_is_not_overtaken_by_the_deadline() {
    let app = TestApp::start_with(&[("TILLGATE__TIMING__PROVIDER_TIMEOUT", "10s")], &json!({})).await;
    app.link_ada().await;
    // The answer was lost, so that nobody here knows the transfer's id yet.
    app.sandbox.inject("pre_pay", Some("d-1"), Fault::LoseAfter, Times::Count(1));
    assert_eq!(app.deposit("d-1").await.text("status"), "created");
    assert_eq!(app.confirm("d-1").await, Some(1));
    let url = app.server_uri("d-1");
    assert_eq!(app.call_back(&url, &with(app.next_callback("d-1"), "transfer_id", "7781")).await, 200);
    assert_eq!(app.place("deposits", "d-1").await, "processing/verifying");
    app.advance(TOO_LONG);
    app.sandbox.inject("get_transfer_detail", None, Fault::HangAfter, Times::Count(1));
    let meanwhile = async {
        app.sandbox.wait_for_held(1).await;
        assert_eq!(app.callbacks().await, [200]);
        app.sandbox.release();
    };
    futures_util::future::join(app.look(), meanwhile).await;
    app.settle_down().await;
    assert_eq!(app.place("deposits", "d-1").await, "succeeded");
    app.finish().await;
}

/// The call stayed open for as long as late money was waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_lost_is_written_off_before_its_deposit_expires() {
    let app = TestApp::start_with(&[("TILLGATE__TIMING__PROVIDER_TIMEOUT", "10s")], &json!({})).await;
    app.link_ada().await;
    app.sandbox.inject("pre_pay", Some("d-1"), Fault::HangBefore, Times::Count(1));
    let meanwhile = async {
        app.sandbox.wait_for_held(1).await;
        let forged = with(app.claim("deposits", "d-1", "1").await, "transfer_id", "7781");
        assert_eq!(app.call_back(&app.server_uri("d-1"), &forged).await, 200);
        app.advance(TOO_LONG);
        // To write it off is news, after which the claim has its grace again.
        app.live(Duration::from_mins(3), Duration::from_mins(1), false).await;
        assert_eq!((app.place("deposits", "d-1").await.as_str(), app.attempts("d-1").await), ("expired", vec!["unknown".to_owned()]));
        app.sandbox.release();
    };
    futures_util::future::join(app.deposit("d-1"), meanwhile).await;
    app.finish().await;
}

/// A deposit at a wallet that does not refuse a repeated id, announced again because the first answer was lost. The customer may
/// have paid in between. Gives the number of the transfer that was paid.
async fn announced_twice(app: &TestApp, paid: bool) -> Option<String> {
    app.link_ada().await;
    app.sandbox.inject("pre_pay", Some("d-1"), Fault::LoseAfter, Times::Count(1));
    assert_eq!(app.deposit("d-1").await.text("status"), "created");
    if paid {
        assert_eq!(app.confirm("d-1").await, Some(1));
    }
    app.advance(Duration::from_mins(1));
    app.submit().await;
    assert_eq!((app.place("deposits", "d-1").await.as_str(), app.sandbox.calls("pre_pay")), ("awaiting_payment", 2));
    app.sandbox.books().pop().map(|entry| entry.transfer_id)
}

/// A wallet that takes an id twice.
async fn careless() -> TestApp {
    TestApp::start_on(Options { duplicate_check: false, ..Options::default() }, &[], &json!({})).await
}

/// The money of the first announcement was taken for a lie, and its deposit expired.
#[tokio::test(flavor = "multi_thread")]
async fn the_customer_may_pay_the_first_of_two_announcements() {
    let app = careless().await;
    let paid = announced_twice(&app, true).await.expect("money moved");
    assert_ne!(app.get("/v1/deposits/d-1").await.text("provider_reference"), paid, "we know the other one");
    assert_eq!(app.callbacks().await, [200]);
    app.settle_down().await;
    let order = app.get("/v1/deposits/d-1").await;
    assert_eq!((order.text("status"), order.text("provider_reference")), ("succeeded", paid.as_str()));
    assert_eq!(app.count("discrepancies").await, 0);
    app.finish().await;
}

/// That there may be two transfers does not make every number one of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_lie_about_a_deposit_of_two_announcements_is_not_believed() {
    let app = careless().await;
    assert_eq!(announced_twice(&app, false).await, None);
    let forged = with(app.claim("deposits", "d-1", "1").await, "transfer_id", "7781");
    assert_eq!(app.call_back(&app.server_uri("d-1"), &forged).await, 200);
    app.settle_down().await;
    assert_eq!(app.place("deposits", "d-1").await, "processing/verifying");
    app.live(TOO_LONG, Duration::from_mins(1), false).await;
    assert_eq!(app.place("deposits", "d-1").await, "expired");
    assert_eq!(app.count("discrepancies WHERE kind = 'forged_callback'").await, 1);
    app.finish().await;
}

/// It was announced again although it had gone on meanwhile, and its task was gone: where that process died, the second call stayed
/// open for ever (seed 71). The customer could have confirmed both.
#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_that_goes_on_while_its_lost_call_is_written_off_is_not_announced_again() {
    let app = TestApp::start_with(&[("TILLGATE__TIMING__PROVIDER_TIMEOUT", "10s")], &json!({})).await;
    app.link_ada().await;
    let other = app.replica(TrustedProxies::default());
    app.sandbox.inject("pre_pay", Some("d-1"), Fault::HangAfter, Times::Count(1));
    let meanwhile = async {
        app.sandbox.wait_for_held(1).await;
        assert_eq!(app.confirm("d-1").await, Some(1));
        // For all that the others know, that process is dead. They and the callback come to the order at the same time.
        app.advance(Duration::from_mins(5));
        let mut gate = app.database().await;
        sqlx::raw_sql("BEGIN; SELECT FROM orders FOR UPDATE").execute(&mut gate).await.expect("the order");
        let mut eyes = app.database().await;
        let others = async {
            waiting(&mut eyes, 1).await;
            let open = async {
                waiting(&mut eyes, 2).await;
                sqlx::raw_sql("COMMIT").execute(&mut gate).await.expect("it is free again");
            };
            futures_util::future::join(other.submit(), open).await;
        };
        let (told, ()) = futures_util::future::join(app.callbacks(), others).await;
        assert_eq!(told, [200]);
        app.settle_down().await;
        assert_eq!((app.place("deposits", "d-1").await.as_str(), app.sandbox.calls("pre_pay")), ("succeeded", 1));
        assert_eq!((app.attempts("d-1").await, app.count("tasks").await), (vec!["unknown".to_owned()], 0));
        app.sandbox.release();
    };
    futures_util::future::join(app.deposit("d-1"), meanwhile).await;
    other.stop().await;
    app.finish().await;
}

/// It was written off in the moment in which its answer was written down, by which nothing had been sent: the payout was queued again,
/// and in doubt, so that nobody dared to send it, for ever. The fault campaign has found it (seed 226).
#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_answer_comes_while_it_is_written_off_was_not_lost() {
    let app = TestApp::start().await;
    app.link_ada().await;
    // FOMO refuses our signature: nothing is sent.
    app.sandbox.inject("pay_user", Some("p-1"), Fault::Code(7), Times::Count(1));
    app.payout("p-1").await;
    app.submit().await;
    let mut database = app.database().await;
    let (merchant, order, attempt) =
        sqlx::query_as("SELECT merchant_id, order_id, attempt_id FROM attempts").fetch_one(&mut database).await.expect("a call");
    let now = orders::by_id(&mut *app.lease().await, MerchantId(merchant), OrderId(order)).await.expect("a read").expect("an order");
    // Somebody has read it while the call was open, and takes it for lost.
    let before = Order { sequence: now.sequence - 1, state: State::Payout(Payout::Submitting), ..now };
    let says = Says::Answer { outcome: Outcome::Unknown("it was lost".to_owned()), late: false };
    let lost = Report { channel: Channel::Gateway, proven: true, says, evidence: None };
    let notes = Notes { ends: Some(AttemptId(attempt)), progress: Some(Progress::default()), opens: None };
    let tenant = tenant(&app.context, MerchantId(merchant)).await.expect("the merchant");
    let settled = settle(&app.context, tenant.account(Provider::Fomo).expect("an account"), before, lost, notes).await.expect("a word");
    assert_eq!((settled.changed, settled.order.doubts, app.attempts("p-1").await), (false, 0, vec!["misconfigured".to_owned()]));
    app.advance(Duration::from_mins(1));
    app.submit().await;
    assert_eq!((app.place("payouts", "p-1").await.as_str(), app.sandbox.executions("p-1")), ("succeeded", 1));
    app.finish().await;
}

/// Its call ended in the moment in which a worker took its task, and the task stayed, kept for that call, for ever (seed 51).
#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_kept_for_a_call_that_has_ended_is_taken_away() {
    let app = TestApp::start().await;
    app.link_ada().await;
    app.payout("p-1").await;
    app.settle_down().await;
    app.callbacks().await;
    assert_eq!((app.place("payouts", "p-1").await.as_str(), app.count("tasks").await), ("succeeded", 0));
    let sql = "INSERT INTO tasks (merchant_id, order_id, work, due_at, tries, attempt_id)
               SELECT merchant_id, order_id, 'submit', ended_at, 0, attempt_id FROM attempts";
    sqlx::raw_sql(sql).execute(&mut app.database().await).await.expect("a task that was left");
    app.settle_down().await;
    assert_eq!(app.count("tasks").await, 0);
    app.finish().await;
}

/// Whoever has seen an order before it went on puts nothing off any more, and hears that he has not.
#[tokio::test(flavor = "multi_thread")]
async fn what_tells_nothing_new_of_an_order_as_it_was_leaves_its_task_alone() {
    let app = TestApp::start().await;
    app.link_ada().await;
    // FOMO refuses our signature: the payout is queued again.
    app.sandbox.inject("pay_user", Some("p-1"), Fault::Code(7), Times::Count(1));
    app.payout("p-1").await;
    app.submit().await;
    let (merchant, order) =
        sqlx::query_as("SELECT merchant_id, order_id FROM orders").fetch_one(&mut app.database().await).await.expect("an order");
    let now = orders::by_id(&mut *app.lease().await, MerchantId(merchant), OrderId(order)).await.expect("a read").expect("an order");
    let tenant = tenant(&app.context, MerchantId(merchant)).await.expect("the merchant");
    let account = tenant.account(Provider::Fomo).expect("an account");
    let before = Order { sequence: now.sequence - 1, ..now.clone() };
    for (seen, tries, written) in [(before, 8, 0), (now, 9, 1)] {
        let nothing = Report { channel: Channel::Clock, proven: true, says: Says::Nothing, evidence: None };
        let notes = Notes { progress: Some(Progress { tries, ..Progress::default() }), ..Notes::default() };
        let settled = settle_page(&app.context, account, &[Change::new(seen, nothing, notes)], &[]).await.expect("a word");
        let found = app.count(&format!("tasks WHERE tries = {tries}")).await;
        assert_eq!((settled.iter().flatten().count(), found), (written, i64::try_from(written).expect("a number")));
    }
    app.finish().await;
}

/// A machine that was ahead kept what it had taken from the others for as long.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_asked_goes_by_the_time_of_the_database() {
    let database = fresh_database().await;
    let settings = settings(&database, free_port(), &[]);
    let right = Clock::system().now();
    for wrong in [Duration::ZERO, Duration::from_hours(24)] {
        let clock = Clock::system();
        clock.anchor(right + wrong, clock.instant());
        let context = app::context(&settings, clock.clone()).expect("a context");
        assert_eq!(time::keep(&context).await.expect("the time"), 1);
        let apart = (clock.now() - right).abs();
        assert!(apart < Duration::from_mins(1), "{apart}");
        context.db.close().await;
    }
}
