//! HTTP/2 at the edge, HTTP/1.1 behind it.

pub(crate) mod client;
mod conformance;
mod floods;
mod frames;
mod memory;
mod websocket;
mod windows;

use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use futures_util::future::join_all;
use h2::Reason;
use h2::client::Builder;
use http::{HeaderMap, Request, StatusCode};
use plimsoll_gateway::route::Route;
use tokio::sync::Notify;

use crate::edge::Edge;
use crate::origin::{Origin, ok};
use crate::peer::{PIECE, in_time, ms, until};

use crate::streaming::exchanging_at_once;

pub(crate) use client::Http2;
use client::{Answer, GOAWAY, Raw, next_data, request, send_all};

fn assert_problem(answer: &Answer, status: u16, slug: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.json()["type"], format!("urn:plimsoll:problem:{slug}"));
    assert_eq!(answer.json()["request_id"], answer.headers["x-request-id"].to_str().unwrap());
}

#[tokio::test]
async fn streams_do_not_wait_for_each_other() {
    const STREAMS: usize = 60;
    let arrived = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&arrived);
    let origin = Origin::start(move |mut visit| {
        let arrived = Arc::clone(&counter);
        async move {
            while let Some(request) = visit.request().await {
                arrived.fetch_add(1, Relaxed);
                until("all to be here at once", || arrived.load(Relaxed) == STREAMS).await;
                visit.send(ok(request.target())).await;
            }
        }
    })
    .await;
    // They wait for each other at the instance, so none may wait for a place.
    let edge = Edge::with(|plan| plan.upstream.admission = None, &[&origin]).await;
    let client = Http2::connect(&edge).await;
    let answers = join_all((0..STREAMS).map(|number| client.get(&format!("/{number}")))).await;
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!((answer.status, answer.text()), (StatusCode::OK, format!("/{number}").as_str()));
    }
    assert_eq!(edge.gateway.edge().connections_total, 1);
}

#[tokio::test]
async fn a_stream_that_nobody_reads_holds_back_its_instance_and_nobody_else() {
    let written = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&written);
    let origin = Origin::start(move |mut visit| {
        let written = Arc::clone(&counter);
        async move {
            while let Some(request) = visit.request().await {
                if request.target() == "/quick" {
                    visit.send(ok("quick")).await;
                    continue;
                }
                visit.send("HTTP/1.1 200 OK\r\n\r\n").await;
                while let Ok(count) = tokio::io::AsyncWriteExt::write(&mut visit.peer.stream, PIECE).await {
                    written.fetch_add(count, Relaxed);
                }
            }
        }
    })
    .await;
    let edge = Edge::before(&[&origin]).await;
    let client = Http2::connect_with(&edge, Builder::new().initial_connection_window_size(1024 * 1024)).await;
    let (unread, _) = client.begin(request("GET", "/endless"), true);
    let mut unread = unread.await.unwrap().into_body();
    let stood_at = in_time("the instance to be held back", async {
        loop {
            let before = written.load(Relaxed);
            assert_eq!(client.get("/quick").await.text(), "quick");
            tokio::time::sleep(ms(200)).await;
            if written.load(Relaxed) == before {
                return before;
            }
        }
    })
    .await;
    println!("the instance could write {stood_at} bytes");
    assert!(stood_at < 16 * 1024 * 1024, "{stood_at} bytes are somewhere in between");
    let mut read = 0;
    while read < stood_at {
        read += next_data(&mut unread).await.unwrap().unwrap().len();
    }
    until("it to go on", || written.load(Relaxed) > stood_at).await;
}

#[tokio::test]
async fn an_upload_that_nobody_reads_is_held_back() {
    let origin = Origin::start(|mut visit| async move {
        visit.head().await;
        std::future::pending::<()>().await;
    })
    .await;
    let edge = Edge::before(&[&origin]).await;
    let client = Http2::connect(&edge).await;
    let (_response, mut stream) = client.begin(request("PUT", "/x"), false);
    let sent = AtomicUsize::new(0);
    let upload = async {
        loop {
            send_all(&mut stream, Bytes::from_static(PIECE), false).await.unwrap();
            sent.fetch_add(PIECE.len(), Relaxed);
        }
    };
    let standstill = in_time("the client to be held back", async {
        loop {
            let before = sent.load(Relaxed);
            tokio::time::sleep(ms(200)).await;
            if sent.load(Relaxed) == before && before > 0 {
                return before;
            }
        }
    });
    tokio::select! {
        () = upload => {}
        stood_at = standstill => {
            println!("the client could send {stood_at} bytes");
            assert!(stood_at < 16 * 1024 * 1024, "{stood_at} bytes are somewhere in between");
        }
    }
}

#[tokio::test]
async fn uploads_that_nobody_takes_do_not_hold_up_another() {
    const STALLED: usize = 12;
    let origin = Origin::start(|mut visit| async move {
        if visit.head().await.is_some_and(|head| head.target() == "/stalled") {
            std::future::pending::<()>().await;
        }
        visit.peer.exactly(100_000).await.unwrap();
        visit.send(ok("taken")).await;
    })
    .await;
    let edge = Edge::with(|plan| plan.upstream.admission = None, &[&origin]).await;
    let client = Http2::connect(&edge).await;
    let mut stalled = Vec::new();
    for number in 1..=STALLED {
        let (response, mut stream) = client.begin(request("PUT", "/stalled"), false);
        until("it to be under way", || origin.request_count() == number).await;
        // More than its window and all buffers on the way take.
        let upload = tokio::spawn(async move { send_all(&mut stream, Bytes::from(vec![0; 32 * 1024 * 1024]), false).await });
        stalled.push((response, upload));
    }
    tokio::time::sleep(ms(500)).await;
    assert!(stalled.iter().all(|(_, upload)| !upload.is_finished()), "they are held back");
    let put = Request::put("http://shop.example/fine").header("content-length", 100_000).body(()).unwrap();
    assert_eq!(client.ask(put, &vec![7; 100_000]).await.unwrap().text(), "taken");
    for (_, upload) in stalled {
        upload.abort();
    }
}

#[tokio::test]
async fn a_reset_stream_cancels_its_work_and_leaves_the_others() {
    let cancelled = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&cancelled);
    let origin = Origin::start(move |mut visit| {
        let cancelled = Arc::clone(&counter);
        async move {
            while let Some(request) = visit.head().await {
                match request.target() {
                    "/quick" => visit.send(ok("quick")).await,
                    target => {
                        if target == "/body" {
                            visit.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n").await;
                        }
                        visit.peer.rest().await;
                        cancelled.fetch_add(1, Relaxed);
                    }
                }
            }
        }
    })
    .await;
    let edge = Edge::before(&[&origin]).await;
    let client = Http2::connect(&edge).await;
    let (_waiting, mut head) = client.begin(request("GET", "/head"), true);
    let (mut response, mut body) = client.begin(request("GET", "/body"), true);
    let (_uploading, mut upload) = client.begin(request("PUT", "/upload"), false);
    until("all to be under way", || origin.request_count() == 3).await;
    in_time("the body to begin", &mut response).await.unwrap();
    for (count, stream) in [&mut head, &mut body, &mut upload].into_iter().enumerate() {
        stream.send_reset(Reason::CANCEL);
        until("the instance to be told", || cancelled.load(Relaxed) == count + 1).await;
    }
    assert_eq!(client.get("/quick").await.text(), "quick");
    until("it to be counted", || edge.gateway.edge().client_gone_total == 3).await;
}

/// Bytes that repeat nowhere near.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut byte = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(&mut byte).take(length).collect()
}

fn hash(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    format!("{} {:x}", bytes.len(), hasher.finish())
}

#[tokio::test]
async fn large_bodies_arrive_intact_in_both_directions() {
    const LENGTH: usize = 8 * 1024 * 1024 + 7;
    let sent = Arc::new(noise(LENGTH));
    let served = Arc::clone(&sent);
    let origin = Origin::start(move |mut visit| {
        let served = Arc::clone(&served);
        async move {
            while let Some(request) = visit.request().await {
                if request.target() == "/up" {
                    visit.send(ok(&hash(&request.body))).await;
                    continue;
                }
                visit.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {LENGTH}\r\n\r\n")).await;
                visit.send(&*served).await;
            }
        }
    })
    .await;
    let edge = Edge::before(&[&origin]).await;
    let client = Http2::connect(&edge).await;
    let up = client.ask(request("POST", "/up"), &sent);
    let (up, down) = tokio::join!(up, client.get("/down"));
    assert_eq!(up.unwrap().text(), hash(&sent));
    assert_eq!(hash(&down.body), hash(&sent));
    assert_eq!(down.headers["content-length"], LENGTH.to_string());
}

#[tokio::test]
async fn both_sides_may_talk_at_once() {
    let origin = Origin::start(|mut visit| async move {
        visit.head().await;
        visit.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        while let Ok(data) = visit.peer.next_chunk().await {
            if data.is_empty() {
                break;
            }
            visit.peer.chunk(std::str::from_utf8(&data).unwrap()).await;
        }
        visit.send("0\r\n\r\n").await;
    })
    .await;
    let edge = Edge::before(&[&origin]).await;
    let client = Http2::connect(&edge).await;
    let (response, mut stream) = client.begin(request("POST", "/x"), false);
    let mut body = in_time("the head, before a byte of the body", response).await.unwrap().into_body();
    for word in ["one", "two", "three"] {
        send_all(&mut stream, word.into(), false).await.unwrap();
        assert_eq!(next_data(&mut body).await.unwrap().unwrap(), word);
    }
    stream.send_data(Bytes::new(), true).unwrap();
    assert!(next_data(&mut body).await.is_none_or(|last| last.unwrap().is_empty()));
}

#[tokio::test]
async fn a_client_may_send_all_before_it_reads_anything() {
    const LENGTH: usize = 24 * 1024 * 1024;
    let origin = exchanging_at_once(LENGTH).await;
    let edge = Edge::before(&[&origin]).await;
    let client = Http2::connect(&edge).await;
    let (response, mut stream) = client.begin(request("POST", "/x"), false);
    let all = send_all(&mut stream, Bytes::from(vec![b'x'; LENGTH]), true);
    in_time("all to be sent", all).await.unwrap();
    assert_eq!(Answer::read(response).await.unwrap().body.len(), LENGTH);
}

#[tokio::test]
async fn trailers_pass_in_both_directions() {
    let origin = Origin::start(|mut visit| async move {
        let request = visit.request().await.unwrap();
        assert_eq!(request.field("te"), Some("trailers"));
        let [(name, sum)] = request.trailers.as_slice() else { panic!("{request:?}") };
        assert_eq!(name, "x-sum", "what would frame or route the request cannot follow it");
        visit.send(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-back: {sum}\r\n\r\n")).await;
    })
    .await;
    let edge = Edge::before(&[&origin]).await;
    let client = Http2::connect(&edge).await;
    let mut asked = request("POST", "/x");
    asked.headers_mut().insert("te", "trailers".parse().unwrap());
    let (response, mut stream) = client.begin(asked, false);
    send_all(&mut stream, "abc".into(), false).await.unwrap();
    let trailers = [("x-sum", "7"), ("content-length", "50"), ("host", "b")];
    let trailers = trailers.map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse::<http::HeaderValue>().unwrap()));
    stream.send_trailers(HeaderMap::from_iter(trailers)).unwrap();
    let answer = Answer::read(response).await.unwrap();
    assert_eq!((answer.text(), &answer.trailers.as_ref().unwrap()["x-back"]), ("ok", &"7".parse().unwrap()));
}

#[tokio::test]
async fn early_hints_arrive_before_the_answer_exists() {
    let seen = Arc::new(Notify::new());
    let go_on = Arc::clone(&seen);
    let origin = Origin::start(move |mut visit| {
        let go_on = Arc::clone(&go_on);
        async move {
            visit.request().await;
            visit.send("HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n").await;
            go_on.notified().await;
            visit.send(ok("done")).await;
        }
    })
    .await;
    let edge = Edge::before(&[&origin]).await;
    let client = Http2::connect(&edge).await;
    let (mut response, _) = client.begin(request("GET", "/x"), true);
    let hints = in_time("the hints", std::future::poll_fn(|cx| response.poll_informational(cx))).await.unwrap().unwrap();
    assert_eq!((hints.status(), &hints.headers()["link"]), (StatusCode::EARLY_HINTS, &"</a.css>".parse().unwrap()));
    seen.notify_one();
    assert_eq!(Answer::read(response).await.unwrap().text(), "done");
}

#[tokio::test]
async fn a_request_becomes_one_that_an_http_1_instance_understands() {
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: x-hop\r\nx-hop: 1\r\nkeep-alive: 5\r\nx-request-id: own\r\n\
         X-Stays: 1\r\n\r\nok",
    )
    .await;
    let edge = Edge::before(&[&origin]).await;
    let client = Http2::connect(&edge).await;
    let asked = Request::builder()
        .method("POST")
        .uri("http://shop.example:8080/a%20b?c=d")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("x-real-ip", "203.0.113.7")
        .header("x-forwarded-for", "203.0.113.7")
        .header("expect", "100-continue")
        .body(())
        .unwrap();
    let answer = client.ask(asked, b"hello").await.unwrap();
    let seen = origin.only_request();
    assert_eq!(seen.first_line, "POST /a%20b?c=d HTTP/1.1");
    let cases = [
        ("host", Some("shop.example:8080")),
        ("cookie", Some("a=1; b=2")),
        ("x-real-ip", Some("127.0.0.1")),
        ("x-forwarded-for", Some("127.0.0.1")),
        ("x-forwarded-host", Some("shop.example:8080")),
        ("expect", Some("100-continue")),
        ("transfer-encoding", Some("chunked")),
        ("connection", None),
    ];
    for (name, value) in cases {
        assert_eq!(seen.field(name), value, "{name}");
    }
    assert_eq!(seen.text(), "hello");
    assert_eq!(answer.headers["x-request-id"], seen.field("x-request-id").unwrap());
    assert_eq!((answer.headers.get("x-hop"), answer.headers.get("connection"), answer.headers.get("keep-alive")), (None, None, None));
    assert_eq!((&answer.headers["x-stays"], &answer.headers["content-length"]), (&"1".parse().unwrap(), &"2".parse().unwrap()));
}

#[tokio::test]
async fn an_answer_without_a_body_ends_with_its_head() {
    let origin = Origin::start(|mut visit| async move {
        while let Some(request) = visit.request().await {
            visit
                .send(match request.target() {
                    "/204" => "HTTP/1.1 204 No Content\r\n\r\n",
                    "/304" => "HTTP/1.1 304 Not Modified\r\ncontent-length: 1234\r\n\r\n",
                    "/empty" => "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
                    _ => "HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n",
                })
                .await;
        }
    })
    .await;
    let edge = Edge::before(&[&origin]).await;
    let client = Http2::connect(&edge).await;
    for (method, target, status, length) in [
        ("HEAD", "/head", 200, Some("1234")),
        ("GET", "/204", 204, None),
        ("GET", "/304", 304, Some("1234")),
        ("GET", "/empty", 200, Some("0")),
    ] {
        let answer = client.ask(request(method, target), b"").await.unwrap();
        let seen_length = answer.headers.get("content-length").map(|length| length.to_str().unwrap());
        assert_eq!((answer.status.as_u16(), answer.text(), seen_length), (status, "", length), "{target}");
    }
    assert_eq!(origin.connection_count(), 1);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_reset_and_not_ended() {
    let origin = Origin::start(|mut visit| async move {
        visit.request().await;
        visit.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n").await;
    })
    .await;
    let edge = Edge::before(&[&origin]).await;
    let client = Http2::connect(&edge).await;
    let (response, _) = client.begin(request("GET", "/x"), true);
    assert_eq!(Answer::read(response).await.unwrap_err().reason(), Some(Reason::INTERNAL_ERROR));
    assert_eq!(origin.request_count(), 1);
}

#[tokio::test]
async fn a_stream_lost_by_one_instance_is_answered_by_another_and_a_post_only_once() {
    let [dying, alive] = [
        Origin::start(|mut visit| async move {
            visit.request().await;
        })
        .await,
        Origin::named("alive").await,
    ];
    let edge = Edge::before(&[&dying, &alive]).await;
    let client = Http2::connect(&edge).await;
    for _ in 0..4 {
        assert_eq!(client.ask(request("PUT", "/x"), b"body").await.unwrap().text(), "alive");
    }
    assert!(alive.requests().iter().all(|request| request.text() == "body") && dying.request_count() > 0);
    let mut posted = 0;
    while posted == 0 {
        let before = (dying.request_count(), alive.request_count());
        let answer = client.ask(request("POST", "/pay"), b"body").await.unwrap();
        let after = (dying.request_count(), alive.request_count());
        assert_eq!(after.0 + after.1, before.0 + before.1 + 1, "once in all");
        if after.0 > before.0 {
            assert_problem(&answer, 502, "upstream-failed");
            posted += 1;
        }
    }
}

#[tokio::test]
async fn a_client_that_is_still_sending_gets_its_answer_and_no_reset() {
    let origin = Origin::answering(ok("early")).await;
    let edge = Edge::with(|plan| plan.routes = vec![Route::new(None, "/api/*", 0).unwrap()], &[&origin]).await;
    let client = Http2::connect(&edge).await;
    let (response, mut stream) = client.begin(request("POST", "/nowhere"), false);
    assert_problem(&Answer::read(response).await.unwrap(), 404, "no-route");
    send_all(&mut stream, vec![b'x'; 200_000].into(), true).await.unwrap();
    assert_eq!(client.get("/api/after").await.text(), "early");
}

#[tokio::test]
async fn limits_hold_for_streams_too() {
    let origin = Origin::named("x").await;
    let edge = Edge::with(
        |plan| {
            plan.config.limits.target_bytes_max = 100;
            plan.config.limits.headers_max = 10;
            plan.config.limits.body_bytes_max = 1_000;
            plan.config.timeouts.body_idle = ms(100);
        },
        &[&origin],
    )
    .await;
    let client = Http2::connect(&edge).await;
    let with = |name: &str, value: String| {
        let mut asked = request("POST", "/x");
        asked.headers_mut().insert(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        asked
    };
    let long = request("GET", &format!("/{}", "t".repeat(100)));
    assert_problem(&client.ask(long, b"").await.unwrap(), 414, "target-too-long");
    let mut many = request("GET", "/x");
    for number in 0..11 {
        many.headers_mut().insert(http::HeaderName::from_bytes(format!("x-{number}").as_bytes()).unwrap(), "y".parse().unwrap());
    }
    assert_problem(&client.ask(many, b"").await.unwrap(), 431, "too-many-headers");
    let large = client.ask(with("x", "y".repeat(40_000)), b"").await;
    assert!(large.is_err() || large.is_ok_and(|answer| answer.status == 431));
    let announced = client.ask(with("content-length", "1001".to_owned()), &[b'x'; 1_001]).await.unwrap();
    assert_problem(&announced, 413, "body-too-large");
    assert_eq!(origin.connection_count(), 0);
    assert_problem(&client.ask(request("POST", "/x"), &[b'x'; 1_001]).await.unwrap(), 413, "body-too-large");
    let (response, mut stream) = client.begin(request("POST", "/x"), false);
    send_all(&mut stream, "half".into(), false).await.unwrap();
    assert_problem(&Answer::read(response).await.unwrap(), 408, "body-timeout");
    assert_eq!(client.get("/x").await.text(), "x", "the connection has survived it all");
}

#[tokio::test]
async fn an_idle_connection_is_told_to_go_and_a_busy_one_is_not() {
    let origin = Origin::start(|mut visit| async move {
        visit.request().await;
        tokio::time::sleep(ms(300)).await;
        visit.send(ok("slow")).await;
    })
    .await;
    let edge = Edge::with(|plan| plan.config.timeouts.idle = ms(100), &[&origin]).await;
    let client = Http2::connect(&edge).await;
    assert_eq!(client.get("/x").await.text(), "slow");
    client.gone().await;
    until("it to be counted", || edge.gateway.edge().connections == 0).await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_a_stream_is_cut_off() {
    let origin = Origin::endless("").await;
    let edge = Edge::with(|plan| plan.config.timeouts.write_idle = ms(100), &[&origin]).await;
    let client = Http2::connect_with(&edge, Builder::new().initial_window_size(1_000)).await;
    let (response, _) = client.begin(request("GET", "/x"), true);
    let mut body = response.await.unwrap().into_body();
    until("the instance to be set free", || edge.gateway.instances()[0].in_flight == 0).await;
    let error = in_time("the reset", async {
        loop {
            if let Err(error) = body.data().await.expect("it must not look like an end") {
                return error;
            }
        }
    });
    assert_eq!(error.await.reason(), Some(Reason::CANCEL));
}

/// What a well-behaved library would never send.
#[tokio::test]
async fn a_request_that_would_mean_something_else_behind_the_edge_is_refused() {
    let origin = Origin::named("x").await;
    let edge = Edge::before(&[&origin]).await;
    let get = |rest: &[(&'static str, &'static str)]| [&[(":method", "GET"), (":scheme", "http")], rest].concat();
    let cases = [
        ("another host", get(&[(":authority", "a"), (":path", "/x"), ("host", "b")])),
        ("no host", get(&[(":path", "/x")])),
        ("empty host", get(&[(":authority", ""), (":path", "/x")])),
        ("user information", get(&[(":authority", "u@a"), (":path", "/x")])),
        ("a path that begins with a query", get(&[(":authority", "a"), (":path", "?x")])),
        ("a path that is an address", get(&[(":authority", "a"), (":path", "http://b/x")])),
        ("a space in the path", get(&[(":authority", "a"), (":path", "/x HTTP/1.1")])),
        ("a line end in the path", get(&[(":authority", "a"), (":path", "/x\r\nx: y")])),
        ("no path", get(&[(":authority", "a")])),
        ("a line end in a value", get(&[(":authority", "a"), (":path", "/x"), ("x", "y\r\nz: w")])),
        ("a NUL in a value", get(&[(":authority", "a"), (":path", "/x"), ("x", "y\0")])),
        ("a colon in a name", get(&[(":authority", "a"), (":path", "/x"), ("x: y", "z")])),
        ("upper case in a name", get(&[(":authority", "a"), (":path", "/x"), ("X", "y")])),
        ("a field of HTTP/1.1", get(&[(":authority", "a"), (":path", "/x"), ("transfer-encoding", "chunked")])),
        ("a wish about the connection", get(&[(":authority", "a"), (":path", "/x"), ("connection", "x-forwarded-for")])),
        ("a length without a body", get(&[(":authority", "a"), (":path", "/x"), ("content-length", "5")])),
        ("two lengths", get(&[(":authority", "a"), (":path", "/x"), ("content-length", "0"), ("content-length", "1")])),
        ("an asterisk", get(&[(":authority", "a"), (":path", "*")])),
    ];
    let mut wrong = Vec::new();
    for (what, fields) in cases {
        let mut client = Raw::connect(&edge).await;
        client.request(&fields).await;
        let status = client.status().await;
        if status.is_some_and(|status| status < 400) {
            wrong.push(what);
        }
    }
    assert_eq!(wrong, Vec::<&str>::new());
    assert_eq!(origin.connection_count(), 0, "{:?}", origin.requests());
}

#[tokio::test]
async fn frames_that_break_the_protocol_end_the_connection() {
    let origin = Origin::named("x").await;
    let edge = Edge::before(&[&origin]).await;
    let mut client = Raw::connect(&edge).await;
    // DATA on a stream that was never opened.
    client.frame(0, 0, 5, b"x").await;
    client.until_frame(&[GOAWAY]).await;
    client.0.rest().await;
    until("it to be gone", || edge.gateway.edge().connections == 0).await;
    assert_eq!(origin.connection_count(), 0);
}
