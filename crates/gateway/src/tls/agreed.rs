//! The terms in force, as rustls wants them; and whom they believe, in a file that changes.
//!
//! Whoever is struck from the file of client authorities is turned away from the next look on, with a ticket too. Connections that are open stay.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_rustls::rustls::ServerConfig;

use super::store::Store;
use super::terms::{ClientCertificates, Error, Terms, Version};
use crate::file_stamp::FileStamp;

pub(super) struct Agreed(ArcSwap<Settled>);

struct Settled {
    terms: Terms,
    config: Arc<ServerConfig>,
}

impl Agreed {
    pub(super) fn on(terms: Terms, store: Arc<Store>) -> Result<Self, Error> {
        let config = Arc::new(terms.build(store)?);
        Ok(Self(ArcSwap::from_pointee(Settled { terms, config })))
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.load().config)
    }

    /// Takes over other terms, which end the sessions of those before. False if they are the same.
    pub(super) fn change(&self, terms: Terms, store: Arc<Store>) -> Result<bool, Error> {
        if self.0.load().terms == terms {
            return Ok(false);
        }
        let config = Arc::new(terms.build(store)?);
        self.0.store(Arc::new(Settled { terms, config }));
        Ok(true)
    }

    /// Lets sessions be resumed that were agreed elsewhere on the same terms.
    pub(super) fn resume_from(&self, before: &Self) {
        let (now, before) = (self.0.load(), before.0.load());
        if now.terms == before.terms {
            let mut config = ServerConfig::clone(&now.config);
            config.ticketer = Arc::clone(&before.config.ticketer);
            self.0.store(Arc::new(Settled { terms: now.terms.clone(), config: Arc::new(config) }));
        }
    }
}

/// The file of client authorities, and the state it was in when it was read.
pub(super) struct Authorities {
    version_min: Version,
    clients: ClientCertificates,
    stamp: Option<FileStamp>,
    /// How often in a row it could not be used since it changed.
    failures: u32,
}

impl Authorities {
    /// To be called before the file is read: a change in between is seen at the next look.
    pub(super) fn of(version_min: Version, clients: ClientCertificates) -> Self {
        let stamp = FileStamp::of(&clients.authorities);
        Self { version_min, clients, stamp, failures: 0 }
    }

    /// Looks at the file for as long as it runs. One that cannot be used is looked at once more before it is called broken: it may be half written.
    pub(super) async fn watch(mut self, every: Duration, agreed: Arc<Agreed>, store: Arc<Store>) {
        loop {
            sleep(every).await;
            let stamp = FileStamp::look(self.clients.authorities.clone()).await;
            if stamp == self.stamp && self.failures != 1 {
                continue;
            }
            if stamp != self.stamp {
                self.failures = 0;
            }
            self.stamp = stamp;
            let (agreed, store) = (Arc::clone(&agreed), Arc::clone(&store));
            let (version_min, clients) = (self.version_min, self.clients.clone());
            let taken = spawn_blocking(move || agreed.change(Terms::read(version_min, Some(clients))?, store));
            let Ok(taken) = taken.await else { return };
            self.tell(taken);
        }
    }

    fn tell(&mut self, taken: Result<bool, Error>) {
        let file = self.clients.authorities.display();
        match taken {
            Ok(is_new) => {
                self.failures = 0;
                if is_new {
                    tracing::info!(%file, "other authorities vouch for clients now");
                }
            }
            Err(error) => {
                self.failures += 1;
                if self.failures == 2 {
                    tracing::warn!(%error, "the authorities of client certificates stay as they were read before");
                }
            }
        }
    }
}
