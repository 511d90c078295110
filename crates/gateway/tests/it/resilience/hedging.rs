//! A second attempt beside a slow first one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use plimsoll_gateway::route::Policies;
use plimsoll_policy::hedge;
use tokio::time::sleep;

use super::{answers, everything_with, seen};
use crate::edge::{Edge, Plan, get, with_body};
use crate::origin::{Origin, ok};
use crate::peer::{ms, until};

/// Requests after which enough is known of their answers.
const KNOWN_AFTER: usize = 200;

fn hedged(plan: &mut Plan) {
    plan.upstream.admission = None;
    let config = hedge::Config { delay_min: ms(20), ..hedge::Config::default() };
    everything_with(plan, Policies { hedge: Some(config), ..Policies::default() });
}

/// Two origins that answer at once until enough is known of them; then every n-th request of both together hangs until it is given up.
struct Stalling {
    origins: [Origin; 2],
    given_up: Arc<AtomicUsize>,
}

impl Stalling {
    async fn each(every: usize) -> Self {
        let (count, given_up) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let origin = async |name: &'static str| {
            let (count, given_up) = (Arc::clone(&count), Arc::clone(&given_up));
            Origin::start(move |mut visit| {
                let (count, given_up) = (Arc::clone(&count), Arc::clone(&given_up));
                async move {
                    while visit.request().await.is_some() {
                        let number = count.fetch_add(1, Relaxed);
                        if number > KNOWN_AFTER && number.is_multiple_of(every) {
                            visit.peer.rest().await;
                            given_up.fetch_add(1, Relaxed);
                            return;
                        }
                        visit.send(ok(name)).await;
                    }
                }
            })
            .await
        };
        Self { origins: [origin("one").await, origin("two").await], given_up }
    }
}

#[tokio::test]
async fn stalls_are_answered_by_the_other_instance_for_two_percent_of_load() {
    const REQUESTS: usize = 2_000;
    let stalling = Stalling::each(100).await;
    let edge = Edge::with(hedged, &stalling.origins.each_ref()).await;
    let mut client = edge.connect().await;
    let mut slowest = ms(0);
    for _ in 0..REQUESTS {
        let started = Instant::now();
        assert_eq!(client.ask(get("/x")).await.status(), 200);
        slowest = slowest.max(started.elapsed());
    }
    let counted = edge.gateway.edge();
    assert!(counted.hedges_total as usize <= REQUESTS / 50 + 1, "{} second attempts", counted.hedges_total);
    assert!(counted.hedges_won_total >= 15, "{} of them won", counted.hedges_won_total);
    assert!(slowest < ms(1_000), "{slowest:?}");
    until("the losers to be cancelled", || stalling.given_up.load(Relaxed) as u64 >= counted.hedges_won_total).await;
    let attempts = seen(&stalling.origins) as u64;
    assert_eq!((attempts, counted.retries_total), (REQUESTS as u64 + counted.hedges_total, 0));
}

#[tokio::test]
async fn who_lost_a_race_has_not_failed_and_keeps_its_place_while_the_instance_works_on() {
    let stalling = Stalling::each(2).await;
    let edge = Edge::with(
        |plan| {
            hedged(plan);
            plan.upstream.admission = Some(plimsoll_policy::admission::Config::default());
            plan.upstream.ejection.failures = 1;
        },
        &stalling.origins.each_ref(),
    )
    .await;
    let mut client = edge.connect().await;
    while edge.gateway.edge().hedges_won_total == 0 {
        assert_eq!(client.ask(get("/x")).await.status(), 200);
    }
    assert_eq!(edge.gateway.edge().client_gone_total, 0);
    assert_eq!(edge.gateway.load_lines()[0].lingering, 1);
    for instance in edge.gateway.instances() {
        assert_eq!((instance.failures_total, instance.ejections_total), (0, 0), "{}", instance.id);
    }
}

#[tokio::test]
async fn what_an_instance_said_is_not_lost_because_the_other_one_broke() {
    let count = Arc::new(AtomicUsize::new(0));
    let origin = async || {
        let count = Arc::clone(&count);
        Origin::start(move |mut visit| {
            let count = Arc::clone(&count);
            async move {
                while visit.request().await.is_some() {
                    match count.fetch_add(1, Relaxed) {
                        ..=KNOWN_AFTER => visit.send(ok("well")).await,
                        number if number.is_multiple_of(2) => {
                            sleep(ms(100)).await;
                            visit.send(answers("503 Service Unavailable", "retry-after: 7\r\n", "come back later")).await;
                        }
                        _ => return sleep(ms(200)).await,
                    }
                }
            }
        })
        .await
    };
    let origins = [origin().await, origin().await];
    let edge = Edge::with(
        |plan| {
            hedged(plan);
            plan.config.retry.attempts_max = 2;
        },
        &origins.each_ref(),
    )
    .await;
    let mut client = edge.connect().await;
    for _ in 0..=KNOWN_AFTER {
        assert_eq!(client.ask(get("/x")).await.status(), 200);
    }
    let answer = client.ask(get("/x")).await;
    assert_eq!(edge.gateway.edge().hedges_total, 1);
    assert_eq!((answer.status(), answer.text(), answer.field("retry-after")), (503, "come back later", Some("7")));
}

#[tokio::test]
async fn nothing_is_asked_twice_that_may_not_be() {
    let stalling = Stalling::each(1).await;
    let edge = Edge::with(
        |plan| {
            hedged(plan);
            plan.config.timeouts.first_byte = ms(300);
        },
        &stalling.origins.each_ref(),
    )
    .await;
    let mut client = edge.connect().await;
    for _ in 0..=KNOWN_AFTER {
        assert_eq!(client.ask(get("/x")).await.status(), 200);
    }
    let before = (seen(&stalling.origins), edge.gateway.edge().hedges_total);
    let post = edge.ask("POST /pay HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n").await;
    let with_body = edge.ask(with_body("POST", "/pay", "amount=1")).await;
    assert_eq!((post.status(), with_body.status()), (504, 504));
    assert_eq!((seen(&stalling.origins), edge.gateway.edge().hedges_total), (before.0 + 2, before.1));
}

#[tokio::test]
async fn without_a_word_of_the_operator_nothing_is_asked_twice() {
    let stalling = Stalling::each(1).await;
    let edge = Edge::with(|plan| plan.config.timeouts.total = ms(300), &stalling.origins.each_ref()).await;
    let mut client = edge.connect().await;
    for _ in 0..=KNOWN_AFTER {
        assert_eq!(client.ask(get("/x")).await.status(), 200);
    }
    let before = seen(&stalling.origins);
    assert_eq!(edge.get("/x").await.status(), 504);
    assert_eq!((seen(&stalling.origins) - before, edge.gateway.edge().hedges_total), (1, 0));
}

#[tokio::test]
async fn a_second_attempt_takes_no_place_that_somebody_needs() {
    let stalling = Stalling::each(1).await;
    let edge = Edge::with(
        |plan| {
            hedged(plan);
            plan.upstream.admission = Some(plimsoll_policy::admission::Config::default().fixed_at(1));
            plan.config.timeouts.total = ms(300);
        },
        &stalling.origins.each_ref(),
    )
    .await;
    let mut client = edge.connect().await;
    for _ in 0..=KNOWN_AFTER {
        assert_eq!(client.ask(get("/x")).await.status(), 200);
    }
    assert_eq!(edge.get("/x").await.status(), 504);
    assert_eq!(edge.gateway.edge().hedges_total, 0, "the only place below the load line is the first attempt's");
}
