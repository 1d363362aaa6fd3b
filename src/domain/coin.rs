//! Coins, as a provider lists them and as we name them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::order::Provider;

/// A coin that a provider offers, in one shape for all providers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Coin {
    /// The name to use in orders: the provider's name where it is unambiguous, else its id.
    #[schema(example = "usdt")]
    pub coin: String,
    /// The provider that offers it.
    pub provider: Provider,
    /// The provider's own id, always accepted in place of the name.
    #[schema(example = "5")]
    pub provider_coin_id: String,
    /// Most decimals that an amount of it may have.
    #[schema(example = 6)]
    pub decimals: u32,
    /// Whether new orders are taken.
    pub active: bool,
    /// Address of an icon, where the provider has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// The provider's price in its own unit of account, for display only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "0.9993")]
    pub price: Option<String>,
}

/// Finds the coin that a merchant names: by name, or by the provider's id.
pub fn find<'a>(coins: &'a [Coin], name: &str) -> Option<&'a Coin> {
    coins.iter().find(|coin| coin.coin == name).or_else(|| coins.iter().find(|coin| coin.provider_coin_id == name))
}

/// Gives each coin the name that orders use: the provider's name where only one coin has it, and it
/// is no other coin's id.
pub fn name_unambiguously(coins: &mut [Coin]) {
    let names: Vec<(String, String)> = coins.iter().map(|coin| (coin.coin.clone(), coin.provider_coin_id.clone())).collect();
    for (index, coin) in coins.iter_mut().enumerate() {
        let shared = names.iter().enumerate().any(|(other, (name, id))| other != index && (*name == coin.coin || *id == coin.coin));
        if shared || coin.coin.is_empty() {
            coin.coin.clone_from(&coin.provider_coin_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coin(name: &str, id: &str) -> Coin {
        Coin {
            coin: name.into(),
            provider: Provider::Fomo,
            provider_coin_id: id.into(),
            decimals: 6,
            active: true,
            icon: None,
            price: None,
        }
    }

    #[test]
    fn a_name_that_two_coins_share_gives_way_to_their_ids() {
        let mut coins = [coin("usdt", "5"), coin("usdt", "9"), coin("btc", "8")];
        name_unambiguously(&mut coins);
        assert_eq!(coins.each_ref().map(|coin| coin.coin.as_str()), ["5", "9", "btc"]);
        assert_eq!(find(&coins, "8").map(|coin| coin.coin.as_str()), Some("btc"));
        assert_eq!(find(&coins, "usdt"), None);
    }

    #[test]
    fn a_name_that_is_another_coins_id_gives_way_to_its_own_id() {
        let mut coins = [coin("8", "3"), coin("btc", "8")];
        name_unambiguously(&mut coins);
        assert_eq!(coins.each_ref().map(|coin| coin.coin.as_str()), ["3", "btc"]);
        assert_eq!(find(&coins, "8").map(|coin| coin.coin.as_str()), Some("btc"));
    }
}
