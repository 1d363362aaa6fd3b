//! The judges from outside can find fault, too: each with a history in which one thing is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rust_decimal::Decimal;
use serde_json::{Value, json};
use tillgate::sandbox::{CallRecord, Entry, Kind};

use crate::checker::Breach;
use crate::checker::books::{Rules, judge_books};
use crate::checker::history::{self, History, Outcome};
use crate::checker::ours::{Attempt, Order, Ours, Receipt};
use crate::checker::told::{self, Fed, Told};

/// What of it is found broken.
fn names(breaches: &[Breach]) -> BTreeSet<&str> {
    breaches.iter().map(|breach| breach.law.as_str()).collect()
}

fn entry(provider: &'static str, kind: Kind, trade_id: &str, transfer_id: &str) -> Entry {
    Entry {
        at_ms: 2000,
        provider,
        kind,
        client_id: "acme".to_owned(),
        trade_id: trade_id.to_owned(),
        transfer_id: transfer_id.to_owned(),
        user_id: "42".to_owned(),
        coin_id: "5".to_owned(),
        amount: Decimal::from(10),
        fee: Decimal::ZERO,
    }
}

fn call(operation: &'static str, trade_id: &str, at_ms: i64) -> CallRecord {
    CallRecord { at_ms, operation, trade_id: Some(trade_id.to_owned()), ids: Vec::new(), params: BTreeMap::new() }
}

fn order(kind: &str, status: &str, attempts: &[(&str, i64)]) -> Order {
    let attempts = attempts.iter().map(|(state, started_ms)| Attempt { state: (*state).to_owned(), started_ms: *started_ms }).collect();
    let is_final = ["succeeded", "failed"].contains(&status);
    let (kind, provider, coin) = (kind.to_owned(), "fomo".to_owned(), "5".to_owned());
    Order { kind, provider, coin, amount: Decimal::from(10), status: status.to_owned(), is_final, attempts, by_hand: false }
}

/// Both sides of a run.
#[derive(Clone)]
struct Run {
    books: Vec<Entry>,
    calls: Vec<CallRecord>,
    ours: Ours,
    rules: Rules,
}

impl Run {
    /// A payout and a transfer that went well, a deposit at each wallet.
    fn good() -> Self {
        let mut ours = Ours::default();
        ours.orders.insert("p".to_owned(), order("payout", "succeeded", &[("accepted", 1000)]));
        ours.orders.insert("w".to_owned(), order("payout", "failed", &[("accepted", 1000)]));
        ours.orders.insert("d".to_owned(), order("deposit", "succeeded", &[("accepted", 1000)]));
        let (user, coin) = ("42".to_owned(), "5".to_owned());
        ours.receipts.push(Receipt {
            number: "1".to_owned(),
            user,
            coin,
            amount: Decimal::from(10),
            progress: "confirmed".to_owned(),
            unheard: false,
        });
        ours.cursor = Some(1);
        Self {
            books: vec![
                entry("fomo", Kind::Payout, "p", "T1"),
                entry("hicoin", Kind::Withdrawal, "w", "W1"),
                entry("hicoin", Kind::Returned, "w", "W1"),
                entry("fomo", Kind::Deposit, "d", "T2"),
                entry("hicoin", Kind::Deposit, "1", "1"),
            ],
            calls: vec![call("pay_user", "p", 2000), call("withdraw", "w", 2000), call("pre_pay", "d", 2000)],
            ours,
            rules: Rules { at_rest: true, ..Rules::default() },
        }
    }

    fn judged(&self) -> Vec<Breach> {
        judge_books(&self.books, &self.calls, &self.ours, self.rules)
    }
}

type Change<T> = (&'static [&'static str], fn(&mut T));

fn order_of<'a>(run: &'a mut Run, trade_id: &str) -> &'a mut Order {
    run.ours.orders.get_mut(trade_id).expect("an order")
}

#[test]
fn the_wallets_books_find_each_mistake() {
    assert_eq!(Run::good().judged(), []);
    let changes: [Change<Run>; 19] = [
        (&["paid_at_most_once", "sums_agree"], |run| run.books.push(entry("fomo", Kind::Payout, "p", "T9"))),
        (&["call_has_attempt"], |run| run.calls.push(call("pay_user", "p", 2500))),
        (&["call_has_attempt"], |run| run.calls.push(call("withdraw", "unknown", 2500))),
        (&["call_has_attempt"], |run| order_of(run, "p").attempts[0].started_ms = 3001),
        (&["no_resend_in_doubt"], |run| {
            run.rules.refuses_duplicates = false;
            order_of(run, "p").attempts.insert(0, Attempt { state: "unknown".to_owned(), started_ms: 900 });
        }),
        (&["paid_is_paid", "sums_agree"], |run| {
            run.books.remove(0);
        }),
        (&["failed_is_not_paid", "sums_agree"], |run| order_of(run, "p").status = "failed".to_owned()),
        (&["failed_is_not_paid", "sums_agree"], |run| run.books[2].kind = Kind::Completed),
        (&["paid_as_asked", "sums_agree"], |run| run.books[0].amount = Decimal::from(11)),
        (&["paid_as_asked"], |run| run.books[0].coin_id = "6".to_owned()),
        (&["credited_is_there"], |run| {
            run.books.remove(3);
        }),
        (&["paid_is_credited"], |run| order_of(run, "d").status = "failed".to_owned()),
        (&["movement_is_known"], |run| run.books.push(entry("hicoin", Kind::Transfer, "whose", "X"))),
        (&["credited_is_there"], |run| {
            run.books.pop();
        }),
        (&["credited_once"], |run| run.ours.receipts.push(run.ours.receipts[0].clone())),
        (&["credited_as_booked"], |run| run.ours.receipts[0].amount = Decimal::from(9)),
        (&["deposit_is_found"], |run| run.ours.receipts.clear()),
        (&["deposit_is_found"], |run| run.ours.receipts[0].unheard = true),
        (&["deposit_is_found"], |run| run.books.push(entry("hicoin", Kind::Returned, "1", "1"))),
    ];
    for (number, (laws, change)) in changes.into_iter().enumerate() {
        let mut run = Run::good();
        change(&mut run);
        assert_eq!(names(&run.judged()), BTreeSet::from_iter(laws.iter().copied()), "change {number}: {:?}", run.judged());
    }
    // While work goes on, what is not found yet is no fault, unless it was passed by.
    let mut run = Run::good();
    run.rules.at_rest = false;
    run.ours.receipts.clear();
    assert_eq!(names(&run.judged()), BTreeSet::from(["deposit_is_found"]));
    run.ours.followed.push(1);
    assert_eq!(run.judged(), []);
    run.ours.followed.clear();
    run.ours.cursor = Some(0);
    assert_eq!(run.judged(), []);
    // Where clocks were moved, only the number of calls tells.
    let mut run = Run::good();
    run.rules.clocks_within_ms = None;
    order_of(&mut run, "p").attempts[0].started_ms = 9000;
    assert_eq!(run.judged(), []);
}

fn asked(trade_id: &str, amount: &str) -> Value {
    json!({ "trade_id": trade_id, "provider": "fomo", "coin": "usdt", "amount": amount })
}

fn given(id: &str, trade_id: &str, amount: &str) -> Value {
    json!({ "id": id, "trade_id": trade_id, "provider": "fomo", "coin": "usdt", "amount": amount, "status": "queued" })
}

/// What the client did, and what is there afterwards.
type Told2 = (History, BTreeMap<String, Value>);

fn a_good_history() -> Told2 {
    let mut history = History::default();
    let at = Duration::from_secs;
    history.note(&asked("a", "1"), at(1), at(2), Outcome::Unknown);
    history.note(&asked("a", "1"), at(2), at(3), Outcome::Acknowledged(given("1", "a", "1")));
    history.note(&asked("a", "1"), at(3), at(4), Outcome::Acknowledged(given("1", "a", "1")));
    history.note(&asked("a", "2"), at(4), at(5), Outcome::Refused(409, "trade_id_conflict".to_owned()));
    history.note(&asked("b", "1"), at(10), at(11), Outcome::Failed(503));
    history.broken.push((at(9), at(10)));
    (history, BTreeMap::from([("a".to_owned(), given("1", "a", "1"))]))
}

#[test]
fn the_clients_history_finds_each_mistake() {
    let (history, now) = a_good_history();
    assert_eq!(history::judge(&history, &now), []);
    assert_eq!(history.acknowledged(), BTreeSet::from(["a"]));
    let changes: [Change<Told2>; 7] = [
        (&["acknowledged_is_there"], |(_, now)| now.clear()),
        (&["acknowledged_is_there"], |(_, now)| now.get_mut("a").expect("it")["id"] = json!("2")),
        (&["there_as_asked"], |(_, now)| now.get_mut("a").expect("it")["amount"] = json!("1.0")),
        (&["one_trade_id_is_one_order"], |(history, _)| history.calls[2].outcome = Outcome::Acknowledged(given("2", "a", "1"))),
        (&["one_trade_id_is_one_content"], |(history, _)| history.calls[3].outcome = Outcome::Acknowledged(given("1", "a", "1"))),
        (&["same_content_is_no_conflict"], |(history, _)| history.calls[3].body = asked("a", "1")),
        (&["no_5xx_without_a_fault"], |(history, _)| history.broken.clear()),
    ];
    for (number, (laws, change)) in changes.into_iter().enumerate() {
        let mut told = a_good_history();
        change(&mut told);
        let found = history::judge(&told.0, &told.1);
        assert_eq!(names(&found), BTreeSet::from_iter(laws.iter().copied()), "change {number}: {found:?}");
    }
}

type Heard = (Vec<Told>, Vec<Fed>);

fn a_good_hearing() -> Heard {
    let fed =
        |event: &str, trade_id: Option<&str>, sequence| Fed { event_id: event.to_owned(), trade_id: trade_id.map(str::to_owned), sequence };
    let feed = vec![fed("e1", Some("a"), 1), fed("e2", Some("b"), 1), fed("e3", Some("a"), 2), fed("e4", None, 0), fed("e5", Some("a"), 3)];
    let told = |at: usize, taken| {
        let Fed { event_id, trade_id, sequence } = feed[at].clone();
        Told { event_id, trade_id, sequence, taken, signed: true }
    };
    // The second step is refused and comes again; the third one's answer is lost.
    let received = vec![told(0, true), told(2, false), told(1, true), told(2, true), told(4, true), told(3, true), told(4, true)];
    (received, feed)
}

#[test]
fn the_receivers_log_finds_each_mistake() {
    let (received, feed) = a_good_hearing();
    assert_eq!(told::judge(&received, &feed, true), []);
    let changes: [Change<Heard>; 9] = [
        (&["told_everything"], |(received, _)| {
            received.remove(5);
        }),
        (&["told_in_order"], |(received, _)| received.swap(3, 4)),
        (&["told_in_order"], |(received, _)| received[0].taken = false),
        (&["told_with_a_signature"], |(received, _)| received[5].signed = false),
        (&["told_what_is_in_the_feed", "told_everything"], |(received, _)| received[5].event_id = "forged".to_owned()),
        (&["told_as_in_the_feed", "told_in_order"], |(received, _)| received[2].sequence = 2),
        (&["fed_once"], |(_, feed)| feed.push(feed[0].clone())),
        (&["fed_in_order"], |(_, feed)| feed.swap(0, 2)),
        (&["told_what_is_in_the_feed"], |(_, feed)| {
            feed.remove(3);
        }),
    ];
    for (number, (laws, change)) in changes.into_iter().enumerate() {
        let mut heard = a_good_hearing();
        change(&mut heard);
        let found = told::judge(&heard.0, &heard.1, true);
        let mut expected = BTreeSet::from_iter(laws.iter().copied());
        // What was never taken is missed, too.
        if number == 2 {
            expected.insert("told_everything");
        }
        assert_eq!(names(&found), expected, "change {number}: {found:?}");
    }
}
