//! What is asked: one kind of request, as fast as 64 connections can, or an exact number of times.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::server::LOAD_CORE;
use crate::run;

/// What an ordinary client sends beside `Host`.
pub(super) const HEADERS: [(&str, &str); 5] = [
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("Accept", "application/json, text/plain, */*"),
    ("Accept-Encoding", "gzip, deflate, br"),
    ("Accept-Language", "en-GB,en;q=0.8,de;q=0.5"),
    ("Cookie", "session=0f6a1f6e-8a55-4a5e-9d0e-2f6d1a3b7c55; theme=dark"),
];

pub(super) const CONNECTIONS: usize = 64;

/// Requests answered in a run; any error in it is a failure of the run.
pub(super) struct Answered {
    pub requests: u64,
    pub seconds: f64,
}

/// Asks `url` as fast as 64 connections allow, with further words for wrk.
pub(super) fn saturate(url: &str, seconds: u32, further: &[String]) -> Result<Answered> {
    let mut wrk = Command::new("taskset");
    wrk.args(["--cpu-list", &LOAD_CORE.to_string(), "wrk", "--threads", "1", "--connections", &CONNECTIONS.to_string()]);
    wrk.args(["--duration", &format!("{seconds}s")]).args(further);
    for (name, value) in HEADERS {
        wrk.args(["--header", &format!("{name}: {value}")]);
    }
    read_wrk(&run::quietly(wrk.arg(url))?)
}

/// Reads what wrk printed.
pub(super) fn read_wrk(printed: &str) -> Result<Answered> {
    if let Some(errors) = printed.lines().find(|line| line.contains("Socket errors") || line.contains("Non-2xx")) {
        bail!("the load had errors: {}", errors.trim());
    }
    let line = printed.lines().find(|line| line.contains(" requests in ")).context("wrk printed no result")?;
    let (requests, rest) = line.trim().split_once(" requests in ").expect("the line was found by this");
    let seconds = rest.split('s').next().and_then(|text| text.parse().ok()).with_context(|| format!("cannot read wrk's `{line}`"))?;
    let requests = requests.parse().with_context(|| format!("cannot read wrk's `{line}`"))?;
    ensure!(requests > 0, "no request was answered");
    Ok(Answered { requests, seconds })
}

/// One kind of request on connections that are kept, and how long the answer's body must be.
pub(super) struct Exchange {
    pub port: u16,
    pub path: String,
    /// Bytes of a `POST`; without any it is a `GET`.
    pub body: usize,
    pub answer: usize,
}

impl Exchange {
    /// `GET /`, answered by `answer` bytes.
    pub(super) fn get(port: u16, answer: usize) -> Self {
        Self { port, path: "/".to_owned(), body: 0, answer }
    }

    /// Asks exactly `count` times, in turns over many connections, all of one turn before any answer is read.
    pub(super) fn exactly(&self, count: usize) -> Result<()> {
        const AT_ONCE: usize = 50;
        ensure!(count.is_multiple_of(AT_ONCE), "the count must be a multiple of {AT_ONCE}");
        let mut clients: Vec<Client> = (0..AT_ONCE).map(|_| self.client()).collect::<Result<_>>()?;
        for _ in 0..count / AT_ONCE {
            clients.iter_mut().try_for_each(Client::send)?;
            clients.iter_mut().try_for_each(Client::receive)?;
        }
        Ok(())
    }

    /// A connection that has been answered once.
    pub(super) fn client(&self) -> Result<Client> {
        let mut client = Client::connect(self)?;
        client.send()?;
        client.receive()?;
        Ok(client)
    }
}

/// A kept connection that knows the one answer it expects.
pub(super) struct Client {
    stream: TcpStream,
    request: String,
    answer: usize,
}

impl Client {
    fn connect(exchange: &Exchange) -> Result<Self> {
        let Exchange { port, path, body, answer } = exchange;
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).context("cannot connect")?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.set_nodelay(true)?;
        let headers = HEADERS.map(|(name, value)| [name, ": ", value, "\r\n"].concat()).concat();
        let (method, content) = if *body == 0 { ("GET", String::new()) } else { ("POST", format!("Content-Length: {body}\r\n")) };
        let request = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{headers}{content}\r\n{}", "x".repeat(*body));
        Ok(Self { stream, request, answer: *answer })
    }

    fn send(&mut self) -> Result<()> {
        self.stream.write_all(self.request.as_bytes()).context("cannot send")
    }

    fn receive(&mut self) -> Result<()> {
        let mut answer = Vec::new();
        let mut buffer = [0; 16 * 1024];
        loop {
            let count = self.stream.read(&mut buffer).context("cannot receive")?;
            ensure!(count > 0, "the connection was closed: {}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&buffer[..count]);
            let Some(head) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            if answer.len() == head + 4 + self.answer {
                ensure!(answer.starts_with(b"HTTP/1.1 200 "), "not a 200: {}", String::from_utf8_lossy(&answer[..head]));
                return Ok(());
            }
            ensure!(answer.len() < head + 4 + self.answer, "too long: {}", String::from_utf8_lossy(&answer[..head]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str =
        "Running 2s test @ http://127.0.0.1:1/\n  1 threads and 64 connections\n  94373 requests in 2.10s, 112.00MB read\n";

    #[test]
    fn reads_what_wrk_counted() {
        let answered = read_wrk(PRINTED).unwrap();
        assert_eq!((answered.requests, answered.seconds), (94_373, 2.1));
    }

    #[test]
    fn a_run_with_errors_is_no_result() {
        assert!(read_wrk(&format!("{PRINTED}  Non-2xx or 3xx responses: 5\n")).is_err());
        assert!(read_wrk(&format!("{PRINTED}  Socket errors: connect 0, read 3, write 0, timeout 0\n")).is_err());
        assert!(read_wrk("").is_err());
    }
}
