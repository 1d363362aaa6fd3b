//! What Hicoin's OAuth remembers: apps, codes and refresh tokens. No call of the document takes an access token, so
//! those are given away and forgotten.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::setup::{HicoinOauthApp, HicoinOauthStyle, HicoinTokenLife};
use crate::sandbox::hicoin::HicoinApp;
use crate::sandbox::hicoin::code::{self, Refusal};
use crate::sandbox::hicoin::operator::HicoinError;

/// A merchant's app, with everything filled in.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) app_id: String,
    pub(super) secret: String,
    pub(super) open_app: String,
    pub(super) redirect_uri: String,
    /// Who is logged in where nobody is asked; `None`: the user who was registered first.
    pub(super) default_uid: Option<u64>,
}

impl Client {
    fn new(app: HicoinOauthApp, open_apps: &[HicoinApp]) -> Option<Self> {
        let open = match &app.open_app {
            Some(app_id) => open_apps.iter().find(|one| one.app_id == *app_id),
            None => open_apps.first(),
        }?;
        Some(Self {
            app_id: app.app_id.unwrap_or_else(|| open.app_id.clone()),
            secret: app.secret.unwrap_or_else(|| open.app_secret.clone()),
            open_app: open.app_id.clone(),
            redirect_uri: app.redirect_uri,
            default_uid: None,
        })
    }

    /// What this app knows a user by: always the same, and another than any other app's.
    pub(super) fn openid(&self, uid: u64) -> String {
        hex::encode(&Sha256::digest(format!("openid {} {uid}", self.app_id))[..16])
    }
}

/// What a code or refresh token stands for.
#[derive(Clone)]
pub(super) struct Grant {
    pub(super) app_id: String,
    pub(super) uid: u64,
    pub(super) scope: String,
    pub(super) expires_at_ms: i64,
}

pub(in crate::sandbox::hicoin) struct State {
    clients: Vec<Client>,
    pub(super) codes: BTreeMap<String, Grant>,
    pub(super) refresh_tokens: BTreeMap<String, Grant>,
    pub(super) life: HicoinTokenLife,
    pub(super) style: HicoinOauthStyle,
}

impl State {
    pub(in crate::sandbox::hicoin) fn new(apps: Vec<HicoinOauthApp>, open_apps: &[HicoinApp]) -> Self {
        Self {
            clients: apps.into_iter().filter_map(|app| Client::new(app, open_apps)).collect(),
            codes: BTreeMap::new(),
            refresh_tokens: BTreeMap::new(),
            life: HicoinTokenLife::default(),
            style: HicoinOauthStyle::default(),
        }
    }

    /// The app of this id: 100015 for an unknown one.
    pub(super) fn client(&self, app_id: &str) -> Result<&Client, Refusal> {
        self.clients.iter().find(|one| one.app_id == app_id).ok_or_else(|| code::NO_SUCH_APP.into())
    }

    /// The app that a verb is about: the first where none is named.
    pub(super) fn meant(&mut self, app_id: Option<&str>) -> Result<&mut Client, HicoinError> {
        let found = self.clients.iter_mut().find(|one| app_id.is_none_or(|app_id| one.app_id == app_id));
        found.ok_or(HicoinError::NoSuchApp)
    }
}
