//! Behind a load balancer that says whose connection it passes on.

use plimsoll_policy::forwarded::TrustedProxies;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::edge::{Edge, Plan, get};
use crate::http2::Http2;
use crate::origin::Origin;
use crate::peer::{Message, Peer, assert_problem, ms};
use crate::tls::desk::{Client, Desk};

const V1: &str = "PROXY TCP4 203.0.113.7 198.51.100.1 56324 443\r\n";

fn trusting(networks: &'static [&str]) -> impl FnOnce(&mut Plan) {
    move |plan| {
        plan.config.proxy_protocol = true;
        plan.config.trusted_proxies = TrustedProxies::new(networks.iter().map(|network| network.parse().unwrap()).collect());
    }
}

fn v2(command: u8) -> Vec<u8> {
    let addresses = [203, 0, 113, 7, 198, 51, 100, 1, 0xdc, 0x04, 1, 0xbb];
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, 0x11, 0, 12][..], &addresses].concat()
}

async fn seen(origin: &Origin, edge: &Edge, header: &[u8], request: &str) -> Message {
    let answer = edge.ask([header, request.as_bytes()].concat()).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    origin.requests().pop().unwrap()
}

#[tokio::test]
async fn the_address_in_the_header_is_the_clients() {
    let origin = Origin::named("x").await;
    let edge = Edge::with(trusting(&["127.0.0.0/8"]), &[&origin]).await;
    let liar = "GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 192.0.2.66\r\n\r\n";
    for header in [V1.as_bytes(), &v2(0x21)] {
        let request = seen(&origin, &edge, header, liar).await;
        assert_eq!(request.field("x-forwarded-for"), Some("203.0.113.7"), "what a client says of itself counts no more than before");
    }
    for header in [b"PROXY UNKNOWN\r\n".to_vec(), v2(0x20)] {
        let request = seen(&origin, &edge, &header, &get("/")).await;
        assert_eq!(request.field("x-forwarded-for"), Some("127.0.0.1"), "the balancer's own connection");
    }
}

#[tokio::test]
async fn a_proxy_before_the_balancer_is_believed_if_it_is_trusted_itself() {
    let origin = Origin::named("x").await;
    let edge = Edge::with(trusting(&["127.0.0.0/8", "203.0.113.0/24"]), &[&origin]).await;
    let forwarded = "GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 192.0.2.66\r\n\r\n";
    let request = seen(&origin, &edge, V1.as_bytes(), forwarded).await;
    assert_eq!(request.field("x-forwarded-for"), Some("192.0.2.66, 203.0.113.7"));
}

#[tokio::test]
async fn http2_comes_after_the_header_too() {
    let origin = Origin::named("x").await;
    let edge = Edge::with(trusting(&["127.0.0.0/8"]), &[&origin]).await;
    let mut client = edge.connect().await;
    client.send([&v2(0x21)[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"].concat()).await;
    let settings = client.exactly(9).await.unwrap();
    assert_eq!(settings[3], 4, "its answer is a SETTINGS frame: {settings:?}");
}

#[tokio::test]
async fn who_is_not_trusted_or_says_nothing_is_hung_up_on() {
    let origin = Origin::named("x").await;
    let edge = Edge::with(trusting(&["10.0.0.0/8"]), &[&origin]).await;
    for words in [[V1, &get("/")].concat(), get("/")] {
        let mut stranger = edge.connect().await;
        stranger.send(words).await;
        assert_eq!(stranger.rest().await, b"", "not even an answer");
    }
    let edge = Edge::with(trusting(&["127.0.0.0/8"]), &[&origin]).await;
    let mut silent = edge.connect().await;
    silent.send(get("/")).await;
    assert_eq!(silent.rest().await, b"", "a trusted peer has to say who it is");
    assert_eq!(origin.request_count(), 0);
}

#[tokio::test]
async fn a_header_has_as_long_as_any_head() {
    let origin = Origin::named("x").await;
    let with = |plan: &mut Plan| {
        trusting(&["127.0.0.0/8"])(plan);
        plan.config.timeouts.head = ms(150);
    };
    let edge = Edge::with(with, &[&origin]).await;
    let mut slow = edge.connect().await;
    slow.send(&V1[..20]).await;
    slow.closed().await;
    assert_eq!(seen(&origin, &edge, V1.as_bytes(), &get("/")).await.field("x-forwarded-for"), Some("203.0.113.7"));
}

const NAME: &str = "shop.example";

/// A client of a balancer that says this before it passes on what the client encrypts.
async fn behind(client: &Client, edge: &Edge, header: &[u8]) -> std::io::Result<TlsStream<TcpStream>> {
    let mut stream = TcpStream::connect(edge.tls_address()).await?;
    stream.write_all(header).await?;
    client.over(stream, NAME).await
}

#[tokio::test]
async fn encrypted_connections_begin_with_a_header_and_have_none_inside() {
    let desk = Desk::new();
    desk.write("shop.pem", &[NAME]);
    let origin = Origin::named("x").await;
    let edge = Edge::with(desk.serving(&["shop.pem"], |_, plan| trusting(&["127.0.0.0/8"])(plan)), &[&origin]).await;
    for header in [V1.as_bytes(), &v2(0x21)] {
        let http1 = behind(&desk.client(), &edge, header).await.unwrap();
        assert_eq!(Peer::new(http1).ask(get("/")).await.status(), 200);
        let stream = behind(&desk.client().speaking(&["h2"]), &edge, header).await.unwrap();
        let http2 = Http2::over(stream, &h2::client::Builder::new()).await;
        let request = http::Request::get("https://shop.example/").body(()).unwrap();
        assert_eq!(http2.ask(request, b"").await.unwrap().text(), "x");
    }
    let seen = origin.requests();
    assert_eq!(seen.len(), 4);
    for request in seen {
        let told = (request.field("x-forwarded-for"), request.field("x-forwarded-proto"));
        assert_eq!(told, (Some("203.0.113.7"), Some("https")), "{request:?}");
    }
    for inside in [V1.as_bytes(), &v2(0x21)] {
        let mut again = Peer::new(behind(&desk.client(), &edge, V1.as_bytes()).await.unwrap());
        let answer = again.ask([inside, get("/").as_bytes()].concat()).await;
        assert_problem(&answer, 400, "malformed-request");
    }
    assert!(behind(&desk.client(), &edge, b"").await.is_err(), "the handshake does not even begin");
    assert_eq!(origin.request_count(), 4);
}
