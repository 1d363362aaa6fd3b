//! Each alteration of Hicoin's books is found, once, with its kind; and it is closed when the books are right again.

use tillgate::domain::order::Provider;
use tillgate::sandbox::{HicoinAlteration as Alter, HicoinApp};

use super::{WAYS, all_is_done, alter, events, open, paid, reconcile_all, start};
use crate::hicoin::ways::Way;

fn sorted(all: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = all.iter().map(|(about, kind)| ((*about).to_owned(), (*kind).to_owned())).collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn every_altered_order_is_found_with_its_kind_and_no_other() {
    let world = start().await;
    let changes = ["removed", "amount", "recipient", "failed", "repeated", "untouched"];
    let id = |way: Way, change: &str| format!("{}-{change}", format!("{way:?}").to_lowercase());
    world.create_all(WAYS.iter().flat_map(|way| changes.map(|change| (*way, id(*way, change))))).await;
    all_is_done(&world).await;
    let clean = reconcile_all(&world.app, Provider::Hicoin, false).await;
    assert_eq!((clean.compared >= 24, clean.disagree, clean.behind, clean.unreadable), (true, 0, 0, 0), "{clean:?}");

    let mut expected = Vec::new();
    for way in WAYS {
        let other = if way == Way::OnChain { "0x754b0c610e311d0d00c810ef857b4dd989a67163" } else { "10777" };
        let of = |change: &str| id(way, change);
        alter(&world, Alter::OrderRemoved { request_id: of("removed") });
        alter(&world, Alter::OrderAmount { request_id: of("amount"), amount: "1.5".parse().expect("an amount") });
        alter(&world, Alter::OrderRecipient { request_id: of("recipient"), to: other.to_owned() });
        alter(&world, Alter::OrderFailed { request_id: of("failed") });
        alter(&world, Alter::OrderRepeated { request_id: of("repeated") });
        let kinds = [("removed", "missing_at_provider"), ("amount", "amount"), ("failed", "status"), ("repeated", "duplicate")];
        expected.extend(kinds.map(|(change, kind)| (of(change), kind.to_owned())));
        // Of a transfer that came of a withdrawal, Hicoin tells the user and not the address that was asked for.
        if way != Way::Internal {
            expected.push((of("recipient"), "recipient".to_owned()));
        }
    }
    expected.sort();
    let first = reconcile_all(&world.app, Provider::Hicoin, false).await;
    assert_eq!(open(&world.app).await, expected);
    assert_eq!((first.disagree, first.opened), (19, 19));

    // The same finding twice is one discrepancy, and one event.
    let again = reconcile_all(&world.app, Provider::Hicoin, false).await;
    assert_eq!((again.disagree, again.opened, again.closed), (19, 0, 0));
    assert_eq!((open(&world.app).await, events(&world.app, "discrepancy.opened").await), (expected.clone(), 19));

    // What is right again is closed, with an event; what comes back is news.
    let mended = id(Way::ToUser, "amount");
    let amount = |text: &str| Alter::OrderAmount { request_id: mended.clone(), amount: text.parse().expect("an amount") };
    alter(&world, amount("1"));
    assert_eq!(reconcile_all(&world.app, Provider::Hicoin, false).await.closed, 1);
    let all = world.app.get("/v1/discrepancies?status=resolved").await.body;
    let closed = &all["data"][0];
    assert_eq!((closed["trade_id"].as_str(), closed["resolved_by"].as_str()), (Some(mended.as_str()), Some("reconciliation")));
    assert_eq!(closed["reason"], "both sides agree again");
    assert_eq!(events(&world.app, "discrepancy.resolved").await, 1);
    alter(&world, amount("1.5"));
    assert_eq!(reconcile_all(&world.app, Provider::Hicoin, false).await.opened, 1);

    // What a person has settled stays so, while it is the same.
    let all = world.app.get("/v1/discrepancies?status=open&limit=100").await.body;
    let one = all["data"].as_array().and_then(|all| all.iter().find(|one| one["trade_id"] == mended)).expect("it is open");
    for (key, value) in [("severity", "major"), ("found_by", "reconciliation"), ("provider", "hicoin")] {
        assert_eq!(one[key], value);
    }
    assert!(one["suggested_action"].as_str().is_some_and(|text| text.len() > 20));
    let reason = serde_json::json!({ "reason": "Hicoin wrote that their list is wrong" });
    let path = format!("/v1/discrepancies/{}/resolve", one["id"].as_str().expect("an id"));
    assert_eq!(world.app.post(&path, &reason).await.status, 200);
    let after = reconcile_all(&world.app, Provider::Hicoin, false).await;
    assert_eq!((after.disagree, after.opened, after.closed), (19, 0, 0));
    assert_eq!(open(&world.app).await.len(), 18);
    world.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_altered_movement_is_found_and_what_was_missed_is_heard_when_it_is_repaired() {
    let world = start().await;
    let app = &world.app;
    // Numbers below these were never asked for.
    app.sandbox.hicoin_skip_deposit_ids(None, 5000).expect("the app");
    let mut numbers = Vec::new();
    for (trade_id, amount) in [("removed", "1"), ("amount", "2"), ("abnormal", "3"), ("untouched", "4")] {
        numbers.push(paid(&world, trade_id, amount).await);
    }
    all_is_done(&world).await;
    assert_eq!(reconcile_all(app, Provider::Hicoin, false).await.disagree, 0);
    let wish = serde_json::json!({ "trade_id": "missed", "provider": "hicoin", "coin": "ETH", "amount": "7", "customer": "ada" });
    assert_eq!(app.post("/v1/deposits", &wish).await.status, 201);
    app.advance(std::time::Duration::from_mins(5));

    alter(&world, Alter::DepositRemoved { id: numbers[0] });
    alter(&world, Alter::DepositAmount { id: numbers[1], amount: "2.5".parse().expect("an amount") });
    app.sandbox.hicoin_abnormal(None, numbers[2]).expect("a deposit");
    let missed = numbers[0] - 150;
    alter(&world, Alter::DepositAdded { id: missed, uid: 10001, symbol: "ETH".to_owned(), amount: "7".parse().expect("an amount") });
    app.advance(std::time::Duration::from_mins(11));
    let receipt = |number: u64| format!("receipt {number}");
    let expected = [
        (receipt(numbers[0]), "missing_at_provider"),
        (receipt(numbers[1]), "amount"),
        (receipt(numbers[2]), "status"),
        (receipt(missed), "missing_here"),
    ];
    let expected: Vec<(&str, &str)> = expected.iter().map(|(about, kind)| (about.as_str(), *kind)).collect();
    assert_eq!(reconcile_all(app, Provider::Hicoin, false).await.opened, 4);
    assert_eq!(open(app).await, sorted(&expected));

    // What we missed is heard at once and finds its order; of the rest nothing is ours to change.
    let run = reconcile_all(app, Provider::Hicoin, true).await;
    assert_eq!((run.repaired, run.closed), (1, 1), "{run:?}");
    assert_eq!(app.place("deposits", "missed").await, "succeeded");
    assert_eq!(open(app).await, sorted(&expected[..3]));
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_left_the_payout_account_without_us_is_found_and_stays_until_a_person_explains_it() {
    let world = start().await;
    let app = &world.app;
    let uid = HicoinApp::default().uid;
    world.create_all([(Way::OnChain, "first".to_owned())]).await;
    all_is_done(&world).await;
    assert_eq!(reconcile_all(app, Provider::Hicoin, false).await.disagree, 0, "nothing to compare with");
    world.create_all([(Way::OnChain, "second".to_owned()), (Way::ToUser, "third".to_owned()), (Way::Internal, "fourth".to_owned())]).await;
    all_is_done(&world).await;
    let run = reconcile_all(app, Provider::Hicoin, false).await;
    assert_eq!(run.disagree, 0, "paid out is not gone: {:?}", open(app).await);

    let owned = app.sandbox.hicoin_balance(None, uid, "ETH").expect("a balance").normal;
    app.sandbox.set_hicoin_balance(None, uid, "ETH", owned - rust_decimal::Decimal::TWO).expect("a balance");
    assert_eq!(reconcile_all(app, Provider::Hicoin, false).await.opened, 1);
    assert_eq!(open(app).await, sorted(&[("ETH", "balance")]));
    assert_eq!(reconcile_all(app, Provider::Hicoin, false).await.closed, 0, "it explains itself by nothing");
    assert_eq!(open(app).await.len(), 1);
    world.app.finish().await;
}

/// A payout is made while the wallet is asked what the account owns: whether the answer has it or not, nobody cries.
#[tokio::test(flavor = "multi_thread")]
async fn a_payout_that_is_made_while_the_balance_is_asked_for_is_no_alarm() {
    use tillgate::domain::ids::RunId;
    use tillgate::sandbox::{Fault, Times};
    for fault in [Fault::HangLate, Fault::HangAfter] {
        let world = start().await;
        let app = &world.app;
        world.create_all([(Way::ToUser, "first".to_owned())]).await;
        all_is_done(&world).await;
        reconcile_all(app, Provider::Hicoin, false).await;
        app.advance(std::time::Duration::from_secs(1));
        // A payout begins and ends while the answer is on its way, at this run and, seen from there, at the next one.
        let run = super::begin(app, Provider::Hicoin, false).await;
        app.sandbox.inject("getAllAccount", None, fault, Times::Count(1));
        let meanwhile = async {
            app.sandbox.wait_for_held(1).await;
            world.create(Way::ToUser, "second").await;
            app.submit().await;
            app.sandbox.release();
        };
        let stop = tokio_util::sync::CancellationToken::new();
        let key = (run.merchant(), RunId(run.run_id));
        let (worked, ()) = tokio::join!(tillgate::flows::reconcile::work(&app.context, key, &stop, |_| ()), meanwhile);
        assert_eq!(worked.expect("a run").map(|run| run.disagree), Some(0));
        all_is_done(&world).await;
        assert_eq!(app.place("payouts", "second").await, "succeeded");
        for _ in 0..2 {
            assert_eq!(reconcile_all(app, Provider::Hicoin, false).await.disagree, 0, "{}", app.get("/v1/discrepancies").await.body);
        }
        world.app.finish().await;
    }
}
