//! The short-lived folder of one server: its socket, its log and, if it is temporary, its data.
//!
//! The name `tg-PID-N` carries the process that it belongs to, and that process holds a lock on it. A folder whose process is
//! gone, whose lock is free and whose server is gone, too, is left over from a killed process and is removed.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::path::{Path, PathBuf};

use super::error::{PrivatePostgresError, io_error};
use super::process::{User, is_alive};

/// The server's log inside the folder.
pub(super) const LOG: &str = "server.log";
/// The lock of the socket, written by the server: its first line is the server's pid.
const SOCKET_LOCK: &str = ".s.PGSQL.5432.lock";
/// `sun_path` has 108 bytes, the last of them is the end mark.
const LONGEST_SOCKET_PATH: usize = 107;

/// A folder that is removed when the value is dropped.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// The account that we run as: whatever the system wrote down when we made the folder.
    owner: u32,
    /// Held as long as we live, so that nobody takes the folder for a stale one.
    _lock: File,
}

impl Folder {
    /// Makes a folder that only we may enter, after removing what killed processes left.
    pub(super) fn new() -> Result<Self, PrivatePostgresError> {
        let parent = std::env::temp_dir();
        let path = create(&parent)?;
        let lock = File::open(&path).map_err(io_error("opening", &path))?;
        lock.try_lock().map_err(|error| io_error("locking", &path)(error.into()))?;
        let owner = lock.metadata().map_err(io_error("reading", &path))?.uid();
        remove_stale(&parent, owner);
        let folder = Self { path, owner, _lock: lock };
        let socket = folder.path.join(SOCKET_LOCK.trim_end_matches(".lock"));
        match socket.as_os_str().as_bytes().len() {
            0..=LONGEST_SOCKET_PATH => Ok(folder),
            _ => Err(PrivatePostgresError::LongPath(parent)),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn owner(&self) -> u32 {
        self.owner
    }

    /// Gives the folder to the account of the server, when that is not ours.
    pub(super) fn hand_to(&self, user: Option<User>) -> Result<(), PrivatePostgresError> {
        let Some(user) = user else { return Ok(()) };
        chown(&self.path, Some(user.uid), Some(user.gid)).map_err(io_error("giving away", &self.path))
    }

    /// A new, empty log.
    pub(super) fn log(&self) -> Result<File, PrivatePostgresError> {
        let path = self.path.join(LOG);
        File::create(&path).map_err(io_error("creating", &path))
    }

    pub(super) fn remove(self) -> Result<(), PrivatePostgresError> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("removing", &self.path)(error)),
            _ => Ok(()),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // After `remove` there is nothing to remove; otherwise a later start tries again.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The first free `tg-PID-N`. A number can be taken: by our other servers, or by a dead process that had our pid.
fn create(parent: &Path) -> Result<PathBuf, PrivatePostgresError> {
    let mut number = 0_u32;
    loop {
        let path = parent.join(format!("tg-{}-{number}", std::process::id()));
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(io_error("creating", &path)(error)),
        }
    }
}

/// Removes the folders of killed processes. What cannot be removed stays: it does not keep us from working.
pub(super) fn remove_stale(parent: &Path, us: u32) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let path = entry.path();
        if owner_pid(&path).is_some_and(|pid| !is_alive(pid)) && is_stale(&path, us) {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

fn owner_pid(path: &Path) -> Option<u32> {
    let (pid, number) = path.file_name()?.to_str()?.strip_prefix("tg-")?.split_once('-')?;
    number.parse::<u32>().ok()?;
    pid.parse().ok()
}

/// Ours (a real folder of our account or, for root, of a server's), unlocked, and with no server in it.
fn is_stale(path: &Path, us: u32) -> bool {
    let ours = |seen: fs::Metadata| seen.is_dir() && (seen.uid() == us || (us == 0 && User::is_server(seen.uid())));
    fs::symlink_metadata(path).is_ok_and(ours)
        && File::open(path).is_ok_and(|folder| folder.try_lock().is_ok())
        && served_by(&path.join(SOCKET_LOCK)).is_none()
}

/// The live server that wrote this pid file (`postmaster.pid` or the lock of a socket).
pub(super) fn served_by(pid_file: &Path) -> Option<u32> {
    let pid = fs::read_to_string(pid_file).ok()?.lines().next()?.trim().parse().ok()?;
    is_alive(pid).then_some(pid)
}
