//! Finds the three headers, and what stands in their place.

use super::Finding;
use crate::webhooks::{ID, SIGNATURE, TIMESTAMP};

/// The headers that matter; absent where there is nothing like them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Headers<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) timestamp: Option<&'a str>,
    pub(super) signature: Option<&'a str>,
    /// `content-length`, which is not needed.
    pub(super) length: Option<&'a str>,
}

impl<'a> Headers<'a> {
    /// Where a header has a wrong name, that is a finding, and its value is used all the same: there may be more to find.
    pub(super) fn find(headers: &'a [(String, String)], findings: &mut Vec<Finding>) -> Self {
        let mut find = |wanted| one(headers, wanted, findings);
        let (id, timestamp, signature) = (find(ID), find(TIMESTAMP), find(SIGNATURE));
        let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length")).map(|(_, value)| value.trim());
        Self { id, timestamp, signature, length }
    }
}

fn one<'a>(headers: &'a [(String, String)], wanted: &'static str, findings: &mut Vec<Finding>) -> Option<&'a str> {
    let mut values = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim());
    if let Some(first) = values.next() {
        if values.any(|other| other != first) {
            findings.push(Finding::HeaderRepeated { wanted });
        }
        return Some(first);
    }
    for (name, value) in headers {
        let found = || name.clone();
        let finding = match letters(name) {
            like if like == letters(wanted) => Finding::HeaderRenamed { wanted, found: found() },
            like if like == letters(wanted).replace("webhook", "svix") => Finding::HeaderOfOthers { wanted, found: found() },
            _ => continue,
        };
        findings.push(finding);
        return Some(value.trim());
    }
    findings.push(Finding::HeaderMissing { wanted });
    None
}

/// A header's name without what interfaces and proxies do to it: `HTTP_WEBHOOK_ID` and `X-Webhook-Id` are `webhookid`.
fn letters(name: &str) -> String {
    let name = name.trim().to_ascii_lowercase().replace('_', "-");
    let name = name.strip_prefix("http-").unwrap_or(&name);
    let name = name.strip_prefix("x-").unwrap_or(name);
    name.chars().filter(char::is_ascii_alphanumeric).collect()
}
