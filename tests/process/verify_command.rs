//! `tillgate verify`, as the operator types it.

use serde_json::Value;

use crate::database::{connect, execute};
use crate::house::{At, House, Plan};

#[tokio::test(flavor = "multi_thread")]
async fn it_says_that_every_law_holds_or_which_is_broken_and_changes_nothing() {
    let house = House::with(Plan::at(At::Fomo)).await;
    let gateway = house.serve("all").await;
    house.link_ada().await;
    for trade_id in ["one", "two"] {
        house.payout(trade_id).await;
        house.comes_to(trade_id, &["succeeded"]).await;
    }
    let whole = house.run(&["verify"]).await;
    assert_eq!(whole.code, Some(0), "{}{}", whole.out, whole.err);
    assert!(whole.out.starts_with("Every law holds: ") && whole.out.ends_with(" rows of 1 merchants.\n"), "{}", whole.out);
    assert!(whole.err.contains("acme: orders"), "a log gets lines: {}", whole.err);

    let mut database = connect(&house.database).await;
    let break_it = "SET session_replication_role = replica; UPDATE orders SET amount_confirmed = 1 WHERE trade_id = 'two'";
    execute(&mut database, break_it).await;
    let broken = house.run(&["verify", "--merchant", "acme"]).await;
    assert_eq!(broken.code, Some(3), "{}{}", broken.out, broken.err);
    for said in
        ["BROKEN  payout_counts_what_it_moved (I11)  acme two: ", "counts 12.5 received and 1 confirmed of 12.5", "tillgate reconcile"]
    {
        assert!(broken.out.contains(said), "{said:?} is not said: {}", broken.out);
    }
    let lines = house.run(&["verify", "--json"]).await;
    assert_eq!(lines.code, Some(3));
    let lines: Vec<Value> = lines.out.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["law"], &lines[0]["about"]), (&"payout_counts_what_it_moved".into(), &"two".into()));
    assert_eq!((&lines[1]["breaches"], &lines[1]["complete"]), (&1.into(), &true.into()));
    execute(&mut database, "UPDATE orders SET amount_confirmed = amount WHERE trade_id = 'two'").await;

    let nobody = house.run(&["verify", "--merchant", "nobody"]).await;
    assert_eq!(nobody.code, Some(1));
    assert!(nobody.err.contains("there is no merchant"), "{}", nobody.err);
    gateway.program.terminate();
    assert_eq!(gateway.program.end().await.code, Some(0));
    house.close().await;
}
