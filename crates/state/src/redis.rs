//! State of many hosts, in Redis 7 or Valkey: one server, a master behind sentinels, or a cluster.
//!
//! | module | does |
//! |---|---|
//! | `topology` | reads the URL, knows where to connect |
//! | `link` | keeps one connection, bounds every call |
//! | `scripts` | what takes more than one command, atomic in Lua |
//! | `listener` | messages, on their own connection |
//! | `fault` | what errors mean |
//!
//! A value is stored as eight bytes of version and then its own. The version is a random number drawn by the writer: no counter has to
//! be kept for deleted keys, and two writes are alike once in 2⁶⁴. Every script touches keys of one hash slot only.

mod fault;
mod link;
mod listener;
mod scripts;
mod topology;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redis::{Cmd, FromRedisValue, Value as Answer};
use tokio::runtime::Handle;

use self::link::Link;
use self::listener::{CHANNEL_PREFIX, Listener};
use self::topology::Topology;
use crate::backend::{Backend, Error, Lock, Result, Subscription, TokenBucket, Tokens, Value, Version};
use crate::limits;

const VERSION_BYTES: usize = 8;

/// The Redis backend.
pub struct Redis {
    link: Link,
    listener: Listener,
}

impl Redis {
    /// Reads the URL and connects with the first call: a Redis that is away now may come back.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn open(url: &str) -> std::result::Result<Self, String> {
        let topology = Arc::new(Topology::parse(url)?);
        let runtime = Handle::current();
        Ok(Self { listener: Listener::start(Arc::clone(&topology), &runtime), link: Link::new(topology, runtime) })
    }

    async fn call<T: FromRedisValue>(&self, command: &Cmd) -> Result<T> {
        read(self.link.call(command).await?)
    }

    async fn lock_is_held(&self, script: &scripts::Script, lock: &Lock, lease: Option<Duration>) -> Result<bool> {
        let (held, _) = lock_keys(&lock.key);
        let lease_ms = ttl_ms(lease);
        read(self.link.run(script, &[held], &[&lock.fence, &lease_ms]).await?)
    }
}

/// Milliseconds for a script; 0 stands for no end.
fn ttl_ms(ttl: Option<Duration>) -> u64 {
    ttl.map_or(0, limits::ttl_ms)
}

fn read<T: FromRedisValue>(answer: Answer) -> Result<T> {
    redis::from_redis_value(answer).map_err(|error| Error::Broken(format!("redis answered something unexpected ({error})")))
}

fn key_of(kind: &str, key: &str) -> String {
    format!("plimsoll:{kind}:{key}")
}

/// The lock and its last fence, in the same slot: what stands between the first braces decides, and it is never empty.
fn lock_keys(key: &str) -> (String, String) {
    (format!("plimsoll:lock:{{lock:{key}}}"), format!("plimsoll:fence:{{lock:{key}}}"))
}

fn draw_version() -> Version {
    Version(fastrand::u64(..))
}

fn with_version(version: Version, bytes: &[u8]) -> Vec<u8> {
    [&version.0.to_be_bytes(), bytes].concat()
}

fn split_version(stored: Vec<u8>) -> Result<(Version, Bytes)> {
    let stored = Bytes::from(stored);
    let version = stored.first_chunk::<VERSION_BYTES>().ok_or_else(|| Error::Broken("a value in redis has no version".into()))?;
    Ok((Version(u64::from_be_bytes(*version)), stored.slice(VERSION_BYTES..)))
}

#[async_trait]
impl Backend for Redis {
    async fn get(&self, key: &str) -> Result<Option<Value>> {
        limits::check_key(key)?;
        let found: Option<(Vec<u8>, i64)> = read(self.link.run(&scripts::GET, &[key_of("value", key)], &[]).await?)?;
        let Some((stored, left_ms)) = found else { return Ok(None) };
        let (version, bytes) = split_version(stored)?;
        Ok(Some(Value { bytes, version, expires_in: u64::try_from(left_ms).ok().map(Duration::from_millis) }))
    }

    async fn set(&self, key: &str, bytes: Bytes, ttl: Option<Duration>) -> Result<Version> {
        limits::check_key(key)?;
        limits::check_value(&bytes)?;
        let version = draw_version();
        let mut command = redis::cmd("SET");
        command.arg(key_of("value", key)).arg(with_version(version, &bytes));
        if let Some(ttl) = ttl {
            command.arg("PX").arg(limits::ttl_ms(ttl));
        }
        self.call::<()>(&command).await?;
        Ok(version)
    }

    async fn compare_and_set(&self, key: &str, expected: Option<Version>, bytes: Bytes, ttl: Option<Duration>) -> Result<Option<Version>> {
        limits::check_key(key)?;
        limits::check_value(&bytes)?;
        let version = draw_version();
        let expected = expected.map(|version| version.0.to_be_bytes().to_vec()).unwrap_or_default();
        let (stored, ttl_ms) = (with_version(version, &bytes), ttl_ms(ttl));
        let written: bool = read(self.link.run(&scripts::COMPARE_AND_SET, &[key_of("value", key)], &[&expected, &stored, &ttl_ms]).await?)?;
        Ok(written.then_some(version))
    }

    async fn touch(&self, key: &str, ttl: Duration) -> Result<bool> {
        limits::check_key(key)?;
        self.call(redis::cmd("PEXPIRE").arg(key_of("value", key)).arg(limits::ttl_ms(ttl))).await
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        limits::check_key(key)?;
        self.call(redis::cmd("UNLINK").arg(key_of("value", key))).await
    }

    async fn increment(&self, key: &str, by: i64, ttl: Option<Duration>) -> Result<i64> {
        limits::check_key(key)?;
        let sum: Option<i64> = read(self.link.run(&scripts::INCREMENT, &[key_of("counter", key)], &[&by, &ttl_ms(ttl)]).await?)?;
        sum.ok_or_else(|| Error::counter_overflow(key))
    }

    async fn list_push(&self, key: &str, item: Bytes, length_max: usize) -> Result<()> {
        limits::check_key(key)?;
        limits::check_value(&item)?;
        limits::check_list_length(length_max)?;
        read(self.link.run(&scripts::LIST_PUSH, &[key_of("list", key)], &[&&item[..], &length_max]).await?)
    }

    async fn list_newest(&self, key: &str, count: usize) -> Result<Vec<Bytes>> {
        limits::check_key(key)?;
        if count == 0 {
            return Ok(Vec::new());
        }
        let last = count.min(limits::LIST_LENGTH_MAX) - 1;
        let items: Vec<Vec<u8>> = self.call(redis::cmd("LRANGE").arg(key_of("list", key)).arg(0).arg(last)).await?;
        Ok(items.into_iter().map(Bytes::from).collect())
    }

    async fn take_tokens(&self, key: &str, bucket: TokenBucket, cost: u32) -> Result<Tokens> {
        limits::check_key(key)?;
        limits::check_bucket(bucket, cost)?;
        let arguments: [&dyn scripts::Argument; 3] = [&bucket.per_second, &bucket.burst, &cost];
        let answer = self.link.run(&scripts::TAKE_TOKENS, &[key_of("bucket", key)], &arguments).await?;
        let (taken, remaining, wait_us): (bool, u32, u64) = read(answer)?;
        Ok(Tokens { taken, remaining, retry_after: Duration::from_micros(wait_us) })
    }

    async fn publish(&self, channel: &str, bytes: Bytes) -> Result<()> {
        limits::check_key(channel)?;
        limits::check_value(&bytes)?;
        self.call(redis::cmd("PUBLISH").arg(format!("{CHANNEL_PREFIX}{channel}")).arg(&bytes[..])).await
    }

    async fn subscribe(&self, channel: &str) -> Result<Subscription> {
        limits::check_key(channel)?;
        self.listener.subscribe(channel).await
    }

    async fn lock(&self, key: &str, lease: Duration) -> Result<Option<Lock>> {
        limits::check_key(key)?;
        let (held, last_fence) = lock_keys(key);
        let fence: Option<u64> = read(self.link.run(&scripts::LOCK, &[held, last_fence], &[&limits::ttl_ms(lease)]).await?)?;
        Ok(fence.map(|fence| Lock { key: key.to_owned(), fence }))
    }

    async fn renew(&self, lock: &Lock, lease: Duration) -> Result<bool> {
        self.lock_is_held(&scripts::RENEW, lock, Some(lease)).await
    }

    async fn unlock(&self, lock: &Lock) -> Result<bool> {
        self.lock_is_held(&scripts::UNLOCK, lock, None).await
    }

    async fn ping(&self) -> Result<()> {
        self.call(&redis::cmd("PING")).await
    }

    fn kind(&self) -> &'static str {
        "redis"
    }
}
