//! Callbacks on their way to merchants: an outbox that repeats each one until it is answered well, by itself on the
//! document's schedule or one round at a time by hand.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::clock::lock;
use super::faults::{CallbackFault, Faults};

/// More repetitions than any test needs, so that a slip in a control call does not eat the memory.
const MOST_REPETITIONS: u32 = 1000;
/// The last attempt (fomo-app.txt, section 四, note 4).
const LAST_ATTEMPT: u32 = 100;
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// The wait before an attempt, counted from 1: one second, then every minute up to the 5th, then every ten minutes up
/// to the 100th; `None` after that (fomo-app.txt, section 四, note 4).
pub fn delay_before(attempt: u32) -> Option<Duration> {
    match attempt {
        1 => Some(Duration::from_secs(1)),
        2..=5 => Some(Duration::from_secs(60)),
        6..=LAST_ATTEMPT => Some(Duration::from_secs(600)),
        _ => None,
    }
}

/// The fields of a callback, in the order in which they are sent.
pub(super) type Fields = Vec<(&'static str, String)>;

/// A callback as a provider hands it over.
#[derive(Clone)]
pub(super) struct Notice {
    pub(super) trade_id: String,
    pub(super) url: String,
    pub(super) fields: Fields,
    /// JSON instead of a form.
    pub(super) json: bool,
    /// The plain text that a 200 must carry to count; `None`: any.
    pub(super) expects: Option<&'static str>,
    /// How this provider's fields look under a fault.
    pub(super) spoil: fn(&mut Fields, &CallbackFault),
}

/// One delivery that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Delivered {
    /// The order that it was about.
    pub trade_id: String,
    /// The HTTP status that came back; 0 when no answer came.
    pub status_code: u16,
}

/// A callback that has not been answered yet as its provider wants it: 200, and the right text where one is named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PendingCallback {
    /// The order that it is about.
    pub trade_id: String,
    /// Where it goes.
    pub url: String,
    /// How often it has been tried.
    pub attempts: u32,
    /// What it says when no fault spoils it.
    pub fields: BTreeMap<&'static str, String>,
}

struct Pending {
    id: u64,
    attempts: u32,
    notice: Notice,
}

/// All callbacks that still have to arrive.
pub(super) struct Outbox {
    pending: Mutex<Vec<Pending>>,
    next_id: AtomicU64,
    client: reqwest::Client,
    faults: Arc<Faults>,
    /// `None` when a test steps deliveries by hand.
    automatic: Option<Automatic>,
}

/// What automatic delivery needs.
pub(super) struct Automatic {
    /// How many times faster than the document's schedule.
    pub(super) time_scale: u32,
    pub(super) runtime: Handle,
    pub(super) stop: CancellationToken,
}

impl Outbox {
    pub(super) fn new(client: reqwest::Client, faults: Arc<Faults>, automatic: Option<Automatic>) -> Arc<Self> {
        Arc::new(Self { pending: Mutex::new(Vec::new()), next_id: AtomicU64::new(1), client, faults, automatic })
    }

    /// Takes a callback over for delivery.
    pub(super) fn post(self: &Arc<Self>, notice: Notice) {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        lock(&self.pending).push(Pending { id, attempts: 0, notice });
        if let Some(automatic) = &self.automatic {
            let (outbox, scale) = (Arc::clone(self), automatic.time_scale.max(1));
            let stopped = automatic.stop.clone();
            automatic.runtime.spawn(async move {
                stopped.run_until_cancelled(outbox.retry(id, scale)).await;
            });
        }
    }

    /// Attempts one callback on schedule until it has arrived or is given up.
    async fn retry(&self, id: u64, scale: u32) {
        while let Some(attempt) = self.attempts(id).map(|done| done + 1) {
            let Some(wait) = delay_before(attempt) else {
                return;
            };
            tokio::time::sleep(wait / scale).await;
            self.attempt(id).await;
        }
    }

    fn attempts(&self, id: u64) -> Option<u32> {
        lock(&self.pending).iter().find(|pending| pending.id == id).map(|pending| pending.attempts)
    }

    pub(super) fn pending(&self) -> Vec<PendingCallback> {
        let view = |pending: &Pending| PendingCallback {
            trade_id: pending.notice.trade_id.clone(),
            url: pending.notice.url.clone(),
            attempts: pending.attempts,
            fields: pending.notice.fields.iter().cloned().collect(),
        };
        lock(&self.pending).iter().map(view).collect()
    }

    /// Attempts everything that is pending now, oldest first; `trade_id` narrows it to one order.
    pub(super) async fn deliver(&self, trade_id: Option<&str>) -> Vec<Delivered> {
        let fits = |pending: &&Pending| trade_id.is_none_or(|only| pending.notice.trade_id == only);
        let due: Vec<u64> = lock(&self.pending).iter().filter(fits).map(|pending| pending.id).collect();
        let mut delivered = Vec::new();
        for id in due {
            delivered.extend(self.attempt(id).await);
        }
        delivered
    }

    /// One attempt, under whatever fault is asked for. The callback stays pending unless an answer was right, it is to
    /// go missing, or this was the last attempt.
    async fn attempt(&self, id: u64) -> Vec<Delivered> {
        let Some(notice) = self.begin(id) else {
            return Vec::new();
        };
        let fault = self.faults.take_callback(&notice.trade_id);
        let versions = versions(&notice, fault.as_ref());
        let (mut delivered, mut arrived) = (Vec::new(), versions.is_empty());
        for fields in versions {
            let (status_code, accepted) = self.send(&notice, &fields).await;
            arrived |= accepted;
            delivered.push(Delivered { trade_id: notice.trade_id.clone(), status_code });
        }
        lock(&self.pending).retain(|pending| pending.id != id || !(arrived || pending.attempts >= LAST_ATTEMPT));
        delivered
    }

    /// Counts an attempt.
    fn begin(&self, id: u64) -> Option<Notice> {
        let mut pending = lock(&self.pending);
        let found = pending.iter_mut().find(|pending| pending.id == id)?;
        found.attempts += 1;
        Some(found.notice.clone())
    }

    /// The status of the answer, 0 without one, and whether the callback counts as arrived.
    async fn send(&self, notice: &Notice, fields: &Fields) -> (u16, bool) {
        let request = self.client.post(&notice.url).timeout(SEND_TIMEOUT);
        let request = if notice.json {
            let object = fields.iter().map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())));
            request.json(&Value::Object(object.collect()))
        } else {
            request.form(fields)
        };
        match request.send().await {
            Ok(response) => {
                let status_code = response.status().as_u16();
                let accepted = match notice.expects {
                    None => true,
                    Some(text) => response.text().await.is_ok_and(|body| body == text),
                };
                (status_code, status_code == 200 && accepted)
            }
            Err(error) => {
                tracing::debug!(trade_id = %notice.trade_id, error = %error.without_url(), "callback not answered");
                (0, false)
            }
        }
    }
}

/// What is sent in one attempt: usually the notice once as it is.
fn versions(notice: &Notice, fault: Option<&CallbackFault>) -> Vec<Fields> {
    let spoilt = |fault| {
        let mut fields = notice.fields.clone();
        (notice.spoil)(&mut fields, fault);
        fields
    };
    match fault {
        None | Some(CallbackFault::Failed) => vec![notice.fields.clone()],
        Some(CallbackFault::Missing) => Vec::new(),
        Some(CallbackFault::Repeat(times)) => (0..*times.min(&MOST_REPETITIONS)).map(|_| notice.fields.clone()).collect(),
        Some(fault @ CallbackFault::Contradict) => vec![notice.fields.clone(), spoilt(fault)],
        Some(fault) => vec![spoilt(fault)],
    }
}
