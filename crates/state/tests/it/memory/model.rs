//! Memory against a model simple enough to be right: any sequence of calls, with time passing in between.

use std::collections::HashMap;
use std::time::Duration;

use plimsoll_state::memory::Memory;
use plimsoll_state::{Backend, Version};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Set {
        key: usize,
        ttl_ms: Option<u64>,
    },
    /// Expects the version that was current `age` writes of this key ago; more than there were: absent.
    CompareAndSet {
        key: usize,
        age: usize,
        ttl_ms: Option<u64>,
    },
    Touch {
        key: usize,
        ttl_ms: u64,
    },
    Delete {
        key: usize,
    },
    Pass {
        ms: u64,
    },
}

const KEYS: [&str; 3] = ["a", "b", "c"];

#[derive(Default)]
struct Model {
    now_ms: u64,
    /// Version and expiry of what is alive.
    alive: HashMap<usize, (Version, Option<u64>)>,
    /// All versions that a key ever had, newest last.
    history: HashMap<usize, Vec<Version>>,
}

impl Model {
    fn write(&mut self, key: usize, version: Version, ttl_ms: Option<u64>) {
        self.alive.insert(key, (version, ttl_ms.map(|ttl_ms| self.now_ms + ttl_ms)));
        self.history.entry(key).or_default().push(version);
    }

    fn version(&self, key: usize) -> Option<Version> {
        self.alive.get(&key).map(|(version, _)| *version)
    }

    fn pass(&mut self, ms: u64) {
        self.now_ms += ms;
        self.alive.retain(|_, (_, expires_ms)| expires_ms.is_none_or(|expires_ms| self.now_ms < expires_ms));
    }
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0..KEYS.len();
    let ttl_ms = || proptest::option::of(1u64..40);
    prop_oneof![
        (key(), ttl_ms()).prop_map(|(key, ttl_ms)| Step::Set { key, ttl_ms }),
        (key(), 0usize..3, ttl_ms()).prop_map(|(key, age, ttl_ms)| Step::CompareAndSet { key, age, ttl_ms }),
        (key(), 1u64..40).prop_map(|(key, ttl_ms)| Step::Touch { key, ttl_ms }),
        key().prop_map(|key| Step::Delete { key }),
        (1u64..30).prop_map(|ms| Step::Pass { ms }),
    ]
}

async fn take(step: Step, memory: &Memory, model: &mut Model) {
    let ttl = |ttl_ms: Option<u64>| ttl_ms.map(Duration::from_millis);
    match step {
        Step::Set { key, ttl_ms } => {
            let version = memory.set(KEYS[key], "x".into(), ttl(ttl_ms)).await.unwrap();
            model.write(key, version, ttl_ms);
        }
        Step::CompareAndSet { key, age, ttl_ms } => {
            let expected = model.history.get(&key).and_then(|history| history.iter().rev().nth(age)).copied();
            let written = memory.compare_and_set(KEYS[key], expected, "x".into(), ttl(ttl_ms)).await.unwrap();
            assert_eq!(written.is_some(), model.version(key) == expected);
            if let Some(version) = written {
                model.write(key, version, ttl_ms);
            }
        }
        Step::Touch { key, ttl_ms } => {
            let touched = memory.touch(KEYS[key], Duration::from_millis(ttl_ms)).await.unwrap();
            let expires_ms = Some(model.now_ms + ttl_ms);
            assert_eq!(touched, model.alive.get_mut(&key).map(|alive| alive.1 = expires_ms).is_some());
        }
        Step::Delete { key } => {
            assert_eq!(memory.delete(KEYS[key]).await.unwrap(), model.alive.remove(&key).is_some());
        }
        Step::Pass { ms } => {
            tokio::time::advance(Duration::from_millis(ms)).await;
            model.pass(ms);
        }
    }
}

proptest! {
    #[test]
    fn any_sequence_of_calls_does_what_the_model_does(steps in proptest::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (memory, mut model) = (Memory::default(), Model::default());
            for step in steps {
                take(step, &memory, &mut model).await;
                for (key, name) in KEYS.iter().enumerate() {
                    let found = memory.get(name).await.unwrap().map(|value| (value.version, value.expires_in));
                    let left = |expires_ms| Duration::from_millis(expires_ms - model.now_ms);
                    let modelled = model.alive.get(&key).map(|(version, expires_ms)| (*version, expires_ms.map(left)));
                    assert_eq!(found, modelled);
                }
            }
        });
    }
}
