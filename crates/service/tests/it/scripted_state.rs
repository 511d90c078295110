//! Shared state that fails on command, around a store that works.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use plimsoll_state::{Backend, Error, Lock, Result, State, Subscription, TokenBucket, Tokens, Value, Version};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Working,
    Unavailable,
    Broken,
    /// Calls wait until the mode changes; `ping` does not.
    Hanging,
    Panicking,
}

pub(crate) struct Scripted {
    inner: State,
    mode: watch::Sender<Mode>,
    /// Calls that hang at the moment.
    waiting: watch::Sender<usize>,
    /// Calls that prolonged a value.
    touches: watch::Sender<usize>,
}

impl Scripted {
    pub(crate) async fn new() -> Arc<Self> {
        let inner = plimsoll_state::open("memory:").await.unwrap();
        Arc::new(Self { inner, mode: watch::Sender::new(Mode::Working), waiting: watch::Sender::new(0), touches: watch::Sender::new(0) })
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    pub(crate) async fn until_waiting(&self, calls: usize) {
        self.waiting.subscribe().wait_for(|waiting| *waiting == calls).await.unwrap();
    }

    pub(crate) fn touches(&self) -> usize {
        *self.touches.borrow()
    }

    async fn gate(&self) -> Result<()> {
        let mode = *self.mode.borrow();
        match mode {
            Mode::Working => {}
            Mode::Unavailable => return Err(Error::Unavailable("scripted".into())),
            Mode::Broken => return Err(Error::Broken("scripted".into())),
            Mode::Panicking => panic!("scripted"),
            Mode::Hanging => {
                self.waiting.send_modify(|waiting| *waiting += 1);
                self.mode.subscribe().wait_for(|mode| *mode != Mode::Hanging).await.unwrap();
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Backend for Scripted {
    async fn get(&self, key: &str) -> Result<Option<Value>> {
        self.gate().await?;
        self.inner.get(key).await
    }

    async fn set(&self, key: &str, bytes: Bytes, ttl: Option<Duration>) -> Result<Version> {
        self.gate().await?;
        self.inner.set(key, bytes, ttl).await
    }

    async fn compare_and_set(&self, key: &str, expected: Option<Version>, bytes: Bytes, ttl: Option<Duration>) -> Result<Option<Version>> {
        self.inner.compare_and_set(key, expected, bytes, ttl).await
    }

    async fn touch(&self, key: &str, ttl: Duration) -> Result<bool> {
        self.gate().await?;
        self.touches.send_modify(|touches| *touches += 1);
        self.inner.touch(key, ttl).await
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        self.gate().await?;
        self.inner.delete(key).await
    }

    async fn increment(&self, key: &str, by: i64, ttl: Option<Duration>) -> Result<i64> {
        self.inner.increment(key, by, ttl).await
    }

    async fn list_push(&self, key: &str, item: Bytes, length_max: usize) -> Result<()> {
        // A panic here would be one of the recorder, which is no handler.
        if *self.mode.borrow() != Mode::Panicking {
            self.gate().await?;
        }
        self.inner.list_push(key, item, length_max).await
    }

    async fn list_newest(&self, key: &str, count: usize) -> Result<Vec<Bytes>> {
        self.gate().await?;
        self.inner.list_newest(key, count).await
    }

    async fn take_tokens(&self, key: &str, bucket: TokenBucket, cost: u32) -> Result<Tokens> {
        self.inner.take_tokens(key, bucket, cost).await
    }

    async fn publish(&self, channel: &str, bytes: Bytes) -> Result<()> {
        self.inner.publish(channel, bytes).await
    }

    async fn subscribe(&self, channel: &str) -> Result<Subscription> {
        self.inner.subscribe(channel).await
    }

    async fn lock(&self, key: &str, lease: Duration) -> Result<Option<Lock>> {
        self.inner.lock(key, lease).await
    }

    async fn renew(&self, lock: &Lock, lease: Duration) -> Result<bool> {
        self.inner.renew(lock, lease).await
    }

    async fn unlock(&self, lock: &Lock) -> Result<bool> {
        self.inner.unlock(lock).await
    }

    async fn ping(&self) -> Result<()> {
        match *self.mode.borrow() {
            Mode::Unavailable => Err(Error::Unavailable("scripted".into())),
            _ => Ok(()),
        }
    }

    fn kind(&self) -> &'static str {
        "scripted"
    }
}
