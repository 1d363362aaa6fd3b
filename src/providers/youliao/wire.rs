//! What Youliao answers: its codes, and what may be passed on of a refusal.
//!
//! The document (`youliao.md`) prints two codes: 1 with a token, and -1 with a reason. Everything else tells nothing.

use secrecy::SecretString;

use crate::domain::report;
use crate::providers::AskError;
use crate::providers::http::Sent;
use crate::providers::reading::{Fields, Unreadable};

/// What stands in for a reason that cannot be passed on.
const NO_REASON: &str = "it gave no reason that can be passed on";

/// An answer's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// 1: done.
    Granted,
    /// -1: no.
    Refused,
    /// One that the document does not have.
    Unknown(i64),
}

impl Code {
    fn from_number(number: i64) -> Self {
        match number {
            1 => Self::Granted,
            -1 => Self::Refused,
            other => Self::Unknown(other),
        }
    }
}

/// The reasons of a refusal, by the document's words for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It does not know our app.
    AppUnknown,
    /// It signs otherwise.
    SignatureWrong,
    /// Words that the document does not have.
    Other,
}

impl Reason {
    /// Reads it.
    pub fn of(message: &str) -> Self {
        match message {
            "appId不正确，请仔细检查" => Self::AppUnknown,
            "签名不正确，请仔细检查" => Self::SignatureWrong,
            _ => Self::Other,
        }
    }

    /// Our stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::AppUnknown => "app_unknown",
            Self::SignatureWrong => "signature_wrong",
            Self::Other => "refused",
        }
    }
}

/// Reads the token of an answer. `private` is what a refusal's words must not repeat.
///
/// # Errors
/// [`AskError::Misconfigured`] where Youliao refuses our app or signature, [`AskError::Refused`] where it refuses
/// otherwise, [`AskError::Unavailable`] where the answer does not tell.
pub fn token(sent: &Sent, private: &[&str]) -> Result<SecretString, AskError> {
    let read = read(sent, private).map_err(|unreadable| AskError::Unavailable(unreadable.0))?;
    read.map_err(|(reason, message)| {
        let code = report::Code { code: reason.name(), provider_code: "-1".to_owned(), message };
        match reason {
            Reason::AppUnknown | Reason::SignatureWrong => AskError::Misconfigured(code),
            Reason::Other => AskError::Refused(code),
        }
    })
}

fn read(sent: &Sent, private: &[&str]) -> Result<Result<SecretString, (Reason, String)>, Unreadable> {
    if sent.status != 200 {
        return Err(Unreadable(format!("HTTP {}", sent.status)));
    }
    let answer = Fields::from_json(&sent.body)?;
    let code = answer.integer("code")?.ok_or_else(|| unreadable("the answer has no code"))?;
    match Code::from_number(code) {
        Code::Granted => answer.token("data")?.map(Ok).ok_or_else(|| unreadable("the answer says yes and has no token")),
        Code::Refused if matches!(answer.token("data"), Ok(Some(_))) => Err(unreadable("the answer says no and has a token")),
        Code::Refused => {
            // What is no short text is no reason.
            let message = answer.id("msg").ok().flatten().unwrap_or_default();
            Ok(Err((Reason::of(&message), passed_on(message, private))))
        }
        Code::Unknown(code) => Err(Unreadable(format!("code {code}, which the document does not have"))),
    }
}

/// A refusal's words, unless they repeat what was asked, however it is spaced or written.
fn passed_on(message: String, private: &[&str]) -> String {
    let plain = |text: &str| text.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
    let all = plain(&message);
    let repeated = |value: &&str| {
        let bare = plain(value);
        message.contains(*value) || (!bare.is_empty() && all.contains(&bare))
    };
    if message.is_empty() || private.iter().any(repeated) { NO_REASON.to_owned() } else { message }
}

fn unreadable(why: &str) -> Unreadable {
    Unreadable(why.to_owned())
}
