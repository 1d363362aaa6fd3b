//! `tillgate verify`: whether everything that is stored obeys the laws; for people a bar and sentences, for machines lines.

use std::cell::RefCell;
use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio_util::sync::CancellationToken;

use super::operate::Signals;
use crate::app::limits;
use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::domain::law::Breach;
use crate::flows::verify::{self, GRACE, Seen, Verified, Wish};
use crate::store::{Db, Limits};

/// A broken law ends the program with this code.
const BROKEN: u8 = 3;

/// Whose, and for whom.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The merchant's name; all merchants if absent
    #[arg(long)]
    merchant: Option<String>,
    /// One line of JSON for each broken law, and one at the end
    #[arg(long)]
    json: bool,
}

/// Looks at everything. Needs the database's address and nothing else, and a role there that may read. Ends with 3 if a law is
/// broken, and with 1 if it could not look to the end.
pub async fn run(settings: &Settings, args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    // One connection for the pages, and one for the audit log.
    let db = Db::open(settings.database_url()?, Limits { connections: 2, ..limits(&settings.database) })?;
    db.check_schema().await?;
    let (stop, mut signals) = (CancellationToken::new(), Signals::new()?);
    let token = stop.clone();
    tokio::spawn(async move {
        signals.wait().await;
        eprintln!("Stopping after this page.");
        token.cancel();
    });
    let stuck_before = Clock::system().now() - settings.timing.lease - GRACE;
    let wish = Wish { merchant: args.merchant.clone(), stuck_before: Some(stuck_before) };
    let show = Show::new();
    let verified = verify::verify(&db, &wish, &stop, |seen| see(&show, args.json, seen)).await;
    show.end();
    let Some(verified) = verified? else {
        bail!("there is no merchant {:?}; tillgate merchant list shows all", args.merchant.as_deref().unwrap_or_default());
    };
    conclude(args.json, verified)
}

/// What is broken goes to standard output at once; how far it has come, to standard error.
fn see(show: &Show, json: bool, seen: Seen<'_>) {
    match seen {
        Seen::Broken(breach) if json => show.line(&serde_json::to_string(&breach).unwrap_or_default()),
        Seen::Broken(breach) => show.line(&sentence(&breach)),
        Seen::Merchant(name, rows) => show.merchant(name, rows),
        Seen::Rows(part, rows) => show.rows(&part.to_string(), rows),
    }
}

fn sentence(breach: &Breach) -> String {
    let Breach { law, merchant, about, found } = breach;
    format!("BROKEN  {law} ({})  {merchant} {about}: {found}\n        {}", law.invariant(), law.advice())
}

fn conclude(json: bool, verified: Verified) -> anyhow::Result<ExitCode> {
    let Verified { merchants, rows, breaches, stopped } = verified;
    if json {
        println!("{}", serde_json::json!({ "merchants": merchants, "rows": rows, "breaches": breaches, "complete": !stopped }));
    } else if breaches > 0 {
        println!("{breaches} times a law is broken, in {rows} rows of {merchants} merchants.");
    } else if !stopped {
        println!("Every law holds: {rows} rows of {merchants} merchants.");
    }
    if breaches > 0 {
        return Ok(ExitCode::from(BROKEN));
    }
    if stopped {
        bail!("it was stopped before its end, and had found nothing until then");
    }
    Ok(ExitCode::SUCCESS)
}

/// What is seen while it is under way.
enum Show {
    Bar(ProgressBar),
    /// A line for each merchant and part is enough for a log.
    Lines(RefCell<(String, String)>),
}

impl Show {
    fn new() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines(RefCell::default());
        }
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        let style =
            ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} {msg} {eta}").unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style);
        Self::Bar(bar)
    }

    fn merchant(&self, name: &str, rows: i64) {
        match self {
            Self::Bar(bar) => {
                bar.set_position(0);
                bar.set_length(u64::try_from(rows).unwrap_or_default());
                bar.set_prefix(name.to_owned());
            }
            Self::Lines(last) => {
                eprintln!("{name}: {rows} rows");
                last.replace((name.to_owned(), String::new()));
            }
        }
    }

    fn rows(&self, part: &str, rows: i64) {
        match self {
            Self::Bar(bar) => {
                bar.set_message(part.to_owned());
                bar.inc(u64::try_from(rows).unwrap_or_default());
            }
            Self::Lines(last) => {
                let mut last = last.borrow_mut();
                if last.1 != part {
                    eprintln!("{}: {part}", last.0);
                    part.clone_into(&mut last.1);
                }
            }
        }
    }

    fn line(&self, text: &str) {
        match self {
            Self::Bar(bar) => bar.suspend(|| println!("{text}")),
            Self::Lines(_) => println!("{text}"),
        }
    }

    fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
