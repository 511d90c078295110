//! State in memory: every claim, and the paused clock.

mod model;

use std::sync::Arc;
use std::time::Duration;

use plimsoll_state::memory::Memory;
use plimsoll_state::{Backend, Error, State};

use crate::Pair;

crate::with_claims!(check_each_claim!(open));

async fn open() -> (Pair, ()) {
    let state = plimsoll_state::open("memory:").await.unwrap();
    (Pair { here: state.clone(), there: state }, ())
}

#[tokio::test(start_paused = true)]
async fn time_is_the_clock_of_the_runtime() {
    let state = Memory::default();
    state.set("session", "ada".into(), Some(Duration::from_mins(30))).await.unwrap();
    tokio::time::advance(Duration::from_mins(29)).await;
    assert!(state.touch("session", Duration::from_mins(30)).await.unwrap());
    tokio::time::advance(Duration::from_mins(30) - Duration::from_nanos(1)).await;
    assert!(state.get("session").await.unwrap().is_some());
    tokio::time::advance(Duration::from_nanos(1)).await;
    assert!(state.get("session").await.unwrap().is_none());
}

#[tokio::test]
async fn a_full_memory_refuses_new_keys_and_serves_the_old() {
    let state: State = Arc::new(Memory::new(3));
    for key in ["a", "b", "c"] {
        state.set(key, "x".into(), None).await.unwrap();
    }
    let refusal = state.set("d", "x".into(), None).await.unwrap_err();
    assert!(matches!(&refusal, Error::Unavailable(text) if text.contains("use sqlite or redis")), "{refusal}");
    state.set("a", "y".into(), None).await.unwrap();
    assert!(state.delete("b").await.unwrap());
    state.set("d", "x".into(), None).await.expect("there is room again");
}
