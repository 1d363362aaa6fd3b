//! FOMO's forms and styles, and what a call can come to, before it is rendered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::code::Refusal;
use super::state::Coin;
use super::transfer::Transfer;

/// The ways in which FOMO's answers may look; the default is the document's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Style {
    /// `pre_pay` puts `transfer_id` under `data` instead of at the top level.
    pub transfer_id_under_data: bool,
    /// `data` of `pay_user`, `confirm_pay` and (under `data`) `pre_pay` is an object instead of a list of one.
    pub data_as_object: bool,
    /// Tokens come in the envelope `{success, status, msg, data}` instead of bare.
    pub enveloped_tokens: bool,
    /// Numbers come as strings.
    pub strings: bool,
    /// Callbacks are JSON instead of a form.
    pub json_callbacks: bool,
}

impl Style {
    pub(super) fn number(self, number: i64) -> Value {
        if self.strings { Value::from(number.to_string()) } else { Value::from(number) }
    }

    pub(super) fn one(self, object: Value) -> Value {
        if self.data_as_object { object } else { json!([object]) }
    }
}

/// The parameters of a call.
#[derive(Clone, Default)]
pub(super) struct Form(BTreeMap<String, String>);

impl Form {
    /// Reads a query or a form body; what is not one has no parameters.
    pub(super) fn parse(query: &str, body: &[u8]) -> Self {
        let read = |bytes| serde_urlencoded::from_bytes::<Vec<(String, String)>>(bytes).unwrap_or_default();
        Self(read(query.as_bytes()).into_iter().chain(read(body)).collect())
    }

    pub(super) fn from_pairs<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
    }

    /// The same with one parameter set.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A parameter; one that is absent is as good as empty.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Refuses the first parameter that is missing, by name.
    pub(super) fn require(&self, names: &[&'static str]) -> Result<(), Refusal> {
        match names.iter().find(|name| self.get(name).is_empty()) {
            Some(name) => Err(Refusal::parameter(name)),
            None => Ok(()),
        }
    }

    pub(super) fn to_map(&self) -> BTreeMap<String, String> {
        self.0.clone()
    }
}

/// What a call came to when it was not refused.
pub(super) enum Done {
    Code(String),
    Tokens { access_token: String, refresh_token: String, expires_in: u32, scope: String },
    User { user_id: String, name: String },
    Prepaid { transfer_id: String, trade_id: String },
    Confirmed { transfer_id: String, trade_id: String },
    PaidOut { transfer_id: String, trade_id: String },
    Detail { transfer: Box<Transfer>, user_name: String, coin: Option<Coin> },
    Coins(Vec<Coin>),
}
