//! A client that sees exactly what is on the wire.

use std::net::SocketAddr;
use std::time::Duration;

use plimsoll_telemetry::Status;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Nothing in these tests takes longer, unless it hangs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The last part of the problem type.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["request_id"].as_str(), self.header("x-request-id"));
        problem["type"].as_str().unwrap().rsplit(':').next().unwrap().to_owned()
    }
}

/// One exchange. `headers` are whole lines; `Host` is `localhost` unless they say otherwise.
pub(crate) async fn get(address: SocketAddr, path: &str, headers: &[&str]) -> Answer {
    exchange(TcpStream::connect(address).await.unwrap(), "GET", path, headers).await
}

pub(crate) async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, method: &str, path: &str, headers: &[&str]) -> Answer {
    stream.write_all(request(method, path, headers, "close").as_bytes()).await.unwrap();
    let mut text = String::new();
    timeout(DEADLINE, stream.read_to_string(&mut text)).await.expect("an answer in time").unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer but `{text}`"));
    Answer { status: status(head), head: head.to_owned(), body: body.to_owned() }
}

pub(crate) fn request(method: &str, path: &str, headers: &[&str], connection: &str) -> String {
    let host = if headers.iter().any(|line| line.starts_with("Host:")) { "" } else { "Host: localhost\r\n" };
    let headers = [headers, &[""]].concat().join("\r\n");
    format!("{method} {path} HTTP/1.1\r\n{host}Connection: {connection}\r\n{headers}\r\n")
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no status in `{head}`"))
}

/// An open event stream.
pub(crate) struct Events {
    reader: BufReader<TcpStream>,
    pub(crate) status: u16,
}

impl Events {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self::start(TcpStream::connect(address).await.unwrap()).await
    }

    pub(crate) async fn start(mut stream: TcpStream) -> Self {
        stream.write_all(request("GET", "/api/stream", &[], "keep-alive").as_bytes()).await.unwrap();
        let mut events = Self { reader: BufReader::new(stream), status: 0 };
        let head = events.line().await.expect("an answer");
        events.status = status(&head);
        events
    }

    /// The next event; `None` when the stream has ended. Chunk sizes and comments in between are passed over.
    pub(crate) async fn next(&mut self) -> Option<(String, Value)> {
        let mut name = String::new();
        loop {
            let line = self.line().await?;
            if let Some(event) = line.strip_prefix("event: ") {
                event.clone_into(&mut name);
            } else if let Some(data) = line.strip_prefix("data: ") {
                return Some((name, serde_json::from_str(data).unwrap()));
            }
        }
    }

    pub(crate) async fn next_of(&mut self, kind: &str) -> Value {
        let found = async {
            loop {
                let (name, data) = self.next().await.expect("the stream goes on");
                if name == kind {
                    return data;
                }
            }
        };
        timeout(DEADLINE, found).await.unwrap_or_else(|_| panic!("no `{kind}` event"))
    }

    pub(crate) async fn next_status(&mut self) -> Status {
        serde_json::from_value(self.next_of("status").await).unwrap()
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let length = timeout(DEADLINE, self.reader.read_line(&mut line)).await.expect("the stream moves").unwrap_or(0);
        (length > 0).then(|| line.trim_end().to_owned())
    }
}
