//! Certificates in PEM files, as every tool that gets them writes them, and errors that say which file to mend.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::certificate::{Certificate, Flaw};
use crate::file_stamp::FileStamp;

/// The longest chains have some ten kilobytes.
const BYTES_MAX: u64 = 1024 * 1024;

/// Where a certificate and its key lie. Both may be in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The certificate first, then those that vouch for it.
    pub chain: PathBuf,
    pub key: PathBuf,
}

/// Why there is no certificate in files that should hold one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {}", .file.display())]
    Read { file: PathBuf, source: io::Error },
    #[error("{} holds no certificate: no block in it begins with `-----BEGIN CERTIFICATE-----`", .file.display())]
    NoCertificate { file: PathBuf },
    #[error("{} holds no private key: no block in it begins with `-----BEGIN PRIVATE KEY-----`", .file.display())]
    NoKey { file: PathBuf },
    #[error("the key in {} is encrypted: `openssl pkey -in {} -out plain.key` writes it without its passphrase", .file.display(), .file.display())]
    EncryptedKey { file: PathBuf },
    #[error("{} is no valid PEM file: {problem}", .file.display())]
    Damaged { file: PathBuf, problem: pem::Error },
    #[error("the key in {} does not belong to the certificate in {}", .files.key.display(), .files.chain.display())]
    Mismatch { files: Files },
    #[error(
        "the certificates in {} stand in the wrong order: number {place} belongs to the key and must be the first",
        .files.chain.display()
    )]
    WrongOrder { files: Files, place: usize },
    #[error("the certificate in {} cannot be used", .file.display())]
    Certificate { file: PathBuf, source: rustls::Error },
    #[error("the key in {} cannot be used: it must be an RSA, ECDSA or Ed25519 key", .file.display())]
    Key { file: PathBuf, source: rustls::Error },
}

impl Files {
    /// Reads and checks both.
    pub fn load(&self) -> Result<Certificate, Error> {
        let chain = certificates(&self.chain)?;
        let text = read(&self.key)?;
        let key = PrivateKeyDer::from_pem_slice(&text).map_err(|problem| {
            let file = self.key.clone();
            match problem {
                pem::Error::NoItemsFound if is_encrypted(&text) => Error::EncryptedKey { file },
                pem::Error::NoItemsFound => Error::NoKey { file },
                problem => Error::Damaged { file, problem },
            }
        })?;
        Certificate::new(chain, key, &self.chain.to_string_lossy()).map_err(|flaw| self.of(flaw, &text))
    }

    fn of(&self, flaw: Flaw, key: &[u8]) -> Error {
        match flaw {
            Flaw::Mismatch => Error::Mismatch { files: self.clone() },
            Flaw::WrongOrder(place) => Error::WrongOrder { files: self.clone(), place },
            Flaw::Certificate(source) => Error::Certificate { file: self.chain.clone(), source },
            Flaw::Key(_) if is_encrypted(key) => Error::EncryptedKey { file: self.key.clone() },
            Flaw::Key(source) => Error::Key { file: self.key.clone(), source },
        }
    }

    /// Whether any user of this machine may read the key.
    pub fn key_is_exposed(&self) -> bool {
        const READABLE_BY_ALL: u32 = 0o004;
        self.key.metadata().is_ok_and(|about| about.mode() & READABLE_BY_ALL != 0)
    }

    /// What changes when one of the files does.
    pub(super) fn stamps(&self) -> [Option<FileStamp>; 2] {
        [&self.chain, &self.key].map(|file| FileStamp::of(file))
    }
}

/// All certificates of a file, at least one.
pub(super) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = read(file)?;
    let damaged = |problem| Error::Damaged { file: file.to_owned(), problem };
    let found = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>().map_err(damaged)?;
    if found.is_empty() { Err(Error::NoCertificate { file: file.to_owned() }) } else { Ok(found) }
}

/// The file is looked at before it is opened: opening a pipe would wait for somebody to write.
fn read(file: &Path) -> Result<Vec<u8>, Error> {
    let read = || {
        let about = file.metadata()?;
        if !about.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        if about.len() > BYTES_MAX {
            return Err(io::Error::other(format!("{} bytes are too many for a certificate", about.len())));
        }
        let mut text = Vec::new();
        File::open(file)?.take(BYTES_MAX).read_to_end(&mut text)?;
        Ok(text)
    };
    read().map_err(|source| Error::Read { file: file.to_owned(), source })
}

fn is_encrypted(text: &[u8]) -> bool {
    let holds = |mark: &[u8]| memchr::memmem::find(text, mark).is_some();
    holds(b"BEGIN ENCRYPTED PRIVATE KEY") || holds(b"Proc-Type: 4,ENCRYPTED")
}

#[cfg(test)]
mod tests;
