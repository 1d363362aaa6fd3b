//! The real binary, as the operator runs it: processes that are killed, paused, stopped and restarted at the worst
//! moments, and every command of the command line. Postgres and FOMO are private to this target; the processes are
//! others than the test's own, so that waiting means looking again and again until a deadline.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod command_line;
mod house;
mod kill;
mod logs;
mod pause;
mod program;
mod stop;
