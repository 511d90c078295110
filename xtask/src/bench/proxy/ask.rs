//! How a workload asks: as fast as it can for a while, or an exact number of times. An error in a run makes it worthless, so none is let pass.

use std::io::Write;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::super::generators::printed;
use super::super::load::{self, Answered, CONNECTIONS, Exchange, HEADERS};
use super::super::server::LOAD_CORE;
use super::super::site::own_program;
use super::scene::Scene;
use super::websocket;
use crate::run;

/// Connections and streams of a client that speaks HTTP/2.
const STREAMS: [&str; 4] = ["--clients", "8", "--max-concurrent-streams", "32"];

/// What is asked.
#[derive(Clone, Copy)]
pub(super) enum Ask {
    /// This path, or whichever leads to the origin.
    Get {
        path: Option<&'static str>,
        answer: usize,
    },
    Post {
        bytes: usize,
        answer: usize,
    },
    /// `GET` on many streams of few connections.
    Streams,
    /// A connection for each `GET`.
    Handshakes,
    /// WebSocket frames.
    Echo,
}

impl Ask {
    fn path(self, scene: Scene) -> String {
        match self {
            Self::Get { path: Some(path), .. } => path.to_owned(),
            _ => scene.path(),
        }
    }

    /// Asks as fast as it can.
    pub(super) fn saturate(self, scene: Scene, port: u16, seconds: u32) -> Result<Answered> {
        let url = scene.url(port, &self.path(scene));
        match self {
            Self::Get { .. } => load::saturate(&url, seconds, &[]),
            Self::Post { bytes, .. } => {
                let mut script = tempfile::NamedTempFile::new().context("cannot make a file")?;
                write!(script, "wrk.method = \"POST\"\nwrk.body = string.rep(\"x\", {bytes})\n")?;
                load::saturate(&url, seconds, &["--script".to_owned(), script.path().display().to_string()])
            }
            Self::Handshakes => load::saturate(&url, seconds, &["--header".to_owned(), "Connection: close".to_owned()]),
            Self::Streams => {
                let mut words = STREAMS.map(str::to_owned).to_vec();
                words.push(format!("--duration={seconds}"));
                Ok(Answered { requests: h2load(&url, &words)?, seconds: seconds.into() })
            }
            Self::Echo => {
                let mut client = Command::new("taskset");
                client.args(["--cpu-list", &LOAD_CORE.to_string(), &own_program()?, "bench", "echo", &port.to_string()]);
                let printed = run::quietly(client.args([CONNECTIONS.to_string(), seconds.to_string()]))?;
                Ok(Answered { requests: printed.trim().parse().context("not a count")?, seconds: seconds.into() })
            }
        }
    }

    /// Asks `count` times, a multiple of fifty.
    pub(super) fn exactly(self, scene: Scene, port: u16, count: usize) -> Result<()> {
        let path = self.path(scene);
        let url = scene.url(port, &path);
        let requests = |count: usize| format!("--requests={count}");
        let answered = match self {
            Self::Get { .. } if scene.tls => h2load(&url, &["--h1".to_owned(), "--clients=50".to_owned(), requests(count)])?,
            Self::Get { answer, .. } => return Exchange { port, path, body: 0, answer }.exactly(count),
            Self::Post { bytes, answer } => return Exchange { port, path, body: bytes, answer }.exactly(count),
            Self::Echo => return websocket::exactly(port, count),
            Self::Streams => h2load(&url, &[STREAMS.map(str::to_owned).to_vec(), vec![requests(count)]].concat())?,
            Self::Handshakes => {
                let once = ["--h1".to_owned(), "--clients=50".to_owned(), requests(50)];
                (0..count / 50).map(|_| h2load(&url, &once)).sum::<Result<u64>>()?
            }
        };
        ensure!(answered == count as u64, "{answered} of {count} requests were answered");
        Ok(())
    }
}

/// Asks once, whatever the protocol, for an answer of so many bytes.
pub(super) fn once(scene: Scene, port: u16, bytes: usize) -> Result<()> {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--insecure", "--output", "/dev/null", "--write-out", "%{http_code} %{size_download}"]);
    curl.args(["--max-time", &Duration::from_secs(5).as_secs().to_string()]);
    if scene.http2 {
        curl.arg("--http2-prior-knowledge");
    }
    let told = run::quietly(curl.arg(scene.url(port, &scene.path())))?;
    ensure!(told == format!("200 {bytes}"), "answered `{told}`");
    Ok(())
}

/// The answers that h2load counted.
fn h2load(url: &str, words: &[String]) -> Result<u64> {
    let mut h2load = Command::new("taskset");
    h2load.args(["--cpu-list", &LOAD_CORE.to_string(), "h2load", "--threads=1"]).args(words);
    for (name, value) in HEADERS {
        h2load.args(["--header", &format!("{name}: {value}")]);
    }
    printed::h2load(&run::quietly(h2load.arg(url))?)
}
