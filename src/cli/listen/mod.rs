//! `tillgate listen`: hands a merchant's events to a receiver that the gateway cannot reach, such as the one on the developer's own
//! machine, exactly as the gateway would send them.
//!
//! It reads the feed with an API key, sends one event after the other, and goes on to the next when the receiver has taken this one:
//! nothing is left out and nothing overtakes. What was sent last before a crash may be sent again, with the same `webhook-id`.

mod feed;
mod state;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use time::format_description::well_known::Rfc3339;
use url::Url;

use self::feed::{Event, Feed, FeedError};
use self::state::State;
use super::operate::Signals;
use crate::domain::clock::Clock;
use crate::domain::ids::EventId;
use crate::vault;
use crate::webhooks::{self, Attempt, Networks, Outcome, Request, Secret, Sender};

/// How often the feed is asked while it has nothing new.
const PERIOD: Duration = Duration::from_secs(1);
/// The pause after the first failure. Each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// So often one thing is tried with `--once`: about eight seconds.
const TRIES_ONCE: u32 = 5;

/// What is read, and where it goes.
#[derive(Debug, Args)]
#[command(after_help = "Each event is one line on standard output: time, type, object, #sequence, HTTP status, milliseconds.\n\
                        Everything else is on standard error. Exits 0 when stopped (Ctrl-C), and with --once when everything that was there is forwarded;\n\
                        1 if that could not be done, 2 if it was called wrongly.")]
pub struct ListenArgs {
    /// Where the events go; plain http and this machine are fine here
    #[arg(long, value_name = "URL")]
    forward_to: String,
    /// The gateway
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Environment variable that holds the API key (tg_..., scope orders:read)
    #[arg(long, value_name = "NAME", default_value = "TILLGATE_API_KEY")]
    key_env: String,
    /// Environment variable that holds the secret to sign with (whsec_...); without it a new one is made and shown
    #[arg(long, value_name = "NAME")]
    secret_env: Option<String>,
    /// Which events, separated by commas: deposit.succeeded, payout.*; all if absent
    #[arg(long, value_name = "TYPES")]
    events: Option<String>,
    /// Where to begin: start, now, or behind the event with this id. A state file that is there decides instead.
    /// If absent: start with --once, else now
    #[arg(long, value_name = "WHERE", value_parser = since)]
    since: Option<Since>,
    /// File that remembers the last event that was taken, so that the next run goes on there
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Forward what is there, then end; what fails is tried five times
    #[arg(long)]
    once: bool,
    /// Try everything once: the first failure is the end
    #[arg(long)]
    no_retry: bool,
}

/// Where to begin.
#[derive(Clone, Debug)]
enum Since {
    Start,
    Now,
    Event(String),
}

fn since(text: &str) -> Result<Since, &'static str> {
    match text {
        "start" => Ok(Since::Start),
        "now" => Ok(Since::Now),
        _ if EventId::parse(text).is_ok() => Ok(Since::Event(text.to_owned())),
        _ => Err("give start, now, or the id of an event (evt_...)"),
    }
}

/// Forwards events until it is stopped, or until there are no more.
pub async fn run(args: ListenArgs) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new()?;
    let mut listener = Listener::new(&args)?;
    tokio::select! {
        ended = listener.run(args.since) => ended?,
        () = signals.wait() => eprintln!("Stopped."),
    }
    if args.state.is_none()
        && let Some(cursor) = &listener.cursor
    {
        eprintln!("To go on from here: --since {cursor}, or give a --state file the next time.");
    }
    Ok(ExitCode::SUCCESS)
}

/// One run of the command.
struct Listener {
    feed: Feed,
    sender: Sender,
    target: Url,
    secret: Secret,
    state: State,
    /// The last event that is done with. Absent: nothing yet.
    cursor: Option<String>,
    clock: Clock,
    /// It ends when there are no more events.
    once: bool,
    /// So often one thing is tried. Absent: until it works.
    tries: Option<u32>,
}

impl Listener {
    fn new(args: &ListenArgs) -> anyhow::Result<Self> {
        // Whoever calls chose the address, unlike the operator of a gateway whose merchants write theirs.
        let everywhere = Networks::new(["0.0.0.0/0", "::/0"].iter().filter_map(|text| text.parse().ok()).collect());
        let target = webhooks::check_url(&args.forward_to, &everywhere).context("--forward-to")?;
        // Before the feed: it sets up TLS for both.
        let sender = Sender::new(everywhere);
        let feed = Feed::new(&args.url, &args.key_env, args.events.as_deref())?;
        let tries = match (args.no_retry, args.once) {
            (true, _) => Some(1),
            (false, true) => Some(TRIES_ONCE),
            (false, false) => None,
        };
        Ok(Self {
            feed,
            sender,
            target,
            secret: secret(args.secret_env.as_deref())?,
            state: State::new(args.state.clone()),
            cursor: None,
            clock: Clock::system(),
            once: args.once,
            tries,
        })
    }

    async fn run(&mut self, since: Option<Since>) -> anyhow::Result<()> {
        self.begin(since).await?;
        let mut forwarded = 0_u64;
        loop {
            let page = self.read().await?;
            let more = page.more;
            for event in page.events {
                self.forward(&event).await?;
                self.state.write(Some(&event.id))?;
                self.cursor = Some(event.id);
                forwarded += 1;
            }
            if !more && self.once {
                eprintln!("Everything that was there is forwarded: {forwarded} events.");
                return Ok(());
            }
            if !more {
                tokio::time::sleep(PERIOD).await;
            }
        }
    }

    /// Finds the place to begin at, and asks the gateway for the first time: what is wrong is said now.
    async fn begin(&mut self, since: Option<Since>) -> anyhow::Result<()> {
        let remembered = self.state.read()?;
        if remembered.is_some() && since.is_some() {
            eprintln!("The state file decides where to begin; --since is for when there is none.");
        }
        let otherwise = if self.once { Since::Start } else { Since::Now };
        match (remembered, since.unwrap_or(otherwise)) {
            (Some(cursor), _) => self.cursor = cursor,
            (None, Since::Event(event)) => self.cursor = Some(event),
            (None, Since::Start) => {}
            (None, Since::Now) => self.skip_all().await?,
        }
        self.feed.after(self.cursor.as_deref()).await?;
        // What cannot be written is to be known before anything is sent; and what comes from now on is not lost to a crash.
        self.state.write(self.cursor.as_deref())?;
        let place = self.cursor.as_deref().map_or("the first event".to_owned(), |cursor| format!("what comes after {cursor}"));
        // Without its query, which may hold a token.
        let target = &self.target[..url::Position::AfterPath];
        eprintln!("Forwarding to {target}, beginning with {place}.");
        Ok(())
    }

    async fn skip_all(&mut self) -> anyhow::Result<()> {
        loop {
            let page = self.feed.after(self.cursor.as_deref()).await?;
            self.cursor = page.events.into_iter().next_back().map(|event| event.id).or(self.cursor.take());
            if !page.more {
                return Ok(());
            }
        }
    }

    /// The next page, however long the gateway is away.
    async fn read(&self) -> anyhow::Result<feed::Page> {
        let mut failures = 0;
        loop {
            match self.feed.after(self.cursor.as_deref()).await {
                Ok(page) => return Ok(page),
                Err(error @ FeedError::Final(_)) => return Err(error.into()),
                Err(error @ FeedError::Passing(_)) => {
                    failures += 1;
                    if self.tries.is_some_and(|tries| failures >= tries) {
                        return Err(error.into());
                    }
                    let pause = pause(failures);
                    eprintln!("{error}; again in {}", humantime::format_duration(pause));
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Sends an event until the receiver has taken it.
    async fn forward(&self, event: &Event) -> anyhow::Result<()> {
        let mut failures = 0;
        loop {
            let attempt = self.send(event).await;
            let (answer, why) = match &attempt.outcome {
                Outcome::Answered { status, .. } => (status.to_string(), String::new()),
                Outcome::Failed(failure) => ("-".to_owned(), format!("  {failure}")),
            };
            let line = format!("{}  {event}  {answer}  {} ms{why}", self.time(), attempt.latency.as_millis());
            match attempt.outcome {
                Outcome::Answered { status: 200..=299, .. } => return show(&line),
                Outcome::Answered { status: 410, .. } => {
                    show(&line)?;
                    bail!("the receiver answered 410, which says that it wants no events any more: the gateway would disable its endpoint");
                }
                Outcome::Answered { .. } | Outcome::Failed(_) => {}
            }
            failures += 1;
            if self.tries.is_some_and(|tries| failures >= tries) {
                show(&line)?;
                bail!("the receiver did not take {} ({}): {}", event.id, event.event_type, refusal(&attempt));
            }
            let pause = pause(failures);
            show(&format!("{line}; again in {}", humantime::format_duration(pause)))?;
            tokio::time::sleep(pause).await;
        }
    }

    async fn send(&self, event: &Event) -> Attempt {
        // Each try is signed anew, or a receiver would find the later ones too old.
        let timestamp = self.clock.now().unix_timestamp();
        let signature = webhooks::sign(std::slice::from_ref(&self.secret), &event.id, timestamp, &event.body);
        let request = Request { url: self.target.clone(), id: event.id.clone(), timestamp, signature, body: event.body.clone() };
        self.sender.send(&request).await
    }

    fn time(&self) -> String {
        let now = self.clock.now();
        now.replace_nanosecond(0).unwrap_or(now).format(&Rfc3339).unwrap_or_default()
    }
}

fn refusal(attempt: &Attempt) -> String {
    match &attempt.outcome {
        Outcome::Answered { status, .. } => format!("it answered {status}; only 200 to 299 say that it has the event"),
        Outcome::Failed(failure) => failure.to_string(),
    }
}

/// The secret to sign with. One that is made here is shown: the receiver needs it, and it signs nothing but this run.
fn secret(name: Option<&str>) -> anyhow::Result<Secret> {
    if let Some(name) = name {
        let text =
            std::env::var(name).with_context(|| format!("the environment variable {name} is not set: put the secret (whsec_...) there"))?;
        return Secret::parse(text.trim()).with_context(|| format!("the environment variable {name}"));
    }
    let secret = Secret::generate(&vault::random::<32>()?);
    eprintln!(
        "Events are signed with {}, made for this run. To keep one, put it into a variable and name that with --secret-env.",
        secret.reveal()
    );
    Ok(secret)
}

/// The pause after so many failures in a row.
fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_PAUSE)
}

/// Says what came of an event. Whoever has seen enough may go away, and then there is nobody to work for.
fn show(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("the lines cannot be shown any more")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound() {
        let pauses: Vec<u128> = (1..=8).map(|failures| pause(failures).as_millis()).collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
    }

    #[test]
    fn a_beginning_is_a_word_or_an_event() {
        assert!(matches!(since("start"), Ok(Since::Start)) && matches!(since("now"), Ok(Since::Now)));
        assert!(matches!(since("evt_0193f2a7c1d27b5e8f4e2a90c3d4e5f6"), Ok(Since::Event(_))));
        assert!(since("yesterday").is_err() && since("").is_err());
    }
}
