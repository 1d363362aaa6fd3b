//! What merchants, customers and strangers do meanwhile.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use tillgate::sandbox::{HicoinTo, TokenLife};

use super::script::Kind;
use super::site::{HOLDERS, PAYERS, Site, payer_id};
use crate::chaos::Dice;
use crate::hicoin::Way;
use crate::house::USDT;
use crate::program::pass;
use crate::talk::{Answer, call};

/// A merchant's backend waits so long for an answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// Before it asks again.
const PAUSE: Duration = Duration::from_millis(120);
/// Orders that one client has open.
const SIDE_BY_SIDE: usize = 4;
/// A customer tries so often to pay.
const TRIES: usize = 120;

/// Plays the merchant's backend and its customers, until every order was asked for.
pub async fn work(site: &Site<'_>, mut dice: Dice) {
    let next = AtomicUsize::new(0);
    let clients = (0..site.script.clients).map(|_| {
        let mut dice = dice.split();
        let next = &next;
        async move {
            let mut open = FuturesUnordered::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= site.script.orders {
                    break;
                }
                open.push(one(site, number, dice.split()));
                while open.len() >= SIDE_BY_SIDE {
                    open.next().await;
                }
            }
            while open.next().await.is_some() {}
        }
    });
    join_all(clients).await;
}

/// One order, from its wish until its customer has paid.
async fn one(site: &Site<'_>, number: usize, mut dice: Dice) {
    let kind = site.script.kind(number);
    let trade_id = kind.trade_id(number);
    let (path, wish) = wish(kind, number, &trade_id);
    site.history.invoke(&trade_id, kind);
    let tries = if dice.between(0, 12) == 0 { 1 } else { usize::MAX };
    let Some(order) = ask(site, path, &wish, &trade_id, tries).await else { return };
    if dice.between(0, 8) == 0 {
        steal(site, path, &wish, &trade_id).await;
    }
    match kind {
        Kind::FomoDeposit => pay_at_fomo(site, &trade_id, &order, &mut dice).await,
        Kind::HicoinDeposit => pay_at_hicoin(site, number, &trade_id, &mut dice).await,
        Kind::FomoPayout if site.script.weather.lies && dice.between(0, 3) == 0 => {
            dice.wait(1500).await;
            forge(site, &trade_id, &order, "2", "9.5").await;
        }
        Kind::FomoPayout | Kind::ToAddress | Kind::ToUser | Kind::Transfer => {}
    }
}

fn wish(kind: Kind, number: usize, trade_id: &str) -> (&'static str, Value) {
    let payer = number % PAYERS;
    match kind {
        Kind::FomoPayout => {
            let destination = json!({ "type": "fomo_user", "user_id": payer_id(payer) });
            let wish = json!({ "trade_id": trade_id, "provider": "fomo", "coin": "usdt", "amount": "12.5", "destination": destination });
            ("/v1/payouts", wish)
        }
        Kind::FomoDeposit => {
            let customer = format!("payer-{payer}");
            let wish = json!({ "trade_id": trade_id, "provider": "fomo", "coin": "usdt", "amount": "12.5", "customer": customer });
            ("/v1/deposits", wish)
        }
        Kind::ToAddress => Way::ToAddress.wish(trade_id),
        Kind::ToUser => Way::ToUser.wish(trade_id),
        Kind::Transfer => {
            let (from, to) = (format!("holder-{}", number % HOLDERS), format!("holder-{}", (number + 1) % HOLDERS));
            let wish = json!({ "trade_id": trade_id, "provider": "hicoin", "coin": "ETH", "amount": "1", "from_customer": from, "to_customer": to });
            ("/v1/transfers", wish)
        }
        Kind::HicoinDeposit => {
            let customer = format!("holder-{}", number % HOLDERS);
            (
                "/v1/deposits",
                json!({ "trade_id": trade_id, "provider": "hicoin", "coin": "ETH", "amount": amount(number).to_string(), "customer": customer }),
            )
        }
    }
}

/// No two deposits at Hicoin are of one amount.
fn amount(number: usize) -> Decimal {
    (Decimal::ONE + Decimal::new(i64::try_from(number).expect("a number"), 6)).normalize()
}

/// Asks until the order is granted or refused, or so often.
async fn ask(site: &Site<'_>, path: &str, wish: &Value, trade_id: &str, tries: usize) -> Option<Answer> {
    for _ in 0..tries {
        match said(site, "POST", path, Some(wish)).await {
            Some(answer) if matches!(answer.status, 200 | 201) => {
                let id = answer.text("id").to_owned();
                site.history.note(trade_id, |asked| asked.acknowledged.push(id));
                return Some(answer);
            }
            Some(answer) if (400..500).contains(&answer.status) => {
                site.history.note(trade_id, |asked| asked.failed.push(answer.status));
                site.tally.add(&format!("refused: {} {}", answer.status, answer.text("code")), 1);
                return None;
            }
            // A promise that can be read in part is none.
            Some(_) | None => site.history.note(trade_id, |asked| asked.unknown += 1),
        }
        pass(PAUSE).await;
    }
    None
}

/// What was answered, if it came whole.
async fn said(site: &Site<'_>, method: &str, path: &str, body: Option<&Value>) -> Option<Answer> {
    let house = &site.house;
    let api = house.api();
    let asked = call(&house.http, &api, &house.key, method, path, body);
    tokio::time::timeout(PATIENCE, asked).await.ok()?.ok()
}

/// Somebody uses the id for something else.
async fn steal(site: &Site<'_>, path: &str, wish: &Value, trade_id: &str) {
    let mut other = wish.clone();
    other["amount"] = json!("11");
    if let Some(answer) = said(site, "POST", path, Some(&other)).await
        && (200..300).contains(&answer.status)
    {
        site.history.note(trade_id, |asked| asked.stolen = true);
    }
}

/// The customer confirms at FOMO, as soon as FOMO knows of it; before that a stranger says that he has. Some never do.
async fn pay_at_fomo(site: &Site<'_>, trade_id: &str, order: &Answer, dice: &mut Dice) {
    let lies = site.script.weather.lies;
    let claimed = lies && dice.between(0, 3) == 0;
    if claimed {
        let amount = *dice.one_of(&["12.5", "12.5", "9.5"]);
        forge(site, trade_id, order, "1", amount).await;
    }
    // A lie about money that comes after all does no harm.
    if lies && dice.between(0, if claimed { 3 } else { 10 }) == 0 {
        return;
    }
    dice.wait(800).await;
    for _ in 0..TRIES {
        if site.house.sandbox.confirm_pay(trade_id, None).await == Some(1) {
            site.history.note(trade_id, |asked| asked.paid = true);
            return;
        }
        pass(PAUSE).await;
    }
}

/// A callback that knows everything but is not FOMO's. Where it has the amount wrong, it has to be seen.
async fn forge(site: &Site<'_>, trade_id: &str, order: &Answer, direction: &str, amount: &str) {
    let Some(url) = site.house.sandbox.callback_url(trade_id) else { return };
    let transfer = order.body["next_action"]["transfer_id"].as_str().unwrap_or("0").to_owned();
    let user = payer_id(trade_id.rsplit('-').next().and_then(|number| number.parse::<usize>().ok()).unwrap_or_default() % PAYERS);
    let fields: BTreeMap<&str, &str> = BTreeMap::from([
        ("transfer_id", transfer.as_str()),
        ("user_id", &user),
        ("trade_id", trade_id),
        ("coin_id", USDT),
        ("amount", amount),
        ("cut_amount", "0"),
        ("direction", direction),
        ("status", "1"),
    ]);
    site.tally.add("callback: forged", 1);
    let sent = tokio::time::timeout(PATIENCE, site.house.http.post(url).form(&fields).send()).await;
    if amount != "12.5" && sent.is_ok_and(|sent| sent.is_ok_and(|answer| answer.status() == 200)) {
        site.history.note(trade_id, |asked| asked.lied_about = true);
    }
}

/// The customer pays on the chain: it comes to light late and out of turn, and is confirmed later.
async fn pay_at_hicoin(site: &Site<'_>, number: usize, trade_id: &str, dice: &mut Dice) {
    let sandbox = &site.house.sandbox;
    dice.wait(500).await;
    if dice.between(0, 6) == 0 {
        sandbox.hicoin_skip_deposit_ids(None, dice.between(1, 4)).expect("the app");
        site.tally.add("feed: gap", 1);
    }
    if dice.between(0, 25) == 0 {
        sandbox.hicoin_deposit(None, &HicoinTo::Uid(77_777), "ETH", Decimal::ONE).expect("a deposit of a stranger");
    }
    let uid = site.uids[number % HOLDERS];
    let id = sandbox.hicoin_hidden_deposit(None, &HicoinTo::Uid(uid), "ETH", amount(number)).expect("a deposit");
    site.history.note(trade_id, |asked| asked.paid = true);
    if dice.between(0, 3) == 0 {
        site.tally.add("feed: late id", 1);
        dice.wait(3000).await;
    }
    sandbox.hicoin_show(None, id).expect("it was hidden");
    dice.wait(1500).await;
    sandbox.hicoin_finish(None, id).expect("it was pending");
}

/// People who come and go: links with tokens that live for seconds, new customers with new addresses, and comparisons.
pub async fn visitors(site: &Site<'_>, mut dice: Dice) {
    let mut number = 0;
    while !site.is_over() {
        number += 1;
        pass(PAUSE).await;
        let customer = format!("visitor-{}", number % 4);
        let user = format!("{}", 500 + number % 4);
        let session = site.house.sandbox.create_user(&user, &customer, &[]);
        site.house.sandbox.set_token_life(TokenLife { access_seconds: 2, refresh_seconds: 3600 });
        if let Ok(code) = site.house.sandbox.authorize(&session, "acme") {
            said(site, "POST", &format!("/v1/customers/{customer}/links"), Some(&json!({ "provider": "fomo", "code": code }))).await;
        }
        dice.wait(1500).await;
        said(site, "GET", &format!("/v1/customers/{customer}/profile?provider=fomo"), None).await;
        let newcomer = format!("newcomer-{number}");
        let wish = json!({ "customer": newcomer, "email": format!("{newcomer}@shop.example") });
        if said(site, "POST", "/v1/customers", Some(&wish)).await.is_some_and(|answer| answer.status == 201) {
            let wish = json!({ "coin": "ETH", "provider": "hicoin" });
            said(site, "POST", &format!("/v1/customers/{newcomer}/addresses"), Some(&wish)).await;
        }
        if number % 4 == 0 {
            site.begin_comparison().await;
        }
    }
}
