//! Tries what usually goes wrong until the signature fits.

use std::borrow::Cow;

use super::{Finding, SIGNATURE_LENGTH, Signed, body, fits, mac};
use crate::webhooks::Secret;

/// The likely causes of a signature that does not fit: the fewest changes that make it fit.
pub(super) fn causes(request: &Signed<'_>, signatures: &[[u8; SIGNATURE_LENGTH]], secrets: &[Secret]) -> Vec<Finding> {
    let bodies = body::forms(request.body);
    let mut best: Option<Vec<Finding>> = None;
    for (key, of_key) in secrets.iter().flat_map(keys) {
        for (id, timestamp, of_names) in names(request) {
            for (body, of_body) in &bodies {
                let causes: Vec<Finding> = [&of_key, &of_names, of_body].into_iter().flatten().cloned().collect();
                let better = best.as_ref().is_none_or(|best| causes.len() < best.len());
                if better && fits(signatures, &mac(&key, id, timestamp, body)) {
                    best = Some(causes);
                }
            }
        }
    }
    match best {
        Some(causes) => causes,
        None if request.body.is_empty() => vec![Finding::EmptyBody],
        None => vec![Finding::NothingFits],
    }
}

/// What may have been taken for the key.
fn keys(secret: &Secret) -> [(Cow<'_, [u8]>, Option<Finding>); 3] {
    let text = secret.reveal();
    let base64 = text.trim_start_matches("whsec_").to_owned();
    [
        (secret.key().into(), None),
        (base64.into_bytes().into(), Some(Finding::KeyIsBase64)),
        (text.into_bytes().into(), Some(Finding::KeyIsText)),
    ]
}

/// What may have been taken for id and timestamp.
fn names<'a>(request: &Signed<'a>) -> Vec<(&'a str, &'a str, Option<Finding>)> {
    let Signed { id, timestamp, .. } = *request;
    let mut names = vec![(id, timestamp, None), (timestamp, id, Some(Finding::Swapped))];
    // That the timestamp is in milliseconds is a finding already.
    if let Some(seconds) = timestamp.len().checked_sub(3).and_then(|length| timestamp.get(..length)) {
        names.push((id, seconds, Some(Finding::TimestampInMilliseconds)));
    }
    names
}
