//! Configuration: `config/default.toml` < `config/{TILLGATE_ENV}.toml` < `TILLGATE__SECTION__KEY`.
//!
//! A variable with `_FILE` behind its name gives the path of a file that holds the value, for
//! mounted secrets. A missing or unknown key stops the start with its name.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use time::Time;
use url::Url;

const DEFAULTS: &str = include_str!("../config/default.toml");
const PREFIX: &str = "TILLGATE__";

/// Everything that the operator sets.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where the orders are.
    pub database: Database,
    /// Where we listen.
    pub server: Server,
    /// The keys.
    pub vault: VaultKeys,
    /// How long things take.
    pub timing: Timing,
    /// How the merchant is told.
    pub webhooks: Webhooks,
    /// How both sides are compared.
    pub reconciliation: Reconciliation,
    /// How long what the merchant was told is kept.
    pub retention: Retention,
    /// What is logged.
    pub log: Log,
}

/// `[database]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// `postgres://...`; holds the password, so that it has no default.
    pub url: Option<SecretString>,
    /// Connections of one process.
    #[serde(deserialize_with = "number")]
    pub max_connections: u32,
    /// How long a request waits for a connection.
    #[serde(deserialize_with = "duration")]
    pub acquire_timeout: Duration,
    /// How long a statement takes at most; then the connection is given up, and its outcome is unknown.
    #[serde(deserialize_with = "duration")]
    pub statement_timeout: Duration,
}

/// `[server]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// The API's address and port.
    pub bind: SocketAddr,
    /// The address and port of `/livez`, `/readyz` and `/metrics`.
    pub management_bind: SocketAddr,
    /// Where providers and browsers reach the API from outside.
    pub public_url: Option<Url>,
    /// Networks of proxies whose `X-Forwarded-For` is believed.
    #[serde(deserialize_with = "networks")]
    pub trusted_proxies: Vec<IpNet>,
}

/// `[vault]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultKeys {
    /// 32 bytes in base64.
    pub key: Option<SecretString>,
    /// Keys that no longer seal and still open.
    #[serde(deserialize_with = "secrets")]
    pub previous_keys: Vec<SecretString>,
}

/// `[timing]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// How long one worker may keep a task before others may take it.
    #[serde(deserialize_with = "duration")]
    pub lease: Duration,
    /// How long a call to a provider may take.
    #[serde(deserialize_with = "duration")]
    pub provider_timeout: Duration,
    /// Gaps between looks for an unknown outcome; the last repeats.
    #[serde(deserialize_with = "durations")]
    pub lookup_schedule: Vec<Duration>,
    /// Least distance of two looks that found nothing before a call is sent again.
    #[serde(deserialize_with = "duration")]
    pub resend_gap: Duration,
    /// After this long without an outcome a human decides.
    #[serde(deserialize_with = "duration")]
    pub review_after: Duration,
    /// Gaps between looks at open payouts; the last repeats.
    #[serde(deserialize_with = "durations")]
    pub poll_schedule: Vec<Duration>,
    /// How often a provider's feed of deposits is read.
    #[serde(deserialize_with = "duration")]
    pub feed_period: Duration,
    /// How long a deposit waits where the merchant does not say.
    #[serde(deserialize_with = "duration")]
    pub deposit_ttl: Duration,
    /// How much longer than its deadline a deposit waits for a callback.
    #[serde(deserialize_with = "duration")]
    pub callback_grace: Duration,
    /// How long an expired or canceled deposit stays open to late money.
    #[serde(deserialize_with = "duration")]
    pub late_window: Duration,
    /// Gaps between deliveries of one event; then it is exhausted.
    #[serde(deserialize_with = "durations")]
    pub webhook_schedule: Vec<Duration>,
    /// How long a stop may take.
    #[serde(deserialize_with = "duration")]
    pub shutdown_grace: Duration,
}

/// `[webhooks]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhooks {
    /// Networks that are otherwise refused.
    #[serde(deserialize_with = "networks")]
    pub allowed_networks: Vec<IpNet>,
}

/// `[reconciliation]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reconciliation {
    /// When each night's runs begin, in UTC. Absent: never.
    #[serde(deserialize_with = "time_of_day")]
    pub nightly_at: Option<Time>,
    /// How many days back a nightly run goes.
    #[serde(deserialize_with = "number")]
    pub days: u32,
    /// Nightly runs hear at once what the provider is further with.
    #[serde(deserialize_with = "yes_or_no")]
    pub repair: bool,
    /// The least time between two questions of a run.
    #[serde(deserialize_with = "duration")]
    pub pause: Duration,
}

/// `[retention]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// How long events, their deliveries and their tries are kept at the least. Absent (`forever`): nothing is dropped.
    #[serde(deserialize_with = "age")]
    pub events: Option<Duration>,
    /// How long raw inputs from outside are kept. Absent (`forever`): nothing is forgotten.
    #[serde(deserialize_with = "age")]
    pub raw_inputs: Option<Duration>,
}

/// `[log]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// `json` or `text`.
    pub format: LogFormat,
    /// What to log, for example `info,tillgate=debug`.
    pub filter: String,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    Json,
    /// For people.
    Text,
}

/// Why the configuration cannot be used. Names the key and never shows a value.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file is no TOML.
    #[error("{0}")]
    Malformed(String),
    /// A key is unknown, or its value is.
    #[error("configuration key {key}: {problem}")]
    Key {
        /// Which key, as `section.key`.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A key that has no default is not set.
    #[error("configuration key {0} is not set; give it by the environment variable {1} (or {1}_FILE)")]
    Missing(&'static str, &'static str),
}

impl Settings {
    /// Reads the files below `directory` and the variables.
    pub fn load(directory: &Path, variables: impl Iterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let variables: BTreeMap<String, String> = variables.collect();
        let environment = variables.get("TILLGATE_ENV").map(|name| format!("{name}.toml"));
        let mut builder = config::Config::builder().add_source(config::File::from_str(DEFAULTS, config::FileFormat::Toml));
        for name in [Some("default.toml".to_owned()), environment].into_iter().flatten() {
            let path = directory.join(&name);
            if path.exists() || name != "default.toml" {
                let text = read(&path)?;
                builder = builder.add_source(config::File::from_str(&text, config::FileFormat::Toml));
            }
        }
        for (key, value) in overrides(&variables)? {
            builder = builder.set_override(&key, value).map_err(|error| malformed(&error))?;
        }
        let merged: Value = builder.build().and_then(config::Config::try_deserialize).map_err(|error| malformed(&error))?;
        serde_path_to_error::deserialize(merged)
            .map_err(|error| ConfigError::Key { key: error.path().to_string(), problem: error.inner().to_string() })
    }

    /// The database's address.
    pub fn database_url(&self) -> Result<&SecretString, ConfigError> {
        self.database.url.as_ref().ok_or(ConfigError::Missing("database.url", "TILLGATE__DATABASE__URL"))
    }

    /// The vault's key.
    pub fn vault_key(&self) -> Result<&SecretString, ConfigError> {
        self.vault.key.as_ref().ok_or(ConfigError::Missing("vault.key", "TILLGATE__VAULT__KEY"))
    }

    /// Where providers and browsers reach us.
    pub fn public_url(&self) -> Result<&Url, ConfigError> {
        self.server.public_url.as_ref().ok_or(ConfigError::Missing("server.public_url", "TILLGATE__SERVER__PUBLIC_URL"))
    }
}

fn malformed(error: &config::ConfigError) -> ConfigError {
    ConfigError::Malformed(error.to_string())
}

fn read(path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.display().to_string(), source })
}

/// `TILLGATE__SECTION__KEY` and `TILLGATE__SECTION__KEY_FILE` as keys and values.
fn overrides(variables: &BTreeMap<String, String>) -> Result<Vec<(String, String)>, ConfigError> {
    let mut found = Vec::new();
    for (name, value) in variables {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let key = |name: &str| name.to_ascii_lowercase().replace("__", ".");
        match rest.strip_suffix("_FILE") {
            Some(rest) => found.push((key(rest), read(Path::new(value))?.trim_end_matches(['\r', '\n']).to_owned())),
            None => found.push((key(rest), value.clone())),
        }
    }
    Ok(found)
}

/// A list is a list in a file and comma-separated in a variable.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum List {
        Items(Vec<String>),
        Text(String),
    }
    Ok(match List::deserialize(deserializer)? {
        List::Items(items) => items,
        List::Text(text) => text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect(),
    })
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// A duration, or `forever`, which is none.
fn age<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == "forever" {
        return Ok(None);
    }
    humantime::parse_duration(&text)
        .map(Some)
        .map_err(|error| D::Error::custom(format!("{text:?} is neither forever nor a duration such as 400d: {error}")))
}

fn durations<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Duration>, D::Error> {
    let items = list(deserializer)?;
    if items.is_empty() {
        return Err(D::Error::custom("needs at least one duration, for example 5s,15s"));
    }
    items.iter().map(|item| parse_duration(item).map_err(D::Error::custom)).collect()
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{text:?} is no duration such as 30s or 24h: {error}"))
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| D::Error::custom("must be a whole number, at least 1"))
}

/// `02:00`, or `never`.
fn time_of_day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Time>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == "never" {
        return Ok(None);
    }
    let time = text.split_once(':').and_then(|(hour, minute)| Time::from_hms(hour.parse().ok()?, minute.parse().ok()?, 0).ok());
    time.map(Some).ok_or_else(|| D::Error::custom(format!("{text:?} is no time such as 02:00, nor never")))
}

fn yes_or_no<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.parse().map_err(|_| D::Error::custom("must be true or false"))
}

fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let parse = |text: &String| {
        text.parse::<IpNet>()
            .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
            .map_err(|_| D::Error::custom(format!("{text:?} is no IP address or network")))
    };
    list(deserializer)?.iter().map(parse).collect()
}

fn secrets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SecretString>, D::Error> {
    Ok(list(deserializer)?.into_iter().map(SecretString::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        Settings::load(Path::new("/nonexistent"), variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn the_defaults_need_only_what_has_no_default() {
        let settings = load(&[]).unwrap();
        assert_eq!(settings.timing.lookup_schedule.len(), 8);
        assert_eq!(settings.retention.events, Some(Duration::from_hours(400 * 24)));
        assert_eq!(load(&[("TILLGATE__RETENTION__EVENTS", "forever")]).unwrap().retention.events, None);
        assert!(settings.database_url().unwrap_err().to_string().contains("TILLGATE__DATABASE__URL"));
        assert!(settings.vault_key().unwrap_err().to_string().contains("vault.key"));
        assert!(settings.public_url().is_err());
    }

    #[test]
    fn variables_override_and_lists_are_comma_separated() {
        let settings = load(&[
            ("TILLGATE__TIMING__LOOKUP_SCHEDULE", "5s, 15s"),
            ("TILLGATE__DATABASE__MAX_CONNECTIONS", "3"),
            ("TILLGATE__SERVER__BIND", "127.0.0.1:0"),
            ("TILLGATE__WEBHOOKS__ALLOWED_NETWORKS", "127.0.0.0/8,10.0.0.1"),
        ])
        .unwrap();
        assert_eq!(settings.timing.lookup_schedule, [Duration::from_secs(5), Duration::from_secs(15)]);
        assert_eq!((settings.database.max_connections, settings.server.bind.port()), (3, 0));
        assert_eq!(settings.webhooks.allowed_networks.len(), 2);
    }

    #[test]
    fn a_wrong_or_unknown_key_is_named_and_no_value_shown() {
        for (name, value, named) in [
            ("TILLGATE__TIMING__LEASE", "soon", "timing.lease"),
            ("TILLGATE__TIMING__LEESE", "5s", "leese"),
            ("TILLGATE__TIMING__POLL_SCHEDULE", "", "timing.poll_schedule"),
            ("TILLGATE__RETENTION__EVENTS", "never", "retention.events"),
            ("TILLGATE__NONSENSE__X", "1", "nonsense"),
            ("TILLGATE__SERVER__PUBLIC_URL", "nowhere", "server.public_url"),
            ("TILLGATE__DATABASE__URL_FILE", "/nonexistent/file", "/nonexistent/file"),
        ] {
            let error = load(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(named), "{name}: {error}");
        }
    }
}
