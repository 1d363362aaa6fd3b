use std::time::Duration;

use serde_json::{Value, json};

use super::sign::tests::signed_otherwise;
use super::*;
use crate::domain::account::{Account, Wallet as Credentials};
use crate::domain::money::Amount;
use crate::domain::order::{NextAction, Provider};
use crate::domain::report::{ProviderRecord, Standing};
use crate::providers::test_server::{Line, Seen, TestServer, Then, json};

#[path = "hicoin_tests/travel.rs"]
mod travel;
#[path = "hicoin_tests/users.rs"]
mod users;

const SECRET: &str = "4dedb14fae76dae682de02e671eac408";
const APP_ID: &str = "16a9f17fc2ad61ca4339fdd6a8a37f21";

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_551_325_752).unwrap()
}

async fn hicoin_with(script: Vec<Line>, clock: Clock, extra: Value) -> (Hicoin, TestServer) {
    let server = TestServer::start(script).await;
    let mut document = json!({"base_url": server.url("hicoin"), "app_id": APP_ID, "app_secret": SECRET});
    document.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let account = Account::from_document(Provider::Hicoin, document.as_object().unwrap().clone()).unwrap();
    let Credentials::Hicoin(account) = account.wallet else { unreachable!() };
    let http = ProviderHttp::new(Duration::from_secs(5), Clock::system()).unwrap();
    (Hicoin::new(http, account, clock), server)
}

async fn hicoin(answers: &[&str]) -> (Hicoin, TestServer) {
    let script = answers.iter().map(|answer| json(200, answer)).collect();
    // Not the time of the calls below, so that it shows which of the two was signed.
    hicoin_with(script, Clock::manual(now() + Duration::from_secs(1000), 1), json!({})).await
}

fn call() -> MoneyCall {
    MoneyCall {
        trade_id: TradeId::parse("t-1").unwrap(),
        provider_coin_id: "ETH".into(),
        amount: Amount::parse("12.50").unwrap(),
        server_uri: "https://pay.example/cb?a=b&c=d".parse().unwrap(),
        now: now(),
        deadline: Clock::system().instant() + Duration::from_secs(30),
    }
}

fn ids(ids: &[&str]) -> Vec<TradeId> {
    ids.iter().map(|id| TradeId::parse(id).unwrap()).collect()
}

/// What a request carried, in the query or in the form, and never in both.
fn parameters_of(seen: &Seen) -> Vec<(String, String)> {
    let target = seen.request_line().split(' ').nth(1).unwrap();
    let query: Vec<_> =
        format!("http://x{target}").parse::<url::Url>().unwrap().query_pairs().map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
    if seen.request_line().starts_with("GET ") {
        assert_eq!(seen.body, "");
        query
    } else {
        assert!(query.is_empty());
        assert!(seen.header("content-type").unwrap().starts_with("application/x-www-form-urlencoded"));
        seen.form()
    }
}

fn is_signed(parameters: &[(String, String)]) -> bool {
    let all = parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let signs: Vec<_> = parameters.iter().filter(|(name, _)| name == "sign").map(|(_, sign)| sign.clone()).collect();
    signs == [signed_otherwise(all, SECRET)]
}

/// Says what a request was: its line up to the query, and its own parameters; the common ones are checked.
fn told(seen: &Seen, time: &str) -> (String, Vec<(String, String)>) {
    let mut parameters = parameters_of(seen);
    assert!(is_signed(&parameters), "{parameters:?}");
    assert_eq!(seen.header("authorization"), None);
    for (name, value) in [("app_id", APP_ID), ("time", time)] {
        assert_eq!(parameters.iter().filter(|(known, told)| known == name && told == value).count(), 1, "{name}: {parameters:?}");
    }
    parameters.retain(|(name, _)| !matches!(name.as_str(), "app_id" | "time" | "sign"));
    let target: Vec<_> = seen.request_line().split([' ', '?']).take(2).map(str::to_owned).collect();
    (target.join(" "), parameters)
}

const CALL_TIME: &str = "1551325752";
const CLOCK_TIME: &str = "1551326752";

fn assert_seen(server: &TestServer, time: &str, expected: &[(&str, &[(&str, &str)])]) {
    let seen: Vec<_> = server.seen().iter().map(|seen| told(seen, time)).collect();
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let expected: Vec<_> = expected.iter().map(|(line, own)| ((*line).to_owned(), own.iter().map(pair).collect::<Vec<_>>())).collect();
    assert_eq!(seen, expected);
}

const DONE: &str = r#"{"code": "0", "msg": "suc", "data": {"statuts": 0}}"#;

fn standing(answer: &Answer) -> Standing {
    let Outcome::Accepted(record) = &answer.outcome else { panic!("{answer:?}") };
    record.standing
}

#[tokio::test]
async fn money_leaves_by_three_ways() {
    let (hicoin, server) = hicoin(&[DONE, DONE, DONE, DONE]).await;
    let answer = hicoin.pay_user(&call(), Side { user: "42", access_token: None }).await;
    assert_eq!((standing(&answer), answer.evidence.unwrap().raw), (Standing::Paid, DONE.as_bytes().to_vec()));
    assert_eq!(standing(&hicoin.transfer(&call(), "7", " 42 ").await), Standing::Paid);
    assert_eq!(standing(&hicoin.pay_address(&call(), "7", "0xabc", false).await), Standing::Accepted);
    assert_eq!(standing(&hicoin.pay_address(&call(), "7", "0xabc", true).await), Standing::Accepted);
    let common = [("request_id", "t-1"), ("amount", "12.5"), ("symbol", "ETH")];
    let with = |own: &[(&'static str, &'static str)]| [common.as_slice(), own].concat();
    assert_seen(
        &server,
        CALL_TIME,
        &[
            ("POST /hicoin/api/billing/systemTransfer", &with(&[("to_uid", "42")])),
            ("POST /hicoin/api/billing/userTransfer", &with(&[("from_uid", "7"), ("to_uid", "42")])),
            ("POST /hicoin/api/billing/withdraw", &with(&[("from_uid", "7"), ("to_address", "0xabc")])),
            ("POST /hicoin/api/billing/withdraw", &with(&[("from_uid", "7"), ("to_address", "0xabc"), ("focus_online", "1")])),
        ],
    );
}

#[tokio::test]
async fn the_source_of_payouts_is_a_setting() {
    for (extra, expected) in [(json!({"payout_uid": " 7 "}), Some("7")), (json!({}), None), (json!({"payout_uid": " "}), None)] {
        let (hicoin, _server) = hicoin_with(vec![], Clock::system(), extra).await;
        assert_eq!(hicoin.source().ok().as_deref(), expected);
        assert!(expected.is_some() || hicoin.source().unwrap_err().contains("payout_uid"));
    }
}

#[tokio::test]
async fn a_deposit_is_offered_at_the_users_address() {
    let (hicoin, server) = hicoin(&[r#"{"code": "0", "msg": "suc", "data": {"uid": 42, "address": "1PiX"}}"#]).await;
    let answer = hicoin.offer(&call(), Side { user: "42", access_token: None }).await;
    let amount = Amount::parse("12.5").unwrap();
    let next_action = NextAction::SendToAddress { address: "1PiX".into(), coin: "ETH".into(), amount, memo: None };
    let expected = ProviderRecord { user: Some("42".into()), next_action: Some(next_action), ..ProviderRecord::new(Standing::Awaiting) };
    assert_eq!(answer.outcome, Outcome::Accepted(Box::new(expected)));
    assert_seen(&server, CALL_TIME, &[("POST /hicoin/api/account/getDepositAddress", &[("uid", "42"), ("symbol", "ETH")])]);
}

#[tokio::test]
async fn a_call_whose_answer_is_lost_is_unknown_and_sent_once() {
    for then in [Then::Reset, Then::Close] {
        let (hicoin, server) = hicoin_with(vec![Line(vec![], then), json(200, DONE)], Clock::system(), json!({})).await;
        let answer = hicoin.pay_address(&call(), "7", "0xabc", false).await;
        assert!(matches!(answer, Answer { outcome: Outcome::Unknown(_), evidence: None }), "{answer:?}");
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_call_past_its_deadline_is_not_sent() {
    let (hicoin, server) = hicoin(&[]).await;
    let late = MoneyCall { deadline: Clock::system().instant(), ..call() };
    for answer in [
        hicoin.pay_user(&late, Side { user: "42", access_token: None }).await,
        hicoin.transfer(&late, "7", "42").await,
        hicoin.pay_address(&late, "7", "0xabc", true).await,
        hicoin.offer(&late, Side { user: "42", access_token: None }).await,
    ] {
        assert!(matches!(answer, Answer { outcome: Outcome::NotSent(_), evidence: None }), "{answer:?}");
    }
    assert_eq!(server.connections(), 0);
}

const NONE: &str = r#"{"code": "0", "msg": "suc", "data": []}"#;

#[tokio::test]
async fn each_way_has_its_list() {
    let (hicoin, server) = hicoin(&[NONE, NONE]).await;
    assert_eq!(hicoin.by_trade_ids(Way::ToUser, &ids(&["a", "b"])).await, Ok(vec![]));
    assert_eq!(hicoin.by_trade_ids(Way::BetweenUsers, &ids(&["a"])).await, Ok(vec![]));
    for way in [Way::ToUser, Way::BetweenUsers, Way::ToAddress] {
        assert_eq!(hicoin.by_trade_ids(way, &[]).await, Ok(vec![]));
    }
    assert_seen(
        &server,
        CLOCK_TIME,
        &[("GET /hicoin/api/billing/systemTransferList", &[("ids", "a,b")]), ("GET /hicoin/api/billing/transferList", &[("ids", "a")])],
    );
}

fn withdrawal(request_id: &str, status: i64) -> Value {
    json!({"request_id": request_id, "id": 5, "uid": 7, "symbol ": "ETH", "amount": "12.5", "status": status})
}

#[tokio::test]
async fn a_payout_to_an_address_is_looked_for_in_both_lists() {
    let withdrawals = json!({"code": 0, "data": [withdrawal("a", 5), withdrawal("b", 99), withdrawal("x", 5)]}).to_string();
    let transfer = json!({"request_id": "c", "id": 9, "symbol": "ETH", "amount": "1", "from_uid": 7, "to_uid": 8, "status": "0"});
    let transfers = json!({"code": 0, "data": [transfer, {"request_id": "a"}]}).to_string();
    let (hicoin, server) = hicoin(&[&withdrawals, &transfers]).await;
    let found = hicoin.by_trade_ids(Way::ToAddress, &ids(&["a", "b", "c", "d"])).await.unwrap();
    let rows: Vec<_> = found.iter().map(|listed| (listed.trade_id.as_str(), listed.record.as_ref().ok().map(|r| r.standing))).collect();
    assert_eq!(rows, [("a", Some(Standing::Paid)), ("b", None), ("c", Some(Standing::Paid))]);
    assert_seen(
        &server,
        CLOCK_TIME,
        &[("GET /hicoin/api/billing/withdrawList", &[("ids", "a,b,c,d")]), ("GET /hicoin/api/billing/transferList", &[("ids", "c,d")])],
    );
}

#[tokio::test]
async fn nothing_is_absent_unless_both_lists_say_so() {
    for second in [r#"{"code": "0"}"#, r#"{"code": "100001", "data": []}"#, "<html>", r#"{"code": 0, "data": [{"id": 1}]}"#] {
        let (hicoin, _server) = hicoin(&[NONE, second]).await;
        let answer = hicoin.by_trade_ids(Way::ToAddress, &ids(&["a"])).await;
        assert!(matches!(answer, Err(AskError::Unavailable(_))), "{second}: {answer:?}");
    }
    let (all_shown, server) = hicoin(&[&json!({"code": 0, "data": [withdrawal("a", 1)]}).to_string()]).await;
    assert_eq!(all_shown.by_trade_ids(Way::ToAddress, &ids(&["a"])).await.unwrap().len(), 1);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn more_ids_than_one_question_holds_are_not_asked() {
    let (hicoin, server) = hicoin(&[NONE, NONE]).await;
    let names: Vec<String> = (0..=PAGE).map(|n| format!("{n:064}")).collect();
    let all = ids(&names.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(matches!(hicoin.by_trade_ids(Way::ToUser, &all).await, Err(AskError::Unavailable(_))));
    assert!(matches!(hicoin.by_ids(&vec![1; PAGE + 1]).await, Err(AskError::Unavailable(_))));
    assert_eq!(server.seen().len(), 0);
    assert_eq!(hicoin.by_trade_ids(Way::ToUser, &all[..PAGE]).await, Ok(vec![]));
    // Common servers refuse a request line of more than 8 KiB.
    assert!(server.seen()[0].request_line().len() < 7000);
}

fn deposit(id: i64) -> Value {
    json!({"id": id, "uid": 11, "symbol": "ETH", "amount": "0.2", "status": 1})
}

#[tokio::test]
async fn deposits_are_read_from_a_place_on_and_by_their_ids() {
    let page = json!({"code": "0", "data": [deposit(9), deposit(5), deposit(3), deposit(7)]}).to_string();
    let (hicoin, server) = hicoin(&[&page, &page, NONE]).await;
    let numbers = |entries: Vec<Entry>| entries.iter().map(|entry| entry.id).collect::<Vec<_>>();
    assert_eq!(numbers(hicoin.after(3).await.unwrap()), [5, 7, 9]);
    assert_eq!(numbers(hicoin.by_ids(&[3, 9, 10]).await.unwrap()), [3, 9]);
    assert_eq!(hicoin.after(0).await, Ok(vec![]));
    assert_eq!(hicoin.by_ids(&[]).await, Ok(vec![]));
    assert_seen(
        &server,
        CLOCK_TIME,
        &[
            ("GET /hicoin/api/billing/syncDepositList", &[("max_id", "3")]),
            ("GET /hicoin/api/billing/depositList", &[("ids", "3,9,10")]),
            ("GET /hicoin/api/billing/syncDepositList", &[("max_id", "0")]),
        ],
    );
}

#[tokio::test]
async fn a_page_is_never_longer_than_a_page() {
    let page = json!({"code": "0", "data": (1..=150).rev().map(deposit).collect::<Vec<_>>()}).to_string();
    let (hicoin, _server) = hicoin(&[&page]).await;
    let ids: Vec<_> = hicoin.after(0).await.unwrap().iter().map(|entry| entry.id).collect();
    assert_eq!(ids, (1..=100).collect::<Vec<_>>());
}

const WRONG_SIGNATURE: &str = r#"{"code": "100005", "msg": "签名校验失败", "data": null}"#;

#[tokio::test]
async fn a_server_that_does_not_sign_zero_is_asked_from_minus_one() {
    let page = json!({"code": "0", "data": [deposit(1)]}).to_string();
    let (hicoin, server) = hicoin(&[WRONG_SIGNATURE, &page, &page]).await;
    assert_eq!(hicoin.after(0).await.unwrap().len(), 1);
    assert_eq!(hicoin.after(0).await.unwrap().len(), 1);
    let line = "GET /hicoin/api/billing/syncDepositList";
    assert_seen(&server, CLOCK_TIME, &[(line, &[("max_id", "0")]), (line, &[("max_id", "-1")]), (line, &[("max_id", "-1")])]);
}

#[tokio::test]
async fn a_wrong_secret_is_not_taken_for_a_zero_that_is_not_signed() {
    let (hicoin, server) = hicoin(&[WRONG_SIGNATURE; 4]).await;
    for after in [5, 0, 0] {
        let page = hicoin.after(after).await;
        assert!(matches!(&page, Err(AskError::Misconfigured(code)) if code.provider_code == "100005"), "{page:?}");
    }
    let sent: Vec<_> = server.seen().iter().map(|seen| told(seen, CLOCK_TIME).1[0].1.clone()).collect();
    assert_eq!(sent, ["5", "0", "-1", "-1"]);
}

#[tokio::test]
async fn every_question_of_a_moving_clock_has_its_own_time() {
    let clock = Clock::manual(now(), 1);
    let (hicoin, server) = hicoin_with(vec![json(200, NONE), json(200, NONE)], clock.clone(), json!({})).await;
    hicoin.balances("42").await.unwrap();
    clock.advance(Duration::from_secs(61));
    hicoin.balances("42").await.unwrap();
    let [first, second] = server.seen().try_into().unwrap();
    told(&first, "1551325752");
    told(&second, "1551325813");
}

#[tokio::test]
async fn a_provider_that_is_gone_makes_every_question_unavailable() {
    let (hicoin, _server) = hicoin(&[]).await;
    let gone = |result: Result<(), AskError>| assert!(matches!(result, Err(AskError::Unavailable(_))), "{result:?}");
    gone(hicoin.by_trade_ids(Way::ToAddress, &ids(&["a"])).await.map(drop));
    gone(hicoin.after(0).await.map(drop));
    gone(hicoin.by_ids(&[1]).await.map(drop));
    gone(hicoin.register(&users::mobile()).await.map(drop));
    gone(hicoin.find(&users::email()).await.map(drop));
    gone(hicoin.balance("42", "ETH").await.map(drop));
    gone(hicoin.balances("42").await.map(drop));
    gone(hicoin.address("42", "ETH").await.map(drop));
    assert!(hicoin.coins().await.is_err());
}

#[tokio::test]
async fn a_wallet_has_the_abilities_that_the_document_gives_it() {
    let (hicoin, _server) = hicoin(&[]).await;
    let wallet = Hicoin::wallet(hicoin.http.clone(), hicoin.account.clone(), hicoin.clock.clone());
    let expected = Capabilities {
        refuses_duplicates: true,
        lookup_by_trade_id: true,
        lookup_by_reference: false,
        callbacks: false,
        deposit_feed: true,
    };
    assert_eq!(wallet.capabilities, expected);
    assert!(wallet.address_payouts.is_some() && wallet.transfers.is_some() && wallet.trade_lookups.is_some());
    assert!(wallet.deposit_feed.is_some() && wallet.users.is_some());
    assert!(wallet.reference_lookups.is_none() && wallet.links.is_none() && wallet.callbacks.is_none());
    let notices = wallet.notices.unwrap();
    assert_eq!(notices.subject(b"request_id=t-1&id=7"), Ok(Subject::Order(TradeId::parse("t-1").unwrap())));
    assert!(notices.subject(b"x").unwrap_err().contains("neither"));
}

#[tokio::test]
async fn its_debug_output_shows_no_secret() {
    let (hicoin, _server) = hicoin(&[]).await;
    let debug = format!("{hicoin:?} {:?}", users::email());
    assert!(!debug.contains(SECRET) && !debug.contains("example.com"), "{debug}");
}
