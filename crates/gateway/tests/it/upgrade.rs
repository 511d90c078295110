//! Connections that become something else: WebSocket and its like.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::sync::Notify;

use crate::edge::{Edge, get};
use crate::origin::{Origin, Visit, ok};
use crate::peer::{Peer, in_time, ms};

const ASK: &str = "GET /chat HTTP/1.1\r\nhost: a\r\nconnection: Upgrade, keep-alive\r\nupgrade: websocket\r\nsec-websocket-key: k\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: y\r\n\r\n";

/// Switches, then sends back what comes.
async fn echo(mut visit: Visit) {
    visit.request().await;
    visit.send(SWITCH).await;
    while let Ok(byte) = visit.peer.exactly(1).await {
        visit.send(byte).await;
    }
}

async fn upgraded(edge: &Edge) -> Peer {
    let mut client = edge.connect().await;
    client.send(ASK).await;
    assert_eq!(client.head().await.unwrap().status(), 101);
    client
}

#[tokio::test]
async fn bytes_pass_both_ways_after_a_switch() {
    let origin = Origin::start(echo).await;
    let edge = Edge::before(&[&origin]).await;
    let mut client = edge.connect().await;
    client.send(ASK).await;
    let head = client.head().await.unwrap();
    assert_eq!((head.status(), head.field("upgrade"), head.field("connection")), (101, Some("websocket"), Some("upgrade")));
    assert_eq!(head.field("sec-websocket-accept"), Some("y"));
    for word in ["\x00\x01\u{fffd}", "GET / HTTP/1.1\r\n\r\n", "bye"] {
        client.send(word).await;
        assert_eq!(client.exactly(word.len()).await, Ok(word.into()));
    }
    let seen = origin.only_request();
    assert_eq!((seen.field("upgrade"), seen.field("connection")), (Some("websocket"), Some("upgrade")));
    assert_eq!(seen.field("sec-websocket-key"), Some("k"));
}

#[tokio::test]
async fn what_comes_together_with_the_switch_is_not_lost() {
    let origin = Origin::start(|mut visit| async move {
        visit.request().await;
        visit.send([SWITCH, "welcome"].concat()).await;
        let word = visit.peer.exactly(5).await.unwrap();
        visit.send(word).await;
    })
    .await;
    let edge = Edge::before(&[&origin]).await;
    let mut client = edge.connect().await;
    client.send([ASK, "early"].concat()).await;
    assert_eq!(client.head().await.unwrap().status(), 101);
    assert_eq!(client.rest().await, b"welcomeearly");
}

#[tokio::test]
async fn a_side_that_has_said_all_may_still_listen() {
    let client_is_done = Arc::new(Notify::new());
    let done = Arc::clone(&client_is_done);
    let origin = Origin::start(move |mut visit| {
        let done = Arc::clone(&done);
        async move {
            let request = visit.request().await.unwrap();
            visit.send(SWITCH).await;
            if request.target() == "/chat" {
                assert_eq!(visit.peer.rest().await, b"last words");
                visit.send("still here").await;
            } else {
                visit.peer.finish().await;
                assert_eq!(visit.peer.rest().await, b"still here");
                done.notify_one();
            }
        }
    })
    .await;
    let edge = Edge::before(&[&origin]).await;
    let mut client = upgraded(&edge).await;
    client.send("last words").await;
    client.finish().await;
    assert_eq!(client.rest().await, b"still here");
    let mut client = edge.connect().await;
    client.send(ASK.replace("/chat", "/other")).await;
    assert_eq!(client.head().await.unwrap().status(), 101);
    client.closed().await;
    client.send("still here").await;
    client.finish().await;
    client_is_done.notified().await;
}

/// Far more than all of them hold on the way, so that each has to wait for the others again and again.
#[tokio::test]
async fn a_flood_passes_both_ways_at_once() {
    let sent: Vec<u8> = (0..8 * 1024 * 1024_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let origin = Origin::start(|mut visit| async move {
        visit.request().await;
        visit.send(SWITCH).await;
        let mut bytes = vec![0; 48 * 1024];
        while let Ok(count @ 1..) = visit.peer.stream.read(&mut bytes).await {
            visit.peer.stream.write_all(&bytes[..count]).await.unwrap();
        }
    })
    .await;
    let edge = Edge::before(&[&origin]).await;
    let (mut back, mut there) = split(upgraded(&edge).await.stream);
    let mut received = vec![0; sent.len()];
    let both = async { tokio::join!(there.write_all(&sent), back.read_exact(&mut received)) };
    let (written, read) = in_time("the flood", both).await;
    assert!(written.is_ok() && read.is_ok() && received == sent);
}

#[tokio::test]
async fn silence_on_both_sides_ends_it_and_a_word_now_and_then_keeps_it() {
    let origin = Origin::start(echo).await;
    let edge = Edge::with(|plan| plan.config.timeouts.stream_idle = ms(200), &[&origin]).await;
    let mut client = upgraded(&edge).await;
    for _ in 0..6 {
        tokio::time::sleep(ms(60)).await;
        client.send("x").await;
        assert_eq!(client.exactly(1).await, Ok("x".into()));
    }
    let silent_since = std::time::Instant::now();
    client.closed().await;
    assert!(silent_since.elapsed() >= ms(190), "{:?}", silent_since.elapsed());
}

#[tokio::test]
async fn when_the_instance_dies_its_client_is_told() {
    let origin = Origin::start(|mut visit| async move {
        let request = visit.request().await.unwrap();
        visit.send(SWITCH).await;
        visit.peer.exactly(1).await.unwrap();
        if request.target() == "/chat" {
            visit.peer.reset();
        }
    })
    .await;
    let edge = Edge::before(&[&origin]).await;
    for target in ["/chat", "/closed"] {
        let mut client = edge.connect().await;
        client.send(ASK.replace("/chat", target)).await;
        assert_eq!(client.head().await.unwrap().status(), 101);
        client.send("x").await;
        client.closed().await;
    }
}

#[tokio::test]
async fn a_switch_that_nobody_asked_for_is_502() {
    let origin = Origin::answering(SWITCH).await;
    let edge = Edge::before(&[&origin]).await;
    let requests = [
        get("/x"),
        "GET /x HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\n\r\n".to_owned(),
        "GET /x HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\n\r\n".to_owned(),
        "GET /x HTTP/1.0\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n".to_owned(),
    ];
    for request in requests {
        let answer = edge.ask(&request).await;
        assert_eq!(answer.status(), 502, "{request:?}");
        assert_eq!(answer.json()["type"], "urn:plimsoll:problem:upstream-failed");
    }
}

#[tokio::test]
async fn an_instance_may_decline_and_the_connection_goes_on() {
    let origin = Origin::named("plain").await;
    let edge = Edge::before(&[&origin]).await;
    let mut client = edge.connect().await;
    assert_eq!(client.ask(ASK).await.text(), "plain");
    assert_eq!(client.ask(get("/next")).await.text(), "plain");
}

#[tokio::test]
async fn a_request_with_a_body_may_switch_too() {
    let origin = Origin::start(echo).await;
    let edge = Edge::before(&[&origin]).await;
    let mut client = edge.connect().await;
    client.send("POST /x HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\ncontent-length: 4\r\n\r\nbody").await;
    assert_eq!(client.head().await.unwrap().status(), 101);
    client.send("ping").await;
    assert_eq!(client.exactly(4).await, Ok("ping".into()));
    assert_eq!(origin.only_request().text(), "body");
}

/// Inside such a tunnel further requests would pass by the gateway's routes and limits. The upgrade to h2c is obsolete besides (RFC 9113,
/// section 3.1).
#[tokio::test]
async fn another_version_of_http_is_not_switched_to() {
    let origin = Origin::start(|mut visit| async move {
        while visit.request().await.is_some() {
            visit.send(ok("plain")).await;
        }
    })
    .await;
    let edge = Edge::before(&[&origin]).await;
    let asks = ["h2c", "H2C", "websocket, h2c", "HTTP/2.0", "h2"]
        .map(|protocol| ASK.replace("upgrade: websocket", &format!("upgrade: {protocol}")));
    // As RFC 7540 had it.
    let h2c = get("/x")
        .replace("\r\n\r\n", "\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n");
    for ask in asks.into_iter().chain([h2c]) {
        let answer = edge.ask(ask).await;
        assert_eq!((answer.status(), answer.field("upgrade")), (200, None));
        assert_eq!(answer.text(), "plain", "the request itself is served");
    }
    for request in origin.requests() {
        assert_eq!((request.field("upgrade"), request.field("http2-settings")), (None, None));
    }
}
