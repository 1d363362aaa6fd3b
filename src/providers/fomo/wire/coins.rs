//! The reading of FOMO's list of coins.

use serde_json::Value;

use super::{Answered, Code, unreadable};
use crate::domain::coin::{Coin, name_unambiguously};
use crate::domain::money::MAX_SCALE;
use crate::domain::order::Provider;
use crate::providers::http::Sent;
use crate::providers::reading::{Fields, Unreadable};

/// Reads `get_active_coins` (appendix 2). A coin without a readable id and decimals is left out.
pub fn coins(sent: &Sent) -> Result<Vec<Coin>, String> {
    read_coins(sent).map_err(|unreadable| unreadable.0)
}

fn read_coins(sent: &Sent) -> Result<Vec<Coin>, Unreadable> {
    let answer = Answered::read(sent)?;
    match (answer.code(&["status"])?, answer.success()?) {
        (None | Some(Code::Success), None | Some(true)) => {}
        (code, _) => return Err(Unreadable(format!("code {}", code.map_or("missing".to_owned(), |code| code.number().to_string())))),
    }
    let none = || unreadable("the answer has no active_coins");
    let list = answer.data.list("active_coins")?.or(answer.top.list("active_coins")?).ok_or_else(none)?;
    let mut coins: Vec<Coin> = Vec::with_capacity(list.len());
    for coin in list.iter().filter_map(read_coin) {
        if coins.iter().all(|known| known.provider_coin_id != coin.provider_coin_id) {
            coins.push(coin);
        }
    }
    if coins.is_empty() && !list.is_empty() {
        return Err(unreadable("no coin of the answer can be read"));
    }
    name_unambiguously(&mut coins);
    Ok(coins)
}

fn read_coin(value: &Value) -> Option<Coin> {
    let fields = Fields::of(value.clone()).ok()?;
    let decimals = u32::try_from(fields.integer("decimals").ok()??).ok()?;
    Some(Coin {
        coin: fields.id("name").ok()?.unwrap_or_default(),
        provider: Provider::Fomo,
        provider_coin_id: fields.id("id").ok()??,
        decimals: decimals.min(MAX_SCALE),
        active: fields.flag("is_active").unwrap_or(Some(false)).unwrap_or(true),
        icon: None,
        price: fields.id("price").unwrap_or_default(),
    })
}
