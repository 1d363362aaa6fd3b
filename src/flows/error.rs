//! What can go wrong in a flow, as the caller has to see it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::status::Refusal;
use crate::store::StoreError;
use crate::vault::VaultError;

/// Why a flow did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    /// There is no such thing, or it is another merchant's.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// What was asked does not fit the state of things.
    #[error("{detail}")]
    Conflict {
        /// Our stable code.
        code: &'static str,
        /// What to do about it.
        detail: String,
    },
    /// What was asked cannot be done as it stands.
    #[error("the request has {} wrong field(s)", .0.len())]
    Invalid(Vec<FieldError>),
    /// The provider cannot be asked now.
    #[error("the provider is not available: {0}")]
    ProviderUnavailable(String),
    /// The database cannot be used now: the same may work later.
    #[error("{0}")]
    Unavailable(String),
    /// Our own mistake.
    #[error("{0}")]
    Internal(String),
}

impl From<StoreError> for FlowError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::Unavailable(error.to_string()),
            StoreError::Refused(_) | StoreError::Unreadable(_) | StoreError::Schema(_) => Self::Internal(error.to_string()),
        }
    }
}

impl From<serde_json::Error> for FlowError {
    /// Of what we write and have written ourselves.
    fn from(error: serde_json::Error) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<VaultError> for FlowError {
    fn from(error: VaultError) -> Self {
        Self::Internal(error.to_string())
    }
}

/// A field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Where it is: a JSON pointer into the body, or the name of a query parameter.
    #[schema(example = "/amount")]
    pub pointer: String,
    /// Our stable code.
    #[schema(example = "invalid")]
    pub code: &'static str,
    /// What is wrong and what to do.
    #[schema(example = "must be greater than zero")]
    pub detail: String,
}

impl FieldError {
    /// A field error.
    pub fn new(pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code, detail: detail.into() }
    }
}

impl FlowError {
    /// An error about one field.
    pub fn field(pointer: &str, code: &'static str, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::new(pointer, code, detail)])
    }

    /// A conflict.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Conflict { code, detail: detail.into() }
    }
}

impl From<Refusal> for FlowError {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal {
            Refusal::Contradiction => "order_is_final",
            Refusal::TooLate => "too_late",
            Refusal::NotCancelable => "order_not_cancelable",
            Refusal::NotReviewable => "order_not_in_review",
            Refusal::NotClaimable => "order_not_sendable",
            Refusal::MightPayTwice => "might_pay_twice",
            Refusal::NeedsAnother => "second_operator_needed",
            Refusal::WrongKind => "wrong_kind",
        };
        Self::Conflict { code, detail: refusal.to_string() }
    }
}
