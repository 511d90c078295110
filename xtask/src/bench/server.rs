//! A server under measurement: started on one core in a directory of its own, ended with everything it started.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::processor;
use crate::workspace;

/// The core of whatever is measured.
pub(super) const MEASURED_CORE: usize = 0;
/// The core that load generator and origin share.
pub(super) const LOAD_CORE: usize = 1;

const READY_WITHIN: Duration = Duration::from_mins(1);
const STOPPED_WITHIN: Duration = Duration::from_secs(30);
const POLL_EVERY: Duration = Duration::from_millis(20);

/// A running server, killed with its descendants on drop.
pub(super) struct Server {
    pub name: &'static str,
    pub port: u16,
    child: Child,
    directory: tempfile::TempDir,
}

/// What to start, where.
pub(super) struct Recipe<'a> {
    pub name: &'static str,
    pub port: u16,
    /// The core that it never leaves; any when `None`.
    pub core: Option<usize>,
    /// Program and arguments; `{directory}` has been filled in already.
    pub words: Vec<String>,
    pub environment: Vec<(&'static str, String)>,
    pub directory: tempfile::TempDir,
    /// Words to put before the program, such as valgrind's.
    pub under: &'a [String],
    /// Fails until it gives the answer that the load will count. It is told what the server has printed so far.
    pub ready: &'a dyn Fn(&str) -> Result<()>,
}

impl Server {
    /// Starts it and returns once it is ready.
    pub(super) fn start(recipe: Recipe<'_>) -> Result<Self> {
        let Recipe { name, port, core, words, environment, directory, under, ready } = recipe;
        let log = File::create(directory.path().join("log")).context("cannot create a log")?;
        // The server ends with this process, however that ends.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM"]);
        if let Some(core) = core {
            command.args(["taskset", "--cpu-list", &core.to_string()]);
        }
        command.args(under).args(&words).envs(environment);
        command.current_dir(directory.path()).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let mut server = Self { name, port, child, directory };
        server.wait_until_ready(ready)?;
        Ok(server)
    }

    pub(super) fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, and waits: a tool that it runs under writes its result then.
    pub(super) fn stop(&mut self) -> Result<()> {
        kill_process(pid(self.child.id()), Signal::TERM).with_context(|| format!("cannot stop {}", self.name))?;
        let asked = Instant::now();
        while self.child.try_wait()?.is_none() {
            if asked.elapsed() > STOPPED_WITHIN {
                bail!("{} did not stop within {STOPPED_WITHIN:?}", self.name);
            }
            pause();
        }
        Ok(())
    }

    pub(super) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    fn wait_until_ready(&mut self, ready: &dyn Fn(&str) -> Result<()>) -> Result<()> {
        let started = Instant::now();
        loop {
            let Err(reason) = ready(&self.log()) else { return Ok(()) };
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended at once ({status}):\n{}", self.name, self.log());
            }
            if started.elapsed() > READY_WITHIN {
                bail!("{} gave no right answer within {READY_WITHIN:?} ({reason:#}):\n{}", self.name, self.log());
            }
            pause();
        }
    }

    /// What it has printed so far.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for process in processor::tree(self.child.id()).unwrap_or_default() {
            // Gone already is as good as killed.
            let _ = kill_process(pid(process), Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// Plimsoll itself, as the benchmark built it.
pub(super) fn plimsoll() -> String {
    built("plimsoll")
}

/// A program of this workspace that the benchmark built.
pub(super) fn built(name: &str) -> String {
    workspace::root().join("target/release").join(name).display().to_string()
}

/// A port that nobody listens on now. Another program could take it before the server does; then the server says so.
pub(super) fn free_port() -> Result<u16> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").context("no free port")?;
    Ok(listener.local_addr()?.port())
}

/// The same for several at once, no two alike.
pub(super) fn free_ports(count: usize) -> Result<Vec<u16>> {
    let bind = |_| std::net::TcpListener::bind("127.0.0.1:0").context("no free port");
    let listeners: Vec<_> = (0..count).map(bind).collect::<Result<_>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

/// A configuration from `bench/peers` with its places filled in, written into `directory`.
pub(super) fn write_config(directory: &Path, template: &str, places: &[(&str, String)]) -> Result<String> {
    let path = workspace::root().join("bench/peers").join(template);
    let mut text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    for (place, value) in places {
        text = text.replace(&format!("{{{place}}}"), value);
    }
    let written = directory.join(path.file_name().unwrap_or_default());
    std::fs::write(&written, text).with_context(|| format!("cannot write {}", written.display()))?;
    Ok(written.display().to_string())
}

pub(super) fn pid(process: u32) -> Pid {
    Pid::from_raw(process.cast_signed()).expect("a running process has an id above zero")
}

#[expect(clippy::disallowed_methods, reason = "there is no runtime here to block, and no event to wait for")]
fn pause() {
    std::thread::sleep(POLL_EVERY);
}
