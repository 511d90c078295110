//! Who gets a request: health, ejection, draining, and the wait when there is nobody.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use futures_util::future::join_all;
use http::header;
use plimsoll_gateway::action::Edits;
use plimsoll_gateway::route::{Policies, Route};
use plimsoll_gateway::sender::Sender;
use plimsoll_gateway::{Endpoint, balance};
use plimsoll_telemetry::snapshot::InstanceState;
use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;

use crate::edge::{Edge, Plan, get, with_body};
use crate::origin::{Origin, ok};
use crate::peer::{PATIENCE, assert_problem, in_time, ms, until};

/// Whose turn it is depends on who was ready first.
async fn until_answered_by(edge: &Edge, name: &str) {
    in_time(name, async { while edge.get("/x").await.text() != name {} }).await;
}

async fn three() -> [Origin; 3] {
    [Origin::named("one").await, Origin::named("two").await, Origin::named("three").await]
}

#[tokio::test]
async fn a_refused_connection_ejects_at_once_and_a_probe_brings_it_back() {
    let [mut dead, alive] = [Origin::named("dead").await, Origin::named("alive").await];
    let edge = Edge::with(|plan| plan.upstream.ejection.ejection_base = PATIENCE, &[&dead, &alive]).await;
    dead.die().await;
    for _ in 0..10 {
        assert_eq!(edge.get("/x").await.text(), "alive");
    }
    assert_eq!(edge.states(), [InstanceState::Ejected, InstanceState::Ready]);
    let ejected = &edge.gateway.instances()[0];
    assert_eq!((ejected.failures_total, ejected.ejections_total), (1, 1), "one failure told enough");
}

#[tokio::test]
async fn failures_in_a_row_eject_and_an_answer_in_between_forgives() {
    let healthy = Arc::new(AtomicBool::new(false));
    let is_healthy = Arc::clone(&healthy);
    let moody = Origin::start(move |mut visit| {
        let is_healthy = Arc::clone(&is_healthy);
        async move {
            while visit.request().await.is_some() {
                if !is_healthy.load(Relaxed) {
                    return;
                }
                visit.send(ok("moody")).await;
            }
        }
    })
    .await;
    let other = Origin::named("other").await;
    let edge = Edge::with(
        |plan| {
            plan.upstream.ejection.failures = 2;
            plan.upstream.ejection.ejection_base = ms(150);
        },
        &[&moody, &other],
    )
    .await;
    let moody_is = |state| edge.states()[0] == state;
    while moody.request_count() < 1 {
        assert_eq!(edge.get("/x").await.status(), 200);
    }
    assert!(moody_is(InstanceState::Ready), "one failure of two");
    healthy.store(true, Relaxed);
    until_answered_by(&edge, "moody").await;
    healthy.store(false, Relaxed);
    let before = moody.request_count();
    while moody.request_count() < before + 1 {
        assert_eq!(edge.get("/x").await.status(), 200);
    }
    assert!(moody_is(InstanceState::Ready), "its answer has made up for the first failure");
    while moody.request_count() < before + 2 {
        assert_eq!(edge.get("/x").await.status(), 200);
    }
    assert!(moody_is(InstanceState::Ejected));
    for _ in 0..6 {
        edge.get("/x").await;
    }
    assert_eq!(moody.request_count(), before + 2, "it gets nothing while it is out");
    healthy.store(true, Relaxed);
    until("its time to be over", || !moody_is(InstanceState::Ejected)).await;
    until_answered_by(&edge, "moody").await;
    assert!(moody_is(InstanceState::Ready));
}

#[tokio::test]
async fn an_only_instance_that_is_tried_out_serves_everybody_meanwhile() {
    let (is_well, may_answer) = (Arc::new(AtomicBool::new(false)), Arc::new(Semaphore::new(0)));
    let (well, answering) = (Arc::clone(&is_well), Arc::clone(&may_answer));
    let origin = Origin::start(move |mut visit| {
        let (well, answering) = (Arc::clone(&well), Arc::clone(&answering));
        async move {
            while visit.request().await.is_some() && well.load(Relaxed) {
                answering.acquire().await.unwrap().forget();
                visit.send(ok("well")).await;
            }
        }
    })
    .await;
    let edge = Edge::with(
        |plan| {
            plan.upstream.ejection.failures = 2;
            plan.upstream.ejection.ejection_base = ms(100);
            plan.upstream.breaker = None;
        },
        &[&origin],
    )
    .await;
    while edge.states() != [InstanceState::Ejected] {
        edge.get("/x").await;
    }
    let before = origin.request_count();
    is_well.store(true, Relaxed);
    until("its time to be over", || edge.states() != [InstanceState::Ejected]).await;
    let ten = join_all((0..10).map(|_| edge.get("/x")));
    let let_go = async {
        until("all of them there", || origin.request_count() >= before + 10).await;
        may_answer.add_permits(10);
    };
    let (answers, ()) = tokio::join!(ten, let_go);
    assert!(answers.iter().all(|answer| answer.status() == 200));
}

/// An instance whose readiness can be switched, and its requests apart from probes.
async fn with_readiness(name: &'static str) -> (Origin, Arc<AtomicBool>) {
    let ready = Arc::new(AtomicBool::new(true));
    let is_ready = Arc::clone(&ready);
    let origin = Origin::start(move |mut visit| {
        let is_ready = Arc::clone(&is_ready);
        async move {
            while let Some(request) = visit.request().await {
                let unready = request.target() == "/ready" && !is_ready.load(Relaxed);
                visit
                    .send(if unready { "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\nno".to_owned() } else { ok(name) })
                    .await;
            }
        }
    })
    .await;
    (origin, ready)
}

#[tokio::test]
async fn a_probe_takes_an_instance_out_and_back_in() {
    let ((first, first_is_ready), (second, _)) = (with_readiness("first").await, with_readiness("second").await);
    let edge = Edge::with(
        |plan| {
            plan.upstream.probe.path = Some("/ready".to_owned());
            plan.upstream.probe.interval = ms(20);
            plan.upstream.probe.unhealthy_after = 2;
            plan.upstream.probe.healthy_after = 2;
        },
        &[&first, &second],
    )
    .await;
    let probe = first.requests()[0].clone();
    assert_eq!((probe.first_line.as_str(), probe.field("user-agent")), ("GET /ready HTTP/1.1", Some("plimsoll-probe")));
    first_is_ready.store(false, Relaxed);
    until("the news", || edge.news.lock().unwrap().contains(&("api-1".to_owned(), false))).await;
    assert_eq!(edge.states(), [InstanceState::Unhealthy, InstanceState::Ready]);
    for _ in 0..6 {
        assert_eq!(edge.get("/x").await.text(), "second");
    }
    first_is_ready.store(true, Relaxed);
    until("the first to be back", || edge.states()[0] == InstanceState::Ready).await;
    until_answered_by(&edge, "first").await;
    assert_eq!(edge.gateway.edge().responses_total[4], 0, "nobody was failed");
}

#[tokio::test]
async fn when_too_few_are_good_everybody_is_tried() {
    let [mut first, mut second, third] = three().await;
    let edge = Edge::with(
        |plan| {
            plan.upstream.ejection.ejection_base = PATIENCE;
            plan.upstream.ejection.panic_threshold = 0.5;
        },
        &[&first, &second, &third],
    )
    .await;
    first.die().await;
    second.die().await;
    while edge.states().iter().filter(|state| **state == InstanceState::Ejected).count() < 2 {
        assert_eq!(edge.get("/x").await.text(), "three");
    }
    let retries = edge.gateway.edge().retries_total;
    in_time("the others to be tried too: one good of three is below half", async {
        while edge.gateway.edge().retries_total == retries {
            assert_eq!(edge.get("/x").await.text(), "three");
        }
    })
    .await;
}

#[tokio::test]
async fn who_comes_back_into_the_list_is_probed_before_it_gets_anything() {
    let (mut leaving, staying) = (Origin::named("leaving").await, Origin::named("staying").await);
    // After the first probe of each, nobody is asked again by the clock.
    let rare = |plan: &mut Plan| {
        plan.upstream.probe.interval = PATIENCE * 4;
        plan.upstream.ejection.failures = 200;
    };
    let edge = Edge::with(rare, &[&leaving, &staying]).await;
    let [out, back] = [true, false].map(|draining| vec![Endpoint { draining, ..leaving.endpoint("api-1") }, staying.endpoint("api-2")]);
    edge.endpoints.send_replace(out.clone());
    until("the one to drain", || edge.states()[0] == InstanceState::Draining).await;
    edge.endpoints.send_replace(back.clone());
    until("it to be ready again, at once", || edge.states()[0] == InstanceState::Ready).await;

    edge.endpoints.send_replace(out);
    until("the one to drain", || edge.states()[0] == InstanceState::Draining).await;
    leaving.die().await;
    edge.endpoints.send_replace(back);
    until("it not to drain any more", || edge.states()[0] != InstanceState::Draining).await;
    for _ in 0..20 {
        assert_eq!(edge.get("/x").await.text(), "staying");
    }
    assert_eq!((edge.states()[0], edge.gateway.edge().retries_total), (InstanceState::Starting, 0));
}

#[tokio::test]
async fn a_draining_instance_finishes_and_gets_nothing_new() {
    let finish = Arc::new(Notify::new());
    let finished = Arc::clone(&finish);
    let leaving = Origin::start(move |mut visit| {
        let finished = Arc::clone(&finished);
        async move {
            while visit.request().await.is_some() {
                finished.notified().await;
                visit.send(ok("leaving")).await;
            }
        }
    })
    .await;
    let staying = Origin::named("staying").await;
    let edge = Edge::before(&[&leaving]).await;
    let mut in_flight = edge.connect().await;
    in_flight.send(get("/slow")).await;
    until("it to be in flight", || leaving.request_count() == 1).await;
    edge.endpoints.send_replace(vec![Endpoint { draining: true, ..leaving.endpoint("api-1") }, staying.endpoint("api-2")]);
    until("the other to be ready", || edge.states() == [InstanceState::Draining, InstanceState::Ready]).await;
    for _ in 0..6 {
        assert_eq!(edge.get("/x").await.text(), "staying");
    }
    assert_eq!(leaving.request_count(), 1);
    finish.notify_one();
    assert_eq!(in_flight.answer().await.text(), "leaving");
}

#[tokio::test]
async fn an_instance_that_came_back_elsewhere_is_asked_there() {
    let [old, new] = [Origin::named("old").await, Origin::named("new").await];
    let edge = Edge::before(&[&old]).await;
    let mut client = edge.connect().await;
    assert_eq!(client.ask(get("/x")).await.text(), "old");
    edge.endpoints.send_replace(vec![Endpoint { generation: 1, ..new.endpoint("api-1") }]);
    until("the new one to be ready", || edge.news.lock().unwrap().len() == 2).await;
    for _ in 0..3 {
        assert_eq!(client.ask(get("/x")).await.text(), "new");
    }
    assert_eq!(old.request_count(), 1);
    assert_eq!(edge.gateway.instances()[0].responses_total[1], 4, "totals belong to the name and outlive a restart");
}

#[tokio::test]
async fn a_request_waits_for_the_first_instance_to_be_ready() {
    let edge = Edge::over(|_| {}, Vec::new());
    let [mut get_waits, mut post_waits] = [edge.connect().await, edge.connect().await];
    get_waits.send(get("/x")).await;
    post_waits.send(with_body("POST", "/y", "body")).await;
    until("both to wait", || edge.gateway.edge().in_flight == 2).await;
    let origin = Origin::named("at last").await;
    edge.endpoints.send_replace(vec![origin.endpoint("api-1")]);
    assert_eq!(get_waits.answer().await.text(), "at last");
    assert_eq!(post_waits.answer().await.text(), "at last");
    assert_eq!(origin.request_count(), 2);
}

#[tokio::test]
async fn a_request_that_nobody_can_take_is_refused_with_a_time_to_come_back() {
    let origin = Origin::named("leaving").await;
    let endpoints = [vec![], vec![Endpoint { draining: true, ..origin.endpoint("api-1") }]];
    for endpoints in endpoints {
        let edge = Edge::over(|plan| plan.config.timeouts.total = ms(100), endpoints);
        let started = std::time::Instant::now();
        let answer = edge.get("/x").await;
        assert_problem(&answer, 503, "no-instance");
        assert_eq!(answer.field("retry-after"), Some("1"));
        assert!(started.elapsed() >= ms(100) && started.elapsed() < ms(1_000), "{:?}", started.elapsed());
        let mut client = edge.connect().await;
        client.send("HEAD /x HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let head = client.head().await.unwrap();
        assert_eq!((head.status(), head.field("content-length").is_some()), (503, true));
        assert_problem(&client.ask(get("/x")).await, 503, "no-instance");
        assert_eq!(edge.gateway.edge().shed_total, 0, "nobody to answer is an error");
    }
    assert_eq!(origin.request_count(), 0);
}

#[tokio::test]
async fn a_key_stays_with_its_instance_and_only_those_of_a_lost_one_move() {
    let origins = three().await;
    let by_session = |plan: &mut Plan| {
        plan.upstream.balance = balance::Policy::ConsistentHash;
        plan.upstream.hash_on = Sender::Cookie("session".to_owned());
    };
    let edge = Edge::with(by_session, &origins.each_ref()).await;
    let home = async |key: u32| {
        let answer = edge.ask(format!("GET /x HTTP/1.1\r\nhost: a\r\ncookie: other=1; session={key}\r\n\r\n")).await;
        answer.text().to_owned()
    };
    let mut homes = HashMap::new();
    for key in 0..30 {
        homes.insert(key, home(key).await);
        assert_eq!(home(key).await, homes[&key]);
    }
    for name in ["one", "two", "three"] {
        assert!(homes.values().any(|home| home == name), "{name} has none of 30 keys");
    }
    let without = Arc::new(Edits::new(vec![header::COOKIE], Vec::new(), Vec::new()).unwrap());
    edge.reload(|plan| {
        by_session(plan);
        let edited = Policies { request_headers: Some(without), ..Policies::default() };
        plan.routes = vec![Route::new(None, "/*", 0).unwrap().with(edited)];
    })
    .await;
    for (key, home_of) in &homes {
        assert_eq!(home(*key).await, *home_of, "what an instance does not see keeps its clients together all the same");
    }
    let left = origins[..2].iter().enumerate().map(|(number, origin)| origin.endpoint(&format!("api-{}", number + 1))).collect();
    edge.endpoints.send_replace(left);
    until("the third to be gone", || edge.states().len() == 2).await;
    for (key, before) in homes {
        let now = home(key).await;
        assert!(now == before || before == "three", "{key} moved from {before} to {now}");
        assert_ne!(now, "three");
    }
}

#[tokio::test]
async fn each_policy_spreads_requests_as_its_name_says() {
    let origins = three().await;
    let edge = Edge::before(&origins.each_ref()).await;
    let mut client = edge.connect().await;
    for _ in 0..90 {
        client.ask(get("/x")).await;
    }
    // Not 30 each: who was ready a moment earlier has a moment's lead.
    let counts = origins.each_ref().map(Origin::request_count);
    assert!(counts.iter().all(|count| (20..=45).contains(count)), "round robin: {counts:?}");

    let busy = Origin::start(|mut visit| async move {
        visit.request().await;
        visit.peer.rest().await;
    })
    .await;
    let idle = Origin::named("idle").await;
    let edge = Edge::with(|plan| plan.upstream.balance = balance::Policy::LeastConnections, &[&busy, &idle]).await;
    let mut held = Vec::new();
    while busy.request_count() == 0 {
        let mut client = edge.connect().await;
        client.send(get("/hold")).await;
        held.push(client);
        until("it to arrive", || busy.request_count() + idle.request_count() == held.len()).await;
    }
    for _ in 0..6 {
        assert_eq!(edge.get("/x").await.text(), "idle", "least connections");
    }
    drop(held);

    let [heavy, light] = [Origin::named("heavy").await, Origin::named("light").await];
    let edge = Edge::over(|_| {}, vec![Endpoint { weight: 3, ..heavy.endpoint("api-1") }, light.endpoint("api-2")]);
    until("both to be ready", || edge.news.lock().unwrap().len() == 2).await;
    let mut client = edge.connect().await;
    for _ in 0..80 {
        client.ask(get("/x")).await;
    }
    let counts = (heavy.request_count(), light.request_count());
    assert!((50..=70).contains(&counts.0), "weights 3 to 1: {counts:?}");
}

#[tokio::test]
async fn an_instance_on_a_unix_socket_is_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let origin = Origin::start_unix(&folder.path().join("app.sock"), |mut visit| async move {
        while let Some(request) = visit.request().await {
            visit.send(ok(request.text())).await;
        }
    });
    let edge = Edge::before(&[&origin]).await;
    let mut client = edge.connect().await;
    for body in ["one", "two"] {
        assert_eq!(client.ask(with_body("POST", "/x", body)).await.text(), body);
    }
    assert_eq!(origin.connection_count(), 1);
    std::fs::remove_file(folder.path().join("app.sock")).unwrap();
    let alive = Origin::named("alive").await;
    edge.endpoints.send_replace(vec![origin.endpoint("api-1"), alive.endpoint("api-2")]);
    until("the other to be ready", || edge.news.lock().unwrap().len() == 2).await;
    drop(origin);
    for _ in 0..4 {
        assert_eq!(edge.ask(with_body("POST", "/x", "y")).await.status(), 200, "a socket file that is gone is a refused connection");
    }
}

#[tokio::test]
async fn a_server_that_is_discovered_while_others_serve_gets_a_rising_share() {
    const ROUND: usize = 40;
    let [old, new] = [Origin::named("old").await, Origin::named("new").await];
    let edge = Edge::with(|_| {}, &[&old]).await;
    // The share is its age over that of the oldest.
    tokio::time::sleep(ms(1_500)).await;
    edge.endpoints.send(vec![old.endpoint("api-1"), new.endpoint("api-2")]).unwrap();
    until("the new one to be ready", || edge.news.lock().unwrap().len() == 2).await;
    let share = async || {
        let mut count = 0;
        for _ in 0..ROUND {
            count += usize::from(edge.get("/x").await.text() == "new");
        }
        count
    };
    let first = share().await;
    assert!(first < ROUND / 3, "{first} of the first {ROUND}: half of them would be its fair share");
    let fair = async { while share().await < ROUND * 2 / 5 {} };
    timeout(4 * PATIENCE, fair).await.expect("a share that rises to nearly a half");
}
