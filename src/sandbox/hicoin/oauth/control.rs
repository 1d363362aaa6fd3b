//! The control verbs of Hicoin's OAuth over HTTP, under `/_control/hicoin/`.

use actix_web::web;
use serde::Deserialize;
use serde_json::json;

use super::setup::{HicoinOauthStyle, HicoinTokenLife};
use crate::sandbox::Core;
use crate::sandbox::control::{Answer, ok};

/// The table, below `/_control/hicoin`.
pub(in crate::sandbox::hicoin) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/browse/authorize", web::post().to(authorize))
        .route("/openid", web::get().to(openid))
        .route("/oauth/settings", web::post().to(settings));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Agreement {
    url: String,
    uid: u64,
    approve: bool,
}

async fn authorize(core: web::Data<Core>, asked: web::Json<Agreement>) -> Answer {
    let location = core.hicoin.browse_authorize(&asked.url, asked.uid, asked.approve).await?;
    ok(json!({ "location": location }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct User {
    app: Option<String>,
    uid: u64,
}

async fn openid(core: web::Data<Core>, user: web::Query<User>) -> Answer {
    ok(json!({ "openid": core.hicoin.openid(user.app.as_deref(), user.uid)? }))
}

/// What is absent stays as it is. The app is the one whose user and redirect_uri are meant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    app: Option<String>,
    style: Option<HicoinOauthStyle>,
    token_life: Option<HicoinTokenLife>,
    /// Who is logged in where nobody is asked; 0: the user who was registered first.
    user: Option<u64>,
    redirect_uri: Option<String>,
}

async fn settings(core: web::Data<Core>, new: web::Json<Settings>) -> Answer {
    let app = new.app.as_deref();
    if let Some(uid) = new.user {
        core.hicoin.set_oauth_user(app, Some(uid).filter(|uid| *uid != 0))?;
    }
    if let Some(redirect_uri) = &new.redirect_uri {
        core.hicoin.set_oauth_redirect_uri(app, redirect_uri)?;
    }
    new.style.inspect(|style| core.hicoin.set_oauth_style(*style));
    new.token_life.inspect(|life| core.hicoin.set_token_life(*life));
    ok(json!({}))
}
