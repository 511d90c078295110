//! Redis killed, frozen, loading, failed over: calls end in bounded time as unavailable, and all goes on when it is back.

use std::time::{Duration, Instant};

use plimsoll_state::{Error, Message, State, open};
use plimsoll_testbed::poll;
use plimsoll_testbed::redis::{Cluster, Redis, Sentinel};
use tokio::task::JoinSet;

use super::wire::Wire;
use crate::claims::SOON;
use crate::claims::channels::next;

/// A second by design; the rest is for a busy machine.
const BOUND: Duration = Duration::from_millis(1500);

/// Fifty calls at once: none may queue behind another's wait.
async fn assert_unavailable_in_time(state: &State) {
    let mut calls = JoinSet::new();
    let started = Instant::now();
    for number in 0..50 {
        let state = state.clone();
        calls.spawn(async move {
            let answer = match number % 3 {
                0 => state.get("outage").await.map(drop),
                1 => state.set("outage", "x".into(), None).await.map(drop),
                _ => state.increment("outage", 1, None).await.map(drop),
            };
            (answer, started.elapsed())
        });
    }
    for (answer, took) in calls.join_all().await {
        assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
        assert!(took < BOUND, "it took {took:?}");
    }
}

async fn comes_back(state: &State) {
    poll::until(SOON, "the state to work again", async || state.set("back", "x".into(), None).await.ok()).await;
    assert!(state.get("back").await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_is_unavailable_until_it_is_back() {
    let mut redis = Redis::start().unwrap();
    let state = open(&redis.url()).await.unwrap();
    comes_back(&state).await;
    redis.stop();
    assert_unavailable_in_time(&state).await;
    assert!(matches!(state.ping().await, Err(Error::Unavailable(_))));
    redis.start_again().unwrap();
    comes_back(&state).await;
    state.increment("scripts", 1, None).await.expect("scripts are taught again to a server that forgot them");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_is_unavailable_until_it_thaws() {
    let redis = Redis::start().unwrap();
    let state = open(&redis.url()).await.unwrap();
    comes_back(&state).await;
    redis.freeze();
    assert_unavailable_in_time(&state).await;
    poll::until(SOON, "a refusal without a wait: one caller's was enough", async || {
        let started = Instant::now();
        assert!(state.get("outage").await.is_err());
        (started.elapsed() < Duration::from_millis(50)).then_some(())
    })
    .await;
    redis.thaw();
    comes_back(&state).await;
}

#[tokio::test]
async fn a_server_that_is_away_at_the_start_may_come_later() {
    let mut redis = Redis::start().unwrap();
    redis.stop();
    let state = open(&redis.url()).await.expect("opening does not need the server");
    assert_unavailable_in_time(&state).await;
    redis.start_again().unwrap();
    comes_back(&state).await;
}

#[tokio::test]
async fn a_server_that_loads_its_data_is_unavailable() {
    let mut redis = Redis::start().unwrap();
    let state = open(&redis.url()).await.unwrap();
    redis.load_slowly_at_next_start().unwrap();
    redis.start_again().unwrap();
    let answer = poll::until(SOON, "an answer while loading", async || match state.get("k").await {
        Err(Error::Unavailable(text)) if text.contains("oading") => Some(text),
        answer => panic!("{answer:?}"),
    });
    answer.await;
    comes_back(&state).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_are_told_of_an_outage_and_get_what_comes_after() {
    let mut redis = Redis::start().unwrap();
    let state = open(&redis.url()).await.unwrap();
    let mut subscription = state.subscribe("news").await.unwrap();
    state.publish("news", "before".into()).await.unwrap();
    assert_eq!(next(&mut subscription).await, Message::Data("before".into()));
    redis.stop();
    let refused = state.subscribe("other news").await;
    assert!(matches!(refused.map(drop), Err(Error::Unavailable(_))));
    redis.start_again().unwrap();
    assert_eq!(next(&mut subscription).await, Message::Missed);
    comes_back(&state).await;
    state.publish("news", "after".into()).await.unwrap();
    assert_eq!(next(&mut subscription).await, Message::Data("after".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_died_in_silence_are_replaced() {
    let redis = Redis::start().unwrap();
    let wire = Wire::to(redis.port()).await;
    let state = open(&format!("redis://{}", wire.address())).await.unwrap();
    let mut subscription = state.subscribe("news").await.unwrap();
    comes_back(&state).await;
    wire.swallow();
    let answer = state.get("back").await;
    assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
    assert!(state.get("back").await.unwrap().is_some(), "the next call has a new connection");
    assert_eq!(next(&mut subscription).await, Message::Missed, "an unanswered ping gives the old one away");
    state.publish("news", "after".into()).await.unwrap();
    assert_eq!(next(&mut subscription).await, Message::Data("after".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_lead_to_the_new_master() {
    let mut sentinel = Sentinel::start().unwrap();
    let state = open(&sentinel.url()).await.unwrap();
    let mut subscription = state.subscribe("news").await.unwrap();
    let version = state.set("kept", "x".into(), None).await.unwrap();
    let fence = state.lock("kept", Duration::from_millis(1)).await.unwrap().unwrap().fence;
    sentinel.wait_until_replicated().unwrap();
    sentinel.fail_over().unwrap();
    comes_back(&state).await;
    assert_eq!(state.get("kept").await.unwrap().unwrap().version, version);
    let lock = poll::until(SOON, "the lease to end", async || state.lock("kept", Duration::from_mins(1)).await.unwrap()).await;
    assert!(lock.fence > fence);
    assert_eq!(next(&mut subscription).await, Message::Missed);
    state.publish("news", "after".into()).await.unwrap();
    assert_eq!(next(&mut subscription).await, Message::Data("after".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_without_a_node_is_bounded_and_comes_back() {
    let mut cluster = Cluster::start().unwrap();
    let state = open(&cluster.url()).await.unwrap();
    comes_back(&state).await;
    for node in &cluster.nodes {
        node.freeze();
    }
    assert_unavailable_in_time(&state).await;
    for node in &cluster.nodes {
        node.thaw();
    }
    comes_back(&state).await;

    for node in &mut cluster.nodes {
        node.stop();
    }
    assert_unavailable_in_time(&state).await;
    for node in &mut cluster.nodes {
        node.start_again().unwrap();
    }
    poll::until(SOON, "the cluster to agree", async || cluster.is_whole().then_some(())).await;
    for number in 0..20 {
        let key = format!("every slot {number}");
        poll::until(SOON, "each node to be reached again", async || state.set(&key, "x".into(), None).await.ok()).await;
    }
}
