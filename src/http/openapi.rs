//! The API's description, made from the handlers themselves.

use std::sync::OnceLock;

use actix_web::http::header::LOCATION;
use actix_web::{App, HttpResponse};
use utoipa::openapi::RefOr;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_actix_web::AppExt;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tillgate",
        description = "Deposits and payouts over coin wallets, for merchants' backends. Amounts are decimal strings in whole coins, \
                       times are RFC 3339 in UTC, errors are `application/problem+json` with a stable `code`. \
                       Repeating a request with the same `trade_id` is always safe."
    ),
    modifiers(&Security),
    tags(
        (name = "deposits", description = "Money from a customer to you"),
        (name = "payouts", description = "Money from you to somebody"),
        (name = "transfers", description = "Money between two of your customers"),
        (name = "receipts", description = "What came in, and the orders that it is of"),
        (name = "orders", description = "What happened to an order, and why it is where it is"),
        (name = "customers", description = "Your customers' accounts at wallets"),
        (name = "youliao", description = "Authorisations at Youliao"),
        (name = "coins", description = "What may be ordered"),
        (name = "discrepancies", description = "Where a provider's side and ours disagree"),
        (name = "audit_log", description = "Who changed what by hand, and why"),
        (name = "reconciliations", description = "How both sides were compared, and what came of it"),
        (name = "reports", description = "What moved, with what there was before and after"),
        (name = "events", description = "All that happened, in order"),
        (name = "webhook_endpoints", description = "Where you are told of events, signed after the Standard Webhooks specification"),
        (name = "webhook_deliveries", description = "What your endpoints were told, and what they answered"),
        (name = "browsers", description = "Where customers' browsers come by"),
        (name = "callbacks", description = "Where providers call us")
    )
)]
struct Description;

struct Security;

impl Modify for Security {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("An API key: `tg_...`")).build();
        api.components.get_or_insert_default().add_security_scheme("api_key", SecurityScheme::Http(scheme));
    }
}

/// The description, whole (OpenAPI 3.1).
pub fn document() -> utoipa::openapi::OpenApi {
    let (_, mut api) = App::new().into_utoipa_app().openapi(Description::openapi()).configure(super::described).split_for_parts();
    for item in api.paths.paths.values_mut() {
        [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten().for_each(complete);
    }
    api
}

/// What the handlers' attributes leave open: ids that are unique over the rooms, and a word for every answer.
fn complete(operation: &mut Operation) {
    let room = operation.tags.iter().flatten().next().cloned().unwrap_or_default();
    let verb = operation.operation_id.take().unwrap_or_default();
    operation.operation_id = Some(format!("{room}_{verb}"));
    for (status, answer) in &mut operation.responses.responses {
        if let RefOr::T(answer) = answer
            && answer.description.is_empty()
        {
            answer.description = if status.starts_with('2') { "It is as asked." } else { "A problem; its `code` says which." }.to_owned();
        }
    }
}

/// What the server says of itself, made when it is first asked.
struct Said {
    json: String,
    /// Each path with the methods that it takes.
    methods: Vec<(String, Vec<&'static str>)>,
}

fn said() -> &'static Said {
    static SAID: OnceLock<Said> = OnceLock::new();
    SAID.get_or_init(|| {
        let api = document();
        let methods = api.paths.paths.iter().map(|(template, item)| (template.clone(), methods(item))).collect();
        Said { json: api.to_json().unwrap_or_default(), methods }
    })
}

/// The methods that a path takes; empty if there is no such path.
pub fn methods_of(path: &str) -> Vec<&'static str> {
    let matches = |template: &str| {
        let mut parts = path.split('/');
        let all =
            template.split('/').all(|part| parts.next().is_some_and(|given| part == given || (part.starts_with('{') && !given.is_empty())));
        all && parts.next().is_none()
    };
    said().methods.iter().find(|(template, _)| matches(template)).map(|(_, methods)| methods.clone()).unwrap_or_default()
}

fn methods(item: &PathItem) -> Vec<&'static str> {
    let all = [("GET", &item.get), ("POST", &item.post), ("PATCH", &item.patch), ("DELETE", &item.delete)];
    all.into_iter().filter(|(_, operation)| operation.is_some()).map(|(name, _)| name).collect()
}

/// `/openapi.json`.
pub async fn json() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(said().json.as_str())
}

/// `/docs` without its slash.
pub async fn to_docs() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((LOCATION, "/docs/")).finish()
}
