//! The reading of answers about users: who they are, what they own, and where they can be paid.

use serde_json::Value;

use super::{Code, read_answer, unavailable, unreadable};
use crate::domain::report;
use crate::providers::http::Sent;
use crate::providers::reading::{Fields, Unreadable, without_secrets};
use crate::providers::{AskError, Balance, Contact, Profile};

/// Reads `createUser` or `registerEmail` (`hicoin-openapi.rst`, sections 4.1 and 4.2): the user's id.
pub fn registered(sent: &Sent) -> Result<String, AskError> {
    let user = data(&read_answer(sent)?).and_then(|data| data.id("uid"));
    user.and_then(|user| user.ok_or_else(|| unreadable("the answer has no uid"))).map_err(unavailable)
}

/// Whether a refusal to register somebody may mean that they are registered. The document has a code
/// for that of a mobile number only, and none for an e-mail address.
pub fn may_be_known(contact: &Contact, refusal: &report::Code) -> bool {
    match contact {
        Contact::Mobile { .. } => refusal.code == Code::MobileTaken.name(),
        Contact::Email(_) => true,
    }
}

/// Reads `info` (`hicoin-openapi.rst`, section 4.3); `None` where it tells of nobody.
pub fn profile(sent: &Sent) -> Result<Option<Profile>, AskError> {
    let data = data(&read_answer(sent)?).map_err(unavailable)?;
    let user = data.id("uid").map_err(unavailable)?;
    Ok(user.map(|provider_user| Profile { provider_user, details: without_secrets(Value::Object(data.into_map())) }))
}

/// Reads `getByUidAndSymbol` (`hicoin-openapi.rst`, section 4.4).
pub fn balance(sent: &Sent, provider_coin_id: &str) -> Result<Balance, AskError> {
    let answer = read_answer(sent)?;
    data(&answer).and_then(|data| read_balance(&data, provider_coin_id.to_owned())).map_err(unavailable)
}

/// Reads `getAllAccount` (`hicoin-openapi.rst`, section 4.5). One balance that cannot be read makes
/// all of it unreadable: what is missing would pass for nothing.
pub fn balances(sent: &Sent) -> Result<Vec<Balance>, AskError> {
    let answer = read_answer(sent)?;
    let accounts = answer.entries("data").map_err(unavailable)?;
    accounts.iter().map(read_account).collect::<Result<_, _>>().map_err(unavailable)
}

fn read_account(account: &Value) -> Result<Balance, Unreadable> {
    let fields = Fields::of(account.clone()).map_err(|_| unreadable("an account of the list cannot be read"))?;
    let coin = fields.id("symbol")?.ok_or_else(|| unreadable("symbol is missing"))?;
    read_balance(&fields, coin)
}

fn read_balance(fields: &Fields, provider_coin_id: String) -> Result<Balance, Unreadable> {
    if fields.id("symbol")?.is_some_and(|symbol| symbol != provider_coin_id) {
        return Err(unreadable("the answer is about another symbol"));
    }
    Ok(Balance {
        provider_coin_id,
        available: fields.amount("normal_balance")?.ok_or_else(|| unreadable("normal_balance is missing"))?,
        locked: fields.amount("lock_balance")?.ok_or_else(|| unreadable("lock_balance is missing"))?,
    })
}

/// Reads `getDepositAddress` (`hicoin-openapi.rst`, section 4.6).
pub fn address(sent: &Sent, user: &str) -> Result<String, AskError> {
    read_address(&read_answer(sent)?, user).map_err(unavailable)
}

pub(super) fn read_address(answer: &Fields, user: &str) -> Result<String, Unreadable> {
    let data = data(answer)?;
    if data.id("uid")?.is_some_and(|echo| echo != user.trim()) {
        return Err(unreadable("the answer is about another uid"));
    }
    data.id("address")?.ok_or_else(|| unreadable("the answer has no address"))
}

/// What an answer says of one user. Without `data` it says nothing.
fn data(answer: &Fields) -> Result<Fields, Unreadable> {
    Ok(answer.object("data")?.unwrap_or_default())
}
