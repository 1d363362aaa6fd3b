//! Deposits, users, coins and notices, and the document's own samples. In those, only the fullwidth
//! punctuation is repaired; trailing blanks, spellings and types are the document's.

use super::*;
use crate::providers::Balance;

fn deposits(data: &Value) -> Result<Vec<Entry>, AskError> {
    feed(&said(&json!({"code": "0", "msg": "suc", "data": data})))
}

fn deposit() -> Value {
    json!({
        "id": 1, "uid": 11, "symbol": "ETH", "amount": "0.2000000000000000", "created_at": 1_545_273_830_000_i64,
        "updated_at": 1_545_273_830_000_i64, "txid": "78d1", "confirmations": 11, "status": 1, "address_to": "0xcb",
    })
}

fn deposit_with(more: &Value) -> Value {
    let mut deposit = deposit();
    deposit.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    deposit
}

fn incoming() -> Incoming {
    Incoming {
        user: "11".into(),
        provider_coin_id: "ETH".into(),
        amount: amount("0.2"),
        progress: Progress::Confirmed,
        address: Some("0xcb".into()),
        txid: Some("78d1".into()),
        confirmations: Some(11),
        seen_at: OffsetDateTime::from_unix_timestamp(1_545_273_830).ok(),
    }
}

fn movement(entry: &Value) -> Result<Incoming, String> {
    let [read] = deposits(&json!([entry])).unwrap().try_into().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&read.evidence.raw).unwrap(), *entry);
    read.movement
}

#[test]
fn deposits_are_read_with_all_that_they_tell() {
    assert_eq!(movement(&deposit()), Ok(incoming()));
    let texts = json!({"id": "1", "uid": "11", "confirmations": "11", "created_at": "1545273830000", "amount": 0.2, "status": "1"});
    assert_eq!(movement(&deposit_with(&texts)), Ok(incoming()));
    for (status, progress) in [(0, Progress::Pending), (1, Progress::Confirmed), (2, Progress::Abnormal)] {
        for more in [json!({"status": status}), json!({"status": null, "statuts ": status.to_string()})] {
            assert_eq!(movement(&deposit_with(&more)).map(|incoming| incoming.progress), Ok(progress), "{more}");
        }
    }
    let bare = json!({"id": 1, "uid": 11, "symbol ": "ETH", "amount": "1E-8", "status": 0, "txid": "", "address_to": null});
    let expected = Incoming {
        amount: amount("0.00000001"),
        progress: Progress::Pending,
        address: None,
        txid: None,
        confirmations: None,
        seen_at: None,
        ..incoming()
    };
    assert_eq!(movement(&bare), Ok(expected));
    let dateless = deposit_with(&json!({"created_at": "2018-12-20", "confirmations": "?"}));
    assert_eq!(movement(&dateless), Ok(Incoming { seen_at: None, confirmations: None, ..incoming() }));
}

#[test]
fn a_deposit_that_cannot_be_read_keeps_its_place_and_says_why() {
    for (more, why) in [
        (json!({"amount": "0"}), "zero"),
        (json!({"amount": "0.000"}), "zero"),
        (json!({"amount": "-1"}), "amount cannot"),
        (json!({"amount": null}), "amount is missing"),
        (json!({"amount": "10000000000"}), "amount cannot"),
        (json!({"uid": null}), "uid is missing"),
        (json!({"symbol": ""}), "symbol is missing"),
        (json!({"status": null}), "status is missing"),
        (json!({"status": 3}), "status 3"),
        (json!({"statuts": 0}), "two things"),
        (json!({"address_to": []}), "address_to cannot"),
        (json!({"txid": "a\u{0}"}), "txid cannot"),
    ] {
        let error = movement(&deposit_with(&more)).unwrap_err();
        assert!(error.contains(why), "{more}: {error}");
    }
    let page = deposits(&json!([deposit_with(&json!({"id": 9})), {"id": "3"}, deposit()])).unwrap();
    assert_eq!(page.iter().map(|entry| (entry.id, entry.movement.is_ok())).collect::<Vec<_>>(), [(1, true), (3, false), (9, true)]);
}

#[test]
fn a_page_that_is_no_page_tells_of_nothing() {
    for data in [json!(null), json!([])] {
        assert_eq!(deposits(&data), Ok(vec![]));
    }
    for data in [
        json!(""),
        json!({}),
        json!(false),
        json!([1]),
        json!([{}]),
        json!([deposit(), {"uid": 1}]),
        json!([deposit_with(&json!({"id": "x"}))]),
        json!([deposit_with(&json!({"id": 1.5}))]),
        json!([deposit_with(&json!({"id": "9223372036854775808"}))]),
        json!([deposit_with(&json!({"id ": 2}))]),
    ] {
        assert_eq!(ask_word(deposits(&data)), "unavailable", "{data}");
    }
    assert_eq!(ask_word(feed(&said(&json!({"code": 0})))), "unavailable");
}

#[test]
fn evidence_of_an_entry_is_bounded() {
    let long = deposit_with(&json!({"memo": "x".repeat(100_000)}));
    assert_eq!(deposits(&json!([long])).unwrap()[0].evidence.raw.len(), 16 * 1024);
    assert_eq!(rows(List::Transfers, &json!([entry_with(&long)])).unwrap()[0].evidence.raw.len(), 16 * 1024);
}

fn answer(data: &Value) -> Sent {
    said(&json!({"code": "0", "msg": "suc", "data": data}))
}

#[test]
fn what_a_user_owns_is_read_or_not_known() {
    let read = |data: &Value| balance(&answer(data), "ETH");
    let expected = Balance { provider_coin_id: "ETH".into(), available: amount("32323.233"), locked: Amount::ZERO };
    for data in [
        json!({"normal_balance ": "32323.233", "lock_balance ": "0", "deposit_address": "123"}),
        json!({"normal_balance": 32323.233, "lock_balance": 0, "symbol": "ETH"}),
        json!([{"normal_balance": "32323.233", "lock_balance": "0.00"}]),
    ] {
        assert_eq!(read(&data), Ok(expected.clone()), "{data}");
    }
    for data in [
        json!(null),
        json!({}),
        json!("x"),
        json!({"normal_balance": "1"}),
        json!({"lock_balance": "1"}),
        json!({"normal_balance": "-1", "lock_balance": "0"}),
        json!({"normal_balance": "1", "lock_balance": "?"}),
    ] {
        assert_eq!(ask_word(read(&data)), "unavailable", "{data}");
        assert_eq!(ask_word(balances(&answer(&json!([expected_account(), data])))), "unavailable", "{data}");
    }
    assert_eq!(ask_word(read(&json!({"normal_balance": "1", "lock_balance": "0", "symbol": "BTC"}))), "unavailable");
    assert_eq!(balances(&answer(&json!(null))), Ok(vec![]));
    assert_eq!(ask_word(balances(&said(&json!({"code": 0})))), "unavailable");
}

fn expected_account() -> Value {
    json!({"symbol ": "ETH", "normal_balance": "1", "lock_balance": "0"})
}

#[test]
fn an_address_is_that_of_the_user_who_was_meant() {
    for data in [json!({"uid": 42, "address": " 1PiX "}), json!({"uid": "42", "address": "1PiX"}), json!({"address": "1PiX"})] {
        assert_eq!(address(&answer(&data), "42"), Ok("1PiX".into()), "{data}");
        assert_eq!(address(&answer(&data), " 42 "), Ok("1PiX".into()), "{data}");
        assert_eq!(word(&offer(&answer(&data), &call(), "42")), "accepted awaiting");
    }
    for data in [
        json!({"uid": 43, "address": "1PiX"}),
        json!({"uid": {}, "address": "1PiX"}),
        json!({"uid": 42}),
        json!({"uid": 42, "address": ""}),
        json!({"uid": 42, "address": ["1PiX"]}),
        json!({"uid": 42, "address": "1\n2"}),
        json!(null),
        json!("1PiX"),
    ] {
        assert_eq!(ask_word(address(&answer(&data), "42")), "unavailable", "{data}");
        assert_eq!(word(&offer(&answer(&data), &call(), "42")), "unknown", "{data}");
    }
}

#[test]
fn a_user_is_read_without_secrets() {
    let data = json!({"uid": "10001", "nickname": "135****7778", "access_token": "t"});
    let read = profile(&answer(&data)).unwrap().unwrap();
    assert_eq!((read.provider_user.as_str(), &read.details), ("10001", &json!({"uid": "10001", "nickname": "135****7778"})));
    assert_eq!(registered(&answer(&data)), Ok("10001".into()));
    for nobody in [json!(null), json!([]), json!({}), json!({"uid": ""})] {
        assert_eq!(profile(&answer(&nobody)), Ok(None), "{nobody}");
        assert_eq!(ask_word(registered(&answer(&nobody))), "unavailable", "{nobody}");
    }
    for data in [json!({"uid": {}}), json!({"uid": "a\u{0}"}), json!("10001"), json!([1, 2])] {
        assert_eq!(ask_word(profile(&answer(&data))), "unavailable", "{data}");
        assert_eq!(ask_word(registered(&answer(&data))), "unavailable", "{data}");
    }
}

#[test]
fn coins_are_named_by_their_symbols() {
    let icon = "https://hicoinvip.oss-cn-beijing.aliyuncs.com/saas/1547519554925.png";
    let list = json!([
        {"symbol": "BTC", "icon": icon}, {"symbol ": " ETH ", "icon": "javascript:alert(1)"}, {"symbol": "BTC", "icon": null},
        {"symbol": "", "icon": icon}, {"symbol": {}}, "nonsense", {"symbol": 888},
    ]);
    let read = coins(&answer(&list)).unwrap();
    let rows: Vec<_> = read.iter().map(|coin| (coin.coin.as_str(), coin.provider_coin_id.as_str(), coin.icon.as_deref())).collect();
    assert_eq!(rows, [("BTC", "BTC", Some(icon)), ("ETH", "ETH", None), ("888", "888", None)]);
    assert!(read.iter().all(|coin| coin.decimals == 18 && coin.active && coin.price.is_none()));
    for data in [json!({}), json!(""), json!([1]), json!([{"icon": icon}])] {
        assert!(coins(&answer(&data)).is_err(), "{data}");
    }
    assert!(coins(&said(&json!({"code": 0}))).is_err());
}

#[test]
fn a_notice_is_about_an_order_or_a_deposit() {
    let order = Subject::Order(TradeId::parse("t-1").unwrap());
    for (body, expected) in [
        ("request_id=t-1&id=7&status=1", order.clone()),
        (r#" {"request_id ": "t-1", "id": 7}"#, order.clone()),
        ("app_id=x&id=7&uid=11&symbol=ETH", Subject::Incoming(7)),
        ("id=7&request_id=", Subject::Incoming(7)),
        (r#"{"id": "7", "request_id": null}"#, Subject::Incoming(7)),
    ] {
        assert_eq!(subject(body.as_bytes()), Ok(expected), "{body}");
    }
    for (body, why) in [
        ("", "neither"),
        ("uid=1", "neither"),
        ("{}", "neither"),
        ("id=x", "id cannot"),
        ("id=1&id=2", "twice"),
        ("request_id=a%20b&id=7", "none of ours"),
        (r#"{"request_id": {}, "id": 7}"#, "request_id cannot"),
        (r#"{"id": 7"#, "JSON"),
        (r#"[{"id": 7}]"#, "object"),
    ] {
        let error = subject(body.as_bytes()).unwrap_err().0;
        assert!(error.contains(why), "{body}: {error}");
    }
}

/// The document's samples have fullwidth colons and commas between fields, and one comma too few.
fn sample(text: &str) -> Sent {
    sent(200, text.replace('：', ":").replace('，', ","))
}

#[test]
fn the_documents_samples_of_users_are_read() {
    let created = sample("{\n \"code\": \"0\",\n \"msg\": \"suc\",\n \"data\": {\n \"uid\"：10000\n }\n}");
    assert_eq!(registered(&created), Ok("10000".into()));
    let info = sample(r#"{"code": "0", "msg": "suc", "data": {"uid"：10001, "nickname":"135****7778"}}"#);
    assert_eq!(profile(&info).unwrap().unwrap().provider_user, "10001");
    let one = sample(
        r#"{"code": "0", "msg": "suc", "data": {"normal_balance ":"32323.233", "lock_balance ":"32323.233", "deposit_address": "123dsdfe46wefsfsgsdy5teq"}}"#,
    );
    let both = amount("32323.233");
    assert_eq!(balance(&one, "BTC"), Ok(Balance { provider_coin_id: "BTC".into(), available: both, locked: both }));
    let all = sample(
        r#"{"code": "0", "msg": "suc", "data":[{"symbol": "BTC", "normal_balance": "1.00211211", "lock_balance": "0.00211002"},
        {"symbol": "ETH", "normal_balance": "1.00211211", "lock_balance": "0.00211002"}]}"#,
    );
    let own = |coin: &str| Balance { provider_coin_id: coin.into(), available: amount("1.00211211"), locked: amount("0.00211002") };
    assert_eq!(balances(&all), Ok(vec![own("BTC"), own("ETH")]));
    let place = sample(r#"{"code": "0", "msg": "suc", "data": {"uid":10000, "address": "1PiX4n37tGSf1zXEPpByYZ8m9Z7Rs3GQXZ"}}"#);
    assert_eq!(address(&place, "10000"), Ok("1PiX4n37tGSf1zXEPpByYZ8m9Z7Rs3GQXZ".into()));
    let listed = sample(
        r#"{"code": "0", "msg": "suc", "data": [{"symbol"："BTC","icon": "https://hicoinvip.oss-cn-beijing.aliyuncs.com/saas/1547519554925.png"}]}"#,
    );
    assert_eq!(coins(&listed).unwrap()[0].coin, "BTC");
}

#[test]
fn the_documents_samples_of_movements_are_read() {
    let made = sample(r#"{"code": "0", "msg": "suc", "data": {"statuts": 0}}"#);
    assert_eq!((heard(Verb::Transfer, &made), heard(Verb::Withdraw, &made)), ("accepted paid".into(), "accepted accepted".into()));
    let eleven = [TradeId::parse("11").unwrap()];
    let withdrawals = sample(
        r#"{"code": "0", "msg": "suc", "data": [{"request_id":"11", "id": 123, "uid"：2, "symbol "："ETH", "amount"："0.0002",
        "withdraw_fee_symbol"："BTC"， "withdraw_fee"："1"， "fee_symbol"：""， "real_fee": "0.0000000000000001",
        "created_at":1545273830000, "updated_at":1545273830000, "address_from"："0x794b0c610e011d0d40c810ef146b4dd989a67152"，
        "address_to": "0x754b0c610e311d0d00c810ef857b4dd989a67162",
        "txid":"78d1edef3b3fd14365f88cf2d03e8c29ec49ac1a43cedde9e21d320b3268f4de",
        "confirmations":11, "saas_status":1, "company_status":1, "status":1}]}"#,
    );
    let [row] = listed(List::Withdrawals, &withdrawals, &eleven).unwrap().try_into().unwrap();
    let record = row.record.unwrap();
    assert_eq!((record.standing, record.source.as_deref(), record.coin.as_deref()), (Standing::Accepted, Some("2"), Some("ETH")));
    assert_eq!((record.fee, record.other_fees.len(), record.txid.unwrap().len()), (None, 2, 64));
    let transfers = sample(
        r#"{"code": "0", "msg": "suc", "data":[{"request_id":"11", "id": 1, "symbol" ："ETH", "amount"："0.0002000000000000",
        "created_at": 1545273830000, "updated_at":1545273830000, "from_uid": 10001, "to_uid": 10000, "status": "1"}]}"#,
    );
    for (list, source) in [(List::Transfers, Some("10001")), (List::SystemTransfers, None)] {
        let [row] = listed(list, &transfers, &eleven).unwrap().try_into().unwrap();
        let record = row.record.unwrap();
        assert_eq!((record.standing, record.source.as_deref(), record.user.as_deref()), (Standing::Failed, source, Some("10000")));
        assert_eq!(record.amount, Some(amount("0.0002")));
    }
    let deposits = sample(
        r#"{"code": "0", "msg": "suc", "data": [{"id" ：1, "uid" ：11, "symbol"："ETH", "amount"："0.0002000000000000",
        "created_at": 1545273830000, "updated_at": 1545273830000, "txid":"78d1", "confirmations":11, "status":1,
        "address_to":"0xcb03bfdccb50c9f62ec1c728f264bf453e037132"},
        {"id" ：2, "uid" ：12, "symbol" ："ETH", "amount"："0.0002000000000000", "created_at": 1545273830000, "status":1}]}"#,
    );
    let read = feed(&deposits).unwrap();
    let users: Vec<_> = read.iter().map(|entry| (entry.id, entry.movement.as_ref().unwrap().user.as_str())).collect();
    assert_eq!(users, [(1, "11"), (2, "12")]);
}

#[test]
fn a_deposit_that_a_list_has_twice_is_one_and_is_not_believed_where_the_two_differ() {
    let deposit = |id: i64, amount: &str| json!({"id": id, "uid": 11, "symbol": "ETH", "amount": amount, "status": 1});
    let read =
        feed(&said(&json!({"code": "0", "msg": "suc", "data": [deposit(2, "1"), deposit(1, "3"), deposit(2, "1"), deposit(1, "4")]})))
            .unwrap();
    let readable: Vec<_> = read.iter().map(|entry| (entry.id, entry.movement.is_ok())).collect();
    assert_eq!(readable, [(1, false), (2, true)]);
}
