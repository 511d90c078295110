//! TLS towards instances: who is believed, what is shown to them, and the handshake.
//!
//! The files are looked at again every two seconds, so that a renewed certificate needs no restart. Connections that are open stay; sessions
//! are resumed across them, which makes a further connection to an instance cheap.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

pub use plimsoll_trust::{Error, Identity, Roots};

use crate::file_stamp::FileStamp;
use crate::transport::Transport;

const LOOK_EVERY: Duration = Duration::from_secs(2);

const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

/// What is offered to be spoken inside (ALPN, RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    Http1,
    Http2,
    Either,
}

/// How TLS is spoken with the instances of an upstream. Two are equal if they were made from the same settings.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    spec: Spec,
    config: ArcSwap<Configs>,
    /// The state that the files were in before they were read first.
    stamps: Vec<Option<FileStamp>>,
}

/// The same but for what they offer.
struct Configs {
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    either: Arc<ClientConfig>,
}

/// What an operator says about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spec {
    pub roots: Roots,
    /// Shown to instances that ask for a certificate.
    pub identity: Option<Identity>,
}

impl Client {
    /// Reads the files that the settings name.
    pub fn new(spec: Spec) -> Result<Self, Error> {
        let stamps = spec.stamps();
        let config = ArcSwap::from_pointee(spec.config()?);
        Ok(Self(Arc::new(Inner { spec, config, stamps })))
    }

    /// Connects on a stream. `name` is whom the certificate must be for; it is also told to the instance, unless it is an address.
    pub(crate) async fn handshake(&self, stream: TcpStream, name: &str, offer: Offer) -> io::Result<Transport> {
        let name = ServerName::try_from(name.to_owned()).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let config = {
            let configs = self.0.config.load();
            Arc::clone(match offer {
                Offer::Http1 => &configs.http1,
                Offer::Http2 => &configs.http2,
                Offer::Either => &configs.either,
            })
        };
        let connector = TlsConnector::from(config);
        let stream = connector.connect(name, stream.into()).await?;
        Ok(Transport::Tls(Box::new(stream.into())))
    }

    /// Takes over files that change. What cannot be read leaves everything as it is.
    pub(crate) async fn watch(self) {
        let Inner { spec, config, stamps } = &*self.0;
        if spec.files().next().is_none() {
            return;
        }
        let mut known = stamps.clone();
        loop {
            sleep(LOOK_EVERY).await;
            // The files may lie on a disk that does not answer.
            let (spec, before) = (spec.clone(), known.clone());
            let look = move || {
                let now = spec.stamps();
                (now != before).then(|| (now, spec.config()))
            };
            let Ok(Some((now, read))) = spawn_blocking(look).await else { continue };
            known = now;
            match read {
                Ok(changed) => {
                    config.store(Arc::new(changed));
                    tracing::info!("certificates for connections to instances were read again");
                }
                Err(error) => tracing::warn!(%error, "certificates for connections to instances stay as they are"),
            }
        }
    }
}

impl Spec {
    fn config(&self) -> Result<Configs, Error> {
        // Copies share what is known of sessions.
        let either = plimsoll_trust::client(&self.roots, self.identity.as_ref(), &[HTTP2, HTTP1])?;
        let only = |protocol: &[u8]| {
            let mut config = either.clone();
            config.alpn_protocols = vec![protocol.to_vec()];
            Arc::new(config)
        };
        Ok(Configs { http1: only(HTTP1), http2: only(HTTP2), either: Arc::new(either) })
    }

    /// What changes when one of the files does.
    fn stamps(&self) -> Vec<Option<FileStamp>> {
        self.files().map(FileStamp::of).collect()
    }

    fn files(&self) -> impl Iterator<Item = &Path> {
        let identity = self.identity.iter().flat_map(|identity| [identity.certificate.as_path(), identity.key.as_path()]);
        self.roots.file().into_iter().chain(identity)
    }
}

impl PartialEq for Client {
    fn eq(&self, other: &Self) -> bool {
        self.0.spec == other.0.spec
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.spec.fmt(formatter)
    }
}
