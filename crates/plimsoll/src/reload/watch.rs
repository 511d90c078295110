//! Notices that the file was saved, by looking at it: that works for editors that write a new file and rename it, for links that are moved
//! (as Kubernetes does) and on network file systems, none of which tell everybody who listens.

use std::path::PathBuf;
use std::time::Duration;

use plimsoll_gateway::FileStamp;
use tokio::time::sleep;

/// Between two looks. A change must have stood still for as long, so that no half-written file is read.
const LOOK_EVERY: Duration = Duration::from_millis(250);

pub struct Watch {
    /// `None`: nobody wants to know.
    file: Option<PathBuf>,
    /// The file as it was read last.
    read: Option<FileStamp>,
    /// The file as it was at the last look.
    seen: Option<FileStamp>,
}

impl Watch {
    /// Watches a file that was read in this state.
    pub fn of(file: Option<PathBuf>, read: Option<FileStamp>) -> Self {
        Self { file, read, seen: read }
    }

    /// It is about to be read: what is there now is no news.
    pub async fn acknowledge(&mut self) {
        self.read = self.look().await;
        self.seen = self.read;
    }

    /// Returns when there is a file that differs from the one that was read. A file that is gone is no news: it is being replaced.
    pub async fn changed(&mut self) {
        loop {
            sleep(LOOK_EVERY).await;
            let stamp = self.look().await;
            let stands_still = std::mem::replace(&mut self.seen, stamp) == stamp;
            if stands_still && stamp.is_some() && stamp != self.read {
                self.read = stamp;
                return;
            }
        }
    }

    async fn look(&self) -> Option<FileStamp> {
        FileStamp::look(self.file.clone()?).await
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);
    const QUIET: Duration = LOOK_EVERY.saturating_mul(4);

    #[tokio::test]
    async fn a_saved_file_is_news_once_however_it_was_saved() {
        let directory = tempfile::tempdir().unwrap();
        let (file, aside) = (directory.path().join("plimsoll.toml"), directory.path().join("new"));
        fs::write(&file, "a").unwrap();
        let mut watch = Watch::of(Some(file.clone()), FileStamp::of(&file));
        assert!(timeout(QUIET, watch.changed()).await.is_err(), "nothing has happened yet");

        fs::write(&file, "b").unwrap();
        timeout(SOON, watch.changed()).await.expect("it was written to");
        assert!(timeout(QUIET, watch.changed()).await.is_err(), "that is known by now");

        fs::write(&aside, "c").unwrap();
        fs::rename(&aside, &file).unwrap();
        timeout(SOON, watch.changed()).await.expect("it was replaced");

        fs::remove_file(&file).unwrap();
        assert!(timeout(QUIET, watch.changed()).await.is_err(), "it may come back");
        fs::write(&file, "d").unwrap();
        timeout(SOON, watch.changed()).await.expect("it is back");

        let before = FileStamp::of(&file);
        fs::write(&file, "longer").unwrap();
        let mut late = Watch::of(Some(file.clone()), before);
        timeout(SOON, late.changed()).await.expect("it was written to since it was read");

        watch.acknowledge().await;
        assert!(timeout(QUIET, watch.changed()).await.is_err(), "somebody has read it");
    }
}
