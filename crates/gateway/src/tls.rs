//! TLS at the door: which certificate is shown to whom, the handshake, and what becomes of those who come without.
//!
//! | module | does |
//! |---|---|
//! | `certificate`, `validity` | a chain and its key that belong together, and until when they hold |
//! | `files`, `watch` | certificates in PEM files, read again when they change |
//! | `store` | which certificate is shown to whom |
//! | `issuance` | what became of orders for certificates |
//! | `terms`, `agreed` | versions, protocols, tickets, certificates of clients; and what of them is in force |
//! | `handshake` | how a connection begins |
//! | `unencrypted` | redirects, and how browsers learn to do without them |

mod agreed;
mod certificate;
mod der;
mod files;
mod handshake;
mod issuance;
mod store;
mod subject;
mod terms;
mod unencrypted;
mod validity;
mod watch;

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use plimsoll_telemetry::snapshot::{AcmeSnapshot, CertificateSnapshot};
use tokio::task::JoinSet;
use tokio_rustls::rustls::ServerConfig;

use agreed::{Agreed, Authorities};
pub use certificate::{Certificate, Flaw};
pub use files::{Error as FileError, Files};
pub(crate) use handshake::{HandshakeStats, Lines, receive};
pub use issuance::{Issuance, Ordered};
pub use store::{Shelf, Store};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use subject::of as subject_of;
use terms::Terms;
pub use terms::{ClientCertificates, Error, Version};
pub use unencrypted::Redirect;
pub(crate) use unencrypted::{answer_to_challenge, harden, instead};
pub use validity::Validity;
pub use watch::EXPIRES_SOON;
use watch::{Watched, watch};

/// How TLS is spoken with clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The first certificate is also for clients that name no host, or one that nobody holds a certificate for.
    pub files: Vec<Files>,
    /// How often they are looked at for changes.
    pub look_every: Duration,
    pub version_min: Version,
    /// What clients must show; `None`: they are not asked.
    pub clients: Option<ClientCertificates>,
    /// What plain HTTP doors do.
    pub redirect: Redirect,
    /// For how long browsers are told to come encrypted only; `None`: they are told nothing.
    pub hsts: Option<Duration>,
}

/// Certificates, and the terms on which TLS is spoken. Clones are the same; with the last one go the tasks that look after the certificates.
#[derive(Clone)]
pub struct Server {
    agreed: Arc<Agreed>,
    store: Arc<Store>,
    redirect: Redirect,
    /// Where the TLS door is, once there is one.
    door: Option<u16>,
    hsts: Option<Arc<str>>,
    sources: Arc<Mutex<JoinSet<()>>>,
}

impl Server {
    /// Reads the certificates, and looks after them from now on. Needs a tokio runtime.
    pub fn start(config: Config) -> Result<Self, Error> {
        let Config { files, look_every, version_min, clients, redirect, hsts } = config;
        let store = Arc::new(Store::default());
        let watched = files.into_iter().map(Watched::load).collect::<Result<Vec<_>, _>>()?;
        store.put(Shelf::Files, watched.iter().map(|watched| Arc::clone(watched.certificate())).collect());
        let authorities = clients.clone().map(|clients| Authorities::of(version_min, clients));
        let agreed = Arc::new(Agreed::on(Terms::read(version_min, clients)?, Arc::clone(&store))?);
        let hsts = hsts.map(|max_age| unencrypted::hsts(max_age).into());
        let server = Self { agreed, store, redirect, door: None, hsts, sources: Arc::default() };
        if !watched.is_empty() {
            server.supply(|store| watch(watched, look_every, store));
        }
        if let Some(authorities) = authorities {
            let agreed = Arc::clone(&server.agreed);
            server.supply(|store| authorities.watch(look_every, agreed, store));
        }
        Ok(server)
    }

    /// The same, for settings that differ in nothing but `redirect` and `hsts`. The files are read again, and what they hold is in force at once; every
    /// source goes on with what it is at.
    pub fn renewed(&self, config: Config) -> Result<Self, Error> {
        let Config { files, version_min, clients, redirect, hsts, .. } = config;
        let certificates = files.iter().map(|files| files.load().map(Arc::new)).collect::<Result<Vec<_>, _>>()?;
        self.agreed.change(Terms::read(version_min, clients)?, Arc::clone(&self.store))?;
        if !files.is_empty() {
            self.store.put(Shelf::Files, certificates);
        }
        Ok(Self { redirect, hsts: hsts.map(|max_age| unencrypted::hsts(max_age).into()), ..self.clone() })
    }

    /// Runs a source of certificates for as long as this server, or a clone of it, is there.
    pub fn supply<F: Future<Output = ()> + Send + 'static>(&self, source: impl FnOnce(Arc<Store>) -> F) {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).spawn(source(Arc::clone(&self.store)));
    }

    /// Where sources put what they have.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The same, as successor of another: sessions that were agreed on the same terms can be resumed.
    pub(crate) fn after(self, before: Option<&Self>) -> Self {
        if let Some(before) = before.filter(|before| !before.has_sources_of(&self)) {
            self.agreed.resume_from(&before.agreed);
        }
        self
    }

    /// Whether somebody who looks after the one looks after the other.
    pub(crate) fn has_sources_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.sources, &other.sources)
    }

    /// Ends the tasks that look after its certificates: somebody else does that now, although connections may still be begun with this one.
    pub(crate) fn retire(&self) {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }

    /// What became of orders for certificates.
    pub(crate) fn acme(&self) -> AcmeSnapshot {
        self.store.issuance().snapshot()
    }

    /// Takes over what another has counted.
    pub(crate) fn continue_from(&self, before: &Self) {
        self.store.issuance().continue_from(before.store.issuance());
    }

    /// The same, with its door on this port.
    pub(crate) fn at(mut self, door: Option<u16>) -> Self {
        self.door = door;
        self
    }

    fn config(&self) -> Arc<ServerConfig> {
        self.agreed.config()
    }

    fn redirect_port(&self) -> Option<u16> {
        match self.redirect {
            Redirect::Off => None,
            Redirect::ToDoor => self.door,
            Redirect::ToPort(port) => self.door.map(|_| port),
        }
    }

    fn hsts(&self) -> Option<&str> {
        self.hsts.as_deref()
    }

    /// What operators want to know of the certificates. Of those from one source, the first.
    pub(crate) fn certificates(&self) -> Vec<CertificateSnapshot> {
        let mut snapshots: Vec<CertificateSnapshot> = Vec::new();
        for (shelf, certificate) in self.store.shelved() {
            if snapshots.iter().all(|known| known.source != certificate.source()) {
                snapshots.push(snapshot(shelf, &certificate));
            }
        }
        snapshots
    }
}

fn snapshot(shelf: Shelf, certificate: &Certificate) -> CertificateSnapshot {
    let since_1970 = certificate.validity().not_after.duration_since(std::time::UNIX_EPOCH);
    CertificateSnapshot {
        source: certificate.source().to_owned(),
        names: certificate.names().to_vec(),
        not_after_unix: since_1970.map_or(0, |time| time.as_secs()),
        renews_itself: shelf.renews_itself(),
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Server").field("store", &self.store).field("redirect", &self.redirect).finish_non_exhaustive()
    }
}
