//! A program as a child process: started, asked what it has cost, and ended with the value.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};

/// Ticks of the kernel's clock in a second, as `/proc` counts CPU: it is 100 for every program, whatever the kernel's own rate.
const TICKS: f64 = 100.0;
/// How long a process may take to end when it is asked to.
const END_WITHIN: Duration = Duration::from_secs(30);

/// A running program.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it with these variables and no others but the way to programs; what it writes goes to `log`.
    pub fn start(program: &Path, args: &[&str], variables: &[(String, String)], log: PathBuf) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.args(args).env_clear().envs(variables.iter().map(|(name, value)| (name, value)));
        for name in ["PATH", "LD_LIBRARY_PATH", "TMPDIR"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        let out = File::create(&log)?;
        command.current_dir(log.parent().unwrap_or(Path::new("."))).stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        let child = command.spawn().with_context(|| format!("{} does not start", program.display()))?;
        Ok(Self { child, log })
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written.
    pub fn output(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Fails with what it wrote last if it has ended.
    pub fn must_run(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                let output = self.output();
                let lines: Vec<&str> = output.lines().collect();
                bail!("{} has ended ({status}):\n{}", self.log.display(), lines[lines.len().saturating_sub(12)..].join("\n"))
            }
        }
    }

    /// Asks it to end in good order, and waits; those whom it asks meanwhile run in this process, and can answer.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        Command::new("kill").args(["-TERM", &self.pid().to_string()]).status()?;
        let deadline = std::time::Instant::now() + END_WITHIN;
        while self.child.try_wait()?.is_none() {
            if std::time::Instant::now() > deadline {
                bail!("{} does not end", self.log.display());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU-seconds of a process so far, and those of its children that have ended.
pub fn cpu(pid: u32) -> (f64, f64) {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The second field is the name in brackets, which may hold blanks.
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
    ((ticks(11) + ticks(12)) / TICKS, (ticks(13) + ticks(14)) / TICKS)
}

/// The processes that this one has started and that still run.
pub fn children(pid: u32) -> Vec<u32> {
    let parent = |entry: &fs::DirEntry| {
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        stat.rsplit(") ").next()?.split(' ').nth(1)?.parse::<u32>().ok()
    };
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| parent(entry) == Some(pid))
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// A line of `/proc/PID/status`, in MiB: `VmHWM` is the peak of what was resident, `VmRSS` what is.
pub fn memory(pid: u32, line: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let found = status.lines().find(|text| text.starts_with(line)).and_then(|text| text.split_whitespace().nth(1)?.parse::<f64>().ok());
    found.unwrap_or_default() / 1024.0
}

/// CPU-seconds of the whole machine that were not idle, all cores together; what the host took away counts, too.
pub fn busy() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks: Vec<f64> = stat.lines().next().unwrap_or_default().split_whitespace().skip(1).filter_map(|text| text.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal
    [0, 1, 2, 5, 6, 7].iter().filter_map(|index| ticks.get(*index)).sum::<f64>() / TICKS
}
