//! One thread writes for the whole process: it takes whatever calls are waiting and commits them together.
//!
//! A transaction costs about as much with fifty writes as with one, so the busier the store, the cheaper a write. Nobody is
//! answered before the commit; if anything in a batch fails, all of it is rolled back and every caller is told so.

use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::batch::Batch;
use super::file::{BUSY_TIMEOUT, File};
use crate::backend::{Error, Result};

const QUEUE_LENGTH: usize = 1024;
const BATCH_LENGTH_MAX: usize = 256;
const PURGE_INTERVAL: Duration = Duration::from_secs(1);

/// The handle on the thread; dropping it waits for the last commit.
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(file: File, connection: Connection) -> Result<Self> {
        let (queue, jobs) = mpsc::channel(QUEUE_LENGTH);
        let thread = std::thread::Builder::new()
            .name("state-writer".into())
            .spawn(move || write_until_closed(&file, &connection, jobs))
            .map_err(|error| Error::Unavailable(format!("cannot start the writer thread: {error}")))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Runs `work` in the next transaction and returns once that is committed.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Batch) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let queue = self.queue.as_ref().expect("the queue is open until drop");
        let call = Call { work: Some(work), answer: None, reply };
        let stopped = |()| Error::Unavailable("the writer thread has stopped".into());
        queue.send(Box::new(call)).await.map_err(|_| stopped(()))?;
        answer.await.map_err(|_| stopped(()))?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was reported when it happened.
            let _ = thread.join();
        }
    }
}

/// One waiting call, whatever its type of answer.
trait Job: Send {
    fn is_abandoned(&self) -> bool;
    fn run(&mut self, batch: &mut Batch) -> rusqlite::Result<()>;
    fn succeed(self: Box<Self>);
    fn fail(self: Box<Self>, error: Error);
}

struct Call<T, F> {
    work: Option<F>,
    answer: Option<T>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T: Send, F: FnOnce(&mut Batch) -> rusqlite::Result<T> + Send> Job for Call<T, F> {
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn run(&mut self, batch: &mut Batch) -> rusqlite::Result<()> {
        let work = self.work.take().expect("a call runs once");
        self.answer = Some(work(batch)?);
        Ok(())
    }

    // A caller that left in the meantime needs no answer, so a failed send is no failure.

    fn succeed(self: Box<Self>) {
        let _ = self.reply.send(Ok(self.answer.expect("a call that succeeded has run")));
    }

    fn fail(self: Box<Self>, error: Error) {
        let _ = self.reply.send(Err(error));
    }
}

fn write_until_closed(file: &File, connection: &Connection, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
    let mut batch = Vec::with_capacity(BATCH_LENGTH_MAX);
    let mut purge_at = Instant::now();
    while jobs.blocking_recv_many(&mut batch, BATCH_LENGTH_MAX) > 0 {
        match commit(connection, &mut batch) {
            Ok(()) => batch.drain(..).for_each(Job::succeed),
            Err(error) => {
                roll_back(connection);
                batch.drain(..).for_each(|job| job.fail(file.explain(&error)));
            }
        }
        // Only after a write, since nothing grows without one: an idle store sleeps.
        if Instant::now() >= purge_at {
            purge_at = purge(connection, file);
        }
    }
}

fn commit(connection: &Connection, jobs: &mut Vec<Box<dyn Job>>) -> rusqlite::Result<()> {
    let mut batch = Batch::begin(connection)?;
    // Whoever gave up while other processes wrote was told that nothing happened, or does not care: then nothing should happen.
    jobs.retain(|job| !job.is_abandoned());
    for job in jobs {
        job.run(&mut batch)?;
    }
    batch.commit()
}

fn roll_back(connection: &Connection) {
    // Some failures have rolled back already.
    if !connection.is_autocommit()
        && let Err(error) = connection.execute_batch("ROLLBACK")
    {
        tracing::error!(%error, "a transaction on the state database could not be rolled back");
    }
}

/// Returns when to purge next.
fn purge(connection: &Connection, file: &File) -> Instant {
    // Callers must not wait for this: if another process writes just now, there will be a better moment.
    let purged = connection.busy_timeout(Duration::ZERO).and_then(|()| {
        let mut batch = Batch::begin(connection)?;
        let more = batch.purge()?;
        batch.commit()?;
        Ok(more)
    });
    connection.busy_timeout(BUSY_TIMEOUT).expect("a timeout can be set on an open connection");
    let more = purged.unwrap_or_else(|error| {
        roll_back(connection);
        tracing::debug!(error = %file.explain(&error), "expired state was not deleted");
        false
    });
    if more { Instant::now() } else { Instant::now() + PURGE_INTERVAL }
}
