//! A client that takes nothing on trust: every answer must say how it ends, end there, and leave nothing behind it.
//!
//! One connection, kept for as long as the server keeps it. Nothing is ever sent twice: what fails, fails.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(20);
const LINE_BYTES_MAX: u64 = 64 * 1024;
const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) target: String,
    host: Option<String>,
    headers: String,
    body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(method: &'static str, target: impl Into<String>) -> Self {
        Self { method, target: target.into(), host: None, headers: String::new(), body: Vec::new() }
    }

    pub(crate) fn get(target: impl Into<String>) -> Self {
        Self::new("GET", target)
    }

    pub(crate) fn login(username: &str) -> Self {
        Self::new("POST", "/login").json(&serde_json::json!({ "username": username }))
    }

    pub(crate) fn host(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }

    pub(crate) fn header(mut self, name: &str, value: impl AsRef<str>) -> Self {
        let _ = write!(self.headers, "{name}: {}\r\n", value.as_ref());
        self
    }

    pub(crate) fn json(mut self, body: &Value) -> Self {
        self.body = body.to_string().into_bytes();
        self.header("Content-Type", "application/json")
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// One that came another way.
    pub(crate) fn of(status: u16, body: Vec<u8>) -> Self {
        Self { status, headers: Vec::new(), body }
    }

    /// The value of a header that appears once; empty without it.
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut values = self.headers.iter().filter(|(each, _)| each.eq_ignore_ascii_case(name));
        let value = values.next().map_or("", |(_, value)| value);
        assert!(values.next().is_none(), "{name} appears twice: {self:?}");
        value
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The session cookie that this answer sets, without its attributes.
    pub(crate) fn session(&self) -> Option<&str> {
        let cookie = self.header("Set-Cookie").strip_prefix("plimsoll_session=")?;
        cookie.split(';').next()
    }

    /// Asserts everything that an error promises, wherever it comes from.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, slug: &str) {
        assert_eq!((self.status, self.header("Content-Type")), (status, "application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["type"], format!("urn:plimsoll:problem:{slug}"), "{problem}");
        assert_eq!(problem["status"], status);
        assert!(!self.header("X-Request-Id").is_empty() && problem["request_id"] == self.header("X-Request-Id"), "{self:?}");
    }
}

/// One user: a connection and the session cookie.
pub(crate) struct Client {
    port: u16,
    stream: Option<BufReader<TcpStream>>,
    /// What goes into `Cookie`, and follows `Set-Cookie`.
    pub(crate) session: Option<String>,
}

impl Client {
    pub(crate) fn new(port: u16) -> Self {
        Self { port, stream: None, session: None }
    }

    /// A client that shows the cookie of another.
    pub(crate) fn with_session(port: u16, session: impl Into<String>) -> Self {
        Self { session: Some(session.into()), ..Self::new(port) }
    }

    /// Logs in, which must work.
    pub(crate) fn logged_in(port: u16, username: &str) -> Self {
        let mut client = Self::new(port);
        let answer = client.ask(&Request::login(username));
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(client.session.is_some(), "{answer:?}");
        client
    }

    /// Sends a request that must be answered.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: &Request) -> Answer {
        self.send(request).unwrap_or_else(|error| panic!("{error:#}"))
    }

    #[track_caller]
    pub(crate) fn get(&mut self, target: &str) -> Answer {
        self.ask(&Request::get(target))
    }

    pub(crate) fn send(&mut self, request: &Request) -> Result<Answer> {
        self.begin(request)?;
        self.finish(request)
    }

    /// Sends a request without waiting for its answer.
    pub(crate) fn begin(&mut self, request: &Request) -> Result<()> {
        let Request { method, target, host, headers, body } = request;
        let host = host.clone().unwrap_or_else(|| format!("localhost:{}", self.port));
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{headers}");
        if let Some(session) = &self.session {
            let _ = write!(head, "Cookie: plimsoll_session={session}\r\n");
        }
        if !body.is_empty() || *method == "POST" {
            let _ = write!(head, "Content-Length: {}\r\n", body.len());
        }
        let mut bytes = (head + "\r\n").into_bytes();
        bytes.extend_from_slice(body);
        if self.stream.is_none() {
            self.stream = Some(connect(self.port)?);
        }
        let stream = self.stream.as_mut().context("connected above")?;
        stream.get_mut().write_all(&bytes).with_context(|| format!("cannot send {method} {target}"))
    }

    /// Takes the answer to what was begun.
    pub(crate) fn finish(&mut self, request: &Request) -> Result<Answer> {
        let mut stream = self.stream.take().context("nothing was begun")?;
        let answer = receive(&mut stream, request.method == "HEAD")
            .with_context(|| format!("no whole answer to {} {}", request.method, request.target))?;
        if !answer.header("Connection").eq_ignore_ascii_case("close") {
            self.stream = Some(stream);
        }
        if let Some(session) = answer.session() {
            self.session = (!session.is_empty()).then(|| session.to_owned());
        }
        Ok(answer)
    }

    /// The next request takes a connection of its own.
    pub(crate) fn hang_up(&mut self) {
        self.stream = None;
    }
}

pub(crate) fn connect(port: u16) -> Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).with_context(|| format!("cannot connect to port {port}"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(BufReader::new(stream))
}

fn receive(stream: &mut BufReader<TcpStream>, is_head: bool) -> Result<Answer> {
    let mut answer = head(stream)?;
    while (100..200).contains(&answer.status) && answer.status != 101 {
        answer = head(stream)?;
    }
    let (length, coding) = (answer.header("Content-Length"), answer.header("Transfer-Encoding"));
    ensure!(length.is_empty() || coding.is_empty(), "framed twice: {answer:?}");
    let has_body = !is_head && !matches!(answer.status, 101 | 204 | 304);
    answer.body = match (has_body, length, coding) {
        (false, ..) => Vec::new(),
        (true, _, "chunked") => chunked(stream)?,
        (true, "", _) => bail!("nothing says where the body ends: {answer:?}"),
        (true, length, _) => exactly(stream, length.parse().context("not a length")?)?,
    };
    let rest = stream.buffer();
    ensure!(rest.is_empty() || answer.status == 101, "more came than was announced: {:?}", String::from_utf8_lossy(rest));
    Ok(answer)
}

/// A head, with an empty body for now.
pub(crate) fn head(stream: &mut impl BufRead) -> Result<Answer> {
    let first = line(stream)?;
    let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    let status = status.with_context(|| format!("not a status line: {first:?}"))?;
    let mut headers = Vec::new();
    loop {
        let line = line(stream)?;
        if line.is_empty() {
            return Ok(Answer { status, headers, body: Vec::new() });
        }
        let (name, value) = line.split_once(':').with_context(|| format!("not a header: {line:?}"))?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
}

fn chunked(stream: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let chunk = chunk(stream)?;
        if chunk.is_empty() {
            // Trailers, and the empty line after them.
            while !line(stream)?.is_empty() {}
            return Ok(body);
        }
        body.extend(chunk);
    }
}

/// The next chunk; an empty one is the last, with its trailers still to come.
pub(crate) fn chunk(stream: &mut impl BufRead) -> Result<Vec<u8>> {
    let size = line(stream)?;
    let size =
        u64::from_str_radix(size.split(';').next().unwrap_or_default(), 16).with_context(|| format!("not a chunk size: {size:?}"))?;
    let data = exactly(stream, size)?;
    ensure!(size == 0 || line(stream)?.is_empty(), "a chunk does not end where it should");
    Ok(data)
}

fn exactly(stream: &mut impl BufRead, length: u64) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    stream.by_ref().take(length.min(BODY_BYTES_MAX)).read_to_end(&mut body)?;
    ensure!(body.len() as u64 == length, "{} bytes of {length} came", body.len());
    Ok(body)
}

/// A line that ends with CR LF, as the protocol wants.
fn line(stream: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    stream.by_ref().take(LINE_BYTES_MAX).read_line(&mut line)?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None => bail!("the connection ended within a line: {line:?}"),
    }
}

#[test]
fn half_answers_and_answers_with_no_end_are_errors() {
    for bytes in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nX: y", "hello\r\n\r\n"] {
        assert!(head(&mut bytes.as_bytes()).is_err(), "{bytes}");
    }
    assert_eq!(chunked(&mut &b"2\r\nok\r\n0\r\nX: y\r\n\r\n"[..]).unwrap(), b"ok");
    for bytes in ["", "2\r\nok\r\n", "2\r\noky\r\n0\r\n\r\n", "5\r\nok\r\n0\r\n\r\n"] {
        assert!(chunked(&mut bytes.as_bytes()).is_err(), "{bytes}");
    }
}
