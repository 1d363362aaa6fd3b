//! Reading what callers send: bounded in size and time, unknown fields refused, every wrong field named.

use std::fmt::Display;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::problem::Problem;
use super::shape;
use crate::flows::error::{FieldError, FlowError};

/// No body is larger.
const LIMIT: usize = 64 * 1024;
/// No body takes longer to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a caller sent, or why it cannot be read. That is said when a handler asks for it and not
/// before: who may not ask at all is told nothing of what else is wrong.
#[derive(Debug)]
pub struct Asked<T>(Result<(T, Fields), Problem>);

impl<T> Asked<T> {
    /// Reads it. What is wrong with the form of its fields is noted already.
    pub fn read<R>(self, read: impl FnOnce(T, Fields) -> Result<R, FlowError>) -> Result<R, Problem> {
        let (value, fields) = self.0?;
        Ok(read(value, fields)?)
    }
}

impl<T: DeserializeOwned> Asked<T> {
    fn new(value: &Value, repeated: &[String], place: impl Fn(&str) -> String) -> Self {
        let (read, notes) = shape::read(value);
        let mut fields = Fields::default();
        repeated.iter().for_each(|pointer| fields.note(&place(pointer), "invalid", "is there twice"));
        notes.iter().for_each(|note| fields.note(&place(&note.pointer), note.code, &note.detail));
        Self(match read {
            Some(value) => Ok((value, fields)),
            None => Err(FlowError::Invalid(fields.errors).into()),
        })
    }
}

/// A JSON body: 400 if it is no JSON, 422 (with pointers) if it is not what was asked for.
#[derive(Debug)]
pub struct Json<T>(pub Asked<T>);

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(_: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let payload = payload.take();
        Box::pin(async move { Ok(Self(read(payload).await.map_or_else(|problem| Asked(Err(problem)), |body| parse(&body)))) })
    }
}

/// A body, whatever it is.
#[derive(Debug)]
pub struct Raw(pub Bytes);

impl FromRequest for Raw {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(_: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let payload = payload.take();
        Box::pin(async move { read(payload).await.map(Self) })
    }
}

/// The query of a list: 422 (with names) if it is not what was asked for.
#[derive(Debug)]
pub struct Query<T>(pub Asked<T>);

impl<T: DeserializeOwned + 'static> FromRequest for Query<T> {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut parameters = Map::new();
        let mut repeated = Vec::new();
        for (name, value) in url::form_urlencoded::parse(request.query_string().as_bytes()) {
            if parameters.insert(name.to_string(), Value::from(value)).is_some() {
                repeated.push(name.to_string());
            }
        }
        std::future::ready(Ok(Self(Asked::new(&Value::Object(parameters), &repeated, |pointer| {
            pointer.trim_start_matches('/').to_owned()
        }))))
    }
}

/// An error about a field of an order, in the words of a query.
pub fn of_query(error: FlowError) -> FlowError {
    let named = |error: FieldError| FieldError { pointer: error.pointer.trim_start_matches('/').to_owned(), ..error };
    match error {
        FlowError::Invalid(errors) => FlowError::Invalid(errors.into_iter().map(named).collect()),
        other => other,
    }
}

async fn read(payload: Payload) -> Result<Bytes, Problem> {
    let all = async {
        let mut payload = payload;
        let mut body = web::BytesMut::new();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "body_unreadable", "The body could not be read."))?;
            if body.len() + chunk.len() > LIMIT {
                return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "A body may have at most 65536 bytes."));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    };
    let late = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", "The body did not arrive within 10 seconds.");
    tokio::time::timeout(PATIENCE, all).await.map_err(late)?
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Asked<T> {
    match serde_json::from_slice(body) {
        Ok(value) => Asked::new(&value, &shape::repeated(body), str::to_owned),
        Err(error) => Asked(Err(Problem::new(StatusCode::BAD_REQUEST, "malformed_json", format!("The body is no JSON: {error}.")))),
    }
}

/// Reads fields one after the other and names every one that is wrong.
#[derive(Debug, Default)]
pub struct Fields {
    errors: Vec<FieldError>,
}

impl Fields {
    /// The value, or a note that it is wrong.
    pub fn read<T, E: Display>(&mut self, pointer: &str, value: Result<T, E>) -> Option<T> {
        value.map_err(|error| self.note(pointer, "invalid", &error.to_string())).ok()
    }

    /// Notes that a field is wrong unless it is as it should be.
    pub fn check(&mut self, pointer: &str, fine: bool, detail: &str) {
        if !fine {
            self.note(pointer, "invalid", detail);
        }
    }

    /// Once it is known that a field is wrong, what else follows from it is no news.
    fn note(&mut self, pointer: &str, code: &'static str, detail: &str) {
        let covers =
            |noted: &FieldError| pointer.strip_prefix(&*noted.pointer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if !self.errors.iter().any(covers) {
            self.errors.push(FieldError::new(pointer, code, detail));
        }
    }

    /// All that was read, or all that is wrong.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, FlowError> {
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            _ => Err(FlowError::Invalid(self.errors)),
        }
    }
}

/// A short text without control characters.
pub fn short_text(text: &str) -> Result<String, &'static str> {
    let length = text.chars().count();
    if !(1..=128).contains(&length) || text.trim() != text || text.chars().any(char::is_control) {
        return Err("must be 1 to 128 characters without control characters or blanks at its ends");
    }
    Ok(text.to_owned())
}

/// How deep notes may be nested. Whoever reads them within an event or a page of orders stops at 127 levels.
const DEEPEST: usize = 64;

/// Notes of the merchant: an object of at most 8 KiB, not too deep, without NUL characters (no statement could take them).
pub fn metadata(value: Option<Value>) -> Result<Option<Value>, &'static str> {
    let Some(value) = value else { return Ok(None) };
    if !value.is_object() {
        return Err("must be an object");
    }
    let text = value.to_string();
    if text.len() > 8192 {
        return Err("must have at most 8192 bytes as JSON");
    }
    if depth(&value) > DEEPEST {
        return Err("must be nested at most 64 levels deep");
    }
    if has_nul(&value) {
        return Err("must not contain NUL characters");
    }
    Ok(Some(value))
}

/// Levels of lists and objects.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or_default(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
