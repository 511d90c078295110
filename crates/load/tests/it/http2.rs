//! HTTP/2 without TLS, as by prior knowledge.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use plimsoll_load::ErrorKind;
use plimsoll_load::plan::{Pace, Plan, Protocol};
use plimsoll_load::scenario::{Request, Scenario};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

use crate::fixture::{carry_out, evenly, plan};

/// Answers with the body it got, or resets the stream, and counts connections.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S, resets: bool) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        tokio::spawn(async move {
            let mut body = request.into_body();
            let mut received = Vec::new();
            while let Some(Ok(data)) = body.data().await {
                let _ = body.flow_control().release_capacity(data.len());
                received.extend_from_slice(&data);
            }
            if resets {
                return respond.send_reset(h2::Reason::INTERNAL_ERROR);
            }
            let mut answer = respond.send_response(http::Response::new(()), received.is_empty()).unwrap();
            if !received.is_empty() {
                answer.send_data(Bytes::from(received), true).unwrap();
            }
        });
    }
}

async fn start<F: Future<Output = ()> + Send + 'static>(serve: fn(TcpStream) -> F) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            counter.fetch_add(1, Relaxed);
            tokio::spawn(serve(stream));
        }
    });
    (url, connections)
}

#[tokio::test]
async fn many_requests_share_a_connection() {
    let (url, connections) = start(|stream| serve(stream, false)).await;
    let post = Request { body: b"{{n}}-{{n}}".to_vec(), ..Request::new("POST", "/echo/{{n}}") };
    let scenario = Scenario { requests: vec![post], login: Vec::new(), users: 0 };
    let plan = Plan { protocol: Protocol::Http2, scenario, ..plan(&url, evenly(200, Duration::from_millis(500))) };
    let recording = carry_out(plan).await;
    assert_eq!(recording.total.good, 200, "{:?}", recording.examples);
    assert_eq!(recording.total.body_bytes, (0..200).map(|n: u64| n.to_string().len() as u64 * 2 + 1).sum::<u64>());
    // One more only found out that there is a server.
    assert_eq!((connections.load(Relaxed), recording.generator.connections_opened), (2, 1));
}

#[tokio::test]
async fn in_closed_pace_connections_are_as_many_as_the_streams_need() {
    let (url, connections) = start(|stream| serve(stream, false)).await;
    let pace = Pace::Closed { connections: 12, lasts: Duration::from_millis(300) };
    let plan = Plan { protocol: Protocol::Http2, streams_max: 4, threads: Some(1), ..plan(&url, pace) };
    let recording = carry_out(plan).await;
    assert!(recording.total.good > 100 && recording.total.errors.sum() == 0, "{} good: {:?}", recording.total.good, recording.examples);
    assert_eq!(connections.load(Relaxed), 3 + 1);
}

#[tokio::test]
async fn a_reset_stream_is_a_reset() {
    let (url, _) = start(|stream| serve(stream, true)).await;
    let plan = Plan { protocol: Protocol::Http2, ..plan(&url, evenly(20, Duration::from_millis(200))) };
    let recording = carry_out(plan).await;
    assert_eq!(recording.total.errors[ErrorKind::Reset], 20, "{:?}", recording.examples);
}

/// Goes away after twenty requests, as one that is relieved does, and takes its time with the first of them.
async fn serve_for_a_while(stream: TcpStream) {
    // The first connection only finds out that there is a server.
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    let mut accepted = 0;
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        accepted += 1;
        let pause = if accepted == 1 { Duration::from_millis(300) } else { Duration::ZERO };
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let _ = respond.send_response(http::Response::new(()), true);
        });
        if accepted == 20 {
            connection.graceful_shutdown();
        }
    }
}

#[tokio::test]
async fn a_connection_that_goes_away_gets_no_further_request_while_it_finishes_others() {
    let (url, connections) = start(serve_for_a_while).await;
    let plan = Plan { protocol: Protocol::Http2, threads: Some(1), ..plan(&url, evenly(200, Duration::from_secs(1))) };
    let recording = carry_out(plan).await;
    assert_eq!(recording.total.good, 200, "{:?}", recording.examples);
    assert!(connections.load(Relaxed) > 10, "{} connections", connections.load(Relaxed));
}
