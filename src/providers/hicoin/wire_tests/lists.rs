//! The lists of movements that we made.

use super::*;

#[test]
fn a_list_that_is_no_list_tells_of_nothing() {
    for list in LISTS {
        for data in [json!(null), json!([]), json!([{"request_id": "t-2"}]), json!([{"request_id": "not an id of ours!"}])] {
            assert_eq!(rows(list, &data), Ok(vec![]), "{data}");
        }
        let bad =
            [json!(""), json!("[]"), json!({}), json!({"list": []}), json!(false), json!(0), json!([null]), json!(["t-1"]), json!([[]])];
        let no_id =
            [json!([{}]), json!([{"id": 1}]), json!([{"request_id": null}]), json!([{"request_id": " "}]), json!([{"request_id": {}}])];
        let one_of_two = [json!([entry(), {"id": 2}]), json!([{"request_id": "t-1", "status": 1, "status ": 2}])];
        for data in bad.into_iter().chain(no_id).chain(one_of_two) {
            assert_eq!(ask_word(rows(list, &data)), "unavailable", "{data}");
        }
        for answer in
            [json!({"code": 0}), json!({"data": []}), json!({"code": null, "data": []}), json!({"code": 0, "list": []}), json!([])]
        {
            assert_eq!(ask_word(listed(list, &said(&answer), &asked())), "unavailable", "{answer}");
        }
    }
}

fn record(list: List, entry: &Value) -> Result<ProviderRecord, String> {
    let [listed] = rows(list, &json!([entry])).unwrap().try_into().unwrap();
    assert_eq!(listed.trade_id.as_str(), "t-1");
    assert_eq!(serde_json::from_slice::<Value>(&listed.evidence.raw).unwrap(), *entry);
    listed.record
}

#[test]
fn listed_movements_are_read_with_all_that_they_tell() {
    let base = ProviderRecord {
        trade_id: Some("t-1".into()),
        reference: Some("123".into()),
        coin: Some("ETH".into()),
        amount: Some(amount("12.5")),
        direction: Some(crate::domain::order::Direction::Out),
        ..ProviderRecord::new(Standing::Paid)
    };
    let withdrawal = ProviderRecord {
        source: Some("2".into()),
        address: Some("0xb".into()),
        fee: Some(amount("0.1")),
        other_fees: vec![("real_fee", String::new(), "0.0000000000000001".into())],
        txid: Some("78d1".into()),
        confirmations: Some(11),
        ..base.clone()
    };
    assert_eq!(record(List::Withdrawals, &entry()), Ok(withdrawal));
    let done = entry_with(&json!({"status": "0"}));
    let transfer = ProviderRecord { source: Some("7".into()), user: Some("8".into()), ..base.clone() };
    assert_eq!(record(List::Transfers, &done), Ok(transfer));
    assert_eq!(record(List::SystemTransfers, &done), Ok(ProviderRecord { user: Some("8".into()), ..base.clone() }));
    let bare = json!({"request_id": "t-1", "symbol": "ETH", "amount": 12.5, "statuts": 0, "txid": "", "confirmations": ""});
    assert_eq!(record(List::Transfers, &bare), Ok(ProviderRecord { reference: None, ..base.clone() }));
    let unreviewed = ProviderRecord { reference: None, ..ProviderRecord { standing: Standing::InReview, ..base } };
    assert_eq!(record(List::Withdrawals, &bare), Ok(unreviewed));
}

#[test]
fn a_fee_in_another_coin_is_shown_only() {
    let fees = |more: Value| {
        let record = record(List::Withdrawals, &entry_with(&more)).unwrap();
        (record.fee.map(|fee| fee.to_string()), record.other_fees)
    };
    let sample = json!({"withdraw_fee_symbol": "BTC", "withdraw_fee": "1", "fee_symbol": "ETH", "real_fee": 2});
    let shown = vec![("withdraw_fee", "BTC".to_owned(), "1".to_owned()), ("real_fee", "ETH".to_owned(), "2".to_owned())];
    assert_eq!(fees(sample), (None, shown));
    for symbol in [json!(""), json!(null), json!(" ETH ")] {
        assert_eq!(fees(json!({"withdraw_fee_symbol": symbol, "real_fee": null})), (Some("0.1".into()), vec![]));
    }
    assert_eq!(fees(json!({"withdraw_fee_symbol": "BTC", "withdraw_fee": "", "real_fee": ""})), (None, vec![]));
}

#[test]
fn every_status_of_the_lists_is_read() {
    for (status, [_, on_chain, transfer]) in STATUSES {
        let stand = |list: List, more: &Value| {
            record(list, &entry_with(more)).map_or("unknown".into(), |record| format!("accepted {}", record.standing))
        };
        for value in [json!(status), json!(status.to_string())] {
            assert_eq!(stand(List::Withdrawals, &json!({"status": value})), on_chain, "{status}");
            assert_eq!(stand(List::Withdrawals, &json!({"status": value, "withdraw_type": 1})), on_chain, "{status}");
            assert_eq!(stand(List::Withdrawals, &json!({"status": value, "withdraw_type": "2"})), transfer, "{status}");
            assert_eq!(stand(List::Withdrawals, &json!({"status": value, "withdraw_type": 9})), "unknown", "{status}");
            for list in [List::Transfers, List::SystemTransfers] {
                assert_eq!(stand(list, &json!({"status": value})), transfer, "{status}");
            }
        }
    }
}

#[test]
fn an_entry_that_cannot_be_read_says_why() {
    for (more, why) in [
        (json!({"status": null}), "status is missing"),
        (json!({"status": "x"}), "status cannot"),
        (json!({"status": 0, "statuts": 1}), "two things"),
        (json!({"status": 77}), "77"),
        (json!({"symbol ": null}), "symbol is missing"),
        (json!({"symbol ": {}}), "symbol cannot"),
        (json!({"amount": null}), "amount is missing"),
        (json!({"amount": "-1"}), "amount cannot"),
        (json!({"amount": "1,5"}), "amount cannot"),
        (json!({"id": []}), "id cannot"),
    ] {
        for list in LISTS {
            let entry = entry_with(&json!({"status": 1}));
            let mut entry = entry.as_object().unwrap().clone();
            entry.extend(more.as_object().unwrap().clone());
            let error = record(list, &Value::Object(entry)).unwrap_err();
            assert!(error.contains(why), "{more}: {error}");
        }
    }
    for (more, why) in [(json!({"withdraw_fee": "x"}), "withdraw_fee"), (json!({"txid": {}}), "txid"), (json!({"uid": true}), "uid")] {
        assert!(record(List::Withdrawals, &entry_with(&more)).unwrap_err().contains(why));
    }
    for confirmations in [json!("x"), json!(-1), json!(3_000_000_000_i64), json!({})] {
        let record = record(List::Withdrawals, &entry_with(&json!({"confirmations": confirmations}))).unwrap();
        assert_eq!(record.confirmations, None);
    }
}

#[test]
fn one_id_may_be_listed_twice() {
    let both = json!([entry(), entry_with(&json!({"id": 124}))]);
    assert_eq!(rows(List::Withdrawals, &both).unwrap().len(), 2);
}
