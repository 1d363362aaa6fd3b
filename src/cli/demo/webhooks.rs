//! What the merchant's backend is told: signed webhooks about everything that happens in the demo.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Value, json};

use super::{Play, Promise, say, text};
use crate::domain::clock::Clock;
use crate::webhooks::{ID, Secret, diagnose};

/// How old a request may be.
const TOLERANCE: Duration = Duration::from_mins(5);
/// The order about which the backend fails, and the step: once.
const STUMBLES: (&str, u64) = ("payout-told", 2);

/// The merchant's receiver, in the demo's own process.
pub(super) struct Backend {
    url: String,
    shelf: web::Data<Mutex<Shelf>>,
    server: ServerHandle,
}

/// What it knows.
#[derive(Default)]
struct Shelf {
    /// Absent: nobody may tell it anything yet.
    secret: Option<Secret>,
    told: Vec<Told>,
    forged: usize,
}

/// A genuine request.
#[derive(Clone)]
struct Told {
    id: String,
    kind: String,
    trade_id: String,
    /// The number of the order's step. 0: it is about no order.
    sequence: u64,
    /// It was answered 200.
    taken: bool,
}

impl Backend {
    /// Starts it on a free port.
    pub(super) fn open() -> anyhow::Result<Self> {
        let shelf = web::Data::new(Mutex::new(Shelf::default()));
        let shared = shelf.clone();
        let server = HttpServer::new(move || App::new().app_data(shared.clone()).route("/hook", web::post().to(hear)));
        let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0))?;
        let url = server.addrs().first().map(|address| format!("http://{address}/hook")).unwrap_or_default();
        let server = server.run();
        let handle = server.handle();
        tokio::spawn(server);
        Ok(Self { url, shelf, server: handle })
    }

    pub(super) async fn close(self) {
        self.server.stop(false).await;
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that it was told, first to last.
    fn told(&self) -> Vec<Told> {
        self.shelf().told.clone()
    }
}

/// Takes what is genuine, as any receiver should: by the raw body, before it is read.
async fn hear(request: HttpRequest, body: web::Bytes, shelf: web::Data<Mutex<Shelf>>) -> HttpResponse {
    let headers: Vec<(String, String)> =
        request.headers().iter().filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned()))).collect();
    let mut shelf = shelf.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Clock::system().now().unix_timestamp();
    let genuine = diagnose(&headers, &body, shelf.secret.as_slice(), now, TOLERANCE).is_ok();
    let Some(event) = serde_json::from_slice::<Value>(&body).ok().filter(|_| genuine) else {
        shelf.forged += 1;
        return HttpResponse::BadRequest().finish();
    };
    let id = headers.iter().find(|(name, _)| name == ID).map(|(_, id)| id.clone()).unwrap_or_default();
    let (trade_id, sequence) = (text(&event["data"], "trade_id"), event["sequence"].as_u64().unwrap_or_default());
    let taken = (trade_id.as_str(), sequence) != STUMBLES || shelf.told.iter().any(|one| one.id == id);
    shelf.told.push(Told { id, kind: text(&event, "type"), trade_id, sequence, taken });
    if taken { HttpResponse::Ok().finish() } else { HttpResponse::InternalServerError().finish() }
}

impl Play<'_> {
    /// The merchant's backend wants to be told of everything.
    pub(super) async fn subscribe(&self, backend: &Backend) -> anyhow::Result<()> {
        let endpoint = self.post("/v1/webhook_endpoints", &json!({ "url": backend.url })).await?;
        backend.shelf().secret = Some(Secret::parse(&text(&endpoint, "secret"))?);
        say(&format!("The merchant's backend is told of everything by signed webhooks to {}.", backend.url));
        Ok(())
    }

    /// One order as the backend hears of it.
    pub(super) async fn told(&self, backend: &Backend) -> anyhow::Result<Promise> {
        say("\n19. The merchant's backend hears of a payout, and fails in the middle: it is told again, and what follows waits.");
        let promise = Promise::new(STUMBLES.0, "payouts", "webhook refused once", "succeeded", 1);
        self.payout(promise.trade_id, "2").await?;
        self.until(&promise, |order| order["status"] == promise.status).await?;
        let steps = self.get(&format!("/v1/payouts/{}", promise.trade_id)).await?["sequence"].as_u64().unwrap_or_default();
        let own = |told: Vec<Told>| told.into_iter().filter(|one| one.trade_id == promise.trade_id).collect::<Vec<_>>();
        self.wait("the backend to hear of it", async || Ok(own(backend.told()).iter().any(|one| one.taken && one.sequence == steps)))
            .await?;
        let mut had = BTreeSet::new();
        for one in own(backend.told()) {
            let again = if had.insert(one.id.clone()) { "" } else { ", the same id as before" };
            let answer = if one.taken { "taken" } else { "answered 500" };
            say(&format!("   {} #{}: {}{again}, signature valid, {answer}", one.kind, one.sequence, one.id));
        }
        Ok(promise)
    }

    /// The table's line about webhooks. Whether the backend has taken every event, and each order's in their order.
    pub(super) async fn all_told(&self, backend: &Backend) -> anyhow::Result<bool> {
        let taken = || backend.told().into_iter().filter(|one| one.taken);
        let has_all = async || {
            let had: BTreeSet<String> = taken().map(|one| one.id).collect();
            Ok(self.feed().await?.into_iter().collect::<BTreeSet<_>>() == had)
        };
        let all = self.wait("the backend to be told of everything", has_all).await;
        if let Err(error) = &all {
            say(&format!("webhooks: {error:#}"));
        }
        let mut orders: BTreeMap<String, u64> = BTreeMap::new();
        let mut in_order = true;
        for one in taken().filter(|one| one.sequence > 0) {
            let last = orders.entry(one.trade_id).or_default();
            // One that comes twice is no news.
            in_order &= one.sequence <= *last + 1;
            *last = one.sequence.max(*last);
        }
        let fine = all.is_ok() && in_order && backend.shelf().forged == 0;
        say(&format!(
            "webhooks: {} events, those of {} orders each in their order, all delivered with valid signatures   {}",
            self.feed().await?.len(),
            orders.len(),
            if fine { "ok" } else { "WRONG" }
        ));
        Ok(fine)
    }

    /// The ids of all events, by the feed.
    async fn feed(&self) -> anyhow::Result<Vec<String>> {
        let mut ids = Vec::new();
        loop {
            let after = ids.last().map(|id| format!("&starting_after={id}")).unwrap_or_default();
            let page = self.get(&format!("/v1/events?limit=100{after}")).await?;
            ids.extend(page["data"].as_array().into_iter().flatten().map(|event| text(event, "id")));
            if page["has_more"] != true {
                return Ok(ids);
            }
        }
    }
}
