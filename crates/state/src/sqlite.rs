//! State of the processes of one host, in one `SQLite` file: the default.
//!
//! | module | does |
//! |---|---|
//! | `file` | creates and opens the file, says what its errors mean |
//! | `writer` | one thread, many writes per transaction |
//! | `batch` | the statements that write |
//! | `readers` | threads that read |
//! | `listener` | messages between processes |
//!
//! Writes survive a crash of the process. After a power cut the last ones may be gone (`synchronous = NORMAL`), the file is whole.

mod batch;
mod file;
mod listener;
mod readers;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::OptionalExtension;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep, timeout};

use self::batch::Batch;
use self::file::File;
use self::listener::Listener;
use self::readers::Readers;
use self::writer::Writer;
use crate::backend::{Backend, Error, Lock, Result, Subscription, TokenBucket, Tokens, Value, Version};
use crate::limits;

/// Every call ends by then. A write may wait for the one before it, and both for other processes, so their error comes first.
const CALL_TIME_MAX: Duration = Duration::from_secs(3);
/// Processes that start together make the tables one after the other.
const OPEN_TIME_MAX: Duration = Duration::from_secs(5);
const OPEN_RETRY_PAUSE: Duration = Duration::from_millis(20);

/// The `SQLite` backend.
pub struct Sqlite {
    file: File,
    writer: Writer,
    readers: Readers,
    /// Started by the first subscription.
    listener: OnceCell<Arc<Listener>>,
}

impl Sqlite {
    /// Opens the file, making it and its tables where they are missing. Its directory must be there.
    pub async fn open(path: &Path) -> Result<Self> {
        let path = path.to_path_buf();
        let file = blocking(move || File::create(&path)).await?;
        let deadline = Instant::now() + OPEN_TIME_MAX;
        let connection = loop {
            let opening = file.clone();
            match blocking(move || opening.open_writer()).await {
                // Switching to WAL does not wait its turn as a write does.
                Err(Error::Unavailable(_)) if Instant::now() < deadline => sleep(OPEN_RETRY_PAUSE).await,
                opened => break opened?,
            }
        };
        let writer = Writer::start(file.clone(), connection)?;
        let reading = file.clone();
        let readers = blocking(move || Readers::start(reading)).await?;
        Ok(Self { file, writer, readers, listener: OnceCell::new() })
    }

    async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Batch) -> rusqlite::Result<T> + Send + 'static,
    {
        self.within_time(self.writer.write(work)).await
    }

    async fn within_time<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let late = || Error::Unavailable(format!("`{}` did not answer within {} s", self.file.display(), CALL_TIME_MAX.as_secs()));
        timeout(CALL_TIME_MAX, call).await.unwrap_or_else(|_| Err(late()))
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Unavailable(format!("opening was cut off: {error}")))?
}

fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_micros() as u64)
}

#[async_trait]
impl Backend for Sqlite {
    async fn get(&self, key: &str) -> Result<Option<Value>> {
        limits::check_key(key)?;
        let key = key.to_owned();
        let read = self.readers.read(move |connection| {
            let now_ms = now_us() / 1000;
            let mut query = connection.prepare_cached(
                "SELECT bytes, version, expires_ms FROM value WHERE key = ?1 AND (expires_ms IS NULL OR expires_ms > ?2)",
            )?;
            let value = query.query_row((key, now_ms), |row| {
                let expires_ms: Option<u64> = row.get(2)?;
                Ok(Value {
                    bytes: Bytes::from(row.get::<_, Vec<u8>>(0)?),
                    version: Version(row.get(1)?),
                    expires_in: expires_ms.map(|expires_ms| Duration::from_millis(expires_ms - now_ms)),
                })
            });
            value.optional()
        });
        self.within_time(read).await
    }

    async fn set(&self, key: &str, bytes: Bytes, ttl: Option<Duration>) -> Result<Version> {
        limits::check_key(key)?;
        limits::check_value(&bytes)?;
        let key = key.to_owned();
        self.write(move |batch| batch.set(&key, &bytes, ttl.map(limits::ttl_ms))).await
    }

    async fn compare_and_set(&self, key: &str, expected: Option<Version>, bytes: Bytes, ttl: Option<Duration>) -> Result<Option<Version>> {
        limits::check_key(key)?;
        limits::check_value(&bytes)?;
        let key = key.to_owned();
        self.write(move |batch| batch.compare_and_set(&key, expected, &bytes, ttl.map(limits::ttl_ms))).await
    }

    async fn touch(&self, key: &str, ttl: Duration) -> Result<bool> {
        limits::check_key(key)?;
        let key = key.to_owned();
        self.write(move |batch| batch.touch(&key, limits::ttl_ms(ttl))).await
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        limits::check_key(key)?;
        let key = key.to_owned();
        self.write(move |batch| batch.delete(&key)).await
    }

    async fn increment(&self, key: &str, by: i64, ttl: Option<Duration>) -> Result<i64> {
        limits::check_key(key)?;
        let counter = key.to_owned();
        let sum = self.write(move |batch| batch.increment(&counter, by, ttl.map(limits::ttl_ms))).await?;
        sum.ok_or_else(|| Error::counter_overflow(key))
    }

    async fn list_push(&self, key: &str, item: Bytes, length_max: usize) -> Result<()> {
        limits::check_key(key)?;
        limits::check_value(&item)?;
        limits::check_list_length(length_max)?;
        let key = key.to_owned();
        self.write(move |batch| batch.list_push(&key, &item, length_max)).await
    }

    async fn list_newest(&self, key: &str, count: usize) -> Result<Vec<Bytes>> {
        limits::check_key(key)?;
        let (key, count) = (key.to_owned(), count.min(limits::LIST_LENGTH_MAX));
        let read = self.readers.read(move |connection| {
            let mut query = connection.prepare_cached("SELECT bytes FROM item WHERE list = ?1 ORDER BY number DESC LIMIT ?2")?;
            let items = query.query_map((key, count as u64), |row| row.get::<_, Vec<u8>>(0).map(Bytes::from))?;
            items.collect()
        });
        self.within_time(read).await
    }

    async fn take_tokens(&self, key: &str, bucket: TokenBucket, cost: u32) -> Result<Tokens> {
        limits::check_key(key)?;
        limits::check_bucket(bucket, cost)?;
        let key = key.to_owned();
        self.write(move |batch| batch.take_tokens(&key, bucket, cost)).await
    }

    async fn publish(&self, channel: &str, bytes: Bytes) -> Result<()> {
        limits::check_key(channel)?;
        limits::check_value(&bytes)?;
        let channel = channel.to_owned();
        self.write(move |batch| batch.publish(&channel, &bytes)).await?;
        if let Some(listener) = self.listener.get() {
            listener.look();
        }
        Ok(())
    }

    async fn subscribe(&self, channel: &str) -> Result<Subscription> {
        limits::check_key(channel)?;
        let start = || {
            let file = self.file.clone();
            blocking(move || Listener::start(file).map(Arc::new))
        };
        self.within_time(async { self.listener.get_or_try_init(start).await?.subscribe(channel.to_owned()).await }).await
    }

    async fn lock(&self, key: &str, lease: Duration) -> Result<Option<Lock>> {
        limits::check_key(key)?;
        let taken = key.to_owned();
        let fence = self.write(move |batch| batch.lock(&taken, limits::ttl_ms(lease))).await?;
        Ok(fence.map(|fence| Lock { key: key.to_owned(), fence }))
    }

    async fn renew(&self, lock: &Lock, lease: Duration) -> Result<bool> {
        let Lock { key, fence } = lock.clone();
        self.write(move |batch| batch.renew(&key, fence, limits::ttl_ms(lease))).await
    }

    async fn unlock(&self, lock: &Lock) -> Result<bool> {
        let Lock { key, fence } = lock.clone();
        self.write(move |batch| batch.unlock(&key, fence)).await
    }

    async fn ping(&self) -> Result<()> {
        let read = self.readers.read(|connection| connection.prepare_cached("SELECT last FROM sequence")?.query_row([], |_| Ok(())));
        self.within_time(read).await
    }

    fn kind(&self) -> &'static str {
        "sqlite"
    }
}
