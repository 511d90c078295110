//! Requests as raw bytes, one per file of `tests/corpus` and a few below: what two readers could read differently is refused, what is
//! merely odd passes.
//!
//! The name of a file says what is wrong with it. In `body-…` the head is valid and the body is at fault.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use futures_util::future::join_all;

use crate::edge::{Edge, get};
use crate::origin::{Origin, ok};
use crate::peer::{ms, until};

fn corpus(folder: &str) -> Vec<(String, Vec<u8>)> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(folder);
    let paths = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let requests = paths.filter(|path| path.extension().is_some_and(|extension| extension == "http"));
    let mut named: Vec<_> =
        requests.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap())).collect();
    let at_line_ends = AT_LINE_ENDS.iter().filter(|(place, ..)| *place == folder);
    named.extend(at_line_ends.map(|(_, name, bytes)| ((*name).to_owned(), bytes.to_vec())));
    named.sort();
    named
}

/// Folder, name, bytes: what differs at the end of a line does not survive in files, which are tidied there.
const AT_LINE_ENDS: &[(&str, &str, &[u8])] = &[
    ("", "bare-cr-as-line-end", b"GET /x HTTP/1.1\rhost: a\r\r\n\r\n"),
    ("", "body-chunk-size-trailing-space", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n"),
    ("", "cr-cr-lf", b"GET /x HTTP/1.1\r\nhost: a\r\nx: a\r\r\n\r\n"),
    ("", "space-after-version", b"GET /x HTTP/1.1 \r\nhost: a\r\n\r\n"),
    ("valid", "length-before-spaces", b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 5 \t \r\n\r\nhello"),
    ("valid", "te-before-spaces", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked \t\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
];

/// Counts requests that came to their end.
async fn counting_origin() -> (Origin, Arc<AtomicUsize>) {
    let complete = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&complete);
    let origin = Origin::start(move |mut visit| {
        let counter = Arc::clone(&counter);
        async move {
            while visit.request().await.is_some() {
                counter.fetch_add(1, Relaxed);
                visit.send(ok("fine")).await;
            }
        }
    })
    .await;
    (origin, complete)
}

#[tokio::test]
async fn what_could_be_read_differently_is_refused_and_never_reaches_an_instance() {
    let ((of_heads, _), (of_bodies, complete)) = (counting_origin().await, counting_origin().await);
    let (edge_for_heads, edge_for_bodies) = (Edge::before(&[&of_heads]).await, Edge::before(&[&of_bodies]).await);
    let corpus = corpus("");
    assert!(corpus.len() > 100, "the corpus is not where it should be");
    let mut wrong = Vec::new();
    for (name, bytes) in corpus {
        let edge = if name.starts_with("body-") { &edge_for_bodies } else { &edge_for_heads };
        let mut client = edge.connect().await;
        let answer = client.ask(bytes).await;
        if !(400..600).contains(&answer.status()) {
            wrong.push(format!("{name}: {}", answer.first_line));
            continue;
        }
        assert_eq!(answer.field("content-type"), Some("application/problem+json"), "{name}");
        assert_eq!(answer.field("connection"), Some("close"), "{name}");
        client.closed().await;
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(of_heads.connection_count(), 0, "{:?}", of_heads.requests());
    assert_eq!(complete.load(Relaxed), 0, "{:?}", of_bodies.requests());
    assert!(of_bodies.connection_count() > 0, "a body is streamed: its fault shows when its head is gone");
}

/// Cut off anywhere, a request is not a request: neither the client's leaving nor its silence completes it.
#[tokio::test]
async fn half_a_request_never_reaches_an_instance_whole() {
    let (origin, complete) = counting_origin().await;
    let edge = Edge::before(&[&origin]).await;
    let chunked = b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx: y\r\n\r\n";
    let length = b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello";
    for whole in [&chunked[..], &length[..]] {
        for end in 1..whole.len() {
            let mut client = edge.connect().await;
            client.send(&whole[..end]).await;
            client.finish().await;
            let rest = client.rest().await;
            assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 400 "), "{end}: {}", String::from_utf8_lossy(&rest));
        }
        assert_eq!(complete.load(Relaxed), 0);
        assert_eq!(edge.ask(whole).await.status(), 200);
        assert_eq!(complete.swap(0, Relaxed), 1);
    }
}

/// File, request line, host, body: what the instance must see.
const SEEN: &[(&str, &str, &str, &str)] = &[
    ("absolute-form", "GET /x?y=http://b/ HTTP/1.1", "Shop.Example", ""),
    ("absolute-form-query-only", "GET /?y HTTP/1.1", "a", ""),
    ("asterisk-for-options", "OPTIONS * HTTP/1.1", "a", ""),
    ("chunk-extension-after-space", "POST /x HTTP/1.1", "a", "hello"),
    ("chunk-extensions", "POST /x HTTP/1.1", "a", "hello"),
    ("chunk-sizes-of-all-kinds", "POST /x HTTP/1.1", "a", "h0123456789"),
    ("connection-close-among-others", "GET /x HTTP/1.1", "a", ""),
    ("connection-names-what-must-stay", "GET /x HTTP/1.1", "a", ""),
    ("delete-with-body", "DELETE /x HTTP/1.1", "a", "hell\n"),
    ("empty-lines-before-the-request", "GET /x HTTP/1.1", "a", ""),
    ("expect-continue-with-body", "POST /x HTTP/1.1", "a", "hello"),
    ("field-after-tab", "GET /x HTTP/1.1", "a", ""),
    ("field-name-of-odd-characters", "GET /x HTTP/1.1", "a", ""),
    ("field-with-obs-text", "GET /x HTTP/1.1", "a", ""),
    ("field-without-space", "GET /x HTTP/1.1", "a", ""),
    ("field-without-value", "GET /x HTTP/1.1", "a", ""),
    ("get-with-body", "GET /x HTTP/1.1", "a", "hell\n"),
    ("host-ipv6", "GET /x HTTP/1.1", "[::1]:8080", ""),
    ("host-port-empty", "GET /x HTTP/1.1", "a:", ""),
    ("host-with-port", "GET /x HTTP/1.1", "shop.example:8080", ""),
    ("http-1-0-without-host", "GET /x HTTP/1.1", "", ""),
    ("length-after-spaces", "POST /x HTTP/1.1", "a", "hell\n"),
    ("length-before-spaces", "POST /x HTTP/1.1", "a", "hello"),
    ("length-with-leading-zeros", "POST /x HTTP/1.1", "a", "hell\n"),
    ("length-zero", "POST /x HTTP/1.1", "a", ""),
    ("method-lower-case", "get /x HTTP/1.1", "a", ""),
    ("method-of-ones-own", "PURGE-ALL /x HTTP/1.1", "a", ""),
    ("target-encoded-nul-in-query", "GET /x?y=%00 HTTP/1.1", "a", ""),
    ("target-of-two-slashes", "GET //a/x HTTP/1.1", "a", ""),
    ("target-utf-8", "GET /café HTTP/1.1", "a", ""),
    ("target-with-odd-characters", "GET /a;b=c/{d}|e/%41%2f?q=[1]&r='s' HTTP/1.1", "a", ""),
    ("te-after-spaces", "POST /x HTTP/1.1", "a", "hello"),
    ("te-before-spaces", "POST /x HTTP/1.1", "a", "hello"),
    ("te-upper-case", "POST /x HTTP/1.1", "a", "hello"),
    ("trailers-that-would-reframe", "POST /x HTTP/1.1", "a", "hello"),
    ("upgrade-to-h2c", "GET /x HTTP/1.1", "a", ""),
];

#[tokio::test]
async fn what_is_merely_odd_passes_with_one_meaning() {
    let names: Vec<_> = corpus("valid").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, SEEN.iter().map(|(name, ..)| (*name).to_owned()).collect::<Vec<_>>());
    for ((name, bytes), (_, first_line, host, body)) in corpus("valid").into_iter().zip(SEEN) {
        let (origin, _) = counting_origin().await;
        let edge = Edge::before(&[&origin]).await;
        let mut client = edge.connect().await;
        let answer = client.ask(bytes).await;
        assert_eq!(answer.status(), 200, "{name}: {answer:?}");
        let seen = origin.only_request();
        assert_eq!((seen.first_line.as_str(), seen.field("host"), seen.text()), (*first_line, Some(*host), *body), "{name}");
        assert!(seen.field("content-length").is_none_or(|length| length == body.len().to_string()), "{name}: {seen:?}");
        assert!(seen.trailers.iter().all(|(name, _)| name.starts_with("x-")), "{name}: {seen:?}");
        if answer.field("connection").is_none() {
            assert_eq!(client.ask(get("/next")).await.text(), "fine", "{name}: the next request begins where it should");
            assert_eq!(origin.requests()[1].target(), "/next");
        } else {
            client.closed().await;
        }
    }
}

#[tokio::test]
async fn a_request_means_the_same_when_its_bytes_come_one_by_one() {
    let one_by_one = async |(name, bytes): (String, Vec<u8>), (_, first_line, _, body): &(&str, &str, &str, &str)| {
        let (origin, _) = counting_origin().await;
        let edge = Edge::before(&[&origin]).await;
        let mut client = edge.connect().await;
        for byte in bytes {
            client.send([byte]).await;
            tokio::time::sleep(ms(1)).await;
        }
        assert_eq!(client.answer().await.status(), 200, "{name}");
        let seen = origin.only_request();
        assert_eq!((seen.first_line.as_str(), seen.text()), (*first_line, *body), "{name}");
    };
    join_all(corpus("valid").into_iter().zip(SEEN).map(|(request, seen)| one_by_one(request, seen))).await;
}

/// What an instance says is judged as strictly: a client must not be told two things at once.
#[tokio::test]
async fn an_answer_that_could_be_read_differently_is_502() {
    let answers = [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        "HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\nx: y\n\nhello",
        "HTTP/1.1 200 OK\r\nx: a\r\n folded\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx : a\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 0\r\n\r\n",
        "HTTP/2 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 099 OK\r\ncontent-length: 0\r\n\r\n",
        "200 OK\r\ncontent-length: 0\r\n\r\n",
    ];
    for answered in answers {
        let origin = Origin::answering(answered).await;
        let edge = Edge::before(&[&origin]).await;
        assert_eq!(edge.get("/x").await.status(), 502, "{answered:?}");
    }
}

/// An instance whose answer is longer than it said: the surplus must not become somebody's answer.
#[tokio::test]
async fn what_follows_an_answer_answers_nobody() {
    let surplus = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison";
    let origin = Origin::answering(format!("{}{surplus}", ok("right"))).await;
    let edge = Edge::before(&[&origin]).await;
    let mut client = edge.connect().await;
    for _ in 0..3 {
        assert_eq!(client.ask(get("/x")).await.text(), "right");
    }
    assert_eq!(origin.connection_count(), 3, "such a connection serves nobody else");
    let late = Origin::start(move |mut visit| async move {
        while visit.request().await.is_some() {
            visit.send(ok("right")).await;
            tokio::time::sleep(ms(20)).await;
            visit.send(surplus).await;
        }
    })
    .await;
    let edge = Edge::before(&[&late]).await;
    assert_eq!(client_of(&edge).await, "right");
    until("the surplus to be under way", || late.request_count() == 1).await;
    tokio::time::sleep(ms(60)).await;
    assert_eq!(client_of(&edge).await, "right");
}

async fn client_of(edge: &Edge) -> String {
    edge.get("/x").await.text().to_owned()
}
