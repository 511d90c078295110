//! A server that answers as it is told, byte for byte, and remembers what it was asked.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::task::JoinHandle;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Connections and the requests on each are counted from 0.
    pub(crate) connection: usize,
    pub(crate) number: usize,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// What to send, piece by piece, and what to do then.
pub(crate) struct Reply {
    pub(crate) pieces: Vec<Vec<u8>>,
    pub(crate) then: Then,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Then {
    Keep,
    Close,
    Reset,
    /// Never answers, and waits for the client to leave.
    Hang,
}

impl Reply {
    pub(crate) fn new(text: &str, then: Then) -> Self {
        Self { pieces: vec![text.as_bytes().to_vec()], then }
    }

    pub(crate) fn ok() -> Self {
        Self::new("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Then::Keep)
    }
}

type Answer = dyn Fn(&Seen) -> Reply + Send + Sync;

pub(crate) struct Server {
    pub(crate) url: String,
    log: Log,
    accepting: JoinHandle<()>,
}

#[derive(Clone, Default)]
struct Log {
    seen: Arc<Mutex<Vec<Seen>>>,
    left: Arc<Mutex<usize>>,
}

impl Server {
    pub(crate) async fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let log = Log::default();
        let (log_in, answer): (_, Arc<Answer>) = (log.clone(), Arc::new(answer));
        let accepting = tokio::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                tokio::spawn(converse(stream, connection, Arc::clone(&answer), log_in.clone(), reset));
            }
        });
        Self { url, log, accepting }
    }

    pub(crate) fn start_unix(path: &std::path::Path, answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let url = format!("unix:{}:/", path.display());
        let log = Log::default();
        let (log_in, answer): (_, Arc<Answer>) = (log.clone(), Arc::new(answer));
        let accepting = tokio::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(converse(stream, connection, Arc::clone(&answer), log_in.clone(), drop));
            }
        });
        Self { url, log, accepting }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.log.seen.lock().unwrap().clone()
    }

    /// How many clients closed their connection while they had no answer.
    pub(crate) fn left(&self) -> usize {
        *self.log.left.lock().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// With nothing to linger for, closing discards what is unsent and tells the peer so.
#[expect(clippy::needless_pass_by_value, reason = "it is closed here")]
fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, connection: usize, answer: Arc<Answer>, log: Log, reset: fn(S)) {
    let mut received = Vec::new();
    for number in 0.. {
        let Some((head, body)) = receive(&mut stream, &mut received).await else { return };
        let seen = Seen { connection, number, head, body };
        let Reply { pieces, then } = answer(&seen);
        log.seen.lock().unwrap().push(seen);
        for piece in pieces {
            if stream.write_all(&piece).await.is_err() || stream.flush().await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
        match then {
            Then::Keep => {}
            Then::Close => return,
            Then::Reset => return reset(stream),
            Then::Hang => {
                let _ = stream.read(&mut [0]).await;
                *log.left.lock().unwrap() += 1;
                return;
            }
        }
    }
}

async fn receive<S: AsyncRead + Unpin>(stream: &mut S, received: &mut Vec<u8>) -> Option<(String, String)> {
    loop {
        if let Some(head_bytes) = received.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4) {
            let head = String::from_utf8(received[..head_bytes].to_vec()).unwrap();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let body_bytes: usize = length.map_or(0, |length| length.trim().parse().unwrap());
            if received.len() >= head_bytes + body_bytes {
                let body = String::from_utf8(received[head_bytes..head_bytes + body_bytes].to_vec()).unwrap();
                received.drain(..head_bytes + body_bytes);
                return Some((head, body));
            }
        }
        if stream.read_buf(received).await.ok()? == 0 {
            return None;
        }
    }
}
