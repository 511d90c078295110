//! An HTTP/2 client: the `h2` crate where it can say what a test wants to say, frames by hand where it is too well-behaved.

use std::future::Future;

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::edge::Edge;
use crate::peer::{Peer, in_time, ms};

pub(crate) struct Http2 {
    sender: SendRequest<Bytes>,
    driver: JoinHandle<Result<(), h2::Error>>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) async fn read(response: ResponseFuture) -> Result<Self, h2::Error> {
        in_time("an answer", async {
            let (head, mut stream) = response.await?.into_parts();
            let mut body = Vec::new();
            while let Some(data) = next_data(&mut stream).await {
                body.extend(data?);
            }
            Ok(Self { status: head.status, headers: head.headers, body, trailers: stream.trailers().await? })
        })
        .await
    }
}

/// The next piece of a body, with its window given back.
pub(crate) async fn next_data(stream: &mut RecvStream) -> Option<Result<Bytes, h2::Error>> {
    let data = in_time("a piece of a body", stream.data()).await?;
    if let Ok(data) = &data {
        stream.flow_control().release_capacity(data.len()).unwrap();
    }
    Some(data)
}

/// Sends all of it, as fast as the window opens.
pub(crate) async fn send_all(stream: &mut SendStream<Bytes>, mut data: Bytes, ends: bool) -> Result<(), h2::Error> {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let capacity = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await.expect("the stream is open")?;
        stream.send_data(data.split_to(capacity.min(data.len())), false)?;
    }
    if ends { stream.send_data(Bytes::new(), true) } else { Ok(()) }
}

pub(crate) fn request(method: &str, target: &str) -> Request<()> {
    Request::builder().method(method).uri(format!("http://shop.example{target}")).body(()).unwrap()
}

impl Http2 {
    pub(crate) async fn connect(edge: &Edge) -> Self {
        Self::connect_with(edge, &Builder::new()).await
    }

    pub(crate) async fn connect_with(edge: &Edge, builder: &Builder) -> Self {
        Self::over(TcpStream::connect(edge.gateway.address()).await.unwrap(), builder).await
    }

    pub(crate) async fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, builder: &Builder) -> Self {
        let (sender, connection) = builder.handshake(stream).await.unwrap();
        let driver = tokio::spawn(connection);
        let sender = in_time("the settings", sender.ready()).await.unwrap();
        Self { sender, driver }
    }

    /// Begins a request; its body may follow.
    pub(crate) fn begin(&self, request: Request<()>, ends: bool) -> (ResponseFuture, SendStream<Bytes>) {
        self.sender.clone().send_request(request, ends).unwrap()
    }

    /// Sent at once, whenever the answer is awaited.
    pub(crate) fn get(&self, target: &str) -> impl Future<Output = Answer> + use<> {
        let (response, _) = self.begin(request("GET", target), true);
        async { Answer::read(response).await.unwrap() }
    }

    pub(crate) async fn ask(&self, request: Request<()>, body: &[u8]) -> Result<Answer, h2::Error> {
        let (response, mut stream) = self.begin(request, body.is_empty());
        let send = async {
            if !body.is_empty() {
                // An answer may come before all is sent, and then the rest is not wanted.
                let _ = send_all(&mut stream, Bytes::copy_from_slice(body), true).await;
            }
        };
        tokio::join!(send, Answer::read(response)).1
    }

    /// Waits until the gateway takes no further stream on this connection.
    pub(crate) async fn refused(&self) {
        while let Ok(mut sender) = self.sender.clone().ready().await {
            let Ok((response, _)) = sender.send_request(request("GET", "/too-late"), true) else { return };
            // One that came in time is taken back.
            if let Ok(Err(_)) = tokio::time::timeout(ms(5), response).await {
                return;
            }
        }
    }

    /// Waits until the gateway has closed the connection in order.
    pub(crate) async fn gone(self) {
        let result = in_time("the connection to be closed", self.driver).await.unwrap();
        assert!(result.is_ok(), "{result:?}");
    }
}

/// Frames by hand.
pub(crate) struct Raw(pub(crate) Peer);

const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const GOAWAY: u8 = 7;
const END_STREAM_AND_HEADERS: u8 = 5;

impl Raw {
    pub(crate) async fn connect(edge: &Edge) -> Self {
        let mut peer = edge.connect().await;
        peer.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        let mut raw = Self(peer);
        raw.frame(4, 0, 0, &[]).await;
        raw
    }

    pub(crate) async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        self.0.send([&head, payload].concat()).await;
    }

    /// A request without a body; every field a literal, so nothing is checked on the way out.
    pub(crate) async fn request(&mut self, fields: &[(&str, &str)]) {
        let mut block = Vec::new();
        for (name, value) in fields {
            block.push(0);
            for text in [name, value] {
                block.push(u8::try_from(text.len()).expect("short enough for one byte of length"));
                block.extend_from_slice(text.as_bytes());
            }
        }
        self.frame(HEADERS, END_STREAM_AND_HEADERS, 1, &block).await;
    }

    /// The kinds of the frames that come until one of these does, and the last one's payload.
    pub(crate) async fn until_frame(&mut self, kinds: &[u8]) -> (u8, Vec<u8>) {
        loop {
            let head = self.0.exactly(9).await.expect("a frame");
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let payload = self.0.exactly(length as usize).await.expect("a whole frame");
            if kinds.contains(&head[3]) {
                return (head[3], payload);
            }
        }
    }

    /// The status code that is answered, if it is one of HPACK's own or a literal; `None` if the stream or the connection is given up.
    pub(crate) async fn status(&mut self) -> Option<u16> {
        let (kind, payload) = self.until_frame(&[HEADERS, RST_STREAM, GOAWAY]).await;
        if kind != HEADERS {
            return None;
        }
        let indexed = [200, 204, 206, 304, 400, 404, 500];
        match payload[0] {
            code @ 0x88..=0x8e => Some(indexed[usize::from(code - 0x88)]),
            other => panic!("not an indexed status: {other:#x}"),
        }
    }
}
