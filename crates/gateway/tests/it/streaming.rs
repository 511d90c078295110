//! Bodies in motion: nothing is held back, nothing piles up, nothing is lost, and who leaves is noticed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use tokio::sync::Notify;

use crate::edge::{Edge, get, with_body};
use crate::origin::{Origin, ok};
use crate::peer::{Broken, PIECE, Peer, in_time, ms, until};

/// What may wait between an end that does not read and one that writes: the sockets of the kernel, 4 MiB each way at most here,
/// and a few pieces of 64 KiB in the gateway.
const IN_BETWEEN_BYTES_MAX: u64 = 24 * 1024 * 1024;

/// Waits until the counter has stood still for a while; tells where.
pub(crate) async fn standstill(counter: &AtomicU64) -> u64 {
    in_time("the writer to be held back", async {
        loop {
            let before = counter.load(Relaxed);
            tokio::time::sleep(ms(250)).await;
            if counter.load(Relaxed) == before {
                return before;
            }
            assert!(before < 2 * IN_BETWEEN_BYTES_MAX, "the gateway swallows whatever comes");
        }
    })
    .await
}

/// Writes for as long as the other side takes it.
async fn write_without_end(peer: &mut Peer, written: &AtomicU64) {
    use tokio::io::AsyncWriteExt;
    while let Ok(count) = peer.stream.write(PIECE).await {
        written.fetch_add(count as u64, Relaxed);
    }
}

#[tokio::test]
async fn an_event_reaches_the_client_before_the_next_one_exists() {
    let heads = [
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n",
        "HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n",
    ];
    for head in heads {
        let received = Arc::new(Notify::new());
        let next = Arc::clone(&received);
        let origin = Origin::start(move |mut visit| {
            let next = Arc::clone(&next);
            async move {
                visit.request().await;
                visit.send(head).await;
                for number in 0..3 {
                    let event = format!("data: {number}\n\n");
                    let chunk = format!("{:x}\r\n{event}\r\n", event.len());
                    visit.send(if head.contains("chunked") { chunk } else { event }).await;
                    next.notified().await;
                }
            }
        })
        .await;
        let edge = Edge::before(&[&origin]).await;
        let mut client = edge.connect().await;
        client.send(get("/events")).await;
        assert_eq!(client.head().await.unwrap().field("transfer-encoding"), Some("chunked"));
        for number in 0..3 {
            assert_eq!(client.next_chunk().await, Ok(format!("data: {number}\n\n").into()));
            received.notify_one();
        }
    }
}

#[tokio::test]
async fn an_instance_that_writes_without_end_is_held_back_by_a_client_that_does_not_read() {
    let written = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&written);
    let origin = Origin::start(move |mut visit| {
        let counter = Arc::clone(&counter);
        async move {
            visit.request().await;
            visit.send("HTTP/1.1 200 OK\r\n\r\n").await;
            write_without_end(&mut visit.peer, &counter).await;
        }
    })
    .await;
    let edge = Edge::before(&[&origin]).await;
    let mut client = edge.connect_narrow().await;
    client.send(get("/endless")).await;
    client.head().await.unwrap();
    let stood_at = standstill(&written).await;
    println!("the instance could write {stood_at} bytes");
    assert!(stood_at < IN_BETWEEN_BYTES_MAX, "{stood_at} bytes are somewhere in between");
    let mut read = 0;
    while read < stood_at {
        read += client.next_chunk().await.unwrap().len() as u64;
    }
    until("it to go on", || written.load(Relaxed) > stood_at).await;
}

#[tokio::test]
async fn a_client_that_uploads_without_end_is_held_back_by_an_instance_that_does_not_read() {
    let origin = Origin::start(|mut visit| async move {
        visit.head().await;
        std::future::pending::<()>().await;
    })
    .await;
    let edge = Edge::before(&[&origin]).await;
    let written = AtomicU64::new(0);
    let mut client = edge.connect().await;
    client.send("PUT /x HTTP/1.1\r\nhost: a\r\ncontent-length: 999999999\r\n\r\n").await;
    tokio::select! {
        () = write_without_end(&mut client, &written) => panic!("the gateway closed"),
        stood_at = standstill(&written) => {
            println!("the client could write {stood_at} bytes");
            assert!(stood_at < IN_BETWEEN_BYTES_MAX, "{stood_at} bytes are somewhere in between");
        }
    }
}

#[tokio::test]
async fn early_hints_arrive_before_the_answer_exists_and_old_clients_are_spared_them() {
    let seen = Arc::new(Notify::new());
    let go_on = Arc::clone(&seen);
    let origin = Origin::start(move |mut visit| {
        let go_on = Arc::clone(&go_on);
        async move {
            while visit.request().await.is_some() {
                visit.send("HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\nconnection: x-hop\r\nx-hop: 1\r\n\r\n").await;
                visit.send("HTTP/1.1 102 Processing\r\n\r\n").await;
                go_on.notified().await;
                visit.send(ok("done")).await;
            }
        }
    })
    .await;
    let edge = Edge::before(&[&origin]).await;
    let mut client = edge.connect().await;
    client.send(get("/x")).await;
    let hints = client.head().await.unwrap();
    assert_eq!((hints.status(), hints.field("link")), (103, Some("</a.css>; rel=preload")));
    assert_eq!((hints.field("connection"), hints.field("x-hop")), (None, None));
    assert_eq!(client.head().await.unwrap().status(), 102);
    seen.notify_one();
    assert_eq!(client.answer().await.text(), "done");
    seen.notify_one();
    assert_eq!(edge.ask("GET /x HTTP/1.0\r\n\r\n").await.status(), 200);
}

#[tokio::test]
async fn hints_without_end_are_no_answer() {
    let origin = Origin::start(|mut visit| async move {
        visit.request().await;
        while visit.peer.try_send("HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n").await.is_ok() {}
    })
    .await;
    let edge = Edge::with(|plan| plan.config.timeouts.total = ms(100), &[&origin]).await;
    let mut client = edge.connect().await;
    client.send(get("/x")).await;
    let answer = in_time("the end of the hints", async {
        loop {
            let head = client.head().await.unwrap();
            if head.status() != 103 {
                return head;
            }
        }
    });
    assert!(matches!(answer.await.status(), 502 | 504));
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_is_told_to_by_the_instance() {
    let origin = Origin::start(|mut visit| async move {
        let mut request = visit.head().await.unwrap();
        assert_eq!(request.field("expect"), Some("100-continue"));
        visit.send("HTTP/1.1 100 Continue\r\n\r\n").await;
        visit.body(&mut request).await.unwrap();
        visit.send(ok(request.text())).await;
    })
    .await;
    let edge = Edge::before(&[&origin]).await;
    let mut client = edge.connect().await;
    client.send("POST /x HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n").await;
    assert_eq!(client.head().await.unwrap().status(), 100);
    assert_eq!(client.ask("hello").await.text(), "hello");
}

#[tokio::test]
async fn trailers_pass_in_both_directions() {
    let origin = Origin::start(|mut visit| async move {
        let request = visit.request().await.unwrap();
        let sum = request.trailers.iter().find(|(name, _)| name == "x-sum").map_or("none", |(_, value)| value);
        visit.send("HTTP/1.1 200 OK\r\ntrailer: x-back\r\ntransfer-encoding: chunked\r\n\r\n").await;
        visit.send(format!("2\r\nok\r\n0\r\nx-back: {sum}\r\nx-more: 2\r\n\r\n")).await;
    })
    .await;
    let edge = Edge::before(&[&origin]).await;
    let mut client = edge.connect().await;
    client.send("POST /x HTTP/1.1\r\nhost: a\r\nte: trailers\r\ntransfer-encoding: chunked\r\n\r\n").await;
    let answer = client.ask("3\r\nabc\r\n0\r\nx-sum: 7\r\n\r\n").await;
    assert_eq!(answer.text(), "ok");
    assert_eq!(answer.field("trailer"), Some("x-back"));
    assert_eq!(answer.trailers, [("x-back".to_owned(), "7".to_owned()), ("x-more".to_owned(), "2".to_owned())]);
}

/// What each kind of client sees of each kind of answer: the framing field, and whether the connection stays.
#[tokio::test]
async fn an_answer_is_framed_as_its_client_understands_it() {
    const LENGTH: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
    const CLOSE: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello";
    const OLD: &str = "HTTP/1.0 200 OK\r\n\r\nhello";
    const NEW: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    const OLD_CLOSE: &str = "GET / HTTP/1.0\r\n\r\n";
    const OLD_STAY: &str = "GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n";
    let cases = [
        (LENGTH, NEW, Some("5"), None, true),
        (LENGTH, OLD_CLOSE, Some("5"), None, false),
        (LENGTH, OLD_STAY, Some("5"), None, true),
        (CHUNKED, NEW, None, Some("chunked"), true),
        (CHUNKED, OLD_CLOSE, None, None, false),
        (CHUNKED, OLD_STAY, None, None, false),
        (CLOSE, NEW, None, Some("chunked"), true),
        (CLOSE, OLD_STAY, None, None, false),
        (OLD, NEW, None, Some("chunked"), true),
    ];
    for (answered, asked, length, coding, stays) in cases {
        let origin = Origin::start(move |mut visit| async move {
            visit.request().await;
            visit.send(answered).await;
        })
        .await;
        let edge = Edge::before(&[&origin]).await;
        let mut client = edge.connect().await;
        let answer = client.ask(asked).await;
        assert_eq!(answer.text(), "hello", "{answered:?} to {asked:?}");
        assert_eq!((answer.field("content-length"), answer.field("transfer-encoding")), (length, coding), "{answered:?} to {asked:?}");
        if stays {
            assert_eq!(client.ask(asked).await.text(), "hello", "{answered:?} to {asked:?}");
        } else {
            assert_eq!(answer.field("connection"), Some("close"));
            client.closed().await;
        }
    }
}

#[tokio::test]
async fn a_request_body_keeps_its_framing() {
    let origin = Origin::named("x").await;
    let edge = Edge::before(&[&origin]).await;
    edge.ask(with_body("POST", "/length", "hello")).await;
    edge.ask(with_body("POST", "/empty", "")).await;
    edge.ask("POST /chunked HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\nh\r\n4;note=1\r\nello\r\n0\r\n\r\n").await;
    edge.ask("POST /none HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let seen: Vec<_> = origin.requests();
    let framing = |number: usize| {
        let request = &seen[number];
        (request.target(), request.field("content-length"), request.field("transfer-encoding"), request.text())
    };
    assert_eq!(framing(0), ("/length", Some("5"), None, "hello"));
    assert_eq!(framing(1), ("/empty", Some("0"), None, ""));
    assert_eq!(framing(2), ("/chunked", None, Some("chunked"), "hello"));
    assert_eq!(framing(3), ("/none", None, None, ""));
}

#[tokio::test]
async fn an_answer_without_a_body_leaves_both_connections_usable() {
    let origin = Origin::start(|mut visit| async move {
        while let Some(request) = visit.request().await {
            visit
                .send(match request.target() {
                    "/head" => "HTTP/1.1 200 OK\r\ncontent-length: 1234\r\netag: \"a\"\r\n\r\n",
                    "/head-chunked" => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
                    "/204" => "HTTP/1.1 204 No Content\r\n\r\n",
                    "/304" => "HTTP/1.1 304 Not Modified\r\ncontent-length: 1234\r\netag: \"a\"\r\n\r\n",
                    _ => "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
                })
                .await;
        }
    })
    .await;
    let edge = Edge::before(&[&origin]).await;
    let mut client = edge.connect().await;
    let cases = [
        ("HEAD", "/head", 200, Some("1234")),
        ("HEAD", "/head-chunked", 200, None),
        ("GET", "/204", 204, None),
        ("GET", "/304", 304, Some("1234")),
        ("GET", "/empty", 200, Some("0")),
    ];
    for (method, target, status, length) in cases {
        client.send(format!("{method} {target} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        let head = client.head().await.unwrap();
        assert_eq!((head.status(), head.field("content-length")), (status, length), "{method} {target}");
    }
    assert_eq!((origin.request_count(), origin.connection_count()), (5, 1));
}

/// When the client leaves.
#[derive(Clone, Copy, Debug)]
enum Moment {
    WaitingForTheHead,
    InTheBody,
    Uploading,
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_work_with_it() {
    for moment in [Moment::WaitingForTheHead, Moment::InTheBody, Moment::Uploading] {
        for reset in [false, true] {
            let cancelled = Arc::new(AtomicUsize::new(0));
            let counter = Arc::clone(&cancelled);
            let origin = Origin::start(move |mut visit| {
                let counter = Arc::clone(&counter);
                async move {
                    visit.head().await;
                    if matches!(moment, Moment::InTheBody) {
                        visit.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n").await;
                    }
                    visit.peer.rest().await;
                    counter.fetch_add(1, Relaxed);
                }
            })
            .await;
            let edge = Edge::before(&[&origin]).await;
            let mut client = edge.connect().await;
            match moment {
                Moment::Uploading => client.send("PUT /x HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\nhalf").await,
                _ => client.send(get("/x")).await,
            }
            until("the instance to work", || origin.request_count() == 1).await;
            if matches!(moment, Moment::InTheBody) {
                client.head().await.unwrap();
                client.next_chunk().await.unwrap();
            }
            if reset {
                client.reset();
            } else {
                drop(client);
            }
            until("the instance to be told", || cancelled.load(Relaxed) == 1).await;
            assert_eq!(origin.request_count(), 1, "{moment:?}: what nobody waits for is not tried again");
            until("it to be counted", || edge.gateway.edge().client_gone_total == 1).await;
        }
    }
}

#[tokio::test]
async fn an_answer_that_comes_before_the_upload_is_over_reaches_the_client() {
    let origin = Origin::start(|mut visit| async move {
        visit.head().await;
        visit.send("HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nno!").await;
    })
    .await;
    let edge = Edge::before(&[&origin]).await;
    for sent_first in [0, 100, 600_000] {
        let mut client = edge.connect().await;
        client.send("POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 10000000\r\n\r\n").await;
        client.send(vec![b'x'; sent_first]).await;
        let answer = client.answer().await;
        assert_eq!((answer.status(), answer.text()), (413, "no!"), "{sent_first}");
        assert_eq!(answer.field("connection"), Some("close"), "what is left of the upload is not a request");
        for _ in 0..3 {
            client.try_send("more").await.expect("it is listened to for a moment, or the answer could be lost in a reset");
            tokio::time::sleep(ms(5)).await;
        }
        client.closed_in_order().await;
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let first_may_end = Arc::new(Notify::new());
    let go_on = Arc::clone(&first_may_end);
    let origin = Origin::start(move |mut visit| {
        let go_on = Arc::clone(&go_on);
        async move {
            while let Some(request) = visit.request().await {
                if request.target() == "/0" {
                    go_on.notified().await;
                }
                visit.send(ok(&format!("{} {}", request.target(), request.text()))).await;
            }
        }
    })
    .await;
    let edge = Edge::before(&[&origin]).await;
    let mut client = edge.connect().await;
    client.send(get("/0")).await;
    until("the first to be under way", || origin.request_count() == 1).await;
    let all = [
        get("/1"),
        with_body("POST", "/2", "two"),
        "PUT /3 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nthree\r\n0\r\n\r\n".to_owned(),
        get("/4"),
    ];
    client.send(all.concat()).await;
    // Time for the gateway to read ahead; it must keep what it finds.
    tokio::time::sleep(ms(30)).await;
    first_may_end.notify_one();
    for expected in ["/0 ", "/1 ", "/2 two", "/3 three", "/4 "] {
        assert_eq!(client.answer().await.text(), expected);
    }
}

#[tokio::test]
async fn connections_are_kept_on_both_sides() {
    let origin = Origin::named("x").await;
    let edge = Edge::before(&[&origin]).await;
    let mut client = edge.connect().await;
    for _ in 0..10 {
        client.ask(get("/x")).await;
    }
    edge.get("/another/client").await;
    assert_eq!((origin.request_count(), origin.connection_count()), (11, 1));
    assert_eq!(edge.gateway.edge().connections_total, 2);
    let origin = Origin::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
    let edge = Edge::before(&[&origin]).await;
    let mut client = edge.connect().await;
    for _ in 0..3 {
        assert_eq!(client.ask(get("/x")).await.field("connection"), None, "that the instance closes is not the client's business");
    }
    assert_eq!(origin.connection_count(), 3, "an instance that wants to close is let go");
    let origin = Origin::named("x").await;
    let edge = Edge::with(|plan| plan.config.limits.upstream_idle_per_instance_max = 0, &[&origin]).await;
    for _ in 0..3 {
        edge.get("/x").await;
    }
    assert_eq!(origin.connection_count(), 3, "none is kept where none may be");
}

#[tokio::test]
async fn both_sides_may_talk_at_once_and_pause_for_longer_than_an_upload_may() {
    let origin = Origin::start(|mut visit| async move {
        visit.head().await;
        visit.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        while let Ok(data) = visit.peer.next_chunk().await {
            if data.is_empty() {
                break;
            }
            if data == b"quiet" {
                continue;
            }
            visit.peer.chunk(std::str::from_utf8(&data).unwrap()).await;
        }
        tokio::time::sleep(ms(150)).await;
        visit.send("3\r\nbye\r\n0\r\n\r\n").await;
    })
    .await;
    let edge = Edge::with(
        |plan| {
            plan.config.timeouts.body_idle = ms(60);
            plan.config.timeouts.first_byte = ms(60);
            plan.config.timeouts.total = ms(60);
        },
        &[&origin],
    )
    .await;
    let mut client = edge.connect().await;
    client.send("POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").await;
    assert_eq!(client.head().await.unwrap().status(), 200, "before a byte of the body was sent");
    for word in ["one", "two", "three"] {
        client.chunk(word).await;
        assert_eq!(client.next_chunk().await, Ok(word.into()));
        tokio::time::sleep(ms(150)).await;
    }
    client.chunk("quiet").await;
    tokio::time::sleep(ms(150)).await;
    client.send("0\r\n\r\n").await;
    assert_eq!(client.next_chunk().await, Ok("bye".into()));
    assert_eq!(client.next_chunk().await, Ok(Vec::new()));
}

/// Writes as much as it reads, at the same time, and each more than fits in between.
pub(crate) async fn exchanging_at_once(length: usize) -> Origin {
    use tokio::io::AsyncWriteExt;
    Origin::start(move |mut visit| async move {
        visit.head().await;
        visit.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n")).await;
        let (mut reading, mut writing) = tokio::io::split(visit.peer.stream);
        let (answer, mut sink) = (vec![b'x'; length], tokio::io::sink());
        // Reads on until the gateway closes: a close with anything unread would be a reset, and take the answer's end with it.
        let _ = tokio::join!(writing.write_all(&answer), tokio::io::copy(&mut reading, &mut sink));
    })
    .await
}

#[tokio::test]
async fn a_client_may_send_all_before_it_reads_anything() {
    const LENGTH: usize = 24 * 1024 * 1024;
    let origin = exchanging_at_once(LENGTH).await;
    let edge = Edge::before(&[&origin]).await;
    let mut client = edge.connect().await;
    client.send(format!("POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: {LENGTH}\r\n\r\n")).await;
    client.send(vec![b'x'; LENGTH]).await;
    assert_eq!(client.answer().await.body.len(), LENGTH);
}

#[tokio::test]
async fn only_silence_ends_a_stream() {
    let origin = Origin::start(|mut visit| async move {
        visit.request().await;
        visit.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        for _ in 0..6 {
            tokio::time::sleep(ms(50)).await;
            visit.send("2\r\nhi\r\n").await;
        }
        visit.peer.rest().await;
    })
    .await;
    let edge = Edge::with(
        |plan| {
            plan.config.timeouts.first_byte = ms(100);
            plan.config.timeouts.total = ms(100);
            plan.config.timeouts.stream_idle = ms(250);
        },
        &[&origin],
    )
    .await;
    let mut client = edge.connect().await;
    client.send(get("/x")).await;
    client.head().await.unwrap();
    for _ in 0..6 {
        assert_eq!(client.next_chunk().await, Ok("hi".into()));
    }
    assert_eq!(client.next_chunk().await, Err(Broken), "it breaks off: an end would say that this was all");
}
