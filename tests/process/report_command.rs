//! `tillgate report`, as the operator types it.

use crate::hicoin::Way;
use crate::house::{At, House, Plan};

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_written_whole_or_not_at_all() {
    let house = House::with(Plan::at(At::Hicoin)).await;
    let gateway = house.serve("all").await;
    house.register_customers().await;
    house.pay_out(Way::ToUser, "one").await;
    house.comes_to("one", &["succeeded"]).await;
    let tomorrow = tillgate::domain::clock::Clock::system().now().date().next_day().expect("a day").to_string();
    let today = tillgate::domain::clock::Clock::system().now().date().to_string();
    let of = |more: &[&str]| [&["report", "--merchant", "acme", "--from", &today, "--to", &tomorrow][..], more].concat().join(" ");
    let run = async |more: &[&str]| {
        let line = of(more);
        house.run(&line.split(' ').collect::<Vec<_>>()).await
    };

    let csv = run(&[]).await;
    assert_eq!(csv.code, Some(0), "{}{}", csv.out, csv.err);
    let row = csv.out.lines().find(|line| line.contains(",payout,")).expect("the payout's row");
    assert!(row.contains(",-1,") && row.contains(",one,"), "{row}");
    assert!(csv.out.lines().last().is_some_and(|line| line.starts_with("end")), "{}", csv.out);

    let file = house.folder.path().join("statement.ndjson");
    let written = run(&["--format", "ndjson", "--out", &file.display().to_string()]).await;
    assert_eq!((written.code, written.out.as_str()), (Some(0), ""), "{}", written.err);
    let text = std::fs::read_to_string(&file).expect("the file");
    let last: serde_json::Value = serde_json::from_str(text.lines().last().expect("a footer")).expect("JSON");
    assert_eq!(last["footer"][0]["balanced"], true, "{text}");

    let nowhere = house.folder.path().join("nowhere/statement.csv").display().to_string();
    for (more, said) in
        [(&["--format", "xml"][..], "csv, json and ndjson"), (&["--out", &nowhere], "cannot be written"), (&["--from", "today"], "--from")]
    {
        let refused = run(more).await;
        assert_ne!(refused.code, Some(0), "{more:?}");
        assert!(refused.err.contains(said), "{more:?}: {}", refused.err);
    }
    gateway.program.terminate();
    assert_eq!(gateway.program.end().await.code, Some(0));
    house.close().await;
}
