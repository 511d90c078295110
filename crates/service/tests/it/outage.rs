//! Shared state that is away. The store here fails on command; the binary's own suite does the same with a real one.

use std::time::{Duration, Instant};

use crate::client::{Answer, Call};
use crate::instance::Instance;
use crate::scripted_state::{Mode, Scripted};

#[track_caller]
fn assert_come_back_later(answer: &Answer) {
    answer.assert_problem(503, "state-unavailable");
    let seconds: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=10).contains(&seconds));
    assert_eq!(answer.header("set-cookie"), "", "the client keeps what it has");
}

#[tokio::test]
async fn calls_that_need_the_state_say_when_to_come_back_and_recover() {
    let state = Scripted::new().await;
    let instance = Instance::start(state.clone()).await;
    let session = instance.login("ada").await;
    for mode in [Mode::Unavailable, Mode::Broken] {
        state.set(mode);
        assert_come_back_later(&instance.me(&session).await);
        assert_come_back_later(&instance.send(Call::login("bob")).await);
        assert_come_back_later(&instance.send(Call::new("POST", "/logout").cookie(&session)).await);
        assert_come_back_later(&instance.send(Call::get("/stats")).await);
        instance.me("forged").await.assert_problem(401, "session-missing");
        assert_eq!(instance.send(Call::get("/whoami")).await.status, 200);
    }
    state.set(Mode::Working);
    assert_eq!(instance.me(&session).await.status, 200, "still logged in");
}

#[tokio::test]
async fn an_outage_leaves_the_instance_ready_with_its_dependency_down() {
    let state = Scripted::new().await;
    let instance = Instance::start(state.clone()).await;
    state.set(Mode::Unavailable);
    let ready = instance.send(Call::get("/health/ready")).await;
    assert_eq!(ready.status, 200);
    assert_eq!(ready.json()["status"], "ready");
    assert_eq!(ready.json()["dependencies"][0]["status"], "down");
}

#[tokio::test]
async fn a_hanging_store_slows_down_the_first_request_only() {
    let state = Scripted::new().await;
    let instance = Instance::start(state.clone()).await;
    let mut client = instance.client().await;
    state.set(Mode::Hanging);
    let began = Instant::now();
    for _ in 0..50 {
        assert_eq!(client.send(Call::get("/whoami")).await.status, 200);
    }
    // Fifty waits of 100 ms would be five seconds.
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}
