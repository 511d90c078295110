//! RFC 9112 as two public suites test it, both of the name h1spec, 33 points each, minus what both have: what a server must wait for, take, refuse and close.

use tokio::time::timeout;

use crate::edge::Edge;
use crate::origin::{Origin, Visit, ok};
use crate::peer::ms;

async fn plain(mut visit: Visit) {
    while let Some(mut request) = visit.head().await {
        if request.field("expect").is_some() {
            visit.send("HTTP/1.1 100 Continue\r\n\r\n").await;
        }
        if visit.body(&mut request).await.is_err() {
            return;
        }
        visit.send(ok(if request.first_line.starts_with("HEAD") { "" } else { "fine" })).await;
    }
}

async fn in_front_of<T>(run: impl AsyncFnOnce(Edge) -> T) -> T {
    let origin = Origin::start(plain).await;
    let edge = Edge::before(&[&origin]).await;
    run(edge).await
}

/// Whatever is cut off is waited for: the rest may be on its way.
#[tokio::test]
async fn a_request_in_fragments_is_waited_for() {
    in_front_of(async |edge| {
        let whole = "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let waits: Vec<_> = (1..whole.len())
            .map(|end| {
                let edge = &edge;
                async move {
                    let mut client = edge.connect().await;
                    client.send(&whole[..end]).await;
                    let early = timeout(ms(400), client.begins()).await;
                    assert!(early.is_err(), "{:?} was not waited for", &whole[..end]);
                    assert_eq!(client.ask(&whole[end..]).await.status(), 200, "{:?}", &whole[..end]);
                }
            })
            .collect();
        futures_util::future::join_all(waits).await;
    })
    .await;
}

/// Name, request, and the statuses that are allowed.
const POINTS: &[(&str, &str, &[u16])] = &[
    ("no version", "GET / \r\n\r\n", &[400]),
    ("no version, with a host", "GET /\r\nHost: localhost\r\n\r\n", &[400]),
    ("another version", "GET / HTTP/9.9\r\nHost: a\r\n\r\n", &[400, 505]),
    ("the text of version 2", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", &[400, 505]),
    ("a plain GET", "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", &[200]),
    ("odd case, tabs, an empty value", "GET / HTTP/1.1\r\nhoSt:\texample.com\r\nempty:\r\n\r\n", &[200]),
    ("a value of a space", "GET / HTTP/1.1\r\nHost: a\r\nX-Empty-Header: \r\n\r\n", &[200]),
    ("a name with brackets", "GET / HTTP/1.1\r\nHost: a\r\nX-Invalid[]: test\r\n\r\n", &[400]),
    ("a name with a space", "GET / HTTP/1.1\r\nHost: a\r\nBad Header: value\r\n\r\n", &[400]),
    ("a bell in a value", "GET / HTTP/1.1\r\nHost: a\r\nX-Bad-Control-Char: test\x07\r\n\r\n", &[400]),
    ("a NUL in the host", "GET / HTTP/1.1\r\nHost: local\x00host\r\n\r\n", &[400]),
    ("no host", "GET / HTTP/1.1\r\n\r\n", &[400]),
    ("no host, but a length", "GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", &[400]),
    ("two hosts", "GET / HTTP/1.1\r\nHost: example.com\r\nHost: example.org\r\n\r\n", &[400]),
    ("a host with a space", "GET / HTTP/1.1\r\nHost: bad host\r\n\r\n", &[400]),
    ("a space before the colon", "GET / HTTP/1.1\r\nHost : localhost\r\n\r\n", &[400]),
    ("a folded line", "GET / HTTP/1.1\r\nHost: localhost\r\n  continued\r\n\r\n", &[400]),
    ("a CR of its own", "GET / HTTP/1.1\r\nHost: example.com\r\n\rSome-Header: Test\r\n\r\n", &[400]),
    ("words before the method", "Extra lineGET / HTTP/1.1\r\nHost: example.com\r\n\r\n", &[400]),
    ("a length far below zero", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -123456789123456789123456789\r\n\r\n", &[400]),
    ("a length below zero", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1234\r\n\r\n", &[400]),
    ("a length of letters", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: xyz\r\n\r\nhello", &[400]),
    ("two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\nhello!!", &[400]),
    ("a body with a length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", &[200]),
    ("a body in chunks", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", &[200]),
    ("chunks and a length", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", &[400]),
    ("chunks in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", &[400]),
    ("an unknown coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: nonsense\r\n\r\nhello", &[400, 501]),
    ("chunks, but not last", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n5\r\nhello\r\n0\r\n\r\n", &[400]),
    ("a chunk size of a letter", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZ\r\nhello\r\n0\r\n\r\n", &[400]),
    ("a chunk without its end", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n", &[400]),
    ("OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", &[200]),
    ("an absolute target", "GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", &[200]),
    ("CONNECT, which is understood and declined", "CONNECT example.com:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", &[501]),
    ("HEAD", "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n", &[200]),
    ("a method in lower case", "get / HTTP/1.1\r\nHost: localhost\r\n\r\n", &[200]),
];

#[tokio::test]
async fn each_point_is_answered_as_the_standard_has_it_and_nothing_follows_a_refusal() {
    in_front_of(async |edge| {
        const NEXT: &str = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
        let mut wrong = Vec::new();
        for (what, request, allowed) in POINTS {
            let mut client = edge.connect().await;
            client.send([request.as_bytes(), NEXT.as_bytes()].concat()).await;
            let head = client.head().await.expect("an answer");
            if !allowed.contains(&head.status()) {
                wrong.push(format!("{what}: {}", head.first_line));
            }
            if head.status() >= 400 {
                assert_eq!(head.field("connection"), Some("close"), "{what}");
                let length: usize = head.field("content-length").unwrap().parse().unwrap();
                client.exactly(length).await.unwrap();
                client.closed().await;
            }
        }
        assert_eq!(wrong, Vec::<String>::new());
    })
    .await;
}

async fn stays_open(edge: &Edge, request: &str) -> bool {
    let mut client = edge.connect().await;
    assert_eq!(client.ask(request).await.status(), 200, "{request}");
    let next = timeout(ms(300), client.begins()).await;
    // Nothing came: it waits for the next request. The end of the stream would have come at once.
    next.is_err()
}

#[tokio::test]
async fn connections_are_kept_and_closed_as_the_client_says() {
    in_front_of(async |edge| {
        assert!(stays_open(&edge, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await);
        assert!(!stays_open(&edge, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await);
        assert!(!stays_open(&edge, "GET / HTTP/1.0\r\nHost: a\r\n\r\n").await);
        assert!(stays_open(&edge, "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n").await);
        let mut client = edge.connect().await;
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n").await;
        assert_eq!(client.head().await.unwrap().status(), 100);
        assert_eq!(client.ask("hello").await.status(), 200);
    })
    .await;
}
