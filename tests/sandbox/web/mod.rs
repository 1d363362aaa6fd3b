//! FOMO's web flow, as a user's browser and a merchant's server see it.

mod authorize;
mod control;
mod faults;
mod harness;
mod pay;
mod payout;
