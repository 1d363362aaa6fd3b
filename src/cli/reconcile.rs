//! `tillgate reconcile`: compares both sides now, with a bar for people and lines for machines, and a table at the end.

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use time::format_description::well_known::Rfc3339;
use time::{Date, OffsetDateTime, Time};
use tokio_util::sync::CancellationToken;

use super::operate::Signals;
use crate::app;
use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::domain::event::DiscrepancyBody;
use crate::domain::ids::{MerchantId, RunId};
use crate::domain::order::Provider;
use crate::flows::reconcile::{self, RunRow, Wish};
use crate::flows::time::keep;
use crate::flows::{Context, discrepancy, setup};

/// Without a period, so many days back.
const DAYS: i64 = 3;
/// What the two sides disagree about ends the program with this code.
const DISAGREE: u8 = 3;
/// Most discrepancies that are printed.
const SHOWN: usize = 20;

/// Which accounts and what time.
#[derive(Debug, Args)]
pub struct ReconcileArgs {
    /// The merchant's name; all merchants if absent
    #[arg(long)]
    merchant: Option<String>,
    /// fomo or hicoin; both if absent
    #[arg(long)]
    provider: Option<String>,
    /// Orders and movements of then and later: 2026-11-20 or 2026-11-20T12:00:00Z; three days back if absent
    #[arg(long)]
    from: Option<String>,
    /// And before this; ten minutes ago if absent
    #[arg(long)]
    to: Option<String>,
    /// Hear at once what the wallet is further with
    #[arg(long)]
    repair: bool,
}

/// Compares both sides. Ends with 3 if they disagree.
pub async fn run(settings: &Settings, args: &ReconcileArgs) -> anyhow::Result<ExitCode> {
    let context = app::context(settings, Clock::system())?;
    // It shares the runs' leases with the gateways.
    keep(&context).await?;
    let accounts = accounts(&context, args).await?;
    let (stop, mut signals) = (CancellationToken::new(), Signals::new()?);
    let token = stop.clone();
    tokio::spawn(async move {
        signals.wait().await;
        eprintln!("Stopping after this page; the same command goes on from there.");
        token.cancel();
    });
    let mut done = Vec::new();
    for (name, merchant, provider) in accounts {
        if stop.is_cancelled() {
            break;
        }
        let wish = wish(&context, args, merchant, provider)?;
        let resumed = if args.from.is_none() && args.to.is_none() {
            reconcile::begun_by_hand(&context, merchant, provider, args.repair).await?
        } else {
            None
        };
        let begun = match resumed {
            Some(run) => run,
            None => reconcile::begin(&context, wish).await?.context("the run could not be begun")?,
        };
        let show = Show::new(&format!("{name}/{provider}"), &begun);
        let worked = reconcile::work(&context, (merchant, RunId(begun.run_id)), &stop, |run| show.page(run)).await;
        show.end();
        let worked = worked.with_context(|| format!("{name}/{provider}: stopped; the same command goes on from there"))?;
        let Some(run) = worked else {
            bail!("{name}/{provider}: somebody else works on this period at the moment; try again in a minute");
        };
        done.push((name, run));
    }
    println!("{}", table(&done));
    let open = open(&context, &done).await?;
    if !open.is_empty() {
        println!("\n{}", discrepancies(&open));
    }
    let finished = !stop.is_cancelled();
    let disagree = done.iter().any(|(_, run)| run.disagree > 0);
    Ok(if disagree {
        ExitCode::from(DISAGREE)
    } else if finished {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn accounts(context: &Context, args: &ReconcileArgs) -> anyhow::Result<Vec<(String, MerchantId, Provider)>> {
    let provider: Option<Provider> = match &args.provider {
        None => None,
        Some(text) => Some(text.parse().ok().with_context(|| format!("there is no wallet {text:?}; there are fomo and hicoin"))?),
    };
    let mut found = Vec::new();
    for (merchant, _) in setup::merchants(context).await? {
        if args.merchant.as_ref().is_none_or(|name| *name == merchant.name) {
            found.push((merchant.name, merchant.id));
        }
    }
    if let (Some(name), true) = (&args.merchant, found.is_empty()) {
        bail!("there is no merchant {name:?}; tillgate merchant list shows all");
    }
    let all = reconcile::all_accounts(context).await?;
    let of = |id: MerchantId| found.iter().find(|(_, known)| *known == id).map(|(name, _)| name.clone());
    let fits = |at: Provider| provider.is_none_or(|wanted| wanted == at);
    let accounts: Vec<_> = all.into_iter().filter(|(_, at)| fits(*at)).filter_map(|(id, at)| Some((of(id)?, id, at))).collect();
    if accounts.is_empty() {
        bail!("there is no such account at a wallet; tillgate merchant list shows all");
    }
    Ok(accounts)
}

fn wish(context: &Context, args: &ReconcileArgs, merchant: MerchantId, provider: Provider) -> anyhow::Result<Wish<'static>> {
    let latest = reconcile::latest_end(context.clock.now());
    let to = args.to.as_deref().map_or(Ok(latest), moment)?;
    let from = args.from.as_deref().map_or(Ok(to - time::Duration::days(DAYS)), moment)?;
    if from >= to {
        bail!("--from must be before --to");
    }
    Ok(Wish { merchant, provider, from, to, repair: args.repair, asked_by: "command line" })
}

/// A day, which begins at midnight UTC, or a moment.
fn moment(text: &str) -> anyhow::Result<OffsetDateTime> {
    let day = time::macros::format_description!("[year]-[month]-[day]");
    if let Ok(date) = Date::parse(text, &day) {
        return Ok(date.with_time(Time::MIDNIGHT).assume_utc());
    }
    OffsetDateTime::parse(text, &Rfc3339)
        .with_context(|| format!("{text:?} is no day such as 2026-11-20 and no moment such as 2026-11-20T12:00:00Z"))
}

/// What is seen while a run is under way.
enum Show {
    Bar(ProgressBar),
    Lines { account: String, last: std::cell::RefCell<String> },
}

impl Show {
    fn new(account: &str, run: &RunRow) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines { account: account.to_owned(), last: std::cell::RefCell::default() };
        }
        let bar = ProgressBar::with_draw_target(Some(u64::try_from(run.expected).unwrap_or_default()), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style);
        bar.set_prefix(account.to_owned());
        Self::Bar(bar)
    }

    fn page(&self, run: &RunRow) {
        let found = format!("{}: {} behind, {} disagree", run.leg, run.behind, run.disagree);
        match self {
            Self::Bar(bar) => {
                bar.set_position(u64::try_from(run.compared).unwrap_or_default());
                bar.set_message(found);
            }
            // A line for each leg is enough for a log.
            Self::Lines { account, last } => {
                if *last.borrow() != run.leg {
                    eprintln!("{account}: {} of {} compared, now {found}", run.compared, run.expected);
                    last.replace(run.leg.clone());
                }
            }
        }
    }

    fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn table(runs: &[(String, RunRow)]) -> String {
    let head = [
        "account",
        "from",
        "to",
        "state",
        "compared",
        "behind",
        "repaired",
        "disagree",
        "opened",
        "closed",
        "unreadable",
        "unchecked",
        "questions",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for (name, run) in runs {
        let time = |time: OffsetDateTime| time.format(&Rfc3339).unwrap_or_default();
        let counts =
            [run.compared, run.behind, run.repaired, run.disagree, run.opened, run.closed, run.unreadable, run.unchecked, run.questions];
        let mut row = vec![format!("{name}/{}", run.provider), time(run.period_from), time(run.period_to), run.state.clone()];
        row.extend(counts.map(|count| count.to_string()));
        rows.push(row);
    }
    columns(&rows)
}

async fn open(context: &Context, runs: &[(String, RunRow)]) -> anyhow::Result<Vec<(String, DiscrepancyBody)>> {
    let mut all = Vec::new();
    let mut seen: Vec<MerchantId> = Vec::new();
    for (name, run) in runs {
        if seen.contains(&run.merchant()) {
            continue;
        }
        seen.push(run.merchant());
        let (found, _) = discrepancy::list(context, run.merchant(), Some(true), None, SHOWN).await?;
        all.extend(found.into_iter().map(|one| (name.clone(), one)));
    }
    Ok(all)
}

fn discrepancies(open: &[(String, DiscrepancyBody)]) -> String {
    let mut rows = vec![["open discrepancy", "severity", "kind", "about", "what to do"].map(str::to_owned).to_vec()];
    for (name, one) in open {
        let receipt = one.provider_receipt_id.as_ref().map(|number| format!("receipt {number}"));
        let balance = one.balance_of.as_ref().map(|coin| format!("balance of {coin}"));
        let about = one.trade_id.clone().or(receipt).or(balance).unwrap_or_default();
        rows.push(vec![
            one.id.clone(),
            one.severity.to_string(),
            one.kind.clone(),
            format!("{name}/{} {about}", one.provider),
            one.suggested_action.to_owned(),
        ]);
    }
    columns(&rows)
}

/// Rows under each other, as wide as they must be.
fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> =
        (0..count).map(|at| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or_default()).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
