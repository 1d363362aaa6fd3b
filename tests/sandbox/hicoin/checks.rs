//! Every check refuses with its code, and a refused call leaves nothing behind.

use rust_decimal::Decimal;
use tillgate::sandbox::{HicoinApp, HicoinCoin, HicoinFee, Options};

use super::harness::*;

/// All calls by method and path.
const GETS: [&str; 9] = [
    "api/user/info",
    "/api/account/getByUidAndSymbol",
    "/api/account/getAllAccount",
    "/api/user/getCoinList",
    "/api/billing/withdrawList",
    "/api/billing/syncDepositList",
    "/api/billing/depositList",
    "/api/billing/transferList",
    "/api/billing/systemTransferList",
];
const POSTS: [&str; 6] = [
    "api/user/createUser",
    "api/user/registerEmail",
    "/api/account/getDepositAddress",
    "/api/billing/userTransfer",
    "/api/billing/systemTransfer",
    "/api/billing/withdraw",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_documents_example_signs_as_it_says() {
    let app_id = "16a9f17fc2ad61ca4339fdd6a8a37f21".to_owned();
    let app_secret = "4dedb14fae76dae682de02e671eac408".to_owned();
    let apps = vec![HicoinApp::default(), HicoinApp { app_id: app_id.clone(), app_secret, uid: 500 }];
    let wallet = Wallet::open_with(Options { hicoin_apps: apps, manual_callbacks: true, ..Options::default() }).await;
    wallet.sandbox.set_clock(Some(1_551_325_752));
    let example = form([("app_id", &app_id), ("country", "+86"), ("mobile", "15004648456"), ("time", "1551325752")]);
    let answer = wallet.post_raw("api/user/createUser", &with(&example, "sign", "f0688315c0f13b6880549f7b4ea031ef")).await;
    assert_eq!((code(&answer), answer["data"]["uid"].as_u64()), (0, Some(501)));
    for wrong in ["f0688315c0f13b6880549f7b4ea031ee", "F0688315C0F13B6880549F7B4EA031EF"] {
        assert_eq!(code(&wallet.post_raw("api/user/createUser", &with(&example, "sign", wrong)).await), 100_005);
    }
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_is_every_parameter_with_a_value() {
    let wallet = Wallet::open().await;
    let good = signed(&withdraw_form("w1"));
    let changes = [("amount", "101"), ("to_address", ANOTHER), ("focus_online", "0"), ("extra", "1")];
    for (name, value) in changes {
        assert_eq!(code(&wallet.post_raw(WITHDRAW, &with(&good, name, value)).await), 100_005, "{name} is signed");
    }
    let with_empty = with(&good, "focus_online", "");
    assert_eq!(code(&wallet.post_raw(WITHDRAW, &with_empty).await), 0, "an empty value is not signed");
    let zero = signed(&form([("max_id", "0")]));
    assert_eq!(code(&wallet.get_raw(SYNC, &zero).await), 0);
    let unsigned_zero = with(&zero, "sign", &sign(&with(&zero, "max_id", ""), "acme-hicoin-secret"));
    assert_eq!(code(&wallet.get_raw(SYNC, &unsigned_zero).await), 100_005, "0 is a value");
    wallet.close().await;
}

const ANOTHER: &str = "0x794b0c610e011d0d40c810ef146b4dd989a67152";

#[tokio::test(flavor = "multi_thread")]
async fn every_call_has_one_method_and_checks_who_calls() {
    let wallet = Wallet::open().await;
    let bare = signed(&form([]));
    for path in GETS.into_iter().chain(POSTS) {
        let is_get = GETS.contains(&path);
        let wrong = if is_get { wallet.http.post(wallet.url(path)) } else { wallet.http.get(wallet.url(path)) };
        assert_eq!(wrong.send().await.expect("an answer").status(), 405, "{path}");
        for (name, value, expected) in [
            ("app_id", "nobody", 100_015),
            ("app_id", "", 100_004),
            ("sign", "", 100_004),
            ("sign", "00", 100_005),
            ("time", "soon", 100_004),
        ] {
            let params = with(&bare, name, value);
            let answer = if is_get { wallet.get_raw(path, &params).await } else { wallet.post_raw(path, &params).await };
            assert_eq!(code(&answer), expected, "{path} {name}={value}");
            assert!(answer.get("data").is_none());
        }
    }
    assert_eq!(wallet.http.get(wallet.url("api/user/delete")).send().await.expect("an answer").status(), 404);
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_reads_its_query_alone_and_a_post_its_body() {
    let wallet = Wallet::open().await;
    let params = signed(&withdraw_form("w1"));
    let in_query = wallet.http.post(wallet.url(WITHDRAW)).query(&params).send().await.expect("an answer");
    assert_eq!(code(&in_query.json().await.expect("JSON")), 100_004);
    let in_body = wallet.http.get(wallet.url(SYNC)).form(&signed(&form([("max_id", "0")]))).send().await.expect("an answer");
    assert_eq!(code(&in_body.json().await.expect("JSON")), 100_004);
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_holds_for_ten_minutes_either_way() {
    let wallet = Wallet::open().await;
    for (offset, expected) in [(-601, 100_005), (-600, 0), (600, 0), (601, 100_005)] {
        let params = resigned(&with(&signed(&form([("max_id", "0")])), "time", &(NOW + offset).to_string()));
        assert_eq!(code(&wallet.get_raw(SYNC, &params).await), expected, "{offset} seconds");
    }
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_from_a_strange_address_is_refused_on_request() {
    let wallet = Wallet::open().await;
    wallet.sandbox.set_hicoin_refuse_ip(true);
    assert_eq!(code(&wallet.withdraw("w1").await), 100_007);
    wallet.sandbox.set_hicoin_refuse_ip(false);
    assert_eq!(code(&wallet.withdraw("w1").await), 0);
    wallet.close().await;
}

/// What orders to pay refuse: a parameter, its value, the code.
const AMOUNTS: [(&str, &str, i64); 11] = [
    ("amount", "0", 100_004),
    ("amount", "-1", 100_004),
    ("amount", "1e2", 100_004),
    ("amount", " 5", 100_004),
    ("amount", "1.", 100_004),
    ("amount", "5.0000001", 100_004),
    ("amount", "99999999999999999999999999999999", 100_004),
    ("amount", "1000.000001", 120_402),
    ("symbol", "usdt", 120_202),
    ("symbol", "DOGE", 120_202),
    ("request_id", "", 100_004),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_order_to_pay_is_checked_and_a_refused_one_leaves_nothing() {
    let wallet = Wallet::open().await;
    let orders = [
        (WITHDRAW, withdraw_form("o"), vec!["from_uid"]),
        (USER_TRANSFER, user_transfer_form("o"), vec!["from_uid", "to_uid"]),
        (SYSTEM_TRANSFER, system_transfer_form("o"), vec!["to_uid"]),
    ];
    for (path, good, uids) in orders {
        for name in good.keys() {
            let answer = wallet.post(path, &with(&good, name, "")).await;
            assert_eq!(code(&answer), 100_004, "{path} without {name}");
            assert_eq!(text(&answer, "/msg"), format!("请求参数不合法: {name}"));
        }
        for (name, value, expected) in AMOUNTS {
            assert_eq!(code(&wallet.post(path, &with(&good, name, value)).await), expected, "{path} {name}={value}");
        }
        for name in uids {
            assert_eq!(code(&wallet.post(path, &with(&good, name, "4711")).await), 110_065, "{path} {name}");
            assert_eq!(code(&wallet.post(path, &with(&good, name, "ann")).await), 100_004, "{path} {name}");
        }
    }
    assert!(wallet.sandbox.books().is_empty());
    assert_eq!(wallet.balance(MERCHANT), ("1000".to_owned(), "0".to_owned()));
    assert_eq!(code(&wallet.withdraw("o").await), 0, "a refused request_id is free again");
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_has_checks_of_its_own() {
    let wallet = Wallet::open().await;
    let good = withdraw_form("w1");
    let checks = [
        ("to_address", "0x754b0c610e311d0d0", 110_055),
        ("to_address", "0x754b0c610e311d0d00c810ef 57b4dd989a67162", 110_055),
        ("focus_online", "2", 100_004),
        ("amount", "1", 120_404),
        ("amount", "0.5", 120_404),
    ];
    for (name, value, expected) in checks {
        assert_eq!(code(&wallet.post(WITHDRAW, &with(&good, name, value)).await), expected, "{name}={value}");
    }
    wallet.sandbox.set_hicoin_frozen(None, MERCHANT, true).expect("the merchant");
    assert_eq!(code(&wallet.withdraw("w1").await), 110_004);
    wallet.sandbox.set_hicoin_frozen(None, MERCHANT, false).expect("the merchant");
    assert_eq!(code(&wallet.post(WITHDRAW, &with(&good, "amount", "1.000001")).await), 0, "a little more than the fee");
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coin_can_have_a_minimum_and_a_fee_in_another_coin() {
    let wallet = Wallet::open().await;
    let usdt = HicoinCoin::samples().pop().expect("USDT");
    let fee = HicoinFee { symbol: "ETH".to_owned(), amount: amount("0.01") };
    wallet.sandbox.set_hicoin_coin(None, HicoinCoin { min: Decimal::TEN, fee, ..usdt }).expect("the app");
    assert_eq!(code(&wallet.post(WITHDRAW, &with(&withdraw_form("w1"), "amount", "9.999999")).await), 110_078);
    assert_eq!(code(&wallet.post(USER_TRANSFER, &with(&user_transfer_form("t1"), "amount", "9.999999")).await), 110_078);

    wallet.sandbox.set_hicoin_balance(None, MERCHANT, "ETH", amount("0.009")).expect("ETH");
    assert_eq!(code(&wallet.withdraw("w1").await), 120_403);
    wallet.sandbox.set_hicoin_balance(None, MERCHANT, "ETH", amount("0.015")).expect("ETH");
    assert_eq!(code(&wallet.withdraw("w1").await), 0);
    let eth = wallet.sandbox.hicoin_balance(None, MERCHANT, "ETH").expect("the app");
    assert_eq!((eth.normal, eth.locked), (amount("0.005"), amount("0.01")));
    assert_eq!(wallet.balance(MERCHANT), ("900".to_owned(), "100".to_owned()));
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_call_names_one_to_a_hundred_ids() {
    let wallet = Wallet::open().await;
    let ids = |count: usize| (1..=count).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
    for path in [WITHDRAW_LIST, DEPOSIT_LIST, TRANSFER_LIST, SYSTEM_TRANSFER_LIST] {
        for (ids, expected) in [(ids(100), 0), (ids(101), 100_004), (String::new(), 100_004), ("1,,2".to_owned(), 100_004)] {
            assert_eq!(code(&wallet.get(path, &form([("ids", &ids)])).await), expected, "{path} {ids}");
        }
    }
    assert_eq!(code(&wallet.get(DEPOSIT_LIST, &form([("ids", "1,w1")])).await), 100_004);
    assert_eq!(code(&wallet.get(SYNC, &form([("max_id", "")])).await), 100_004);
    assert_eq!(code(&wallet.get(SYNC, &form([("max_id", "1.5")])).await), 100_004);
    wallet.close().await;
}
