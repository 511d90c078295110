//! One end of a raw HTTP/1.1 connection: bytes out, messages in. Clients and origins of these tests are both made of it.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// No test waits longer for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Some bytes of an endless body.
pub(crate) const PIECE: &[u8] = &[b'x'; 16 * 1024];

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain for {what}"))
}

/// Asks until it is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    in_time(what, async {
        while !is_so() {
            tokio::time::sleep(ms(2)).await;
        }
    })
    .await;
}

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// From now on a close is a reset: what is still under way is thrown away.
    fn close_hard(&self);
}

impl Stream for TcpStream {
    fn close_hard(&self) {
        self.set_zero_linger().unwrap();
    }
}

impl Stream for UnixStream {
    fn close_hard(&self) {}
}

pub(crate) struct Peer {
    pub(crate) stream: Box<dyn Stream>,
    buffer: Vec<u8>,
    was_reset: bool,
}

/// The other side closed or reset the connection in the middle of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Broken;

/// How a message's body ends.
enum Framing {
    Length(usize),
    Chunked,
    Close,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    pub(crate) first_line: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
}

impl Message {
    fn parse(head: &[u8]) -> Self {
        let head = String::from_utf8_lossy(head);
        let mut lines = head.split("\r\n");
        Self { first_line: lines.next().unwrap().to_owned(), fields: fields(lines), ..Self::default() }
    }

    pub(crate) fn status(&self) -> u16 {
        self.first_line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no status in {self:?}"))
    }

    pub(crate) fn target(&self) -> &str {
        self.first_line.split(' ').nth(1).unwrap()
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(each, _)| each.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
    }

    /// The value of a field that appears once.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let values = self.all(name);
        assert!(values.len() < 2, "{name} appears more than once in {self:?}");
        values.first().copied()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn framing(&self, is_request: bool) -> Framing {
        let no_body = || matches!(self.status(), 100..=199 | 204 | 304);
        match (self.field("transfer-encoding"), self.field("content-length")) {
            _ if !is_request && no_body() => Framing::Length(0),
            (Some(coding), None) => {
                assert_eq!(coding, "chunked");
                Framing::Chunked
            }
            (None, Some(length)) => Framing::Length(length.parse().unwrap()),
            (None, None) if is_request => Framing::Length(0),
            (None, None) => Framing::Close,
            (Some(_), Some(_)) => panic!("two framings in {self:?}"),
        }
    }
}

pub(crate) fn assert_problem(answer: &Message, status: u16, slug: &str) {
    assert_eq!(answer.status(), status, "{answer:?}");
    let problem = answer.json();
    assert_eq!(problem["type"], format!("urn:plimsoll:problem:{slug}"));
    assert_eq!(problem["status"], status);
    assert_eq!(answer.field("content-type"), Some("application/problem+json"));
    assert_eq!(problem["request_id"].as_str(), answer.field("x-request-id"), "{answer:?}");
}

fn fields<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<(String, String)> {
    let pair = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
    lines.filter(|line| !line.is_empty()).map(|line| pair(line).unwrap_or_else(|| panic!("not a field: {line:?}"))).collect()
}

impl Peer {
    pub(crate) fn new(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), buffer: Vec::new(), was_reset: false }
    }

    /// Bytes that must go out.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await.unwrap();
    }

    /// Bytes that the other side may refuse to take.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        in_time("the other side to take bytes", self.stream.write_all(bytes.as_ref())).await
    }

    pub(crate) async fn chunk(&mut self, data: &str) {
        self.send(format!("{:x}\r\n{data}\r\n", data.len())).await;
    }

    /// Half-closes: says all has been said.
    pub(crate) async fn finish(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Closes so that what is under way is lost.
    pub(crate) fn reset(self) {
        self.stream.close_hard();
    }

    /// Reads once; false at the end of the stream or after a reset.
    async fn fill(&mut self) -> bool {
        self.buffer.reserve(16 * 1024);
        let read = self.stream.read_buf(&mut self.buffer).await;
        self.was_reset = read.is_err();
        read.is_ok_and(|count| count > 0)
    }

    /// Whether a first byte comes before the end of the stream.
    pub(crate) async fn begins(&mut self) -> bool {
        !self.buffer.is_empty() || self.fill().await
    }

    /// The next head; `None` if the connection closes before it is complete.
    pub(crate) async fn head(&mut self) -> Option<Message> {
        in_time("a head", async {
            loop {
                if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                    let head = Message::parse(&self.buffer[..end]);
                    self.buffer.drain(..end + 4);
                    return Some(head);
                }
                if !self.fill().await {
                    return None;
                }
            }
        })
        .await
    }

    pub(crate) async fn exactly(&mut self, count: usize) -> Result<Vec<u8>, Broken> {
        in_time("bytes", async {
            while self.buffer.len() < count {
                if !self.fill().await {
                    return Err(Broken);
                }
            }
            Ok(self.buffer.drain(..count).collect())
        })
        .await
    }

    async fn line(&mut self) -> Result<String, Broken> {
        in_time("a line", async {
            loop {
                if let Some(end) = self.buffer.windows(2).position(|window| window == b"\r\n") {
                    let line = String::from_utf8(self.buffer.drain(..end + 2).collect()).unwrap();
                    return Ok(line.trim_end().to_owned());
                }
                if !self.fill().await {
                    return Err(Broken);
                }
            }
        })
        .await
    }

    /// The data of the next chunk; empty for the last one, whose trailers are still to be read.
    pub(crate) async fn next_chunk(&mut self) -> Result<Vec<u8>, Broken> {
        let size = self.line().await?;
        let size = usize::from_str_radix(&size, 16).unwrap_or_else(|_| panic!("not a chunk size: {size:?}"));
        let data = self.exactly(size).await?;
        if size > 0 {
            assert_eq!(self.line().await?, "", "a chunk ends with CR LF");
        }
        Ok(data)
    }

    /// Everything until the other side closes in order.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        in_time("the end of the stream", async { while self.fill().await {} }).await;
        std::mem::take(&mut self.buffer)
    }

    /// Waits for the other side to close; whatever it sends until then must be nothing.
    pub(crate) async fn closed(&mut self) {
        let rest = self.rest().await;
        assert_eq!(String::from_utf8_lossy(&rest), "", "nothing more should have come");
    }

    /// The same, and the close is no reset: that could take away what was sent before it.
    pub(crate) async fn closed_in_order(&mut self) {
        self.closed().await;
        assert!(!self.was_reset, "the connection was reset");
    }

    async fn read_body(&mut self, message: &mut Message, framing: Framing) -> Result<(), Broken> {
        match framing {
            Framing::Length(length) => message.body = self.exactly(length).await?,
            Framing::Close => message.body = self.rest().await,
            Framing::Chunked => {
                loop {
                    let data = self.next_chunk().await?;
                    if data.is_empty() {
                        break;
                    }
                    message.body.extend(data);
                }
                let mut lines = Vec::new();
                loop {
                    match self.line().await?.as_str() {
                        "" => break,
                        line => lines.push(line.to_owned()),
                    }
                }
                message.trailers = fields(lines.iter().map(String::as_str));
            }
        }
        Ok(())
    }

    /// The body of a request whose head has been read.
    pub(crate) async fn request_body(&mut self, request: &mut Message) -> Result<(), Broken> {
        let framing = request.framing(true);
        self.read_body(request, framing).await
    }

    /// The body of an answer whose head has been read.
    pub(crate) async fn answer_body(&mut self, answer: &mut Message) -> Result<(), Broken> {
        let framing = answer.framing(false);
        self.read_body(answer, framing).await
    }

    /// A whole answer, whatever else came before it has been read.
    pub(crate) async fn answer(&mut self) -> Message {
        let mut answer = self.head().await.expect("an answer");
        self.answer_body(&mut answer).await.expect("a whole answer");
        answer
    }

    /// Sends a request and takes the head of its answer, if the other side does not break off.
    pub(crate) async fn try_ask(&mut self, request: impl AsRef<[u8]>) -> Option<Message> {
        self.try_send(request).await.ok()?;
        self.head().await
    }

    /// Sends a request and takes its answer.
    pub(crate) async fn ask(&mut self, request: impl AsRef<[u8]>) -> Message {
        self.send(request).await;
        self.answer().await
    }
}
