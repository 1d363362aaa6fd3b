//! What may be the address of an endpoint.

use url::{Host, Url};

use super::Networks;
use super::networks::Standing;

/// Longer addresses are refused, in bytes.
const LONGEST: usize = 2048;

/// Why webhooks are not sent to an address. Each is a sentence for the merchant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It is too long.
    #[error("the URL is longer than 2048 bytes: give a shorter one")]
    TooLong,
    /// It is no URL.
    #[error("this is no URL ({0}): give one such as https://shop.example/hooks/tillgate")]
    Unreadable(#[from] url::ParseError),
    /// Neither https nor http.
    #[error("the URL must begin with https://")]
    OtherScheme,
    /// It carries a user or a password.
    #[error("the URL must not hold a user name or password: the webhook-signature header says who sends; verify that")]
    UserInfo,
    /// It has a part behind `#`, which is never sent.
    #[error("the URL must not have a part behind #: it would not be sent")]
    Fragment,
    /// Plain http, outside the networks that the operator opened.
    #[error(
        "the URL must begin with https://: plain http is for networks that the gateway's operator has opened (webhooks.allowed_networks)"
    )]
    PlainHttp,
    /// The host is in a network that the operator has not opened.
    #[error(
        "the host's address is not on the public internet (loopback, private, link-local, reserved): use a public host, or ask the gateway's operator to open its network (webhooks.allowed_networks)"
    )]
    AddressRefused,
}

/// Reads the address of an endpoint: https (or http where the operator has opened networks), no user, at most 2048 bytes, and
/// no host that is known to be refused without asking for its addresses. Names are judged when they are resolved, each
/// time that something is sent.
///
/// # Errors
/// See [`UrlError`].
pub fn check_url(text: &str, allowed: &Networks) -> Result<Url, UrlError> {
    if text.len() > LONGEST {
        return Err(UrlError::TooLong);
    }
    let url = Url::parse(text)?;
    check(&url, allowed)?;
    Ok(url)
}

/// The same for an address that was read before: the configuration may have changed since.
pub(super) fn check(url: &Url, allowed: &Networks) -> Result<(), UrlError> {
    if url.as_str().len() > LONGEST {
        return Err(UrlError::TooLong);
    }
    let rule = Rule::of(url, allowed)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UrlError::UserInfo);
    }
    if url.fragment().is_some() {
        return Err(UrlError::Fragment);
    }
    // The URL's host, not its text: it has read decimal, octal, hexadecimal and short forms already. The resolver is never
    // asked about them.
    match url.host() {
        Some(Host::Ipv4(address)) => rule.judge(address.into()),
        Some(Host::Ipv6(address)) => rule.judge(address.into()),
        Some(Host::Domain(name)) => rule.judge_name(name),
        None => Err(UrlError::OtherScheme),
    }
}

/// Which addresses a URL's scheme may be sent to.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// Plain http: to opened networks only.
    pub(super) plain: bool,
    /// What the operator opened.
    pub(super) allowed: Networks,
}

impl Rule {
    fn of(url: &Url, allowed: &Networks) -> Result<Self, UrlError> {
        let plain = match url.scheme() {
            "https" => false,
            "http" => true,
            _ => return Err(UrlError::OtherScheme),
        };
        Ok(Self { plain, allowed: allowed.clone() })
    }

    /// Whether something may be sent to this address.
    pub(super) fn judge(&self, address: std::net::IpAddr) -> Result<(), UrlError> {
        match self.allowed.judge(address) {
            Standing::Opened => Ok(()),
            Standing::Public if self.plain => Err(UrlError::PlainHttp),
            Standing::Public => Ok(()),
            Standing::Refused => Err(UrlError::AddressRefused),
        }
    }

    /// What can be said of a name before it is resolved: the merchant learns it when he makes the endpoint.
    fn judge_name(&self, name: &str) -> Result<(), UrlError> {
        let name = name.trim_end_matches('.');
        if name == "localhost" || name.ends_with(".localhost") {
            let loopback = [std::net::Ipv4Addr::LOCALHOST.into(), std::net::Ipv6Addr::LOCALHOST.into()];
            return if loopback.into_iter().any(|address| self.judge(address).is_ok()) { Ok(()) } else { Err(UrlError::AddressRefused) };
        }
        if self.plain && self.allowed.is_empty() { Err(UrlError::PlainHttp) } else { Ok(()) }
    }
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
