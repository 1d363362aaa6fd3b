//! Answers, with the quirks of the real service.

use serde_json::{Map, Value, json};

use super::code::{self, Refusal};
use super::state::Coin;
use super::transfer::Transfer;
use super::wire::{Done, Style};

/// Renders an answer. `pre_pay` misspells `success`, as its document does.
pub(super) fn render(style: Style, prepay: bool, outcome: &Result<Done, Refusal>) -> Value {
    let (status, about) = match outcome {
        Ok(_) => (code::SUCCESS, None),
        Err(refusal) => (refusal.code, refusal.about),
    };
    let mut answer = Map::new();
    answer.insert(if prepay { "sucess" } else { "success" }.to_owned(), Value::from(outcome.is_ok()));
    answer.insert("status".to_owned(), style.number(status));
    let text = about.map_or_else(|| code::message(status).to_owned(), |name| format!("{}: {name}", code::message(status)));
    answer.insert("msg".to_owned(), Value::from(text));
    match outcome {
        Ok(done @ Done::Tokens { .. }) if !style.enveloped_tokens => return data(style, done),
        Ok(Done::Prepaid { transfer_id, .. }) if !style.transfer_id_under_data => {
            answer.insert("transfer_id".to_owned(), Value::from(transfer_id.as_str()));
        }
        Ok(done) => drop(answer.insert("data".to_owned(), data(style, done))),
        Err(_) => {}
    }
    Value::Object(answer)
}

fn data(style: Style, done: &Done) -> Value {
    match done {
        Done::Code(code) => json!({ "code": code }),
        Done::Tokens { access_token, refresh_token, expires_in, scope } => json!({
            "access_token": access_token,
            "expires_in": style.number(i64::from(*expires_in)),
            "refresh_token": refresh_token,
            "token_type": "Bearer",
            "scope": scope,
        }),
        // The document does not name the fields; these are the names that it uses for the same things elsewhere.
        Done::User { user_id, name } => json!({ "id": user_id, "user_id": user_id, "name": name }),
        Done::Prepaid { transfer_id, trade_id } | Done::Confirmed { transfer_id, trade_id } => {
            style.one(json!({ "transfer_id": transfer_id, "trade_id": trade_id }))
        }
        Done::PaidOut { transfer_id, trade_id } => style.one(json!({
            "transfer_id": transfer_id,
            "trade_id": trade_id,
            "httpcode": style.number(0),
        })),
        Done::Detail { transfer, user_name, coin } => detail(style, transfer, user_name, coin.as_ref()),
        Done::Coins(coins) => {
            json!({ "active_coins": coins.iter().map(active_coin).collect::<Vec<_>>() })
        }
    }
}

/// Writes the first callback's HTTP status into the answer of `pay_user` (fomo-app.txt, section 三, 4).
pub(super) fn set_httpcode(style: Style, answer: &mut Value, status: u16) {
    let pointer = if style.data_as_object { "/data/httpcode" } else { "/data/0/httpcode" };
    if let Some(httpcode) = answer.pointer_mut(pointer) {
        *httpcode = style.number(i64::from(status));
    }
}

/// fomo-app.txt, section 三, 5: four lists.
fn detail(style: Style, transfer: &Transfer, user_name: &str, coin: Option<&Coin>) -> Value {
    let user = json!([{ "id": transfer.user_id, "name": user_name }]);
    let merchant = json!([{ "id": transfer.client_id, "name": transfer.client_id }]);
    let (from_user, to_user) = if transfer.direction() == "1" { (user, merchant) } else { (merchant, user) };
    let coins: Vec<Value> =
        coin.map(|coin| json!({ "id": coin.id, "name": coin.name, "decimals": coin.decimals.to_string() })).into_iter().collect();
    json!({
        "from_user": from_user,
        "to_user": to_user,
        "coin_info": coins,
        "transfer_log": [{
            "transfer_id": transfer.transfer_id,
            "trade_id": transfer.trade_id,
            "coin_id": transfer.coin_id,
            "amount": transfer.amount.to_string(),
            "cut_amount": transfer.cut.to_string(),
            "direction": transfer.direction(),
            "status": transfer.status(),
            "created_at": style.number(transfer.created_at_ms),
        }],
    })
}

/// fomo-app.txt, appendix 二, with the sample's misspelt `bc_expolorer`.
fn active_coin(coin: &Coin) -> Value {
    json!({
        "id": coin.id,
        "chain_id": coin.chain_id,
        "coin_type": "0",
        "price": coin.price,
        "name": coin.name,
        "description": "",
        "bc_expolorer": "",
        "contract": coin.contract,
        "decimals": coin.decimals.to_string(),
        "min_amount": "1",
        "next_start": "0",
        "is_active": if coin.is_active { "1" } else { "0" },
        "sort_id": "0",
    })
}
