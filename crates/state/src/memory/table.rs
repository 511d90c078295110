//! A bounded map whose entries expire. Time is an argument, so nothing here reads a clock.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::backend::{Error, Result};

/// Below this many entries expired ones are left lying: they cost less than the sweep.
const SWEEP_LENGTH_MIN: usize = 1024;
/// A full table is swept at most this often: otherwise every refused write would walk all of it.
const FULL_SWEEP_INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct Table<T> {
    entries: HashMap<Box<str>, Entry<T>>,
    keys_max: usize,
    /// Swept when it grows to this: twice what was alive after the last sweep, so a write pays for its share of sweeping only.
    sweep_at_length: usize,
    full_at: Option<Instant>,
}

pub(super) struct Entry<T> {
    pub item: T,
    /// `None` lives until removed.
    pub expires_at: Option<Instant>,
}

impl<T> Entry<T> {
    fn is_alive(&self, now: Instant) -> bool {
        self.expires_at.is_none_or(|expires_at| now < expires_at)
    }
}

impl<T> Table<T> {
    pub(super) fn new(keys_max: usize) -> Self {
        Self { entries: HashMap::new(), keys_max, sweep_at_length: SWEEP_LENGTH_MIN.min(keys_max), full_at: None }
    }

    pub(super) fn get(&self, key: &str, now: Instant) -> Option<&Entry<T>> {
        self.entries.get(key).filter(|entry| entry.is_alive(now))
    }

    pub(super) fn get_mut(&mut self, key: &str, now: Instant) -> Option<&mut Entry<T>> {
        self.entries.get_mut(key).filter(|entry| entry.is_alive(now))
    }

    pub(super) fn insert(&mut self, key: &str, entry: Entry<T>, now: Instant) -> Result<()> {
        if let Some(present) = self.entries.get_mut(key) {
            *present = entry;
            return Ok(());
        }
        self.make_room(now)?;
        self.entries.insert(key.into(), entry);
        Ok(())
    }

    /// True if there was a live entry.
    pub(super) fn remove(&mut self, key: &str, now: Instant) -> bool {
        self.entries.remove(key).is_some_and(|entry| entry.is_alive(now))
    }

    fn make_room(&mut self, now: Instant) -> Result<()> {
        if self.entries.len() < self.sweep_at_length {
            return Ok(());
        }
        let swept_lately = self.full_at.is_some_and(|full_at| now.duration_since(full_at) < FULL_SWEEP_INTERVAL);
        if !swept_lately {
            self.entries.retain(|_, entry| entry.is_alive(now));
            self.sweep_at_length = (self.entries.len() * 2).clamp(SWEEP_LENGTH_MIN.min(self.keys_max), self.keys_max);
            self.full_at = None;
        }
        if self.entries.len() < self.keys_max {
            return Ok(());
        }
        self.full_at.get_or_insert(now);
        Err(Error::Unavailable(format!("memory holds {} live keys, its maximum: use sqlite or redis", self.keys_max)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expiring(now: Instant, ttl_ms: u64) -> Entry<()> {
        Entry { item: (), expires_at: Some(now + Duration::from_millis(ttl_ms)) }
    }

    #[test]
    fn a_full_table_refuses_new_keys_until_old_ones_expire() {
        let start = Instant::now();
        let mut table = Table::new(2);
        table.insert("a", expiring(start, 10), start).unwrap();
        table.insert("b", expiring(start, 5_000), start).unwrap();
        assert!(matches!(table.insert("c", expiring(start, 10), start), Err(Error::Unavailable(_))));
        table.insert("b", expiring(start, 5_000), start).expect("a present key is no new key");
        let later = start + Duration::from_secs(2);
        table.insert("c", expiring(later, 10), later).unwrap();
        assert!(table.get("a", later).is_none() && table.get("b", later).is_some());
    }

    #[test]
    fn expired_entries_do_not_pile_up() {
        let start = Instant::now();
        let mut table = Table::new(1_000_000);
        for number in 0..100_000u64 {
            let now = start + Duration::from_millis(number);
            table.insert(&number.to_string(), expiring(now, 10), now).unwrap();
        }
        assert!(table.entries.len() <= SWEEP_LENGTH_MIN, "{} entries for 10 live ones", table.entries.len());
    }
}
