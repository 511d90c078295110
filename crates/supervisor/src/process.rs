//! The only place that spawns and kills.
//!
//! Every process leads a group of its own, and is signalled only through it, so whatever it has started goes with it. It is a child of
//! the fleet's thread, which lives as long as the fleet: the parent-death signal fires when the *thread* that spawned dies, so nothing
//! may be spawned from a pool.
//!
//! A dead leader is first noticed (SIGCHLD, then a look that leaves it unreaped), then its group is killed, and only then it is reaped:
//! until that moment its number cannot be given to somebody else, and no signal can hit a stranger. Tokio's own child process reaps on
//! sight, so this is std's.

mod group;
pub(crate) mod listening;
pub(crate) mod successor;

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions};
use tokio::signal::unix::{self, SignalKind};

use crate::launch::Launch;
use crate::reexec;
use crate::spec::Spec;

#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    group: Pid,
    /// SIGCHLD: some child of ours changed.
    changes: unix::Signal,
    /// Nobody is left under this number, so it must not be signalled any more.
    gone: bool,
}

/// Holds a new instance back until [`Gate::open`]: it must not run before the guard knows its group. Dropping it turns the instance away.
#[derive(Debug)]
#[must_use]
pub(crate) struct Gate(ChildStdin);

impl Gate {
    pub(crate) fn open(mut self) -> io::Result<()> {
        self.0.write_all(reexec::GO)
    }
}

pub(crate) struct Spawned {
    pub process: Process,
    pub gate: Gate,
    pub stdout: ChildStdout,
    pub stderr: ChildStderr,
}

/// Spawns an instance, behind its gate.
pub(crate) fn spawn_instance(spec: &Spec, launch: &Launch) -> io::Result<Spawned> {
    let mut command = own_binary(&spec.self_exe);
    command.args(reexec::exec_arguments(std::process::id(), spec.open_files, &launch.command));
    command.env_clear().envs(launch.environment.iter().map(|(name, value)| (name, value)));
    if let Some(dir) = &spec.working_dir {
        command.current_dir(dir);
    }
    let mut process = Process::spawn(command.stderr(Stdio::piped()))?;
    let child = &mut process.child;
    let gate = Gate(child.stdin.take().expect("stdin is a pipe"));
    let stdout = child.stdout.take().expect("stdout is a pipe");
    let stderr = child.stderr.take().expect("stderr is a pipe");
    Ok(Spawned { process, gate, stdout, stderr })
}

/// Spawns the guard. It reads from the first pipe and writes to the second.
pub(crate) fn spawn_guard(self_exe: &Path) -> io::Result<(Process, ChildStdin, ChildStdout)> {
    let mut command = own_binary(self_exe);
    command.arg(reexec::GUARD).current_dir("/").stderr(Stdio::null());
    let mut process = Process::spawn(&mut command)?;
    let stdin = process.child.stdin.take().expect("stdin is a pipe");
    let stdout = process.child.stdout.take().expect("stdout is a pipe");
    Ok((process, stdin, stdout))
}

/// Under the name that we were started by: what people look for in a list of processes.
fn own_binary(self_exe: &Path) -> Command {
    let mut command = Command::new(self_exe);
    if let Some(name) = std::env::args_os().next() {
        command.arg0(name);
    }
    command
}

impl Process {
    fn spawn(command: &mut Command) -> io::Result<Self> {
        // Before the child exists, so that its death cannot be missed.
        let changes = unix::signal(SignalKind::child())?;
        let child = command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let group = Pid::from_child(&child);
        Ok(Self { child, group, changes, gone: false })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to the whole group.
    pub(crate) fn signal(&self, signal: Signal) {
        if !self.gone {
            signal_group(self.group, signal);
        }
    }

    /// Resolves once the leader is dead, and leaves it unreaped.
    pub(crate) async fn leader_died(&mut self) {
        while !self.leader_is_dead() {
            self.changes.recv().await.expect("signals are delivered as long as the runtime lives");
        }
    }

    fn leader_is_dead(&self) -> bool {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        // An error means that there is no such child any more.
        !matches!(rustix::process::waitid(WaitId::Pid(self.group), look), Ok(None))
    }

    /// Takes the dead leader's status. Its number stays taken as long as the group has other members.
    pub(crate) fn reap(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }

    /// Whether nobody of the group is alive, once its leader was reaped.
    pub(crate) fn group_is_gone(&mut self) -> bool {
        self.reap_adopted();
        self.gone = self.gone || !group::has_living_member(self.group);
        self.gone
    }

    /// As the first process of a container we inherit the leader's children, and nobody else would reap them.
    fn reap_adopted(&self) {
        if !self.gone {
            while let Ok(Some(_)) = rustix::process::waitpgid(self.group, WaitOptions::NOHANG) {}
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        // Returns at once when it was reaped before, and otherwise as soon as SIGKILL has done its work.
        if let Err(error) = self.child.wait() {
            tracing::warn!(%error, pid = self.pid(), "could not reap a process");
        }
    }
}

/// SIGKILL to a group that may be gone.
pub(crate) fn kill_group(group: Pid) {
    signal_group(group, Signal::KILL);
}

fn signal_group(group: Pid, signal: Signal) {
    match rustix::process::kill_process_group(group, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => tracing::warn!(%error, group = group.as_raw_nonzero(), "could not signal a process group"),
    }
}
