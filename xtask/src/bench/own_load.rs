//! `plimsoll load` as the client: it keeps to its schedule and counts from the moment a request was due.

use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::recording::Recording;
use super::server::plimsoll;

/// A run of it, killed on drop.
pub(super) struct OwnLoad(Option<Child>);

impl OwnLoad {
    /// The command line to which a pace is yet to be added.
    pub(super) fn asking(url: &str) -> Command {
        let mut command = Command::new(plimsoll());
        command.args(["load", url, "--json", "-"]);
        command
    }

    /// Begins, so that several can ask side by side.
    pub(super) fn start(mut command: Command) -> Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        Ok(Self(Some(child.context("cannot start `plimsoll load`")?)))
    }

    pub(super) fn finish(mut self) -> Result<Recording> {
        let child = self.0.take().expect("it is finished once");
        let output = child.wait_with_output().context("cannot wait for `plimsoll load`")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`plimsoll load` failed ({}):\n{}", output.status, complaint.trim());
        Recording::read(&String::from_utf8_lossy(&output.stdout))
    }
}

impl Drop for OwnLoad {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
