//! The sandbox over real HTTP, as a merchant sees it. Time is moved by hand; nothing sleeps.

mod callbacks;
mod checks;
mod control;
mod faults;
mod harness;
mod payments;
