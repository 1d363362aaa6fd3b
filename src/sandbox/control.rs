//! The control verbs over HTTP, JSON in and out under `/_control/`, so that anybody can drive `tillgate sandbox`.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, error, web};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::{Value, json};

use super::clock::lock;
use super::faults::Times;
use super::fomo::{Fee, Owner, Style, TokenLife, USER_WALLET_PWD};
use super::{Core, fomo, hicoin, knows, youliao};

pub(super) type Answer = actix_web::Result<HttpResponse>;

/// The table of the control API.
pub(super) fn routes(core: Core) -> impl FnOnce(&mut web::ServiceConfig) {
    let json = web::JsonConfig::default().content_type(|_| true).content_type_required(false);
    move |config| {
        config.service(
            web::scope("/_control")
                .app_data(web::Data::new(core))
                .app_data(json)
                .route("/users", web::post().to(create_user))
                .route("/authorize", web::post().to(authorize))
                .route("/confirm", web::post().to(confirm))
                .route("/balances", web::post().to(set_balance))
                .route("/balances", web::get().to(balance))
                .route("/faults", web::post().to(add_fault))
                .route("/faults", web::delete().to(clear_faults))
                .route("/release", web::post().to(release))
                .route("/callbacks", web::get().to(pending_callbacks))
                .route("/callbacks/deliver", web::post().to(deliver_callbacks))
                .route("/clock", web::get().to(clock))
                .route("/clock", web::post().to(set_clock))
                .route("/settings", web::post().to(settings))
                .route("/books", web::get().to(books))
                .route("/calls", web::get().to(calls))
                .configure(fomo::control_routes)
                .configure(hicoin::control_routes)
                .configure(youliao::control_routes),
        );
    }
}

pub(super) fn ok(body: Value) -> Answer {
    Ok(HttpResponse::Ok().json(body))
}

/// 422: the JSON can be read but names something that is not there.
pub(super) fn unknown(what: &str) -> actix_web::Error {
    error::ErrorUnprocessableEntity(what.to_owned())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUser {
    user_id: String,
    #[serde(default)]
    name: String,
    /// coin_id to amount.
    #[serde(default)]
    balances: BTreeMap<String, Decimal>,
}

async fn create_user(core: web::Data<Core>, user: web::Json<NewUser>) -> Answer {
    let balances: Vec<(&str, Decimal)> = user.balances.iter().map(|(id, amount)| (id.as_str(), *amount)).collect();
    let session_key = core.fomo.create_user(&user.user_id, &user.name, &balances);
    ok(json!({ "session_key": session_key, "wallet_pwd": USER_WALLET_PWD }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Authorization {
    session_key: String,
    client_id: String,
}

async fn authorize(core: web::Data<Core>, asked: web::Json<Authorization>) -> Answer {
    match core.fomo.authorize(&asked.session_key, &asked.client_id) {
        Ok(code) => ok(json!({ "status": 1, "code": code })),
        Err(status) => ok(json!({ "status": status })),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    trade_id: String,
    transfer_id: Option<String>,
}

async fn confirm(core: web::Data<Core>, asked: web::Json<Confirmation>) -> Answer {
    let status = core.fomo.confirm(&asked.trade_id, asked.transfer_id.as_deref()).await;
    ok(json!({ "status": status }))
}

/// An account: of a user or of a client, in one coin.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    user_id: Option<String>,
    client_id: Option<String>,
    coin_id: String,
    /// Only to set it.
    amount: Option<Decimal>,
}

impl Account {
    fn owner(&self) -> actix_web::Result<Owner> {
        match (&self.user_id, &self.client_id) {
            (Some(user_id), None) => Ok(Owner::User(user_id.clone())),
            (None, Some(client_id)) => Ok(Owner::Client(client_id.clone())),
            _ => Err(unknown("name either a user_id or a client_id")),
        }
    }
}

async fn set_balance(core: web::Data<Core>, account: web::Json<Account>) -> Answer {
    let amount = account.amount.ok_or_else(|| unknown("amount is missing"))?;
    core.fomo.set_balance(account.owner()?, &account.coin_id, amount);
    ok(json!({ "amount": amount }))
}

async fn balance(core: web::Data<Core>, account: web::Query<Account>) -> Answer {
    ok(json!({ "amount": core.fomo.balance(&account.owner()?, &account.coin_id) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewFault {
    /// An operation, or `callback`.
    operation: String,
    trade_id: Option<String>,
    /// A `Fault`, or a `CallbackFault` for `callback`.
    fault: Value,
    #[serde(default)]
    times: Times,
}

async fn add_fault(core: web::Data<Core>, new: web::Json<NewFault>) -> Answer {
    let NewFault { operation, trade_id, fault, times } = new.into_inner();
    let faults = &core.world.faults;
    if operation == "callback" {
        let fault = serde_json::from_value(fault).map_err(error::ErrorUnprocessableEntity)?;
        faults.add_callback(trade_id.as_deref(), fault, times);
    } else if knows(&operation) {
        let fault = serde_json::from_value(fault).map_err(error::ErrorUnprocessableEntity)?;
        faults.add(&operation, trade_id.as_deref(), fault, times);
    } else {
        return Err(unknown("no such operation"));
    }
    ok(json!({}))
}

async fn clear_faults(core: web::Data<Core>) -> Answer {
    core.world.faults.clear();
    ok(json!({}))
}

async fn release(core: web::Data<Core>) -> Answer {
    core.world.gate.release();
    ok(json!({}))
}

async fn pending_callbacks(core: web::Data<Core>) -> Answer {
    ok(json!({ "pending": core.world.outbox.pending() }))
}

async fn deliver_callbacks(core: web::Data<Core>) -> Answer {
    ok(json!({ "delivered": core.world.outbox.deliver(None).await }))
}

/// `{"advance": 60}`, `{"set": 1700000000}`, or `{"set": null}` for real time.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ClockCommand {
    Advance(i64),
    Set(Option<i64>),
}

async fn clock(core: web::Data<Core>) -> Answer {
    ok(json!({ "now_ms": core.world.clock.now_ms() }))
}

async fn set_clock(core: web::Data<Core>, command: web::Json<ClockCommand>) -> Answer {
    match *command {
        ClockCommand::Advance(seconds) => core.world.clock.advance(seconds),
        ClockCommand::Set(unix_seconds) => core.world.clock.set(unix_seconds),
    }
    clock(core).await
}

/// What is absent stays as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    style: Option<Style>,
    token_life: Option<TokenLife>,
    duplicate_check: Option<bool>,
    /// coin_id to fee.
    #[serde(default)]
    fees: BTreeMap<String, Fee>,
    /// coin_id to whether it is active.
    #[serde(default)]
    coins: BTreeMap<String, bool>,
    /// user_id to wallet password; null takes it away.
    #[serde(default)]
    wallet_pwds: BTreeMap<String, Option<String>>,
}

async fn settings(core: web::Data<Core>, new: web::Json<Settings>) -> Answer {
    let new = new.into_inner();
    for (coin_id, active) in &new.coins {
        if !core.fomo.set_coin_active(coin_id, *active) {
            return Err(unknown("no such coin"));
        }
    }
    for (user_id, wallet_pwd) in &new.wallet_pwds {
        if !core.fomo.set_user_wallet_pwd(user_id, wallet_pwd.as_deref()) {
            return Err(unknown("no such user"));
        }
    }
    new.style.inspect(|style| core.fomo.set_style(*style));
    new.token_life.inspect(|life| core.fomo.set_token_life(*life));
    new.duplicate_check.inspect(|on| core.set_duplicate_check(*on));
    new.fees.iter().for_each(|(coin_id, fee)| core.fomo.set_fee(coin_id, *fee));
    ok(json!({}))
}

async fn books(core: web::Data<Core>) -> Answer {
    ok(json!({ "entries": lock(&core.world.books).entries() }))
}

async fn calls(core: web::Data<Core>) -> Answer {
    let books = lock(&core.world.books);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for call in books.calls() {
        *counts.entry(call.operation).or_default() += 1;
    }
    ok(json!({ "counts": counts, "calls": books.calls() }))
}
