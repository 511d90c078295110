//! A server of exactly known capacity: `concurrency` requests at a time, `service_time` each, first come, first served.
//!
//! Like many app servers it goes on working for clients that have left. Nothing is computed and nothing is timed: each place is the instant
//! at which it becomes free, and a request is booked on the earliest one when it arrives. So capacity does not depend on the machine or on
//! the grain of a timer, and a request that waits costs a timer.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{Ipv4Addr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Answers at any time how many requests have arrived, as a decimal number.
pub const COUNT_PATH: &str = "/_count";

/// No request to this server has a longer head.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// What the server can do, and what it does wrong.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    pub concurrency: usize,
    pub service_time: Duration,
    /// Share of the answers that are held back for `stall_time` after the work is done.
    pub stall_share: f64,
    pub stall_time: Duration,
    /// Takes requests and closes the connection instead of answering.
    pub broken: bool,
}

impl Config {
    /// A server without faults.
    pub const fn healthy(concurrency: usize, service_time: Duration) -> Self {
        Self { concurrency, service_time, stall_share: 0.0, stall_time: Duration::ZERO, broken: false }
    }

    /// Requests per second that it can answer.
    pub fn per_second(&self) -> f64 {
        self.concurrency as f64 / self.service_time.as_secs_f64()
    }
}

/// A running server on a thread of its own, ended on drop.
pub struct Server {
    port: u16,
    arrived: Arc<AtomicU64>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on `port`, or on any free one for 0.
    pub fn start(config: Config, port: u16) -> Result<Self> {
        ensure!(config.concurrency > 0, "a server without a place answers nobody");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).with_context(|| format!("cannot listen on port {port}"))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (arrived, (stop, stopped)) = (Arc::new(AtomicU64::new(0)), oneshot::channel());
        let counter = Arc::clone(&arrived);
        let serve = move || {
            let accepting = accept(listener, Places::new(config, counter));
            tokio::task::LocalSet::new().block_on(&runtime, async {
                tokio::select! {
                    () = accepting => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("capacity".into()).spawn(serve)?;
        Ok(Self { port, arrived, stop: Some(stop), thread: Some(thread) })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Requests that have arrived so far.
    pub fn arrived(&self) -> u64 {
        self.arrived.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It ends by itself if it has panicked, which has been printed.
            let _ = thread.join();
        }
    }
}

/// The places at which work is done, each known by when it becomes free.
struct Places {
    config: Config,
    free: RefCell<BinaryHeap<Reverse<Instant>>>,
    arrived: Arc<AtomicU64>,
}

impl Places {
    fn new(config: Config, arrived: Arc<AtomicU64>) -> Rc<Self> {
        let free = std::iter::repeat_n(Reverse(Instant::now()), config.concurrency).collect();
        Rc::new(Self { config, free: RefCell::new(free), arrived })
    }

    /// Takes a request on, for good, and returns when its answer is due.
    fn book(&self, now: Instant) -> Instant {
        self.arrived.fetch_add(1, Ordering::Relaxed);
        let mut free = self.free.borrow_mut();
        let Reverse(earliest) = free.pop().expect("there is at least one place");
        let done = earliest.max(now) + self.config.service_time;
        free.push(Reverse(done));
        if fastrand::f64() < self.config.stall_share { done + self.config.stall_time } else { done }
    }
}

async fn accept(listener: TcpListener, places: Rc<Places>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("the listener does not block");
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                // An error here or there means that the client has gone, which is its own affair.
                Ok((stream, _)) => drop(connections.spawn_local(converse(stream, Rc::clone(&places)))),
                // Out of descriptors: some of them come back.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection until the client closes it.
async fn converse(mut stream: TcpStream, places: Rc<Places>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut received = Vec::with_capacity(1024);
    loop {
        let Some(head_bytes) = received.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4) else {
            if received.len() > HEAD_BYTES_MAX || stream.read_buf(&mut received).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let head = String::from_utf8_lossy(&received[..head_bytes]).to_ascii_lowercase();
        received.drain(..head_bytes);
        if head.split(' ').nth(1) == Some(COUNT_PATH) {
            answer(&mut stream, &places.arrived.load(Ordering::Relaxed).to_string()).await?;
        } else {
            let due = places.book(Instant::now());
            if places.config.broken || left_before(&mut stream, &mut received, due).await? {
                return Ok(());
            }
            answer(&mut stream, "{\"done\":true}").await?;
        }
        if head.contains("\r\nconnection: close") {
            return Ok(());
        }
    }
}

/// True if the client leaves before `due`. Its request keeps its place all the same.
async fn left_before(stream: &mut TcpStream, received: &mut Vec<u8>, due: Instant) -> std::io::Result<bool> {
    let wait = tokio::time::sleep_until(due);
    tokio::pin!(wait);
    while received.len() <= HEAD_BYTES_MAX {
        tokio::select! {
            () = &mut wait => return Ok(false),
            count = stream.read_buf(received) => if count? == 0 { return Ok(true) },
        }
    }
    Ok(true)
}

async fn answer(stream: &mut TcpStream, body: &str) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all([head.as_str(), body].concat().as_bytes()).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::get;

    const SERVICE_TIME: Duration = Duration::from_millis(40);

    fn places(concurrency: usize) -> Rc<Places> {
        Places::new(Config::healthy(concurrency, SERVICE_TIME), Arc::default())
    }

    #[test]
    fn the_first_come_are_served_and_the_next_wait_their_turn() {
        let (places, now) = (places(2), Instant::now());
        let due: Vec<Duration> = (0..5).map(|_| places.book(now) - now).collect();
        assert_eq!(due, [1, 1, 2, 2, 3].map(|turns| SERVICE_TIME * turns));
        assert_eq!(places.book(now + SERVICE_TIME * 10) - now, SERVICE_TIME * 11, "an idle server begins at once");
    }

    #[test]
    fn works_on_for_a_client_that_has_left() {
        let server = Server::start(Config::healthy(1, Duration::from_millis(300)), 0).unwrap();
        let mut stream = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).unwrap();
        let begun = Instant::now();
        std::io::Write::write_all(&mut stream, b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let arrived = || Ok((server.arrived() == 1).then_some(()));
        crate::poll::until_blocking(Duration::from_secs(10), "the request to arrive", arrived).unwrap();
        drop(stream);
        assert_eq!(get(server.port(), "/").unwrap().status, 200);
        assert!(begun.elapsed() >= Duration::from_millis(600), "the place was taken by the one who left");
        assert_eq!(get(server.port(), COUNT_PATH).unwrap().body, "2");
    }

    #[test]
    fn stalls_as_often_as_it_is_told() {
        let config = Config { stall_share: 0.25, stall_time: Duration::from_secs(1), ..Config::healthy(1, Duration::ZERO) };
        let (places, now) = (Places::new(config, Arc::default()), Instant::now());
        let stalled = (0..10_000).filter(|_| places.book(now) - now >= Duration::from_secs(1)).count();
        assert!((2_000..3_000).contains(&stalled), "{stalled} of 10,000");
    }

    #[test]
    fn a_broken_server_takes_requests_and_answers_none() {
        let server = Server::start(Config { broken: true, ..Config::healthy(1, Duration::ZERO) }, 0).unwrap();
        assert!(get(server.port(), "/").is_err());
        assert_eq!(server.arrived(), 1);
    }
}
