//! A file on its way to a client: read in pieces, each when the one before has been taken, so that a slow reader holds one piece and no thread.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::http1::WireError;
use crate::message::{BodyStream, Frame};

/// Large enough that the visit to another thread does not show, small enough that ten thousand readers fit into memory.
const PIECE_BYTES: usize = 128 * 1024;

pub(super) struct FileBody {
    file: Arc<File>,
    position: u64,
    end: u64,
    piece_bytes: usize,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl FileBody {
    /// The bytes from `position` up to, and without, `end`.
    pub(super) fn new(file: File, position: u64, end: u64) -> Self {
        Self { file: Arc::new(file), position, end, piece_bytes: PIECE_BYTES, reading: None }
    }
}

impl BodyStream for FileBody {
    fn is_over(&self) -> bool {
        self.position == self.end
    }

    /// From the next piece on.
    fn read_at_most(&mut self, bytes: usize) {
        self.piece_bytes = bytes.min(PIECE_BYTES);
    }

    /// A file that has become shorter meanwhile is an answer that breaks off: its length has been announced.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, WireError>>> {
        if self.is_over() {
            return Poll::Ready(None);
        }
        let (position, length) = (self.position, (self.piece_bytes as u64).min(self.end - self.position));
        let reading = self.reading.get_or_insert_with(|| {
            let file = Arc::clone(&self.file);
            spawn_blocking(move || read(&file, position, length))
        });
        let read = ready!(Pin::new(reading).poll(cx)).unwrap_or_else(|panicked| Err(io::Error::other(panicked)));
        self.reading = None;
        Poll::Ready(Some(match read {
            Ok(bytes) => {
                self.position += bytes.len() as u64;
                Ok(Frame::Data(bytes))
            }
            Err(error) => Err(WireError::Io(error)),
        }))
    }
}

fn read(file: &File, position: u64, length: u64) -> io::Result<Bytes> {
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, position)?;
    Ok(bytes.into())
}
