//! Where FOMO's page sends a browser: the outcome of a payment, in the query of an address (`fomo-web.txt`, part three).
//!
//! The query carries the user's token. What is kept of it is written anew, without the token.

use url::Url;
use url::form_urlencoded::Serializer;

use super::{Class, Code, Verb, unreadable};
use crate::domain::order::Direction;
use crate::domain::report::{Evidence, Outcome, ProviderRecord, Standing};
use crate::providers::http::{Sent, evidence};
use crate::providers::reading::{Fields, Unreadable};
use crate::providers::{Answer, MoneyCall, Returned};

/// What is kept of a query: everything that the document lists but the token.
const KEPT: [&str; 8] = ["status", "trade_id", "amount", "coin_id", "user_id", "client_id", "redirect_uri", "state"];

/// Reads the query that a customer's browser comes back with. It proves nothing.
///
/// # Errors
/// Says what is missing or cannot be read.
pub fn returned(query: &str, client_id: &str) -> Result<Returned, Unreadable> {
    let fields = Fields::from_form(query.as_bytes())?;
    if fields.id("client_id")?.is_some_and(|client| client != client_id) {
        return Err(unreadable("it is about another app"));
    }
    let standing = match fields.integer("status")?.map(Code::from_number) {
        Some(Code::Success) => Standing::Paid,
        Some(_) => Standing::Failed,
        None => return Err(unreadable("status is missing")),
    };
    let record = ProviderRecord { direction: Some(Direction::In), ..echo(&fields, standing)? };
    let said = [&record.trade_id, &record.coin, &record.user].iter().all(|field| field.is_some()) && record.amount.is_some();
    if !said {
        return Err(unreadable("it leaves out what has to agree with the order"));
    }
    Ok(Returned { record, evidence: kept(query) })
}

/// Reads what the page answers to our server: a redirect to our registered address whose query tells the outcome and repeats
/// what we sent. Anything else is unknown.
pub fn paid(sent: &Sent, call: &MoneyCall, user: &str, registered: Option<&Url>) -> Answer {
    let location = sent.location.as_deref().and_then(|text| Url::parse(text).ok());
    let query = location.as_ref().and_then(Url::query).unwrap_or_default();
    let read = location.as_ref().ok_or_else(|| Unreadable(format!("HTTP {} without a redirect", sent.status)));
    let outcome = read.and_then(|location| read_outcome(sent.status, location, query, call, user, registered));
    // Where there is no query, the page itself may say why. One that repeats the token is not kept.
    let told = |body: &[u8]| !String::from_utf8_lossy(body).contains("access_token");
    let evidence = match query.is_empty() {
        true if told(&sent.body) => sent.evidence(),
        true => evidence(b"a page that repeats the access token, and is not kept"),
        false => kept(query),
    };
    Answer { outcome: outcome.unwrap_or_else(|unreadable| Outcome::Unknown(unreadable.0)), evidence: Some(evidence) }
}

fn read_outcome(
    status: u16,
    location: &Url,
    query: &str,
    call: &MoneyCall,
    user: &str,
    registered: Option<&Url>,
) -> Result<Outcome, Unreadable> {
    let here = |url: &Url| (url.origin(), url.path().to_owned());
    if !(300..400).contains(&status) || registered.is_none_or(|registered| here(registered) != here(location)) {
        return Err(unreadable("the redirect does not lead to the registered address"));
    }
    let fields = Fields::from_form(query.as_bytes())?;
    let code = fields.integer("status")?.map(Code::from_number).ok_or_else(|| unreadable("the redirect has no status"))?;
    let record = echo(&fields, Standing::Paid)?;
    let repeated = record.trade_id.as_deref() == Some(call.trade_id.as_str())
        && record.amount == Some(call.amount)
        && record.coin.as_deref() == Some(&call.provider_coin_id)
        && record.user.as_deref() == Some(user);
    if !repeated {
        return Err(unreadable("the redirect does not repeat what was sent"));
    }
    Ok(match code.class(Verb::PayUser) {
        Class::Accepted => Outcome::Accepted(Box::new(ProviderRecord { direction: Some(Direction::Out), ..record })),
        Class::Duplicate => Outcome::Duplicate(None),
        Class::Refused => Outcome::Refused(code.report()),
        Class::Misconfigured => Outcome::Misconfigured(code.report()),
        Class::Unknown => return Err(Unreadable(format!("code {}: {}", code.number(), code.meaning()))),
    })
}

/// What both directions repeat.
fn echo(fields: &Fields, standing: Standing) -> Result<ProviderRecord, Unreadable> {
    Ok(ProviderRecord {
        trade_id: fields.id("trade_id")?,
        user: fields.id("user_id")?,
        coin: fields.id("coin_id")?,
        amount: fields.amount("amount")?,
        ..ProviderRecord::new(standing)
    })
}

/// A query without its token.
fn kept(query: &str) -> Evidence {
    let pairs = url::form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| KEPT.contains(&name.trim()));
    evidence(Serializer::new(String::new()).extend_pairs(pairs).finish().as_bytes())
}
