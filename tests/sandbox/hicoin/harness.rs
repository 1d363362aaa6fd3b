//! A merchant's backend in small, which signs as the document says.

use md5::{Digest, Md5};
use rust_decimal::Decimal;
use serde_json::Value;
use tillgate::sandbox::{HicoinBalance, HicoinTo, Kind, Options, Sandbox};

pub use crate::harness::{Form, NOW, amount, form, text, with};

pub const MERCHANT: u64 = 10_000;
/// Registered by mobile.
pub const ANN: u64 = 10_001;
/// Registered by email.
pub const BOB: u64 = 10_002;
/// An address on the chain that is nobody's here.
pub const OUTSIDE: &str = "0x754b0c610e311d0d00c810ef857b4dd989a67162";

pub const WITHDRAW: &str = "api/billing/withdraw";
pub const WITHDRAW_LIST: &str = "api/billing/withdrawList";
pub const SYNC: &str = "api/billing/syncDepositList";
pub const DEPOSIT_LIST: &str = "api/billing/depositList";
pub const USER_TRANSFER: &str = "api/billing/userTransfer";
pub const SYSTEM_TRANSFER: &str = "api/billing/systemTransfer";
pub const TRANSFER_LIST: &str = "api/billing/transferList";
pub const SYSTEM_TRANSFER_LIST: &str = "api/billing/systemTransferList";

pub struct Wallet {
    pub sandbox: Sandbox,
    pub http: reqwest::Client,
}

/// hicoin-openapi.rst, appendix 1.
pub fn sign(params: &Form, secret: &str) -> String {
    let mut joined = String::new();
    for (name, value) in params.iter().filter(|(name, value)| *name != "sign" && !value.is_empty()) {
        joined.push_str(&format!("{}{name}={value}", if joined.is_empty() { "" } else { "&" }));
    }
    hex::encode(Md5::digest(joined + secret))
}

/// Adds what every call needs.
pub fn signed(params: &Form) -> Form {
    let mut params = params.clone();
    params.extend(form([("app_id", "acme-hicoin"), ("time", &NOW.to_string())]));
    resigned(&params)
}

/// Signs once more after a change.
pub fn resigned(params: &Form) -> Form {
    with(params, "sign", &sign(params, "acme-hicoin-secret"))
}

pub fn code(answer: &Value) -> i64 {
    text(answer, "/code").parse().expect("a code")
}

pub fn withdraw_form(request_id: &str) -> Form {
    form([("request_id", request_id), ("from_uid", "10000"), ("to_address", OUTSIDE), ("amount", "100"), ("symbol", "USDT")])
}

pub fn user_transfer_form(request_id: &str) -> Form {
    form([("request_id", request_id), ("from_uid", "10000"), ("to_uid", "10001"), ("amount", "25"), ("symbol", "USDT")])
}

pub fn system_transfer_form(request_id: &str) -> Form {
    form([("request_id", request_id), ("to_uid", "10002"), ("amount", "5.5"), ("symbol", "USDT")])
}

impl Wallet {
    /// Time stands at `NOW`, notices are stepped by hand, the merchant has 1000 USDT, and two users are registered.
    pub async fn open() -> Self {
        Self::open_with(Options { manual_callbacks: true, ..Options::default() }).await
    }

    pub async fn open_with(options: Options) -> Self {
        let sandbox = Sandbox::start(options).await.expect("the sandbox starts");
        sandbox.set_clock(Some(NOW));
        sandbox.set_hicoin_balance(None, MERCHANT, "USDT", Decimal::from(1000)).expect("the merchant");
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let wallet = Self { sandbox, http };
        let ann = wallet.post("api/user/createUser", &form([("country", "+86"), ("mobile", "13512347778")])).await;
        let bob = wallet.post("api/user/registerEmail", &form([("email", "bob@shop.example")])).await;
        assert_eq!((ann["data"]["uid"].as_u64(), bob["data"]["uid"].as_u64()), (Some(ANN), Some(BOB)));
        wallet
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.sandbox.hicoin_base_url())
    }

    /// Sends parameters as they are, by POST.
    pub async fn send(&self, path: &str, params: &Form) -> reqwest::Result<reqwest::Response> {
        self.http.post(self.url(path)).form(params).send().await
    }

    /// Posts parameters as they are.
    pub async fn post_raw(&self, path: &str, params: &Form) -> Value {
        self.send(path, params).await.expect("an answer").json().await.expect("JSON")
    }

    pub async fn get_raw(&self, path: &str, params: &Form) -> Value {
        self.http.get(self.url(path)).query(params).send().await.expect("an answer").json().await.expect("JSON")
    }

    pub async fn post(&self, path: &str, params: &Form) -> Value {
        self.post_raw(path, &signed(params)).await
    }

    pub async fn get(&self, path: &str, params: &Form) -> Value {
        self.get_raw(path, &signed(params)).await
    }

    pub async fn withdraw(&self, request_id: &str) -> Value {
        self.post(WITHDRAW, &withdraw_form(request_id)).await
    }

    /// The records of a list call.
    pub async fn list(&self, path: &str, ids: &str) -> Vec<Value> {
        self.records(path, "ids", ids).await
    }

    /// The ids of the deposits after this one.
    pub async fn sync(&self, max_id: &str) -> Vec<u64> {
        self.records(SYNC, "max_id", max_id).await.iter().map(|one| one["id"].as_u64().expect("an id")).collect()
    }

    async fn records(&self, path: &str, name: &str, value: &str) -> Vec<Value> {
        let answer = self.get(path, &form([(name, value)])).await;
        assert_eq!(code(&answer), 0, "{answer}");
        answer["data"].as_array().expect("a list").clone()
    }

    pub fn deposit(&self, uid: u64, usdt: &str) -> u64 {
        self.sandbox.hicoin_deposit(None, &HicoinTo::Uid(uid), "USDT", amount(usdt)).expect("a deposit")
    }

    pub fn hidden_deposit(&self, uid: u64, usdt: &str) -> u64 {
        self.sandbox.hicoin_hidden_deposit(None, &HicoinTo::Uid(uid), "USDT", amount(usdt)).expect("a deposit")
    }

    pub async fn address(&self, uid: u64, symbol: &str) -> String {
        let answer = self.post("api/account/getDepositAddress", &form([("uid", &uid.to_string()), ("symbol", symbol)])).await;
        assert_eq!(answer["data"]["uid"].as_u64(), Some(uid));
        text(&answer, "/data/address")
    }

    /// USDT to spend and USDT that waits.
    pub fn balance(&self, uid: u64) -> (String, String) {
        let HicoinBalance { normal, locked } = self.sandbox.hicoin_balance(None, uid, "USDT").expect("the app");
        (normal.normalize().to_string(), locked.normalize().to_string())
    }

    /// What the books say of an order, in order.
    pub fn kinds(&self, trade_id: &str) -> Vec<Kind> {
        self.sandbox.books().iter().filter(|entry| entry.trade_id == trade_id).map(|entry| entry.kind).collect()
    }

    /// The law of every test: USDT came in by deposits alone and left by completed withdrawals alone.
    pub async fn close(self) {
        let books = self.sandbox.books();
        let deposits: Vec<_> = books.iter().filter(|entry| entry.kind == Kind::Deposit).map(|entry| &entry.transfer_id).collect();
        let flow = |kind: Kind, of_deposit: bool| {
            let usdt = books.iter().filter(|entry| entry.kind == kind && entry.coin_id == "USDT");
            usdt.filter(|entry| deposits.contains(&&entry.transfer_id) == of_deposit).map(|entry| entry.amount).sum::<Decimal>()
        };
        let came = Decimal::from(1000) + flow(Kind::Deposit, true) - flow(Kind::Returned, true);
        let users = [MERCHANT, ANN, BOB].map(|uid| self.sandbox.hicoin_balance(None, uid, "USDT").expect("the app"));
        let held: Decimal = users.iter().map(|balance| balance.normal + balance.locked).sum();
        assert_eq!(held, came - flow(Kind::Completed, false));
        self.sandbox.stop().await;
    }
}
