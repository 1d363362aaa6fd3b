//! The reading of answers about a user's account: tokens, and who the user is.

use secrecy::SecretString;
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use super::{Answered, Code, USER_IDS, unreadable};
use crate::providers::http::Sent;
use crate::providers::reading::{Unreadable, without_secrets};
use crate::providers::{LinkError, Profile, Tokens};

/// How long an access token lives where the answer does not say (part two, section 2).
const ACCESS_LIFETIME: Duration = Duration::hours(1);
/// How long a refresh token lives where the answer does not say (part two, section 2: "about").
const REFRESH_LIFETIME: Duration = Duration::weeks(2);
/// No lifetime that an answer tells is taken for longer.
const LONGEST_LIFETIME: i64 = 365 * 24 * 3600;

/// Reads tokens (part two, sections 2 and 4), bare or under `data`. Where a refresh gives no new
/// refresh token, `kept` goes on.
pub fn tokens(sent: &Sent, now: OffsetDateTime, kept: Option<&SecretString>) -> Result<Tokens, LinkError> {
    let answer = link_answer(sent)?;
    read_tokens(&answer, now, kept).map_err(unavailable)
}

fn read_tokens(answer: &Answered, now: OffsetDateTime, kept: Option<&SecretString>) -> Result<Tokens, Unreadable> {
    let fields = if answer.data.token("access_token")?.is_some() { &answer.data } else { &answer.top };
    let refresh_lifetime = fields.integer("refresh_expires_in")?.or(fields.integer("refresh_token_expires_in")?);
    let refresh_token = fields.token("refresh_token")?.or_else(|| kept.cloned());
    Ok(Tokens {
        access_token: fields.token("access_token")?.ok_or_else(|| unreadable("the answer has no access_token"))?,
        access_expires_at: now + lifetime_or(fields.integer("expires_in")?, ACCESS_LIFETIME),
        refresh_token: refresh_token.ok_or_else(|| unreadable("the answer has no refresh_token"))?,
        refresh_expires_at: now + lifetime_or(refresh_lifetime, REFRESH_LIFETIME),
    })
}

fn lifetime_or(seconds: Option<i64>, default: Duration) -> Duration {
    seconds.filter(|seconds| *seconds > 0).map_or(default, |seconds| Duration::seconds(seconds.min(LONGEST_LIFETIME)))
}

/// Reads `get_user_info` (part three, section 1), whose fields are not documented.
pub fn profile(sent: &Sent) -> Result<Profile, LinkError> {
    let answer = link_answer(sent)?;
    let user = match answer.data.first_id(&USER_IDS).map_err(unavailable)? {
        Some(user) => Some(user),
        None => answer.top.first_id(&USER_IDS).map_err(unavailable)?,
    };
    let provider_user = user.ok_or_else(|| LinkError::Unavailable("the answer has no id of the user".to_owned()))?;
    let data = answer.data.into_map();
    let details = if data.is_empty() { answer.top.into_map() } else { data };
    Ok(Profile { provider_user, details: without_secrets(Value::Object(details)) })
}

impl Code {
    /// What the code means as an answer about a user's account.
    fn link_error(self) -> LinkError {
        let text = format!("{} ({})", self.meaning(), self.number());
        match self {
            Self::SignatureWrong | Self::SignatureExpired | Self::ClientIdMalformed | Self::ClientIdUnknown => {
                LinkError::Misconfigured(text)
            }
            Self::ParameterMissing
            | Self::NotLoggedIn
            | Self::SessionInvalid
            | Self::UserNameWrong
            | Self::PasswordWrong
            | Self::NotPermitted
            | Self::RecipientUnknown
            | Self::UserNotRegistered => LinkError::Refused(text),
            Self::Success
            | Self::InternalError
            | Self::StatusUnknown
            | Self::CoinNotSupported
            | Self::NoAddress
            | Self::CoinUnknown
            | Self::InsufficientBalance
            | Self::PaymentPasswordNotSet
            | Self::PaymentPasswordWrong
            | Self::ClientIdTaken
            | Self::TradeIdRepeated
            | Self::TransferUnknown
            | Self::TransferExpired
            | Self::Unknown(_) => LinkError::Unavailable(text),
        }
    }
}

fn unavailable(unreadable: Unreadable) -> LinkError {
    LinkError::Unavailable(unreadable.0)
}

/// Reads an answer about a user's account that is no error: not of OAuth's (`error`), not of FOMO's
/// (`status` or `code`), and not of HTTP's.
fn link_answer(sent: &Sent) -> Result<Answered, LinkError> {
    let http = || LinkError::Unavailable(format!("HTTP {}", sent.status));
    if !matches!(sent.status, 200 | 400 | 401) {
        return Err(http());
    }
    let answer = match Answered::parse(&sent.body) {
        Ok(answer) => answer,
        Err(_) if sent.status != 200 => return Err(http()),
        Err(unreadable) => return Err(unavailable(unreadable)),
    };
    if let Some(error) = oauth_error(&answer, sent.status) {
        return Err(error);
    }
    match answer.code(&["status", "code"]).map_err(unavailable)? {
        None | Some(Code::Success) if sent.status != 200 => Err(http()),
        None | Some(Code::Success) if answer.success().map_err(unavailable)? == Some(false) => {
            Err(LinkError::Unavailable("the answer says no success, and not why".to_owned()))
        }
        None | Some(Code::Success) => Ok(answer),
        Some(code) => Err(code.link_error()),
    }
}

/// The errors of OAuth 2 (RFC 6749, section 5.2; RFC 6750, section 3.1), sorted by whose fault they are.
fn oauth_error(answer: &Answered, status: u16) -> Option<LinkError> {
    let error = answer.top.id("error").ok()??;
    match error.as_str() {
        "invalid_client" | "unauthorized_client" => Some(LinkError::Misconfigured(error)),
        "server_error" | "temporarily_unavailable" => Some(LinkError::Unavailable(error)),
        "invalid_grant" | "invalid_token" | "expired_token" | "access_denied" => Some(LinkError::Refused(error)),
        _ if status != 200 => Some(LinkError::Refused(format!("HTTP {status} with an error of OAuth"))),
        // Not a word of OAuth's: whatever it means, the rest of the answer decides.
        _ => None,
    }
}
