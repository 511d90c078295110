//! A gibibyte each way past a peer that stops taking it: the gateway holds back the sender instead of holding the bytes.

mod bulk;

use std::io::{BufRead, Read, Write};
use std::sync::Arc;

use ::http as http_types;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use plimsoll_testbed::poll::until_blocking;

use crate::fleet::{Fleet, Launch, PATIENCE};
use crate::http;
use crate::processes::{Memory, memory};
use bulk::{Bulk, Counter, Origin};

const GIB: u64 = 1 << 30;
const GROWTH_KIB_MAX: u64 = 16 * 1024;
/// Beyond what the kernel's own buffers take on the way, nothing may move while the receiver rests.
const IN_BUFFERS_MAX: u64 = 64 << 20;

/// The edge alone in front of an origin.
fn gateway(origin: &Origin) -> Fleet {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("edge.toml");
    let text = format!(
        "[[upstream]]\nname = \"origin\"\nservers = [\"http://127.0.0.1:{}\"]\n[[route]]\nmatch = \"/*\"\nupstream = \"origin\"\n",
        origin.port
    );
    std::fs::write(&file, text).unwrap();
    Launch::new(&["gateway", "--config"]).word(file.display().to_string()).fleet()
}

/// Memory once the paths through the code have been walked.
fn warmed_up(fleet: &Fleet) -> Memory {
    for _ in 0..20 {
        assert_eq!(fleet.client().get("/small").text(), "small");
    }
    memory(fleet.pid())
}

fn assert_memory_kept(fleet: &Fleet, before: Memory, what: &str) {
    let after = memory(fleet.pid());
    // The peak of all time, so that nothing between two looks is missed.
    let growth = after.peak.saturating_sub(before.now);
    println!("{what}: from {} KiB to {} KiB, at most {} KiB: grew by {growth} KiB", before.now, after.now, after.peak);
    assert!(growth < GROWTH_KIB_MAX, "{what}: {growth} KiB");
}

/// Waits until a transfer stands still because its receiver rests; returns where.
fn stands_still(sent: &Counter) -> u64 {
    let mut last = (0, 0);
    let still = || {
        let now = sent.get();
        last = if now > 0 && now == last.0 { (now, last.1 + 1) } else { (now, 0) };
        // Looked at every ten milliseconds.
        Ok((last.1 == 50).then_some(now))
    };
    until_blocking(PATIENCE, "the transfer to stand still", still).unwrap()
}

#[test]
fn a_gibibyte_down_to_a_client_that_rests_takes_no_memory() {
    let origin = Origin::start();
    let fleet = gateway(&origin);
    let before = warmed_up(&fleet);
    let mut stream = http::connect(fleet.port()).unwrap();
    write!(stream.get_mut(), "GET /download HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let in_buffers = stands_still(&origin.sent);
    assert!(in_buffers < IN_BUFFERS_MAX, "{in_buffers} bytes went out to nobody");
    let head = http::head(&mut stream).unwrap();
    assert_eq!((head.status, head.header("Content-Length")), (200, GIB.to_string().as_str()));
    let mut received = Bulk::default();
    loop {
        let bytes = stream.fill_buf().unwrap();
        if bytes.is_empty() {
            break;
        }
        let length = bytes.len();
        received.check(bytes);
        stream.consume(length);
    }
    assert_eq!(received.position(), GIB);
    assert_memory_kept(&fleet, before, "download");
    fleet.stop();
}

/// HTTP/2 has windows of its own, and many streams on one connection.
#[test]
fn a_gibibyte_down_over_http2_takes_no_memory() {
    let origin = Origin::start();
    let fleet = gateway(&origin);
    let before = warmed_up(&fleet);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let response = runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", fleet.port())).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = http_types::Request::get(format!("http://localhost:{}/download", fleet.port()));
        sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap()
    });
    assert_eq!(response.status(), 200);
    let in_buffers = stands_still(&origin.sent);
    assert!(in_buffers < IN_BUFFERS_MAX, "{in_buffers} bytes went out to nobody");
    let mut received = Bulk::default();
    let mut body = response.into_body();
    runtime.block_on(async {
        while let Some(frame) = body.frame().await {
            received.check(&frame.unwrap().into_data().unwrap_or_default());
        }
    });
    assert_eq!(received.position(), GIB);
    assert_memory_kept(&fleet, before, "download over HTTP/2");
    fleet.stop();
}

#[test]
fn a_gibibyte_up_to_an_instance_that_rests_takes_no_memory() {
    let origin = Origin::start();
    let fleet = gateway(&origin);
    let before = warmed_up(&fleet);
    let mut stream = http::connect(fleet.port()).unwrap();
    write!(stream.get_mut(), "POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: {GIB}\r\nConnection: close\r\n\r\n").unwrap();
    let mut writer = stream.get_ref().try_clone().unwrap();
    let sent = Arc::new(Counter::default());
    let progress = Arc::clone(&sent);
    let sender = std::thread::spawn(move || Bulk::send(&mut writer, GIB, &progress));
    let in_buffers = stands_still(&sent);
    assert!(in_buffers < IN_BUFFERS_MAX, "{in_buffers} bytes went in and nobody took them");
    origin.go_on();
    sender.join().unwrap().unwrap();
    let head = http::head(&mut stream).unwrap();
    assert_eq!(head.status, 200, "{head:?}");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, GIB.to_string(), "all of it arrived, unchanged");
    assert_memory_kept(&fleet, before, "upload");
    fleet.stop();
}
