//! The hand that tells the merchant: signs an event, sends it, and refuses to send it where it could
//! do harm.
//!
//! A merchant says where his webhooks go, so that an address is somebody else's input: without care,
//! the gateway could be made to call its own database, or the cloud's metadata. [`check_url`] reads an
//! address when an endpoint is made; [`Sender`] judges what a name resolves to at the moment of
//! connecting, and connects to nothing else. Both ask [`Networks`].
//!
//! A delivery is the exact bytes of a body with the three headers of the [Standard
//! Webhooks](https://www.standardwebhooks.com) specification; [`sign`] makes the third of them.
//! [`diagnose`] is the other end: what a merchant's backend does with a request, and what is wrong
//! where it fails.
//!
//! When to send, in what order, and what follows from the answer is decided elsewhere.

mod failure;
mod networks;
mod resolver;
mod secret;
mod send;
mod signature;
mod target;
pub mod verify;

pub use failure::Failure;
pub use networks::Networks;
pub use secret::{Secret, SecretError};
pub use send::{Attempt, Outcome, Request, Sender, TOTAL_TIMEOUT};
pub use signature::sign;
pub use target::{UrlError, check_url};
pub use verify::{Finding, diagnose};

/// The header that names an event; the same each time that it is sent.
pub const ID: &str = "webhook-id";
/// The header that says when it was sent, in seconds since 1970.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// The header that proves where it comes from.
pub const SIGNATURE: &str = "webhook-signature";
