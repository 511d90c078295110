//! Which instance served the last requests of the fleet: every instance puts what it finished in front of one bounded list in shared
//! state, before the client has the answer, so that whoever asks next, anywhere, sees it.
//!
//! Writing to shared state costs a commit, for which all instances of a host queue up. So one write at a time is under way in an instance,
//! and what finishes meanwhile goes with the next one, all together.
//!
//! Recording is worth less than any request. It has a tenth of a second; after a failure it pauses, so that an outage slows down one
//! request in a second instead of all of them; and it never changes an answer.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State as Extracted};
use axum::middleware::Next;
use axum::response::Response;
use plimsoll_policy::access_log::method_name;
use plimsoll_state::{Result, State};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex as TurnLock;
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
    queue: Mutex<Queue>,
    /// Held by whoever writes; holds the number of the last request that needs no writing any more.
    turn: TurnLock<u64>,
    failures_total: AtomicU64,
    outage: Mutex<Outage>,
}

/// Finished requests that are not written yet: only the newest, since more would push each other out of the list.
#[derive(Default)]
struct Queue {
    newest_first: VecDeque<Served>,
    /// The number of the newest one; they are counted from 1.
    newest: u64,
}

impl Queue {
    fn add(&mut self, served: Served) -> u64 {
        self.newest_first.push_front(served);
        self.newest_first.truncate(REQUESTS_MAX);
        self.newest += 1;
        self.newest
    }

    fn forget_up_to(&mut self, number: u64) {
        self.newest_first.truncate((self.newest - number) as usize);
    }
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
    recorder.push(Served { instance, method, path, status: response.status().as_u16(), at: timestamp::now() }).await;
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
        let (queue, turn, failures_total, outage) = Default::default();
        Self { instance, state, queue, turn, failures_total, outage }
    }

    /// The newest requests of the fleet, newest first. Instances push in the order they finish, which is not quite the order of time.
    pub(crate) async fn newest(&self) -> Result<Vec<Served>> {
        let items = self.state.list_newest(KEY, REQUESTS_MAX).await?;
        let written_together = items.iter().filter_map(|item| serde_json::from_slice::<Vec<Served>>(item).ok());
        let mut served: Vec<Served> = written_together.flatten().collect();
        served.sort_by(|one, other| other.at.cmp(&one.at));
        served.truncate(REQUESTS_MAX);
        Ok(served)
    }

    /// Returns once it is written, whoever did that, or given up.
    async fn push(&self, served: Served) {
        if self.is_paused() {
            return;
        }
        let number = self.queue().add(served);
        match tokio::time::timeout(WRITE_MAX, self.write_up_to(number)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.failed(&error.to_string()),
            Err(_) => self.failed("no answer in time"),
        }
    }

    /// Waits for its turn; whoever has it writes everything that waits. One who leaves in the middle, because his client did, leaves it
    /// all to the next.
    async fn write_up_to(&self, number: u64) -> Result<()> {
        let mut done = self.turn.lock().await;
        if *done >= number {
            return Ok(());
        }
        let (item, newest) = {
            let queue = self.queue();
            (serde_json::to_vec(&queue.newest_first).expect("strings and numbers"), queue.newest)
        };
        let written = self.state.list_push(KEY, item.into(), REQUESTS_MAX).await;
        self.queue().forget_up_to(newest);
        *done = newest;
        written
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn outage(&self) -> MutexGuard<'_, Outage> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt};

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

    fn served(number: usize) -> Served {
        let at = format!("2026-01-01T00:00:{number:02}.000Z");
        Served { instance: "api-1".into(), method: "GET".into(), path: format!("/{number}"), status: 200, at }
    }

    async fn recorder() -> Recorder {
        Recorder::new("api-1".into(), plimsoll_state::open("memory:").await.unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn what_finishes_during_a_write_is_written_together_before_the_answers() {
        let recorder = recorder().await;
        // A write that is under way.
        let turn = recorder.turn.lock().await;
        let mut pushes: futures_util::stream::FuturesUnordered<_> = (0..30).map(|number| recorder.push(served(number))).collect();
        assert!(pushes.next().now_or_never().is_none(), "nobody is answered before his request is written");
        drop(turn);
        while pushes.next().await.is_some() {}
        assert_eq!(recorder.state.list_newest(KEY, 100).await.unwrap().len(), 1, "one write");
        let newest: Vec<_> = recorder.newest().await.unwrap().into_iter().map(|served| served.path).collect();
        assert_eq!(newest, (20..30).rev().map(|number| format!("/{number}")).collect::<Vec<_>>());
        assert!(recorder.queue().newest_first.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_before_his_turn_is_written_by_the_next() {
        let recorder = recorder().await;
        let turn = recorder.turn.lock().await;
        assert!(recorder.push(served(1)).now_or_never().is_none());
        drop(turn);
        recorder.push(served(2)).await;
        assert_eq!(recorder.newest().await.unwrap(), [served(2), served(1)]);
        assert_eq!(recorder.state.list_newest(KEY, 100).await.unwrap().len(), 1);
    }
}
