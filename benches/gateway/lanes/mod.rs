//! The lanes: each measures one thing in a house of its own.

mod callback;
mod create;
mod read;

use std::pin::Pin;

use crate::report::Lane;
use crate::rig::Rig;

/// A lane under way.
pub type Running<'r> = Pin<Box<dyn Future<Output = anyhow::Result<Lane>> + 'r>>;

/// All lanes by name, in the order in which they run.
pub const ALL: &[(&str, for<'r> fn(&'r Rig) -> Running<'r>)] = &[
    ("payout", |rig| Box::pin(create::payout(rig))),
    ("deposit", |rig| Box::pin(create::deposit(rig))),
    ("callback", |rig| Box::pin(callback::fresh(rig))),
    ("repeated", |rig| Box::pin(callback::repeated(rig))),
    ("burst", |rig| Box::pin(callback::burst(rig))),
    ("get", |rig| Box::pin(read::get(rig))),
    ("list", |rig| Box::pin(read::list(rig))),
];
