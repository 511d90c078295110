//! An instance that does what a test tells it to: a script for each connection, and a log of what came.

use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use plimsoll_gateway::{Address, Endpoint};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::{JoinHandle, JoinSet};

use crate::peer::{Broken, Message, PIECE, Peer};

pub(crate) struct Origin {
    pub(crate) address: Address,
    pub(crate) log: Arc<Log>,
    accepting: JoinHandle<()>,
}

/// What an origin has seen.
#[derive(Default)]
pub(crate) struct Log {
    requests: Mutex<Vec<Message>>,
    /// Connections on which at least one byte came: probes do not count.
    connections: AtomicUsize,
}

/// One connection, as its script has it.
pub(crate) struct Visit {
    pub(crate) peer: Peer,
    log: Arc<Log>,
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    async fn accept(&self) -> Peer {
        match self {
            Self::Tcp(listener) => Peer::new(listener.accept().await.unwrap().0),
            Self::Unix(listener) => Peer::new(listener.accept().await.unwrap().0),
        }
    }
}

impl Visit {
    /// The next request, body and all; `None` when the gateway closes or breaks off.
    pub(crate) async fn request(&mut self) -> Option<Message> {
        let mut request = self.head().await?;
        self.body(&mut request).await.ok()?;
        Some(request)
    }

    /// The next request's head.
    pub(crate) async fn head(&mut self) -> Option<Message> {
        let head = self.peer.head().await?;
        self.log.requests.lock().unwrap().push(head.clone());
        Some(head)
    }

    /// The body of the request whose head came last.
    pub(crate) async fn body(&mut self, request: &mut Message) -> Result<(), Broken> {
        self.peer.request_body(request).await?;
        let mut requests = self.log.requests.lock().unwrap();
        if let Some(logged) = requests.iter_mut().rev().find(|logged| logged.first_line == request.first_line) {
            *logged = request.clone();
        }
        Ok(())
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // The gateway may have left: then the test sees what it should have seen, or not.
        let _ = self.peer.try_send(bytes).await;
    }
}

/// A plain answer.
pub(crate) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

impl Origin {
    /// Listens on a free port and runs the script for every connection that sends something.
    pub(crate) async fn start<W>(script: impl Fn(Visit) -> W + Send + Sync + 'static) -> Self
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::Tcp(listener.local_addr().unwrap());
        Self::run(address, Listener::Tcp(listener), script)
    }

    /// The same on a Unix socket.
    pub(crate) fn start_unix<W>(path: &Path, script: impl Fn(Visit) -> W + Send + Sync + 'static) -> Self
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let listener = UnixListener::bind(path).unwrap();
        Self::run(Address::Unix(path.to_owned()), Listener::Unix(listener), script)
    }

    /// Answers every request with its name, on kept connections.
    pub(crate) async fn named(name: &'static str) -> Self {
        Self::answering(ok(name)).await
    }

    /// Answers every request with these bytes, on kept connections.
    pub(crate) async fn answering(answer: impl Into<String>) -> Self {
        let answer: Arc<str> = answer.into().into();
        Self::start(move |mut visit| {
            let answer = Arc::clone(&answer);
            async move {
                while visit.request().await.is_some() {
                    visit.send(&*answer).await;
                }
            }
        })
        .await
    }

    /// Answers the first request of a connection with these fields and a body that goes on for as long as anybody takes it.
    pub(crate) async fn endless(fields: &str) -> Self {
        let head: Arc<str> = format!("HTTP/1.1 200 OK\r\n{fields}\r\n").into();
        Self::start(move |mut visit| {
            let head = Arc::clone(&head);
            async move {
                visit.request().await;
                visit.send(&*head).await;
                while visit.peer.try_send(PIECE).await.is_ok() {}
            }
        })
        .await
    }

    fn run<W>(address: Address, listener: Listener, script: impl Fn(Visit) -> W + Send + Sync + 'static) -> Self
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let log = Arc::new(Log::default());
        let (script, log_of_visits) = (Arc::new(script), Arc::clone(&log));
        let accepting = tokio::spawn(async move {
            let mut visits = JoinSet::new();
            loop {
                let mut peer = listener.accept().await;
                let (script, log) = (Arc::clone(&script), Arc::clone(&log_of_visits));
                visits.spawn(async move {
                    if peer.begins().await {
                        log.connections.fetch_add(1, Relaxed);
                        script(Visit { peer, log }).await;
                    }
                });
            }
        });
        Self { address, log, accepting }
    }

    /// Closes the listener and every connection: whoever connects from now on is refused.
    pub(crate) async fn die(&mut self) {
        self.accepting.abort();
        let _ = (&mut self.accepting).await;
    }

    pub(crate) fn endpoint(&self, id: &str) -> Endpoint {
        Endpoint { id: id.into(), generation: 0, address: self.address.clone(), weight: 1, priority: 0, draining: false }
    }

    pub(crate) fn requests(&self) -> Vec<Message> {
        self.log.requests.lock().unwrap().clone()
    }

    pub(crate) fn request_count(&self) -> usize {
        self.log.requests.lock().unwrap().len()
    }

    pub(crate) fn connection_count(&self) -> usize {
        self.log.connections.load(Relaxed)
    }

    /// The only request that ever came.
    pub(crate) fn only_request(&self) -> Message {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests[0].clone()
    }
}
