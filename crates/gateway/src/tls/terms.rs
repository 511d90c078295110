//! What is agreed on with every client: versions, protocols, tickets, and whether it must show a certificate of its own.

use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::aws_lc_rs::{self, Ticketer};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};

use super::files::{self, certificates};
use super::store::{CHALLENGE_PROTOCOL, Store};

/// The oldest version that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Tls12,
    Tls13,
}

/// The certificates that clients show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificates {
    /// The authorities whose certificates are believed, in a PEM file.
    pub authorities: PathBuf,
    /// Whether a client may come without one. One that cannot be verified is never accepted.
    pub optional: bool,
}

impl ClientCertificates {
    /// Whether the file holds authorities that can vouch for clients.
    pub fn check(self) -> Result<(), Error> {
        Terms::read(Version::Tls12, Some(self))?.build(Arc::default()).map(drop)
    }
}

/// Why TLS cannot be spoken on these terms.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Files(#[from] files::Error),
    #[error("a certificate in {} cannot vouch for clients", .file.display())]
    Authority { file: PathBuf, source: rustls::Error },
    #[error("the library of TLS cannot be set up")]
    Library(#[source] rustls::Error),
}

/// What a session is agreed on. A ticket of it is worth nothing where anything of this is different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    version_min: Version,
    clients: Option<Clients>,
}

/// Whose certificates are believed, as the file said when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Clients {
    file: PathBuf,
    authorities: Vec<CertificateDer<'static>>,
    optional: bool,
}

impl Terms {
    pub(super) fn read(version_min: Version, clients: Option<ClientCertificates>) -> Result<Self, Error> {
        let read = |ClientCertificates { authorities: file, optional }| {
            let authorities = certificates(&file)?;
            Ok::<_, Error>(Clients { file, authorities, optional })
        };
        Ok(Self { version_min, clients: clients.map(read).transpose()? })
    }

    /// The same as rustls wants it.
    pub(super) fn build(&self, store: Arc<Store>) -> Result<ServerConfig, Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let versions: &[_] = match self.version_min {
            Version::Tls12 => &[&TLS13, &TLS12],
            Version::Tls13 => &[&TLS13],
        };
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions).map_err(Error::Library)?;
        let builder = match &self.clients {
            None => builder.with_no_client_auth(),
            Some(clients) => builder.with_client_cert_verifier(clients.verifier()?),
        };
        let mut config = builder.with_cert_resolver(store);
        config.alpn_protocols = [&b"h2"[..], b"http/1.1", CHALLENGE_PROTOCOL].map(<[u8]>::to_vec).to_vec();
        // Sessions are resumed by tickets, whose keys change every six hours: nothing about clients is kept here.
        config.ticketer = Ticketer::new().map_err(Error::Library)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        // No early data: whoever records it can send it again, and neither routes nor instances could tell (RFC 8470).
        config.max_early_data_size = 0;
        Ok(config)
    }
}

impl Clients {
    fn verifier(&self) -> Result<Arc<dyn ClientCertVerifier>, Error> {
        let mut authorities = RootCertStore::empty();
        let failed = |source| Error::Authority { file: self.file.clone(), source };
        for certificate in &self.authorities {
            authorities.add(certificate.clone()).map_err(failed)?;
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), Arc::new(aws_lc_rs::default_provider()));
        let builder = if self.optional { builder.allow_unauthenticated() } else { builder };
        builder.build().map_err(|error| failed(rustls::Error::General(error.to_string())))
    }
}
