//! Two gateways on the same sockets, one after the other: nobody who connects finds nobody there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use plimsoll_gateway::config::Door;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::edge::{Edge, Plan, get};
use crate::origin::Origin;
use crate::peer::{Peer, in_time, ms, until};

/// A gateway on the sockets of another that takes nothing before it is told to.
fn succeed(doors: Vec<Door>) -> impl FnOnce(&mut Plan) {
    move |plan| {
        plan.sockets = doors.into_iter().flat_map(|door| door.sockets).collect();
        plan.is_waiting = true;
    }
}

#[tokio::test]
async fn a_gateway_that_waits_takes_no_connection() {
    let (first, second) = (Origin::named("first").await, Origin::named("second").await);
    let before = Edge::before(&[&first]).await;
    let after = Edge::with(succeed(before.gateway.sockets().unwrap()), &[&second]).await;
    assert_eq!(after.gateway.address(), before.gateway.address());
    for _ in 0..20 {
        assert_eq!(before.get("/").await.text(), "first");
    }
    assert_eq!(after.gateway.edge().connections_total, 0);
    after.gateway.open();
    before.gateway.hand_over().await;
    for _ in 0..20 {
        assert_eq!(after.get("/").await.text(), "second");
    }
}

#[tokio::test]
async fn a_gateway_that_waits_and_is_dropped_leaves_the_queue_alone() {
    let origin = Origin::named("x").await;
    let edge = Edge::before(&[&origin]).await;
    for _ in 0..5 {
        let other = Edge::with(succeed(edge.gateway.sockets().unwrap()), &[&origin]).await;
        let clients: Vec<_> = (0..20).map(|_| edge.get("/")).collect();
        other.gateway.drain().await;
        for client in clients {
            assert_eq!(client.await.status(), 200);
        }
    }
}

/// Every client asks again and again on a connection that it keeps for as long as it may, and asks nothing twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_lost_from_one_gateway_to_the_next() {
    let origin = Origin::named("x").await;
    let mut edge = Edge::with(|plan| plan.workers = 2, &[&origin]).await;
    let address = edge.gateway.address();
    let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let mut clients = Vec::new();
    for _ in 0..8 {
        let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
        clients.push(tokio::spawn(async move {
            let mut kept: Option<Peer> = None;
            while !stop.load(Relaxed) {
                let mut client = match kept.take() {
                    Some(client) => client,
                    None => Peer::new(TcpStream::connect(address).await.expect("somebody listens")),
                };
                let answer = client.ask(get("/x")).await;
                assert_eq!(answer.text(), "x");
                answered.fetch_add(1, Relaxed);
                kept = (answer.field("connection") != Some("close")).then_some(client);
                tokio::time::sleep(ms(fastrand::u64(0..3))).await;
            }
        }));
    }
    let mut leaving = Vec::new();
    for round in 1..=10 {
        until("some traffic", || answered.load(Relaxed) >= 40 * round).await;
        let next = Edge::with(succeed(edge.gateway.sockets().unwrap()), &[&origin]).await;
        next.gateway.open();
        let before = std::mem::replace(&mut edge, next);
        leaving.push(tokio::spawn(async move { before.gateway.hand_over().await }));
    }
    stop.store(true, Relaxed);
    for task in clients.into_iter().chain(leaving) {
        in_time("the end", task).await.unwrap();
    }
}

#[tokio::test]
async fn an_idle_connection_may_ask_once_more_before_it_is_closed() {
    let origin = Origin::named("x").await;
    let edge = Edge::with(|plan| plan.config.timeouts.drain = ms(2_000), &[&origin]).await;
    let mut asks_again = edge.connect().await;
    asks_again.ask(get("/x")).await;
    let mut silent = edge.connect().await;
    silent.ask(get("/x")).await;
    let watch = async {
        until("the order", || edge.gateway.is_draining()).await;
        let started = Instant::now();
        tokio::time::sleep(ms(300)).await;
        let answer = asks_again.ask(get("/x")).await;
        assert_eq!((answer.status(), answer.field("connection")), (200, Some("close")));
        silent.closed().await;
        assert!(started.elapsed() >= ms(900), "half of the drain time: {:?}", started.elapsed());
    };
    timeout(ms(3_000), async { tokio::join!(edge.gateway.hand_over(), watch) }).await.unwrap();
}

#[tokio::test]
async fn fewer_sockets_than_workers_are_served_by_all() {
    let origin = Origin::named("x").await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let share = |plan: &mut Plan| {
        plan.workers = 3;
        plan.sockets = vec![listener];
    };
    let edge = Edge::with(share, &[&origin]).await;
    assert_eq!(edge.gateway.address(), address);
    for _ in 0..30 {
        assert_eq!(edge.get("/").await.text(), "x");
    }
    edge.gateway.drain().await;
    in_time("the port to be free", async { while TcpStream::connect(address).await.is_ok() {} }).await;
}
