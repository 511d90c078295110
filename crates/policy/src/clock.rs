//! The time that decisions are told: nanoseconds since the process began, small enough for an atomic.
//!
//! A decision costs less than asking what time it is, and a request takes a dozen of them. So a task may hold its clock: it is read when it is
//! first asked after the task was woken, and stands still until the task waits again, which is microseconds later.

use std::cell::Cell;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::Instant;

static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

thread_local! {
    /// The clock of the task that runs on this thread.
    static HELD: Cell<Clock> = const { Cell::new(Clock::Free) };
}

#[derive(Clone, Copy)]
enum Clock {
    /// Nobody holds it.
    Free,
    /// Held, and not asked yet.
    Unread,
    Read(Instant, u64),
}

/// Now.
pub fn now() -> Instant {
    match HELD.get() {
        Clock::Read(now, _) => now,
        clock => read(clock).0,
    }
}

/// Now.
pub fn now_ns() -> u64 {
    match HELD.get() {
        Clock::Read(_, now_ns) => now_ns,
        clock => read(clock).1,
    }
}

/// Apart, because most questions come after the first.
#[cold]
#[inline(never)]
fn read(clock: Clock) -> (Instant, u64) {
    let now = Instant::now();
    let now_ns = to_ns(now);
    if matches!(clock, Clock::Unread) {
        HELD.set(Clock::Read(now, now_ns));
    }
    (now, now_ns)
}

/// How long ago that was.
pub fn since(earlier: Instant) -> Duration {
    now().saturating_duration_since(earlier)
}

/// The same of any instant.
pub fn to_ns(instant: Instant) -> u64 {
    instant.saturating_duration_since(*EPOCH).as_nanos() as u64
}

pub(crate) fn to_instant(ns: u64) -> Instant {
    *EPOCH + Duration::from_nanos(ns)
}

/// A task whose clock is read at most once for each time it is woken. For tasks that wait often and never compute for long.
pub fn held<F: Future>(task: F) -> Held<F> {
    Held { task }
}

pin_project! {
    /// See [`held`].
    #[derive(Debug)]
    #[must_use = "a future does nothing unless it is polled"]
    pub struct Held<F> {
        #[pin]
        task: F,
    }
}

impl<F: Future> Future for Held<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _release = Release(HELD.replace(Clock::Unread));
        self.project().task.poll(context)
    }
}

/// Lets the clock go on, after a panic too.
struct Release(Clock);

impl Drop for Release {
    fn drop(&mut self) {
        HELD.set(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Until the real clock has moved on.
    fn dawdle() {
        let began = Instant::now();
        while Instant::now() == began {
            std::hint::spin_loop();
        }
    }

    #[tokio::test]
    async fn stands_still_until_the_task_waits() {
        held(async {
            let (first, first_ns) = (now(), now_ns());
            dawdle();
            assert_eq!((now(), now_ns(), since(first)), (first, first_ns, Duration::ZERO));
            tokio::task::yield_now().await;
            assert!(now() > first && now_ns() > first_ns && to_ns(now()) == now_ns());
        })
        .await;
    }

    #[tokio::test]
    async fn goes_on_outside_and_after_a_panic() {
        let panicked = tokio::spawn(held(async { panic!("as bugs do") })).await;
        assert!(panicked.is_err());
        let before = now_ns();
        dawdle();
        assert!(now_ns() > before);
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_to_a_paused_clock() {
        held(async {
            let before = now();
            tokio::time::sleep(Duration::from_secs(3)).await;
            assert_eq!(since(before).as_secs(), 3);
        })
        .await;
    }
}
