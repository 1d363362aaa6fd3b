//! Errors, as the API shows them: RFC 9457 problem details with a stable `code`.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use super::request_id;
use crate::flows::error::{FieldError, FlowError};

/// A problem (RFC 9457).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: `code` tells problems apart.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    pub problem_type: &'static str,
    /// The HTTP status in words.
    #[schema(example = "Unprocessable Entity")]
    pub title: String,
    /// The HTTP status.
    #[schema(example = 422)]
    pub status: u16,
    /// Stable: programs may rely on it.
    #[schema(example = "validation_failed")]
    pub code: String,
    /// What is wrong and what to do about it.
    pub detail: String,
    /// Names this request in the logs.
    pub request_id: String,
    /// What is wrong with which field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

impl Problem {
    /// A problem.
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            problem_type: "about:blank",
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            code: code.to_owned(),
            detail: detail.into(),
            request_id: request_id::current(),
            errors: Vec::new(),
        }
    }

    /// A mistake of ours: says nothing of the inside, which is in the log.
    pub fn internal(error: &dyn fmt::Display) -> Self {
        tracing::error!(%error, "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong on our side. Repeating the request is safe.")
    }
}

impl From<FlowError> for Problem {
    fn from(error: FlowError) -> Self {
        match error {
            FlowError::NotFound(what) => Self::new(StatusCode::NOT_FOUND, "not_found", format!("There is no such {what}.")),
            FlowError::Conflict { code, detail } => Self::new(StatusCode::CONFLICT, code, detail),
            FlowError::Invalid(errors) => invalid(errors),
            FlowError::ProviderUnavailable(why) => {
                tracing::warn!(why, "the provider is not available");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable", "The provider cannot be asked now. Try again later.")
            }
            FlowError::Unavailable(error) => {
                tracing::error!(error, "the database is not available");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "unavailable",
                    "Nothing could be stored or read now. Repeating the request is safe.",
                )
            }
            FlowError::Internal(error) => Self::internal(&error),
        }
    }
}

fn invalid(errors: Vec<FieldError>) -> Problem {
    // A single business reason is the problem's own code; malformed fields share one.
    let single = errors.first().filter(|first| errors.len() == 1 && first.code != "invalid");
    let code = single.map_or("validation_failed", |error| error.code);
    let fields: Vec<String> = errors.iter().map(|error| format!("{} {}", error.pointer, error.detail).trim_start().to_owned()).collect();
    Problem { errors, ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, fields.join("; ")) }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.status, self.code)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.insert_header((CONTENT_TYPE, "application/problem+json"));
        match self.status_code() {
            StatusCode::UNAUTHORIZED => _ = response.insert_header((WWW_AUTHENTICATE, "Bearer")),
            StatusCode::SERVICE_UNAVAILABLE => _ = response.insert_header((RETRY_AFTER, "1")),
            _ => {}
        }
        response.body(serde_json::to_string(self).unwrap_or_default())
    }
}
