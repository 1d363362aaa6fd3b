//! Statements: all that moved, once, with what there was before and after; what was shown never changes.

use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tillgate::domain::order::Provider;
use tillgate::flows::feed;
use tillgate::flows::tenant::{Scope, tenant};
use tillgate::sandbox::{Fee, HicoinTo, Options};
use tillgate::store::feeds::FeedKey;

use crate::harness::{TestApp, USDT};
use crate::hicoin::ways::{Way, World, merchant_id};

/// Tests begin on the 15th at 8 o'clock.
const DAYS: [&str; 4] = ["2027-01-15", "2027-01-16", "2027-01-17", "2027-01-18"];
const FORMATS: [&str; 3] = ["json", "csv", "ndjson"];

async fn text(app: &TestApp, query: &str) -> String {
    let url = format!("{}/v1/reports/statement?{query}", app.api);
    let answer = app.http.get(url).bearer_auth(app.key.expose_secret()).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    answer.text().await.expect("a whole body")
}

async fn statement(app: &TestApp, from: &str, to: &str) -> Value {
    serde_json::from_str(&text(app, &format!("from={from}&to={to}")).await).expect("JSON")
}

/// Rows in short: kind, coin, amount, customer and order.
fn rows(statement: &Value) -> Vec<String> {
    let cell = |row: &Value, key: &str| row[key].as_str().unwrap_or("-").to_owned();
    let short = |row: &Value| ["kind", "coin", "amount", "customer", "trade_id"].map(|key| cell(row, key)).join(" ");
    statement["data"].as_array().expect("rows").iter().map(short).collect()
}

/// Balances in short: coin, opening, rows, sum, closing.
fn footer(statement: &Value) -> Vec<String> {
    let short = |one: &Value| {
        assert_eq!(one["balanced"], true);
        let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
        format!("{} {} {} {} {}", text("coin"), text("opening"), one["rows"], text("sum"), text("closing"))
    };
    statement["footer"].as_array().expect("a footer").iter().map(short).collect()
}

/// Hicoin says of a movement of any age what it says of it now.
async fn hear_of(app: &TestApp, number: u64) {
    let merchant = merchant_id(app, "acme").await;
    let account = tenant(&app.context, merchant).await.expect("a tenant").account(Provider::Hicoin).expect("an account").clone();
    let feed = FeedKey { merchant_id: merchant, provider: Provider::Hicoin };
    feed::hear_of(&app.context, &account, feed, &[i64::try_from(number).expect("a number")]).await.expect("the feed");
}

fn money(world: &World, uid: u64, amount: &str) -> u64 {
    let number = world.app.sandbox.hicoin_deposit(None, &HicoinTo::Uid(uid), "ETH", amount.parse().expect("an amount")).expect("a deposit");
    world.app.sandbox.hicoin_finish(None, number).expect("a deposit");
    number
}

async fn until_tomorrow(app: &TestApp) {
    app.advance(Duration::from_hours(24));
    app.settle_down().await;
}

/// Three days at both wallets. Gives the number of a deposit of 2 ETH of the first day.
async fn three_days() -> (World, u64) {
    let world = World::start_on(Options { hicoin_auto_advance: true, ..Options::default() }, &json!({})).await;
    let app = &world.app;
    app.link_ada().await;
    app.sandbox.set_fee(USDT, Fee::Fixed("0.5".parse().expect("an amount")));
    assert_eq!(app.deposit("d-fomo").await.status, 201);
    app.confirm("d-fomo").await;
    app.callbacks().await;
    app.settle_down().await;
    let wish = json!({ "trade_id": "d-hicoin", "provider": "hicoin", "coin": "ETH", "amount": "2", "customer": "ada" });
    assert_eq!(app.post("/v1/deposits", &wish).await.status, 201);
    let two = money(&world, 10001, "2");
    world.pass(60).await;
    money(&world, 10002, "0.25");
    world.pass(60).await;

    until_tomorrow(app).await;
    assert_eq!(app.payout("p-fomo").await.status, 201);
    for way in [Way::OnChain, Way::BetweenUsers] {
        world.create(way, &format!("p-{}", way.name())).await;
    }
    for _ in 0..8 {
        world.pass(60).await;
    }
    assert_eq!(app.post("/v1/payouts/p-fomo/refresh", &json!({})).await.status, 200);

    until_tomorrow(app).await;
    (world, two)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_movement_is_a_row_and_the_days_make_the_whole() {
    let (world, two) = three_days().await;
    let app = &world.app;
    app.sandbox.hicoin_abnormal(None, two).expect("a deposit");
    hear_of(app, two).await;
    // FOMO's answer to a payout names no fee. Somebody learns of it later.
    let learned = "UPDATE orders SET fee = 0.5, amount_received = 12, updated_at = $1 WHERE trade_id = 'p-fomo'";
    let later = app.clock.now() + Duration::from_secs(1);
    sqlx::query(learned).bind(later).execute(&mut app.database().await).await.expect("an update");
    app.advance(Duration::from_hours(24));

    let mut days = Vec::new();
    for day in DAYS.windows(2) {
        days.push(statement(app, day[0], day[1]).await);
    }
    assert_eq!(
        rows(&days[0]),
        ["deposit usdt 12.5 ada d-fomo", "fee usdt -0.5 ada d-fomo", "deposit ETH 2 ada d-hicoin", "deposit ETH 0.25 bob -",]
    );
    let fee = app.get("/v1/payouts/p-chain").await.text("fee").to_owned();
    let net: rust_decimal::Decimal = rust_decimal::Decimal::ONE - fee.parse::<rust_decimal::Decimal>().expect("a fee");
    let mut second = rows(&days[1]);
    second.sort();
    let mut expected = vec![
        "payout usdt -12.5 - p-fomo".to_owned(),
        format!("payout ETH -{net} - p-chain"),
        format!("fee ETH -{fee} - p-chain"),
        "transfer ETH -1 ada p-between".to_owned(),
        "transfer ETH 1 bob p-between".to_owned(),
    ];
    expected.sort();
    assert_eq!(second, expected);
    assert_eq!(rows(&days[2]), ["reversal ETH -2 ada d-hicoin", "correction usdt 0.5 - p-fomo", "fee usdt -0.5 - p-fomo"]);
    assert_eq!(footer(&days[0]), ["usdt 0 2 12 12", "ETH 0 2 2.25 2.25"]);
    assert_eq!(footer(&days[1]), ["usdt 12 1 -12.5 -0.5", "ETH 2.25 4 -1 1.25"]);
    assert_eq!(footer(&days[2]), ["usdt -0.5 2 0 -0.5", "ETH 1.25 1 -2 -0.75"]);

    let whole = statement(app, DAYS[0], DAYS[3]).await;
    let all: Vec<Value> = days.iter().flat_map(|day| day["data"].as_array().expect("rows").clone()).collect();
    assert_eq!(whole["data"], Value::from(all));
    assert_eq!(footer(&whole), ["usdt 0 5 -0.5 -0.5", "ETH 0 7 -0.75 -0.75"]);
    assert_eq!((&whole["object"], &whole["closed"], &whole["until"]), (&json!("statement"), &json!(true), &whole["to"]));
    let receipt = app.get("/v1/receipts?customer=bob").await.body["data"][0]["id"].clone();
    assert_eq!(days[0]["data"][3]["receipt"], receipt);

    // A part of a day, and one coin of it.
    let part: Value = serde_json::from_str(&text(app, "from=2027-01-15T08:01:00Z&to=2027-01-15T12:00:00Z&coin=ETH").await).expect("JSON");
    assert_eq!((rows(&part).len(), footer(&part)), (2, vec!["ETH 0 2 2.25 2.25".to_owned()]));
    world.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_formats_tell_the_same() {
    let (world, _) = three_days().await;
    let app = &world.app;
    let query = |format: &str| format!("from={}&to={}&format={format}", DAYS[0], DAYS[2]);
    let whole: Value = serde_json::from_str(&text(app, &query("json")).await).expect("JSON");
    let lines: Vec<Value> = text(app, &query("ndjson")).await.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let objects: Vec<&str> = lines.iter().filter_map(|line| line["object"].as_str()).collect();
    let count = whole["data"].as_array().expect("rows").len();
    assert_eq!((objects[0], objects[count], objects[count + 1], objects.len()), ("statement", "movement", "footer", count + 2));
    assert_eq!(lines[count + 1]["footer"], whole["footer"]);
    let table = text(app, &query("csv")).await;
    let cells: Vec<Vec<&str>> = table.split_terminator("\r\n").map(|line| line.split(',').collect()).collect();
    for (index, row) in whole["data"].as_array().expect("rows").iter().enumerate() {
        assert_eq!(lines[index + 1]["id"], row["id"]);
        assert_eq!((cells[index + 1][1], cells[index + 1][6]), (row["id"].as_str().expect("an id"), row["amount"].as_str().expect("one")));
    }
    let ends: Vec<(&str, &str)> = cells[count + 1..].iter().map(|row| (row[0], row[6])).collect();
    assert_eq!(ends.len(), 7, "{ends:?}");
    assert_eq!((ends[0], ends[1], ends[2], ends[6]), (("opening", "0"), ("sum", "-0.5"), ("closing", "-0.5"), ("end", "")));
    world.app.finish().await;
}

/// Money that somebody else's program writes down with this time, in a transaction of `connection`'s.
async fn book(connection: &mut sqlx::PgConnection, number: &str, at: time::OffsetDateTime) {
    let sql = "INSERT INTO receipts (merchant_id, receipt_id, provider, provider_receipt_id, coin, provider_coin_id, amount, progress,
                   revision, unheard, unmatched_at, created_at, updated_at)
               SELECT merchant_id, gen_random_uuid(), 'fomo', $1, 'usdt', '5', 7, 'confirmed', 1, false, $2, $2, $2
               FROM merchants WHERE name = 'acme'";
    sqlx::query(sql).bind(number).bind(at).execute(connection).await.expect("a receipt");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_day_keeps_its_bytes_whatever_comes_later() {
    let (world, two) = three_days().await;
    let app = &world.app;
    let mut closed = Vec::new();
    for day in DAYS[..3].windows(2) {
        for format in FORMATS {
            let query = format!("from={}&to={}&format={format}", day[0], day[1]);
            let bytes = text(app, &query).await;
            closed.push((query, bytes));
        }
    }
    let yesterday = app.clock.now() - time::Duration::days(1);

    // A reversal, later money, a receipt that is given to an order, and one that says that it was written yesterday.
    app.sandbox.hicoin_abnormal(None, two).expect("a deposit");
    hear_of(app, two).await;
    let wish = json!({ "trade_id": "d-later", "provider": "hicoin", "coin": "ETH", "amount": "0.25", "customer": "bob" });
    assert_eq!(app.post("/v1/deposits", &wish).await.status, 201);
    let receipt = app.get("/v1/receipts?customer=bob").await.body["data"][0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(
        app.post(&format!("/v1/receipts/{receipt}/assign"), &json!({ "trade_id": "d-later", "reason": "the customer told us" }))
            .await
            .status,
        200
    );
    money(&world, 10002, "3");
    world.pass(60).await;
    book(&mut app.database().await, "late", yesterday).await;
    app.advance(Duration::from_secs(1));

    let today = statement(app, DAYS[2], DAYS[3]).await;
    let mut seen = rows(&today);
    seen.sort();
    assert_eq!(seen, ["deposit ETH 3 bob -", "deposit usdt 7 - -", "reversal ETH -2 ada d-hicoin"]);
    assert_eq!(today["closed"], false);
    for (query, bytes) in &closed {
        assert_eq!(&text(app, query).await, bytes, "{query}");
    }
    // What was shown of the open day does not change either.
    let until = today["until"].as_str().expect("a time");
    book(&mut app.database().await, "later still", yesterday).await;
    app.advance(Duration::from_secs(1));
    assert_eq!(statement(app, DAYS[2], until).await["data"], today["data"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_waits_for_what_is_being_booked() {
    let app = TestApp::start().await;
    let mut writer = app.database().await;
    sqlx::query("BEGIN").execute(&mut writer).await.expect("a transaction");
    book(&mut writer, "under way", app.clock.now()).await;
    app.advance(Duration::from_hours(24));
    let reading = statement(&app, DAYS[0], DAYS[1]);
    tokio::pin!(reading);
    let early = tokio::time::timeout(Duration::from_millis(500), &mut reading).await;
    assert!(early.is_err(), "it must not be closed without the row: {early:?}");
    sqlx::query("COMMIT").execute(&mut writer).await.expect("a commit");
    assert_eq!(rows(&reading.await), ["deposit usdt 7 - -"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn books_that_do_not_add_up_have_no_footer() {
    let app = TestApp::start().await;
    book(&mut app.database().await, "one", app.clock.now()).await;
    app.advance(Duration::from_hours(24));
    assert_eq!(footer(&statement(&app, DAYS[0], DAYS[1]).await), ["usdt 0 1 7 7"]);
    let spoil = "UPDATE day_balances SET balance = balance + 0.000000000000000001";
    sqlx::query(spoil).execute(&mut app.database().await).await.expect("an update");
    for format in FORMATS {
        let url = format!("{}/v1/reports/statement?from={}&to={}&format={format}", app.api, DAYS[0], DAYS[1]);
        let answer = app.http.get(url).bearer_auth(app.key.expose_secret()).send().await;
        let mut seen = Vec::new();
        let broken = match answer {
            Ok(mut answer) => loop {
                match answer.chunk().await {
                    Ok(Some(piece)) => seen.extend_from_slice(&piece),
                    Ok(None) => break false,
                    Err(_) => break true,
                }
            },
            // The server sends what it has when it must wait for more: it may know of the mistake before it sends anything.
            Err(error) => !error.is_connect() && !error.is_timeout(),
        };
        let seen = String::from_utf8(seen).expect("a text");
        assert!(broken && !seen.contains("footer") && !seen.contains("closing"), "{seen}");
    }
    let change = sqlx::query("DELETE FROM movements").execute(&mut app.database().await).await.expect_err("the books are for ever");
    assert!(change.to_string().contains("the books are not changed"), "{change}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_anothers_books() {
    let app = TestApp::start().await;
    book(&mut app.database().await, "one", app.clock.now()).await;
    app.advance(Duration::from_hours(24));
    let key = app.other_merchant(&[Scope::OrdersRead]).await;
    let path = format!("/v1/reports/statement?from={}&to={}", DAYS[0], DAYS[1]);
    let theirs = app.call_as(key.expose_secret(), "GET", &path, None).await.body;
    assert_eq!((&theirs["data"], &theirs["footer"]), (&json!([]), &json!([])));
    assert_eq!(rows(&app.get(&path).await.body).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_query_is_named() {
    let app = TestApp::start().await;
    for (query, named) in [
        ("", vec!["from", "to"]),
        ("from=2027-01-01", vec!["to"]),
        ("from=yesterday&to=2027-13-01", vec!["from", "to"]),
        ("from=2027-01-02&to=2027-01-02", vec!["to"]),
        ("from=2026-01-01&to=2027-01-03", vec!["to"]),
        ("from=2027-01-16&to=2027-01-17", vec!["from"]),
        ("from=1999-01-01&to=1999-01-02", vec!["from"]),
        ("from=2027-01-01&to=2027-01-02&format=xlsx", vec!["format"]),
        ("from=2027-01-01&to=2027-01-02&coin=", vec!["coin"]),
        ("from=2027-01-01&to=2027-01-02&coin=a%00b&format=CSV", vec!["coin", "format"]),
        ("from=2027-01-01&from=2027-01-01&to=2027-01-02", vec!["from"]),
        ("from=2027-01-01&to=2027-01-02&surprise=1", vec!["surprise"]),
    ] {
        let answer = app.get(&format!("/v1/reports/statement?{query}")).await;
        answer.expect_problem(422, "validation_failed");
        assert_eq!(answer.pointers(), named, "{query}");
    }
    app.finish().await;
}

/// What this process holds, in bytes.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("a number") * 4096
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_thousand_rows_take_no_more_memory_than_a_few() {
    let count: u64 = std::env::var("STATEMENT_ROWS").ok().and_then(|text| text.parse().ok()).unwrap_or(200_000);
    let app = TestApp::start().await;
    let sql = "INSERT INTO movements (merchant_id, movement_id, booked_at, kind, provider, coin, amount, customer, trade_id, order_id, leg)
               SELECT m.merchant_id, movement_id_of(n.at, n.id, 0, 1), n.at, 'deposit', 'fomo', 'usdt', 1.25, '=ada', n.id::text, n.id, 1
               FROM merchants m, LATERAL (
                   SELECT $1::timestamptz + i * interval '50 milliseconds' AS at, md5(i::text)::uuid AS id FROM generate_series(1, $2) i) n
               WHERE m.name = 'acme'";
    let rows = i64::try_from(count).expect("a number");
    sqlx::query(sql).bind(app.clock.now()).bind(rows).execute(&mut app.database().await).await.expect("movements");
    app.advance(Duration::from_hours(24));
    let sum = rust_decimal::Decimal::from(count) * rust_decimal::Decimal::new(125, 2);
    for format in FORMATS {
        let began = app.context.clock.instant();
        let url = format!("{}/v1/reports/statement?from={}&to={}&format={format}", app.api, DAYS[0], DAYS[1]);
        let mut answer = app.http.get(url).bearer_auth(app.key.expose_secret()).send().await.expect("an answer");
        let (before, mut peak, mut size, mut tail) = (resident(), 0, 0, Vec::new());
        while let Some(piece) = answer.chunk().await.expect("a whole body") {
            size += piece.len();
            tail.extend_from_slice(&piece);
            tail.drain(..tail.len().saturating_sub(600));
            peak = peak.max(resident());
        }
        let (grown, tail) = (peak.saturating_sub(before), String::from_utf8_lossy(&tail).into_owned());
        println!("{format}: {count} rows, {size} bytes in {:?}, memory grew by at most {grown}", began.elapsed());
        assert!(tail.contains(&sum.normalize().to_string()), "{tail}");
        assert!(size as u64 > count * 100, "{size} bytes");
        // Other tests run beside this one in the same process: the bound is far below the body and far above a page.
        assert!(grown < 100 * 1024 * 1024 || grown < size as u64 / 4, "memory grew by {grown} for {size} bytes");
    }
}
