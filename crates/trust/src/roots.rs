//! The authorities that vouch for a server.

use std::path::{Path, PathBuf};

use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use crate::client::Error;

/// Whose word is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Roots {
    /// The authorities that this system trusts.
    #[default]
    System,
    /// Those, and the ones in a PEM file.
    SystemAnd(PathBuf),
    /// Only the ones in a PEM file: what a private authority has signed, and nothing that a public one has.
    Only(PathBuf),
    /// Nobody is asked: anybody who answers is believed.
    Anyone,
}

impl Roots {
    /// The file that is read, if there is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::SystemAnd(path) | Self::Only(path) => Some(path),
            Self::System | Self::Anyone => None,
        }
    }

    /// `None`: anybody is believed.
    pub(crate) fn store(&self) -> Result<Option<RootCertStore>, Error> {
        let mut store = RootCertStore::empty();
        if matches!(self, Self::System | Self::SystemAnd(_)) {
            // Some certificates of a system may be odd; what matters is that there are any.
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        match self {
            Self::Anyone => return Ok(None),
            Self::System => {}
            Self::SystemAnd(path) | Self::Only(path) => add(&mut store, path)?,
        }
        if store.is_empty() { Err(Error::NoAuthorities) } else { Ok(Some(store)) }
    }
}

fn add(store: &mut RootCertStore, path: &Path) -> Result<(), Error> {
    let failed = |reason: &dyn std::fmt::Display| Error::Read { what: "certificates", path: path.to_owned(), reason: reason.to_string() };
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| failed(&error))?;
    let mut count = 0;
    for certificate in certificates {
        store.add(certificate.map_err(|error| failed(&error))?).map_err(|error| failed(&error))?;
        count += 1;
    }
    if count == 0 { Err(failed(&"it holds none")) } else { Ok(()) }
}
