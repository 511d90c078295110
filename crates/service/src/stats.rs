//! Which instance served the last requests of the fleet: every instance puts what it finished in front of one bounded list in shared
//! state, before the client has the answer, so that whoever asks next, anywhere, sees it.
//!
//! Recording is worth less than any request. It has a tenth of a second; after a failure it pauses, so that an outage slows down one
//! request in a second instead of all of them; and it never changes an answer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State as Extracted};
use axum::middleware::Next;
use axum::response::Response;
use plimsoll_policy::access_log::method_name;
use plimsoll_state::{Result, State};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::context::Context;
use crate::timestamp;

/// How many requests are remembered.
pub(crate) const REQUESTS_MAX: usize = 10;
const KEY: &str = "stats:requests";
const WRITE_MAX: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_secs(1);
const LOG_INTERVAL: Duration = Duration::from_secs(10);
/// The client chooses the path; what is kept of it is enough to recognise it.
const PATH_BYTES_MAX: usize = 256;

/// One finished request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Served {
    pub(crate) instance: String,
    pub(crate) method: String,
    /// Without the query, which may hold secrets.
    pub(crate) path: String,
    pub(crate) status: u16,
    pub(crate) at: String,
}

/// Writes and reads the list.
pub(crate) struct Recorder {
    instance: String,
    state: State,
    failures_total: AtomicU64,
    outage: Mutex<Outage>,
}

#[derive(Default)]
struct Outage {
    paused_until: Option<Instant>,
    silent_until: Option<Instant>,
}

/// Middleware around the whole app: records every request but the probes', which would push everything else out of the list.
pub(crate) async fn record(Extracted(context): Extracted<Context>, request: Request, next: Next) -> Response {
    if is_probe(request.uri().path()) {
        return next.run(request).await;
    }
    let method = method_name(request.method()).to_owned();
    let path = shortened(request.uri().path()).to_owned();
    let response = next.run(request).await;
    let recorder = &context.recorder;
    let instance = recorder.instance.clone();
    recorder.push(&Served { instance, method, path, status: response.status().as_u16(), at: timestamp::now() }).await;
    response
}

fn is_probe(path: &str) -> bool {
    path.strip_prefix("/health").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn shortened(path: &str) -> &str {
    &path[..path.floor_char_boundary(PATH_BYTES_MAX)]
}

impl Recorder {
    pub(crate) fn new(instance: String, state: State) -> Self {
        Self { instance, state, failures_total: AtomicU64::new(0), outage: Mutex::default() }
    }

    /// The newest requests of the fleet, newest first. Instances push in the order they finish, which is not quite the order of time.
    pub(crate) async fn newest(&self) -> Result<Vec<Served>> {
        let items = self.state.list_newest(KEY, REQUESTS_MAX).await?;
        let mut served: Vec<Served> = items.iter().filter_map(|item| serde_json::from_slice(item).ok()).collect();
        served.sort_by(|one, other| other.at.cmp(&one.at));
        Ok(served)
    }

    async fn push(&self, served: &Served) {
        if self.is_paused() {
            return;
        }
        let item = serde_json::to_vec(served).expect("strings and a number");
        match tokio::time::timeout(WRITE_MAX, self.state.list_push(KEY, item.into(), REQUESTS_MAX)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.failed(&error.to_string()),
            Err(_) => self.failed("no answer in time"),
        }
    }

    fn is_paused(&self) -> bool {
        self.outage().paused_until.is_some_and(|until| Instant::now() < until)
    }

    fn failed(&self, problem: &str) {
        let failures_total = self.failures_total.fetch_add(1, Ordering::Relaxed) + 1;
        let now = Instant::now();
        let mut outage = self.outage();
        outage.paused_until = Some(now + PAUSE);
        if outage.silent_until.is_none_or(|until| now >= until) {
            outage.silent_until = Some(now + LOG_INTERVAL);
            tracing::warn!(failures_total, problem, "finished requests are missing from /stats");
        }
    }

    fn outage(&self) -> std::sync::MutexGuard<'_, Outage> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_probes_are_left_out() {
        assert!(is_probe("/health") && is_probe("/health/ready"));
        assert!(!is_probe("/healthy") && !is_probe("/whoami"));
    }

    #[test]
    fn a_long_path_is_cut_between_characters() {
        let path = format!("/{}", "é".repeat(500));
        assert_eq!(shortened(&path).len(), 255);
        assert_eq!(shortened("/whoami"), "/whoami");
    }
}
