//! The ways that go right, and the money that they move.

use rust_decimal::Decimal;
use serde_json::json;
use tillgate::sandbox::{Fee, Kind, Options, Style};

use super::harness::{Shop, USDT, amount, form, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_goes_from_link_to_callback() {
    let mut shop = Shop::open().await;
    let prepaid = shop.pre_pay("t1").await;
    assert_eq!(prepaid["sucess"], true);
    assert_eq!(prepaid["status"], 1);
    let transfer_id = text(&prepaid, "/transfer_id");
    assert!(shop.sandbox.books().is_empty());

    assert_eq!(shop.sandbox.confirm_pay("t1", Some(&transfer_id)).await, Some(1));
    let delivered = shop.sandbox.deliver_callbacks().await;
    assert_eq!(delivered.iter().map(|one| one.status_code).collect::<Vec<_>>(), [200]);
    let expected = form([
        ("transfer_id", &transfer_id),
        ("user_id", "u1"),
        ("trade_id", "t1"),
        ("coin_id", USDT),
        ("amount", "10.5"),
        ("cut_amount", "0"),
        ("direction", "1"),
        ("status", "1"),
    ]);
    assert_eq!(shop.receiver.next().await, expected);
    assert!(shop.sandbox.pending_callbacks().is_empty());
    assert_eq!(shop.balances(), [amount("89.5"), amount("1010.5"), Decimal::ZERO]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_moves_money_once_and_is_called_back() {
    let mut shop = Shop::open().await;
    let paid = shop.pay_user("p1").await;
    assert_eq!(paid["success"], true);
    let transfer_id = text(&paid, "/data/0/transfer_id");
    assert_eq!(text(&paid, "/data/0/trade_id"), "p1");
    assert_eq!(shop.pay_user("p1").await["status"], 211);
    assert_eq!(shop.pre_pay("p1").await["status"], 211);

    shop.sandbox.deliver_callbacks().await;
    let callback = shop.receiver.next().await;
    assert_eq!((callback["direction"].as_str(), callback["status"].as_str()), ("2", "1"));
    let books = shop.sandbox.books();
    assert_eq!(books.len(), 1);
    assert_eq!((books[0].kind, books[0].transfer_id.as_str()), (Kind::Payout, transfer_id.as_str()));
    assert_eq!(shop.balances(), [amount("110.5"), amount("989.5"), Decimal::ZERO]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_works_once() {
    let shop = Shop::open().await;
    shop.pre_pay("t1").await;
    assert_eq!(shop.sandbox.confirm_pay("t1", None).await, Some(1));
    assert_eq!(shop.sandbox.confirm_pay("t1", None).await, Some(211));
    assert_eq!(shop.sandbox.executions("t1"), 1);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_duplicate_check_a_resent_payout_pays_twice() {
    let options = Options { manual_callbacks: true, duplicate_check: false, ..Options::default() };
    let shop = Shop::open_with(options).await;
    shop.pay_user("p1").await;
    assert_eq!(shop.pay_user("p1").await["status"], 1);
    assert_eq!(shop.sandbox.executions("p1"), 2);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unconfirmed_deposit_lapses_after_three_minutes() {
    let shop = Shop::open().await;
    let transfer_id = text(&shop.pre_pay("t1").await, "/transfer_id");
    shop.pre_pay("t2").await;
    shop.sandbox.advance(180);
    assert_eq!(shop.detail(&transfer_id).await["status"], 1);
    assert_eq!(shop.sandbox.confirm_pay("t2", None).await, Some(1));
    shop.sandbox.advance(1);
    assert_eq!(shop.detail(&transfer_id).await["status"], 213);
    assert_eq!(shop.sandbox.confirm_pay("t1", None).await, Some(213));
    assert_eq!(shop.sandbox.executions("t1"), 0);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fees_are_cut_from_what_the_payee_gets() {
    let shop = Shop::open().await;
    shop.sandbox.set_fee(USDT, Fee::Percent(amount("0.3")));
    shop.pre_pay("t1").await;
    shop.sandbox.confirm_pay("t1", None).await;
    assert_eq!(shop.balances(), [amount("89.5"), amount("1010.4685"), amount("0.0315")]);
    shop.sandbox.set_fee(USDT, Fee::Fixed(amount("50")));
    shop.pay_user("p1").await;
    assert_eq!(shop.balances(), [amount("89.5"), amount("999.9685"), amount("10.5315")]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detail_shows_both_sides_the_coin_and_the_status() {
    let shop = Shop::open().await;
    let transfer_id = text(&shop.pre_pay("t1").await, "/transfer_id");
    assert_eq!(text(&shop.detail(&transfer_id).await, "/data/transfer_log/0/status"), "0");
    shop.sandbox.confirm_pay("t1", None).await;
    let data = shop.detail(&transfer_id).await["data"].take();
    assert_eq!(text(&data, "/from_user/0/id"), "u1");
    assert_eq!(text(&data, "/to_user/0/id"), "acme");
    assert_eq!(data["coin_info"], json!([{ "id": "5", "name": "usdt", "decimals": "6" }]));
    assert_eq!(text(&data, "/transfer_log/0/status"), "1");
    assert_eq!(text(&data, "/transfer_log/0/amount"), "10.5");
    assert_eq!(data["transfer_log"][0]["created_at"].as_i64(), Some(super::harness::NOW * 1000));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_says_who_the_user_is_and_the_coins_are_the_documents() {
    let shop = Shop::open().await;
    let user = shop.call("oauth2/resource/get_user_info", &form([])).await;
    assert_eq!((text(&user, "/data/user_id"), text(&user, "/data/name")), ("u1".to_owned(), "Ann".to_owned()));
    let url = format!("{}wallet/get_active_coins", shop.sandbox.fomo_base_url());
    let coins: serde_json::Value = shop.http.get(url).send().await.expect("an answer").json().await.expect("JSON");
    let coins = coins["data"]["active_coins"].as_array().expect("a list").clone();
    let seen: Vec<_> = coins.iter().map(|coin| (text(coin, "/id"), text(coin, "/is_active"))).collect();
    let expected = [("1", "1"), ("3", "1"), ("5", "1"), ("8", "1"), ("9", "0")];
    assert_eq!(seen, expected.map(|(id, active)| (id.to_owned(), active.to_owned())));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refreshing_rotates_and_the_old_refresh_token_is_dead() {
    let shop = Shop::open().await;
    let path = "oauth2/RefreshToken";
    let fresh = shop.call(path, &shop.refresh_form(&shop.refresh)).await;
    assert_ne!(text(&fresh, "/access_token"), shop.access);
    assert_eq!(fresh["expires_in"], 3600);
    assert_eq!(shop.call(path, &shop.refresh_form(&shop.refresh)).await["status"], 3);
    let again = shop.call(path, &shop.refresh_form(&text(&fresh, "/refresh_token"))).await;
    shop.sandbox.advance(14 * 24 * 3600);
    assert_eq!(shop.call(path, &shop.refresh_form(&text(&again, "/refresh_token"))).await["status"], 2);
    assert_eq!(shop.sandbox.calls("refresh"), 4);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_style_says_the_same_in_other_words() {
    let shop = Shop::open().await;
    let mut style = Style { transfer_id_under_data: true, ..Style::default() };
    shop.sandbox.set_style(style);
    let prepaid = shop.pre_pay("t1").await;
    assert!(prepaid.get("transfer_id").is_none());
    text(&prepaid, "/data/0/transfer_id");

    style = Style { data_as_object: true, strings: true, ..style };
    shop.sandbox.set_style(style);
    let prepaid = shop.pre_pay("t2").await;
    assert_eq!(text(&prepaid, "/status"), "1");
    text(&prepaid, "/data/transfer_id");
    assert_eq!(text(&shop.pay_user("p1").await, "/data/httpcode"), "0");

    shop.sandbox.set_style(Style { enveloped_tokens: true, ..style });
    let tokens = shop.link().await;
    assert_eq!(text(&tokens, "/data/expires_in"), "3600");
    shop.close().await;
}
