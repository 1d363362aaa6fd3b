//! The reading of Hicoin's list of coins.

use serde_json::Value;
use url::Url;

use super::{read, unreadable};
use crate::domain::coin::{Coin, name_unambiguously};
use crate::domain::money::MAX_SCALE;
use crate::domain::order::Provider;
use crate::providers::http::Sent;
use crate::providers::reading::{Fields, Unreadable};

/// Reads `getCoinList` (`hicoin-openapi.rst`, section 4.10). A coin without a readable symbol is left out.
pub fn coins(sent: &Sent) -> Result<Vec<Coin>, String> {
    read_coins(sent).map_err(|unreadable| unreadable.0)
}

fn read_coins(sent: &Sent) -> Result<Vec<Coin>, Unreadable> {
    let (code, answer) = read(sent)?;
    if code.ask_error().is_some() {
        return Err(Unreadable(code.text()));
    }
    let list = answer.entries("data")?;
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
    let symbol = fields.id("symbol").ok()??;
    let icon = fields.id("icon").unwrap_or_default();
    Some(Coin {
        coin: symbol.clone(),
        provider: Provider::Hicoin,
        provider_coin_id: symbol,
        // The list tells no decimals, and amounts come with 16 to 18 of them. So nothing that we can
        // hold is refused here; a coin that has fewer is for Hicoin to refuse.
        decimals: MAX_SCALE,
        // A coin that is not offered is not listed.
        active: true,
        // It is shown to people: nothing but an address of the web may be in its place.
        icon: icon.filter(|icon| Url::parse(icon).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))),
        price: None,
    })
}
