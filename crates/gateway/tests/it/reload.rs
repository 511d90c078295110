//! What a reload leaves as it is: what is bounded, what was learnt, and who comes last.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use bytes::Bytes;
use http::HeaderValue;
use plimsoll_gateway::action::{Action, Forward, Mirror, Respond};
use plimsoll_gateway::config::UpstreamConfig;
use plimsoll_gateway::route::{Match, Policies, Route};
use plimsoll_policy::hedge;
use tokio::task::JoinSet;

use crate::compression;
use crate::edge::{Edge, Plan, get};
use crate::origin::{Origin, ok};
use crate::peer::{ms, until};

fn everything(action: Action) -> Route {
    Route::of(Match::new(None, "/*").unwrap(), action)
}

#[tokio::test]
async fn answers_from_before_a_reload_count_among_those_that_may_be_compressed() {
    let origin = Origin::start(|mut visit| async move {
        visit.request().await;
        visit.send("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nthe beginning of something long").await;
        pending::<()>().await;
    })
    .await;
    let one_at_a_time = |plan: &mut Plan| plan.config.compression = Some(compression::config(1));
    let edge = Edge::with(one_at_a_time, &[&origin]).await;
    let ask = async || {
        let mut client = edge.connect().await;
        client.send("GET / HTTP/1.1\r\nhost: a\r\naccept-encoding: gzip\r\n\r\n").await;
        let is_compressed = client.head().await.unwrap().field("content-encoding").is_some();
        (client, is_compressed)
    };
    let (first, is_compressed) = ask().await;
    assert!(is_compressed);
    edge.reload(|_| {}).await;
    edge.reload(one_at_a_time).await;
    let (second, is_compressed) = ask().await;
    assert!(!is_compressed, "there is one already");
    first.reset();
    until("the first to be gone", || edge.gateway.edge().in_flight == 1).await;
    assert!(ask().await.1);
    drop(second);
}

#[tokio::test]
async fn copies_from_before_a_reload_count_among_those_that_may_be_under_way() {
    let live = Origin::named("live").await;
    let shadow = Origin::start(|mut visit| async move {
        visit.request().await;
        pending::<()>().await;
    })
    .await;
    let endpoint = shadow.endpoint("shadow-1");
    let mirrored = |plan: &mut Plan| {
        let mirror = Arc::new(Mirror::new(1, 1.0, 1, 1024).unwrap());
        plan.others.push((UpstreamConfig { name: "shadow".to_owned(), ..plan.upstream.clone() }, vec![endpoint.clone()]));
        plan.routes = vec![everything(Action::Forward(Forward { mirror: Some(mirror), ..Forward::to(0) }))];
    };
    let edge = Edge::over(mirrored, vec![live.endpoint("api-1")]);
    until("both to be ready", || edge.news.lock().unwrap().len() == 2).await;
    edge.get("/x").await;
    until("a copy to be under way", || shadow.request_count() == 1).await;
    let without = |plan: &mut Plan| {
        mirrored(plan);
        plan.routes = vec![everything(Action::Forward(Forward::to(0)))];
    };
    edge.reload(without).await;
    edge.reload(mirrored).await;
    edge.get("/x").await;
    assert_eq!((edge.gateway.edge().mirrors_lost_total, shadow.request_count()), (1, 1));
}

#[tokio::test]
async fn what_was_measured_of_a_route_is_still_known_after_a_reload() {
    let stalls = Arc::new(AtomicBool::new(false));
    let origin = async |name: &'static str| {
        let stalls = Arc::clone(&stalls);
        Origin::start(move |mut visit| {
            let stalls = Arc::clone(&stalls);
            async move {
                while visit.request().await.is_some() {
                    if stalls.swap(false, Relaxed) {
                        visit.peer.rest().await;
                        return;
                    }
                    visit.send(ok(name)).await;
                }
            }
        })
        .await
    };
    let origins = [origin("one").await, origin("two").await];
    let hedged = |plan: &mut Plan| {
        let hedge = Some(hedge::Config { delay_min: ms(20), ..hedge::Config::default() });
        plan.routes = vec![everything(Action::Forward(Forward::to(0))).with(Policies { hedge, ..Policies::default() })];
    };
    let edge = Edge::with(hedged, &origins.each_ref()).await;
    let mut client = edge.connect().await;
    for _ in 0..200 {
        client.ask(get("/x")).await;
    }
    edge.reload(hedged).await;
    stalls.store(true, Relaxed);
    assert_eq!(client.ask(get("/x")).await.status(), 200);
    assert_eq!(edge.gateway.edge().hedges_won_total, 1);
}

/// All workers agree on it, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_reloads_at_the_same_time_one_is_in_force_everywhere() {
    let saying = |text: &'static str| {
        move |plan: &mut Plan| {
            let answer = Respond::new(200, HeaderValue::from_static("text/plain"), Bytes::from_static(text.as_bytes())).unwrap();
            plan.workers = 4;
            plan.routes = vec![everything(Action::Respond(answer))];
        }
    };
    let edge = Arc::new(Edge::over(saying("start"), Vec::new()));
    for round in 0..30 {
        let mut reloads = JoinSet::new();
        for text in ["one", "two", "three", "four"] {
            let edge = Arc::clone(&edge);
            reloads.spawn(async move { edge.reload(saying(text)).await });
        }
        while reloads.join_next().await.is_some() {}
        let mut said = Vec::new();
        for _ in 0..24 {
            said.push(edge.get("/").await.text().to_owned());
        }
        said.dedup();
        assert_eq!(said.len(), 1, "round {round}: {said:?}");
    }
}

#[tokio::test]
async fn connections_from_before_a_reload_rest_as_long_as_it_says() {
    let origin = Origin::named("x").await;
    let edge = Edge::before(&[&origin]).await;
    let mut client = edge.connect().await;
    assert_eq!(client.ask(get("/x")).await.text(), "x");
    edge.reload(|plan| plan.config.timeouts.idle = ms(100)).await;
    assert_eq!(client.ask(get("/x")).await.text(), "x");
    client.closed().await;
}
