//! The judgement of a round: from the wallets' books first, then from what the backend was told, then from what the receiver of
//! webhooks got, and from our own rows last.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use sqlx::PgConnection;

use super::figures::Outcome;
use super::history::Asked;
use super::script::{Kind, MONEY};
use super::site::Site;
use crate::checker::books::Rules;
use crate::database::connect;
use crate::law::breaches;

/// Where an order is, as its row says.
struct Row {
    id: String,
    status: String,
    place: String,
    is_final: bool,
}

/// Judges a round that has come to rest, or has not.
pub async fn judge(site: &Site<'_>, rest: Result<Duration, String>) -> Outcome {
    let mut outcome = Outcome::default();
    match rest {
        Ok(time) => outcome.rest = Some(time),
        Err(unrest) => outcome.wrong(format!("not at rest within {:?}: {unrest}", site.script.rest)),
    }
    let mut eyes = connect(&site.house.database).await;
    let rows = rows(&mut eyes).await;
    let story = site.history.all();
    books_and_backend(site, &story, &rows, &mut outcome);
    liars(&mut eyes, &story, &mut outcome).await;
    receiver(&mut eyes, site, &mut outcome).await;
    links(&mut eyes, &mut outcome).await;
    outcome.first_looks = first_looks(&mut eyes, site).await;
    // Whose clock jumps, and whose Postgres is recovered, says little of when something was.
    let rules = Rules { clocks_within_ms: None, ..Rules::default() };
    for breach in breaches(&site.house, rules).await {
        if !(site.script.weather.lies && breach.law == "nobody disagrees") {
            outcome.wrong(breach.to_string());
        }
    }
    if let Err(panic) = std::panic::catch_unwind(AssertUnwindSafe(|| site.house.check_secrets())) {
        outcome.wrong(format!("a secret: {}", text(panic.as_ref())));
    }
    if site.tally.of("unexplained end") > 0 {
        outcome.wrong("a process ended for no reason");
    }
    outcome
}

fn text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

async fn rows(eyes: &mut PgConnection) -> BTreeMap<String, Row> {
    let rows: Vec<(String, String, String, String, bool)> =
        sqlx::query_as("SELECT trade_id, order_id::text, status, status || coalesce('/' || stage, ''), is_final FROM orders")
            .fetch_all(eyes)
            .await
            .expect("orders");
    rows.into_iter().map(|(trade_id, id, status, place, is_final)| (trade_id, Row { id, status, place, is_final })).collect()
}

/// The wallets' books against the client's story and the rows.
fn books_and_backend(site: &Site<'_>, story: &BTreeMap<String, Asked>, rows: &BTreeMap<String, Row>, outcome: &mut Outcome) {
    let mut executions: HashMap<String, usize> = HashMap::new();
    for entry in site.house.sandbox.books().into_iter().filter(|entry| entry.kind.executes()) {
        *executions.entry(entry.trade_id).or_default() += 1;
    }
    let mut calls: HashMap<String, usize> = HashMap::new();
    for call in site.house.sandbox.call_log().into_iter().filter(|call| MONEY.contains(&call.operation)) {
        *calls.entry(call.trade_id.unwrap_or_default()).or_default() += 1;
    }
    outcome.orders = story.len();
    for (trade_id, asked) in story {
        let executed = executions.get(trade_id).copied().unwrap_or_default();
        outcome.most_executions = outcome.most_executions.max(executed);
        if executed > 1 {
            outcome.wrong(format!("{trade_id} was carried out {executed} times"));
        }
        if !site.script.refuses_duplicates && calls.get(trade_id).copied().unwrap_or_default() > 1 {
            outcome.wrong(format!("{trade_id} was sent {} times to a wallet that pays twice", calls[trade_id]));
        }
        if asked.stolen {
            outcome.wrong(format!("{trade_id}: another wish under its id was granted"));
        }
        if !asked.failed.is_empty() {
            outcome.wrong(format!("{trade_id} was refused with {:?}", asked.failed));
        }
        let ids: BTreeSet<&str> = asked.acknowledged.iter().map(|id| id.rsplit('_').next().unwrap_or(id)).collect();
        if ids.len() > 1 {
            outcome.wrong(format!("{trade_id} is two orders: {ids:?}"));
        }
        let row = rows.get(trade_id);
        if let Some(id) = ids.first() {
            outcome.acknowledged += 1;
            if row.is_none_or(|row| row.id.replace('-', "") != *id) {
                outcome.acknowledged_lost += 1;
                outcome.wrong(format!("{trade_id} was acknowledged as {id} and is lost"));
            }
        }
        let Some(row) = row else {
            if executed > 0 {
                outcome.wrong(format!("{trade_id} was carried out and is not known"));
            }
            continue;
        };
        stands(site, trade_id, asked, row, executed, outcome);
    }
}

/// Where one order stands, and where it must.
fn stands(site: &Site<'_>, trade_id: &str, asked: &Asked, row: &Row, executed: usize, outcome: &mut Outcome) {
    let moved = match asked.kind {
        Kind::HicoinDeposit => asked.paid,
        _ => executed > 0,
    };
    let is_deposit = matches!(asked.kind, Kind::HicoinDeposit | Kind::FomoDeposit);
    let right = match row.status.as_str() {
        "succeeded" => moved,
        "failed" | "canceled" => !moved,
        "requires_review" => {
            outcome.in_review += 1;
            !is_deposit && !site.script.refuses_duplicates
        }
        _ => is_deposit && !moved && !row.is_final,
    };
    if !right {
        outcome.wrong(format!("{trade_id} is {}, and the wallet has moved its money: {moved}", row.place));
    }
}

/// Callbacks that lied about an order are on the operator's list.
async fn liars(eyes: &mut PgConnection, story: &BTreeMap<String, Asked>, outcome: &mut Outcome) {
    let found: Vec<String> = sqlx::query_scalar("SELECT DISTINCT trade_id FROM discrepancies JOIN orders USING (merchant_id, order_id)")
        .fetch_all(eyes)
        .await
        .expect("discrepancies");
    for (trade_id, _) in story.iter().filter(|(trade_id, asked)| asked.lied_about && !found.contains(trade_id)) {
        outcome.wrong(format!("{trade_id}: a callback with a wrong amount was taken, and nobody is told"));
    }
}

/// The receiver of webhooks has got every event, genuine and in order.
async fn receiver(eyes: &mut PgConnection, site: &Site<'_>, outcome: &mut Outcome) {
    let events: Vec<(String, String)> = sqlx::query_as(
        "SELECT 'evt_' || replace(event_id::text, '-', ''), d.state FROM events JOIN webhook_deliveries d USING (merchant_id, event_id)",
    )
    .fetch_all(eyes)
    .await
    .expect("events");
    outcome.events = events.len();
    let got = site.hook.got();
    let taken: BTreeSet<&str> = got.iter().filter(|one| one.answered == Some(200)).map(|one| one.id.as_str()).collect();
    let missing: Vec<&(String, String)> =
        events.iter().filter(|(id, state)| state != "pending" && !taken.contains(id.replace('-', "").as_str())).collect();
    if let Some((id, state)) = missing.first() {
        outcome.wrong(format!("{} events never came to the receiver, {id} among them, whose delivery is {state}", missing.len()));
    }
    let of_orders: Vec<_> = got.iter().filter(|one| crate::told::is_about_an_order(one)).cloned().collect();
    if let Err(panic) = std::panic::catch_unwind(AssertUnwindSafe(|| site.endpoint.check(&of_orders))) {
        outcome.wrong(format!("a webhook: {}", text(panic.as_ref())));
    }
}

/// The links of those who pay are never in danger: nobody harms the calls that keep them.
async fn links(eyes: &mut PgConnection, outcome: &mut Outcome) {
    let ended: Vec<String> = sqlx::query_scalar("SELECT customer FROM wallet_links WHERE status <> 'active' AND customer LIKE 'payer-%'")
        .fetch_all(eyes)
        .await
        .expect("links");
    if !ended.is_empty() {
        outcome.wrong(format!("links have ended: {ended:?}"));
    }
}

/// From each call whose outcome became unknown to the first question about it.
async fn first_looks(eyes: &mut PgConnection, site: &Site<'_>) -> Vec<(Duration, String)> {
    let unknown: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT trade_id FROM attempts JOIN orders USING (merchant_id, order_id)
         WHERE state = 'unknown' AND provider = 'hicoin' AND kind <> 'deposit'",
    )
    .fetch_all(eyes)
    .await
    .expect("attempts");
    // By the wallet's clock alone: ours jump.
    let (mut sent, mut asked): (HashMap<String, i64>, HashMap<String, Vec<i64>>) = Default::default();
    for call in site.house.sandbox.call_log() {
        match call.operation {
            "withdrawList" | "systemTransferList" | "transferList" => {
                for id in call.ids {
                    asked.entry(id).or_default().push(call.at_ms);
                }
            }
            operation if MONEY.contains(&operation) => {
                sent.entry(call.trade_id.unwrap_or_default()).or_insert(call.at_ms);
            }
            _ => {}
        }
    }
    let first = |trade_id: &String| {
        let since = *sent.get(trade_id)?;
        let at = asked.get(trade_id)?.iter().copied().find(|at| *at >= since)?;
        Some((Duration::from_millis(u64::try_from(at - since).unwrap_or_default()), trade_id.clone()))
    };
    unknown.iter().filter_map(first).collect()
}

/// What is not at rest: an order that is neither final, nor waits for its provider or customer, nor for a person; a call that is
/// open; something that nobody was told of yet.
pub async fn unrest(site: &Site<'_>, eyes: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    let story = site.history.all();
    let rows: Vec<(String, String, bool)> =
        sqlx::query_as("SELECT trade_id, status || coalesce('/' || stage, ''), is_final FROM orders").fetch_all(&mut *eyes).await?;
    let mut left: Vec<String> = rows
        .into_iter()
        .filter(|(trade_id, place, is_final)| {
            let waits = matches!(place.as_str(), "awaiting_payment" | "expired") && !story.get(trade_id).is_some_and(|asked| asked.paid);
            !is_final && !place.starts_with("requires_review") && !waits
        })
        .map(|(trade_id, place, _)| format!("{trade_id} is {place}"))
        .collect();
    let counts: Vec<(String, i64)> = sqlx::query_as(
        "SELECT 'call open of ' || trade_id, 1::bigint FROM attempts JOIN orders USING (merchant_id, order_id) WHERE state = 'open'
         UNION ALL SELECT 'final orders with a task', count(*) FROM tasks JOIN orders USING (merchant_id, order_id) WHERE is_final
         UNION ALL SELECT 'receipts that nobody has heard of', count(*) FROM receipts WHERE unheard
         UNION ALL (SELECT format('deliveries on their way to an endpoint that is %s until %s, %s of them taken, %s due, %s tried; now %s', n.state,
                          n.not_before, count(*) FILTER (WHERE q.leased_until > now()), count(*) FILTER (WHERE q.due_at <= now()),
                          count(*) FILTER (WHERE q.tries > 0), now()), count(*)
                    FROM webhook_deliveries d JOIN webhook_endpoints n USING (merchant_id, endpoint_id)
                    LEFT JOIN webhook_queue q USING (merchant_id, delivery_id) WHERE d.state = 'pending' GROUP BY n.state, n.not_before)",
    )
    .fetch_all(eyes)
    .await?;
    left.extend(counts.into_iter().filter(|(_, count)| *count > 0).map(|(what, count)| format!("{count} {what}")));
    Ok(left)
}
