//! The one HTTP client of all adapters, which sorts what can go wrong.
//!
//! A call that moves money must never be repeated by accident, and must never be called unsent when
//! it may have left. So there are two kinds of failure only: [`CallFailure::NotSent`], where not a
//! byte of the request can have left, and [`CallFailure::Unknown`] for everything else.
//!
//! Nothing here sends a request twice. Redirects are not followed, and the client's own retries are
//! off. One repetition is left below it: a request that a dying pooled connection gave back without
//! having taken it up (no byte of it was written) goes to a fresh connection. A request that was
//! taken up is never given back. A test holds both.

use std::error::Error;
use std::fmt;
use std::time::{Duration, Instant};

use reqwest::header::LOCATION;
use reqwest::{Client, Method, Request, Response, redirect, retry};
use secrecy::{ExposeSecret, SecretString};
use tracing::debug;
use url::Url;

use crate::domain::clock::Clock;
use crate::domain::report::Evidence;
use crate::faults::{Bug, Point, planted, point};

/// Longer answers are not read: no provider has reason to send one.
const BODY_LIMIT: usize = 1024 * 1024;
/// Of an answer's bytes, so many are kept as evidence.
const EVIDENCE_LIMIT: usize = 16 * 1024;
/// A provider that does not accept a connection for so long is down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Below the shortest keep-alive of common servers (5 s), so that a request seldom meets a
/// connection that is being closed: that would be an unknown outcome for nothing.
const IDLE_CONNECTIONS: Duration = Duration::from_secs(4);

/// The HTTP client for providers. Clones share their connections.
#[derive(Clone, Debug)]
pub struct ProviderHttp {
    client: Client,
    timeout: Duration,
    clock: Clock,
}

/// The client could not be built: the machine has no CA certificates, for example.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the HTTP client could not be built: {0}")]
pub struct ClientError(String);

/// One request. Has no debug output: it carries secrets.
pub struct Call<'a> {
    operation: &'static str,
    method: Method,
    url: Url,
    form: &'a [(&'a str, &'a str)],
    bearer: Option<&'a SecretString>,
    deadline: Option<Instant>,
}

impl<'a> Call<'a> {
    /// A POST with a form body. `operation` names it in logs.
    pub fn post(operation: &'static str, url: Url, form: &'a [(&'a str, &'a str)]) -> Self {
        Self { operation, method: Method::POST, url, form, bearer: None, deadline: None }
    }

    /// A GET with these parameters in the query. `operation` names it in logs.
    pub fn get(operation: &'static str, url: Url, query: &'a [(&'a str, &'a str)]) -> Self {
        Self { operation, method: Method::GET, url, form: query, bearer: None, deadline: None }
    }

    /// Carries a user's token in the `Authorization` header.
    #[must_use]
    pub fn bearer(self, token: &'a SecretString) -> Self {
        Self { bearer: Some(token), ..self }
    }

    /// Drops the call unsent once this has passed, and waits for its answer no longer than until then.
    #[must_use]
    pub fn before(self, deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..self }
    }
}

/// A complete answer, whatever its status.
#[derive(Clone, PartialEq, Eq)]
pub struct Sent {
    /// The HTTP status.
    pub status: u16,
    /// The whole body, at most 1 MiB.
    pub body: Vec<u8>,
    /// Where it sends a browser on. Not followed.
    pub location: Option<String>,
}

impl Sent {
    /// The answer's first 16 KiB, to be kept. For answers without tokens only.
    pub fn evidence(&self) -> Evidence {
        evidence(&self.body)
    }
}

/// The first 16 KiB of an answer or of a part of one, to be kept.
pub fn evidence(bytes: &[u8]) -> Evidence {
    Evidence { raw: bytes.iter().copied().take(EVIDENCE_LIMIT).collect(), source: None }
}

impl fmt::Debug for Sent {
    /// Without the body: it may hold tokens.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Sent(HTTP {}, {} bytes)", self.status, self.body.len())
    }
}

/// Why there is no complete answer. The reasons hold no addresses and no values of the request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallFailure {
    /// Not a byte of the request left: the deadline had passed, or there was no connection (DNS,
    /// TCP, TLS handshake).
    #[error("not sent: {0}")]
    NotSent(String),
    /// Anything else: the provider may have heard it or not.
    #[error("outcome unknown: {0}")]
    Unknown(String),
}

impl CallFailure {
    /// The reason, where it does not matter whether the request left.
    pub fn reason(self) -> String {
        match self {
            Self::NotSent(why) | Self::Unknown(why) => why,
        }
    }
}

impl ProviderHttp {
    /// A client whose calls take at most `timeout`, connecting (3 s at most) and reading included.
    ///
    /// # Errors
    /// Where the machine's CA certificates cannot be loaded.
    pub fn new(timeout: Duration, clock: Clock) -> Result<Self, ClientError> {
        // An error means that a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("tillgate/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .no_proxy()
            .no_gzip()
            .http1_only()
            .connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .pool_idle_timeout(IDLE_CONNECTIONS)
            .timeout(timeout)
            .build()
            .map_err(|error| ClientError(describe(error)))?;
        Ok(Self { client, timeout, clock })
    }

    /// Sends a request once and reads the whole answer.
    ///
    /// # Errors
    /// See [`CallFailure`]. An answer of any HTTP status is no error here.
    pub async fn send(&self, call: Call<'_>) -> Result<Sent, CallFailure> {
        let operation = call.operation;
        let started = self.clock.instant();
        let result = self.send_once(call).await;
        let millis = self.clock.instant().saturating_duration_since(started).as_millis();
        match &result {
            Ok(sent) => debug!(operation, status = sent.status, millis, "provider answered"),
            Err(failure) => debug!(operation, %failure, millis, "provider call failed"),
        }
        result
    }

    async fn send_once(&self, call: Call<'_>) -> Result<Sent, CallFailure> {
        let mut request = self.request(&call).map_err(|error| CallFailure::NotSent(describe(error)))?;
        point(Point::ProviderSending);
        *request.timeout_mut() = Some(self.time_left(call.deadline)?);
        // Nothing may come between the look at the clock and this line.
        let response = self.client.execute(request).await.map_err(sort)?;
        point(Point::ProviderSent);
        let status = response.status().as_u16();
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = read_body(response).await?;
        point(Point::ProviderRead);
        Ok(Sent { status, body, location })
    }

    fn request(&self, call: &Call<'_>) -> Result<Request, reqwest::Error> {
        let builder = self.client.request(call.method.clone(), call.url.clone());
        let builder = if call.method == Method::GET { builder.query(call.form) } else { builder.form(call.form) };
        match call.bearer {
            Some(token) => builder.bearer_auth(token.expose_secret()).build(),
            None => builder.build(),
        }
    }

    /// The time that a call may take; fails where the deadline has passed.
    fn time_left(&self, deadline: Option<Instant>) -> Result<Duration, CallFailure> {
        let Some(deadline) = deadline else { return Ok(self.timeout) };
        let left = deadline.saturating_duration_since(self.clock.instant());
        if left.is_zero() {
            return Err(CallFailure::NotSent("the deadline had passed before it was sent".to_owned()));
        }
        Ok(left.min(self.timeout))
    }
}

/// Sorts a failure to get an answer's head. An error in connecting comes before the request is
/// handed to a connection; an error of the builder before that.
fn sort(error: reqwest::Error) -> CallFailure {
    let unsent = error.is_builder() || error.is_connect() || planted(Bug::SilenceIsUnsent);
    let why = describe(error);
    if unsent { CallFailure::NotSent(why) } else { CallFailure::Unknown(why) }
}

async fn read_body(mut response: Response) -> Result<Vec<u8>, CallFailure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| CallFailure::Unknown(describe(error)))? {
        if body.len() + chunk.len() > BODY_LIMIT {
            return Err(CallFailure::Unknown(format!("the answer is longer than {BODY_LIMIT} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// An error with its causes, without addresses, which may hold secrets in their query.
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        if !error.is::<reqwest::Error>() {
            text = format!("{text}: {error}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
