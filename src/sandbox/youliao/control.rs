//! Youliao's control verbs over HTTP, under `/_control/youliao/`.

use actix_web::web;
use serde::Deserialize;
use serde_json::json;

use crate::sandbox::Core;
use crate::sandbox::control::{Answer, ok};

/// The table, below `/_control`.
pub(in crate::sandbox) fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::scope("/youliao").route("/authorizations", web::get().to(authorizations)).route("/settings", web::post().to(settings)),
    );
}

async fn authorizations(core: web::Data<Core>) -> Answer {
    ok(json!({ "authorizations": core.youliao.granted() }))
}

/// What is absent stays as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The words of every refusal from now on. Empty: nothing is refused.
    refusal: Option<String>,
}

async fn settings(core: web::Data<Core>, new: web::Json<Settings>) -> Answer {
    if let Some(words) = new.refusal.as_deref() {
        core.youliao.set_refusal(Some(words).filter(|words| !words.is_empty()));
    }
    ok(json!({}))
}
