//! Says early why nothing gets ready: a mistake that shows in seconds should not take the whole startup timeout to be told.
//!
//! Only what is evident is said, once: an answer on the ready path that is not 2xx, or a listener in the wrong place. A server that does
//! neither may simply need longer.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use plimsoll_gateway::Why;
use plimsoll_supervisor::{Instance, State};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// A healthy server may take so long to find its feet; what is wrong by then deserves a word.
const FIRST_LOOK: Duration = Duration::from_secs(3);
const INTERVAL: Duration = Duration::from_secs(1);
/// Instances are alike: a few of them show what is wrong with all.
const LOOKED_AT_MAX: usize = 3;

/// What the probes met, and what was made of it.
#[derive(Default)]
pub struct Diagnosis {
    /// The last status of each instance, and of which generation.
    answers: Mutex<BTreeMap<String, (u64, u16)>>,
    said: OnceLock<String>,
}

impl Diagnosis {
    /// Takes the word of a probe.
    pub fn note(&self, id: &str, generation: u64, why: Why) {
        if let Why::Status(status) = why {
            self.answers.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), (generation, status.as_u16()));
        }
    }

    /// What to change, if that could be said.
    pub fn said(&self) -> Option<&str> {
        self.said.get().map(String::as_str)
    }

    /// Watches the first start, and stands beside what it watches.
    pub async fn watch(&self, instances: &watch::Receiver<Arc<Vec<Instance>>>, ready_path: &str) -> Infallible {
        loop {
            sleep(INTERVAL).await;
            let instances = Arc::clone(&instances.borrow());
            let found = instances
                .iter()
                .filter(|instance| is_late(instance))
                .take(LOOKED_AT_MAX)
                .find_map(|instance| Some((instance, self.of_answer(instance, ready_path).or_else(|| instance.listens_elsewhere())?)));
            if let Some((instance, hint)) = found {
                tracing::warn!(instance.id = instance.id, "instance is not ready yet: {hint}");
                let _ = self.said.set(hint);
                return std::future::pending().await;
            }
        }
    }

    fn of_answer(&self, instance: &Instance, ready_path: &str) -> Option<String> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, status) = answers.get(&instance.id).filter(|(generation, _)| *generation == instance.generation)?;
        Some(format!("it answers {status} to the probe, GET {ready_path}: {}", way_out(*status)))
    }
}

fn is_late(instance: &Instance) -> bool {
    let started = instance.started_at.filter(|_| instance.state == State::Starting);
    started.is_some_and(|started| Instant::now().saturating_duration_since(started) >= FIRST_LOOK)
}

fn way_out(status: u16) -> &'static str {
    match status {
        300..400 => "name the path to which it redirects with --ready-path (gateway.health.path)",
        401 | 403 => "name a path that needs no login with --ready-path (gateway.health.path)",
        400 | 421 => "the probe sends `Host: localhost`, which your server may have to allow; or name another path with --ready-path",
        500.. => "your server's own log may say why; --ready-path (gateway.health.path) names another path",
        _ => "name a path that answers 2xx with --ready-path (gateway.health.path); without one, a connection is enough",
    }
}
