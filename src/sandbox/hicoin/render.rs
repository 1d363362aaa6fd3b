//! Answers, with the oddities of the document's samples.

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::code::{self, Refusal};
use super::deposit::Deposit;
use super::transfer::Transfer;
use super::wire::{Done, HicoinStatuses, HicoinStyle};
use super::withdrawal::Withdrawal;

/// Renders an answer (hicoin-openapi.rst, section 4): `code`, `msg`, and `data` where there is some.
pub(super) fn render(style: HicoinStyle, outcome: &Result<Done, Refusal>) -> Value {
    let (code, about) = match outcome {
        Ok(_) => (code::SUCCESS, None),
        Err(refusal) => (refusal.code, refusal.about),
    };
    let mut answer = envelope(style, code, about);
    if let Ok(done) = outcome {
        answer.insert("data".to_owned(), data(style, done));
    }
    Value::Object(answer)
}

/// `code` and `msg`.
pub(super) fn envelope(style: HicoinStyle, code: i64, about: Option<&str>) -> Map<String, Value> {
    let text = about.map_or_else(|| code::message(code).to_owned(), |name| format!("{}: {name}", code::message(code)));
    let mut answer = Map::new();
    answer.insert("code".to_owned(), number_or_text(!style.number_codes, code));
    answer.insert("msg".to_owned(), Value::from(text));
    answer
}

fn data(style: HicoinStyle, done: &Done) -> Value {
    match done {
        Done::Registered { uid } => json!({ "uid": uid }),
        Done::User { uid, nickname } => json!({ "uid": uid, "nickname": nickname }),
        Done::Account { balance, address } => json!({
            style.key("normal_balance "): plain(balance.normal),
            style.key("lock_balance "): plain(balance.locked),
            "deposit_address": address,
        }),
        Done::Accounts(accounts) => accounts
            .iter()
            .map(|(symbol, balance)| json!({ "symbol": symbol, "normal_balance": plain(balance.normal), "lock_balance": plain(balance.locked) }))
            .collect(),
        Done::Address { uid, address } => json!({ "uid": uid, "address": address }),
        Done::Ordered { status, withdraw_type } => ordered(style, *status, *withdraw_type),
        Done::Coins(coins) => coins.iter().map(|coin| json!({ "symbol": coin.symbol, "icon": coin.icon })).collect(),
        Done::Withdrawals(list) => list.iter().map(|one| withdrawal(style, one)).collect(),
        Done::Deposits(list) => list.iter().map(|one| deposit(style, one)).collect(),
        Done::Transfers(list) => list.iter().map(|one| transfer(style, one)).collect(),
    }
}

/// Sections 4.7 to 4.9.
fn ordered(style: HicoinStyle, status: u8, withdraw_type: Option<u8>) -> Value {
    let name = if style.status_spelt_right { "status" } else { "statuts" };
    let mut answer = json!({ name: style.status(status, false) });
    if let Some(withdraw_type) = withdraw_type.filter(|_| style.withdraw_type) {
        answer["withdraw_type"] = Value::from(withdraw_type);
    }
    answer
}

/// Section 4.11.
fn withdrawal(style: HicoinStyle, one: &Withdrawal) -> Value {
    json!({
        "request_id": one.request_id,
        "id": one.id,
        "uid": one.uid,
        style.key("symbol "): one.symbol,
        "amount": plain(one.amount),
        "withdraw_fee_symbol": one.fee.symbol,
        "withdraw_fee": plain(one.fee.amount),
        "fee_symbol": one.symbol,
        "real_fee": plain(one.real_fee),
        "created_at": style.time(one.created_at_ms),
        "updated_at": style.time(one.updated_at_ms),
        "address_from": one.address_from,
        "address_to": one.address_to,
        "txid": one.txid,
        "confirmations": one.confirmations,
        "saas_status": one.stage.review(),
        "company_status": one.stage.review(),
        "status": style.status(one.stage as u8, false),
    })
}

/// Sections 4.12 and 4.13.
fn deposit(style: HicoinStyle, one: &Deposit) -> Value {
    json!({
        "id": one.id,
        "uid": one.uid,
        "symbol": one.symbol,
        "amount": padded(one.amount),
        "created_at": style.time(one.created_at_ms),
        "updated_at": style.time(one.updated_at_ms),
        "txid": one.txid,
        "confirmations": one.confirmations,
        "status": style.status(one.status as u8, false),
        "address_to": one.address_to,
    })
}

/// Sections 4.14 and 4.15, by their samples: the tables name a `uid` besides the two.
fn transfer(style: HicoinStyle, one: &Transfer) -> Value {
    json!({
        "request_id": one.request_id,
        "id": one.id,
        "symbol": one.symbol,
        "amount": padded(one.amount),
        "created_at": style.time(one.created_at_ms),
        "updated_at": style.time(one.created_at_ms),
        "from_uid": one.from_uid,
        "to_uid": one.to_uid,
        "status": style.status(one.status(), true),
    })
}

impl HicoinStyle {
    /// A key that the document prints with a trailing blank.
    fn key(self, printed: &'static str) -> &'static str {
        if self.trimmed_keys { printed.trim_end() } else { printed }
    }

    fn time(self, at_ms: i64) -> Value {
        number_or_text(self.string_times, at_ms)
    }

    fn status(self, status: u8, printed_as_text: bool) -> Value {
        let text = match self.statuses {
            HicoinStatuses::AsPrinted => printed_as_text,
            HicoinStatuses::Numbers => false,
            HicoinStatuses::Strings => true,
        };
        number_or_text(text, i64::from(status))
    }
}

pub(super) fn number_or_text(text: bool, number: i64) -> Value {
    if text { Value::from(number.to_string()) } else { Value::from(number) }
}

/// An amount as balances and withdrawals have it.
pub(super) fn plain(amount: Decimal) -> String {
    amount.normalize().to_string()
}

/// An amount as deposits and transfers have it: 16 digits after the point.
fn padded(amount: Decimal) -> String {
    format!("{amount:.16}")
}
