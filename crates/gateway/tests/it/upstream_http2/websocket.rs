//! WebSocket to an instance that speaks HTTP/2: on a stream where it takes that (RFC 8441), else on an HTTP/1.1 connection of its own.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use bytes::Bytes;
use http::{Method, Response, StatusCode};

use super::before;
use super::origin::{ENABLE_CONNECT_PROTOCOL, Instance, Raw};
use crate::peer::{Peer, in_time};

const ASK: &str = "GET /chat HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Opens a WebSocket under `/chat`, and sends back what comes.
async fn echo() -> Instance {
    Instance::answering(|request, mut respond| async move {
        let protocol = request.extensions().get::<h2::ext::Protocol>().map(|protocol| protocol.as_str().to_owned());
        let is_asked = *request.method() == Method::CONNECT && protocol.as_deref() == Some("websocket");
        let is_clean = !request.headers().contains_key("sec-websocket-key") && request.headers()["sec-websocket-version"] == "13";
        let mut answer = Response::new(());
        if !is_asked || !is_clean || request.uri().path() != "/chat" {
            *answer.status_mut() = StatusCode::NOT_FOUND;
            respond.send_response(answer, true).unwrap();
            return;
        }
        let mut body = request.into_body();
        let mut stream = respond.send_response(answer, false).unwrap();
        while let Some(Ok(data)) = body.data().await {
            let _ = body.flow_control().release_capacity(data.len());
            // The library puts up with a hundred empty frames that are not the last.
            if !data.is_empty() {
                let _ = stream.send_data(data, false);
            }
        }
        let _ = stream.send_data(Bytes::new(), true);
    })
    .await
}

#[tokio::test]
async fn a_websocket_goes_on_a_stream_where_the_instance_takes_it() {
    let instance = echo().await;
    let edge = before(&[&instance]).await;
    let mut client = edge.connect().await;
    client.send(ASK).await;
    let head = client.head().await.unwrap();
    assert_eq!((head.status(), head.field("upgrade")), (101, Some("websocket")));
    assert_eq!(head.field("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "the example of RFC 6455");
    for word in ["one", "two"] {
        client.send(word).await;
        assert_eq!(client.exactly(3).await, Ok(word.into()));
    }
    let refused = edge.ask(ASK.replace("/chat", "/nothing")).await;
    assert_eq!(refused.status(), 404);
    assert_eq!(instance.connection_count(), 1);
    client.finish().await;
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn websockets_that_end_well_wear_no_connection_out() {
    let instance = echo().await;
    let edge = before(&[&instance]).await;
    for _ in 0..600 {
        let mut client = edge.connect().await;
        client.send(ASK).await;
        assert_eq!(client.head().await.unwrap().status(), 101);
        client.finish().await;
        assert_eq!(client.rest().await, b"");
    }
    assert_eq!((instance.connection_count(), instance.closed_count()), (1, 1), "the probe's own is over, and no other");
}

/// Answers in HTTP/2, with these settings. In HTTP/1.1 it switches to what it is asked for, and sends back what comes.
async fn of_both_versions(settings: &'static [(u16, u32)]) -> Instance {
    let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = [Arc::clone(&connections), Arc::clone(&requests)];
    let run = move |stream: tokio::net::TcpStream| {
        let counts = counts.clone();
        async move {
            let mut first = [0];
            // The preface of HTTP/2 begins so, and no request here.
            if stream.peek(&mut first).await.is_ok() && first == *b"P" {
                let Some(mut raw) = Raw::accept(stream, settings, counts).await else { return };
                while let Some(stream) = raw.request().await {
                    raw.answer(stream, "http2").await;
                }
                return;
            }
            let mut peer = Peer::new(stream);
            let Some(request) = peer.head().await else { return };
            assert!(request.field("connection").is_some_and(|tokens| tokens.contains("upgrade")), "{request:?}");
            let protocol = request.field("upgrade").unwrap();
            peer.send(format!("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: {protocol}\r\n\r\n")).await;
            while let Ok(byte) = peer.exactly(1).await {
                peer.send(byte).await;
            }
        }
    };
    Instance::listen(run, connections, requests).await
}

async fn assert_goes_over_http1(protocol: &str, settings: &'static [(u16, u32)]) {
    let instance = of_both_versions(settings).await;
    let edge = before(&[&instance]).await;
    assert_eq!(edge.get("/").await.text(), "http2");
    let mut client = edge.connect().await;
    client.send(ASK.replace("upgrade: websocket", &format!("upgrade: {protocol}"))).await;
    let head = client.head().await.unwrap();
    assert_eq!((head.status(), head.field("upgrade")), (101, Some(protocol)));
    for word in ["one", "two"] {
        client.send(word).await;
        assert_eq!(client.exactly(3).await, Ok(word.into()));
    }
    assert_eq!(in_time("others to be served meanwhile", edge.get("/")).await.text(), "http2");
    assert_eq!((instance.connection_count(), instance.request_count()), (1, 2), "on the connection that they share");
    client.finish().await;
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn a_websocket_goes_over_http1_where_the_instance_takes_none_on_streams() {
    assert_goes_over_http1("websocket", &[]).await;
}

#[tokio::test]
async fn other_upgrades_always_go_over_http1() {
    assert_goes_over_http1("echo/1", &[(ENABLE_CONNECT_PROTOCOL, 1)]).await;
}
