//! A certificate that is made on the spot and renewed by itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use plimsoll_gateway::tls::{Certificate, Server, Shelf, Store};
use tokio::time::sleep;

use super::authority::{Authority, CERTIFICATE_LIFE};

/// A laptop may have slept meanwhile, so the clock on the wall is asked, not a timer for the day.
const LOOK_EVERY: Duration = Duration::from_hours(1);

/// Puts a certificate for the names into the server, and sees to it that there always is one.
pub(super) fn supply(server: &Server, names: &[String], data_dir: &Path) -> Result<()> {
    let failed = "cannot make a development certificate";
    let mut source = Source { names: names.to_vec(), data_dir: data_dir.to_owned(), shown: None };
    source.renew(server.store(), SystemTime::now()).context(failed)?;
    server.supply(async move |store| {
        loop {
            sleep(LOOK_EVERY).await;
            if let Err(error) = source.renew(&store, SystemTime::now()) {
                tracing::warn!(error = format!("{error:#}"), "{failed}");
            }
        }
    });
    Ok(())
}

struct Source {
    names: Vec<String>,
    data_dir: PathBuf,
    shown: Option<Arc<Certificate>>,
}

impl Source {
    /// Makes a certificate if there is none yet, or if it has less than a third of its life before it.
    fn renew(&mut self, store: &Store, now: SystemTime) -> Result<()> {
        let left = self.shown.as_ref().and_then(|shown| shown.validity().left(now));
        if left.is_some_and(|left| left > CERTIFICATE_LIFE / 3) {
            return Ok(());
        }
        let certificate = Authority::open(&self.data_dir, &self.names)?.issue(now)?;
        store.put(Shelf::Development, vec![Arc::clone(&certificate)]);
        self.shown = Some(certificate);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_renewed_before_it_ends_and_not_all_the_time() {
        const DAY: Duration = Duration::from_hours(24);
        let directory = tempfile::tempdir().unwrap();
        let store = Store::default();
        let mut source = Source { names: vec!["app.test".to_owned()], data_dir: directory.path().to_owned(), shown: None };
        let now = SystemTime::now();
        let mut ends = Vec::new();
        for day in 0..60 {
            source.renew(&store, now + day * DAY).unwrap();
            let shown = store.find(Some("app.test")).unwrap().validity();
            assert!(shown.left(now + day * DAY).unwrap() > 9 * DAY, "day {day}");
            ends.push(shown.not_after);
        }
        ends.dedup();
        assert_eq!(ends.len(), 3, "every three weeks");
    }
}
