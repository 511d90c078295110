//! Clients that take what they can: many connections from one place, bodies by the drop, answers that are never taken.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use plimsoll_policy::forwarded::TrustedProxies;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep};

use crate::edge::{Edge, Plan, get};
use crate::origin::{Origin, ok};
use crate::peer::{Peer, assert_problem, in_time, ms, until};
use crate::tls::desk::Desk;

const ONE: Ipv4Addr = Ipv4Addr::LOCALHOST;
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

async fn connect_from(edge: &Edge, address: Ipv4Addr) -> Peer {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((address, 0))).unwrap();
    Peer::new(socket.connect(edge.gateway.address()).await.unwrap())
}

#[tokio::test]
async fn nobody_has_more_connections_than_the_cap_and_others_do_not_notice() {
    let origin = Origin::named("x").await;
    let edge = Edge::with(
        |plan| {
            plan.workers = 2;
            plan.config.limits.connections_per_client_max = 3;
        },
        &[&origin],
    )
    .await;
    let mut kept = Vec::new();
    for _ in 0..3 {
        let mut client = connect_from(&edge, ONE).await;
        assert_eq!(client.ask(get("/x")).await.text(), "x");
        kept.push(client);
    }
    let mut fourth = connect_from(&edge, ONE).await;
    let answer = fourth.answer().await;
    assert_problem(&answer, 503, "too-many-from-client");
    assert_eq!(answer.json()["setting"], "gateway.limits.connections_per_client_max");
    assert_eq!((answer.field("connection"), answer.field("retry-after")), (Some("close"), Some("1")));
    assert_eq!(connect_from(&edge, OTHER).await.ask(get("/x")).await.text(), "x");
    kept.pop();
    until("a place to be free", || edge.gateway.edge().connections == 2).await;
    assert_eq!(connect_from(&edge, ONE).await.ask(get("/x")).await.text(), "x", "who closes one may open one");
    assert_eq!(edge.refusals("too-many-from-client"), 1);
}

#[tokio::test]
async fn a_trusted_proxy_speaks_for_many_and_has_no_cap() {
    let origin = Origin::named("x").await;
    let edge = Edge::with(
        |plan| {
            plan.config.limits.connections_per_client_max = 1;
            plan.config.trusted_proxies = TrustedProxies::new(vec![IpAddr::from(ONE).into()]);
        },
        &[&origin],
    )
    .await;
    let mut kept = Vec::new();
    for _ in 0..5 {
        let mut proxy = connect_from(&edge, ONE).await;
        assert_eq!(proxy.ask(get("/x")).await.text(), "x");
        kept.push(proxy);
    }
    let _stranger = connect_from(&edge, OTHER).await;
    until("all to be open", || edge.gateway.edge().connections == 6).await;
    assert_problem(&connect_from(&edge, OTHER).await.answer().await, 503, "too-many-from-client");
}

/// One that floods with connections is refused thousands of times, while those who are served stay served.
#[tokio::test]
async fn a_flood_of_connections_from_one_address_takes_nobody_elses_place() {
    let origin = Origin::named("x").await;
    let edge = Edge::with(
        |plan| {
            plan.config.limits.connections_max = 50;
            plan.config.limits.connections_per_client_max = 20;
        },
        &[&origin],
    )
    .await;
    let mut flood = Vec::new();
    for _ in 0..150 {
        flood.push(connect_from(&edge, ONE).await);
        let mut honest = connect_from(&edge, OTHER).await;
        assert_eq!(honest.ask(get("/x")).await.status(), 200);
    }
    until("the flood to be counted", || edge.refusals("too-many-from-client") == 130).await;
    assert_eq!(edge.refusals("too-many-connections"), 0);
}

/// A byte now and then keeps every idle limit from ringing, for as long as the sender likes.
#[tokio::test]
async fn a_body_that_trickles_is_refused_and_one_that_keeps_the_pace_is_not() {
    let origin = Origin::named("x").await;
    let edge = Edge::with(
        |plan| {
            plan.config.limits.body_bytes_per_second_min = 200;
            plan.config.timeouts.pace_window = ms(300);
        },
        &[&origin],
    )
    .await;
    for (framing, piece) in [("content-length: 100000", "x"), ("content-length: 1000", "x"), ("transfer-encoding: chunked", "1\r\nx\r\n")] {
        let mut client = edge.connect().await;
        client.send(format!("POST /x HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n")).await;
        let (started, refused_before) = (Instant::now(), edge.refusals("body-too-slow"));
        let mut sent = 0;
        while edge.refusals("body-too-slow") == refused_before && sent < 300 {
            // The refusal may come between two pieces.
            let _ = client.try_send(piece).await;
            sent += 1;
            sleep(ms(20)).await;
        }
        let answer = client.answer().await;
        assert_problem(&answer, 408, "body-too-slow");
        assert_eq!(answer.json()["setting"], "gateway.limits.body_bytes_per_second_min");
        assert_eq!(answer.field("connection"), Some("close"));
        assert!(started.elapsed() >= ms(290) && sent < 100, "{framing}: after {:?} and {sent} bytes", started.elapsed());
    }
    let mut client = edge.connect().await;
    client.send("POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n").await;
    for _ in 0..50 {
        client.send("x".repeat(20)).await;
        sleep(ms(20)).await;
    }
    assert_eq!(client.answer().await.text(), "x", "a thousand bytes a second are enough");
}

/// Whoever talks both ways may think about what to say next.
#[tokio::test]
async fn a_conversation_may_be_as_slow_as_it_likes() {
    let origin = Origin::start(|mut visit| async move {
        visit.head().await;
        visit.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        while let Ok(word) = visit.peer.next_chunk().await {
            if word.is_empty() {
                break;
            }
            visit.peer.chunk(std::str::from_utf8(&word).unwrap()).await;
        }
        visit.send("0\r\n\r\n").await;
    })
    .await;
    let edge = Edge::with(
        |plan| {
            plan.config.limits.body_bytes_per_second_min = 10_000;
            plan.config.limits.answer_bytes_per_second_min = 10_000;
            plan.config.timeouts.pace_window = ms(50);
        },
        &[&origin],
    )
    .await;
    let mut client = edge.connect().await;
    client.send("POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").await;
    assert_eq!(client.head().await.unwrap().status(), 200);
    for _ in 0..8 {
        client.chunk("y").await;
        assert_eq!(client.next_chunk().await.unwrap(), b"y");
        sleep(ms(60)).await;
    }
}

/// A connection of a client that has little room for what it is sent.
async fn narrow(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    socket.connect(address).await.unwrap()
}

/// Takes a little of an endless answer, again and again; how long that went well.
async fn sips(edge: &Edge, mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: usize, pause_ms: u64) -> std::time::Duration {
    tokio::io::AsyncWriteExt::write_all(&mut stream, get("/endless").as_bytes()).await.unwrap();
    let started = Instant::now();
    let mut cup = vec![0; bytes];
    until("it to be open", || edge.gateway.edge().connections == 1).await;
    // What the gateway has given up may be read for a while yet, if it was sent before.
    while started.elapsed() < ms(2_500) && edge.gateway.edge().connections == 1 {
        if !matches!(stream.read(&mut cup).await, Ok(1..)) {
            break;
        }
        sleep(ms(pause_ms)).await;
    }
    started.elapsed()
}

#[tokio::test]
async fn an_answer_that_is_taken_by_the_sip_is_broken_off_and_its_instance_set_free() {
    let origin = Origin::endless("").await;
    let edge = Edge::with(
        |plan| {
            plan.config.limits.answer_bytes_per_second_min = 100_000;
            plan.config.timeouts.pace_window = ms(400);
        },
        &[&origin],
    )
    .await;
    let slow = sips(&edge, narrow(edge.gateway.address()).await, 500, 10).await;
    assert!(slow < ms(2_400), "{slow:?}");
    until("the instance to be set free", || edge.gateway.instances()[0].in_flight == 0).await;
    let steady = sips(&edge, narrow(edge.gateway.address()).await, 16_000, 0).await;
    assert!(steady >= ms(2_400), "{steady:?}");
}

/// The kernel says that it has room when half of what it holds has left, and TLS holds some more. That takes far longer here than a client
/// may take nothing.
#[tokio::test]
async fn who_takes_little_but_enough_is_served_on_in_clear_and_over_tls() {
    let origin = Origin::endless("").await;
    let desk = Desk::new();
    desk.write("shop.pem", &["shop.example"]);
    let patient = |plan: &mut Plan| {
        plan.config.limits.answer_bytes_per_second_min = 2_000;
        plan.config.timeouts.pace_window = ms(400);
        plan.config.timeouts.write_idle = ms(800);
    };
    let clear = Edge::with(patient, &[&origin]).await;
    let served = sips(&clear, narrow(clear.gateway.address()).await, 2_000, 100).await;
    assert!(served >= ms(2_400), "{served:?}");
    let encrypted = Edge::with(desk.serving(&["shop.pem"], |_, plan| patient(plan)), &[&origin]).await;
    let stream = narrow(encrypted.tls_address()).await;
    let stream = desk.client().speaking(&["http/1.1"]).over(stream, "shop.example").await.unwrap();
    let served = sips(&encrypted, stream, 2_000, 100).await;
    assert!(served >= ms(2_400), "{served:?}");
}

/// Events come when they come: the pace is the origin's, and the client takes each at once.
#[tokio::test]
async fn a_stream_with_little_to_say_is_no_slow_client() {
    let origin = Origin::start(|mut visit| async move {
        visit.request().await;
        visit.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n").await;
        for _ in 0..8 {
            visit.peer.chunk("data: x\n\n").await;
            sleep(ms(60)).await;
        }
        visit.send("0\r\n\r\n").await;
    })
    .await;
    let edge = Edge::with(
        |plan| {
            plan.config.limits.answer_bytes_per_second_min = 100_000;
            plan.config.timeouts.pace_window = ms(50);
        },
        &[&origin],
    )
    .await;
    assert_eq!(edge.get("/events").await.text(), "data: x\n\n".repeat(8));
}

#[tokio::test]
async fn what_is_expected_and_cannot_be_promised_is_417() {
    let origin = Origin::named("x").await;
    let edge = Edge::before(&[&origin]).await;
    for expectation in ["payment", "100-continue, payment", "200-ok"] {
        let mut client = edge.connect().await;
        let request = format!("POST /x HTTP/1.1\r\nhost: a\r\nexpect: {expectation}\r\ncontent-length: 5\r\n\r\n");
        let answer = client.ask(request).await;
        assert_problem(&answer, 417, "expectation-failed");
        assert_eq!(answer.field("connection"), Some("close"), "its body may follow or not");
        client.closed().await;
    }
    assert_eq!(origin.connection_count(), 0);
}

/// Pieces so small that their sizes and extensions are most of what is read.
#[tokio::test]
async fn a_body_of_nothing_but_chunk_extensions_is_refused() {
    let origin = Origin::start(|mut visit| async move {
        while visit.request().await.is_some() {
            visit.send(ok("x")).await;
        }
    })
    .await;
    let edge = Edge::before(&[&origin]).await;
    let chunks = |extension: usize, data: usize, count: usize| {
        let head = "POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
        let chunk = format!("{data:x};{}\r\n{}\r\n", "e".repeat(extension), "d".repeat(data));
        format!("{head}{}0\r\n\r\n", chunk.repeat(count))
    };
    let mut client = edge.connect().await;
    client.send(chunks(200, 1, 1_000)).await;
    assert_problem(&client.answer().await, 400, "malformed-request");
    assert_eq!(edge.ask(chunks(0, 1, 1_000)).await.text(), "x", "small chunks alone are no abuse");
    assert_eq!(edge.ask(chunks(70, 65_536, 20)).await.text(), "x", "nor are signed chunks of a size worth signing");
}

#[tokio::test]
async fn a_client_that_is_turned_away_over_and_over_holds_nothing() {
    let origin = Origin::named("x").await;
    let edge = Edge::with(|plan| plan.config.limits.connections_per_client_max = 1, &[&origin]).await;
    let mut kept = connect_from(&edge, ONE).await;
    kept.ask(get("/x")).await;
    for _ in 0..50 {
        let mut turned_away = connect_from(&edge, ONE).await;
        assert!(turned_away.head().await.is_none_or(|head| head.status() == 503));
    }
    in_time("the count to be what is open", until("it", || edge.gateway.edge().connections == 1)).await;
    assert_eq!(kept.ask(get("/x")).await.text(), "x");
}
