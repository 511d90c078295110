//! What a call costs, for the figures in the documentation; no claim is made, so it runs only when asked for:
//! `cargo nextest run -p plimsoll-state --run-ignored only --no-capture cost`

use std::time::{Duration, Instant};

use bytes::Bytes;
use plimsoll_state::{State, TokenBucket, open};
use plimsoll_testbed::redis::Redis;
use tokio::task::JoinSet;

const CALLS: u32 = 5_000;
const CALLERS: u32 = 64;
/// About a session.
const VALUE_BYTES: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures"]
async fn of_calls_by_backend() {
    let directory = tempfile::tempdir().unwrap();
    let redis = Redis::start().unwrap();
    println!("{:<8} {:<12} {:>14} {:>22}", "backend", "call", "alone, us", "64 callers, us a call");
    for url in ["memory:".into(), format!("sqlite:{}/state.db", directory.path().display()), redis.url()] {
        measure_all(&open(&url).await.unwrap()).await;
    }
}

async fn measure_all(state: &State) {
    state.set("key", Bytes::from(vec![1; VALUE_BYTES]), None).await.unwrap();
    measure(state, "get", |state| async move { state.get("key").await.unwrap() }).await;
    measure(state, "set", |state| async move { state.set("other", Bytes::from(vec![1; VALUE_BYTES]), None).await.unwrap() }).await;
    measure(state, "touch", |state| async move { state.touch("key", Duration::from_mins(30)).await.unwrap() }).await;
    measure(state, "increment", |state| async move { state.increment("count", 1, None).await.unwrap() }).await;
    measure(state, "list_push", |state| async move { state.list_push("list", Bytes::from(vec![1; VALUE_BYTES]), 10).await.unwrap() }).await;
    measure(state, "list_newest", |state| async move { state.list_newest("list", 10).await.unwrap() }).await;
    let bucket = TokenBucket { per_second: 1e6, burst: 1_000_000 };
    measure(state, "take_tokens", move |state| async move { state.take_tokens("bucket", bucket, 1).await.unwrap() }).await;
}

#[expect(clippy::print_stdout, reason = "the figures are for reading")]
async fn measure<Call, Answer>(state: &State, name: &str, call: Call)
where
    Call: Fn(State) -> Answer + Copy + Send + 'static,
    Answer: Future + Send,
{
    let started = Instant::now();
    for _ in 0..CALLS {
        call(state.clone()).await;
    }
    let alone = started.elapsed() / CALLS;
    let started = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let state = state.clone();
        callers.spawn(async move {
            for _ in 0..CALLS / CALLERS * 4 {
                call(state.clone()).await;
            }
        });
    }
    callers.join_all().await;
    let together = started.elapsed() / (CALLS * 4);
    println!("{:<8} {name:<12} {:>14.1} {:>22.1}", state.kind(), alone.as_secs_f64() * 1e6, together.as_secs_f64() * 1e6);
}
