//! The process that shall take this one's place: started from the binary's path and not from what runs, so it may be another version.
//!
//! It stays in our process group, so that Ctrl-C reaches both, and it asks for no parent-death signal: it is meant to outlive us.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{self, SignalKind};

/// A running successor. Dropping it kills it, unless it was [left alone](Self::leave).
#[derive(Debug)]
pub struct Successor {
    child: Child,
    /// SIGCHLD: some child of ours changed.
    changes: unix::Signal,
    is_left: bool,
}

impl Successor {
    /// Starts it with this environment and no other, and with a socket as its standard input.
    pub fn start(
        program: &Path,
        arguments: impl IntoIterator<Item = OsString>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        stdin: OwnedFd,
    ) -> io::Result<Self> {
        // Before the child exists, so that its death cannot be missed.
        let changes = unix::signal(SignalKind::child())?;
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(environment).stdin(Stdio::from(stdin));
        Ok(Self { child: command.spawn()?, changes, is_left: false })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end, and says how it ended.
    pub async fn ended(&mut self) -> String {
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return status.to_string(),
                Ok(None) => {}
                Err(error) => return error.to_string(),
            }
            self.changes.recv().await.expect("signals are delivered as long as the runtime lives");
        }
    }

    /// It has taken over: it goes on without us.
    pub fn leave(&mut self) {
        self.is_left = true;
    }

    /// Passes SIGHUP on.
    pub fn hang_up(&self) -> io::Result<()> {
        // Nobody waits for it any more, so until we end its number is nobody else's, even if it has ended.
        Ok(kill_process(Pid::from_child(&self.child), Signal::HUP)?)
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if !self.is_left {
            // Ended already is as good. What it has started follows it by its own means.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
