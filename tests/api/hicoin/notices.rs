//! Notices, which nobody signs: they make us ask, and nothing else.

use serde_json::json;
use tillgate::domain::audit::By;
use tillgate::domain::order::Provider;
use tillgate::flows::capability::notice_url;
use tillgate::flows::setup;
use tillgate::sandbox::{CallbackFault, HicoinStage, Options};

use super::ways::{Way, World, merchant_id, seen};
use crate::harness::{hicoin, merchant};

async fn start() -> World {
    World::start_on(Options::default(), &json!({})).await
}

async fn url(world: &World, name: &str) -> String {
    let merchant = merchant_id(&world.app, name).await;
    notice_url(&world.app.context, merchant, Provider::Hicoin).expect("an address").to_string()
}

/// Somebody posts this to an address. Gives the HTTP status and the body.
async fn post(world: &World, url: &str, body: &str) -> (u16, String) {
    let request = world.app.http.post(url).header("content-type", "application/x-www-form-urlencoded").body(body.to_owned());
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a text"))
}

fn success() -> (u16, String) {
    (200, "SUCCESS".to_owned())
}

/// A withdrawal that is asked about hourly by now.
async fn old_withdrawal(world: &World, trade_id: &str) {
    world.create(Way::OnChain, trade_id).await;
    world.app.submit().await;
    for wait in [5, 20, 30, 60, 300, 900, 3600] {
        world.pass(wait).await;
    }
    assert_eq!(world.place(Way::OnChain, trade_id).await, "processing/provider_review");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_makes_us_ask_at_once() {
    let world = start().await;
    world.app.sandbox.set_hicoin_notice_url(None, Some(&url(&world, "acme").await)).expect("an app");
    old_withdrawal(&world, "p-1").await;
    // What was told meanwhile came at once.
    assert_eq!(world.app.callbacks().await, [200]);
    world.app.settle_down().await;
    for (stage, place) in [(HicoinStage::Paying, "processing/broadcast"), (HicoinStage::Done, "succeeded")] {
        world.app.sandbox.hicoin_withdrawal(None, "p-1", stage, None).expect("a withdrawal");
        world.app.settle_down().await;
        assert_ne!(world.place(Way::OnChain, "p-1").await, place, "nobody has told us");
        assert_eq!(world.app.callbacks().await, [200]);
        assert_ne!(world.place(Way::OnChain, "p-1").await, place, "nothing in a notice is believed");
        world.app.settle_down().await;
        assert_eq!(world.place(Way::OnChain, "p-1").await, place);
    }
    assert_eq!(world.app.sandbox.pending_callbacks(), [], "SUCCESS is what Hicoin waits for");
    world.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_in_a_notice_is_believed_and_a_repeated_one_is_one_report() {
    let world = start().await;
    let url = url(&world, "acme").await;
    old_withdrawal(&world, "p-1").await;
    let told = world.app.get("/v1/payouts/p-1").await.body;
    let asked = world.asked(Way::OnChain, "p-1", 0).len();
    let forged = "app_id=acme-hicoin&id=7&request_id=p-1&uid=1&symbol=BTC&amount=99&status=5&txid=ff&confirmations=99&address_to=0x0";
    assert_eq!(post(&world, &url, forged).await, success());
    let footprint = world.app.footprint().await;
    for _ in 0..20 {
        assert_eq!(post(&world, &url, forged).await, success());
    }
    assert_eq!(world.app.footprint().await, footprint, "a repeated notice wrote something");
    assert_eq!(world.app.kept_callbacks("p-1").await, ["unchanged"]);
    world.app.settle_down().await;
    assert_eq!(world.asked(Way::OnChain, "p-1", 0).len(), asked + 1);
    for status in 0..8 {
        let claim = format!(r#"{{"request_id":"p-1","status":{status},"statuts":"{status}"}}"#);
        assert_eq!(post(&world, &url, &claim).await, success());
        world.app.settle_down().await;
    }
    assert_eq!(world.app.get("/v1/payouts/p-1").await.body, told);
    assert_eq!((world.app.kept_callbacks("p-1").await.len(), world.app.count("discrepancies").await), (9, 0));
    assert_eq!(world.seen().await["p-1"], seen("processing/provider_review", &["accepted"], 1, 1));
    world.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_of_what_is_over_not_begun_or_not_ours_change_nothing() {
    let world = start().await;
    let mut document = merchant("rival", &world.app.sandbox, &json!({}));
    document.accounts.insert(Provider::Hicoin, hicoin(&world.app.sandbox, &json!({})));
    setup::apply(&world.app.context, &By::operator("test"), &document).await.expect("a merchant");
    let (acme, rival) = (url(&world, "acme").await, url(&world, "rival").await);
    world.app.sandbox.inject_callback(Some("over"), CallbackFault::Failed, tillgate::sandbox::Times::Count(1));
    world.create(Way::OnChain, "over").await;
    world.app.submit().await;
    world.create(Way::OnChain, "queued").await;
    assert_eq!(world.app.payout("at-fomo").await.status, 201);
    let before = (world.seen().await, world.app.count("tasks").await);
    let footprint = world.app.footprint().await;
    for (url, id) in [(&acme, "nobodys"), (&acme, "at-fomo"), (&rival, "queued"), (&rival, "over")] {
        assert_eq!(post(&world, url, &format!("id=7&request_id={id}&status=5")).await, success(), "{id}");
    }
    assert_eq!(world.app.footprint().await, footprint);
    for id in ["over", "queued"] {
        assert_eq!(post(&world, &acme, &format!("id=7&request_id={id}&status=5")).await, success());
    }
    assert_eq!((world.seen().await, world.app.count("tasks").await), before);
    assert_eq!(world.app.poll().await, 0);
    assert_eq!(world.place(Way::OnChain, "over").await, "failed");
    world.app.settle_down().await;
    assert_eq!(world.seen().await["queued"], seen("processing/accepted", &["accepted"], 1, 1));
    world.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_a_failure_and_a_foreign_address_is_not_found() {
    let world = start().await;
    let acme = url(&world, "acme").await;
    let footprint = world.app.footprint().await;
    for body in
        ["", "hello", "{", "[]", "[1]", "null", "amount=1&status=5", "id=abc", "id=&request_id=", "request_id=a%20b", "{\"id\":1.5}"]
    {
        assert_eq!(post(&world, &acme, body).await, (200, "FAILURE".to_owned()), "{body}");
    }
    assert_eq!(world.app.footprint().await, footprint);
    assert_eq!(world.app.payout("p-1").await.status, 201);
    world.app.submit().await;
    let fomos = world.app.server_uri("p-1");
    let (_, capability) = fomos.rsplit_once('/').expect("an address");
    let (base, own) = acme.rsplit_once('/').expect("an address");
    let other_end = if own.ends_with('A') { "B" } else { "A" };
    let changed = format!("{}{other_end}", &own[..own.len() - 1]);
    world.app.other_merchant(&[]).await;
    let without_account = url(&world, "rival").await;
    let without_account = without_account.rsplit_once('/').expect("an address").1;
    for foreign in [capability, &changed, &own[1..], &own[..own.len() - 4], without_account, "x"] {
        let (status, _) = post(&world, &format!("{base}/{foreign}"), "id=7&request_id=p-1&status=5").await;
        assert_eq!(status, 404, "{foreign}");
    }
    let at_fomo = format!("{}/{own}", fomos.rsplit_once('/').expect("an address").0);
    assert_eq!(post(&world, &at_fomo, "trade_id=p-1&status=1").await.0, 404);
    assert_eq!(world.app.count("reports WHERE channel = 'callback'").await, 0);
    world.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_of_incoming_money_makes_us_ask_for_its_number() {
    let world = start().await;
    let url = url(&world, "acme").await;
    world.app.settle_down().await;
    assert_eq!(world.app.sandbox.calls_for("depositList", "7"), 0);
    for _ in 0..3 {
        assert_eq!(post(&world, &url, "app_id=acme-hicoin&id=7&uid=10001&symbol=ETH&amount=5&status=1").await, success());
    }
    world.app.settle_down().await;
    assert_eq!(world.app.sandbox.calls_for("depositList", "7"), 1);
    assert_eq!(world.app.count("receipts").await, 0);
    world.app.finish().await;
}
