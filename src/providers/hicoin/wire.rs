//! What Hicoin answers and sends: its codes and statuses, and the reading of each answer.
//!
//! Names and numbers are those of `hicoin-openapi.rst`. Where it is silent or an answer is odd, money
//! decides: an answer to a call that may move money is accepted or refused only where everything
//! that it says agrees, a list tells of what it lacks only where all of it can be read, and all else
//! is unknown.

mod codes;
mod coins;
mod feed;
mod lists;
pub mod oauth;
mod statuses;
mod users;

pub use self::codes::Code;
pub use self::coins::coins;
pub use self::feed::feed;
pub use self::lists::{List, listed};
pub use self::statuses::{DepositStatus, TransferStatus, WithdrawStatus, WithdrawType};
pub use self::users::{address, balance, balances, may_be_known, profile, registered};
use crate::domain::ids::TradeId;
use crate::domain::order::NextAction;
use crate::domain::report::{Outcome, ProviderRecord, Standing};
use crate::faults::{Bug, planted};
use crate::providers::http::Sent;
use crate::providers::reading::{Fields, Unreadable};
use crate::providers::{AskError, MoneyCall, Subject};

/// A call that moves money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// To an address (`hicoin-openapi.rst`, section 4.9).
    Withdraw,
    /// To a user, from another one or from the merchant's account (`hicoin-openapi.rst`, sections 4.7 and 4.8).
    Transfer,
}

impl Verb {
    fn standing(self, data: &Fields) -> Result<Standing, Unreadable> {
        match self {
            Self::Withdraw => statuses::withdrawal(data),
            Self::Transfer => statuses::transfer(data),
        }
    }
}

/// Reads the answer to a call that moves money.
pub fn outcome(verb: Verb, sent: &Sent, call: &MoneyCall) -> Outcome {
    if sent.status == 500
        && planted(Bug::ServerErrorIsRefusal)
        && let Some(refused) = Code::ParameterInvalid.outcome()
    {
        return refused;
    }
    read_outcome(verb, sent, call).unwrap_or_else(|unreadable| Outcome::Unknown(unreadable.0))
}

fn read_outcome(verb: Verb, sent: &Sent, call: &MoneyCall) -> Result<Outcome, Unreadable> {
    let (code, answer) = read(sent)?;
    let Some(outcome) = code.outcome() else {
        let data = answer.object("data")?.ok_or_else(|| unreadable("the answer has no data"))?;
        check_echo(&data, call)?;
        return Ok(Outcome::Accepted(Box::new(ProviderRecord::new(verb.standing(&data)?))));
    };
    // What is no object (`null`, a text, an empty list) is not known to say anything.
    let data = answer.object("data").ok().flatten().unwrap_or_default();
    check_echo(&data, call)?;
    let says_that_nothing_moved = matches!(outcome, Outcome::Refused(_) | Outcome::Misconfigured(_));
    if says_that_nothing_moved && statuses::status(&data)?.is_some() && verb.standing(&data)? != Standing::Failed {
        return Err(Unreadable(format!("{}, with a status that contradicts it", code.text())));
    }
    Ok(outcome)
}

/// The document promises no echo. Where there is one, it must be ours.
fn check_echo(data: &Fields, call: &MoneyCall) -> Result<(), Unreadable> {
    match data.id("request_id")? {
        Some(echo) if echo != call.trade_id.as_str() => Err(unreadable("the answer is about another request_id")),
        Some(_) | None => Ok(()),
    }
}

/// Reads the answer to the question where a user is to send coins, as the offer of a deposit.
pub fn offer(sent: &Sent, call: &MoneyCall, user: &str) -> Outcome {
    read_offer(sent, call, user).unwrap_or_else(|unreadable| Outcome::Unknown(unreadable.0))
}

fn read_offer(sent: &Sent, call: &MoneyCall, user: &str) -> Result<Outcome, Unreadable> {
    let (code, answer) = read(sent)?;
    match code.outcome() {
        None => {
            let address = users::read_address(&answer, user)?;
            let coin = call.provider_coin_id.clone();
            let next_action = NextAction::SendToAddress { address, coin, amount: call.amount, memo: None };
            let user = Some(user.to_owned());
            Ok(Outcome::Accepted(Box::new(ProviderRecord {
                user,
                next_action: Some(next_action),
                ..ProviderRecord::new(Standing::Awaiting)
            })))
        }
        // The question carries no request_id: nothing of ours can be there already.
        Some(Outcome::Duplicate(_)) => Err(Unreadable(code.text())),
        Some(outcome) => Ok(outcome),
    }
}

/// Reads what a notice is about: a form, or a JSON object; its own bytes tell which. A notice of a
/// withdrawal has our `request_id` beside Hicoin's `id`, which is of another sequence than those of
/// deposits.
///
/// # Errors
/// Says what is missing or cannot be read.
pub fn subject(body: &[u8]) -> Result<Subject, Unreadable> {
    let is_json = body.trim_ascii_start().first().is_some_and(|byte| matches!(byte, b'{' | b'['));
    let fields = if is_json { Fields::from_json(body)? } else { Fields::from_form(body)? };
    if let Some(request_id) = fields.id("request_id")? {
        return TradeId::parse(&request_id).map(Subject::Order).map_err(|_| unreadable("request_id is none of ours"));
    }
    fields.integer("id")?.map(Subject::Incoming).ok_or_else(|| unreadable("the notice has neither request_id nor id"))
}

/// Reads an answer that must have come with HTTP 200: its code, and all its fields.
fn read(sent: &Sent) -> Result<(Code, Fields), Unreadable> {
    if sent.status != 200 {
        return Err(Unreadable(format!("HTTP {}", sent.status)));
    }
    let answer = Fields::from_json(&sent.body)?;
    let code = answer.integer("code")?.ok_or_else(|| unreadable("the answer has no code"))?;
    Ok((Code::from_number(code), answer))
}

/// Reads an answer to a call that moves nothing; only one with code 0 answers.
fn read_answer(sent: &Sent) -> Result<Fields, AskError> {
    let (code, answer) = read(sent).map_err(unavailable)?;
    match code.ask_error() {
        None => Ok(answer),
        Some(error) => Err(error),
    }
}

fn unavailable(unreadable: Unreadable) -> AskError {
    AskError::Unavailable(unreadable.0)
}

fn unreadable(why: &str) -> Unreadable {
    Unreadable(why.to_owned())
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
