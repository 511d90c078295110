//! The breaker before an upstream: when it opens, what it says, and what it must not open for.

use std::time::{Duration, Instant};

use plimsoll_gateway::Endpoint;
use plimsoll_policy::breaker;
use plimsoll_telemetry::snapshot::{CircuitSnapshot, CircuitState};

use super::{answers, dying};
use crate::edge::{Edge, Plan, get, with_body};
use crate::origin::{Origin, ok};
use crate::peer::{assert_problem, in_time, ms, until};

/// Opens after ten failures within a fifth of a second of trouble instead of five seconds.
fn quick(plan: &mut Plan) {
    plan.config.retry.attempts_max = 1;
    plan.upstream.breaker =
        Some(breaker::Config { window: ms(400), calls_min: 10, open_base: ms(200), open_max: ms(200), ..breaker::Config::default() });
}

impl Edge {
    fn circuit(&self) -> CircuitSnapshot {
        self.gateway.circuits().remove(0)
    }
}

async fn until_open(edge: &Edge) {
    in_time("the breaker to open", async { while edge.get("/x").await.status() != 503 {} }).await;
}

#[tokio::test]
async fn an_upstream_that_keeps_failing_is_spared_and_its_clients_are_told_at_once() {
    let dead = dying().await;
    let edge = Edge::with(quick, &[&dead]).await;
    assert_eq!((edge.circuit().state, edge.circuit().openings_total), (CircuitState::Closed, 0));
    until_open(&edge).await;
    assert_eq!((edge.circuit().state, edge.circuit().openings_total), (CircuitState::Open, 1));
    let asked = dead.request_count();
    let mut client = edge.connect().await;
    let answer = client.ask(get("/x")).await;
    assert_problem(&answer, 503, "circuit-open");
    assert_eq!(answer.field("retry-after"), Some("1"));
    let mut took: Vec<Duration> = Vec::new();
    for _ in 0..20 {
        let started = Instant::now();
        assert_eq!(client.ask(get("/x")).await.status(), 503);
        took.push(started.elapsed());
    }
    took.sort();
    assert!(took[10] < ms(50), "no wait, no attempt: {took:?}");
    assert!(dead.request_count() <= asked + 3, "but for the trials of a new round");
    assert!(edge.refusals("circuit-open") >= 20);
}

#[tokio::test]
async fn an_upstream_that_is_well_again_is_found() {
    let [mut dead, alive] = [dying().await, Origin::named("alive").await];
    let edge = Edge::with(quick, &[&dead]).await;
    until_open(&edge).await;
    dead.die().await;
    edge.endpoints.send_replace(vec![Endpoint { generation: 1, ..alive.endpoint("api-1") }]);
    until("the other one to be ready", || edge.news.lock().unwrap().len() == 2).await;
    in_time("the breaker to close", async { while edge.get("/x").await.text() != "alive" {} }).await;
    in_time("it to stay closed", async {
        for _ in 0..20 {
            while edge.get("/x").await.text() != "alive" {}
        }
    })
    .await;
}

#[tokio::test]
async fn errors_of_the_application_never_open_it() {
    let broken = Origin::answering(answers("500 Internal Server Error", "", "a bug")).await;
    let edge = Edge::with(quick, &[&broken]).await;
    let started = Instant::now();
    while started.elapsed() < ms(1_500) {
        assert_eq!(edge.get("/x").await.status(), 500);
    }
    assert!(broken.request_count() > 30, "there must be enough of them to prove it: {}", broken.request_count());
}

#[tokio::test]
async fn all_that_fails_with_one_instance_is_one_disturbance() {
    let mut dead = Origin::start(|mut visit| async move {
        visit.request().await;
        visit.peer.rest().await;
    })
    .await;
    let edge = Edge::with(|plan| plan.upstream.admission = None, &[&dead]).await;
    let mut clients = Vec::new();
    for _ in 0..60 {
        let mut client = edge.connect().await;
        client.send("POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n").await;
        clients.push(client);
    }
    until("all to be there", || dead.request_count() == 60).await;
    dead.die().await;
    for client in &mut clients {
        assert_problem(&client.answer().await, 502, "upstream-failed");
    }
    let new = Origin::named("new").await;
    edge.endpoints.send_replace(vec![Endpoint { generation: 1, ..new.endpoint("api-1") }]);
    assert_eq!(edge.get("/x").await.text(), "new", "a pause, and no error");
}

/// Where an answer in the middle of which 100 ms pass is too slow, and half of the answers are.
fn impatient(plan: &mut Plan) {
    plan.upstream.breaker = Some(breaker::Config { slow_after: Some(ms(80)), calls_min: 4, steady: false, ..breaker::Config::default() });
}

#[tokio::test]
async fn the_time_a_client_takes_to_send_is_not_the_upstreams_and_the_time_of_an_answer_is() {
    let origin = Origin::start(|mut visit| async move {
        while let Some(request) = visit.request().await {
            if request.target() == "/slow" {
                tokio::time::sleep(ms(100)).await;
            }
            visit.send(ok("done")).await;
        }
    })
    .await;
    let edge = Edge::with(impatient, &[&origin]).await;
    for _ in 0..6 {
        let mut client = edge.connect().await;
        client.send("POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n").await;
        tokio::time::sleep(ms(100)).await;
        assert_eq!(client.ask("0\r\n\r\n").await.status(), 200);
    }
    for _ in 0..6 {
        assert_eq!(edge.ask(with_body("POST", "/slow", "x")).await.status(), 200);
    }
    assert_problem(&edge.get("/x").await, 503, "circuit-open");
}

#[tokio::test]
async fn a_client_that_waits_for_less_than_a_restart_proves_nothing() {
    let edge = Edge::over(|_| {}, Vec::new());
    for _ in 0..2 {
        let hurried = "GET / HTTP/1.1\r\nhost: a\r\nx-request-timeout-ms: 100\r\n\r\n";
        assert_problem(&edge.ask(hurried).await, 503, "no-instance");
    }
}

#[tokio::test]
async fn who_waited_in_vain_for_the_time_of_a_restart_spares_the_others_the_wait() {
    let edge = Edge::over(|_| {}, Vec::new());
    let mut first = edge.connect().await;
    let started = Instant::now();
    first.send(get("/x")).await;
    let answer = tokio::time::timeout(ms(8_000), async {
        loop {
            tokio::time::sleep(ms(20)).await;
            if edge.gateway.edge().in_flight == 0 {
                break first.answer().await;
            }
        }
    });
    assert_problem(&answer.await.unwrap(), 503, "no-instance");
    assert!(started.elapsed() >= ms(5_000), "a restart would have been waited for");
    let started = Instant::now();
    assert_problem(&edge.get("/x").await, 503, "circuit-open");
    assert!(started.elapsed() < ms(500));
    let origin = Origin::named("at last").await;
    edge.endpoints.send_replace(vec![origin.endpoint("api-1")]);
    until("it to be ready", || edge.news.lock().unwrap().len() == 1).await;
    assert_eq!(edge.get("/x").await.text(), "at last", "at once, without trials");
}
