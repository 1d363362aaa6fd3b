//! The floor of the house: what the words mean and what may follow what.
//!
//! Everything here is pure: no I/O, no async, no clock reads (the [`clock`] is a value that others
//! are handed). [`status`] is the whole state machine; [`report`] is the one form that every answer
//! takes, whichever way it came; [`hearing`] compares a report with the order and says what follows;
//! [`agenda`] says what to do next and when.

pub mod account;
pub mod agenda;
pub mod audit;
pub mod authorization;
pub mod claim;
pub mod clock;
pub mod coin;
pub mod contact;
pub mod delivery;
pub mod event;
pub mod feed;
pub mod finding;
pub mod hearing;
pub mod ids;
pub mod law;
pub mod money;
pub mod month;
pub mod order;
pub mod receipt;
pub mod reconciliation;
pub mod recovery;
pub mod report;
pub mod statement;
pub mod status;
pub mod wanted;

#[cfg(test)]
mod models;
