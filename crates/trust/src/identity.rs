//! The certificate that a server may ask for.

use std::path::PathBuf;

use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::client::Error;

/// PEM files with a certificate, any intermediate ones after it, and the certificate's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Identity {
    pub(crate) fn read(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Error> {
        let failed = |reason: &dyn std::fmt::Display| Error::Read {
            what: "a certificate",
            path: self.certificate.clone(),
            reason: reason.to_string(),
        };
        let chain = CertificateDer::pem_file_iter(&self.certificate).map_err(|error| failed(&error))?;
        let chain = chain.collect::<Result<Vec<_>, _>>().map_err(|error| failed(&error))?;
        if chain.is_empty() {
            return Err(failed(&"it holds none"));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| Error::Read {
            what: "a private key",
            path: self.key.clone(),
            reason: error.to_string(),
        })?;
        Ok((chain, key))
    }
}
