//! HTTP/2 behind the edge: what requests that share a connection owe each other, and what an instance may say about them.

mod bodies;
mod endings;
mod origin;
mod sharing;
mod websocket;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use futures_util::future::join_all;
use plimsoll_gateway::Endpoint;
use plimsoll_gateway::config::Protocol;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::edge::{Edge, Plan, get, with_body};
use crate::origin::Origin;
use crate::peer::{PATIENCE, assert_problem, ms, until};
use origin::{Instance, MAX_CONCURRENT_STREAMS};

/// A gateway that speaks HTTP/2 with these instances.
async fn before(instances: &[&Instance]) -> Edge {
    with(|_| {}, instances).await
}

async fn with(change: impl FnOnce(&mut Plan), instances: &[&Instance]) -> Edge {
    let endpoints: Vec<Endpoint> =
        instances.iter().enumerate().map(|(number, instance)| instance.endpoint(&format!("api-{}", number + 1))).collect();
    let edge = Edge::over(
        |plan| {
            plan.upstream.protocol = Protocol::Http2;
            change(plan);
        },
        endpoints,
    );
    until("every instance to be ready", || edge.news.lock().unwrap().len() == instances.len()).await;
    edge
}

#[tokio::test]
async fn requests_share_a_connection_and_do_not_wait_for_each_other() {
    const REQUESTS: usize = 40;
    let arrived = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&arrived);
    let instance = Instance::answering(move |request, mut respond| {
        let arrived = Arc::clone(&counter);
        async move {
            arrived.fetch_add(1, Relaxed);
            until("all to be here at once", || arrived.load(Relaxed) == REQUESTS).await;
            let mut stream = respond.send_response(http::Response::new(()), false).unwrap();
            stream.send_data(Bytes::copy_from_slice(request.uri().path().as_bytes()), true).unwrap();
        }
    })
    .await;
    let edge = with(|plan| plan.upstream.admission = None, &[&instance]).await;
    let targets: Vec<_> = (0..REQUESTS).map(|number| format!("/{number}")).collect();
    let answers = join_all(targets.iter().map(|target| edge.get(target))).await;
    for (target, answer) in targets.iter().zip(&answers) {
        assert_eq!((answer.status(), answer.text()), (200, target.as_str()));
    }
    assert_eq!((instance.connection_count(), instance.request_count()), (1, REQUESTS));
}

#[tokio::test]
async fn an_instance_that_allows_few_streams_gets_further_connections_and_no_more_streams_than_it_allows() {
    let answered = Arc::new(Notify::new());
    let go = Arc::clone(&answered);
    let instance = Instance::with_settings(&[(MAX_CONCURRENT_STREAMS, 2)], move |mut raw| {
        let go = Arc::clone(&go);
        async move {
            let mut open = Vec::new();
            loop {
                tokio::select! {
                    stream = raw.request() => match stream {
                        Some(stream) => open.push(stream),
                        None => return,
                    },
                    () = go.notified() => break,
                }
                assert!(open.len() <= 2, "{open:?}");
            }
            for stream in open {
                raw.answer(stream, "two at a time").await;
            }
            while raw.request().await.is_some() {}
        }
    })
    .await;
    let edge = with(|plan| plan.upstream.admission = None, &[&instance]).await;
    let asking = join_all((0..5).map(|_| edge.get("/")));
    let all_are_there = async {
        until("five requests to be there", || instance.request_count() == 5).await;
        answered.notify_waiters();
    };
    let (answers, ()) = tokio::join!(asking, all_are_there);
    assert!(answers.iter().all(|answer| answer.text() == "two at a time"), "{answers:?}");
    assert_eq!(instance.connection_count(), 3);
}

#[tokio::test]
async fn an_instance_is_told_what_it_would_be_in_http_1() {
    let instance = Instance::answering(|request, mut respond| async move {
        let said = format!("{} {} {:?}", request.method(), request.uri(), request.headers());
        let mut stream = respond.send_response(http::Response::new(()), false).unwrap();
        stream.send_data(said.into(), true).unwrap();
    })
    .await;
    let edge = before(&[&instance]).await;
    let answer = edge
        .ask("GET /a%20b?c HTTP/1.1\r\nhost: shop.example\r\ncookie: a=b\r\nconnection: x-hop\r\nx-hop: 1\r\nte: trailers\r\n\r\n")
        .await;
    let said = answer.text();
    assert!(said.starts_with("GET http://shop.example/a%20b?c "), "{said}");
    for field in ["\"cookie\": \"a=b\"", "\"x-forwarded-for\": \"127.0.0.1\"", "\"te\": \"trailers\"", "\"via\": \"1.1 plimsoll\""] {
        assert!(said.contains(field), "{field}: {said}");
    }
    for gone in ["x-hop", "\"host\"", "\"connection\""] {
        assert!(!said.contains(gone), "{gone}: {said}");
    }
    let impossible = edge.ask("GET /a<b HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_problem(&impossible, 400, "malformed-request");
}

#[tokio::test]
async fn probes_ask_in_http2_and_find_out_who_does_not_speak_it() {
    let path = |plan: &mut Plan| {
        plan.upstream.probe.path = Some("/health".to_owned());
        plan.upstream.probe.interval = ms(20);
    };
    let instance = Instance::named("ready").await;
    let edge = with(path, &[&instance]).await;
    assert_eq!(edge.get("/").await.text(), "ready");
    assert!(instance.request_count() > 1, "a probe was there too");
    let speaks_http1 = Origin::named("not this").await;
    for change in [|_: &mut Plan| {}, path] {
        let edge = Edge::over(
            |plan| {
                plan.upstream.protocol = Protocol::Http2;
                plan.upstream.probe.interval = ms(20);
                plan.config.timeouts.connect = ms(200);
                plan.upstream.probe.timeout = ms(200);
                change(plan);
            },
            vec![speaks_http1.endpoint("api-1")],
        );
        until("some probes", || speaks_http1.connection_count() > 2).await;
        assert!(edge.news.lock().unwrap().iter().all(|(_, is_ready)| !is_ready), "it is never ready");
    }
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_closed() {
    let instance = Instance::named("once").await;
    let edge = before(&[&instance]).await;
    until("the probe to have gone", || instance.closed_count() == 1).await;
    assert_eq!(edge.get("/").await.text(), "once");
    // The gateway's threads have clocks of their own, which no test can turn: this one takes its four seconds, and one until the next sweep.
    let asked = Instant::now();
    while instance.closed_count() == 1 && asked.elapsed() < 4 * PATIENCE {
        tokio::time::sleep(ms(20)).await;
    }
    assert_eq!(instance.closed_count(), 2);
}

#[tokio::test]
async fn an_instance_that_is_removed_finishes_what_it_has() {
    let go = Arc::new(Notify::new());
    let answer = Arc::clone(&go);
    let old = Instance::answering(move |_, mut respond| {
        let go = Arc::clone(&answer);
        async move {
            go.notified().await;
            let mut stream = respond.send_response(http::Response::new(()), false).unwrap();
            stream.send_data("old".into(), true).unwrap();
        }
    })
    .await;
    let edge = before(&[&old]).await;
    let mut client = edge.connect().await;
    client.send(with_body("POST", "/", "slow")).await;
    until("the request to be there", || old.request_count() == 1).await;
    let new = Instance::named("new").await;
    edge.endpoints.send(vec![new.endpoint("api-2")]).unwrap();
    until("the new one to be ready", || edge.news.lock().unwrap().len() == 2).await;
    assert_eq!(edge.ask(get("/")).await.text(), "new");
    // Long enough for the pool to have been swept.
    tokio::time::sleep(ms(1200)).await;
    go.notify_one();
    assert_eq!(client.answer().await.text(), "old");
}
