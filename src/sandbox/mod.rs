//! The providers, simulated over real HTTP from their documents alone.
//!
//! The sandbox stands for other companies' servers, so it shares no code with the gateway's adapters: where one of the
//! two misreads a document, their conversation fails. A simulated provider executes calls for real on its own books,
//! and everything that can go wrong around it goes wrong on request: answers are lost, held, broken or contradicted
//! (`faults`), callbacks come late, twice, wrong or never (`callbacks`), and time stands still or leaps (`clock`).
//! Whatever the gateway was told, `books` say what really happened. Each provider is one folder that knows its
//! document; all else is neutral. Tests drive it by the methods of [`Sandbox`], anybody else by the same verbs over
//! HTTP under `/_control/`.

mod amount;
mod answer;
mod books;
mod callbacks;
mod clock;
mod control;
mod faults;
mod fomo;
mod hicoin;
mod page;
mod verbs;
mod world;
mod youliao;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use self::books::{CallRecord, Entry, Kind};
pub use self::callbacks::{Delivered, PendingCallback, delay_before};
pub use self::faults::{CallbackFault, Fault, Times};
pub use self::fomo::{ClientSetup, Coin, Fee, Style, TokenLife, USER_WALLET_PWD};
pub use self::hicoin::{
    HicoinAlteration, HicoinApp, HicoinBalance, HicoinCoin, HicoinError, HicoinFee, HicoinStage, HicoinStatuses, HicoinStyle, HicoinTo,
};
pub use self::hicoin::{HicoinOauthApp, HicoinOauthStyle, HicoinTokenLife};
pub use self::page::BrowseError;
pub use self::youliao::{YouliaoApp, YouliaoAuthorization};

use self::callbacks::Automatic;
use self::clock::lock;
use self::fomo::Fomo;
use self::hicoin::Hicoin;
use self::world::World;
use self::youliao::Youliao;

/// How a sandbox starts.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address to listen on: this machine alone, unless somebody else has to reach it.
    pub bind: IpAddr,
    /// The port; 0 takes a free one.
    pub port: u16,
    /// How many times faster than documented automatic callbacks are repeated.
    pub time_scale: u32,
    /// Nothing is called back by itself: [`Sandbox::deliver_callbacks`] steps by hand.
    pub manual_callbacks: bool,
    /// Whether FOMO refuses a trade_id that it has seen (code 211) and Hicoin a request_id (code 110088). Off, they
    /// execute again: that proves that a gateway does not resend.
    pub duplicate_check: bool,
    /// The merchants' apps at FOMO.
    pub clients: Vec<ClientSetup>,
    /// The coins at FOMO.
    pub coins: Vec<Coin>,
    /// The merchants' apps at Hicoin. Where a verb is given no app, it is the first.
    pub hicoin_apps: Vec<HicoinApp>,
    /// The merchants' apps at Hicoin's OAuth. Where a verb is given no app, it is the first.
    pub hicoin_oauth_apps: Vec<HicoinOauthApp>,
    /// The coins at Hicoin, with which every app starts.
    pub hicoin_coins: Vec<HicoinCoin>,
    /// Hicoin's withdrawals move on by themselves, one stage with each list call about them.
    pub hicoin_auto_advance: bool,
    /// The platforms that Youliao knows.
    pub youliao_apps: Vec<YouliaoApp>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            time_scale: 1,
            manual_callbacks: false,
            duplicate_check: true,
            clients: vec![ClientSetup::default()],
            coins: Coin::samples(),
            hicoin_apps: vec![HicoinApp::default()],
            hicoin_oauth_apps: vec![HicoinOauthApp::default()],
            hicoin_coins: HicoinCoin::samples(),
            hicoin_auto_advance: false,
            youliao_apps: vec![YouliaoApp::default()],
        }
    }
}

/// A running sandbox. Clones are handles to the same one; it runs until [`Sandbox::stop`] or the end of the process.
#[derive(Clone)]
pub struct Sandbox {
    core: Core,
    server: Arc<Server>,
}

/// What the verbs work on; the HTTP side holds it, too.
#[derive(Clone)]
struct Core {
    world: Arc<World>,
    fomo: Arc<Fomo>,
    hicoin: Arc<Hicoin>,
    youliao: Arc<Youliao>,
}

impl Core {
    fn set_duplicate_check(&self, on: bool) {
        self.fomo.set_duplicate_check(on);
        self.hicoin.set_duplicate_check(on);
    }
}

/// Whether a provider has this operation, so that faults can name it.
fn knows(operation: &str) -> bool {
    fomo::knows(operation) || hicoin::knows(operation) || youliao::knows(operation)
}

struct Server {
    address: SocketAddr,
    handle: ServerHandle,
    /// Stops the automatic callbacks.
    stop: CancellationToken,
    /// Taken by the first `stop`.
    task: Mutex<Option<JoinHandle<io::Result<()>>>>,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Sandbox({})", self.control_url())
    }
}

impl Sandbox {
    /// Binds, serves, and returns at once. Call it within a tokio runtime, which carries the callbacks.
    ///
    /// # Errors
    /// The port is taken, or the HTTP client for callbacks cannot be built.
    pub async fn start(options: Options) -> io::Result<Self> {
        let runtime = Handle::current();
        let stop = CancellationToken::new();
        let automatic =
            (!options.manual_callbacks).then(|| Automatic { time_scale: options.time_scale, runtime: runtime.clone(), stop: stop.clone() });
        let world = World::new(callback_client()?, runtime.clone(), automatic);
        let fomo = Fomo::new(Arc::clone(&world), options.clients, options.coins, options.duplicate_check);
        let rules = hicoin::Rules::new(options.duplicate_check, options.hicoin_auto_advance);
        let hicoin = Hicoin::new(Arc::clone(&world), options.hicoin_apps, options.hicoin_oauth_apps, &options.hicoin_coins, rules);
        let youliao = Arc::new(Youliao::new(Arc::clone(&world), options.youliao_apps));
        let core = Core { world, fomo: Arc::new(fomo), hicoin: Arc::new(hicoin), youliao };

        let listener = TcpListener::bind((options.bind, options.port))?;
        let address = listener.local_addr()?;
        let served = core.clone();
        let app = move || {
            App::new()
                .configure(fomo::routes(&served.fomo))
                .configure(hicoin::routes(&served.hicoin))
                .configure(youliao::routes(&served.youliao))
                .configure(control::routes(served.clone()))
        };
        let server = HttpServer::new(app).workers(1).disable_signals().shutdown_timeout(1).listen(listener)?.run();
        let handle = server.handle();
        let task = Mutex::new(Some(runtime.spawn(server)));
        Ok(Self { core, server: Arc::new(Server { address, handle, stop, task }) })
    }

    /// FOMO's base URL, with the trailing slash of the document (fomo-app.txt, section 二, 0).
    pub fn fomo_base_url(&self) -> String {
        format!("http://{}/fomo/", self.server.address)
    }

    /// Hicoin's base URL, with a trailing slash (hicoin-openapi.rst, section 5).
    pub fn hicoin_base_url(&self) -> String {
        format!("http://{}/hicoin/", self.server.address)
    }

    /// Where Youliao takes calls: the whole address, as the document prints it (youliao.md).
    pub fn youliao_base_url(&self) -> String {
        format!("http://{}{}", self.server.address, youliao::CALL)
    }

    /// Youliao's page, to which `?token=` is added (youliao.md).
    pub fn youliao_redirect_base(&self) -> String {
        format!("http://{}{}", self.server.address, youliao::PAGE)
    }

    /// The base URL of Hicoin's OAuth, without a trailing slash (hicoin-oauth.rst, section 2).
    pub fn hicoin_oauth_base_url(&self) -> String {
        format!("http://{}{}", self.server.address, hicoin::OAUTH_BASE)
    }

    /// Where the control API stands, with a trailing slash.
    pub fn control_url(&self) -> String {
        format!("http://{}/_control/", self.server.address)
    }

    /// Stops serving and calling back, and drops what is held. Stopping twice is harmless.
    pub async fn stop(self) {
        self.server.stop.cancel();
        self.core.world.gate.release();
        self.server.handle.stop(false).await;
        let task = lock(&self.server.task).take();
        if let Some(task) = task {
            // How the server ended no longer matters.
            let _ = task.await;
        }
    }
}

/// The client that plays the provider's side of callbacks: no proxy, no redirects, and no connection kept, because
/// calls come from more than one runtime.
fn callback_client() -> io::Result<reqwest::Client> {
    // An error says that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .build()
        .map_err(io::Error::other)
}
