//! The receiver's end: whether a captured request is genuine, and what is wrong where it is not.
//!
//! A merchant whose verification fails sees one word, "invalid", and has a dozen possible causes. Here
//! the usual ones are tried: if the signature fits once the body has lost a trailing newline, then that
//! is the cause, and the merchant is told what to change.

mod body;
mod capture;
mod finding;
mod guess;
mod headers;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

pub use capture::{Capture, CaptureError, read_headers};
pub use finding::{Finding, Seconds};

use super::Secret;
use super::signature::mac;
use headers::Headers;

/// From here on a number of seconds would lie more than 3,000 years ahead: it is milliseconds.
const MILLISECONDS: i64 = 100_000_000_000;
/// The length of a signature, in bytes.
const SIGNATURE_LENGTH: usize = 32;

/// Verifies a captured request as a receiver should: `now` is in seconds since 1970, and the request may be older or newer by
/// `tolerance`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn diagnose(headers: &[(String, String)], body: &[u8], secrets: &[Secret], now: i64, tolerance: Duration) -> Result<(), Vec<Finding>> {
    let mut findings = Vec::new();
    let headers = Headers::find(headers, &mut findings);
    let age = headers.timestamp.and_then(|timestamp| timing(timestamp, now, tolerance));
    match (headers.id, headers.timestamp, headers.signature) {
        (Some(id), Some(timestamp), Some(signature)) => {
            let request = Signed { id, timestamp, body };
            let wrong = signature_findings(&request, signature, secrets, headers.length);
            // Where the two were swapped, the timestamp's own fault is no second one; nor is one that both have found.
            let told = |age: &Finding| wrong.contains(&Finding::Swapped) || wrong.contains(age);
            findings.extend(age.filter(|age| !told(age)));
            findings.extend(wrong);
        }
        _ => findings.extend(age),
    }
    if findings.is_empty() { Ok(()) } else { Err(findings) }
}

/// What a signature is over.
#[derive(Clone, Copy, Debug)]
struct Signed<'a> {
    id: &'a str,
    timestamp: &'a str,
    body: &'a [u8],
}

/// What is wrong with the timestamp by itself.
fn timing(timestamp: &str, now: i64, tolerance: Duration) -> Option<Finding> {
    let digits = !timestamp.is_empty() && timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let Some(sent) = timestamp.parse::<i64>().ok().filter(|_| digits) else {
        return Some(Finding::TimestampNotANumber { found: timestamp.to_owned() });
    };
    if sent >= MILLISECONDS {
        return Some(Finding::TimestampInMilliseconds);
    }
    let apart = Seconds(now.abs_diff(sent));
    let tolerance = Seconds(tolerance.as_secs());
    match now.cmp(&sent) {
        _ if apart.0 <= tolerance.0 => None,
        std::cmp::Ordering::Greater => Some(Finding::TooOld { by: apart, tolerance }),
        _ => Some(Finding::InTheFuture { by: apart, tolerance }),
    }
}

/// What is wrong with the signature; nothing where one of its parts is by one of the secrets.
fn signature_findings(request: &Signed<'_>, header: &str, secrets: &[Secret], length: Option<&str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let signatures = signatures(header, &mut findings);
    if secrets.is_empty() {
        return vec![Finding::NoSecret];
    }
    let genuine = |secret: &Secret| fits(&signatures, &mac(secret.key(), request.id, request.timestamp, request.body));
    // Parts that cannot be read do no harm beside one that is good: so can new versions be brought in.
    if secrets.iter().any(genuine) {
        return Vec::new();
    }
    if signatures.is_empty() {
        return findings;
    }
    findings.extend(guess::causes(request, &signatures, secrets));
    if let Some(said) = length.filter(|said| said.parse().ok() != Some(request.body.len())) {
        findings.push(Finding::OtherLength { said: said.to_owned(), is: request.body.len() });
    }
    findings
}

/// The signatures of version 1, and what cannot be read.
fn signatures(header: &str, findings: &mut Vec<Finding>) -> Vec<[u8; SIGNATURE_LENGTH]> {
    let mut signatures = Vec::new();
    if header.trim().is_empty() {
        findings.push(Finding::SignatureMalformed { part: String::new() });
    }
    for part in header.split_ascii_whitespace() {
        match part.split_once(',') {
            Some(("v1", encoded)) if is_hex(encoded) => findings.push(Finding::SignatureInHex),
            Some(("v1", encoded)) => match STANDARD.decode(encoded).ok().and_then(|bytes| bytes.try_into().ok()) {
                Some(signature) => signatures.push(signature),
                None => findings.push(Finding::SignatureMalformed { part: part.to_owned() }),
            },
            Some((version, _)) if version.starts_with('v') => findings.push(Finding::UnknownVersion { version: version.to_owned() }),
            _ => findings.push(Finding::SignatureMalformed { part: part.to_owned() }),
        }
    }
    signatures
}

fn is_hex(text: &str) -> bool {
    text.len() == 2 * SIGNATURE_LENGTH && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether one of the signatures is this; takes the same time whatever the difference.
fn fits(signatures: &[[u8; SIGNATURE_LENGTH]], good: &[u8; SIGNATURE_LENGTH]) -> bool {
    signatures.iter().any(|signature| signature.ct_eq(good).into())
}

#[cfg(test)]
mod tests;
