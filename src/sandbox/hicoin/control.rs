//! Hicoin's control verbs over HTTP, under `/_control/hicoin/`.

use std::collections::BTreeMap;

use actix_web::web;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::json;

use super::alter::HicoinAlteration;
use super::deposit::HicoinTo;
use super::operator::HicoinError;
use super::setup::HicoinCoin;
use super::wire::HicoinStyle;
use super::withdrawal::HicoinStage;
use crate::sandbox::Core;
use crate::sandbox::control::{Answer, ok, unknown};

/// The table, below `/_control`.
pub(in crate::sandbox) fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::scope("/hicoin")
            .route("/deposits", web::post().to(deposit))
            .route("/deposits/show", web::post().to(show))
            .route("/deposits/confirm", web::post().to(confirm))
            .route("/deposits/finish", web::post().to(finish))
            .route("/deposits/abnormal", web::post().to(abnormal))
            .route("/deposits/skip", web::post().to(skip))
            .route("/alter", web::post().to(alter))
            .route("/withdrawals", web::post().to(withdrawal))
            .route("/balances", web::get().to(balance))
            .route("/balances", web::post().to(set_balance))
            .route("/settings", web::post().to(settings))
            .configure(super::oauth::control_routes),
    );
}

impl From<HicoinError> for actix_web::Error {
    fn from(problem: HicoinError) -> Self {
        unknown(&problem.to_string())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewDeposit {
    app: Option<String>,
    /// Either this or an address.
    uid: Option<u64>,
    address: Option<String>,
    symbol: String,
    amount: Decimal,
    #[serde(default = "yes")]
    visible: bool,
}

fn yes() -> bool {
    true
}

async fn deposit(core: web::Data<Core>, new: web::Json<NewDeposit>) -> Answer {
    let to = match (new.uid, &new.address) {
        (Some(uid), None) => HicoinTo::Uid(uid),
        (None, Some(address)) => HicoinTo::Address(address.clone()),
        _ => return Err(unknown("name either a uid or an address")),
    };
    let id = core.hicoin.deposit(new.app.as_deref(), &to, &new.symbol, new.amount, new.visible)?;
    ok(json!({ "id": id }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    app: Option<String>,
    id: u64,
}

async fn show(core: web::Data<Core>, named: web::Json<Named>) -> Answer {
    core.hicoin.show(named.app.as_deref(), named.id)?;
    ok(json!({}))
}

async fn finish(core: web::Data<Core>, named: web::Json<Named>) -> Answer {
    core.hicoin.finish(named.app.as_deref(), named.id)?;
    ok(json!({}))
}

async fn abnormal(core: web::Data<Core>, named: web::Json<Named>) -> Answer {
    core.hicoin.abnormal(named.app.as_deref(), named.id)?;
    ok(json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    app: Option<String>,
    id: u64,
    confirmations: u32,
}

async fn confirm(core: web::Data<Core>, seen: web::Json<Confirmation>) -> Answer {
    core.hicoin.confirm(seen.app.as_deref(), seen.id, seen.confirmations)?;
    ok(json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Gap {
    app: Option<String>,
    count: u64,
}

async fn skip(core: web::Data<Core>, gap: web::Json<Gap>) -> Answer {
    core.hicoin.skip_deposit_ids(gap.app.as_deref(), gap.count)?;
    ok(json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Move {
    app: Option<String>,
    request_id: String,
    /// By its name, such as `paying`.
    status: HicoinStage,
    confirmations: Option<u32>,
}

async fn withdrawal(core: web::Data<Core>, to: web::Json<Move>) -> Answer {
    core.hicoin.withdrawal(to.app.as_deref(), &to.request_id, to.status, to.confirmations)?;
    ok(json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    app: Option<String>,
    uid: u64,
    symbol: String,
}

async fn balance(core: web::Data<Core>, account: web::Query<Account>) -> Answer {
    let balance = core.hicoin.balance(account.app.as_deref(), account.uid, &account.symbol)?;
    ok(json!(balance))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewBalance {
    app: Option<String>,
    uid: u64,
    symbol: String,
    amount: Decimal,
}

async fn set_balance(core: web::Data<Core>, new: web::Json<NewBalance>) -> Answer {
    core.hicoin.set_balance(new.app.as_deref(), new.uid, &new.symbol, new.amount)?;
    ok(json!({}))
}

/// What is absent stays as it is. The app is the one whose users, coins and notices are meant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    app: Option<String>,
    style: Option<HicoinStyle>,
    auto_advance: Option<bool>,
    refuse_ip: Option<bool>,
    /// uid to whether he is frozen.
    #[serde(default)]
    frozen: BTreeMap<u64, bool>,
    /// Whole coins.
    #[serde(default)]
    coins: Vec<HicoinCoin>,
    /// Empty: no notices.
    notice_url: Option<String>,
}

async fn settings(core: web::Data<Core>, new: web::Json<Settings>) -> Answer {
    let new = new.into_inner();
    let app = new.app.as_deref();
    for (uid, frozen) in &new.frozen {
        core.hicoin.freeze(app, *uid, *frozen)?;
    }
    for coin in new.coins {
        core.hicoin.set_coin(app, coin)?;
    }
    if let Some(url) = new.notice_url.as_deref() {
        core.hicoin.set_notice_url(app, Some(url).filter(|url| !url.is_empty()))?;
    }
    new.style.inspect(|style| core.hicoin.set_style(*style));
    new.auto_advance.inspect(|on| core.hicoin.set_auto_advance(*on));
    new.refuse_ip.inspect(|on| core.hicoin.set_refuse_ip(*on));
    ok(json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Alteration {
    app: Option<String>,
    alteration: HicoinAlteration,
}

async fn alter(core: web::Data<Core>, asked: web::Json<Alteration>) -> Answer {
    let asked = asked.into_inner();
    core.hicoin.alter(asked.app.as_deref(), asked.alteration)?;
    ok(json!({}))
}
