//! What the log says of a request's time.

use std::io::Write;
use std::sync::{Mutex, MutexGuard, Once};

use h2::client::Builder;
use plimsoll_gateway::config::{AccessLog, Lines};
use plimsoll_policy::admission;
use serde_json::Value;

use crate::edge::{Edge, Plan, get};
use crate::http2::client::{Http2, request};
use crate::origin::Origin;
use crate::peer::{PATIENCE, ms, until};

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// The log of the process: workers have threads of their own, so no subscriber of one thread sees them.
pub(crate) struct Log(MutexGuard<'static, Vec<u8>>);

impl Log {
    fn lock() -> Self {
        Self(LOG.lock().unwrap())
    }

    pub(crate) fn listen() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| tracing_subscriber::fmt().json().flatten_event(true).with_writer(Self::lock).init());
    }

    /// The line about the request for this path, once it is written.
    pub(crate) async fn of(path: &str) -> Value {
        Self::line(|line| line["http.path"] == path).await
    }

    /// The first such line, once it is written.
    pub(crate) async fn line(is_meant: impl Fn(&Value) -> bool) -> Value {
        let find = || {
            let log = Self::lock();
            let mut lines = log.0.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
            lines.find(&is_meant)
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
        plan.config.access_log = AccessLog { lines: Lines::All, query: false };
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

fn logging(lines: Lines, query: bool) -> impl FnOnce(&mut Plan) {
    Log::listen();
    move |plan| plan.config.access_log = AccessLog { lines, query }
}

#[tokio::test]
async fn a_line_says_to_which_host_in_which_version_and_by_what_client() {
    let origin = Origin::named("x").await;
    let edge = Edge::with(logging(Lines::All, false), &[&origin]).await;
    let agent = format!("probe/1 \"x\" {}", "a".repeat(400));
    edge.ask(format!("GET /told?token=s3cret HTTP/1.0\r\nhost: Shop.example:80\r\nuser-agent: {agent}\r\n\r\n")).await;
    let line = Log::of("/told").await;
    assert_eq!((&line["http.host"], &line["http.version"]), (&"Shop.example:80".into(), &"1.0".into()));
    let told = line["http.user_agent"].as_str().unwrap();
    assert!(told.starts_with("probe/1 \\\"x\\\" aaa") && told.len() < 270, "{told}");
    assert_eq!((&line["http.query"], &line["client.certificate"]), (&"".into(), &"".into()));
    assert!(!line.to_string().contains("s3cret"), "{line}");
}

#[tokio::test]
async fn the_query_is_told_where_an_operator_wants_it() {
    let origin = Origin::named("x").await;
    let edge = Edge::with(logging(Lines::All, true), &[&origin]).await;
    edge.get("/asked?a=1&b=%0a").await;
    assert_eq!(Log::of("/asked").await["http.query"], "a=1&b=%0a");
}

/// Nothing is kept of requests that go well, and all of those that do not.
#[tokio::test]
async fn trouble_is_told_with_its_host_whether_it_comes_before_the_answer_or_in_it() {
    let refused = Origin::answering("HTTP/1.1 500 x\r\ncontent-length: 0\r\n\r\n").await;
    let edge = Edge::with(logging(Lines::Errors, false), &[&refused]).await;
    edge.get("/at-once").await;
    assert_eq!(Log::of("/at-once").await["http.host"], "shop.example");
    let broken = Origin::start(|mut visit| async move {
        visit.request().await;
        visit.send("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nbegun").await;
    })
    .await;
    let edge = Edge::with(logging(Lines::Errors, false), &[&broken]).await;
    let mut client = edge.connect().await;
    client.send(get("/midway")).await;
    client.rest().await;
    let line = Log::of("/midway").await;
    assert_eq!((&line["http.host"], &line["http.version"]), (&"shop.example".into(), &"1.1".into()));
}

/// Of an answer that is in hand nothing is kept for a line: most go well.
#[tokio::test]
async fn an_answer_that_nobody_takes_is_told_with_its_host_in_either_protocol() {
    let origin = Origin::answering(&format!("HTTP/1.1 200 OK\r\ncontent-length: 12000\r\n\r\n{}", "x".repeat(12_000))).await;
    let plan = |plan: &mut Plan| {
        logging(Lines::Errors, false)(plan);
        plan.config.timeouts.write_idle = ms(100);
    };
    let edge = Edge::with(plan, &[&origin]).await;
    let mut http1 = edge.connect().await;
    http1.send(get("/unread-1").repeat(1_000)).await;
    let http2 = Http2::connect_with(&edge, Builder::new().initial_window_size(1_000)).await;
    let _unread = http2.begin(request("GET", "/unread-2"), true);
    for (path, version) in [("/unread-1", "1.1"), ("/unread-2", "2.0")] {
        let line = Log::of(path).await;
        let told = ["http.host", "http.version", "cause"].map(|field| line[field].as_str().unwrap());
        assert_eq!(told, ["shop.example", version, "the client accepted nothing for too long"], "{line}");
    }
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
