//! Real Redis: one server, a master with its replica and sentinel, a cluster of three.
//!
//! Nothing is kept on disk unless a test asks for it: a server that was stopped starts again empty.

mod cluster;
mod sentinel;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tempfile::TempDir;

pub use self::cluster::Cluster;
pub use self::sentinel::Sentinel;
use crate::port;
use crate::process::Process;

const START_TIME_MAX: Duration = Duration::from_secs(20);
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// One Redis server.
pub struct Redis {
    directory: TempDir,
    port: u16,
    arguments: Vec<String>,
    process: Option<Process>,
}

impl Redis {
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// Starts a server with further arguments, such as `["--requirepass", "secret"]`.
    pub fn start_with(arguments: &[&str]) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("plimsoll-redis-").tempdir()?;
        let arguments = arguments.iter().map(ToString::to_string).collect();
        let mut redis = Self { directory, port: port::free(), arguments, process: None };
        redis.start_again()?;
        Ok(redis)
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("redis.sock")
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends the server as a crash would.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Starts it on the port that it had before.
    pub fn start_again(&mut self) -> Result<()> {
        self.spawn()?;
        let (port, process) = (self.port, self.running()?);
        process.wait_until(START_TIME_MAX, "an answer from redis", || {
            // Anything but silence: with a password set it is an error.
            command(port, "PING").ok()
        })?;
        Ok(())
    }

    /// Lets the server hang: connections stay open and nothing is answered.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Writes some data to disk and stops; the next start takes about two seconds of `LOADING`.
    pub fn load_slowly_at_next_start(&mut self) -> Result<()> {
        const KEYS: u32 = 200;
        // While loading, connections are served once in 1,024 bytes: so, after each of these.
        const VALUE_BYTES: usize = 1100;
        const KEY_TIME_US: &str = "10000";
        must(self.port, "CONFIG SET rdbcompression no")?;
        for key in 0..KEYS {
            must(self.port, &format!("SET filler-{key} {}", "x".repeat(VALUE_BYTES)))?;
        }
        must(self.port, "SAVE")?;
        self.stop();
        self.arguments.extend(["--key-load-delay", KEY_TIME_US, "--loading-process-events-interval-bytes", "1024"].map(Into::into));
        Ok(())
    }

    /// Sends one command and returns the answer: the text of a string, the first line of anything else.
    pub fn command(&self, line: &str) -> Result<String> {
        command(self.port, line)
    }

    fn signal(&self, signal: Signal) {
        if let Some(process) = &self.process {
            process.signal(signal);
        }
    }

    fn running(&mut self) -> Result<&mut Process> {
        self.process.as_mut().context("redis is stopped")
    }

    fn spawn(&mut self) -> Result<()> {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &self.port.to_string(), "--save", "", "--appendonly", "no"]);
        command.arg("--unixsocket").arg(self.socket()).args(&self.arguments);
        self.process = Some(Process::start("redis", &command, self.directory.path())?);
        Ok(())
    }
}

/// One command in the inline form of the protocol.
fn command(port: u16, line: &str) -> Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(ANSWER_TIME_MAX))?;
    stream.write_all(format!("{line}\r\n").as_bytes())?;
    let mut answer = BufReader::new(stream);
    let mut first = String::new();
    answer.read_line(&mut first)?;
    let first = first.trim_end();
    let Some(length) = first.strip_prefix('$') else {
        if first.is_empty() {
            bail!("redis closed the connection");
        }
        return Ok(first.into());
    };
    let mut text = vec![0; length.parse::<usize>().unwrap_or(0)];
    answer.read_exact(&mut text)?;
    Ok(String::from_utf8(text)?)
}

/// The same, where only `+OK` will do.
fn must(port: u16, line: &str) -> Result<()> {
    match command(port, line)?.as_str() {
        "+OK" => Ok(()),
        other => bail!("redis answered `{line}` with `{other}`"),
    }
}
