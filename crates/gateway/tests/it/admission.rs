//! The load line at the edge: who holds a place, for how long, and who is refused.

use std::sync::Arc;

use plimsoll_gateway::route::{Policies, Route};
use plimsoll_policy::admission;
use tokio::sync::Semaphore;

use crate::edge::{Edge, Plan, get, with_body};
use crate::origin::{Origin, ok};
use crate::peer::{PATIENCE, Peer, assert_problem, ms, until};

/// An origin that answers each request when a test says so.
struct Held {
    origin: Origin,
    answers: Arc<Semaphore>,
}

impl Held {
    async fn start() -> Self {
        let answers = Arc::new(Semaphore::new(0));
        let gate = Arc::clone(&answers);
        let origin = Origin::start(move |mut visit| {
            let gate = Arc::clone(&gate);
            async move {
                while visit.request().await.is_some() {
                    gate.acquire().await.unwrap().forget();
                    visit.send(ok("done")).await;
                }
            }
        })
        .await;
        Self { origin, answers }
    }

    fn answer(&self, count: usize) {
        self.answers.add_permits(count);
    }
}

/// One place, and enough time in the queue for a test to look.
fn one_place(plan: &mut Plan) {
    let config = admission::Config { queue_wait_max: PATIENCE, queue_wait_overloaded: PATIENCE, ..admission::Config::default() };
    plan.upstream.admission = Some(config.fixed_at(1));
}

async fn ask(edge: &Edge, request: impl AsRef<[u8]>) -> Peer {
    let mut client = edge.connect().await;
    client.send(request).await;
    client
}

impl Edge {
    fn waiting(&self) -> u64 {
        self.gateway.load_lines()[0].waiting.iter().sum()
    }

    fn places_taken(&self) -> u64 {
        self.gateway.load_lines()[0].in_flight
    }
}

#[tokio::test]
async fn beyond_the_limit_requests_wait_for_their_turn() {
    let held = Held::start().await;
    let edge = Edge::with(one_place, &[&held.origin]).await;
    let mut first = ask(&edge, get("/first")).await;
    until("the first to arrive", || held.origin.request_count() == 1).await;
    let mut second = ask(&edge, get("/second")).await;
    until("the second to wait", || edge.waiting() == 1).await;
    assert_eq!(held.origin.request_count(), 1, "the instance has one request at a time");
    held.answer(2);
    assert_eq!(first.answer().await.status(), 200);
    assert_eq!(second.answer().await.status(), 200);
    until("all places to be free", || edge.places_taken() == 0).await;
}

#[tokio::test]
async fn whoever_waited_as_long_as_anybody_may_is_told_when_to_come_back() {
    let held = Held::start().await;
    let edge = Edge::with(
        |plan| {
            one_place(plan);
            plan.upstream.admission.as_mut().unwrap().queue_wait_max = ms(50);
        },
        &[&held.origin],
    )
    .await;
    let _first = ask(&edge, get("/first")).await;
    until("the first to arrive", || held.origin.request_count() == 1).await;
    let refused = edge.get("/second").await;
    assert_problem(&refused, 503, "overloaded");
    assert_eq!(refused.json()["setting"], "gateway.admission.queue_wait_max");
    let seconds: u64 = refused.field("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(edge.refusals("overloaded"), 1);
    assert_eq!(edge.gateway.edge().shed_total, 1, "counted apart from errors");
}

#[tokio::test]
async fn a_client_that_leaves_keeps_its_place_while_the_instance_works_on() {
    let held = Held::start().await;
    let edge = Edge::with(one_place, &[&held.origin]).await;
    held.answer(1);
    // The measured latency is what the place is kept for.
    assert_eq!(edge.get("/calm").await.status(), 200);
    let client = ask(&edge, get("/left")).await;
    until("the request to arrive", || held.origin.request_count() == 2).await;
    drop(client);
    until("the gateway to notice", || edge.gateway.edge().client_gone_total == 1).await;
    assert_eq!(edge.gateway.load_lines()[0].lingering, 1);
    // Nobody says when the work for the one that left is over; the next one gets the place once it must be.
    held.answer(2);
    assert_eq!(edge.get("/next").await.status(), 200);
}

#[tokio::test]
async fn a_client_that_leaves_the_queue_is_never_worked_for() {
    let held = Held::start().await;
    let edge = Edge::with(one_place, &[&held.origin]).await;
    let mut first = ask(&edge, get("/first")).await;
    until("the first to arrive", || held.origin.request_count() == 1).await;
    let second = ask(&edge, get("/second")).await;
    until("the second to wait", || edge.waiting() == 1).await;
    drop(second);
    until("the second to be gone", || edge.waiting() == 0).await;
    held.answer(1);
    assert_eq!(first.answer().await.status(), 200);
    until("all places to be free", || edge.places_taken() == 0).await;
    assert_eq!(held.origin.request_count(), 1);
}

#[tokio::test]
async fn a_place_is_held_until_the_last_byte_of_the_answer() {
    let rest = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&rest);
    let origin = Origin::start(move |mut visit| {
        let gate = Arc::clone(&gate);
        async move {
            while visit.request().await.is_some() {
                visit.send(format!("HTTP/1.1 200 OK\r\ncontent-length: 50000\r\n\r\n{}", "x".repeat(25_000))).await;
                gate.acquire().await.unwrap().forget();
                visit.send("x".repeat(25_000)).await;
            }
        }
    })
    .await;
    let edge = Edge::with(one_place, &[&origin]).await;
    let mut first = ask(&edge, get("/first")).await;
    assert_eq!(first.head().await.unwrap().status(), 200);
    let mut second = ask(&edge, get("/second")).await;
    until("the second to wait", || edge.waiting() == 1).await;
    assert_eq!((edge.places_taken(), origin.request_count()), (1, 1));
    rest.add_permits(2);
    assert_eq!(second.answer().await.status(), 200);
}

#[tokio::test]
async fn streams_do_not_hold_places() {
    const EVENTS: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    const SLOW: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n";
    for head in [EVENTS, SLOW] {
        let origin = Origin::start(move |mut visit| async move {
            while let Some(request) = visit.request().await {
                match request.target() {
                    "/stream" => visit.send(head).await,
                    _ => visit.send(ok("done")).await,
                }
            }
        })
        .await;
        let edge = Edge::with(one_place, &[&origin]).await;
        let mut stream = ask(&edge, get("/stream")).await;
        assert_eq!(stream.head().await.unwrap().status(), 200);
        until("the stream's place to be free", || edge.places_taken() == 0).await;
        assert_eq!(edge.get("/other").await.status(), 200);
    }
}

#[tokio::test]
async fn a_switched_connection_holds_no_place() {
    let origin = Origin::start(|mut visit| async move {
        while let Some(request) = visit.request().await {
            match request.target() {
                "/socket" => visit.send("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n").await,
                _ => visit.send(ok("done")).await,
            }
        }
    })
    .await;
    let edge = Edge::with(one_place, &[&origin]).await;
    let mut socket = ask(&edge, "GET /socket HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n").await;
    assert_eq!(socket.head().await.unwrap().status(), 101);
    assert_eq!(edge.get("/other").await.status(), 200);
}

#[tokio::test]
async fn a_slow_upload_asks_for_its_place_when_it_has_arrived() {
    let origin = Origin::named("a").await;
    let edge = Edge::with(one_place, &[&origin]).await;
    let mut slow = ask(&edge, "POST /slow HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab").await;
    until("the head to be read", || edge.gateway.edge().in_flight == 1).await;
    assert_eq!(edge.get("/other").await.status(), 200);
    assert_eq!(origin.request_count(), 1, "the instance hears of it when there is something to do");
    slow.send("cd").await;
    assert_eq!(slow.answer().await.status(), 200);
    assert_eq!(origin.requests()[1].text(), "abcd");
}

#[tokio::test]
async fn a_client_that_does_not_send_what_it_announced_keeps_nobody_out() {
    for slow in [
        "POST /slow HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n",
        "POST /slow HTTP/1.1\r\nhost: a\r\ncontent-length: 3000000\r\n\r\nx",
        "POST /slow HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n",
    ] {
        let origin = Origin::named("a").await;
        let edge = Edge::with(one_place, &[&origin]).await;
        let _client = ask(&edge, slow).await;
        until("the slow request to have begun", || edge.gateway.edge().in_flight == 1 && edge.gateway.instances()[0].in_flight == 1).await;
        assert_eq!(edge.get("/other").await.status(), 200, "{slow:?}");
    }
}

#[tokio::test]
async fn the_more_important_goes_first_and_strangers_cannot_claim_to_be() {
    let held = Held::start().await;
    let important = Policies { priority: "critical".parse().unwrap(), ..Policies::default() };
    let edge = Edge::with(
        |plan| {
            one_place(plan);
            plan.routes.push(Route::new(None, "/pay", 0).unwrap().with(important));
        },
        &[&held.origin],
    )
    .await;
    let prioritised = |target: &str, class: &str| format!("GET {target} HTTP/1.1\r\nhost: a\r\nx-request-priority: {class}\r\n\r\n");
    let mut clients = vec![ask(&edge, get("/first")).await];
    until("the first to arrive", || held.origin.request_count() == 1).await;
    let waiters = [prioritised("/prefetch", "sheddable"), prioritised("/liar", "critical"), get("/pay")];
    for (number, request) in waiters.iter().enumerate() {
        clients.push(ask(&edge, request).await);
        until("it to wait", || edge.waiting() == number as u64 + 1).await;
    }
    held.answer(4);
    for client in &mut clients {
        assert_eq!(client.answer().await.status(), 200);
    }
    let order: Vec<_> = held.origin.requests().iter().map(|request| request.target().to_owned()).collect();
    assert_eq!(order, ["/first", "/pay", "/liar", "/prefetch"]);
}

#[tokio::test]
async fn senders_take_turns() {
    let held = Held::start().await;
    let edge = Edge::with(
        |plan| {
            one_place(plan);
            plan.upstream.fair_by = plimsoll_gateway::sender::Sender::Header("x-tenant".to_owned());
        },
        &[&held.origin],
    )
    .await;
    let of = |target: &str, tenant: &str| format!("GET {target} HTTP/1.1\r\nhost: a\r\nx-tenant: {tenant}\r\n\r\n");
    let mut clients = vec![ask(&edge, get("/first")).await];
    until("the first to arrive", || held.origin.request_count() == 1).await;
    for (number, target) in ["/flood/1", "/flood/2", "/flood/3", "/quiet"].into_iter().enumerate() {
        clients.push(ask(&edge, of(target, &target[1..6])).await);
        until("it to wait", || edge.waiting() == number as u64 + 1).await;
    }
    held.answer(5);
    for client in &mut clients {
        assert_eq!(client.answer().await.status(), 200);
    }
    let order: Vec<_> = held.origin.requests().iter().map(|request| request.target().to_owned()).collect();
    assert_eq!(order, ["/first", "/flood/1", "/quiet", "/flood/2", "/flood/3"]);
}

#[tokio::test]
async fn who_needs_no_place_may_pause_while_it_sends() {
    let origin = Origin::named("a").await;
    let edge = Edge::with(|plan| plan.upstream.admission = None, &[&origin]).await;
    let mut client = ask(&edge, "POST /slow HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").await;
    until("the head to be read", || edge.gateway.edge().in_flight == 1).await;
    // Longer than a place would be held for it; the limit on silence is far away.
    tokio::time::sleep(ms(1_200)).await;
    client.send("1\r\nx\r\n0\r\n\r\n").await;
    assert_eq!(client.answer().await.status(), 200);
}

#[tokio::test]
async fn a_route_may_stand_outside() {
    let held = Held::start().await;
    let outside = Policies { needs_place: false, ..Policies::default() };
    let edge = Edge::with(
        |plan| {
            one_place(plan);
            plan.routes.push(Route::new(None, "/poll", 0).unwrap().with(outside));
        },
        &[&held.origin],
    )
    .await;
    let _polls = [ask(&edge, get("/poll")).await, ask(&edge, get("/poll")).await];
    until("both to arrive", || held.origin.request_count() == 2).await;
    assert_eq!(edge.places_taken(), 0);
}

#[tokio::test]
async fn a_request_that_is_sent_again_keeps_its_place() {
    let mut dead = Origin::named("dead").await;
    let alive = Origin::named("alive").await;
    let edge = Edge::with(one_place, &[&dead, &alive]).await;
    dead.die().await;
    for _ in 0..4 {
        assert_eq!(edge.ask(with_body("PUT", "/", "x")).await.text(), "alive");
        until("its place to be free", || edge.places_taken() == 0).await;
    }
    assert!(edge.gateway.edge().retries_total >= 1);
}
