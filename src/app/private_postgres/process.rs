//! Starting and signalling the server's process: as whom it runs, and that it never outlives us.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, mpsc};

use super::error::PrivatePostgresError;

/// The account that a server runs as when we are root: Postgres refuses root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl User {
    /// `None` when we are not root: the server runs as we do. Data that exists is served as its owner; new data belongs to
    /// `postgres`, else to `nobody`.
    pub(super) fn for_server(us: u32, data: &Path) -> Result<Option<Self>, PrivatePostgresError> {
        if us != 0 {
            return Ok(None);
        }
        let owner = fs::metadata(data).map(|seen| Self { uid: seen.uid(), gid: seen.gid() });
        let user = owner.ok().filter(|user| user.uid != 0).or_else(|| Self::accounts().next());
        user.map(Some).ok_or(PrivatePostgresError::NoUser)
    }

    /// Whether servers that root starts run as this account.
    pub(super) fn is_server(uid: u32) -> bool {
        Self::accounts().any(|user| user.uid == uid)
    }

    /// `postgres` and `nobody`, as far as they exist. `initdb` wants a line in the passwd file, so that is where we look.
    fn accounts() -> impl Iterator<Item = Self> {
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        ["postgres", "nobody"].into_iter().filter_map(move |name| Self::named(name, &passwd))
    }

    pub(super) fn named(name: &str, passwd: &str) -> Option<Self> {
        let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some(Self { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    }

    /// Refuses a path below a folder that this account cannot pass (a home of root, mostly), with that folder's name.
    pub(super) fn must_enter(self, path: &Path) -> Result<(), PrivatePostgresError> {
        let closed = |folder: &&Path| {
            fs::metadata(folder).is_ok_and(|seen| {
                let may_enter = match (seen.uid() == self.uid, seen.gid() == self.gid) {
                    (true, _) => 0o100,
                    (false, true) => 0o010,
                    (false, false) => 0o001,
                };
                seen.is_dir() && seen.mode() & may_enter == 0
            })
        };
        match path.ancestors().find(closed) {
            Some(folder) => Err(PrivatePostgresError::Closed { user: self.uid, folder: folder.to_owned() }),
            None => Ok(()),
        }
    }
}

/// A program of the server, with nothing of our environment (it may hold keys) but the way to programs and libraries.
pub(super) fn command(program: &Path, folder: &Path, user: Option<User>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).stdin(Stdio::null()).env_clear().env("LC_ALL", "C").env("TZ", "UTC");
    for name in ["PATH", "LD_LIBRARY_PATH"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
    command
}

type Started = io::Result<Child>;

/// The thread that starts every server and then lives as long as the process. The kernel ties a server's life to the *thread*
/// that started it; callers are often short-lived threads (each test has its own).
static GUARDIAN: LazyLock<mpsc::Sender<(Command, mpsc::Sender<Started>)>> = LazyLock::new(|| {
    let (send, requests) = mpsc::channel::<(Command, mpsc::Sender<Started>)>();
    std::thread::spawn(move || {
        for (mut command, answer) in requests {
            // The caller waits for the answer; if it is gone, the dropped `Child` is stopped with us.
            let _ = answer.send(command.spawn());
        }
    });
    send
});

/// Starts a server that is told to stop when this process ends, however it ends.
pub(super) fn spawn(mut command: Command) -> Started {
    // A group of its own, so that Ctrl-C reaches us alone, and we stop the server in our order.
    command.process_group(0);
    system::stop_with_this_process(&mut command);
    let (answer, started) = mpsc::channel();
    let guardian_is_gone = || io::Error::other("the thread that starts servers is gone");
    GUARDIAN.send((command, answer)).map_err(|_| guardian_is_gone())?;
    started.recv().map_err(|_| guardian_is_gone())?
}

/// Asks a server for a fast shutdown.
pub(super) fn interrupt(server: &Child) {
    // It can have ended by itself, which is what we want.
    let _ = system::signal(server.id(), libc::SIGINT);
}

/// Whether a process with this number runs, whoever it belongs to. One that ended and that nobody has waited for (in a container
/// whose first process does not care for orphans) does not.
pub(super) fn is_alive(pid: u32) -> bool {
    let exists = match system::signal(pid, 0) {
        Ok(()) => true,
        Err(error) => error.raw_os_error() == Some(libc::EPERM),
    };
    let ended = || fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|line| line.contains(") Z "));
    exists && !ended()
}

/// What the standard library does not offer.
#[allow(unsafe_code, reason = "signals and the parent-death signal are system calls without a safe form in std")]
mod system {
    use std::io;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    /// On Linux the kernel interrupts the program when the thread that started it ends. Elsewhere only an orderly end of ours
    /// stops it.
    pub(super) fn stop_with_this_process(command: &mut Command) {
        if !cfg!(target_os = "linux") {
            return;
        }
        let us = std::process::id();
        // SAFETY: the closure runs in the child between fork and exec, where only async-signal-safe calls are allowed: prctl
        // and getppid are, and it allocates nothing. The child has changed its user by then, which would have cleared the flag.
        unsafe {
            command.pre_exec(move || {
                #[cfg(target_os = "linux")]
                if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGINT) != 0 {
                    return Err(io::Error::last_os_error());
                }
                // We could have ended before the flag was set.
                if u32::try_from(libc::getppid()) == Ok(us) { Ok(()) } else { Err(io::ErrorKind::NotConnected.into()) }
            });
        }
    }

    /// Sends a signal to one process; signal 0 only asks whether it exists.
    pub(super) fn signal(pid: u32, signal: i32) -> io::Result<()> {
        // Zero and negative numbers would mean groups of processes.
        let pid = i32::try_from(pid).ok().filter(|pid| *pid > 0).ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: kill takes two numbers and touches no memory of ours.
        match unsafe { libc::kill(pid, signal) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}
