//! Nanoseconds since the process began, small enough for an atomic: the `now_ns` that decisions are told.

use std::sync::LazyLock;

use tokio::time::Instant;

static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Now.
pub fn now_ns() -> u64 {
    EPOCH.elapsed().as_nanos() as u64
}

/// The same of any instant.
pub fn to_ns(instant: Instant) -> u64 {
    instant.saturating_duration_since(*EPOCH).as_nanos() as u64
}

pub(crate) fn to_instant(ns: u64) -> Instant {
    *EPOCH + std::time::Duration::from_nanos(ns)
}
