//! State of one process, gone with it. For a single instance, and for tests: time is tokio's, so a paused clock moves expiry too.

mod table;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;

use self::table::{Entry, Table};
use crate::backend::{Backend, Error, Lock, Result, Subscription, TokenBucket, Tokens, Value, Version};
use crate::hub::Hub;
use crate::{gcra, limits};

/// Live keys of each kind (values, counters, lists, buckets, locks). A million sessions are about 200 MB.
pub const KEYS_MAX: usize = 1_000_000;

/// The memory backend. One lock per kind of key, held for well under a microsecond.
pub struct Memory {
    values: Mutex<Table<Stored>>,
    counters: Mutex<Table<i64>>,
    lists: Mutex<Table<VecDeque<Bytes>>>,
    /// When each bucket is full again, in microseconds since `started`.
    buckets: Mutex<Table<f64>>,
    fences: Mutex<Table<u64>>,
    /// The source of versions and fences: both only ever grow.
    sequence: AtomicU64,
    hub: Arc<Hub>,
    started: Instant,
}

struct Stored {
    bytes: Bytes,
    version: Version,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(KEYS_MAX)
    }
}

impl Memory {
    /// A store with at most `keys_max` live keys of each kind; writes of further keys are refused as unavailable.
    pub fn new(keys_max: usize) -> Self {
        Self {
            values: Mutex::new(Table::new(keys_max)),
            counters: Mutex::new(Table::new(keys_max)),
            lists: Mutex::new(Table::new(keys_max)),
            buckets: Mutex::new(Table::new(keys_max)),
            fences: Mutex::new(Table::new(keys_max)),
            sequence: AtomicU64::new(0),
            hub: Hub::new(),
            started: Instant::now(),
        }
    }

    fn next_in_sequence(&self) -> u64 {
        self.sequence.fetch_add(1, Relaxed) + 1
    }

    fn write(&self, values: &mut Table<Stored>, key: &str, bytes: &[u8], ttl: Option<Duration>) -> Result<Version> {
        let now = Instant::now();
        let version = Version(self.next_in_sequence());
        // A copy: the caller's bytes may be a slice of a much larger buffer that would be kept alive.
        let stored = Stored { bytes: Bytes::copy_from_slice(bytes), version };
        values.insert(key, Entry { item: stored, expires_at: ttl.map(|ttl| expiry(now, ttl)) }, now)?;
        Ok(version)
    }
}

fn locked<T>(table: &Mutex<Table<T>>) -> MutexGuard<'_, Table<T>> {
    // A table is whole between any two of its calls, so a panic elsewhere leaves nothing half-done.
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

fn expiry(now: Instant, ttl: Duration) -> Instant {
    now + limits::clamp_ttl(ttl)
}

#[async_trait]
impl Backend for Memory {
    async fn get(&self, key: &str) -> Result<Option<Value>> {
        limits::check_key(key)?;
        let now = Instant::now();
        Ok(locked(&self.values).get(key, now).map(|entry| Value {
            bytes: entry.item.bytes.clone(),
            version: entry.item.version,
            expires_in: entry.expires_at.map(|expires_at| expires_at - now),
        }))
    }

    async fn set(&self, key: &str, bytes: Bytes, ttl: Option<Duration>) -> Result<Version> {
        limits::check_key(key)?;
        limits::check_value(&bytes)?;
        self.write(&mut locked(&self.values), key, &bytes, ttl)
    }

    async fn compare_and_set(&self, key: &str, expected: Option<Version>, bytes: Bytes, ttl: Option<Duration>) -> Result<Option<Version>> {
        limits::check_key(key)?;
        limits::check_value(&bytes)?;
        let mut values = locked(&self.values);
        let present = values.get(key, Instant::now()).map(|entry| entry.item.version);
        if present == expected { self.write(&mut values, key, &bytes, ttl).map(Some) } else { Ok(None) }
    }

    async fn touch(&self, key: &str, ttl: Duration) -> Result<bool> {
        limits::check_key(key)?;
        let now = Instant::now();
        let mut values = locked(&self.values);
        let Some(entry) = values.get_mut(key, now) else { return Ok(false) };
        entry.expires_at = Some(expiry(now, ttl));
        Ok(true)
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        limits::check_key(key)?;
        Ok(locked(&self.values).remove(key, Instant::now()))
    }

    async fn increment(&self, key: &str, by: i64, ttl: Option<Duration>) -> Result<i64> {
        limits::check_key(key)?;
        let now = Instant::now();
        let mut counters = locked(&self.counters);
        if let Some(entry) = counters.get_mut(key, now) {
            entry.item = entry.item.checked_add(by).ok_or_else(|| Error::counter_overflow(key))?;
            return Ok(entry.item);
        }
        counters.insert(key, Entry { item: by, expires_at: ttl.map(|ttl| expiry(now, ttl)) }, now)?;
        Ok(by)
    }

    async fn list_push(&self, key: &str, item: Bytes, length_max: usize) -> Result<()> {
        limits::check_key(key)?;
        limits::check_value(&item)?;
        limits::check_list_length(length_max)?;
        let now = Instant::now();
        let item = Bytes::copy_from_slice(&item);
        let mut lists = locked(&self.lists);
        if length_max == 0 {
            lists.remove(key, now);
        } else if let Some(entry) = lists.get_mut(key, now) {
            entry.item.push_front(item);
            entry.item.truncate(length_max);
        } else {
            lists.insert(key, Entry { item: VecDeque::from([item]), expires_at: None }, now)?;
        }
        Ok(())
    }

    async fn list_newest(&self, key: &str, count: usize) -> Result<Vec<Bytes>> {
        limits::check_key(key)?;
        let lists = locked(&self.lists);
        Ok(lists.get(key, Instant::now()).map(|entry| entry.item.iter().take(count).cloned().collect()).unwrap_or_default())
    }

    async fn take_tokens(&self, key: &str, bucket: TokenBucket, cost: u32) -> Result<Tokens> {
        limits::check_key(key)?;
        limits::check_bucket(bucket, cost)?;
        let now = Instant::now();
        let now_us = now.duration_since(self.started).as_micros() as f64;
        let mut buckets = locked(&self.buckets);
        let full_at_us = buckets.get(key, now).map_or(now_us, |entry| entry.item);
        let decision = gcra::take(full_at_us, now_us, bucket, cost);
        if decision.tokens.taken {
            // A full bucket is the same as none: it may be swept.
            let full_in = Duration::from_micros((decision.full_at_us - now_us).ceil() as u64);
            buckets.insert(key, Entry { item: decision.full_at_us, expires_at: Some(expiry(now, full_in)) }, now)?;
        }
        Ok(decision.tokens)
    }

    async fn publish(&self, channel: &str, bytes: Bytes) -> Result<()> {
        limits::check_key(channel)?;
        limits::check_value(&bytes)?;
        self.hub.deliver(channel, &bytes);
        Ok(())
    }

    async fn subscribe(&self, channel: &str) -> Result<Subscription> {
        limits::check_key(channel)?;
        self.hub.subscribe(channel)
    }

    async fn lock(&self, key: &str, lease: Duration) -> Result<Option<Lock>> {
        limits::check_key(key)?;
        let now = Instant::now();
        let mut fences = locked(&self.fences);
        if fences.get(key, now).is_some() {
            return Ok(None);
        }
        let fence = self.next_in_sequence();
        fences.insert(key, Entry { item: fence, expires_at: Some(expiry(now, lease)) }, now)?;
        Ok(Some(Lock { key: key.into(), fence }))
    }

    async fn renew(&self, lock: &Lock, lease: Duration) -> Result<bool> {
        let now = Instant::now();
        let mut fences = locked(&self.fences);
        let Some(entry) = fences.get_mut(&lock.key, now).filter(|entry| entry.item == lock.fence) else { return Ok(false) };
        entry.expires_at = Some(expiry(now, lease));
        Ok(true)
    }

    async fn unlock(&self, lock: &Lock) -> Result<bool> {
        let now = Instant::now();
        let mut fences = locked(&self.fences);
        let held = fences.get(&lock.key, now).is_some_and(|entry| entry.item == lock.fence);
        Ok(held && fences.remove(&lock.key, now))
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }

    fn kind(&self) -> &'static str {
        "memory"
    }
}
