//! A plimsoll and those that take over from it, one after the other: each starts from a file that a test may replace.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use plimsoll_testbed::exchange;
use plimsoll_testbed::poll::until_blocking;
use plimsoll_testbed::process::Process;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::fleet::PATIENCE;
use crate::http::Client;
use crate::processes;
use crate::reload::{ask, said};

pub(crate) struct Lineage {
    /// The first; all others are in its process group.
    first: Process,
    directory: TempDir,
    pub(crate) port: u16,
    admin_port: u16,
}

impl Lineage {
    /// Starts a copy of the binary with a file of its own, on free ports.
    pub(crate) fn start(words: &[&str], file: &str) -> Self {
        Self::start_with(words, file, &[])
    }

    pub(crate) fn start_with(words: &[&str], file: &str, variables: &[(&str, &str)]) -> Self {
        let directory = tempfile::Builder::new().prefix("plimsoll-it-").tempdir().unwrap();
        let binary = directory.path().join("plimsoll");
        fs::copy(env!("CARGO_BIN_EXE_plimsoll"), &binary).unwrap();
        fs::write(directory.path().join("plimsoll.toml"), file).unwrap();
        let (verb, rest) = words.split_first().unwrap();
        let mut line = Command::new(&binary);
        line.arg(verb).args(["--port", "0", "--admin-port", "0", "--data-dir", "data"]).args(rest);
        line.env(processes::MARK, directory.path()).env_remove("PLIMSOLL_CONFIG").envs(variables.iter().copied());
        let mut first = Process::start("plimsoll", &line, directory.path()).unwrap();
        let log = directory.path().join("plimsoll.log");
        let ports = first.wait_until(PATIENCE, "the banner", || {
            let text = fs::read_to_string(&log).ok().filter(|text| text.contains("\ntry "))?;
            let port = |name| {
                let line = text.lines().find(|line| line.trim_start().starts_with(name))?;
                line.rsplit(':').next()?.trim().parse::<u16>().ok()
            };
            port("gateway  ").zip(port("dashboard  "))
        });
        let (port, admin_port) = ports.unwrap();
        Self { first, directory, port, admin_port }
    }

    pub(crate) fn binary(&self) -> PathBuf {
        self.directory.path().join("plimsoll")
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.port)
    }

    pub(crate) fn log(&self) -> String {
        self.first.log()
    }

    pub(crate) fn first_pid(&self) -> u32 {
        self.first.id()
    }

    pub(crate) fn write(&self, file: &str) {
        fs::write(self.directory.path().join("plimsoll.toml"), file).unwrap();
    }

    /// A running binary cannot be written to, only replaced.
    pub(crate) fn replace_binary(&self, with: impl FnOnce(&PathBuf)) {
        let other = self.directory.path().join("plimsoll.new");
        with(&other);
        fs::set_permissions(&other, fs::metadata(env!("CARGO_BIN_EXE_plimsoll")).unwrap().permissions()).unwrap();
        fs::rename(other, self.binary()).unwrap();
    }

    pub(crate) fn replace_binary_by_itself(&self) {
        self.replace_binary(|other| {
            fs::copy(env!("CARGO_BIN_EXE_plimsoll"), other).unwrap();
        });
    }

    pub(crate) fn replace_binary_by_script(&self, script: &str) {
        self.replace_binary(|other| fs::write(other, format!("#!/bin/sh\n{script}\n")).unwrap());
    }

    /// Exit code and words of `plimsoll upgrade`.
    pub(crate) fn try_upgrade(&self) -> (Option<i32>, String) {
        said(&ask("upgrade", &self.data_dir()))
    }

    /// The process that serves after an upgrade that works.
    #[track_caller]
    pub(crate) fn upgrade(&self) -> u32 {
        let before = self.pid();
        let (code, text) = self.try_upgrade();
        assert_eq!(code, Some(0), "{text}\n{}", self.log());
        let after = self.pid();
        assert!(after != before && text.starts_with(&format!("upgraded: process {after} serves; {before} finishes")), "{text}");
        after
    }

    pub(crate) fn status(&self) -> Value {
        serde_json::from_str(&exchange::get(self.admin_port, "/api/status").unwrap().body).unwrap()
    }

    /// The process that answers for the fleet.
    pub(crate) fn pid(&self) -> u32 {
        self.status()["pid"].as_u64().unwrap() as u32
    }

    /// Every process that came of it and still runs.
    pub(crate) fn processes(&self) -> Vec<u32> {
        processes::marked(&self.directory.path().display().to_string()).into_keys().collect()
    }

    pub(crate) fn until_gone(&self, pid: u32) {
        let gone = || Ok((!self.processes().contains(&pid)).then_some(()));
        until_blocking(PATIENCE, "a process to end", gone).unwrap_or_else(|error| panic!("{error:#}\n{}", self.log()));
    }

    /// Ends the last of the line, and asserts that nothing is left of any of them.
    pub(crate) fn stop(mut self) {
        processes::signal(self.pid(), Signal::TERM);
        let nothing = || {
            let _ = self.first.exit_status();
            Ok(self.processes().is_empty().then_some(()))
        };
        until_blocking(PATIENCE, "the end of all processes", nothing).unwrap_or_else(|error| panic!("{error:#}\n{}", self.first.log()));
        assert!(std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err(), "the port is free again");
    }
}

impl Drop for Lineage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the log of the lineage\n{}---", self.log());
        }
        self.first.kill();
        for pid in self.processes() {
            processes::signal(pid, Signal::KILL);
        }
    }
}
