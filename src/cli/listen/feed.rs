//! The event feed of a gateway, as a merchant's backend reads it.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use url::Url;

/// A gateway answers sooner.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A merchant's events at a gateway.
pub(super) struct Feed {
    http: reqwest::Client,
    url: Url,
    key: SecretString,
    /// Where the key came from.
    key_env: String,
}

/// An event as its webhook tells it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// Its id.
    pub id: String,
    /// Its type.
    pub event_type: String,
    /// What it is about: the merchant's own id where there is one.
    object: String,
    /// The step's number. Absent where it is about none.
    sequence: Option<i64>,
    /// The webhook's body, byte for byte.
    pub body: Bytes,
}

/// Some events, oldest first.
#[derive(Debug)]
pub(super) struct Page {
    pub events: Vec<Event>,
    /// There are more already.
    pub more: bool,
}

/// Why the feed cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum FeedError {
    /// It may be readable later.
    #[error("{0}")]
    Passing(String),
    /// Somebody has to do something.
    #[error("{0}")]
    Final(String),
}

impl fmt::Display for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sequence = self.sequence.map_or("-".to_owned(), |sequence| format!("#{sequence}"));
        write!(formatter, "{}  {}  {sequence}", self.event_type, self.object)
    }
}

impl Feed {
    /// The feed of the gateway at this address, read with the key in this variable; only events of these types, if some are given.
    pub(super) fn new(address: &str, key_env: &str, types: Option<&str>) -> anyhow::Result<Self> {
        let key = std::env::var(key_env).ok().map(|key| key.trim().to_owned()).filter(|key| !key.is_empty());
        let key = key.with_context(|| {
            format!(
                "there is no API key: put one with the scope orders:read into the environment variable {key_env}, \
                 or name another variable with --key-env"
            )
        })?;
        let mut url = Url::parse(&format!("{}/v1/events", address.trim_end_matches('/'))).context("--url")?;
        if !["http", "https"].contains(&url.scheme()) {
            bail!("--url: give the gateway's address, such as https://pay.acme.example");
        }
        url.query_pairs_mut().append_pair("limit", "100");
        if let Some(types) = types {
            url.query_pairs_mut().append_pair("type", types);
        }
        let agent = concat!("tillgate-listen/", env!("CARGO_PKG_VERSION"));
        let http = reqwest::Client::builder().user_agent(agent).redirect(Policy::none()).timeout(TIMEOUT).no_proxy().build()?;
        Ok(Self { http, url, key: key.into(), key_env: key_env.to_owned() })
    }

    /// What comes after an event; from the first one on without.
    pub(super) async fn after(&self, cursor: Option<&str>) -> Result<Page, FeedError> {
        let mut url = self.url.clone();
        if let Some(cursor) = cursor {
            url.query_pairs_mut().append_pair("starting_after", cursor);
        }
        let away = |error: reqwest::Error| {
            let why = if error.is_timeout() { "it does not answer in time" } else { "there is no connection" };
            FeedError::Passing(format!("the gateway at {} cannot be reached ({why}): is it running, and is --url right?", self.origin()))
        };
        let answer = self.http.get(url).bearer_auth(self.key.expose_secret()).send().await.map_err(away)?;
        let status = answer.status().as_u16();
        let text = answer.text().await.map_err(away)?;
        if status == 200 { page(&text).ok_or_else(|| self.stranger(status)) } else { Err(self.refusal(status, &text, cursor)) }
    }

    fn refusal(&self, status: u16, text: &str, cursor: Option<&str>) -> FeedError {
        let name = &self.key_env;
        let problem: Value = serde_json::from_str(text).unwrap_or_default();
        match (status, problem["code"].as_str()) {
            (429 | 500.., _) => FeedError::Passing(format!("the gateway at {} answers {status}", self.origin())),
            (401, _) => FeedError::Final(format!(
                "the gateway does not take the key in {name}: it is wrong, revoked, expired, or not for this machine's address. \
                 The operator makes another with `tillgate key create --merchant NAME --scopes orders:read`"
            )),
            (403, _) => FeedError::Final(format!(
                "the key in {name} may not read events: it needs the scope orders:read. \
                 The operator makes another with `tillgate key create --merchant NAME --scopes orders:read`"
            )),
            (422, Some("event_unknown" | "event_removed")) => FeedError::Final(format!(
                "the gateway does not know the event {}, behind which this would go on: it is another merchant's or another gateway's, or was \
                 removed for its age. Take another --state file (or remove this one), and say with --since start or --since now where to begin",
                cursor.unwrap_or_default()
            )),
            (422, Some(_)) => {
                let errors = problem["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
                let details: Vec<&str> = errors.iter().filter_map(|error| error["detail"].as_str()).collect();
                FeedError::Final(format!("the gateway refuses what was asked: {}", details.join("; ")))
            }
            _ => self.stranger(status),
        }
    }

    fn stranger(&self, status: u16) -> FeedError {
        FeedError::Final(format!(
            "{} answers {status} and has no event feed that can be read: is --url a Tillgate's address?",
            self.origin()
        ))
    }

    /// The gateway's address without what may be secret.
    fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

/// Reads a page. `None`: it is none.
fn page(text: &str) -> Option<Page> {
    #[derive(Deserialize)]
    struct List<'a> {
        #[serde(borrow)]
        data: Vec<&'a RawValue>,
        has_more: bool,
    }
    let list: List<'_> = serde_json::from_str(text).ok()?;
    let events = list.data.into_iter().map(|raw| event(raw.get())).collect::<Option<_>>()?;
    Some(Page { events, more: list.has_more })
}

/// Reads an event. It is the webhook's body with the id before it, so that without the id it is that body again, to the byte: reading
/// and writing it anew would change numbers and spaces, and with them the signature.
fn event(raw: &str) -> Option<Event> {
    #[derive(Deserialize)]
    struct Head {
        id: String,
        #[serde(rename = "type")]
        event_type: String,
        sequence: Option<i64>,
        #[serde(default)]
        data: Value,
    }
    let head: Head = serde_json::from_str(raw).ok()?;
    let rest = raw.strip_prefix(&format!(r#"{{"id":"{}","#, head.id))?;
    let object = ["trade_id", "id", "customer"].iter().find_map(|key| head.data[key].as_str());
    Some(Event {
        object: object.unwrap_or("-").to_owned(),
        body: Bytes::from(format!("{{{rest}")),
        id: head.id,
        event_type: head.event_type,
        sequence: head.sequence,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_what_the_webhook_had_to_the_byte() {
        let body = r#"{"type":"deposit.created", "data":{"trade_id":"a-1","n":1.50,"id":"x"},"sequence":1}"#;
        let feed = format!(r#"{{"object":"list","data":[{{"id":"evt_1",{}],"has_more":true,"next_cursor":"evt_1"}}"#, &body[1..]);
        let page = page(&feed).unwrap();
        assert!(page.more);
        let event = &page.events[0];
        assert_eq!((event.id.as_str(), event.body.as_ref()), ("evt_1", body.as_bytes()));
        assert_eq!(event.to_string(), "deposit.created  a-1  #1");
    }

    #[test]
    fn an_event_about_no_step_has_no_number() {
        let event = event(r#"{"id":"evt_2","type":"link.expired","data":{"customer":"ada"},"sequence":null}"#).unwrap();
        assert_eq!(event.to_string(), "link.expired  ada  -");
    }

    #[test]
    fn what_is_no_feed_is_not_read() {
        for text in ["", "<html>", "{}", r#"{"data":[{"type":"a","id":"evt_1"}],"has_more":false}"#, r#"{"data":[1],"has_more":false}"#] {
            assert!(page(text).is_none(), "{text}");
        }
    }
}
