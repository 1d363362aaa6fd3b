//! Composition: settings become a running gateway, and a running gateway stops in good order.

pub mod private_postgres;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web;
use anyhow::Context as _;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::config::{Database, Settings};
use crate::domain::agenda::Timing;
use crate::domain::clock::Clock;
use crate::flows::reconcile::Habits;
use crate::flows::tenant::Tenants;
use crate::flows::{Context, Wake, time};
use crate::http::auth::TrustedProxies;
use crate::http::management::Health;
use crate::http::{self, Door};
use crate::providers::http::ProviderHttp;
use crate::store::{Db, Limits};
use crate::vault::Vault;
use crate::webhooks::{Networks, Sender};
use crate::workers;

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Answer requests and work.
    All,
    /// Answer requests only.
    Api,
    /// Work only.
    Worker,
}

/// What a process allows itself of the database, from the settings.
pub fn limits(settings: &Database) -> Limits {
    Limits { connections: settings.max_connections, acquire: settings.acquire_timeout, statement: settings.statement_timeout }
}

/// What every flow works with, from the settings. Connects to nothing yet.
pub fn context(settings: &Settings, clock: Clock) -> anyhow::Result<Context> {
    let public_url = match &settings.server.public_url {
        Some(url) => url.clone(),
        // Commands that serve nothing make no addresses.
        None => Url::parse("http://localhost/")?,
    };
    let timing = timing(settings);
    if timing.lease <= timing.provider_timeout {
        anyhow::bail!(
            "configuration key timing.lease: must be longer than timing.provider_timeout, else others take over calls that are still open"
        );
    }
    let keep_events = keep_events(settings)?;
    let allowed = Networks::new(settings.webhooks.allowed_networks.clone());
    Ok(Context {
        db: Db::open(settings.database_url()?, limits(&settings.database)).context("configuration key database.url")?,
        vault: vault(settings)?,
        http: ProviderHttp::new(timing.provider_timeout, clock.clone())?,
        sender: Sender::new(allowed.clone()),
        allowed,
        reconciliation: Habits {
            nightly_at: settings.reconciliation.nightly_at,
            days: settings.reconciliation.days,
            repair: settings.reconciliation.repair,
            pause: settings.reconciliation.pause,
        },
        timing,
        keep_events,
        keep_raw_inputs: settings.retention.raw_inputs,
        clock,
        public_url: with_slash(public_url),
        tenants: Tenants::default(),
        refreshing: crate::flows::link::Refreshing::default(),
        wake: Wake::default(),
        tasks: TaskTracker::default(),
    })
}

/// How long events are kept: in no case are they old enough while their deliveries are tried as a matter of course.
fn keep_events(settings: &Settings) -> anyhow::Result<Option<Duration>> {
    let schedule: Duration = settings.timing.webhook_schedule.iter().sum();
    if settings.retention.events.is_some_and(|age| age <= schedule) {
        anyhow::bail!(
            "configuration key retention.events: must be longer than timing.webhook_schedule takes in all ({}), for events are delivered so long;              400d is the default, and forever drops nothing",
            humantime::format_duration(schedule)
        );
    }
    Ok(settings.retention.events)
}

/// The keys; a wrong one is named.
fn vault(settings: &Settings) -> anyhow::Result<Vault> {
    Vault::new(settings.vault_key()?, &[]).context("configuration key vault.key")?;
    Vault::new(settings.vault_key()?, &settings.vault.previous_keys).context("configuration key vault.previous_keys")
}

/// Paths are joined below it: without the slash its last part would be replaced.
fn with_slash(mut url: Url) -> Url {
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    url
}

fn timing(settings: &Settings) -> Timing {
    let times = &settings.timing;
    Timing {
        lease: times.lease,
        provider_timeout: times.provider_timeout,
        lookup_schedule: times.lookup_schedule.clone(),
        resend_gap: times.resend_gap,
        review_after: times.review_after,
        poll_schedule: times.poll_schedule.clone(),
        deposit_ttl: times.deposit_ttl,
        callback_grace: times.callback_grace,
        late_window: times.late_window,
        feed_period: times.feed_period,
        webhook_schedule: times.webhook_schedule.clone(),
    }
}

/// How long a request may be on its way whose connection came in before the door was closed.
const ON_ITS_WAY: Duration = Duration::from_millis(200);

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    /// Where the API is. Absent for workers.
    pub api: Option<SocketAddr>,
    /// Where the probes are. Absent where none were asked for.
    pub management: Option<SocketAddr>,
    context: Arc<Context>,
    /// Absent for workers.
    server: Option<(ServerHandle, Door)>,
    probes: ServerHandle,
    stop: CancellationToken,
    grace: Duration,
}

impl Gateway {
    /// Starts a gateway on a schema that it knows. Nothing runs if anything of it cannot.
    pub async fn start(context: Context, settings: &Settings, role: Role) -> anyhow::Result<Self> {
        context.db.check_schema().await.context("the database cannot be used")?;
        time::keep(&context).await?;
        // Workers need it, too: it is where they tell the provider to call back.
        settings.public_url()?;
        let context = web::Data::new(context);
        let stop = CancellationToken::new();
        let grace = settings.timing.shutdown_grace;
        let health = Health { stop: stop.clone(), failures: Arc::new(AtomicU32::new(0)) };
        let (probes, management) = http::management::serve(context.clone(), health, metrics(), settings.server.management_bind)
            .with_context(|| format!("cannot listen on server.management_bind {}", settings.server.management_bind))?;
        let probes = spawn(probes);
        let (mut server, mut api) = (None, None);
        if role != Role::Worker {
            let proxies = TrustedProxies(settings.server.trusted_proxies.clone());
            let listener =
                http::listen(settings.server.bind).with_context(|| format!("cannot listen on server.bind {}", settings.server.bind))?;
            api = Some(listener.local_addr()?);
            let door = Door::of(&listener)?;
            server = Some((spawn(http::serve_on(listener, context.clone(), proxies, grace)?), door));
        }
        let context = context.into_inner();
        tokio::spawn(forget_when_told(context.clone(), stop.clone()));
        workers::keep_time(&context, &context.tasks, &stop);
        if role != Role::Api {
            workers::start(&context, &context.tasks, &stop);
        }
        context.tasks.close();
        tracing::info!(?role, api = api.map(tracing::field::display), management = %management, "the gateway is up");
        Ok(Self { api, management: Some(management), context, server, probes, stop, grace })
    }

    /// What the gateway works with.
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// Stops: no new work, what is open is finished within the grace period. `false` if it was not.
    pub async fn stop(self) -> bool {
        tracing::info!("stopping: no new work");
        self.stop.cancel();
        let all = async {
            if let Some((server, door)) = &self.server {
                door.close();
                tokio::time::sleep(ON_ITS_WAY).await;
                server.stop(true).await;
            }
            self.context.tasks.wait().await;
            // The probes go last, so that the cluster sees that we are not ready any more.
            self.probes.stop(true).await;
        };
        let in_time = tokio::time::timeout(self.grace, all).await.is_ok();
        // What is still at work then keeps its connection; the database rolls it back when we are gone.
        let closed = tokio::time::timeout(Duration::from_secs(1), self.context.db.close()).await.is_ok();
        let in_time = in_time && closed;
        tracing::info!(in_time, "stopped");
        in_time
    }
}

/// Runs a server in the background.
fn spawn(server: actix_web::dev::Server) -> ServerHandle {
    let handle = server.handle();
    tokio::spawn(server);
    handle
}

/// Forgets what is remembered of merchants and keys when another process changes them.
async fn forget_when_told(context: Arc<Context>, stop: CancellationToken) {
    const PAUSE: Duration = Duration::from_secs(5);
    while !stop.is_cancelled() {
        let listening = async {
            let mut listener = context.db.listen(crate::store::keys::CHANGES).await?;
            loop {
                listener.recv().await?;
                context.tenants.forget();
            }
        };
        let listening: std::pin::Pin<Box<dyn Future<Output = Result<(), crate::store::StoreError>> + Send>> = Box::pin(listening);
        tokio::select! {
            () = stop.cancelled() => return,
            Err(error) = listening => tracing::warn!(%error, "changes of keys are noticed late: the database cannot be listened to"),
            else => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// The process's metrics; the first call installs the recorder.
fn metrics() -> PrometheusHandle {
    static HANDLE: std::sync::OnceLock<PrometheusHandle> = std::sync::OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let recorder = PrometheusBuilder::new().build_recorder();
            let handle = recorder.handle();
            drop(metrics::set_global_recorder(recorder));
            handle
        })
        .clone()
}
