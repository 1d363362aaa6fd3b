//! Every style says the same in other words.

use serde_json::{Value, json};
use tillgate::sandbox::{HicoinStatuses, HicoinStyle};

use super::harness::*;

const PRINTED: HicoinStyle = HicoinStyle {
    number_codes: false,
    status_spelt_right: false,
    trimmed_keys: false,
    withdraw_type: false,
    string_times: false,
    statuses: HicoinStatuses::AsPrinted,
};

async fn withdrawal(wallet: &Wallet, style: HicoinStyle) -> Value {
    wallet.sandbox.set_hicoin_style(style);
    wallet.list(WITHDRAW_LIST, "w1").await.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documents_samples_are_the_default() {
    assert_eq!(HicoinStyle::default(), PRINTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_answered_in_each_style() {
    let wallet = Wallet::open().await;
    let address = wallet.address(ANN, "USDT").await;
    let style = HicoinStyle { withdraw_type: true, status_spelt_right: true, ..PRINTED };
    wallet.sandbox.set_hicoin_style(style);
    assert_eq!(wallet.withdraw("w1").await["data"], json!({ "status": 0, "withdraw_type": 1 }));
    let internal = with(&withdraw_form("i1"), "to_address", &address);
    assert_eq!(wallet.post(WITHDRAW, &internal).await["data"], json!({ "status": 0, "withdraw_type": 2 }));
    wallet.sandbox.set_hicoin_style(HicoinStyle { number_codes: true, statuses: HicoinStatuses::Strings, ..style });
    let answer = wallet.post(USER_TRANSFER, &user_transfer_form("t1")).await;
    assert_eq!((&answer["code"], &answer["data"]), (&json!(0), &json!({ "status": "0" })), "only withdraw has a type");
    assert_eq!(wallet.withdraw("w1").await["code"], json!(110_088));
    wallet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_shown_in_each_style() {
    let wallet = Wallet::open().await;
    wallet.withdraw("w1").await;
    wallet.post(USER_TRANSFER, &user_transfer_form("t1")).await;
    let trimmed = withdrawal(&wallet, HicoinStyle { trimmed_keys: true, ..PRINTED }).await;
    assert_eq!((text(&trimmed, "/symbol").as_str(), trimmed.get("symbol ")), ("USDT", None));
    let account = wallet.get("api/account/getByUidAndSymbol", &form([("uid", "10000"), ("symbol", "USDT")])).await;
    assert_eq!(account["data"], json!({ "normal_balance": "875", "lock_balance": "100", "deposit_address": "" }));

    let texts = HicoinStyle { string_times: true, statuses: HicoinStatuses::Strings, ..PRINTED };
    let seen = withdrawal(&wallet, texts).await;
    assert_eq!((text(&seen, "/created_at"), text(&seen, "/status")), ((NOW * 1000).to_string(), "0".to_owned()));
    wallet.sandbox.set_hicoin_style(HicoinStyle { statuses: HicoinStatuses::Numbers, ..PRINTED });
    assert_eq!(wallet.list(TRANSFER_LIST, "t1").await[0]["status"], json!(0));
    wallet.close().await;
}
