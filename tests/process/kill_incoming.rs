//! `kill -9` at every moment of reading what came in at Hicoin: when it is seen, when it is confirmed, and when one of its
//! numbers is asked for by itself. Whatever was under way, everything in Hicoin's books is one receipt and credited once.

use tillgate::sandbox::{Fault, Times};

use crate::hicoin::{FROM_ADA, FROM_BOB};
use crate::house::{At, Gateway, House, Plan};
use crate::moments::{kill, side_by_side, stop};

/// The process that is killed has time to come to its moment.
const LEASE: (&str, &str) = ("TILLGATE__TIMING__LEASE", "9s");
/// A question that hangs outlives the time until what it is about is locked, on a slow machine as well.
const PROVIDER_TIMEOUT: (&str, &str) = ("TILLGATE__TIMING__PROVIDER_TIMEOUT", "8s");

/// What the page that is being read says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    /// Somebody has paid.
    Seen,
    /// The payments are confirmed; the feed shows them once more.
    Confirmed,
    /// The payments are confirmed; their numbers are asked for by themselves.
    ConfirmedByNumber,
}

impl News {
    const ALL: [Self; 3] = [Self::Seen, Self::Confirmed, Self::ConfirmedByNumber];

    fn question(self) -> &'static str {
        match self {
            Self::Seen | Self::Confirmed => "syncDepositList",
            Self::ConfirmedByNumber => "depositList",
        }
    }

    /// How the receipts are stored when the page is.
    fn stored_as(self) -> &'static str {
        if self == Self::Seen { "pending" } else { "confirmed" }
    }

    /// Numbers are asked for once, or never, so that one reader alone does what is looked at.
    fn schedule(self) -> &'static str {
        if self == Self::ConfirmedByNumber { "200ms,1h" } else { "1h" }
    }
}

/// Where the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// Hicoin is asked for the page.
    Asking,
    /// The page has arrived, and the statement that stores it is lost.
    Storing,
    /// The page is stored, and no order has heard of it.
    Stored,
    /// Orders hear of it, and the statement is lost.
    Hearing,
    /// Orders hear of it, and the process does not learn that.
    Heard,
}

impl Moment {
    const ALL: [Self; 5] = [Self::Asking, Self::Storing, Self::Stored, Self::Hearing, Self::Heard];
}

#[tokio::test(flavor = "multi_thread")]
async fn incoming_money_survives_kill_9_at_every_moment_and_is_credited_once() {
    let cases = News::ALL.into_iter().flat_map(|news| Moment::ALL.map(|moment| (format!("{news:?}, {moment:?}"), play(news, moment))));
    side_by_side(cases).await;
}

async fn play(news: News, moment: Moment) {
    let house = House::with(Plan::at(At::Hicoin)).await;
    let variables = [LEASE, PROVIDER_TIMEOUT, ("TILLGATE__TIMING__POLL_SCHEDULE", news.schedule())];
    let gateway = house.serve_perhaps_warm("all", moment == Moment::Heard, &variables).await;
    if moment == Moment::Heard {
        house.warm_up_by_a_deposit().await;
    }
    house.ask_both().await;
    let numbers = ask(&house, news).await;
    die(&house, gateway, moment).await;

    let all = i64::try_from(numbers.len()).expect("a count");
    let stored = match moment {
        Moment::Asking | Moment::Storing => (0, 0),
        Moment::Stored | Moment::Hearing => (all, all),
        Moment::Heard => (all, 0),
    };
    assert_eq!(house.receipts(&numbers, news.stored_as()).await, stored);
    let place = match (news, moment) {
        (News::Seen, Moment::Heard) => "processing/confirming",
        (News::Seen, _) => "awaiting_payment",
        (_, Moment::Heard) => "succeeded",
        _ => "processing/confirming",
    };
    assert_eq!(house.place(FROM_BOB).await.as_deref(), Some(place));

    let gateway = house.serve("all").await;
    house.everything_is_credited(&numbers).await;
    house.at_rest().await;
    stop(gateway).await;
    println!("{:<18} {:<8} -> each credited once", format!("{news:?}"), format!("{moment:?}"));
    house.close().await;
}

/// The question whose answer tells the news hangs at Hicoin. Gives the numbers that it is about.
async fn ask(house: &House, news: News) -> Vec<u64> {
    let hangs = || house.sandbox.inject(news.question(), None, Fault::HangLate, Times::Count(1));
    match news {
        News::Seen => {
            hangs();
            house.held(1).await;
            house.everybody_pays()
        }
        News::Confirmed | News::ConfirmedByNumber => {
            if news == News::ConfirmedByNumber {
                hangs();
            }
            let numbers = house.everybody_pays();
            house.heard(&numbers, "pending").await;
            for trade_id in [FROM_ADA, FROM_BOB] {
                house.comes_to(trade_id, &["processing/confirming"]).await;
            }
            if news == News::Confirmed {
                // The last question of a reading, whether there is more, is not the one that tells the news.
                house.nobody_reads().await;
                hangs();
            }
            house.held(1).await;
            house.confirm(&numbers);
            numbers
        }
    }
}

async fn die(house: &House, gateway: Gateway, moment: Moment) {
    // Each of these tables is one that the statement in question needs, and none before it: what stores a page ends by it,
    // and waits there for its references to orders, or what is next waits there.
    let table = match moment {
        Moment::Asking => {
            kill(gateway).await;
            house.sandbox.release();
            return house.nobody_left().await;
        }
        Moment::Storing => "feed_follows",
        Moment::Stored => "orders",
        Moment::Hearing | Moment::Heard => "steps",
    };
    let lock = house.lock(table).await;
    house.sandbox.release();
    house.dies_waiting(gateway, lock, 1, matches!(moment, Moment::Stored | Moment::Heard)).await;
}
