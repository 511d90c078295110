//! The interface every backend keeps, and the handle the rest of the program holds.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::hub::Membership;

/// A cheap handle on shared state; clones reach the same store.
pub type State = Arc<dyn Backend>;

pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation on shared state did not happen.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The store cannot be reached, or did not answer in time. The operation may or may not have happened. Worth a retry later.
    #[error("the shared state is unavailable: {0}")]
    Unavailable(String),
    /// The store answered with something this program never wrote, or refused the command. A retry will not help.
    #[error("the shared state is broken: {0}")]
    Broken(String),
    /// The state URL cannot be used.
    #[error("state url `{url}`: {problem}")]
    Url { url: String, problem: String },
}

impl Error {
    pub(crate) fn counter_overflow(key: &str) -> Self {
        Self::Broken(format!("the counter `{key}` would leave the range of 64 bits"))
    }
}

/// Changes with every write to its key, even after the key was deleted and made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version(pub u64);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    pub bytes: Bytes,
    pub version: Version,
    /// How long it will still live; `None` lives until deleted.
    pub expires_in: Option<Duration>,
}

/// A token bucket: `burst` tokens at most, refilled at `per_second` (kept as GCRA: one number per key).
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    pub per_second: f64,
    pub burst: u32,
}

/// What a token bucket said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tokens {
    pub taken: bool,
    /// Whole tokens left.
    pub remaining: u32,
    /// Until enough tokens would be there; zero when taken.
    pub retry_after: Duration,
}

/// A lock that somebody holds until its lease ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    pub key: String,
    /// Grows with every holder of this key: whoever stores something on the lock's behalf passes it on, and the store refuses a lower one.
    pub fence: u64,
}

/// One message of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    Data(Bytes),
    /// The subscriber was too slow, or the store was away: at least one message was lost here.
    Missed,
}

/// A stream of messages from the moment of subscription on. Bounded; dropping it unsubscribes.
pub struct Subscription {
    pub(crate) receiver: tokio::sync::mpsc::Receiver<Message>,
    pub(crate) _membership: Membership,
}

impl Subscription {
    /// The next message; `None` once the store has shut down.
    pub async fn next(&mut self) -> Option<Message> {
        self.receiver.recv().await
    }
}

/// Values with a time to live, counters, bounded lists, token buckets, channels and locks, shared by everyone on the same store.
///
/// Keys are at most 512 bytes, values at most 1 MiB, lists at most 10,000 items; whatever is larger is refused as [`Error::Broken`].
/// Values, counters, lists, buckets, channels and locks are separate key spaces.
/// Every call ends within the backend's time limit, with [`Error::Unavailable`] if it must.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    async fn get(&self, key: &str) -> Result<Option<Value>>;

    /// Writes whatever was there before; without `ttl` it lives until deleted.
    async fn set(&self, key: &str, bytes: Bytes, ttl: Option<Duration>) -> Result<Version>;

    /// Writes only if the key is still at `expected` (`None`: absent). Returns the new version, or `None` if somebody was faster.
    async fn compare_and_set(&self, key: &str, expected: Option<Version>, bytes: Bytes, ttl: Option<Duration>) -> Result<Option<Version>>;

    /// Gives a value a new time to live and leaves its version. False if there is none.
    async fn touch(&self, key: &str, ttl: Duration) -> Result<bool>;

    /// True if there was a value.
    async fn delete(&self, key: &str) -> Result<bool>;

    /// Adds to a counter (absent is 0) and returns the sum. `ttl` starts when the counter is made and is not extended.
    async fn increment(&self, key: &str, by: i64, ttl: Option<Duration>) -> Result<i64>;

    /// Puts an item in front and keeps the newest `length_max` items.
    async fn list_push(&self, key: &str, item: Bytes, length_max: usize) -> Result<()>;

    /// The newest items, newest first.
    async fn list_newest(&self, key: &str, count: usize) -> Result<Vec<Bytes>>;

    /// Takes `cost` tokens if they are there. Time is the store's own, so clocks of callers do not matter.
    async fn take_tokens(&self, key: &str, bucket: TokenBucket, cost: u32) -> Result<Tokens>;

    /// Sends to everyone who is subscribed now.
    async fn publish(&self, channel: &str, bytes: Bytes) -> Result<()>;

    /// Returns once the subscription is in force: what is published afterwards will be seen. What was on its way just then may be, too.
    async fn subscribe(&self, channel: &str) -> Result<Subscription>;

    /// Takes the lock for `lease` if nobody holds it.
    async fn lock(&self, key: &str, lease: Duration) -> Result<Option<Lock>>;

    /// Extends a lease. False if the lock was lost in the meantime.
    async fn renew(&self, lock: &Lock, lease: Duration) -> Result<bool>;

    /// Gives the lock back. False if it was lost before.
    async fn unlock(&self, lock: &Lock) -> Result<bool>;

    /// Whether the store answers: for readiness.
    async fn ping(&self) -> Result<()>;

    /// A word for humans: `memory`, `sqlite`, `redis`.
    fn kind(&self) -> &'static str;
}
