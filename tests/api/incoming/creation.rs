//! Deposits whose address is asked for: what can go wrong before a customer can pay.

use std::time::Duration;

use serde_json::json;
use tillgate::sandbox::{Fault, Options, Times};

use super::{Payer, events, expect, round, start};
use crate::harness::{TestApp, waiting};

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_not_to_be_had_is_asked_for_again() {
    let app = start(&json!({})).await;
    for (fault, name) in [(Fault::LoseBefore, "lost"), (Fault::Error500After, "broken"), (Fault::Code(100_005), "refused")] {
        let payer = Payer::new(&app, name).await;
        app.sandbox.fault("getDepositAddress", fault);
        let made = payer.ask(name, "2").await;
        assert_eq!((made.text("status"), &made.body["next_action"]), ("created", &json!(null)));
        app.live(Duration::from_mins(1), Duration::from_secs(10), false).await;
        expect(&app, &[(name, "awaiting_payment 0/0 none")]).await;
        let order = app.get(&format!("/v1/deposits/{name}")).await.body;
        assert_eq!((&order["next_action"]["type"], &order["next_action"]["amount"]), (&json!("send_to_address"), &json!("2")));
        assert_eq!(events(&app, name).await.last().map(String::as_str), Some("deposit.awaiting_payment"));
        payer.pay("2");
        round(&app).await;
        expect(&app, &[(name, "succeeded 2/2 exact")]).await;
    }
    app.everything_is_found().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_for_an_order_without_an_address_counts_and_is_looked_for_before_it_expires() {
    let app = start(&json!({})).await;
    let [ada, bob] = [Payer::new(&app, "ada").await, Payer::new(&app, "bob").await];
    app.sandbox.inject("getDepositAddress", None, Fault::LoseBefore, Times::Forever);
    for (payer, trade_id) in [(&ada, "d-1"), (&bob, "d-2")] {
        assert_eq!(payer.ask(trade_id, "2").await.text("status"), "created");
    }
    ada.pay("2");
    round(&app).await;
    expect(&app, &[("d-1", "succeeded 2/2 exact")]).await;
    app.sandbox.inject("syncDepositList", None, Fault::Error500Before, Times::Forever);
    bob.pay("2");
    app.live(Duration::from_mins(20), Duration::from_mins(2), false).await;
    expect(&app, &[("d-2", "created 0/0 none")]).await;
    app.sandbox.clear_faults();
    app.live(Duration::from_mins(1), Duration::from_secs(10), false).await;
    expect(&app, &[("d-2", "succeeded 2/2 exact")]).await;
    app.everything_is_found().await;
    app.finish().await;
}

/// What settled the deposit did not see the call that was being opened in that moment, and took its task away: a process that died
/// in that call left it open for ever. The fault campaign has found it (seed 44).
#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_that_is_paid_while_its_address_is_asked_for_again_leaves_no_call_open() {
    let app = TestApp::start_hicoin(Options::default(), &[("TILLGATE__TIMING__PROVIDER_TIMEOUT", "10s")], &json!({})).await;
    let ada = Payer::new(&app, "ada").await;
    app.sandbox.inject("getDepositAddress", None, Fault::LoseBefore, Times::Count(1));
    assert_eq!(ada.ask("d-1", "2").await.text("status"), "created");
    ada.pay("2");
    app.advance(Duration::from_mins(1));
    let mut gate = app.database().await;
    let sql = "SELECT pg_advisory_lock(1);
               CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END $$;
               CREATE TRIGGER wait AFTER INSERT ON attempts FOR EACH ROW EXECUTE FUNCTION wait();";
    sqlx::raw_sql(sql).execute(&mut gate).await.expect("a gate");
    app.sandbox.inject("getDepositAddress", None, Fault::HangBefore, Times::Count(1));
    let meanwhile = async {
        waiting(&mut gate, 1).await;
        let open = async {
            waiting(&mut gate, 2).await;
            sqlx::raw_sql("SELECT pg_advisory_unlock(1)").execute(&mut gate).await.expect("the gate opens");
        };
        futures_util::future::join(app.read_feeds(), open).await;
        expect(&app, &[("d-1", "succeeded 2/2 exact")]).await;
        app.sandbox.wait_for_held(1).await;
        // For all that the others know, that process is dead.
        app.advance(Duration::from_mins(10));
        app.settle_down().await;
        assert_eq!((app.attempts("d-1").await, app.count("tasks").await), (vec!["unknown".to_owned(), "unknown".to_owned()], 0));
        app.sandbox.release();
    };
    futures_util::future::join(app.submit(), meanwhile).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_registered_customers_can_be_asked_for_money() {
    let app = start(&json!({})).await;
    let nobody = Payer { app: &app, name: "nobody".to_owned(), uid: 0 };
    let refused = nobody.try_ask("d-1", "2").await;
    refused.expect_problem(422, "customer_not_registered");
    assert_eq!(refused.pointers(), ["/customer"]);
    assert_eq!((app.count("orders").await, app.sandbox.calls("getDepositAddress")), (0, 0));
    app.finish().await;
}
