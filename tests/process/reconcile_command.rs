//! `tillgate reconcile` and `tillgate drill`, as the operator types them.

use tillgate::sandbox::HicoinAlteration;

use crate::hicoin::Way;
use crate::house::{At, House, Plan};
use crate::program::{Folder, Launch, until};

#[tokio::test(flavor = "multi_thread")]
async fn it_says_whether_both_sides_agree_and_what_to_do_where_they_do_not() {
    let house = House::with(Plan::at(At::Hicoin)).await;
    let gateway = house.serve("all").await;
    house.register_customers().await;
    for (way, trade_id) in [(Way::ToAddress, "one"), (Way::ToUser, "two"), (Way::BetweenUsers, "three")] {
        house.pay_out(way, trade_id).await;
        house.comes_to(trade_id, &["succeeded"]).await;
    }
    // What has just been made is left out of a period that ends by itself: lists may be late.
    let whole = ["reconcile", "--merchant", "acme", "--from", "2020-01-01", "--to", "2100-01-01"];
    let agree = house.run(&whole).await;
    assert_eq!(agree.code, Some(0), "{}{}", agree.out, agree.err);
    let row = agree.out.lines().nth(1).expect("a row");
    assert!(row.starts_with("acme/hicoin") && row.contains("finished"), "{}", agree.out);
    assert!(agree.err.contains("acme/hicoin: "), "a log gets lines: {}", agree.err);

    let repeated = HicoinAlteration::OrderRepeated { request_id: "two".to_owned() };
    house.sandbox.alter_hicoin(None, repeated).expect("an alteration");
    let disagree = house.run(&whole).await;
    assert_eq!(disagree.code, Some(3), "{}{}", disagree.out, disagree.err);
    for said in ["critical", "duplicate", "acme/hicoin two", "Ask the provider"] {
        assert!(disagree.out.contains(said), "{said:?} is not said: {}", disagree.out);
    }

    for (args, said) in [
        (&["reconcile", "--merchant", "nobody"][..], "there is no merchant"),
        (&["reconcile", "--provider", "paypal"], "there are fomo and hicoin"),
        (&["reconcile", "--provider", "fomo"], "there is no such account"),
        (&["reconcile", "--from", "yesterday"], "2026-11-20T12:00:00Z"),
        (&["reconcile", "--from", "2026-11-20", "--to", "2026-11-20"], "--from must be before --to"),
    ] {
        let refused = house.run(args).await;
        assert_eq!(refused.code, Some(1), "{args:?}");
        assert!(refused.err.contains(said), "{args:?}: {}", refused.err);
    }
    // A gateway counts what is open when it starts, and each minute.
    gateway.program.terminate();
    assert_eq!(gateway.program.end().await.code, Some(0));
    let gateway = house.serve("all").await;
    until("what is open is measured by kind and age", async || {
        let metrics = house.http.get(format!("{}/metrics", gateway.management)).send().await.ok()?.text().await.ok()?;
        let line = metrics.lines().find(|line| line.starts_with("tillgate_discrepancies_open{") && line.ends_with(" 1"))?.to_owned();
        ["kind=\"duplicate\"", "age=\"hour\""].iter().all(|label| line.contains(label)).then_some(())
    })
    .await;
    // The law at the end of each test wants nothing open.
    let open = house.get("/v1/discrepancies?status=open").await;
    let id = open.body["data"][0]["id"].as_str().expect("a discrepancy").to_owned();
    let reason = serde_json::json!({ "reason": "Hicoin has taken the second one back" });
    assert_eq!(house.post(&format!("/v1/discrepancies/{id}/resolve"), &reason).await.status, 200);
    gateway.program.terminate();
    assert_eq!(gateway.program.end().await.code, Some(0));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_every_callback_and_with_none_orders_come_to_the_same_ends() {
    let folder = Folder::new();
    let drill = Launch::new(&["drill", "callbacks"], folder.path()).run().await;
    assert_eq!(drill.code, Some(0), "{}{}", drill.out, drill.err);
    assert!(drill.out.contains("Every order came to the same end."), "{}", drill.out);
    assert_eq!(drill.out.matches(" ok\n").count(), 7, "{}", drill.out);
    assert_eq!(drill.out.matches("succeeded").count(), 12, "{}", drill.out);
}
