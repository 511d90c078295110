//! Nanoseconds since the process began, small enough for an atomic.

use std::sync::LazyLock;

use tokio::time::Instant;

static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

pub(crate) fn now_ns() -> u64 {
    EPOCH.elapsed().as_nanos() as u64
}
