//! One process of the real binary: its output, its signals and its end.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// No wait in this target is longer.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The pause between two looks at another process.
const PAUSE: Duration = Duration::from_millis(40);

/// Looks again and again until there is something to see, or panics with what was waited for.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let seen = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.unwrap_or_else(|_| panic!("in vain: {what}"))
}

/// Lets time pass: for a schedule, whose moments are what is tested. Nothing is waited for by this.
pub async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

/// What a process has written so far.
#[derive(Clone, Debug, Default)]
pub struct Output {
    out: Arc<Mutex<String>>,
    err: Arc<Mutex<String>>,
}

impl Output {
    /// Standard output.
    pub fn out(&self) -> String {
        self.out.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Standard error.
    pub fn err(&self) -> String {
        self.err.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A process to be started. Of this process's environment it sees what programs need, and nothing else.
#[derive(Clone, Debug)]
pub struct Launch {
    args: Vec<String>,
    variables: BTreeMap<OsString, OsString>,
    folder: PathBuf,
}

/// A running process. Dropping it kills it.
#[derive(Debug)]
pub struct Program {
    child: Child,
    pid: i32,
    pub output: Output,
    readers: Vec<JoinHandle<()>>,
}

/// A process that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Absent: a signal ended it.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Launch {
    /// `tillgate` with these arguments, in this folder.
    pub fn new(args: &[&str], folder: &Path) -> Self {
        let kept = ["PATH", "LD_LIBRARY_PATH", "TMPDIR"];
        let variables = kept.into_iter().filter_map(|name| Some((name.into(), std::env::var_os(name)?))).collect();
        Self { args: args.iter().map(|arg| (*arg).to_owned()).collect(), variables, folder: folder.to_owned() }
    }

    /// With these variables as well.
    #[must_use]
    pub fn with<K: Into<OsString>, V: Into<OsString>>(mut self, variables: impl IntoIterator<Item = (K, V)>) -> Self {
        self.variables.extend(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Without this variable.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.variables.remove(&OsString::from(name));
        self
    }

    /// Starts it.
    pub fn start(&self) -> Program {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tillgate"));
        command.args(&self.args).env_clear().envs(&self.variables).current_dir(&self.folder).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).expect("a process id");
        let output = Output::default();
        let readers = vec![
            tokio::spawn(copy(child.stdout.take().expect("a pipe"), output.out.clone())),
            tokio::spawn(copy(child.stderr.take().expect("a pipe"), output.err.clone())),
        ];
        Program { child, pid, output, readers }
    }

    /// Runs it to its end.
    pub async fn run(&self) -> Ended {
        self.start().end().await
    }
}

async fn copy(pipe: impl AsyncRead + Unpin, to: Arc<Mutex<String>>) {
    let mut lines = BufReader::new(pipe).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut text = to.lock().unwrap_or_else(PoisonError::into_inner);
        text.push_str(&line);
        text.push('\n');
    }
}

impl Program {
    /// Waits for its end.
    pub async fn end(mut self) -> Ended {
        let all = async {
            let status = self.child.wait().await.expect("an end");
            for reader in self.readers {
                reader.await.expect("the whole output");
            }
            status.code()
        };
        let code = tokio::time::timeout(PATIENCE, all).await.unwrap_or_else(|_| panic!("it does not end: {}", self.output.err()));
        Ended { code, out: self.output.out(), err: self.output.err() }
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|ended| ended.is_some())
    }

    /// Waits for its end so long, then kills it.
    pub async fn ends_within(mut self, time: Duration) -> Ended {
        match tokio::time::timeout(time, self.child.wait()).await {
            Ok(_) => self.end().await,
            Err(_) => self.kill().await,
        }
    }

    /// `kill -9`.
    pub async fn kill(self) -> Ended {
        signal(self.pid, libc::SIGKILL);
        self.end().await
    }

    /// SIGSTOP: it stands still, wherever it is. The signal alone is a request: on a busy machine a thread may run on for a
    /// while, and send the very call that must not leave. So this waits until all of them stand.
    pub fn pause(&self) {
        signal(self.pid, libc::SIGSTOP);
        stands(self.pid);
    }

    /// SIGCONT: it goes on as if nothing had happened.
    pub fn resume(&self) {
        signal(self.pid, libc::SIGCONT);
    }

    /// SIGTERM, as a cluster stops it.
    pub fn terminate(&self) {
        signal(self.pid, libc::SIGTERM);
    }

    /// SIGINT, as Ctrl-C stops it.
    pub fn interrupt(&self) {
        signal(self.pid, libc::SIGINT);
    }

    /// Waits until something in its output is what is looked for.
    pub async fn says<T>(&self, what: &str, look: impl Fn(&Output) -> Option<T>) -> T {
        let seen = async {
            loop {
                if let Some(seen) = look(&self.output) {
                    return seen;
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        let seen = tokio::time::timeout(PATIENCE, seen).await;
        seen.unwrap_or_else(|_| panic!("it does not say {what}:\n{}\n{}", self.output.out(), self.output.err()))
    }
}

/// A folder that every account may enter; gone with the value.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        use std::os::unix::fs::PermissionsExt;
        static LAST: AtomicU32 = AtomicU32::new(0);
        let name = format!("tillgate-process-{}-{}", std::process::id(), LAST.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a folder");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("an open folder");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(&path, text).expect("a file");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// `kill -9` of a process that a process of ours has started. One that is gone is left alone.
#[expect(unsafe_code, reason = "sending a signal is a system call without a safe form in std")]
pub fn kill_process(pid: i32) {
    assert!(pid > 1, "zero and negative numbers would mean groups of processes");
    // SAFETY: kill takes two numbers and touches no memory of ours.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

#[expect(unsafe_code, reason = "sending a signal is a system call without a safe form in std")]
fn signal(pid: i32, signal: i32) {
    assert!(pid > 0, "zero and negative numbers would mean groups of processes");
    // SAFETY: kill takes two numbers and touches no memory of ours. The process is our child and was not waited for, so that
    // its number is nobody else's.
    let sent = unsafe { libc::kill(pid, signal) };
    assert_eq!(sent, 0, "signal {signal} to {pid}");
}

/// Waits until the system says that a child has stopped, without taking the news from whoever waits for its end.
#[allow(unsafe_code, reason = "the standard library does not wait for a stop")]
fn stands(pid: i32) {
    let child = libc::id_t::try_from(pid).expect("the number of a process");
    // SAFETY: an all-zero siginfo_t is a valid one; waitid writes to it and to nothing else. The process is our child.
    let waited = unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        libc::waitid(libc::P_PID, child, &raw mut info, libc::WSTOPPED | libc::WEXITED | libc::WNOWAIT)
    };
    assert_eq!(waited, 0, "waiting for {pid} to stop");
}
