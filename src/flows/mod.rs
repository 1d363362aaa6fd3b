//! The hall: one file for each verb, plain functions over a [`Context`].
//!
//! A money call is three separate acts: claim (commit the attempt), act (HTTP, holding neither a
//! transaction nor a connection), record (through [`settle`], the only writer of an order's status).

pub mod act;
pub mod attribute;
pub mod audit;
pub mod authorization;
pub mod browser;
pub mod callback;
pub mod capability;
pub mod coins;
pub mod create;
pub mod customer;
pub mod deliver;
pub mod delivery;
pub mod discrepancy;
pub mod endpoint;
pub mod error;
pub mod events;
pub mod evidence;
pub mod feed;
pub mod forget;
pub mod link;
pub mod look;
pub mod notice;
mod page;
pub mod poll;
pub mod read;
pub mod receipt;
pub mod reconcile;
pub mod retention;
pub mod settle;
pub mod setup;
pub mod statement;
pub mod submit;
pub mod tenant;
pub mod time;
pub mod verify;
pub mod web;
pub mod work;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::domain::agenda::Timing;
use crate::domain::clock::Clock;
use crate::providers::http::ProviderHttp;
use crate::store::Db;
use crate::vault::Vault;
use crate::webhooks::{Networks, Sender};

/// What every flow works with. Cheap to share.
#[derive(Debug)]
pub struct Context {
    /// The orders.
    pub db: Db,
    /// The present.
    pub clock: Clock,
    /// The keys.
    pub vault: Vault,
    /// How long things take.
    pub timing: Timing,
    /// How long events and their deliveries are kept at the least. Absent: for ever.
    pub keep_events: Option<Duration>,
    /// How long raw inputs from outside are kept. Absent: for ever.
    pub keep_raw_inputs: Option<Duration>,
    /// Where providers and browsers reach us; ends with `/`.
    pub public_url: Url,
    /// The way to the providers.
    pub http: ProviderHttp,
    /// The way to the merchants.
    pub sender: Sender,
    /// When and how both sides are compared.
    pub reconciliation: reconcile::Habits,
    /// Networks where merchants may be although they are not on the internet.
    pub allowed: Networks,
    /// Merchants and keys, remembered for a short time.
    pub tenants: tenant::Tenants,
    /// Links whose tokens this process is refreshing.
    pub refreshing: link::Refreshing,
    /// Wakes the workers of this process before their period is over.
    pub wake: Wake,
    /// What must be finished before the process may end.
    pub tasks: TaskTracker,
}

/// Wakes the workers of this process.
#[derive(Clone, Debug, Default)]
pub struct Wake {
    /// An order waits to be sent.
    pub submit: Arc<Notify>,
    /// A claim waits for its proof.
    pub look: Arc<Notify>,
    /// A provider gave notice of an order.
    pub poll: Arc<Notify>,
    /// A provider gave notice of incoming money.
    pub feed: Arc<Notify>,
    /// Something happened that merchants may want to be told.
    pub deliver: Arc<Notify>,
}
