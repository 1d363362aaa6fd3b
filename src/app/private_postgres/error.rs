//! What can go wrong with a private Postgres, in words that a newcomer can act on.

use std::io;
use std::path::{Path, PathBuf};

use super::{READY_WITHIN, STOP_WITHIN};

/// Why a private Postgres did not start, or did not stop cleanly. Each message says what to do where we know it.
#[derive(Debug, thiserror::Error)]
pub enum PrivatePostgresError {
    /// No folder with both `initdb` and `postgres` was found.
    #[error(
        "no Postgres server was found (looked for `initdb` and `postgres` in {}); \
         run `make setup`, or set TILLGATE_PG_BIN to the folder that has them",
        super::binaries::list(looked_in)
    )]
    NoBinaries {
        /// The folders that were looked into, in that order.
        looked_in: Vec<PathBuf>,
    },
    /// We are root, Postgres refuses to run as root, and there is no other account to give it.
    #[error("Postgres refuses to run as root, and there is neither a user `postgres` nor `nobody` in /etc/passwd")]
    NoUser,
    /// We are root, and the account that the server runs as may not enter a folder that it needs.
    #[error("the server runs as user {user}, who may not enter {}; use a place that every user can enter, or do not run as root", .folder.display())]
    Closed {
        /// The number of the account that the server runs as.
        user: u32,
        /// The folder that lacks the permission.
        folder: PathBuf,
    },
    /// The folder for sockets has too long a name: a socket's path ends at 107 bytes.
    #[error("{} is too long for a socket's path; set TMPDIR to a shorter folder", .0.display())]
    LongPath(PathBuf),
    /// The operating system refused something.
    #[error("{doing} {}: {source}", .path.display())]
    Io {
        /// What we were about to do.
        doing: &'static str,
        /// With which file, folder or program.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// `initdb` could not make the data folder.
    #[error("initdb failed: {0}")]
    Initdb(String),
    /// The server ended before it was ready, with the end of its log.
    #[error("Postgres did not start; the end of its log:\n{0}")]
    Exited(String),
    /// The server was not ready in time, with the end of its log.
    #[error("Postgres was not ready after {READY_WITHIN:?}; the end of its log:\n{0}")]
    NotReady(String),
    /// The server ignored the request to stop and was killed. Its data is safe: the next start recovers it.
    #[error("Postgres did not stop within {STOP_WITHIN:?} and was killed")]
    Killed,
}

/// For `map_err`: names what we were about to do, and with what.
pub(super) fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PrivatePostgresError {
    let path = path.to_owned();
    move |source| PrivatePostgresError::Io { doing, path, source }
}
