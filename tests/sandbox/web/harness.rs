//! The addresses that a merchant builds.

use tillgate::sandbox::ClientSetup;

pub use crate::browser::{address, choices, open, param, press, query, stayed, submit, try_to_open};
pub use crate::harness::{Form, NOW, Shop, USDT, amount, form, sign, text, with};

pub const BACK: &str = "https://pay.acme.example/oauth/fomo/return";
pub const TOKEN: &str = "oauth2/authorize/token";

/// fomo-web.txt, section 二, 1.
pub fn to_agree() -> Form {
    assert_eq!(ClientSetup::default().redirect_uri, BACK);
    form([("response_type", "code"), ("client_id", "acme"), ("redirect_uri", BACK), ("state", "s &1"), ("scope", "userinfo paytoken")])
}

/// fomo-web.txt, section 二, 2.
pub fn exchange(code: &str) -> Form {
    form([
        ("code", code),
        ("client_id", "acme"),
        ("client_secret", "acme-secret"),
        ("grant_type", "authorization_code"),
        ("scope", "userinfo paytoken"),
        ("state", "s &1"),
    ])
}

/// fomo-web.txt, section 三, 2 and 3.
pub fn payment(shop: &Shop, direction: &str, trade_id: &str) -> Form {
    form([
        ("direction", direction),
        ("timestamp", &NOW.to_string()),
        ("sign", &sign(NOW)),
        ("trade_id", trade_id),
        ("amount", "10.50"),
        ("coin_id", USDT),
        ("user_id", "u1"),
        ("access_token", &shop.access),
        ("client_id", "acme"),
        ("redirect_uri", BACK),
        ("state", "s &1"),
        ("scope", "paytoken"),
        ("response_type", "code"),
    ])
}

/// Where a payment with these parameters sends the browser, to the letter.
pub fn outcome(params: &Form, status: i64) -> String {
    let echo = ["trade_id", "amount", "coin_id", "user_id", "access_token", "client_id", "redirect_uri", "state"];
    let echo = echo.map(|name| (name, params[name].clone()));
    let pairs = std::iter::once(("status", status.to_string())).chain(echo);
    format!("{BACK}?{}", serde_urlencoded::to_string(pairs.collect::<Vec<_>>()).expect("a query"))
}

pub fn authorize_url(shop: &Shop, params: &Form) -> String {
    address(&format!("{}oauth2/authorize", shop.sandbox.fomo_base_url()), params)
}

pub fn pay_url(shop: &Shop, params: &Form) -> String {
    address(&format!("{}oauth2/authorize/pay", shop.sandbox.fomo_base_url()), params)
}
