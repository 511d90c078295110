//! Threads that read. In WAL mode a reader sees the last commit and waits for nobody.
//!
//! Reads stay off the runtime, since a page may have to come from the disk; and on threads of their own, since a read takes 3 µs:
//! handing it over costs 10 µs this way and 20 to 40 µs through the runtime's pool of blocking threads (`tests/it/cost.rs`).

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::file::File;
use crate::backend::{Error, Result};

const THREADS: usize = 2;
const QUEUE_LENGTH: usize = 512;
const READS_AT_ONCE: usize = 32;

pub(super) struct Readers {
    file: File,
    threads: Vec<Reader>,
    next: AtomicUsize,
}

type Read = Box<dyn FnOnce(&Connection) + Send>;

struct Reader {
    queue: Option<mpsc::Sender<Read>>,
    thread: Option<JoinHandle<()>>,
}

impl Readers {
    pub(super) fn start(file: File) -> Result<Self> {
        let threads = (0..THREADS).map(|_| Reader::start(&file)).collect::<Result<_>>()?;
        Ok(Self { file, threads, next: AtomicUsize::new(0) })
    }

    /// The threads take turns.
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let read = move |connection: &Connection| {
            if !reply.is_closed() {
                // A caller that left in the meantime needs no answer.
                let _ = reply.send(work(connection));
            }
        };
        let reader = &self.threads[self.next.fetch_add(1, Relaxed) % THREADS];
        let queue = reader.queue.as_ref().expect("the queue is open until drop");
        let stopped = || Error::Unavailable("a reader thread has stopped".into());
        queue.send(Box::new(read)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?.map_err(|error| self.file.explain(&error))
    }
}

impl Reader {
    fn start(file: &File) -> Result<Self> {
        let connection = file.open_reader()?;
        let (queue, mut reads) = mpsc::channel::<Read>(QUEUE_LENGTH);
        let read_until_closed = move || {
            let mut waiting = Vec::with_capacity(READS_AT_ONCE);
            while reads.blocking_recv_many(&mut waiting, READS_AT_ONCE) > 0 {
                for read in waiting.drain(..) {
                    read(&connection);
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("state-reader".into())
            .spawn(read_until_closed)
            .map_err(|error| Error::Unavailable(format!("cannot start a reader thread: {error}")))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was reported when it happened.
            let _ = thread.join();
        }
    }
}
