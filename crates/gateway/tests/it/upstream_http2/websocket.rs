//! WebSocket to an instance that speaks HTTP/2: on a stream where it takes that (RFC 8441), else on an HTTP/1.1 connection of its own.

use bytes::Bytes;
use http::{Method, Response, StatusCode};

use super::before;
use super::origin::Instance;

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
            let _ = stream.send_data(data, false);
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
