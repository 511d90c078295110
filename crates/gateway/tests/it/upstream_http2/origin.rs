//! Instances that speak HTTP/2: one that answers in order, by the library, and one that sends whatever frames a test wants.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use plimsoll_gateway::{Address, Endpoint};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::peer::Peer;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const FRAME_BYTES_MAX: usize = 16 * 1024;
pub(super) const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

pub(super) const MAX_CONCURRENT_STREAMS: u16 = 3;
pub(super) const INITIAL_WINDOW_SIZE: u16 = 4;
pub(super) const ENABLE_CONNECT_PROTOCOL: u16 = 8;

/// Error codes.
pub(super) const NO_ERROR: u32 = 0;
pub(super) const INTERNAL_ERROR: u32 = 2;
pub(super) const REFUSED_STREAM: u32 = 7;
pub(super) const CANCEL: u32 = 8;

/// Listens on a free port and runs a script for every connection.
pub(super) struct Instance {
    address: Address,
    accepting: JoinHandle<()>,
    /// Connections with a request on them: probes do not count.
    pub(super) connections: Arc<AtomicUsize>,
    pub(super) requests: Arc<AtomicUsize>,
    /// Connections that are over, those of probes too.
    closed: Arc<AtomicUsize>,
}

impl Instance {
    pub(super) async fn start<W>(script: impl Fn(Raw) -> W + Send + Sync + 'static) -> Self
    where
        W: Future<Output = ()> + Send + 'static,
    {
        Self::with_settings(&[], script).await
    }

    /// `settings` are announced at once.
    pub(super) async fn with_settings<W>(settings: &'static [(u16, u32)], script: impl Fn(Raw) -> W + Send + Sync + 'static) -> Self
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let counts = [Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0))];
        let [connections, requests] = counts.clone();
        let script = Arc::new(script);
        let run = move |stream| {
            let (script, counts) = (Arc::clone(&script), counts.clone());
            async move {
                if let Some(raw) = Raw::accept(stream, settings, counts).await {
                    script(raw).await;
                }
            }
        };
        Self::listen(run, connections, requests).await
    }

    /// Answers by the library.
    pub(super) async fn answering<W>(answer: impl Fn(http::Request<RecvStream>, SendResponse<Bytes>) -> W + Send + Sync + 'static) -> Self
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (answer, counts) = (Arc::new(answer), [Arc::clone(&connections), Arc::clone(&requests)]);
        let run = move |stream| {
            let (answer, [connections, requests]) = (Arc::clone(&answer), counts.clone());
            async move {
                let Ok(mut connection) = h2::server::Builder::new().enable_connect_protocol().handshake::<_, Bytes>(stream).await else {
                    return;
                };
                let mut streams = JoinSet::new();
                while let Some(Ok((request, respond))) = connection.accept().await {
                    connections.fetch_add(usize::from(streams.is_empty()), Relaxed);
                    requests.fetch_add(1, Relaxed);
                    streams.spawn(answer(request, respond));
                }
            }
        };
        Self::listen(run, connections, requests).await
    }

    /// Answers every request with its name.
    pub(super) async fn named(name: &'static str) -> Self {
        Self::answering(move |_, mut respond| async move {
            let mut stream = respond.send_response(http::Response::new(()), false).unwrap();
            let _ = stream.send_data(Bytes::from_static(name.as_bytes()), true);
        })
        .await
    }

    pub(super) async fn listen<W>(
        run: impl Fn(TcpStream) -> W + Send + 'static,
        connections: Arc<AtomicUsize>,
        requests: Arc<AtomicUsize>,
    ) -> Self
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::Tcp(listener.local_addr().unwrap());
        let closed = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&closed);
        let accepting = tokio::spawn(async move {
            let mut visits = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let (visit, closed) = (run(stream), Arc::clone(&counter));
                visits.spawn(async move {
                    visit.await;
                    closed.fetch_add(1, Relaxed);
                });
            }
        });
        Self { address, accepting, connections, requests, closed }
    }

    pub(super) fn endpoint(&self, id: &str) -> Endpoint {
        Endpoint { id: id.into(), generation: 0, address: self.address.clone(), weight: 1, priority: 0, draining: false }
    }

    pub(super) fn connection_count(&self) -> usize {
        self.connections.load(Relaxed)
    }

    pub(super) fn closed_count(&self) -> usize {
        self.closed.load(Relaxed)
    }

    pub(super) fn request_count(&self) -> usize {
        self.requests.load(Relaxed)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A connection whose frames a test writes itself.
pub(super) struct Raw {
    peer: Peer,
    counts: [Arc<AtomicUsize>; 2],
    seen_request: bool,
}

/// What the gateway has sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Request {
        stream: u32,
        is_whole: bool,
    },
    Data {
        stream: u32,
        bytes: usize,
        is_last: bool,
    },
    Reset {
        stream: u32,
        code: u32,
    },
    Window {
        stream: u32,
        bytes: u32,
    },
    /// The answer to a PING: whatever was sent before that was asked has come.
    Pong,
    Goodbye,
}

impl Raw {
    pub(super) async fn accept(stream: TcpStream, settings: &[(u16, u32)], counts: [Arc<AtomicUsize>; 2]) -> Option<Self> {
        let mut peer = Peer::new(stream);
        if peer.exactly(24).await.ok()? != b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" {
            return None;
        }
        let mut raw = Self { peer, counts, seen_request: false };
        let payload: Vec<u8> = settings.iter().flat_map(|(key, value)| [&key.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
        raw.send(SETTINGS, 0, 0, &payload).await;
        Some(raw)
    }

    /// A frame. The gateway may have left: then the test sees what it should have seen, or not.
    pub(super) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        let _ = self.peer.try_send(frame).await;
    }

    pub(super) async fn reset(&mut self, stream: u32, code: u32) {
        self.send(RST_STREAM, 0, stream, &code.to_be_bytes()).await;
    }

    pub(super) async fn go_away(&mut self, last: u32) {
        self.send(GOAWAY, 0, 0, &[last.to_be_bytes(), NO_ERROR.to_be_bytes()].concat()).await;
    }

    /// Opens a window; of the connection, if `stream` is 0.
    pub(super) async fn open(&mut self, stream: u32, bytes: u32) {
        self.send(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes()).await;
    }

    /// A head, each field without any compression.
    pub(super) async fn head(&mut self, stream: u32, fields: &[(&str, &str)], ends: bool) {
        let mut block = Vec::new();
        for (name, value) in fields {
            block.push(0);
            for text in [name, value] {
                assert!(text.len() < 127, "longer ones take more than one byte to say so");
                block.push(text.len() as u8);
                block.extend(text.as_bytes());
            }
        }
        let mut pieces = block.chunks(FRAME_BYTES_MAX).peekable();
        let (mut kind, mut flags) = (HEADERS, if ends { END_STREAM } else { 0 });
        while let Some(piece) = pieces.next() {
            let last = if pieces.peek().is_none() { END_HEADERS } else { 0 };
            self.send(kind, flags | last, stream, piece).await;
            (kind, flags) = (CONTINUATION, 0);
        }
    }

    /// A whole answer.
    pub(super) async fn answer(&mut self, stream: u32, body: &str) {
        self.head(stream, &[(":status", "200")], false).await;
        self.send(DATA, END_STREAM, stream, body.as_bytes()).await;
    }

    /// The next thing that matters. Settings and pings are answered; `None` when the connection is over.
    pub(super) async fn next(&mut self) -> Option<Seen> {
        loop {
            let head = self.peer.exactly(9).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let (kind, flags) = (head[3], head[4]);
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let payload = self.peer.exactly(length).await.ok()?;
            let number = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
            match kind {
                SETTINGS if flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[]).await,
                PING if flags & ACK == 0 => self.send(PING, ACK, 0, &payload).await,
                PING => return Some(Seen::Pong),
                DATA => return Some(Seen::Data { stream, bytes: length, is_last: flags & END_STREAM != 0 }),
                HEADERS => return Some(self.headers(stream, flags)),
                RST_STREAM => return Some(Seen::Reset { stream, code: number(0) }),
                GOAWAY => return Some(Seen::Goodbye),
                WINDOW_UPDATE => return Some(Seen::Window { stream, bytes: number(0) }),
                _ => {}
            }
        }
    }

    fn headers(&mut self, stream: u32, flags: u8) -> Seen {
        // Streams begin with their head: any further one is trailers.
        let [connections, requests] = &self.counts;
        connections.fetch_add(usize::from(!self.seen_request), Relaxed);
        self.seen_request = true;
        let is_whole = flags & END_STREAM != 0;
        requests.fetch_add(1, Relaxed);
        Seen::Request { stream, is_whole }
    }

    /// The number of the next request's stream; windows and the like are passed over.
    pub(super) async fn request(&mut self) -> Option<u32> {
        loop {
            if let Seen::Request { stream, .. } = self.next().await? {
                return Some(stream);
            }
        }
    }

    /// The next request, with all of its body.
    pub(super) async fn whole_request(&mut self) -> Option<u32> {
        loop {
            match self.next().await? {
                Seen::Request { stream, is_whole: true } | Seen::Data { stream, is_last: true, .. } => return Some(stream),
                _ => {}
            }
        }
    }
}
