//! Why a delivery had no answer, in words that help the merchant.

use std::error::Error;
use std::io;

use super::UrlError;
use super::send::{CONNECT_TIMEOUT, TOTAL_TIMEOUT};

/// Why there is no answer. Displays as a sentence for the merchant, without addresses and without anything of the request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The host is, or resolves to, what is not on the public internet. Nothing was sent.
    #[error("{}", UrlError::AddressRefused)]
    AddressRefused,
    /// The URL is refused for another reason. Nothing was sent.
    #[error("{0}")]
    UrlRefused(UrlError),
    /// The host's name has no address. Nothing was sent.
    #[error("the host's name could not be resolved: check the spelling of the URL and the host's DNS records")]
    UnknownHost,
    /// No connection in the time for one. Nothing was sent.
    #[error(
        "there was no connection within {} seconds, TLS handshake included: check that the host is up, and that its firewall lets the gateway in",
        CONNECT_TIMEOUT.as_secs()
    )]
    ConnectTimeout,
    /// No connection. Nothing was sent.
    #[error("no connection could be made ({0}): check that the receiver runs and listens on the URL's port")]
    Connect(String),
    /// The TLS handshake failed. Nothing was sent.
    #[error(
        "the TLS handshake failed ({0}): check that the host's certificate is valid, is for this name, and is sent with its intermediates"
    )]
    Tls(String),
    /// No answer in the time for all of it.
    #[error(
        "no answer came within {} seconds: answer with 200 as soon as the event is stored, and work on it afterwards",
        TOTAL_TIMEOUT.as_secs()
    )]
    Timeout,
    /// The connection ended before an answer came.
    #[error("the connection was closed before an answer came: look for a crash or a limit in the receiver, or in a proxy before it")]
    Closed,
    /// What came is no HTTP answer.
    #[error("the answer is no HTTP/1.1 ({0}): check that the URL leads to the receiver, and that its scheme and port are right")]
    Unreadable(String),
    /// The gateway could not send anything at all; its log says why.
    #[error("the gateway could not send: this is its own fault, and its operator finds the reason in its log")]
    Unsendable,
}

impl From<UrlError> for Failure {
    fn from(error: UrlError) -> Self {
        match error {
            UrlError::AddressRefused => Self::AddressRefused,
            other => Self::UrlRefused(other),
        }
    }
}

/// Sorts why no answer's head came.
pub(super) fn sort(error: &reqwest::Error) -> Failure {
    if error.is_builder() {
        return Failure::Unsendable;
    }
    if let Some(refused) = find::<UrlError>(error) {
        return refused.clone().into();
    }
    if error.is_dns() {
        return Failure::UnknownHost;
    }
    if let Some(tls) = find::<rustls::Error>(error) {
        return Failure::Tls(tls.to_string());
    }
    match (error.is_connect(), error.is_timeout()) {
        (true, true) => Failure::ConnectTimeout,
        (true, false) => Failure::Connect(innermost(error)),
        (false, true) => Failure::Timeout,
        (false, false) => match find::<hyper::Error>(error) {
            Some(http) if http.is_parse() => Failure::Unreadable(http.to_string()),
            _ => Failure::Closed,
        },
    }
}

/// The first cause of this type. An I/O error does not count what it wraps among its causes.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = error.downcast_ref().or_else(|| wrapped.and_then(|inner| find(inner))) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The last of an error's causes: the one that says what happened ("Connection refused").
fn innermost(error: &reqwest::Error) -> String {
    let mut last: &dyn Error = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}
