//! The lanes: each measures one thing in a house of its own.

mod callback;
mod create;
mod growth;
mod life;
mod process;
mod provider;
mod read;
mod webhooks;

use std::pin::Pin;

use crate::report::Lane;
use crate::rig::Rig;

/// A lane under way.
pub type Running<'r> = Pin<Box<dyn Future<Output = anyhow::Result<Lane>> + 'r>>;

/// Runs a lane.
pub type Run = for<'r> fn(&'r Rig) -> Running<'r>;

/// All lanes by name, in the order in which they run.
pub const ALL: &[(&str, Run)] = &[
    ("payout", |rig| Box::pin(create::payout(rig))),
    ("deposit", |rig| Box::pin(create::deposit(rig))),
    ("callback", |rig| Box::pin(callback::fresh(rig))),
    ("repeated", |rig| Box::pin(callback::repeated(rig))),
    ("burst", |rig| Box::pin(callback::burst(rig))),
    ("get", |rig| Box::pin(read::get(rig))),
    ("list", |rig| Box::pin(read::list(rig))),
    ("poll", |rig| Box::pin(provider::poll(rig))),
    ("feed", |rig| Box::pin(provider::feed(rig))),
    ("webhooks", |rig| Box::pin(webhooks::webhooks(rig))),
    ("hang", |rig| Box::pin(webhooks::hang(rig))),
    ("outbox", |rig| Box::pin(webhooks::outbox(rig))),
    ("life", |rig| Box::pin(life::life(rig))),
    ("latency", |rig| Box::pin(process::latency(rig))),
    ("memory", |rig| Box::pin(process::memory_in_flight(rig))),
    ("restart", |rig| Box::pin(process::restart(rig))),
    ("instructions", |rig| Box::pin(process::instructions(rig))),
    ("merchants", |rig| Box::pin(life::merchants(rig))),
    ("replicas", |rig| Box::pin(life::replicas(rig))),
    ("growth", |rig| Box::pin(growth::growth(rig))),
];
