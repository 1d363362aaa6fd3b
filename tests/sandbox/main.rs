//! The sandbox over real HTTP, as a merchant sees it. Time is moved by hand; nothing sleeps.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod browser;
mod callbacks;
mod checks;
mod control;
mod faults;
mod harness;
mod hicoin;
mod payments;
mod web;
mod youliao;
