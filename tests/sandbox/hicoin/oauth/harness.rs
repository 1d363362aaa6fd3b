//! The address that a merchant builds, and the calls that follow.

use serde_json::Value;

pub use crate::browser::{address, choices, open, param, press, stayed, try_to_open};
pub use crate::hicoin::harness::{ANN, BOB, Form, MERCHANT, Wallet, code, form, text, with};

pub const BACK: &str = "https://pay.acme.example/oauth/hicoin/return";
pub const ACCESS_TOKEN: &str = "/sns/oauth/access_token";
pub const REFRESH_TOKEN: &str = "/sns/oauth/refresh_token";

/// hicoin-oauth.rst, section 2.2, with the page.
pub fn to_agree() -> Form {
    form([
        ("app_id", "acme-hicoin"),
        ("redirect_uri", BACK),
        ("response_type", "code"),
        ("scope", "snsapi_userinfo"),
        ("state", "Abc123"),
        ("wallet_redirect", BACK),
    ])
}

/// The same, silently.
pub fn silently() -> Form {
    with(&to_agree(), "scope", "snsapi_base")
}

/// hicoin-oauth.rst, section 2.3.
pub fn exchange(code: &str) -> Form {
    form([("app_id", "acme-hicoin"), ("secret", "acme-hicoin-secret"), ("code", code), ("grant_type", "authorization_code")])
}

/// hicoin-oauth.rst, section 2.4.
pub fn refresh(token: &str) -> Form {
    form([("app_id", "acme-hicoin"), ("grant_type", "refresh_token"), ("refresh_token", token)])
}

pub fn url(wallet: &Wallet, params: &Form) -> String {
    address(&format!("{}/connect/oauth/authorize", wallet.sandbox.hicoin_oauth_base_url()), params)
}

impl Wallet {
    pub async fn oauth_send(&self, path: &str, params: &Form) -> reqwest::Result<reqwest::Response> {
        self.http.post(format!("{}{path}", self.sandbox.hicoin_oauth_base_url())).form(params).send().await
    }

    pub async fn oauth(&self, path: &str, params: &Form) -> Value {
        let response = self.oauth_send(path, params).await.expect("an answer");
        assert_eq!(response.status(), 200);
        response.json().await.expect("JSON")
    }

    /// The code that a user gives.
    pub async fn code_of(&self, uid: u64) -> String {
        param(&self.sandbox.browse_hicoin_authorize(&url(self, &to_agree()), uid, true).await.expect("a redirect"), "code")
    }
}
