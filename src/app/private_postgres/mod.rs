//! A Postgres of our own, for `dev`, `demo` and the tests: nobody has to install, configure or clean up a server to run Tillgate.
//!
//! We drive the binaries of an installed Postgres ourselves: `initdb` into a folder, `postgres` on a Unix socket in a short
//! folder that only its user may enter, nothing on the network, no password. Servers do not meet: each has a folder of its own.
//!
//! Nothing stays behind. [`PrivatePostgres::stop`] or dropping the value stops the server and removes its folder; if this
//! process is killed outright, the kernel tells the server to stop (Linux), and the next start removes the folder.
//!
//! The calls block (a first start takes about half a second), so they belong before the async work or into `spawn_blocking`.

mod binaries;
mod error;
mod folder;
mod process;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use crate::domain::clock::Clock;

use binaries::Search;
pub use error::PrivatePostgresError;
use error::io_error;
use folder::{Folder, served_by};
use process::User;

/// A server that only starts is ready in well under a second; one that recovers after a crash may need this long.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// How long a server may take to finish its shutdown checkpoint before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(20);
/// How long we wait for the server of a killed process to leave the data folder that we want to use.
const FREE_WITHIN: Duration = Duration::from_secs(3);
/// The pause between two looks at the state of a server.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What kind of server to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the rows live.
    pub data: Where,
    /// `true`: commits survive a crash of the machine, as in production. `false`: faster, for data that can be made again.
    pub durable: bool,
    /// Further settings of the server, as `name=value`.
    pub settings: Vec<&'static str>,
}

impl Options {
    /// A fast server whose data vanishes with it: for tests and `demo`.
    #[must_use]
    pub fn temporary() -> Self {
        Self { data: Where::Temporary, durable: false, settings: Vec::new() }
    }

    /// A durable server whose data is still there at the next start: for `dev`.
    #[must_use]
    pub fn kept(folder: impl Into<PathBuf>) -> Self {
        Self { data: Where::Kept(folder.into()), durable: true, settings: Vec::new() }
    }

    /// A durable server whose data vanishes with it, and what it counts: for measurements.
    #[must_use]
    pub fn measured() -> Self {
        let settings = vec!["shared_preload_libraries=pg_stat_statements", "pg_stat_statements.max=10000"];
        Self { data: Where::Temporary, durable: true, settings }
    }
}

/// Where a private server keeps its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Where {
    /// In a new folder, removed when the server stops.
    Temporary,
    /// In this folder: made at the first start, used again at the next. One server at a time.
    Kept(PathBuf),
}

/// A running server that belongs to this value: it ends with it.
#[derive(Debug)]
pub struct PrivatePostgres {
    /// Absent once the server was stopped.
    server: Option<Child>,
    /// The socket, the log and, if it is temporary, the data. Absent once the server was stopped.
    folder: Option<Folder>,
    socket_folder: PathBuf,
}

impl PrivatePostgres {
    /// Starts a server and waits until it takes connections.
    ///
    /// # Errors
    /// When no server is installed, a folder cannot be used, or the server does not come up; nothing is left running then.
    pub fn start(options: &Options) -> Result<Self, PrivatePostgresError> {
        Self::start_from(&Self::bin_dir()?, options)
    }

    /// The folder with the server's programs: `$TILLGATE_PG_BIN`; else the highest version of `/usr/lib/postgresql/*/bin`;
    /// else `.local/postgres/bin` here or in a folder above, where `make setup` puts one; else what is in `$PATH`.
    ///
    /// # Errors
    /// [`PrivatePostgresError::NoBinaries`] when there is none, or when `TILLGATE_PG_BIN` is set and has none.
    pub fn bin_dir() -> Result<PathBuf, PrivatePostgresError> {
        Search::of_this_process().find()
    }

    /// The address of a database of this server, as sqlx takes it. `postgres` exists from the start; others are made by SQL.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        use std::os::unix::ffi::OsStrExt;
        let host = percent_encode(self.socket_folder.as_os_str().as_bytes());
        format!("postgres://postgres@localhost/{}?host={host}", percent_encode(database.as_bytes()))
    }

    /// The folder of the server's socket, which is also the host for its own programs; temporary data is in `data` below it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.socket_folder
    }

    /// The number of the server's first process, of which all others are children. Absent once it was stopped.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Child::id)
    }

    /// Stops the server (open connections are cut, what is committed is kept) and removes its folder; temporary data goes with
    /// it. Doing it twice is harmless.
    ///
    /// # Errors
    /// [`PrivatePostgresError::Killed`] when it had to be killed, or when the folder could not be removed.
    pub fn stop(&mut self) -> Result<(), PrivatePostgresError> {
        let stopped = self.server.take().map_or(Ok(()), stop);
        let removed = self.folder.take().map_or(Ok(()), Folder::remove);
        stopped.and(removed)
    }

    fn start_from(bin: &Path, options: &Options) -> Result<Self, PrivatePostgresError> {
        let folder = Folder::new()?;
        let data = match &options.data {
            Where::Temporary => folder.path().join("data"),
            Where::Kept(path) => std::path::absolute(path).map_err(io_error("finding", path))?,
        };
        let user = User::for_server(folder.owner(), &data)?;
        folder.hand_to(user)?;
        if let Some(user) = user {
            user.must_enter(bin)?;
            user.must_enter(data.parent().unwrap_or(&data))?;
        }
        wait_until_free(&data);
        if is_new(&data)? {
            initdb(bin, &data, user, options.durable)?;
        }
        let server =
            process::spawn(server_command(bin, &data, &folder, user, options)?).map_err(io_error("starting", &bin.join("postgres")))?;
        // From here on an early return drops this value, which stops the server and removes its folder.
        let mut postgres = Self { socket_folder: folder.path().to_owned(), server: Some(server), folder: Some(folder) };
        postgres.wait_until_ready(&data)?;
        Ok(postgres)
    }

    /// Ready means: the eighth line of `postmaster.pid` says so, and the first one names our server.
    fn wait_until_ready(&mut self, data: &Path) -> Result<(), PrivatePostgresError> {
        let Some(server) = &mut self.server else { return Ok(()) };
        let log = self.socket_folder.join(folder::LOG);
        let (pid, deadline) = (server.id().to_string(), Clock::system().instant() + READY_WITHIN);
        loop {
            let state = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
            let mut lines = state.lines();
            if lines.next() == Some(&pid) && lines.nth(6).is_some_and(|line| line.trim() == "ready") {
                return Ok(());
            }
            if server.try_wait().map_err(io_error("waiting for", data))?.is_some() {
                return Err(PrivatePostgresError::Exited(last_lines(&log)));
            }
            if Clock::system().instant() > deadline {
                return Err(PrivatePostgresError::NotReady(last_lines(&log)));
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        // There is nobody left to tell; what could not be removed now is removed at a later start.
        let _ = self.stop();
    }
}

/// Asks for a fast shutdown, waits, and kills what does not follow.
fn stop(mut server: Child) -> Result<(), PrivatePostgresError> {
    let deadline = Clock::system().instant() + STOP_WITHIN;
    process::interrupt(&server);
    loop {
        match server.try_wait() {
            Ok(Some(_)) => return Ok(()),
            Ok(None) if Clock::system().instant() < deadline => std::thread::sleep(LOOK_AGAIN),
            Ok(None) | Err(_) => {
                let _ = server.kill();
                let _ = server.wait();
                return Err(PrivatePostgresError::Killed);
            }
        }
    }
}

/// After a killed `dev` its server needs a moment to leave the data. If it stays, the new server's own message says so.
fn wait_until_free(data: &Path) {
    let deadline = Clock::system().instant() + FREE_WITHIN;
    while served_by(&data.join("postmaster.pid")).is_some() && Clock::system().instant() < deadline {
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Whether a data folder has yet to be made. It appears whole or not at all: see [`initdb`].
fn is_new(data: &Path) -> Result<bool, PrivatePostgresError> {
    match fs::read_dir(data) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(io_error("reading", data)(error)),
    }
}

/// Makes the data folder beside its place and then renames it, so that an interrupted start leaves no half of one.
fn initdb(bin: &Path, data: &Path, user: Option<User>, durable: bool) -> Result<(), PrivatePostgresError> {
    let fresh = data.with_added_extension("new");
    if fresh.exists() {
        fs::remove_dir_all(&fresh).map_err(io_error("removing", &fresh))?;
    }
    // The folders above stay open: the account of the server has to pass through them.
    if let Some(above) = fresh.parent() {
        fs::create_dir_all(above).map_err(io_error("creating", above))?;
    }
    fs::DirBuilder::new().mode(0o700).create(&fresh).map_err(io_error("creating", &fresh))?;
    if let Some(user) = user {
        chown(&fresh, Some(user.uid), Some(user.gid)).map_err(io_error("giving away", &fresh))?;
    }
    let program = bin.join("initdb");
    let mut command = process::command(&program, &fresh, user);
    command.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]);
    if !durable {
        command.arg("--no-sync");
    }
    let output = command.arg("--pgdata").arg(&fresh).output().map_err(io_error("starting", &program))?;
    if !output.status.success() {
        return Err(PrivatePostgresError::Initdb(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    fs::rename(&fresh, data).map_err(io_error("renaming", &fresh))
}

/// The server's command line: on a socket in its own folder and nowhere else.
fn server_command(
    bin: &Path,
    data: &Path,
    folder: &Folder,
    user: Option<User>,
    options: &Options,
) -> Result<std::process::Command, PrivatePostgresError> {
    let mut command = process::command(&bin.join("postgres"), data, user);
    command.arg("-D").arg(data).arg("-k").arg(folder.path());
    let mut settings = vec!["listen_addresses=", "port=5432", "max_connections=400", "unix_socket_permissions=0700"];
    if !options.durable {
        settings.extend(["fsync=off", "synchronous_commit=off", "full_page_writes=off"]);
    }
    for setting in settings.iter().chain(&options.settings) {
        command.args(["-c", setting]);
    }
    let log = folder.log()?;
    let errors = log.try_clone().map_err(io_error("opening", folder.path()))?;
    command.stdout(log).stderr(errors);
    Ok(command)
}

/// The end of a server's log, for an error message.
fn last_lines(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

/// Encodes everything but what is harmless in every part of a URL; `/` stays readable.
fn percent_encode(bytes: &[u8]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    bytes.iter().map(|&byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
