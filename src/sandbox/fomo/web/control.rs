//! The control verbs of the web flow over HTTP.

use actix_web::web;
use serde::Deserialize;
use serde_json::json;

use crate::sandbox::Core;
use crate::sandbox::control::{Answer, ok, unknown};

/// The table, below `/_control`.
pub(in crate::sandbox) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/browse/authorize", web::post().to(authorize))
        .route("/browse/pay", web::post().to(pay))
        .route("/redirect_uris", web::post().to(set_redirect_uri));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Agreement {
    url: String,
    user_id: String,
    approve: bool,
}

async fn authorize(core: web::Data<Core>, asked: web::Json<Agreement>) -> Answer {
    let location = core.fomo.browse_authorize(&asked.url, &asked.user_id, asked.approve).await?;
    ok(json!({ "location": location }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payment {
    url: String,
    approve: bool,
}

async fn pay(core: web::Data<Core>, asked: web::Json<Payment>) -> Answer {
    let location = core.fomo.browse_pay(&asked.url, asked.approve).await?;
    ok(json!({ "location": location }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Registration {
    client_id: String,
    redirect_uri: String,
}

async fn set_redirect_uri(core: web::Data<Core>, new: web::Json<Registration>) -> Answer {
    if core.fomo.set_redirect_uri(&new.client_id, &new.redirect_uri) { ok(json!({})) } else { Err(unknown("no such app")) }
}
