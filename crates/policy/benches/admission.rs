//! What admission costs a request: `cargo bench -p plimsoll-policy --bench admission`.
//!
//! Nanoseconds per request that enters and finishes, on one thread and on two, and with a queue that 1 or 10,000 tenants wait in.
#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_policy::admission::{Admission, Ask, Config, Outcome};
use tokio::task::JoinSet;
use tokio::time::Instant;

const REQUESTS: u32 = 2_000_000;
const WAITERS: u64 = 10_000;

fn main() {
    println!("uncontended, 1 thread: {:.0} ns", per_request(1));
    println!("uncontended, 2 threads on one gate: {:.0} ns", per_request(2));
    for tenants in [1, 10_000] {
        println!("through the queue, {tenants} tenants: {:.0} ns", queued(tenants));
    }
    println!("refused on arrival: {:.0} ns", refused());
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime for the bench")
}

fn per_request(threads: u32) -> f64 {
    let admission = Admission::new(Config::default());
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                runtime().block_on(async {
                    for _ in 0..REQUESTS {
                        admission.enter(black_box(&Ask::default())).await.expect("a place is free").finish(Outcome::Served);
                    }
                });
            });
        }
    });
    started.elapsed().as_nanos() as f64 / f64::from(REQUESTS)
}

/// Everybody waits for one place and passes it on: a task, a timer and a wake-up each are part of the figure.
fn queued(tenants: u64) -> f64 {
    let config = Config {
        limit_initial: 1,
        limit_max: 1,
        waiters_max: 2 * WAITERS as usize,
        queue_wait_max: Duration::from_hours(1),
        ..Config::default()
    };
    let admission = Admission::new(config);
    runtime().block_on(async {
        let first = admission.enter(&Ask::default()).await.expect("the first place");
        let started = Instant::now();
        let mut waiters = JoinSet::new();
        for waiter in 0..WAITERS {
            let admission = Arc::clone(&admission);
            let ask = Ask { tenant: 1 + waiter % tenants, ..Ask::default() };
            waiters.spawn(async move { admission.enter(&ask).await.expect("room for all").finish(Outcome::Served) });
        }
        tokio::task::yield_now().await;
        first.finish(Outcome::Served);
        while waiters.join_next().await.is_some() {}
        started.elapsed().as_nanos() as f64 / WAITERS as f64
    })
}

fn refused() -> f64 {
    let admission = Admission::new(Config { limit_initial: 1, limit_max: 1, waiters_max: 0, ..Config::default() });
    runtime().block_on(async {
        let _held = admission.enter(&Ask::default()).await.expect("the first place");
        let count = REQUESTS / 10;
        let started = Instant::now();
        for _ in 0..count {
            assert!(admission.enter(black_box(&Ask::default())).await.is_err());
        }
        started.elapsed().as_nanos() as f64 / f64::from(count)
    })
}
