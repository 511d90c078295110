//! The time that a caller or a route allows: kept everywhere, passed on reduced.

use plimsoll_gateway::route::{Policies, Route};

use crate::edge::{Edge, get};
use crate::origin::Origin;
use crate::peer::{Broken, assert_problem, ms};

fn within(millis: &str) -> String {
    format!("GET / HTTP/1.1\r\nhost: shop.example\r\nx-request-timeout-ms: {millis}\r\n\r\n")
}

/// Takes requests and never answers them.
async fn silent() -> Origin {
    Origin::start(|mut visit| async move { while visit.request().await.is_some() {} }).await
}

#[tokio::test]
async fn a_caller_is_answered_when_its_time_is_over() {
    let origin = silent().await;
    let edge = Edge::before(&[&origin]).await;
    let began = tokio::time::Instant::now();
    let answer = edge.ask(within("150")).await;
    assert_problem(&answer, 504, "deadline-passed");
    assert_eq!(answer.json()["setting"], "x-request-timeout-ms", "no setting of the server is to blame");
    assert!(began.elapsed() >= ms(150), "{:?}", began.elapsed());
    assert_eq!(origin.request_count(), 1, "what is late everywhere is not asked for twice");
}

#[tokio::test]
async fn the_instance_is_told_what_is_left() {
    let origin = Origin::named("a").await;
    let edge = Edge::before(&[&origin]).await;
    edge.ask(within("9000")).await;
    let left_ms: u64 = origin.only_request().field("x-request-timeout-ms").unwrap().parse().unwrap();
    assert!((1..=9_000).contains(&left_ms), "{left_ms}");
}

#[tokio::test]
async fn no_time_at_all_is_over_before_anybody_works() {
    let origin = Origin::named("a").await;
    let edge = Edge::before(&[&origin]).await;
    assert_problem(&edge.ask(within("0")).await, 504, "deadline-passed");
    assert_eq!(origin.request_count(), 0);
}

#[tokio::test]
async fn what_is_no_number_is_somebody_elses_field_and_passes_through() {
    let origin = Origin::named("a").await;
    let edge = Edge::before(&[&origin]).await;
    assert_eq!(edge.ask(within("soon")).await.status(), 200);
    assert_eq!(origin.only_request().field("x-request-timeout-ms"), Some("soon"));
}

#[tokio::test]
async fn a_body_that_is_still_coming_breaks_off_at_the_deadline() {
    let origin = Origin::start(|mut visit| async move {
        visit.request().await;
        visit.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        loop {
            visit.send("1\r\nx\r\n").await;
            tokio::time::sleep(ms(10)).await;
        }
    })
    .await;
    let edge = Edge::before(&[&origin]).await;
    let mut client = edge.connect().await;
    client.send(within("200")).await;
    let mut answer = client.head().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(client.answer_body(&mut answer).await, Err(Broken));
    assert!(answer.body.len() < 100, "{} bytes", answer.body.len());
}

#[tokio::test]
async fn a_route_may_allow_less_than_its_callers_want() {
    let origin = silent().await;
    let policies = Policies { deadline: Some(ms(100)), ..Policies::default() };
    let edge = Edge::with(|plan| plan.routes = vec![Route::new(None, "/*", 0).unwrap().with(policies.clone())], &[&origin]).await;
    for request in [within("60000"), get("/")] {
        let answer = edge.ask(request).await;
        assert_problem(&answer, 504, "deadline-passed");
        assert_eq!(answer.json()["setting"], "route.deadline");
    }
}
