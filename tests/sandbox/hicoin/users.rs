//! Users, their accounts and addresses, and the apps that keep apart.

use serde_json::{Value, json};
use tillgate::sandbox::{HicoinApp, HicoinError, Options};

use super::harness::*;

const CREATE: &str = "api/user/createUser";
const EMAIL: &str = "api/user/registerEmail";
const INFO: &str = "api/user/info";
const ACCOUNT: &str = "api/account/getByUidAndSymbol";
const ACCOUNTS: &str = "api/account/getAllAccount";

#[tokio::test(flavor = "multi_thread")]
async fn a_user_registers_once_and_is_found_again() {
    let wallet = Wallet::open().await;
    let ann = form([("country", "+86"), ("mobile", "13512347778")]);
    assert_eq!(code(&wallet.post(CREATE, &ann).await), 110_023);
    assert_eq!(code(&wallet.post(EMAIL, &form([("email", "bob@shop.example")])).await), 110_101);
    assert_eq!(wallet.post(CREATE, &with(&ann, "country", "+1")).await["data"]["uid"], 10_003, "another country, another user");

    let found = wallet.get(INFO, &ann).await;
    assert_eq!(found["data"], json!({ "uid": ANN, "nickname": "135****7778" }));
    for (params, expected) in [
        (form([("mobile", "13512347778")]), json!(ANN)),
        (form([("country", "+1"), ("mobile", "13512347778")]), json!(10_003)),
        (form([("email", "bob@shop.example")]), json!(BOB)),
        (form([("email", "nobody@shop.example")]), Value::Null),
        (form([("mobile", "13512347779")]), Value::Null),
    ] {
        let answer = wallet.get(INFO, &params).await;
        assert_eq!(answer["data"]["uid"], expected, "{params:?}");
        assert_eq!(code(&answer), if expected.is_null() { 110_065 } else { 0 });
    }
    assert_eq!(code(&wallet.get(INFO, &form([("country", "+86")])).await), 100_004);
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_does_not_register() {
    let wallet = Wallet::open().await;
    let mobiles =
        [("+86", "1234", 110_089), ("+86", "1350000000x", 110_089), ("86", "13500000000", 100_004), ("+", "13500000000", 100_004)];
    for (country, mobile, expected) in mobiles {
        assert_eq!(code(&wallet.post(CREATE, &form([("country", country), ("mobile", mobile)])).await), expected, "{country} {mobile}");
    }
    for email in ["bob", "@shop.example", "bob@shop", "bob @shop.example", "a@b@c.example"] {
        assert_eq!(code(&wallet.post(EMAIL, &form([("email", email)])).await), 100_004, "{email}");
    }
    assert_eq!(wallet.post(EMAIL, &form([("email", "eve@shop.example")])).await["data"]["uid"], 10_003, "no number was used up");
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_made_once_and_makes_no_account() {
    let wallet = Wallet::open().await;
    let asked = form([("uid", "10001"), ("symbol", "BTC")]);
    assert_eq!(text(&wallet.get(ACCOUNT, &asked).await, "/data/deposit_address"), "");
    let btc = wallet.address(ANN, "BTC").await;
    assert!(btc.len() == 34 && btc.starts_with('1'), "{btc}");
    assert_eq!(wallet.address(ANN, "BTC").await, btc);
    assert_eq!(text(&wallet.get(ACCOUNT, &asked).await, "/data/deposit_address"), btc);
    let eth = wallet.address(ANN, "ETH").await;
    assert!(eth.len() == 42 && eth.starts_with("0x"), "{eth}");
    assert_ne!(wallet.address(BOB, "ETH").await, eth);
    assert_eq!(wallet.get(ACCOUNTS, &form([("uid", "10001")])).await["data"], json!([]));
    for (params, expected) in [
        (form([("uid", "4711"), ("symbol", "BTC")]), 110_065),
        (form([("uid", "10001"), ("symbol", "DOGE")]), 120_202),
        (form([("uid", ""), ("symbol", "BTC")]), 100_004),
    ] {
        assert_eq!(code(&wallet.get(ACCOUNT, &params).await), expected);
        assert_eq!(code(&wallet.post("api/account/getDepositAddress", &params).await), expected);
    }
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_tells_what_can_be_spent_and_what_waits() {
    let wallet = Wallet::open().await;
    wallet.withdraw("w1").await;
    let account = wallet.get(ACCOUNT, &form([("uid", "10000"), ("symbol", "USDT")])).await;
    assert_eq!(account["data"], json!({ "normal_balance ": "900", "lock_balance ": "100", "deposit_address": "" }));
    wallet.sandbox.set_hicoin_balance(None, MERCHANT, "BTC", amount("1.00211211")).expect("BTC");
    let all = wallet.get(ACCOUNTS, &form([("uid", "10000")])).await;
    let btc = json!({ "symbol": "BTC", "normal_balance": "1.00211211", "lock_balance": "0" });
    assert_eq!(all["data"], json!([btc, { "symbol": "USDT", "normal_balance": "900", "lock_balance": "100" }]));
    assert_eq!(code(&wallet.get(ACCOUNTS, &form([("uid", "4711")])).await), 110_065);
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_coins_have_a_name_and_a_picture() {
    let wallet = Wallet::open().await;
    let coins = wallet.get("api/user/getCoinList", &form([])).await;
    let symbols: Vec<_> = coins["data"].as_array().expect("a list").iter().map(|coin| text(coin, "/symbol")).collect();
    assert_eq!(symbols, ["BTC", "ETH", "USDT"]);
    assert_eq!(text(&coins, "/data/0/icon"), "https://hicoin.example/icons/BTC.png");
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn apps_know_nothing_of_one_another() {
    let other = HicoinApp { app_id: "other".to_owned(), app_secret: "other-secret".to_owned(), uid: 10_000 };
    let apps = vec![HicoinApp::default(), other];
    let wallet = Wallet::open_with(Options { hicoin_apps: apps, manual_callbacks: true, ..Options::default() }).await;
    wallet.withdraw("w1").await;
    let mut params = with(&signed(&form([("ids", "w1")])), "app_id", "other");
    assert_eq!(code(&wallet.get_raw(WITHDRAW_LIST, &resigned(&params)).await), 100_005, "each app has its secret");
    params.insert("sign".to_owned(), sign(&params, "other-secret"));
    assert_eq!(wallet.get_raw(WITHDRAW_LIST, &params).await["data"], json!([]));
    let balance = wallet.sandbox.hicoin_balance(Some("other"), MERCHANT, "USDT").expect("the app");
    assert!(balance.normal.is_zero());
    assert_eq!(wallet.sandbox.hicoin_balance(Some("nobody"), MERCHANT, "USDT"), Err(HicoinError::NoSuchApp));

    let to = tillgate::sandbox::HicoinTo::Uid(ANN);
    let theirs = wallet.sandbox.hicoin_deposit(Some("other"), &to, "BTC", amount("1")).expect("a deposit");
    assert_eq!((theirs, wallet.deposit(ANN, "1")), (1, 1), "each app counts its own deposits");
    let symbols: Vec<_> = wallet.list(DEPOSIT_LIST, "1").await.iter().map(|one| text(one, "/symbol")).collect();
    assert_eq!(symbols, ["USDT"]);
    wallet.close().await;
}
