//! What is agreed with Hicoin before the first visit, and how its OAuth behaves.

use serde::{Deserialize, Serialize};

/// A merchant's app at Hicoin's OAuth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HicoinOauthApp {
    /// The app of the open API whose users can agree, by its id; `None`: the first. An OAuth app of an app that is not
    /// there is left out.
    pub open_app: Option<String>,
    /// The app's id; `None`: the same as at the open API.
    pub app_id: Option<String>,
    /// The secret that `access_token` needs; `None`: the same as at the open API.
    pub secret: Option<String>,
    /// Where users are sent back; every request must repeat it.
    pub redirect_uri: String,
}

impl Default for HicoinOauthApp {
    fn default() -> Self {
        Self { open_app: None, app_id: None, secret: None, redirect_uri: "https://pay.acme.example/oauth/hicoin/return".to_owned() }
    }
}

/// How long tokens live, and whether a refresh token survives its use. The document leaves both open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HicoinTokenLife {
    /// Seconds of an access token (`expires_in`).
    pub access_seconds: u32,
    /// Seconds of a refresh token, from the exchange of the code or, where it rotates, from its own issue.
    pub refresh_seconds: u32,
    /// A refresh gives a new refresh token, and the old one dies; otherwise the old one comes back and stays good.
    pub rotate: bool,
}

/// Two hours and thirty days, without rotation.
impl Default for HicoinTokenLife {
    fn default() -> Self {
        Self { access_seconds: 7200, refresh_seconds: 30 * 24 * 3600, rotate: false }
    }
}

/// The ways in which answers with tokens may look; the default is the document's tables. Refusals always come in the
/// open API's envelope and follow its style.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HicoinOauthStyle {
    /// Tokens come in the envelope `{code, msg, data}` instead of bare.
    pub enveloped: bool,
    /// `expires_in` is a number, not a string as in the table.
    pub number_expires_in: bool,
}
