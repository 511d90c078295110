//! A server process of a test: its output goes to a file, and it does not outlive the test, however that ends.
//!
//! Dropping it (a panic does that too) kills its whole process group. If the test process itself is killed, the kernel kills the server:
//! `setpriv` of util-linux asks for that, because asking from Rust takes `unsafe`.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::poll;

const LOG_LINES_SHOWN: usize = 20;

/// A running child process.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`, logging to `NAME.log` in `directory`, which is also where it runs unless the command says otherwise.
    pub fn start(name: &str, command: &Command, directory: &Path) -> Result<Self> {
        let program = find(Path::new(command.get_program()))?;
        let log = directory.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log).with_context(|| format!("cannot log to {}", log.display()))?;
        let mut tethered = Command::new("setpriv");
        tethered.args(["--pdeathsig", "KILL", "--"]).arg(program).args(command.get_args());
        tethered.current_dir(command.get_current_dir().unwrap_or(directory)).process_group(0);
        for (variable, value) in command.get_envs() {
            match value {
                Some(value) => tethered.env(variable, value),
                None => tethered.env_remove(variable),
            };
        }
        tethered.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = tethered.spawn().with_context(|| format!("cannot start {name} with setpriv: run `cargo xtask setup`"))?;
        Ok(Self { name: name.into(), child, log })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// `None` while it runs.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits until `ready` answers. Ends early, with the last lines of the log, if the process does.
    pub fn wait_until<T>(&mut self, deadline: Duration, what: &str, mut ready: impl FnMut() -> Option<T>) -> Result<T> {
        let waited = poll::until_blocking(deadline, what, || match (ready(), self.exit_status()) {
            (Some(answer), _) => Ok(Some(answer)),
            (None, None) => Ok(None),
            (None, Some(status)) => bail!("it ended with {status}"),
        });
        waited.with_context(|| format!("{} did not work; its log ends with:\n{}", self.name, self.log_tail()))
    }

    /// Sends a signal to the process and all its children.
    pub fn signal(&self, signal: Signal) {
        // Gone already is as good as any outcome.
        let _ = kill_process_group(Pid::from_child(&self.child), signal);
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }

    pub fn log(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where a program is, or what to do about its absence. Tests fail without it: a skipped test proves nothing.
pub fn find(program: &Path) -> Result<PathBuf> {
    let candidates: Vec<PathBuf> = if program.components().count() > 1 {
        vec![program.into()]
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|directory| directory.join(program)).collect()
    };
    let found = candidates.into_iter().find(|candidate| candidate.is_file());
    found.with_context(|| format!("`{}` is not installed: run `cargo xtask setup`", program.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_ends_early_is_reported_with_its_last_words() {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo no room at the inn; exit 7"]);
        let mut process = Process::start("inn", &command, directory.path()).unwrap();
        let error = process.wait_until(Duration::from_secs(10), "a room", || None::<()>).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("no room at the inn") && text.contains("exit status: 7"), "{text}");
    }

    #[test]
    fn dropping_a_process_ends_its_children_too() {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 300 & echo $!; wait"]);
        let mut process = Process::start("family", &command, directory.path()).unwrap();
        let log = process.log.clone();
        let read = || std::fs::read_to_string(&log).ok()?.trim().parse::<u32>().ok();
        let grandchild = process.wait_until(Duration::from_secs(10), "the id of the child", read).unwrap();
        drop(process);
        let gone = || Ok((!is_running(grandchild)).then_some(()));
        poll::until_blocking(Duration::from_secs(10), "the end of the grandchild", gone).unwrap();
    }

    #[test]
    fn a_missing_program_says_how_to_get_it() {
        let error = find(Path::new("no-such-server")).unwrap_err();
        assert_eq!(error.to_string(), "`no-such-server` is not installed: run `cargo xtask setup`");
    }

    /// A zombie that nobody has buried yet does not run.
    fn is_running(id: u32) -> bool {
        std::fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    }
}
