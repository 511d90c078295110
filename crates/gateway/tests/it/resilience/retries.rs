//! Further attempts: what they may cost, and where they go.

use plimsoll_policy::budget;

use super::{answers, dying, seen};
use crate::edge::{Edge, Plan, get, with_body};
use crate::origin::{Origin, Visit};
use crate::peer::{assert_problem, ms};

fn budget(share: f32, reserve: u16) -> impl FnOnce(&mut Plan) {
    move |plan| {
        plan.upstream.retry_budget = budget::Config { share, reserve, refill_per_second: 0.0 };
        plan.upstream.breaker = None;
    }
}

#[tokio::test]
async fn when_everything_fails_attempts_stay_within_the_budget() {
    const REQUESTS: usize = 200;
    let origins = [dying().await, dying().await, dying().await];
    let edge = Edge::with(budget(0.1, 0), &origins.each_ref()).await;
    for _ in 0..REQUESTS {
        assert_problem(&edge.get("/x").await, 502, "upstream-failed");
    }
    let attempts = seen(&origins);
    assert!(attempts <= REQUESTS + REQUESTS / 10, "{attempts} attempts for {REQUESTS} requests");
    assert!(attempts > REQUESTS + REQUESTS / 20, "the budget is there to be used: {attempts}");
    let counted = edge.gateway.edge();
    assert_eq!(counted.retries_total as usize, attempts - REQUESTS);
    assert!(counted.retries_denied_total as usize >= REQUESTS - REQUESTS / 10, "{}", counted.retries_denied_total);
}

#[tokio::test]
async fn refused_connections_cost_as_much_as_other_attempts() {
    const REQUESTS: usize = 200;
    let mut origins = [Origin::named("one").await, Origin::named("two").await, Origin::named("three").await];
    let edge = Edge::with(budget(0.1, 0), &origins.each_ref()).await;
    for origin in &mut origins {
        origin.die().await;
    }
    for _ in 0..REQUESTS {
        assert_problem(&edge.get("/x").await, 502, "upstream-failed");
    }
    let attempts: u64 = edge.gateway.instances().iter().map(|instance| instance.failures_total).sum();
    assert!(attempts as usize <= REQUESTS + REQUESTS / 10, "{attempts} attempts for {REQUESTS} requests");
}

#[tokio::test]
async fn the_requests_in_flight_at_an_instance_that_dies_all_move() {
    const IN_FLIGHT: usize = 60;
    let mut dead = Origin::start(|mut visit: Visit| async move {
        visit.request().await;
        visit.peer.rest().await;
    })
    .await;
    let alive = Origin::named("alive").await;
    let edge = Edge::with(|plan| plan.upstream.admission = None, &[&dead, &alive]).await;
    let mut clients = Vec::new();
    while dead.request_count() < IN_FLIGHT / 2 {
        let mut client = edge.connect().await;
        client.send(get("/x")).await;
        clients.push(client);
        let sent = clients.len();
        crate::peer::until("it to arrive", || dead.request_count() + alive.request_count() == sent).await;
    }
    dead.die().await;
    for client in &mut clients {
        assert_eq!(client.answer().await.text(), "alive");
    }
}

#[tokio::test]
async fn an_instance_that_says_it_could_not_is_not_the_last_word() {
    for status in ["502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"] {
        for headers in ["", "retry-after: 30\r\n"] {
            let busy = Origin::answering(answers(status, headers, "busy")).await;
            let other = Origin::named("other").await;
            let edge = Edge::before(&[&busy, &other]).await;
            for request in [get("/x"), get("/x"), with_body("PUT", "/x", "body"), with_body("PUT", "/x", "body")] {
                assert_eq!(edge.ask(request).await.text(), "other", "{status} {headers:?}");
            }
            assert!(busy.request_count() > 0, "it was asked");
            assert!(other.requests().iter().all(|request| request.text() == "body" || request.first_line.starts_with("GET")));
        }
    }
}

#[tokio::test]
async fn when_nobody_does_better_the_client_gets_what_the_instance_said() {
    let busy = || answers("503 Service Unavailable", "retry-after: 7\r\n", "come back later");
    let one = Origin::answering(busy()).await;
    let edge = Edge::before(&[&one]).await;
    let answer = edge.get("/x").await;
    assert_eq!((answer.status(), answer.text(), answer.field("retry-after")), (503, "come back later", Some("7")));
    assert_eq!(one.request_count(), 1, "never again before the time it named");

    let both = [Origin::answering(busy()).await, Origin::answering(busy()).await];
    let edge = Edge::before(&both.each_ref()).await;
    assert_eq!(edge.get("/x").await.text(), "come back later");
    assert_eq!(both.each_ref().map(Origin::request_count), [1, 1]);
}

#[tokio::test]
async fn a_post_is_answered_with_what_the_instance_said() {
    let origins = [
        Origin::answering(answers("503 Service Unavailable", "", "no")).await,
        Origin::answering(answers("503 Service Unavailable", "", "no")).await,
    ];
    let edge = Edge::before(&origins.each_ref()).await;
    let answer = edge.ask(with_body("POST", "/pay", "amount=1")).await;
    assert_eq!((answer.status(), answer.text(), seen(&origins)), (503, "no", 1));
}

#[tokio::test]
async fn statuses_that_are_not_listed_are_answers() {
    let origins = [Origin::answering(answers("500 Oops", "", "a bug")).await, Origin::answering(answers("503 No", "", "a page")).await];
    let edge = Edge::with(|plan| plan.config.retry.on_status.clear(), &origins.each_ref()).await;
    let mut texts = [edge.get("/x").await.text().to_owned(), edge.get("/x").await.text().to_owned()];
    texts.sort();
    assert_eq!((texts, seen(&origins)), (["a bug".to_owned(), "a page".to_owned()], 2));
}

#[tokio::test]
async fn the_first_move_after_a_refused_connection_waits_for_nothing_and_others_do() {
    let patient = |plan: &mut Plan| {
        plan.config.retry.backoff.base = ms(60_000);
        plan.config.retry.backoff.max = ms(60_000);
        plan.config.timeouts.total = ms(300);
    };
    let [mut dead, alive] = [Origin::named("dead").await, Origin::named("alive").await];
    let edge = Edge::with(patient, &[&dead, &alive]).await;
    dead.die().await;
    // A wait that would not end in time means no attempt, so what waits cannot have been answered here.
    let statuses = [edge.get("/x").await.status(), edge.get("/x").await.status()];
    assert_eq!(statuses, [200, 200]);
    assert_eq!(edge.gateway.edge().retries_total, 1, "one of them was moved");

    let origins = [dying().await, dying().await];
    let edge = Edge::with(patient, &origins.each_ref()).await;
    let mut refused = 0;
    for _ in 0..5 {
        refused += usize::from(edge.get("/x").await.status() == 502);
    }
    assert!(seen(&origins) <= 6, "nearly every wait is longer than the time there is: {} attempts", seen(&origins));
    assert_eq!(refused, 5);
}
