//! What tells that a file has changed without reading it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tokio::task::spawn_blocking;

/// Tells two states of a file apart, whether it was written to, replaced, or is a link that was moved.
///
/// Device, inode, size and time of change. The time of change, unlike that of modification, cannot be carried over from another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl FileStamp {
    /// A file that is not there has none.
    pub fn of(path: &Path) -> Option<Self> {
        path.metadata().ok().map(Self::from)
    }

    /// The same for those whom nobody may keep waiting: a file may lie on a disk that does not answer.
    pub async fn look(path: PathBuf) -> Option<Self> {
        spawn_blocking(move || Self::of(&path)).await.ok().flatten()
    }
}

impl From<Metadata> for FileStamp {
    fn from(about: Metadata) -> Self {
        Self { device: about.dev(), inode: about.ino(), size: about.size(), changed: (about.ctime(), about.ctime_nsec()) }
    }
}
