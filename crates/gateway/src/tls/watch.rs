//! Files that change: a renewed certificate is served as soon as it is whole, and a broken one never.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep};

use super::certificate::Certificate;
use super::files::{Error, Files};
use super::store::{Shelf, Store};
use crate::file_stamp::FileStamp;

/// From here on until it is renewed, a certificate of files that ends is spoken of once a day.
pub const EXPIRES_SOON: Duration = Duration::from_hours(14 * 24);
const REMIND_EVERY: Duration = Duration::from_hours(24);

/// A certificate in files, and the state they were in when it was read.
pub(super) struct Watched {
    files: Files,
    stamps: [Option<FileStamp>; 2],
    certificate: Arc<Certificate>,
    /// How often in a row it could not be read since the files changed.
    failures: u32,
}

/// What a look at the files brought.
#[derive(Debug)]
enum News {
    Nothing,
    Renewed,
    /// Told once for each change of the files.
    Broken(Error),
}

impl Watched {
    pub(super) fn load(files: Files) -> Result<Self, Error> {
        // Before the contents: a change in between is seen at the next look.
        let stamps = files.stamps();
        let certificate = Arc::new(files.load()?);
        Ok(Self { files, stamps, certificate, failures: 0 })
    }

    pub(super) fn certificate(&self) -> &Arc<Certificate> {
        &self.certificate
    }

    /// Reads the files again if they have changed. Whoever renews a certificate writes one file after the other: what cannot be used is looked at
    /// once more before it is called broken.
    fn look(&mut self) -> News {
        let stamps = self.files.stamps();
        if stamps == self.stamps && self.failures != 1 {
            return News::Nothing;
        }
        if stamps != self.stamps {
            self.failures = 0;
        }
        self.stamps = stamps;
        match self.files.load() {
            Ok(certificate) => {
                self.failures = 0;
                let is_new = !certificate.is_same_as(&self.certificate);
                self.certificate = Arc::new(certificate);
                if is_new { News::Renewed } else { News::Nothing }
            }
            Err(error) => {
                self.failures += 1;
                if self.failures == 2 { News::Broken(error) } else { News::Nothing }
            }
        }
    }
}

/// Looks at the files for as long as it runs, and puts what they hold into the store.
pub(super) async fn watch(mut watched: Vec<Watched>, every: Duration, store: Arc<Store>) {
    let mut remind_at = Instant::now();
    loop {
        if Instant::now() >= remind_at {
            remind(&store);
            remind_at = Instant::now() + REMIND_EVERY;
        }
        sleep(every).await;
        // A file may lie on a disk that does not answer.
        let looked = tokio::task::spawn_blocking(move || {
            let news = watched.iter_mut().map(Watched::look).collect::<Vec<_>>();
            (watched, news)
        });
        let Ok((back, news)) = looked.await else { return };
        watched = back;
        if news.iter().any(|news| matches!(news, News::Renewed)) {
            store.put(Shelf::Files, watched.iter().map(|watched| Arc::clone(&watched.certificate)).collect());
        }
        for (watched, news) in watched.iter().zip(news) {
            tell(watched, news);
        }
    }
}

fn tell(watched: &Watched, news: News) {
    let file = watched.files.chain.display();
    match news {
        News::Nothing => {}
        News::Renewed => {
            let left = watched.certificate.validity().left(SystemTime::now());
            let days = left.map_or(0, |left| left.as_secs() / (24 * 60 * 60));
            tracing::info!(%file, names = watched.certificate.names().join(" "), days_left = days, "a certificate was renewed");
        }
        News::Broken(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            tracing::warn!(%error, cause, "a certificate cannot be renewed; the one that was read before is still served");
        }
    }
}

/// Speaks of every certificate that ends soon, unless somebody sees to that.
fn remind(store: &Store) {
    for (shelf, certificate) in store.shelved() {
        let file = certificate.source();
        match certificate.validity().left(SystemTime::now()) {
            None => tracing::warn!(file, "a certificate has expired: clients refuse it"),
            Some(left) if left < EXPIRES_SOON && !shelf.renews_itself() => {
                tracing::warn!(file, hours_left = left.as_secs() / (60 * 60), "a certificate expires soon");
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};
    use tempfile::TempDir;

    use super::*;

    struct Desk {
        directory: TempDir,
        files: Files,
    }

    impl Desk {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let files = Files { chain: directory.path().join("chain.pem"), key: directory.path().join("key.pem") };
            Self { directory, files }
        }

        /// Puts a text in the place of a file, as one who renews it does.
        fn replace(&self, name: &str, text: &str) {
            let aside = self.directory.path().join("aside");
            std::fs::write(&aside, text).unwrap();
            std::fs::rename(aside, self.directory.path().join(name)).unwrap();
        }
    }

    fn made(name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    #[test]
    fn a_renewal_is_taken_when_both_files_are_there() {
        let desk = Desk::new();
        let [old, new] = [made("old.example"), made("new.example")];
        desk.replace("chain.pem", &old.0);
        desk.replace("key.pem", &old.1);
        let mut watched = Watched::load(desk.files.clone()).unwrap();
        assert!(matches!(watched.look(), News::Nothing));

        desk.replace("chain.pem", &new.0);
        assert!(matches!(watched.look(), News::Nothing), "half a renewal is no news");
        assert_eq!(watched.certificate().names(), ["old.example"]);
        desk.replace("key.pem", &new.1);
        assert!(matches!(watched.look(), News::Renewed));
        assert_eq!(watched.certificate().names(), ["new.example"]);

        desk.replace("key.pem", &new.1);
        assert!(matches!(watched.look(), News::Nothing), "the same once more is no news");
    }

    #[test]
    fn what_is_broken_is_told_once_and_changes_nothing_until_it_is_mended() {
        let desk = Desk::new();
        let [old, new] = [made("old.example"), made("new.example")];
        desk.replace("chain.pem", &old.0);
        desk.replace("key.pem", &old.1);
        let mut watched = Watched::load(desk.files.clone()).unwrap();
        for (name, text) in [("chain.pem", "nonsense"), ("chain.pem", &*new.0)] {
            desk.replace(name, text);
            assert!(matches!(watched.look(), News::Nothing), "it may be half written");
            assert!(matches!(watched.look(), News::Broken(_)));
            assert!(matches!(watched.look(), News::Nothing), "it was told");
            assert_eq!(watched.certificate().names(), ["old.example"]);
        }
        std::fs::remove_file(&desk.files.key).unwrap();
        assert!(matches!((watched.look(), watched.look()), (News::Nothing, News::Broken(Error::Read { .. }))));
        desk.replace("key.pem", &new.1);
        assert!(matches!(watched.look(), News::Renewed));
    }
}
