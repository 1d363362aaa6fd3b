//! Every request has a name: the caller's `X-Request-Id`, or one that we make. It is in the answer,
//! in every problem and in every log line.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, web};
use tracing::Instrument;

use crate::flows::Context;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");

tokio::task_local! {
    static CURRENT: String;
}

/// The name of the request that is being answered; empty outside of one.
pub fn current() -> String {
    CURRENT.try_with(Clone::clone).unwrap_or_default()
}

/// Runs `future` as part of the request with this name.
pub async fn within<F: Future>(name: String, future: F) -> F::Output {
    CURRENT.scope(name, future).await
}

/// Names the request, and logs how it was answered.
pub async fn name_request(request: ServiceRequest, next: Next<impl MessageBody>) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let given = request.headers().get(HEADER).and_then(|value| value.to_str().ok()).filter(|text| is_name(text)).map(str::to_owned);
    let context = request.app_data::<web::Data<Context>>().cloned();
    let made = || context.as_ref().map(|context| context.clock.new_uuid().simple().to_string()).unwrap_or_default();
    let name = given.unwrap_or_else(made);
    let span = tracing::info_span!("request", request_id = %name, method = %request.method(), route = tracing::field::Empty);
    let began = context.as_ref().map(|context| context.clock.instant());
    let answer = within(name.clone(), next.call(request)).instrument(span.clone()).await;
    let mut response = answer?;
    span.record("route", response.request().match_pattern().unwrap_or_default());
    let millis = began.zip(context).map(|(began, context)| context.clock.instant().duration_since(began).as_millis());
    span.in_scope(|| tracing::info!(status = response.status().as_u16(), millis, "answered"));
    if let Ok(value) = HeaderValue::from_str(&name) {
        response.headers_mut().insert(HEADER, value);
    }
    Ok(response)
}

fn is_name(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}
