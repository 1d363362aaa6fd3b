//! What the wallet's own books and log say of what we did: the first judge, who knows nothing of our database but what we claim.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use tillgate::sandbox::{CallRecord, Entry, Kind, Sandbox};

use super::Breach;
use super::ours::{Order, Ours, Receipt};

/// Calls that move money by themselves.
const MOVES: [&str; 4] = ["pay_user", "withdraw", "userTransfer", "systemTransfer"];

/// What is asked of a run.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Everything that could be done has been done: what the wallet has must be found.
    pub at_rest: bool,
    /// How far the wallet's clock and ours may be apart. Absent: clocks were moved, and say nothing.
    pub clocks_within_ms: Option<i64>,
    /// The wallet refuses an id that it has seen, and is trusted to.
    pub refuses_duplicates: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { at_rest: false, clocks_within_ms: Some(1000), refuses_duplicates: true }
    }
}

/// Compares the wallet's side with what we claim.
pub fn judge(sandbox: &Sandbox, ours: &Ours, rules: Rules) -> Vec<Breach> {
    judge_books(&sandbox.books(), &sandbox.call_log(), ours, rules)
}

/// As [`judge`], of any books.
pub fn judge_books(books: &[Entry], calls: &[CallRecord], ours: &Ours, rules: Rules) -> Vec<Breach> {
    let mut breaches = paid_at_most_once(books);
    breaches.extend(calls_have_attempts(calls, ours, rules));
    breaches.extend(ends_are_true(books, ours, rules));
    breaches.extend(deposits_are_receipts(books, ours, rules));
    breaches
}

/// I1: whatever we say, the wallet carried each order out once at most.
fn paid_at_most_once(books: &[Entry]) -> Vec<Breach> {
    let mut executed: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    // What comes in by itself has no order: whether it is credited once is another question.
    let ordered = |entry: &&Entry| entry.kind.executes() && !(entry.provider == "hicoin" && entry.kind == Kind::Deposit);
    for entry in books.iter().filter(ordered) {
        *executed.entry((entry.provider, &entry.client_id, &entry.trade_id)).or_default() += 1;
    }
    let twice = executed.into_iter().filter(|(_, times)| *times > 1);
    twice
        .map(|((provider, _, trade_id), times)| {
            Breach::new("I1", "paid_at_most_once", trade_id, format!("{provider} carried it out {times} times"))
        })
        .collect()
}

/// I2: each call that moves money had an attempt, which began before. I4: after a call of unknown outcome nothing was sent to a
/// wallet that does not refuse repeated ids, unless a person wanted it.
fn calls_have_attempts(calls: &[CallRecord], ours: &Ours, rules: Rules) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut sent: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for call in calls.iter().filter(|call| MOVES.contains(&call.operation)) {
        // Moving money between users is Hicoin's own business where no order asks for it.
        if let Some(trade_id) = call.trade_id.as_deref() {
            sent.entry(trade_id).or_default().push(call.at_ms);
        }
    }
    for (trade_id, times) in sent {
        let Some(order) = ours.orders.get(trade_id) else {
            breaches.push(Breach::new(
                "I2",
                "call_has_attempt",
                trade_id,
                "the wallet was asked to move money for an order that we do not have",
            ));
            continue;
        };
        let started: Vec<i64> = order.attempts.iter().map(|attempt| attempt.started_ms).collect();
        if times.len() > started.len() {
            let found = format!("{} calls arrived, and {} attempts are written down", times.len(), started.len());
            breaches.push(Breach::new("I2", "call_has_attempt", trade_id, found));
        } else if let Some(apart) = rules.clocks_within_ms {
            // The nth call that arrived is of the nth attempt or a later one.
            for (at, began) in times.iter().zip(&started).filter(|(at, began)| **began > **at + apart) {
                breaches.push(Breach::new(
                    "I2",
                    "call_has_attempt",
                    trade_id,
                    format!("a call came at {at} ms, its attempt is of {began} ms"),
                ));
            }
        }
    }
    if !rules.refuses_duplicates {
        for (trade_id, order) in ours.orders.iter().filter(|(_, order)| order.kind != "deposit" && !order.by_hand) {
            let in_doubt = |state: &str| !["not_sent", "misconfigured", "refused"].contains(&state);
            let again = order.attempts.iter().rev().skip(1).any(|earlier| in_doubt(&earlier.state));
            if again {
                breaches.push(Breach::new("I4", "no_resend_in_doubt", trade_id, "it was sent again after a call of unknown outcome"));
            }
        }
    }
    breaches
}

/// I11: what we call paid was paid, what we call failed was not, and per coin both sides come to the same.
fn ends_are_true(books: &[Entry], ours: &Ours, rules: Rules) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let paid = paid(books);
    for (trade_id, order) in &ours.orders {
        if order.kind == "deposit" {
            // Where a person, or the browser's word by the account's policy, is all the proof there is, nobody else has to know.
            let paid = books.iter().any(|entry| entry.kind == Kind::Deposit && entry.trade_id == *trade_id);
            let ended = order.provider == "fomo" && rules.at_rest && !order.by_hand;
            if ended && order.status == "succeeded" && !paid {
                breaches.push(Breach::new("I8", "credited_is_there", trade_id, "it succeeded, and the wallet has no payment"));
            } else if ended && order.status == "failed" && paid {
                breaches.push(Breach::new("I8", "paid_is_credited", trade_id, "it failed, and the wallet has its payment"));
            }
            continue;
        }
        let there = paid.get(trade_id.as_str()).map_or(0, Vec::len);
        match order.status.as_str() {
            "succeeded" if there == 0 => breaches.push(Breach::new("I11", "paid_is_paid", trade_id, "it succeeded, and nobody paid it")),
            "failed" | "canceled" | "rejected" if there > 0 => {
                breaches.push(Breach::new("I11", "failed_is_not_paid", trade_id, format!("it is {}, and was paid", order.status)));
            }
            _ => {}
        }
        let other =
            paid.get(trade_id.as_str()).into_iter().flatten().find(|entry| entry.amount != order.amount || entry.coin_id != order.coin);
        if let Some(entry) = other {
            let found = format!("{} {} were paid, not {} {}", entry.amount, entry.coin_id, order.amount, order.coin);
            breaches.push(Breach::new("I10", "paid_as_asked", trade_id, found));
        }
    }
    let known = |entry: &&Entry| entry.kind != Kind::Deposit && !ours.orders.contains_key(&entry.trade_id) && entry.kind.executes();
    for entry in books.iter().filter(known).filter(|entry| rules.at_rest && !entry.trade_id.is_empty()) {
        breaches.push(Breach::new("I13", "movement_is_known", &entry.trade_id, "the wallet moved money for an order that we do not have"));
    }
    if rules.at_rest {
        breaches.extend(sums_agree(&paid, ours));
    }
    breaches
}

/// What arrived and stayed, by trade id.
fn paid(books: &[Entry]) -> BTreeMap<&str, Vec<&Entry>> {
    let mut last: BTreeMap<(&str, &str, &str), (&Entry, Kind)> = BTreeMap::new();
    for entry in books {
        let movement = last.entry((entry.provider, &entry.client_id, &entry.transfer_id)).or_insert((entry, entry.kind));
        movement.1 = entry.kind;
    }
    let mut paid: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for (entry, kind) in last.into_values() {
        if matches!(kind, Kind::Payout | Kind::Transfer | Kind::Completed) {
            paid.entry(&entry.trade_id).or_default().push(entry);
        }
    }
    paid
}

/// Of orders that are at their end, both sides paid out the same in each coin, to the last digit.
fn sums_agree(paid: &BTreeMap<&str, Vec<&Entry>>, ours: &Ours) -> Vec<Breach> {
    let mut sums: BTreeMap<(String, String), (Decimal, Decimal)> = BTreeMap::new();
    let out = |order: &&Order| order.kind != "deposit" && order.is_final;
    for (trade_id, order) in ours.orders.iter().filter(|(_, order)| out(order)) {
        let sum = sums.entry((order.provider.clone(), order.coin.clone())).or_default();
        if order.status == "succeeded" {
            sum.0 += order.amount;
        }
        sum.1 += paid.get(trade_id.as_str()).into_iter().flatten().map(|entry| entry.amount).sum::<Decimal>();
    }
    let differ = sums.into_iter().filter(|(_, (ours, theirs))| ours != theirs);
    differ
        .map(|((provider, coin), (ours, theirs))| {
            Breach::new("I11", "sums_agree", &format!("{provider} {coin}"), format!("we paid out {ours}, the wallet {theirs}"))
        })
        .collect()
}

/// A deposit in the wallet's books.
struct Booked<'a> {
    entry: &'a Entry,
    /// It was not taken out again.
    stays: bool,
}

/// I8, I13: what the wallet lists as come in is one receipt with the same content, which counts if, and only if, the money stays.
fn deposits_are_receipts(books: &[Entry], ours: &Ours, rules: Rules) -> Vec<Breach> {
    let mut booked: BTreeMap<&str, Booked<'_>> = BTreeMap::new();
    for entry in books.iter().filter(|entry| entry.provider == "hicoin") {
        match entry.kind {
            Kind::Deposit => {
                booked.insert(&entry.transfer_id, Booked { entry, stays: true });
            }
            Kind::Returned => {
                booked.entry(&entry.transfer_id).and_modify(|booked| booked.stays = false);
            }
            Kind::Payout | Kind::Withdrawal | Kind::Transfer | Kind::Completed => {}
        }
    }
    let mut breaches = Vec::new();
    let mut seen = BTreeSet::new();
    for receipt in &ours.receipts {
        if !seen.insert(receipt.number.as_str()) {
            breaches.push(Breach::new("I8", "credited_once", &receipt.number, "it is two receipts"));
        }
        breaches.extend(receipt_is_true(receipt, booked.get(receipt.number.as_str()), rules));
    }
    for number in booked.keys().filter(|number| !seen.contains(*number)) {
        let passed_by = || {
            let number: i64 = number.parse().unwrap_or(i64::MAX);
            ours.cursor.is_some_and(|cursor| number <= cursor) && !ours.followed.contains(&number)
        };
        if rules.at_rest {
            breaches.push(Breach::new("I13", "deposit_is_found", number, "the wallet has it, and we do not"));
        } else if passed_by() {
            breaches.push(Breach::new("I13", "deposit_is_found", number, "it was passed by, and nobody asks for it"));
        }
    }
    breaches
}

fn receipt_is_true(receipt: &Receipt, booked: Option<&Booked<'_>>, rules: Rules) -> Option<Breach> {
    let confirmed = receipt.progress == "confirmed";
    let Some(booked) = booked else {
        return confirmed
            .then(|| Breach::new("I8", "credited_is_there", &receipt.number, "it is confirmed, and the wallet never had the money"));
    };
    let theirs = (booked.entry.user_id.as_str(), booked.entry.coin_id.as_str(), booked.entry.amount);
    if (receipt.user.as_str(), receipt.coin.as_str(), receipt.amount) != theirs {
        let found = format!("we have {} {} for {}, the wallet has {theirs:?}", receipt.amount, receipt.coin, receipt.user);
        return Some(Breach::new("I8", "credited_as_booked", &receipt.number, found));
    }
    let expected = if booked.stays { "confirmed" } else { "abnormal" };
    let wrong = rules.at_rest && (receipt.progress != expected || receipt.unheard);
    wrong.then(|| {
        let found = format!("it is {}{}, and must be {expected}", receipt.progress, if receipt.unheard { ", unheard" } else { "" });
        Breach::new("I13", "deposit_is_found", &receipt.number, found)
    })
}
