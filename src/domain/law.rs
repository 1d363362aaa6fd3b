//! What must hold of everything that is stored, law by law, and what a person does where one is broken.
//!
//! The checks are in `store::verify`, each of them one statement that looks for what breaks a law. Here are the laws' names, and
//! what of them only the program's own tables can say: which steps are legal, and which orders wait for nobody of us.

use serde::Serialize;
use strum::{Display, EnumIter, EnumString, IntoStaticStr};

use super::order::{Kind, Provider};
use super::status::{Deposit, Payout, Review, State, edges};

/// A law. Its name is what it says; [`Law::invariant`] is its number in `docs/RELIABILITY.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Display, EnumString, EnumIter, IntoStaticStr, Serialize)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Law {
    /// A guard of the database's own is there and at work.
    GuardsStand,
    /// The steps of an order are counted from one without a gap.
    StepsWithoutGap,
    /// The last step is where the order is.
    LastStepIsThePlace,
    /// Every step is one that the state machine has.
    StepsAreLegal,
    /// An order is final if, and only if, its place is an end.
    EndsAreFinal,
    /// A trade id is one order.
    TradeIdIsOneOrder,
    /// An order that waits for a person says why.
    ReviewSaysWhy,
    /// A step has one event, which tells it.
    StepHasOneEvent,
    /// An event about an order is about one of its steps.
    EventHasItsStep,
    /// A call that may move money has its attempt.
    CallHasItsAttempt,
    /// An order has one open attempt at most.
    OneOpenAttempt,
    /// Nobody doubts more calls than there were.
    DoubtsHaveCalls,
    /// An order that we can drive has a task.
    OpenOrderHasTask,
    /// A final order has none.
    FinalOrderHasNoTask,
    /// An order's task is kept for its open call.
    OpenCallIsKept,
    /// What is due is worked on.
    NothingIsStuck,
    /// The amounts of a deposit are the sums of its receipts.
    AmountsAreReceipts,
    /// A deposit that has its money is settled.
    PaidIsSettled,
    /// A payout counts what it moved, and nothing before.
    PayoutCountsWhatItMoved,
    /// What an order moved is in the books.
    OrderIsBooked,
    /// What came in is in the books.
    ReceiptIsBooked,
    /// A movement at the wallet is one receipt.
    MovementIsOneReceipt,
    /// A receipt is an order's, or was told as nobody's.
    ReceiptHasAHome,
    /// A receipt fits its order.
    ReceiptFitsItsOrder,
    /// What is pending is asked for again.
    PendingIsFollowed,
    /// What is in the books is of a receipt or an order, and stands at its time.
    BookedIsKnown,
    /// The balances of closed days are what was booked.
    BalancesAddUp,
    /// What is on its way to an endpoint is queued, and nothing else.
    PendingIsQueued,
    /// What is queued is a delivery of an event.
    QueuedIsADelivery,
    /// A delivery is of an event, as it says.
    DeliveryHasItsEvent,
    /// The tries of a delivery are counted without a gap.
    TriesAreCounted,
    /// What was delivered was answered by 2xx.
    DeliveredWasAnswered,
    /// A discrepancy is about something.
    DiscrepancyHasASubject,
    /// The audit log is whole.
    AuditLogIsWhole,
}

impl Law {
    /// Its number among the invariants of `docs/RELIABILITY.md`.
    pub fn invariant(self) -> &'static str {
        match self {
            Self::GuardsStand | Self::StepsWithoutGap | Self::LastStepIsThePlace | Self::StepsAreLegal | Self::EndsAreFinal => "I6",
            Self::TradeIdIsOneOrder => "I5",
            Self::StepHasOneEvent | Self::EventHasItsStep => "I12",
            Self::CallHasItsAttempt | Self::OneOpenAttempt => "I2",
            Self::DoubtsHaveCalls => "I4",
            Self::ReviewSaysWhy | Self::OpenOrderHasTask | Self::FinalOrderHasNoTask | Self::OpenCallIsKept | Self::NothingIsStuck => "I18",
            Self::AmountsAreReceipts | Self::PaidIsSettled | Self::MovementIsOneReceipt => "I8",
            Self::PayoutCountsWhatItMoved | Self::OrderIsBooked | Self::ReceiptIsBooked | Self::BookedIsKnown | Self::BalancesAddUp => {
                "I11"
            }
            Self::ReceiptHasAHome | Self::ReceiptFitsItsOrder | Self::PendingIsFollowed | Self::DiscrepancyHasASubject => "I13",
            Self::PendingIsQueued | Self::QueuedIsADelivery | Self::DeliveryHasItsEvent => "I12",
            Self::TriesAreCounted | Self::DeliveredWasAnswered => "I12",
            Self::AuditLogIsWhole => "I21",
        }
    }

    /// What a person does where it is broken.
    pub fn advice(self) -> &'static str {
        match self {
            Self::GuardsStand => {
                "Somebody has changed the schema by hand. Find out who, put the guard back as the migrations have it, and verify again."
            }
            Self::StepsWithoutGap
            | Self::LastStepIsThePlace
            | Self::StepsAreLegal
            | Self::EndsAreFinal
            | Self::TradeIdIsOneOrder
            | Self::StepHasOneEvent
            | Self::EventHasItsStep => {
                "Rows were changed outside of the program, or it has a fault. Stop the workers, compare the order's timeline with a \
                 backup, and report it."
            }
            Self::CallHasItsAttempt | Self::OneOpenAttempt | Self::DoubtsHaveCalls => {
                "Stop the workers: what was sent for this order is not known from here. Look the order up at the wallet before anything is sent."
            }
            Self::OpenOrderHasTask => "Nobody works on this order. Ask for it with POST .../refresh, and report it.",
            Self::FinalOrderHasNoTask => "The order is at its end, and work on it is planned. Nothing is lost; report it.",
            Self::OpenCallIsKept => "Nobody would write this call off if its process died. Look at the order's timeline, and report it.",
            Self::NothingIsStuck => "See that workers run and reach the database; look for the order in their log.",
            Self::ReviewSaysWhy => "Look into the order's timeline for what a person has to decide, and report it.",
            Self::AmountsAreReceipts
            | Self::PaidIsSettled
            | Self::PayoutCountsWhatItMoved
            | Self::MovementIsOneReceipt
            | Self::ReceiptFitsItsOrder => {
                "Do not deliver for this order before its amounts are compared with the wallet: run tillgate reconcile over its day."
            }
            Self::OrderIsBooked | Self::ReceiptIsBooked | Self::BookedIsKnown | Self::BalancesAddUp => {
                "Statements of this account are wrong until this is settled. Keep the rows as they are, and report it."
            }
            Self::ReceiptHasAHome => "Money came that nobody was told of: look at GET /v1/receipts?unmatched=true and assign it.",
            Self::PendingIsFollowed => "This movement is not asked for again: run tillgate reconcile --repair over its day.",
            Self::PendingIsQueued
            | Self::QueuedIsADelivery
            | Self::DeliveryHasItsEvent
            | Self::TriesAreCounted
            | Self::DeliveredWasAnswered => {
                "The merchant may have missed an event: send it again from /v1/webhook_deliveries, or have the merchant read /v1/events."
            }
            Self::DiscrepancyHasASubject => "Nobody can settle it as it is. Look at both of its sides in the table, and report it.",
            Self::AuditLogIsWhole => {
                "Somebody has written into the log. Keep a copy of the database, and compare it with the last backup whose log is whole."
            }
        }
    }
}

/// Something that breaks a law.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Breach {
    /// The law.
    pub law: Law,
    /// The merchant's name; empty where it is about the database itself.
    pub merchant: String,
    /// What it is about: an order by its `trade_id`, else a receipt, a delivery, ... by its id.
    pub about: String,
    /// What was found.
    pub found: String,
}

/// A place as the checks write it: `processing/accepted`.
fn place(state: State) -> String {
    state.stage().map_or(state.status().to_owned(), |stage| format!("{}/{stage}", state.status()))
}

/// Orders whose places have the same table: transfers go the way of payouts.
fn family(kind: Kind) -> &'static str {
    match kind {
        Kind::Deposit => "deposit",
        Kind::Payout | Kind::Transfer => "payout",
    }
}

const FAMILIES: [Kind; 2] = [Kind::Deposit, Kind::Payout];

/// Every step that leads somewhere else: `deposit created>awaiting_payment`.
pub fn legal_steps() -> Vec<String> {
    let of = |kind| edges(kind).into_iter().map(move |(from, to)| format!("{} {}>{}", family(kind), place(from), place(to)));
    FAMILIES.into_iter().flat_map(of).collect()
}

/// Every place where an order can begin. One that money brings into being begins where the money takes it.
pub fn beginnings() -> Vec<String> {
    let of = |kind: Kind| {
        let first = State::first(kind);
        let born = edges(kind).into_iter().filter(move |(from, _)| *from == first && kind == Kind::Deposit).map(|(_, to)| to);
        let approval = (kind == Kind::Payout).then_some(State::Payout(Payout::RequiresApproval));
        std::iter::once(first).chain(born).chain(approval).map(move |state| format!("{} {}", family(kind), place(state)))
    };
    FAMILIES.into_iter().flat_map(of).collect()
}

/// Every place that is an end: at once, or after a time for late money (`true`).
pub fn ends() -> (Vec<String>, Vec<String>) {
    let named = |ends: fn(State) -> bool| {
        let of = |kind: Kind| State::all(kind).into_iter().map(move |state| (kind, state));
        let all = FAMILIES.into_iter().flat_map(of).filter(|(_, state)| ends(*state));
        all.map(|(kind, state)| format!("{} {}", family(kind), place(state))).collect()
    };
    (named(State::ends_at_once), named(State::ends_later))
}

/// Every place in which an order that is not final can be without a task, by its wallet: `fomo payout processing/accepted`.
pub fn rests() -> Vec<String> {
    let all = FAMILIES.into_iter().flat_map(|kind| State::all(kind).into_iter().map(move |state| (kind, state)));
    let named = |(kind, state): (Kind, State)| {
        let at = move |provider: Provider| rests_at(state, provider).then(|| format!("{provider} {} {}", family(kind), place(state)));
        [Provider::Fomo, Provider::Hicoin].into_iter().filter_map(at)
    };
    all.flat_map(named).collect()
}

/// Whether nothing is to be done by ourselves for an order that is there and not final.
fn rests_at(state: State, provider: Provider) -> bool {
    // Such a wallet can be asked about every order by our id.
    let asked = provider.lists_receipts();
    match state {
        State::Deposit(Deposit::RequiresReview(_)) | State::Payout(Payout::RequiresApproval) => true,
        State::Payout(Payout::RequiresReview(Review::OutcomeUnknown)) => !asked,
        State::Payout(Payout::RequiresReview(_)) => true,
        State::Payout(Payout::Accepted | Payout::ProviderReview | Payout::Broadcast) => !asked,
        State::Payout(Payout::Queued | Payout::Submitting | Payout::OutcomeUnknown) => false,
        State::Payout(Payout::Succeeded | Payout::Failed | Payout::Canceled | Payout::Rejected) => false,
        State::Deposit(Deposit::Created | Deposit::AwaitingPayment | Deposit::Verifying | Deposit::PartiallyPaid | Deposit::Confirming) => {
            false
        }
        State::Deposit(Deposit::Succeeded | Deposit::Failed | Deposit::Expired | Deposit::Canceled) => false,
    }
}

#[cfg(test)]
#[path = "law_tests.rs"]
mod tests;
