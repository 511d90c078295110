//! A plimsoll that is not started as the build left it: another file, other limits.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use plimsoll_testbed::exchange;
use plimsoll_testbed::poll::until_blocking;
use plimsoll_testbed::process::Process;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::fleet::PATIENCE;
use crate::processes;

pub(crate) struct Bare {
    pub(crate) process: Process,
    directory: TempDir,
    admin_port: u16,
}

impl Bare {
    /// Starts it on free ports and waits until it is up.
    pub(crate) fn start(program: &Path, words: &[&str], command: &[&str]) -> Self {
        let directory = tempfile::Builder::new().prefix("plimsoll-it-").tempdir().unwrap();
        let mut line = Command::new(program);
        line.args(words).args(["--port", "0", "--admin-port", "0", "--data-dir", "data"]).args(command);
        line.env(processes::MARK, directory.path()).env_remove("PLIMSOLL_CONFIG");
        let mut process = Process::start("plimsoll", &line, directory.path()).unwrap();
        let log = directory.path().join("plimsoll.log");
        let admin_port = process.wait_until(PATIENCE, "the banner", || {
            let text = std::fs::read_to_string(&log).ok().filter(|text| text.contains("\ntry "))?;
            let line = text.lines().find(|line| line.starts_with("  dashboard"))?;
            line.rsplit(':').next()?.trim().parse().ok()
        });
        Self { process, directory, admin_port: admin_port.unwrap() }
    }

    /// The processes of the instances that are ready.
    pub(crate) fn ready(&self) -> BTreeMap<String, u32> {
        let status: Value = serde_json::from_str(&exchange::get(self.admin_port, "/api/status").unwrap().body).unwrap();
        let instances = status["instances"].as_array().unwrap().iter().filter(|instance| instance["state"] == "ready");
        instances.filter_map(|each| Some((each["id"].as_str()?.to_owned(), each["pid"].as_u64()? as u32))).collect()
    }

    /// Waits for an instance to be ready as another process than `before`.
    pub(crate) fn until_ready(&self, id: &str, before: Option<u32>) -> u32 {
        let ready = || Ok(self.ready().get(id).copied().filter(|pid| Some(*pid) != before));
        until_blocking(PATIENCE, id, ready).unwrap_or_else(|error| panic!("{error:#}\n{}", self.process.log()))
    }

    /// Ends it, and asserts that nothing is left.
    pub(crate) fn stop(mut self) {
        processes::signal(self.process.id(), Signal::TERM);
        let exit = until_blocking(PATIENCE, "plimsoll to end", || Ok(self.process.exit_status())).unwrap();
        assert_eq!(exit.code(), Some(0), "{}", self.process.log());
        let mark = self.directory.path().display().to_string();
        until_blocking(PATIENCE, "the end of all processes", || Ok(processes::marked(&mark).is_empty().then_some(()))).unwrap();
    }
}
