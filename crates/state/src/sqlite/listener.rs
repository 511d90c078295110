//! Brings messages from the `message` table to the subscribers of this process.
//!
//! `SQLite` has no way to wake another process, so a thread looks at a counter in shared memory (`PRAGMA data_version`, a few
//! microseconds): often while messages come, rarely while they do not, never while nobody listens.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::file::File;
use crate::backend::{Error, Result, Subscription};
use crate::hub::Hub;

const REQUESTS_MAX: usize = 256;
/// Straight after a message: an answer to it is likely.
const PAUSE_MIN: Duration = Duration::from_millis(2);
/// The longest that a message of another process waits.
const PAUSE_MAX: Duration = Duration::from_millis(50);
const MESSAGES_AT_ONCE: u32 = 256;

/// The handle on the thread; dropping it ends the thread.
pub(super) struct Listener {
    requests: Option<SyncSender<Request>>,
    thread: Option<JoinHandle<()>>,
}

enum Request {
    Subscribe {
        channel: String,
        reply: oneshot::Sender<Result<Subscription>>,
    },
    /// This process has just published something.
    Look,
}

impl Listener {
    pub(super) fn start(file: File) -> Result<Self> {
        let connection = file.open_reader()?;
        let (requests, incoming) = sync_channel(REQUESTS_MAX);
        let watch = Watch { file, connection, hub: Hub::new(), last_id: 0, data_version: 0, failing: false };
        let thread = std::thread::Builder::new()
            .name("state-listener".into())
            .spawn(move || watch.listen(&incoming))
            .map_err(|error| Error::Unavailable(format!("cannot start the listener thread: {error}")))?;
        Ok(Self { requests: Some(requests), thread: Some(thread) })
    }

    pub(super) async fn subscribe(&self, channel: String) -> Result<Subscription> {
        let (reply, answer) = oneshot::channel();
        let sent = self.requests().try_send(Request::Subscribe { channel, reply });
        sent.map_err(|_| Error::Unavailable("too many subscriptions at once".into()))?;
        answer.await.map_err(|_| Error::Unavailable("the listener thread has stopped".into()))?
    }

    /// Delivers at once what this process has published.
    pub(super) fn look(&self) {
        // With a full queue the thread is about to look anyway.
        let _ = self.requests().try_send(Request::Look);
    }

    fn requests(&self) -> &SyncSender<Request> {
        self.requests.as_ref().expect("the queue is open until drop")
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was reported when it happened.
            let _ = thread.join();
        }
    }
}

/// What the thread knows.
struct Watch {
    file: File,
    connection: Connection,
    hub: Arc<Hub>,
    /// The last message delivered.
    last_id: u64,
    data_version: i64,
    /// Looking failed the last time: said once per outage.
    failing: bool,
}

impl Watch {
    fn listen(mut self, requests: &Receiver<Request>) {
        let mut pause = PAUSE_MIN;
        loop {
            let request = if self.hub.is_empty() {
                requests.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                requests.recv_timeout(pause)
            };
            let found = match request {
                Ok(Request::Subscribe { channel, reply }) => {
                    // A caller that gave up drops its subscription, which ends it.
                    let _ = reply.send(self.subscribe(&channel));
                    true
                }
                Ok(Request::Look) => self.look(),
                Err(RecvTimeoutError::Timeout) => self.has_news() && self.look(),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            pause = if found { PAUSE_MIN } else { (pause * 2).min(PAUSE_MAX) };
        }
    }

    fn subscribe(&mut self, channel: &str) -> Result<Subscription> {
        // The newcomer gets nothing from before; whoever is here already misses nothing.
        if self.hub.is_empty() {
            self.last_id = self.newest_id().map_err(|error| self.file.explain(&error))?;
        } else {
            self.look();
        }
        self.hub.subscribe(channel)
    }

    fn has_news(&mut self) -> bool {
        let version = self.connection.prepare_cached("PRAGMA data_version").and_then(|mut query| query.query_row([], |row| row.get(0)));
        // On failure look: that says what is wrong.
        version.map_or(true, |version| std::mem::replace(&mut self.data_version, version) != version)
    }

    /// Delivers what is new. True if there was something.
    fn look(&mut self) -> bool {
        let before = self.last_id;
        let looked = if self.hub.is_empty() { Ok(()) } else { self.deliver_new() };
        if let Err(error) = &looked
            && !self.failing
        {
            tracing::warn!(error = %self.file.explain(error), "messages are delayed");
        }
        self.failing = looked.is_err();
        self.last_id != before
    }

    fn deliver_new(&mut self) -> rusqlite::Result<()> {
        let mut query = self.connection.prepare_cached("SELECT id, channel, bytes FROM message WHERE id > ?1 ORDER BY id LIMIT ?2")?;
        loop {
            let mut rows = query.query((self.last_id, MESSAGES_AT_ONCE))?;
            let mut seen = 0;
            while let Some(row) = rows.next()? {
                let id: u64 = row.get(0)?;
                if id != self.last_id + 1 {
                    self.hub.tell_missed();
                }
                self.hub.deliver(row.get_ref(1)?.as_str()?, &Bytes::copy_from_slice(row.get_ref(2)?.as_blob()?));
                self.last_id = id;
                seen += 1;
            }
            if seen < MESSAGES_AT_ONCE {
                return Ok(());
            }
        }
    }

    fn newest_id(&self) -> rusqlite::Result<u64> {
        let mut query = self.connection.prepare_cached("SELECT coalesce(max(id), 0) FROM message")?;
        query.query_row([], |row| row.get(0))
    }
}
