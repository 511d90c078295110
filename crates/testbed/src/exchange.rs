//! One HTTP exchange on a connection of its own, blocking. For talking to tools and for readiness, not for testing the edge.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// A browser may take this long to load a page.
const PATIENCE: Duration = Duration::from_mins(1);
/// No test exchanges more; a server that never stops must not fill the memory.
const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

/// `GET path` from a local port.
pub fn get(port: u16, path: &str) -> Result<Answer> {
    exchange(port, "GET", path, None)
}

/// `POST path` with a JSON body.
pub fn post(port: u16, path: &str, json: &str) -> Result<Answer> {
    exchange(port, "POST", path, Some(json))
}

/// `DELETE path`.
pub fn delete(port: u16, path: &str) -> Result<Answer> {
    exchange(port, "DELETE", path, None)
}

fn exchange(port: u16, method: &str, path: &str, json: Option<&str>) -> Result<Answer> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).with_context(|| format!("cannot connect to port {port}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let content = json.map_or_else(String::new, |json| format!("Content-Type: application/json\r\nContent-Length: {}\r\n", json.len()));
    let head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n{content}\r\n");
    stream.write_all([&head, json.unwrap_or_default()].concat().as_bytes())?;
    receive(BufReader::new(stream)).with_context(|| format!("no whole answer to {method} {path}"))
}

/// Goes by the length that is announced, as `ChromeDriver` leaves the connection open whatever it was asked.
fn receive(mut stream: impl BufRead) -> Result<Answer> {
    let mut first = String::new();
    stream.by_ref().take(LINE_BYTES_MAX).read_line(&mut first)?;
    let status =
        first.split(' ').nth(1).and_then(|code| code.parse().ok()).with_context(|| format!("not a status line: `{}`", first.trim()))?;
    let mut length = None;
    loop {
        let mut line = String::new();
        stream.by_ref().take(LINE_BYTES_MAX).read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.trim().parse::<u64>().context("not a length")?);
        }
    }
    let length = length.context("the answer announces no length")?;
    let mut body = String::new();
    stream.take(length.min(BODY_BYTES_MAX)).read_to_string(&mut body)?;
    ensure!(body.len() as u64 == length, "{} bytes of {length} came", body.len());
    Ok(Answer { status, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_much_as_was_announced() {
        let bytes = "HTTP/1.1 201 Created\r\ncontent-LENGTH:2\r\nx: y\r\n\r\nokHTTP/1.1 200 OK";
        let Answer { status, body } = receive(bytes.as_bytes()).unwrap();
        assert_eq!((status, body.as_str()), (201, "ok"));
    }

    #[test]
    fn half_an_answer_is_an_error() {
        for bytes in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhalf", "hello\r\n\r\n"] {
            assert!(receive(bytes.as_bytes()).is_err(), "{bytes}");
        }
    }
}
