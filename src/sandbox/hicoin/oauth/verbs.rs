//! The control verbs of Hicoin's OAuth. Each is about one app: the first of the options where `None` is given.

use super::setup::{HicoinOauthStyle, HicoinTokenLife};
use crate::sandbox::Sandbox;
use crate::sandbox::clock::lock;
use crate::sandbox::hicoin::Hicoin;
use crate::sandbox::hicoin::operator::HicoinError;
use crate::sandbox::page::BrowseError;

impl Hicoin {
    pub(super) fn set_oauth_user(&self, app: Option<&str>, uid: Option<u64>) -> Result<(), HicoinError> {
        let mut oauth = lock(&self.oauth);
        let client = oauth.meant(app)?;
        let known =
            |uid| lock(&self.state).apps.get(&client.open_app).is_some_and(|app| app.setup.uid != uid && app.users.contains_key(&uid));
        if !uid.is_none_or(known) {
            return Err(HicoinError::NoSuchUser);
        }
        client.default_uid = uid;
        Ok(())
    }

    pub(super) fn set_oauth_redirect_uri(&self, app: Option<&str>, redirect_uri: &str) -> Result<(), HicoinError> {
        redirect_uri.clone_into(&mut lock(&self.oauth).meant(app)?.redirect_uri);
        Ok(())
    }

    pub(super) fn openid(&self, app: Option<&str>, uid: u64) -> Result<String, HicoinError> {
        Ok(lock(&self.oauth).meant(app)?.openid(uid))
    }

    pub(super) fn set_token_life(&self, life: HicoinTokenLife) {
        lock(&self.oauth).life = life;
    }

    pub(super) fn set_oauth_style(&self, style: HicoinOauthStyle) {
        lock(&self.oauth).style = style;
    }
}

/// Hicoin's OAuth (hicoin-oauth.rst).
impl Sandbox {
    /// The user's browser opens Hicoin's page at `url` and approves or denies; with the scope `snsapi_base` he is not
    /// asked. Answers where the browser is sent, without going there. Of the URL, path and query count.
    ///
    /// # Errors
    /// Another page's URL, a page instead of a redirect, or no answer because of a fault.
    pub async fn browse_hicoin_authorize(&self, url: &str, uid: u64, approve: bool) -> Result<String, BrowseError> {
        self.core.hicoin.browse_authorize(url, uid, approve).await
    }

    /// How long tokens live that are given from now on, and whether refresh tokens rotate.
    pub fn set_hicoin_token_life(&self, life: HicoinTokenLife) {
        self.core.hicoin.set_token_life(life);
    }

    /// How answers with tokens look from now on.
    pub fn set_hicoin_oauth_style(&self, style: HicoinOauthStyle) {
        self.core.hicoin.set_oauth_style(style);
    }

    /// Who is logged in where nobody is asked; `None`: the user who was registered first.
    ///
    /// # Errors
    /// No such app, or no such user of its.
    pub fn set_hicoin_oauth_user(&self, app: Option<&str>, uid: Option<u64>) -> Result<(), HicoinError> {
        self.core.hicoin.set_oauth_user(app, uid)
    }

    /// Registers another redirect_uri.
    ///
    /// # Errors
    /// No such app.
    pub fn set_hicoin_oauth_redirect_uri(&self, app: Option<&str>, redirect_uri: &str) -> Result<(), HicoinError> {
        self.core.hicoin.set_oauth_redirect_uri(app, redirect_uri)
    }

    /// The openid by which an app knows a user.
    ///
    /// # Errors
    /// No such app.
    pub fn hicoin_openid(&self, app: Option<&str>, uid: u64) -> Result<String, HicoinError> {
        self.core.hicoin.openid(app, uid)
    }
}
