//! Hicoin's OAuth, as a user's browser and a merchant's server see it.

mod authorize;
mod control;
mod harness;
mod tokens;
