//! How deposits end: what came, when, and what the account makes of it.

use serde_json::json;

use super::{Payer, abnormal, deadline, events, expect, finish, late_window, round, set_policy, start, unmatched};

#[tokio::test(flavor = "multi_thread")]
async fn exact_money_makes_four_steps_each_with_its_event_and_its_reason() {
    let app = start(&json!({})).await;
    let ada = Payer::new(&app, "ada").await;
    ada.ask("d-1", "2").await;
    let number = ada.send("2");
    round(&app).await;
    round(&app).await;
    expect(&app, &[("d-1", "processing/confirming 2/0 exact")]).await;
    finish(&app, number);
    round(&app).await;
    expect(&app, &[("d-1", "succeeded 2/2 exact")]).await;
    assert_eq!(events(&app, "d-1").await, ["deposit.created", "deposit.awaiting_payment", "deposit.processing", "deposit.succeeded"]);
    let timeline = app.get("/v1/orders/d-1/timeline").await.body;
    let steps: Vec<(&str, &str)> = timeline["entries"]
        .as_array()
        .expect("entries")
        .iter()
        .filter(|entry| entry["type"] == "step")
        .map(|entry| (entry["evidence"]["channel"].as_str().unwrap_or_default(), entry["summary"].as_str().unwrap_or_default()))
        .collect();
    assert_eq!(steps[2..], [("feed", "received 2, of which 0 is confirmed"), ("feed", "received 2, of which 2 is confirmed")]);
    assert_eq!((timeline["waiting_for"].is_null(), timeline["next_action_at"].is_null()), (true, true));
    let order = app.get("/v1/deposits/d-1").await.body;
    assert_eq!((order["provider_reference"].as_str(), order["confirmations"].as_i64()), (Some(number.to_string().as_str()), Some(11)));
    assert_eq!(order["txid"], app.get("/v1/receipts").await.body["data"][0]["txid"]);
    app.everything_is_found().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_little_at_the_deadline_ends_as_the_account_wants() {
    let app = start(&json!({ "under": "wait" })).await;
    let stories = [
        ("wait", "expired 0.5/0.5 under", "expired 0.5/0 under", "expired 0.5/0.5 under"),
        ("accept", "succeeded 0.5/0.5 under", "processing/confirming 0.5/0 under", "succeeded 0.5/0.5 under"),
        (
            "review",
            "requires_review/under_paid 0.5/0.5 under",
            "requires_review/under_paid 0.5/0 under",
            "requires_review/under_paid 0.5/0.5 under",
        ),
    ];
    for (under, confirmed, pending, then) in stories {
        set_policy(&app, &json!({ "under": under })).await;
        let (one, two) = (Payer::new(&app, &format!("{under}-1")).await, Payer::new(&app, &format!("{under}-2")).await);
        let (first, second) = (format!("{under}-c"), format!("{under}-p"));
        one.ask(&first, "2").await;
        two.ask(&second, "2").await;
        one.pay("0.5");
        let waits = two.send("0.5");
        round(&app).await;
        let partly = app.get(&format!("/v1/deposits/{second}")).await.body;
        assert_eq!((&partly["stage"], &partly["next_action"]["amount"]), (&json!("partially_paid"), &json!("1.5")));
        deadline(&app).await;
        expect(&app, &[(&first, confirmed), (&second, pending)]).await;
        finish(&app, waits);
        round(&app).await;
        expect(&app, &[(&second, then)]).await;
        two.pay("1.5");
        round(&app).await;
        let last = match under {
            "wait" => "succeeded 2/2 exact late",
            "accept" => "succeeded 0.5/0.5 under",
            _ => "succeeded 2/2 exact",
        };
        expect(&app, &[(&second, last)]).await;
    }
    app.everything_is_found().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_and_nearly_enough_end_as_the_account_wants() {
    let app = start(&json!({})).await;
    for (over, end) in [("accept", "succeeded 3/3 over"), ("review", "requires_review/over_paid 3/3 over")] {
        set_policy(&app, &json!({ "over": over })).await;
        let payer = Payer::new(&app, over).await;
        payer.ask(over, "2").await;
        let number = payer.send("3");
        round(&app).await;
        expect(&app, &[(over, "processing/confirming 3/0 over")]).await;
        finish(&app, number);
        round(&app).await;
        expect(&app, &[(over, end)]).await;
    }
    let resolve = json!({ "action": "confirm", "reason": "the customer keeps the change" });
    assert_eq!(app.post("/v1/deposits/review/resolve", &resolve).await.status, 200);
    expect(&app, &[("review", "succeeded 3/3 over")]).await;
    set_policy(&app, &json!({ "tolerance_percent": "5", "over": "review" })).await;
    for (paid, end) in [
        ("1.9", "succeeded 1.9/1.9 exact"),
        ("1.89", "processing/partially_paid 1.89/1.89 under"),
        ("2.1", "succeeded 2.1/2.1 exact"),
        ("2.11", "requires_review/over_paid 2.11/2.11 over"),
    ] {
        let name = format!("near-{}", paid.replace('.', "-"));
        let payer = Payer::new(&app, &name).await;
        payer.ask(&name, "2").await;
        payer.pay(paid);
        round(&app).await;
        expect(&app, &[(&name, end)]).await;
    }
    app.everything_is_found().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn late_money_counts_or_waits_for_a_person_until_the_order_is_final() {
    let app = start(&json!({})).await;
    let payers = [Payer::new(&app, "a").await, Payer::new(&app, "b").await, Payer::new(&app, "c").await, Payer::new(&app, "d").await];
    for (payer, trade_id) in payers.iter().zip(["a", "b", "c", "d"]) {
        payer.ask(trade_id, "2").await;
    }
    assert_eq!(app.post("/v1/deposits/c/cancel", &json!({})).await.text("status"), "canceled");
    deadline(&app).await;
    expect(&app, &[("a", "expired 0/0 none"), ("b", "expired 0/0 none"), ("c", "canceled 0/0 none")]).await;
    let [a, b, c, d] = &payers;
    let pending = a.send("2");
    c.pay("2");
    round(&app).await;
    expect(&app, &[("a", "processing/confirming 2/0 exact late"), ("c", "succeeded 2/2 exact late")]).await;
    finish(&app, pending);
    set_policy(&app, &json!({ "late": "review" })).await;
    b.pay("2");
    round(&app).await;
    expect(&app, &[("a", "requires_review/late 2/2 exact late"), ("b", "requires_review/late 2/2 exact late")]).await;
    let part = d.pay("0.5");
    round(&app).await;
    expect(&app, &[("d", "expired 0.5/0.5 under")]).await;
    late_window(&app).await;
    assert_eq!(app.get("/v1/deposits/d").await.body["is_final"], true);
    let after = d.pay("1.5");
    round(&app).await;
    expect(&app, &[("d", "expired 0.5/0.5 under")]).await;
    assert_eq!(unmatched(&app).await, [format!("{after} confirmed")]);
    abnormal(&app, part);
    round(&app).await;
    expect(&app, &[("d", "expired 0/0 none")]).await;
    app.everything_is_found().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn abnormal_money_does_not_count_and_a_person_looks_until_good_money_comes() {
    let app = start(&json!({})).await;
    let [first, later, after, none] =
        [Payer::new(&app, "first").await, Payer::new(&app, "later").await, Payer::new(&app, "after").await, Payer::new(&app, "none").await];
    for (payer, trade_id) in [(&first, "first"), (&later, "later"), (&after, "after")] {
        payer.ask(trade_id, "2").await;
    }
    let strange = first.send("2");
    abnormal(&app, strange);
    let turns = later.send("2");
    let undone = after.pay("2");
    let nobodys = none.send("1");
    round(&app).await;
    abnormal(&app, turns);
    abnormal(&app, undone);
    abnormal(&app, nobodys);
    let review = "requires_review/abnormal 0/0 none";
    expect(&app, &[("first", review), ("later", "processing/confirming 2/0 exact"), ("after", "succeeded 2/2 exact")]).await;
    round(&app).await;
    expect(&app, &[("later", review), ("after", "succeeded 0/0 none")]).await;
    assert_eq!(unmatched(&app).await, [format!("{nobodys} abnormal")]);
    let found = app.get("/v1/discrepancies?status=open").await.body;
    assert_eq!(found["data"].as_array().map(Vec::len), Some(1));
    assert_eq!((&found["data"][0]["kind"], &found["data"][0]["trade_id"]), (&json!("contradiction"), &json!("after")));
    assert_eq!(app.count("events WHERE event_type = 'discrepancy.opened'").await, 1);
    // Good money settles what waits for it; what is over stays over.
    later.pay("2");
    first.pay("0.5");
    let again = after.pay("2");
    round(&app).await;
    expect(&app, &[("first", "requires_review/abnormal 0.5/0.5 under"), ("later", "succeeded 2/2 exact"), ("after", "succeeded 0/0 none")])
        .await;
    assert_eq!(unmatched(&app).await, [format!("{nobodys} abnormal"), format!("{again} confirmed")]);
    finish(&app, strange);
    finish(&app, undone);
    round(&app).await;
    expect(&app, &[("first", "succeeded 2.5/2.5 over"), ("after", "succeeded 2/2 exact")]).await;
    app.everything_is_found().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_confirms_brings_no_money_that_never_came() {
    let app = start(&json!({})).await;
    let [one, two] = [Payer::new(&app, "one").await, Payer::new(&app, "two").await];
    one.ask("1", "2").await;
    two.ask("two", "2").await;
    abnormal(&app, one.send("2"));
    let seen_first = two.send("2");
    round(&app).await;
    abnormal(&app, seen_first);
    round(&app).await;
    for trade_id in ["1", "two"] {
        let path = format!("/v1/deposits/{trade_id}/resolve");
        assert_eq!(app.post(&path, &json!({ "action": "confirm", "reason": "paid in cash" })).await.status, 200);
    }
    expect(&app, &[("1", "succeeded 0/0 none"), ("two", "succeeded 0/0 none")]).await;
    assert_eq!(app.count("receipts").await, 2);
    app.everything_is_found().await;
    app.finish().await;
}
