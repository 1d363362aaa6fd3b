//! Youliao's doors: the call of platforms, and the page of persons.

use std::sync::Arc;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};

use super::{Form, OPERATION, Youliao, page};
use crate::sandbox::answer::respond;
use crate::sandbox::faults::Answer;

/// Where platforms call.
pub(in crate::sandbox) const CALL: &str = "/youliao/api/oauth";
/// Where persons land.
pub(in crate::sandbox) const PAGE: &str = "/youliao/oAuth";

/// Whether faults can name this operation.
pub(in crate::sandbox) fn knows(operation: &str) -> bool {
    operation == OPERATION
}

/// Mounts the provider under `/youliao/`.
pub(in crate::sandbox) fn routes(youliao: &Arc<Youliao>) -> impl FnOnce(&mut web::ServiceConfig) + use<> {
    let youliao = web::Data::from(Arc::clone(youliao));
    move |config| {
        config.app_data(youliao);
        config.service(web::resource(CALL).route(web::post().to(receive)));
        config.service(web::resource(PAGE).route(web::get().to(visit)));
    }
}

/// The call, which takes forms alone. The work is detached: it goes on when the caller hangs up.
async fn receive(youliao: web::Data<Youliao>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !content_type.starts_with("application/x-www-form-urlencoded") {
        return HttpResponse::UnsupportedMediaType().finish();
    }
    let form: Form = pairs(&body).into_iter().collect();
    let youliao = youliao.into_inner();
    let runtime = youliao.world.runtime.clone();
    match runtime.spawn(async move { youliao.handle(form).await }).await {
        Ok(answer) => respond(answer),
        // The runtime is going down, or a bug panicked: either way there is no answer.
        Err(_) => respond(Answer::Cut),
    }
}

async fn visit(youliao: web::Data<Youliao>, request: HttpRequest) -> HttpResponse {
    let query = pairs(request.query_string().as_bytes());
    page::show(query.iter().any(|(name, value)| name == "token" && youliao.open(value)))
}

/// Reads a query or a form body; what is not one has no parameters.
fn pairs(bytes: &[u8]) -> Vec<(String, String)> {
    serde_urlencoded::from_bytes(bytes).unwrap_or_default()
}
