//! What a route answers when no real answer can be had.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use plimsoll_gateway::Fallback;
use plimsoll_gateway::route::Policies;
use plimsoll_policy::fallback::Prepared;

use super::{answers, dying, everything_with};
use crate::edge::{Edge, Plan, with_body};
use crate::origin::Origin;
use crate::peer::{assert_problem, ms, until};

fn prepared(status: u16, body: &'static str) -> Fallback {
    let kind = HeaderValue::from_static("application/json");
    Fallback::Prepared(Arc::new(Prepared::new(StatusCode::from_u16(status).unwrap(), kind, Bytes::from_static(body.as_bytes())).unwrap()))
}

fn with_fallback(fallback: Fallback) -> impl FnOnce(&mut Plan) {
    |plan| {
        everything_with(plan, Policies { fallback: Some(fallback), ..Policies::default() });
        plan.config.timeouts.total = ms(2_000);
    }
}

/// An edge whose first upstream dies on every request, with a second one to fall back to.
async fn with_second(first: &Origin, second: &Origin) -> Edge {
    let endpoint = second.endpoint("second-1");
    let edge = Edge::over(
        |plan| {
            with_fallback(Fallback::Upstream(1))(plan);
            let second = plimsoll_gateway::config::UpstreamConfig { name: "second".to_owned(), ..plan.upstream.clone() };
            plan.others.push((second, vec![endpoint]));
        },
        vec![first.endpoint("api-1")],
    );
    until("both to be ready", || edge.news.lock().unwrap().len() == 2).await;
    edge
}

#[tokio::test]
async fn a_prepared_answer_stands_in_and_says_that_it_does() {
    let dead = dying().await;
    let edge = Edge::with(with_fallback(prepared(200, "[]")), &[&dead]).await;
    let answer = edge.get("/feed").await;
    assert_eq!((answer.status(), answer.text(), answer.field("content-type")), (200, "[]", Some("application/json")));
    assert_eq!((answer.field("x-plimsoll-fallback"), answer.field("cache-control")), (Some("static"), Some("no-store")));
    let mut client = edge.connect().await;
    client.send("HEAD /feed HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let head = client.head().await.unwrap();
    assert_eq!((head.status(), head.field("content-length")), (200, Some("2")));
    assert_eq!(client.ask(crate::edge::get("/feed")).await.text(), "[]");
    assert_problem(&edge.ask(with_body("POST", "/feed", "x")).await, 502, "upstream-failed");
    assert_eq!(edge.gateway.edge().fallbacks_total, 3);
}

#[tokio::test]
async fn a_page_that_says_sorry_is_for_everybody() {
    let dead = dying().await;
    let edge = Edge::with(with_fallback(prepared(503, "sorry")), &[&dead]).await;
    for request in [crate::edge::get("/x"), with_body("POST", "/x", "y")] {
        let answer = edge.ask(request).await;
        assert_eq!((answer.status(), answer.text()), (503, "sorry"));
    }
}

#[tokio::test]
async fn answers_of_an_instance_are_never_replaced() {
    for status in ["500 Oops", "503 Service Unavailable", "404 Not Found"] {
        let origin = Origin::answering(answers(status, "", "its own words")).await;
        let edge = Edge::with(with_fallback(prepared(200, "[]")), &[&origin]).await;
        assert_eq!(edge.get("/x").await.text(), "its own words", "{status}");
    }
}

#[tokio::test]
async fn another_upstream_is_asked_once_and_gets_the_whole_request() {
    let (first, second) = (dying().await, Origin::named("second").await);
    let edge = with_second(&first, &second).await;
    let answer = edge.ask(with_body("PUT", "/x", "the body")).await;
    assert_eq!((answer.status(), answer.text(), answer.field("x-plimsoll-fallback")), (200, "second", Some("second")));
    assert_eq!(second.only_request().text(), "the body");
}

#[tokio::test]
async fn what_may_have_been_done_is_not_done_again_elsewhere() {
    let (first, second) = (dying().await, Origin::named("second").await);
    let edge = with_second(&first, &second).await;
    assert_problem(&edge.ask(with_body("POST", "/pay", "amount=1")).await, 502, "upstream-failed");
    assert_eq!((first.request_count(), second.request_count()), (1, 0));
}

#[tokio::test]
async fn a_second_upstream_that_fails_too_is_asked_no_further() {
    let (first, second) = (dying().await, dying().await);
    let edge = with_second(&first, &second).await;
    assert_problem(&edge.get("/x").await, 502, "upstream-failed");
    assert_eq!(second.request_count(), 1);
}
