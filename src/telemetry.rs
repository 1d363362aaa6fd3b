//! Logs: one line for each thing that happened, without secrets.

mod json;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// What is logged. Fails if the filter cannot be read.
pub fn filter(log: &Log) -> anyhow::Result<EnvFilter> {
    EnvFilter::try_new(&log.filter).context("configuration key log.filter")
}

/// Starts logging to standard error. A second call (as tests make) changes nothing.
/// Fails if the filter cannot be read.
pub fn start(log: &Log) -> anyhow::Result<()> {
    let builder = tracing_subscriber::fmt().with_env_filter(filter(log)?).with_writer(std::io::stderr);
    let started = match log.format {
        LogFormat::Json => builder.fmt_fields(json::Fields).event_format(json::Line).try_init(),
        LogFormat::Text => builder.compact().try_init(),
    };
    drop(started);
    Ok(())
}
