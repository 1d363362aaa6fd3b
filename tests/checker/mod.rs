//! The one checker of all tests and campaigns: whether the promise was kept.
//!
//! It judges from outside first: from the wallet's own books and log (`books`), from what the client was told (`history`), from
//! what the merchant's endpoint received (`told`); and from our own database last (`tillgate::flows::verify`), which could be
//! wrong in the same way as the program. What it finds are values with the name of what was broken, so that a campaign can
//! print them, and a planted mistake can be asked which law caught it.

#![allow(dead_code, reason = "each suite uses a part of it")]

pub mod books;
pub mod history;
pub mod ours;
pub mod told;

use std::fmt;
use std::time::Duration;

use secrecy::SecretString;
use tillgate::domain::law;
use tillgate::flows::verify::{self, Wish};
use tillgate::store::{Db, Limits};
use time::OffsetDateTime;

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The invariant of `docs/RELIABILITY.md` that is broken.
    pub invariant: &'static str,
    /// What of it, in one word.
    pub law: String,
    /// What it is about: an order by its `trade_id`, an event, a movement.
    pub about: String,
    /// What was found.
    pub found: String,
}

impl Breach {
    pub fn new(invariant: &'static str, law: &str, about: &str, found: impl Into<String>) -> Self {
        Self { invariant, law: law.to_owned(), about: about.to_owned(), found: found.into() }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}: {}: {}", self.invariant, self.law, self.about, self.found)
    }
}

impl From<law::Breach> for Breach {
    fn from(breach: law::Breach) -> Self {
        Self::new(breach.law.invariant(), breach.law.into(), format!("{} {}", breach.merchant, breach.about).trim(), breach.found)
    }
}

const PATIENCE: Duration = Duration::from_secs(60);

/// What our own database says: `tillgate verify`, in a list. `stuck_before`: what was due before then is stuck, if it is asked.
pub async fn database(url: &str, stuck_before: Option<OffsetDateTime>) -> Vec<Breach> {
    let db = Db::open(&SecretString::from(url.to_owned()), Limits { connections: 2, acquire: PATIENCE, statement: PATIENCE })
        .expect("an address");
    let found = verify::breaches(&db, &Wish { merchant: None, stuck_before }).await.expect("the database can be read");
    db.close().await;
    found.into_iter().map(Breach::from).collect()
}

/// Fails a test that broke something, and says all that it broke.
#[track_caller]
pub fn nothing_is_broken(breaches: &[Breach]) {
    let all: Vec<String> = breaches.iter().map(ToString::to_string).collect();
    assert!(all.is_empty(), "broken:\n  {}", all.join("\n  "));
}
