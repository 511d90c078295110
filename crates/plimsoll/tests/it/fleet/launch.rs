//! How a fleet is started: the words, the variables, the directory; and what comes of it.

use std::path::PathBuf;
use std::process::Command;

use plimsoll_testbed::process::Process;

use super::{Fleet, NAME, PATIENCE};
use crate::processes;

/// A start to be. Ports are free ones and the data directory is new, unless the test says otherwise.
pub(crate) struct Launch {
    words: Vec<String>,
    command: Vec<String>,
    variables: Vec<(String, String)>,
    working_dir: Option<PathBuf>,
    data_dir: Option<PathBuf>,
    passes_data_dir: bool,
    port: Option<u16>,
    admin_port: Option<u16>,
}

/// A start that plimsoll refused.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
}

impl Launch {
    /// Starts `plimsoll` with these words.
    pub(crate) fn new(words: &[&str]) -> Self {
        let words = words.iter().map(ToString::to_string).collect();
        let (variables, command) = Default::default();
        let (working_dir, data_dir, passes_data_dir) = (None, None, true);
        Self { words, command, variables, working_dir, data_dir, passes_data_dir, port: Some(0), admin_port: Some(0) }
    }

    /// `plimsoll run -- COMMAND…`
    pub(crate) fn run(command: &[impl AsRef<str>]) -> Self {
        let command = command.iter().map(|word| word.as_ref().to_owned()).collect();
        Self { command, ..Self::new(&["run"]) }
    }

    pub(crate) fn word(mut self, word: impl Into<String>) -> Self {
        self.words.push(word.into());
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.variables.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    pub(crate) fn working_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.working_dir = Some(path.into());
        self
    }

    pub(crate) fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(path.into());
        self
    }

    pub(crate) fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    pub(crate) fn admin_port(mut self, port: u16) -> Self {
        self.admin_port = Some(port);
        self
    }

    /// Passes neither port nor data directory: variables or the file say them.
    pub(crate) fn without_flags(mut self) -> Self {
        (self.port, self.admin_port, self.passes_data_dir) = (None, None, false);
        self
    }

    /// Starts it and waits until it says that it is up.
    pub(crate) fn fleet(self) -> Fleet {
        let mut fleet = self.spawn();
        let log = fleet.log_file();
        let ports = || {
            let text = std::fs::read_to_string(&log).ok()?;
            Some((printed_port(&text, "gateway")?, printed_port(&text, "dashboard")?)).filter(|_| text.contains("\ntry "))
        };
        (fleet.port, fleet.admin_port) = fleet.process.wait_until(PATIENCE, "the banner", ports).unwrap();
        fleet
    }

    /// Starts it and waits until it has printed something, long before it is up.
    pub(crate) fn begun(self, text: &str) -> Fleet {
        let mut fleet = self.spawn();
        fleet.wait_for_log(text);
        fleet
    }

    /// Starts it where it must fail: returns what it said, and asserts that nothing is left.
    pub(crate) fn refused(self) -> Refused {
        let mut fleet = self.spawn();
        fleet.wait_for_exit();
        let text = fleet.log();
        Refused { code: fleet.ended_with(), text }
    }

    /// Not up yet: its ports are not known.
    fn spawn(self) -> Fleet {
        let directory = tempfile::Builder::new().prefix("plimsoll-it-").tempdir().unwrap();
        let data_dir = self.data_dir.unwrap_or_else(|| directory.path().join("data"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PLIMSOLL")) {
            command.env_remove(name);
        }
        command.args(&self.words).envs(self.variables).env(processes::MARK, directory.path());
        for (flag, port) in [("--port", self.port), ("--admin-port", self.admin_port)] {
            if let Some(port) = port {
                command.arg(flag).arg(port.to_string());
            }
        }
        if self.passes_data_dir {
            command.arg("--data-dir").arg(&data_dir);
        }
        if !self.command.is_empty() {
            command.arg("--").args(&self.command);
        }
        command.current_dir(self.working_dir.as_deref().unwrap_or(directory.path()));
        let process = Process::start(NAME, &command, directory.path()).unwrap();
        Fleet { process, directory, data_dir, port: 0, admin_port: 0 }
    }
}

/// The port in `  gateway    http://localhost:8080`.
pub(super) fn printed_port(text: &str, name: &str) -> Option<u16> {
    let line = text.lines().find(|line| line.strip_prefix("  ").is_some_and(|line| line.starts_with(name)))?;
    line.rsplit(':').next()?.trim().parse().ok()
}
