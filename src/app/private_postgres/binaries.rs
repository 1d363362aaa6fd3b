//! Where the programs of a Postgres server may be.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::error::PrivatePostgresError;

/// The places to look into, as a value: tests bring their own.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// `TILLGATE_PG_BIN`: when it is set, no other place is looked into.
    pub(super) chosen: Option<PathBuf>,
    /// Debian's folder of versions: `/usr/lib/postgresql`.
    pub(super) versions: PathBuf,
    /// The working folder; `.local/postgres/bin` is looked for there and above.
    pub(super) here: PathBuf,
    /// `PATH`.
    pub(super) path: OsString,
}

impl Search {
    /// The places that the environment of this process names.
    pub(super) fn of_this_process() -> Self {
        Self {
            chosen: std::env::var_os("TILLGATE_PG_BIN").filter(|folder| !folder.is_empty()).map(PathBuf::from),
            versions: PathBuf::from("/usr/lib/postgresql"),
            here: std::env::current_dir().unwrap_or_default(),
            path: std::env::var_os("PATH").unwrap_or_default(),
        }
    }

    /// The first place that has a server.
    pub(super) fn find(&self) -> Result<PathBuf, PrivatePostgresError> {
        let looked_in = match &self.chosen {
            Some(folder) => vec![folder.clone()],
            None => self.places(),
        };
        let found = looked_in.iter().find(|folder| has_server(folder)).cloned();
        found.ok_or(PrivatePostgresError::NoBinaries { looked_in })
    }

    fn places(&self) -> Vec<PathBuf> {
        let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(&self.versions)
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                Some((path.file_name()?.to_str()?.parse().ok()?, path.join("bin")))
            })
            .collect();
        versions.sort_by(|a, b| b.cmp(a));
        let installed = versions.into_iter().map(|(_, folder)| folder);
        let local = self.here.ancestors().map(|folder| folder.join(".local/postgres/bin")).filter(|folder| folder.exists());
        installed.chain(local).chain(std::env::split_paths(&self.path)).collect()
    }
}

/// A folder may have the clients (`psql`) alone, which is not enough.
fn has_server(folder: &Path) -> bool {
    folder.join("initdb").is_file() && folder.join("postgres").is_file()
}

/// Folders as a message shows them.
pub(super) fn list(folders: &[PathBuf]) -> String {
    if folders.is_empty() {
        return "/usr/lib/postgresql/*/bin, .local/postgres/bin and PATH".to_owned();
    }
    folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ")
}
