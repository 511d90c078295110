//! Stopping: what is under way finishes, nothing new begins, and it takes no longer than it may.

use std::sync::Arc;

use plimsoll_telemetry::snapshot::EdgeSnapshot;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::edge::{Edge, get};
use crate::http2::Http2;
use crate::origin::{Origin, ok};
use crate::peer::{Broken, Peer, in_time, ms, until};

/// Answers when told to; to `/stream` with a body that waits too.
async fn patient() -> (Origin, Arc<Semaphore>) {
    let go = Arc::new(Semaphore::new(0));
    let told = Arc::clone(&go);
    let origin = Origin::start(move |mut visit| {
        let told = Arc::clone(&told);
        async move {
            while let Some(request) = visit.request().await {
                if request.target() == "/stream" {
                    visit.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n").await;
                }
                if request.target() != "/quick" {
                    told.acquire().await.unwrap().forget();
                }
                visit.send(if request.target() == "/stream" { "4\r\nrest\r\n0\r\n\r\n".to_owned() } else { ok("done") }).await;
            }
        }
    })
    .await;
    (origin, go)
}

#[tokio::test]
async fn requests_in_flight_finish_and_everything_else_ends_at_once() {
    let (origin, go) = patient().await;
    let edge = Edge::before(&[&origin]).await;
    let mut idle = edge.connect().await;
    idle.ask(get("/quick")).await;
    let mut silent = edge.connect().await;
    let mut about_to_ask = edge.connect().await;
    let mut waiting = edge.connect().await;
    waiting.send(get("/slow")).await;
    let mut half_sent = edge.connect().await;
    half_sent.send("GET /slow HTTP/1.1\r\nhost").await;
    let mut streaming = edge.connect().await;
    streaming.send(get("/stream")).await;
    let mut stream = streaming.head().await.unwrap();
    let open = |snapshot: EdgeSnapshot| (snapshot.in_flight, snapshot.connections);
    until("all to be under way", || open(edge.gateway.edge()) == (2, 6) && origin.request_count() == 3).await;
    let watch = async {
        until("the order", || edge.gateway.is_draining()).await;
        tokio::time::sleep(ms(50)).await;
        let answer = about_to_ask.ask(get("/quick")).await;
        assert_eq!(answer.field("connection"), Some("close"), "a connection that is new gets a moment for its first request");
        idle.closed().await;
        silent.closed().await;
        in_time("nothing new to be accepted", async { while TcpStream::connect(edge.gateway.address()).await.is_ok() {} }).await;
        half_sent.send(": a\r\n\r\n").await;
        until("it to arrive", || origin.request_count() == 5).await;
        go.add_permits(10);
        for client in [&mut waiting, &mut half_sent] {
            let answer = client.answer().await;
            assert_eq!((answer.text(), answer.field("connection")), ("done", Some("close")));
            client.closed().await;
        }
        streaming.answer_body(&mut stream).await.unwrap();
        assert_eq!(stream.text(), "halfrest");
        streaming.closed().await;
    };
    in_time("the drain", async { tokio::join!(edge.gateway.drain(), watch) }).await;
    assert_eq!(open(edge.gateway.edge()), (0, 0));
}

/// Its bytes are here, even if nobody has looked yet: a client on a connection of its own would not ask again.
#[tokio::test]
async fn a_request_that_was_sent_before_the_order_is_answered() {
    let origin = Origin::named("x").await;
    let mut lost = 0;
    for _ in 0..30 {
        let edge = Edge::before(&[&origin]).await;
        let mut clients = Vec::new();
        for _ in 0..5 {
            let mut client = std::net::TcpStream::connect(edge.gateway.address()).unwrap();
            std::io::Write::write_all(&mut client, get("/x").as_bytes()).unwrap();
            client.set_nonblocking(true).unwrap();
            clients.push(Peer::new(TcpStream::from_std(client).unwrap()));
        }
        edge.gateway.drain().await;
        for client in &mut clients {
            lost += usize::from(!client.rest().await.starts_with(b"HTTP/1.1 200 OK"));
        }
    }
    assert_eq!(lost, 0, "of 150 requests");
}

#[tokio::test]
async fn what_does_not_finish_is_cut_off_when_the_time_is_up() {
    let (origin, _never) = patient().await;
    let edge = Edge::with(
        |plan| {
            plan.config.timeouts.drain = ms(150);
            plan.workers = 2;
        },
        &[&origin],
    )
    .await;
    let mut hanging = edge.connect().await;
    hanging.send(get("/slow")).await;
    let mut streaming = edge.connect().await;
    streaming.send(get("/stream")).await;
    streaming.head().await.unwrap();
    assert_eq!(streaming.next_chunk().await, Ok("half".into()));
    until("both to be under way", || origin.request_count() == 2).await;
    let started = Instant::now();
    timeout(ms(1_000), edge.gateway.drain()).await.expect("the drain is bounded");
    assert!(started.elapsed() >= ms(150));
    hanging.closed().await;
    assert_eq!(streaming.next_chunk().await, Err(Broken));
}

#[tokio::test]
async fn a_drain_of_an_idle_gateway_takes_no_time() {
    let origin = Origin::named("x").await;
    let edge = Edge::with(|plan| plan.workers = 2, &[&origin]).await;
    let mut idle = edge.connect().await;
    idle.ask(get("/x")).await;
    let started = Instant::now();
    edge.gateway.drain().await;
    assert!(started.elapsed() < ms(500), "{:?}", started.elapsed());
    idle.closed().await;
}

#[tokio::test]
async fn an_http2_client_is_told_to_go_and_may_finish() {
    let (origin, go) = patient().await;
    let edge = Edge::before(&[&origin]).await;
    let client = Http2::connect(&edge).await;
    let slow = client.get("/slow");
    let idle = Http2::connect(&edge).await;
    until("it to be in flight", || origin.request_count() == 1).await;
    let watch = async {
        idle.gone().await;
        in_time("the order to go", client.refused()).await;
        go.add_permits(10);
        assert_eq!(slow.await.text(), "done");
        client.gone().await;
    };
    in_time("the drain", async { tokio::join!(edge.gateway.drain(), watch) }).await;
}
