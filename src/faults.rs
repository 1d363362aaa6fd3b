//! Faults for tests: places where the program can be told to crash or to stand still, and bugs that it can be told to have.
//!
//! With the cargo feature `faults`, the variable `FAILPOINTS` says what happens, in the words of the crate `fail`:
//! `submit.claimed=return` ends the process there as a power failure would, `5%return` does so at one in twenty times,
//! `sleep(3000)` stands still first, and `planted.callback_is_believed=return` plants a bug. Without the feature, which is how the
//! program is released, nothing here reads anything: both functions are constants, and the compiler removes them.
//!
//! The points are a list, so that a campaign can show that it crashed at each; the bugs are its controls: it has to find them.

use strum::{EnumCount, EnumIter, IntoStaticStr};

/// The variable that says what happens at which point.
pub const VARIABLE: &str = "FAILPOINTS";

/// A place around money where a crash is worth trying.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumCount, EnumIter, IntoStaticStr)]
pub enum Point {
    /// An order is about to be written.
    #[strum(serialize = "create.writing")]
    CreateWriting,
    /// An order is written, and nobody has been told.
    #[strum(serialize = "create.written")]
    CreateWritten,
    /// A worker has taken tasks.
    #[strum(serialize = "task.claimed")]
    TaskClaimed,
    /// A call whose process was lost is about to be written off.
    #[strum(serialize = "task.writing_off")]
    TaskWritingOff,
    /// An attempt is about to be committed.
    #[strum(serialize = "submit.claiming")]
    SubmitClaiming,
    /// An attempt is committed, and its call has not been made.
    #[strum(serialize = "submit.claimed")]
    SubmitClaimed,
    /// A call that may move money has come back.
    #[strum(serialize = "submit.answered")]
    SubmitAnswered,
    /// What a call came to is written down.
    #[strum(serialize = "submit.recorded")]
    SubmitRecorded,
    /// A request is about to leave for a provider.
    #[strum(serialize = "provider.sending")]
    ProviderSending,
    /// A request has left, and the head of its answer has come.
    #[strum(serialize = "provider.sent")]
    ProviderSent,
    /// The whole answer of a provider is read.
    #[strum(serialize = "provider.read")]
    ProviderRead,
    /// A step is about to be written.
    #[strum(serialize = "settle.writing")]
    SettleWriting,
    /// A step is written.
    #[strum(serialize = "settle.written")]
    SettleWritten,
    /// A provider has told of one order.
    #[strum(serialize = "look.answered")]
    LookAnswered,
    /// A worker has taken a page of polls.
    #[strum(serialize = "poll.claimed")]
    PollClaimed,
    /// A provider has told of a page of orders.
    #[strum(serialize = "poll.listed")]
    PollListed,
    /// What a page of polls told is written.
    #[strum(serialize = "poll.written")]
    PollWritten,
    /// An order is about to be sent again.
    #[strum(serialize = "poll.sending_again")]
    PollSendingAgain,
    /// A feed has been taken.
    #[strum(serialize = "feed.claimed")]
    FeedClaimed,
    /// A page of a feed has been shown.
    #[strum(serialize = "feed.shown")]
    FeedShown,
    /// A page of a feed is written and its cursor moved, and no order has heard of it.
    #[strum(serialize = "feed.kept")]
    FeedKept,
    /// Receipts have found their orders.
    #[strum(serialize = "feed.attributed")]
    FeedAttributed,
    /// A feed is about to be let go.
    #[strum(serialize = "feed.releasing")]
    FeedReleasing,
    /// A callback has come.
    #[strum(serialize = "callback.received")]
    CallbackReceived,
    /// A callback is stored, and has not been answered.
    #[strum(serialize = "callback.stored")]
    CallbackStored,
    /// A notice is kept with its order, and nothing is due because of it yet.
    #[strum(serialize = "notice.kept")]
    NoticeKept,
    /// What a notice is about is due now.
    #[strum(serialize = "notice.hastened")]
    NoticeHastened,
    /// A worker has taken deliveries.
    #[strum(serialize = "webhook.claimed")]
    WebhookClaimed,
    /// A delivery is about to leave.
    #[strum(serialize = "webhook.sending")]
    WebhookSending,
    /// A delivery was answered, which is not written down.
    #[strum(serialize = "webhook.sent")]
    WebhookSent,
    /// What came of a delivery is written down.
    #[strum(serialize = "webhook.recorded")]
    WebhookRecorded,
    /// A code was exchanged for tokens, which are not kept yet.
    #[strum(serialize = "link.exchanged")]
    LinkExchanged,
    /// The tokens of a link are kept.
    #[strum(serialize = "link.kept")]
    LinkKept,
    /// The right to refresh a token is taken.
    #[strum(serialize = "token.claimed")]
    TokenClaimed,
    /// A new token has come, and is not kept yet: the old one may be worth nothing any more.
    #[strum(serialize = "token.fetched")]
    TokenFetched,
    /// A new token is kept.
    #[strum(serialize = "token.kept")]
    TokenKept,
    /// A provider has registered a customer, which is not written.
    #[strum(serialize = "customer.registered")]
    CustomerRegistered,
    /// A provider has given an address, which is not remembered.
    #[strum(serialize = "address.given")]
    AddressGiven,
    /// A page of a comparison is made, and not written.
    #[strum(serialize = "reconcile.compared")]
    ReconcileCompared,
    /// A page of a comparison is written.
    #[strum(serialize = "reconcile.written")]
    ReconcileWritten,
}

/// A bug to be planted. Each stands at the place where the right thing is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, IntoStaticStr)]
pub enum Bug {
    /// A call whose process was lost is taken for one that never left, and made again.
    #[strum(serialize = "planted.lost_call_never_left")]
    LostCallNeverLeft,
    /// "Not found" is taken for a proof that nothing moved.
    #[strum(serialize = "planted.not_found_is_proof")]
    NotFoundIsProof,
    /// HTTP 500 is taken for a refusal.
    #[strum(serialize = "planted.server_error_is_refusal")]
    ServerErrorIsRefusal,
    /// A call without an answer is taken for one that never left.
    #[strum(serialize = "planted.silence_is_unsent")]
    SilenceIsUnsent,
    /// A payout in doubt is forgotten: nobody asks again.
    #[strum(serialize = "planted.doubt_is_forgotten")]
    DoubtIsForgotten,
    /// A callback is believed.
    #[strum(serialize = "planted.callback_is_believed")]
    CallbackIsBelieved,
    /// A callback is answered 200 although it could not be stored.
    #[strum(serialize = "planted.callback_is_not_stored")]
    CallbackIsNotStored,
    /// The amount of a callback is not compared with the order's.
    #[strum(serialize = "planted.amount_is_not_compared")]
    AmountIsNotCompared,
    /// What comes to light late in a feed is never seen: the cursor alone says where to go on.
    #[strum(serialize = "planted.cursor_is_the_maximum")]
    CursorIsTheMaximum,
    /// A receipt that is told of again is counted again.
    #[strum(serialize = "planted.receipt_counts_again")]
    ReceiptCountsAgain,
    /// An order is acknowledged although it could not be written.
    #[strum(serialize = "planted.create_is_not_written")]
    CreateIsNotWritten,
    /// Another wish under a used id is taken for the first one.
    #[strum(serialize = "planted.fingerprint_is_not_compared")]
    FingerprintIsNotCompared,
    /// A delivery is marked as delivered before it is sent.
    #[strum(serialize = "planted.delivered_before_sent")]
    DeliveredBeforeSent,
    /// A new token is used and not kept.
    #[strum(serialize = "planted.token_is_not_kept")]
    TokenIsNotKept,
}

#[cfg(feature = "faults")]
mod on {
    use super::{Bug, Point, VARIABLE};

    /// Reads the variable, for the life of the process. To be called once, at its start.
    pub fn arm() {
        if std::env::var_os(VARIABLE).is_some() {
            // Dropping it would disarm.
            std::mem::forget(fail::FailScenario::setup());
        }
    }

    /// Does here what the variable says: nothing, as a rule.
    pub fn point(point: Point) {
        let name = point.into();
        let crash = |_| {
            // Whoever counts crashes reads this. Nothing else is done in good order: no flush, no unwinding.
            eprintln!("crashed at {name}");
            std::process::abort();
        };
        let _: Option<()> = fail::eval(name, crash);
    }

    /// Whether the program has this bug.
    pub fn planted(bug: Bug) -> bool {
        fail::eval(bug.into(), |_| ()).is_some()
    }
}

#[cfg(not(feature = "faults"))]
mod off {
    use super::{Bug, Point};

    /// Nothing.
    pub const fn arm() {}

    /// Nothing.
    pub const fn point(_: Point) {}

    /// No.
    pub const fn planted(_: Bug) -> bool {
        false
    }

    // A constant knows no variables: a program that is built like this has no faults to ask for, or it is not built.
    const _: () = {
        arm();
        point(Point::SubmitClaimed);
        assert!(!planted(Bug::CallbackIsBelieved));
    };
}

#[cfg(not(feature = "faults"))]
pub use off::{arm, planted, point};
#[cfg(feature = "faults")]
pub use on::{arm, planted, point};
