//! How streams and connections end, and which requests may then go elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use tokio::sync::Notify;

use super::origin::{CANCEL, INTERNAL_ERROR, Instance, REFUSED_STREAM, Seen};
use super::{before, with};
use crate::edge::{Edge, with_body};
use crate::peer::{Message, assert_problem, in_time, ms, until};

#[derive(Clone, Copy, Debug)]
enum End {
    /// `REFUSED_STREAM`.
    Refused,
    /// A GOAWAY that says that the request has not been looked at.
    LeftBehind,
    Reset,
    Closed,
}

/// Two instances. Whichever is asked first ends its first request like that, after it has read it; everything else is answered.
async fn first_asked_ends(end: End) -> [Instance; 2] {
    let has_ended = Arc::new(AtomicBool::new(false));
    let instance = || {
        let has_ended = Arc::clone(&has_ended);
        Instance::start(move |mut raw| {
            let has_ended = Arc::clone(&has_ended);
            async move {
                while let Some(stream) = raw.whole_request().await {
                    if has_ended.swap(true, Relaxed) {
                        raw.answer(stream, "alive").await;
                        continue;
                    }
                    match end {
                        End::Refused => raw.reset(stream, REFUSED_STREAM).await,
                        End::LeftBehind => raw.go_away(stream - 1).await,
                        End::Reset => raw.reset(stream, INTERNAL_ERROR).await,
                        End::Closed => return,
                    }
                }
            }
        })
    };
    [instance().await, instance().await]
}

async fn asked(request: &str, end: End) -> (Message, Edge, [usize; 2]) {
    let instances = first_asked_ends(end).await;
    let edge = before(&[&instances[0], &instances[1]]).await;
    let answer = edge.ask(request).await;
    (answer, edge, [instances[0].request_count(), instances[1].request_count()])
}

#[tokio::test]
async fn a_get_is_answered_by_another_instance_however_its_stream_ends() {
    for end in [End::Refused, End::LeftBehind, End::Reset, End::Closed] {
        let (answer, edge, seen) = asked("GET /x HTTP/1.1\r\nhost: a\r\n\r\n", end).await;
        assert_eq!((answer.status(), answer.text()), (200, "alive"), "{end:?}");
        assert_eq!((seen, edge.gateway.edge().retries_total), ([1, 1], 1), "{end:?}");
    }
}

#[tokio::test]
async fn a_post_that_nobody_has_looked_at_moves_with_its_body() {
    for end in [End::Refused, End::LeftBehind] {
        let (answer, _, seen) = asked(&with_body("POST", "/pay", "amount=1"), end).await;
        assert_eq!((answer.status(), answer.text()), (200, "alive"), "{end:?}");
        assert_eq!(seen, [1, 1], "{end:?}");
    }
}

#[tokio::test]
async fn a_post_that_may_have_been_acted_on_is_never_sent_again() {
    for end in [End::Reset, End::Closed] {
        let (answer, _, seen) = asked(&with_body("POST", "/pay", "amount=1"), end).await;
        assert_problem(&answer, 502, "upstream-failed");
        assert_eq!(seen.iter().sum::<usize>(), 1, "{end:?}");
    }
}

#[tokio::test]
async fn an_instance_that_leaves_finishes_its_streams_and_gets_no_more_on_that_connection() {
    let (left, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let (leaving, finish) = (Arc::clone(&left), Arc::clone(&go));
    let instance = Instance::start(move |mut raw| {
        let (leaving, finish) = (Arc::clone(&leaving), Arc::clone(&finish));
        async move {
            let Some(stream) = raw.request().await else { return };
            if leaving.fetch_add(1, Relaxed) > 0 {
                raw.answer(stream, "new connection").await;
                while raw.next().await.is_some() {}
                return;
            }
            raw.go_away(stream).await;
            finish.notified().await;
            raw.answer(stream, "old connection").await;
            while let Some(seen) = raw.next().await {
                assert!(!matches!(seen, Seen::Request { .. }), "{seen:?} after GOAWAY");
            }
        }
    })
    .await;
    let edge = before(&[&instance]).await;
    let mut first = edge.connect().await;
    first.send("GET /1 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    until("the goodbye", || left.load(Relaxed) == 1).await;
    assert_eq!(edge.get("/2").await.text(), "new connection");
    go.notify_one();
    assert_eq!(first.answer().await.text(), "old connection");
    assert_eq!(edge.gateway.edge().retries_total, 0);
}

#[tokio::test]
async fn a_client_that_leaves_resets_its_stream_and_nobody_elses() {
    let reset = Arc::new(AtomicUsize::new(0));
    let code = Arc::clone(&reset);
    let instance = Instance::start(move |mut raw| {
        let code = Arc::clone(&code);
        async move {
            let (Some(first), Some(second)) = (raw.request().await, raw.request().await) else { return };
            loop {
                match raw.next().await {
                    Some(Seen::Reset { stream, code: seen }) => {
                        assert_eq!(stream, first);
                        code.store(seen as usize, Relaxed);
                        break;
                    }
                    Some(_) => {}
                    None => return,
                }
            }
            raw.answer(second, "still here").await;
            while raw.next().await.is_some() {}
        }
    })
    .await;
    let edge = before(&[&instance]).await;
    let (mut leaves, mut stays) = (edge.connect().await, edge.connect().await);
    leaves.send("GET /1 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    until("the first to be there", || instance.request_count() == 1).await;
    stays.send("GET /2 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    until("the second to be there", || instance.request_count() == 2).await;
    drop(leaves);
    assert_eq!(stays.answer().await.text(), "still here");
    assert_eq!((reset.load(Relaxed), instance.connection_count()), (CANCEL as usize, 1));
}

#[tokio::test]
async fn a_frozen_connection_costs_a_request_its_time_limit_and_gets_no_more_until_it_thaws() {
    let (is_frozen, thaw) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
    let (frozen, thawed) = (Arc::clone(&is_frozen), Arc::clone(&thaw));
    let connections = Arc::new(AtomicUsize::new(0));
    let sleepy = Instance::start(move |mut raw| {
        let (frozen, thawed, connections) = (Arc::clone(&frozen), Arc::clone(&thawed), Arc::clone(&connections));
        async move {
            let mut name = None;
            while let Some(stream) = raw.request().await {
                if frozen.load(Relaxed) {
                    thawed.notified().await;
                    continue;
                }
                let name = *name.get_or_insert_with(|| ["old", "new"][connections.fetch_add(1, Relaxed)]);
                raw.answer(stream, name).await;
            }
        }
    })
    .await;
    let other = Instance::named("other").await;
    let edge = with(|plan| plan.config.timeouts.first_byte = ms(1000), &[&sleepy, &other]).await;
    while sleepy.request_count() == 0 {
        edge.get("/").await;
    }
    is_frozen.store(true, Relaxed);
    let before = sleepy.request_count();
    while sleepy.request_count() == before {
        assert_eq!(edge.get("/").await.text(), "other", "safe requests move on");
    }
    is_frozen.store(false, Relaxed);
    // It takes connections again, but on the old one nothing has come yet: the next request there opens another.
    let until_answered_on = async |connection: &str| {
        in_time(connection, async { while edge.get("/").await.text() != connection {} }).await;
    };
    until_answered_on("new").await;
    thaw.notify_one();
    until_answered_on("old").await;
    assert_eq!(sleepy.connection_count(), 2);
}

#[tokio::test]
async fn an_instance_that_resets_everything_costs_no_more_attempts_than_allowed() {
    let instance = Instance::start(|mut raw| async move {
        while let Some(stream) = raw.request().await {
            raw.reset(stream, REFUSED_STREAM).await;
        }
    })
    .await;
    let edge = before(&[&instance]).await;
    assert_problem(&edge.get("/").await, 502, "upstream-failed");
    assert!(instance.request_count() <= 3, "{}", instance.request_count());
}

#[tokio::test]
async fn an_answer_that_http2_does_not_allow_is_answered_502() {
    let long = "x".repeat(120);
    let too_long: Vec<_> = std::iter::once((":status", "200")).chain(std::iter::repeat_n(("x-long", long.as_str()), 2_100)).collect();
    let heads: [&[(&str, &str)]; 4] = [
        &[(":status", "200"), ("connection", "close")],
        &[(":status", "200"), ("content-length", "1, 1")],
        &[("x-no-status", "1")],
        &too_long,
    ];
    for head in heads {
        let head: Vec<_> = head.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let instance = Instance::start(move |mut raw| {
            let head = head.clone();
            async move {
                while let Some(stream) = raw.request().await {
                    let fields: Vec<_> = head.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                    raw.head(stream, &fields, true).await;
                }
            }
        })
        .await;
        let edge = before(&[&instance]).await;
        assert_problem(&edge.get("/").await, 502, "upstream-failed");
    }
}
