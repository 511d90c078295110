//! A plimsoll whose file and binary are replaced while it serves.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Signal, kill_process, test_kill_process};

use super::super::server::{Recipe, Server, free_port, pid, plimsoll};
use super::super::site::{Site, directory};
use crate::run;

/// Within which a process that has nothing left to do ends.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

pub(super) struct Edge {
    /// The process that was started; it ends after the first upgrade.
    first: Server,
    directory: PathBuf,
    file: String,
    /// Of those that took over, in order.
    successors: Vec<u32>,
}

impl Edge {
    pub(super) fn start(site: &Site, has_tls: bool, drain: Duration) -> Result<Self> {
        let (port, directory) = (free_port()?, directory()?);
        let path = directory.path().to_owned();
        let tls = if has_tls {
            let (chain, key) = (site.certificate.chain().display().to_string(), site.certificate.key().display().to_string());
            format!("[gateway.tls]\ncertificates = [{{ chain = {chain:?}, key = {key:?} }}]\n")
        } else {
            String::new()
        };
        let file = format!(
            "[gateway]\nbind = \"127.0.0.1\"\n[gateway.limits]\nconnections_per_client_max = 4000\n[gateway.timeouts]\ndrain = \"{}s\"\n{tls}\
             [[upstream]]\nname = \"origin\"\nservers = [\"http://127.0.0.1:{}\"]\n[[route]]\nmatch = \"/*\"\nupstream = \"origin\"\n",
            drain.as_secs(),
            site.origins[0]
        );
        fs::write(path.join("plimsoll.toml"), &file)?;
        let binary = path.join("plimsoll");
        fs::copy(plimsoll(), &binary).context("cannot copy the binary")?;
        let mut words = vec![binary.display().to_string(), "gateway".to_owned()];
        words.extend(["--config", "plimsoll.toml", "--data-dir", "data", "--admin-port", "0"].map(str::to_owned));
        let (plain, encrypted) = if has_tls { (0, Some(port)) } else { (port, None) };
        words.extend(["--port".to_owned(), plain.to_string()]);
        words.extend(encrypted.into_iter().flat_map(|port| ["--tls-port".to_owned(), port.to_string()]));
        let has_banner = |log: &str| {
            ensure!(log.contains("\ntry "), "it has not said where it serves");
            Ok(())
        };
        let recipe =
            Recipe { name: "plimsoll", port, core: None, words, environment: Vec::new(), directory, under: &[], ready: &has_banner };
        Ok(Self { first: Server::start(recipe)?, directory: path, file, successors: Vec::new() })
    }

    pub(super) fn port(&self) -> u16 {
        self.first.port
    }

    /// Writes the file with a route more, or without it, and has it taken up.
    pub(super) fn reload(&self, has_more: bool) -> Result<()> {
        let more = if has_more { "[[route]]\nmatch = \"/more\"\nupstream = \"origin\"\n" } else { "" };
        fs::write(self.directory.join("plimsoll.toml"), format!("{}{more}", self.file))?;
        self.order("reload")?;
        Ok(())
    }

    /// Replaces the binary by itself and has that take over. The process that serves then.
    pub(super) fn upgrade(&mut self) -> Result<u32> {
        let (binary, other) = (self.directory.join("plimsoll"), self.directory.join("plimsoll.new"));
        fs::copy(plimsoll(), &other).context("cannot copy the binary")?;
        fs::rename(other, binary)?;
        let said = self.order("upgrade")?;
        let serves = said.strip_prefix("upgraded: process ").and_then(|rest| rest.split(' ').next()?.parse().ok());
        let serves = serves.with_context(|| format!("cannot read `{said}`"))?;
        self.successors.push(serves);
        Ok(serves)
    }

    fn order(&self, verb: &str) -> Result<String> {
        let mut command = Command::new(self.directory.join("plimsoll"));
        run::quietly(command.args([verb, "--data-dir", "data"]).current_dir(&self.directory))
            .with_context(|| format!("the log:\n{}", self.first.log()))
    }

    /// Asks the last to end, and waits for all: those that were relieved end by themselves.
    pub(super) fn stop(mut self) -> Result<()> {
        match self.successors.last() {
            Some(last) => kill_process(pid(*last), Signal::TERM).context("cannot stop the last process")?,
            None => self.first.stop()?,
        }
        let asked = Instant::now();
        while !self.first.has_ended()? {
            ensure!(asked.elapsed() < ENDS_WITHIN, "the first process did not end within {ENDS_WITHIN:?}:\n{}", self.first.log());
            std::thread::park_timeout(Duration::from_millis(20));
        }
        while let Some(process) = self.successors.iter().find(|process| test_kill_process(pid(**process)).is_ok()) {
            ensure!(asked.elapsed() < ENDS_WITHIN, "process {process} did not end within {ENDS_WITHIN:?}:\n{}", self.first.log());
            std::thread::park_timeout(Duration::from_millis(20));
        }
        self.successors.clear();
        Ok(())
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        for process in &self.successors {
            // Gone already is as good as killed.
            let _ = kill_process(pid(*process), Signal::KILL);
        }
    }
}
