//! Controls: each plants one bug, and plays the faults that make it hurt. The judge has to see every one of them within a minute,
//! and nothing where the same faults meet the program as it is.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use tillgate::domain::clock::Clock;
use tillgate::faults::Bug;
use tillgate::sandbox::Fault;

use super::figures::{Coverage, Tally};
use super::play;
use super::script::{Blow, CALLS, Kind, MONEY, Script, Weather};
use super::server::Server;
use crate::proxy::{Ill, Trouble};

const WITHIN: Duration = Duration::from_secs(60);

/// The faults that matter for a bug.
fn script(bug: Bug) -> Script {
    const PAYOUTS: &[Kind] = &[Kind::ToAddress, Kind::ToUser, Kind::Transfer];
    const HARSH: Trouble = Trouble { often: 300, ills: &[Ill::Cut, Ill::Reset, Ill::Lose] };
    const LIES: Weather = Weather { every: Duration::from_millis(200), operations: CALLS, faults: Vec::new(), forgets: false, lies: true };
    let quiet = Script { rest: Duration::from_secs(25), ..Script::quiet(7) };
    let wallets =
        |faults: &[Fault]| Weather { every: Duration::from_millis(25), operations: MONEY, faults: faults.to_vec(), ..Weather::fine() };
    match bug {
        Bug::LostCallNeverLeft => Script {
            kinds: PAYOUTS,
            blows: &[Blow::Kill],
            breath: Duration::from_millis(700),
            weather: wallets(&[Fault::Delay(400)]),
            ..quiet
        },
        Bug::NotFoundIsProof => Script { kinds: PAYOUTS, weather: wallets(&[Fault::Delay(2500), Fault::LoseBefore]), ..quiet },
        Bug::ServerErrorIsRefusal => Script { kinds: PAYOUTS, weather: wallets(&[Fault::Error500After]), ..quiet },
        Bug::SilenceIsUnsent | Bug::DoubtIsForgotten => Script { kinds: PAYOUTS, weather: wallets(&[Fault::LoseAfter]), ..quiet },
        Bug::CallbackIsBelieved => Script { orders: 120, kinds: &[Kind::FomoDeposit], weather: LIES, ..quiet },
        Bug::AmountIsNotCompared => Script { orders: 120, kinds: &[Kind::FomoDeposit, Kind::FomoPayout], weather: LIES, ..quiet },
        // What a true callback says is found out by other ways, too; of a lie there is nothing but its report.
        Bug::CallbackIsNotStored => Script { orders: 200, kinds: &[Kind::FomoDeposit], weather: LIES, database: HARSH, ..quiet },
        // A notice would tell of what the list shows late.
        Bug::CursorIsTheMaximum => Script { kinds: &[Kind::HicoinDeposit], notices: false, ..quiet },
        Bug::ReceiptCountsAgain => Script { kinds: &[Kind::HicoinDeposit], ..quiet },
        Bug::CreateIsNotWritten => Script { kinds: PAYOUTS, database: HARSH, ..quiet },
        Bug::FingerprintIsNotCompared => Script { kinds: PAYOUTS, ..quiet },
        Bug::DeliveredBeforeSent => Script { sink: Trouble { often: 500, ills: &[Ill::Cut, Ill::Reset] }, ..quiet },
        Bug::TokenIsNotKept => Script { kinds: &[Kind::FomoDeposit], short_tokens: true, ..quiet },
    }
}

/// Plays these controls, each with its bug and without it.
pub async fn play_all(bugs: &[Bug]) {
    let server = Server::start().await;
    let verdicts: Vec<Result<String, String>> = stream::iter(bugs).map(|bug| control(*bug, &server)).buffered(3).collect().await;
    let missed: Vec<&String> = verdicts.iter().filter_map(|verdict| verdict.as_ref().err()).collect();
    println!("controls: {} of {} planted bugs were seen, and none without them", bugs.len() - missed.len(), bugs.len());
    assert!(missed.is_empty(), "controls that failed:\n{}", missed.iter().map(|line| line.as_str()).collect::<Vec<_>>().join("\n"));
}

async fn control(bug: Bug, server: &Server) -> Result<String, String> {
    let verdict = seen(bug, server).await;
    println!("{}", verdict.as_ref().unwrap_or_else(|missed| missed));
    verdict
}

/// Whether the judge sees it, and nothing without it. Whether a fault meets the moment that it is for is chance, and the schedules
/// are short: what was not seen is played with the next seed, while there is time.
async fn seen(bug: Bug, server: &Server) -> Result<String, String> {
    let (coverage, sum, clock) = (Coverage::default(), Tally::default(), Clock::system());
    let name = <&str>::from(bug).trim_start_matches("planted.");
    let mut time = Duration::ZERO;
    for turn in 0.. {
        let script = Script { seed: script(bug).seed + turn, ..script(bug) };
        let clean = play(script.clone(), server, &coverage, &sum).await;
        if !clean.broken.is_empty() {
            return Err(format!("{name:<28} without the bug: {}", clean.broken.join("; ")));
        }
        let began = clock.instant();
        let outcome = play(Script { bug: Some(bug), ..script }, server, &coverage, &sum).await;
        time += clock.instant().saturating_duration_since(began);
        match outcome.broken.first() {
            Some(first) if time <= WITHIN => return Ok(format!("{name:<28} seen in {:>2} s: {first}", time.as_secs())),
            Some(_) => return Err(format!("{name:<28} was seen after {} s only", time.as_secs())),
            None if time > WITHIN => break,
            None => {}
        }
    }
    Err(format!("{name:<28} was not seen"))
}
