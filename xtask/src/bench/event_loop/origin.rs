//! The origin: cheaper than any real server, whatever is asked.

use std::io::{self, ErrorKind};
use std::net::TcpStream;

use anyhow::Result;

use super::{Service, never_blocks, read, serve, write};

/// Body of the answer to everything but the paths below.
pub(in super::super) const SMALL_BYTES: usize = 1024;
pub(in super::super) const LARGE_BYTES: usize = 1024 * 1024;
pub(in super::super) const LARGE_PATH: &str = "/large";
/// Becomes a tunnel in which every byte comes back.
pub(in super::super) const ECHO_PATH: &str = "/echo";
/// The answer to the key that RFC 6455 gives as its example; nobody here asks with another.
pub(in super::super) const UPGRADED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Answers on each of these ports.
pub(in super::super) fn serve_origin(ports: &[u16]) -> Result<()> {
    let answer = |bytes: usize| {
        let body = format!("{{\"text\":\"{}\"}}", "x".repeat(bytes - 11));
        // A type that nobody compresses on the way: all are to do the same work.
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {bytes}\r\n\r\n");
        (head + &body).into_bytes()
    };
    let answers = Answers { small: answer(SMALL_BYTES), large: answer(LARGE_BYTES) };
    serve(ports, Origin { answers, clients: Vec::new() })
}

struct Origin {
    answers: Answers,
    clients: Vec<Option<Client>>,
}

struct Answers {
    small: Vec<u8>,
    large: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Small,
    Large,
    Echo,
}

struct Client {
    stream: TcpStream,
    /// What came and was not dealt with.
    unread: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    Head,
    /// So much of a request's body is to come before it is answered.
    Body(usize, Kind),
    /// So much of the answer has gone.
    Answer(Kind, usize),
    Echo,
}

impl Service for Origin {
    fn accept(&mut self, client: TcpStream) -> Result<Vec<usize>> {
        never_blocks(&client)?;
        self.clients.push(Some(Client { stream: client, unread: Vec::new(), state: State::Head }));
        Ok(vec![self.clients.len() - 1])
    }

    fn stream(&self, index: usize) -> &TcpStream {
        &self.clients[index].as_ref().expect("only open connections are watched").stream
    }

    fn turn(&mut self, index: usize, ends: bool, buffer: &mut [u8]) -> io::Result<()> {
        let Some(client) = &mut self.clients[index] else { return Ok(()) };
        loop {
            if !client.go_on(&self.answers)? {
                return Ok(());
            }
            let Some(count) = read(&client.stream, buffer)? else { return Ok(()) };
            client.unread.extend_from_slice(&buffer[..count]);
            if count < buffer.len() && !ends {
                return client.go_on(&self.answers).map(|_| ());
            }
        }
    }

    fn close(&mut self, index: usize) {
        self.clients[index] = None;
    }
}

impl Client {
    /// Deals with what has come, as far as possible; false when it is the client's turn to read.
    fn go_on(&mut self, answers: &Answers) -> io::Result<bool> {
        loop {
            match self.state {
                State::Head => {
                    let Some(end) = end_of_head(&self.unread) else { return Ok(true) };
                    let (kind, length) = understand(&self.unread[..end])?;
                    self.unread.drain(..end);
                    self.state = State::Body(length, kind);
                }
                State::Body(left, kind) => {
                    let here = left.min(self.unread.len());
                    self.unread.drain(..here);
                    self.state = if here == left { State::Answer(kind, 0) } else { State::Body(left - here, kind) };
                    if here < left {
                        return Ok(true);
                    }
                }
                State::Answer(kind, sent) => {
                    let answer = answers.of(kind);
                    let sent = sent + write(&self.stream, &answer[sent..])?;
                    self.state = match kind {
                        _ if sent < answer.len() => State::Answer(kind, sent),
                        Kind::Echo => State::Echo,
                        Kind::Small | Kind::Large => State::Head,
                    };
                    if sent < answer.len() {
                        return Ok(false);
                    }
                }
                State::Echo => {
                    let written = write(&self.stream, &self.unread)?;
                    self.unread.drain(..written);
                    return Ok(self.unread.is_empty());
                }
            }
        }
    }
}

impl Answers {
    fn of(&self, kind: Kind) -> &[u8] {
        match kind {
            Kind::Small => &self.small,
            Kind::Large => &self.large,
            Kind::Echo => UPGRADED.as_bytes(),
        }
    }
}

/// How many bytes the first head takes, with the empty line that ends it.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|start| start + 4)
}

/// What to answer, and how long the request's body is. Bodies without a length are not for measuring.
fn understand(head: &[u8]) -> io::Result<(Kind, usize)> {
    let path = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    let kind = match path {
        path if path == LARGE_PATH.as_bytes() => Kind::Large,
        path if path == ECHO_PATH.as_bytes() => Kind::Echo,
        _ => Kind::Small,
    };
    if head.starts_with(b"GET ") {
        return Ok((kind, 0));
    }
    let length = head.split(|byte| *byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked("content-length:".len())?;
        name.eq_ignore_ascii_case(b"content-length:").then(|| str::from_utf8(value).ok()?.trim().parse().ok())?
    });
    Ok((kind, length.ok_or(ErrorKind::InvalidData)?))
}
