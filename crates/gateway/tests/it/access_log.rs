//! What the log says of a request's time.

use std::io::Write;
use std::sync::{Mutex, MutexGuard, Once};

use plimsoll_gateway::config::AccessLog;
use plimsoll_policy::admission;
use serde_json::Value;

use crate::edge::{Edge, Plan, get};
use crate::origin::Origin;
use crate::peer::{PATIENCE, ms, until};

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// The log of the process: workers have threads of their own, so no subscriber of one thread sees them.
struct Log(MutexGuard<'static, Vec<u8>>);

impl Log {
    fn lock() -> Self {
        Self(LOG.lock().unwrap())
    }

    fn listen() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| tracing_subscriber::fmt().json().flatten_event(true).with_writer(Self::lock).init());
    }

    /// The line about the request for this path, once it is written.
    async fn of(path: &str) -> Value {
        let find = || {
            let log = Self::lock();
            let mut lines = log.0.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
            lines.find(|line| line["http.path"] == path)
        };
        let mut found = None;
        until("the line in the log", || {
            found = find();
            found.is_some()
        })
        .await;
        found.unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// One place, which somebody has already.
async fn full(origin: &Origin, queue_wait_max: std::time::Duration) -> (Edge, crate::peer::Peer) {
    Log::listen();
    let plan = |plan: &mut Plan| {
        plan.config.access_log = AccessLog::All;
        let config = admission::Config { queue_wait_max, queue_wait_overloaded: queue_wait_max, ..admission::Config::default() };
        plan.upstream.admission = Some(config.fixed_at(1));
    };
    let edge = Edge::with(plan, &[origin]).await;
    let mut first = edge.connect().await;
    first.send(get("/first")).await;
    until("the first to arrive", || origin.request_count() == 1).await;
    (edge, first)
}

async fn silent() -> Origin {
    Origin::start(|mut visit| async move { while visit.request().await.is_some() {} }).await
}

#[tokio::test]
async fn who_waited_in_vain_for_a_place_has_the_wait_in_its_line() {
    let origin = silent().await;
    let (edge, _first) = full(&origin, ms(60)).await;
    assert_eq!(edge.get("/in-vain").await.status(), 503);
    let line = Log::of("/in-vain").await;
    let [queue_ms, duration_ms] = ["queue_ms", "duration_ms"].map(|field| line[field].as_f64().unwrap());
    assert!((60.0..=duration_ms).contains(&queue_ms), "{line}");
}

#[tokio::test]
async fn who_left_the_queue_has_the_wait_in_its_line() {
    let origin = silent().await;
    let (edge, _first) = full(&origin, PATIENCE).await;
    let mut second = edge.connect().await;
    second.send(get("/impatient")).await;
    until("it to wait", || edge.gateway.load_lines()[0].waiting.iter().sum::<u64>() == 1).await;
    tokio::time::sleep(ms(30)).await;
    drop(second);
    let line = Log::of("/impatient").await;
    assert!(line["queue_ms"].as_f64().unwrap() >= 30.0, "{line}");
    assert_eq!(line["http.status"], 499);
}
