//! Judges the addresses of a name at the moment of connecting.
//!
//! To check a name and to resolve it again for connecting would leave a gap in which it can change.
//! Here the addresses that were judged are the ones that are connected to.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tracing::debug;

use super::UrlError;
use super::target::Rule;

/// Resolves as the machine does, and hands on what the rule allows.
#[derive(Clone, Debug)]
pub(super) struct CheckedResolver(pub(super) Rule);

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let rule = self.0.clone();
        Box::pin(async move {
            // The port is the URL's: zero leaves it to the connector.
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let kept = keep(&rule, &found)
                // For the operator. The merchant is not told the addresses that names have on our side.
                .inspect_err(|_| debug!(name = name.as_str(), ?found, "a webhook's host is refused"))?;
            Ok(Box::new(kept.into_iter()) as Addrs)
        })
    }
}

/// Those of a name's addresses that may be connected to.
///
/// A name with one good address and one refused keeps the good one. To refuse the whole name would be no safer, as nothing
/// else is connected to; and `localhost`, which is often `::1` and `127.0.0.1`, would not work where the operator has opened
/// only `127.0.0.0/8`.
fn keep(rule: &Rule, found: &[SocketAddr]) -> Result<Vec<SocketAddr>, UrlError> {
    let mut refusal = None;
    let mut kept = Vec::new();
    for address in found {
        match rule.judge(address.ip()) {
            Ok(()) => kept.push(*address),
            Err(why) => refusal = Some(why),
        }
    }
    match refusal {
        Some(why) if kept.is_empty() => Err(why),
        _ => Ok(kept),
    }
}

#[cfg(test)]
#[path = "resolver_tests.rs"]
mod tests;
