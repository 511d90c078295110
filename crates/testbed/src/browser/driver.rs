//! `ChromeDriver`, started for one browser: commands go in over HTTP, results or explanations come out.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::exchange::{self, Answer};
use crate::port;
use crate::process::{self, Process};

/// No sandbox: it needs privileges that a test has not, and only our own pages are opened. No background traffic: a test leaves loopback
/// for nothing. The pipe ties the browser to its driver, so that neither outlives the test.
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
    "--window-size=1280,900",
];

const STARTS_WITHIN: Duration = Duration::from_mins(1);

pub(super) struct Driver {
    port: u16,
    // Ended before its directory is removed.
    process: Process,
    directory: TempDir,
}

impl Driver {
    pub(super) fn start() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let port = port::free();
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}"));
        let process = Process::start("chromedriver", &command, directory.path())?;
        let mut driver = Self { port, process, directory };
        let ready = || exchange::get(port, "/status").ok().filter(|answer| answer.status == 200);
        driver.process.wait_until(STARTS_WITHIN, "ChromeDriver's status", ready)?;
        Ok(driver)
    }

    /// Starts a browser with an empty profile and these further flags, and returns the name of its session.
    pub(super) fn new_session(&self, more: &[String]) -> Result<String> {
        let mut flags: Vec<String> = FLAGS.iter().map(|flag| (*flag).to_owned()).chain(more.iter().cloned()).collect();
        flags.push(format!("--user-data-dir={}", self.profile().display()));
        let options = json!({ "binary": process::find(Path::new("chromium"))?, "args": flags });
        let wanted = json!({ "capabilities": { "alwaysMatch": { "browserName": "chrome", "goog:chromeOptions": options } } });
        let session = self.post("/session", &wanted).context("cannot start Chromium")?;
        Ok(session["sessionId"].as_str().context("ChromeDriver named no session")?.to_owned())
    }

    /// The browser's data; every one of its processes names it on its command line.
    pub(super) fn profile(&self) -> PathBuf {
        self.directory.path().join("profile")
    }

    pub(super) fn get(&self, path: &str) -> Result<Value> {
        value(&exchange::get(self.port, path)?)
    }

    pub(super) fn post(&self, path: &str, parameters: &Value) -> Result<Value> {
        value(&exchange::post(self.port, path, &parameters.to_string())?)
    }

    pub(super) fn delete(&self, path: &str) -> Result<Value> {
        value(&exchange::delete(self.port, path)?)
    }
}

/// The result of a command, or the driver's explanation why there is none.
fn value(answer: &Answer) -> Result<Value> {
    let mut body: Value = serde_json::from_str(&answer.body).context("ChromeDriver did not answer with JSON")?;
    let value = body["value"].take();
    if let Some(error) = value["error"].as_str() {
        bail!("{error}: {}", value["message"].as_str().unwrap_or_default());
    }
    Ok(value)
}
