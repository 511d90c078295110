//! A weather service that does as it is told.

use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

#[derive(Clone, Copy)]
pub(crate) enum Mood {
    Sunny,
    Unavailable,
    Silent,
}

pub(crate) struct Weather {
    pub(crate) address: SocketAddr,
    pub(crate) log: Arc<Log>,
    _server: JoinSet<()>,
}

#[derive(Default)]
pub(crate) struct Log {
    asked: AtomicU32,
    /// The time that the last request said was left.
    left_ms: Mutex<Option<u64>>,
}

impl Log {
    pub(crate) fn asked(&self) -> u32 {
        self.asked.load(Relaxed)
    }

    pub(crate) fn left_ms(&self) -> Option<u64> {
        *self.left_ms.lock().unwrap()
    }
}

impl Weather {
    /// `mood` decides by the number of a request, from 0.
    pub(crate) async fn start(mood: impl Fn(u32) -> Mood + Clone + Send + Sync + 'static) -> Self {
        let log = Arc::new(Log::default());
        let answer = async move |State(log): State<Arc<Log>>, request: Request| {
            let left = request.headers().get("x-request-timeout-ms").map(|value| value.to_str().unwrap().parse().unwrap());
            *log.left_ms.lock().unwrap() = left;
            match mood(log.asked.fetch_add(1, Relaxed)) {
                Mood::Sunny => (StatusCode::OK, "sunny"),
                Mood::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "not now"),
                Mood::Silent => pending().await,
            }
        };
        let app = Router::new().fallback(answer).with_state(Arc::clone(&log));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, log, _server: server }
    }

    /// Reads each request and hangs up.
    pub(crate) async fn dead() -> Self {
        let log = Arc::new(Log::default());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (address, counter) = (listener.local_addr().unwrap(), Arc::clone(&log));
        let mut server = JoinSet::new();
        server.spawn(async move {
            loop {
                let (mut connection, _) = listener.accept().await.unwrap();
                if connection.read(&mut [0; 1024]).await.is_ok_and(|length| length > 0) {
                    counter.asked.fetch_add(1, Relaxed);
                }
            }
        });
        Self { address, log, _server: server }
    }
}
