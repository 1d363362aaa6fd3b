//! The front door: routes on one screen, handlers that extract, call one flow and render.
//!
//! Everything that changes something runs detached from the connection: a client that resets must
//! not stop a payment half-way.

pub mod addresses;
pub mod audit_log;
pub mod auth;
pub mod body;
pub mod browser;
pub mod callbacks;
pub mod coins;
pub mod customers;
pub mod deliveries;
pub mod deposits;
pub mod discrepancies;
pub mod endpoints;
pub mod events;
pub mod links;
pub mod lists;
pub mod management;
pub mod openapi;
pub mod orders;
pub mod payouts;
pub mod problem;
pub mod receipts;
pub mod reconciliations;
pub mod request_id;
pub mod shape;
pub mod statements;
pub mod transfers;
pub mod youliao;

use std::cell::RefCell;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::header::ALLOW;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, ResponseError, web};
use futures_util::future::BoxFuture;
use tokio::net::TcpSocket;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use utoipa_actix_web::service_config::ServiceConfig;
use utoipa_swagger_ui::{Config, SwaggerUi};

use self::auth::TrustedProxies;
use self::problem::Problem;
use crate::flows::Context;
use crate::flows::error::FlowError;

/// Every route of the API, for the server or for its description.
macro_rules! every_route {
    ($config:expr) => {
        $config
            // The router tries one after the other: what is asked most stands first.
            .service(callbacks::fomo)
            .service(callbacks::hicoin)
            .service(payouts::get)
            .service(deposits::get)
            .service(deposits::create)
            .service(deposits::list)
            .service(deposits::cancel)
            .service(deposits::refresh)
            .service(deposits::resolve)
            .service(payouts::create)
            .service(payouts::list)
            .service(payouts::cancel)
            .service(payouts::refresh)
            .service(payouts::resolve)
            .service(transfers::create)
            .service(transfers::list)
            .service(transfers::get)
            .service(transfers::cancel)
            .service(transfers::refresh)
            .service(transfers::resolve)
            .service(orders::timeline)
            .service(receipts::list)
            .service(receipts::assign)
            .service(customers::create)
            .service(customers::get)
            .service(customers::balances)
            .service(addresses::address)
            .service(addresses::addresses)
            .service(links::link)
            .service(links::links)
            .service(links::unlink)
            .service(links::profile)
            .service(browser::come_back)
            .service(browser::pay)
            .service(coins::list)
            .service(youliao::authorize)
            .service(youliao::list)
            .service(discrepancies::list)
            .service(discrepancies::resolve)
            .service(reconciliations::list)
            .service(reconciliations::get)
            .service(audit_log::list)
            .service(statements::statement)
            .service(events::list)
            .service(endpoints::create)
            .service(endpoints::list)
            .service(endpoints::get)
            .service(endpoints::change)
            .service(endpoints::remove)
            .service(endpoints::rotate)
            .service(endpoints::test)
            .service(endpoints::replay)
            .service(deliveries::list)
            .service(deliveries::get)
            .service(deliveries::resend)
    };
}

/// The routes, to be described.
pub fn described(config: &mut ServiceConfig<'_>) {
    every_route!(config);
}

/// The routes, to be served. The description is not made on the way: each of the server's threads would keep the memory of it.
fn served(config: &mut web::ServiceConfig) {
    every_route!(config);
}

/// Closes the door to new connections while those that came in are still served. The server's own stop does both at once,
/// and drops connections whose request is still on its way.
#[derive(Debug)]
pub struct Door(TcpStream);

impl Door {
    /// The door of this listener.
    pub fn of(listener: &TcpListener) -> std::io::Result<Self> {
        // The same socket under another number; as a stream it can be shut down.
        Ok(Self(OwnedFd::from(listener.try_clone()?).into()))
    }

    /// From now on connections are refused. (Where the system cannot do that, they are when the server stops.)
    pub fn close(&self) {
        drop(self.0.shutdown(Shutdown::Read));
    }
}

/// Takes an address to serve on.
pub fn listen(bind: SocketAddr) -> std::io::Result<TcpListener> {
    const BACKLOG: u32 = 1024;
    let socket = if bind.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(bind)?;
    socket.listen(BACKLOG)?.into_std()
}

/// Serves the API on `bind`. Gives the server, which runs when awaited, and the address it has.
pub fn serve(
    context: web::Data<Context>,
    proxies: TrustedProxies,
    bind: SocketAddr,
    grace: Duration,
) -> std::io::Result<(Server, SocketAddr)> {
    let listener = listen(bind)?;
    let address = listener.local_addr()?;
    Ok((serve_on(listener, context, proxies, grace)?, address))
}

/// Serves the API. Gives the server, which runs when awaited.
pub fn serve_on(listener: TcpListener, context: web::Data<Context>, proxies: TrustedProxies, grace: Duration) -> std::io::Result<Server> {
    let proxies = web::Data::new(proxies);
    let home = Home::of(&context);
    let server = HttpServer::new(move || {
        home.enter();
        App::new()
            .app_data(context.clone())
            .app_data(proxies.clone())
            .configure(served)
            .wrap(actix_web::middleware::from_fn(auth::know_caller))
            .wrap(actix_web::middleware::from_fn(request_id::name_request))
            .route("/docs", web::get().to(openapi::to_docs))
            .route("/openapi.json", web::get().to(openapi::json))
            .service(SwaggerUi::new("/docs/{_:.*}").config(Config::new(["/openapi.json"])))
            .default_service(web::to(no_such_route))
    })
    .client_request_timeout(Duration::from_secs(10))
    .shutdown_timeout(grace.as_secs())
    .disable_signals()
    .listen(listener)?;
    Ok(server.run())
}

/// A path that we do not have, or a method that it does not take.
async fn no_such_route(request: HttpRequest) -> HttpResponse {
    use actix_web::http::StatusCode;
    let methods = openapi::methods_of(request.path());
    if methods.is_empty() {
        return Problem::new(StatusCode::NOT_FOUND, "route_not_found", "There is no such path; /docs shows all.").error_response();
    }
    let allowed = methods.join(", ");
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", format!("This path takes {allowed}."));
    let mut response = problem.error_response();
    if let Ok(value) = allowed.parse() {
        response.headers_mut().insert(ALLOW, value);
    }
    response
}

/// Where flows run: on the runtime of the process. A server's thread has a runtime of its own, which ends with the server;
/// what was opened there (connections to the database and to providers) would end with it, also in the hands of others.
#[derive(Clone)]
struct Home {
    runtime: Handle,
    tasks: TaskTracker,
}

thread_local! {
    static HOME: RefCell<Option<Home>> = const { RefCell::new(None) };
}

impl Home {
    fn of(context: &Context) -> Self {
        Self { runtime: Handle::current(), tasks: context.tasks.clone() }
    }

    /// From now on, what this thread detaches runs there.
    fn enter(&self) {
        HOME.set(Some(self.clone()));
    }
}

/// Runs a flow to its end, whether the client waits for it or not. A stop waits for it.
pub fn detached<T, F>(flow: F) -> impl Future<Output = Result<T, Problem>> + use<T, F>
where
    T: Send + 'static,
    F: Future<Output = Result<T, FlowError>> + Send + 'static,
{
    // A flow is some tens of kilobytes: it is moved once, to where it stays, and who waits for it holds nothing of it.
    let flow: BoxFuture<'static, _> = Box::pin(flow);
    let flow = request_id::within(request_id::current(), flow).in_current_span();
    let task = match HOME.with_borrow(Clone::clone) {
        Some(home) => home.tasks.spawn_on(flow, &home.runtime),
        None => tokio::spawn(flow),
    };
    async move {
        match task.await {
            Ok(result) => result.map_err(Problem::from),
            Err(panic) => Err(Problem::internal(&panic)),
        }
    }
}
