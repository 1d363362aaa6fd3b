//! What is agreed with Hicoin before the first call: merchants' apps and the coins (hicoin-openapi.rst, section 5).

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// A merchant's app as Hicoin has assigned it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HicoinApp {
    /// The app's id, a parameter of every call.
    pub app_id: String,
    /// The secret behind `sign`.
    pub app_secret: String,
    /// The merchant's own account, from which it pays; the users that it registers get the numbers after it.
    pub uid: u64,
}

impl Default for HicoinApp {
    fn default() -> Self {
        Self { app_id: "acme-hicoin".to_owned(), app_secret: "acme-hicoin-secret".to_owned(), uid: 10_000 }
    }
}

/// What Hicoin takes for a withdrawal, as set up in the merchant's back office (section 4.9). In the withdrawal's own
/// coin it is part of the amount; in another it is taken besides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HicoinFee {
    /// The coin in which it is taken (`withdraw_fee_symbol`).
    pub symbol: String,
    /// How much (`withdraw_fee`).
    pub amount: Decimal,
}

/// A coin that a merchant's users can hold (section 4.10).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HicoinCoin {
    /// Its name, which is its id, too.
    pub symbol: String,
    /// Where its picture is.
    pub icon: String,
    /// The most digits after the point, at most 16.
    pub decimals: u32,
    /// What a withdrawal on the chain costs.
    pub fee: HicoinFee,
    /// The least amount of a withdrawal or transfer (code 110078); zero for no such limit.
    pub min: Decimal,
    /// What the chain's miners take of a withdrawal (`real_fee`), paid by Hicoin.
    pub real_fee: Decimal,
}

impl HicoinCoin {
    fn sample(symbol: &str, decimals: u32, fee: Decimal) -> Self {
        Self {
            symbol: symbol.to_owned(),
            icon: format!("https://hicoin.example/icons/{symbol}.png"),
            decimals,
            fee: HicoinFee { symbol: symbol.to_owned(), amount: fee },
            min: Decimal::ZERO,
            // The smallest amount that the document shows.
            real_fee: Decimal::new(1, 16),
        }
    }

    /// BTC with a fee of 0.0005, ETH with 0.005 and USDT with 1, all without a minimum.
    pub fn samples() -> Vec<Self> {
        vec![Self::sample("BTC", 8, Decimal::new(5, 4)), Self::sample("ETH", 16, Decimal::new(5, 3)), Self::sample("USDT", 6, Decimal::ONE)]
    }
}
