//! How reloads went: for the metrics and the status.

use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use plimsoll_telemetry::snapshot::ReloadSnapshot;

/// The start counts as a reload that worked.
pub struct Record(Mutex<ReloadSnapshot>);

impl Default for Record {
    fn default() -> Self {
        let now = now_unix_ms();
        Self(Mutex::new(ReloadSnapshot { last_ok: true, last_unix_ms: now, last_success_unix_ms: now, ..ReloadSnapshot::default() }))
    }
}

impl Record {
    pub fn succeeded(&self) {
        let now = now_unix_ms();
        self.note(|record| {
            (record.last_ok, record.last_unix_ms, record.last_success_unix_ms) = (true, now, now);
            record.succeeded_total += 1;
        });
    }

    pub fn failed(&self) {
        self.note(|record| {
            (record.last_ok, record.last_unix_ms) = (false, now_unix_ms());
            record.failed_total += 1;
        });
    }

    pub fn snapshot(&self) -> ReloadSnapshot {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, change: impl FnOnce(&mut ReloadSnapshot)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn now_unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_millis() as u64)
}
