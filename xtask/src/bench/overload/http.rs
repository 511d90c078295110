//! One question to a server, for readiness and counts. Measuring is the load generator's affair.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

const PATIENCE: Duration = Duration::from_secs(10);
/// No answer that is asked for here is longer.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;

/// Fails unless the answer is 200.
pub(super) fn expect_success(port: u16, path: &str) -> Result<()> {
    get(port, path).map(drop)
}

/// Fails only if there is no answer at all.
pub(super) fn expect_answer(port: u16) -> Result<()> {
    ask(port, "/").map(drop)
}

/// The body of a 200, taken as it comes: chunked bodies keep their chunk sizes.
pub(super) fn get(port: u16, path: &str) -> Result<String> {
    let (head, body) = ask(port, path)?;
    ensure!(head.starts_with("HTTP/1.1 200 "), "not a 200: {}", head.lines().next().unwrap_or_default());
    Ok(body)
}

fn ask(port: u16, path: &str) -> Result<(String, String)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("cannot connect")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut bytes = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes).context("no answer")?;
    let answer = String::from_utf8_lossy(&bytes);
    let (head, body) = answer.split_once("\r\n\r\n").context("no whole answer")?;
    Ok((head.to_owned(), body.to_owned()))
}
