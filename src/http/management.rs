//! `/livez`, `/readyz` and `/metrics`, on their own port: for the cluster, not for merchants.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use actix_web::dev::Server;
use actix_web::{App, HttpResponse, HttpServer, web};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;

use super::{Home, detached};
use crate::flows::Context;

/// After this many failures in a row to reach the database the process asks to be restarted: a pool
/// that cannot get a connection for so long may have lost count of them.
const PATIENCE: u32 = 30;

/// What the probes look at.
#[derive(Clone, Debug)]
pub struct Health {
    /// Cancelled when the process stops: then it is not ready any more.
    pub stop: CancellationToken,
    /// Failures in a row to reach the database.
    pub failures: Arc<AtomicU32>,
}

/// Serves the probes and metrics on `bind`. Gives the server, which runs when awaited, and its address.
pub fn serve(
    context: web::Data<Context>,
    health: Health,
    metrics: PrometheusHandle,
    bind: SocketAddr,
) -> std::io::Result<(Server, SocketAddr)> {
    let (health, metrics) = (web::Data::new(health), web::Data::new(metrics));
    let home = Home::of(&context);
    let server = HttpServer::new(move || {
        home.enter();
        App::new()
            .app_data(context.clone())
            .app_data(health.clone())
            .app_data(metrics.clone())
            .route("/livez", web::get().to(live))
            .route("/readyz", web::get().to(ready))
            .route("/metrics", web::get().to(render))
    })
    .workers(1)
    .shutdown_timeout(1)
    .disable_signals()
    .bind(bind)?;
    let address = server.addrs().first().copied().unwrap_or(bind);
    Ok((server.run(), address))
}

async fn live(health: web::Data<Health>) -> HttpResponse {
    if health.failures.load(Ordering::Relaxed) >= PATIENCE {
        return HttpResponse::ServiceUnavailable().body("the database has been out of reach for too long");
    }
    HttpResponse::Ok().body("alive")
}

async fn ready(context: web::Data<Context>, health: web::Data<Health>) -> HttpResponse {
    if health.stop.is_cancelled() {
        return HttpResponse::ServiceUnavailable().body("stopping");
    }
    match detached(async move { Ok(context.db.ping().await?) }).await {
        Ok(()) => {
            health.failures.store(0, Ordering::Relaxed);
            HttpResponse::Ok().body("ready")
        }
        Err(error) => {
            health.failures.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%error, "not ready");
            HttpResponse::ServiceUnavailable().body("the database cannot be reached")
        }
    }
}

async fn render(metrics: web::Data<PrometheusHandle>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(metrics.render())
}
