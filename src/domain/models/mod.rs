//! Models: what the pure parts do over long histories, against the simplest account of what they must do.
//!
//! Each file has a world that is easy to believe (a wallet with books, a list with numbers, a merchant's receiver), a machine of
//! things that can happen in it in any order, and the real rules of the house, which are asked at every turn. Histories that
//! break a law are shortened until nothing can be left out.

mod feeds;
mod orders;
mod payouts;
mod receipts;
mod webhooks;
