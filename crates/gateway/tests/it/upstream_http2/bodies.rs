//! Bodies both ways, and what holds them back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use http::{HeaderMap, Response};

use super::before;
use super::origin::{DATA, END_STREAM, INITIAL_WINDOW_SIZE, Instance, NO_ERROR, PING, Seen};
use crate::edge::get;
use crate::http2::Http2;
use crate::http2::client::{Answer, request};
use crate::peer::{PIECE, in_time, ms, until};

/// Sends back what comes, trailers too.
async fn echo() -> Instance {
    Instance::answering(|request, mut respond| async move {
        let mut body = request.into_body();
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        while let Some(Ok(data)) = body.data().await {
            let _ = body.flow_control().release_capacity(data.len());
            let _ = stream.send_data(data, false);
        }
        match body.trailers().await {
            Ok(Some(trailers)) => drop(stream.send_trailers(trailers)),
            _ => drop(stream.send_data(Bytes::new(), true)),
        }
    })
    .await
}

#[tokio::test]
async fn bodies_and_trailers_pass_both_ways_whatever_the_client_speaks() {
    let instance = echo().await;
    let edge = before(&[&instance]).await;
    let mut client = edge.connect().await;
    client.send("POST /x HTTP/1.1\r\nhost: a\r\nte: trailers\r\ntransfer-encoding: chunked\r\n\r\n").await;
    client.chunk("one").await;
    client.chunk("two").await;
    client.send("0\r\nx-sum: 7\r\n\r\n").await;
    let answer = client.answer().await;
    assert_eq!((answer.status(), answer.text()), (200, "onetwo"));
    assert_eq!(answer.trailers, [("x-sum".to_owned(), "7".to_owned())]);
    let answer = client.ask("POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc").await;
    assert_eq!(answer.text(), "abc", "on the same connection");

    let http2 = Http2::connect(&edge).await;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    let (answer, mut stream) = http2.begin(request("POST", "/rpc"), false);
    stream.send_data("message".into(), false).unwrap();
    stream.send_trailers(trailers.clone()).unwrap();
    let answer = in_time("an answer", Answer::read(answer)).await.unwrap();
    assert_eq!((answer.text(), &answer.trailers), ("message", &Some(trailers)));
}

#[tokio::test]
async fn answers_without_a_body_end_with_their_head() {
    let instance = Instance::start(|mut raw| async move {
        let heads: [&[(&str, &str)]; 4] = [
            &[(":status", "200"), ("content-length", "5")],
            &[(":status", "204")],
            &[(":status", "304"), ("content-length", "5")],
            &[(":status", "200")],
        ];
        for (head, ends) in heads.into_iter().zip([true, false, true, true]) {
            let Some(stream) = raw.request().await else { return };
            raw.head(stream, head, ends).await;
            if !ends {
                raw.send(DATA, END_STREAM, stream, b"").await;
            }
        }
        while raw.next().await.is_some_and(|seen| !matches!(seen, Seen::Request { .. } | Seen::Reset { .. })) {}
    })
    .await;
    let edge = before(&[&instance]).await;
    let mut client = edge.connect().await;
    client.send("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let head = client.head().await.unwrap();
    assert_eq!((head.status(), head.field("content-length")), (200, Some("5")));
    assert_eq!(client.ask(get("/")).await.status(), 204);
    let unchanged = client.ask(get("/")).await;
    assert_eq!((unchanged.status(), unchanged.field("content-length")), (304, Some("5")));
    let empty = client.ask(get("/")).await;
    assert_eq!((empty.status(), empty.field("content-length"), empty.text()), (200, Some("0"), ""));
    assert_eq!(instance.connection_count(), 1);
}

#[tokio::test]
async fn early_hints_arrive_before_the_answer() {
    let instance = Instance::start(|mut raw| async move {
        while let Some(stream) = raw.request().await {
            raw.head(stream, &[(":status", "103"), ("link", "</a.css>")], false).await;
            raw.head(stream, &[(":status", "200")], false).await;
            raw.send(DATA, END_STREAM, stream, b"page").await;
        }
    })
    .await;
    let edge = before(&[&instance]).await;
    let mut client = edge.connect().await;
    client.send(get("/")).await;
    let hint = client.head().await.unwrap();
    assert_eq!((hint.status(), hint.field("link")), (103, Some("</a.css>")));
    assert_eq!(client.answer().await.text(), "page");
}

#[tokio::test]
async fn an_answer_is_complete_although_no_more_of_the_request_is_wanted() {
    let instance = Instance::start(|mut raw| async move {
        while let Some(stream) = raw.request().await {
            raw.answer(stream, "enough").await;
            raw.reset(stream, NO_ERROR).await;
        }
    })
    .await;
    let edge = before(&[&instance]).await;
    let mut client = edge.connect().await;
    client.send("POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").await;
    client.chunk("some").await;
    assert_eq!(client.answer().await.text(), "enough");
}

#[tokio::test]
async fn an_answer_that_is_cut_short_is_never_passed_on_as_whole() {
    for code in [NO_ERROR, 2] {
        let instance = Instance::start(move |mut raw| async move {
            while let Some(stream) = raw.request().await {
                raw.head(stream, &[(":status", "200"), ("content-length", "40000")], false).await;
                raw.send(DATA, 0, stream, b"only this").await;
                raw.reset(stream, code).await;
            }
        })
        .await;
        let edge = before(&[&instance]).await;
        let mut client = edge.connect().await;
        client.send(get("/")).await;
        let mut head = client.head().await.unwrap();
        assert!(client.answer_body(&mut head).await.is_err(), "{code}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_back_its_own_answer_and_nobody_elses() {
    const ENOUGH: usize = 64 * 1024 * 1024;
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let instance = Instance::answering(move |request, mut respond| {
        let sent = Arc::clone(&counter);
        async move {
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            if request.uri().path() != "/endless" {
                stream.send_data("short".into(), true).unwrap();
                return;
            }
            while sent.load(Relaxed) < ENOUGH {
                stream.reserve_capacity(PIECE.len());
                let Some(Ok(capacity)) = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await else { return };
                let count = capacity.min(PIECE.len());
                stream.send_data(Bytes::from_static(&PIECE[..count]), false).unwrap();
                sent.fetch_add(count, Relaxed);
            }
            let _ = stream.send_data(Bytes::new(), true);
        }
    })
    .await;
    let edge = before(&[&instance]).await;
    // More of them than a connection's window would hold at its default.
    let mut sleepers = Vec::new();
    for _ in 0..4 {
        let mut client = edge.connect_narrow().await;
        client.send(get("/endless")).await;
        sleepers.push(client);
    }
    until("all to be there", || instance.request_count() == 4).await;
    let mut before = 0;
    in_time("the instance to be held back", async {
        loop {
            tokio::time::sleep(ms(100)).await;
            let now = sent.load(Relaxed);
            if now == before && now > 0 {
                break;
            }
            before = now;
        }
    })
    .await;
    assert!(before < ENOUGH / 2, "{before} bytes for clients who read nothing");
    assert_eq!(edge.get("/short").await.text(), "short");
    assert_eq!(instance.connection_count(), 1, "all on one connection");
}

#[tokio::test]
async fn short_frames_for_a_client_that_does_not_read_do_not_end_the_connection() {
    let instance = Instance::start(|mut raw| async move {
        let Some(stream) = raw.request().await else { return };
        raw.head(stream, &[(":status", "200")], false).await;
        // Far more than the library keeps. What the window allows is sent in frames of one byte.
        for _ in 0..200_000 {
            raw.send(DATA, 0, stream, b".").await;
        }
        while let Some(seen) = raw.next().await {
            match seen {
                Seen::Request { stream, .. } => raw.answer(stream, "still open").await,
                Seen::Goodbye => panic!("the gateway has ended the connection"),
                _ => {}
            }
        }
    })
    .await;
    let edge = before(&[&instance]).await;
    let mut sleeper = edge.connect_narrow().await;
    sleeper.send(get("/dots")).await;
    until("the dots to begin", || instance.request_count() == 1).await;
    assert_eq!(edge.get("/").await.text(), "still open");
    assert_eq!(instance.connection_count(), 1);
}

#[tokio::test]
async fn an_upload_that_the_instance_does_not_read_is_held_back() {
    let came = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&came);
    let instance = Instance::with_settings(&[(INITIAL_WINDOW_SIZE, 1000)], move |mut raw| {
        let came = Arc::clone(&counter);
        async move {
            let Some(stream) = raw.request().await else { return };
            while came.load(Relaxed) < 1000 {
                let Some(Seen::Data { bytes, .. }) = raw.next().await else { return };
                came.fetch_add(bytes, Relaxed);
            }
            // Twice there and back: data on the way would come before.
            for _ in 0..2 {
                raw.send(PING, 0, 0, &[7; 8]).await;
                let next = raw.next().await;
                assert!(next == Some(Seen::Pong) && came.load(Relaxed) == 1000, "more than the window: {next:?}");
            }
            raw.open(stream, 1 << 20).await;
            raw.open(0, 1 << 20).await;
            loop {
                match raw.next().await {
                    Some(Seen::Data { bytes, is_last, .. }) => {
                        came.fetch_add(bytes, Relaxed);
                        if is_last {
                            break;
                        }
                    }
                    Some(_) => {}
                    None => return,
                }
            }
            raw.answer(stream, "thanks").await;
            while raw.next().await.is_some() {}
        }
    })
    .await;
    let edge = before(&[&instance]).await;
    let mut client = edge.connect().await;
    client.send(format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", 8 * PIECE.len())).await;
    for _ in 0..8 {
        client.send(PIECE).await;
    }
    assert_eq!(client.answer().await.text(), "thanks");
    assert_eq!(came.load(Relaxed), 8 * PIECE.len());
}
