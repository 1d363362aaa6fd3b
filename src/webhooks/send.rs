//! Sends one delivery, once, and says what came of it.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, redirect, retry};
use tracing::error;
use url::Url;

use super::resolver::CheckedResolver;
use super::target::{self, Rule};
use super::{Failure, ID, Networks, SIGNATURE, TIMESTAMP, failure};
use crate::domain::clock::Clock;

/// A host that accepts no connection for so long is down.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// All of an attempt: the name's addresses, the connection, the request, the answer and its body.
pub const TOTAL_TIMEOUT: Duration = Duration::from_secs(15);
/// Below the shortest keep-alive of common servers (5 s), so that a request seldom meets a connection that is being closed.
const IDLE_CONNECTIONS: Duration = Duration::from_secs(4);
/// So much of an answer is kept, in bytes of UTF-8.
const KEPT: usize = 1024;
/// So much of an answer is read, in bytes: short answers are read to their end, so that the connection can be used again.
const READ: usize = 64 * 1024;
/// No wait that a receiver asks for is longer. It only keeps absurd numbers out; callers have bounds of their own.
const LONGEST_WAIT: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Sends deliveries. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Sender {
    /// Absent: the machine has no CA certificates, for example. Then nothing can be sent.
    clients: Option<Clients>,
    allowed: Networks,
    clock: Clock,
}

/// One for each scheme, because the addresses that they may connect to differ.
#[derive(Clone, Debug)]
struct Clients {
    https: Client,
    http: Client,
}

/// One delivery, signed and ready.
#[derive(Clone)]
pub struct Request {
    /// Where it goes.
    pub url: Url,
    /// `webhook-id`: the event's.
    pub id: String,
    /// `webhook-timestamp`: when it is sent, in seconds since 1970.
    pub timestamp: i64,
    /// `webhook-signature`: see [`sign`](super::sign).
    pub signature: String,
    /// The bytes that were signed. They are sent as they are.
    pub body: Bytes,
}

impl fmt::Debug for Request {
    /// Without the URL, which may hold a token.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Request({}, {} bytes)", self.id, self.body.len())
    }
}

/// What came of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its result.
    pub outcome: Outcome,
    /// How long it took until the head of the answer came, or the failure.
    pub latency: Duration,
}

/// The result of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver answered. Its status counts even if the answer's body then breaks off.
    Answered {
        /// The HTTP status. Redirects are not followed: they are answers like others.
        status: u16,
        /// How long it asks us to wait, from the request's timestamp on where it gave a date.
        retry_after: Option<Duration>,
        /// The first 1 KiB of the body at most, as text that Postgres can keep: without NUL, and with a mark where it is no UTF-8.
        start_of_body: String,
    },
    /// There is no answer.
    Failed(Failure),
}

impl Sender {
    /// A sender that connects to the internet and to these networks.
    pub fn new(allowed: Networks) -> Self {
        Self::with_timeouts(allowed, CONNECT_TIMEOUT, TOTAL_TIMEOUT)
    }

    /// The same with other times: for connecting, and for all of it.
    pub fn with_timeouts(allowed: Networks, connect: Duration, total: Duration) -> Self {
        // An error means that a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = |plain| client(Rule { plain, allowed: allowed.clone() }, connect, total);
        let clients = client(false).and_then(|https| Ok(Clients { https, http: client(true)? }));
        let clients = clients.inspect_err(|error| error!(%error, "webhooks cannot be sent: the HTTP client could not be built")).ok();
        Self { clients, allowed, clock: Clock::system() }
    }

    /// Sends a delivery once.
    pub async fn send(&self, request: &Request) -> Attempt {
        let started = self.clock.instant();
        let answer = self.head(request).await;
        let latency = self.clock.instant().saturating_duration_since(started);
        let outcome = match answer {
            Ok(answer) => read(answer, request.timestamp).await,
            Err(failure) => Outcome::Failed(failure),
        };
        Attempt { outcome, latency }
    }

    /// Waits for the answer's head.
    async fn head(&self, request: &Request) -> Result<Response, Failure> {
        target::check(&request.url, &self.allowed)?;
        let clients = self.clients.as_ref().ok_or(Failure::Unsendable)?;
        let client = if request.url.scheme() == "http" { &clients.http } else { &clients.https };
        client
            .post(request.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ID, &request.id)
            .header(TIMESTAMP, request.timestamp)
            .header(SIGNATURE, &request.signature)
            .body(request.body.clone())
            .send()
            .await
            .map_err(|error| failure::sort(&error))
    }
}

fn client(rule: Rule, connect: Duration, total: Duration) -> Result<Client, reqwest::Error> {
    Client::builder()
        .user_agent(concat!("tillgate/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(CheckedResolver(rule))
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        // A proxy would resolve names for us, and reach what we refuse.
        .no_proxy()
        .no_gzip()
        .http1_only()
        .connect_timeout(connect.min(total))
        .pool_idle_timeout(IDLE_CONNECTIONS)
        .timeout(total)
        .build()
}

/// Reads what is wanted of an answer. A body that breaks off or does not end in time is as long as it came.
async fn read(mut answer: Response, now: i64) -> Outcome {
    let status = answer.status().as_u16();
    let retry_after = retry_after(answer.headers(), now);
    let (mut start, mut length) = (Vec::new(), 0);
    while length < READ {
        let Ok(Some(chunk)) = answer.chunk().await else { break };
        length += chunk.len();
        start.extend(chunk.iter().take(KEPT - start.len()));
    }
    Outcome::Answered { status, retry_after, start_of_body: text(&start) }
}

/// Seconds, or a date; what is past asks for no wait.
fn retry_after(headers: &HeaderMap, now: i64) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        value.parse().map_or(LONGEST_WAIT, Duration::from_secs)
    } else {
        let date = httpdate::parse_http_date(value).ok()?;
        let now = std::time::UNIX_EPOCH + Duration::from_secs(u64::try_from(now).ok()?);
        date.duration_since(now).unwrap_or_default()
    };
    Some(wait.min(LONGEST_WAIT))
}

fn text(start: &[u8]) -> String {
    // A character that the limit cut in two is left out.
    let whole = match std::str::from_utf8(start) {
        Err(error) if error.error_len().is_none() => &start[..error.valid_up_to()],
        _ => start,
    };
    let mut text = String::from_utf8_lossy(whole).replace('\0', "\u{fffd}");
    text.truncate(text.floor_char_boundary(KEPT));
    text
}

#[cfg(test)]
#[path = "send_tests.rs"]
mod tests;
