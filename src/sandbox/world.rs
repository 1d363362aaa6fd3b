//! What all simulated providers share: one clock, one set of faults, one set of books, one outbox.

use std::sync::{Arc, Mutex};

use tokio::runtime::Handle;

use super::books::Books;
use super::callbacks::{Automatic, Outbox};
use super::clock::Clock;
use super::faults::{Faults, Gate};

/// The ground on which the providers stand.
pub(super) struct World {
    pub(super) clock: Clock,
    pub(super) faults: Arc<Faults>,
    pub(super) gate: Gate,
    pub(super) books: Mutex<Books>,
    pub(super) outbox: Arc<Outbox>,
    /// Calls run here, detached from their connections: a real provider does not stop because a caller hangs up.
    pub(super) runtime: Handle,
}

impl World {
    pub(super) fn new(client: reqwest::Client, runtime: Handle, automatic: Option<Automatic>) -> Arc<Self> {
        let faults = Arc::new(Faults::none());
        Arc::new(Self {
            clock: Clock::real(),
            gate: Gate::new(),
            books: Mutex::new(Books::default()),
            outbox: Outbox::new(client, Arc::clone(&faults), automatic),
            faults,
            runtime,
        })
    }
}

/// An unguessable token of 32 hex digits.
#[expect(clippy::expect_used, reason = "without randomness there is nothing to simulate")]
pub(super) fn fresh_token() -> String {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    hex::encode(bytes)
}
