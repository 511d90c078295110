//! Connections that read. In WAL mode they see the last commit and wait for nobody, so several work at once.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::file::File;
use crate::backend::{Error, Result};

const READERS_MAX: usize = 4;

pub(super) struct Readers {
    file: File,
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(file: File) -> Self {
        Self { file, idle: Arc::default(), permits: Arc::new(Semaphore::new(READERS_MAX)) }
    }

    /// Runs `work` on a thread that may block: a page may have to come from the disk.
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        // The permit goes along, so that a caller that gave up does not let one reader too many start.
        let permit = Arc::clone(&self.permits).acquire_owned().await.expect("the semaphore is never closed");
        let (file, idle) = (self.file.clone(), Arc::clone(&self.idle));
        let read = move || {
            let waiting = pool(&idle).pop();
            let connection = waiting.map_or_else(|| file.open_reader(), Ok)?;
            let answer = work(&connection).map_err(|error| file.explain(&error))?;
            // A connection whose read failed is not kept.
            pool(&idle).push(connection);
            drop(permit);
            Ok(answer)
        };
        tokio::task::spawn_blocking(read).await.map_err(|error| Error::Unavailable(format!("a read was cut off: {error}")))?
    }
}

fn pool(idle: &Mutex<Vec<Connection>>) -> std::sync::MutexGuard<'_, Vec<Connection>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}
