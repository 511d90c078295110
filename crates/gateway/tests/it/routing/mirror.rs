//! Copies of requests for a second upstream.

use std::sync::Arc;

use plimsoll_gateway::action::{Action, Forward, Mirror};
use plimsoll_gateway::route::{Conditions, Route};
use plimsoll_policy::admission;

use super::{asking, on, with_second};
use crate::edge::{Edge, Plan, get, with_body};
use crate::origin::{Origin, ok};
use crate::peer::until;

fn mirrored(plan: &mut Plan, share: f64, in_flight_max: usize, body_bytes_max: u64) {
    let mirror = Mirror::new(1, share, in_flight_max, body_bytes_max).unwrap();
    let forward = Forward { mirror: Some(Arc::new(mirror)), ..Forward::to(0) };
    plan.routes = vec![Route::of(on("/*", Conditions::default()), Action::Forward(forward))];
}

async fn all_copied(share: f64, in_flight_max: usize, first: &Origin, second: &Origin) -> Edge {
    with_second(|plan| mirrored(plan, share, in_flight_max, 1024), first, second).await
}

/// Copies that have ended, one way or the other.
fn ended(edge: &Edge) -> u64 {
    let edge = edge.gateway.edge();
    edge.mirrored_total + edge.mirrors_lost_total
}

#[tokio::test]
async fn a_copy_is_the_request_and_says_that_it_is_one() {
    let (live, shadow) = (Origin::named("live").await, Origin::named("shadow").await);
    let edge = all_copied(1.0, 8, &live, &shadow).await;
    for seen in asking("GET", "/x?y=1").field("cookie", "a=1").over_both(&edge).await {
        assert_eq!(seen.body, "live");
    }
    assert_eq!(edge.ask(with_body("POST", "/pay", "amount=1")).await.text(), "live");
    until("the copies to arrive", || shadow.request_count() == 3 && ended(&edge) == 3).await;
    for (original, copy) in live.requests().iter().zip(shadow.requests()) {
        assert_eq!((original.field("x-plimsoll-mirror"), copy.field("x-plimsoll-mirror")), (None, Some("1")));
        assert_eq!((&original.first_line, &original.body), (&copy.first_line, &copy.body));
        assert_eq!((original.field("cookie"), original.field("x-request-id")), (copy.field("cookie"), copy.field("x-request-id")));
    }
    assert_eq!(shadow.requests()[2].text(), "amount=1");
    assert_eq!(edge.gateway.edge().mirrored_total, 3);
}

#[tokio::test]
async fn a_mirror_that_hangs_or_fails_harms_nobody_and_gets_no_more_than_its_share_of_copies() {
    let live = Origin::named("live").await;
    let shadow = Origin::start(|mut visit| async move {
        visit.request().await;
        std::future::pending::<()>().await;
    })
    .await;
    let edge = all_copied(1.0, 2, &live, &shadow).await;
    for _ in 0..5 {
        assert_eq!(edge.get("/x").await.text(), "live");
    }
    until("two copies to be under way", || shadow.request_count() == 2).await;
    assert_eq!(ended(&edge), 3, "the others were not sent");
    assert_eq!(edge.gateway.edge().mirrored_total, 0);

    let mut dead = Origin::named("dead").await;
    let edge = all_copied(1.0, 2, &live, &dead).await;
    dead.die().await;
    for _ in 0..5 {
        assert_eq!(edge.get("/x").await.text(), "live");
    }
    until("every copy to be given up", || ended(&edge) == 5).await;
    assert_eq!(edge.gateway.edge().mirrored_total, 0);
}

#[tokio::test]
async fn what_is_too_large_or_not_in_hand_is_not_copied() {
    let (live, shadow) = (Origin::named("live").await, Origin::named("shadow").await);
    let edge = all_copied(1.0, 8, &live, &shadow).await;
    assert_eq!(edge.ask(with_body("POST", "/large", &"x".repeat(1025))).await.text(), "live");
    let chunked = "POST /chunked HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    assert_eq!(edge.ask(chunked).await.text(), "live");
    assert_eq!(edge.ask("GET /loop HTTP/1.1\r\nhost: a\r\nx-plimsoll-mirror: 1\r\n\r\n").await.text(), "live");
    assert_eq!(edge.ask(with_body("POST", "/fits", &"x".repeat(1024))).await.text(), "live");
    until("the copy to arrive", || ended(&edge) == 3).await;
    assert_eq!(shadow.only_request().target(), "/fits");
}

#[tokio::test]
async fn a_share_of_none_of_a_thousand_is_about_that_share() {
    let (live, shadow) = (Origin::named("live").await, Origin::named("shadow").await);
    let edge = all_copied(0.1, 100, &live, &shadow).await;
    let mut client = edge.connect().await;
    for _ in 0..500 {
        assert_eq!(client.ask(get("/x")).await.text(), "live");
    }
    let copies = shadow.request_count();
    assert!((15..=110).contains(&copies), "{copies} of 500");
}

#[tokio::test]
async fn there_are_no_copies_while_the_upstream_has_more_to_do_than_it_can() {
    let live = Origin::start(|mut visit| async move {
        while let Some(request) = visit.request().await {
            if request.target() == "/slow" {
                std::future::pending::<()>().await;
            }
            visit.send(ok("live")).await;
        }
    })
    .await;
    let shadow = Origin::named("shadow").await;
    let edge = with_second(
        |plan| {
            mirrored(plan, 1.0, 8, 0);
            plan.upstream.admission = Some(admission::Config::default().fixed_at(1));
        },
        &live,
        &shadow,
    )
    .await;
    let mut slow = edge.connect().await;
    slow.send(get("/slow")).await;
    until("the slow one to arrive", || live.request_count() == 1 && ended(&edge) == 1).await;
    let waiting = || edge.gateway.load_lines()[0].waiting.iter().sum::<u64>();
    let mut second = edge.connect().await;
    second.send(get("/second")).await;
    until("the second to wait", || waiting() == 1).await;
    let mut third = edge.connect().await;
    third.send(get("/third")).await;
    until("the third to be without a copy", || edge.gateway.edge().mirrors_lost_total >= 1).await;
    let copied: Vec<_> = shadow.requests().iter().map(|request| request.target().to_owned()).collect();
    assert!(!copied.contains(&"/third".to_owned()), "{copied:?}");
}
