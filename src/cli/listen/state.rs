//! The file that remembers how far events were forwarded.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// Where the cursor is kept. Without a file nothing is.
pub(super) struct State(Option<PathBuf>);

#[derive(Serialize, Deserialize)]
struct Content {
    /// The last event that the receiver took. Absent: none, begin with the first.
    after: Option<String>,
}

impl State {
    pub(super) fn new(file: Option<PathBuf>) -> Self {
        Self(file)
    }

    /// What an earlier run left: the event to go on behind, if there was one. `None`: there was no earlier run.
    #[expect(clippy::option_option, reason = "no file, and a file that says that there was no event yet, are two things")]
    pub(super) fn read(&self) -> anyhow::Result<Option<Option<String>>> {
        let Some(file) = &self.0 else { return Ok(None) };
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("the state file {} cannot be read", file.display())),
        };
        let content: Content = serde_json::from_str(&text)
            .with_context(|| format!("{} is no state file of this command: give another, or remove it", file.display()))?;
        Ok(Some(content.after))
    }

    /// Remembers an event. A crash leaves the old content or the new one, never a part.
    pub(super) fn write(&self, after: Option<&str>) -> anyhow::Result<()> {
        let Some(file) = &self.0 else { return Ok(()) };
        let text = serde_json::to_string(&Content { after: after.map(str::to_owned) })?;
        replace(file, &text).with_context(|| format!("the state file {} cannot be written", file.display()))
    }
}

fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let mut name = file.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let mut written = File::create(&new)?;
    writeln!(written, "{text}")?;
    written.sync_all()?;
    std::fs::rename(&new, file)
}
