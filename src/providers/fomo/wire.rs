//! What FOMO answers and sends: its codes, and the reading of each answer.
//!
//! Names and numbers are those of FOMO's open platform document for apps. Where it is silent or an
//! answer is odd, money decides: an answer to a call that may move money is accepted or refused only
//! where everything that it says agrees; all else is unknown.

mod codes;
mod coins;
mod links;
pub mod web;

use time::{Duration, OffsetDateTime};

pub use self::codes::{Class, Code, Verb};
pub use self::coins::coins;
pub use self::links::{profile, tokens};
use crate::domain::order::{Direction, NextAction};
use crate::domain::report::{self, Outcome, ProviderRecord, Standing};
use crate::providers::http::Sent;
use crate::providers::reading::{Fields, Unreadable};
use crate::providers::{Looked, MoneyCall};

/// A user confirms a transfer within this time, or FOMO forgets it (part three, section 3).
const CONFIRM_WITHIN: Duration = Duration::minutes(3);

/// Reads the answer to a call that opens or makes a movement.
pub fn outcome(verb: Verb, sent: &Sent, call: &MoneyCall) -> Outcome {
    read_outcome(verb, sent, call).unwrap_or_else(|unreadable| Outcome::Unknown(unreadable.0))
}

fn read_outcome(verb: Verb, sent: &Sent, call: &MoneyCall) -> Result<Outcome, Unreadable> {
    if verb == Verb::PrePay && sent.status == 401 {
        // The bearer token was turned away at the door; nothing was asked yet.
        let message = Code::NotLoggedIn.meaning().to_owned();
        return Ok(Outcome::Refused(report::Code { code: Code::NotLoggedIn.name(), provider_code: "HTTP 401".to_owned(), message }));
    }
    let answer = Answered::read(sent)?;
    let code = answer.code(&["status"])?.ok_or_else(|| unreadable("the answer has no status"))?;
    let trade_id = answer.anywhere("trade_id")?;
    if trade_id.as_ref().is_some_and(|echo| echo != call.trade_id.as_str()) {
        return Err(unreadable("the answer is about another trade_id"));
    }
    let reference = answer.anywhere("transfer_id")?;
    let accepted = code == Code::Success;
    match answer.success()? {
        Some(success) if success != accepted => {
            return Err(Unreadable(format!("the answer says success {success} and status {}", code.number())));
        }
        // `pre_pay` gives a transfer_id only where it succeeds; `pay_user` has nothing else to tell by.
        None if accepted && verb == Verb::PayUser => return Err(unreadable("the answer says status 1 and nothing of success")),
        Some(_) | None => {}
    }
    let record = |standing| Box::new(ProviderRecord { trade_id, reference: reference.clone(), ..ProviderRecord::new(standing) });
    Ok(match code.class(verb) {
        Class::Accepted => match (verb, &reference) {
            (Verb::PayUser, _) => Outcome::Accepted(record(Standing::Paid)),
            (Verb::PrePay, Some(transfer_id)) => Outcome::Accepted(to_confirm(record(Standing::Awaiting), transfer_id, call.now)),
            (Verb::PrePay, None) => return Err(unreadable("the answer has no transfer_id")),
        },
        Class::Duplicate => Outcome::Duplicate(reference.as_ref().map(|transfer_id| match verb {
            Verb::PayUser => record(Standing::Accepted),
            Verb::PrePay => to_confirm(record(Standing::Awaiting), transfer_id, call.now),
        })),
        Class::Refused => Outcome::Refused(code.report()),
        Class::Misconfigured => Outcome::Misconfigured(code.report()),
        Class::Unknown => return Err(Unreadable(format!("code {}: {}", code.number(), code.meaning()))),
    })
}

fn to_confirm(record: Box<ProviderRecord>, transfer_id: &str, now: OffsetDateTime) -> Box<ProviderRecord> {
    let next_action = NextAction::ConfirmInApp { transfer_id: transfer_id.to_owned(), expires_at: now + CONFIRM_WITHIN };
    Box::new(ProviderRecord { next_action: Some(next_action), ..*record })
}

fn unreadable(why: &str) -> Unreadable {
    Unreadable(why.to_owned())
}

/// An answer's fields: those at the top, and those under `data`.
struct Answered {
    top: Fields,
    data: Fields,
}

impl Answered {
    /// Reads an answer that must have come with HTTP 200.
    fn read(sent: &Sent) -> Result<Self, Unreadable> {
        if sent.status != 200 {
            return Err(Unreadable(format!("HTTP {}", sent.status)));
        }
        Self::parse(&sent.body)
    }

    fn parse(body: &[u8]) -> Result<Self, Unreadable> {
        let top = Fields::from_json(body)?;
        let data = top.object("data")?.unwrap_or_default();
        Ok(Self { top, data })
    }

    /// FOMO's verdict, under the first of these names that is there.
    fn code(&self, names: &[&str]) -> Result<Option<Code>, Unreadable> {
        let number = names.iter().find_map(|name| self.top.integer(name).transpose()).transpose()?;
        Ok(number.map(Code::from_number))
    }

    /// `success`, or `sucess` as `pre_pay` spells it.
    fn success(&self) -> Result<Option<bool>, Unreadable> {
        match (self.top.flag("success")?, self.top.flag("sucess")?) {
            (Some(one), Some(other)) if one != other => Err(unreadable("the answer says success and no success")),
            (one, other) => Ok(one.or(other)),
        }
    }

    /// An id, under `data` or at the top.
    fn anywhere(&self, name: &str) -> Result<Option<String>, Unreadable> {
        match (self.data.id(name)?, self.top.id(name)?) {
            (Some(one), Some(other)) if one != other => Err(Unreadable(format!("the answer has two values of {name}"))),
            (one, other) => Ok(one.or(other)),
        }
    }

    /// An object under `data` or at the top.
    fn part(&self, name: &str) -> Result<Option<Fields>, Unreadable> {
        Ok(self.data.object(name)?.or(self.top.object(name)?))
    }
}

/// Reads the answer of `get_transfer_detail` (part three, section 5). The parts' own fields are not
/// documented; they are taken to be named as in the callback and in the list of coins.
pub fn looked(sent: &Sent) -> Looked {
    if sent.status == 401 {
        return Looked::Unauthorized;
    }
    read_transfer(sent).unwrap_or_else(|unreadable| Looked::Unreadable(unreadable.0))
}

fn read_transfer(sent: &Sent) -> Result<Looked, Unreadable> {
    let answer = Answered::read(sent)?;
    let success = answer.success()?;
    match (answer.code(&["status"])?, success) {
        (None | Some(Code::Success), None | Some(true)) => {}
        (Some(Code::TransferUnknown | Code::TransferExpired), None | Some(false)) => return Ok(Looked::Absent(sent.evidence())),
        (Some(Code::NotLoggedIn | Code::SessionInvalid), None | Some(false)) => return Ok(Looked::Unauthorized),
        (Some(code), None | Some(false)) if code != Code::Success => {
            return Err(Unreadable(format!("code {}: {}", code.number(), code.meaning())));
        }
        _ => return Err(unreadable("the answer contradicts itself about its success")),
    }
    let log = answer.part("transfer_log")?.ok_or_else(|| unreadable("the answer has no transfer_log"))?;
    let standing = match log.integer("status")? {
        Some(1) => Standing::Paid,
        Some(0) => Standing::Awaiting,
        Some(other) => return Err(Unreadable(format!("transfer_log has status {other}"))),
        None => return Err(unreadable("transfer_log has no status")),
    };
    let coin_info = answer.part("coin_info")?.unwrap_or_default();
    let coin = log.id("coin_id")?.or(coin_info.first_id(&["coin_id", "id"])?);
    let record = movement(&log, standing)?;
    if record.amount.is_none() {
        // Absent, it would not be compared with the order, and the query would prove any amount.
        return Err(unreadable("transfer_log has no amount"));
    }
    let other_side = match record.direction {
        Some(Direction::In) => answer.part("from_user")?,
        Some(Direction::Out) => answer.part("to_user")?,
        None => None,
    };
    let user = other_side.unwrap_or_default().first_id(&USER_IDS)?;
    Ok(Looked::Found(Box::new(ProviderRecord { user, coin, ..record }), sent.evidence()))
}

/// The names under which a user's id comes.
const USER_IDS: [&str; 3] = ["user_id", "uid", "id"];

/// The fields that a callback and a log of a transfer share (part four).
fn movement(fields: &Fields, standing: Standing) -> Result<ProviderRecord, Unreadable> {
    let direction = match fields.integer("direction")? {
        None => None,
        Some(1) => Some(Direction::In),
        Some(2) => Some(Direction::Out),
        Some(other) => return Err(Unreadable(format!("direction {other} is not documented"))),
    };
    Ok(ProviderRecord {
        trade_id: fields.id("trade_id")?,
        reference: fields.id("transfer_id")?,
        user: fields.id("user_id")?,
        coin: fields.id("coin_id")?,
        amount: fields.amount("amount")?,
        fee: fields.amount("cut_amount")?,
        direction,
        ..ProviderRecord::new(standing)
    })
}

/// Reads a callback (part four): a form, or a JSON object. The body tells which; a content type may lie.
///
/// # Errors
/// Says what is missing or cannot be read.
pub fn callback(body: &[u8]) -> Result<ProviderRecord, Unreadable> {
    let is_json = body.trim_ascii_start().first().is_some_and(|byte| matches!(byte, b'{' | b'['));
    let fields = if is_json { Fields::from_json(body)? } else { Fields::from_form(body)? };
    let standing = match fields.integer("status")? {
        Some(1) => Standing::Paid,
        Some(0) => Standing::Failed,
        Some(other) => return Err(Unreadable(format!("status {other} is not documented"))),
        None => return Err(unreadable("status is missing")),
    };
    let record = movement(&fields, standing)?;
    match record.trade_id {
        Some(_) => Ok(record),
        None => Err(unreadable("trade_id is missing")),
    }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
