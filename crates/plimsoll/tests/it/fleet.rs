//! A running plimsoll: the real binary on free ports in a directory of its own.
//!
//! Whatever happens to a test, nothing survives it: the fleet is killed on drop, and a process that outlives that fails the test.

mod launch;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use plimsoll_testbed::exchange;
use plimsoll_testbed::poll::until_blocking;
use plimsoll_testbed::process::Process;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) use launch::{Launch, Refused};

use crate::http::Client;
use crate::processes;

/// No test waits longer for anything that does not say so.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What its log is called.
const NAME: &str = "plimsoll";

/// How long the last process of a fleet may take to go once the first one has.
const FAREWELL: Duration = Duration::from_secs(5);

pub(crate) struct Fleet {
    process: Process,
    /// The log, and the data unless the test chose a place for it.
    directory: TempDir,
    data_dir: PathBuf,
    port: u16,
    admin_port: u16,
}

impl Fleet {
    /// `plimsoll up` as a user starts it, but for the ports.
    pub(crate) fn up() -> Self {
        Launch::new(&["up"]).fleet()
    }

    /// The port of the gateway.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The port of the gateway on which TLS is spoken.
    pub(crate) fn tls_port(&self) -> u16 {
        launch::printed_port(&self.log(), "https").unwrap()
    }

    pub(crate) fn admin_port(&self) -> u16 {
        self.admin_port
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// A client of the gateway.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.port)
    }

    /// Everything printed so far, by plimsoll and its instances.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// What `/api/status` says.
    pub(crate) fn status(&self) -> Value {
        let answer = exchange::get(self.admin_port, "/api/status").unwrap();
        serde_json::from_str(&answer.body).unwrap()
    }

    /// The processes of those instances that have one.
    pub(crate) fn pids(&self) -> BTreeMap<String, u32> {
        let status = self.status();
        let instances = status["instances"].as_array().unwrap().iter();
        let pid = |instance: &Value| Some((instance["id"].as_str()?.to_owned(), instance["pid"].as_u64()? as u32));
        instances.filter_map(pid).collect()
    }

    /// Every process that this fleet has started and that still runs, itself included.
    pub(crate) fn processes(&self) -> BTreeMap<u32, String> {
        processes::marked(&self.mark())
    }

    fn mark(&self) -> String {
        self.directory.path().display().to_string()
    }

    fn log_file(&self) -> PathBuf {
        self.directory.path().join(format!("{NAME}.log"))
    }

    /// Waits until the log holds a text.
    pub(crate) fn wait_for_log(&mut self, text: &str) {
        let log = self.log_file();
        let said = || std::fs::read(&log).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(text)).then_some(());
        self.process.wait_until(PATIENCE, &format!("`{text}` in the log"), said).unwrap();
    }

    /// Sends a signal to plimsoll alone.
    pub(crate) fn signal(&self, signal: Signal) {
        processes::signal(self.pid(), signal);
    }

    /// As a terminal does: Ctrl-C goes to every process in the foreground.
    pub(crate) fn press_ctrl_c(&self) {
        self.process.signal(Signal::INT);
    }

    /// Waits for the end: exit code 0 and nothing left behind.
    pub(crate) fn ended(self) {
        assert_eq!(self.ended_with(), Some(0));
    }

    /// Waits for the end, whatever the exit code; none stands for a signal.
    pub(crate) fn ended_with(mut self) -> Option<i32> {
        let exit = self.wait_for_exit();
        self.assert_nothing_left();
        assert!(!self.takes_connections(), "the port is free again");
        exit.code()
    }

    fn wait_for_exit(&mut self) -> ExitStatus {
        until_blocking(PATIENCE, "plimsoll to end", || Ok(self.process.exit_status())).unwrap()
    }

    /// The usual end of a test.
    pub(crate) fn stop(self) {
        self.signal(Signal::TERM);
        self.ended();
    }

    pub(crate) fn takes_connections(&self) -> bool {
        std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok()
    }

    fn assert_nothing_left(&self) {
        let nothing = || Ok(self.processes().is_empty().then_some(()));
        let gone = until_blocking(FAREWELL, "the end of all processes", nothing);
        assert!(gone.is_ok(), "still running: {:?}", self.processes());
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the log of the fleet\n{}---", self.log());
        }
        // Itself first and alone: what it started must notice by its own means. Once it has ended its id may be somebody else's.
        if self.process.exit_status().is_none() {
            self.signal(Signal::KILL);
        }
        let gone = until_blocking(FAREWELL, "the end of all processes", || Ok(self.processes().is_empty().then_some(())));
        let survivors = self.processes();
        for pid in survivors.keys() {
            processes::signal(*pid, Signal::KILL);
        }
        assert!(gone.is_ok() || std::thread::panicking(), "these outlived the fleet: {survivors:?}");
    }
}
