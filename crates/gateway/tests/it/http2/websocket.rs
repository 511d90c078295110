//! WebSocket over HTTP/2 (RFC 8441), to an instance that speaks HTTP/1.1.

use std::sync::Arc;

use bytes::Bytes;
use h2::Reason;
use h2::ext::Protocol;
use http::{Method, Request, StatusCode};
use tokio::sync::Notify;

use super::client::{Answer, Http2, next_data, send_all};
use super::frames::{END_HEADERS, END_STREAM, Frame, HEADERS, SETTINGS, block, frame, opening};
use crate::edge::Edge;
use crate::origin::{Origin, Visit, ok};
use crate::peer::{PIECE, in_time, ms, until};

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: y\r\n\
                      sec-websocket-protocol: chat\r\n\r\n";

fn extended(protocol: &'static str, target: &str) -> Request<()> {
    let mut request = Request::builder().method(Method::CONNECT).uri(format!("http://shop.example{target}")).body(()).unwrap();
    request.extensions_mut().insert(Protocol::from_static(protocol));
    request.headers_mut().insert("sec-websocket-protocol", "chat".parse().unwrap());
    request.headers_mut().insert("sec-websocket-version", "13".parse().unwrap());
    request
}

/// Switches, then sends back what comes, and closes when the client does.
async fn echo(mut visit: Visit) {
    visit.request().await;
    visit.send(SWITCH).await;
    while let Ok(byte) = visit.peer.exactly(1).await {
        visit.send(byte).await;
    }
}

#[tokio::test]
async fn a_stream_becomes_a_websocket_at_the_instance() {
    let origin = Origin::start(echo).await;
    let edge = Edge::before(&[&origin]).await;
    let client = Http2::connect(&edge).await;
    let (response, mut up) = client.begin(extended("websocket", "/chat?room=1"), false);
    let response = in_time("the switch", response).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
    for gone in ["connection", "upgrade", "sec-websocket-accept", "transfer-encoding", "content-length"] {
        assert!(!response.headers().contains_key(gone), "{gone} means nothing in HTTP/2");
    }
    let mut down = response.into_body();
    for word in ["\x00\x01\u{fffd}", "GET / HTTP/1.1\r\n\r\n", "bye"] {
        send_all(&mut up, Bytes::copy_from_slice(word.as_bytes()), false).await.unwrap();
        let mut echoed = Vec::new();
        while echoed.len() < word.len() {
            echoed.extend(next_data(&mut down).await.unwrap().unwrap());
        }
        assert_eq!(echoed, word.as_bytes());
    }
    let seen = origin.only_request();
    assert_eq!(seen.first_line, "GET /chat?room=1 HTTP/1.1");
    for (name, value) in [("upgrade", "websocket"), ("connection", "upgrade"), ("host", "shop.example"), ("sec-websocket-version", "13")] {
        assert_eq!(seen.field(name), Some(value), "{name}");
    }
    assert_eq!(seen.field("sec-websocket-key").map(str::len), Some(24));
    assert_eq!((seen.field("content-length"), seen.field("transfer-encoding")), (None, None));
    up.send_data(Bytes::new(), true).unwrap();
    let end = next_data(&mut down).await;
    assert!(end.is_none_or(|last| last.unwrap().is_empty()), "the instance has closed in order");
    until("it to be counted", || edge.gateway.edge().in_flight == 0).await;
}

#[tokio::test]
async fn many_share_a_connection_with_ordinary_requests() {
    let origin = Origin::start(|mut visit| async move {
        while let Some(request) = visit.request().await {
            if request.field("upgrade").is_some() {
                visit.send(SWITCH).await;
                while let Ok(byte) = visit.peer.exactly(1).await {
                    visit.send(byte).await;
                }
                return;
            }
            visit.send(ok("plain")).await;
        }
    })
    .await;
    let edge = Edge::before(&[&origin]).await;
    let client = Http2::connect(&edge).await;
    let mut open = Vec::new();
    for _ in 0..20 {
        let (response, up) = client.begin(extended("websocket", "/chat"), false);
        open.push((up, in_time("the switch", response).await.unwrap().into_body()));
    }
    for (number, (up, down)) in open.iter_mut().enumerate() {
        let word = Bytes::from(vec![number as u8]);
        send_all(up, word.clone(), false).await.unwrap();
        assert_eq!(next_data(down).await.unwrap().unwrap(), word);
        assert_eq!(client.get("/x").await.text(), "plain");
    }
    assert_eq!(edge.gateway.edge().connections, 1);
}

#[tokio::test]
async fn large_messages_pass_and_a_slow_side_holds_the_other_back() {
    const LENGTH: usize = 4 * 1024 * 1024;
    let origin = Origin::start(|mut visit| async move {
        visit.request().await;
        visit.send(SWITCH).await;
        let all = visit.peer.exactly(LENGTH).await.unwrap();
        visit.send(all).await;
    })
    .await;
    let edge = Edge::before(&[&origin]).await;
    let client = Http2::connect(&edge).await;
    let (response, mut up) = client.begin(extended("websocket", "/chat"), false);
    let mut down = in_time("the switch", response).await.unwrap().into_body();
    let sent: Bytes = PIECE.repeat(LENGTH / PIECE.len()).into();
    in_time("all to be sent", send_all(&mut up, sent.clone(), false)).await.unwrap();
    let mut received = Vec::new();
    while received.len() < LENGTH {
        received.extend(next_data(&mut down).await.unwrap().unwrap());
    }
    assert!(received == sent);
}

#[tokio::test]
async fn what_is_not_switched_to_is_never_told_as_if_it_were() {
    let answers = [
        (ok("no websocket here"), 502),
        ("HTTP/1.1 204 No Content\r\n\r\n".to_owned(), 502),
        ("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno".to_owned(), 403),
        ("HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\n\r\n".to_owned(), 426),
    ];
    for (answered, status) in answers {
        let origin = Origin::answering(answered).await;
        let edge = Edge::before(&[&origin]).await;
        let client = Http2::connect(&edge).await;
        let (response, _up) = client.begin(extended("websocket", "/chat"), false);
        assert_eq!(Answer::read(response).await.unwrap().status, status);
    }
}

#[tokio::test]
async fn only_websocket_is_spoken_and_connect_alone_is_declined() {
    let origin = Origin::start(echo).await;
    let edge = Edge::before(&[&origin]).await;
    let client = Http2::connect(&edge).await;
    for protocol in ["connect-udp", "webtransport", "WEBSOCKET-2"] {
        let (response, _up) = client.begin(extended(protocol, "/chat"), false);
        let answer = Answer::read(response).await.unwrap();
        assert_eq!(answer.status, StatusCode::NOT_IMPLEMENTED, "{protocol}");
        assert_eq!(answer.json()["type"], "urn:plimsoll:problem:not-implemented");
    }
    // CONNECT to somebody else's port: this is no forward proxy.
    let mut raw = edge.connect().await;
    let connect = block(&[(":method", "CONNECT"), (":authority", "db.internal:5432")]);
    raw.send([opening(), frame(HEADERS, END_HEADERS, 1, &connect)].concat()).await;
    let mut bytes = Vec::new();
    let refused = in_time("the refusal", async {
        loop {
            bytes.extend(raw.exactly(1).await.unwrap());
            if let Some(frame) = Frame::take(&mut bytes).filter(|frame| frame.stream == 1) {
                return frame;
            }
        }
    });
    assert_eq!(refused.await.kind, HEADERS);
    assert_eq!(origin.connection_count(), 0);
}

/// Clients ask for it only after they were told that they may (RFC 8441, section 3).
#[tokio::test]
async fn clients_are_told_that_it_is_spoken() {
    let origin = Origin::named("x").await;
    let edge = Edge::before(&[&origin]).await;
    let mut raw = edge.connect().await;
    raw.send(opening()).await;
    let mut bytes = Vec::new();
    let settings = in_time("the settings", async {
        loop {
            bytes.extend(raw.exactly(1).await.unwrap());
            if let Some(frame) = Frame::take(&mut bytes).filter(|frame| frame.kind == SETTINGS && frame.flags & END_STREAM == 0) {
                return frame.payload;
            }
        }
    });
    assert!(settings.await.chunks(6).any(|setting| setting == [0, 8, 0, 0, 0, 1]));
}

#[tokio::test]
async fn either_side_may_break_off_and_the_other_is_told() {
    let left = Arc::new(Notify::new());
    let told = Arc::clone(&left);
    let origin = Origin::start(move |mut visit| {
        let told = Arc::clone(&told);
        async move {
            let request = visit.request().await.unwrap();
            visit.send(SWITCH).await;
            if request.target() == "/dies" {
                visit.peer.exactly(1).await.unwrap();
                visit.peer.reset();
            } else {
                visit.peer.rest().await;
                told.notify_one();
            }
        }
    })
    .await;
    let edge = Edge::before(&[&origin]).await;
    let client = Http2::connect(&edge).await;
    let (response, mut up) = client.begin(extended("websocket", "/dies"), false);
    let mut down = in_time("the switch", response).await.unwrap().into_body();
    send_all(&mut up, "x".into(), false).await.unwrap();
    assert!(next_data(&mut down).await.expect("it must not look like an end").is_err());
    let (response, mut up) = client.begin(extended("websocket", "/waits"), false);
    let _down = in_time("the switch", response).await.unwrap();
    up.send_reset(Reason::CANCEL);
    in_time("the instance to be told", left.notified()).await;
}

#[tokio::test]
async fn silence_on_both_sides_ends_it() {
    let origin = Origin::start(echo).await;
    let edge = Edge::with(|plan| plan.config.timeouts.stream_idle = ms(150), &[&origin]).await;
    let client = Http2::connect(&edge).await;
    let (response, _up) = client.begin(extended("websocket", "/chat"), false);
    let mut down = in_time("the switch", response).await.unwrap().into_body();
    let end = next_data(&mut down).await;
    assert!(end.is_none_or(|last| last.is_err()), "it is over");
    until("its instance to be set free", || edge.gateway.instances()[0].in_flight == 0).await;
}
