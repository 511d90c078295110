//! What one request on a shared connection cannot do to the others on it, and what says nothing about an instance.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use plimsoll_telemetry::snapshot::InstanceState;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::origin::{DATA, INITIAL_WINDOW_SIZE, Instance, MAX_CONCURRENT_STREAMS, NO_ERROR, REFUSED_STREAM, Seen};
use super::{before, with};
use crate::edge::{Edge, Plan, get, with_body};
use crate::peer::{PIECE, assert_problem, ms, until};

/// Failures that eject an instance, where a test is about that.
const FAILURES: u8 = 3;

fn ejecting(plan: &mut Plan) {
    plan.upstream.ejection.failures = FAILURES;
    plan.config.retry.attempts_max = 1;
}

fn assert_is_well(edge: &Edge) {
    let instances = edge.gateway.instances();
    assert_eq!((instances[0].state, instances[0].failures_total), (InstanceState::Ready, 0), "{instances:?}");
}

#[tokio::test]
async fn short_frames_behind_a_long_one_for_a_client_that_does_not_read_do_not_end_the_connection() {
    let instance = Instance::start(|mut raw| async move {
        let Some(stream) = raw.request().await else { return };
        raw.head(stream, &[(":status", "200")], false).await;
        // First as much as the client's side takes, then a long one, then far more than the library keeps.
        for _ in 0..50_000 {
            raw.send(DATA, 0, stream, b".").await;
        }
        raw.send(DATA, 0, stream, PIECE).await;
        for _ in 0..150_000 {
            raw.send(DATA, 0, stream, b".").await;
        }
        while let Some(seen) = raw.next().await {
            match seen {
                Seen::Request { stream, .. } => raw.answer(stream, "still open").await,
                Seen::Goodbye => return,
                _ => {}
            }
        }
    })
    .await;
    let edge = before(&[&instance]).await;
    let mut sleeper = edge.connect_narrow().await;
    sleeper.send(get("/dots")).await;
    until("the dots to begin", || instance.request_count() == 1).await;
    assert_eq!(edge.get("/").await.text(), "still open");
    assert_eq!(instance.connection_count(), 1);
    let head = sleeper.head().await.unwrap();
    assert_eq!(head.status(), 200);
    let mut came = Vec::new();
    while came.len() < 200_000 + PIECE.len() {
        came.extend(sleeper.next_chunk().await.unwrap());
    }
    let dots_before = came.iter().position(|byte| *byte == PIECE[0]);
    assert_eq!(dots_before, Some(50_000), "in the order in which it was sent");
}

#[tokio::test]
async fn an_empty_post_that_waits_in_a_stuck_connection_goes_nowhere_else() {
    let connections = Arc::new(AtomicUsize::new(0));
    let (thaw, number) = (Arc::new(Notify::new()), Arc::clone(&connections));
    let thawed = Arc::clone(&thaw);
    let sleepy = Instance::with_settings(&[(INITIAL_WINDOW_SIZE, 1 << 30)], move |mut raw| {
        let (thawed, number) = (Arc::clone(&thawed), Arc::clone(&number));
        async move {
            raw.open(0, 1 << 30).await;
            let Some(mut stream) = raw.request().await else { return };
            // The first one takes nothing more, and so its socket fills up.
            if number.fetch_add(1, Relaxed) == 0 {
                thawed.notified().await;
            }
            loop {
                raw.answer(stream, "sleepy").await;
                let Some(next) = raw.request().await else { return };
                stream = next;
            }
        }
    })
    .await;
    let edge = with(|plan| plan.config.timeouts.first_byte = ms(500), &[&sleepy]).await;
    let mut upload = edge.connect().await;
    upload.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 268435456\r\n\r\n").await;
    while timeout(ms(500), upload.send(PIECE)).await.is_ok() {}
    let other = Instance::named("other").await;
    edge.endpoints.send(vec![sleepy.endpoint("api-1"), other.endpoint("api-2")]).unwrap();
    until("the other to be ready", || edge.news.lock().unwrap().len() == 2).await;
    let mut in_vain = 0;
    for _ in 0..4 {
        let answer = edge.ask(with_body("POST", "/pay", "")).await;
        if answer.status() != 200 {
            assert_problem(&answer, 504, "first-byte-timeout");
            in_vain += 1;
        }
    }
    let asked = sleepy.request_count() + other.request_count();
    assert!(in_vain > 0, "one of them went to who is frozen, and nobody knows what came of it");
    thaw.notify_one();
    until("it to arrive after all", || sleepy.request_count() + other.request_count() == asked + in_vain).await;
}

#[tokio::test]
async fn an_answer_that_ends_by_a_reset_without_an_error_leaves_no_work_behind() {
    let instance = Instance::start(|mut raw| async move {
        while let Some(stream) = raw.request().await {
            // What is abandoned is believed to go on for a share of the time that it took.
            tokio::time::sleep(ms(300)).await;
            raw.head(stream, &[(":status", "200")], false).await;
            raw.send(DATA, 0, stream, b"whole").await;
            raw.reset(stream, NO_ERROR).await;
        }
    })
    .await;
    let edge = before(&[&instance]).await;
    let mut client = edge.connect().await;
    assert_eq!(client.ask(get("/")).await.text(), "whole");
    let line = &edge.gateway.load_lines()[0];
    assert_eq!((line.in_flight, line.lingering), (0, 0));
}

#[tokio::test]
async fn an_instance_whose_places_are_all_taken_is_not_ejected() {
    const CONNECTIONS_MAX: usize = 32;
    let answered = Arc::new(Notify::new());
    let go = Arc::clone(&answered);
    let instance = Instance::with_settings(&[(MAX_CONCURRENT_STREAMS, 1)], move |mut raw| {
        let go = Arc::clone(&go);
        async move {
            let Some(stream) = raw.request().await else { return };
            go.notified().await;
            raw.answer(stream, "at last").await;
            while raw.next().await.is_some() {}
        }
    })
    .await;
    let edge = with(
        |plan| {
            ejecting(plan);
            plan.upstream.admission = None;
            plan.config.timeouts.connect = ms(1000);
        },
        &[&instance],
    )
    .await;
    let mut clients = Vec::new();
    for number in 1..=CONNECTIONS_MAX {
        let mut client = edge.connect().await;
        client.send(get("/")).await;
        until("it to have a place", || instance.request_count() == number).await;
        clients.push(client);
    }
    let in_vain = futures_util::future::join_all((0..2 * FAILURES).map(|_| edge.get("/"))).await;
    for answer in &in_vain {
        assert_problem(answer, 502, "upstream-failed");
    }
    assert_is_well(&edge);
    answered.notify_waiters();
    for mut client in clients {
        assert_eq!(client.answer().await.text(), "at last");
    }
}

#[tokio::test]
async fn an_instance_that_sheds_load_by_refusing_streams_is_not_ejected() {
    let instance = Instance::start(|mut raw| async move {
        while let Some(stream) = raw.request().await {
            raw.reset(stream, REFUSED_STREAM).await;
        }
    })
    .await;
    let edge = with(ejecting, &[&instance]).await;
    for _ in 0..2 * FAILURES {
        assert_problem(&edge.get("/").await, 502, "upstream-failed");
    }
    assert_is_well(&edge);
}

#[tokio::test]
async fn requests_that_are_never_sent_wear_no_connection_out() {
    let instance = Instance::named("here").await;
    let edge = before(&[&instance]).await;
    for _ in 0..600 {
        assert_eq!(edge.ask("GET /a<b HTTP/1.1\r\nhost: a\r\n\r\n").await.status(), 400);
    }
    assert_eq!(edge.get("/").await.text(), "here");
    assert_eq!((instance.connection_count(), instance.closed_count()), (1, 1), "the probe's own is over, and no other");
}
