//! The gateway as its users meet it: over real HTTP, on a real Postgres, with FOMO simulated from its
//! document. Time stands still until a test moves it, and workers step when a test says so.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

#[path = "../checker/mod.rs"]
mod checker;
#[path = "../databases/mod.rs"]
mod databases;

mod audit;
mod auth;
mod bad_input;
mod browser;
mod callbacks;
mod conclusions;
mod connections;
mod customers;
mod evidence;
mod gates;
mod harness;
mod hicoin;
mod idempotency;
mod incoming;
mod links;
mod lists;
mod matrix;
mod orders;
mod reconciliation;
mod recovery;
mod shapes;
mod statement;
mod verify;
mod webhooks;
mod youliao;
