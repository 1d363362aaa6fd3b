//! The fault matrix of money that leaves through Hicoin: {withdraw over the chain, withdraw to one of its own addresses,
//! systemTransfer, userTransfer} × what can happen to the call × {the answer is written down, the process dies before
//! that} × {repeated ids are refused and that is trusted, neither}. All orders of the last two live in one world each.

use std::time::Duration;

use tillgate::http::auth::TrustedProxies;
use tillgate::sandbox::{Fault, Times};

use super::ways::{REVIEW, Seen, WAYS, Way, World, seen};
use crate::harness::TestApp;

/// What happens to a call, as far as it decides how the order ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Carried out, and said so.
    Done,
    /// Refused for good.
    Refused,
    /// Never carried out, and nobody says so.
    Lost,
    /// Carried out, and nobody says so.
    Silent,
    /// Carried out long after we stopped waiting.
    Late,
    /// The answer is that the id is known, and it is not.
    Repeated,
    /// Refused because of our secret or address.
    Ours,
}

/// Everything that can happen to a call, with a name for it.
fn fates() -> Vec<(String, Option<Fault>, Fate)> {
    let mut all = vec![
        ("ok".to_owned(), None, Fate::Done),
        ("lost-before".to_owned(), Some(Fault::LoseBefore), Fate::Lost),
        ("lost-after".to_owned(), Some(Fault::LoseAfter), Fate::Silent),
        ("500-before".to_owned(), Some(Fault::Error500Before), Fate::Lost),
        ("500-after".to_owned(), Some(Fault::Error500After), Fate::Silent),
        ("garbage-before".to_owned(), Some(Fault::GarbageBefore), Fate::Lost),
        ("garbage-after".to_owned(), Some(Fault::GarbageAfter), Fate::Silent),
        ("truncated".to_owned(), Some(Fault::TruncatedAfter), Fate::Silent),
        ("empty".to_owned(), Some(Fault::EmptyAfter), Fate::Silent),
        ("hang-before".to_owned(), Some(Fault::HangBefore), Fate::Lost),
        ("hang-after".to_owned(), Some(Fault::HangAfter), Fate::Silent),
        ("hang-late".to_owned(), Some(Fault::HangLate), Fate::Late),
    ];
    let codes = |codes: &'static [i64], fate| codes.iter().map(move |code| (code.to_string(), Some(Fault::Code(*code)), fate));
    all.extend(codes(&[100_004, 100_015, 100_016, 110_004, 110_055, 110_065], Fate::Refused));
    all.extend(codes(&[110_078, 110_087, 120_202, 120_402, 120_403, 120_404], Fate::Refused));
    // An internal error, codes of other calls, and one that is not documented prove nothing.
    all.extend(codes(&[100_001, 110_023, 110_101, 424_242], Fate::Lost));
    all.extend(codes(&[110_088], Fate::Repeated));
    all.extend(codes(&[100_005, 100_007], Fate::Ours));
    all
}

fn end(fate: Fate, crashed: bool, trusted: bool) -> Seen {
    match fate {
        Fate::Done if !crashed => seen("succeeded", &["accepted"], 1, 1),
        Fate::Refused if !crashed => seen("failed", &["refused"], 0, 1),
        // Nothing of such a call was done, so that it is made again whomever we trust.
        Fate::Ours if !crashed => seen("succeeded", &["misconfigured", "accepted"], 1, 2),
        Fate::Repeated if !crashed => seen(REVIEW, &["duplicate"], 0, 1),
        // Whatever the answer was, it is gone; the lists know what was carried out.
        Fate::Done | Fate::Silent => seen("succeeded", &["unknown"], 1, 1),
        Fate::Late if !trusted => seen("succeeded", &["unknown"], 1, 1),
        Fate::Refused | Fate::Lost | Fate::Repeated | Fate::Ours if !trusted => seen(REVIEW, &["unknown"], 0, 1),
        Fate::Refused | Fate::Lost | Fate::Late | Fate::Repeated | Fate::Ours => seen("succeeded", &["unknown", "accepted"], 1, 2),
    }
}

/// Everybody who writes down how a call ended dies before it can.
async fn die_before_the_record(app: &TestApp) {
    let sql = "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the process is gone'; END $$;
               CREATE TRIGGER die BEFORE UPDATE ON attempts FOR EACH ROW EXECUTE FUNCTION die();";
    sqlx::raw_sql(sql).execute(&mut app.database().await).await.expect("a trigger");
}

async fn live_again(app: &TestApp) {
    sqlx::raw_sql("DROP TRIGGER die ON attempts").execute(&mut app.database().await).await.expect("no trigger");
}

fn hangs(fault: Option<&Fault>) -> bool {
    matches!(fault, Some(Fault::HangBefore | Fault::HangAfter | Fault::HangLate))
}

async fn play(crashed: bool, trusted: bool) {
    let world = World::start(trusted).await;
    let app = &world.app;
    let cells: Vec<_> =
        WAYS.into_iter().flat_map(|way| fates().into_iter().map(move |(name, fault, fate)| (way, name, fault, fate))).collect();
    let id = |way: Way, name: &str| format!("{}-{name}", way.name());
    for (way, name, fault, _) in &cells {
        if let Some(fault) = fault {
            app.sandbox.inject(way.operation(), Some(&id(*way, name)), fault.clone(), Times::Count(1));
        }
    }
    if crashed {
        die_before_the_record(app).await;
    }
    // What hangs is sent by another process, which does not wait long for answers.
    let hasty = app.replica(TrustedProxies::default());
    for (sender, hanging) in [(app, false), (&hasty, true)] {
        let wave = cells.iter().filter(|(_, _, fault, _)| hangs(fault.as_ref()) == hanging);
        world.create_all(wave.map(|(way, name, _, _)| (*way, id(*way, name)))).await;
        sender.submit().await;
    }
    hasty.stop().await;
    assert_eq!(app.sandbox.call_log().iter().filter(|call| call.trade_id.is_some()).count(), cells.len(), "each was called once");
    if crashed {
        assert!(world.seen().await.values().all(|seen| seen.place == "processing/submitting" && seen.attempts == ["open"]));
        live_again(app).await;
    }
    app.live(Duration::from_mins(3), Duration::from_secs(15), false).await;
    app.release().await;
    app.live(Duration::from_hours(26), Duration::from_hours(1), false).await;
    let ends = world.seen().await;
    let wrong = |(way, name, _, fate): &(Way, String, Option<Fault>, Fate)| {
        let (id, expected) = (id(*way, name), end(*fate, crashed, trusted));
        (ends.get(&id) != Some(&expected)).then(|| format!("{id} should be {expected:?} and is {:?}", ends.get(&id)))
    };
    let wrong: Vec<String> = cells.iter().filter_map(wrong).collect();
    assert!(wrong.is_empty(), "{} of {} cells: {wrong:#?}", wrong.len(), cells.len());
    assert_eq!((ends.len(), cells.len()), (4 * 31, 4 * 31));
    assert_eq!(app.count("discrepancies").await, 0);
    assert_eq!(app.count(TOO_SOON).await, 0, "a call in doubt was repeated too soon");
    world.app.finish().await;
}

/// Calls that followed a call in doubt sooner than the first look (5 s) and `resend_gap` (30 s) after it allow.
const TOO_SOON: &str = "attempts a JOIN attempts b USING (merchant_id, order_id)
    WHERE a.state = 'unknown' AND b.started_at > a.started_at AND b.started_at < a.started_at + interval '35 seconds'";

#[tokio::test(flavor = "multi_thread")]
async fn every_call_whose_answer_is_written_down_moves_money_once_or_not_at_all() {
    play(false, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_whose_process_dies_moves_money_once() {
    play(true, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_trust_every_call_is_made_once_and_its_order_ends_or_waits_for_a_person() {
    play(false, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_trust_a_call_whose_process_dies_is_never_made_again() {
    play(true, false).await;
}
