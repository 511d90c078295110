//! A real name server, dnsmasq, for names below `.test`: its records change while it answers.

use std::fmt::Write as _;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::Process;
use crate::{poll, port};

const START_TIME_MAX: Duration = Duration::from_secs(20);

/// A name server on loopback. Names that it has no record of do not exist; every record may be kept for a second.
pub struct Dns {
    directory: TempDir,
    port: u16,
    arguments: Vec<String>,
    process: Option<Process>,
    changes: u32,
}

impl Dns {
    /// Starts a server with further arguments, such as `["--srv-host=_http._tcp.api.test,a.test,9000,0,5"]`.
    pub fn start(arguments: &[String]) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("plimsoll-dns-").tempdir()?;
        let mut dns = Self { directory, port: port::free(), arguments: arguments.to_vec(), process: None, changes: 0 };
        std::fs::write(dns.hosts(), "")?;
        dns.start_again()?;
        Ok(dns)
    }

    /// As it is written in settings.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Replaces all address records, and returns when they are what is answered.
    pub fn set(&mut self, records: &[(&str, &str)]) -> Result<()> {
        self.changes += 1;
        let mut text = String::new();
        for (name, address) in records {
            writeln!(text, "{address} {name}")?;
        }
        // An answer with this record is one with all of them.
        let mark = format!("change-{}.test", self.changes);
        writeln!(text, "127.0.0.1 {mark}")?;
        std::fs::write(self.hosts(), text)?;
        self.process.as_ref().context("the name server was stopped")?.signal(Signal::HUP);
        poll::until_blocking(START_TIME_MAX, "the name server to take over its records", || Ok(has_address(self.port, &mark).then_some(())))
    }

    /// Ends it as a crash would: questions stay without an answer.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Starts it on the port that it had before, with the records that it had.
    pub fn start_again(&mut self) -> Result<()> {
        let mut command = Command::new("dnsmasq");
        command.args(["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--no-daemon", "--user=root"]);
        command.args([
            "--listen-address=127.0.0.1",
            "--bind-interfaces",
            "--local=/test/",
            "--local-ttl=1",
            "--address=/up.test/127.0.0.1",
        ]);
        command.arg(format!("--port={}", self.port)).arg(format!("--addn-hosts={}", self.hosts().display())).args(&self.arguments);
        let mut process = Process::start("dnsmasq", &command, self.directory.path())?;
        process.wait_until(START_TIME_MAX, "an answer from dnsmasq", || has_address(self.port, "up.test").then_some(()))?;
        self.process = Some(process);
        Ok(())
    }

    fn hosts(&self) -> PathBuf {
        self.directory.path().join("hosts")
    }
}

/// Whether a name has an IPv4 address: one question (RFC 1035, section 4) and the count of its answers.
fn has_address(port: u16, name: &str) -> bool {
    let ask = || {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        let mut question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00".to_vec();
        for label in name.split('.') {
            question.push(label.len() as u8);
            question.extend_from_slice(label.as_bytes());
        }
        question.extend_from_slice(b"\x00\x00\x01\x00\x01");
        socket.send_to(&question, ("127.0.0.1", port))?;
        let mut answer = [0; 512];
        let length = socket.recv(&mut answer)?;
        std::io::Result::Ok(length >= 12 && answer[..2] == question[..2] && answer[6..8] != [0, 0])
    };
    ask().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_change_while_it_runs_and_survive_a_crash() {
        let mut dns = Dns::start(&[]).unwrap();
        dns.set(&[("api.test", "127.0.0.2")]).unwrap();
        assert!(has_address(dns.port, "api.test") && !has_address(dns.port, "other.test"));
        dns.set(&[("other.test", "127.0.0.2")]).unwrap();
        assert!(has_address(dns.port, "other.test") && !has_address(dns.port, "api.test"));
        dns.stop();
        assert!(!has_address(dns.port, "other.test"));
        dns.start_again().unwrap();
        assert!(has_address(dns.port, "other.test"));
    }
}
