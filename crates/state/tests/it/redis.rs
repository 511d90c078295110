//! State in Redis: every claim on one server, behind sentinels and in a cluster; and what happens when Redis goes away.

mod outages;
mod wire;

use plimsoll_state::{Error, open};
use plimsoll_testbed::redis::{Cluster, Redis, Sentinel};

use crate::Pair;

crate::with_claims!(check_each_claim!(open_server));

async fn pair(url: &str) -> Pair {
    Pair { here: open(url).await.unwrap(), there: open(url).await.unwrap() }
}

async fn open_server() -> (Pair, Redis) {
    let redis = Redis::start().unwrap();
    (pair(&redis.url()).await, redis)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_claim_holds_behind_sentinels() {
    let sentinel = Sentinel::start().unwrap();
    let pair = pair(&sentinel.url()).await;
    crate::with_claims!(check_all_claims!(pair));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_claim_holds_in_a_cluster() {
    let cluster = Cluster::start().unwrap();
    let pair = pair(&cluster.url()).await;
    crate::with_claims!(check_all_claims!(pair));
}

#[tokio::test]
async fn calls_follow_a_slot_to_its_new_node() {
    let cluster = Cluster::start().unwrap();
    let state = open(&cluster.url()).await.unwrap();
    assert_eq!(state.get("moved").await.unwrap(), None);
    cluster.move_slot_of("plimsoll:value:moved").unwrap();
    state.set("moved", "x".into(), None).await.expect("a call that went to the old node is sent again");
    assert!(state.get("moved").await.unwrap().is_some());
}

#[tokio::test]
async fn a_unix_socket_will_do() {
    let redis = Redis::start().unwrap();
    let here = open(&format!("redis+unix://{}", redis.socket().display())).await.unwrap();
    let there = open(&redis.url()).await.unwrap();
    let version = here.set("way", "socket".into(), None).await.unwrap();
    assert_eq!(there.get("way").await.unwrap().unwrap().version, version);
}

#[tokio::test]
async fn every_key_bears_our_name() {
    let redis = Redis::start().unwrap();
    let state = open(&redis.url()).await.unwrap();
    state.set("k", "v".into(), None).await.unwrap();
    state.increment("k", 1, None).await.unwrap();
    state.list_push("k", "i".into(), 3).await.unwrap();
    state.lock("k", std::time::Duration::from_mins(1)).await.unwrap().unwrap();
    let count = |pattern: &str| redis.command(&format!("EVAL \"return #redis.call('KEYS', '{pattern}')\" 0")).unwrap();
    assert_eq!((count("plimsoll:*"), count("*")), (":5".into(), ":5".into()));
}

#[tokio::test]
async fn a_wrong_password_is_a_case_for_a_person() {
    let redis = Redis::start_with(&["--requirepass", "secret"]).unwrap();
    let place = format!("127.0.0.1:{}", redis.port());
    for url in [format!("redis://{place}"), format!("redis://:wrong@{place}")] {
        let refusal = open(&url).await.unwrap().get("k").await;
        assert!(matches!(&refusal, Err(Error::Broken(text)) if text.contains("password")), "{refusal:?}");
    }
    assert_eq!(open(&format!("redis://:secret@{place}")).await.unwrap().get("k").await.unwrap(), None);
}
