//! Tolerant reading of what providers send: one place, for all adapters.
//!
//! The providers' services disagree with their documents about types and spelling, so that a number
//! may come as a text, a key with a trailing blank and an object inside a list. Every reader here
//! keeps apart what matters where money moves: a field that is *absent* (`Ok(None)`: missing, `null`
//! or an empty text) and one that is there and *cannot be read* (an error). The second must never
//! pass for the first, for what is absent is not compared.

use secrecy::SecretString;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::domain::money::Amount;

/// Longest id of anything that is believed.
const MAX_ID: usize = 128;
/// Longest token that is believed.
const MAX_TOKEN: usize = 8192;

/// What cannot be read, in words of ours: nothing of the answer is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

impl Unreadable {
    fn field(name: &str) -> Self {
        Self(format!("{name} cannot be read"))
    }
}

/// The fields of one object, by their trimmed names.
#[derive(Clone, Default)]
pub struct Fields(Map<String, Value>);

impl Fields {
    /// Reads a JSON object.
    ///
    /// # Errors
    /// Where it is empty, no (complete) JSON, no object, or says two things under one name.
    pub fn from_json(body: &[u8]) -> Result<Self, Unreadable> {
        if body.trim_ascii().is_empty() {
            return Err(Unreadable("the answer is empty".to_owned()));
        }
        let value: Value = serde_json::from_slice(body).map_err(|_| Unreadable("the answer is not JSON, or cut".to_owned()))?;
        Self::of(value)
    }

    /// Takes an object that was read already.
    ///
    /// # Errors
    /// Where it is no object, or says two things under one name.
    pub fn of(value: Value) -> Result<Self, Unreadable> {
        match value {
            Value::Object(map) => Self::from_pairs(map),
            _ => Err(Unreadable("the answer is no JSON object".to_owned())),
        }
    }

    /// Reads a form (`application/x-www-form-urlencoded`).
    ///
    /// # Errors
    /// Where it says two things under one name.
    pub fn from_form(body: &[u8]) -> Result<Self, Unreadable> {
        Self::from_pairs(url::form_urlencoded::parse(body).map(|(name, text)| (name, Value::String(text.into_owned()))))
    }

    fn from_pairs<N: AsRef<str>>(pairs: impl IntoIterator<Item = (N, Value)>) -> Result<Self, Unreadable> {
        let mut map = Map::new();
        for (name, value) in pairs {
            let name = name.as_ref().trim();
            if map.get(name).is_some_and(|known| *known != value) {
                return Err(Unreadable("one field is there twice, with two values".to_owned()));
            }
            map.insert(name.to_owned(), value);
        }
        Ok(Self(map))
    }

    /// The fields as they came, but for their names' blanks.
    pub fn into_map(self) -> Map<String, Value> {
        self.0
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| match value {
            Value::Null => false,
            Value::String(text) => !text.trim().is_empty(),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => true,
        })
    }

    fn read<T>(&self, name: &str, reader: impl Fn(&Value) -> Option<T>) -> Result<Option<T>, Unreadable> {
        self.get(name).map(|value| reader(value).ok_or_else(|| Unreadable::field(name))).transpose()
    }

    /// An object, or a list of one object. An empty list and `false` (PHP's nothing) are absent.
    ///
    /// # Errors
    /// Where it is anything else.
    pub fn object(&self, name: &str) -> Result<Option<Self>, Unreadable> {
        let one = match self.get(name) {
            None | Some(Value::Bool(false)) => return Ok(None),
            Some(Value::Array(list)) => match list.as_slice() {
                [] => return Ok(None),
                [one] => one,
                [_, _, ..] => return Err(Unreadable::field(name)),
            },
            Some(other) => other,
        };
        let map = one.as_object().ok_or_else(|| Unreadable::field(name))?;
        Self::from_pairs(map.clone()).map(Some)
    }

    /// A list of values.
    ///
    /// # Errors
    /// Where it is anything else.
    pub fn list(&self, name: &str) -> Result<Option<&[Value]>, Unreadable> {
        self.get(name).map(|value| value.as_array().map(Vec::as_slice).ok_or_else(|| Unreadable::field(name))).transpose()
    }

    /// A list that must be there, so that what is not in it is known not to be in it. `null` is a list
    /// of nothing, as services print it that found nothing.
    ///
    /// # Errors
    /// Where it is missing, or anything else.
    pub fn entries(&self, name: &str) -> Result<&[Value], Unreadable> {
        match self.0.get(name) {
            Some(Value::Array(list)) => Ok(list),
            Some(Value::Null) => Ok(&[]),
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => Err(Unreadable::field(name)),
            None => Err(Unreadable(format!("the answer has no {name}"))),
        }
    }

    /// An id: text or number, up to 128 characters, none of them a control character.
    ///
    /// # Errors
    /// Where it is anything else.
    pub fn id(&self, name: &str) -> Result<Option<String>, Unreadable> {
        self.read(name, |value| text(value).filter(|id| id.chars().count() <= MAX_ID && !id.chars().any(char::is_control)))
    }

    /// The first of these ids that is there.
    ///
    /// # Errors
    /// Where that one cannot be read.
    pub fn first_id(&self, names: &[&str]) -> Result<Option<String>, Unreadable> {
        names.iter().find_map(|name| self.id(name).transpose()).transpose()
    }

    /// A whole number, also as a text.
    ///
    /// # Errors
    /// Where it is anything else, or out of range.
    pub fn integer(&self, name: &str) -> Result<Option<i64>, Unreadable> {
        self.read(name, |value| text(value)?.parse().ok())
    }

    /// Yes or no: a boolean, 1 or 0, also as a text.
    ///
    /// # Errors
    /// Where it is anything else.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Unreadable> {
        self.read(name, |value| match value {
            Value::Bool(flag) => Some(*flag),
            other => match text(other)?.to_ascii_lowercase().as_str() {
                "true" | "1" => Some(true),
                "false" | "0" => Some(false),
                _ => None,
            },
        })
    }

    /// An amount, from its text or from the literal text of a number.
    ///
    /// # Errors
    /// Where it is no amount.
    pub fn amount(&self, name: &str) -> Result<Option<Amount>, Unreadable> {
        self.read(name, |value| Amount::parse_provider(&text(value)?).ok())
    }

    /// A time in epoch milliseconds, as a number or a text.
    ///
    /// # Errors
    /// Where it is no time.
    pub fn millis(&self, name: &str) -> Result<Option<OffsetDateTime>, Unreadable> {
        self.read(name, |value| {
            let millis: i64 = text(value)?.parse().ok()?;
            OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok()
        })
    }

    /// A token: visible ASCII, so that it fits into a header.
    ///
    /// # Errors
    /// Where it is anything else.
    pub fn token(&self, name: &str) -> Result<Option<SecretString>, Unreadable> {
        self.read(name, |value| {
            let token = value.as_str()?.trim();
            let fits = token.len() <= MAX_TOKEN && token.bytes().all(|byte| byte.is_ascii_graphic());
            fits.then(|| SecretString::from(token))
        })
    }
}

/// A text, trimmed, or the literal text of a number.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// What a provider tells of a person, fit to be stored: without anything that looks like a
/// credential, and without the zero characters that Postgres refuses.
pub fn without_secrets(value: Value) -> Value {
    const SECRETS: [&str; 5] = ["token", "secret", "pwd", "password", "session"];
    match value {
        Value::Object(map) => map
            .into_iter()
            .filter(|(name, _)| !SECRETS.iter().any(|secret| name.to_ascii_lowercase().contains(secret)))
            .map(|(name, value)| (name.replace('\0', ""), without_secrets(value)))
            .collect(),
        Value::Array(list) => list.into_iter().map(without_secrets).collect(),
        Value::String(text) => Value::String(text.replace('\0', "")),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other,
    }
}

#[cfg(test)]
#[path = "reading_tests.rs"]
pub mod tests;
