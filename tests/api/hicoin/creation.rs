//! What may be asked for, and what becomes of it before anything is sent.

use serde_json::{Value, json};
use tillgate::domain::audit::By;
use tillgate::domain::order::Provider;
use tillgate::flows::setup;
use tillgate::sandbox::Options;

use super::ways::{ADDRESS, WAYS, Way, World, seen};
use crate::harness::{TestApp, hicoin, merchant};

async fn start() -> World {
    World::start_on(Options::default(), &json!({})).await
}

/// The merchant's account at Hicoin no longer says whom payouts to addresses are taken from.
async fn forget_source(app: &TestApp) {
    let mut document = merchant("acme", &app.sandbox, &json!({}));
    let mut account = hicoin(&app.sandbox, &json!({}));
    account.remove("payout_uid");
    document.accounts.insert(Provider::Hicoin, account);
    setup::apply(&app.context, &By::operator("test"), &document).await.expect("an account");
    app.context.tenants.forget();
}

fn changed(mut wish: Value, key: &str, value: Value) -> Value {
    wish[key] = value;
    wish
}

#[tokio::test(flavor = "multi_thread")]
async fn destinations_that_a_provider_does_not_pay_to_are_refused() {
    let world = start().await;
    let address = json!({ "type": "address", "address": ADDRESS });
    let (fomo_user, hicoin_user) = (json!({ "type": "fomo_user", "user_id": "42" }), json!({ "type": "hicoin_user", "uid": "10001" }));
    for (provider, coin, destination) in [("fomo", "usdt", &address), ("fomo", "usdt", &hicoin_user), ("hicoin", "ETH", &fomo_user)] {
        let wish = json!({ "trade_id": "p-1", "provider": provider, "coin": coin, "amount": "1", "destination": destination });
        let refused = world.app.post("/v1/payouts", &wish).await;
        refused.expect_problem(422, "destination_not_supported");
        assert_eq!(refused.pointers(), ["/destination/type"], "{provider} {destination}");
    }
    let transfer = world.wish(Way::BetweenUsers, "t-1");
    let refused = world.app.post("/v1/transfers", &changed(transfer.clone(), "provider", json!("fomo"))).await;
    refused.expect_problem(422, "transfers_not_supported");
    assert_eq!(refused.pointers(), ["/provider"]);
    for (key, value, code, pointers) in [
        ("from_customer", json!("eve"), "customer_not_registered", ["/from_customer"]),
        ("to_customer", json!("eve"), "customer_not_registered", ["/to_customer"]),
        ("to_customer", json!("ada"), "validation_failed", ["/to_customer"]),
        ("coin", json!("DOGE"), "coin_unknown", ["/coin"]),
        ("provider", json!("youliao"), "validation_failed", ["/provider"]),
    ] {
        let refused = world.app.post("/v1/transfers", &changed(transfer.clone(), key, value.clone())).await;
        refused.expect_problem(422, code);
        assert_eq!(refused.pointers(), pointers, "{key} {value}");
    }
    let rival = world.app.other_merchant(&[tillgate::flows::tenant::Scope::Admin]).await;
    let rival = secrecy::ExposeSecret::expose_secret(&rival).to_owned();
    for way in WAYS {
        let path = format!("/v1/{}", way.collection());
        world.app.call_as(&rival, "POST", &path, Some(&world.wish(way, "p-1"))).await.expect_problem(422, "provider_not_configured");
    }
    assert_eq!((world.app.count("orders").await, world.app.count("tasks").await), (0, 0));
    world.app.settle_down().await;
    assert!(world.app.sandbox.call_log().iter().all(|call| call.trade_id.is_none()));
    world.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_source_nothing_goes_to_addresses_and_what_was_granted_stays_granted() {
    let world = start().await;
    let granted = world.app.post("/v1/payouts", &world.wish(Way::OnChain, "p-1")).await;
    assert_eq!(granted.status, 201);
    forget_source(&world.app).await;
    for way in [Way::OnChain, Way::Internal] {
        let refused = world.app.post("/v1/payouts", &world.wish(way, "p-2")).await;
        refused.expect_problem(422, "payout_source_missing");
        assert_eq!(refused.pointers(), ["/provider"]);
    }
    let again = world.app.post("/v1/payouts", &world.wish(Way::OnChain, "p-1")).await;
    assert_eq!((again.status, again.header("idempotent-replayed"), &again.body), (200, "true", &granted.body));
    for way in [Way::ToUser, Way::BetweenUsers] {
        world.create(way, way.name()).await;
    }
    world.app.settle_down().await;
    let ends = world.seen().await;
    assert_eq!(ends["p-1"], seen("processing/accepted", &["accepted"], 1, 1), "it is taken from whom it was to be taken from");
    assert_eq!((ends["user"].place.as_str(), ends["between"].place.as_str(), ends.len()), ("succeeded", "succeeded", 3));
    world.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_wish_is_the_same_order_and_another_one_a_conflict() {
    let world = start().await;
    for way in WAYS {
        let (id, path) = (way.name(), format!("/v1/{}", way.collection()));
        let wish = world.wish(way, id);
        let (one, two) = tokio::join!(world.app.post(&path, &wish), world.app.post(&path, &wish));
        assert_eq!([one.status, two.status].iter().sum::<u16>(), 201 + 200, "{id}");
        world.app.submit().await;
        let again = world.app.post(&path, &changed(wish.clone(), "amount", json!("1.000"))).await;
        assert_eq!((again.status, again.header("idempotent-replayed")), (200, "true"), "{id}");
        for (key, value) in [("amount", json!("1.1")), ("coin", json!("USDT")), ("metadata", json!({ "cart": 1 }))] {
            world.app.post(&path, &changed(wish.clone(), key, value)).await.expect_problem(409, "trade_id_conflict");
        }
        for other in WAYS.into_iter().filter(|other| *other != way) {
            let path = format!("/v1/{}", other.collection());
            world.app.post(&path, &world.wish(other, id)).await.expect_problem(409, "trade_id_conflict");
        }
        let deposit = json!({ "trade_id": id, "provider": "hicoin", "coin": "ETH", "amount": "1", "customer": "ada" });
        world.app.post("/v1/deposits", &deposit).await.expect_problem(409, "trade_id_conflict");
        let seen = &world.seen().await[id];
        assert_eq!((seen.executions, seen.calls), (1, 1), "{id}");
    }
    let back = changed(changed(world.wish(Way::BetweenUsers, "between"), "from_customer", json!("bob")), "to_customer", json!("ada"));
    world.app.post("/v1/transfers", &back).await.expect_problem(409, "trade_id_conflict");
    world.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_sent_can_be_called_off_and_what_was_sent_cannot() {
    let world = start().await;
    for way in WAYS {
        let cancel = |id: &str| format!("/v1/{}/{id}/cancel", way.collection());
        let (early, late) = (format!("{}-early", way.name()), format!("{}-late", way.name()));
        world.create(way, &early).await;
        for _ in 0..2 {
            let canceled = world.app.post(&cancel(&early), &json!({})).await;
            assert_eq!((canceled.status, canceled.text("status"), &canceled.body["is_final"]), (200, "canceled", &json!(true)));
        }
        world.create(way, &late).await;
        world.app.submit().await;
        world.app.post(&cancel(&late), &json!({})).await.expect_problem(409, "order_not_cancelable");
    }
    world.pass_a_day().await;
    for (id, end) in world.seen().await {
        assert_eq!((end.place == "canceled", end.calls), (id.ends_with("early"), usize::from(id.ends_with("late"))), "{id}");
    }
    world.app.finish().await;
}
