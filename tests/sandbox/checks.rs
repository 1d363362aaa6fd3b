//! Every check of the document refuses with its code, and a refused call leaves nothing behind.

use rust_decimal::Decimal;
use tillgate::sandbox::{ClientSetup, Options, TokenLife, USER_WALLET_PWD};

use super::harness::{NOW, Shop, USDT, form, sign, text, with};

const PRE_PAY: &str = "oauth2/resource/pre_pay";
const PAY_USER: &str = "oauth2/authorize/pay_user";
const CONFIRM: &str = "oauth2/authorize/confirm_pay";
const TOKEN: &str = "oauth2/authorize/token";

/// What both payment calls refuse: a parameter, its value, the code.
const PAYMENT_CHECKS: [(&str, &str, i64); 28] = [
    ("client_id", "not an id!", 80),
    ("client_id", "nobody", 82),
    ("sign", "da39a3ee5e6b4b0d3255bfef95601890afd80709", 7),
    ("timestamp", "1700000001", 7),
    ("timestamp", "yesterday", 0),
    ("direction", "3", 54),
    ("scope", "userinfo", 54),
    ("response_type", "token", 0),
    ("server_uri", "/callbacks", 0),
    ("server_uri", "ftp://shop.example/", 0),
    ("server_uri", "mailto:shop@example.com", 0),
    ("coin_id", "77", 23),
    ("coin_id", "9", 21),
    ("amount", "0", 0),
    ("amount", "0.000000", 0),
    ("amount", "-1", 0),
    ("amount", "+1", 0),
    ("amount", "1e3", 0),
    ("amount", " 1", 0),
    ("amount", "1.", 0),
    ("amount", ".5", 0),
    ("amount", "1.2.3", 0),
    ("amount", "1,5", 0),
    ("amount", "1_000", 0),
    ("amount", "NaN", 0),
    ("amount", "٣", 0),
    ("amount", "1.0000001", 0),
    ("amount", "99999999999999999999999999999999", 0),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_payment_check_refuses_with_its_code() {
    let shop = Shop::open().await;
    for (path, good) in [(PRE_PAY, shop.pre_pay_form("t")), (PAY_USER, shop.pay_user_form("t"))] {
        for (name, value, code) in PAYMENT_CHECKS {
            let answer = shop.call(path, &with(&good, name, value)).await;
            assert_eq!(answer["status"], code, "{path} {name}={value}: {answer}");
        }
        for name in good.keys() {
            let answer = shop.call(path, &with(&good, name, "")).await;
            assert_eq!(answer["status"], 0, "{path} without {name}");
            assert_eq!(text(&answer, "/msg"), format!("参数不足: {name}"));
        }
    }
    let answer = shop.call(PRE_PAY, &with(&shop.pre_pay_form("t"), "redirect_uri", "https://evil.example/")).await;
    assert_eq!(answer["status"], 54);
    assert!(shop.sandbox.books().is_empty());
    assert_eq!(shop.pre_pay("t").await["status"], 1);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_holds_for_ten_minutes_either_way() {
    let shop = Shop::open().await;
    for (offset, code) in [(-601, 8), (-600, 1), (600, 1), (601, 8)] {
        let stale = with(&shop.pay_user_form(&format!("p{offset}")), "timestamp", &(NOW + offset).to_string());
        let answer = shop.call(PAY_USER, &with(&stale, "sign", &sign(NOW + offset))).await;
        assert_eq!(answer["status"], code, "{offset} seconds");
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_needs_user_password_and_money() {
    let shop = Shop::open().await;
    let good = shop.pay_user_form("p1");
    for (name, value, code) in [("user_id", "u2", 74), ("wallet_pwd", "guess", 26), ("amount", "1000.000001", 24)] {
        assert_eq!(shop.call(PAY_USER, &with(&good, name, value)).await["status"], code, "{name}");
    }
    assert_eq!(shop.pay_user("p1").await["status"], 1, "a refused trade_id is free again");
    shop.close().await;

    let clients = vec![ClientSetup { wallet_pwd: String::new(), ..ClientSetup::default() }];
    let shop = Shop::open_with(Options { manual_callbacks: true, clients, ..Options::default() }).await;
    assert_eq!(shop.pay_user("p1").await["status"], 25);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_needs_session_transfer_password_and_money() {
    let shop = Shop::open().await;
    let transfer_id = text(&shop.pre_pay("t1").await, "/transfer_id");
    let good = form([("trade_id", "t1"), ("transfer_id", &transfer_id), ("wallet_pwd", USER_WALLET_PWD), ("session_key", &shop.session)]);
    let other = shop.sandbox.create_user("u2", "Bob", &[]);
    let checks = [
        ("trade_id", "", 0),
        ("session_key", "stolen", 3),
        ("session_key", other.as_str(), 212),
        ("transfer_id", "77", 212),
        ("trade_id", "t2", 212),
        ("wallet_pwd", "guess", 26),
    ];
    for (name, value, code) in checks {
        assert_eq!(shop.call(CONFIRM, &with(&good, name, value)).await["status"], code, "{name}={value}");
    }
    shop.sandbox.set_user_wallet_pwd("u1", None);
    assert_eq!(shop.call(CONFIRM, &good).await["status"], 25);
    shop.sandbox.set_user_wallet_pwd("u1", Some(USER_WALLET_PWD));
    shop.sandbox.set_balance("u1", USDT, Decimal::ONE);
    assert_eq!(shop.call(CONFIRM, &good).await["status"], 24);
    shop.sandbox.set_balance("u1", USDT, Decimal::from(100));
    let answer = shop.call(CONFIRM, &good).await;
    assert_eq!((answer["status"].as_i64(), text(&answer, "/data/0/transfer_id")), (Some(1), transfer_id));
    assert_eq!(shop.sandbox.confirm_pay("unknown", None).await, Some(212));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_works_once_and_only_for_its_app() {
    let shop = Shop::open().await;
    let code = shop.sandbox.authorize(&shop.session, "acme").expect("a code");
    let good = shop.token_form(&code);
    let checks = [
        ("code", "", 0),
        ("client_secret", "guess", 12),
        ("client_id", "nobody", 82),
        ("grant_type", "password", 0),
        ("redirect_uri", "https://evil.example/", 54),
        ("code", "guess", 3),
    ];
    for (name, value, status) in checks {
        assert_eq!(shop.call(TOKEN, &with(&good, name, value)).await["status"], status, "{name}={value}");
    }
    assert!(shop.call(TOKEN, &good).await.get("access_token").is_some());
    assert_eq!(shop.call(TOKEN, &good).await["status"], 3);

    assert_eq!(shop.sandbox.authorize("nobody", "acme"), Err(3));
    assert_eq!(shop.sandbox.authorize(&shop.session, "nobody"), Err(82));
    let late = shop.sandbox.authorize(&shop.session, "acme").expect("a code");
    shop.sandbox.advance(600);
    assert_eq!(shop.call(TOKEN, &shop.token_form(&late)).await["status"], 3);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn authorizing_over_http_gives_a_code_only_to_those_who_agree() {
    let shop = Shop::open().await;
    let path = "oauth2/authorize";
    let good = form([
        ("response_type", "code"),
        ("client_id", "acme"),
        ("redirect_uri", &ClientSetup::default().redirect_uri),
        ("state", "xyz"),
        ("authorized", "yes"),
        ("session_key", &shop.session),
    ]);
    for name in good.keys() {
        assert_eq!(shop.call(path, &with(&good, name, "")).await["status"], 0, "without {name}");
    }
    assert_eq!(shop.call(path, &with(&good, "authorized", "no")).await["status"], 54);
    assert_eq!(shop.call(path, &with(&good, "session_key", "stolen")).await["status"], 3);
    let code = text(&shop.call(path, &good).await, "/data/code");
    assert!(shop.call(TOKEN, &shop.token_form(&code)).await.get("access_token").is_some());
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bearer_token_is_needed_lives_an_hour_and_sees_only_its_own() {
    let mut shop = Shop::open().await;
    let transfer_id = text(&shop.pre_pay("t1").await, "/transfer_id");
    assert_eq!(shop.detail("77").await["status"], 212);
    shop.sandbox.advance(170);
    let mine = std::mem::replace(&mut shop.access, "guess".to_owned());
    assert_eq!(shop.detail(&transfer_id).await["status"], 3);

    shop.session = shop.sandbox.create_user("u2", "Bob", &[]);
    shop.access = text(&shop.link().await, "/access_token");
    assert_eq!(shop.detail(&transfer_id).await["status"], 212);

    shop.access = mine;
    assert_eq!(shop.detail(&transfer_id).await["status"], 1);
    shop.sandbox.advance(3600 - 170);
    assert_eq!(shop.detail(&transfer_id).await["status"], 2);
    assert_eq!(shop.pre_pay("t2").await["status"], 2);

    shop.sandbox.set_token_life(TokenLife { access_seconds: 5, refresh_seconds: 9 });
    let tokens = shop.link().await;
    assert_eq!(tokens["expires_in"], 5);
    let url = format!("{}oauth2/resource/get_user_info", shop.sandbox.fomo_base_url());
    let bare: serde_json::Value = shop.http.get(url).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(bare["status"], 2);
    shop.close().await;
}
