//! What happens to a request when the instance that got it does not answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::edge::{Edge, get, with_body};
use crate::origin::{Origin, Visit, ok};
use crate::peer::{Broken, Message, assert_problem, ms, until};

/// The ways in which an instance fails to answer a request that it may have seen.
#[derive(Clone, Copy, Debug)]
enum Death {
    /// Closes before it has read anything: to the gateway's kernel that is a reset.
    Unread,
    Close,
    Reset,
    HalfHead,
    Garbage,
    /// Two lengths: nobody can tell where this answer ends.
    Ambiguous,
    /// Switches protocols although nobody asked.
    Unasked101,
}

const DEATHS: [Death; 7] =
    [Death::Unread, Death::Close, Death::Reset, Death::HalfHead, Death::Garbage, Death::Ambiguous, Death::Unasked101];

impl Death {
    async fn befall(self, mut visit: Visit) {
        if matches!(self, Self::Unread) {
            visit.head().await;
            return;
        }
        visit.request().await;
        match self {
            Self::Unread | Self::Close => {}
            Self::Reset => visit.peer.reset(),
            Self::HalfHead => visit.send("HTTP/1.1 200 OK\r\ncontent-le").await,
            Self::Garbage => visit.send("SSH-2.0-OpenSSH_9.9\r\n\r\n").await,
            Self::Ambiguous => visit.send("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nno").await,
            Self::Unasked101 => visit.send("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n").await,
        }
    }

    async fn origin(self) -> Origin {
        Origin::start(move |visit| self.befall(visit)).await
    }
}

/// Two origins of which only the first one to be asked dies, so that it does not matter whose turn it is.
async fn first_asked_dies(death: Death) -> [Origin; 2] {
    let died = Arc::new(AtomicBool::new(false));
    let origin = async || {
        let died = Arc::clone(&died);
        Origin::start(move |mut visit| {
            let dies = !died.swap(true, Relaxed);
            async move {
                if dies {
                    return death.befall(visit).await;
                }
                while visit.request().await.is_some() {
                    visit.send(ok("alive")).await;
                }
            }
        })
        .await
    };
    [origin().await, origin().await]
}

fn requests(origins: &[Origin]) -> Vec<Message> {
    origins.iter().flat_map(Origin::requests).collect()
}

#[tokio::test]
async fn a_get_is_answered_by_another_instance_however_the_first_one_dies() {
    for death in DEATHS {
        let origins = first_asked_dies(death).await;
        let edge = Edge::before(&[&origins[0], &origins[1]]).await;
        let answer = edge.get("/x").await;
        assert_eq!((answer.status(), answer.text()), (200, "alive"), "{death:?}");
        let seen: Vec<_> = origins.iter().map(Origin::request_count).collect();
        assert_eq!(seen, [1, 1], "{death:?}: one attempt each");
        assert_eq!(edge.gateway.edge().retries_total, 1);
    }
}

#[tokio::test]
async fn a_post_that_was_sent_is_answered_502_and_never_sent_again() {
    for death in DEATHS {
        let origins = [death.origin().await, death.origin().await];
        let edge = Edge::before(&[&origins[0], &origins[1]]).await;
        let answer = edge.ask(with_body("POST", "/pay", "amount=1")).await;
        assert_problem(&answer, 502, "upstream-failed");
        assert_eq!(requests(&origins).len(), 1, "{death:?}");
    }
}

#[tokio::test]
async fn a_post_moves_on_when_nobody_listens() {
    let [mut dead, alive] = [Origin::named("dead").await, Origin::named("alive").await];
    let edge = Edge::before(&[&dead, &alive]).await;
    dead.die().await;
    for _ in 0..4 {
        let answer = edge.ask(with_body("POST", "/pay", "amount=1")).await;
        assert_eq!((answer.status(), answer.text()), (200, "alive"));
    }
    assert_eq!((dead.request_count(), alive.request_count()), (0, 4));
    assert_eq!(edge.gateway.edge().retries_total, 1, "the first refusal ejects: the others need no second attempt");
}

#[tokio::test]
async fn a_put_is_replayed_whole_up_to_the_limit_and_not_beyond() {
    const LIMIT: usize = 20_000;
    for (length, chunked) in [(0, false), (1, false), (LIMIT, false), (LIMIT, true), (LIMIT + 1, false), (LIMIT + 1, true)] {
        let origins = first_asked_dies(Death::Close).await;
        let edge = Edge::with(|plan| plan.config.retry.replay_bytes_max = LIMIT, &[&origins[0], &origins[1]]).await;
        let body = "0123456789".repeat(LIMIT / 10 + 1)[..length].to_owned();
        let answer = if chunked {
            let mut client = edge.connect().await;
            client.send("PUT /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").await;
            client.chunk(&body[..7_000]).await;
            client.chunk(&body[7_000..]).await;
            client.ask("0\r\n\r\n").await
        } else {
            edge.ask(with_body("PUT", "/x", &body)).await
        };
        let seen = requests(&origins);
        if length > LIMIT {
            assert_problem(&answer, 502, "upstream-failed");
            assert_eq!(seen.len(), 1, "{length}");
        } else {
            assert_eq!(answer.status(), 200, "{length}");
            assert_eq!(seen.len(), 2, "{length}");
            assert!(seen.iter().all(|request| request.text() == body), "{length}: both saw all of it");
        }
    }
}

#[tokio::test]
async fn once_a_byte_was_forwarded_the_answer_breaks_off_and_is_not_asked_for_again() {
    let beginnings = [
        "HTTP/1.1 200 OK\r\ncontent-length: 20000\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\nx-trailer: un",
    ];
    for beginning in beginnings {
        let origin = async || {
            Origin::start(move |mut visit| async move {
                visit.request().await;
                visit.send(beginning).await;
            })
            .await
        };
        let origins = [origin().await, origin().await];
        let edge = Edge::before(&[&origins[0], &origins[1]]).await;
        let mut client = edge.connect().await;
        client.send(get("/x")).await;
        let mut answer = client.head().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(client.answer_body(&mut answer).await, Err(Broken), "{beginning:?}");
        assert_eq!(requests(&origins).len(), 1);
        let failures = || edge.gateway.instances().iter().map(|instance| instance.failures_total).sum::<u64>();
        until("the failure to be counted", || failures() == 1).await;
    }
}

#[tokio::test]
async fn a_short_answer_that_breaks_off_is_given_by_another_instance() {
    let half = Origin::start(|mut visit: Visit| async move {
        visit.request().await;
        visit.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
    })
    .await;
    let whole = Origin::named("whole").await;
    let edge = Edge::before(&[&half, &whole]).await;
    while half.request_count() == 0 {
        assert_eq!(edge.get("/x").await.text(), "whole");
    }
    assert_eq!(edge.get("/x").await.text(), "whole");
}

#[tokio::test]
async fn a_request_gets_no_more_attempts_than_it_may() {
    for attempts_max in [1, 2, 4] {
        let origins = [Death::Close.origin().await, Death::Close.origin().await, Death::Close.origin().await, Death::Close.origin().await];
        let edge = Edge::with(|plan| plan.config.retry.attempts_max = attempts_max, &origins.each_ref()).await;
        assert_problem(&edge.get("/x").await, 502, "upstream-failed");
        let seen: Vec<_> = origins.iter().map(Origin::request_count).collect();
        assert_eq!(seen.iter().sum::<usize>(), attempts_max as usize);
        assert!(seen.iter().all(|count| *count <= 1), "each attempt goes to another instance: {seen:?}");
    }
}

#[tokio::test]
async fn when_every_instance_is_gone_the_answer_says_so_and_the_next_one_that_comes_back_is_found() {
    let [mut first, mut second] = [Origin::named("first").await, Origin::named("second").await];
    let edge = Edge::before(&[&first, &second]).await;
    first.die().await;
    second.die().await;
    assert_problem(&edge.get("/x").await, 502, "upstream-failed");
    assert_problem(&edge.ask(with_body("POST", "/x", "y")).await, 502, "upstream-failed");
    let back = Origin::named("back").await;
    edge.endpoints.send_replace(vec![plimsoll_gateway::Endpoint { generation: 1, ..back.endpoint("api-1") }]);
    until("the new one to be ready", || edge.news.lock().unwrap().len() == 3).await;
    assert_eq!(edge.get("/x").await.text(), "back");
}

#[tokio::test]
async fn the_restart_of_a_single_instance_is_a_pause_and_no_error() {
    let mut old = Origin::named("old").await;
    let edge = Edge::before(&[&old]).await;
    old.die().await;
    let new = Origin::named("new").await;
    let restart = async {
        until("the first attempts to fail", || edge.gateway.instances()[0].failures_total > 0).await;
        edge.endpoints.send_replace(vec![plimsoll_gateway::Endpoint { generation: 1, ..new.endpoint("api-1") }]);
    };
    let (get, post, ()) = tokio::join!(edge.get("/x"), edge.ask(with_body("POST", "/x", "y")), restart);
    assert_eq!((get.text(), post.text()), ("new", "new"));
}

#[tokio::test]
async fn a_connection_that_the_instance_closed_while_it_was_idle_fails_nobody() {
    let origin = Origin::start(|mut visit| async move {
        visit.request().await;
        visit.send(ok("once")).await;
    })
    .await;
    let edge = Edge::before(&[&origin]).await;
    let mut client = edge.connect().await;
    for number in 0..20 {
        let (get, post) = (get(&format!("/{number}")), with_body("POST", &format!("/{number}"), "x"));
        assert_eq!(client.ask(if number % 2 == 0 { get } else { post }).await.status(), 200);
    }
    let mut targets: Vec<_> = origin.requests().iter().map(|request| request.target().to_owned()).collect();
    targets.dedup();
    assert_eq!(targets.len(), 20, "each was seen once: {targets:?}");
}

/// An instance that closes just when a request is on its way: the gateway cannot have known.
async fn closes_on_the_second_request() -> Origin {
    Origin::start(|mut visit| async move {
        visit.request().await;
        visit.send(ok("first")).await;
        visit.head().await;
    })
    .await
}

#[tokio::test]
async fn a_connection_closed_under_a_get_is_replaced_by_a_new_one_and_a_post_is_not_doubled() {
    let origin = closes_on_the_second_request().await;
    let edge = Edge::before(&[&origin]).await;
    for number in 0..4 {
        assert_eq!(edge.get(&format!("/get/{number}")).await.status(), 200);
    }
    let status = edge.ask(with_body("POST", "/pay", "x")).await.status();
    let seen = origin.requests().iter().filter(|request| request.target() == "/pay").count();
    assert_eq!((status, seen), (502, 1), "sent on a connection that looked good, then lost: nobody knows whether it was done");
}

#[tokio::test]
async fn many_stale_connections_cost_a_get_one_attempt_only() {
    let origin = closes_on_the_second_request().await;
    let edge = Edge::with(|plan| plan.config.retry.attempts_max = 2, &[&origin]).await;
    let mut clients = [edge.connect().await, edge.connect().await, edge.connect().await];
    for client in &mut clients {
        client.send(get("/first")).await;
    }
    for client in &mut clients {
        assert_eq!(client.answer().await.status(), 200);
    }
    assert!(origin.connection_count() > 1, "there must be several to be stale");
    assert_eq!(edge.get("/second").await.status(), 200);
}

async fn silent() -> Origin {
    Origin::start(|mut visit| async move {
        visit.request().await;
        visit.peer.rest().await;
    })
    .await
}

#[tokio::test]
async fn an_instance_that_says_nothing_loses_a_get_to_another_and_answers_a_post_with_504() {
    let [mute, other] = [silent().await, Origin::named("other").await];
    let edge = Edge::with(|plan| plan.config.timeouts.first_byte = ms(60), &[&mute, &other]).await;
    for _ in 0..2 {
        assert_eq!(edge.get("/x").await.text(), "other");
    }
    assert!(mute.request_count() >= 1, "it was asked too");
    let mutes = [silent().await, silent().await];
    let edge = Edge::with(|plan| plan.config.timeouts.first_byte = ms(60), &[&mutes[0], &mutes[1]]).await;
    assert_problem(&edge.ask(with_body("POST", "/x", "y")).await, 504, "first-byte-timeout");
    assert_eq!(requests(&mutes).len(), 1);
}

#[tokio::test]
async fn all_attempts_together_end_with_the_total_time() {
    let mutes = [silent().await, silent().await, silent().await];
    let edge = Edge::with(
        |plan| {
            plan.config.timeouts.first_byte = ms(400);
            plan.config.timeouts.total = ms(450);
        },
        &mutes.each_ref(),
    )
    .await;
    let started = std::time::Instant::now();
    assert_problem(&edge.get("/x").await, 504, "total-timeout");
    assert!(started.elapsed() >= ms(450) && started.elapsed() < ms(750), "{:?}", started.elapsed());
    assert_eq!(requests(&mutes).len(), 2, "the second attempt had only what was left of the time");
}

#[tokio::test]
async fn an_instance_that_cannot_be_reached_in_time_is_left_for_another() {
    // Its queue is full: the kernel answers no further connection, which is how a host that is gone looks.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let other = Origin::named("other").await;
    let endpoints = vec![
        other.endpoint("api-1"),
        plimsoll_gateway::Endpoint { address: plimsoll_gateway::Address::Tcp(address), ..other.endpoint("api-2") },
    ];
    let edge = Edge::over(|plan| plan.config.timeouts.connect = ms(80), endpoints);
    until("both to be ready", || edge.news.lock().unwrap().len() == 2).await;
    let mut waiting = Vec::new();
    while let Ok(connected) = tokio::time::timeout(ms(100), tokio::net::TcpStream::connect(address)).await {
        waiting.push(connected.unwrap());
    }
    for _ in 0..2 {
        let answer = edge.ask(with_body("POST", "/x", "y")).await;
        assert_eq!(answer.text(), "other", "nothing was sent to the other one, so even this may move");
    }
    assert!(edge.gateway.edge().retries_total >= 1);
}
