//! Answers are smaller on their way out, and nothing else about them is different.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use plimsoll_gateway::action::Edits;
use plimsoll_gateway::compress::{Config, Levels, MediaTypes};
use plimsoll_gateway::route::{Policies, Route};
use plimsoll_policy::content_coding::Coding;
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;

use crate::decode::decoded;
use crate::edge::{Edge, Plan};
use crate::http2::client::{Answer, Http2, request};
use crate::origin::Origin;
use crate::peer::{Message, PIECE, in_time};

fn compressing(plan: &mut Plan) {
    plan.config.compression = Some(config(8));
}

pub(crate) fn config(streams_max: usize) -> Config {
    let types = MediaTypes::new(["text/*", "application/json", "application/x-ndjson"]).unwrap();
    Config::new(Coding::ALL.to_vec(), Levels { zstd: 3, brotli: 4, gzip: 6 }, types, 1024, streams_max)
}

/// A request from a client that takes this coding.
fn asking(method: &str, coding: Coding) -> String {
    format!("{method} /x HTTP/1.1\r\nhost: a\r\naccept-encoding: {}\r\n\r\n", coding.token())
}

fn text(length: usize) -> String {
    let words = ["the ", "quick ", "brown ", "fox ", "jumps ", "over ", "a ", "lazy ", "dog\n"];
    (0..).map(|index: usize| words[(index * index + index / 7) % words.len()]).flat_map(str::chars).take(length).collect()
}

fn assert_coded(answer: &Message, coding: Coding, plain: &str) {
    assert_eq!(answer.field("content-encoding"), Some(coding.token()), "{:?}", answer.fields);
    assert_eq!(answer.field("vary"), Some("accept-encoding"));
    assert!(decoded(coding, &answer.body) == plain.as_bytes(), "other bytes came out");
    assert!(answer.body.len() < plain.len() / 2, "{} bytes of {}", answer.body.len(), plain.len());
}

#[tokio::test]
async fn every_coding_gives_back_the_bytes_however_they_came() {
    for (length, chunked) in [(2_000, false), (300_000, false), (2_000, true), (300_000, true)] {
        let plain = text(length);
        let body = if chunked { plain.as_bytes().chunks(7_000).map(chunk).collect::<String>() + "0\r\n\r\n" } else { plain.clone() };
        let framing = if chunked { "transfer-encoding: chunked".to_owned() } else { format!("content-length: {length}") };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\netag: \"v1\"\r\naccept-ranges: bytes\r\n{framing}\r\n\r\n");
        let origin = Origin::answering(head + &body).await;
        let edge = Edge::with(compressing, &[&origin]).await;
        let mut client = edge.connect().await;
        for coding in Coding::ALL {
            let answer = client.ask(asking("GET", coding)).await;
            assert_coded(&answer, coding, &plain);
            assert_eq!((answer.field("etag"), answer.field("accept-ranges")), (Some("W/\"v1\""), None));
        }
        let answer = client.ask("GET /x HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert_eq!((answer.field("etag"), answer.field("vary")), (Some("\"v1\""), Some("accept-encoding")));
        assert!(answer.body == plain.as_bytes() && answer.field("content-encoding").is_none());
    }
}

fn chunk(data: &[u8]) -> String {
    format!("{:x}\r\n{}\r\n", data.len(), str::from_utf8(data).unwrap())
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_it_up_to_the_close() {
    let plain = text(50_000);
    let origin = Origin::answering(format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 50000\r\n\r\n{plain}")).await;
    let edge = Edge::with(compressing, &[&origin]).await;
    let answer = edge.ask("GET /x HTTP/1.0\r\nhost: a\r\naccept-encoding: gzip\r\n\r\n").await;
    assert_eq!((answer.field("content-length"), answer.field("transfer-encoding")), (None, None));
    assert_coded(&answer, Coding::Gzip, &plain);
}

#[tokio::test]
async fn the_answer_to_head_has_the_same_fields_and_no_body() {
    let plain = text(50_000);
    let origin = Origin::start(move |mut visit| {
        let plain = plain.clone();
        async move {
            while let Some(request) = visit.request().await {
                let body = if request.first_line.starts_with("HEAD") { "" } else { &plain };
                visit
                    .send(format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\netag: \"v\"\r\ncontent-length: 50000\r\n\r\n{body}"))
                    .await;
            }
        }
    })
    .await;
    let edge = Edge::with(compressing, &[&origin]).await;
    let mut client = edge.connect().await;
    client.send(asking("HEAD", Coding::Zstd)).await;
    let head = client.head().await.unwrap();
    let get = client.ask(asking("GET", Coding::Zstd)).await;
    for name in ["content-type", "content-encoding", "vary", "etag", "content-length", "accept-ranges"] {
        assert_eq!(head.field(name), get.field(name), "{name}");
    }
    assert_eq!((head.field("content-encoding"), head.field("content-length")), (Some("zstd"), None));
}

/// Each event exists only after the client has read the one before.
#[tokio::test]
async fn an_event_arrives_when_it_is_sent() {
    for (coding, kind) in Coding::ALL.into_iter().flat_map(|coding| [(coding, "text/event-stream"), (coding, "application/x-ndjson")]) {
        let received = Arc::new(Notify::new());
        let next = Arc::clone(&received);
        let origin = Origin::start(move |mut visit| {
            let next = Arc::clone(&next);
            async move {
                visit.request().await;
                visit.send(format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n")).await;
                for number in 0..4 {
                    visit.send(chunk(format!("data: {number}\n\n").as_bytes())).await;
                    next.notified().await;
                }
            }
        })
        .await;
        let edge = Edge::with(compressing, &[&origin]).await;
        let mut client = edge.connect().await;
        client.send(asking("GET", coding)).await;
        assert_eq!(client.head().await.unwrap().field("content-encoding"), Some(coding.token()));
        let (mut coded, mut expected) = (Vec::new(), String::new());
        for number in 0..4 {
            let event = format!("data: {number}\n\n");
            expected.push_str(&event);
            in_time("the event", async {
                while decoded(coding, &coded) != expected.as_bytes() {
                    coded.extend(client.next_chunk().await.unwrap());
                }
            })
            .await;
            received.notify_one();
        }
    }
}

#[tokio::test]
async fn an_instance_that_is_not_to_compress_by_itself_leaves_it_to_the_edge() {
    let plain = text(5_000);
    let origin = Origin::answering(format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5000\r\n\r\n{plain}")).await;
    let edits = Edits::new(vec![http::header::ACCEPT_ENCODING], Vec::new(), Vec::new()).unwrap();
    let policies = Policies { request_headers: Some(Arc::new(edits)), ..Policies::default() };
    let change = |plan: &mut Plan| {
        compressing(plan);
        plan.routes = vec![Route::new(None, "/*", 0).unwrap().with(policies)];
    };
    let edge = Edge::with(change, &[&origin]).await;
    assert_coded(&edge.ask(asking("GET", Coding::Zstd)).await, Coding::Zstd, &plain);
    assert_eq!(origin.only_request().field("accept-encoding"), None);
}

#[tokio::test]
async fn a_route_may_do_without() {
    let plain = text(5_000);
    let origin = Origin::answering(format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5000\r\n\r\n{plain}")).await;
    let change = |plan: &mut Plan| {
        compressing(plan);
        plan.routes = vec![Route::new(None, "/*", 0).unwrap().with(Policies { compresses: false, ..Policies::default() })];
    };
    let edge = Edge::with(change, &[&origin]).await;
    let answer = edge.ask(asking("GET", Coding::Zstd)).await;
    assert_eq!((answer.field("content-encoding"), answer.field("vary"), answer.text()), (None, None, &*plain));
}

/// The last frame of an answer ends its stream, with trailers or without.
#[tokio::test]
async fn it_is_the_same_over_http_2() {
    let plain = text(300_000);
    let chunks: String = plain.as_bytes().chunks(7_000).map(chunk).collect();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\netag: \"v1\"\r\n";
    for (answer, trailer) in [
        (format!("{head}content-length: 300000\r\n\r\n{plain}"), None),
        (format!("{head}transfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"), None),
        (format!("{head}transfer-encoding: chunked\r\n\r\n{chunks}0\r\nx-sum: 7\r\n\r\n"), Some("7")),
    ] {
        let origin = Origin::answering(answer).await;
        let edge = Edge::with(compressing, &[&origin]).await;
        let client = Http2::connect(&edge).await;
        for coding in Coding::ALL {
            let mut asked = request("GET", "/x");
            asked.headers_mut().insert("accept-encoding", coding.token().parse().unwrap());
            let (response, _) = client.begin(asked, true);
            let answer = Answer::read(response).await.unwrap();
            let field = |name: &str| answer.headers.get(name).map(|value| value.to_str().unwrap());
            assert_eq!((field("content-encoding"), field("etag")), (Some(coding.token()), Some("W/\"v1\"")));
            assert_eq!((field("content-length"), field("vary")), (None, Some("accept-encoding")));
            assert!(decoded(coding, &answer.body) == plain.as_bytes());
            assert_eq!(answer.trailers.as_ref().map(|trailers| trailers["x-sum"].to_str().unwrap()), trailer);
        }
    }
}

#[tokio::test]
async fn trailers_pass_but_for_digests_of_other_bytes() {
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\ntrailer: x-checked, content-digest\r\n\r\n{}0\r\n\
         x-checked: yes\r\ncontent-digest: sha-256=:x:\r\n\r\n",
        chunk(text(5_000).as_bytes())
    );
    let origin = Origin::answering(answer).await;
    let edge = Edge::with(compressing, &[&origin]).await;
    let answer = edge.ask(asking("GET", Coding::Brotli)).await;
    assert_coded(&answer, Coding::Brotli, &text(5_000));
    assert_eq!(answer.trailers, [("x-checked".to_owned(), "yes".to_owned())]);
}

#[tokio::test]
async fn an_answer_that_breaks_off_does_not_end() {
    let origin = Origin::start(|mut visit| async move {
        visit.request().await;
        visit.send(format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 100000\r\n\r\n{}", text(50_000))).await;
    })
    .await;
    let edge = Edge::with(compressing, &[&origin]).await;
    let mut client = edge.connect().await;
    client.send(asking("GET", Coding::Gzip)).await;
    let mut answer = client.head().await.unwrap();
    assert!(client.answer_body(&mut answer).await.is_err());
}

/// What gets hardly smaller, without end, to a client that does not read.
#[tokio::test]
async fn an_instance_is_held_back_by_a_client_that_does_not_read() {
    let written = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&written);
    let origin = Origin::start(move |mut visit| {
        let counter = Arc::clone(&counter);
        async move {
            visit.request().await;
            visit.send("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n").await;
            let mut state = 1_u64;
            loop {
                let noise: Vec<u8> = std::iter::repeat_with(|| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 56) as u8
                })
                .take(PIECE.len())
                .collect();
                match visit.peer.stream.write(&noise).await {
                    Ok(count) => counter.fetch_add(count as u64, Relaxed),
                    Err(_) => return,
                };
            }
        }
    })
    .await;
    let edge = Edge::with(compressing, &[&origin]).await;
    let mut client = edge.connect_narrow().await;
    client.send(asking("GET", Coding::Gzip)).await;
    crate::streaming::standstill(&written).await;
    client.reset();
}

#[tokio::test]
async fn one_more_than_may_be_compressed_at_a_time_is_sent_as_it_is() {
    let plain = text(200_000);
    let origin = Origin::answering(format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 200000\r\n\r\n{plain}")).await;
    let edge = Edge::with(|plan| plan.config.compression = Some(config(0)), &[&origin]).await;
    let answer = edge.ask(asking("GET", Coding::Gzip)).await;
    assert_eq!((answer.field("content-encoding"), answer.field("vary")), (None, Some("accept-encoding")));
    assert!(answer.body == plain.as_bytes());
}
