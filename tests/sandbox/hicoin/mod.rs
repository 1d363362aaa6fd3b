//! Hicoin over real HTTP, as a merchant's backend sees it.

mod checks;
mod control;
mod deposits;
mod faults;
mod harness;
mod notices;
mod oauth;
mod styles;
mod transfers;
mod users;
mod withdrawals;
