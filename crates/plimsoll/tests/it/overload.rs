//! Three times as many requests as a server can take, without a word of configuration.

use std::net::Ipv4Addr;
use std::time::Duration;

use plimsoll_testbed::capacity::{Config, Server};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::fleet::Launch;

/// 250 requests per second.
const CAPACITY: Config = Config::healthy(10, Duration::from_millis(40));
const OVERLOAD: f64 = 3.0;
/// What a client waits, from the moment it wanted its answer.
const CLIENT_PATIENCE: Duration = Duration::from_secs(1);
/// The time in which what the server can do is found out.
const SETTLING: Duration = Duration::from_secs(2);
const MEASURED: Duration = Duration::from_secs(4);
const BYTES_MAX: u64 = 64 * 1024;

/// What came of the requests that were due while it was measured.
#[derive(Debug, Default)]
struct Seen {
    due: u32,
    good: u32,
    /// Any other answer, head and body.
    refusals: Vec<String>,
}

impl Seen {
    /// Good answers as a share of what the server can do.
    fn goodput(&self) -> f64 {
        f64::from(self.good) / MEASURED.as_secs_f64() / CAPACITY.per_second()
    }
}

#[test]
fn an_overloaded_server_keeps_its_goodput_and_the_rest_is_told_so() {
    let server = Server::start(CAPACITY, 0).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = format!(
        "[[upstream]]\nname = \"app\"\nservers = [\"http://127.0.0.1:{}\"]\n[[route]]\nmatch = \"/*\"\nupstream = \"app\"\n",
        server.port()
    );
    std::fs::write(directory.path().join("plimsoll.toml"), file).unwrap();
    let fleet = Launch::new(&["gateway"]).working_dir(directory.path()).fleet();
    let seen = overload(fleet.port());
    assert!(seen.goodput() >= 0.8, "{:.0} % of the capacity, {} of {} answered well", 100.0 * seen.goodput(), seen.good, seen.due);
    assert!(!seen.refusals.is_empty(), "three times the capacity cannot all be served");
    for refusal in &seen.refusals {
        assert_is_honest(refusal);
    }
    let unanswered = seen.due - seen.good - seen.refusals.len() as u32;
    assert!(unanswered <= seen.due / 100, "{unanswered} of {} got no answer within {CLIENT_PATIENCE:?}", seen.due);
    fleet.stop();
}

#[test]
fn the_same_server_alone_answers_hardly_anybody() {
    let server = Server::start(CAPACITY, 0).unwrap();
    let seen = overload(server.port());
    assert!(seen.goodput() < 0.2, "{:.0} % of the capacity: this is no overload", 100.0 * seen.goodput());
}

fn assert_is_honest(refusal: &str) {
    let (head, body) = refusal.split_once("\r\n\r\n").unwrap_or_else(|| panic!("half an answer: {refusal}"));
    let head = head.to_lowercase();
    assert!(head.starts_with("http/1.1 503 "), "{refusal}");
    assert!(head.contains("\r\ncontent-type: application/problem+json\r\n"), "{refusal}");
    let wait = head.split_once("\r\nretry-after: ").and_then(|(_, rest)| rest.split("\r\n").next()?.parse::<u64>().ok());
    assert!(wait.is_some_and(|seconds| (1..=60).contains(&seconds)), "no honest Retry-After: {refusal}");
    let problem: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {refusal}"));
    assert_eq!(problem["type"], "urn:plimsoll:problem:overloaded", "{refusal}");
}

/// Sends on a schedule, whatever comes back, each request on a connection of its own.
fn overload(port: u16) -> Seen {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let interval = Duration::from_secs_f64(1.0 / (CAPACITY.per_second() * OVERLOAD));
        let (began, mut requests) = (Instant::now(), JoinSet::new());
        let count = ((SETTLING + MEASURED).as_secs_f64() / interval.as_secs_f64()) as u32;
        for number in 0..count {
            let due = began + interval * number;
            sleep_until(due).await;
            let counts = due >= began + SETTLING;
            requests.spawn(async move {
                let answer = timeout_at(due + CLIENT_PATIENCE, ask(port)).await;
                (counts, answer.ok().and_then(Result::ok))
            });
        }
        let mut seen = Seen::default();
        while let Some(outcome) = requests.join_next().await {
            let (true, answer) = outcome.unwrap() else { continue };
            seen.due += 1;
            match answer {
                Some(answer) if answer.starts_with("HTTP/1.1 200 ") => seen.good += 1,
                Some(answer) => seen.refusals.push(answer),
                None => {}
            }
        }
        seen
    })
}

/// The whole answer as text.
async fn ask(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut bytes = Vec::new();
    stream.take(BYTES_MAX).read_to_end(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
