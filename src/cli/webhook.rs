//! What a receiver of webhooks asks: is this request genuine, and if not, why?

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::domain::clock::Clock;
use crate::webhooks::verify::{Capture, read_headers};
use crate::webhooks::{Secret, diagnose};

/// Called wrongly, as the command line's own parser says it.
const USAGE: u8 = 2;

/// A captured request, and what it is verified with.
#[derive(Debug, Args)]
#[command(after_help = "Exits 0 if the request is genuine, 1 if not (with what is wrong with it), 2 if this command was called wrongly.\n\
                        A FILE of - is standard input. Several secrets may be given, as while one is rotated: one that fits is enough.")]
pub struct VerifyArgs {
    /// Environment variable that holds the endpoint's secret (whsec_...)
    #[arg(long, value_name = "NAME", required_unless_present = "secret")]
    secret_env: Vec<String>,
    /// The secret itself. Other users of the machine can see it in the list of processes, and it stays in the shell's history:
    /// prefer --secret-env
    #[arg(long, value_name = "SECRET")]
    secret: Vec<HiddenText>,
    /// The request as it came over the wire: request line, headers, an empty line, the body
    #[arg(long, value_name = "FILE", conflicts_with_all = ["headers", "body"], required_unless_present_all = ["headers", "body"])]
    request: Option<PathBuf>,
    /// The request's headers, one `Name: value` a line
    #[arg(long, value_name = "FILE", requires = "body")]
    headers: Option<PathBuf>,
    /// The request's body, byte for byte
    #[arg(long, value_name = "FILE", requires = "headers")]
    body: Option<PathBuf>,
    /// When the request came, in seconds since 1970; now if absent
    #[arg(long, value_name = "SECONDS")]
    at: Option<i64>,
    /// How old, or how far in the future, the request may be
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    tolerance: humantime::Duration,
}

/// A secret as it was typed. Never shown.
#[derive(Clone)]
struct HiddenText(String);

impl std::fmt::Debug for HiddenText {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("(redacted)")
    }
}

impl From<&str> for HiddenText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// Verifies a captured request and prints what is wrong with it.
pub fn verify(args: &VerifyArgs, clock: &Clock) -> ExitCode {
    let read = || anyhow::Ok((secrets(args)?, capture(args)?));
    let (secrets, capture) = match read() {
        Ok(read) => read,
        Err(error) => {
            eprintln!("tillgate: {error:#}");
            return ExitCode::from(USAGE);
        }
    };
    let now = args.at.unwrap_or_else(|| clock.now().unix_timestamp());
    match diagnose(&capture.headers, &capture.body, &secrets, now, Duration::from(args.tolerance)) {
        Ok(()) => {
            println!("The request is genuine: its signature fits one of the secrets, and its time is right.");
            ExitCode::SUCCESS
        }
        Err(findings) => {
            println!("The request is not valid:");
            for finding in findings {
                println!("- {finding}");
            }
            ExitCode::FAILURE
        }
    }
}

fn secrets(args: &VerifyArgs) -> anyhow::Result<Vec<Secret>> {
    let named = args.secret_env.iter().map(|name| {
        let text = std::env::var(name).with_context(|| format!("the environment variable {name} is not set"))?;
        Secret::parse(text.trim()).with_context(|| format!("the environment variable {name}"))
    });
    let typed = args.secret.iter().map(|HiddenText(text)| Secret::parse(text.trim()).context("--secret"));
    named.chain(typed).collect()
}

fn capture(args: &VerifyArgs) -> anyhow::Result<Capture> {
    if let Some(file) = &args.request {
        return Capture::read(&content(file)?).with_context(|| file.display().to_string());
    }
    let (Some(headers), Some(body)) = (&args.headers, &args.body) else { bail!("give --request, or --headers and --body") };
    if is_stdin(headers) && is_stdin(body) {
        bail!("headers and body cannot both come from standard input: give one of them as a file, or both together with --request -");
    }
    let read = read_headers(&content(headers)?).with_context(|| headers.display().to_string())?;
    Ok(Capture { headers: read, body: content(body)? })
}

fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

fn content(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = if is_stdin(file) {
        std::io::stdin().read_to_end(&mut bytes).map(drop)
    } else {
        std::fs::read(file).map(|content| bytes = content)
    };
    read.with_context(|| format!("cannot read {}", file.display()))?;
    Ok(bytes)
}
