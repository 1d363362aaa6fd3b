//! `tillgate report`: a merchant's statement, to standard output or into a file.

use std::fs::File;
use std::io::{BufWriter, Error, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;

use crate::app;
use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::domain::statement::{Period, moment};
use crate::flows::setup;
use crate::flows::statement::{Format, Statement, Wish};

/// Whose movements, and when.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The merchant's name
    #[arg(long)]
    merchant: String,
    /// Only this coin; all if absent
    #[arg(long)]
    coin: Option<String>,
    /// Booked on this day (UTC) or later: 2026-11-01 or 2026-11-01T12:00:00Z
    #[arg(long)]
    from: String,
    /// And before this day or time; at most 366 days later
    #[arg(long)]
    to: String,
    /// csv, json or ndjson
    #[arg(long, default_value = "csv")]
    format: String,
    /// A file to write, which appears only when the statement is whole; standard output if absent
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Writes a statement. What breaks off ends with an error, and without a footer.
pub async fn run(settings: &Settings, args: &ReportArgs) -> anyhow::Result<ExitCode> {
    let context = Arc::new(app::context(settings, Clock::system())?);
    let Ok(format) = args.format.parse::<Format>() else { bail!("there is no format {:?}; there are csv, json and ndjson", args.format) };
    let end = |name: &str, text: &str| moment(text).map_err(|what| anyhow!("{name} {what}"));
    let period = Period::new(end("--from", &args.from)?, end("--to", &args.to)?, context.clock.now());
    let period = period.map_err(|(field, what)| anyhow!("--{field} {what}"))?;
    let merchants = setup::merchants(&context).await?;
    let found = merchants.into_iter().find(|(merchant, _)| merchant.name == args.merchant);
    let (merchant, _) = found.with_context(|| format!("there is no merchant {:?}; tillgate merchant list shows all", args.merchant))?;
    let wish = Wish { merchant: merchant.id, coin: args.coin.clone(), period, format };
    let statement = Statement::open(context, wish).await?;
    match &args.out {
        Some(path) => into_file(statement, path).await?,
        None => match write(statement, std::io::stdout()).await {
            // A reader who has seen enough may go away.
            Err(error) if error.downcast_ref::<Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe) => {}
            other => other?,
        },
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes beside the file and puts it in its place at the end: half a statement never has its name.
async fn into_file(statement: Statement, path: &Path) -> anyhow::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let cannot = || format!("{} cannot be written", path.display());
    let file = File::create(&beside).with_context(cannot)?;
    let written = write(statement, &file).await.and_then(|()| file.sync_all().with_context(cannot));
    if written.is_err() {
        std::fs::remove_file(&beside).ok();
        return written;
    }
    std::fs::rename(&beside, path).with_context(cannot)
}

async fn write(mut statement: Statement, to: impl Write) -> anyhow::Result<()> {
    let mut to = BufWriter::new(to);
    while let Some(piece) = statement.next().await? {
        to.write_all(&piece)?;
    }
    Ok(to.flush()?)
}
