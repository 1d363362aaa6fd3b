//! Comparing both sides: what the provider lists, and what we have of it. Pure.
//!
//! Ours is always read before the provider is asked. What we know was true by then, so that a
//! provider that tells less than we know is wrong (or slow to list it), and one that tells more is
//! only ahead: that is no discrepancy, unless we should have heard of it long ago.

use serde_json::{Value, json};
use strum::{Display, EnumString, IntoStaticStr};
use time::{Duration, OffsetDateTime};

use super::finding::{Finding, FindingKind};
use super::hearing::mismatch;
use super::order::{Kind, Order};
use super::receipt::{Incoming, Progress, Receipt};
use super::report::{ProviderRecord, Standing};
use super::status::{Deposit, Payout, State};

/// Providers may show what has just happened a little later in their lists.
pub const SETTLING: Duration = Duration::minutes(10);
/// Polling and feeds have heard of everything by then: the longest gap of a schedule is an hour.
pub const OVERDUE: Duration = Duration::hours(2);

/// What a run compares, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Leg {
    /// Payouts to addresses.
    ToAddress,
    /// Payouts to users.
    ToUser,
    /// Transfers.
    BetweenUsers,
    /// Deposits that the provider is asked about one by one.
    Deposits,
    /// The provider's list of incoming movements.
    Movements,
    /// What the payout account owns.
    Balances,
}

impl Leg {
    /// All, in their order.
    pub const ALL: [Self; 6] = [Self::ToAddress, Self::ToUser, Self::BetweenUsers, Self::Deposits, Self::Movements, Self::Balances];

    /// The one after it.
    pub fn next(self) -> Option<Self> {
        let at = Self::ALL.iter().position(|leg| *leg == self)?;
        Self::ALL.get(at + 1).copied()
    }
}

/// How the two sides of one movement stand to each other.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// They agree.
    Agree,
    /// The provider is further than we are, and we will hear of it.
    Behind,
    /// The provider is further, and we should have heard of it long ago.
    Overdue(Finding),
    /// They do not agree.
    Disagree(Finding),
    /// The provider's side cannot be read.
    Unreadable,
}

/// How far we take an order to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ours {
    /// Nothing is known to have moved.
    Open,
    /// The provider has it in hand.
    Taken,
    /// Done.
    Done,
    /// It ended without money moving.
    Undone,
}

fn ours(order: &Order) -> Ours {
    match order.state {
        State::Payout(Payout::Succeeded) | State::Deposit(Deposit::Succeeded) => Ours::Done,
        State::Payout(Payout::Failed | Payout::Canceled | Payout::Rejected) | State::Deposit(Deposit::Failed) => Ours::Undone,
        State::Deposit(Deposit::Expired | Deposit::Canceled) if order.is_final => Ours::Undone,
        // A provider may forget what nobody paid.
        State::Deposit(_) => Ours::Open,
        State::Payout(_) if order.state.is_taken() => Ours::Taken,
        State::Payout(_) => Ours::Open,
    }
}

/// How an order stands to all that the provider lists under its id. The answer was complete: nothing means that it has nothing.
pub fn compare_order(order: &Order, listed: &[Result<ProviderRecord, String>], now: OffsetDateTime) -> Verdict {
    let mut records: Vec<&ProviderRecord> = listed.iter().filter_map(|entry| entry.as_ref().ok()).collect();
    if records.len() < listed.len() {
        return Verdict::Unreadable;
    }
    let settled = now - order.updated_at >= SETTLING;
    // What moved counts before what did not: a refused try may stand beside the one that was taken.
    records.sort_by_key(|record| record.standing == Standing::Failed);
    let Some(record) = records.first() else {
        return match ours(order) {
            Ours::Done | Ours::Taken if settled => Verdict::Disagree(finding(FindingKind::MissingAtProvider, side(order), json!({}))),
            _ => Verdict::Agree,
        };
    };
    let moved = records.iter().filter(|record| record.standing != Standing::Failed).count();
    if moved > 1 {
        let references: Vec<&Option<String>> = records.iter().map(|record| &record.reference).collect();
        let theirs = json!({ "movements": moved, "references": references });
        return Verdict::Disagree(finding(FindingKind::Duplicate, side(order), theirs));
    }
    if let Some(finding) = mismatch(order, record) {
        return Verdict::Disagree(finding);
    }
    let status = || finding(FindingKind::Status, side(order), their_side(record));
    let ahead = || if now - order.updated_at >= OVERDUE { Verdict::Overdue(status()) } else { Verdict::Behind };
    match (ours(order), record.standing) {
        (Ours::Done, Standing::Paid) => match (order.fee, record.fee) {
            (Some(our), Some(their)) if our != their => {
                Verdict::Disagree(finding(FindingKind::Fee, json!({ "fee": our }), json!({ "fee": their })))
            }
            _ => Verdict::Agree,
        },
        (Ours::Done, Standing::Failed) => Verdict::Disagree(status()),
        (Ours::Done, _) if settled => Verdict::Disagree(status()),
        (Ours::Done, _) => Verdict::Agree,
        (Ours::Undone, Standing::Failed | Standing::Awaiting) => Verdict::Agree,
        (Ours::Undone, _) => Verdict::Disagree(status()),
        // A deposit that failed may still be paid until its deadline.
        (_, Standing::Failed) if order.kind == Kind::Deposit => Verdict::Agree,
        // It is known to be paid, and a person decides what that means.
        (_, Standing::Paid) if matches!(order.state, State::Deposit(Deposit::RequiresReview(_))) => Verdict::Agree,
        (_, Standing::Paid | Standing::Failed) => ahead(),
        (Ours::Taken, _) | (Ours::Open, Standing::Awaiting) => Verdict::Agree,
        (Ours::Open, _) => ahead(),
    }
}

/// How an incoming movement of ours, last heard of at `heard_at`, stands to what the provider lists under its number.
pub fn compare_movement(ours: Option<(&Receipt, OffsetDateTime)>, theirs: Option<&Incoming>, now: OffsetDateTime) -> Verdict {
    let listed = |entry: &Incoming| json!({ "status": entry.progress, "amount": entry.amount, "coin": entry.provider_coin_id, "user": entry.user, "txid": entry.txid });
    let kept = |receipt: &Receipt| {
        json!({ "status": receipt.progress, "amount": receipt.amount, "coin": receipt.provider_coin_id,
                "user": receipt.provider_user, "txid": receipt.txid })
    };
    let (receipt, heard_at, entry) = match (ours, theirs) {
        (None, None) => return Verdict::Agree,
        (None, Some(entry)) if entry.seen_at.is_some_and(|seen| now - seen < SETTLING) => return Verdict::Behind,
        (None, Some(entry)) => return Verdict::Overdue(finding(FindingKind::MissingHere, json!({}), listed(entry))),
        (Some((receipt, _)), None) => return Verdict::Disagree(finding(FindingKind::MissingAtProvider, kept(receipt), json!({}))),
        (Some((receipt, heard_at)), Some(entry)) => (receipt, heard_at, entry),
    };
    let kind = if receipt.provider_user.as_deref().is_some_and(|user| user != entry.user) {
        FindingKind::Recipient
    } else if receipt.provider_coin_id != entry.provider_coin_id {
        FindingKind::Coin
    } else if receipt.amount != entry.amount {
        FindingKind::Amount
    } else {
        let status = || finding(FindingKind::Status, kept(receipt), listed(entry));
        return match (receipt.progress, entry.progress) {
            (ours, theirs) if ours == theirs => Verdict::Agree,
            // We may have heard of it while the list was on its way to us.
            (_, Progress::Pending) if now - heard_at < SETTLING => Verdict::Behind,
            (Progress::Pending, _) if now - heard_at < OVERDUE => Verdict::Behind,
            (Progress::Pending, _) => Verdict::Overdue(status()),
            _ => Verdict::Disagree(status()),
        };
    };
    // Until it is confirmed, the provider may correct it; and we may have heard of it while the list was on its way to us.
    if (receipt.progress == Progress::Pending && now - heard_at < OVERDUE) || now - heard_at < SETTLING {
        return Verdict::Behind;
    }
    Verdict::Disagree(finding(kind, kept(receipt), listed(entry)))
}

fn finding(kind: FindingKind, ours: Value, theirs: Value) -> Finding {
    Finding { kind, ours, theirs }
}

/// What does not change from night to night: the same finding is told once.
fn side(order: &Order) -> Value {
    json!({
        "status": order.state.status(),
        "amount": order.amount,
        "coin": order.provider_coin_id,
        "reference": order.provider_reference,
    })
}

fn their_side(record: &ProviderRecord) -> Value {
    json!({ "standing": record.standing.to_string(), "amount": record.amount, "reference": record.reference })
}

#[cfg(test)]
mod tests;
