//! The real binary, as the operator runs it: processes that are killed, paused, stopped and restarted at the worst
//! moments, and every command of the command line. Postgres and the wallets are private to this target; the processes are
//! others than the test's own, so that waiting means looking again and again until a deadline.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod campaign;
#[path = "../checker/mod.rs"]
mod checker;
#[path = "../databases/mod.rs"]
mod databases;

mod chaos;
mod clocks;
mod command_line;
mod database;
mod deliver;
mod eyes;
mod hicoin;
mod hook;
mod house;
mod kill;
mod kill_hicoin;
mod kill_incoming;
mod kill_webhooks;
mod languages;
mod law;
mod listen;
mod logs;
mod moments;
mod pause;
mod pause_hicoin;
mod pause_incoming;
mod pause_webhooks;
mod program;
mod proxy;
mod reconcile_command;
mod report_command;
mod rolling_webhooks;
mod silence;
mod stop;
mod talk;
mod told;
mod verify_command;
mod webhook_command;
