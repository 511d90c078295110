//! What every connection to the same servers shares, session tickets included.

use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::rustls::{self, ClientConfig};

use crate::anyone;
use crate::identity::Identity;
use crate::roots::Roots;

/// Why no connection can be opened with these settings.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {what} from {}: {reason}", path.display())]
    Read { what: &'static str, path: PathBuf, reason: String },
    #[error("this system has no certificate authorities; install ca-certificates, or name a file")]
    NoAuthorities,
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// Reads the files that are named. `alpn`: the protocols to offer, the best one first.
pub fn client(roots: &Roots, identity: Option<&Identity>, alpn: &[&[u8]]) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match roots.store()? {
        Some(store) => builder.with_root_certificates(store),
        None => builder.dangerous().with_custom_certificate_verifier(anyone::verifier(provider)),
    };
    let mut config = match identity {
        Some(identity) => {
            let (chain, key) = identity.read()?;
            builder.with_client_auth_cert(chain, key)?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(config)
}

#[cfg(test)]
mod tests;
