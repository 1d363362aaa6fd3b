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
use serde_json::Value;

use super::problem::Problem;
use crate::flows::error::{FieldError, FlowError};

/// No body is larger.
const LIMIT: usize = 64 * 1024;
/// No body takes longer to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// A JSON body: 400 if it is no JSON, 422 (with a pointer) if it is not what was asked for.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(_: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let payload = payload.take();
        Box::pin(async move { parse(&read(payload).await?).map(Self) })
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

/// The query of a list: 422 (with the name) if it is not what was asked for.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Query<T> {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let read = serde_urlencoded::from_str(request.query_string()).map(Self);
        std::future::ready(read.map_err(|error| FlowError::field("query", "invalid", error.to_string()).into()))
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

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let malformed = |error: &dyn Display| Problem::new(StatusCode::BAD_REQUEST, "malformed_json", format!("The body is no JSON: {error}."));
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value: T = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let inner = error.inner();
        if !inner.is_data() {
            return malformed(inner);
        }
        // What is wrong in form may still be followed by something that is no JSON at all.
        if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(body) {
            return malformed(&error);
        }
        FlowError::field(&pointer(error.path()), "invalid", plain(&inner.to_string())).into()
    })?;
    reader.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

/// A JSON pointer (RFC 6901) from the path at which reading stopped.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { variant } => format!("/{variant}"),
            Segment::Unknown => String::new(),
        })
        .collect()
}

/// Without the position, which means nothing to whoever made the body with a library.
fn plain(error: &str) -> String {
    error.split(" at line ").next().unwrap_or(error).to_owned()
}

/// Reads fields one after the other and names every one that is wrong.
#[derive(Debug, Default)]
pub struct Fields {
    errors: Vec<FieldError>,
}

impl Fields {
    /// The value, or a note that it is wrong.
    pub fn read<T, E: Display>(&mut self, pointer: &str, value: Result<T, E>) -> Option<T> {
        value.map_err(|error| self.errors.push(FieldError::new(pointer, "invalid", error.to_string()))).ok()
    }

    /// Notes that a field is wrong unless it is as it should be.
    pub fn check(&mut self, pointer: &str, fine: bool, detail: &str) {
        if !fine {
            self.errors.push(FieldError::new(pointer, "invalid", detail));
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

/// Notes of the merchant: an object of at most 8 KiB without NUL characters.
pub fn metadata(value: Option<Value>) -> Result<Option<Value>, &'static str> {
    let Some(value) = value else { return Ok(None) };
    if !value.is_object() {
        return Err("must be an object");
    }
    let text = value.to_string();
    if text.len() > 8192 {
        return Err("must have at most 8192 bytes as JSON");
    }
    if text.contains("\\u0000") {
        return Err("must not contain NUL characters");
    }
    Ok(Some(value))
}
