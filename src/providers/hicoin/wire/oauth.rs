//! The reading of Hicoin's tokens (`hicoin-oauth.rst`, sections 2.3 and 2.4), bare or in the envelope of the open API.

use secrecy::SecretString;
use serde_json::json;
use time::{Duration, OffsetDateTime};

use crate::providers::http::Sent;
use crate::providers::reading::{Fields, Unreadable};
use crate::providers::{LinkError, Profile, Tokens};

/// How long an access token lives where the answer does not say.
const ACCESS_LIFETIME: Duration = Duration::hours(2);
/// How long a refresh token is taken to live: the document does not say. A refusal tells earlier.
const REFRESH_LIFETIME: Duration = Duration::days(30);
/// No lifetime that an answer tells is taken for longer.
const LONGEST_LIFETIME: i64 = 365 * 24 * 3600;

/// Reads tokens and the user's openid. Where a refresh gives no new refresh token, `kept` goes on.
pub fn tokens(sent: &Sent, now: OffsetDateTime, kept: Option<&SecretString>) -> Result<(Tokens, Profile), LinkError> {
    let unavailable = |unreadable: Unreadable| LinkError::Unavailable(unreadable.0);
    if !matches!(sent.status, 200 | 400 | 401 | 403) {
        return Err(LinkError::Unavailable(format!("HTTP {}", sent.status)));
    }
    let top = Fields::from_json(&sent.body).map_err(unavailable)?;
    refusal(&top, sent.status).map_err(unavailable)?.map_or(Ok(()), Err)?;
    read(&top, now, kept).map_err(unavailable)
}

/// What is known of a user.
pub fn profile(openid: String) -> Profile {
    let details = json!({ "openid": openid });
    Profile { provider_user: openid, details }
}

fn read(top: &Fields, now: OffsetDateTime, kept: Option<&SecretString>) -> Result<(Tokens, Profile), Unreadable> {
    let data = top.object("data")?.unwrap_or_default();
    let fields = if data.token("access_token")?.is_some() { &data } else { top };
    let missing = |name: &str| Unreadable(format!("the answer has no {name}"));
    let lifetime = fields.integer("expires_in")?.filter(|seconds| *seconds > 0);
    let lifetime = lifetime.map_or(ACCESS_LIFETIME, |seconds| Duration::seconds(seconds.min(LONGEST_LIFETIME)));
    let tokens = Tokens {
        access_token: fields.token("access_token")?.ok_or_else(|| missing("access_token"))?,
        access_expires_at: now + lifetime,
        refresh_token: fields.token("refresh_token")?.or_else(|| kept.cloned()).ok_or_else(|| missing("refresh_token"))?,
        refresh_expires_at: now + REFRESH_LIFETIME,
    };
    // A refresh may leave it out: the user is known by then.
    let openid = fields.id("openid")?;
    match (openid, kept) {
        (Some(openid), _) => Ok((tokens, profile(openid))),
        (None, Some(_)) => Ok((tokens, profile(String::new()))),
        (None, None) => Err(missing("openid")),
    }
}

/// What an answer that is no success says. The document lists no codes: 100001 and HTTP's own failures may pass, 100005, 100007,
/// 100015 and 100016 (those of the open API) are our fault, and any other code refuses the code or the token.
fn refusal(top: &Fields, status: u16) -> Result<Option<LinkError>, Unreadable> {
    if let Some(error) = top.id("error")? {
        return Ok(Some(match error.as_str() {
            "invalid_client" | "unauthorized_client" => LinkError::Misconfigured(error),
            "server_error" | "temporarily_unavailable" => LinkError::Unavailable(error),
            _ => LinkError::Refused(error),
        }));
    }
    let code = match top.integer("code")? {
        Some(code) => Some(code),
        None => top.integer("status")?,
    };
    Ok(match code {
        None | Some(0) if status == 200 => None,
        None | Some(0) => Some(LinkError::Unavailable(format!("HTTP {status}"))),
        Some(code @ (100_005 | 100_007 | 100_015 | 100_016)) => Some(LinkError::Misconfigured(format!("code {code}"))),
        Some(code @ 100_001) => Some(LinkError::Unavailable(format!("code {code}"))),
        Some(code) => Some(LinkError::Refused(format!("code {code}"))),
    })
}
