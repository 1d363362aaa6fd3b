//! The front door: routes on one screen, handlers that extract, call one flow and render.
//!
//! Everything that changes something runs detached from the connection: a client that resets must
//! not stop a payment half-way.

pub mod auth;
pub mod body;
pub mod callbacks;
pub mod coins;
pub mod customers;
pub mod deposits;
pub mod discrepancies;
pub mod lists;
pub mod management;
pub mod openapi;
pub mod orders;
pub mod payouts;
pub mod problem;
pub mod request_id;
pub mod shape;

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::header::ALLOW;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, ResponseError, web};
use tracing::Instrument;
use utoipa_actix_web::AppExt;
use utoipa_actix_web::service_config::ServiceConfig;
use utoipa_swagger_ui::SwaggerUi;

use self::auth::TrustedProxies;
use self::problem::Problem;
use crate::flows::Context;
use crate::flows::error::FlowError;

/// Every route of the API.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(deposits::create)
        .service(deposits::list)
        .service(deposits::get)
        .service(deposits::cancel)
        .service(deposits::refresh)
        .service(deposits::resolve)
        .service(payouts::create)
        .service(payouts::list)
        .service(payouts::get)
        .service(payouts::cancel)
        .service(payouts::refresh)
        .service(payouts::resolve)
        .service(orders::timeline)
        .service(customers::link)
        .service(customers::links)
        .service(customers::unlink)
        .service(coins::list)
        .service(discrepancies::list)
        .service(discrepancies::resolve)
        .service(callbacks::fomo);
}

/// Serves the API on `bind`. Gives the server, which runs when awaited, and the address it has.
pub fn serve(
    context: web::Data<Context>,
    proxies: TrustedProxies,
    bind: SocketAddr,
    grace: Duration,
) -> std::io::Result<(Server, SocketAddr)> {
    let proxies = web::Data::new(proxies);
    let document = web::Data::new(openapi::document());
    let server = HttpServer::new(move || {
        let (app, _) = App::new().into_utoipa_app().configure(routes).split_for_parts();
        app.app_data(context.clone())
            .app_data(proxies.clone())
            .app_data(document.clone())
            .wrap(actix_web::middleware::from_fn(request_id::name_request))
            .route("/docs", web::get().to(openapi::to_docs))
            .service(SwaggerUi::new("/docs/{_:.*}").url("/openapi.json", document.get_ref().clone()))
            .default_service(web::to(no_such_route))
    })
    .client_request_timeout(Duration::from_secs(10))
    .shutdown_timeout(grace.as_secs())
    .disable_signals()
    .bind(bind)?;
    let address = server.addrs().first().copied().unwrap_or(bind);
    Ok((server.run(), address))
}

/// A path that we do not have, or a method that it does not take.
async fn no_such_route(request: HttpRequest) -> HttpResponse {
    use actix_web::http::StatusCode;
    let methods =
        request.app_data::<web::Data<utoipa::openapi::OpenApi>>().map(|api| openapi::methods_of(api, request.path())).unwrap_or_default();
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

/// Runs a flow to its end, whether the client waits for it or not.
pub async fn detached<T, F>(flow: F) -> Result<T, Problem>
where
    T: Send + 'static,
    F: Future<Output = Result<T, FlowError>> + Send + 'static,
{
    let name = request_id::current();
    let task = tokio::spawn(request_id::within(name, flow).in_current_span());
    match task.await {
        Ok(result) => result.map_err(Problem::from),
        Err(panic) => Err(Problem::internal(&panic)),
    }
}
